"""Recipes applied: on frames while searching, and at full size in tiles."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from . import ops, views
from .ops import Op, Scale

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .imageio import Photo
    from .recipe import Recipe, Step

_TILE = 512
"""Side of the tiles rendered at a time, margins left out: small enough to stay in a processor's cache."""
_GPU_TILE = 2048
_TOGETHER = 1 << 16
"""Pixels of frames that an op runs on at once on a CPU."""


def pick_device(device: str | torch.device) -> torch.device:
    """The torch device of that name; "auto" is the GPU where CUDA (or ROCm) has one. Raises OptionError.

    Apple's GPUs lack functions that we need: for them it is the CPU.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        chosen = torch.device("cpu") if chosen.type == "mps" else chosen
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError) as error:
        from .errors import OptionError

        reason = str(error).splitlines()[0]
        raise OptionError(f"device {device!r} can't be used here ({reason}); try auto or cpu") from None
    return chosen


def scale_of(frame: Tensor, full: float) -> Scale:
    """The scale of a frame [1,3,h,w] of a picture whose short side has `full` pixels.

    Of a picture of a few pixels the frame shows each pixel as a field; filtering that as the picture is
    filtered would take kernels as large as the frame, for nothing that can be judged. So there is a limit.
    """
    short = min(frame.shape[2:])
    return Scale(short, max(full, short / 4))


def measure_steps(frame: Tensor, steps: Sequence[Step], scale: Scale) -> list[Tensor | None]:
    """What each step measures in the frame [1,3,h,w] as the steps before it left it."""
    measured = []
    for step in steps:
        op = ops.get(step.op)
        measured.append(ops.measure(op, frame))
        frame = run_step(frame, step, measured[-1], scale)
    return measured


def run_step(x: Tensor, step: Step, measured: Tensor | None, scale: Scale) -> Tensor:
    """One step on one picture, or a tile of it, [1,3,H,W]."""
    return ops.run(ops.get(step.op), x, x.new_tensor([step.values]), measured, scale)


def run_steps(x: Tensor, steps: Sequence[Step], measured: Sequence[Tensor | None], scale: Scale) -> Tensor:
    """Steps in order, with what they measured."""
    for step, stats in zip(steps, measured, strict=True):
        x = run_step(x, step, stats, scale)
    return x


def run_chains(
    frames: Sequence[Tensor],
    chains: Sequence[Sequence[Step]],
    scale: Scale,
    measure: Callable[[Op, Tensor], Tensor | None] = ops.measure,
) -> list[Tensor]:
    """Each frame [1,3,h,w], all of one size, with the steps of its chain; steps of one op run as one batch.

    What most chains wait for goes first: that makes the fewest and largest batches.

    Args:
        measure: what an op needs to know about the frames before it.
    """
    made, left = list(frames), [list(reversed(steps)) for steps in chains]
    # a processor's cache holds so many of what becomes of a frame
    together = max(1, _TOGETHER // made[0][0, 0].numel()) if made[0].device.type == "cpu" else len(made)
    waiting: dict[str, list[int]] = defaultdict(list)
    for i, steps in enumerate(left):
        if steps:
            waiting[steps[-1].op].append(i)
    while waiting:
        name = max(waiting, key=lambda name: len(waiting[name]))
        op, members = ops.get(name), waiting.pop(name)
        for part in (members[i : i + together] for i in range(0, len(members), together)):
            x = torch.cat([made[i] for i in part]) if len(part) > 1 else made[part[0]]
            values = x.new_tensor([left[i].pop().values for i in part])
            x = ops.run(op, x, values, measure(op, x), scale)
            for i, frame in zip(part, x.split(1), strict=True):
                made[i] = frame
                if left[i]:
                    waiting[left[i][-1].op].append(i)
    return made


def run_chains_thinned(frame: Tensor, chains: Sequence[Sequence[Step]], scale: Scale) -> list[Tensor]:
    """Chains on one frame [1,3,h,w], and of each result every second pixel in both directions.

    The others are made only as long as an op is still to come that looks at neighbours.
    """
    thin = ops.thinned(frame)
    ends = [max((i + 1 for i, s in enumerate(steps) if ops.get(s.op).reach), default=0) for steps in chains]
    heads = [steps[:end] for steps, end in zip(chains, ends, strict=True)]
    made = run_chains([frame] * len(chains), heads, scale)
    starts = [thin if x is frame else ops.thinned(x) for x in made]
    tails = [steps[end:] for steps, end in zip(chains, ends, strict=True)]
    return run_chains(starts, tails, scale, ops.measure_thinned)


@torch.no_grad()
def render(
    photo: Photo, recipe: Recipe, device: str | torch.device = "auto", frame: Tensor | None = None
) -> np.ndarray:
    """Apply a recipe at full size.

    Args:
        frame: the photo's frame, where the caller has it on that device already.
    Returns:
        New pixels [H,W,3], of the photo's type (8 or 16 bits); for a recipe that does nothing the photo's
        own pixels. Memory beyond the result is bounded by one tile.
    """
    steps = recipe.active().steps
    if not steps:
        return photo.pixels
    device = pick_device(device)
    pixels = photo.pixels
    height, width = pixels.shape[:2]
    short = min(height, width)
    if frame is None:
        frame = views.make_frame(pixels, photo.alpha, device)
    measured = measure_steps(frame, steps, scale_of(frame, short))

    margin = sum(op.reach(s.values, short) for s in steps if (op := ops.get(s.op)).reach)
    side = max(_TILE if device.type == "cpu" else _GPU_TILE, 4 * margin)
    scale = Scale(short, short)
    result = np.empty((height, width, 3), pixels.dtype)
    for rows, outer_rows, inner_rows in _tiles(height, side, margin):
        for columns, outer_columns, inner_columns in _tiles(width, side, margin):
            x = views.to_tensor(pixels[outer_rows, outer_columns], device)
            x = run_steps(x, steps, measured, scale)
            result[rows, columns] = views.to_pixels(x[:, :, inner_rows, inner_columns], pixels.dtype)
    return result


def _tiles(length: int, side: int, margin: int) -> Iterator[tuple[slice, slice, slice]]:
    """Tiles along one axis: each as a slice of the picture, the same with its margin, and where in that it lies."""
    for start in range(0, length, side):
        end = min(start + side, length)
        first, last = max(start - margin, 0), min(end + margin, length)
        yield slice(start, end), slice(first, last), slice(start - first, end - first)
