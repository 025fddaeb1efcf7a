"""Does the score that a search predicts hold for the file that is saved?

    python bench/agreement.py FOLDER [--megapixels 12] [--count 20]

Every photo is scaled up, a chain of steps is applied, and the saved PNG is loaded and scored anew.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from pathlib import Path

from PIL import Image

import nuli
from nuli.imaging.frames import make_frame, reduced
from nuli.imaging.photo import load_photo, save_photo
from nuli.ops.registry import get_op
from nuli.ops.render import render
from nuli.ops.step import Step
from nuli.recipe import Recipe
from nuli.scoring.vivid import Vivid
from nuli.search.evaluator import Evaluator
from nuli.search.finish import FinePredictor
from nuli.sources import list_images

OPS = ("contrast", "auto_level", "equalize", "sharpness", "blur")


def chain(rng: random.Random) -> Recipe:
    """All of OPS in any order, each somewhere in its soft range."""
    names = rng.sample(OPS, len(OPS))
    return Recipe(tuple(Step(n, tuple(rng.uniform(*p.soft) for p in get_op(n).params)) for n in names))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megapixels", type=float, default=12)
    parser.add_argument("--count", type=int, default=20)
    asked = parser.parse_args()
    rng, scorer, held = random.Random(0), Vivid(), 0
    files = list_images(asked.folder)[: asked.count]
    for file in files:
        with Image.open(file) as image:
            factor = (asked.megapixels * 1e6 / image.width / image.height) ** 0.5
            size = round(image.width * factor), round(image.height * factor)
            photo = load_photo(image.resize(size, Image.Resampling.BICUBIC))
        recipe = chain(rng)
        frame = make_frame(photo.pixels)
        evaluator = Evaluator(frame, min(photo.pixels.shape[:2]), scorer, guard_weight=0)
        [before] = evaluator.score_frames(frame)
        predicted = FinePredictor(photo, reduced(photo), evaluator).predict(recipe).score
        with tempfile.TemporaryDirectory() as folder:
            saved = save_photo(photo, render(photo, recipe.steps, "cpu"), Path(folder, "saved.png"))
            [realised] = nuli.score([saved], scorer, device="cpu")
        gain, apart = realised - before.score, abs(realised - predicted)
        holds = apart <= max(0.01, 0.02 * abs(gain))
        held += holds
        print(
            f"{file.name:14} gain {gain:+.4f}  predicted {predicted:.4f}  saved {realised:.4f}  apart {apart:.4f}"
            f"  {'holds' if holds else 'FAILS'}",
            flush=True,
        )
    print(f"{held} of {len(files)} hold (within 2 % of the gain, or 0.01)")


if __name__ == "__main__":
    main()
