"""The end of a search on one picture: its recipe is rendered at full size, scored once more, and told as a Result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..checkpoint import SavedSearch, best_of, fingerprint
from ..imaging.frames import make_frame, to_tensor
from ..imaging.photo import Photo, to_image
from ..imaging.pixels import from_image
from ..imaging.reduce import reduction
from ..ops.palette import Palette, has_palette
from ..ops.render import render_rows
from ..recipe import Recipe
from ..result import Other, Result
from ..scoring.limits import CHECKED, Limits, thinned
from ..scoring.protocol import known_as
from .conclusion import conclude, gains
from .directions import directions
from .diversity import find_others
from .evaluator import Evaluation, Evaluator
from .features import thumbnail
from .held import what_was_held
from .loop import Search
from .opinion import second_opinion
from .versions import versions
from .visibility import distances

CHAINS = 60
"""Sequences of ops that a result tells of."""


def finish(search: Search, photo: Photo, others: int = 0) -> Result:
    """The result of a search on one picture that has ended.

    Args:
        photo: the picture.
        others: how many other results to tell of at most; soft mode has two.
    """
    amounts, before = search.options.amounts, search.before
    fine = FinePredictor(photo, search.samples[0].photo, search.evaluator)
    end = conclude(search, fine.predict, fine.hold)
    recipe, scaled, predicted, contributions = end.recipe, end.scaled, end.predicted, end.contributions
    fixed = search.evaluator.fixed
    image, after = None, before
    if len(scaled):
        if end.careful and fine.is_exact:  # the prediction was the picture itself: there is nothing more to see
            image, after = to_image(photo, fine.rendered(scaled)), predicted
        else:
            image = fine.image(scaled)
            after = fine.score(image)
    # the margin is for the correction as found: a part of it need only gain
    if not gains(search, after.objective, search.margin if amounts.as_found else 0):
        scaled, image = Recipe(), None
        predicted = after = before
        if fixed:
            image = fine.image(scaled)
            after = fine.score(image) if search.budget.remaining_evaluations(0) else before
    whole = fixed.whole(scaled)
    archived = search.archive.best() if search.archive else []
    [(direction, distance)] = _looks(search, [scaled]) if len(whole) else [("", 0.0)]
    return Result(
        photo=photo,
        _image=image,
        recipe=whole,
        score_before=search.untouched.score,
        score_after=after.score,
        score_predicted=predicted.score,
        contributions=fixed.with_zeros(contributions, scaled),
        scorer=search.scorer.name,
        others=_others(search, photo, recipe, scaled, archived, fine, others) if len(scaled) else (),
        evaluations=search.evaluator.evaluations,
        seconds=search.budget.elapsed,
        trace=tuple(search.trace),
        direction=direction,
        distance=distance,
        notes=tuple(search.notes),
        chains=tuple((ops, best - before.objective) for ops, best in search.tree.chains()[:CHAINS]),
        opinion=second_opinion(search, scaled) if len(whole) else None,
        held=what_was_held(search, end.held),
        _search=_checkpoint(search, photo, recipe, archived),
    )


class FinePredictor:
    """Predicts what the full-size picture will be scored, on the picture reduced: that holds more of its detail than
    the frame. Recipes are those without the fixed steps, pictures those with them.

    Args:
        photo: the picture.
        reduced: the same, reduced.
        evaluator: scores its frame.
    """

    def __init__(self, photo: Photo, reduced: Photo, evaluator: Evaluator) -> None:
        self._photo, self._reduced, self._evaluator = photo, reduced, evaluator
        self.is_exact = reduced is photo
        """Whether the picture is too small to be reduced, so that predictions are made of itself."""
        self._last: tuple[Recipe, np.ndarray] | None = None

    def rendered(self, recipe: Recipe) -> np.ndarray:
        """The reduced picture with a recipe, [h,w,3]. The steps go by what they measure in the frame, as they will at
        full size."""
        if self._last is None or self._last[0] != recipe:
            self._last = recipe, self._render(recipe)
        return self._last[1]

    def _render(self, recipe: Recipe) -> np.ndarray:
        frame = self._evaluator.original
        full = None if self.is_exact else self._evaluator.scale.full
        steps = self._evaluator.fixed.around(recipe.steps)
        return np.asarray(render_rows(self._reduced, steps, frame.device, frame, full=full, palette=self._palette))

    @cached_property
    def _palette(self) -> Palette | None:
        return Palette(self._reduced.pixels) if has_palette(self._reduced.pixels) else None

    def image(self, recipe: Recipe) -> Image.Image:
        """The full-size picture with a recipe."""
        frame, steps = self._evaluator.original, self._evaluator.fixed.around(recipe.steps)
        return to_image(self._photo, render_rows(self._photo, steps, frame.device, frame))

    def predict(self, recipe: Recipe) -> Evaluation:
        """The evaluation of the full-size picture with a recipe. Costs an evaluation."""
        return self._score(self.rendered(recipe), self._reduced.alpha)

    @torch.no_grad()
    def hold(self, recipe: Recipe) -> bool:
        """Whether the reduced picture with a recipe keeps within the limits. Costs no evaluation."""
        if not self._evaluator.keep(recipe):
            return False
        return not self._evaluator.limits or self._limits.hold(self._checked(self.rendered(recipe)))

    @cached_property
    def _limits(self) -> Limits:
        [limits] = self._evaluator.limits
        mask = self._reduced.mask
        mask = None if mask is None else self._checked(mask[:, :, None])[:, :1]
        # not `rendered`, which would forget the candidate that is being checked
        return Limits(self._checked(self._render(Recipe())), bounds=limits.bounds, mask=mask)

    def _checked(self, pixels: np.ndarray) -> Tensor:
        """The pixels of the reduced picture that limits are checked on; where some are transparent, its frame."""
        alpha, device = self._reduced.alpha, self._evaluator.original.device
        return thinned(to_tensor(pixels, device) if alpha is None else make_frame(pixels, alpha, device), CHECKED)

    def score(self, image: Image.Image) -> Evaluation:
        """The evaluation of the full-size picture as it was rendered. Costs an evaluation."""
        if image.mode == "RGB":  # Pillow is quicker than to get all of its pixels
            factor = reduction(self._photo.pixels)
            image = image.reduce(factor, (0, 0, *(side - side % factor for side in image.size)))
        return self._score(from_image(image), self._photo.alpha)

    def _score(self, pixels: np.ndarray, alpha: np.ndarray | None) -> Evaluation:
        [evaluation] = self._evaluator.score_frames(make_frame(pixels, alpha, self._evaluator.original.device))
        return evaluation


def _others(
    search: Search,
    photo: Photo,
    chosen: Recipe,
    scaled: Recipe,
    archived: Sequence[tuple[Recipe, float]],
    fine: FinePredictor,
    count: int,
) -> tuple[Other, ...]:
    """In hard mode, what else the search found that is good and looks different; in soft mode, versions of the result.

    Args:
        chosen: the result's recipe as found.
        scaled: the same as applied.
    """

    def predict(recipe: Recipe) -> Evaluation:
        if search.budget.remaining(1):
            return fine.predict(recipe)
        # time is up: a batch's worth of these takes no longer than a batch
        [evaluation] = search.evaluator.score_frames(search.evaluator.frames([recipe]))
        return evaluation

    count, fixed = min(count, search.budget.remaining_evaluations(0)), search.evaluator.fixed
    if search.options.mode == "soft":
        found = versions(search, chosen, scaled, predict, fine.hold, count)
        moved = distances(search.evaluator, [recipe for recipe, *_ in found]) if found else []
        return tuple(
            Other(photo, fixed.whole(recipe), evaluation.score, name, distance, search.device)
            for (recipe, evaluation, name), distance in zip(found, moved, strict=True)
        )
    others = find_others(
        search.evaluator,
        archived,
        chosen,
        search.before.objective,
        search.options.amounts,
        search.margin,
        predict,
        search.budget.remaining,
        count,
    )
    looks = _looks(search, [recipe for recipe, _ in others])
    return tuple(
        Other(photo, fixed.whole(recipe), evaluation.score, *look, search.device)
        for (recipe, evaluation), look in zip(others, looks, strict=True)
    )


def _looks(search: Search, recipes: list[Recipe]) -> list[tuple[str, float]]:
    """Of recipes as applied, fixed steps included: the direction in which each goes, and how far the picture moves."""
    if not recipes:
        return []
    named = directions(search.evaluator.thumbnails(recipes), thumbnail(search.evaluator.original))
    return list(zip(named, distances(search.evaluator, recipes), strict=True))


def _checkpoint(
    search: Search, photo: Photo, recipe: Recipe, archived: Sequence[tuple[Recipe, float]]
) -> Callable[[], SavedSearch]:
    """What there is to save, made when asked for: the picture's fingerprint takes a moment."""
    options, saved = search.options, search.saved
    evaluations = search.evaluator.evaluations
    nodes = [(node.recipe, node.objective) for node in search.tree.nodes()]
    if saved is not None:  # what this search was not allowed to use is kept as well
        evaluations += saved.evaluations
        nodes = [*saved.nodes, *nodes]
        recipe = recipe if len(recipe) else saved.recipe
    kind, fixed = (known_as(search.scorer), options.mode, options.guards), search.evaluator.fixed.around(())
    return lambda: SavedSearch(*kind, fingerprint(photo, fixed), evaluations, recipe, best_of(nodes, archived))
