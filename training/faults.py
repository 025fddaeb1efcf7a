"""What goes wrong with photos, as batches of pictures [N,3,H,W] (sRGB 0..1), every picture by its own amount.

Each fault takes the pictures, one size [N,1,1,1] (1 is mild) and a random generator. Nothing here is taken from
`bench/degrade.py`, so that the benchmark's own generators stay unseen.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from nuli.imaging.color import to_linear, to_srgb
from nuli.ops.registry import Scale, apply_op, get_op, measure_statistics

TO_SRGB = torch.tensor([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
"""CIE XYZ to linear sRGB (IEC 61966-2-1)."""
Fault = Callable[[Tensor, Tensor, torch.Generator], Tensor]


def uniform(x: Tensor, low: float, high: float, g: torch.Generator, channels: int = 1) -> Tensor:
    return low + (high - low) * torch.rand(len(x), channels, 1, 1, generator=g)


def run(name: str, x: Tensor, *values: Tensor) -> Tensor:
    """One of nuli's own ops."""
    op = get_op(name)
    columns = [v.flatten() for v in values]
    columns += [torch.full_like(columns[0], p.identity) for p in op.params[len(columns) :]]
    return apply_op(
        op, x, torch.stack(columns, 1), measure_statistics(op, x), Scale(min(x.shape[2:]), min(x.shape[2:]))
    )


def exposure(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    return run("exposure", x, size * uniform(x, -0.75, 0.75, g))


def contrast(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    return run("contrast", x, torch.exp(size * uniform(x, -0.5, 0.28, g)))


def gamma(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    return run("gamma", x, torch.exp(size * uniform(x, -0.36, 0.36, g)))


def saturation(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    return run("saturation", x, torch.exp(size * uniform(x, -0.8, 0.35, g)))


def cast(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    x = run("temperature", x, size * uniform(x, -0.13, 0.13, g))
    return run("tint", x, size * uniform(x, -0.08, 0.08, g))


def daylight(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    """Wrong white balance along the daylight locus (CIE 15): as if the light had been warmer or cooler."""
    kelvin = 1e6 / (1e6 / 6504 + size * uniform(x, -45, 45, g)).clamp(45, 250)
    cool = -4.6070e9 / kelvin**3 + 2.9678e6 / kelvin**2 + 0.09911e3 / kelvin + 0.244063
    cooler = -2.0064e9 / kelvin**3 + 1.9018e6 / kelvin**2 + 0.24748e3 / kelvin + 0.237040
    cx = torch.where(kelvin <= 7000, cool, cooler)
    cy = -3 * cx**2 + 2.870 * cx - 0.275
    white = torch.cat([cx / cy, torch.ones_like(cx), (1 - cx - cy) / cy], 1)
    gains = torch.einsum("ij,njhw->nihw", TO_SRGB, white)
    return to_srgb(to_linear(x) * gains / gains[:, 1:2])


def gains(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    """Each channel's light by its own factor."""
    return to_srgb(to_linear(x) * 2 ** (size * 0.18 * torch.randn(len(x), 3, 1, 1, generator=g)))


def curve(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    """A tone curve with a bend below and another above the middle."""
    y = run("shadows", x, size * uniform(x, -0.4, 0.6, g))
    return run("highlights", y, size * uniform(x, -0.6, 0.3, g))


def bend(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    """S-shaped or its inverse, fixed at black, middle and white."""
    return x + size * uniform(x, -0.7, 0.7, g) * x * (1 - x) * (2 * x - 1) * 2


def haze(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    """Light scattered into the picture, thicker towards a random side and in clouds."""
    h, w = x.shape[2:]
    plane = torch.linspace(0, 1, h).view(1, 1, h, 1) * uniform(x, -1, 0.4, g)
    plane = plane + torch.linspace(0, 1, w).view(1, 1, 1, w) * uniform(x, -0.3, 0.3, g)
    clouds = F.interpolate(torch.randn(len(x), 1, 4, 4, generator=g), (h, w), mode="bicubic", align_corners=False)
    depth = torch.exp(uniform(x, 0, 1.5, g) * plane + 0.15 * clouds)
    thickness = size * uniform(x, 0.03, 0.2, g) * depth / depth.mean((2, 3), keepdim=True)
    clear = torch.exp(-thickness)
    grey = uniform(x, 0.45, 0.95, g)
    air = (grey * (1 + 0.08 * torch.randn(len(x), 3, 1, 1, generator=g))).clamp(0, 1)
    return to_srgb(to_linear(x) * clear + air * (1 - clear))


def fade(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    """Black that is grey, white that is grey, and now and then tinted."""
    low = size * uniform(x, 0, 0.08, g) * (1 + uniform(x, 0, 0.5, g) * torch.randn(len(x), 3, 1, 1, generator=g))
    high = 1 - size * uniform(x, 0, 0.08, g)
    return low + x * (high - low)


def flare(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    """The same light added everywhere, or taken away."""
    return to_srgb((to_linear(x) + size * (uniform(x, -0.004, 0.015, g) + uniform(x, -0.005, 0.005, g, 3))).clamp(0, 1))


def dark(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    """Too little light: dark, noisy, often warm."""
    light = to_linear(x) * 2 ** (-size.sqrt() * uniform(x, 0.5, 1.7, g))
    noise = torch.randn(x.shape, generator=g) * (light.clamp(min=0) * uniform(x, 0, 0.002, g) + 1e-6).sqrt()
    return daylight(to_srgb((light + noise).clamp(0, 1)), size * 0.5, g)


def vignette(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    """Darker towards the corners."""
    h, w = x.shape[2:]
    r2 = (torch.linspace(-1, 1, h).view(1, 1, h, 1) ** 2 + torch.linspace(-1, 1, w).view(1, 1, 1, w) ** 2) / 2
    return to_srgb(to_linear(x) * (1 - (size * uniform(x, 0, 0.4, g)).clamp(max=0.9) * r2))


COMMON = (exposure, contrast, gamma, saturation, cast)
OTHERS = (daylight, gains, curve, bend, haze, haze, fade, flare, dark, vignette)


def chain(x: Tensor, faults: tuple[Fault, ...], size: Tensor, least: int, most: int, g: torch.Generator) -> Tensor:
    """For every picture its own choice of `least` to `most` of the faults, in an order that they share."""
    rank = torch.rand(len(x), len(faults), generator=g).argsort(1).argsort(1)
    taken = rank < torch.randint(least, most + 1, (len(x), 1), generator=g)
    for i in torch.randperm(len(faults), generator=g).tolist():
        chosen = taken[:, i].nonzero().flatten()
        if len(chosen):
            x = x.index_copy(0, chosen, faults[i](x[chosen], size[chosen], g).clamp(0, 1))
    return x


def spoil(x: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures as they come: a fifth of them good, the others with common faults, mild or strong, or with others.

    Returns:
        The pictures [N,3,H,W], rounded to 8 bits, and which of them were left good, [N].
    """
    kind = torch.rand(len(x), generator=g)
    size = torch.where(torch.rand(len(x), 1, 1, 1, generator=g) < 0.5, 1.0, 2.0)
    common = chain(x, COMMON, size, 1, 4, g)
    other = chain(x, OTHERS, size, 1, 3, g)
    both = chain(other, COMMON, torch.ones_like(size), 0, 2, g)
    good = kind < 0.2
    pick = lambda when, a, b: torch.where(when.view(-1, 1, 1, 1), a, b)  # noqa: E731
    spoilt = pick(kind < 0.65, common, pick(kind < 0.8, other, both))
    return (pick(good, x, spoilt) * 255).round() / 255, good
