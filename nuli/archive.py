"""What a search came upon that looks different, so that a long search's many refinements don't crowd it out."""

from __future__ import annotations

import torch

from .evaluator import Evaluator
from .looks import colours, distances
from .recipe import Recipe
from .search.gallery import APART, ENOUGH

MOST = 256
"""Recipes kept."""
NEAR = APART / 2
"""Of recipes that look so alike the best one is kept."""


class Archive:
    """The best recipe for each look, of those good enough to be shown.

    Args:
        evaluator: shows what recipes make of the picture.
        before: the untouched picture's objective.
    """

    def __init__(self, evaluator: Evaluator, before: float) -> None:
        self._evaluator, self._before = evaluator, before
        self._known: dict[Recipe, float] = {}

    def add(self, recipe: Recipe, objective: float) -> None:
        """Take note of a recipe; now and then, of what there is too much of the best is kept."""
        if len(recipe):
            self._known[recipe] = objective
            if len(self._known) >= 2 * MOST:
                self._known = dict(self.best())

    def best(self) -> list[tuple[Recipe, float]]:
        """Recipes that look different, and gain at least ENOUGH of what the best one gains; best first."""
        known = sorted(self._known.items(), key=lambda pair: -pair[1])
        if not known:
            return []
        least = self._before + ENOUGH * (known[0][1] - self._before)
        good = [pair for pair in known if pair[1] >= least]
        if not good:  # all are worse than the untouched picture
            return []
        left = colours(self._evaluator.glance([recipe for recipe, _ in good]))
        kept: list[tuple[Recipe, float]] = []
        while good and len(kept) < MOST:
            kept.append(good[0])
            far = [i for i, d in enumerate(distances(left.split(1), left[:1])) if d > NEAR]
            good, left = [good[i] for i in far], left[torch.tensor(far, dtype=torch.long, device=left.device)]
        return kept
