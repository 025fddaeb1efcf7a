"""Make the weights of the `tone` scorer, from nothing: fetch photos, spoil them, learn to mend them, write the file.

    python training/train.py FOLDER [--seed 0] [-o nuli/scoring/tone.safetensors]

The photos go to FOLDER (see fetch.py) and stay there. What is printed at the end tells how good the networks are on
photos that they never saw: each network leaves out some photos, and those are its examination. `bench/recover.py` tells
how good they are on others. About ten minutes on two cores.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import fetch
import torch
from learn import distances, train
from pool import Pool, join, make
from safetensors.torch import save
from torch import Tensor

from nuli.imaging.color import to_lab
from nuli.scoring.tone import Tone

ROOT = Path(__file__).resolve().parents[1]
NETWORKS = 8
SAMPLES = 50
"""Of each photo."""


def scale_of(pool: Pool) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the features."""
    return pool.features.mean(0), pool.features.std(0) + 1e-4


def standardised(pool: Pool) -> Tensor:
    mean, deviation = scale_of(pool)
    return ((pool.features - mean) / deviation).clamp(-5, 5)


def make_pool(files: Sequence[Path], seed: int, workers: int) -> Pool:
    jobs = [(number, file, SAMPLES, seed) for number, file in enumerate(files)]
    with multiprocessing.get_context("spawn").Pool(workers) as processes:
        return join(processes.map(make, jobs, 4))


def train_one(number: int, file: Path, seed: int) -> list[Tensor]:
    """Weights and biases of one network; every NETWORKS-th photo is left out."""
    torch.set_num_threads(1)
    pool = read(file)
    pool.features.copy_(standardised(pool))
    net = train(pool.take((pool.photo % NETWORKS != number).nonzero().flatten()), NETWORKS * seed + number)
    return [value.detach() for value in net.parameters()]


def examine(pool: Pool, weights: dict[str, Tensor]) -> str:
    """A table of harm against gain on photos that the networks left out, for several amounts of shrinkage."""
    values = torch.cat([_alone(weights, k).predict(pool.features[pool.photo % NETWORKS == k]) for k in range(NETWORKS)])
    pool = join([pool.take((pool.photo % NETWORKS == k).nonzero().flatten()) for k in range(NETWORKS)])
    good = to_lab(pool.good)
    before = distances(pool, torch.zeros_like(values), good)
    touched = ~pool.untouched
    lines = [f"{'shrink':>8} {'harm':>8} {'gain':>8}   of {before[touched].mean():.2f}; {len(pool)} samples"]
    for shrinkage in (0.4, 0.55, 0.7, 0.85, 1.0):
        after = distances(pool, shrinkage * values, good)
        gain = (before - after)[touched].mean()
        lines.append(f"{shrinkage:8} {after[pool.untouched].mean():8.2f} {gain:8.2f}")
    return "\n".join(lines)


def _alone(weights: dict[str, Tensor], number: int) -> Tone:
    """One of the networks by itself."""
    return Tone({k: v if v.ndim == 1 else v[number : number + 1] for k, v in weights.items()})


def write(file: Path, pool: Pool) -> None:
    torch.save({name: getattr(pool, name) for name in Pool.__dataclass_fields__}, file)


def read(file: Path) -> Pool:
    return Pool(**torch.load(file, weights_only=True))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "nuli/scoring/tone.safetensors")
    parser.add_argument("--workers", type=int, default=2, help="processes (2)")
    asked = parser.parse_args()
    start = time.time()
    fetch.fetch_all(asked.folder)
    files = fetch.photos(asked.folder)
    pool = make_pool(files, asked.seed, asked.workers)
    print(f"{len(files)} photos, {len(pool)} samples, {time.time() - start:.0f} s", flush=True)
    file = asked.folder / f"pool-{asked.seed}.pt"
    write(file, pool)
    with multiprocessing.get_context("spawn").Pool(asked.workers) as processes:
        networks = processes.map(partial(train_one, file=file, seed=asked.seed), range(NETWORKS), 1)
    mean, deviation = scale_of(pool)
    weights = {"mean": mean, "deviation": deviation}
    for i in range(3):
        weights |= {f"weight{i}": torch.stack([n[2 * i] for n in networks])}
        weights |= {f"bias{i}": torch.stack([n[2 * i + 1] for n in networks])}
    data = save({name: value.half().contiguous() for name, value in weights.items()})
    asked.output.write_bytes(data)
    with torch.no_grad():
        print(examine(pool, weights))
    print(f"{asked.output}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}, {time.time() - start:.0f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
