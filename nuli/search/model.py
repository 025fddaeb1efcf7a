"""What is known about an objective, and how surely: a Gaussian process over what recipes make of the picture.

Two recipes that make nearly the same picture score nearly the same, whatever their steps are. So the model
compares pictures (rows of numbers, see `Look`), not values of parameters: all that was scored helps to
foretell what was not. C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

LENGTH = 0.12
"""Distance over which an objective changes."""
NOISES = (1e-6, 1e-4, 1e-2)
"""Variances of a score that the rows can't explain, as parts of the whole, to choose from."""
REFIT, ROUNDS = 1.25, 50
"""The noise is chosen anew when there are so many times more scores, and every so many rounds."""


class Model:
    """Foretells objectives from rows [N,F]; float64, on the CPU."""

    def __init__(self) -> None:
        self._chosen_at, self._rounds = 0, 0

    def fit(self, rows: Tensor, objectives: Tensor) -> None:
        """Learn from scored rows [N,F] and their objectives [N]; forgets what it learned before."""
        if not (rows.isfinite().all() and objectives.isfinite().all()):
            raise ValueError("rows and objectives must be finite")
        self._rows, self._mean = rows, objectives.mean()
        y, kernel = (objectives - self._mean)[:, None], _kernel(rows, rows)
        self._rounds += 1
        if len(rows) >= REFIT * self._chosen_at or self._rounds % ROUNDS == 0:
            self._noise = max(NOISES, key=lambda noise: self._solve(kernel, y, noise))
            self._chosen_at = len(rows)
        self._solve(kernel, y, self._noise)

    def _solve(self, kernel: Tensor, y: Tensor, noise: float) -> float:
        """Condition on the scores; returns the logarithm of how likely they are (up to a constant)."""
        noisy = kernel.clone()
        noisy.diagonal().add_(noise)
        factor, failed = torch.linalg.cholesky_ex(noisy)
        if failed:  # rows too much alike for so little noise
            return self._solve(kernel, y, 100 * noise)
        whitened = torch.linalg.solve_triangular(factor, y, upper=False)
        self._factor, self._variance = factor, float(whitened.square().mean().clamp(min=1e-12))
        self._weights = torch.cholesky_solve(y, factor)[:, 0]
        return -len(y) / 2 * log(self._variance) - float(factor.diagonal().log().sum())

    def foretell(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Means [N] of the objectives of rows [N,F], and their covariances [N,N]."""
        kernel = _kernel(rows, self._rows)
        whitened = torch.linalg.solve_triangular(self._factor, kernel.T, upper=False)
        covariances = self._variance * (_kernel(rows, rows) - whitened.T @ whitened)
        return kernel @ self._weights + self._mean, covariances


def _kernel(left: Tensor, right: Tensor) -> Tensor:
    """Matern 5/2 between rows [N,F] and [M,F]."""
    squares = left.square().sum(1)[:, None] + right.square().sum(1) - 2 * left @ right.T
    d = (squares.clamp(min=0) * (5 / LENGTH**2)).sqrt()
    return (1 + d + d * d / 3) * torch.exp(-d)


def choose(means: Tensor, covariances: Tensor, count: int, boldness: float) -> list[int]:
    """Which of N to score next: each the most promising, given that those before it will come out as foretold.

    Args:
        means: [N].
        covariances: [N,N].
        boldness: standard deviations that doubt counts in favour of.
    """
    covariances, chosen = covariances.clone(), []
    doubt = covariances.diagonal()
    floor = 1e-6 * float(doubt.max().clamp(min=1e-12))
    for _ in range(min(count, len(means))):
        promise = means + boldness * doubt.clamp(min=0).sqrt()
        promise[chosen] = -torch.inf
        i = int(promise.argmax())
        chosen.append(i)
        column = covariances[:, i] / (covariances[i, i].clamp(min=0) + floor).sqrt()
        covariances -= torch.outer(column, column)
    return chosen
