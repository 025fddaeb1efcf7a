"""What pictures look like at a glance, to tell how different they are."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from . import render, views
from .recipe import Recipe
from .scoring.tone import to_lab

SHORT = 64
"""Short side in pixels of the frames that are looked at: a tenth of the usual frame's cost."""
CELLS = 16
"""Along each side of a picture."""
_BATCH = 32


@torch.no_grad()
def looks(frame: Tensor, full: float, recipes: Sequence[Recipe]) -> Tensor:
    """What recipes make of a picture, seen from afar.

    Args:
        frame: the untouched picture's frame [1,3,h,w].
        full: short side of the full-size picture, in pixels.
    Returns:
        [N,CELLS²,3]: the mean CIELAB colour of each part of the picture.
    """
    small = views.shrunk(frame, SHORT)
    scale = render.scale_of(small, full)
    found = [frame.new_empty(0, CELLS**2, 3)]
    for start in range(0, len(recipes), _BATCH):
        chains = [recipe.steps for recipe in recipes[start : start + _BATCH]]
        made = torch.cat(render.run_chains([small] * len(chains), chains, scale))
        found.append(F.adaptive_avg_pool2d(to_lab(made), CELLS).flatten(2).transpose(1, 2))
    return torch.cat(found)


def distances(seen: Sequence[Tensor], one: Tensor) -> list[float]:
    """How far each look [1,CELLS²,3] is from one of them: the mean colour difference (CIE76) of the parts."""
    return (torch.cat(list(seen)) - one).norm(dim=2).mean(1).tolist()
