"""Searches to compare: each proposes lists of recipes and is sent their objectives, without an end.

All of them know what the untouched picture has, and use the same ops, ranges and lengths.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from nuli.ops.registry import Op
from nuli.ops.step import Step
from nuli.recipe import Recipe
from nuli.search.config import EXPENSIVE, SearchConfig
from nuli.search.plan import Plan, ScoreRequest, plan_search
from nuli.search.tree import Describe, Tree


@dataclass(frozen=True)
class Task:
    """What a search is told."""

    ops: tuple[Op, ...]
    max_steps: int
    seed: int
    identity: float
    """The untouched picture's objective."""
    describe: Describe
    """Features of what recipes make, for searches that compare them."""
    starts: tuple[Recipe, ...] = ()
    """Predicted recipes, for searches that begin with one."""
    config: SearchConfig = EXPENSIVE
    """Hyperparameters of nuli's own."""


UNIFORM = 400
"""Iterations in which the original takes any node for parent (300 to 500, by its settings)."""
NEAR = 0.1
"""A node is "not much worse" than the best by this part of the best's gain."""


def original(task: Task) -> Plan:
    """The search of Whiax's NUl Image Enhancer, from a description of it.

    Its random steps are drawn from any node in its first iterations, rejected ones included; after an
    improvement it sweeps one op's values, one parameter at a time, and scores the winner again. Left out,
    as it is no part of the search: its fixed op ranges, its light guard, and two flips for each score.
    """
    rng = random.Random(task.seed)
    nodes, best, improved, iteration = [(Recipe(), task.identity)], task.identity, False, 0
    while True:
        iteration += 1
        # what is as long as allowed can't be a parent; near the end that may be all that is good
        open_nodes = [n for n in nodes if len(n[0]) < task.max_steps]
        least = best - NEAR * (best - task.identity)
        near = [n for n in open_nodes if n[1] >= least] or open_nodes
        if iteration <= UNIFORM:
            parent, _ = rng.choice(open_nodes)
        elif rng.random() < 0.8:
            parent, _ = rng.choice(near)
        else:
            parent, _ = max(near, key=lambda n: n[1])
        op = rng.choice(task.ops)
        values = [rng.uniform(*r) for r in op.ranges("soft")]
        if improved:
            values = list(op.identity)
            for i, (low, high) in enumerate(op.ranges("soft")):
                if high > low:
                    count = rng.choice((10, 20))
                    sweep = [low + (high - low) * k / (count - 1) for k in range(count)]
                    tried = [parent.then(Step(op.name, (*values[:i], v, *values[i + 1 :]))) for v in sweep]
                    objectives = (yield ScoreRequest(tuple(tried))).objectives
                    values[i] = sweep[max(range(count), key=objectives.__getitem__)]
        recipe = parent.then(Step(op.name, tuple(values)))
        [objective] = (yield ScoreRequest((recipe,))).objectives
        nodes.append((recipe, objective))
        improved, best = objective > best, max(best, objective)


def draw(task: Task, rng: random.Random) -> Recipe:
    """A chain of any length, no op twice, each value anywhere in its range."""
    chosen = rng.sample(task.ops, rng.randint(1, min(task.max_steps, len(task.ops))))
    return Recipe(tuple(Step(o.name, tuple(rng.uniform(*r) for r in o.ranges("soft"))) for o in chosen))


def at_random(task: Task) -> Plan:
    rng = random.Random(task.seed)
    while True:
        yield ScoreRequest(tuple(draw(task, rng) for _ in range(16)))


CHAIN = ("auto_level", "exposure", "contrast", "gamma", "shadows", "saturation", "temperature", "tint")
"""What CMA-ES is given: the order of a common photo workflow."""


def cma_es(task: Task) -> Plan:
    """CMA-ES (Hansen's, of the package cmaes) on one chain, from identity; a new one when it has converged."""
    try:
        from cmaes import CMA
    except ImportError as error:
        raise ImportError("the searcher cma-es needs: pip install cmaes") from error
    ops = {o.name: o for o in task.ops}
    chain = [ops[name] for name in CHAIN if name in ops][: task.max_steps] or list(task.ops[: task.max_steps])
    places = [(o, i) for o in chain for i, (low, high) in enumerate(o.ranges("soft")) if high > low]
    ranges = np.array([o.ranges("soft")[i] for o, i in places])
    low, span = ranges[:, 0], ranges[:, 1] - ranges[:, 0]
    mean = (np.array([o.identity[i] for o, i in places]) - low) / span
    bounds = np.array([[0.0, 1.0]] * len(places))
    rng, restart = np.random.default_rng(task.seed), 0
    while True:
        solver = CMA(mean, 0.2, bounds, seed=task.seed + restart)
        while not solver.should_stop():
            points = [solver.ask() for _ in range(solver.population_size)]
            request = ScoreRequest(tuple(_recipe(chain, places, low + span * p) for p in points))
            objectives = (yield request).objectives
            solver.tell([(p, -o) for p, o in zip(points, objectives, strict=True)])
        mean, restart = rng.random(len(places)), restart + 1


def _recipe(chain: list[Op], places: list[tuple[Op, int]], values: np.ndarray) -> Recipe:
    at = dict(zip(places, values, strict=True))
    steps = [Step(o.name, tuple(at.get((o, i), v) for i, v in enumerate(o.identity))) for o in chain]
    return Recipe(tuple(steps)).without_noops()


def tree(task: Task, warm: bool = False, gradients: bool = False) -> Plan:
    """nuli's own; `warm`: from what `tone` predicts; `gradients`: with these, 3 evaluations each."""
    grown = Tree(task.ops, "soft", task.max_steps, task.seed, task.identity, task.describe, task.config)
    return plan_search(grown, task.starts if warm else (), task.ops, gradients)


SEARCHERS: dict[str, Callable[[Task], Plan]] = {
    "original": original,
    "random": at_random,
    "cma-es": cma_es,
    "tree": tree,
    "gradients": partial(tree, gradients=True),
    "nuli": partial(tree, warm=True, gradients=True),
}
