"""The scorers that nuli knows by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import OptionError
from ..options import Options
from ..weights import CLIP_VIT_L14, LAION_HEAD, WeightsFile, locate
from .protocol import Scorer

if TYPE_CHECKING:
    import torch

__all__ = ["SCORERS", "Scorer", "ScorerInfo", "pick"]


@dataclass(frozen=True)
class ScorerInfo:
    """What is known about a scorer before it is loaded."""

    name: str
    summary: str
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


def _vivid(options: Options, device: torch.device, folders: Sequence[Path]) -> Scorer:
    from .vivid import Vivid

    return Vivid()


SCORERS = {
    info.name: info
    for info in (
        ScorerInfo(
            "laion",
            "CLIP ViT-L/14 and LAION's improved aesthetic predictor: what people liked",
            _laion,
            (CLIP_VIT_L14, LAION_HEAD),
            seconds=60.0,
        ),
        ScorerInfo("tone", "how near a picture is to what it predicts as its right light and colours", _tone),
        ScorerInfo("vivid", "published measures of colour, contrast, light and detail; no weights", _vivid),
    )
}
EMBEDDED = {"soft": "tone", "hard": "vivid"}
"""By mode: judges where no weights are."""


def pick(name: str, mode: str = "soft", folders: Sequence[str | os.PathLike[str]] = ()) -> ScorerInfo:
    """The scorer of that name; "auto": laion where its weights are present, else the mode's embedded one.

    Args:
        folders: where weights may lie, besides nuli's and CLIP's own cache.
    Raises:
        OptionError: there is no scorer of that name.
    """
    if name == "auto":
        return SCORERS[EMBEDDED[mode]] if SCORERS["laion"].missing([Path(f) for f in folders]) else SCORERS["laion"]
    try:
        return SCORERS[name]
    except KeyError:
        raise OptionError(f"there is no scorer {name!r}: choose auto, {', '.join(SCORERS)}") from None


def default_seconds(name: str) -> float:
    """How long to search with a scorer, a stranger's included."""
    return SCORERS[name].seconds if name in SCORERS else ScorerInfo.seconds
