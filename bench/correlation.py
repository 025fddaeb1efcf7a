"""Does a scorer prefer what brings a damaged photo nearer to how it was?

    python bench/correlation.py FOLDER [--scorer tone] [--tracks mild,strong] [--candidates 40]

Every photo is damaged as in recover.py. Random chains of 1 to 3 photographic adjustments are tried on it; each one's
gain in score is set against its gain in CIEDE2000. Printed for each track: the mean over the photos of Pearson's
correlation, and its standard error.
"""

from __future__ import annotations

import argparse
import random
import zlib
from pathlib import Path

import numpy as np
import torch
from ciede2000 import difference, to_lab
from degrade import TRACKS, degrade
from recover import read, say

from nuli.imaging.frames import make_frame
from nuli.ops.registry import Op, select_ops
from nuli.ops.step import Step
from nuli.options import Options
from nuli.recipe import Recipe
from nuli.scoring.protocol import Scorer
from nuli.scoring.registry import load_scorer
from nuli.search.evaluator import Evaluator
from nuli.sources import list_images


def draw(allowed: tuple[Op, ...], rng: random.Random) -> Recipe:
    """A chain of 1 to 3 ops, each value anywhere in its soft range."""
    chosen = rng.sample(allowed, rng.randint(1, 3))
    return Recipe(tuple(Step(o.name, tuple(rng.uniform(*r) for r in o.ranges("soft"))) for o in chosen)).without_noops()


def correlation(good: np.ndarray, bad: np.ndarray, scorer: Scorer, count: int, seed: int) -> float:
    """Pearson's, of score and nearness of `count` candidates made from `bad` [H,W,3] in 0..1."""
    rng, allowed = random.Random(seed), select_ops("soft")
    frame = make_frame(np.uint16(bad * 65535 + 0.5))
    evaluator = Evaluator(frame, min(bad.shape[:2]), scorer, guard_weight=0)
    goal = to_lab(make_frame(np.uint16(good * 65535 + 0.5))[0].permute(1, 2, 0).numpy())
    scores, distances = [], []
    for _ in range(count):
        candidate = evaluator.frames([draw(allowed, rng)])
        scores.append(evaluator.score_frames(candidate)[0].score)
        distances.append(difference(to_lab(candidate[0].permute(1, 2, 0).numpy()), goal).mean())
    return float(np.corrcoef(scores, distances)[0, 1]) * -1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scorer", default="tone")
    parser.add_argument("--tracks", default="mild,strong", help=f"of {', '.join(TRACKS)} (%(default)s)")
    parser.add_argument("--candidates", type=int, default=40)
    parser.add_argument("--size", type=int, default=160, help="short side in pixels (160)")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    torch.set_grad_enabled(False)
    scorer = load_scorer(Options(scorer=asked.scorer, device="cpu"))
    found: dict[str, list[float]] = {track: [] for track in asked.tracks.split(",")}
    for name, good in read(list_images(asked.folder), asked.size):
        for track, values in found.items():
            rng = np.random.default_rng([asked.seed, zlib.crc32(name.encode())])
            try:
                bad = degrade(good, track, rng)
            except ValueError as error:
                say(f"{name}: {error}; left out\n")
                continue
            values.append(correlation(good, bad, scorer, asked.candidates, asked.seed))
    for track, values in found.items():
        error = np.std(values, ddof=1) / len(values) ** 0.5
        print(f"{track:14} correlation {np.mean(values):.2f} ± {error:.2f}, {len(values)} photos")


if __name__ == "__main__":
    main()
