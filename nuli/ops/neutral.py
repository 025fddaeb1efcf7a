"""A colour that is to be grey: the temperature and the tint that make it so, in closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from ..errors import OptionError
from ..imaging.photo import Photo
from .pipeline import apply_steps
from .registry import Scale, get_op
from .step import Step
from .white_balance import CLIPPED

LOCKED = ("white_balance", "temperature", "tint")
"""The ops that would undo it."""
RADIUS = 0.01
"""Of the disc whose mean colour counts, in parts of the short side."""
DARKEST = 0.03
"""Code value below which a channel is noise rather than a colour."""


def neutral_steps(colour: Sequence[float]) -> tuple[Step, ...]:
    """The steps that make a colour grey; none for one that is.

    Both ops multiply the channels of code values (r, g, b), temperature by exp(t), 1, exp(-t), tint by exp(s / 2),
    exp(-s), exp(s / 2), each times what keeps the luma of grey. All are equal afterwards where t = ln(b / r) / 2 and
    s = ln(g * g / (r * b)) / 3, in either order. So a colour near grey keeps its luma, too.

    Args:
        colour: red, green and blue, 0..1.
    Raises:
        OptionError: it is too dark, clipped, or too colourful for that.
    """
    red, green, blue = (float(value) for value in colour)
    if not 0 <= min(red, green, blue) <= max(red, green, blue) <= 1:
        raise OptionError(f"neutral: no colour: {tuple(colour)}; give red, green and blue from 0 to 1")
    if max(red, green, blue) >= CLIPPED:
        raise OptionError("neutral: this place is clipped, its colour is lost: choose a darker one")
    if min(red, green, blue) < DARKEST:
        raise OptionError("neutral: this place is too dark or too colourful to be grey: choose a lighter, paler one")
    values = {"temperature": math.log(blue / red) / 2, "tint": math.log(green**2 / (red * blue)) / 3}
    for name, value in values.items():
        low, high = get_op(name).params[0].limits
        if not low <= value <= high:
            raise OptionError("neutral: this place is too colourful to be grey: choose a paler one")
    steps = tuple(step for name, value in values.items() if not (step := Step(name, (value,))).is_noop)
    made = torch.tensor([red, green, blue]).reshape(1, 3, 1, 1)
    made = apply_steps(made, steps, [None] * len(steps), Scale(1, 1))
    if made.max() - made.min() > 1 / 255:
        raise OptionError("neutral: this place would clip before it is grey: choose a darker one")
    return steps


def neutral_at(photos: Sequence[Photo], text: str) -> tuple[Step, ...]:
    """The steps that make a place, 'x,y' in parts of the width and the height, grey: in several pictures their mean
    colour there. Raises OptionError."""
    x, y = parse_place(text)
    return neutral_steps(np.mean([colour_at(photo, x, y) for photo in photos], 0))


def parse_place(text: str) -> tuple[float, float]:
    """A place as 'x,y', each 0..1. Raises OptionError."""
    try:
        x, y = (float(part) for part in text.split(","))
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise ValueError
    except ValueError:
        raise OptionError(f"neutral cannot be {text[:40]!r}: give x,y from 0 to 1, such as 0.5,0.25") from None
    return x, y


def colour_at(photo: Photo, x: float, y: float) -> tuple[float, float, float]:
    """The mean colour of a small disc around a place, red, green and blue 0..1; what is transparent doesn't count.

    Args:
        x, y: in parts of the width and the height.
    Raises:
        OptionError: all of the disc is transparent.
    """
    height, width = photo.pixels.shape[:2]
    column, row = min(int(x * width), width - 1), min(int(y * height), height - 1)
    radius = max(1, round(RADIUS * min(height, width)))
    rows = slice(max(row - radius, 0), row + radius + 1)
    columns = slice(max(column - radius, 0), column + radius + 1)
    part = photo.pixels[rows, columns]
    down, across = np.ogrid[rows.start : rows.start + part.shape[0], columns.start : columns.start + part.shape[1]]
    weights = ((down - row) ** 2 + (across - column) ** 2 <= radius**2).astype(float)
    if photo.alpha is not None:
        weights *= photo.alpha[rows, columns]
    if not weights.any():
        raise OptionError("neutral: this place is transparent: choose another one")
    mean = (part * weights[:, :, None]).sum((0, 1)) / weights.sum() / np.iinfo(part.dtype).max
    return tuple(np.broadcast_to(mean, 3).tolist())
