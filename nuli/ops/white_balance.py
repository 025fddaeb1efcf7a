"""White balance: what the light's colour was, estimated from a picture, and how it is taken out.

Three methods estimate the log gains that make the light neutral, all in linear light:

- shades of grey: the Minkowski mean of a picture is grey. G. Finlayson and E. Trezzi, "Shades of grey and colour
  constancy", Color Imaging Conference 2004.
- grey edges: the Minkowski mean of its edges is grey. J. van de Weijer, T. Gevers and A. Gijsenij, "Edge-based color
  constancy", IEEE Transactions on Image Processing 16 (2007).
- daylight: of the lights along the daylight locus, the one that most of the bright pixels would be grey under, and the
  likelier the nearer it is to D65. Made for this package: one strong colour doesn't move it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..imaging.color import to_linear
from .registry import Param, op

CLIPPED = 0.98
"""Code value from which on a channel no longer tells the light's colour."""
FLOOR = 0.002
"""Added to light before ratios are taken: noise in the dark."""
LARGEST = 1.2
"""The largest log ratio of two gains."""
LUMINANCE = (0.2126, 0.7152, 0.0722)
"""Of linear sRGB (IEC 61966-2-1)."""
MIREDS = tuple(range(50, 431, 20))
"""Lights tried, in 1e6 / kelvin; D65 is 154."""
SPREAD = 0.09
"""How far, in log ratios, a pixel may be from a light's colour to count as grey under it."""
PRIOR = 90.0
"""How far from D65 lights are expected, in mireds."""


def locus(mireds: Tensor) -> Tensor:
    """log(R/G) and log(B/G), [K,2], of lights: CIE daylight, and below 4000 K Planckian (Kim et al. 2002)."""
    t = 1e3 / mireds.double()  # thousands of kelvin
    day = torch.where(
        t <= 7,
        0.244063 + 0.09911 / t + 2.9678 / t**2 - 4.6070 / t**3,
        0.237040 + 0.24748 / t + 1.9018 / t**2 - 2.0064 / t**3,
    )
    planck = 0.179910 + 0.8776956 / t - 0.2343589 / t**2 - 0.2661239 / t**3
    x = torch.where(t >= 4, day, planck)
    low = torch.where(
        t >= 2.222,
        -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867,
        -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683,
    )
    y = torch.where(t >= 4, -3 * x**2 + 2.870 * x - 0.275, low)
    xyz = torch.stack([x / y, torch.ones_like(x), (1 - x - y) / y], -1)
    matrix = [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
    rgb = (xyz @ xyz.new_tensor(matrix).T).clamp(min=0.02)
    return torch.stack([rgb[..., 0] / rgb[..., 1], rgb[..., 2] / rgb[..., 1]], -1).log().to(mireds.dtype)


LOCUS = locus(torch.tensor(MIREDS, dtype=torch.float32)).tolist()


def minkowski(light: Tensor, weight: Tensor) -> Tensor:
    """Log of the Minkowski mean, p = 6, [N,C] of light [N,C,H,W], where weight [N,1,H,W] is."""
    cubes = light * light * light
    return ((cubes * cubes * weight).mean((2, 3)) + 1e-12).log() / 6


def white_gains(x: Tensor) -> Tensor:
    """[N,3,H,W] -> [N,3,3]: for each of the three methods the log gains of R, G and B that make the light neutral."""
    open_ = (x.amax(1, keepdim=True) < CLIPPED).to(x.dtype)
    # where nearly everything is clipped, all of it has to do
    weight = torch.where(open_.mean((2, 3), keepdim=True) > 0.02, open_, 1)
    light = to_linear(x)
    grey = minkowski(light, weight)
    smooth = F.avg_pool2d(light, 3, 1, 1, count_include_pad=False)
    inside = F.avg_pool2d(weight, 3, 1, 1, count_include_pad=False).gt(0.99).to(x.dtype)
    across, down = smooth.diff(dim=3)[..., :-1, :], smooth.diff(dim=2)[..., :-1]
    edges = minkowski((across.square() + down.square() + 1e-10).sqrt(), inside[..., :-1, :-1])
    estimates = torch.stack([grey, edges, _daylight(light, weight)], 1)
    gains = estimates[:, :, 1:2] - estimates
    return gains.clamp(-LARGEST, LARGEST)


def _daylight(light: Tensor, weight: Tensor) -> Tensor:
    """Log of the light's colour [N,3] by the daylight method."""
    few = light[..., ::2, ::2].flatten(2) + FLOOR
    weight = weight[..., ::2, ::2].flatten(2) * few.mean(1, keepdim=True).sqrt()
    logs = few.log()
    ratios = torch.stack([logs[:, 0] - logs[:, 1], logs[:, 2] - logs[:, 1]], 2)  # [N,P,2]
    weight = weight[:, 0] / weight[:, 0].sum(1, keepdim=True).clamp(min=1e-6)
    lights = light.new_tensor(LOCUS)  # [K,2]
    near = torch.exp(-(ratios[:, :, None] - lights).square().sum(3) / (2 * (2 * SPREAD) ** 2))
    votes = (weight[..., None] * near).sum(1) + 1e-3
    mireds = light.new_tensor(MIREDS)
    prior = torch.exp(-(((mireds - 154) / PRIOR) ** 2) / 2)
    chosen = (votes * prior) ** 3
    centre = (chosen / chosen.sum(1, keepdim=True)).unsqueeze(2).mul(lights).sum(1)  # [N,2]
    for _ in range(2):  # off the locus, too: a mean shift
        near = weight * torch.exp(-(ratios - centre[:, None]).square().sum(2) / (2 * (2 * SPREAD) ** 2))
        total = near.sum(1, keepdim=True)
        moved = (near[..., None] * ratios).sum(1) + 0.02 * centre
        centre = moved / (total + 0.02)
    return torch.stack([centre[:, 0], torch.zeros_like(centre[:, 0]), centre[:, 1]], 1)


def apply_gains(x: Tensor, logs: Tensor) -> Tensor:
    """Multiply the linear light of x [N,3,H,W] by exp(logs) [N,3,1,1], the luminance of grey kept.

    Both parts of the sRGB curve stay straight under a gain, so no power is needed; where a pixel passes from one to the
    other, near black, this is at most 0.002 off.
    """
    gains = torch.exp(logs)
    gains = gains / (gains * gains.new_tensor(LUMINANCE).view(3, 1, 1)).sum(1, keepdim=True)
    root = gains ** (1 / 2.4)
    dark = x * gains
    light = x * root + (root - 1) * 0.055
    return torch.where(gains > 1, torch.minimum(dark, light), torch.maximum(dark, light))


@op(
    "colour",
    Param("amount", 0, (0, 1), (0, 1)),
    Param("edges", 0, (0, 1), (0, 1), shapes=True),
    Param("daylight", 0, (0, 1), (0, 1), shapes=True),
    statistics=white_gains,
    measures_places=True,
)
def white_balance(x: Tensor, amount: Tensor, edges: Tensor, daylight: Tensor, gains: Tensor) -> Tensor:
    """Make the light neutral: by shades of grey, or as far as the others are from 0 by grey edges, by daylight."""
    grey, edge, day = (g[..., None, None] for g in gains.unbind(1))
    logs = torch.lerp(torch.lerp(grey, edge, edges), day, daylight)
    return apply_gains(x, amount * logs)
