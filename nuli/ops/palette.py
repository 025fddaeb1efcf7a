"""The colours of a picture: what becomes of each needs to be computed only once.

A photo of 12 megapixels has a few hundred thousand colours. A chain of pointwise steps is applied to them, in the same
arithmetic as to pixels, and every pixel is looked up. So this is no approximation: any chain comes out as if it were
applied pixel by pixel, many times as fast.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator

import numpy as np

from ..heap import Spare
from ..imaging.mask import blend

STRIP = 1 << 16
"""Pixels worked on at a time: what becomes of so many stays in a processor's cache."""
FEWEST = 1 << 18
"""Pixels of colour from which on a table of all colours pays."""
_COLOURS = 1 << 24
_marks = Spare(lambda: np.zeros(_COLOURS, bool))
_tables = Spare(lambda: np.empty(_COLOURS, "<u4"))
"""To get fresh memory for them takes as long as to use them."""


def has_palette(pixels: np.ndarray) -> bool:
    """Whether pixels [H,W,1 or 3] have few enough values, and are enough, for a table: all greys, 8-bit colours."""
    return pixels.shape[2] == 1 or (pixels.dtype == np.uint8 and pixels[..., 0].size >= FEWEST)


class Palette:
    """The colours that occur in a picture.

    Args:
        pixels: [H,W,1 or 3], 8 or 16 bits; `has_palette` is true of them.
        progress: called now and then; may raise.
    """

    def __init__(self, pixels: np.ndarray, progress: Callable[[], None] = lambda: None) -> None:
        self.pixels, self._progress = pixels, progress
        if pixels.shape[2] == 1:
            self.codes = np.arange(np.iinfo(pixels.dtype).max + 1)
            self.colours = self.codes.astype(pixels.dtype)[:, None]
            return
        marks = _marks.take()
        try:
            for rows in self.strips():
                marks[_codes(pixels[rows])] = True
            self.codes = np.flatnonzero(marks)
        finally:
            marks.fill(False)
            _marks.keep(marks)
        self.colours = np.ascontiguousarray(self.codes.astype("<u4")[:, None].view(np.uint8)[:, :3])

    def strips(self) -> Iterator[slice]:
        """Slices of rows that are worked on at a time."""
        height, width = self.pixels.shape[:2]
        count = max(1, STRIP // width)
        for top in range(0, height, count):
            self._progress()
            yield slice(top, min(top + count, height))


class Recoloured:
    """A picture with each of its colours replaced, made part by part when it is asked for.

    Args:
        palette: of the picture.
        colours: new ones [K,3], in the order of `palette.colours`: of the picture's type, or float32.
        mask: of the picture [H,W], see `imaging.mask`; the colours are in float32 then, the picture of its own type.
    """

    def __init__(self, palette: Palette, colours: np.ndarray, mask: np.ndarray | None = None) -> None:
        self._palette, self._colours, self._mask = palette, colours, mask
        self.shape = (*palette.pixels.shape[:2], 3)
        self.dtype = colours.dtype if mask is None else palette.pixels.dtype
        if palette.pixels.shape[2] == 1:
            return
        self._table = _tables.take()
        weakref.finalize(self, _tables.keep, self._table).atexit = False
        if colours.dtype == np.uint8:  # a table of the colours themselves, four bytes each
            padded = np.zeros((len(colours), 4), np.uint8)
            padded[:, :3] = colours
            self._table[palette.codes] = padded.view("<u4")[:, 0]
        else:
            self._table[palette.codes] = np.arange(len(colours))

    def __getitem__(self, part: slice | tuple[slice, slice]) -> np.ndarray:
        """Rows of it, or rows and columns, [h,w,3]."""
        pixels = self._palette.pixels[part]
        made = self._replaced(pixels)
        return made if self._mask is None else blend(pixels, made, self._mask[part])

    def _replaced(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels [h,w,1 or 3] with their colours replaced."""
        if pixels.shape[2] == 1:
            return self._colours.take(pixels[:, :, 0], 0)
        found = self._table.take(_codes(pixels), mode="clip")
        if self._colours.dtype == np.uint8:
            return found.view(np.uint8).reshape(*pixels.shape[:2], 4)[..., :3]
        return self._colours.take(found, 0).reshape(pixels.shape)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """All of it, [H,W,3]."""
        whole = np.empty(self.shape, self.dtype)
        for rows in self._palette.strips():
            whole[rows] = self[rows]
        return whole if dtype is None else whole.astype(dtype, copy=False)


def _codes(rows: np.ndarray) -> np.ndarray:
    """The colours of 8-bit pixels [h,W,3] as numbers [h*W], red in the lowest byte."""
    flat = np.ascontiguousarray(rows).reshape(-1)
    count = flat.size // 3
    codes = np.empty(count, np.intp)  # what an index is made to be in any case
    # four bytes from every third on, the last one masked; of the last pixel there are only three
    overlapping = np.ndarray(count - 1, "<u4", flat, strides=(3,))
    np.bitwise_and(overlapping, 0xFFFFFF, out=codes[:-1])
    codes[-1] = int(flat[-3]) | int(flat[-2]) << 8 | int(flat[-1]) << 16
    return codes
