"""Features of candidates: what recipes make of a thumbnail, as numbers to compare candidates by without a score."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..imaging.color import luma, to_lab
from .config import FeatureConfig

THUMBNAIL = 56
"""Short side, in pixels, of thumbnails: cheap, and still a picture."""
CELLS, DETAIL_CELLS = 16, 8
"""Colors and details are averaged over a grid of so many cells each way."""


def thumbnail(frame: Tensor) -> Tensor:
    """A frame [1,3,h,w] at the size of a thumbnail."""
    return F.avg_pool2d(frame, max(1, round(min(frame.shape[2:]) / THUMBNAIL)))


def features(thumbnails: Tensor, config: FeatureConfig) -> Tensor:
    """[N,3,h,w] -> [N,F]. The squared distance of two rows is a mean square over the picture: of colors, of their
    strength, and of fine detail."""
    grey = luma(thumbnails)
    fine = (grey - F.avg_pool2d(grey, 3, 1, 1, count_include_pad=False)).abs()
    strength = thumbnails.amax(1, keepdim=True) - thumbnails.amin(1, keepdim=True)
    parts = (
        F.adaptive_avg_pool2d(thumbnails, CELLS).flatten(1) / (3**0.5 * CELLS),
        F.adaptive_avg_pool2d(fine, DETAIL_CELLS).flatten(1) * (config.detail_weight / DETAIL_CELLS),
        F.adaptive_avg_pool2d(strength, DETAIL_CELLS).flatten(1) / DETAIL_CELLS,
    )
    return torch.cat(parts, 1)


def color_grid(thumbnails: Tensor) -> Tensor:
    """[N,3,h,w] -> [N,CELLS²,3]: the mean CIELAB color of each cell."""
    return F.adaptive_avg_pool2d(to_lab(thumbnails), CELLS).flatten(2).transpose(1, 2)


def color_distances(grids: Sequence[Tensor], grid: Tensor) -> list[float]:
    """The mean color difference (CIE94, symmetric) of some color grids [1,CELLS²,3] from one of them."""
    many = torch.cat(list(grids))
    d = many - grid
    chroma, other = (torch.hypot(lab[..., 1], lab[..., 2]) for lab in (many, grid))
    d_hue2 = (d[..., 1:].square().sum(2) - (chroma - other).square()).clamp(min=0)
    mean = (chroma * other).sqrt()
    d_chroma2, d_hue2 = ((chroma - other) / (1 + 0.045 * mean)).square(), d_hue2 / (1 + 0.015 * mean).square()
    return (d[..., 0].square() + d_chroma2 + d_hue2).sqrt().mean(1).tolist()
