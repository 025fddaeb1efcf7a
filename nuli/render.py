"""Recipes applied: on frames while searching, and at full size in bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from . import ops, views
from .ops import Scale

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .imageio import Photo
    from .recipe import Recipe, Step

_BAND = 1 << 18
"""Pixels rendered at a time, margins left out: few enough to stay in a processor's cache."""
_GPU_BAND = 1 << 22


def pick_device(device: str | torch.device) -> torch.device:
    """The torch device of that name; "auto" is the GPU where CUDA (or ROCm) has one. Raises OptionError."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        from .errors import OptionError

        reason = str(error).splitlines()[0]
        raise OptionError(f"device {device!r} can't be used here ({reason}); try auto or cpu") from None
    return chosen


def scale_of(frame: Tensor, full: float) -> Scale:
    """The scale of a frame [1,3,h,w] of a picture whose short side has `full` pixels."""
    return Scale(min(frame.shape[2:]), full)


def measure_steps(frame: Tensor, steps: Sequence[Step], scale: Scale) -> list[Tensor | None]:
    """What each step measures in the frame [1,3,h,w] as the steps before it left it."""
    measured = []
    for step in steps:
        op = ops.get(step.op)
        measured.append(ops.measure(op, frame))
        frame = run_step(frame, step, measured[-1], scale)
    return measured


def run_step(x: Tensor, step: Step, measured: Tensor | None, scale: Scale) -> Tensor:
    """One step on one picture, or a band of it, [1,3,H,W]."""
    return ops.run(ops.get(step.op), x, x.new_tensor([step.values]), measured, scale)


@torch.no_grad()
def render(photo: Photo, recipe: Recipe, device: str | torch.device = "auto") -> np.ndarray:
    """Apply a recipe at full size.

    Returns:
        New pixels [H,W,3], of the photo's type (8 or 16 bits); for a recipe that does nothing the photo's
        own pixels. Memory beyond the result is bounded by one band.
    """
    steps = recipe.active().steps
    if not steps:
        return photo.pixels
    device = pick_device(device)
    pixels = photo.pixels
    height, width = pixels.shape[:2]
    short = min(height, width)
    frame = views.make_frame(pixels, device)
    measured = measure_steps(frame, steps, scale_of(frame, short))

    margin = sum(op.reach(s.values, short) for s in steps if (op := ops.get(s.op)).reach)
    rows = max((_BAND if device.type == "cpu" else _GPU_BAND) // width, 4 * margin, 1)
    scale = Scale(short, short)
    result = np.empty((height, width, 3), pixels.dtype)
    for start in range(0, height, rows):
        end = min(start + rows, height)
        first, last = max(start - margin, 0), min(end + margin, height)
        x = views.to_tensor(pixels[first:last], device)
        for step, stats in zip(steps, measured, strict=True):
            x = run_step(x, step, stats, scale)
        result[start:end] = views.to_pixels(x[:, :, start - first : end - first], pixels.dtype)
    return result
