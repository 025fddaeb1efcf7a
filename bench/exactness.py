"""Does a picture's palette give what every pixel by itself gives? Over all 16.7 million colours.

    python bench/exactness.py [--chains 200] [--seed 0] [PHOTO]

Random chains of 1 to 5 pointwise steps, over hard mode's ranges; what they measure is measured in PHOTO. Told are the
largest difference in levels of 255, how many colours differ, and for 16-bit greys the largest in levels of 65,535.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from nuli.imaging.frames import make_frame, to_pixels, to_tensor
from nuli.imaging.photo import Photo, load_photo
from nuli.ops.pipeline import apply_steps, chain_statistics, scale_of
from nuli.ops.registry import OPS, Scale
from nuli.ops.render import render
from nuli.ops.step import Step
from nuli.recipe import Recipe

PHOTO = Path(__file__).resolve().parents[1] / "docs" / "before.jpg"
ROWS = 64


def all_colours() -> np.ndarray:
    """[4096,4096,3]"""
    codes = np.arange(1 << 24, dtype="<u4")
    return np.ascontiguousarray(codes[:, None].view(np.uint8)[:, :3]).reshape(4096, 4096, 3)


def random_chain(rng: random.Random) -> tuple[Step, ...]:
    ops = rng.sample([op for op in OPS.values() if op.pointwise], rng.randint(1, 5))
    return tuple(Step(op.name, tuple(rng.uniform(*limits) for limits in op.ranges("hard"))) for op in ops)


@torch.no_grad()
def largest_difference(pixels: np.ndarray, steps: Sequence[Step], frame: torch.Tensor) -> tuple[int, int]:
    """The largest difference of the picture as rendered from what its pixels become one by one; and how many differ."""
    short = min(pixels.shape[:2])
    made = render(Photo(pixels), steps, "cpu", frame)
    statistics = chain_statistics(frame, steps, scale_of(frame, short))
    largest, count = 0, 0
    for top in range(0, len(pixels), ROWS):
        x = apply_steps(to_tensor(pixels[top : top + ROWS]), steps, statistics, Scale(short, short))
        apart = np.abs(to_pixels(x, pixels.dtype).astype(int) - made[top : top + ROWS])
        largest, count = max(largest, int(apart.max())), count + int((apart.max(2) > 0).sum())
    return largest, count


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photo", type=Path, nargs="?", default=PHOTO)
    parser.add_argument("--chains", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    frame, rng = make_frame(load_photo(asked.photo).pixels), random.Random(asked.seed)
    colours = all_colours()
    greys = np.arange(1 << 16, dtype=np.uint16).reshape(256, 256, 1)
    worst, different, deep = 0, 0, 0
    for i in range(asked.chains):
        steps = random_chain(rng)
        largest, count = largest_difference(colours, steps, frame)
        worst, different = max(worst, largest), different + count
        grey, _ = largest_difference(greys, steps, frame)
        deep = max(deep, grey)
        if largest > 1 or grey > 1:
            print(f"{i}: {largest} of 255, {grey} of 65535: {Recipe(steps).to_line()}")
    share = different / asked.chains / (1 << 24)
    print(f"{asked.chains} chains: at most {worst} of 255, at {share:.2e} of the colours; greys {deep} of 65535")


if __name__ == "__main__":
    main()
