"""Gradients for the search: the values of a whole chain climb along the objective's slope.

`explore` is the plan of a search: predicted recipes, a climb, then the tree's rounds with a climb of its best
now and then. Like the tree it knows neither pictures nor scorers.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

from ..ops import Op
from ..recipe import Recipe, Step
from .tree import Tree

COST = 3
"""Evaluations that a slope costs: the way forward, and twice as much back."""
ORDER = (
    "auto_level",
    "exposure",
    "temperature",
    "tint",
    "contrast",
    "gamma",
    "highlights",
    "shadows",
    "saturation",
    "vibrance",
    "equalize",
    "sharpness",
    "blur",
)
"""Steps that a climb may open, in the order in which they are applied: that of a common photo workflow.
Without brightness: exposure and gamma's gain do its work, and it took a place from a step that adds something."""
MOVES, FIRST, LAST = 24, 0.06, 0.01
"""How many moves a climb makes, and the size of the first and the last, as a part of each value's range."""
STALE = 5
"""Moves without a gain after which a climb is given up; the tree does better then."""
MEMORY, SPREAD = 0.8, 0.95
"""How much of the slopes' mean and of their mean square a move keeps (Adam; Kingma and Ba 2015)."""
ROUNDS = 8
"""Rounds of the tree between two climbs."""

Chain = tuple[Step, ...]
Slope = tuple[float, list[float]]
"""A chain's objective, and how steeply it rises along each of its values."""
Answer = list[float] | Slope | None
Plan = Generator[list[Recipe] | Chain, Answer, None]
"""Asks for the objectives of recipes, or for the slope of a chain; is sent them (None: no slopes to be had)."""


def explore(
    tree: Tree, starts: list[Recipe], ops: Sequence[Op], mode: str, max_steps: int, slopes: bool, batch: int
) -> Plan:
    """Everything that a search asks for, in order, without an end unless the tree has run out of ideas.

    Args:
        starts: recipes to try first.
        slopes: whether the objective has any.
        batch: recipes in a round of the tree.
    """
    if starts:
        tree.tell(starts, (yield starts))
    while True:
        slopes = slopes and (yield from climb(tree, ops, mode, max_steps))
        for _ in range(ROUNDS):
            asked = tree.ask(batch)
            if not asked:
                return
            tree.tell(asked, (yield asked))


def climb(tree: Tree, ops: Sequence[Op], mode: str, max_steps: int) -> Generator[Chain, Answer, bool]:
    """From the tree's best, with the most promising other steps opened; the tree is told. False without slopes."""
    allowed = {o.name: o for o in ops if o.differentiable}
    best = tree.best.recipe.steps
    if any(s.op not in allowed for s in best):
        return True
    used = {s.op for s in best}
    idle = [Step(n, allowed[n].identity) for n in ORDER if n in allowed and n not in used]
    steps = (*best, *idle)
    if not steps:
        return True
    if len(steps) > max_steps:
        answer = yield steps
        if answer is None:
            return False
        steps = most_promising(steps, answer[1], allowed, mode, max_steps)
    ranges = [r for s in steps for r in allowed[s.op].ranges(mode)]
    mean, square = [0.0] * len(ranges), [0.0] * len(ranges)
    reached, since = tree.best.objective, 0
    for move in range(MOVES):
        answer = yield steps
        if answer is None:
            return False
        objective, slope = answer
        if len(recipe := Recipe(steps).active()):
            tree.tell([recipe], [objective])
        since = 0 if tree.best.objective > reached else since + 1
        reached = tree.best.objective
        if since > STALE:
            break
        size = FIRST * (LAST / FIRST) ** (move / (MOVES - 1))
        values = [v for s in steps for v in s.values]
        for i, (low, high) in enumerate(ranges):
            rise = slope[i] * (high - low)
            mean[i] = MEMORY * mean[i] + (1 - MEMORY) * rise
            square[i] = SPREAD * square[i] + (1 - SPREAD) * rise**2
            m, s = mean[i] / (1 - MEMORY ** (move + 1)), square[i] / (1 - SPREAD ** (move + 1))
            values[i] = min(max(values[i] + size * (high - low) * m / (s**0.5 + 1e-12), low), high)
        left = iter(values)
        steps = tuple(Step(s.op, tuple(next(left) for _ in s.values)) for s in steps)
    return True


def most_promising(steps: Chain, slope: list[float], allowed: dict[str, Op], mode: str, count: int) -> Chain:
    """The steps that do something, and of the others those that could gain the most within their ranges."""
    left = iter(slope)
    worth = {}
    for step in steps:
        gain = 0.0
        for value, (low, high) in zip(step.values, allowed[step.op].ranges(mode), strict=True):
            rise = next(left)
            gain += max(rise * (high - value), rise * (low - value), 0)
        worth[step] = gain if step.idle else float("inf")
    kept = sorted(steps, key=lambda s: -worth[s])[:count]
    return tuple(s for s in steps if s in kept)
