"""A chain of steps applied to the whole picture: to its colours where that is enough, else in tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ..devices import pick_device
from ..errors import StoppedError
from ..imaging.frames import make_frame, to_pixels, to_tensor
from ..imaging.mask import blend
from ..imaging.photo import Photo
from .palette import STRIP, Palette, Recoloured, has_palette
from .pipeline import apply_steps, chain_statistics, scale_of
from .registry import Scale, get_op
from .step import Step

_TILE = 512
"""Side of the tiles rendered at a time, margins left out: small enough to stay in a processor's cache."""
_GPU_TILE = 2048
_HALO = 128
"""Pixels of margin that the steps of one stage may need together."""


def render(
    photo: Photo,
    steps: Sequence[Step],
    device: str | torch.device = "auto",
    frame: Tensor | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> np.ndarray:
    """Apply a chain of steps at full size.

    Args:
        frame: the photo's frame, where the caller has it on that device already.
        stop: asked now and then.
    Returns:
        New pixels [H,W,3], of the photo's type (8 or 16 bits); the photo's own for a chain that does nothing.
    Raises:
        StoppedError: `stop` returned True.
    """
    return np.asarray(render_rows(photo, steps, device, frame, stop))


@torch.no_grad()
def render_rows(
    photo: Photo,
    steps: Sequence[Step],
    device: str | torch.device = "auto",
    frame: Tensor | None = None,
    stop: Callable[[], bool] = lambda: False,
    full: float | None = None,
    palette: Palette | None = None,
    statistics: Sequence[Tensor | None] | None = None,
) -> np.ndarray | Recoloured:
    """Apply a chain of steps as `render` does, or put it off until rows of the result are asked for.

    Where the photo has a mask, what was measured and what neighbours there are is that of the whole picture; only the
    finished one is mixed with the original.

    Pointwise steps that begin a chain are applied to the picture's colours. Of other chains each stage has at most one
    far-reaching step, so that no tile needs a margin for more. Between two stages the whole picture is held in float32,
    12 bytes a pixel; beyond that, memory is bounded by one tile and 80 MB of colours.

    Args:
        full: short side of the full-size picture, in pixels, where the photo is a smaller view of it.
        palette: of the photo, where the caller has it already.
        statistics: of each step [1,...], where they are not to be measured in this photo.
    """
    acting = [i for i, step in enumerate(steps) if not step.is_noop]
    steps = [steps[i] for i in acting]
    if not steps:
        return photo.pixels
    device, source = pick_device(device), photo.pixels
    height, width = source.shape[:2]
    short = min(height, width)
    scale = Scale(short, full or short)
    if statistics is not None:
        found = (statistics[i] for i in acting)
        statistics = [None if stats is None else stats.to(device) for stats in found]
    else:
        frame = make_frame(source, photo.alpha, device) if frame is None else frame
        statistics = chain_statistics(frame, steps, scale_of(frame, scale.full))

    def check() -> None:
        if stop():
            raise StoppedError("stopped before the picture was done: it stays as it was")

    head = next((i for i, step in enumerate(steps) if not get_op(step.op).pointwise), len(steps))
    if head and has_palette(source):
        whole = head == len(steps)
        kind = source.dtype if whole and photo.mask is None else np.float32
        palette = palette or Palette(source, check)
        colours = _replaced(palette.colours, steps[:head], statistics[:head], scale, device, kind)
        source = Recoloured(palette, colours, photo.mask if whole else None)
        steps, statistics = steps[head:], statistics[head:]
    stages = _stages(steps, statistics, short)
    for stage in stages:
        last = stage is stages[-1]
        mask = photo.mask if last else None
        target = np.empty((height, width, 3), photo.pixels.dtype if last else np.float32)
        side = max(_TILE if device.type == "cpu" else _GPU_TILE, 4 * stage.halo)
        for rows, outer_rows, inner_rows in _tiles(height, side, stage.halo):
            for columns, outer_columns, inner_columns in _tiles(width, side, stage.halo):
                check()
                if mask is not None and not mask[rows, columns].any():
                    target[rows, columns] = photo.pixels[rows, columns]
                    continue
                x = to_tensor(source[outer_rows, outer_columns], device)
                place = replace(scale, top=outer_rows.start, left=outer_columns.start)
                x = apply_steps(x, stage.steps, stage.statistics, place)
                made = to_pixels(x[:, :, inner_rows, inner_columns], target.dtype if mask is None else np.float32)
                if mask is not None:
                    made = blend(photo.pixels[rows, columns], made, mask[rows, columns])
                target[rows, columns] = made
        source = target
    return source


@dataclass(frozen=True, eq=False)
class _Stage:
    """Steps that are rendered together."""

    steps: tuple[Step, ...]
    statistics: tuple[Tensor | None, ...]
    halo: int
    """Pixels around a tile that its steps look at."""


def _replaced(
    colours: np.ndarray,
    steps: Sequence[Step],
    statistics: Sequence[Tensor | None],
    scale: Scale,
    device: torch.device,
    kind: np.dtype | type,
) -> np.ndarray:
    """What pointwise steps make of colours [K,1 or 3] -> [K,3] of another type."""
    parts = []
    for start in range(0, len(colours), STRIP):
        x = to_tensor(colours[None, start : start + STRIP], device)
        parts.append(to_pixels(apply_steps(x, steps, statistics, scale), kind)[0])
    return np.concatenate(parts)


def _stages(steps: Sequence[Step], statistics: Sequence[Tensor | None], short: int) -> list[_Stage]:
    """A chain in as few stages as keep the halo of each within _HALO, or within that of one step."""
    stages: list[_Stage] = []
    for step, stats in zip(steps, statistics, strict=True):
        op = get_op(step.op)
        halo = op.halo(step.values, short) if op.halo else 0
        if not stages or (halo and stages[-1].halo and stages[-1].halo + halo > _HALO):
            stages.append(_Stage((step,), (stats,), halo))
        else:
            last = stages[-1]
            stages[-1] = _Stage((*last.steps, step), (*last.statistics, stats), last.halo + halo)
    return stages


def _tiles(length: int, side: int, margin: int) -> Iterator[tuple[slice, slice, slice]]:
    """Tiles along one axis: each as a slice of the picture, the same with its margin, and where in that it lies."""
    for start in range(0, length, side):
        end = min(start + side, length)
        first, last = max(start - margin, 0), min(end + margin, length)
        yield slice(start, end), slice(first, last), slice(start - first, end - first)
