"""What is each part of the search good for? The search on the oracle or another objective, each part left out in turn.

    python bench/ablation.py FOLDER [--count 16] [--objectives oracle] [--evaluations 100]

Photos, damage and objectives as in search.py; the mean gain after so many evaluations, for the oracle the mean
distance that is left, and how much more than everything together gains (with the standard error of that, over the
photos). A part is left out by giving one hyperparameter another value.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from recover import read
from search import OBJECTIVES, compare, names

from nuli.search.config import EXPENSIVE, GPU, SearchConfig
from nuli.sources import list_images

MUTATION = EXPENSIVE.mutation
VARIANTS: dict[str, tuple[str, SearchConfig]] = {
    "everything": ("nuli", EXPENSIVE),
    "no predicted start": ("gradients", EXPENSIVE),
    "nor gradients": ("tree", EXPENSIVE),
    "no surrogate: any children": ("nuli", replace(EXPENSIVE, unscreened=1)),
    "no unscreened children": ("nuli", replace(EXPENSIVE, unscreened=math.inf)),
    "one generation": ("nuli", replace(EXPENSIVE, generations=1)),
    "kappa 0": ("nuli", replace(EXPENSIVE, kappa=0.0)),
    "noise not chosen": ("nuli", replace(EXPENSIVE, surrogate=replace(EXPENSIVE.surrogate, noises=(1e-4,)))),
    "no detail in features": ("nuli", replace(EXPENSIVE, features=replace(EXPENSIVE.features, detail_weight=0.0))),
    "no crossover": (
        "nuli",
        replace(
            EXPENSIVE,
            mutation=replace(MUTATION, perturb_all=1 - MUTATION.insert - MUTATION.perturb_one - MUTATION.drop),
        ),
    ),
    "as on a GPU": ("nuli", GPU),
    "rounds of 16": ("nuli", replace(EXPENSIVE, min_round=16, max_round=16)),
}
"""Which of search.py's searchers, and with which hyperparameters."""


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=16, help="photos, in the order of their names (16)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--objectives", default="oracle", help=f"of {', '.join(OBJECTIVES)} (%(default)s)")
    parser.add_argument("--evaluations", type=int, default=100)
    parser.add_argument("--size", type=int, default=112, help="short side of the frame in pixels (112)")
    asked = parser.parse_args(arguments)
    files = list_images(asked.folder)[: asked.count]
    photos = list(read(files, asked.size))
    points = sorted({p for p in (10, 30, 100, 300) if p < asked.evaluations} | {asked.evaluations})
    for objective in names(parser, asked, "objectives", OBJECTIVES):
        whole = None
        for name, (searcher, config) in VARIANTS.items():
            curves, distances = compare(
                photos, [objective], [searcher], ["mild", "strong"], asked.evaluations, 8, asked.seed, config
            )
            found = np.array(curves[objective, searcher])
            gains, whole = found.mean(0), found[:, -1] if whole is None else whole
            more = found[:, -1] - whole
            line = f"{objective:8}{name:26}" + "".join(f"{p:6}:{gains[p - 1]:6.3f}" for p in points)
            if objective == "oracle":
                line += f"   left of {np.mean(distances):.2f}: {np.mean(distances) - gains[-1]:.2f}"
            if len(more) > 1:
                line += f"   more: {more.mean():+.3f} +- {more.std(ddof=1) / len(more) ** 0.5:.3f}"
            print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
