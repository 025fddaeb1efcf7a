"""The one door: a picture in, progress, a better picture out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image

from .checkpoint import SavedSearch
from .devices import pick_device
from .errors import ImageError, OptionError, shown
from .imaging.frames import make_frame
from .imaging.mask import with_mask
from .imaging.photo import Photo, load_photo
from .imaging.reduce import REDUCED
from .ops.lut_files import lut_steps
from .ops.neutral import parse_place
from .ops.registry import select_ops
from .options import Options, options_from
from .result import Event, Result
from .scoring.match import Match
from .scoring.protocol import Scorer, check_scorer, known_as
from .scoring.registry import load_scorer
from .search.config import MAX_OTHERS
from .search.evaluator import Evaluator
from .search.finish import finish
from .search.fixed import fixed_steps
from .search.loop import Search
from .threads import iterate_on, run_single_threaded

Source = str | os.PathLike[str] | bytes | Image.Image | np.ndarray | Photo


def enhance(
    source: Source,
    options: Options | None = None,
    *,
    progress: Callable[[Event], None] = lambda event: None,
    **arguments: Any,
) -> Result:
    """Enhance a picture; see `enhance_iter` for the arguments. `progress` is called after every batch."""
    check_arguments(progress=progress)
    for item in enhance_iter(source, options, **arguments):
        if isinstance(item, Event):
            progress(item)
    return item


def enhance_iter(
    source: Source,
    options: Options | None = None,
    *,
    scorer: str | Scorer | None = None,
    folders: Sequence[str | os.PathLike[str]] = (),
    stop: Callable[[], bool] = lambda: False,
    others: int = MAX_OTHERS,
    known: SavedSearch | str | os.PathLike[str] | None = None,
    mask: Source | None = None,
    match: Source | None = None,
    **values: Any,
) -> Iterator[Event | Result]:
    """Enhance a picture, telling how it goes.

    Args:
        source: a path, a file's bytes, a PIL image, an array [H,W,3] (8 or 16 bits, or float 0..1), or a loaded Photo.
        options: all options; or give their values by name, as `values`.
        scorer: a scorer's name, or any object that satisfies `nuli.Scorer`, in place of the one in the options.
        folders: where weights may lie, besides the usual caches.
        stop: asked after every batch; once it says True, the best so far becomes the result.
        others: how many other results to tell of at most (soft mode has two, gentler and bolder); the best one is the
            same for any number.
        known: a saved search (`Result.search`, or the file that it was saved to) to go on from, of the same
            picture, mask, fixed steps (what `neutral` and `lut` ask for), scorer, mode and guards. Its best is scored
            again, the rest is trusted. The budget and the evaluations told are those of this search alone; the random
            numbers are others than before.
        mask: where to change the picture: white yes, black no, there it stays bit by bit as it is. Another picture of
            the same shape, or "alpha" for this one's own transparency (see `imaging.mask.with_mask`).
        match: a reference to come near to in light and colour, in place of a scorer: a picture as `source`. Of the same
            scene, such as what an upscaler was given, it is matched place by place; the result's notes say how.
        values: fields of `nuli.Options`.
    Yields:
        An Event after every batch, and the Result at the end.
    Raises:
        NuliError: for a source, option, scorer or saved search that can't be used.
    """
    options = choose_options(options, scorer, values)
    scorer = None if isinstance(scorer, str) else scorer  # a name stands in the options now
    check_arguments(folders, stop=stop)
    if isinstance(others, bool) or not isinstance(others, int) or others < 0:
        raise OptionError(f"others must be a whole number, 0 or more, not {shown(others)}")
    if known is not None and not isinstance(known, (SavedSearch, str, os.PathLike)):
        raise OptionError(f"known must be a SavedSearch or the path of one, not {shown(known)}")
    if match is not None:
        options, scorer = matching(match, options, scorer)
    check_options(options)  # complain before the picture and the weights are loaded
    saved = SavedSearch.load(known) if isinstance(known, (str, os.PathLike)) else known
    if saved:
        scorer = scorer or load_scorer(options, folders)  # it alone knows what a saved search of it is called
        saved.check_options(known_as(scorer), options.mode, options.guards)
    photo = load_photo(source)
    if mask is not None:
        photo = with_mask(photo, mask, options.feather)
    fixed = fixed_steps(options, [photo])
    if saved:
        saved.check_picture(photo, fixed.around(()))
    scorer = scorer or load_scorer(options, folders)

    def steps() -> Iterator[Event | Result]:
        search = Search(photo, options, scorer, stop, saved, fixed=fixed)
        yield from search.events()
        yield finish(search, photo, others)

    yield from iterate_on(steps(), options.device)


def score(
    sources: Source | Sequence[Source],
    scorer: str | Scorer | None = None,
    folders: Sequence[str | os.PathLike[str]] = (),
    options: Options | None = None,
    **values: Any,
) -> list[float]:
    """Each picture's own score, in order.

    Args:
        sources: pictures as for `enhance_iter`; one alone is a list of one.
        options, values: those fields of `nuli.Options` that concern a scorer: device, precision, mirror. Where none is
            named, one that can compare pictures is taken: `laion`, or `taste` where its weights are absent.
    Raises:
        NuliError: for a source, option, or scorer that can't be used.
    """
    options = choose_options(options, scorer, values)
    check_arguments(folders)
    named = scorer is None or isinstance(scorer, str)
    loaded = load_scorer(replace(options, mode="hard"), folders) if named else scorer
    scores = []
    for source in each_source(sources):
        photo = load_photo(source, at_least=REDUCED)
        frame = make_frame(photo.pixels, photo.alpha, pick_device(options.device))
        evaluator = Evaluator(frame, min(photo.pixels.shape[:2]), loaded, guard_weight=0)
        [evaluation] = run_single_threaded(evaluator.score_frames, frame)
        scores.append(evaluation.score)
    return scores


def each_source(sources: Source | Iterable[Source]) -> Iterable[Source]:
    """Several pictures, or one as the only one of them. Raises ImageError for what is neither."""
    if isinstance(sources, (str, os.PathLike, bytes, Image.Image, np.ndarray, Photo)):
        return [sources]
    if not isinstance(sources, Iterable):
        raise ImageError(f"{shown(sources)} is neither a picture nor several: pass a list of pictures")
    return sources


def check_arguments(folders: Any = (), **functions: Any) -> None:
    """Raise OptionError for folders that are none, or something else than functions."""
    for name, function in functions.items():
        if not callable(function):
            raise OptionError(f"{name} must be a function, not {shown(function)}")
    if not isinstance(folders, Sequence) or isinstance(folders, (str, bytes)):
        raise OptionError(f"folders must be a list of paths, not {shown(folders)}")
    if wrong := [folder for folder in folders if not isinstance(folder, (str, os.PathLike))]:
        raise OptionError(f"a folder is named by its path, not by {shown(wrong[0])}")


def check_options(options: Options) -> None:
    """Raise the NuliError that a search with these options would, as far as it can be known without a picture."""
    select_ops(options.mode, options.ops, options.lock)
    lut_steps(options.lut)
    if options.neutral:
        parse_place(options.neutral)


def matching(match: Source, options: Options, scorer: Scorer | None) -> tuple[Options, Scorer]:
    """The options and the scorer of a search that is to match a reference, which says nothing of detail.

    Raises:
        OptionError: there is another scorer.
        ImageError: the reference can't be read.
    """
    if scorer is not None or options.scorer not in ("auto", Match.name):
        name = scorer.name if scorer else options.scorer
        raise OptionError(f"a reference takes the scorer's place: leave out either match or the scorer {name}")
    return replace(options, lock=f"{options.lock} detail"), Match(load_photo(match))


def choose_options(options: Options | None, scorer: str | Scorer | None, values: dict[str, Any]) -> Options:
    """The options of a call that takes all of them, or their values by name and a scorer's name apart. Raises
    OptionError, also for a scorer that is neither a name nor a Scorer."""
    if scorer is not None and not isinstance(scorer, str):
        check_scorer(scorer)
    if options is not None:
        if not isinstance(options, Options):
            raise OptionError(f"options must be nuli.Options, not {shown(options)}: or give their values by name")
        if values or isinstance(scorer, str):
            raise OptionError("give either options or their values by name")
        return options
    return options_from({**values, "scorer": scorer} if isinstance(scorer, str) else values)
