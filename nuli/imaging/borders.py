"""Where the picture is within its bars, its frame or a Polaroid's border: these say nothing of its light and colours.

A bar has one colour, reaches an edge from end to end, and ends at once, all along. A night sky or a white backdrop ends
here and there, where something stands before it, and a clear sky changes little by little.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
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
    """The rows and columns of a subsampled frame [1,3,h,w], RGB 0..1, within its bars and borders; None where it has
    none, as nearly all photos."""
    return inners(view)[0]


def inner_of_frame(frame: Tensor) -> Box | None:
    """`inner` of a frame [1,3,h,w], in its own rows and columns."""
    box = inner(subsample(frame))
    return box and tuple(slice(2 * side.start, 2 * side.stop) for side in box)


def inners(views: Tensor) -> list[Box | None]:
    """`inner` for each of subsampled frames [N,3,h,w]."""
    height, width = views.shape[2:]
    whole = (0, height, 0, width)
    boxes = [whole] * len(views)
    open_ = [i for i, even in enumerate(_even_edges(views).tolist()) if even]
    for _ in range(NESTED):
        within = defaultdict(list)  # most candidates for one picture have the same
        for i in open_:
            within[boxes[i]].append(i)
        open_ = []
        for (top, bottom, left, right), those in within.items():
            parts = views[those, :, top:bottom, left:right]
            rows, columns = _bars(parts), _bars(parts.transpose(2, 3))
            for i, (above, below), (before, behind) in zip(those, rows, columns, strict=True):
                if above or below or before or behind:
                    boxes[i] = top + above, bottom - below, left + before, right - behind
                    open_.append(i)
        # so little is no picture
        for i in open_:
            top, bottom, left, right = boxes[i]
            if bottom - top < LEAST * height or right - left < LEAST * width:
                boxes[i] = whole
        open_ = [i for i in open_ if boxes[i] != whole]
    return [None if box == whole else (slice(*box[:2]), slice(*box[2:])) for box in boxes]


def shared(boxes: Sequence[Box | None]) -> Box | None:
    """The least box around those of several pictures of one size; None where any of them has none."""
    if not all(boxes):
        return None
    rows, columns = zip(*boxes, strict=True)
    return tuple(slice(min(s.start for s in side), max(s.stop for s in side)) for side in (rows, columns))


def without_borders(frame: Tensor) -> Tensor:
    """A frame [1,3,h,w] as it would be of what is within the picture's borders, its short side FRAME again; the very
    same where there are none."""
    box = inner_of_frame(frame)
    if box is None:
        return frame
    part = frame[(..., *box)]
    size = [round(side * FRAME / min(part.shape[2:])) for side in part.shape[2:]]
    return F.interpolate(part, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def _even_edges(views: Tensor) -> Tensor:
    """Whether any edge of each of views [N,3,h,w] is nearly one colour, [N]: soon tells that most have no borders."""
    if min(views.shape[2:]) <= 2 * (EDGE + SOFT):
        return torch.zeros(len(views), dtype=torch.bool)
    edges = (views[:, :, EDGE], views[:, :, -1 - EDGE], views[..., EDGE], views[..., -1 - EDGE])
    return torch.stack([edge.std(2).amax(1) < EVEN * LEVEL for edge in edges]).any(0)


def _bars(parts: Tensor) -> list[tuple[int, int]]:
    """How many rows at the top and at the bottom of each of parts of views [N,3,h,w] are a bar."""
    if parts.shape[2] <= EDGE + SOFT:
        return [(0, 0)] * len(parts)
    parts = parts[..., ::2]  # half of a row tells as much
    found = []
    for edge in (EDGE, -1 - EDGE):
        colours = parts[:, :, edge].median(2).values[..., None, None]
        off = (parts - colours).abs().amax(1) / LEVEL
        farther = [(off > level).to(torch.float32).mean(2) for level in (EVEN, SAME, DRIFT, STEP, PLAIN, 2 * PLAIN)]
        shares = torch.stack(farther, 1).cpu().numpy()
        found.append([_bar(*(one if edge == EDGE else one[:, ::-1])) for one in shares])
    return list(zip(*found, strict=True))


def _bar(
    even: np.ndarray, same: np.ndarray, drift: np.ndarray, step: np.ndarray, plain: np.ndarray, very: np.ndarray
) -> int:
    """How many rows are a bar, by the part of each [h] that is farther from the first one's colour than EVEN, SAME,
    DRIFT, STEP, PLAIN, and twice PLAIN."""
    ends = (step[EDGE:] > HALF).nonzero()[0]
    if even[EDGE] > 1 - SOLID or not len(ends):
        return 0
    end = EDGE + int(ends[0])

    def constant(last: int) -> bool:
        """Whether all rows before that one have the bar's colour, the last of them from end to end."""
        rows = slice(EDGE, max(EDGE + 1, last))
        return same[rows].max() <= 1 - WRITTEN and same[rows][-1] <= 1 - SOLID and drift[rows].max() <= HALF

    is_sharp = end >= EDGE + 2 * BLUR and constant(end - BLUR)
    ending = plain if end >= EDGE + 2 * SOFT - BLUR else very
    is_plain = ending[end : end + BLUR].max() > HALF and constant(end - SOFT)
    return end + MARGIN if is_sharp or is_plain else 0
