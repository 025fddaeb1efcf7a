"""Art: for hard mode only; the picture becomes another one."""

from __future__ import annotations

import torch
from torch import Tensor

from .registry import Param, op


@op("art", Param("amount", 0, (0, 0), (0, 1)), soft=False)
def invert(x: Tensor, amount: Tensor) -> Tensor:
    """Towards the negative (Pillow's ImageOps.invert at 1)."""
    return torch.lerp(x, 1 - x, amount)


@op("art", Param("threshold", 1.004, (1.004, 1.004), (0.2, 1.004), "plain"), soft=False, differentiable=False)
def solarize(x: Tensor, threshold: Tensor) -> Tensor:
    """Invert the values from the threshold up (Pillow's ImageOps.solarize; the scale here is 0..1)."""
    return torch.where(x < threshold, x, 1 - x)


@op("art", Param("bits", 8, (8, 8), (1, 8), "bits"), soft=False, differentiable=False)
def posterize(x: Tensor, bits: Tensor) -> Tensor:
    """Keep the highest bits of each value's 8 (Pillow's ImageOps.posterize)."""
    step = torch.exp2(8 - bits.round())
    # half a level up first: a value that stands for level 64 must not fall below it for want of 1e-7
    return torch.floor((x * 255 + 0.5) / step) * step / 255
