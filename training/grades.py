"""Pictures as people make them, and as nobody would: crops, and what chains of ops make of them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from nuli.imaging.frames import FRAME, make_frame
from nuli.ops.pipeline import apply_chains, scale_of
from nuli.ops.registry import Op, select_ops
from nuli.ops.step import Step
from nuli.scoring.vivid import Vivid

LARGEST = 1200
"""Pixels of a picture's long side; more would only cost time."""
ASPECTS = (2 / 3, 3 / 4, 1.0, 4 / 3, 3 / 2)
LEAST_MOVED = 0.04
"""Root mean square change from which on a chain counts as one that shows."""
BLACK_AND_WHITE = 0.12
"""The part of the pictures that is also shown in black and white, which people make too."""

SOFT, HARD, ART = select_ops("soft"), select_ops("hard"), select_ops("hard", "art,hue,channel_mix")
Chain = tuple[Step, ...]


def crop(file: Path, rng: random.Random) -> np.ndarray:
    """A part of a picture, [H,W,3] of 8 bits, its short side at least FRAME where the picture has that; or its mirror
    image."""
    image = Image.open(file).convert("RGB")
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
    width, height = image.size
    aspect = rng.choice(ASPECTS)
    w, h = min(width, height * aspect), min(height, width / aspect)
    part = rng.uniform(min(1.0, max(0.5, FRAME / min(w, h))), 1)
    w, h = w * part, h * part
    left, top = rng.uniform(0, width - w), rng.uniform(0, height - h)
    pixels = np.asarray(image.crop((round(left), round(top), round(left + w), round(top + h))))
    return np.ascontiguousarray(pixels[:, ::-1] if rng.random() < 0.5 else pixels)


def random_chain(ops: tuple[Op, ...], mode: str, rng: random.Random, steps: tuple[int, int], part: tuple) -> Chain:
    """Some steps, each value that part of the way from what changes nothing to an end of its range."""
    chain = []
    for _ in range(rng.randint(*steps)):
        op = rng.choice(ops)
        values = []
        for param, ends in zip(op.params, op.ranges(mode), strict=True):
            end = rng.choice([e for e in ends if e != param.identity] or [param.identity])
            share = rng.uniform(0, 1) if param.shapes else rng.uniform(*part)
            values.append(ends[0] + share * (ends[1] - ends[0]) if param.shapes else _lerp(param.identity, end, share))
        chain.append(Step(op.name, tuple(values)))
    return tuple(chain)


def _lerp(start: float, end: float, share: float) -> float:
    return start + share * (end - start)


@torch.no_grad()
def grades(pixels: np.ndarray, rng: random.Random) -> tuple[Tensor, Tensor]:
    """Frames [N,3,h,w] made of a picture, and which of them somebody could have made, [N]."""
    frame = make_frame(pixels)
    gentle = random_chain(SOFT, "soft", rng, (1, 2), (0.1, 0.5))
    real: list[Chain] = [(), gentle]
    if rng.random() < BLACK_AND_WHITE:
        real.append((Step("saturation", (0.0,)), *random_chain(SOFT, "soft", rng, (0, 1), (0.1, 0.6))))
    wild = [random_chain(HARD, "hard", rng, (1, 4), (0.4, 1)) for _ in range(4)]
    # negatives and the like are the farthest from pictures, and among all ops too rare
    wild += [random_chain(ART, "hard", rng, (1, 2), (0.6, 1)) for _ in range(2)]
    chains = [*real, *wild]
    frames = torch.cat(apply_chains([frame] * len(chains), chains, scale_of(frame, min(pixels.shape[:2]))))
    moved = (frames - frame).square().mean((1, 2, 3)).sqrt()
    lively = Vivid().bind(frame)(frames)
    kept = list(range(len(real)))
    for i in range(len(real), len(chains), 2):  # the livelier of two
        i += int(lively[i + 1] > lively[i])
        if moved[i] >= LEAST_MOVED:
            kept.append(i)
    return frames[kept], torch.tensor([i < len(real) for i in kept])
