"""Is the light of skin kept, and as well in dark faces as in light ones?

    python bench/faces.py FOLDER [FOLDER...] [--evaluations 300]

Searches pictures of people in soft mode with `tone`, with a scorer that loves darkness, and with `laion`'s architecture
and random weights, smaller, of which random soft chains move the score by a point. The faces are marked by hand; of
those boxes, what `nuli.scoring.skin` takes for skin counts. Printed for each scorer: by which part the mean luma of
each face changed, the worst and the mean of each group, and how far the groups' means are apart.

FACES names the files, which are not part of this project: of BSDS500, of scikit-image (data.astronaut(), NASA), of the
tests of the package face_recognition on PyPI (portraits by the White House), and of generated pictures. Those that no
folder has are left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import random_clip
import torch
from adversaries import Adversary, Direction, adversaries
from torch import Tensor

import nuli
from nuli.imaging.color import luma
from nuli.imaging.frames import to_tensor
from nuli.imaging.photo import load_photo
from nuli.scoring.skin import skin_map

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in parts of the width and the height."""
FACES: dict[str, dict[str, tuple[Box, ...]]] = {
    "dark": {
        "229036.jpg": ((0.305, 0.39, 0.365, 0.49), (0.675, 0.40, 0.73, 0.49)),
        "302008.jpg": ((0.26, 0.28, 0.66, 0.56),),
        "271035.jpg": ((0.35, 0.22, 0.45, 0.29),),
        "obama.jpg": ((0.41, 0.12, 0.62, 0.33),),
        "obama2.jpg": ((0.34, 0.22, 0.70, 0.48),),
        "obama3.jpg": ((0.45, 0.14, 0.63, 0.26),),
    },
    "light": {
        "189080.jpg": ((0.22, 0.43, 0.78, 0.84),),
        "astronaut.png": ((0.37, 0.15, 0.50, 0.34),),
        "biden.jpg": ((0.44, 0.10, 0.76, 0.27),),
        "Daniela-Uhlig.jpg": ((0.30, 0.19, 0.61, 0.53),),
        "Jack-Davis.jpg": ((0.30, 0.06, 0.41, 0.19), (0.62, 0.21, 0.73, 0.34)),
        "John-Currin.jpg": ((0.19, 0.23, 0.32, 0.40), (0.65, 0.21, 0.78, 0.41)),
    },
}
WIDTH, LAYERS = 256, 6


def boxes(group: str, folders: Sequence[Path]) -> Iterator[tuple[Path, tuple[Box, ...]]]:
    """The files of a group that there are, and their faces."""
    for name, faces in FACES[group].items():
        file = next((folder / name for folder in folders if (folder / name).exists()), None)
        if file:
            yield file, faces


def part(x: Tensor, box: Box) -> Tensor:
    """[N,C,H,W] cut to a box."""
    height, width = x.shape[2:]
    left, top, right, bottom = (round(side * length) for side, length in zip(box, (width, height) * 2, strict=True))
    return x[:, :, top:bottom, left:right]


def change(before: np.ndarray, after: np.ndarray, box: Box) -> float:
    """By which part the mean luma of a face changed, by the pixels of both pictures."""
    x, y = (part(to_tensor(pixels), box) for pixels in (before, after))
    skin = skin_map(x)
    return ((skin * luma(y)).sum() / (skin * luma(x)).sum()).item() - 1


def random_laion() -> Direction:
    """Smaller, with its score's range made honest."""
    laion = random_clip.scorer(random_clip.visual(WIDTH, LAYERS), random_clip.head())
    figure = laion.bind(torch.zeros(1, 3, laion.input_size, laion.input_size))
    return Direction("laion (random)", figure, view_mode="crop")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--evaluations", type=int, default=300)
    asked = parser.parse_args(arguments)
    dark: Adversary = adversaries(0)[0]
    for scorer in ("tone", dark, random_laion()):
        means = []
        for group in FACES:
            found = {}
            for file, faces in boxes(group, asked.folders):
                photo = load_photo(file)
                result = nuli.enhance(photo, scorer=scorer, evaluations=asked.evaluations, device="cpu")
                found[file.stem] = [change(photo.pixels, result.pixels, box) for box in faces]
            values = np.array([value for row in found.values() for value in row])
            means.append(values.mean())
            name = scorer if isinstance(scorer, str) else scorer.name
            print(f"{name:14} {group:5} mean {values.mean():+6.1%} of sizes {abs(values).mean():5.1%}", end=" ")
            print(f"worst {abs(values).max():5.1%}: ", end="")
            print(", ".join(f"{stem} " + "/".join(f"{v:+.1%}" for v in row) for stem, row in found.items()), flush=True)
        print(f"{name:14} between the groups {abs(means[0] - means[1]) * 100:.1f} points")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
