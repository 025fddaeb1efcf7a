"""The direction in which a candidate changes a picture, in words that a person would choose: warm, faded, low key...

It is read from statistics in CIELAB, of the candidate and of the original, and has nothing to do with the steps that
made it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..imaging.color import to_lab
from ..imaging.frames import subsample
from ..recipe import Recipe

GREY_CHROMA, GREY_RATIO = 4.0, 0.35
"""Black and white: the mean chroma is at most so much, and at most this part of what it was."""
CAST, WARM_ANGLE = 5.0, math.radians(70)
"""Warm, cool: the mean color moves by so much along this hue or away from it, more than what stronger or weaker colors
explain; within 45 degrees of it."""
KEY, HIGH_KEY, LOW_KEY = 9.0, 55.0, 45.0
"""High key, low key: the mean lightness moves by so much, to above or below these."""
BLACK, FLAT = 6.0, 0.15
"""Faded: the darkest 2 percent become lighter by so much, the contrast (standard deviation of lightness) less by at
least this part, colors no stronger, and the mean lightness moves by less than KEY."""
SATURATED = 1.4
"""Saturated: colors are so many times as far from the mean color as they were."""
NEGATIVE = 0.3
"""Where the lightness correlates less with what it was, the picture has no direction: it is another one."""
COLORLESS = 2.0
"""Mean chroma of an original whose colors, or lack of them, say nothing."""

STARTS: dict[str, tuple[str, ...]] = {
    "black and white": ("saturation=0 contrast=1.3", "saturation=0 auto_level=0.8/0 shadows=-0.3"),
    "warm": ("temperature=0.18 contrast=1.15", "temperature=0.3 saturation=1.3"),
    "cool": ("temperature=-0.18 contrast=1.15", "temperature=-0.3 saturation=1.3"),
    "high key": ("gamma=0.5/1 saturation=1.2", "exposure=0.7 highlights=-0.4 vibrance=0.5"),
    "low key": ("gamma=1.9/1 contrast=1.1", "exposure=-0.8 contrast=1.3 vibrance=0.5"),
    "faded": ("contrast=0.7 sharpness=1.8", "contrast=0.75 gamma=0.85/1 temperature=0.06"),
    "saturated": ("saturation=1.7", "vibrance=1 contrast=1.2 saturation=1.2"),
}
"""Of each direction, chains to start from."""
DIRECTIONS = tuple(STARTS)


def starts_of(direction: str) -> list[Recipe]:
    """Chains to start from, of one direction."""
    return [Recipe.from_line(f"nuli1 {line}") for line in STARTS[direction]]


def starts(each: int) -> list[Recipe]:
    """Chains to start from, `each` of every direction at most, the first ones first."""
    chains = [starts_of(name)[:each] for name in DIRECTIONS]
    return [chain[i] for i in range(each) for chain in chains if i < len(chain)]


@dataclass(frozen=True, eq=False)
class _Tones:
    """Statistics of pictures, each [N]."""

    lightness: Tensor
    contrast: Tensor
    black: Tensor
    """The 2nd percentile of lightness."""
    a: Tensor
    b: Tensor
    chroma: Tensor
    colors: Tensor
    """How far colors are from the mean color: a cast leaves that as it is."""


def _tones(lab: Tensor) -> _Tones:
    light = lab[:, 0].flatten(1)
    a, b = lab[:, 1:].mean((2, 3)).unbind(1)
    chroma = lab[:, 1:].norm(dim=1).mean((1, 2))
    colors = (lab[:, 1:] - lab[:, 1:].mean((2, 3), keepdim=True)).norm(dim=1).mean((1, 2))
    return _Tones(light.mean(1), light.std(1, correction=0), torch.quantile(light, 0.02, dim=1), a, b, chroma, colors)


@torch.no_grad()
def directions(thumbnails: Tensor, original: Tensor) -> list[str]:
    """The direction of each candidate; "" where none is clear.

    Every direction has a strength, 1 at its threshold; the strongest of at least 1 counts. Only black and white goes
    before all others. A cast towards other hues than warm and cool has no name, and can be the strongest too.

    Args:
        thumbnails: of the candidates [N,3,h,w], RGB 0..1.
        original: of the untouched picture [1,3,h,w].
    """
    # every second pixel says as much
    lab, reference = to_lab(subsample(thumbnails)), to_lab(subsample(original))
    now, was = _tones(lab), _tones(reference)
    colorful = was.chroma >= COLORLESS
    ratio = now.colors / was.colors.clamp(min=COLORLESS)
    contrast = now.contrast / was.contrast.clamp(min=1e-3)
    lighter = now.lightness - was.lightness
    # what stronger colors explain is no cast
    explained = ratio.clamp(max=2)
    da, db = now.a - explained * was.a, now.b - explained * was.b
    along = da * math.cos(WARM_ANGLE) + db * math.sin(WARM_ANGLE)
    across = (db * math.cos(WARM_ANGLE) - da * math.sin(WARM_ANGLE)).abs()
    zero = torch.zeros_like(along)
    named = along.abs() >= across
    faded = torch.minimum((now.black - was.black) / BLACK, (1 - contrast) / FLAT)
    strengths = {
        "": torch.where(named, zero, across / CAST),
        "warm": torch.where(named, along / CAST, zero),
        "cool": torch.where(named, -along / CAST, zero),
        "high key": torch.where(now.lightness >= HIGH_KEY, lighter / KEY, zero),
        "low key": torch.where(now.lightness <= LOW_KEY, -lighter / KEY, zero),
        "faded": torch.where((ratio <= 1) & (lighter.abs() < KEY), faded, zero),
        "saturated": torch.where(colorful, ratio.clamp(min=1e-6).log() / math.log(SATURATED), zero),
    }
    most, which = torch.stack([*strengths.values()]).max(0)
    grey = colorful & (now.chroma <= GREY_CHROMA) & (now.chroma <= GREY_RATIO * was.chroma)
    light, before = (x[:, 0].flatten(1) for x in (lab, reference))
    light, before = light - light.mean(1, keepdim=True), before - before.mean(1, keepdim=True)
    alike = (light * before).mean(1) >= NEGATIVE * now.contrast * was.contrast
    names = [*strengths]
    return [
        "" if not same else DIRECTIONS[0] if bare else names[i] if strength >= 1 else ""
        for same, bare, i, strength in zip(alike.tolist(), grey.tolist(), which.tolist(), most.tolist(), strict=True)
    ]
