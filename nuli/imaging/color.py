"""Color arithmetic on tensors [N,3,H,W]: luma, linear light, CIELAB, and color difference."""

from __future__ import annotations

import torch
from torch import Tensor


def luma(x: Tensor) -> Tensor:
    """[N,3,H,W] -> [N,1,H,W]: Rec. 601 luma, the grey that Pillow converts to."""
    return 0.299 * x[:, 0:1] + 0.587 * x[:, 1:2] + 0.114 * x[:, 2:3]


# Both curves have two parts; each stands still where the other one goes, and adding them up is quicker than to choose.


def to_linear(x: Tensor) -> Tensor:
    """sRGB code values to linear light (IEC 61966-2-1)."""
    return x.clamp(max=0.04045) / 12.92 + (((x.clamp(min=0.04045) + 0.055) / 1.055) ** 2.4 - 0.04045 / 12.92)


def to_srgb(x: Tensor) -> Tensor:
    """Linear light to sRGB code values (IEC 61966-2-1)."""
    return x.clamp(max=0.0031308) * 12.92 + (1.055 * x.clamp(min=0.0031308) ** (1 / 2.4) - 0.0031308 * 12.92 - 0.055)


def to_lab(x: Tensor) -> Tensor:
    """sRGB [N,3,H,W] in 0..1 -> CIELAB (D65), L in 0..100."""
    r, g, b = to_linear(x).unbind(1)
    xyz = torch.stack(
        [
            (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047,
            0.2126729 * r + 0.7151522 * g + 0.0721750 * b,
            (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883,
        ],
        1,
    )
    # a straight part and a root, added up like the parts of `to_linear`
    f = 7.787 * xyz.clamp(max=0.008856) + (xyz.clamp(min=0.008856) ** (1 / 3) + (16 / 116 - 0.008856 ** (1 / 3)))
    fx, fy, fz = f.unbind(1)
    return torch.stack([116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)], 1)


def color_difference(lab: Tensor, reference: Tensor) -> Tensor:
    """Mean of `color_differences` over each picture -> [N]."""
    return color_differences(lab, reference).mean((1, 2))


def color_differences(lab: Tensor, reference: Tensor) -> Tensor:
    """CIE94 differences of [N,3,H,W] from a reference [N or 1,3,H,W], both CIELAB, pixel by pixel -> [N,H,W].

    CIE 116-1995, graphic arts; much cheaper than CIEDE2000, and smooth.
    """
    chroma = reference[:, 1:].square().sum(1).add(1e-6).sqrt()
    d = lab - reference
    d_chroma = lab[:, 1:].square().sum(1).add(1e-6).sqrt() - chroma
    d_hue2 = (d[:, 1:].square().sum(1) - d_chroma.square()).clamp(min=0)
    total = d[:, 0].square() + (d_chroma / (1 + 0.045 * chroma)).square() + d_hue2 / (1 + 0.015 * chroma).square()
    return (total + 1e-4).sqrt()
