"""Do soft mode's guards hold against scorers that love the wrong thing?

    python bench/adversaries.py FOLDER [--count 24] [--evaluations 300] [--only dark,blur] [--guards normal,off]

Each adversary is a scorer with an honest range that wants one thing of every picture: darkness, brightness, clipping,
saturation, one hue, noise, blur, halos, and ten random directions among the features of nuli's own convolutional
backbone, of which random soft chains move the score by a point. Printed for each, of all pictures the mean and the
worst, with and without guards:

    light    by which part the mean luma changed
    skin     by which part the mean luma of skin did, where the picture has any (by `nuli.scoring.skin`)
    clipped  share of pixels that became black or white: every channel 0, or one of them at its top
    chroma   by which part the mean chroma (CIELAB) grew
    dE       mean CIEDE2000 from the original
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from ciede2000 import difference, to_lab
from torch import Tensor

import nuli
from nuli.imaging.color import luma
from nuli.imaging.color import to_lab as to_lab_tensor
from nuli.imaging.frames import to_tensor
from nuli.ops.pipeline import apply_chains, scale_of
from nuli.scoring.backbone import FEATURES, Backbone
from nuli.scoring.penalties import clipped
from nuli.scoring.skin import skin_map
from nuli.sources import list_images

sys.path.append(str(Path(__file__).resolve().parents[1] / "training"))
from grades import SOFT, random_chain

DIRECTIONS = 10
CHAINS = 16
SPREAD = 1.0
"""Standard deviation of the scores of random soft chains, in points of 10."""
SKIN_SHARE = 0.01
"""Pictures with less skin have no figure for it."""
MEASURES = ("light", "skin", "clipped", "chroma", "dE")
ASKED = (0.12, 0.06, 0.005, 0.25, 8.0)
"""What none of them may exceed."""


def texture(x: Tensor) -> Tensor:
    """[N,3,H,W] -> [N]: how much neighbours differ, beyond what edges of several pixels do."""
    grey = luma(x)
    return (grey - F.avg_pool2d(grey, 3, 1, 1, count_include_pad=False)).abs().mean((1, 2, 3))


def halos(x: Tensor) -> Tensor:
    """[N,3,H,W] -> [N]: contrast across three pixels, as over-sharpening makes it."""
    grey = luma(x)
    return (F.avg_pool2d(grey, 3, 1, 1) - F.avg_pool2d(grey, 9, 1, 4)).square().mean((1, 2, 3)).sqrt()


def colours(x: Tensor) -> Tensor:
    return to_lab_tensor(x)[:, 1:]


LOVES: dict[str, Callable[[Tensor], Tensor]] = {
    "dark": lambda x: 10 - 15 * luma(x).mean((1, 2, 3)),
    "bright": lambda x: 15 * luma(x).mean((1, 2, 3)),
    "clipping": lambda x: 30 * clipped(x).sum(1),
    "saturation": lambda x: colours(x).norm(dim=1).mean((1, 2)) / 4,
    "one-hue": lambda x: 5 + (colours(x)[:, 0] - colours(x)[:, 1]).mean((1, 2)) / 8,
    "noise": lambda x: 100 * texture(x),
    "blur": lambda x: 10 - 100 * texture(x),
    "halos": lambda x: 100 * halos(x),
}


@dataclass(frozen=True)
class Adversary:
    """Scores each picture by itself, 0 to 10."""

    name: str
    figure: Callable[[Tensor], Tensor]
    input_size: int = 224
    view_mode: str = "whole"
    differentiable: bool = True
    cheap: bool = True
    licence: str = ""
    score_range: tuple[float, float] = (0.0, 10.0)

    def bind(self, original: Tensor) -> Callable[[Tensor], Tensor]:
        return self.figure


@dataclass(frozen=True)
class Direction(Adversary):
    """Scores by a random direction among the backbone's features; what chains do to it is a point."""

    seed: int = 0
    view_mode: str = "subsampled"

    def bind(self, original: Tensor) -> Callable[[Tensor], Tensor]:
        rng = random.Random(self.seed)
        small = original[..., ::2, ::2].contiguous() if self.view_mode == "subsampled" else original
        chains = [random_chain(SOFT, "soft", rng, (1, 2), (0.2, 0.6)) for _ in range(CHAINS)]
        with torch.no_grad():
            made = apply_chains([small] * CHAINS, chains, scale_of(small, min(small.shape[2:])))
            own, spread = self.figure(small), self.figure(torch.cat(made)).std()
        return lambda views: 5 + SPREAD * (self.figure(views) - own) / spread.clamp(min=1e-6)


def direction(seed: int) -> Direction:
    """The scorer of one random direction."""
    way = torch.randn(FEATURES, generator=torch.Generator().manual_seed(seed))
    backbone = Backbone.load(torch.device("cpu"))
    return Direction(f"direction-{seed}", lambda x: backbone.features(x) @ way, seed=seed)


def adversaries(directions: int = DIRECTIONS) -> list[Adversary]:
    """All of them."""
    return [Adversary(name, figure) for name, figure in LOVES.items()] + [direction(i) for i in range(directions)]


def findings(before: np.ndarray, after: np.ndarray) -> tuple[float, ...]:
    """MEASURES of a result, by the pixels [H,W,3] of 8 bits of both pictures; nan where there is no skin."""
    x, y = to_tensor(before), to_tensor(after)
    skin = skin_map(x)
    light = (luma(y).mean() / luma(x).mean() - 1).item()
    skin_light = ((skin * luma(y)).sum() / (skin * luma(x)).sum() - 1).item()
    new = float((ends(after) & ~ends(before)).mean())
    one, other = to_lab(before / 255), to_lab(after / 255)
    chroma = float(np.hypot(*other[..., 1:].T).mean() / np.hypot(*one[..., 1:].T).mean()) - 1
    has_skin = skin.mean() >= SKIN_SHARE
    return light, skin_light if has_skin else np.nan, new, chroma, float(difference(one, other).mean())


def ends(pixels: np.ndarray) -> np.ndarray:
    """Which pixels are black or white, [H,W]."""
    brightest = pixels.max(2)
    return (brightest == 0) | (brightest == 255)


def measure(scorer: Adversary, file: Path, guards: str, evaluations: int) -> tuple[float, ...]:
    """MEASURES of what a search makes of a picture."""
    result = nuli.enhance(file, scorer=scorer, guards=guards, evaluations=evaluations, device="cpu")
    return findings(result.photo.pixels, result.pixels)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=24, help="so many pictures, in the order of their names (24)")
    parser.add_argument("--evaluations", type=int, default=300)
    parser.add_argument("--directions", type=int, default=DIRECTIONS)
    parser.add_argument("--only", default="", help="names of adversaries, separated by commas (all)")
    parser.add_argument("--guards", default="normal,off", help="(%(default)s)")
    asked = parser.parse_args(arguments)
    files = list_images(asked.folder)[: asked.count]
    only = [name for name in asked.only.split(",") if name]
    modes = asked.guards.split(",")
    heads = "".join(f" | {mode:8} " + "".join(f"{m:>14}" for m in MEASURES) for mode in modes)
    print(f"{'mean, worst':12}{heads}")
    for scorer in adversaries(asked.directions):
        if only and scorer.name not in only:
            continue
        line = f"{scorer.name:12}"
        for mode in modes:
            rows = np.array([measure(scorer, file, mode, asked.evaluations) for file in files])
            rows[:, 3] = rows[:, 3].clip(min=0)
            over = int((np.nan_to_num(np.abs(rows)) > np.array(ASKED)).any(1).sum())
            line += f" | over {over:3} " + "".join(words(i, rows[:, i]) for i in range(len(MEASURES)))
        print(line, flush=True)
    return 0


def words(index: int, values: np.ndarray) -> str:
    """The mean and the worst of a measure."""
    sizes = np.abs(values[~np.isnan(values)])
    if MEASURES[index] == "dE":
        return f"{sizes.mean():7.1f}{sizes.max():7.1f}"
    return f"{sizes.mean():7.1%}{sizes.max():7.1%}"


if __name__ == "__main__":
    raise SystemExit(main())
