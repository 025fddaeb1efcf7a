"""Make the weights of the `taste` scorer, from nothing: fetch pictures, learn to tell them from what ops make of them,
then search for what fools the networks, and learn that too, round after round.

    python training/train_taste.py FOLDER [--seed 0] [-o nuli/scoring/taste.safetensors]

The pictures go to FOLDER (see fetch.py) and stay there. What is printed after every round tells how well the networks
see through fresh searches on pictures that they never saw. About half an hour on two cores.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import lru_cache, partial
from pathlib import Path

import critic
import fetch
import torch
from critic import FOUND, REAL, SPOILT, WILD, Samples
from faults import COMMON, OTHERS, chain
from grades import crop, grades
from safetensors.torch import load_file, save_file
from ship import parse_arguments, ship
from torch import Tensor

from nuli.imaging.frames import subsample
from nuli.imaging.photo import load_photo
from nuli.options import Options
from nuli.scoring import taste
from nuli.scoring.backbone import Backbone
from nuli.scoring.taste import WEIGHTS, Taste
from nuli.scoring.vivid import measures
from nuli.search.loop import Search

ENOUGH, COST = 1.5, 6.0
"""Searches for adversaries ask for less realism than the scorer does, so that what they find is plainly not real.
Networks that learned from what the scorer itself lets pass took good pictures for bad ones."""
CROPS = 4
"""Of each picture."""
ROUNDS = 5
SEARCHES = 140
"""Pictures searched on in each round."""
EVALUATIONS = (60, 60, 80, 100, 150)
"""Of each search, by round."""
LONG = 8
"""Searches of each round that are LONGER times as long."""
LONGER = 6
FRESH = 24
"""Pictures searched on to examine the networks."""
TAKEN = 8
"""Pictures taken of each search: its best for so many sequences of ops, and for so many looks."""
EXAMINATION = 8
"""Every so many-th picture is never learned from."""

Job = tuple[int, Path, int]
"""A picture's number, its file, and a seed."""


@torch.no_grad()
def base(job: Job) -> tuple[Samples, Tensor, Tensor]:
    """What is learned from a picture without searches; and features and measures for `critic.learn_usual`."""
    number, file, seed = job
    torch.set_num_threads(1)
    rng = random.Random(f"{seed} {file.name}")
    backbone = Backbone.load(torch.device("cpu"))
    found, kinds, seen, usual = [], [], [], []
    for _ in range(CROPS):
        pixels = crop(file, rng)
        frames, reals = grades(pixels, rng)
        features = backbone.features(subsample(frames))
        spoilt = backbone.features(spoil_badly(subsample(frames[:1]), rng))
        found += [features, spoilt]
        kinds += [REAL if real else WILD for real in reals] + [SPOILT] * len(spoilt)
        seen += [features[:2], spoilt]
        usual.append(measures(subsample(frames[:1])).expand(4, -1))
    features = torch.cat(found)
    samples = Samples(features, torch.tensor(kinds), torch.full((len(features),), number))
    return samples, torch.cat(seen), torch.cat(usual)


def spoil_badly(x: Tensor, rng: random.Random) -> Tensor:
    """A picture [1,3,h,w] with strong faults of the common kind, and with others, [2,3,h,w]."""
    g, size = torch.Generator().manual_seed(rng.getrandbits(32)), torch.full((1, 1, 1, 1), 2.0)
    return torch.cat([chain(x, COMMON, size, 2, 4, g), chain(x, OTHERS, size, 1, 3, g)])


@lru_cache(1)
def _scorer(file: Path) -> Taste:
    return Taste(load_file(file), ENOUGH, COST)


def search(job: tuple[int, Path, int, int, int], weights: Path) -> Samples:
    """What a search finds that maximises the score: (a picture's number, its file, round, evaluations, a seed)."""
    number, file, turn, evaluations, seed = job
    torch.set_num_threads(1)
    rng = random.Random(f"{seed} {turn} {file.name}")
    options = Options(mode="hard", evaluations=evaluations, seed=rng.getrandbits(31), device="cpu")
    scorer = _scorer(weights)
    running = Search(load_photo(crop(file, rng)), options, scorer, lambda: False)
    for _ in running.events():
        pass
    recipes = [node.recipe for node in running.tree.best_of_each_chain(TAKEN)]
    recipes += [recipe for recipe, _ in running.archive.best()[:TAKEN]]
    recipes = [r for r in dict.fromkeys(recipes) if len(r)]
    with torch.no_grad():
        frames = [subsample(running.evaluator.frames([recipe])) for recipe in recipes]
        features = torch.cat([Backbone.load(torch.device("cpu")).features(x) for x in frames])
    count = len(features)
    return Samples(features, torch.full((count,), FOUND), torch.full((count,), number))


def searches(numbers: Sequence[int], files: Sequence[Path], turn: int, seed: int, long: int) -> list:
    """The jobs for searches on these pictures, the first `long` of them longer ones; the slowest first."""
    usual = EVALUATIONS[min(turn, ROUNDS) - 1]
    return [(n, files[n], turn, usual * (LONGER if i < long else 1), seed) for i, n in enumerate(numbers)]


def figures(samples: Samples, weights: dict[str, Tensor]) -> Tensor:
    """The critic's figures [N]."""
    return Taste(weights).realism(critic.standardised(samples.features, weights))


def examine(left_out: Samples, caught: Samples, fresh: Samples, weights: dict[str, Tensor]) -> str:
    """How well the networks tell pictures that they never saw: `caught` were found by searches that maximised the
    networks of the round before, `fresh` by searches that maximise these."""
    real, wild, spoilt, found = (figures(s, weights) for s in (*map(left_out.of, (REAL, WILD, SPOILT)), fresh))
    low, middle, high = found.quantile(found.new_tensor([0.25, 0.5, 0.75])).tolist()
    words = f"AUC {critic.area(real, wild):.3f} against wild chains, {critic.area(real, spoilt):.3f} against faults, "
    if len(caught):
        words += f"{critic.area(real, figures(caught, weights)):.3f} against the round before's searches, "
    return words + (
        f"{critic.area(real, found):.3f} against fresh ones, whose figures are {low:.2f} / {middle:.2f} / {high:.2f}"
    )


def main() -> int:
    asked = parse_arguments(__doc__.splitlines()[0], WEIGHTS)
    start = time.time()

    def tell(*words: object) -> None:
        print(f"{time.time() - start:5.0f} s:", *words, flush=True)

    fetch.fetch_all(asked.folder)
    files = fetch.photos(asked.folder) + fetch.pictures(asked.folder)
    rng = random.Random(asked.seed)
    with (
        multiprocessing.get_context("spawn").Pool(asked.workers) as processes,
        tempfile.TemporaryDirectory() as folder,
    ):
        made = processes.map(base, [(n, file, asked.seed) for n, file in enumerate(files)], 8)
        every = critic.join([part for part, _, _ in made])
        tell(f"{len(files)} pictures, {len(every)} samples")
        known = [n for n in range(len(files)) if n % EXAMINATION]
        unknown = [n for n in range(len(files)) if not n % EXAMINATION]
        learned, left_out = (every.take((every.picture % EXAMINATION != 0) == which) for which in (True, False))
        scale = critic.scale_of(learned)
        seen, usual = (torch.cat([made[n][i] for n in known]) for i in (1, 2))
        scale |= critic.learn_usual(critic.standardised(seen, scale), usual)
        caught = left_out.of(FOUND)
        for turn in range(1, ROUNDS + 2):
            weights = scale | critic.train(learned, scale, asked.seed)
            weights = critic.calibrated(weights, figures(left_out.of(REAL), weights))
            file = Path(folder, f"{turn}.safetensors")
            save_file({name: value.contiguous() for name, value in weights.items()}, file)
            jobs = searches(rng.sample(unknown, min(FRESH, len(unknown))), files, turn, asked.seed, 4)
            if turn <= ROUNDS:
                jobs += searches(rng.sample(known, min(SEARCHES, len(known))), files, turn, asked.seed, LONG)
            found = critic.join(processes.map(partial(search, weights=file), sorted(jobs, key=lambda j: -j[3]), 1))
            is_fresh = found.picture % EXAMINATION == 0
            fresh = found.take(is_fresh)
            tell(f"after {turn - 1} rounds:", examine(left_out, caught, fresh, weights))
            caught = fresh
            learned = critic.join([learned, found.take(~is_fresh)])
    ship(weights, asked.output, taste)
    tell("done")
    return 0


if __name__ == "__main__":
    sys.exit(main())
