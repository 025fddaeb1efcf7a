"""What pictures look like at a glance: rows of numbers to compare candidates by, unscored."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from .ops import luma
from .scoring.tone import to_lab

SMALL = 56
"""Short side, in pixels, of the frames that are looked at: cheap, and still a picture."""
CELLS, DETAILS = 16, 8
"""Colours and details are averaged over a grid of so many fields each way."""
DETAIL = 4.0
"""Weight of fine detail, which is faint, beside colours."""


def shrink(frame: Tensor) -> Tensor:
    """A frame [1,3,h,w] at the size that is looked at."""
    return F.avg_pool2d(frame, max(1, round(min(frame.shape[2:]) / SMALL)))


def rows(frames: Tensor) -> Tensor:
    """[N,3,h,w] -> [N,F], to learn objectives from. The square of two rows' distance is a mean square over the
    picture: of colours, of how strong they are, and of fine detail."""
    grey = luma(frames)
    fine = (grey - F.avg_pool2d(grey, 3, 1, 1, count_include_pad=False)).abs()
    strength = frames.amax(1, keepdim=True) - frames.amin(1, keepdim=True)
    parts = (
        F.adaptive_avg_pool2d(frames, CELLS).flatten(1) / (3**0.5 * CELLS),
        F.adaptive_avg_pool2d(fine, DETAILS).flatten(1) * (DETAIL / DETAILS),
        F.adaptive_avg_pool2d(strength, DETAILS).flatten(1) / DETAILS,
    )
    return torch.cat(parts, 1)


def colours(frames: Tensor) -> Tensor:
    """[N,3,h,w] -> [N,CELLS²,3]: the mean CIELAB colour of each part of the picture."""
    return F.adaptive_avg_pool2d(to_lab(frames), CELLS).flatten(2).transpose(1, 2)


def distances(seen: Sequence[Tensor], one: Tensor) -> list[float]:
    """How far each of some `colours` [1,CELLS²,3] is from one of them: the mean colour difference (CIE76)."""
    return (torch.cat(list(seen)) - one).norm(dim=2).mean(1).tolist()
