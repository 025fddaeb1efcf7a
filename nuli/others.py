"""Hard mode's other results: recipes that the search came upon whose pictures look different."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from .evaluator import Evaluator, Judged
from .looks import colours, distances
from .recipe import Recipe
from .search.gallery import APART, ENOUGH, pick
from .search.simplify import simplify

SAME = 2.0
"""How far simplifying may move a look."""
COST = 4
"""Evaluations that each other result takes, more or less: to drop steps, and to predict its score."""
Look = Callable[[Sequence[Recipe]], Tensor]


def find_others(
    evaluator: Evaluator,
    known: Sequence[tuple[Recipe, float]],
    chosen: Recipe,
    before: float,
    strength: float,
    margin: float,
    predict: Callable[[Recipe], Judged],
    room: Callable[[int], int],
    count: int,
) -> list[tuple[Recipe, Judged]]:
    """Recipes that look different from the chosen one and from each other.

    Args:
        known: recipes with their objectives, best first.
        chosen: the result's recipe, before strength.
        before: the untouched picture's objective.
        margin: what a change must gain, at full strength.
        predict: judges a recipe as the full-size picture will be judged; one evaluation.
        room: room(n): 0 where n evaluations don't fit into the budget.
        count: how many to find at most; the budget must have an evaluation for each.
    Returns:
        Recipes with strength applied, and what `predict` said; the highest score first.
    """
    gain = known[0][1] - before if known else 0.0
    least = max(margin, ENOUGH * gain)
    good = [pair for pair in known if len(pair[0]) and pair[1] - before >= least]
    if gain <= 0 or not good or count < 1:
        return []

    def look(recipes: Sequence[Recipe]) -> Tensor:
        scaled = [recipe.scaled(strength) for recipe in recipes]
        return colours(evaluator.glance(scaled))

    first, *seen = look([chosen, *(recipe for recipe, _ in good)]).split(1)
    gains = [(objective - before) / gain for _, objective in good]
    picked = pick(gains, distances(seen, first), lambda i: distances(seen, seen[i]), count)
    shown = [first, *(seen[i] for i in picked)]
    found = []
    for number, i in enumerate(picked, 1):
        recipe, objective = good[i]
        rest = shown[:number] + shown[number + 1 :]
        floor = before + max(0.9 * (objective - before), least)
        left = len(picked) - number + 1
        recipe, _ = simplify(
            recipe,
            objective,
            lambda shorter, own=shown[number], rest=rest: _lookalikes(evaluator, shorter, look(shorter), own, rest),
            margin / 2,
            floor,
            lambda passed, _, left=left: room(passed + left) > 0,
        )
        shown[number] = look([recipe])
        scaled = recipe.scaled(strength)
        judged = predict(scaled)
        rise = judged.objective - before
        # as for the chosen one: a part of a correction need only gain
        if rise > 0 and (strength != 1 or rise >= margin):
            found.append((scaled, judged))
    return sorted(found, key=lambda pair: -pair[1].score)


def _lookalikes(
    evaluator: Evaluator, recipes: Sequence[Recipe], seen: Tensor, own: Tensor, rest: Sequence[Tensor]
) -> list[float]:
    """Objectives of the recipes that still look as they should and unlike the rest; minus infinity for the others.

    A step that the scorer doesn't miss may be just what makes a picture different.
    """
    alike = [
        moved <= SAME and min(distances(rest, each)) >= APART
        for moved, each in zip(distances(seen.split(1), own), seen.split(1), strict=True)
    ]
    kept = [recipe for recipe, good in zip(recipes, alike, strict=True) if good]
    objectives = iter([judged.objective for batch in evaluator.evaluate(kept) for judged in batch])
    return [next(objectives) if good else -math.inf for good in alike]
