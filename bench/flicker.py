"""How much a video flickers: as it is, with each frame enhanced by itself, and with all of them enhanced together.

    python bench/flicker.py PHOTO... [--frames 24] [--track washed] [--steady]

A camera pans over the photo by whole pixels while its exposure drifts and jitters. Flicker is the mean CIEDE2000
between what two neighbouring frames have in common. One line for each photo: the flicker of the input, picture by
picture, together, and together with the light steadied first, as `--together` does it; what these three have beyond
the input; then the mean score before and after.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from ciede2000 import mean_difference, to_linear, to_srgb
from degrade import TRACKS, degrade
from PIL import Image

import nuli
from nuli.steady import steady_light

LONGEST = 640
"""Long side in pixels that photos are reduced to."""
WINDOW = 0.75
"""Width of a frame, in widths of the photo."""
DRIFT, JITTER = 0.15, 0.02
"""Stops by which the exposure goes up and down in the course of the pan, and the standard deviation of each frame's own
deviation from that."""


def pan(photo: np.ndarray, frames: int, seed: int = 0, unsteady: float = 1.0) -> tuple[list[np.ndarray], list[int]]:
    """The frames of a pan over a photo [H,W,3] in 0..1, each [H,w,3] uint8, and how many pixels to the right of the
    photo's left edge each begins.

    Args:
        unsteady: how far the exposure drifts and jitters, in parts of DRIFT and JITTER.
    """
    rng = np.random.default_rng(seed)
    width = round(WINDOW * photo.shape[1])
    places = [round(i * (photo.shape[1] - width) / max(1, frames - 1)) for i in range(frames)]
    stops = unsteady * (DRIFT * np.sin(2 * np.pi * np.arange(frames) / frames) + rng.normal(0, JITTER, frames))
    light = to_linear(photo)
    made = [to_srgb(light[:, x : x + width] * 2**stop) for x, stop in zip(places, stops, strict=True)]
    return [np.rint(255 * frame).astype(np.uint8) for frame in made], places


def flicker(frames: Sequence[np.ndarray], places: Sequence[int]) -> float:
    """Mean CIEDE2000 between what neighbouring frames [H,w,3] uint8 of a pan have in common."""
    differences = []
    for (one, x), (other, y) in pairwise(zip(frames, places, strict=True)):
        common = one.shape[1] - (y - x)
        differences.append(mean_difference(one[:, y - x :] / 255, other[:, :common] / 255))
    return float(np.mean(differences))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, nargs="+", metavar="PHOTO")
    parser.add_argument("--frames", type=int, default=24, help="frames of the pan (24)")
    parser.add_argument(
        "--track", choices=TRACKS, help="damage the photo first (see degrade.py); a good one stays as it is"
    )
    parser.add_argument("--mode", default="soft", choices=("soft", "hard"))
    parser.add_argument("--steady", action="store_true", help="leave the exposure as it is: the input has no flicker")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    print(
        f"{'photo':<20} {'input':>7} {'singly':>7} {'together':>8} {'steadied':>8}{'beyond the input':>26}   mean score"
    )
    for path in asked.photos:
        with Image.open(path) as image:
            image.thumbnail((LONGEST, LONGEST))
            photo = np.asarray(image.convert("RGB")) / 255
        if asked.track:
            photo = degrade(photo, asked.track, np.random.default_rng(asked.seed))
        frames, places = pan(photo, asked.frames, asked.seed, 0.0 if asked.steady else 1.0)
        singly = [nuli.enhance(frame, mode=asked.mode, seed=asked.seed).pixels for frame in frames]
        series = nuli.enhance_together(frames, mode=asked.mode, seed=asked.seed)
        together = [np.asarray(series.apply(frame)) for frame in frames]
        looks = [series.look.lit(stops) for stops in steady_light(frames)]
        steady = [np.asarray(look.apply(frame)) for look, frame in zip(looks, frames, strict=True)]
        before, alone, joint, even = (flicker(some, places) for some in (frames, singly, together, steady))
        print(
            f"{path.name:<20} {before:7.2f} {alone:7.2f} {joint:8.2f} {even:8.2f}"
            f"{alone - before:+9.2f} {joint - before:+8.2f} {even - before:+8.2f}   "
            f"{series.scorer} {series.score_before:.2f} -> {series.score_after:.2f}, {series.evaluations} evaluations, "
            f"{series.seconds:.1f} s: {', '.join(series.recipe.words())}",
            flush=True,
        )


if __name__ == "__main__":
    main()
