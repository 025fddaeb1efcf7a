"""How recipes are varied: by a step more or less, by other values, by crossover."""

from __future__ import annotations

import random
from collections.abc import Sequence

from ..ops.registry import Op
from ..ops.step import DECIMALS, Step
from ..options import AS_FOUND, Amounts
from ..recipe import Recipe
from .config import MutationConfig

_ROUNDING = 10.0**-DECIMALS


class Mutator:
    """Random variations of recipes.

    Args:
        ops: what may be used.
        mode: whose ranges to draw values from, "soft" or "hard". In soft mode each op is used once at most, in hard
            mode each that looks at neighbours or has an amount below 1, or its range would limit nothing.
        max_steps: the longest recipe.
        random: the random numbers to use.
        amounts: how much of the ranges to use.
    """

    def __init__(
        self,
        ops: Sequence[Op],
        mode: str,
        max_steps: int,
        random: random.Random,
        config: MutationConfig,
        amounts: Amounts = AS_FOUND,
    ) -> None:
        self._ops = tuple(ops)
        self.ranges = {o.name: o.ranges(mode, amounts.of(o.group)) for o in ops}
        """Of each op's parameters."""
        self._bounded = {o.name for o in ops if amounts.of(o.group) < 1}
        self._once = self._bounded | {o.name for o in ops if mode == "soft" or not o.pointwise}
        self._max_steps = max_steps
        self._random, self._config = random, config

    def fits(self, recipe: Recipe) -> bool:
        """Whether it is short enough and uses only what may be used, and no more of it than amounts below 1 allow."""
        if len(recipe) > self._max_steps or not all(step.op in self.ranges for step in recipe.steps):
            return False
        bounded = [step for step in recipe.steps if step.op in self._bounded]
        return len({step.op for step in bounded}) == len(bounded) and all(
            low - _ROUNDING <= value <= high + _ROUNDING
            for step in bounded
            for value, (low, high) in zip(step.values, self.ranges[step.op], strict=True)
        )

    def random_step(self) -> Step:
        """Any op with any values."""
        op = self._random.choice(self._ops)
        return Step(op.name, tuple(self._random.uniform(*r) for r in self.ranges[op.name]))

    def random_recipe(self) -> Recipe:
        """A recipe of a few steps."""
        count = min(self._random.choice((1, 1, 2, 3)), self._max_steps)
        return self._recipe([self.random_step() for _ in range(count)])

    def mutate(self, recipe: Recipe, others: Sequence[Recipe]) -> Recipe:
        """A variation of a recipe, or a crossover of it with one of the others."""
        config, chance, steps = self._config, self._random.random(), list(recipe.steps)
        insert, perturb_all = config.insert, config.insert + config.perturb_all
        perturb_one = perturb_all + config.perturb_one
        if not steps or (chance < insert and len(steps) < self._max_steps):
            at = self._random.randint(0, len(steps)) if self._random.random() < 0.5 else len(steps)
            steps.insert(at, self.random_step())
        elif chance < perturb_all:
            size = self._size(config.all_sizes)
            steps = [self._perturb(s, size) for s in steps]
        elif chance < perturb_one:
            i = self._random.randrange(len(steps))
            steps[i] = self._perturb(steps[i], self._size(config.one_sizes))
        elif chance < perturb_one + config.drop:
            steps.pop(self._random.randrange(len(steps)))
        else:
            steps = self._crossover(steps, self._random.choice(others).steps)
        return self._recipe(steps)

    def _crossover(self, steps: Sequence[Step], others: Sequence[Step]) -> list[Step]:
        """The first steps of one chain and the last of another."""
        head, tail = self._random.randint(0, len(steps)), self._random.randint(0, len(others))
        return [*steps[:head], *others[tail:]][: self._max_steps]

    def _recipe(self, steps: Sequence[Step]) -> Recipe:
        kept = {s.op if s.op in self._once else i: s for i, s in enumerate(steps)}
        return Recipe(tuple(kept.values())).without_noops()

    def _size(self, limits: tuple[float, float]) -> float:
        """A log-uniform number between the limits."""
        low, high = limits
        return low * (high / low) ** self._random.random()

    def _perturb(self, step: Step, size: float) -> Step:
        values = []
        for value, (low, high) in zip(step.values, self.ranges[step.op], strict=True):
            values.append(min(max(value + self._random.gauss(0, size) * (high - low), low), high))
        return Step(step.op, tuple(values))
