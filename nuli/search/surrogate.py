"""The surrogate: a Gaussian process that predicts objectives, with their covariances, from candidates' features.

Two recipes that make nearly the same picture score nearly the same, whatever their steps are. So the process
compares features of pictures, not parameters: every score helps to predict those of other chains.
C. E. Rasmussen and C. K. I. Williams, "Gaussian Processes for Machine Learning", 2006.
"""

from __future__ import annotations

from math import log

import torch
from torch import Tensor

from .config import SurrogateConfig


class Surrogate:
    """Predicts objectives from features [N,F]; float64, on the CPU."""

    def __init__(self, config: SurrogateConfig) -> None:
        self._config = config
        self._chosen_at, self._rounds = 0, 0

    def fit(self, features: Tensor, objectives: Tensor) -> None:
        """Condition on features [N,F] with their objectives [N]; what was learned before is forgotten.

        Raises ValueError for numbers that are not finite.
        """
        if not (features.isfinite().all() and objectives.isfinite().all()):
            raise ValueError("features and objectives must be finite")
        config = self._config
        self._features, self._mean = features, objectives.mean()
        y, kernel = (objectives - self._mean)[:, None], self._kernel(features, features)
        self._rounds += 1
        if len(features) >= config.refit_growth * self._chosen_at or self._rounds % config.refit_rounds == 0:
            self._noise = max(config.noises, key=lambda noise: self._condition(kernel, y, noise))
            self._chosen_at = len(features)
        self._condition(kernel, y, self._noise)

    def _condition(self, kernel: Tensor, y: Tensor, noise: float) -> float:
        """Condition on objectives y [N,1]; returns their log marginal likelihood, up to a constant."""
        noisy = kernel.clone()
        noisy.diagonal().add_(noise)
        factor, failed = torch.linalg.cholesky_ex(noisy)
        if failed:  # features too much alike for so little noise
            return self._condition(kernel, y, 100 * noise)
        whitened = torch.linalg.solve_triangular(factor, y, upper=False)
        self._factor, self._variance = factor, float(whitened.square().mean().clamp(min=1e-12))
        self._weights = torch.cholesky_solve(y, factor)[:, 0]
        return -len(y) / 2 * log(self._variance) - float(factor.diagonal().log().sum())

    def predict(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Means [N] of the objectives of features [N,F], and their covariances [N,N]."""
        kernel = self._kernel(features, self._features)
        whitened = torch.linalg.solve_triangular(self._factor, kernel.T, upper=False)
        covariances = self._variance * (self._kernel(features, features) - whitened.T @ whitened)
        return kernel @ self._weights + self._mean, covariances

    def _kernel(self, left: Tensor, right: Tensor) -> Tensor:
        """Matern 5/2 between features [N,F] and [M,F]."""
        squares = left.square().sum(1)[:, None] + right.square().sum(1) - 2 * left @ right.T
        d = (squares.clamp(min=0) * (5 / self._config.length_scale**2)).sqrt()
        return (1 + d + d * d / 3) * torch.exp(-d)


def upper_confidence_bound(means: Tensor, variances: Tensor, kappa: float) -> Tensor:
    """Means [N] plus kappa standard deviations (N. Srinivas et al., "Gaussian process optimization in the bandit
    setting", ICML 2010)."""
    return means + kappa * variances.clamp(min=0).sqrt()


def select_batch(means: Tensor, covariances: Tensor, count: int, kappa: float) -> list[int]:
    """Which of N candidates to score together: the highest bound, then the highest given that the ones before it
    come out as predicted ("kriging believer"; D. Ginsbourger et al., 2010).

    Args:
        means: [N].
        covariances: [N,N].
        kappa: weight of the standard deviation in the upper confidence bound.
    """
    covariances, selected = covariances.clone(), []
    variances = covariances.diagonal()
    floor = 1e-6 * float(variances.max().clamp(min=1e-12))
    for _ in range(min(count, len(means))):
        bounds = upper_confidence_bound(means, variances, kappa)
        bounds[selected] = -torch.inf
        i = int(bounds.argmax())
        selected.append(i)
        column = covariances[:, i] / (covariances[i, i].clamp(min=0) + floor).sqrt()
        covariances -= torch.outer(column, column)
    return selected
