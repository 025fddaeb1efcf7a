"""The op registry: what an op is, which ops there are, and how one is applied.

An op is declared once, by decorating its batched function with `@op(...)`. Functions get the pictures
`x` [N,3,H,W] (RGB 0..1) and one [N,1,1,1] tensor per parameter, so that every picture of a batch has its
own values; they need not clip: `apply_op` does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from ..errors import OptionError, RecipeError, shown
from ..imaging.borders import inners, shared
from ..imaging.frames import stacked, subsample
from ..options import GROUPS

Unit = Literal["factor", "amount", "shift", "ev", "plain", "bits", "radius"]


ROUNDING = 0.25
"""By which part of what it does a value may be off in words."""


@dataclass(frozen=True)
class Reading:
    """How the values of a unit read: (value - origin) * scale, then the suffix."""

    scale: float
    origin: float
    decimals: int
    """At least so many."""
    sign: str
    """"+" where values above 0 have a sign too."""
    suffix: str

    def shown(self, value: float) -> float:
        """A parameter's value in the units that its words have."""
        return (value - self.origin) * self.scale

    def value(self, shown: float) -> float:
        """The parameter's value for one in the units of its words."""
        return shown / self.scale + self.origin


_READINGS = {
    "factor": Reading(100, 1, 0, "+", " %"),
    "amount": Reading(100, 0, 0, "", " %"),
    "shift": Reading(100, 0, 0, "+", ""),
    "ev": Reading(1, 0, 2, "+", " EV"),
    "radius": Reading(100, 0, 2, "", " % of the short side"),
    "plain": Reading(1, 0, 2, "", ""),
    "bits": Reading(1, 0, 0, "", " bits"),
}


@dataclass(frozen=True)
class Param:
    """One parameter of an op."""

    name: str
    identity: float
    """The value at which the op changes nothing (given that its other parameters are at theirs)."""
    soft: tuple[float, float]
    """Range searched in soft mode."""
    hard: tuple[float, float]
    """Range searched in hard mode."""
    unit: Unit = "amount"
    """How the value reads in words."""
    shapes: bool = False
    """True for a parameter that only shapes the effect (a hue, a balance): no value of it is an identity,
    and strength leaves it alone."""
    widest: tuple[float, float] | None = None
    """The range that a recipe may hold, where that is more than the hard one."""

    @property
    def limits(self) -> tuple[float, float]:
        """The lowest and the highest value that a recipe may hold."""
        low, high = self.widest or self.hard
        return min(low, self.identity), max(high, self.identity)

    def scaled(self, value: float, amount: float) -> float:
        """The value at another amount: moved towards (below 1) or away from (above 1) the one that changes nothing,
        within the limits."""
        if self.shapes or amount == 1:
            return value
        low, high = self.limits
        return min(max(self.identity + amount * (value - self.identity), low), high)

    @property
    def reading(self) -> Reading:
        """How values read, in units that people use."""
        return _READINGS[self.unit]

    def words(self, value: float) -> str:
        """The value as a person reads it: with as many decimals as it takes to tell what it does, and no more."""
        if self.unit == "bits":
            return f"{value:.0f} bits"
        reading = self.reading
        shown, identity = reading.shown(value), reading.shown(self.identity)
        if value == self.identity and not self.shapes:
            return f"{identity:g}{reading.suffix}"
        decimals = reading.decimals
        while not self.shapes and abs(round(shown, decimals) - shown) > ROUNDING * abs(shown - identity) + 1e-9:
            decimals += 1
        return f"{shown:{reading.sign}.{decimals}f}{reading.suffix}"


@dataclass(frozen=True)
class Scale:
    """Which part of a picture `x` shows, for ops that look at neighbours or at the place."""

    short: float
    """Short side, in pixels, of the picture at the size in which it is being filtered."""
    full: float
    """Short side of the picture at its full size: what the small view must behave like."""
    top: int = 0
    left: int = 0
    """Where `x` begins in the picture, in pixels of the size in which it is being filtered."""


@dataclass(frozen=True, eq=False)
class Op:
    name: str
    group: str
    params: tuple[Param, ...]
    function: Callable[..., Tensor]
    soft: bool
    """Whether soft mode may use it."""
    offered: bool
    """Whether searches use it unasked; else only where the options name the op itself."""
    differentiable: bool
    """Whether gradients flow to the picture and to every parameter, with the statistics held fixed."""
    statistics: Callable[[Tensor], Tensor] | None
    """Statistics that it needs: [N,3,H,W] -> [N,...]. Taken from the frame, frozen for the full-size picture."""
    measures_places: bool
    """Whether the statistics depend on where in the picture its colours are. Then those of several pictures together
    are the mean of what is measured in each of them; else they are measured in all of their pixels at once."""
    halo: Callable[[tuple[float, ...], float], int] | None
    """For ops that look at neighbours: (values, short side in pixels) -> how far, in pixels. For those that look at the
    place alone: 0."""

    @property
    def pointwise(self) -> bool:
        """Whether a pixel's result depends on that pixel's colour (and the statistics) only."""
        return self.halo is None

    @cached_property
    def identity(self) -> tuple[float, ...]:
        return tuple(p.identity for p in self.params)

    def ranges(self, mode: str, amount: float = 1.0) -> tuple[tuple[float, float], ...]:
        """What each parameter is searched in, at an amount of the op's effect."""
        ranges = (p.soft if mode == "soft" else p.hard for p in self.params)
        return tuple(
            (p.scaled(low, amount), p.scaled(high, amount)) for p, (low, high) in zip(self.params, ranges, strict=True)
        )

    @property
    def words(self) -> str:
        return self.name.replace("_", " ").replace("@", " ")


OPS: dict[str, Op] = {}
LUT = "lut@"
"""What the name of an op begins with that a LUT's file defines: 'lut@warm-1a2b3c4d', see `lut_files`. Such ops are not
among OPS: no search proposes them."""


def op(
    group: str,
    *params: Param,
    soft: bool = True,
    offered: bool = True,
    differentiable: bool = True,
    statistics: Callable[[Tensor], Tensor] | None = None,
    measures_places: bool = False,
    halo: Callable[[tuple[float, ...], float], int] | None = None,
) -> Callable[[Callable[..., Tensor]], Op]:
    """Declare the decorated function as an op under its own name."""

    def register(function: Callable[..., Tensor]) -> Op:
        name = function.__name__
        if name in OPS:
            raise ValueError(f"there is an op {name!r} already: give this one another name")
        OPS[name] = Op(name, group, params, function, soft, offered, differentiable, statistics, measures_places, halo)
        return OPS[name]

    return register


def get_op(name: str) -> Op:
    """The op of that name. Raises RecipeError."""
    if name.startswith(LUT):
        from .lut_files import lut_op

        return lut_op(name)
    try:
        return OPS[name]
    except KeyError:
        raise RecipeError(f"there is no op {shown(name)}; there are {', '.join(OPS)}") from None


def measure_statistics(op: Op, frames: Tensor, together: int = 1) -> Tensor | None:
    """What an op needs to know about the whole frames [N,3,h,w] that it will be applied to, [N,...].

    Args:
        together: every so many frames in a row get the same statistics, those of all of them.
    """
    return measure_subsampled(op, subsample(frames), together) if op.statistics else None


def measure_subsampled(op: Op, frames: Tensor, together: int = 1) -> Tensor | None:
    """The statistics of frames [N,3,h,w] that are subsampled already, of what is within their borders: a white frame
    is no light."""
    if op.statistics is None:
        return None
    boxes = inners(frames)
    if not any(boxes):
        return _measure_inside(op, frames, together)
    common = [shared(boxes[i : i + together]) for i in range(0, len(boxes), together)]
    parts = zip(frames.split(together), common, strict=True)
    return torch.cat([_measure_inside(op, part if box is None else part[(..., *box)], together) for part, box in parts])


def _measure_inside(op: Op, frames: Tensor, together: int) -> Tensor:
    """The statistics of subsampled frames [N,3,h,w] without borders."""
    if together == 1:
        return op.statistics(frames)
    if op.measures_places:  # a seam would be measured as an edge
        common = op.statistics(frames).unflatten(0, (-1, together)).mean(1)
    else:
        common = op.statistics(stacked(frames, together))
    return common.repeat_interleave(together, 0)


def apply_op(op: Op, x: Tensor, values: Tensor, stats: Tensor | None, scale: Scale) -> Tensor:
    """Apply one op to a batch.

    Args:
        x: [N,3,H,W], RGB 0..1. May be a tile of the whole picture where the op is pointwise, or one with
            a margin of `op.halo` around it.
        values: [N,P] parameter values, one row per picture.
        stats: what `measure_statistics` gave for the whole frames, [N,...]; None for ops without.
        scale: the size of the picture that `x` belongs to.
    Returns:
        [N,3,H,W] in 0..1.
    """
    arguments = [v.reshape(-1, 1, 1, 1) for v in values.unbind(1)]
    if op.statistics is not None:
        arguments.append(stats)
    if op.halo is not None:
        arguments.append(scale)
    # a host's autocast would round the ops to half precision
    with torch.autocast(x.device.type, enabled=False) if x.device.type in ("cpu", "cuda") else nullcontext():
        return op.function(x, *arguments).clamp(0, 1)


def select_ops(mode: str, ops: str = "all", lock: str = "") -> tuple[Op, ...]:
    """The ops that a mode may use, narrowed by the options `ops` ("all", "light,-equalize", "-detail") and `lock`.

    One that isn't offered must be named itself: "all,grain".

    Raises OptionError for a word that is neither a group nor an op, and where nothing is left.
    """
    allowed = [o for o in OPS.values() if mode == "hard" or o.soft]
    words = _names("ops", ops)

    def named(o: Op, words: list[str]) -> bool:
        return any(w in ("all", o.group, o.name) for w in words)

    wanted = [w for w in words if not w.startswith("-")] or ["all"]
    unwanted = [w.lstrip("-") for w in (*(w for w in words if w.startswith("-")), *_names("lock", lock))]
    allowed = [o for o in allowed if o.offered or o.name in wanted]
    chosen = tuple(o for o in allowed if named(o, wanted) and not named(o, unwanted))
    if not chosen:
        what = f"ops: {shown(ops)}" + (f" without {shown(lock)}" if lock else "")
        raise OptionError(f"{what} leaves nothing to use in {mode} mode; name one of {', '.join(GROUPS)}")
    return chosen


def _names(option: str, text: str) -> list[str]:
    """The names of groups and ops in an option's text, with their minus signs. Raises OptionError."""
    words = text.replace(",", " ").split()
    for name in (word.lstrip("-") for word in words):
        if name not in ("all", *GROUPS, *OPS):
            known = f"neither a group ({', '.join(GROUPS)}) nor an op ({', '.join(OPS)})"
            raise OptionError(f"{option}: {shown(name)} is {known}")
    return words


def check_values(op: Op, values: tuple[float, ...]) -> None:
    """Raise RecipeError unless `values` fit the op's parameters and their widest ranges."""
    if len(values) != len(op.params):
        raise RecipeError(f"{op.name} takes {len(op.params)} values, not {len(values)}")
    for param, value in zip(op.params, values, strict=True):
        low, high = param.limits
        if not (math.isfinite(value) and low <= value <= high):
            raise RecipeError(f"{op.name} {param.name} must lie from {low:g} to {high:g}, not {value}")
