"""What soft mode offers beside its result: the correction gentler and bolder, or another reading of the picture."""

from __future__ import annotations

from ..recipe import Recipe
from .conclusion import Hold, Predict
from .evaluator import Evaluation
from .loop import Search
from .visibility import distances

GENTLE, BOLDER = 0.5, 1.5
"""Strengths of the versions, relative to the result's."""
APART = 1.5
"""Mean color difference (dE, CIE94) by which another reading must differ from the result."""

Version = tuple[Recipe, Evaluation, str]
"""The recipe as it is to be applied, what it will get at full size, and its name."""


def versions(search: Search, chosen: Recipe, scaled: Recipe, predict: Predict, hold: Hold, count: int) -> list[Version]:
    """Up to two other versions of a soft result, which keep within the limits as well. Where more of the correction is
    worse than none, another chain that gains enough and shows takes the bolder one's place.

    Args:
        chosen: the result's recipe as found.
        scaled: the same as applied, amounts included.
        count: how many at most; the budget must have an evaluation for each.
    """
    gentle, bolder = scaled.scaled(GENTLE), scaled.scaled(BOLDER)
    found: list[Version] = []
    if count and len(gentle):
        found.append((gentle, predict(gentle), "gentle"))
    if len(found) == count or bolder == scaled:
        return found
    evaluation = predict(bolder)
    if evaluation.objective >= search.before.objective and hold(bolder):
        return [*found, (bolder, evaluation, "bolder")]
    another = _another(search, chosen, scaled, hold)
    if another is not None and count - len(found) > 1:
        found.append((another, predict(another), "another reading"))
    return found


def _another(search: Search, chosen: Recipe, scaled: Recipe, hold: Hold) -> Recipe | None:
    """The best chain that gains enough and looks different from the result, as it is to be applied."""
    for node in search.tree.best_of_each_chain(search.config.parents):
        recipe = node.recipe.scaled(search.amounts)
        enough = node.objective >= search.before.objective + search.margin
        if enough and node.recipe != chosen and len(recipe):
            [apart] = distances(search.evaluator, [recipe], scaled)
            if apart >= APART and hold(recipe):
                return recipe
    return None
