"""A recipe together with what its steps measured: the same colours become the same colours in every picture."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from .errors import RecipeError, shown
from .imaging.atomic import OnWritten
from .imaging.photo import Photo, copy_photo, load_photo, save_photo, to_image
from .ops.pipeline import chain_statistics
from .ops.registry import Op, Scale, get_op
from .ops.render import render_rows
from .ops.step import Step
from .options import Amounts
from .recipe import Recipe

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from PIL import Image

    from .ops.palette import Recoloured

_LARGEST = 10.0
"""Whatever an op measures is nearer to 0: tones, and logarithms of gains."""
_MALFORMED = "the look is malformed: search the series again, or apply its recipe alone"


@dataclass(frozen=True)
class Look:
    """A recipe with frozen statistics: a few numbers, which any process can be handed, by pickle or as JSON."""

    recipe: Recipe
    statistics: tuple[Any, ...] | None = ()
    """For each step what its op goes by (mean luma, level ends, white gains...), a float in nested tuples, as
    `Op.statistics` gives it for one picture; None for an op that measures nothing. None in place of all of them where
    each picture is measured anew."""

    @staticmethod
    @torch.no_grad()
    def measured(recipe: Recipe, frames: Tensor, scale: Scale) -> Look:
        """A recipe with what it measures in the frames [K,3,h,w] of K pictures together."""
        found = chain_statistics(frames, recipe.steps, scale)
        return Look(recipe, tuple(None if stats is None else _as_tuples(stats[0].tolist()) for stats in found))

    def only(self, text: str) -> Look:
        """This look with chosen steps alone: their numbers from 1 on, ops or groups, separated by commas.

        Raises RecipeError for a word that chooses none.
        """
        chosen: set[int] = set()
        for word in text.replace(",", " ").split():
            found = {
                i for i, step in enumerate(self.recipe.steps) if word in (str(i + 1), step.op, get_op(step.op).group)
            }
            if not found:
                raise RecipeError(f"there is no step {shown(word)} among {', '.join(self.recipe.words()) or 'none'}")
            chosen |= found
        if not chosen:
            raise RecipeError("choose steps: their numbers, ops or groups, separated by commas")
        kept = sorted(chosen)
        statistics = None if self.statistics is None else tuple(self.statistics[i] for i in kept)
        return Look(Recipe(tuple(self.recipe.steps[i] for i in kept)), statistics)

    def scaled(self, amounts: Amounts) -> Look:
        """This look at other amounts, without the steps that do nothing then."""
        scaled = [Recipe((step,)).scaled(amounts).without_noops().steps for step in self.recipe.steps]
        statistics = self.statistics
        if statistics is not None:
            statistics = tuple(stats for stats, steps in zip(statistics, scaled, strict=True) if steps)
        return Look(Recipe(tuple(step for steps in scaled for step in steps)), statistics)

    def lit(self, stops: float) -> Look:
        """This look on a picture that is made lighter by so many stops first. A look that does nothing stays so."""
        if not stops or not len(self.recipe):
            return self
        step = Step("exposure", (stops,))
        statistics = None if self.statistics is None else (None, *self.statistics)
        return Look(Recipe((step, *self.recipe.steps)), statistics)

    def rows(
        self,
        photo: Photo,
        device: str | torch.device = "auto",
        stop: Callable[[], bool] = lambda: False,
        full: float | None = None,
    ) -> np.ndarray | Recoloured:
        """The photo's pixels [H,W,3] with this look, as `ops.render.render_rows` gives them.

        Args:
            full: short side of the full-size picture, in pixels, where the photo is a smaller view of it.
        Raises:
            StoppedError: `stop` returned True.
        """
        stats = None
        if self.statistics is not None:
            stats = [None if s is None else torch.tensor(s, dtype=torch.float32)[None] for s in self.statistics]
        return render_rows(photo, self.recipe.steps, device, stop=stop, full=full, statistics=stats)

    def apply(
        self,
        source: str | os.PathLike[str] | Image.Image | np.ndarray | Photo,
        device: str | torch.device = "auto",
        stop: Callable[[], bool] = lambda: False,
    ) -> Image.Image:
        """A picture with this look, at its own size, with its metadata.

        Raises:
            ImageError: it can't be read.
            StoppedError: `stop` returned True.
        """
        photo = load_photo(source)
        return to_image(photo, self.rows(photo, device, stop))

    def save(
        self,
        source: str | os.PathLike[str] | Image.Image | np.ndarray | Photo,
        path: str | os.PathLike[str],
        device: str | torch.device = "auto",
        stop: Callable[[], bool] = lambda: False,
        overwrite_input: bool = False,
        on_written: OnWritten | None = None,
    ) -> Path:
        """Write a picture with this look, and return the path. A look without steps copies a file byte for byte.

        Args:
            overwrite_input: whether `path` may be the source.
            on_written: called with the complete file, just before it takes its place.
        Raises:
            ImageError: the picture can't be read or written.
            StoppedError: `stop` returned True.
        """
        photo = load_photo(source)
        how: dict[str, Any] = {"overwrite_input": overwrite_input, "on_written": on_written}
        if not len(self.recipe):
            return copy_photo(photo, path, **how)
        return save_photo(photo, self.apply(photo, device, stop), path, **how)

    def to_dict(self) -> dict[str, Any]:
        """For JSON. Read as a recipe, it is the recipe, which measures every picture anew."""
        statistics = None if self.statistics is None else list(self.statistics)
        return {"recipe": self.recipe.to_dict(), "statistics": statistics}

    @staticmethod
    def from_json(text: str) -> Look:
        """Of a file that `--save-recipe` wrote; of a recipe none of whose steps measures anything, that. Raises
        RecipeError."""
        recipe, text = Recipe.parse(text), text.strip()
        if text[0] == "{" and "statistics" in (data := json.loads(text)):
            return Look.from_dict(data)
        measuring = [step.op for step in recipe.steps if get_op(step.op).statistics]
        if measuring:
            raise RecipeError(f"it does not say what {', '.join(measuring)} measured: apply it without --frozen")
        return Look(recipe, (None,) * len(recipe))

    @staticmethod
    def from_dict(data: Any) -> Look:
        """Of `to_dict`, or of anything that holds its entries. Raises RecipeError."""
        recipe = Recipe.from_dict(data)
        statistics = data.get("statistics")
        if not isinstance(statistics, Sequence) or len(statistics) != len(recipe):
            raise RecipeError(_MALFORMED)
        pairs = zip(recipe.steps, statistics, strict=True)
        return Look(recipe, tuple(_checked(get_op(step.op), stats) for step, stats in pairs))


def _checked(op: Op, stats: Any) -> Any:
    """Statistics that were read, as nested tuples. Raises RecipeError where they are not such as the op measures."""
    if op.statistics is None and stats is None:
        return None
    try:
        found = torch.tensor(stats, dtype=torch.float32)
    except (TypeError, ValueError, OverflowError, RuntimeError):
        raise RecipeError(_MALFORMED) from None
    wanted = op.statistics(torch.zeros(1, 3, 8, 8))[0].shape if op.statistics else None
    if found.shape != wanted or not (found.abs() <= _LARGEST).all():
        raise RecipeError(_MALFORMED)
    return _as_tuples(found.tolist())


def _as_tuples(values: Any) -> Any:
    return tuple(_as_tuples(value) for value in values) if isinstance(values, list) else values
