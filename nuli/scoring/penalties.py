"""Penalties, in tenths of the scorer's range, that keep a scorer honest: what the `guards` option switches.

Each compares frames [N,3,h,w] with the untouched picture's frame [1,3,h,w], is 0 at identity, smooth, and
grows from a tolerance on; so a small step never costs much and no step edge invites the search to sit on it. In soft
mode the walls of `limits` come on top, beyond which no scorer can pay.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..imaging.color import luma
from .limits import BOUNDS, WATCHED, Limits, thinned
from .limits import clipped as clipped_pixels

WEIGHTS = {"off": 0.0, "normal": 1.0, "strict": 3.0}
"""The weight of all penalties, by the value of the `guards` option."""
HARD = 0.25
"""Weight in hard mode, which may change the light more, and move away from the picture at no cost."""

TOLERANCE = 0.15
"""Stops that the mean light may move freely."""
RELIEF = 1.5
"""Stops more for a picture that is altogether black (or white) to move away from there."""
LIGHT_COST = 4.0
CLIP_COST = 30.0
DRIFT_COST = 4.0
"""At a root mean square change of 0.1 (25 levels of 255)."""
CAST_COST = 1.5
"""At a shift of the mean colour by 0.05, luma aside."""

NAMES = ("light", "clipping", "drift", "cast", "skin", "chroma")
"""The guards, in the order of their figures."""
WALLS = dict(zip(BOUNDS, ("light", "clipping", "chroma", "drift", "skin", "skin"), strict=True))
"""Whose figure the wall of each measure adds to."""


def light(frames: Tensor, original: Tensor) -> Tensor:
    """The penalty [N] for light: the square of the stops by which mean luma moved, beyond the tolerance.

    Darkening a dark picture and lightening a light one get the plain tolerance; the way back gets more.
    """
    before = luma(original).mean((1, 2, 3)).clamp(min=1 / 255)
    after = luma(frames).mean((1, 2, 3)).clamp(min=1 / 255)
    stops = torch.log2(after / before)
    up = TOLERANCE + RELIEF * (1 - before / 0.5).clamp(min=0)
    down = TOLERANCE + RELIEF * (before / 0.5 - 1).clamp(min=0) ** 2
    over = torch.where(stops > 0, stops - up, -stops - down).clamp(min=0)
    return LIGHT_COST * over**2


def clipped(frames: Tensor) -> Tensor:
    """The shares [N,2] of the picture at black and at white; values near the edge count in part."""
    return clipped_pixels(frames).mean((2, 3))


def clipping(frames: Tensor, original: Tensor) -> Tensor:
    """The penalty [N] for the share of the picture that is newly clipped, half a percent at each end free."""
    more = (clipped(frames) - clipped(original) - 0.005).clamp(min=0)
    return CLIP_COST * (more**2 / (more + 0.02)).sum(1)  # smooth at 0, then nearly linear


def drift(frames: Tensor, original: Tensor) -> Tensor:
    """The penalty [N] for how far the picture as a whole moved: a change must be worth its size."""
    return DRIFT_COST * (frames - original).square().mean((1, 2, 3)) / 0.1**2


def cast(frames: Tensor, original: Tensor) -> Tensor:
    """The penalty [N] for how far the mean color moved, except straight towards grey: removing a cast is free."""
    before, after = ((mean - luma(mean)).flatten(1) for mean in (means(original), means(frames)))
    kept = ((after * before).sum(1, keepdim=True) / before.square().sum(1, keepdim=True).clamp(min=1e-8)).clamp(0, 1)
    return CAST_COST * (after - kept * before).square().sum(1) / 0.05**2


def means(frames: Tensor) -> Tensor:
    """Mean colors [N,3,1,1] of frames [N,3,h,w]."""
    return frames.mean((2, 3), keepdim=True)


class Guards:
    """All penalties of one picture, by name.

    Args:
        original: the untouched picture's frame [1,3,h,w], or every second pixel of it.
        mode: "soft" or "hard".
        anchor: the frame as `tone` would correct it, likewise, where that shall be free (see `limits`).
        mask: where the picture may be changed [1,1,h,w], likewise.
    """

    def __init__(self, original: Tensor, mode: str, anchor: Tensor | None = None, mask: Tensor | None = None) -> None:
        self._original, self._mode = original, mode
        small, anchor, mask = (None if x is None else thinned(x, WATCHED) for x in (original, anchor, mask))
        self.limits = Limits(small, anchor, mask=mask)
        """What soft mode keeps to."""

    def __call__(self, frames: Tensor) -> Tensor:
        """The penalties [N,len(NAMES)] of candidates."""
        found = dict.fromkeys(NAMES, frames.new_zeros(len(frames)))
        found["light"], found["clipping"] = light(frames, self._original), clipping(frames, self._original)
        if self._mode == "hard":
            return HARD * torch.stack([*found.values()], 1)
        found["drift"], found["cast"] = drift(frames, self._original), cast(frames, self._original)
        for name, wall in zip(WALLS.values(), self.limits.walls(thinned(frames, WATCHED)).unbind(1), strict=True):
            found[name] = found[name] + wall
        return torch.stack([*found.values()], 1)

    def measure(self, frames: Tensor) -> dict[str, float]:
        """The measures of a candidate [1,3,h,w], see `limits.BOUNDS`."""
        return self.limits.measure(thinned(frames, WATCHED))
