"""Steps that nobody can see: a chain is read by people, so what doesn't show in the picture has no place in it."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ..imaging.color import color_differences, to_lab
from ..imaging.frames import subsample
from ..ops.registry import get_op
from ..ops.step import Step
from ..recipe import Recipe
from .evaluator import Evaluator

INVISIBLE = 0.3
"""Mean color difference (CIE94) up to which a step, or one of its values, doesn't show;"""
LOCAL = 1.0
"""and nowhere, averaged over the cells of a grid, may it be more: about 1 is the least that shows."""
CELLS = 8
"""Cells of that grid each way."""
TOTAL = 0.5
"""Mean color difference by which all that is left out together may move the finished picture."""
KEPT = 0.8
"""Part of the gain that must stay."""


@torch.no_grad()
def leave_out_invisible(evaluator: Evaluator, recipe: Recipe) -> list[Recipe]:
    """Ever shorter recipes, each without one thing more that doesn't show: a step, a step that is joined with another
    of its op, or a value that goes to its identity. Costs no evaluation."""
    found: list[Recipe] = []
    finished = current = _lab(evaluator, [recipe])
    while candidates := _lesser(recipe):
        frames = _lab(evaluator, candidates)
        change, moved = _differences(frames, current), _differences(frames, finished).mean((1, 2, 3))
        local = F.adaptive_avg_pool2d(change, CELLS).amax((1, 2, 3))
        hidden = (change.mean((1, 2, 3)) < INVISIBLE) & (local < LOCAL) & (moved <= TOTAL)
        if not hidden.any():
            break
        i = int(torch.where(hidden, moved, torch.inf).argmin())
        recipe, current = candidates[i], frames.split(len(current))[i]
        found.append(recipe)
    return found


def distances(evaluator: Evaluator, recipes: list[Recipe]) -> list[float]:
    """How far each recipe, with the steps that are fixed, moves the picture: mean color differences (CIE94). Costs no
    evaluation."""
    with torch.no_grad():
        untouched = to_lab(subsample(evaluator.original))
        return _differences(_lab(evaluator, recipes), untouched).mean((1, 2, 3)).tolist()


def _differences(frames: Tensor, reference: Tensor) -> Tensor:
    """Color differences (CIE94) of frames [N*K,3,h,w] from those of K pictures [K,3,h,w], both CIELAB -> [N,K,h,w]."""
    count = len(reference)
    repeated = reference if count == 1 else reference.repeat(len(frames) // count, 1, 1, 1)
    return color_differences(frames, repeated).unflatten(0, (-1, count))


def _lab(evaluator: Evaluator, recipes: list[Recipe]) -> Tensor:
    return to_lab(evaluator.subsampled(recipes))


def _lesser(recipe: Recipe) -> list[Recipe]:
    """All recipes of a step less, or with one value less."""
    return [*recipe.reductions(), *_with_a_value_less(recipe)]


def _with_a_value_less(recipe: Recipe) -> list[Recipe]:
    lesser = []
    for i, step in enumerate(recipe.steps):
        params = get_op(step.op).params
        acting = [j for j, p in enumerate(params) if not p.shapes and step.values[j] != p.identity]
        for j in acting if len(acting) > 1 else []:
            values = (*step.values[:j], params[j].identity, *step.values[j + 1 :])
            lesser.append(Recipe((*recipe.steps[:i], Step(step.op, values), *recipe.steps[i + 1 :])))
    return lesser
