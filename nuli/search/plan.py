"""The plan of a search: what is asked for, and in which order. It sees neither pictures nor scorers."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from ..ops.registry import Op
from ..ops.step import Step
from ..recipe import Recipe
from .tree import Tree


@dataclass(frozen=True)
class ScoreRequest:
    """Asks for the objectives of recipes. The answer is a ScoreResponse."""

    recipes: tuple[Recipe, ...]


@dataclass(frozen=True)
class ScoreResponse:
    objectives: tuple[float, ...]
    """The objectives of the recipes asked for, in order; fewer where the budget ended."""


@dataclass(frozen=True)
class GradientRequest:
    """Asks for the objective of a chain and its gradient. The answer is a GradientResponse, or None: there is none."""

    steps: tuple[Step, ...]


@dataclass(frozen=True)
class GradientResponse:
    objective: float
    gradient: tuple[float, ...]
    """With respect to each value of each step, in order."""


Request = ScoreRequest | GradientRequest
Response = ScoreResponse | GradientResponse | None
Plan = Generator[Request, Response, None]


def plan_search(tree: Tree, starts: Sequence[Recipe], ops: Sequence[Op], differentiable: bool) -> Plan:
    """Everything that a search asks for, in order, without an end unless the tree has run out of ideas.

    What is asked for is told to the tree when the answer comes.

    Args:
        starts: recipes to try first.
        ops: what may be used.
        differentiable: whether the objective has gradients; the tree's config says whether they are worth their cost.
    """
    config = tree.config
    if starts:
        yield from _score(tree, starts)
    smooth = {o.name: o for o in ops if o.differentiable}
    gradients = differentiable and config.use_gradients
    climbed: Recipe | None = None
    while True:
        best = tree.best.recipe
        if gradients and best != climbed and all(s.op in smooth for s in best.steps):
            climbed = best
            chain = opened(best, smooth.values())
            response = yield GradientRequest(chain)
            if isinstance(response, GradientResponse):
                tree.tell_gradient(chain, response.objective, response.gradient)
            else:
                gradients = False
        fewest = config.min_round if gradients else max(config.min_round, config.min_round_without_gradients)
        proposals = tree.ask(min(max(tree.scored // config.round_share, fewest), config.max_round))
        if not proposals:
            return
        yield from _score(tree, proposals)


def _score(tree: Tree, recipes: Sequence[Recipe]) -> Plan:
    response = yield ScoreRequest(tuple(recipes))
    assert isinstance(response, ScoreResponse)
    tree.tell(recipes, response.objectives)


def opened(recipe: Recipe, ops: Sequence[Op]) -> tuple[Step, ...]:
    """A recipe's steps, and after them every other op at the values that change nothing: the gradient tells what
    they would be good for."""
    used = {s.op for s in recipe.steps}
    return (*recipe.steps, *(Step(o.name, o.identity) for o in ops if o.name not in used))
