"""Limits: how far soft mode may move a picture, whatever a scorer would pay for more.

A penalty has its price, and a scorer that loves darkness pays it. So beside the penalties there are walls: what a
picture may lose or gain of each measure is bounded, and beyond the bound a candidate loses more than the whole range of
a scorer is worth. A picture with a real fault must stay repairable; who says what a fault is? An independent judge,
`tone`: where it would move a measure farther than the bound, as far as that is free as well. A scorer that wants to go
there is right, and an adversary gains nothing that the picture loses.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..imaging.color import color_difference, luma, to_lab
from .skin import skin_map

BOUNDS = {
    "light": (-0.12, 0.12),
    "skin light": (-0.06, 0.06),
    "skin hue": (-3.0, 3.0),
    "clipped": (-1.0, 0.005),
    "chroma": (-1.0, 0.25),
    "difference": (-1.0, 8.0),
}
"""The measures, and between which values each may be. The mean luma of the picture and of its skin, and its mean chroma:
by which part they change. The mean hue of skin: how far it turns, as a color difference (in dE of CIELAB). The share of
pixels that are newly black or white. The mean color difference from the original (CIE94, in dE)."""
EDGE = 4 / 255
"""Values this near to 0 or 1 count as (partly) clipped."""
SKIN_SHARE = 0.003
"""A picture of so much skin has nearly two thirds of the protection, one of three times as much nearly all."""
FOOT = 0.85
"""Where a wall begins, as a part of the bound."""
HEIGHT, BEND = 40.0, 0.2
"""A wall's height, in tenths of the scorer's range, and how far beyond its foot half of it is reached: 14.4 at the bound
itself, more than the whole range. It ends, for what learns from costs is misled by huge ones."""
DARK = 1 / 255
"""Light below which parts of it say nothing."""
WATCHED, CHECKED = 56, 336
"""Short side, in pixels at least, of the views whose limits are watched in the search, where means say enough, and
checked at its end, where single pixels clip."""
GREY_CHROMA = 2.0
"""Added to both chromas before they are compared: a grey picture's noise is no colour."""


def clipped(frames: Tensor) -> Tensor:
    """How much each pixel of [N,3,h,w] is at black and at white [N,2,h,w]; values near the edge count in part."""
    brightest = frames.amax(1)
    return torch.stack([1 - brightest / EDGE, 1 - (1 - brightest) / EDGE], 1).clamp(min=0)


def thinned(frames: Tensor, short: int) -> Tensor:
    """Every so many pixels of [N,C,h,w] in both directions that at least `short` are left of the short side."""
    step = max(1, min(frames.shape[2:]) // short)
    return frames[..., ::step, ::step].contiguous()  # scattered values are slow to work with


class Limits:
    """The limits of one picture.

    Args:
        original: the untouched picture [1,3,h,w], RGB 0..1; a small view of it will do.
        anchor: the same as `tone` would correct it, where that shall be free.
        bounds: of each of BOUNDS, [2,M], where they are known: those of the same picture at another size.
    """

    def __init__(self, original: Tensor, anchor: Tensor | None = None, bounds: Tensor | None = None) -> None:
        self._clipped = clipped(original)
        self._light, self._lab = luma(original).mean(), to_lab(original)
        self._chroma = self._lab[:, 1:].norm(dim=1).mean()
        likely = skin_map(original)
        self.skin_share = likely.mean()
        """How much of the picture shows skin, 0..1."""
        self._presence = 1 - torch.exp(-self.skin_share / SKIN_SHARE)
        self._weights = (likely / likely.sum().clamp(min=1e-6)).flatten(1).T
        self._skin_light, self._skin_ab = self._skin(original, self._lab)
        self.bounds = original.new_tensor([*BOUNDS.values()]).T if bounds is None else bounds
        if anchor is not None:
            there = self.measure(anchor)
            self.bounds = torch.stack(
                [torch.minimum(self.bounds[0], there[0]), torch.maximum(self.bounds[1], there[0])]
            )

    def _skin(self, frames: Tensor, lab: Tensor) -> tuple[Tensor, Tensor]:
        """Mean luma [N,1], and mean a and b [N,2], of what is skin in the original."""
        light, a, b = ((plane.flatten(1) @ self._weights) for plane in (luma(frames), lab[:, 1], lab[:, 2]))
        return light, torch.cat([a, b], 1)

    def measure(self, frames: Tensor) -> Tensor:
        """The measures [N,M] of candidates [N,3,h,w], in the order and the units of BOUNDS. Those of skin count the
        less, the less there is."""
        lab = to_lab(frames)
        light = (luma(frames).mean((1, 2, 3)) - self._light) / self._light.clamp(min=DARK)
        skin, ab = self._skin(frames, lab)
        skin = self._presence * ((skin - self._skin_light) / self._skin_light.clamp(min=DARK))[:, 0]
        # at right angles to where the hue was
        a, b = (self._skin_ab / self._skin_ab.norm().clamp(min=1)).unbind(1)
        hue = self._presence * (a * ab[:, 1] - b * ab[:, 0])
        new = (clipped(frames) - self._clipped).clamp(min=0).sum(1).mean((1, 2))
        chroma = (lab[:, 1:].square().sum(1) + 1e-6).sqrt().mean((1, 2))
        chroma = (chroma - self._chroma) / (self._chroma + GREY_CHROMA)
        # a change of nothing is no difference
        difference = color_difference(lab, self._lab) - color_difference(self._lab, self._lab)
        return torch.stack([light, skin, hue, new, chroma, difference], 1)

    def reach(self, measures: Tensor) -> Tensor:
        """How far each of measures [N,M] is on its way to its bound, 1 at it [N,M]."""
        low, high = self.bounds
        return torch.maximum(measures / high, measures / low)

    def walls(self, frames: Tensor) -> Tensor:
        """The cost [N,M] of each measure of candidates, in tenths of the scorer's range."""
        over = (self.reach(self.measure(frames)) - FOOT).clamp(min=0)
        return HEIGHT * over.square() / (over.square() + BEND**2)

    def hold(self, frames: Tensor) -> bool:
        """Whether a candidate [1,3,h,w] keeps within all bounds."""
        return bool(self.reach(self.measure(frames)).max() <= 1)
