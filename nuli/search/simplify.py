"""The weakest recipe that does the work: steps that add nothing are dropped, steps of one op made one."""

from __future__ import annotations

from collections.abc import Callable

from ..recipe import Recipe


def simplify(
    recipe: Recipe,
    objective: float,
    evaluate: Callable[[list[Recipe]], list[float]],
    tolerance: float,
    floor: float,
    may_go_on: Callable[[int, bool], bool],
) -> tuple[Recipe, tuple[float, ...]]:
    """Take away one step after the other, by dropping it or merging it with another of its op, whatever costs least,
    while that costs at most `tolerance` each, down to `floor`.

    Args:
        recipe, objective: what to simplify, and what it reaches.
        evaluate: objectives of recipes.
        may_go_on: asked before every pass over the steps: may_go_on(evaluations it takes, whether it is the first).
    Returns:
        The recipe, and for each of its steps what the objective loses without it; the latter empty where the
        budget ended before.
    """
    first = True
    while len(recipe) and may_go_on(len(candidates := recipe.reductions()), first):
        objectives = evaluate(candidates)
        best = max(range(len(candidates)), key=objectives.__getitem__)
        if objectives[best] < max(objective - tolerance, floor):
            return recipe, tuple(objective - o for o in objectives[: len(recipe)])
        recipe, objective, first = candidates[best], objectives[best], False
    return recipe, ()


def carried(recipe: Recipe, contributions: tuple[float, ...], shorter: Recipe) -> tuple[float, ...]:
    """What the steps of a recipe contribute, for one that was made shorter by what hardly counts."""
    if not contributions:
        return ()
    kept, start = [], 0
    for step in shorter.steps:
        later = range(start, len(recipe))
        same = [i for i in later if recipe.steps[i] == step] or [i for i in later if recipe.steps[i].op == step.op]
        if not same:
            return ()
        kept.append(contributions[same[0]])
        start = same[0] + 1
    return tuple(kept)
