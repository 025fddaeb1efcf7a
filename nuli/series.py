"""One correction for a series of pictures: the frames of a video, photos of one scene, a batch of one prompt.

Each picture corrected by itself gets a recipe of its own, and even one recipe measures (mean luma, level ends, white
gains...) something else in each: a series would flicker. Here one recipe is searched on several of the pictures at
once, worth its mean score over them, and what its steps measure is measured in all of those together, and frozen.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from PIL import Image

from .enhancer import Source, check_arguments, check_options, choose_options, each_source, matching
from .errors import ImageError
from .imaging.atomic import OnWritten
from .imaging.frames import make_frame
from .imaging.photo import load_photo
from .look import Look
from .options import Options
from .recipe import Recipe
from .result import Event
from .scoring.protocol import Scorer
from .scoring.registry import load_scorer
from .search.conclusion import conclude, gains
from .search.evaluator import Evaluation
from .search.fixed import fixed_steps
from .search.loop import Search
from .search.sample import Sample
from .threads import iterate_on

MOST = 8
"""Pictures that are searched on at most, spread evenly over the series. A candidate costs as many scores; more pictures
hardly move what their mean says."""


@dataclass(frozen=True)
class Series:
    """What was found for a series. It holds no pixels: `apply` or `save` make each picture, and `look` does the same
    in other processes."""

    look: Look
    """The recipe as applied, amounts included, with its frozen statistics; without steps where nothing gains."""
    score_before: float
    score_after: float
    """Means over the pictures that were searched on; the latter of those pictures reduced (see `imaging.reduce`)."""
    contributions: tuple[float, ...]
    """For each step, what the mean score with penalties would lose without it, 0 for those that `neutral` and `lut` ask
    for; empty where there was no time to tell, and at other amounts."""
    scorer: str
    pictures: int
    """How many pictures were searched on."""
    evaluations: int
    """Candidates scored, each on all of those pictures."""
    seconds: float
    """From the first look at the pictures to the end of the search; loading comes before."""
    notes: tuple[str, ...] = ()
    """What the user should know about these pictures or this run."""

    @property
    def recipe(self) -> Recipe:
        return self.look.recipe

    @property
    def changed(self) -> bool:
        return len(self.recipe) > 0

    def apply(
        self, source: Source, device: str | torch.device = "auto", stop: Callable[[], bool] = lambda: False
    ) -> Image.Image:
        """A picture of the series enhanced, see `Look.apply`."""
        return self.look.apply(source, device, stop)

    def save(
        self,
        source: Source,
        path: str | os.PathLike[str],
        overwrite_input: bool = False,
        on_written: OnWritten | None = None,
    ) -> os.PathLike[str]:
        """Write a picture of the series enhanced, see `Look.save`."""
        return self.look.save(source, path, overwrite_input=overwrite_input, on_written=on_written)

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON; `Look.from_dict` reads the look from it, `Recipe.from_dict` the recipe."""
        return {
            "changed": self.changed,
            "scorer": self.scorer,
            "score_before": self.score_before,
            "score_after": self.score_after,
            "steps": self.recipe.words(),
            "contributions": list(self.contributions),
            **self.look.to_dict(),
            "infotext": self.recipe.to_line(),
            "pictures": self.pictures,
            "evaluations": self.evaluations,
            "seconds": round(self.seconds, 3),
            "notes": list(self.notes),
        }


def enhance_together(
    sources: Sequence[Source],
    options: Options | None = None,
    *,
    scorer: str | Scorer | None = None,
    folders: Sequence[str | os.PathLike[str]] = (),
    stop: Callable[[], bool] = lambda: False,
    progress: Callable[[Event], None] = lambda event: None,
    match: Source | None = None,
    **values: Any,
) -> Series:
    """Find one correction for a series of pictures.

    Args:
        sources: the pictures in their order, each as for `enhance_iter`; only MOST of them are read, one at a time.
            Pictures of another shape than most are squeezed to that while they are judged.
        options: all options; or give their values by name, as `values`. Evaluations count candidates, each scored on
            all pictures that are searched on; the automatic time is that of as many single searches.
        scorer: a scorer's name, or any object that satisfies `nuli.Scorer`, in place of the one in the options.
        folders: where weights may lie, besides the usual caches.
        stop: asked after every batch; once it says True, the best so far becomes the result.
        progress: called after every batch; scores are means, and the preview is the first picture searched on.
        match: a reference for all of them, see `enhance_iter`.
        values: fields of `nuli.Options`.
    Raises:
        NuliError: for an option or scorer that can't be used, for no pictures, and where none of those to search on can
            be read.
    """
    options = choose_options(options, scorer, values)
    scorer = None if isinstance(scorer, str) else scorer  # a name stands in the options now
    check_arguments(folders, stop=stop, progress=progress)
    if match is not None:
        options, scorer = matching(match, options, scorer)
    check_options(options)  # complain before the pictures and the weights are loaded
    sources = list(each_source(sources))
    if not sources:
        raise ImageError("a series of no pictures: name at least one")
    samples, failed = _read([sources[i] for i in spread(len(sources))])
    loaded = scorer or load_scorer(options, folders)
    fixed = fixed_steps(options, [sample.photo for sample in samples])

    def steps() -> Iterator[Event | Series]:
        search = Search(samples, options, loaded, stop, fixed=fixed)
        yield from search.events()
        yield _finish(search, failed)

    for item in iterate_on(steps(), options.device):
        if isinstance(item, Event):
            progress(item)
    return item


def _finish(search: Search, failed: Sequence[ImageError]) -> Series:
    """What a search on several pictures found; `failed` is what went wrong with the others."""
    end = conclude(search, lambda recipe: _predict(search, recipe), search.evaluator.hold)
    margin = search.margin if search.options.amounts.as_found else 0
    recipe = end.scaled if gains(search, end.predicted.objective, margin) else Recipe()
    return Series(
        look=Look.measured(search.evaluator.fixed.whole(recipe), search.evaluator.original, search.evaluator.scale),
        score_before=search.untouched.score,
        score_after=end.predicted.score if len(recipe) else search.before.score,
        contributions=search.evaluator.fixed.with_zeros(end.contributions, recipe),
        scorer=search.scorer.name,
        pictures=len(search.samples),
        evaluations=search.evaluator.evaluations,
        seconds=search.budget.elapsed,
        notes=(*search.notes, *(f"left out of the search: {error}" for error in failed)),
    )


def spread(count: int, most: int = MOST) -> list[int]:
    """Indices of at most so many pictures of `count`: the middle one of each of as many equal parts, for a video's
    first and last frames are often black."""
    parts = min(count, most)
    return [(2 * i + 1) * count // (2 * parts) for i in range(parts)]


def _read(sources: Sequence[Source]) -> tuple[list[Sample], list[ImageError]]:
    """The pictures that can be read, each reduced before the next is read, and what went wrong with the others.

    Raises:
        ImageError: none can be read.
    """
    samples: list[Sample] = []
    failed: list[ImageError] = []
    for source in sources:
        try:
            samples.append(Sample.of(load_photo(source)))
        except ImageError as error:
            failed.append(error)
    if not samples:
        raise failed[0]
    return samples, failed


def _predict(search: Search, recipe: Recipe) -> Evaluation:
    """The evaluation of the full-size pictures with a recipe, on the pictures reduced. Costs an evaluation."""
    original, frames = search.evaluator.original, []
    look = Look.measured(search.evaluator.fixed.whole(recipe), original, search.evaluator.scale)
    size = original.shape[2], original.shape[3]
    for sample in search.samples:
        pixels = np.asarray(look.rows(sample.photo, search.device, full=sample.short))
        frames.append(make_frame(pixels, sample.photo.alpha, search.device, size))
    [evaluation] = search.evaluator.score_frames(torch.cat(frames))
    return evaluation
