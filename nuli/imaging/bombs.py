"""Files that are small, and take long to unpack: refused by limits that no picture comes near to."""

from __future__ import annotations

from typing import BinaryIO

from PIL import Image

from ..errors import ImageError
from .atomic import MAX_PIXELS
from .containers import MAX_PARTS

MAX_SCANNED = 20 * MAX_PIXELS
"""Pixels of all scans of a JPEG together. A progressive one has about ten scans, each of which goes over all pixels,
however few bytes it takes."""
MOST_COUNTED = 1 << 20
"""Bytes of a file whose frames are counted, where that means to look for each."""
_BLOCK = 1 << 20
_SCAN = b"\xff\xda"


def check_work(image: Image.Image, file: BinaryIO | None) -> None:
    """Raise ImageError for a picture that would take much longer to unpack than its pixels should.

    Args:
        image: one that is not loaded yet.
        file: what it lies in, where that is known.
    """
    if len(getattr(image, "tile", ())) > MAX_PARTS:
        raise ImageError(f"its pixels lie in more than {MAX_PARTS} parts: save it as PNG first")
    if file is None or image.format not in ("JPEG", "MPO"):
        return
    scans = _count(file, _SCAN)
    if scans * image.width * image.height > MAX_SCANNED:
        raise ImageError(f"its pixels lie in {scans} scans, one above the other: save it as PNG first")


def count_frames(image: Image.Image, file: BinaryIO | None) -> str:
    """How many frames there are, in words: a large GIF or TIFF would have to be gone through for that."""
    if file is not None and image.format in ("GIF", "TIFF") and file.seek(0, 2) > MOST_COUNTED:
        return "several"
    try:
        return str(image.n_frames)
    except Exception:  # the first frame is good, whatever follows
        return "several"


def _count(file: BinaryIO, marker: bytes) -> int:
    """How often a marker of two bytes occurs in a file, which is left as it was."""
    place, count, last = file.tell(), 0, b""
    file.seek(0)
    while block := file.read(_BLOCK):
        count += (last + block).count(marker)
        last = block[-1:]
    file.seek(place)
    return count
