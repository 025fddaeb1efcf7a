"""Limits: how far soft mode may move a picture, whatever a scorer would pay for more.

A penalty has its price, and a scorer that loves darkness pays it. So beside the penalties there are walls: what a
picture may lose or gain of each measure is bounded, and beyond the bound a candidate loses more than the whole range of
a scorer is worth. A picture with a real fault must stay repairable; who says what a fault is? An independent judge,
`tone`: where it would move a measure farther than the bound, as far as that is free as well. A scorer that wants to go
there is right, and an adversary gains nothing that the picture loses. Skin may get lighter or darker than its own bound
only with a picture whose light as a whole is wrong.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..imaging.color import color_differences, luma, to_lab
from .skin import skin_map

BOUNDS = {
    "light": (-0.12, 0.12),
    "clipped": (-1.0, 0.005),
    "chroma": (-1.0, 0.25),
    "difference": (-1.0, 7.3),
    "skin hue": (-3.0, 3.0),
    "skin light": (-0.057, 0.057),
}
"""The measures, and between which values each may be. The mean luma of the picture, of its skin and of that in each
cell of a grid, and the mean chroma: by which part they change. The share of pixels that are newly black or white. The
mean color difference from the original (CIE94, in dE; CIEDE2000, of which 8 are allowed, can be a tenth more). How far
the mean hue of skin turns (in dE of CIELAB)."""
CELLS = 6
"""Cells of that grid each way: a face is a few of them, whatever else has skin's color."""
COLUMNS = (*list(BOUNDS)[:-1], *["skin light"] * (CELLS**2 + 1))
"""What is measured."""
EDGE = 4 / 255
"""Values this near to 0 or 1 count as (partly) clipped."""
SKIN_SHARE = 0.003
"""So much of the picture as skin has nearly two thirds of the protection, three times as much nearly all."""
FOOT = 0.85
"""Where a wall begins, as a part of the bound."""
HEIGHT, BEND = 40.0, 0.2
"""A wall's height, in tenths of the scorer's range, and how far beyond its foot half of it is reached: 14.4 at the
bound itself, more than the whole range. It ends, for what learns from costs is misled by huge ones."""
DARK = 1 / 255
"""Light below which parts of it say nothing."""
WATCHED, CHECKED = 56, 336
"""Short side, in pixels at least, of the views whose limits are watched in the search, where means say enough, and
checked at its end, where single pixels clip."""
GREY_CHROMA = 1.0
"""Mean chroma below which a part of it says nothing: a grey picture's noise is no colour."""


def clipped(frames: Tensor) -> Tensor:
    """How much each pixel of [N,3,h,w] is at black and at white [N,2,h,w]; values near the edge count in part."""
    brightest = frames.amax(1)
    return torch.stack([1 - brightest / EDGE, 1 - (1 - brightest) / EDGE], 1).clamp(min=0)


def thinned(frames: Tensor, short: int) -> Tensor:
    """Every so many pixels of [N,C,h,w] in both directions that at least `short` are left of the short side."""
    step = max(1, min(frames.shape[2:]) // short)
    return frames[..., ::step, ::step].contiguous()  # scattered values are slow to work with


def wall(reach: Tensor) -> Tensor:
    """The cost of how far something is on its way to a bound, 1 at it, in tenths of the scorer's range."""
    over = (reach - FOOT).clamp(min=0)
    return HEIGHT * over.square() / (over.square() + BEND**2)


class Limits:
    """The limits of one picture.

    Args:
        original: the untouched picture [1,3,h,w], RGB 0..1; a small view of it will do.
        anchor: the same as `tone` would correct it, where that shall be free.
        bounds: [2,C], where they are known: those of the same picture at another size.
        mask: where the picture may be changed [1,1,h,w], 0..1: all measures are of that part alone, or a small one
            could be changed at will.
    """

    def __init__(
        self,
        original: Tensor,
        anchor: Tensor | None = None,
        bounds: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> None:
        self._weight = None if mask is None else mask / mask.mean().clamp(min=1e-6)
        self._clipped = clipped(original)
        self._unclipped = (1 - self._clipped).clamp(min=1e-3)
        self._lab = to_lab(original)
        self._light = self._mean(luma(original))
        self._chroma = self._mean(self._lab[:, 1:].norm(dim=1, keepdim=True))
        self._skin = skin_map(original) if self._weight is None else skin_map(original) * self._weight
        share = F.adaptive_avg_pool2d(self._skin, CELLS).flatten(1) / CELLS**2
        self._presence, presences = (1 - torch.exp(-x / SKIN_SHARE) for x in (share.sum(1, keepdim=True), share))
        # what hardly looks like skin, everywhere, is none: so the square for all of it together
        self._presences = torch.cat([self._presence.square(), presences], 1)
        self._skin_light = self._light_of_skin(original)
        mean = (self._skin * self._lab[:, 1:]).mean((2, 3))
        self._hue = mean / mean.norm().clamp(min=1e-6)
        if bounds is None:
            bounds = original.new_tensor([BOUNDS[name] for name in COLUMNS]).T
        self.bounds = bounds
        """The least and the most of each of COLUMNS."""
        if anchor is not None:
            [there] = self._measure(anchor)
            low, high = torch.minimum(bounds[0], there), torch.maximum(bounds[1], there)
            wrong_light = (low[0] < bounds[0, 0]) | (high[0] > bounds[1, 0])
            free = torch.tensor([name != "skin light" for name in COLUMNS], device=low.device) | wrong_light
            self.bounds = torch.where(free, torch.stack([low, high]), bounds)

    def _mean(self, values: Tensor) -> Tensor:
        """The mean [N] of values [N,1,h,w], where the picture may be changed."""
        return (values if self._weight is None else values * self._weight).mean((1, 2, 3))

    def _light_of_skin(self, frames: Tensor) -> Tensor:
        """How much luma of what is skin in the original there is in the picture, and in each cell, [N,1+CELLS²]."""
        cells = F.adaptive_avg_pool2d(self._skin * luma(frames), CELLS).flatten(1)
        return torch.cat([cells.mean(1, keepdim=True), cells], 1)

    def _measure(self, frames: Tensor) -> Tensor:
        """COLUMNS [N,C] of candidates [N,3,h,w]. Those of skin count the less, the less there is."""
        lab = to_lab(frames)
        light = (self._mean(luma(frames)) - self._light) / self._light.clamp(min=DARK)
        # of what was partly clipped, the part of the way that was left
        new = ((clipped(frames) - self._clipped) / self._unclipped).clamp(min=0)
        new = self._mean(new.sum(1, keepdim=True))
        chroma = self._mean((lab[:, 1:].square().sum(1, keepdim=True) + 1e-6).sqrt())
        chroma = (chroma - self._chroma) / self._chroma.clamp(min=GREY_CHROMA)
        # a change of nothing is no difference
        difference = color_differences(lab, self._lab) - color_differences(self._lab, self._lab)
        difference = self._mean(difference[:, None])
        # at right angles to where the hue was
        a, b = (self._skin * lab[:, 1:]).mean((2, 3)).unbind(1)
        hue = self._presence[:, 0] * (self._hue[:, 0] * b - self._hue[:, 1] * a) / self._skin.mean().clamp(min=1e-6)
        skin = self._presences * (self._light_of_skin(frames) - self._skin_light) / self._skin_light.clamp(min=1e-6)
        return torch.cat([torch.stack([light, new, chroma, difference, hue], 1), skin], 1)

    def measure(self, frame: Tensor) -> dict[str, float]:
        """The measures of a candidate [1,3,h,w], in the units of BOUNDS; of skin's light the farthest one."""
        *values, skin = self._measure(frame)[0].split([1] * (len(BOUNDS) - 1) + [CELLS**2 + 1])
        farthest = skin[skin.abs().argmax()]
        return dict(zip(BOUNDS, (value.item() for value in (*values, farthest)), strict=True))

    def reach(self, frames: Tensor) -> Tensor:
        """How far candidates [N,3,h,w] are on their way to each bound, 1 at it: [N,M], in the order of BOUNDS."""
        low, high = self.bounds
        measured = self._measure(frames)
        reached = torch.maximum(measured / high, measured / low)
        single = len(BOUNDS) - 1
        return torch.cat([reached[:, :single], reached[:, single:].amax(1, keepdim=True)], 1)

    def walls(self, frames: Tensor) -> Tensor:
        """The cost [N,M] of each measure of candidates, in tenths of the scorer's range."""
        return wall(self.reach(frames))

    def hold(self, frames: Tensor) -> bool:
        """Whether a candidate [1,3,h,w] keeps within all bounds."""
        return bool(self.reach(frames).max() <= 1)
