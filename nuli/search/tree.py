"""A best-first tree over recipes, driven by ask and tell.

    tree = Tree(ops, "soft", max_steps=6, seed=0, identity=objective(Recipe()))
    while ...:
        recipes = tree.ask(16)
        tree.tell(recipes, [objective(r) for r in recipes])
    tree.best

Each round grows promising recipes by a step, and polishes the best: the values of one chain of ops are
drawn anew around the best values known for that chain (the cross-entropy method; Rubinstein 1999). It
knows neither pictures nor scorers.
"""

from __future__ import annotations

import math
import random
from bisect import insort
from dataclasses import dataclass, field
from itertools import islice
from statistics import pstdev

from ..ops import Op
from ..recipe import Recipe, Step

EXPLORE = 0.3
"""Weight of the bonus for nodes, chains and ops seldom tried, in units of the spread of the objectives."""
NODES = 512
"""Nodes kept, the best ones; so hours of search don't fill the memory."""
REMEMBERED = 20_000
"""Recipes remembered as asked before, so as not to score one twice."""
MEMBERS = 32
"""Recipes kept of each chain of ops."""
ELITE = 0.3
"""Part of them that the chain's next values are drawn around."""


@dataclass(eq=False)
class Node:
    recipe: Recipe
    objective: float
    visits: int = 0
    """Children asked of it."""


@dataclass
class Chain:
    """What is known about the values of one sequence of ops: its best nodes, best first."""

    members: list[Node] = field(default_factory=list)
    visits: int = 0


class Tree:
    """Proposes recipes and learns from their objectives (higher is better).

    Args:
        ops: what may be used.
        mode: whose ranges to draw values from, "soft" or "hard".
        max_steps: the longest recipe.
        seed: of the tree's own random numbers.
        identity: objective of the untouched picture.
    """

    def __init__(self, ops: tuple[Op, ...], mode: str, max_steps: int, seed: int, identity: float) -> None:
        self.best = self._root = Node(Recipe(), identity)
        self._nodes = [self._root]
        self._ops = {o.name: o for o in ops}
        self._ranges = {o.name: o.ranges(mode) for o in ops}
        self._once = mode == "soft"
        self._max_steps = max_steps
        self._random = random.Random(seed)
        self._rounds = 0
        self._unit = 1.0
        self._seen = {self._root.recipe}
        self._chains: dict[tuple[str, ...], Chain] = {}
        self._parents: dict[Recipe, Node] = {}
        self._gains: dict[str, list[float]] = {o.name: [] for o in ops}  # what each op's steps gained, rising

    def ask(self, count: int) -> list[Recipe]:
        """New recipes to score, none asked before. Fewer than `count`, or none, when it runs out of ideas."""
        self._rounds += 1
        # how far apart good nodes are: the unit that bonuses are measured in
        quarter = self._nodes[len(self._nodes) // 4]
        self._unit = max(self._nodes[0].objective - quarter.objective, 1e-9)
        asked: list[Recipe] = []
        polish = 0 if self.best is self._root else count // 2
        for i in range(4 * count):  # some may be known already
            if len(asked) == count:
                break
            recipe = self._polished() if i % count < polish else self._grown()
            if recipe is not None and recipe not in self._seen:
                self._seen.add(recipe)
                asked.append(recipe)
        return asked

    def tell(self, recipes: list[Recipe], objectives: list[float]) -> None:
        """The objectives of recipes asked for (of all, or of the first few when time ran out)."""
        for recipe, objective in zip(recipes, objectives, strict=False):
            node = Node(recipe, objective)
            if parent := self._parents.get(recipe):
                insort(self._gains[recipe.steps[-1].op], objective - parent.objective)
            insort(self._nodes, node, key=_worst_last)
            members = self._chains.setdefault(_ops_of(recipe), Chain()).members
            insort(members, node, key=_worst_last)
            del members[MEMBERS:]
        self._parents.clear()
        self.best = self._nodes[0]
        self._forget()

    def nodes(self) -> list[Node]:
        """The nodes kept, best first."""
        return list(self._nodes)

    def chains(self) -> list[tuple[tuple[str, ...], float]]:
        """The sequences of ops tried and still remembered, each with its best objective; best first."""
        best = [(names, chain.members[0].objective) for names, chain in self._chains.items()]
        return sorted(best, key=lambda item: -item[1])

    def _forget(self) -> None:
        del self._nodes[NODES:]
        if len(self._seen) > REMEMBERED:
            self._seen = {n.recipe for n in self._nodes}
            kept = {_ops_of(r) for r in self._seen}
            self._chains = {k: c for k, c in self._chains.items() if k in kept}
            self._gains = {k: g[-MEMBERS:] for k, g in self._gains.items()}

    def _bonus(self, visits: float) -> float:
        return EXPLORE * self._unit * math.sqrt(math.log(self._rounds + 1) / (1 + visits))

    def _grown(self) -> Recipe | None:
        """A promising node, one step longer."""
        nodes = [self._root, *islice((n for n in self._nodes if len(n.recipe) < self._max_steps), 64)]
        node = max(nodes, key=lambda n: n.objective + self._bonus(n.visits))
        node.visits += 1
        op = self._pick_op(node.recipe)
        if op is None:
            return None
        values = []
        for param, (low, high) in zip(op.params, self._ranges[op.name], strict=True):
            if param.shapes:
                values.append(self._random.uniform(low, high))
            else:
                # nearer to identity more often: small steps are the likelier improvements
                end = self._random.choice([e for e in (low, high) if e != param.identity] or [low])
                values.append(param.identity + self._random.random() ** 1.5 * (end - param.identity))
        recipe = node.recipe.then(Step(op.name, tuple(values)))
        if recipe.steps[-1].idle:
            return None
        self._parents[recipe] = node
        return recipe

    def _pick_op(self, recipe: Recipe) -> Op | None:
        """An op that paid so far or was seldom tried."""
        # in soft mode each op once, or its range would be none; in hard mode again, but not twice in a row
        used = {s.op for s in (recipe.steps if self._once else recipe.steps[-1:])}

        def promise(name: str) -> float:
            gains = self._gains[name]
            best = gains[-1 - len(gains) // 4 :]
            worth = sum(best) / len(best) if best else 0.0
            return worth + self._bonus(len(gains) / len(self._ops)) + self._unit * self._random.random()

        names = [name for name in self._ops if name not in used]
        return self._ops[max(names, key=promise)] if names else None

    def _polished(self) -> Recipe | None:
        """A good chain of ops with values drawn around its best."""
        chain = max(self._chains.values(), key=lambda c: c.members[0].objective + self._bonus(c.visits / MEMBERS))
        chain.visits += 1
        elite = chain.members[: max(2, math.ceil(ELITE * len(chain.members)))]
        steps = []
        for i, step in enumerate(elite[0].recipe.steps):
            values = []
            for j, (low, high) in enumerate(self._ranges[step.op]):
                known = [n.recipe.steps[i].values[j] for n in elite]
                # a floor that shrinks slowly: few members must not freeze a value
                floor = 0.3 * (high - low) / (1 + chain.visits / 4)
                value = self._random.gauss(known[0], max(pstdev(known), floor))
                values.append(min(max(value, low), high))
            steps.append(Step(step.op, tuple(values)))
        return Recipe(tuple(steps)).active()


def _worst_last(node: Node) -> float:
    return -node.objective


def _ops_of(recipe: Recipe) -> tuple[str, ...]:
    return tuple(s.op for s in recipe.steps)
