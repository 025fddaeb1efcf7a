"""A chain of steps as a .cube file, the 3D look-up table that photo and video editors read.

Format: Adobe, "Cube LUT Specification 1.0", 2013: red changes fastest.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..errors import OptionError, RecipeError
from ..imaging.frames import make_frame
from ..imaging.photo import Photo
from .pipeline import apply_step, chain_statistics, scale_of
from .registry import Scale, get_op
from .step import Step


@torch.no_grad()
def to_cube(steps: Sequence[Step], photo: Photo | None = None, size: int = 33, title: str = "nuli") -> str:
    """The pointwise steps of a chain as the text of a .cube file. Steps that look at neighbours stay out.

    Args:
        photo: the picture that the chain was made for; needed where a step measures the picture.
        size: points along each axis, 2 to 129.
    Raises:
        OptionError: another size.
        RecipeError: a step measures the picture, and none is given; or no step is pointwise.
    """
    if not 2 <= size <= 129:
        raise OptionError(f"the size of a LUT can't be {size}: give a value from 2 to 129")
    kept = [s for s in steps if get_op(s.op).pointwise and not s.is_noop]
    if not kept:
        raise RecipeError("nothing to put in a LUT: it holds no steps that look at neighbours; add another step")
    measuring = [s.op for s in kept if get_op(s.op).statistics]
    if measuring and photo is None:
        raise RecipeError(f"{', '.join(measuring)} measure the picture: name the one to measure with --photo")
    stats = [None] * len(steps)
    if photo is not None:
        frame = make_frame(photo.pixels, photo.alpha)
        stats = chain_statistics(frame, steps, scale_of(frame, min(photo.pixels.shape[:2])))
    axis = torch.linspace(0, 1, size)
    blue, green, red = torch.meshgrid(axis, axis, axis, indexing="ij")
    x = torch.stack([red, green, blue]).reshape(1, 3, size * size, size)
    for step, measured in zip(steps, stats, strict=True):
        if step in kept:
            x = apply_step(x, step, measured, Scale(size, size))
    lines = ['TITLE "{}"'.format(title.replace('"', "'")), f"LUT_3D_SIZE {size}"]
    for row in x[0].permute(1, 2, 0):
        lines += [f"{r:.6f} {g:.6f} {b:.6f}" for r, g, b in row.tolist()]
    return "\n".join([*lines, ""])


def left_out(steps: Sequence[Step]) -> list[Step]:
    """The steps that no LUT can hold."""
    return [s for s in steps if not (s.is_noop or get_op(s.op).pointwise)]
