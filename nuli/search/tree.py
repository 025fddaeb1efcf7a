"""A best-first tree over recipes, driven by ask and tell.

    tree = Tree(ops, "soft", max_steps=6, seed=0, identity=objective(Recipe()), describe=evaluator.features)
    while ...:
        recipes = tree.ask(16)
        tree.tell(recipes, [objective(r) for r in recipes])
    tree.best

The best nodes' children, and theirs, are screened first: a surrogate, learned from all scores so far, predicts their
objectives from features of the pictures that they make. Only the most promising are proposed (surrogate-assisted
evolution; Y. Jin, 2011). The tree sees no pictures and no scorers, only features.
"""

from __future__ import annotations

import random
from bisect import insort
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..ops.registry import Op
from ..ops.step import Step
from ..options import AS_FOUND, Amounts
from ..recipe import Recipe
from .config import EXPENSIVE, SearchConfig
from .mutation import Mutator
from .surrogate import Surrogate, select_batch, upper_confidence_bound

Describe = Callable[[Sequence[Recipe]], Tensor]
"""Features [N,F] of what recipes make, near each other where the recipes do nearly the same."""


class Sideways(Protocol):
    """Knows directions to go in beside the best."""

    def lagging(self) -> tuple[str, list[Recipe]]:
        """A direction, and recipes of it, best first."""
        ...

    def directions(self, recipes: Sequence[Recipe]) -> list[str]:
        """Those of recipes."""
        ...


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
        describe: gives features; asked about far more recipes than are proposed.
        starts: recipes to propose first, as far as they may be used; they are at most half of what is asked for.
        sideways: what else to search on than the best.
        amounts: how much of the ranges to use.
    """

    def __init__(
        self,
        ops: tuple[Op, ...],
        mode: str,
        max_steps: int,
        seed: int,
        identity: float,
        describe: Describe,
        config: SearchConfig = EXPENSIVE,
        starts: Sequence[Recipe] = (),
        sideways: Sideways | None = None,
        amounts: Amounts = AS_FOUND,
    ) -> None:
        self.best = root = Node(Recipe(), identity)
        self._identity = identity
        self.config = config
        self.scored = 1
        """Recipes that it was told the objectives of."""
        self._nodes = [root]
        self._random = random.Random(seed)
        self._mutator = Mutator(ops, mode, max_steps, self._random, config.mutation, amounts)
        self._describe, self._surrogate = describe, Surrogate(config.surrogate)
        self._untouched = describe([root.recipe])
        self._features, self._gains = torch.zeros_like(self._untouched), torch.zeros(1, dtype=torch.float64)
        self._described: dict[Recipe, Tensor] = {}
        """Features computed in this round: what is proposed need not be described again when it is told of."""
        self._seen = {root.recipe}
        self._unscreened = 0.0
        """Unscreened recipes that are due, a fraction carried from round to round."""
        self._starts = [r for r in starts if self.fits(r)]
        self._sideways, self._aside = sideways, 0.0
        """Recipes of other directions that are due, likewise."""

    def fits(self, recipe: Recipe) -> bool:
        """Whether it may be proposed."""
        return self._mutator.fits(recipe)

    def ask(self, count: int) -> list[Recipe]:
        """New recipes to score, none proposed before. Fewer than `count`, or none, when it runs out of ideas."""
        first = [r for r in self._starts[: (count + 1) // 2] if r not in self._seen]
        self._starts = self._starts[(count + 1) // 2 :]
        self._seen.update(first)
        ask = self._screened if len(self._gains) > self.config.initial else self._initial
        proposals = first + ask(count - len(first))
        self._seen.update(proposals)
        return proposals

    def tell(self, recipes: Sequence[Recipe], objectives: Sequence[float]) -> None:
        """The objectives of recipes asked for (of all, or of the first few when time ran out), or of others."""
        recipes = list(recipes[: len(objectives)])
        for recipe, objective in zip(recipes, objectives, strict=True):
            insort(self._nodes, Node(recipe, objective), key=_worst_last)
        self.best = self._nodes[0]
        del self._nodes[self.config.max_nodes :]
        self.scored += len(recipes)
        self._seen.update(recipes)
        self._learn(recipes, objectives)

    def tell_gradient(self, steps: Sequence[Step], objective: float, gradient: Sequence[float]) -> None:
        """The gradient of a chain's objective with respect to its values: near it, other objectives follow."""
        near, objectives, components = [], [], iter(gradient)
        for i, step in enumerate(steps):
            for j, (low, high) in enumerate(self._mutator.ranges[step.op]):
                component, values = next(components), list(step.values)
                distance = self.config.probe * (high - low) * (1 if component >= 0 else -1)
                if not low <= values[j] + distance <= high:
                    distance = -distance
                values[j] += distance
                if component and low <= values[j] <= high:
                    near.append(Recipe((*steps[:i], Step(step.op, tuple(values)), *steps[i + 1 :])).without_noops())
                    objectives.append(objective + component * distance)
        self._learn(near, objectives)

    def nodes(self) -> list[Node]:
        """The nodes kept, best first."""
        return list(self._nodes)

    def best_of_each_chain(self, count: int) -> list[Node]:
        """The best node of each sequence of ops, `count` at most; best first. The few best of all are often alike."""
        best: dict[tuple[str, ...], Node] = {}
        for node in self._nodes:
            best.setdefault(_ops_of(node), node)
            if len(best) == count:
                break
        return list(best.values())

    def chains(self) -> list[tuple[tuple[str, ...], float]]:
        """The sequences of ops tried and still remembered, each with its best objective; best first."""
        tried = (node for node in self.best_of_each_chain(self.config.max_nodes) if len(node.recipe))
        return [(_ops_of(node), node.objective) for node in tried]

    def _learn(self, recipes: Sequence[Recipe], objectives: Sequence[float]) -> None:
        if not recipes:
            return
        gains = torch.tensor(objectives, dtype=torch.float64) - self._identity
        self._features = torch.cat([self._features, self._features_of(recipes)])
        self._gains = torch.cat([self._gains, gains])
        most = self.config.max_scores
        if len(self._gains) > most:
            older = len(self._gains) - most // 2
            best = self._gains[:older].topk(most // 2).indices.sort().values
            kept = torch.cat([best, torch.arange(older, len(self._gains))])
            self._features, self._gains = self._features[kept], self._gains[kept]
        if len(self._seen) > self.config.max_remembered:
            self._seen = {n.recipe for n in self._nodes}

    def _features_of(self, recipes: Sequence[Recipe]) -> Tensor:
        """Features [N,F] relative to those of the untouched picture."""
        new = [r for r in dict.fromkeys(recipes) if r not in self._described]
        if new:
            self._described.update(zip(new, self._describe(new) - self._untouched, strict=True))
        return torch.stack([self._described[r] for r in recipes])

    def _initial(self, count: int) -> list[Recipe]:
        drawn = dict.fromkeys(self._mutator.random_recipe() for _ in range(4 * count))  # some may be alike
        return [r for r in drawn if r not in self._seen][:count]

    def _screened(self, count: int) -> list[Recipe]:
        """The most promising of some generations of children."""
        config = self.config
        self._surrogate.fit(self._features, self._gains)
        parents = first = [n.recipe for n in self.best_of_each_chain(config.parents)]
        top = parents[:4]
        self._described.clear()
        bounds: dict[Recipe, float] = {}
        for _ in range(config.generations):
            children = self._children(parents, bounds)
            if not children:
                break
            means, covariances = self._surrogate.predict(self._features_of(children))
            bound = upper_confidence_bound(means, covariances.diagonal(), config.kappa)
            bounds.update(zip(children, bound.tolist(), strict=True))
            parents = sorted(bounds, key=lambda r: -bounds[r])[: config.survivors] + top
        if not bounds:
            return []
        finalists = sorted(bounds, key=lambda r: -bounds[r])[: config.finalists]
        predicted = self._surrogate.predict(self._features_of(finalists))
        self._unscreened += count / config.unscreened
        unscreened, self._unscreened = divmod(self._unscreened, 1)
        others = self._lagging(count, bounds)
        count -= int(unscreened) + len(others)
        chosen = [finalists[i] for i in select_batch(*predicted, count, config.kappa)]
        return chosen + others + self._children(first, [*chosen, *others])[: int(unscreened)]

    def _lagging(self, count: int, excluded: Container[Recipe]) -> list[Recipe]:
        """The most promising children of a direction that lags behind, which keep to it; as many as are due."""
        if not self._sideways:
            return []
        self._aside += count / self.config.sideways
        due, self._aside = divmod(self._aside, 1)
        name, parents = self._sideways.lagging() if due else ("", [])
        parents = [r for r in parents if self.fits(r)]
        if not parents:
            return []
        children = self._children(parents, excluded)[: int(due) * self.config.sideways_children]
        children = [r for r, n in zip(children, self._sideways.directions(children), strict=True) if n == name]
        if not children:
            return []
        means, covariances = self._surrogate.predict(self._features_of(children))
        return [children[i] for i in select_batch(means, covariances, int(due), self.config.kappa)]

    def _children(self, parents: Sequence[Recipe], excluded: Container[Recipe]) -> list[Recipe]:
        """New variations of parents, the better ones more often; none of those excluded."""
        children: dict[Recipe, None] = {}
        for _ in range(3 * self.config.children):  # some have been seen already
            if len(children) == self.config.children:
                break
            i = min(int(self._random.expovariate(1 / self.config.parent_scale)), len(parents) - 1)
            child = self._mutator.mutate(parents[i], parents)
            if len(child) and child not in self._seen and child not in excluded:
                children[child] = None
        return list(children)


def _ops_of(node: Node) -> tuple[str, ...]:
    return tuple(s.op for s in node.recipe.steps)


def _worst_last(node: Node) -> float:
    return -node.objective
