"""Looks: rows of numbers that say what candidates look like, so that a search can compare them unscored."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from .ops import luma

SMALL = 56
"""Short side, in pixels, of the frames that looks are taken of: cheap, and still a picture."""
COLOURS, DETAILS = 16, 8
"""Colours and details are averaged over a grid of so many fields each way."""
DETAIL = 4.0
"""Weight of fine detail, which is faint, beside colours."""


def shrink(frame: Tensor) -> Tensor:
    """A frame [1,3,h,w] at the size for looks."""
    return F.avg_pool2d(frame, max(1, round(min(frame.shape[2:]) / SMALL)))


def look_at(frames: Tensor) -> Tensor:
    """[N,3,h,w] -> [N,F]. The square of two rows' distance is a mean square over the picture."""
    grey = luma(frames)
    fine = (grey - F.avg_pool2d(grey, 3, 1, 1, count_include_pad=False)).abs()
    strength = frames.amax(1, keepdim=True) - frames.amin(1, keepdim=True)
    parts = (
        F.adaptive_avg_pool2d(frames, COLOURS).flatten(1) / (3**0.5 * COLOURS),
        F.adaptive_avg_pool2d(fine, DETAILS).flatten(1) * (DETAIL / DETAILS),
        F.adaptive_avg_pool2d(strength, DETAILS).flatten(1) / DETAILS,
    )
    return torch.cat(parts, 1)
