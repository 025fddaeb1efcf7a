"""A search goes on from a saved one."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .evaluator import Evaluator, Judged
from .ops import Op
from .recipe import Recipe
from .saved import SavedSearch
from .search.tree import Tree


def resume(
    known: SavedSearch,
    evaluator: Evaluator,
    tree: Tree,
    ops: Sequence[Op],
    max_steps: int,
    allowed: int,
    offer: Callable[[Recipe, Judged], None],
) -> tuple[Judged | None, str]:
    """Tell a tree what a saved search knows, as far as the ops and steps in use allow.

    Its best recipe and the one that it ended with are judged again; the other objectives are believed.

    Args:
        allowed: evaluations that may be spent; fewer than the two that it takes at most may not do.
        offer: is told of what was judged.
    Returns:
        What is now thought of the recipe that it ended with (None where that is not in use), and a note for the user.
    """
    names = {op.name for op in ops}

    def usable(recipe: Recipe) -> bool:
        return 0 < len(recipe) <= max_steps and all(step.op in names for step in recipe.steps)

    believed = {recipe: objective for recipe, objective in known.nodes if usable(recipe)}
    again = list(dict.fromkeys([*[*believed][:1], *[r for r in [known.recipe] if usable(r)]]))
    if len(again) > allowed:
        return None, "too few evaluations to go on from the saved search"
    judged = dict(zip(again, (one for batch in evaluator.evaluate(again) for one in batch), strict=True))
    for recipe, one in judged.items():
        offer(recipe, one)
    told = {recipe: one.objective for recipe, one in judged.items()}
    if believed:
        # another device or precision moves all figures by about as much
        moved = told[again[0]] - believed[again[0]]
        told = {recipe: objective + moved for recipe, objective in believed.items()} | told
    tree.tell([*told], [*told.values()])
    return judged.get(known.recipe), f"goes on from a search of {known.evaluations} evaluations"
