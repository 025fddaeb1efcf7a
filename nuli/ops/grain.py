"""Grain: noise as of film. A matter of the place alone: the same recipe gives a picture the same grains again."""

from __future__ import annotations

import torch
from torch import Tensor

from ..imaging.color import luma
from .detail import box_kernel, convolve
from .registry import Param, Scale, op

STRONGEST = 0.12
"""Standard deviation of the noise in middle grey at amount 1, at full size."""
_PASSES = 3
"""Boxes that white noise is blurred with: nearly a Gaussian."""


@op(
    "art",
    Param("amount", 0, (0, 0), (0, 1)),
    Param("size", 0.001, (0.001, 0.001), (0.0005, 0.004), "radius", shapes=True),
    soft=False,
    offered=False,  # to a scorer that likes contrast, noise is the cheapest of it
    halo=lambda values, short: 0,
)
def grain(x: Tensor, amount: Tensor, size: Tensor, scale: Scale) -> Tensor:
    """Film-like grain of a diameter of about size * short side, strongest in the middle tones; luma alone changes.

    A pixel of a small view is the mean of many grains, so there the noise is as much weaker as there are more of them.
    """
    width = (1 + 0.5 * (size.flatten() * scale.full) ** 2) ** 0.5
    kernel = box_kernel(width, _PASSES, scale)
    margin = kernel.shape[1] // 2
    height, across = x.shape[2] + 2 * margin, x.shape[3] + 2 * margin
    noise = white_noise(scale.top - margin, scale.left - margin, height, across, x).expand(len(x), -1, -1, -1)
    noise = convolve(noise, kernel)[:, :, margin : height - margin, margin : across - margin]
    # the blurred noise of the full-size picture has the deviation that its kernel leaves; so much more is needed
    left = box_kernel(width, _PASSES, Scale(scale.full, scale.full)).square().sum(1)
    noise = noise * (scale.short / scale.full / left).reshape(-1, 1, 1, 1)
    grey = luma(x)
    return x + amount * STRONGEST * 4 * grey * (1 - grey) * noise


def white_noise(top: int, left: int, height: int, width: int, like: Tensor) -> Tensor:
    """Independent noise [1,1,height,width] of mean 0 and standard deviation 1, which the place decides alone.

    Each value is the sum of the bytes of a hash of the pixel's row and column, nearly normal.
    """
    rows = torch.arange(top, top + height, device=like.device, dtype=torch.int32)[:, None]
    columns = torch.arange(left, left + width, device=like.device, dtype=torch.int32)
    value = _hash(columns + _hash(rows))
    total = sum(value >> shift & 255 for shift in (0, 8, 16, 24))
    # four numbers, each 0..255 alike: mean 510, variance (256**2 - 1) / 3
    return ((total - 510).to(like.dtype) / ((256**2 - 1) / 3) ** 0.5)[None, None]


def _hash(x: Tensor) -> Tensor:
    """32-bit integers, mixed: C. Wellons' lowbias32 (2018, public domain). Products wrap around."""
    x = (x ^ (x >> 16 & 0xFFFF)) * 0x7FEB352D
    x = (x ^ (x >> 15 & 0x1FFFF)) * (0x846CA68B - (1 << 32))
    return x ^ (x >> 16 & 0xFFFF)
