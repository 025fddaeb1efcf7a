"""Degrade and recover: does an enhancer bring a damaged photo back, and does it leave a good one alone?

    python bench/recover.py FOLDER [--count 50] [--enhancers nuli,identity,my_module:my_function] [--sheet OUT.png]
    python bench/recover.py FOLDER --tracks unfinished

Every photo g is scaled down and damaged by a known chain of steps to d; the enhancer makes e from d, unaware
of g. What is printed for each enhancer, in CIEDE2000 (smaller is nearer; about 1 is the least that shows):

    harm    how far it takes the good photo itself: mean dE(g, enhancer(g))
    gain    how much nearer to g it brings a damaged one: mean dE(d, g) - dE(e, g), and its standard error
    better  share of the photos that came nearer, by more than 0.01
    worse   share of the photos that ended more than 20 % farther from g than d was
    left    share of the photos that it left as they were: dE(d, e) is less than 1

An enhancer of your own is a function from an array [H,W,3] (float32, sRGB 0..1) to the same, in a module that
lies in the current folder or is installed. The same seed damages a photo in the same way in every run.
"""

from __future__ import annotations

import argparse
import importlib
import math
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ciede2000 import mean_difference, to_linear, to_srgb
from degrade import LUMINANCE, TRACKS, degrade
from PIL import Image, ImageDraw

from nuli.errors import NuliError
from nuli.imaging.photo import load_photo
from nuli.sources import list_images

BETTER = 0.01
"""CIEDE2000; less is rounding."""
MUCH_WORSE = 1.2
LEFT = 1.0
"""CIEDE2000."""
CUTOFF = 0.5
"""Percent of the pixels that autocontrast lets clip at each end."""

Enhancer = Callable[[np.ndarray], np.ndarray]


def identity(x: np.ndarray) -> np.ndarray:
    return x


def autocontrast(x: np.ndarray, amount: float = 1.0) -> np.ndarray:
    """Stretch each channel to the full range; `amount` of the way."""
    low, high = np.percentile(x, [CUTOFF, 100 - CUTOFF], (0, 1))
    flat = high <= low
    stretched = np.clip((x - low) / np.where(flat, 1, high - low), 0, 1)
    return x + amount * np.where(flat, 0, stretched - x)


def equalize(x: np.ndarray) -> np.ndarray:
    """Spread each channel's 256 levels evenly, linear between them."""
    channels = []
    for channel in np.moveaxis(x, -1, 0):
        counts, edges = np.histogram(channel, 256, (0, 1))
        share = np.concatenate([[0], counts.cumsum()]) / counts.sum()
        channels.append(np.interp(channel, edges, share))
    return np.stack(channels, -1)


def grey_world(x: np.ndarray) -> np.ndarray:
    """Make the mean light grey, as bright as it was."""
    light = to_linear(x)
    means = light.mean((0, 1))
    return to_srgb(light * (means.mean() / np.maximum(means, 1e-6)))


def shades_of_grey(x: np.ndarray, norm: int = 6) -> np.ndarray:
    """Make the Minkowski mean of light grey, the luminance of grey kept (Finlayson and Trezzi 2004)."""
    light = to_linear(x)
    gains = 1 / np.maximum((light**norm).mean((0, 1)) ** (1 / norm), 1e-6)
    return to_srgb(light * (gains / (gains @ LUMINANCE)))


def run_nuli(x: np.ndarray, **options: Any) -> np.ndarray:
    """nuli's own result, unsaved, so not rounded to 8 bits."""
    import nuli

    return as_float(nuli.enhance(x, **options).pixels)


PEERS: dict[str, Enhancer] = {
    "identity": identity,
    "autocontrast": autocontrast,
    "half-autocontrast": partial(autocontrast, amount=0.5),
    "equalize": equalize,
    "grey-world": grey_world,
    "shades-of-grey": shades_of_grey,
}


def find_enhancer(name: str, options: dict[str, Any], peers: Mapping[str, Enhancer] = PEERS) -> Enhancer:
    """One of the peers, nuli with these options, or "module:function". Raises ValueError."""
    if name in peers:
        return peers[name]
    if name == "nuli":
        return partial(run_nuli, **options)
    module, colon, function = name.partition(":")
    if not colon:
        raise ValueError(f"no enhancer {name!r}: choose from nuli, {', '.join(peers)}, or give module:function")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"enhancer {name!r}: {error}") from error


def as_float(pixels: np.ndarray) -> np.ndarray:
    """[H,W,1 or 3] in uint8, uint16 or floating point -> [H,W,3], float32 0..1."""
    top = np.iinfo(pixels.dtype).max if pixels.dtype.kind == "u" else 1
    return np.broadcast_to(pixels.astype(np.float32) / np.float32(top), (*pixels.shape[:2], 3))


def to_bytes(x: np.ndarray) -> np.ndarray:
    """Values of 0..1 in 8 bits."""
    return np.uint8(x * 255 + 0.5)


def load(file: Path, short: int) -> np.ndarray:
    """The photo with that short side (or its own, if less), float32 0..1. Raises ImageError."""
    x = as_float(load_photo(file).pixels)
    height, width = x.shape[:2]
    factor = min(1.0, short / min(height, width))
    if factor == 1:
        return x
    size = round(width * factor), round(height * factor)
    channels = [Image.fromarray(np.ascontiguousarray(c)) for c in np.moveaxis(x, -1, 0)]
    return np.stack([c.resize(size, Image.Resampling.LANCZOS) for c in channels], -1).clip(0, 1)


def enhance(enhancer: Enhancer, x: np.ndarray) -> np.ndarray:
    """The enhancer's picture, clipped. Raises ValueError where it isn't one of the same shape."""
    y = np.asarray(enhancer(x.copy()))
    if y.shape != x.shape or y.dtype.kind != "f" or not np.isfinite(y).all():
        raise ValueError(f"gave {y.dtype} {y.shape}, or no numbers, for float32 {x.shape}")
    return y.clip(0, 1)


@dataclass
class Findings:
    """All distances measured."""

    before: dict[str, list[float]]
    """For each track, dE(d, g) of every photo."""
    after: dict[tuple[str, str], list[float]]
    """For each enhancer and track, dE(e, g) of every photo."""
    moved: dict[tuple[str, str], list[float]]
    """For each enhancer and track, dE(d, e) of every photo."""
    harm: dict[str, list[float]]
    """For each enhancer, dE(g, enhancer(g)) of every photo."""
    rows: list[tuple[str, list[np.ndarray]]] = field(default_factory=list)
    """For the sheet: a title and the pictures g, d, e..."""


def measure(
    photos: Iterable[tuple[str, np.ndarray]],
    enhancers: dict[str, Enhancer],
    tracks: Sequence[str],
    seed: int,
    shown: int = 0,
) -> Findings:
    """Degrade, enhance and compare all photos (name, pixels); keep the pictures of so many for the sheet."""
    after, moved = ({(key, track): [] for key in enhancers for track in tracks} for _ in range(2))
    found = Findings({track: [] for track in tracks}, after, moved, {key: [] for key in enhancers})
    for number, (name, good) in enumerate(photos):
        for key, enhancer in enhancers.items():
            found.harm[key].append(mean_difference(good, enhance(enhancer, good)))
        for track in tracks:
            rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
            try:
                bad = degrade(good, track, rng)
            except ValueError as error:
                say(f"{name}: {error}; left out\n")
                continue
            results = {key: enhance(enhancer, bad) for key, enhancer in enhancers.items()}
            found.before[track].append(mean_difference(bad, good))
            for key, result in results.items():
                found.after[key, track].append(mean_difference(result, good))
                found.moved[key, track].append(mean_difference(result, bad))
            if number < shown and track == tracks[number % len(tracks)]:
                found.rows.append((f"{name}, {track}", [good, bad, *results.values()]))
    return found


def table(found: Findings) -> str:
    """A line an enhancer, the columns of a track side by side."""
    names = list(found.harm)
    tracks = [t for t in found.before if found.before[t]]
    width = max(map(len, names))
    n = len(next(iter(found.harm.values())))
    heads = [f"{t}: dE {np.mean(found.before[t]):.2f}, n {len(found.before[t])}" for t in tracks]
    lines = [
        f"{f'n {n}':{width}}         " + "".join(f" | {head:36}" for head in heads),
        f"{'enhancer':{width}}    harm "
        + f" | {'gain':>6} {'s.e.':>7} {'better':>7} {'worse':>7} {'left':>5}" * len(tracks),
    ]
    for name in names:
        line = f"{name:{width}}  {np.mean(found.harm[name]):6.2f} "
        for track in tracks:
            before, after = np.array(found.before[track]), np.array(found.after[name, track])
            gain = before - after
            error = gain.std(ddof=1) / math.sqrt(len(gain)) if len(gain) > 1 else math.nan
            better, worse = (gain > BETTER).mean(), (after > MUCH_WORSE * before).mean()
            left = (np.array(found.moved[name, track]) < LEFT).mean()
            line += f" | {gain.mean():+6.2f} ± {error:5.2f} {better:6.0%} {worse:6.0%} {left:5.0%} "
        lines.append(line)
    return "\n".join(line.rstrip() for line in lines)


def sheet(found: Findings, heads: Sequence[str]) -> Image.Image:
    """The pictures of a few photos, a row each: g, d, and what every enhancer made of d."""
    gap, bar = 4, 14
    width = max(row[0].shape[1] for _, row in found.rows) + gap
    heights = [row[0].shape[0] + gap + bar for _, row in found.rows]
    image = Image.new("RGB", (width * len(heads), bar + sum(heights)), "white")
    pen = ImageDraw.Draw(image)
    for column, head in enumerate(heads):
        pen.text((column * width + 2, 1), head, "black")
    for number, (title, row) in enumerate(found.rows):
        top = bar + sum(heights[:number])
        pen.text((2, top + 1), title, "black")
        for column, picture in enumerate(row):
            image.paste(Image.fromarray(to_bytes(picture)), (column * width, top + bar))
    return image


def say(text: str) -> None:
    print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def read(files: Sequence[Path], short: int) -> Iterable[tuple[str, np.ndarray]]:
    """Name and pixels of every photo that can be read, with a word on how far this is."""
    for number, file in enumerate(files, 1):
        say(f"{number} of {len(files)}: {file.name}")
        try:
            photo = load(file, short)
        except NuliError as error:
            say(f"{error}; left out\n")
            continue
        yield file.name, photo
    say("")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, help="so many photos, in the order of their names (all)")
    parser.add_argument("--size", type=int, default=160, help="short side in pixels (160)")
    parser.add_argument("--enhancers", default=",".join(["nuli", *PEERS]), help="(%(default)s) or module:function")
    parser.add_argument("--tracks", default=",".join(TRACKS), help="(%(default)s), or none: harm alone")
    parser.add_argument("--sheet", type=Path, help="write a picture of a few photos and results")
    parser.add_argument("--rows", type=int, default=6, help="so many on that (6)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scorer", default="auto", help="for nuli (auto)")
    parser.add_argument("--evaluations", type=int, default=300, help="for nuli (300)")
    parser.add_argument("--strength", type=float, default=1.0, help="for nuli (1)")
    asked = parser.parse_args(arguments)
    tracks = [] if asked.tracks == "none" else asked.tracks.split(",")
    if unknown := set(tracks) - set(TRACKS):
        parser.error(f"no track {', '.join(sorted(unknown))}: choose from {', '.join(TRACKS)}")
    options = {name: getattr(asked, name) for name in ("scorer", "evaluations", "strength")}
    try:
        enhancers = {e: find_enhancer(e, {**options, "device": "cpu"}) for e in asked.enhancers.split(",")}
    except ValueError as error:
        parser.error(str(error))
    try:
        files = list_images(asked.folder)[: asked.count]
        found = measure(read(files, asked.size), enhancers, tracks, asked.seed, asked.rows)
    except NuliError as error:
        parser.error(str(error))
    if not (any(found.before.values()) if tracks else any(found.harm.values())):
        parser.error(f"no photo in {asked.folder} that can be used")
    print(table(found))
    if asked.sheet and found.rows:
        sheet(found, ["g (good)", "d (degraded)", *enhancers]).save(asked.sheet)


if __name__ == "__main__":
    main()
