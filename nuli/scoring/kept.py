"""What soft mode keeps whatever a scorer hopes for: paper and screens, flat colours, exact greys, and the quiet of a
picture in which there is nothing but noise.

Such areas are no photograph: a page is white because paper is, a window is grey because somebody chose that grey. They
are known by how flat they are, which hardly anything in a photo is; so no network is asked. A photo has none of them,
and then nothing here costs anything.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..imaging.borders import inner_of_frame
from ..imaging.color import luma
from ..imaging.frames import subsample
from ..imaging.photo import Photo
from .protocol import Scorer

LEVEL = 1 / 255
MOST = 2.5
"""Levels (of 255) by which what is kept may move at most."""
PAPER_LIGHT, PAPER_COLOUR, PAPER_RANGE = 212, 26, 6
"""Paper is at least this light, no more coloured, and no less even among neighbours, in levels: of luma, of the largest
channel less the smallest, and of each channel."""
PEAK, RIM = 2, 30
"""Levels from the most frequent light one within which it counts as paper as well, and down to which its rim goes."""
PAPER, AROUND = 0.22, 0.45
"""The least product of the part of the picture that is paper, and of the part of its edge: a sky or a window is at one
side. A page may lie on a table: then this stands for its part of the edge."""
DARK = 24
"""Levels below which a border may change with the picture: nobody sees it."""
FLAT_RANGE = 0.5
"""Levels among neighbours below which an area is one colour."""
COLOUR_SHARE, PLAIN, DRAWN = 0.003, 0.05, 0.45
"""The least part of the picture that such a colour takes; that all take that are neither black nor white, as clipped
light is; and that all of them take together in a drawing, where those count twice."""
BLACK, WHITE = 12, 252
"""Levels up to which all channels are black, and from which on white."""
SAME, NEAR, ALONE = 1, 4, 0.4
"""Levels within which two flat colours are the same, and within which they are steps of one gradient; and how much of
those there may be near a colour that somebody chose. A sky in a JPEG is flat, block by block, in many such steps."""
CELL = 8
"""Pixels of a frame, each way, whose mean has hardly any noise."""
POWER = 8
"""Of the mean that stands for the most in an area: a small part that moves more than the rest shows as well."""
FREE = 0.9
"""How far a correction may go on its way to what is not kept: rounding must not take it beyond."""
FEW_COLOURS, FEW_GREYS, FEWEST_PIXELS = 64, 8, 64
"""Colours, or greys, up to which a picture of at least so many pixels has a palette."""
SAMPLE = 1 << 14
"""Pixels looked at first."""
QUIET, SPREAD = 4.0, 1.5
"""The standard deviation of the means of cells, in levels, up to which a picture has no structure to bring out, and by
how much its tones may be spread then; twice as much for every two levels more, up to twice QUIET."""


class Kept:
    """What is kept of one picture.

    Args:
        original: its frame [1,3,h,w], RGB 0..1.
    """

    def __init__(self, original: Tensor) -> None:
        self._original = original
        padded = F.pad(original, (1, 1, 1, 1), "replicate")
        spread = (F.max_pool2d(padded, 3, 1) + F.max_pool2d(-padded, 3, 1)).amax(1, keepdim=True) / LEVEL
        light = luma(original) / LEVEL
        paper = (light > PAPER_LIGHT) & (_coloured(original) < PAPER_COLOUR * LEVEL)
        border = _border(original) & (spread < PAPER_RANGE)
        white = paper & ((spread < PAPER_RANGE) | _peak(light))
        is_page = white.to(torch.float32).mean() * _edge(white).clamp(min=AROUND) >= PAPER
        self._paper = _weight(white if is_page else border & paper)
        drawn = _drawn(original, (spread < FLAT_RANGE) & ~border, ~border)
        self.drawn = drawn is not None
        """Whether it is a drawing, a screen, or pixel art."""
        self._fixed = [_weight(border & ~paper & (light > DARK)), drawn]
        self._spread = 0.0
        """By how much the tones may be spread; 0 where that does not matter."""
        structure = _structure(original)
        if structure < 2 * QUIET:
            self._spread = SPREAD * 2 ** max(0.0, (structure - QUIET) / 2)

    def __bool__(self) -> bool:
        """Whether there is anything to keep."""
        return self._spread > 0 or any(area is not None for area in (self._paper, *self._fixed))

    def reach(self, frames: Tensor) -> Tensor:
        """How far candidates' frames [N,3,h,w] are on their way to what is no longer kept, [N], 1 at it.

        They may be every second pixel in both directions of frames, as `subsample` makes them.
        """
        whole = frames.shape[2:] == self._original.shape[2:]
        areas = (self._original, self._paper, *self._fixed)
        original, paper, *fixed = (x if x is None or whole else subsample(x) for x in areas)
        found = [frames.new_zeros(len(frames))]
        if paper is not None:
            # paper may get lighter, not darker, and has no other colour
            darker = (luma(original) - luma(frames)).clamp(min=0)
            found += [_most(darker, paper), _most(_coloured(frames - original), paper)]
        for area in fixed:
            if area is not None:
                found.append(_most((frames - original).abs().amax(1, keepdim=True), area))
        if self._spread:
            before, after = _deviation(original), _deviation(frames)
            found.append((after - before).clamp(min=0) / ((self._spread - 1) * before).clamp(min=LEVEL / 10))
        return torch.stack(found).amax(0)

    def holds(self, frame: Tensor) -> bool:
        """Whether a candidate's frame [1,3,h,w] leaves what is kept, with some room for rounding."""
        return bool(self.reach(frame) <= FREE)


def keeps(scorer: Scorer, mode: str, guard_weight: float) -> bool:
    """Whether a search keeps anything: in soft mode with guards, unless the user asked for a definite picture."""
    return mode == "soft" and guard_weight > 0 and not getattr(scorer, "faithful", False)


def has_few_colours(photo: Photo) -> bool:
    """Whether a picture is made of so few colours that somebody chose each: pixel art, a logo, a stamp."""
    pixels = photo.pixels
    if pixels.dtype != np.uint8:
        return False
    visible = pixels.reshape(-1, pixels.shape[2])
    if photo.alpha is not None:
        visible = visible[photo.alpha.reshape(-1) > 0]
    step = max(1, len(visible) // SAMPLE)
    for some in (visible[::step], visible):  # of a photo the first says enough
        colours = np.unique(some.astype(np.uint32) @ (1 << 8 * np.arange(some.shape[1], dtype=np.uint32)))
        channels = colours[:, None] >> 8 * np.arange(3, dtype=np.uint32) & 255
        grey = pixels.shape[2] == 1 or not np.ptp(channels, 1).any()
        if len(colours) > (FEW_GREYS if grey else FEW_COLOURS):
            return False
    return len(visible) >= FEWEST_PIXELS and len(colours) > 1


def _coloured(x: Tensor) -> Tensor:
    """The largest channel less the smallest, [N,3,h,w] -> [N,1,h,w]."""
    return x.amax(1, keepdim=True) - x.amin(1, keepdim=True)


def _deviation(x: Tensor) -> Tensor:
    """The standard deviation [N] of each picture's values around its mean colour, smooth at none."""
    return (x.var((2, 3)).mean(1) + 1e-10).sqrt()


def _structure(frame: Tensor) -> float:
    """The standard deviation of the means of a frame's cells, in levels, without what noise gives them."""
    means = F.avg_pool2d(frame, CELL)
    noise = (F.avg_pool2d(frame.square(), CELL) - means.square()).mean() / CELL**2
    return (means.var((2, 3)).mean() - noise).clamp(min=0).sqrt().item() / LEVEL


def _weight(mask: Tensor) -> Tensor | None:
    """A mask [1,1,h,w] as weights; None where there is nothing of it."""
    return mask.to(torch.float32) if mask.any() else None


def _edge(mask: Tensor) -> Tensor:
    """The part of a frame's edge that a mask [1,1,h,w] takes."""
    near = mask[0, 0, 1:-1, 1:-1].to(torch.float32)  # the very edge may be a line of its own
    return torch.cat([near[0], near[-1], near[:, 0], near[:, -1]]).mean()


def _border(frame: Tensor) -> Tensor:
    """Where a frame [1,3,h,w] has the colour of the border that is beside the picture there, [1,1,h,w]."""
    border = torch.zeros_like(frame[:, :1], dtype=torch.bool)
    box = inner_of_frame(frame)
    if box is None:
        return border
    rows, columns = box
    first, last, every = slice(2, 3), slice(-3, -2), slice(None)  # within the picture's own edge
    sides = (
        ((slice(0, rows.start), every), (first, every)),
        ((slice(rows.stop, None), every), (last, every)),
        ((every, slice(0, columns.start)), (every, first)),
        ((every, slice(columns.stop, None)), (every, last)),
    )
    for bar, edge in sides:
        same = (frame[(..., *bar)] - frame[(..., *edge)]).abs().amax(1, keepdim=True) < MOST * LEVEL
        border[(..., *bar)] |= same
    return border


def _most(values: Tensor, weight: Tensor) -> Tensor:
    """How far values [N,1,h,w] in an area are on their way to MOST, [N]: by a smooth maximum, not their mean."""
    powers = ((values / (MOST * LEVEL)).square() + 1e-6) ** (POWER / 2) * weight
    return (powers.mean((1, 2, 3)) / weight.mean().clamp(min=1e-6)) ** (1 / POWER)


def _peak(light: Tensor) -> Tensor:
    """Where luma [1,1,h,w], in levels, is the most frequent light one: between lines of small print no neighbours are
    even. Nowhere, where much is only a little darker, as a blown sky's rim is."""
    counts = torch.histc(light, 256, 0, 255)
    level = PAPER_LIGHT + int(counts[PAPER_LIGHT:].argmax())
    at = (light - level).abs() < PEAK
    rim = (light > level - RIM) & (light < level) & ~at
    return at if 3 * rim.sum() < at.sum() else torch.zeros_like(at)


def _drawn(frame: Tensor, flat: Tensor, within: Tensor) -> Tensor | None:
    """The flat colours [1,1,h,w] of a frame [1,3,h,w] that each take a part of what is within its border and are no
    steps of a gradient, as weights by which each of them counts alike; None where it is no drawing."""
    red, green, blue = (frame[0] / LEVEL).round().long()[:, flat[0, 0]]
    codes, index, counts = (red << 16 | green << 8 | blue).unique(return_inverse=True, return_counts=True)
    colours = torch.stack([codes >> 16, codes >> 8 & 255, codes & 255], 1)
    shares = counts / within.sum()
    some = shares >= COLOUR_SHARE / 4
    distances = (colours[some][:, None] - colours[some]).abs().amax(2)
    same, near = ((distances <= most).to(torch.float32) @ shares[some] for most in (SAME, NEAR))
    large = torch.zeros_like(some)
    large[some] = (near - same < ALONE * same) & (shares[some] >= COLOUR_SHARE)
    clipped = (colours.amax(1) <= BLACK) | (colours.amin(1) >= WHITE)
    plain = shares[large & ~clipped].sum()
    if plain < PLAIN or shares[large].sum() + plain < DRAWN:
        return None
    weights = torch.zeros_like(flat, dtype=torch.float32)
    weights[flat] = (large / shares)[index]
    return weights
