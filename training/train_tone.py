"""Make the weights of the `tone` scorer, from nothing: fetch pictures, spoil them, learn to mend them, write the file.

    python training/train_tone.py FOLDER [--seed 0] [-o nuli/scoring/tone.safetensors]

The pictures go to FOLDER (see fetch.py) and stay there. What is printed at the end tells how good the networks
are on photos that they never saw: each network leaves out some, and those are its examination. `bench/recover.py` tells
how good they are on others. About ten minutes on two cores.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import fetch
import torch
from learn import SCHOOLS, distances, train
from pool import Pool, join, make
from ship import parse_arguments, ship
from torch import Tensor

from nuli.imaging.color import to_lab
from nuli.scoring import tone
from nuli.scoring.tone import WEIGHTS, Tone, network_inputs, shrink, spare_slight_changes

FOLDS = 6
"""Every FOLDS-th picture is left out by a network, by the next one the next."""
NETWORKS = FOLDS * len(SCHOOLS)
SAMPLES = 50
"""Of each picture."""
COMPONENTS = max(school.components for school in SCHOOLS)


def scales(pool: Pool) -> dict[str, Tensor]:
    """What standardises and projects the networks' input, at the precision of the file."""
    mean, deviation = pool.sights.mean(0), pool.sights.std(0) + 1e-4
    seen = ((pool.sights - mean) / deviation).clamp(-5, 5).double()
    variances, directions = torch.linalg.eigh(seen.T @ seen / len(seen))
    # the last are the largest; their signs are made the same everywhere
    directions = directions[:, -COMPONENTS:].flip(1)
    directions = directions * directions.sum(0).sign()
    made = {
        "mean": pool.features.mean(0),
        "deviation": pool.features.std(0) + 1e-4,
        "sight_mean": mean,
        "sight_deviation": deviation,
        "projection": (directions / variances[-COMPONENTS:].flip(0).sqrt()).float(),
    }
    return {name: value.half().float() for name, value in made.items()}


def make_pool(photos: Sequence[Path], others: Sequence[Path], seed: int, workers: int) -> Pool:
    files = [*((file, True) for file in photos), *((file, False) for file in others)]
    jobs = [(number, file, is_photo, SAMPLES, seed) for number, (file, is_photo) in enumerate(files)]
    with multiprocessing.get_context("spawn").Pool(workers) as processes:
        return join(processes.map(make, jobs, 4))


def train_one(number: int, file: Path, seed: int) -> list[Tensor]:
    """Weights and biases of one network."""
    torch.set_num_threads(1)
    pool, school = read(file), SCHOOLS[number // FOLDS]
    inputs = network_inputs(scales(pool), pool.features, pool.sights)
    kept = pool.picture % FOLDS != number % FOLDS
    if school.photos_only:
        kept &= pool.is_photo
    index = kept.nonzero().flatten()
    return train(pool.take(index), inputs[index], school, NETWORKS * seed + number)


def examine(pool: Pool, weights: dict[str, Tensor]) -> str:
    """A table of harm against gain on photos that the networks left out, for several amounts of shrinkage."""
    parts = [pool.take((pool.is_photo & (pool.picture % FOLDS == k)).nonzero().flatten()) for k in range(FOLDS)]
    values = torch.cat([_fold(weights, k).predict(part.features, part.sights) for k, part in enumerate(parts)])
    pool = join(parts)
    values = spare_slight_changes(values, pool.spoilt, pool.gains, pool.ends)
    good = to_lab(pool.good)
    before = distances(pool, shrink(values, 0.0), good)
    touched = ~pool.untouched
    lines = [f"{'shrink':>8} {'harm':>8} {'gain':>8}   of {before[touched].mean():.2f}; {len(pool)} samples"]
    for shrinkage in (0.4, 0.6, 0.8, 1.0):
        after = distances(pool, shrink(values, shrinkage), good)
        gain = (before - after)[touched].mean()
        lines.append(f"{shrinkage:8} {after[pool.untouched].mean():8.2f} {gain:8.2f}")
    return "\n".join(lines)


def _fold(weights: dict[str, Tensor], fold: int) -> Tone:
    """The networks that left a fold out, by themselves."""
    return Tone({k: v[fold::FOLDS] if k.startswith(("weight", "bias")) else v for k, v in weights.items()})


def write(file: Path, pool: Pool) -> None:
    torch.save({name: getattr(pool, name) for name in Pool.__dataclass_fields__}, file)


def read(file: Path) -> Pool:
    return Pool(**torch.load(file, weights_only=True))


def main() -> int:
    asked = parse_arguments(__doc__.splitlines()[0], WEIGHTS)
    start = time.time()
    fetch.fetch_all(asked.folder)
    photos, others = fetch.photos(asked.folder), fetch.pictures(asked.folder)
    pool = make_pool(photos, others, asked.seed, asked.workers)
    print(
        f"{len(photos)} photos, {len(others)} other pictures, {len(pool)} samples, {time.time() - start:.0f} s",
        flush=True,
    )
    file = asked.folder / f"pool-{asked.seed}.pt"
    write(file, pool)
    with multiprocessing.get_context("spawn").Pool(asked.workers) as processes:
        networks = processes.map(partial(train_one, file=file, seed=asked.seed), range(NETWORKS), 1)
    weights = scales(pool)
    for i in range(3):
        weights |= {f"weight{i}": torch.stack([n[2 * i] for n in networks])}
        weights |= {f"bias{i}": torch.stack([n[2 * i + 1] for n in networks])}
    with torch.no_grad():
        print(examine(pool, weights))
    ship(weights, asked.output, tone)
    print(f"{time.time() - start:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
