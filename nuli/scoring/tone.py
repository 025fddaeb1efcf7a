"""`tone`: the scorer that ships inside the package. It predicts how a picture should be corrected, and
scores candidates by how near they come to that.

A free-standing "how good is this photo" fails once it is maximised: more contrast is always better. An
has_target score does not: its best is a definite picture, near the original unless the networks are sure.
The networks see statistics of the picture, and what the backbone sees in it: sky, skin, grass and snow tell what white
is. `training/` makes them, and lists their photos.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..imaging.borders import without_borders
from ..imaging.color import color_difference, luma, to_lab
from ..imaging.frames import FRAME, each, is_toned, scorer_view, subsample
from ..ops.light import level_ends
from ..ops.registry import Op, Scale, apply_op, get_op, measure_subsampled
from ..ops.step import Step
from ..ops.white_balance import white_gains
from ..recipe import Recipe
from .backbone import Backbone
from .embedded import load_embedded
from .kept import Kept

SIZE = 128
"""Short side, in pixels, of the view that the networks know a picture by."""
WEIGHTS = Path(__file__).with_name("tone.safetensors")
SHA256 = "564cb49117beb4d26cfd0d72c6293281de8a73c1231567b5bdea875bd15af60b"
CORRECTION = (
    ("white_balance", "amount", 1.0),
    ("white_balance", "edges", 1.0),
    ("white_balance", "daylight", 1.0),
    ("auto_level", "amount", 1.0),
    ("auto_level", "colour", 1.0),
    ("temperature", "shift", 0.35),
    ("tint", "shift", 0.25),
    ("exposure", "stops", 1.8),
    ("gamma", "gamma", math.log(2.2)),
    ("contrast", "factor", math.log(2.0)),
    ("saturation", "factor", math.log(2.5)),
)
"""The parameters that are predicted, in the order of their steps, and how far each may go at most from what
changes nothing; of gamma and factors the logarithm."""
PARAMETERS = len(CORRECTION)
STEPS = tuple(dict.fromkeys(op for op, _, _ in CORRECTION))
LIMITS = tuple(limit for _, _, limit in CORRECTION)
AMOUNTS = tuple(i for i, (op, name, _) in enumerate(CORRECTION) if op in ("white_balance", "auto_level"))
"""Parameters that go from 0 to 1."""
SHAPES = tuple(i for i, (op, name, _) in enumerate(CORRECTION) if name in ("edges", "daylight"))
"""Those of them that only shape the effect."""
DISAGREEMENT = 0.1
"""How much a prediction shrinks where networks that learned from other pictures predict something else."""
SLIGHT_CHANGE = 0.5
"""Mean color difference of a correction of which only half is made: slighter ones are as often a matter of taste, and
good pictures, too, get some."""
OUT_OF_DISTRIBUTION = 0.4
"""How far a picture may be from those that the networks learned from before only half of a correction is left: the mean
square of its features, in standard deviations beyond the second (5 at most). Photos seldom reach it."""
SLIGHT_CAST = 0.3
"""A cast of which only half is taken out, in log ratios of light: slighter ones are often meant, or a film's."""
POINT = 3.0
"""Mean color difference that costs a point of the score."""

QUANTILES = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.99, 0.995)
"""Quantiles among the features."""


def statistics(x: Tensor, gains: Tensor) -> Tensor:
    """Statistics [N,F] of views [N,3,H,W], their short side SIZE; gains is what white_balance measures in them."""
    n = len(x)
    grey = luma(x)
    lab = to_lab(x) / 100
    strength = x.amax(1, keepdim=True) - x.amin(1, keepdim=True)
    maps = torch.cat([x, grey, strength, lab[:, 1:]], 1)
    planes = maps.flatten(2)
    levels = subsample(maps).flatten(2).sort(2).values
    places = x.new_tensor(QUANTILES) * (levels.shape[2] - 1)
    quantiles = levels[..., places.round().long()]
    mean = planes.mean(2)
    spread = (planes - mean[..., None]).square().mean(2).add(1e-8).sqrt()
    pairs = ((0, 1), (2, 1), (0, 2))
    ratios = torch.stack([torch.log((mean[:, i] + 0.02) / (mean[:, j] + 0.02)) for i, j in pairs], 1)

    def tint_where(weight: Tensor) -> Tensor:
        """Mean a and b over a part of the picture: [N,H*W] -> [N,2]."""
        total = weight.sum(1, keepdim=True).clamp(min=1)
        return (planes[:, 5:] * weight[:, None]).sum(2) / total

    # the tint of the dark, middle and light tones, and of what is nearly grey
    flat, low, high = planes[:, 3], quantiles[:, 3, 5:6], quantiles[:, 3, 7:8]
    zones = (flat < low, (flat >= low) & (flat <= high), flat > high)
    neutral = torch.exp(-((planes[:, 4] / 0.1) ** 2))
    tints = [tint_where(zone.to(x.dtype)) for zone in zones] + [tint_where(neutral), neutral.mean(1, keepdim=True)]
    # where it is light and where it is coloured: skies are above
    grid = F.adaptive_avg_pool2d(maps[:, 3:], (3, 3)).flatten(1)
    energies = []
    level = grey
    for _ in range(4):
        smaller = F.avg_pool2d(level, 2)
        detail = level - F.interpolate(smaller, level.shape[2:], mode="bilinear", align_corners=False)
        energies.append(torch.log(detail.square().mean((1, 2, 3)) + 1e-7))
        level = smaller
    ends = (flat[..., None] - x.new_tensor([0.02, 0.98])).abs().lt(0.02).to(x.dtype).mean(1)
    white = (gains[:, :, (0, 2)] - gains[:, :, 1:2]).flatten(1)
    parts = [white, quantiles.reshape(n, -1), mean, spread, ratios, *tints, grid, torch.stack(energies, 1), ends]
    return torch.cat(parts, 1)


def correct(x: Tensor, values: Tensor, gains: Tensor | None = None, ends: Tensor | None = None) -> Tensor:
    """Apply corrections [N,P], in the units of CORRECTION, to pictures [N,3,H,W].

    Args:
        gains, ends: what white_balance and auto_level measure, where they were measured on larger ones.
    """
    scale = Scale(min(x.shape[2:]), min(x.shape[2:]))
    for name in STEPS:
        op = get_op(name)
        columns = torch.stack(_columns(op, values), 1)
        if name == "white_balance" and gains is not None:
            stats = gains
            # the ends go where it takes them; those of luma, which it keeps in grey, stay
            moved = apply_op(op, ends[:, :3, None], columns, gains, scale)[:, :, 0]
            ends = torch.cat([moved, ends[:, 3:]], 1)
        elif name == "auto_level" and ends is not None:
            stats = ends
        else:
            stats = measure_subsampled(op, x)
        x = apply_op(op, x, columns, stats, scale)
    return x


def _columns(op: Op, values: Tensor) -> list[Tensor]:
    """The values [N] of each of an op's parameters, out of corrections [N,P]."""
    at = {param: i for i, (name, param, _) in enumerate(CORRECTION) if name == op.name}
    columns = []
    for param in op.params:
        if param.name not in at:
            columns.append(torch.full_like(values[:, 0], param.identity))
        elif param.identity == 1:
            columns.append(values[:, at[param.name]].exp())
        else:
            columns.append(values[:, at[param.name]])
    return columns


def bound_correction(raw: Tensor) -> Tensor:
    """The networks' output [...,P] as corrections within their limits.

    An amount can't be less than none: for it a smooth way down to nearly 0, on which gradients never stop.
    """
    amounts = {i: torch.sigmoid(2 * raw[..., i] - (0 if i in SHAPES else 3)) for i in AMOUNTS}
    shares = [amounts.get(i, torch.tanh(raw[..., i])) for i in range(PARAMETERS)]
    return torch.stack(shares, -1) * raw.new_tensor(LIMITS)


def network_inputs(weights: dict[str, Tensor], statistics: Tensor, sights: Tensor) -> Tensor:
    """What the networks get, [N,I]: statistics [N,F] standardised, and the backbone's features [N,B] projected."""
    known = (statistics - weights["mean"]) / weights["deviation"]
    seen = (sights - weights["sight_mean"]) / weights["sight_deviation"]
    return torch.cat([known.clamp(-5, 5), (seen.clamp(-5, 5) @ weights["projection"]).clamp(-4, 4)], 1)


def shrink(values: Tensor, share: float | Tensor) -> Tensor:
    """Corrections [N,P] with a share of their effect; what only shapes it stays."""
    shapes = torch.zeros(PARAMETERS, dtype=torch.bool, device=values.device)
    shapes[list(SHAPES)] = True
    return torch.where(shapes, values, values * share)


def agreed(values: Tensor) -> Tensor:
    """The mean [N,P] of the corrections [K,N,P] that K networks predict, less of it where they differ."""
    mean = values.mean(0)
    square = mean.square()
    return shrink(mean, square / (square + DISAGREEMENT * values.var(0) + 1e-9))


def spare_slight_changes(values: Tensor, x: Tensor, gains: Tensor, ends: Tensor) -> Tensor:
    """Corrections [N,P] with less of their effect where it hardly shows on pictures [N,3,H,W]; gains and ends are what
    white_balance and auto_level measure in them."""
    change = color_difference(to_lab(correct(x, values, gains, ends)), to_lab(x))[:, None].square()
    return shrink(values, change / (change + SLIGHT_CHANGE**2))


def spare_slight_casts(values: Tensor, statistics: Tensor) -> Tensor:
    """Corrections [N,P] with less white balance where it would take out little, by statistics [N,F]."""
    amount, edges, daylight = values[:, :3].unsqueeze(2).unbind(1)
    grey, edge, day = statistics[:, :6].reshape(-1, 3, 2).unbind(1)
    logs = torch.lerp(torch.lerp(grey, edge, edges), day, daylight)
    size = (amount * logs).abs().amax(1, keepdim=True) ** 4
    return torch.cat([amount * size / (size + SLIGHT_CAST**4), values[:, 1:]], 1)


def keep(values: Tensor, frame: Tensor) -> Tensor:
    """A correction [1,P] of a frame [1,3,h,w] without the ops that would move what is `kept`, those first that move it
    the farthest. A drawing is left alone, and a toned picture keeps its tone."""
    if is_toned(frame):
        coloured = [get_op(op).group == "colour" or name == "colour" for op, name, _ in CORRECTION]
        values = values.masked_fill(values.new_tensor(coloured, dtype=torch.bool), 0)
    kept, small = Kept(frame), subsample(frame)
    if not kept or kept.holds(correct(small, values)):
        return values
    if kept.drawn:
        return torch.zeros_like(values)
    of = {step: values.new_tensor([op == step for op, _, _ in CORRECTION], dtype=torch.bool) for step in STEPS}
    alone = {step: kept.reach(correct(small, values * of[step])).item() for step in STEPS}
    for farthest in sorted(STEPS, key=lambda step: -alone[step]):
        values = values.masked_fill(of[farthest], 0)
        if kept.holds(correct(small, values)):
            break
    return values


class Tone:
    name = "tone"
    licence = "MIT"
    input_size = FRAME
    view_mode = "subsampled"
    has_target = True
    differentiable = True
    cheap = True
    score_range = (0.0, 10.0)

    def __init__(self, weights: dict[str, Tensor]) -> None:
        """
        Args:
            weights: mean and deviation [F] of the statistics; sight_mean and sight_deviation [B] and projection [B,C]
                of the backbone's features; weights [K,out,in] and biases [K,out] of K networks.
        """
        self._weights = weights
        self._last: tuple[Tensor, Tensor] | None = None
        self._layers = [(weights[f"weight{i}"], weights[f"bias{i}"]) for i in range(3)]

    @classmethod
    def load(cls, device: str | torch.device = "cpu") -> Tone:
        """Load the weights that ship with the package. Raises WeightsError."""
        return cls({key: value.to(device, torch.float32) for key, value in load_embedded(WEIGHTS, SHA256).items()})

    def predict(self, statistics: Tensor, sights: Tensor) -> Tensor:
        """The correction [N,P] that the networks agree on, for statistics [N,F] and the backbone's features [N,B]; the
        smaller, the less such pictures resemble those that the networks learned from.
        """
        x = network_inputs(self._weights, statistics, sights)
        known = x[:, : statistics.shape[1]]
        distance = (known.abs() - 2).clamp(min=0).square().mean(1, keepdim=True) / OUT_OF_DISTRIBUTION
        x = x[None]
        for i, (weight, bias) in enumerate(self._layers):
            x = F.gelu(x) if i else x
            x = torch.baddbmm(bias[:, None], x.expand(len(weight), -1, -1), weight.mT)
        return shrink(spare_slight_casts(agreed(bound_correction(x)), statistics), 1 / (1 + distance**2))

    def correction(self, frame: Tensor) -> Tensor:
        """The correction [1,P] for a picture, by its frame [1,3,h,w], on the frame's device."""
        known = self._last
        if known is not None and known[0] is frame:  # asked for twice: to score, and to begin a search
            return known[1]
        device = self._weights["mean"].device
        view = scorer_view(without_borders(frame), "whole", SIZE).to(device)
        gains = white_gains(view)
        values = self.predict(statistics(view, gains), Backbone.load(device).features(view))
        values = spare_slight_changes(values, view, gains, level_ends(view)).to(frame.device)
        values = keep(values, frame)
        self._last = frame, values
        return values

    @torch.no_grad()
    def corrected(self, frames: Tensor) -> Tensor:
        """Every second pixel, in both directions, of frames [K,3,h,w] as they should be: on the pixels that ops
        measure, so that the predicted recipe gives just this."""
        small = subsample(frames)
        values = torch.cat([self.correction(one) for one in each(frames)])
        return correct(small, values)

    @torch.no_grad()
    def recipe(self, frame: Tensor) -> Recipe:
        """The correction for a picture, by its frame [1,3,h,w], as a recipe; the mean one for several [K,3,h,w]."""
        values = torch.stack([self.correction(one) for one in each(frame)]).mean(0)
        steps = [Step(name, tuple(v.item() for v in _columns(get_op(name), values))) for name in STEPS]
        # of each of these ops the first parameter alone decides whether it does anything
        return Recipe(tuple(s for s in steps if s.values[0] != get_op(s.op).identity[0]))

    def starts(self, original: Tensor, ops: Sequence[Op], mode: str, max_steps: int) -> list[Recipe]:
        """The recipe as far as it may be used: a start for every scorer."""
        allowed = {op.name for op in ops}
        return [Recipe(tuple(step for step in self.recipe(original).steps if step.op in allowed)[:max_steps])]

    @torch.no_grad()
    def bind(self, original: Tensor):
        """10 for the original as it should be; a point less for every POINT of color difference from that."""
        target = to_lab(self.corrected(original.float()))

        def score(views: Tensor) -> Tensor:
            return 10 - color_difference(to_lab(views.float()), target) / POINT

        if original.device.type == "cpu":  # whose cache holds a few views
            return lambda views: torch.cat([score(few) for few in views.split(4)])
        return score
