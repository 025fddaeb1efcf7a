"""Detail: how crisp things are. Radii are relative to the picture's short side."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .registry import Param, Scale, op

FREQUENCIES = 128
"""Samples of a filter's response from 0 to half a cycle a pixel, from which small views' kernels are made."""


def box_response(width: Tensor, cycles: Tensor) -> Tensor:
    """Response of a box of `width` pixels (at least 1; its end pixels count in part) at frequencies.

    Args:
        width: [N], pixels.
        cycles: [F], cycles a pixel, 0..0.5.
    Returns:
        [N,F], 1 at frequency 0.
    """
    count = math.ceil((float(width.detach().max()) - 1) / 2)
    taps = torch.arange(1, count + 1, device=width.device, dtype=width.dtype)
    weights = ((width[:, None] - 1) / 2 - taps + 1).clamp(0, 1)
    waves = torch.cos(2 * math.pi * taps[:, None] * cycles)
    return (1 + 2 * weights @ waves) / width[:, None]


def box_kernel(width: Tensor, passes: int, scale: Scale) -> Tensor:
    """The kernel that does to a view what `passes` boxes of `width` do to the full-size picture.

    A box much narrower than the view's pixels can't be sampled; its response can. The kernel is the
    response, limited to the frequencies that the view holds, transformed back.

    Args:
        width: [N], in pixels of the full-size picture.
    Returns:
        [N,K], K odd, rows summing to 1.
    """
    ratio = scale.short / scale.full
    halves = torch.ceil(passes * width.detach() / 2 * ratio) + 3
    half = int(halves.max())
    cycles = torch.linspace(0, 0.5, max(FREQUENCIES, half + 1), device=width.device, dtype=width.dtype)
    response = box_response(width, (cycles * ratio).clamp(max=0.5)) ** passes
    weights = torch.ones_like(cycles)
    weights[0] = weights[-1] = 0.5  # trapezoid rule: exact for a kernel shorter than the samples
    taps = torch.arange(half + 1, device=width.device, dtype=width.dtype)
    side = (response * weights) @ torch.cos(2 * math.pi * cycles[:, None] * taps)
    side = torch.where(taps <= halves[:, None], side, 0)  # each as long as it would be by itself
    kernel = torch.cat([side.flip(1)[:, :-1], side], 1)
    return kernel / kernel.sum(1, keepdim=True)


def convolve(x: Tensor, kernel: Tensor) -> Tensor:
    """Filter [N,C,H,W] along both axes with symmetric kernels [N,K], the edges repeated."""
    n, c, h, w = x.shape
    size = kernel.shape[1]
    if x.device.type == "cpu" and not (x.requires_grad or kernel.requires_grad):
        return _sum_shifted(_sum_shifted(x, kernel, 3), kernel, 2)
    weight = kernel.repeat_interleave(c, 0)[:, None, :]
    x = x.reshape(1, n * c, h, w)
    for shape, pad in (((n * c, 1, 1, size), (1, 0)), ((n * c, 1, size, 1), (0, 1))):
        x = _pad(x, size // 2 * pad[0], size // 2 * pad[1])
        x = F.conv2d(x, weight.reshape(shape), groups=n * c)
    return x.reshape(n, c, h, w)


def _sum_shifted(x: Tensor, kernel: Tensor, dim: int) -> Tensor:
    """`convolve` along one axis, by adding up shifted copies: on a CPU three times as fast as conv2d."""
    half, size = kernel.shape[1] // 2, x.shape[dim]
    padded = _pad(x, half * (dim == 3), half * (dim == 2))
    weights = kernel[:, half:, None, None, None].unbind(1)
    total = x * weights[0]
    for i in range(1, half + 1):
        both = padded.narrow(dim, half - i, size) + padded.narrow(dim, half + i, size)
        total.addcmul_(both, weights[i])
    return total


def _pad(x: Tensor, columns: int, rows: int) -> Tensor:
    return F.pad(x, (columns, columns, rows, rows), mode="replicate")


def box_sums(x: Tensor, width: float) -> Tensor:
    """One box of `width` pixels along both axes of [1,C,H,W], by running sums: its cost doesn't grow with it."""
    count = math.ceil((width - 1) / 2)
    part = (width - 1) / 2 - (count - 1)
    for dim, columns, rows in ((3, count, 0), (2, 0, count)):
        size = x.shape[dim]
        padded = _pad(x, columns + (dim == 3), rows + (dim == 2)).sub_(0.5)  # small sums lose fewer bits
        sums = padded.cumsum(dim)
        outer = sums.narrow(dim, 2 * count + 1, size) - sums.narrow(dim, 0, size)
        inner = sums.narrow(dim, 2 * count, size) - sums.narrow(dim, 1, size)
        x = inner.lerp_(outer, part).div_(width).add_(0.5)
    return x


def smooth(x: Tensor, width: Tensor, passes: int, scale: Scale) -> Tensor:
    """Average over boxes of `width` [N] pixels of the full-size picture, `passes` times."""
    if len(x) == 1 and scale.short == scale.full and not width.requires_grad:
        for _ in range(passes):
            x = box_sums(x, float(width)) if float(width) > 1 else x
        return x
    return convolve(x, box_kernel(width, passes, scale))


def _sharpness_width(short: float) -> float:
    """Pillow's 3 pixels up to a short side of 512, and the same part of the picture above it."""
    return max(3.0, 3.0 * short / 512)


@lru_cache(8)
@torch.inference_mode(False)  # it is used again, where gradients may be wanted
def _sharpness_kernel(short: float, full: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    """[1,K]: the same for every candidate, and in every part of the picture."""
    return box_kernel(torch.full((1,), _sharpness_width(full), device=device, dtype=dtype), 1, Scale(short, full))


@op(
    "detail",
    Param("factor", 1, (0.6, 1.8), (0, 2.2), "factor", widest=(0, 4)),
    halo=lambda values, short: math.ceil(_sharpness_width(short) / 2) + 1,
)
def sharpness(x: Tensor, factor: Tensor, scale: Scale) -> Tensor:
    """Away from (above 1) or towards a softened copy (Pillow's ImageEnhance.Sharpness).

    Pillow's 3x3 kernel, [1 1 1; 1 5 1; 1 1 1] / 13, is 4/13 of the picture and 9/13 of a 3x3 box.
    """
    if len(x) == 1 and scale.short == scale.full:
        soft = smooth(x, x.new_full((1,), _sharpness_width(scale.full)), 1, scale)
    else:
        kernel = _sharpness_kernel(scale.short, scale.full, x.device, x.dtype)
        soft = convolve(x, kernel.expand(len(x), -1))
    return torch.lerp(x, soft, (1 - factor) * (9 / 13))


def _blur_width(radius: Tensor | float, short: float) -> Tensor | float:
    """Width in pixels of the boxes, three of which have the standard deviation radius * short."""
    return (1 + 4 * (radius * short) ** 2) ** 0.5


def _blur_halo(radius: float, short: float) -> int:
    return 3 * math.ceil(_blur_width(radius, short) / 2) + 3


@op(
    "detail",
    Param("radius", 0, (0, 0.002), (0, 0.02), "radius"),
    halo=lambda values, short: _blur_halo(values[0], short),
)
def blur(x: Tensor, radius: Tensor, scale: Scale) -> Tensor:
    """Soften everything: three boxes, nearly a Gaussian of standard deviation radius * short side."""
    return smooth(x, _blur_width(radius.flatten(), scale.full), 3, scale)


@op(
    "detail",
    Param("amount", 0, (0, 0), (0, 1)),
    Param("radius", 0.01, (0.01, 0.01), (0.002, 0.03), "radius", shapes=True),
    soft=False,
    halo=lambda values, short: _blur_halo(values[1], short),
)
def glow(x: Tensor, amount: Tensor, radius: Tensor, scale: Scale) -> Tensor:
    """Lay a blurred copy over the picture as a second slide ("screen"), darkened to keep the light."""
    # a small view's kernel can overshoot a little, and a power of less than nothing is no number
    soft = smooth(x, _blur_width(radius.flatten(), scale.full), 3, scale).clamp(0, 1)
    both = 1 - (1 - x) * (1 - soft)
    return torch.lerp(x, both**1.5, amount)
