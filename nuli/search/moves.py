"""How recipes are varied: by a step more or less, by other values, by crossing two."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ..ops import Op
from ..recipe import Recipe, Step

GROW, TWEAK, TWEAK_ONE, DROP = 0.30, 0.35, 0.15, 0.06
"""How often each move is made; the rest are crossings."""
FINE, COARSE = 0.02, 0.3
"""Size of a tweak of all values, as a part of their ranges: anything between, small ones as often as large ones."""
FINE_ONE, COARSE_ONE = 0.05, 1.0
"""The same of the values of one step."""


class Moves:
    """Random changes of recipes.

    Args:
        ops: what may be used.
        mode: whose ranges to draw values from, "soft" or "hard". In soft mode each op is used once at most, or its
            range would be none.
        max_steps: the longest recipe.
        random: where chance comes from.
    """

    def __init__(self, ops: Sequence[Op], mode: str, max_steps: int, random: random.Random) -> None:
        self._ops = tuple(ops)
        self.ranges = {o.name: o.ranges(mode) for o in ops}
        """Of each op's parameters."""
        self._once = mode == "soft"
        self._max_steps = max_steps
        self._random = random

    def step(self) -> Step:
        """Any op with any values."""
        op = self._random.choice(self._ops)
        return Step(op.name, tuple(self._random.uniform(*r) for r in self.ranges[op.name]))

    def draw(self) -> Recipe:
        """A recipe of a few steps."""
        count = min(self._random.choice((1, 1, 2, 3)), self._max_steps)
        return self._made([self.step() for _ in range(count)])

    def child(self, recipe: Recipe, others: Sequence[Recipe]) -> Recipe:
        """A variation of a recipe, or a crossing of it with one of the others."""
        chance, steps = self._random.random(), list(recipe.steps)
        if not steps or (chance < GROW and len(steps) < self._max_steps):
            at = self._random.randint(0, len(steps)) if self._random.random() < 0.5 else len(steps)
            steps.insert(at, self.step())
        elif chance < GROW + TWEAK:
            size = self._between(FINE, COARSE)
            steps = [self._tweaked(s, size) for s in steps]
        elif chance < GROW + TWEAK + TWEAK_ONE:
            i = self._random.randrange(len(steps))
            steps[i] = self._tweaked(steps[i], self._between(FINE_ONE, COARSE_ONE))
        elif chance < GROW + TWEAK + TWEAK_ONE + DROP:
            steps.pop(self._random.randrange(len(steps)))
        else:
            other = self._random.choice(others).steps
            head, tail = self._random.randint(0, len(steps)), self._random.randint(0, len(other))
            steps = [*steps[:head], *other[tail:]][: self._max_steps]
        return self._made(steps)

    def _made(self, steps: list[Step]) -> Recipe:
        if self._once:
            steps = list({s.op: s for s in steps}.values())
        return Recipe(tuple(steps)).active()

    def _between(self, low: float, high: float) -> float:
        """Any size, its logarithm anywhere between theirs."""
        return low * (high / low) ** self._random.random()

    def _tweaked(self, step: Step, size: float) -> Step:
        values = []
        for value, (low, high) in zip(step.values, self.ranges[step.op], strict=True):
            values.append(min(max(value + self._random.gauss(0, size) * (high - low), low), high))
        return Step(step.op, tuple(values))
