"""`vivid`: a scorer without weights, from published measures of a picture.

Each measure earns the most at a lively value, and less in both directions, so that more is not always
better. It knows nothing of what a picture shows.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..imaging.color import luma

COLOUR = 82 / 255
"""Hasler and Suesstrunk, "Measuring colourfulness in natural images", SPIE 2003: where people say "highly
colourful" (45 is average, 59 quite colourful, 109 extremely)."""
CONTRAST = 0.28
"""RMS contrast (Peli, "Contrast in complex images", JOSA A 7, 1990) of luma; photographs have about 0.2."""
LIGHT = 0.46
"""Mean luma: 18 % grey in sRGB."""
DETAIL = 0.15
"""RMS of the luma gradient (Tenengrad), in luma a pixel of a frame whose short side has 224; photographs
have about 0.1."""
WEIGHTS = (0.3, 0.3, 0.2, 0.2)


def _rms(x: Tensor) -> Tensor:
    """[N,...] -> [N]; the tiny term keeps the gradient finite at 0."""
    return (x.square().flatten(1).mean(1) + 1e-8).sqrt()


def _spread(x: Tensor) -> Tensor:
    """[N,1,H,W] -> [N]: standard deviation. (Tensor.var is many times slower on a CPU.)"""
    return _rms(x - x.mean((2, 3), keepdim=True))


def colourfulness(x: Tensor) -> Tensor:
    """[N,3,H,W] -> [N]: Hasler and Suesstrunk's M3, here on a scale of 0..1."""
    r, g, b = x.split(1, 1)
    red_green, yellow_blue = r - g, (r + g) / 2 - b
    spread = torch.hypot(_spread(red_green), _spread(yellow_blue))
    mean = torch.cat([red_green.mean((2, 3)), yellow_blue.mean((2, 3))], 1)
    return spread + 0.3 * (mean.square().sum(1) + 1e-8).sqrt()


def measures(x: Tensor) -> Tensor:
    """[N,3,H,W] -> [N,4]: colourfulness, contrast, light, detail."""
    grey = luma(x)
    across = _rms(grey[..., 1:] - grey[..., :-1])
    down = _rms(grey[..., 1:, :] - grey[..., :-1, :])
    return torch.stack([colourfulness(x), _spread(grey), grey.mean((1, 2, 3)), torch.hypot(across, down)], 1)


class Vivid:
    name = "vivid"
    licence = ""
    input_size = 224
    view_mode = "whole"
    differentiable = True
    cheap = True
    score_range = (0.0, 10.0)

    def bind(self, original: Tensor):
        """Score each candidate by itself: 10 where all measures are at their best."""
        best = original.new_tensor([COLOUR, CONTRAST, LIGHT, DETAIL])
        weights = original.new_tensor(WEIGHTS)

        def score(views: Tensor) -> Tensor:
            ratio = measures(views) / best
            # 1 at the best value, the same at half and at twice it, 0 at nothing
            return 10 * (2 * ratio / (1 + ratio**2)) @ weights

        return score
