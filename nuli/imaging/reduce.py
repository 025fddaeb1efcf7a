"""Large pictures made smaller by a whole number, each new pixel the mean of a square of old ones."""

from __future__ import annotations

import numpy as np

REDUCED = 672
"""Short side of a reduced picture at least. With three pixels for one of the frame's, the bicubic filter's result stays
what it was."""
_BAND = 1 << 18
"""Pixels worked on at a time: they stay in a processor's cache."""


def reduction(pixels: np.ndarray) -> int:
    """By which whole number a picture [H,W,C] is made smaller before its frame is."""
    return max(1, min(pixels.shape[:2]) // REDUCED)


def reduce(pixels: np.ndarray, alpha: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels [H,W,C] and alpha [H,W] of 8 or 16 bits made smaller by `reduction`, rounded; small ones as they are.

    Where there is alpha, colours count as much as they are opaque. What is left over at the right and below is cut off.
    """
    factor = reduction(pixels)
    if factor == 1:
        return pixels, alpha
    if alpha is None:
        return _means(pixels, factor), None
    top = np.iinfo(alpha.dtype).max
    opacity = _sums(alpha[:, :, None], factor)
    weighted = _sums(pixels, factor, alpha)
    small = np.rint(weighted / np.maximum(opacity, 1)).astype(pixels.dtype)
    opacity = np.rint(opacity[:, :, 0] / factor**2).clip(0, top).astype(alpha.dtype)
    return small, opacity


def _means(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Means over squares, rounded."""
    area = factor**2
    sums = _sums(pixels, factor)
    return ((sums + sums.dtype.type(area // 2)) // sums.dtype.type(area)).astype(pixels.dtype)


def _sums(pixels: np.ndarray, factor: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Sums over squares of pixels [H,W,C], each times its weight [H,W] -> [H/factor,W/factor,C], without rounding."""
    height, width, channels = pixels.shape
    across, down = width // factor, height // factor
    largest = int(np.iinfo(pixels.dtype).max) * (1 if weights is None else int(np.iinfo(weights.dtype).max))
    kind = np.min_scalar_type(factor**2 * (largest + 1))
    sums = np.empty((down, across, channels), kind)
    step = max(1, _BAND // (width * factor))
    for top in range(0, down, step):
        rows = slice(top * factor, min(top + step, down) * factor)
        band = pixels[rows, : across * factor]
        if weights is not None:
            band = band.astype(kind) * weights[rows, : across * factor, None]
        band = band.reshape(-1, factor, across * factor * channels)
        tall = band[:, 0].astype(kind)
        for i in range(1, factor):
            tall += band[:, i]
        tall = tall.reshape(len(tall), across, factor, channels)
        total = sums[top : top + step]
        total[...] = tall[:, :, 0]
        for i in range(1, factor):
            total += tall[:, :, i]
    return sums
