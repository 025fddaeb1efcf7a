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
from nuli.ops.white_balance import LUMINANCE, apply_gains, locus

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
    """Wrong white balance along the daylight locus: as if the light had been warmer or cooler."""
    return to_srgb(to_linear(x) * _light(154 + size * uniform(x, -45, 45, g), 0 * size))


def _light(mireds: Tensor, green: Tensor) -> Tensor:
    """Gains of linear light [N,3,1,1]: a light of so many mireds where D65 was taken for white, and greener."""
    there = locus(mireds.flatten().clamp(35, 500)) - locus(torch.tensor([154.0]))
    return torch.stack([there[:, 0], green.flatten(), there[:, 1]], 1)[..., None, None].exp()


def camera(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    """The wrong white balance of a camera: gains of the sensor's light, before the tone curve and before it clips.

    Half of the lights are warmer and the others cooler than the camera took them to be. The curve is
    y = (1 + a) l^p / (l^p + a); how the picture came about is not known, so that a and p are drawn.
    """
    a, p = torch.exp(uniform(x, -1.2, 1.6, g)), uniform(x, 0.9, 1.3, g)
    y = to_linear(x)
    light = (a * y / (1 + a - y).clamp(min=1e-4)).clamp(min=1e-7) ** (1 / p)
    far = size * uniform(x, 20, 75, g)
    warm = torch.rand(len(x), 1, 1, 1, generator=g) < 0.5
    gains = torch.where(warm, _light(154 + far, 0 * far), 1 / _light(154 + far, 0 * far))
    alike = torch.rand(len(x), 1, 1, 1, generator=g) < 0.3  # some off the locus: fluorescent lamps, old prints
    off = torch.where(alike, 0.15, 0.05) * size * torch.randn(len(x), 3, 1, 1, generator=g)
    gains = gains * off.exp()
    kept = gains / (gains * gains.new_tensor(LUMINANCE).view(3, 1, 1)).sum(1, keepdim=True)
    greatest = gains / gains[:, 1:2]
    light = light * torch.lerp(kept, greatest, uniform(x, 0, 1, g))
    power = light**p
    return to_srgb(((1 + a) * power / (power + a)).clamp(0, 1))


def washed(x: Tensor, size: Tensor, g: torch.Generator) -> Tensor:
    """Pale, with little contrast and no black, as what has not been developed."""
    x = run("saturation", x, torch.exp(-size * uniform(x, 0.1, 0.55, g)))
    low, high = size * uniform(x, 0, 0.14, g), 1 - size * uniform(x, 0, 0.14, g)
    return low + (high - low) * x ** torch.exp(uniform(x, -0.3, 0.2, g))


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
OTHERS = (daylight, gains, curve, bend, haze, haze, fade, flare, dark, vignette, washed)


def chain(x: Tensor, faults: tuple[Fault, ...], size: Tensor, least: int, most: int, g: torch.Generator) -> Tensor:
    """For every picture its own choice of `least` to `most` of the faults, in an order that they share."""
    rank = torch.rand(len(x), len(faults), generator=g).argsort(1).argsort(1)
    taken = rank < torch.randint(least, most + 1, (len(x), 1), generator=g)
    for i in torch.randperm(len(faults), generator=g).tolist():
        chosen = taken[:, i].nonzero().flatten()
        if len(chosen):
            x = x.index_copy(0, chosen, faults[i](x[chosen], size[chosen], g).clamp(0, 1))
    return x


KINDS = (
    # how many of the pictures, and the chains that they go through: faults, whether at their own size, how many
    (0.20, ()),
    (0.36, ((COMMON, True, 1, 4),)),
    (0.12, ((OTHERS, True, 1, 3),)),
    (0.10, ((OTHERS, True, 1, 3), (COMMON, False, 0, 2))),
    (0.11, (((camera,), True, 1, 1),)),
    (0.11, (((camera,), True, 1, 1), (COMMON[:4], False, 0, 3))),
)


def tinge(x: Tensor, g: torch.Generator) -> Tensor:
    """Good pictures still: half of them a little warmer, cooler, greener or more magenta, as films and tastes differ.

    Without it every slight cast is taken for a fault, and good photos lose theirs.
    """
    some = (torch.rand(len(x), 1, 1, 1, generator=g) < 0.5).to(x.dtype)
    mireds, green = some * torch.randn(len(x), 1, 1, 1, generator=g), some * torch.randn(len(x), 1, 1, 1, generator=g)
    return apply_gains(x, _light(154 + 25 * mireds, 0.04 * green).log()).clamp(0, 1)


def spoil(x: Tensor, g: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures as they come: a fifth of them good; the others with common faults, mild or strong, or with others, or
    with a camera's wrong white balance, alone or under common faults.

    Returns:
        The pictures [N,3,H,W], rounded to 8 bits, and which of them were left good, [N].
    """
    kind = torch.multinomial(torch.tensor([share for share, _ in KINDS]), len(x), True, generator=g)
    size = torch.where(torch.rand(len(x), 1, 1, 1, generator=g) < 0.5, 1.0, 2.0)
    made = x.clone()
    for i, (_, chains) in enumerate(KINDS):
        [members] = (kind == i).nonzero(as_tuple=True)
        y, own = x[members], size[members]
        for faults, at_size, least, most in chains:
            if len(y):
                y = chain(y, faults, own if at_size else torch.ones_like(own), least, most, g)
        made[members] = y
    return (made * 255).round() / 255, kind == 0
