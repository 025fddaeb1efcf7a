"""A best-first tree over recipes, driven by ask and tell.

    tree = Tree(ops, "soft", max_steps=6, seed=0, identity=objective(Recipe()), look=evaluator.look)
    while ...:
        recipes = tree.ask(16)
        tree.tell(recipes, [objective(r) for r in recipes])
    tree.best

The best nodes' children, and theirs, are imagined first: a model learned from all scores so far foretells
what they are worth by what they look like. Only the most promising are proposed (surrogate-assisted
evolution; Jin 2011). It knows neither pictures nor scorers, only rows of numbers.
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..ops import Op
from ..recipe import Recipe, Step
from .model import Model, choose
from .moves import Moves

DRAWN = 16
"""Scores to begin with, of random recipes, before there is a model."""
GENERATIONS, CHILDREN = 5, 48
"""How long and how broadly children are imagined before any is scored."""
PARENTS, NEARNESS = 12, 4.0
"""Nodes that children are imagined of, each of another kind, and how far down the list chance usually reaches."""
SURVIVORS = 16
"""Imagined children that become parents themselves."""
FINALISTS = 64
"""Imagined children that the next recipes are chosen from."""
BLIND = 8
"""One in so many recipes is any child of a good node, whatever the model says: it may be wrong."""
BOLDNESS = 0.7
"""Standard deviations that the model's doubt counts in favour of a child."""
PROBE = 0.03
"""How far along each value a slope is believed, as a part of the value's range."""
NODES = 512
"""Nodes kept, the best ones; so hours of search don't fill the memory."""
SCORES = 400
"""Scores that the model learns from: the best half of them, and the newest."""
REMEMBERED = 20_000
"""Recipes remembered as asked before, so as not to score one twice."""

Look = Callable[[Sequence[Recipe]], Tensor]
"""What recipes look like: rows [N,F], near each other where the recipes do nearly the same."""


@dataclass(frozen=True, eq=False)
class Node:
    recipe: Recipe
    objective: float


class Tree:
    """Proposes recipes and learns from their objectives (higher is better).

    Args:
        ops: what may be used.
        mode: whose ranges to draw values from, "soft" or "hard".
        max_steps: the longest recipe.
        seed: of the tree's own random numbers.
        identity: objective of the untouched picture.
        look: tells recipes apart by what they do; asked about far more of them than are proposed.
    """

    def __init__(self, ops: tuple[Op, ...], mode: str, max_steps: int, seed: int, identity: float, look: Look) -> None:
        self.best = root = Node(Recipe(), identity)
        self._identity = identity
        self.scored = 1
        """Recipes that it was told the objectives of."""
        self._nodes = [root]
        self._random = random.Random(seed)
        self._moves = Moves(ops, mode, max_steps, self._random)
        self._look, self._model = look, Model()
        self._untouched = look([root.recipe])
        self._rows, self._gains = torch.zeros_like(self._untouched), torch.zeros(1, dtype=torch.float64)
        self._looked: dict[Recipe, Tensor] = {}
        """Rows of what was looked at in this round: what is proposed need not be looked at again when it is told of."""
        self._seen = {root.recipe}
        self._blind = 0.0

    def ask(self, count: int, generations: int = GENERATIONS) -> list[Recipe]:
        """New recipes to score, none asked before. Fewer than `count`, or none, when it runs out of ideas.

        Args:
            generations: how far children are imagined before any is scored.
        """
        asked = self._imagined(count, generations) if len(self._gains) > DRAWN else self._drawn(count)
        self._seen.update(asked)
        return asked

    def tell(self, recipes: Sequence[Recipe], objectives: Sequence[float]) -> None:
        """The objectives of recipes asked for (of all, or of the first few when time ran out), or of others."""
        recipes = list(recipes[: len(objectives)])
        for recipe, objective in zip(recipes, objectives, strict=True):
            insort(self._nodes, Node(recipe, objective), key=_worst_last)
        self.best = self._nodes[0]
        del self._nodes[NODES:]
        self.scored += len(recipes)
        self._seen.update(recipes)
        self._learn(recipes, objectives)

    def tell_slope(self, steps: Sequence[Step], objective: float, slope: Sequence[float]) -> None:
        """How steeply the objective of a chain rises along each of its values: near it, others are known too."""
        near, objectives, rises = [], [], iter(slope)
        for i, step in enumerate(steps):
            for j, (low, high) in enumerate(self._moves.ranges[step.op]):
                rise, values = next(rises), list(step.values)
                far = PROBE * (high - low) * (1 if rise >= 0 else -1)
                if not low <= values[j] + far <= high:
                    far = -far
                values[j] += far
                if rise and low <= values[j] <= high:
                    near.append(Recipe((*steps[:i], Step(step.op, tuple(values)), *steps[i + 1 :])).active())
                    objectives.append(objective + rise * far)
        self._learn(near, objectives)

    def nodes(self) -> list[Node]:
        """The nodes kept, best first."""
        return list(self._nodes)

    def kinds(self, count: int = PARENTS) -> list[Node]:
        """The best nodes, each of another sequence of ops; best first. The few best of all are often of one kind."""
        best: dict[tuple[str, ...], Node] = {}
        for node in self._nodes:
            best.setdefault(_ops_of(node), node)
            if len(best) == count:
                break
        return list(best.values())

    def chains(self) -> list[tuple[tuple[str, ...], float]]:
        """The sequences of ops tried and still remembered, each with its best objective; best first."""
        tried = (node for node in self.kinds(NODES) if len(node.recipe))
        return [(_ops_of(node), node.objective) for node in tried]

    def _learn(self, recipes: Sequence[Recipe], objectives: Sequence[float]) -> None:
        if not recipes:
            return
        gains = torch.tensor(objectives, dtype=torch.float64) - self._identity
        self._rows = torch.cat([self._rows, self._rows_of(recipes)])
        self._gains = torch.cat([self._gains, gains])
        if len(self._gains) > SCORES:
            older = len(self._gains) - SCORES // 2
            best = self._gains[:older].topk(SCORES // 2).indices.sort().values
            kept = torch.cat([best, torch.arange(older, len(self._gains))])
            self._rows, self._gains = self._rows[kept], self._gains[kept]
        if len(self._seen) > REMEMBERED:
            self._seen = {n.recipe for n in self._nodes}

    def _rows_of(self, recipes: Sequence[Recipe]) -> Tensor:
        """What recipes look like beside the untouched picture: [N,F]."""
        new = [r for r in dict.fromkeys(recipes) if r not in self._looked]
        if new:
            self._looked.update(zip(new, self._look(new) - self._untouched, strict=True))
        return torch.stack([self._looked[r] for r in recipes])

    def _drawn(self, count: int) -> list[Recipe]:
        drawn = dict.fromkeys(self._moves.draw() for _ in range(4 * count))  # some may be alike
        return [r for r in drawn if r not in self._seen][:count]

    def _imagined(self, count: int, generations: int) -> list[Recipe]:
        """The most promising of some generations of children."""
        self._model.fit(self._rows, self._gains)
        parents = first = [n.recipe for n in self.kinds()]
        top = parents[:4]
        self._looked.clear()
        promise: dict[Recipe, float] = {}
        for _ in range(generations):
            children = self._children(parents, promise)
            if not children:
                break
            means, covariances = self._model.foretell(self._rows_of(children))
            bold = means + BOLDNESS * covariances.diagonal().clamp(min=0).sqrt()
            promise.update(zip(children, bold.tolist(), strict=True))
            parents = sorted(promise, key=lambda r: -promise[r])[:SURVIVORS] + top
        if not promise:
            return []
        finalists = sorted(promise, key=lambda r: -promise[r])[:FINALISTS]
        foretold = self._model.foretell(self._rows_of(finalists))
        self._blind += count / BLIND
        blind, self._blind = divmod(self._blind, 1)
        chosen = [finalists[i] for i in choose(*foretold, count - int(blind), BOLDNESS)]
        return chosen + self._children(first, chosen)[: int(blind)]

    def _children(self, parents: Sequence[Recipe], known: Container[Recipe]) -> list[Recipe]:
        children: dict[Recipe, None] = {}
        for _ in range(3 * CHILDREN):  # some are known already
            if len(children) == CHILDREN:
                break
            i = min(int(self._random.expovariate(1 / NEARNESS)), len(parents) - 1)
            child = self._moves.child(parents[i], parents)
            if len(child) and child not in self._seen and child not in known:
                children[child] = None
        return list(children)


def _ops_of(node: Node) -> tuple[str, ...]:
    return tuple(s.op for s in node.recipe.steps)


def _worst_last(node: Node) -> float:
    return -node.objective
