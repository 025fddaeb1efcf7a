"""The scorers that nuli knows by name: which one serves, loading it, and keeping the last one for the next job."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..options import Options
from .protocol import Scorer
from .weights import CLIP_VIT_L14, LAION_HEAD, WeightsFile, locate

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class ScorerInfo:
    """What is known about a scorer before it is loaded."""

    name: str
    summary: str
    """What it is."""
    meaning: str
    """What its figures mean, in one sentence for whoever reads them; and whether they compare pictures."""
    load: Callable[..., Scorer]
    """load(options, device, folders) -> Scorer."""
    files: tuple[WeightsFile, ...] = ()
    """Weights to download; none for an embedded scorer."""
    seconds: float = 1.5
    """How long to search where nobody says: a large network needs time on a CPU."""

    def missing(self, folders: Sequence[Path] = ()) -> tuple[WeightsFile, ...]:
        return tuple(f for f in self.files if locate(f, folders) is None)


def _laion(options: Options, device: torch.device, folders: Sequence[Path]) -> Scorer:
    from .laion import Laion

    return Laion.load(device, options.precision, folders, flip=options.mirror == "on")


def _tone(options: Options, device: torch.device, folders: Sequence[Path]) -> Scorer:
    from .tone import Tone

    return Tone.load(device)


def _taste(options: Options, device: torch.device, folders: Sequence[Path]) -> Scorer:
    from .taste import Taste

    return Taste.load(device)


def _vivid(options: Options, device: torch.device, folders: Sequence[Path]) -> Scorer:
    from .vivid import Vivid

    return Vivid()


SCORERS = {
    info.name: info
    for info in (
        ScorerInfo(
            "laion",
            "CLIP ViT-L/14 and LAION's improved aesthetic predictor: what people liked",
            "about 1 to 10, what people gave such pictures; compares pictures",
            _laion,
            (CLIP_VIT_L14, LAION_HEAD),
            seconds=60.0,
        ),
        ScorerInfo(
            "tone",
            "how near a picture is to what it predicts as its right light and colours",
            "10: as it would correct this picture; it says how far a picture is from its own best and can't compare "
            "pictures",
            _tone,
        ),
        ScorerInfo(
            "taste",
            "how striking a picture is, and how much like one that somebody made",
            "0 to 10; most pictures have 2 to 5 as they are, and results of hard mode 6 to 9; compares pictures",
            _taste,
            seconds=4.0,
        ),
        ScorerInfo(
            "vivid",
            "published measures of colour, contrast, light and detail; no weights",
            "0 to 10, how near colours, contrast, light and detail are to lively amounts, whatever the picture shows; "
            "compares pictures",
            _vivid,
        ),
    )
}
EMBEDDED = {"soft": "tone", "hard": "taste"}
"""The scorer of each mode that needs no download."""


def resolve_scorer(name: str, mode: str = "soft", folders: Sequence[str | os.PathLike[str]] = ()) -> ScorerInfo:
    """The scorer of that name; "auto": laion where its weights are present, else the mode's embedded one.

    Args:
        folders: where weights may lie, besides nuli's and CLIP's own cache.
    Raises:
        OptionError: there is no scorer of that name, or it takes more than a name.
    """
    if name == "match":
        raise OptionError("match compares with a reference: give one (match=..., --match FILE), or choose scorer auto")
    if name == "auto":
        return SCORERS[EMBEDDED[mode]] if SCORERS["laion"].missing([Path(f) for f in folders]) else SCORERS["laion"]
    try:
        return SCORERS[name]
    except KeyError:
        raise OptionError(f"there is no scorer {name!r}: choose auto, {', '.join(SCORERS)}") from None


def default_seconds(name: str) -> float:
    """How long to search with a scorer of that name, known here or not, where nobody says."""
    return SCORERS[name].seconds if name in SCORERS else ScorerInfo.seconds


def load_scorer(options: Options, folders: Sequence[str | os.PathLike[str]] = ()) -> Scorer:
    """The scorer that the options name, on the device that they name. Raises OptionError or WeightsError."""
    from ..devices import pick_device

    info = resolve_scorer(options.scorer, options.mode, folders)
    return info.load(options, pick_device(options.device), [Path(f) for f in folders])


_cache: dict[tuple[object, ...], Scorer] = {}


def cached_scorer(options: Options, folders: Sequence[str | os.PathLike[str]] = ()) -> Scorer:
    """Load a scorer as `load_scorer` does, and keep the last one for the next job: a large network takes seconds."""
    # "auto" in soft and in hard mode may be two scorers, and "auto" and "laion" one and the same
    name = resolve_scorer(options.scorer, options.mode, folders).name
    key = (name, options.device, options.precision, options.mirror)
    if key not in _cache:
        _cache.clear()  # two at a time may not fit
        _cache[key] = load_scorer(replace(options, scorer=name), folders)
    return _cache[key]


def release_cached() -> bool:
    """Empty the cache; whether there was a scorer in it."""
    had_one = bool(_cache)
    _cache.clear()
    return had_one
