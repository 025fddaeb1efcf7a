"""Fits the values of a chain of ops, so that a picture comes as near to a target as they can bring it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..ops.registry import Op, Scale, apply_op, measure_subsampled

ITERATIONS = 12
PROBE = 0.02
"""How far each value is moved to see what that does, in parts of its soft range."""
RIDGE = 1e-3
"""Weight of the values themselves, in soft ranges: of chains that do the same the mildest is wanted."""
NEAR = 1.0
"""Distances beyond count by themselves rather than by their squares: what has no counterpart, or is clipped for good,
is not to pull the rest along."""
DAMPINGS = (0.01, 0.3, 10.0)
"""Tried at once, in parts of the last one: three pictures hardly take longer than one."""


def fit(x: Tensor, distances: Callable[[Tensor], Tensor], ops: Sequence[Op], mode: str | None = None) -> Tensor:
    """The values of a chain of ops that bring a picture nearest to a target: those of all ops in a row, [P].

    By D. Marquardt's method (J. Soc. Indust. Appl. Math. 11, 1963) and P. Huber's loss (Ann. Math. Statist. 35, 1964);
    derivatives are differences, all of them made as one batch.

    Args:
        x: the picture [1,3,h,w], a small one: it is worked on some hundred times.
        distances: from pictures [N,3,h,w] to their signed distances [N,R] from the target, in dE.
        ops: pointwise ones, in their order.
        mode: whose ranges to keep to; None: what a recipe may hold.
    """
    params = [param for op in ops for param in op.params]
    identity = x.new_tensor([param.identity for param in params])
    unit = x.new_tensor([param.soft[1] - param.soft[0] or 1.0 for param in params])
    ranges = [r for op in ops for r in op.ranges(mode)] if mode else [param.limits for param in params]
    low, high = ((x.new_tensor(ends) - identity) / unit for ends in zip(*ranges, strict=True))
    scale = Scale(min(x.shape[2:]), min(x.shape[2:]))

    def run(moves: Tensor) -> Tensor:
        """Distances [N,R] once the values have moved away from their identities by so many units [N,P]."""
        y, values = x.expand(len(moves), -1, -1, -1), identity + unit * moves
        for op, columns in zip(ops, values.split([len(op.params) for op in ops], 1), strict=True):
            y = apply_op(op, y, columns, measure_subsampled(op, y), scale)
        return distances(y)

    def cost(found: Tensor, moves: Tensor) -> Tensor:
        size = found.abs()
        loss = torch.where(size < NEAR, size.square() / 2, NEAR * (size - NEAR / 2))
        return loss.mean(1) + RIDGE * moves.square().sum(1)

    moves, damping = torch.zeros_like(identity)[None], 1.0
    found = run(moves)
    for _ in range(ITERATIONS):
        side = torch.where(moves[0] + PROBE <= high, PROBE, -PROBE)
        slopes = (run(moves + side.diag()) - found).T / side  # [R,P]
        weights = NEAR / found[0].abs().clamp(min=NEAR) / len(slopes)
        squares = slopes.T @ (weights[:, None] * slopes) + 2 * RIDGE * torch.eye(len(side), device=x.device)
        downhill = -slopes.T @ (weights * found[0]) - 2 * RIDGE * moves[0]
        dampings = damping * x.new_tensor(DAMPINGS)
        damped = squares + dampings[:, None, None] * squares.diagonal().diag()
        steps = torch.linalg.solve(damped, downhill.expand(len(dampings), -1)[..., None])[..., 0]
        proposed = (moves + steps).clamp(low, high)
        results = run(proposed)
        costs = cost(results, proposed)
        best = int(costs.argmin())
        gained = float(cost(found, moves) - costs[best])
        damping = float(dampings[best]) if gained > 0 else 10 * float(dampings[-1])
        if gained > 0:
            moves, found = proposed[best : best + 1], results[best : best + 1]
        if 0 < gained < 1e-3 * float(costs[best]) or damping > 1e3:
            break
    return (identity + unit * moves)[0]
