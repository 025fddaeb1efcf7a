"""Several results of one search: recipes that gain much and look different.

The archive keeps what they are picked from while the search runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from ..recipe import Recipe
from .archive import MIN_DISTANCE, MIN_GAIN, span
from .config import MAX_OTHERS
from .directions import directions
from .evaluator import Evaluation, Evaluator
from .features import color_distances, color_grid
from .simplify import simplify
from .visibility import leave_out_invisible

FULL_DISTANCE = 20.0
"""From there on they are different enough: what is gained decides."""
SAME = 2.0
"""How far simplifying may move a result."""


def pick_diverse(
    gains: Sequence[float],
    near: Sequence[float],
    distances: Callable[[int], Sequence[float]],
    directions: Sequence[str],
    count: int = MAX_OTHERS,
) -> list[int]:
    """Which candidates to show beside the best one, in the order of their worth.

    One after the other is taken that gains much and lies far from all that are taken already. A direction that none
    of these has comes first.

    Args:
        gains: of each candidate, as a part of what the best one gains.
        near: how far each candidate lies from the best one.
        distances: distances(i): how far each candidate lies from the i-th.
        directions: that of each candidate, "" where none is clear, and after these that of the best one.
        count: how many to take at most.
    Returns:
        Indices of candidates that gain MIN_GAIN, and lie MIN_DISTANCE from the best one and from each other.
    """
    near, taken = list(near), {"", directions[len(gains)]}
    picked: list[int] = []
    while len(picked) < count:
        able = [i for i, gain in enumerate(gains) if gain >= MIN_GAIN and near[i] >= MIN_DISTANCE and i not in picked]
        if not able:
            break
        picked.append(max(able, key=lambda i: (directions[i] not in taken, gains[i] * min(near[i], FULL_DISTANCE))))
        taken.add(directions[picked[-1]])
        near = [min(pair) for pair in zip(near, distances(picked[-1]), strict=True)]
    return picked


def find_others(
    evaluator: Evaluator,
    archived: Sequence[tuple[Recipe, float]],
    chosen: Recipe,
    before: float,
    margin: float,
    predict: Callable[[Recipe], Evaluation],
    remaining: Callable[[int], int],
    count: int,
) -> list[tuple[Recipe, Evaluation]]:
    """Recipes that look different from the chosen one and from each other.

    Args:
        archived: recipes with their objectives, best first.
        chosen: the result's recipe.
        before: the untouched picture's objective.
        margin: what a change must gain.
        predict: predicts the evaluation of the full-size picture; costs one evaluation.
        remaining: remaining(n): 0 where n evaluations don't fit into the budget.
        count: how many to find at most; the budget must have an evaluation for each.
    Returns:
        Recipes, and what `predict` returned; the highest score first.
    """
    if not archived or archived[0][1] <= before or count < 1:
        return []
    best = archived[0][1]
    whole = span(evaluator, best - before)
    floor = best - (1 - MIN_GAIN) * whole
    if whole == best - before:
        floor = max(floor, before + margin)
    good = [pair for pair in archived if len(pair[0]) and pair[1] >= floor]
    if not good:
        return []

    def grids_of(recipes: Sequence[Recipe]) -> Tensor:
        return color_grid(evaluator.thumbnails(recipes))

    thumbnails = evaluator.thumbnails([*(recipe for recipe, _ in good), chosen])
    *grids, first = color_grid(thumbnails).split(1)
    named = directions(thumbnails, evaluator.thumbnails([Recipe()]))
    gains = [1 - (best - objective) / whole for _, objective in good]
    picked = pick_diverse(
        gains, color_distances(grids, first), lambda i: color_distances(grids, grids[i]), named, count
    )
    shown = [first, *(grids[i] for i in picked)]
    others = []
    for number, i in enumerate(picked, 1):
        recipe, objective = good[i]
        rest = shown[:number] + shown[number + 1 :]
        pending = len(picked) - number + 1
        recipe, _ = simplify(
            recipe,
            objective,
            lambda shorter, own=shown[number], rest=rest: _lookalikes(evaluator, shorter, grids_of(shorter), own, rest),
            margin / 2,
            max(objective - 0.1 * whole, floor),
            lambda needed, _, pending=pending: remaining(needed + pending) > 0,
        )
        shown[number] = grids_of([recipe])
        for shorter in dict.fromkeys((_visible(evaluator, recipe, shown[number], rest), recipe)):
            predicted = predict(shorter)
            if predicted.objective >= floor:
                others.append((shorter, predicted))
                shown[number] = color_grid(evaluator.thumbnails([shorter]))
                break
            if not remaining(pending):
                break
    return sorted(others, key=lambda pair: -pair[1].score)


def _visible(evaluator: Evaluator, recipe: Recipe, own: Tensor, rest: Sequence[Tensor]) -> Recipe:
    """The recipe without what doesn't show, as long as it looks as it should and unlike the rest (see below)."""
    for shorter in reversed(leave_out_invisible(evaluator, recipe)):
        if _is_alike(color_grid(evaluator.thumbnails([shorter])), own, rest):
            return shorter
    return recipe


def _is_alike(grid: Tensor, own: Tensor, rest: Sequence[Tensor]) -> bool:
    """Whether a color grid [1,CELLS²,3] still looks as it should, and unlike the rest."""
    return color_distances([grid], own)[0] <= SAME and min(color_distances(rest, grid)) >= MIN_DISTANCE


def _lookalikes(
    evaluator: Evaluator, recipes: Sequence[Recipe], grids: Tensor, own: Tensor, rest: Sequence[Tensor]
) -> list[float]:
    """Objectives of the recipes that still look as they should and unlike the rest; minus infinity for the others.

    A step that the scorer doesn't miss may be just what makes a picture different.

    Args:
        grids: color grids of the recipes [N,CELLS²,3].
        own, rest: color grids [1,CELLS²,3] of what they should look like, and of what they should not.
    """
    alike = [_is_alike(grid, own, rest) for grid in grids.split(1)]
    kept = [recipe for recipe, good in zip(recipes, alike, strict=True) if good]
    objectives = iter(evaluator.objectives(kept))
    return [next(objectives) if good else -math.inf for good in alike]
