"""Reading .cube files, the look-up tables of photo and video editors, and applying them.

Format: Adobe, "Cube LUT Specification 1.0", 2013: red changes fastest. The input ranges that DaVinci Resolve writes
are read too.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import OptionError
from .light import follow

MOST_3D, MOST_1D = 129, 65_536
"""Points along an axis."""
MAX_BYTES = 48 * MOST_3D**3
"""Of a file; one of the largest table with 12 digits a value takes as much."""
_LARGEST = 1e6
"""The absolute value of an entry."""
_MOST_LINES, _LONGEST_LINE = MOST_3D**3 + 10_000, 1000
"""Lines of a file, remarks and empty ones among them, and characters of one: a file of nothing else would take long."""


@dataclass(frozen=True, eq=False)
class Cube:
    """A look-up table."""

    table: Tensor
    """[1,3,K] where each channel has a curve; [1,3,B,G,R] where colours are looked up."""
    low: tuple[float, float, float]
    high: tuple[float, float, float]
    """The red, green and blue of the first and the last point."""

    def apply(self, x: Tensor) -> Tensor:
        """What becomes of colours [N,3,H,W]: linear between the points of curves, trilinear between those of cubes."""
        low, high = (x.new_tensor(end).view(1, 3, 1, 1) for end in (self.low, self.high))
        table, x = self.table.to(x), ((x - low) / (high - low)).clamp(0, 1)
        if table.ndim == 3:
            return follow(table.expand(len(x), -1, -1), x)
        n, _, h, w = x.shape
        places = (x * 2 - 1).permute(0, 2, 3, 1).reshape(1, n * h, w, 1, 3)
        if x.device.type == "mps":  # where many a torch can't do it
            table, places = table.cpu(), places.cpu()
        found = F.grid_sample(table, places, mode="bilinear", padding_mode="border", align_corners=True)
        return found.to(x.device).reshape(3, n, h, w).transpose(0, 1)


def read_cube(data: bytes) -> Cube:
    """The table in a .cube file's bytes. Raises OptionError, which says what is wrong with it."""
    words: dict[str, list[str]] = {}
    rows: list[str] = []
    for line in _lines(data):
        if not line or line.startswith("#"):
            continue
        if line[0].isalpha():
            name, *values = line.split()
            if name in words or name not in _KEYWORDS:
                raise OptionError(f"not a .cube file that can be read: {line[:40]!r} is {_wrong(name in words)}")
            words[name] = values
        else:
            rows.append(line)
    sizes = [name for name in ("LUT_1D_SIZE", "LUT_3D_SIZE") if name in words]
    if len(sizes) != 1:
        raise OptionError("not a .cube file that can be read: it must say one of LUT_1D_SIZE and LUT_3D_SIZE")
    [keyword] = sizes
    most, power = (MOST_3D, 3) if keyword == "LUT_3D_SIZE" else (MOST_1D, 1)
    size = _numbers(words[keyword], 1)[0]
    if not (2 <= size <= most and size == int(size)):
        raise OptionError(f"{keyword} of this .cube file can't be {size:g}: 2 to {most} can be read")
    size = int(size)
    if len(rows) != size**power:
        raise OptionError(f"this .cube file has {len(rows)} rows of values where its size asks for {size**power}")
    try:
        values = np.loadtxt(rows, np.float32, comments=None, ndmin=2)
    except ValueError:
        values = np.empty(0)
    if values.shape != (len(rows), 3) or not (np.abs(values) <= _LARGEST).all():
        raise OptionError("not a .cube file that can be read: each row is three numbers")
    low, high = _domain(words, keyword)
    table = torch.from_numpy(values.T.copy())
    return Cube(table.reshape(1, 3, *[size] * power), low, high)


def _lines(data: bytes) -> Iterator[str]:
    """The lines of a file, stripped. Raises OptionError for more than it may have."""
    if len(data) > MAX_BYTES:
        raise OptionError(f"this LUT is too large: {MAX_BYTES >> 20} MB is the most")
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8-sig", "replace")
    for number in range(_MOST_LINES + 1):
        line = text.readline(_LONGEST_LINE)
        if not line:
            return
        if len(line) == _LONGEST_LINE or number == _MOST_LINES:
            raise OptionError("not a .cube file that can be read: it has too many lines, or too long ones")
        yield line.strip()


_KEYWORDS = (
    *("TITLE", "LUT_1D_SIZE", "LUT_3D_SIZE", "DOMAIN_MIN", "DOMAIN_MAX"),
    *("LUT_1D_INPUT_RANGE", "LUT_3D_INPUT_RANGE"),
)


def _wrong(twice: bool) -> str:
    return "said twice" if twice else "not known"


def _domain(words: dict[str, list[str]], keyword: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """The first and the last point's red, green and blue. Raises OptionError."""
    low, high = [0.0] * 3, [1.0] * 3
    if values := words.get(keyword.replace("SIZE", "INPUT_RANGE")):
        low, high = ([end] * 3 for end in _numbers(values, 2))
    low = _numbers(words["DOMAIN_MIN"], 3) if "DOMAIN_MIN" in words else low
    high = _numbers(words["DOMAIN_MAX"], 3) if "DOMAIN_MAX" in words else high
    # in the precision that colours have
    if not all(np.float32(b) - np.float32(a) > 1e-6 for a, b in zip(low, high, strict=True)):
        raise OptionError("this .cube file's DOMAIN_MAX must be greater than its DOMAIN_MIN")
    return tuple(low), tuple(high)


def _numbers(words: list[str], count: int) -> list[float]:
    """As many finite numbers. Raises OptionError."""
    try:
        numbers = [float(word) for word in words]
        if len(numbers) != count or not all(math.isfinite(n) and abs(n) <= _LARGEST for n in numbers):
            raise ValueError
    except ValueError:
        what = " ".join(words)[:40]
        raise OptionError(f"not a .cube file that can be read: {what!r} is not {count} numbers") from None
    return numbers
