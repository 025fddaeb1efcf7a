"""Do soft mode's guards leave room to repair a picture that needs it?

    python bench/repair.py FOLDER [--count 8] [--evaluations 150] [--tracks mild,strong,cast,washed]

Each photo is damaged (see `degrade`), and searched with a scorer that knows the good photo and wants it back, but is
held by the guards as any other is. Printed for each track: the mean CIEDE2000 of the damage, what is left of it with
guards and without, and how much of the repair without guards the guards allow.
"""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from ciede2000 import mean_difference
from degrade import degrade
from recover import as_float, read
from torch import Tensor

import nuli
from nuli.imaging.color import color_difference, to_lab
from nuli.imaging.frames import make_frame
from nuli.sources import list_images

POINT = 1.5
"""Mean color difference that costs a point of 10."""


class Friend:
    """Wants the good photo back."""

    name = "friend"
    licence = ""
    input_size = 224
    view_mode = "whole"
    differentiable = True
    cheap = True
    score_range = (0.0, 10.0)

    def __init__(self, good: np.ndarray) -> None:
        self._lab = to_lab(make_frame(good))

    def bind(self, original: Tensor) -> Callable[[Tensor], Tensor]:
        return lambda views: 10 - color_difference(to_lab(views), self._lab) / POINT


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=8, help="so many photos, in the order of their names (8)")
    parser.add_argument("--size", type=int, default=160, help="short side in pixels (160)")
    parser.add_argument("--evaluations", type=int, default=150)
    parser.add_argument("--tracks", default="mild,strong,cast,washed", help="(%(default)s)")
    asked = parser.parse_args(arguments)
    photos = list(read(list_images(asked.folder)[: asked.count], asked.size))
    print(f"{'track':14}{'damage':>8}{'guards':>8}{'none':>8}{'allowed':>9}")
    for track in asked.tracks.split(","):
        rows = []
        for name, good in photos:
            bad = degrade(good, track, np.random.default_rng([0, zlib.crc32(name.encode())]))
            options = {"scorer": Friend(good), "evaluations": asked.evaluations, "device": "cpu"}
            left = [as_float(nuli.enhance(bad, guards=guards, **options).pixels) for guards in ("normal", "off")]
            rows.append([mean_difference(x, good) for x in (bad, *left)])
        damage, guarded, free = np.mean(rows, 0)
        print(
            f"{track:14}{damage:8.2f}{guarded:8.2f}{free:8.2f}{(damage - guarded) / (damage - free):9.0%}", flush=True
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
