"""What hard mode's other results are picked from: the best recipe for each look, and for each direction."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..options import AS_FOUND, Amounts
from ..recipe import Recipe
from .directions import DIRECTIONS, directions, starts_of
from .evaluator import Evaluator
from .features import color_distances, color_grid

MIN_GAIN = 0.5
"""Part of the best one's gain that every other must reach."""
MIN_SPAN = 1.5
"""Where the best one gains less than so many tenths of the scorer's range, the others are judged as if it had:
of a picture that is good as it is, others that are nearly as good can be shown too."""
MIN_DISTANCE = 8.0
"""How far apart all of them must be, by `color_distances`: one tells them apart at first sight."""
MAX_ARCHIVED = 256
"""Recipes kept."""
NEAR = MIN_DISTANCE / 2
"""Distance within which the archive keeps only the best of several recipes."""
LEADERS = 4
"""Recipes kept of each direction, however little they gain: those to search on from."""
LEVEL = 0.9
"""A direction whose best reaches this part of the best gain of all doesn't lag behind."""


def span(evaluator: Evaluator, gain: float) -> float:
    """What the best one gains; MIN_SPAN where that is more."""
    return max(gain, MIN_SPAN * evaluator.unit)


class Archive:
    """The best recipe for each look, of those good enough to be shown, and the best few for each direction.

    Args:
        evaluator: makes the thumbnails.
        before: the untouched picture's objective.
        amounts: how much to use of the starts of each direction.
    """

    def __init__(self, evaluator: Evaluator, before: float, amounts: Amounts = AS_FOUND) -> None:
        self._evaluator, self._before, self._amounts = evaluator, before, amounts
        self._original = evaluator.thumbnails([Recipe()])
        self._objectives: dict[Recipe, float] = {}
        self._new: dict[Recipe, float] = {}
        """Recipes whose direction is not known yet."""
        self._leaders: dict[str, list[tuple[Recipe, float]]] = {name: [] for name in DIRECTIONS}
        self._turns = dict.fromkeys(DIRECTIONS, 0)
        """How often each direction was searched on."""

    def add(self, recipe: Recipe, objective: float) -> None:
        """Take note of a recipe. Where there are too many, only the best are kept."""
        if len(recipe):
            self._objectives[recipe] = self._new[recipe] = objective
            if len(self._objectives) >= 2 * MAX_ARCHIVED:
                self._objectives = dict(self.best())

    def directions(self, recipes: Sequence[Recipe]) -> list[str]:
        """The direction of each recipe; "" where none is clear."""
        return directions(self._evaluator.thumbnails(recipes), self._original) if recipes else []

    def lagging(self) -> tuple[str, list[Recipe]]:
        """The direction to search on, and recipes to go on from: its best ones, and the best of all with a start of
        that direction after it. None of it where no direction lags behind.

        Of those that lag behind the least searched on is next; the farther one is from being good enough to be shown,
        the seldomer.
        """
        self._learn()
        top, best = max(self._objectives.items(), key=lambda pair: pair[1], default=(Recipe(), self._before))
        gain = max(best - self._before, 1e-6)
        shares = {name: (pairs[0][1] - self._before) / gain for name, pairs in self._leaders.items() if pairs}
        behind = {name: share for name, share in shares.items() if share < LEVEL}
        if not behind:
            return "", []
        name = min(behind, key=lambda name: (self._turns[name] + 1) * (1 + max(0.0, MIN_GAIN - behind[name])))
        self._turns[name] += 1
        further = [Recipe((*top.steps, *start.scaled(self._amounts).steps)) for start in starts_of(name)]
        return name, [*(recipe for recipe, _ in self._leaders[name]), *further]

    def best(self) -> list[tuple[Recipe, float]]:
        """Recipes that look different, and gain at least MIN_GAIN of what the best one gains; best first.

        Where a direction has such a recipe, it has one here, even where that looks much like a better one.
        """
        self._learn()
        ranked = sorted(self._objectives.items(), key=lambda pair: -pair[1])
        if not ranked:
            return []
        least = ranked[0][1] - (1 - MIN_GAIN) * span(self._evaluator, ranked[0][1] - self._before)
        good = [pair for pair in ranked if pair[1] >= least]
        if not good:  # all are worse than the untouched picture
            return []
        grids = color_grid(self._evaluator.thumbnails([recipe for recipe, _ in good]))
        kept = {pairs[0][0]: pairs[0][1] for pairs in self._leaders.values() if pairs and pairs[0][1] >= least}
        while good and len(kept) < MAX_ARCHIVED:
            kept[good[0][0]] = good[0][1]
            far = [i for i, d in enumerate(color_distances(grids.split(1), grids[:1])) if d > NEAR]
            good, grids = [good[i] for i in far], grids[torch.tensor(far, dtype=torch.long, device=grids.device)]
        return sorted(kept.items(), key=lambda pair: -pair[1])

    def _learn(self) -> None:
        """Put the new recipes among the leaders of their directions."""
        new, self._new = list(self._new.items()), {}
        for pair, name in zip(new, self.directions([recipe for recipe, _ in new]), strict=True):
            if name:
                leaders = {**dict(self._leaders[name]), pair[0]: pair[1]}
                self._leaders[name] = sorted(leaders.items(), key=lambda pair: -pair[1])[:LEADERS]
