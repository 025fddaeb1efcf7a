"""Where the picture is within its bars, its frame or a Polaroid's border: these say nothing of its light and colours.

A bar has one colour, reaches an edge from end to end, and ends at once, all along. A night sky or a white backdrop ends
here and there, where something stands before it, and a clear sky changes little by little.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .frames import FRAME, subsample

LEVEL = 1 / 255
EDGE = 1
"""The row that tells a bar's colour: the very first one of a captured video may be another."""
EVEN, SOLID = 3.0, 0.95
"""By how many levels that row's pixels may differ from their median, and how many of them do not."""
SAME, WRITTEN = 4.0, 0.7
"""The same of a bar's other rows: something may be written on it."""
HALF, DRIFT, STEP, PLAIN = 0.5, 1.0, 8.0, 12.0
"""In levels from the bar's colour: how far half of a row of it may be, less than a sky's gradient; how far half of the
picture's first row is; and how far one is that plainly ends a bar, twice as far for a thin one."""
BLUR, SOFT = 2, 5
"""Rows in which a frame's filter blurs a bar's end, and in which a JPEG's blocks spoil it."""
MARGIN = 1
"""Rows of the picture left out besides."""
LEAST = 1 / 3
"""The least part of each side that is left: of less there is too little to see."""
NESTED = 3
"""Frames within frames."""

Box = tuple[slice, slice]
"""Rows and columns."""


def inner(view: Tensor) -> Box | None:
    """The rows and columns of a subsampled frame [3,h,w], RGB 0..1, within its bars and borders; None where it has
    none, as nearly all photos."""
    if not _even_edges(view[None])[0]:
        return None
    height, width = view.shape[1:]
    top, bottom, left, right = 0, height, 0, width
    for _ in range(NESTED):
        part = view[:, top:bottom, left:right]
        turned = part.transpose(1, 2)
        above, below, before, behind = (_bar(x) for x in (part, part.flip(1), turned, turned.flip(1)))
        top, bottom, left, right = top + above, bottom - below, left + before, right - behind
        if bottom - top < LEAST * height or right - left < LEAST * width:
            return None
        if not (above or below or before or behind):
            break
    box = slice(top, bottom), slice(left, right)
    return None if box == (slice(0, height), slice(0, width)) else box


def inners(views: Tensor) -> list[Box | None]:
    """`inner` for each of subsampled frames [N,3,h,w]."""
    return [inner(view) if even else None for view, even in zip(views, _even_edges(views).tolist(), strict=True)]


def shared(boxes: Sequence[Box | None]) -> Box | None:
    """The least box around those of several pictures of one size; None where any of them has none."""
    if not all(boxes):
        return None
    rows, columns = zip(*boxes, strict=True)
    return tuple(slice(min(s.start for s in side), max(s.stop for s in side)) for side in (rows, columns))


def without_borders(frame: Tensor) -> Tensor:
    """A frame [1,3,h,w] as it would be of what is within the picture's borders, its short side FRAME again; the very
    same where there are none."""
    box = inner(subsample(frame)[0])
    if box is None:
        return frame
    rows, columns = (slice(2 * side.start, 2 * side.stop) for side in box)
    part = frame[..., rows, columns]
    size = [round(side * FRAME / min(part.shape[2:])) for side in part.shape[2:]]
    return F.interpolate(part, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def _even_edges(views: Tensor) -> Tensor:
    """Whether any edge of each of views [N,3,h,w] is nearly one colour, [N]: soon tells that most have no borders."""
    if min(views.shape[2:]) <= 2 * (EDGE + SOFT):
        return torch.zeros(len(views), dtype=torch.bool)
    edges = (views[:, :, EDGE], views[:, :, -1 - EDGE], views[..., EDGE], views[..., -1 - EDGE])
    return torch.stack([edge.std(2).amax(1) < EVEN * LEVEL for edge in edges]).any(0)


def _bar(part: Tensor) -> int:
    """How many rows at the top of a part of a view [3,h,w] are a bar."""
    if part.shape[1] <= EDGE + SOFT:
        return 0
    off = (part - part[:, EDGE].median(1).values[:, None, None]).abs().amax(0) / LEVEL
    ends = (_share(off > STEP)[EDGE:] > HALF).nonzero()
    if _share(off[EDGE] <= EVEN) < SOLID or not len(ends):
        return 0
    end = EDGE + int(ends[0])
    same, drifting = _share(off[:end] <= SAME), _share(off[:end] > DRIFT)

    def constant(last: int) -> bool:
        """Whether all rows before that one have the bar's colour, the last of them from end to end."""
        rows = slice(EDGE, max(EDGE + 1, last))
        return bool(same[rows].min() >= WRITTEN and same[rows][-1] >= SOLID and drifting[rows].max() <= HALF)

    step = PLAIN if end >= EDGE + 2 * SOFT - BLUR else 2 * PLAIN
    sharp = end >= EDGE + 2 * BLUR and constant(end - BLUR)
    plain = _share(off[end : end + BLUR] > step).max() > HALF and constant(end - SOFT)
    return end + MARGIN if sharp or plain else 0


def _share(where: Tensor) -> Tensor:
    """The part of each row of a mask [...,w]."""
    return where.to(torch.float32).mean(-1)
