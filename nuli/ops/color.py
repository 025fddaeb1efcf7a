"""Colour: how strong colours are, and which."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..imaging.color import luma
from .registry import Param, op


@op("colour", Param("factor", 1, (0.6, 1.5), (0, 3), "factor"))
def saturation(x: Tensor, factor: Tensor) -> Tensor:
    """Away from (above 1) or towards grey (Pillow's ImageEnhance.Color)."""
    return torch.lerp(luma(x), x, factor)


@op("colour", Param("amount", 0, (-0.5, 0.7), (-1, 2), "shift"))
def vibrance(x: Tensor, amount: Tensor) -> Tensor:
    """Saturation for the pale colours: the stronger a colour is already, the less it changes."""
    strength = x.amax(1, keepdim=True) - x.amin(1, keepdim=True)
    return torch.lerp(luma(x), x, 1 + amount * (1 - strength) ** 2)


def _gains(x: Tensor, red: Tensor, green: Tensor, blue: Tensor) -> Tensor:
    """Multiply the channels, the luma of grey kept."""
    gains = torch.cat([red, green, blue], 1)
    return x * (gains / luma(gains))


@op("colour", Param("shift", 0, (-0.15, 0.15), (-0.6, 0.6), "shift"))
def temperature(x: Tensor, shift: Tensor) -> Tensor:
    """Warmer (above 0: red up, blue down) or cooler; greys keep their luma."""
    return _gains(x, torch.exp(shift), torch.ones_like(shift), torch.exp(-shift))


@op("colour", Param("shift", 0, (-0.1, 0.1), (-0.5, 0.5), "shift"))
def tint(x: Tensor, shift: Tensor) -> Tensor:
    """More magenta (above 0) or more green; greys keep their luma."""
    other = torch.exp(shift / 2)
    return _gains(x, other, torch.exp(-shift), other)


@op("colour", Param("turn", 0, (0, 0), (-0.5, 0.5), "plain"), soft=False)
def hue(x: Tensor, turn: Tensor) -> Tensor:
    """Turn all hues, in whole turns of the HSV wheel."""
    high, low = x.amax(1, keepdim=True), x.amin(1, keepdim=True)
    chroma = high - low
    safe = chroma.clamp(min=1e-8)
    r, g, b = x.unbind(1)
    r, g, b = r.unsqueeze(1), g.unsqueeze(1), b.unsqueeze(1)
    sixths = torch.where(
        high == r,
        (g - b) / safe,
        torch.where(high == g, (b - r) / safe + 2, (r - g) / safe + 4),
    )
    # each channel is a trapezoid over the hue wheel, 6 sixths around, 2 apart
    phase = torch.cat([sixths + 5, sixths + 3, sixths + 1], 1) + 6 * turn
    k = torch.remainder(phase, 6)
    return high - chroma * torch.minimum(k, 4 - k).clamp(0, 1)


@op(
    "colour",
    Param("cycle", 0, (0, 0), (0, 1)),
    Param("swap", 0, (0, 0), (0, 1)),
    soft=False,
)
def channel_mix(x: Tensor, cycle: Tensor, swap: Tensor) -> Tensor:
    """Let the channels take each other's place: red to green to blue to red, then red with blue."""
    x = torch.lerp(x, x.roll(1, 1), cycle)
    return torch.lerp(x, x.flip(1), swap)


@op(
    "colour",
    Param("amount", 0, (0, 0), (0, 0.4)),
    Param("hue", 0, (0, 0), (0, 1), "plain", shapes=True),
    soft=False,
)
def split_tone(x: Tensor, amount: Tensor, hue: Tensor) -> Tensor:
    """Tint the shadows with a hue (in turns) and the highlights with its opposite; luma stays."""
    angle = 2 * math.pi * (hue - torch.tensor([0, 1 / 3, 2 / 3], dtype=x.dtype, device=x.device).view(1, 3, 1, 1))
    tone = torch.cos(angle)
    tone = tone - luma(tone)
    return x + amount * tone * (1 - 2 * luma(x))
