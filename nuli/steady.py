"""The light of a series kept steady: a camera's exposure wavers from frame to frame, and a correction that strengthens
contrast makes that worse."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from .enhancer import Source, check_arguments, each_source
from .errors import ImageError, OptionError, shown
from .imaging.color import to_linear
from .imaging.frames import reduced, to_tensor
from .imaging.photo import load_photo
from .imaging.reduce import REDUCED
from .ops.white_balance import LUMINANCE

NEAR = 6.0
"""Standard deviation, in pictures, of how near others are that a picture's light is compared with."""
ALIKE = 0.25
"""Standard deviation, in stops, of how far their light may be: beyond is another scene."""
SEQUENCE = 0.1
"""Median difference of light between neighbours, in stops, up to which pictures are frames of one sequence."""
MOST = 0.5
"""Stops by which a picture is made lighter or darker, at most."""
LEAST = 0.005
"""Stops from which on it is worth it."""


def light_of(source: Source) -> float:
    """How light a picture is: log2 of its mean luminance, in stops; NaN for one that can't be read."""
    try:
        photo = load_photo(source, at_least=REDUCED)
    except ImageError:
        return float("nan")
    mean = to_linear(to_tensor(reduced(photo).pixels)).mean((0, 2, 3))
    return math.log2(float(mean @ mean.new_tensor(LUMINANCE)) + 1e-3)


def steadying(lights: Sequence[float]) -> list[float]:
    """By how many stops each picture of a sequence has to become lighter, so that its light goes smoothly with that of
    the pictures around it.

    For each picture a line is fitted to the lights of those near it that are about as light, so that a steady change
    and a cut stay as they are. All are 0 where neighbours differ so much that the pictures are no sequence.

    Args:
        lights: what `light_of` says of each, in order.
    """
    known = np.array(lights, float)
    steps = np.abs(np.diff(known[np.isfinite(known)]))
    if len(steps) < 2 or np.median(steps) > SEQUENCE:
        return [0.0] * len(known)
    stops = []
    for i, light in enumerate(known):
        first, last = max(0, i - int(4 * NEAR)), i + int(4 * NEAR) + 1
        there = np.isfinite(known[first:last])
        near, apart = known[first:last][there], np.arange(first, min(last, len(known)))[there] - i
        if not np.isfinite(light):
            stops.append(0.0)
            continue
        weights = np.exp(-0.5 * ((apart / NEAR) ** 2 + ((near - light) / ALIKE) ** 2))
        root = np.sqrt(weights)
        line, *_ = np.linalg.lstsq(np.stack([root, apart * root], 1), near * root, rcond=None)
        change = float(np.clip(line[0] - light, -MOST, MOST))
        stops.append(round(change, 4) if abs(change) >= LEAST else 0.0)
    return stops


def steady_light(
    sources: Sequence[Source], jobs: int = 1, progress: Callable[[int], None] = lambda done: None
) -> list[float]:
    """What `steadying` says of pictures.

    Args:
        sources: all pictures of the series, in order. Each is read, so many at a time, as small as its format allows.
        progress: called with the number of pictures that have been read.
    Raises:
        NuliError: for arguments that can't be used. A picture that can't be read is left as it is.
    """
    check_arguments(progress=progress)
    if isinstance(jobs, bool) or not isinstance(jobs, int) or jobs < 1:
        raise OptionError(f"jobs must be a whole number, 1 or more, not {shown(jobs)}")
    lights: list[float] = []
    with ThreadPoolExecutor(jobs) as pool:
        for light in pool.map(light_of, each_source(sources)):
            lights.append(light)
            progress(len(lights))
    return steadying(lights)
