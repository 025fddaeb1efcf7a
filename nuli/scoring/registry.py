"""The scorers that nuli knows by name: which one serves, loading it, and keeping the last one for the next job."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from .. import plugins
from ..errors import OptionError, shown
from ..options import Options
from .adapters import ADAPTERS, PYIQA, pyiqa_info
from .info import ScorerInfo
from .protocol import Scorer, check_scorer
from .weights import CLIP_VIT_L14, LAION_HEAD

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import torch


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
        *ADAPTERS,
    )
}
ENSEMBLES = ("mean", "least")
"""Names that begin so, and a colon, are several scorers in one: "mean:laion+tone"."""
PATTERNS = (f"{PYIQA}:METRIC", *(f"{kind}:NAME+NAME" for kind in ENSEMBLES))
"""What names may be made of parts, for whoever lists them."""
_TAKEN = frozenset((*SCORERS, *ENSEMBLES, PYIQA, "auto", "match"))
_PROMPTLESS = ("auto", "match", "laion", "tone", "taste", "vivid", "siglip", PYIQA)
"""Those that read no prompt, by what their names begin with."""
EMBEDDED = {"soft": "tone", "hard": "taste"}
"""The scorer of each mode that needs no download."""


def known_scorers() -> dict[str, ScorerInfo]:
    """All scorers that have a plain name, those of other packages included, which are loaded for it; one that can't be
    is told of and left out."""
    found = dict(SCORERS)
    for name, point in plugins.scorers(_TAKEN).items():
        try:
            found[name] = _offered(point)
        except OptionError as error:
            logging.getLogger("nuli").warning("%s", error)
    return found


def scorer_names() -> list[str]:
    """The plain names that there are, those of other packages included; none of these is loaded."""
    return [*SCORERS, *plugins.scorers(_TAKEN)]


def resolve_scorer(name: str, mode: str = "soft", folders: Sequence[str | os.PathLike[str]] = ()) -> ScorerInfo:
    """The scorer of that name, or of one made by PATTERNS; "auto": laion where its weights are present, else the mode's
    embedded one.

    Args:
        folders: where weights may lie, besides nuli's and CLIP's own cache.
    Raises:
        OptionError: there is no scorer of that name, or it takes more than a name.
    """
    if name == "match":
        raise OptionError("match compares with a reference: give one (match=..., --match FILE), or choose scorer auto")
    if name == "auto":
        return SCORERS[EMBEDDED[mode]] if SCORERS["laion"].missing([Path(f) for f in folders]) else SCORERS["laion"]
    kind, _, rest = name.partition(":")
    if name in SCORERS:
        return SCORERS[name]
    if rest and kind == PYIQA:
        return pyiqa_info(rest)
    if rest and kind in ENSEMBLES:
        return _ensemble(kind, rest)
    offered = plugins.scorers(_TAKEN)
    if name in offered:
        return _offered(offered[name])
    raise OptionError(f"there is no scorer {shown(name)}: choose auto, {', '.join((*SCORERS, *offered, *PATTERNS))}")


def _offered(point: EntryPoint) -> ScorerInfo:
    """A package's scorer. Raises OptionError where it can't be used."""
    try:
        offered = point.load()
        if isinstance(offered, ScorerInfo):
            return replace(offered, name=point.name)
        summary = getattr(offered, "summary", "") or f"from {plugins.source(point)}"
        return ScorerInfo(point.name, summary, getattr(offered, "meaning", ""), offered.load)
    except Exception as error:  # somebody else's code
        whose, why = plugins.source(point), plugins.one_line(error)
        raise OptionError(f"the scorer {point.name} of {whose} can't be used: {why}") from error


def _ensemble(kind: str, names: str) -> ScorerInfo:
    """Several scorers in one, by their names, "laion+tone". Raises OptionError."""
    from .ensemble import Ensemble, names_in

    parts = names_in(names)
    if len(parts) < 2 or len(set(parts)) < len(parts) or "auto" in parts:
        raise OptionError(
            f"{kind}: takes two or more scorers by their names, as in {kind}:laion+tone, not {shown(names)}"
        )
    if nested := [part for part in parts if part.startswith(tuple(f"{other}:" for other in ENSEMBLES))]:
        raise OptionError(f"{kind}: can't hold {nested[0]}: name the scorers themselves")
    infos = [resolve_scorer(part) for part in parts]

    def load(options: Options, device: torch.device, folders: Sequence[Path]) -> Scorer:
        return Ensemble(kind, [info.load(replace(options, scorer=info.name), device, folders) for info in infos])

    means = "the mean of" if kind == "mean" else "what the least convinced gains (the untouched picture has 0) of"
    return ScorerInfo(
        f"{kind}:{names}",
        f"{means} {', '.join(parts)}",
        f"{means} {', '.join(parts)}, each in tenths of its range",
        load,
        tuple(dict.fromkeys(file for info in infos for file in info.files)),
        sum(info.seconds for info in infos),
        next((info.package for info in sorted(infos, key=ScorerInfo.is_ready) if info.package), None),
    )


def members(name: str) -> list[str]:
    """The scorers that judge under a name: those of several in one, else that one."""
    from .ensemble import names_in

    kind, _, rest = name.partition(":")
    return names_in(rest) if kind in ENSEMBLES else [name]


def reads_prompt(name: str) -> bool:
    """Whether what a scorer says may depend on the option `prompt`; of one that nobody knows here it may."""
    return any(part.partition(":")[0] not in _PROMPTLESS for part in members(name))


def default_seconds(name: str) -> float:
    """How long to search with a scorer of that name, known here or not, where nobody says."""
    try:
        return resolve_scorer(name).seconds
    except OptionError:  # an object that somebody passed, or a reference
        return ScorerInfo.seconds


def load_scorer(options: Options, folders: Sequence[str | os.PathLike[str]] = ()) -> Scorer:
    """The scorer that the options name, on the device that they name. Raises OptionError or WeightsError."""
    from ..devices import pick_device

    info = resolve_scorer(options.scorer, options.mode, folders)
    scorer = info.load(options, pick_device(options.device), [Path(f) for f in folders])
    check_scorer(scorer)  # another package's may be anything
    return scorer


_cache: dict[tuple[object, ...], Scorer] = {}


def cached_scorer(options: Options, folders: Sequence[str | os.PathLike[str]] = ()) -> Scorer:
    """Load a scorer as `load_scorer` does, and keep the last one for the next job: a large network takes seconds."""
    # "auto" in soft and in hard mode may be two scorers, and "auto" and "laion" one and the same
    name = resolve_scorer(options.scorer, options.mode, folders).name
    prompt = options.prompt if reads_prompt(name) else ""
    key = (name, options.device, options.precision, options.mirror, prompt)
    if key not in _cache:
        _cache.clear()  # two at a time may not fit
        _cache[key] = load_scorer(replace(options, scorer=name), folders)
    return _cache[key]


def release_cached() -> bool:
    """Empty the cache; whether there was a scorer in it."""
    had_one = bool(_cache)
    _cache.clear()
    return had_one
