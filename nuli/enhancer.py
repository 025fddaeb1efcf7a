"""The one door: a picture in, progress, a better picture out."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from . import imageio, ops, render, scoring, views
from .evaluator import Evaluator
from .imageio import Photo
from .options import Options, options_from
from .result import Event, Result
from .run import Run
from .saved import SavedSearch, open_search
from .scoring import Scorer
from .search.gallery import OTHERS

Source = str | os.PathLike[str] | Image.Image | np.ndarray | Photo


def enhance(source: Source, **options: Any) -> Result:
    """Enhance a picture; see `enhance_iter` for the arguments."""
    for item in enhance_iter(source, **options):
        result = item
    return result


def enhance_iter(
    source: Source,
    *,
    scorer: str | Scorer = "auto",
    folders: Sequence[str | os.PathLike[str]] = (),
    stop: Callable[[], bool] = lambda: False,
    others: int = OTHERS,
    known: SavedSearch | str | os.PathLike[str] | None = None,
    **options: Any,
) -> Iterator[Event | Result]:
    """Enhance a picture, telling how it goes.

    Args:
        source: a path, a PIL image, an array [H,W,3] (8 or 16 bits, or float 0..1), or a loaded Photo.
        scorer: a scorer's name, or any object that satisfies `nuli.Scorer`.
        folders: where weights may lie, besides the usual caches.
        stop: asked after every batch; once it says True, the best so far becomes the result.
        others: how many other results hard mode tells of at most; the best one is the same for any number.
        known: a saved search (`Result.search`, or the file that it was saved to) to go on from, of the same
            picture, scorer, mode and guards. Its best is judged again, the rest is believed. The budget and the
            evaluations told are those of this search alone; the random numbers are others than before.
        options: the fields of `nuli.Options`.
    Yields:
        An Event after every batch, and the Result at the end.
    Raises:
        NuliError: for a source, option, scorer or saved search that can't be used.
    """
    name = scorer if isinstance(scorer, str) else "auto"
    settings = options_from({**options, "scorer": name})
    ops.select(settings.mode, settings.ops)  # complain before the picture and the weights are loaded
    if known is not None:
        known = open_search(known)
        judge = scoring.pick(name, settings.mode, folders) if isinstance(scorer, str) else scorer
        known.check_options(judge.name, settings.mode, settings.guards)
    photo = source if isinstance(source, Photo) else imageio.load(source)
    if known is not None:
        known.check_picture(photo)
    loaded = load_scorer(settings, folders) if isinstance(scorer, str) else scorer
    run = Run(photo, settings, loaded, stop, others, known)
    run.resume()
    yield from run.search()
    yield run.finish()


def score(
    sources: Sequence[Source],
    scorer: str | Scorer = "auto",
    folders: Sequence[str | os.PathLike[str]] = (),
    **options: Any,
) -> list[float]:
    """Each picture's own score, in order.

    Args:
        options: those fields of `nuli.Options` that concern a scorer: device, precision, mirror.
    Raises:
        NuliError: for a source, option, or scorer that can't be used.
    """
    settings = options_from({**options, "scorer": scorer if isinstance(scorer, str) else "auto"})
    judge = load_scorer(settings, folders) if isinstance(scorer, str) else scorer
    scores = []
    for source in sources:
        photo = source if isinstance(source, Photo) else imageio.load(source)
        frame = views.make_frame(photo.pixels, photo.alpha, render.pick_device(settings.device))
        [judged] = Evaluator(frame, min(photo.pixels.shape[:2]), judge, guard_weight=0).judge(frame)
        scores.append(judged.score)
    return scores


def load_scorer(settings: Options, folders: Sequence[str | os.PathLike[str]] = ()) -> Scorer:
    """The scorer that the options name, on the device that they name."""
    device = render.pick_device(settings.device)
    return scoring.pick(settings.scorer, settings.mode, folders).load(settings, device, [Path(f) for f in folders])
