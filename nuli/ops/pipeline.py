"""Chains of steps applied to frames, one by one and in batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..imaging.frames import subsample
from ..options import Amounts
from .registry import Op, Scale, apply_op, get_op, measure_statistics, measure_subsampled
from .step import Step

_BATCH_PIXELS = 1 << 16
"""Pixels of frames that an op is applied to at once on a CPU."""


def at_strength(steps: Sequence[Step], amounts: Amounts) -> tuple[Step, ...]:
    """A chain at other amounts, without the steps that do nothing then.

    Every value moves towards (below 1) or away from (above 1) the one that changes nothing, within the widest range.
    """
    scaled = []
    for step in steps:
        op = get_op(step.op)
        amount = amounts.of(op.group)
        values = (param.scaled(value, amount) for param, value in zip(op.params, step.values, strict=True))
        scaled.append(Step(step.op, tuple(values)))
    return tuple(step for step in scaled if not step.is_noop)


def scale_of(frame: Tensor, full: float) -> Scale:
    """The scale of a frame [N,3,h,w] of a picture whose short side has `full` pixels.

    Of a picture of a few pixels the frame shows each pixel as a field; filtering that as the picture is
    filtered would take kernels as large as the frame, for nothing that a score can tell. So there is a limit.
    """
    short = min(frame.shape[2:])
    return Scale(short, max(full, short / 4))


def chain_statistics(frame: Tensor, steps: Sequence[Step], scale: Scale) -> list[Tensor | None]:
    """The statistics [1,...] of each step, measured in the frame as the steps before it left it.

    Args:
        frame: of a picture [1,3,h,w], or of several [K,3,h,w], which are measured together.
    """
    statistics: list[Tensor | None] = []
    for step in steps:
        measured = measure_statistics(get_op(step.op), frame, len(frame))
        statistics.append(measured if measured is None else measured[:1])
        frame = torch.cat([apply_step(x, step, statistics[-1], scale) for x in frame.split(1)])
    return statistics


def apply_step(x: Tensor, step: Step, statistics: Tensor | None, scale: Scale) -> Tensor:
    """Apply one step to one picture, or a tile of it, [1,3,H,W]."""
    return apply_op(get_op(step.op), x, x.new_tensor([step.values]), statistics, scale)


def apply_steps(x: Tensor, steps: Sequence[Step], statistics: Sequence[Tensor | None], scale: Scale) -> Tensor:
    """Apply steps in order to one picture, or a tile of it, [1,3,H,W], with the statistics of each."""
    for step, stats in zip(steps, statistics, strict=True):
        x = apply_step(x, step, stats, scale)
    return x


def apply_chains(
    frames: Sequence[Tensor],
    chains: Sequence[Sequence[Step]],
    scale: Scale,
    measure: Callable[[Op, Tensor, int], Tensor | None] = measure_statistics,
) -> list[Tensor]:
    """Apply to each frame, all of one size, the steps of its chain; steps of one op as one batch.

    The op that most chains wait for goes first: that makes the fewest and largest batches. What chains have in common,
    from the same frame on, is done once.

    Args:
        frames: each [1,3,h,w], or [K,3,h,w] of as many pictures, which are measured together.
        measure: gives an op's statistics of the frames before it, every K of them together.
    """
    frames, pending = list(frames), [list(reversed(steps)) for steps in chains]
    # a processor's cache holds so many of what becomes of a frame
    on_cpu = frames[0].device.type == "cpu"
    batch = max(1, _BATCH_PIXELS // frames[0][:, 0].numel()) if on_cpu else len(frames)
    pictures = len(frames[0])
    waiting: dict[str, list[int]] = defaultdict(list)
    for i, steps in enumerate(pending):
        if steps:
            waiting[steps[-1].op].append(i)
    while waiting:
        name = max(waiting, key=lambda name: len(waiting[name]))
        op, same = get_op(name), defaultdict(list)
        for i in waiting.pop(name):
            same[id(frames[i]), pending[i].pop().values].append(i)
        keys = list(same)
        for part in (keys[i : i + batch] for i in range(0, len(keys), batch)):
            before = [frames[same[key][0]] for key in part]
            values = before[0].new_tensor([values for _, values in part]).repeat_interleave(pictures, 0)
            x = torch.cat(before) if len(part) > 1 else before[0]
            if len({key[0] for key in part}) == 1:
                stats = measure(op, before[0], pictures)
                stats = stats if stats is None else stats.repeat(len(part), *[1] * (stats.ndim - 1))
            else:
                stats = measure(op, x, pictures)
            for key, frame in zip(part, apply_op(op, x, values, stats, scale).split(pictures), strict=True):
                for i in same[key]:
                    frames[i] = frame
                    if pending[i]:
                        waiting[pending[i][-1].op].append(i)
    return frames


def apply_chains_subsampled(frame: Tensor, chains: Sequence[Sequence[Step]], scale: Scale) -> list[Tensor]:
    """Apply chains to one frame (see `apply_chains`), and keep every second pixel of each result in both directions.

    The others are computed only as long as an op is still to come that looks at neighbours.
    """
    subsampled = subsample(frame)
    ends = [max((i + 1 for i, s in enumerate(steps) if get_op(s.op).halo), default=0) for steps in chains]
    heads = [steps[:end] for steps, end in zip(chains, ends, strict=True)]
    frames = apply_chains([frame] * len(chains), heads, scale)
    starts = [subsampled if x is frame else subsample(x) for x in frames]
    tails = [steps[end:] for steps, end in zip(chains, ends, strict=True)]
    return apply_chains(starts, tails, scale, measure_subsampled)
