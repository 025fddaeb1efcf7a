"""What an enhancement tells while it runs, and what it gives at the end."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from .checkpoint import SavedSearch
from .imaging.atomic import OnWritten
from .imaging.frames import make_frame
from .imaging.photo import Photo, copy_photo, save_photo, to_image
from .imaging.pixels import from_image
from .look import Look
from .ops.pipeline import scale_of
from .ops.render import render, render_rows
from .recipe import Recipe


@dataclass(frozen=True)
class Event:
    """How far a search has come."""

    evaluations: int
    """Candidates scored so far."""
    seconds: float
    """Since the search began; loading the picture and the scorer comes before."""
    score_before: float
    best_score: float
    """The scorer's figure for the best recipe so far."""
    recipe: Recipe
    """The best so far, before amounts and simplification."""
    progress: float
    """The part of the budget that is spent, 0..1; a search that finds nothing more ends before 1."""
    _preview: Callable[[], Image.Image] = field(repr=False, compare=False)

    @cached_property
    def preview(self) -> Image.Image:
        """The best so far as a small picture; made when first asked for."""
        return self._preview()


@dataclass(frozen=True, eq=False)
class Other:
    """Another result of the same search. Nothing is rendered before it is asked for."""

    photo: Photo = field(repr=False)
    """The untouched picture."""
    recipe: Recipe
    """The recipe as applied: amounts included, superfluous steps dropped."""
    score: float
    """What the full-size picture will get."""
    direction: str = ""
    """What it does to the picture in a word or two, such as "warm" (see `search.directions`), "" where that isn't
    clear; in soft mode "gentle", "bolder" or "another reading"."""
    distance: float = 0.0
    """How far it is from the untouched picture: the mean color difference (CIE94, in dE; about 1 is the least that
    shows)."""
    device: str | torch.device = field(default="auto", repr=False)

    def render(self) -> np.ndarray:
        """[H,W,3], made anew each time."""
        return render(self.photo, self.recipe.steps, self.device)

    @property
    def image(self) -> Image.Image:
        """The picture as a PIL image, with the metadata of the source; made anew each time."""
        return to_image(self.photo, render_rows(self.photo, self.recipe.steps, self.device))

    @property
    def look(self) -> Look:
        """See `Result.look`."""
        return look_of(self.photo, self.recipe)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it. Raises ImageError."""
        return save_photo(self.photo, self.image, path)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pixels, for JSON."""
        return {
            "score": self.score,
            "direction": self.direction,
            "distance": round(self.distance, 2),
            "steps": self.recipe.words(),
            "recipe": self.recipe.to_dict(),
            "infotext": self.recipe.to_line(),
        }


def look_of(photo: Photo, recipe: Recipe) -> Look:
    """A recipe with what its steps measure in a picture."""
    frame = make_frame(photo.pixels, photo.alpha)
    return Look.measured(recipe, frame, scale_of(frame, min(photo.pixels.shape[:2])))


@dataclass(frozen=True)
class Opinion:
    """What a scorer that took no part in a search says of its result."""

    scorer: str
    before: float
    after: float

    def to_dict(self) -> dict[str, Any]:
        return {"scorer": self.scorer, "before": self.before, "after": self.after}


@dataclass(frozen=True, eq=False)
class Result:
    """What an enhancement found."""

    photo: Photo = field(repr=False)
    """The untouched picture."""
    _image: Image.Image | None = field(repr=False)
    """The enhanced picture; None where nothing was changed."""
    recipe: Recipe
    """The recipe as applied: amounts included, superfluous steps dropped; the steps that `neutral` and `lut` ask for
    first and last. Empty where nothing was changed."""
    score_before: float
    score_after: float
    """The score of the full-size result."""
    score_predicted: float
    """What the search expected `score_after` to be."""
    contributions: tuple[float, ...]
    """For each step, what the score with penalties would lose without it, 0 for those that `neutral` and `lut` ask for;
    empty where there was no time to tell, and at other amounts."""
    scorer: str
    evaluations: int
    seconds: float
    """From the first look at the picture to the finished result; loading comes before, saving after."""
    trace: tuple[tuple[int, float, float], ...]
    """(evaluations, seconds, best score) at each improvement."""
    _search: Callable[[], SavedSearch] = field(repr=False)
    direction: str = ""
    distance: float = 0.0
    """Direction and distance as those of an `Other`."""
    notes: tuple[str, ...] = ()
    """What the user should know about this picture or run."""
    chains: tuple[tuple[tuple[str, ...], float], ...] = field(default=(), repr=False)
    """The best sequences of ops that the search tried, and what each gained with penalties; best first."""
    others: tuple[Other, ...] = field(default=(), repr=False)
    """In hard mode: what else is good and looks different, the highest score first. In soft mode: the same gentler and
    bolder."""
    opinion: Opinion | None = None
    """A second one; None for an unchanged picture, and where every scorer at hand took part."""
    held: tuple[str, ...] = ()
    """Which guards decided something, a sentence each, two at most."""

    @property
    def changed(self) -> bool:
        return len(self.recipe) > 0

    @cached_property
    def search(self) -> SavedSearch:
        """What the search found out: save it, and another search can go on from it."""
        return self._search()

    @cached_property
    def image(self) -> Image.Image:
        """The result as a PIL image, with the alpha, EXIF, ICC profile and text of the source."""
        return self._image.copy() if self._image else to_image(self.photo, self.photo.pixels)

    @cached_property
    def look(self) -> Look:
        """The recipe with what its steps measured in this picture: the same colours become the same elsewhere."""
        return look_of(self.photo, self.recipe)

    @cached_property
    def pixels(self) -> np.ndarray:
        """[H,W,3], the enhanced picture without its alpha; the photo's own where nothing was changed."""
        if self._image is None:
            return self.photo.pixels
        if self.photo.pixels.dtype != np.uint8:  # an image has but 8 bits a colour
            return render(self.photo, self.recipe.steps)
        return np.array(from_image(self._image))

    def save(
        self, path: str | os.PathLike[str], overwrite_input: bool = False, on_written: OnWritten | None = None
    ) -> Path:
        """Write the result; an untouched picture is copied byte for byte.

        Args:
            overwrite_input: whether `path` may be the source.
            on_written: called with the complete file, just before it takes its place.
        Raises:
            ImageError: it can't be written.
        """
        how = {"overwrite_input": overwrite_input, "on_written": on_written}
        if not self.changed and self.photo.path is not None:
            return copy_photo(self.photo, path, **how)
        pixels = self.photo.pixels if self._image is None else self._image
        return save_photo(self.photo, pixels, path, **how)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the pixels, for JSON."""
        return {
            "changed": self.changed,
            "scorer": self.scorer,
            "score_before": self.score_before,
            "score_after": self.score_after,
            "score_predicted": self.score_predicted,
            "direction": self.direction,
            "distance": round(self.distance, 2),
            "steps": self.recipe.words(),
            "contributions": list(self.contributions),
            "recipe": self.recipe.to_dict(),
            "infotext": self.recipe.to_line(),
            "evaluations": self.evaluations,
            "seconds": round(self.seconds, 3),
            "trace": [list(point) for point in self.trace],
            "notes": list(self.notes),
            "opinion": self.opinion.to_dict() if self.opinion else None,
            "held": list(self.held),
            "others": [other.to_dict() for other in self.others],
        }
