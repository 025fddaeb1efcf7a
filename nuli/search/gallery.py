"""Several results of one search: recipes that gain much and look different. Knows neither pictures nor scorers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

OTHERS = 5
"""Results besides the best, at most."""
ENOUGH = 0.5
"""Part of the best one's gain that every other must reach."""
APART = 8.0
"""How far apart all of them must look, in the units of `looks.distances`: one knows them apart at a glance."""
FAR = 25.0
"""From there on they are different enough: what is gained decides."""


def pick(
    gains: Sequence[float], near: Sequence[float], distances: Callable[[int], Sequence[float]], count: int = OTHERS
) -> list[int]:
    """Which candidates to show beside the best one, in the order of their worth.

    One after the other is taken that gains much and lies far from all that are taken already.

    Args:
        gains: of each candidate, as a part of what the best one gains.
        near: how far each candidate lies from the best one.
        distances: distances(i): how far each candidate lies from the i-th.
        count: how many to take at most.
    Returns:
        Indices of candidates that gain ENOUGH, and lie APART from the best one and from each other.
    """
    near = list(near)
    picked: list[int] = []
    while len(picked) < count:
        left = [i for i, gain in enumerate(gains) if gain >= ENOUGH and near[i] >= APART and i not in picked]
        if not left:
            break
        picked.append(max(left, key=lambda i: gains[i] * min(near[i], FAR)))
        near = [min(pair) for pair in zip(near, distances(picked[-1]), strict=True)]
    return picked
