"""Masks: where a picture may be changed. White is changed, black stays bit by bit as it is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from PIL import Image

from ..errors import ImageError
from .formats import ALPHA
from .photo import Photo, Source, load_photo

WHITE = np.iinfo(np.uint16).max
LEVELS = 4
"""A feather is the mean of so many masks, each narrower than the one before."""
FINE = 8
"""Pixels that a feather takes at least where it is made."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_BAND = 1 << 18
"""Pixels worked on at a time."""


def with_mask(photo: Photo, source: Source, feather: float = 0.0) -> Photo:
    """A photo that is only changed where a mask says so, whatever is rendered from it.

    Args:
        source: the mask, of any size with the photo's aspect ratio: white where to change the picture, black where
            not, by its luma; of one that is the same colour everywhere and has transparency, by how opaque it is. ALPHA
            for the photo's own transparency.
        feather: over how much of the short side, inside of the white, the change sets in.
    Raises:
        ImageError: the mask can't be read, is of another shape, or there is no transparency to take for one.
    """
    height, width = photo.pixels.shape[:2]
    if isinstance(source, str) and source == ALPHA:
        if photo.alpha is None:
            raise ImageError("mask: this picture has no transparency to take for one: give a picture")
        values = _deep(photo.alpha)
    else:
        values = _fitted(_values(load_photo(source)), height, width)
    values = feathered(values, round(feather * min(height, width)))
    if values.min() == WHITE:
        return replace(photo, mask=None)
    black = not values.any()
    note = "the mask is black everywhere: nothing may be changed" if black else "changed only inside the mask"
    return replace(photo, mask=values, notes=(*photo.notes, note))


def blend(original: np.ndarray, changed: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Parts of a picture [h,w,1 or 3], 8 or 16 bits, and of what became of it [h,w,3], float32 0..1, mixed by the
    mask [h,w]: [h,w,3] of the picture's type, rounded once. Where the mask is black, it is the picture bit by bit."""
    if not mask.any():
        return np.broadcast_to(original, changed.shape)
    import torch  # here, for the process that only hands out pictures does without

    top = np.iinfo(original.dtype).max
    x = torch.from_numpy(changed)
    if mask.min() < WHITE:
        weight = torch.from_numpy(mask.astype(np.float32)).div_(WHITE)[:, :, None]
        x = torch.lerp(torch.from_numpy(original.astype(np.float32)).div_(top).expand_as(x), x, weight)
    return (x * top).round_().numpy().astype(original.dtype)


def feathered(values: np.ndarray, radius: int) -> np.ndarray:
    """A mask [H,W], 16 bits, that grows from black to what it is over so many pixels inwards. What is black stays so;
    what is narrower than twice the radius doesn't become quite white."""
    if radius < 1:
        return values
    factor = radius // FINE
    if factor > 1:  # a wide one is as good when it is made smaller
        height, width = (-(-side // factor) for side in values.shape)
        margins = [(0, n * factor - side) for n, side in zip((height, width), values.shape, strict=True)]
        blocks = np.pad(values, margins, mode="edge").reshape(height, factor, width, factor)
        soft = _resized(feathered(blocks.min((1, 3)), radius // factor), height * factor, width * factor)
        soft = np.minimum(soft[: values.shape[0], : values.shape[1]], values)
        soft[values == 0] = 0
        return soft
    levels = min(LEVELS, radius)
    step = max(1, radius // (levels + 1))
    total = np.zeros(values.shape, np.uint32)
    for _ in range(levels):
        values = _narrowed(_narrowed(values, step, 0), step, 1)
        total += values
    mean = (total // np.uint32(levels)).astype(np.uint16)
    # a box as wide as the first of them was narrowed by doesn't reach what was black
    return _box(_box(mean, step, 0), step, 1)


def _narrowed(values: np.ndarray, reach: int, axis: int) -> np.ndarray:
    """The least of all values up to `reach` pixels away along an axis, by doubling."""
    size, length = values.shape[axis], 1
    low = _padded(values, reach, axis)
    while 2 * length <= 2 * reach + 1:
        low = np.minimum(_cut(low, 0, low.shape[axis] - length, axis), _cut(low, length, None, axis))
        length *= 2
    rest = 2 * reach + 1 - length
    return np.minimum(_cut(low, 0, size, axis), _cut(low, rest, rest + size, axis))


def _box(values: np.ndarray, reach: int, axis: int) -> np.ndarray:
    """The mean of all values up to `reach` pixels away along an axis."""
    size, count = values.shape[axis], 2 * reach + 1
    padded = _padded(values, reach, axis)
    # sums may wrap around: their differences are right as long as they are less than 2**32
    sums = np.cumsum(padded, axis, np.uint32)
    means = _cut(sums, 2 * reach, None, axis).copy()
    _cut(means, 1, None, axis)[...] -= _cut(sums, 0, size - 1, axis)
    return ((means + np.uint32(count // 2)) // np.uint32(count)).astype(np.uint16)


def _padded(values: np.ndarray, reach: int, axis: int) -> np.ndarray:
    """Values with the edges repeated."""
    return np.pad(values, [(reach, reach) if i == axis else (0, 0) for i in range(2)], mode="edge")


def _cut(values: np.ndarray, start: int, stop: int | None, axis: int) -> np.ndarray:
    return values[start:stop] if axis == 0 else values[:, start:stop]


def _values(mask: Photo) -> np.ndarray:
    """A loaded mask as [h,w], 16 bits."""
    pixels, alpha = mask.pixels, mask.alpha
    if alpha is not None and alpha.min() < np.iinfo(alpha.dtype).max and (pixels == pixels[:1, :1]).all():
        return _deep(alpha)
    if pixels.shape[2] == 1:
        return _deep(pixels[:, :, 0])
    values = np.empty(pixels.shape[:2], np.uint16)
    rows = max(1, _BAND // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        values[top : top + rows] = np.rint(_deep(pixels[top : top + rows]) @ _LUMA)
    return values


def _deep(values: np.ndarray) -> np.ndarray:
    """Values of 8 or 16 bits as 16."""
    return values if values.dtype == np.uint16 else values.astype(np.uint16) * np.uint16(257)


def _fitted(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask at the size of a picture. Raises ImageError where it has another shape."""
    h, w = values.shape
    if (h, w) == (height, width):
        return values
    # sizes are rounded to whole pixels
    if abs(w - h * width / height) > 1 and abs(h - w * height / width) > 1:
        raise ImageError(f"mask: {w} x {h} has not the shape of the picture, {width} x {height}: crop it likewise")
    return _resized(values, height, width)


def _resized(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """A mask at another size, bilinearly."""
    resized = Image.fromarray(values.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    return np.rint(np.asarray(resized)).clip(0, WHITE).astype(np.uint16)
