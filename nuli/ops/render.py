"""A chain of steps applied to the whole picture: to its colours where that is enough, else in tiles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product

import numpy as np
import torch
from torch import Tensor

from ..devices import pick_device
from ..errors import StoppedError
from ..imaging.frames import make_frame, to_pixels, to_tensor
from ..imaging.mask import blend
from ..imaging.photo import Photo
from ..threads import parallel_map
from .palette import STRIP, Palette, Recoloured, has_palette
from .pipeline import apply_steps, chain_statistics, scale_of
from .registry import Scale, get_op
from .step import Step

_TILE = 512
"""Side of the tiles rendered at a time, margins left out: small enough to stay in a processor's cache."""
_SMALLEST_TILE = 128
_GPU_TILE = 2048
_HALO = 128
"""Pixels of margin that the steps of one stage may need together."""
_Span = tuple[slice, slice, slice]
"""A tile along one axis: as a slice of the picture, the same with its margin, and where in that it lies."""


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
    on_cpu = device.type == "cpu"
    run = parallel_map if on_cpu else map
    stages = _stages(steps, statistics, short)
    for stage in stages:
        last = stage is stages[-1]
        target = np.empty((height, width, 3), photo.pixels.dtype if last else np.float32)
        fill = partial(_fill_tile, source, target, stage, scale, device, photo if last else None, check)
        side = max(_tile_side(height, width) if on_cpu else _GPU_TILE, 4 * stage.halo)
        tiles = list(product(_tiles(height, side, stage.halo), _tiles(width, side, stage.halo)))
        list(run(fill, tiles))
        source = target
    return source


@torch.no_grad()  # a thread has a mode of its own
def _fill_tile(
    source: np.ndarray | Recoloured,
    target: np.ndarray,
    stage: _Stage,
    scale: Scale,
    device: torch.device,
    masked: Photo | None,
    check: Callable[[], None],
    tile: tuple[_Span, _Span],
) -> None:
    """Render one tile of a stage.

    Args:
        source, target: pictures [H,W,3] before and after the stage.
        masked: the photo whose mask applies to what the stage makes.
        check: raises where there should be no more work.
        tile: its rows and its columns.
    """
    check()
    (rows, outer_rows, inner_rows), (columns, outer_columns, inner_columns) = tile
    mask = None if masked is None or masked.mask is None else masked.mask[rows, columns]
    if mask is not None and not mask.any():
        target[rows, columns] = masked.pixels[rows, columns]
        return
    x = to_tensor(source[outer_rows, outer_columns], device)
    x = apply_steps(x, stage.steps, stage.statistics, replace(scale, top=outer_rows.start, left=outer_columns.start))
    made = to_pixels(x[:, :, inner_rows, inner_columns], target.dtype if mask is None else np.float32)
    target[rows, columns] = made if mask is None else blend(masked.pixels[rows, columns], made, mask)


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

    @torch.no_grad()  # a thread has a mode of its own
    def replace_strip(start: int) -> np.ndarray:
        x = to_tensor(colours[None, start : start + STRIP], device)
        return to_pixels(apply_steps(x, steps, statistics, scale), kind)[0]

    starts = range(0, len(colours), STRIP)
    return np.concatenate(
        parallel_map(replace_strip, starts) if device.type == "cpu" else [*map(replace_strip, starts)]
    )


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


def _tile_side(height: int, width: int) -> int:
    """The side of tiles on a CPU: a small picture has several too, which threads share."""
    return min(_TILE, max(_SMALLEST_TILE, -(-max(height, width) // 2)))


def _tiles(length: int, side: int, margin: int) -> Iterator[_Span]:
    """Tiles along one axis."""
    for start in range(0, length, side):
        end = min(start + side, length)
        first, last = max(start - margin, 0), min(end + margin, length)
        yield slice(start, end), slice(first, last), slice(start - first, end - first)
