"""The option table: every option that a user meets, declared once.

The command line, the controls of the user interfaces, the API's schema and the infotext are made from the
fields of `Options`; `table()` hands them out. Importing this costs nothing: no torch, no numpy.
"""

from __future__ import annotations

import dataclasses
import difflib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import OptionError, shown

GROUPS = ("light", "colour", "detail", "art")
MAX_TEXT = 100_000
"""Characters that an option's text may have: more than any prompt, and soon read word by word."""


@dataclass(frozen=True)
class Option:
    """One row of the table: what a surface needs in order to offer an option and to check its value."""

    name: str
    kind: type
    """float, int or str. A value of None stands for `default` where the default is None ("automatic")."""
    default: Any
    label: str
    help: str
    infotext: str
    """Key in a picture's infotext; written only where the value is not the default."""
    minimum: float | None = None
    """Lowest value allowed; every number has one, and a `maximum`."""
    maximum: float | None = None
    choices: tuple[str, ...] | None = None

    def parse(self, value: Any) -> Any:
        """Check and convert one value, from text or from JSON. Raises OptionError."""
        if value is None or (self.default is None and isinstance(value, str) and value == "auto"):
            if self.default is None:
                return None
            raise OptionError(f"{self.name} needs a value{self._hint()}")
        if self.kind is str:
            if not isinstance(value, str):
                raise OptionError(f"{self.name} must be text, not {shown(value)}{self._hint()}")
            if len(value) > MAX_TEXT:
                raise OptionError(f"{self.name} may have {MAX_TEXT:,} characters, not {len(value):,}: shorten it")
            if self.choices and value not in self.choices:
                raise OptionError(f"{self.name} cannot be {shown(value)}{self._hint()}")
            return value
        try:
            number = self.kind(value)
            if isinstance(value, bool) or number != float(value):  # also refuses NaN
                raise ValueError
        except (TypeError, ValueError, OverflowError):
            kind = "a whole number" if self.kind is int else "a number"
            raise OptionError(f"{self.name} must be {kind}, not {shown(value)}{self._hint()}") from None
        if not self.minimum <= number <= self.maximum:
            raise OptionError(f"{self.name} cannot be {shown(value)}{self._hint()}")
        return number

    def _hint(self) -> str:
        if self.choices:
            return ": choose " + ", ".join(self.choices)
        if self.minimum is not None and self.maximum is not None:
            return f": give a value from {self.minimum:.15g} to {self.maximum:.15g}"
        return ""


@dataclass(frozen=True)
class Amounts:
    """How much of a correction to apply: of all of it, and of each aspect besides; 1 as found."""

    strength: float = 1.0
    light: float = 1.0
    colour: float = 1.0
    detail: float = 1.0

    def of(self, group: str) -> float:
        """The amount for the ops of a group; art has none of its own."""
        return self.strength * getattr(self, group, 1.0)

    @property
    def as_found(self) -> bool:
        """Whether all is applied as found."""
        return self == Amounts()


@dataclass(frozen=True)
class Input:
    """A second picture that an enhancement may take, and what a surface needs in order to offer it."""

    name: str
    """As an argument of `nuli.enhance`, an option of the command line and a key of the API."""
    label: str
    help: str


INPUTS = (
    Input("mask", "Mask", "where to enhance: white yes, black no; the picture stays bit by bit the same elsewhere"),
    Input(
        "match",
        "Reference",
        "a picture to come near to in light and colour; of the same scene, such as it was before: place by place",
    ),
)
"""The second pictures, in the order in which surfaces show them."""


def _option(default: Any, label: str, help: str, infotext: str, **limits: Any) -> Any:
    row = {"label": label, "help": help, "infotext": infotext, **limits}
    return dataclasses.field(default=default, metadata=row)


@dataclass(frozen=True)
class Options:
    """All options of one enhancement, checked. Raises OptionError for a value outside its range."""

    mode: str = _option(
        "soft",
        "Mode",
        "soft: photographic adjustments, the picture stays the same picture; hard: anything striking goes",
        "NUl mode",
        choices=("soft", "hard"),
    )
    seconds: float | None = _option(
        None,
        "Seconds",
        "time to search (automatic: at most 1.5 in soft and 4 in hard mode with the built-in scorers, 60 with laion, "
        "less when nothing improves any more; no limit when evaluations are given)",
        "NUl seconds",
        minimum=0.0,
        maximum=86400.0,
    )
    evaluations: int | None = _option(
        None,
        "Evaluations",
        "most candidates to score, the untouched picture and the result included; with a seed, the same number gives "
        "the same result again",
        "NUl evaluations",
        minimum=3,
        maximum=10_000_000,
    )
    strength: float = _option(
        1.0,
        "Strength",
        "how much of the found correction to apply: 0 none, 1 as found, up to 1.5",
        "NUl strength",
        minimum=0.0,
        maximum=1.5,
    )
    light: float = _option(
        1.0,
        "Light",
        "how much of its light to apply, times the strength: 0 none, which keeps the search from it, up to 1.5",
        "NUl light",
        minimum=0.0,
        maximum=1.5,
    )
    colour: float = _option(
        1.0, "Colour", "how much of its colours to apply, likewise", "NUl colour", minimum=0.0, maximum=1.5
    )
    detail: float = _option(
        1.0, "Detail", "how much of its detail to apply, likewise", "NUl detail", minimum=0.0, maximum=1.5
    )
    scorer: str = _option(
        "auto",
        "Scorer",
        "which scorer judges; auto: laion where its weights are present, "
        "else an embedded one: tone in soft mode, taste in hard; several in one: mean:laion+tone, or least:laion+taste "
        "for what all of them like; pyiqa:METRIC: one of that package's",
        "NUl scorer",
    )
    ops: str = _option(
        "all",
        "Ops",
        f"what may be used: groups ({', '.join(GROUPS)}) or single ops, separated by commas; "
        "a minus sign excludes: 'light,colour' or '-blur,-equalize'",
        "NUl ops",
    )
    lock: str = _option(
        "",
        "Never touch",
        "groups or single ops that must stay out, whatever else is chosen, separated by commas: 'saturation,detail'",
        "NUl lock",
    )
    neutral: str = _option(
        "",
        "Neutral at",
        "a place that is to be grey, as 'x,y' in parts of the width and the height: '0.5,0.25'",
        "NUl neutral",
    )
    lut: str = _option(
        "",
        "LUT",
        "a .cube file, or the name of one in nuli's folder of LUTs, that comes last, with an amount: 'warm=0.6'",
        "NUl LUT",
    )
    feather: float = _option(
        0.01,
        "Feather",
        "how softly a mask ends, in parts of the short side",
        "NUl feather",
        minimum=0.0,
        maximum=0.2,
    )
    guards: str = _option(
        "normal",
        "Guards",
        "how firmly to hold the picture's light and keep highlights and shadows from clipping",
        "NUl guards",
        choices=("off", "normal", "strict"),
    )
    realism: str = _option(
        "auto",
        "Realism",
        "whether hard mode's results must look like pictures that somebody could have made, as taste judges it; auto: "
        "with laion and scorers of your own (taste itself always asks for that, vivid never)",
        "NUl realism",
        choices=("auto", "on", "off"),
    )
    max_steps: int = _option(8, "Steps", "most steps that a recipe may have", "NUl steps", minimum=1, maximum=32)
    margin: float = _option(
        0.1,
        "Margin",
        "what a change must gain to be made, in tenths of the scorer's range; else the picture stays as it is",
        "NUl margin",
        minimum=0.0,
        maximum=10.0,
    )
    prompt: str = _option("", "Prompt", "what the picture should show, for scorers that read it (hpsv2)", "NUl prompt")
    seed: int = _option(0, "Seed", "start of the random numbers", "NUl seed", minimum=0, maximum=2**32 - 1)
    device: str = _option("auto", "Device", "torch device: auto, cpu, cuda, cuda:1...", "NUl device")
    mirror: str = _option(
        "off",
        "Mirror",
        "average laion's score with that of the mirrored picture: steadier, at twice the cost",
        "NUl mirror",
        choices=("off", "on"),
    )
    precision: str = _option(
        "auto",
        "Precision",
        "of the scorer's network: full is float32; half is float16 on a GPU, bfloat16 on a CPU",
        "NUl precision",
        choices=("auto", "full", "half"),
    )

    def __post_init__(self) -> None:
        for row in table():
            object.__setattr__(self, row.name, row.parse(getattr(self, row.name)))

    @property
    def amounts(self) -> Amounts:
        """How much of a correction to apply."""
        return Amounts(self.strength, self.light, self.colour, self.detail)


def table() -> tuple[Option, ...]:
    """The rows, in the order in which surfaces show them."""
    return _TABLE


PRESET = Option(
    "preset",
    str,
    "",
    "Preset",
    "values for several options at once, which those that are given besides override; see `nuli presets`",
    "NUl preset",
)
"""Not an option of its own: a name for values of others, which `options_from` knows."""


def options_from(values: Mapping[str, Any]) -> Options:
    """Options from names and values; what is not named comes from the "preset", where one is named.

    An unknown name is an OptionError that suggests the nearest.
    """
    if name := PRESET.parse(values.get(PRESET.name, "")):
        from .presets import preset

        values = {**preset(name), **values}
    values = {name: value for name, value in values.items() if name != PRESET.name}
    names = [row.name for row in table()]
    for name in values:
        if name not in names:
            near = difflib.get_close_matches(name[:100], names, 1)
            hint = f": did you mean {near[0]!r}?" if near else f": there are {', '.join(names)}"
            raise OptionError(f"there is no option {shown(name)}{hint}")
    return Options(**values)


def with_named_lut(options: Options, allow_paths: bool) -> Options:
    """Options whose LUT stands there by the name of its content, see `ops.lut_files.resolve`: a path says nothing of
    that, and means nothing elsewhere.

    Args:
        allow_paths: whether who gave them may read the files of this machine: never for what came over a network.
    Raises:
        OptionError: there is no such LUT.
        ImageError: the copy of one named by its path can't be written.
    """
    if not options.lut.strip():
        return options
    from .ops.lut_files import resolve

    return dataclasses.replace(options, lut=resolve(options.lut, allow_paths))


def _rows() -> tuple[Option, ...]:
    hints = typing.get_type_hints(Options)
    rows = []
    for field in dataclasses.fields(Options):
        kind = next(k for k in (str, int, float) if k in (hints[field.name], *typing.get_args(hints[field.name])))
        rows.append(Option(name=field.name, kind=kind, default=field.default, **field.metadata))
    return tuple(rows)


_TABLE = _rows()
