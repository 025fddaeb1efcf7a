"""The plan of a search: what to ask the evaluator for, and in which order. It knows neither pictures nor scorers."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from ..ops import Op
from ..recipe import Recipe, Step
from .tree import GENERATIONS, Tree

COST = 3
"""Evaluations that a slope costs: the way forward, and twice as much back."""
FEWEST, MOST = 2, 32
"""Recipes in a round: few as long as each teaches much, more later, when thinking takes as long as scoring."""
WITHOUT_SLOPES = 8
"""Fewest where only scores teach."""
SHARE = 12
"""A round is a part of all that was scored before: one in so many."""
QUICK = 16, 1
"""Fewest recipes and generations where a score costs less than a thought."""

Chain = tuple[Step, ...]
Answer = list[float] | tuple[float, list[float]] | None
Plan = Generator[list[Recipe] | Chain, Answer, None]
"""Asks for the objectives of recipes, or for a chain's objective and how steeply it rises along each of the
chain's values; is sent them (None: no slope to be had)."""


def explore(tree: Tree, starts: list[Recipe], ops: Sequence[Op], slopes: bool, quick: bool = False) -> Plan:
    """Everything that a search asks for, in order, without an end unless the tree has run out of ideas.

    Args:
        starts: recipes to try first.
        ops: what may be used.
        slopes: whether the objective has any.
        quick: whether it costs less to score a recipe than to make its picture; then slopes aren't worth theirs.
    """
    if starts:
        tree.tell(starts, (yield starts))
    smooth = {o.name: o for o in ops if o.differentiable}
    known: Recipe | None = None
    slopes = slopes and not quick
    fewest, generations = QUICK if quick else (FEWEST if slopes else WITHOUT_SLOPES, GENERATIONS)
    while True:
        best = tree.best.recipe
        if slopes and best != known and all(s.op in smooth for s in best.steps):
            known = best
            chain = opened(best, smooth.values())
            answer = yield chain
            if answer is None:
                slopes, fewest = False, WITHOUT_SLOPES
            else:
                tree.tell_slope(chain, *answer)
        asked = tree.ask(min(max(tree.scored // SHARE, fewest), MOST), generations)
        if not asked:
            return
        tree.tell(asked, (yield asked))


def opened(recipe: Recipe, ops: Sequence[Op]) -> Chain:
    """A recipe's steps, and after them every other op at the values that change nothing: their slopes tell what
    they would be good for."""
    used = {s.op for s in recipe.steps}
    return (*recipe.steps, *(Step(o.name, o.identity) for o in ops if o.name not in used))
