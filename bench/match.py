"""How much of a known shift of light and colour `match` undoes, with the picture before it as the reference.

Each photo is shifted, made 8-bit, and, on some tracks, spoilt besides as a VAE, an upscaler or img2img would: softened,
with noise, compressed, with detail of its own. Told is the part of the mean CIEDE2000 that is gone afterwards. What a
shift clips is lost for good: --headroom squeezes the photos' range first, so that none does.

    python bench/match.py FOLDER --count 24
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import degrade
import numpy as np
from ciede2000 import mean_difference
from PIL import Image, ImageFilter

import nuli
from nuli.sources import list_images

Shift = Callable[[np.ndarray], np.ndarray]
SHIFTS: dict[str, Shift] = {
    "gains": lambda x: x * np.array([1.06, 1.0, 0.9]),
    "temperature": lambda x: degrade.cast(x, 1, 0.1, -0.1),
    "tint": lambda x: degrade.cast(x, 1, 0.07, 0.07),
    "darker": lambda x: degrade.exposure(x, 1, -0.5),
    "lighter": lambda x: degrade.exposure(x, 1, 0.25),
    "flatter": lambda x: degrade.contrast(x, 1, 0.8),
    "harder": lambda x: degrade.contrast(x, 1, 1.15),
    "gamma": lambda x: x**1.2,
    "paler": lambda x: degrade.saturation(x, 1, 0.75),
    "stronger": lambda x: degrade.saturation(x, 1, 1.2),
    "vae": lambda x: degrade.saturation(degrade.contrast(degrade.cast(x, 1, 0.04, -0.03), 1, 0.92), 1, 0.9),
    "upscaler": lambda x: degrade.saturation(degrade.exposure(x, 1, -0.25), 1, 1.12).clip(0, 1) ** 1.05,
    "img2img": lambda x: degrade.pale(degrade.cast(x, 1, -0.05, 0.06), 1, 0.85, 0.85, 0.04),
    "all": lambda x: degrade.saturation(
        degrade.contrast(degrade.exposure(degrade.cast(x, 1, 0.06, -0.05), 1, -0.3), 1, 0.88).clip(0, 1) ** 1.1, 1, 0.85
    ),
}
"""Shifts that ops can undo, but for what is clipped."""
BEYOND: dict[str, Shift] = {
    "offsets": lambda x: x + np.array([0.02, 0.0, -0.02]),
    "linear-offsets": lambda x: degrade.channel_shift(x, 1, 0.01, 0.0, -0.005),
    "curve": lambda x: degrade.tone_curve(x, 1, 0.2),
    "vignette": lambda x: degrade.vignette(x, 1, 0.2, 0.0, 0.0),
}
"""Shifts that no op of soft mode is the inverse of."""


def jpeg(image: Image.Image, quality: int = 70) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def noisy(image: Image.Image) -> Image.Image:
    x = np.asarray(image, np.float32)
    return Image.fromarray((x + np.random.default_rng(0).normal(0, 6, x.shape)).clip(0, 255).round().astype(np.uint8))


def detailed(image: Image.Image) -> Image.Image:
    """Other detail, as img2img makes it: what is finer than 1.5 % of the short side is turned by half the picture."""
    x = np.asarray(image, np.float32)
    base = np.asarray(image.filter(ImageFilter.GaussianBlur(0.015 * min(image.size))), np.float32)
    return Image.fromarray((base + np.roll(x - base, x.shape[1] // 2, 1)).clip(0, 255).round().astype(np.uint8))


SPOILS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "plain": lambda image: image,
    "jpeg": jpeg,
    "blur": lambda image: image.filter(ImageFilter.GaussianBlur(1.2)),
    "noise": noisy,
    "detail": detailed,
}


def to_image(x: np.ndarray) -> Image.Image:
    return Image.fromarray((x.clip(0, 1) * 255).round().astype(np.uint8))


def gone(good: Image.Image, shift: Shift, spoil: str, **options: object) -> tuple[float, float, float]:
    """The part of a shift that `match` undoes, its size in dE, and the seconds of the search.

    The good picture is the reference. It is compared as spoilt itself: spoiling first and shifting then.
    """
    spoilt = np.asarray(SPOILS[spoil](good), np.float64) / 255
    bad = to_image(shift(spoilt))
    result = nuli.enhance(bad, match=good, device="cpu", **options)
    before = mean_difference(np.asarray(bad) / 255, spoilt)
    return 1 - mean_difference(result.pixels / 255, spoilt) / before, before, result.seconds


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="good photos")
    parser.add_argument("--count", type=int, default=24, help="photos, the first ones (%(default)s)")
    parser.add_argument("--evaluations", type=int, help="a budget (without: nuli's own time)")
    parser.add_argument("--shifts", help=f"some of {', '.join((*SHIFTS, *BEYOND))} (all)")
    parser.add_argument("--spoils", default="plain", help=f"some of {', '.join(SPOILS)} (%(default)s)")
    parser.add_argument("--headroom", action="store_true", help="squeeze the photos so that no shift clips")
    asked = parser.parse_args(arguments)
    shifts, spoils = {**SHIFTS, **BEYOND}, asked.spoils.split(",")
    names = asked.shifts.split(",") if asked.shifts else list(shifts)
    for kind, chosen, known in (("shift", names, shifts), ("spoil", spoils, SPOILS)):
        if unknown := set(chosen) - set(known):
            parser.error(f"no {kind} {', '.join(sorted(unknown))}: choose from {', '.join(known)}")
    goods = [Image.open(file).convert("RGB") for file in list_images(asked.folder)[: asked.count]]
    if asked.headroom:
        goods = [image.point([round(28 + 0.72 * level) for level in range(256)] * 3) for image in goods]
    options = {"evaluations": asked.evaluations} if asked.evaluations else {}
    print(f"{len(goods)} photos, {asked.evaluations or 'no given'} evaluations: part of the shift that is undone")
    print(f"{'shift':16}{'':8} {'dE':>6} {'mean':>6} {'least':>6} {'seconds':>7}")
    for spoil in spoils:
        total = []
        for name in names:
            parts, sizes, seconds = zip(*(gone(g, shifts[name], spoil, **options) for g in goods), strict=True)
            total += parts if name in SHIFTS else ()
            figures = f"{np.mean(sizes):6.2f} {np.mean(parts):6.1%} {np.min(parts):6.1%} {np.mean(seconds):7.2f}"
            print(f"{name:16}{spoil:8} {figures}", flush=True)
        if total:
            print(f"{'all of these':16}{spoil:8} {'':6} {np.mean(total):6.1%}", flush=True)


if __name__ == "__main__":
    main()
