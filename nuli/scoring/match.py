"""`match`: how near a picture is to a reference in light and colour.

A reference is read in one of two ways. It shows the same scene (what an upscaler, a VAE or img2img was given): then
colours are compared place by place, in cells larger than the detail that may differ, and as a whole besides. It is
another picture, whose look is wanted: then only as a whole, by the quantiles of its colours along several directions of
CIELAB (sliced optimal transport: N. Bonneel et al., "Sliced and Radon Wasserstein barycenters of measures", 2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from ..checkpoint import fingerprint
from ..imaging.color import color_difference, luma, to_lab
from ..imaging.frames import FRAME, each, frame_size, make_frame, reduced, subsample
from ..imaging.photo import Photo
from ..ops.registry import Op
from ..ops.step import Step
from ..recipe import Recipe
from .fit import fit

if TYPE_CHECKING:
    from .protocol import Score

CELL = 4
"""Side of the cells that are compared, in pixels of the view: detail within may differ."""
ASPECT = 0.02
"""By how much, in parts, the shapes of two pictures of one scene may differ."""
ALIKE = 0.35
"""Correlation of the structure from which on two pictures show the same scene: of 703 pairs of different photos none
has more than 0.22; the same photo has at least 0.57 with noise, strong JPEG, blur, or moved by a percent."""
NEIGHBOURS = 7
"""Side, in cells, of what structure stands out from."""
QUANTILES = 24
"""Quantiles that are compared along each direction."""
DIRECTIONS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (0, 1, -1), (1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1))
"""Directions in CIELAB along which the colours of a whole picture are compared."""
WHOLE = 0.5
"""Weight of that beside the places, where the scene is the same."""
FITTED = ("exposure", "temperature", "saturation", "contrast", "tint", "gamma", "highlights", "shadows")
"""Ops whose values are fitted to begin a search with, the most telling first;"""
ORDER = ("temperature", "tint", "exposure", "gamma", "contrast", "shadows", "highlights", "saturation")
"""and the order in which they are applied."""


class Match:
    """A `Scorer` bound to a reference: 10 less the mean color difference (dE) from its light and colours.

    It has a target, and looks at no detail.

    Args:
        reference: of any size and shape, grey or coloured, of 8 or 16 bits; what is transparent in it doesn't count.
    """

    name = "match"
    licence = ""
    input_size = FRAME
    view_mode = "subsampled"
    has_target = True
    faithful = True
    differentiable = True
    cheap = True
    score_range = (0.0, 10.0)

    def __init__(self, reference: Photo) -> None:
        self.known_as = f"match (reference {fingerprint(reference)[:16]})"
        self._notes = [f"the reference: {note}" for note in reference.notes]
        self._reference = reduced(reference)
        self._last: tuple[Tensor, Target] | None = None

    def bind(self, original: Tensor) -> Score:
        """Compare candidates with what the reference asks of this picture."""
        target = self._target(original)
        return lambda views: 10 - target.difference(cells(views))

    def notes(self, original: Tensor) -> list[str]:
        """How the reference is read beside the pictures of frames [K,3,h,w]."""
        same = sum(self._target(one).same_scene for one in each(original))
        if same == len(original):
            how = "the reference shows the same scene: matched place by place"
        elif not same:
            how = "the reference is another picture: its light and colours are matched as a whole"
        else:
            how = (
                f"the reference shows the scene of {same} of {len(original)} pictures: these are matched place by place"
            )
        return [*self._notes, how]

    @torch.no_grad()
    def starts(self, original: Tensor, ops: Sequence[Op], mode: str, max_steps: int) -> list[Recipe]:
        """The recipe fitted to the picture of a frame [1,3,h,w], of several [K,3,h,w] the mean of theirs.

        What happened to the same scene may be undone whole; another picture's look is sought within the mode's ranges.
        """
        usable = [name for name in FITTED if any(op.name == name for op in ops)][:max_steps]
        chosen = sorted((op for op in ops if op.name in usable), key=lambda op: ORDER.index(op.name))
        if not chosen:
            return []
        found = []
        for one in each(original):
            target = self._target(one)
            keep_to = None if target.same_scene else mode
            found.append(fit(cells(subsample(one)), target.distances, chosen, keep_to))
        values = torch.stack(found).mean(0).split([len(op.params) for op in chosen])
        steps = [Step(op.name, tuple(column.tolist())) for op, column in zip(chosen, values, strict=True)]
        return [Recipe(tuple(steps)).without_noops()]

    @torch.no_grad()
    def _target(self, original: Tensor) -> Target:
        known = self._last
        if known is not None and known[0] is original:  # asked for several times
            return known[1]
        target = make_target(self._reference, original)
        self._last = original, target
        return target


class Target:
    """What a reference asks of a picture.

    Args:
        colours: of the reference's cells, CIELAB [1,3,h,w].
        same_scene: whether they lie where the picture's do.
    """

    def __init__(self, colours: Tensor, same_scene: bool) -> None:
        self.same_scene = same_scene
        self._colours, self._quantiles = colours, quantiles(colours)
        # strong colours differ less than their coordinates, as CIE94 has it
        self._weights = 1 / (1 + 0.03 * colours[:, 1:].square().sum(1, keepdim=True).sqrt())

    def difference(self, found: Tensor) -> Tensor:
        """The mean color difference [N] of pictures, by their cells [N,3,h,w]."""
        lab = to_lab(found)
        whole = (quantiles(lab) - self._quantiles).abs().mean((1, 2))
        return torch.lerp(color_difference(lab, self._colours), whole, WHOLE) if self.same_scene else whole

    def distances(self, found: Tensor) -> Tensor:
        """The signed differences [N,R] that these are made of, in dE: of places, or of quantiles."""
        lab = to_lab(found)
        if not self.same_scene:
            return (quantiles(lab) - self._quantiles).flatten(1)
        off = lab - self._colours
        return torch.cat([off[:, :1], off[:, 1:] * self._weights], 1).flatten(1)


def make_target(reference: Photo, original: Tensor) -> Target:
    """What a reference asks of a picture, by its frame [1,3,h,w]."""
    pixels, alpha = reference.pixels, reference.alpha
    (high, wide), (height, width) = frame_size(*pixels.shape[:2]), original.shape[2:]
    if abs(wide * height / (high * width) - 1) <= ASPECT:
        aim = cells(subsample(make_frame(pixels, alpha, original.device, (height, width))))
        if correlation(cells(subsample(original)), aim) >= ALIKE:
            return Target(to_lab(aim), True)
    return Target(to_lab(cells(subsample(make_frame(pixels, alpha, original.device)))), False)


def cells(views: Tensor) -> Tensor:
    """The mean colours [N,3,h,w] of the cells of views [N,3,H,W]."""
    return F.avg_pool2d(views.float(), CELL, ceil_mode=True, count_include_pad=False)


def quantiles(lab: Tensor) -> Tensor:
    """Quantiles [N,D,QUANTILES] of colours [N,3,h,w] along DIRECTIONS, in dE: each the mean of its part of them."""
    along = F.normalize(lab.new_tensor(DIRECTIONS), dim=1) @ lab.flatten(2)
    return F.adaptive_avg_pool1d(along.sort(2).values, QUANTILES)


def correlation(one: Tensor, other: Tensor) -> float:
    """How much alike the structure of two pictures is, -1..1, by their cells [1,3,h,w].

    It is the correlation of their luma without what is alike in many pictures (the sky is above), and in units of its
    spread nearby, which curves change.
    """
    a, b = _structure(one), _structure(other)
    return float((a * b).sum() / (a.square().sum() * b.square().sum() + 1e-12).sqrt())


def _structure(x: Tensor) -> Tensor:
    off = luma(x) - _smooth(luma(x))
    return off / (_smooth(off.square()) + 1e-4).sqrt()


def _smooth(x: Tensor) -> Tensor:
    return F.avg_pool2d(x, NEIGHBOURS, 1, NEIGHBOURS // 2, count_include_pad=False)
