"""The end of a search on one picture: its recipe is rendered at full size, scored once more, and told as a Result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from ..checkpoint import SavedSearch, best_of, fingerprint
from ..errors import StoppedError
from ..imaging.frames import make_frame, to_tensor
from ..imaging.photo import Photo, to_image
from ..imaging.pixels import from_image
from ..imaging.reduce import reduction
from ..ops.palette import Palette, Recoloured, has_palette
from ..ops.render import render_rows
from ..recipe import Recipe
from ..result import Other, Result
from ..scoring.limits import CHECKED, Limits, thinned
from .conclusion import conclude, gains
from .directions import directions
from .diversity import find_others
from .evaluator import Evaluation, Evaluator
from .features import thumbnail
from .held import what_was_held
from .loop import Search, judged_with
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
    amounts, before = search.amounts, search.before
    fine = FinePredictor(photo, search.samples[0].photo, search.evaluator, lambda: search.budget.stopped)
    end = conclude(search, fine.predict, fine.hold)
    recipe, scaled, predicted, contributions = end.recipe, end.scaled, end.predicted, end.contributions
    fixed = search.evaluator.fixed
    pixels, image, after = None, None, before
    if len(scaled):
        pixels, image, after = fine.finished(scaled, predicted, end.careful)
    # the margin is for the correction as found: a part of it need only gain
    if not gains(search, after.objective, search.margin if amounts.as_found else 0):
        scaled, pixels, image = Recipe(), None, None
        predicted = after = before
        if fixed and search.budget.remaining_evaluations(0):
            pixels, image, after = fine.finished(scaled, before)
    whole = fixed.whole(scaled)
    archived = search.archive.best() if search.archive else []
    [(direction, distance)] = _looks(search, [scaled]) if len(whole) else [("", 0.0)]
    return Result(
        photo=photo,
        _image=image,
        _pixels=None if photo.pixels.dtype == np.uint8 else pixels,
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
        opinion=second_opinion(search, scaled) if len(whole) and not search.budget.stopped else None,
        held=what_was_held(search, end.held),
        device=search.device,
        _search=_checkpoint(search, photo, recipe, archived),
    )


class FinePredictor:
    """Predicts what the full-size picture will be scored, on the picture reduced: that holds more of its detail than
    the frame. Recipes are those without the fixed steps, pictures those with them.

    Once the user wants an end, the frame alone is asked: whoever waits for a large picture doesn't wait for more of it.

    Args:
        photo: the picture.
        reduced: the same, reduced.
        evaluator: scores its frame.
        stop: whether the user wants an end.
    """

    def __init__(
        self, photo: Photo, reduced: Photo, evaluator: Evaluator, stop: Callable[[], bool] = lambda: False
    ) -> None:
        self._photo, self._reduced, self._evaluator = photo, reduced, evaluator
        self.is_exact = reduced is photo
        """Whether the picture is too small to be reduced, so that predictions are made of itself."""
        # a small picture takes no longer than its frame
        self._stop = (lambda: False) if self.is_exact else stop
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
        self._check()
        rows = render_rows(self._reduced, steps, frame.device, frame, self._stop, full, self._palette)
        return np.asarray(rows)

    def _check(self) -> None:
        if self._stop():
            raise StoppedError("stopped: the frame must do")

    @cached_property
    def _palette(self) -> Palette | None:
        return Palette(self._reduced.pixels, self._check) if has_palette(self._reduced.pixels) else None

    def finished(
        self, recipe: Recipe, predicted: Evaluation, careful: bool = False
    ) -> tuple[np.ndarray | Recoloured | None, Image.Image | None, Evaluation]:
        """The full-size picture with a recipe, as pixels [H,W,3] and as an image, and its evaluation, which costs an
        evaluation. No picture, and what was predicted, once the user wants an end: it is rendered when it is asked for.

        Args:
            careful: whether `predicted` comes from `predict`.
        """
        frame, steps = self._evaluator.original, self._evaluator.fixed.around(recipe.steps)
        try:
            if careful and self.is_exact:  # the prediction was the picture itself: there is nothing more to see
                pixels = self.rendered(recipe)
                return pixels, to_image(self._photo, pixels), predicted
            self._check()
            pixels = render_rows(self._photo, steps, frame.device, frame, self._stop)
            image = to_image(self._photo, pixels)
            return pixels, image, self.score(image)
        except StoppedError:
            return None, None, predicted

    def predict(self, recipe: Recipe) -> Evaluation:
        """The evaluation of the full-size picture with a recipe. Costs an evaluation."""
        try:
            return self._score(self.rendered(recipe), self._reduced.alpha)
        except StoppedError:
            return self.roughly(recipe)

    def roughly(self, recipe: Recipe) -> Evaluation:
        """The same of the frame."""
        [evaluation] = self._evaluator.score_frames(self._evaluator.frames([recipe]))
        return evaluation

    @torch.no_grad()
    def hold(self, recipe: Recipe) -> bool:
        """Whether the reduced picture with a recipe keeps within the limits. Costs no evaluation."""
        if not self._evaluator.keep(recipe):
            return False
        try:
            return not self._evaluator.limits or self._limits.hold(self._checked(self.rendered(recipe)))
        except StoppedError:
            return self._evaluator.hold(recipe)

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
        return fine.roughly(recipe)

    count, fixed = min(count, search.budget.remaining_evaluations(0)), search.evaluator.fixed
    count = min(count, search.budget.affordable)
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
        scaled,
        search.before.objective,
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
        nodes = [*(saved.nodes if search.trusted else ()), *nodes]
        recipe = recipe if len(recipe) else saved.recipe
    kind, fixed = judged_with(search.scorer, options), search.evaluator.fixed.around(())
    return lambda: SavedSearch(
        picture=fingerprint(photo, fixed),
        evaluations=evaluations,
        recipe=recipe,
        nodes=best_of(nodes, archived),
        **kind,
    )
