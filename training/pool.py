"""The training pool: crops of pictures, spoilt, as the statistics and thumbnails that the networks learn from."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from faults import spoil, tinge
from PIL import Image
from torch import Tensor

from nuli.ops.light import level_ends
from nuli.ops.white_balance import white_gains
from nuli.scoring.backbone import Backbone
from nuli.scoring.tone import SIZE, statistics

LONG = SIZE * 4 // 3
THUMB = (24, 32)
LARGEST = 900
"""Pixels of a photo's long side; more would only cost time."""


@dataclass(frozen=True)
class Pool:
    """N samples. Portraits lie on their side in the thumbnails: nothing that is done to those looks at places."""

    features: Tensor
    """[N,F] of the spoilt crops."""
    sights: Tensor
    """[N,B]: what the backbone sees in them."""
    gains: Tensor
    """[N,3,3]: what white_balance measures in them."""
    ends: Tensor
    """[N,4,2]: what auto_level measures in them."""
    spoilt: Tensor
    """[N,3,h,w], small."""
    good: Tensor
    """[N,3,h,w]: how they were."""
    untouched: Tensor
    """[N], whether nothing was done to them."""
    picture: Tensor
    """[N], the number of the picture that they come from."""
    is_photo: Tensor
    """[N], whether that is a photo."""

    def __len__(self) -> int:
        return len(self.features)

    def take(self, index: Tensor) -> Pool:
        return Pool(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def join(pools: Sequence[Pool]) -> Pool:
    return Pool(*(torch.cat([getattr(p, name) for p in pools]) for name in Pool.__dataclass_fields__))


def crops(file: Path, count: int, rng: random.Random) -> Tensor:
    """Crops of a photo, [N,3,H,W] with its own orientation, some of them mirrored."""
    image = Image.open(file).convert("RGB")
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    width, height = image.size
    size = (LONG, SIZE) if width >= height else (SIZE, LONG)
    made = []
    for _ in range(count):
        part, aspect = rng.uniform(0.3, 1), size[0] / size[1] * rng.uniform(0.85, 1.2)
        w, h = min(width, height * aspect) * part, min(height, width / aspect) * part
        left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
        crop = image.resize(size, Image.Resampling.BICUBIC, (left, top, left + w, top + h))
        pixels = np.asarray(crop, np.float32) / 255
        made.append(torch.from_numpy(pixels[:, ::-1].copy() if rng.random() < 0.5 else pixels).permute(2, 0, 1))
    return torch.stack(made)


def thumbnail(x: Tensor) -> Tensor:
    x = x.transpose(2, 3) if x.shape[2] > x.shape[3] else x
    return F.interpolate(x, THUMB, mode="area")


def make(job: tuple[int, Path, bool, int, int]) -> Pool:
    """The samples of one picture: (its number, file, whether it is a photo, how many, seed)."""
    number, file, is_photo, count, seed = job
    torch.set_num_threads(1)
    good = crops(file, count, random.Random(f"{seed} {file.name}"))
    g = torch.Generator().manual_seed(random.Random(f"{seed} {file.name}").getrandbits(32))
    good = tinge(good, g)
    spoilt, untouched = spoil(good, g)
    backbone = Backbone.load(torch.device("cpu"))
    parts = []
    with torch.no_grad():
        for few in spoilt.split(2):  # that stay in a processor's cache
            gains = white_gains(few)
            parts.append((statistics(few, gains), backbone.features(few), gains))
        return Pool(
            *map(torch.cat, zip(*parts, strict=True)),
            level_ends(spoilt),
            thumbnail(spoilt),
            thumbnail(good),
            untouched,
            torch.full((count,), number),
            torch.full((count,), is_photo),
        )
