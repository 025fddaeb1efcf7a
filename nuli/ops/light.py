"""Light: how bright each tone is."""

from __future__ import annotations

import torch
from torch import Tensor

from ..imaging.color import luma, to_linear, to_srgb
from .registry import Param, op

CUTOFF = 0.5
"""Percent of the pixels that auto_level lets clip at each end, as in Pillow's `autocontrast(cutoff=...)`."""


def mean_luma(x: Tensor) -> Tensor:
    """[N,3,H,W] -> [N,1,1,1]."""
    return luma(x).mean((1, 2, 3), keepdim=True)


def histogram(x: Tensor) -> Tensor:
    """[N,3,H,W] -> [N,4,256] pixel counts (float) of R, G, B and luma, in 8-bit levels."""
    n = x.shape[0]
    levels = torch.cat([x, luma(x)], 1).detach().float().mul_(255).round_()
    # float32 holds these numbers exactly, up to 16 384 pictures
    levels += 256 * torch.arange(4 * n, device=x.device).reshape(n, 4, 1, 1)
    counts = torch.bincount(levels.flatten().to(torch.int64), minlength=4 * n * 256)
    return counts.reshape(n, 4, 256).to(x.dtype)


def level_ends(x: Tensor) -> Tensor:
    """[N,3,H,W] -> [N,4,2]: darkest and lightest level (0..1) of R, G, B and luma, CUTOFF left out."""
    h = histogram(x)
    cut = (h.sum(2, keepdim=True) * CUTOFF / 100).floor()
    steps = torch.arange(256, device=x.device, dtype=x.dtype)
    low = 255 - torch.where(h.cumsum(2) > cut, 255 - steps, 0).amax(2)
    high = torch.where(h.flip(2).cumsum(2).flip(2) > cut, steps, 0).amax(2)
    return torch.stack([low, high], 2) / 255


def equal_curves(x: Tensor) -> Tensor:
    """[N,3,H,W] -> [N,4,256]: the curves (0..1) that equalize R, G, B and luma, as Pillow computes them."""
    h = histogram(x)
    last = (h > 0).to(h.dtype) * torch.arange(1, 257, device=x.device, dtype=x.dtype)
    last_count = h.gather(2, last.argmax(2, keepdim=True))
    step = ((h.sum(2, keepdim=True) - last_count) / 255).floor()
    before = h.cumsum(2) - h
    identity = torch.arange(256, device=x.device, dtype=x.dtype).expand_as(h)
    curve = ((before + (step / 2).floor()) / step.clamp(min=1)).floor().clamp(max=255)
    return torch.where(step > 0, curve, identity) / 255


def follow(curve: Tensor, x: Tensor) -> Tensor:
    """Look x [N,C,H,W] up in curves [N,C,K] over 0..1, linear between their points."""
    n, c, h, w = x.shape
    last = curve.shape[2] - 1
    position = (x * last).clamp(0, last)
    index = position.detach().to(torch.int64).clamp_(max=last - 1)
    flat = index.reshape(n, c, h * w)
    low = curve.gather(2, flat).reshape_as(x)
    slope = curve.diff(dim=2).gather(2, flat).reshape_as(x)
    return torch.addcmul(low, slope, position - index)


@op("light", Param("stops", 0, (-0.7, 0.7), (-2, 2), "ev"))
def exposure(x: Tensor, stops: Tensor) -> Tensor:
    """Multiply the light, as a longer exposure does: 2**stops in linear light."""
    return to_srgb(to_linear(x) * torch.exp2(stops))


@op("light", Param("factor", 1, (0.8, 1.25), (0.4, 2.5), "factor"))
def brightness(x: Tensor, factor: Tensor) -> Tensor:
    """Multiply the code values (Pillow's ImageEnhance.Brightness)."""
    return x * factor


@op("light", Param("factor", 1, (0.75, 1.35), (0.2, 3), "factor"), statistics=mean_luma)
def contrast(x: Tensor, factor: Tensor, mean: Tensor) -> Tensor:
    """Spread the code values around the picture's mean luma (Pillow's ImageEnhance.Contrast)."""
    return torch.lerp(mean, x, factor)


@op(
    "light",
    Param("gamma", 1, (0.7, 1.4), (0.3, 3), "plain"),
    Param("gain", 1, (0.9, 1.1), (0.5, 2), "plain"),
)
def gamma(x: Tensor, gamma: Tensor, gain: Tensor) -> Tensor:
    """gain * x**gamma: below 1 lifts the middle tones."""
    # the floor keeps the slope at black finite for gamma < 1; it changes no 16-bit level
    return gain * x.clamp(min=1e-6) ** gamma


@op("light", Param("amount", 0, (-0.5, 0.8), (-1, 2), "shift"))
def shadows(x: Tensor, amount: Tensor) -> Tensor:
    """Lift (above 0) or deepen the dark tones; black, white and hues stay where they are."""
    return x * (1 + amount * (1 - luma(x)) ** 3)


@op("light", Param("amount", 0, (-0.8, 0.5), (-2, 1), "shift"))
def highlights(x: Tensor, amount: Tensor) -> Tensor:
    """Lift (above 0) or recover the light tones; black and white stay where they are."""
    return 1 - (1 - x) * (1 - amount * luma(x) ** 3)


@op(
    "light",
    Param("amount", 0, (0, 1), (0, 1)),
    Param("colour", 0, (0, 0.3), (0, 1)),
    statistics=level_ends,
)
def auto_level(x: Tensor, amount: Tensor, colour: Tensor, ends: Tensor) -> Tensor:
    """Stretch the tones to the full range, by luma (colour 0) or each channel by itself (colour 1).

    The whole effect at colour 0 is Pillow's `autocontrast(preserve_tone=True)`, at colour 1 its plain
    `autocontrast`.
    """
    low, high = ends[:, :, :1, None], ends[:, :, 1:, None]
    # a single tone has nothing to stretch
    flat = high <= low
    low, high = low.masked_fill(flat, 0), high.masked_fill(flat, 1)
    by_luma = (x - low[:, 3:]) / (high - low)[:, 3:]
    by_channel = (x - low[:, :3]) / (high - low)[:, :3]
    target = torch.lerp(by_luma.clamp(0, 1), by_channel.clamp(0, 1), colour)
    return torch.lerp(x, target, amount)


@op(
    "light",
    Param("amount", 0, (0, 0.6), (0, 1)),
    Param("colour", 0, (0, 0), (0, 1)),
    statistics=equal_curves,
)
def equalize(x: Tensor, amount: Tensor, colour: Tensor, curves: Tensor) -> Tensor:
    """Spread the tones evenly, by luma (colour 0) or each channel by itself (colour 1: Pillow's equalize)."""
    grey = luma(x)
    target = (x + follow(curves[:, 3:], grey) - grey).clamp(0, 1)
    # most of the work, and seldom wanted; but to ask a GPU takes longer
    if x.device.type != "cpu" or colour.requires_grad or colour.any():
        target = torch.lerp(target, follow(curves[:, :3], x), colour)
    return torch.lerp(x, target, amount)
