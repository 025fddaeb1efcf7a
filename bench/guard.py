"""Does `--realism` keep hard mode real where the scorer itself knows nothing of pictures?

    python bench/guard.py FOLDER [FOLDER...] --judge judge.pt [--count 8] [--evaluations 100]

The scorer is an adversary: CLIP's architecture with random weights, smaller, and for each picture another direction in
its embedding to maximise. Random hard chains move its score by half a point, about what `laion` says to such.
`judge.pt` is the independent critic of `bench/judge.py`. Printed for realism off and on: the share of results that the
critic takes for pictures, at the level that 80 % of the untouched pass; the mean CIEDE2000 from the originals; and the
points gained.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import random_clip
import torch
from ciede2000 import mean_difference
from judge import PASS, Critic, small
from torch import Tensor

import nuli
from nuli.imaging.frames import make_frame
from nuli.ops.pipeline import apply_chains, scale_of
from nuli.scoring.clip_vit import VisionTransformer
from nuli.sources import list_images

sys.path.append(str(Path(__file__).resolve().parents[1] / "training"))
from grades import HARD, random_chain

WIDTH, LAYERS = 256, 6
CHAINS = 24
SPREAD = 0.5
"""Standard deviation of the scores of random hard chains, in points."""


class Adversary:
    name = "random-clip"
    input_size = 224
    view_mode = "crop"
    differentiable = True
    cheap = True
    score_range = (1.0, 10.0)

    def __init__(self, tower: VisionTransformer, seed: int) -> None:
        self._tower, self._seed = tower, seed
        self._direction = torch.randn(random_clip.EMBEDDING, generator=torch.Generator().manual_seed(seed))

    def _figure(self, views: Tensor) -> Tensor:
        embedded = self._tower(views * 4 - 2)
        return (embedded / embedded.norm(dim=1, keepdim=True)) @ self._direction

    def bind(self, original: Tensor) -> Callable[[Tensor], Tensor]:
        rng = random.Random(self._seed)
        chains = [random_chain(HARD, "hard", rng, (1, 2), (0.2, 0.6)) for _ in range(CHAINS)]
        with torch.no_grad():
            scale = scale_of(original, min(original.shape[2:]))
            spread = self._figure(torch.cat(apply_chains([original] * CHAINS, chains, scale))).std()
            own = self._figure(original)
        return lambda views: 5.5 + SPREAD * (self._figure(views) - own) / spread


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--judge", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8, help="pictures of each folder (8)")
    parser.add_argument("--evaluations", type=int, default=100)
    asked = parser.parse_args()
    critic = Critic.load(asked.judge)
    tower = VisionTransformer(random_clip.visual(WIDTH, LAYERS), torch.float32)
    files = [file for folder in asked.folders for file in list_images(folder)[: asked.count]]
    untouched, made = [], {"off": [], "on": []}
    for number, file in enumerate(files):
        options = {"mode": "hard", "evaluations": asked.evaluations, "others": 0, "device": "cpu"}
        for realism, rows in made.items():
            result = nuli.enhance(file, scorer=Adversary(tower, number), realism=realism, **options)
            before, after = result.photo.pixels, result.pixels
            figure = critic.judge(critic.features(make_frame(after))).item()
            rows.append(
                (figure, mean_difference(small(after), small(before)), result.score_after - result.score_before)
            )
        untouched.append(critic.judge(critic.features(make_frame(before))).item())
    level = np.quantile(untouched, PASS)
    for realism, rows in made.items():
        figures, moved, gained = np.array(rows).T
        real = (figures >= level).mean()
        print(f"realism {realism:3}: real {real:4.0%}  moved {moved.mean():5.1f}  gained {gained.mean():.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
