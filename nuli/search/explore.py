"""The plan of a search: what to ask the evaluator for, and in which order. It knows neither pictures nor scorers."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from ..ops import Op
from ..recipe import Recipe, Step
from .tree import GENERATIONS, Tree

COST = 3
"""Evaluations that a slope costs: the way forward, and twice as much back."""
MOST = 32
"""Recipes in a round, at most: few as long as each teaches much, more later, when thinking takes as long as scoring."""
WITHOUT_SLOPES = 8
"""Fewest where only scores teach."""
SHARE = 12
"""A round is a part of all that was scored before: one in so many."""


@dataclass(frozen=True)
class Pace:
    """How much is thought about what to score."""

    fewest: int
    """Recipes in a round, at least."""
    generations: int
    """How far they are thought out."""


CAREFUL = Pace(2, GENERATIONS)
"""Where a score costs far more than a thought."""
BRISK = Pace(8, 3)
"""Where it costs about as much: on a GPU."""
QUICK = Pace(16, 1)
"""Where it costs less."""

Chain = tuple[Step, ...]
Answer = list[float] | tuple[float, list[float]] | None
Plan = Generator[list[Recipe] | Chain, Answer, None]
"""Asks for the objectives of recipes, or for a chain's objective and how steeply it rises along each of the
chain's values; is sent them (None: no slope to be had)."""


def explore(tree: Tree, starts: list[Recipe], ops: Sequence[Op], slopes: bool, pace: Pace) -> Plan:
    """Everything that a search asks for, in order, without an end unless the tree has run out of ideas.

    Args:
        starts: recipes to try first.
        ops: what may be used.
        slopes: whether the objective has any worth their COST.
    """
    if starts:
        tree.tell(starts, (yield starts))
    smooth = {o.name: o for o in ops if o.differentiable}
    known: Recipe | None = None
    while True:
        best = tree.best.recipe
        if slopes and best != known and all(s.op in smooth for s in best.steps):
            known = best
            chain = opened(best, smooth.values())
            answer = yield chain
            if answer is None:
                slopes = False
            else:
                tree.tell_slope(chain, *answer)
        fewest = pace.fewest if slopes else max(pace.fewest, WITHOUT_SLOPES)
        asked = tree.ask(min(max(tree.scored // SHARE, fewest), MOST), pace.generations)
        if not asked:
            return
        tree.tell(asked, (yield asked))


def opened(recipe: Recipe, ops: Sequence[Op]) -> Chain:
    """A recipe's steps, and after them every other op at the values that change nothing: their slopes tell what
    they would be good for."""
    used = {s.op for s in recipe.steps}
    return (*recipe.steps, *(Step(o.name, o.identity) for o in ops if o.name not in used))
