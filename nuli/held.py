"""The scorer that was used last, held for the next job: loading a large one takes seconds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .options import Options
    from .scoring import Scorer

_held: dict[tuple[object, ...], Scorer] = {}


def scorer_for(options: Options, folders: Sequence[Path] = ()) -> Scorer:
    """The scorer that the options name, as `enhancer.load_scorer`; loaded only if it isn't the one that is held."""
    from .enhancer import load_scorer
    from .scoring import pick

    # "auto" in soft and in hard mode may be two scorers, and "auto" and "laion" one and the same
    name = pick(options.scorer, options.mode, folders).name
    key = (name, options.device, options.precision, options.mirror)
    if key not in _held:
        _held.clear()  # two at a time may not fit
        _held[key] = load_scorer(replace(options, scorer=name), folders)
    return _held[key]


def release() -> bool:
    """Forget it; whether there was one."""
    found = bool(_held)
    _held.clear()
    return found
