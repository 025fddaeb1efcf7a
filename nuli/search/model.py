"""What is known about an objective, and how surely: a Gaussian process over what recipes make of the picture.

Two recipes that make nearly the same picture score nearly the same, whatever their steps are. So the model
compares pictures (rows of numbers, see `Look`), not values of parameters: all that was scored helps to
foretell what was not. C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

LENGTHS = (0.03, 0.06, 0.12, 0.25, 0.5)
"""Distances over which an objective may change, to choose from."""
TRENDS = (0.0, 1.0)
"""Weights of a straight trend over all pictures, to choose from."""
NOISES = (1e-6, 1e-4, 1e-2)
"""Variances of a score that the rows can't explain, as parts of the whole, to choose from."""
REFIT, ROUNDS = 1.25, 50
"""Length, trend and noise are chosen anew when there are so many times more scores, and every so many rounds."""


class Model:
    """Foretells objectives from rows [N,F]; float64, on the CPU."""

    def __init__(self) -> None:
        self._rows = torch.empty(0, 0)
        self._length, self._trend, self._noise = LENGTHS[2], TRENDS[1], NOISES[1]
        self._chosen_at, self._rounds = 0, 0

    def fit(self, rows: Tensor, objectives: Tensor) -> None:
        """Learn from scored rows [N,F] and their objectives [N]; forgets what it learned before."""
        self._rows = rows
        if not (rows.isfinite().all() and objectives.isfinite().all()):
            raise ValueError("rows and objectives must be finite")
        self._mean = objectives.mean()
        y = (objectives - self._mean)[:, None]
        products = rows @ rows.T
        self._rounds += 1
        if len(rows) >= REFIT * self._chosen_at or self._rounds % ROUNDS == 0:
            # one after the other: all combinations would take three times as long, and seldom tell more
            self._length = max(LENGTHS, key=lambda c: self._solve(products, y, c, self._trend, self._noise))
            self._trend = max(TRENDS, key=lambda c: self._solve(products, y, self._length, c, self._noise))
            self._noise = max(NOISES, key=lambda c: self._solve(products, y, self._length, self._trend, c))
            self._chosen_at = len(rows)
        self._solve(products, y, self._length, self._trend, self._noise)

    def _solve(self, products: Tensor, y: Tensor, length: float, trend: float, noise: float) -> float:
        """Condition on the scores; returns the logarithm of how likely they are (up to a constant)."""
        squares = products.diagonal()
        kernel = _kernel(products, squares, squares, length, trend)
        kernel.diagonal().add_(noise)
        factor, failed = torch.linalg.cholesky_ex(kernel)
        if failed:  # rows too much alike for so little noise
            return self._solve(products, y, length, trend, 100 * noise)
        whitened = torch.linalg.solve_triangular(factor, y, upper=False)
        self._factor, self._variance = factor, float(whitened.square().mean().clamp(min=1e-12))
        self._weights = torch.cholesky_solve(y, factor)[:, 0]
        return -len(y) / 2 * log(self._variance) - float(factor.diagonal().log().sum())

    def foretell(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Means [N] of the objectives of rows [N,F], and their covariances [N,N]."""
        squares = rows.square().sum(1)
        kernel = _kernel(rows @ self._rows.T, squares, self._rows.square().sum(1), self._length, self._trend)
        whitened = torch.linalg.solve_triangular(self._factor, kernel.T, upper=False)
        prior = _kernel(rows @ rows.T, squares, squares, self._length, self._trend)
        return kernel @ self._weights + self._mean, self._variance * (prior - whitened.T @ whitened)


def _kernel(products: Tensor, left: Tensor, right: Tensor, length: float, trend: float) -> Tensor:
    """Matern 5/2 and a linear kernel, from scalar products [N,M] and squared norms [N], [M]."""
    d = ((left[:, None] + right - 2 * products).clamp(min=0) * (5 / length**2)).sqrt()
    return (1 + d + d * d / 3) * torch.exp(-d) + products * (trend / length**2)


def choose(means: Tensor, covariances: Tensor, count: int, boldness: float) -> list[int]:
    """Which of N to score next: each the most promising, given that those before it will come out as foretold.

    Args:
        means: [N].
        covariances: [N,N].
        boldness: standard deviations that doubt counts in favour of.
    """
    covariances, chosen = covariances.clone(), []
    doubt = covariances.diagonal()
    floor = NOISES[0] * float(doubt.max().clamp(min=1e-12))
    for _ in range(min(count, len(means))):
        promise = means + boldness * doubt.clamp(min=0).sqrt()
        promise[chosen] = -torch.inf
        i = int(promise.argmax())
        chosen.append(i)
        column = covariances[:, i] / (covariances[i, i].clamp(min=0) + floor).sqrt()
        covariances -= torch.outer(column, column)
    return chosen
