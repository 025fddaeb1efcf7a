"""The end of a search: its best recipe is simplified, rendered at full size, scored once more, and told as a Result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from PIL import Image

from ..checkpoint import SavedSearch, best_of, fingerprint
from ..imaging.frames import make_frame
from ..imaging.photo import Photo, to_image
from ..imaging.pixels import from_image
from ..imaging.reduce import reduction
from ..ops.palette import Palette, has_palette
from ..ops.render import render_rows
from ..recipe import Recipe
from ..result import Other, Result
from .directions import directions
from .diversity import find_others
from .evaluator import Evaluation, Evaluator
from .loop import FINAL, Search
from .simplify import carried, simplify
from .visibility import KEPT, distances, leave_out_invisible

CHAINS = 60
"""Sequences of ops that a result tells of."""


def finish(search: Search, others: int = 0) -> Result:
    """The result of a search that has ended.

    Args:
        others: how many other results hard mode tells of at most.
    """
    strength, photo, before = search.options.strength, search.photo, search.before
    # of the smallest budgets nothing is left but to score the result
    careful = search.budget.remaining_evaluations(0) >= (3 if strength == 1 else FINAL)
    recipe, best, least = search.recipe, search.best, before.objective
    if search.saved and search.resumed:
        least = search.resumed[1].objective
        if best is search.resumed[0]:  # nothing better was found: the same result again
            recipe, best = search.saved.recipe, search.resumed[1]
    if careful:
        recipe, best = _settle(search, recipe, best)
    recipe, contributions = _simplified(search, recipe, best, least)
    scaled = recipe.scaled(strength)
    fine = FinePredictor(photo, search.reduced, search.evaluator)
    image, predicted, after = None, before, before
    if len(scaled):
        predicted = fine.predict(recipe) if careful else best
    if len(scaled) and _gains(search, predicted.objective, search.margin):
        if strength != 1 and careful:
            predicted, contributions = fine.predict(scaled), ()
        if careful and (strength != 1 or not search.saved or recipe != search.saved.recipe):
            shorter, predicted = _visible(search, scaled, predicted, fine, least)
            contributions = carried(scaled, contributions, shorter)
            recipe, scaled = shorter if strength == 1 else recipe, shorter
        if careful and fine.is_exact:  # the prediction was the picture itself: there is nothing more to see
            image, after = to_image(photo, fine.rendered(scaled)), predicted
        else:
            image = to_image(photo, render_rows(photo, scaled.steps, search.device, search.evaluator.original))
            after = fine.score(image)
    # the margin is for the correction as found: a part of it need only gain
    if not _gains(search, after.objective, search.margin if strength == 1 else 0):
        scaled, contributions, image = Recipe(), (), None
        predicted = after = before
    archived = search.archive.best() if search.archive else []
    [(direction, distance)] = _looks(search, [scaled]) if len(scaled) else [("", 0.0)]
    return Result(
        photo=photo,
        _image=image,
        recipe=scaled,
        score_before=before.score,
        score_after=after.score,
        score_predicted=predicted.score,
        contributions=contributions,
        scorer=search.scorer.name,
        others=_others(search, recipe, archived, fine, others) if len(scaled) and archived else (),
        evaluations=search.evaluator.evaluations,
        seconds=search.budget.elapsed,
        trace=tuple(search.trace),
        direction=direction,
        distance=distance,
        notes=tuple(search.notes),
        chains=tuple((ops, best - before.objective) for ops, best in search.tree.chains()[:CHAINS]),
        _search=_checkpoint(search, recipe, archived),
    )


class FinePredictor:
    """Predicts what the full-size picture will be scored, on the picture reduced: that holds more of its detail than
    the frame.

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
            frame = self._evaluator.original
            full = None if self.is_exact else self._evaluator.scale.full
            rows = render_rows(self._reduced, recipe.steps, frame.device, frame, full=full, palette=self._palette)
            self._last = recipe, np.asarray(rows)
        return self._last[1]

    @cached_property
    def _palette(self) -> Palette | None:
        return Palette(self._reduced.pixels) if has_palette(self._reduced.pixels) else None

    def predict(self, recipe: Recipe) -> Evaluation:
        """The evaluation of the full-size picture with a recipe. Costs an evaluation."""
        return self._score(self.rendered(recipe), self._reduced.alpha)

    def score(self, image: Image.Image) -> Evaluation:
        """The evaluation of the full-size picture as it was rendered. Costs an evaluation."""
        if image.mode == "RGB":  # Pillow is quicker than to get all of its pixels
            factor = reduction(self._photo.pixels)
            image = image.reduce(factor, (0, 0, *(side - side % factor for side in image.size)))
        return self._score(from_image(image), self._photo.alpha)

    def _score(self, pixels: np.ndarray, alpha: np.ndarray | None) -> Evaluation:
        [evaluation] = self._evaluator.score_frames(make_frame(pixels, alpha, self._evaluator.original.device))
        return evaluation


def _settle(search: Search, recipe: Recipe, best: Evaluation) -> tuple[Recipe, Evaluation]:
    """The best recipe; where it gains nothing at the strength asked for, another good one that does."""
    strength = search.options.strength
    if strength == 1 or not len(recipe):
        return recipe, best
    [objective] = search.evaluator.objectives([recipe.scaled(strength)])
    nodes = search.tree.best_of_each_chain(search.config.parents)
    nodes = [node for node in nodes if _gains(search, node.objective, search.margin)]
    nodes = nodes[: search.budget.remaining_evaluations(FINAL + 1)]
    if not nodes or _gains(search, objective, 0):
        return recipe, best
    objectives = search.evaluator.objectives([node.recipe.scaled(strength) for node in nodes])
    node = nodes[max(range(len(nodes)), key=objectives.__getitem__)]
    [evaluation] = search.evaluator.score_frames(search.evaluator.frames([node.recipe]))
    return node.recipe, evaluation


def _simplified(search: Search, recipe: Recipe, best: Evaluation, least: float) -> tuple[Recipe, tuple[float, ...]]:
    """The recipe without steps that add nothing, and what each step of it contributes."""
    gain = best.objective - search.before.objective
    # all steps that are dropped together may cost a tenth of the gain, and never the margin
    floor = max(search.before.objective + max(0.9 * gain, min(search.margin, gain)), least)
    budget, limit = search.budget, search.budget.evaluations

    def may_go_on(count: int, first: bool) -> bool:
        # the first pass may be a batch late, but not one evaluation too many
        fits = limit is None or search.evaluator.evaluations + count + FINAL <= limit
        return fits and (first or budget.remaining(count + FINAL) > 0)

    return simplify(recipe, best.objective, search.evaluator.objectives, search.margin / 2, floor, may_go_on)


def _visible(
    search: Search, recipe: Recipe, predicted: Evaluation, fine: FinePredictor, least: float
) -> tuple[Recipe, Evaluation]:
    """The recipe as applied, without what doesn't show in the picture, as far as most of the gain stays.

    Args:
        predicted: what the full-size picture with it will get.
        least: what must be reached to be no worse than a saved search's result.
    """
    gain, full = predicted.objective - search.before.objective, search.options.strength == 1
    floor = search.before.objective + max(KEPT * gain, min(search.margin if full else 0, gain))
    check = full and search.resumed is not None
    cost = 2 if check else 1
    for number, shorter in enumerate(reversed(leave_out_invisible(search.evaluator, recipe))):
        # one may be a little late
        remaining = search.budget.remaining(1) if number else search.budget.remaining_evaluations(1)
        if remaining < cost:
            break
        evaluation = fine.predict(shorter)
        if evaluation.objective >= floor and (not check or search.evaluator.objectives([shorter])[0] >= least):
            return shorter, evaluation
    return recipe, predicted


def _gains(search: Search, objective: float, least: float) -> bool:
    """Whether a change gains anything, and at least so much."""
    gain = objective - search.before.objective
    return gain > 0 and gain >= least


def _others(
    search: Search, chosen: Recipe, archived: Sequence[tuple[Recipe, float]], fine: FinePredictor, count: int
) -> tuple[Other, ...]:
    """In hard mode, what else the search found that is good and looks different."""

    def predict(recipe: Recipe) -> Evaluation:
        if search.budget.remaining(1):
            return fine.predict(recipe)
        # time is up: a batch's worth of these takes no longer than a batch
        [evaluation] = search.evaluator.score_frames(search.evaluator.frames([recipe]))
        return evaluation

    others = find_others(
        search.evaluator,
        archived,
        chosen,
        search.before.objective,
        search.options.strength,
        search.margin,
        predict,
        search.budget.remaining,
        min(count, search.budget.remaining_evaluations(0)),
    )
    looks = _looks(search, [recipe for recipe, _ in others])
    return tuple(
        Other(search.photo, recipe, evaluation.score, *look, search.device)
        for (recipe, evaluation), look in zip(others, looks, strict=True)
    )


def _looks(search: Search, recipes: list[Recipe]) -> list[tuple[str, float]]:
    """Of recipes as applied: the direction in which each goes, and how far the picture moves."""
    if not recipes:
        return []
    [untouched, *_] = thumbnails = search.evaluator.thumbnails([Recipe(), *recipes])
    named = directions(thumbnails[1:], untouched[None])
    return list(zip(named, distances(search.evaluator, recipes), strict=True))


def _checkpoint(search: Search, recipe: Recipe, archived: Sequence[tuple[Recipe, float]]) -> Callable[[], SavedSearch]:
    """What there is to save, made when asked for: the picture's fingerprint takes a moment."""
    options, saved = search.options, search.saved
    evaluations = search.evaluator.evaluations
    nodes = [(node.recipe, node.objective) for node in search.tree.nodes()]
    if saved is not None:  # what this search was not allowed to use is kept as well
        evaluations += saved.evaluations
        nodes = [*saved.nodes, *nodes]
        recipe = recipe if len(recipe) else saved.recipe
    kind = search.scorer.name, options.mode, options.guards
    return lambda: SavedSearch(*kind, fingerprint(search.photo), evaluations, recipe, best_of(nodes, archived))
