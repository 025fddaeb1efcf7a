"""Of which parts a file consists, looked at before Pillow does: some keep its readers busy for minutes, or take all
memory, and no program writes them."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import BinaryIO

from PIL import Image
from PIL.JpegImagePlugin import MARKER

from ..errors import ImageError
from .containers import MAX_PARTS, png_chunks
from .exif import FIELD_TYPES

MAX_EXIF_SEGMENTS = 64
"""Segments of 64 KB that a JPEG's EXIF may come in; Pillow copies all before, for each."""
MAX_COMMENTS = 1 << 20
"""Bytes of a GIF's comments, which Pillow puts together in the same way."""
MAX_NUMBERS = 3 * 65_536
"""Numbers in one field of a TIFF or of EXIF: the longest that is known is a palette of 16 bits."""
_SHARED = 1 << 20
"""Bytes that fields may have together beyond those of the file: programs let equal ones point at the same data."""
_SIZES = {kind: size for kind, (size, _) in FIELD_TYPES.items() if size > 1} | dict.fromkeys((16, 17, 18), 8)
"""Bytes of a number, by a TIFF field's type, BigTIFF's three among them; of the others, which are bytes, 1."""


def open_image(file: BinaryIO, formats: Sequence[str]) -> Image.Image:
    """`Image.open`, for files from strangers. Raises ImageError as well, for those that are made to keep it busy.

    Args:
        file: at its beginning.
        formats: Pillow's names of those that may be opened.
    """
    head = file.read(4)
    size = file.seek(0, 2)
    if head[:2] in (b"II", b"MM"):
        _check_fields(file)
    for begins, parts, usual in _WALKS:
        if head.startswith(begins):
            with suppress(IndexError):  # cut short
                _count(parts(file), MAX_PARTS + size // usual)
    file.seek(0)
    return Image.open(file, formats=formats)


def _count(parts: Iterator[object], most: int) -> None:
    for number, _ in enumerate(parts):
        if number >= most:
            raise ImageError(f"consists of more than {most} parts: save it anew first")


def _segments(file: BinaryIO) -> Iterator[None]:
    """The segments before the pixels of a JPEG, and what lies between them, step by step as Pillow does."""
    exif: list[bytes] = []
    file.seek(2)
    while byte := file.read(1):
        yield
        while byte == b"\xff" and (marker := file.read(1)) == b"\xff":
            yield
        if byte != b"\xff" or marker == b"\0":
            continue
        if marker == b"\xda":
            _check_fields(io.BytesIO(b"".join(exif)))
            return
        _, _, reader = MARKER.get(0xFF00 + marker[0], (None, None, None))
        if reader is None:
            continue
        length = max(0, int.from_bytes(file.read(2), "big") - 2)
        begins = file.read(min(length, 6))
        if marker == b"\xe1" and begins == b"Exif\0\0":
            exif.append(file.read(length - 6))
            if len(exif) > MAX_EXIF_SEGMENTS:
                raise ImageError(f"its EXIF lies in more than {MAX_EXIF_SEGMENTS} segments: save it anew first")
        else:
            file.seek(length - len(begins), 1)


def _blocks(file: BinaryIO) -> Iterator[None]:
    """The blocks of a GIF, and the blocks that those consist of."""

    def skip_palette(flags: int) -> None:
        file.seek(3 << (flags & 7) + 1 if flags & 128 else 0, 1)

    comments = 0
    file.seek(10)
    flags = file.read(1)[0]
    file.seek(2, 1)
    skip_palette(flags)
    while (begins := file.read(1)) not in (b"", b";"):
        yield
        if begins == b"!":
            kind = file.read(1)
        elif begins == b",":
            kind = b""
            skip_palette(file.read(9)[8])
            file.seek(1, 1)
        else:
            continue  # Pillow, too, looks for the next one
        while length := file.read(1)[0]:
            file.seek(length, 1)
            yield
            comments += length if kind == b"\xfe" else 0
            if comments > MAX_COMMENTS:
                raise ImageError(f"its comments are over the limit of {MAX_COMMENTS >> 20} MB: save it anew first")


_WALKS: tuple[tuple[bytes, Callable[[BinaryIO], Iterator[object]], int], ...] = (
    (b"\x89PNG", png_chunks, 1024),
    (b"\xff\xd8", _segments, 1024),
    (b"GIF8", _blocks, 128),  # 255 bytes are the most
)
"""How a format begins, its parts, and bytes that they have at least, on the average, in a large file."""


def _check_fields(file: BinaryIO) -> None:
    """Raise ImageError for a TIFF, or a block of EXIF, whose directories have fields that no program writes: Pillow
    reads each as a whole, though many can point at the same data, and takes 8 µs for a fraction."""
    size = file.seek(0, 2)
    file.seek(0)
    head = file.read(16)
    order, large = ">" if head.startswith(b"MM") else "<", head[2:3] == b"+"  # a BigTIFF, as Pillow tells
    entry, number = struct.Struct(order + ("HHQ8s" if large else "HHI4s")), struct.Struct(order + "IQ"[large])
    counter = struct.Struct(order + "HQ"[large])
    room, left, seen = size + _SHARED, MAX_PARTS + size // 1024, set[int]()
    with suppress(struct.error, OverflowError):  # cut short; beyond what can be sought
        (place,) = number.unpack_from(head, 8 if large else 4)
        while place and place not in seen:
            seen.add(place)
            file.seek(place)
            (fields,) = counter.unpack(file.read(counter.size))
            left -= 1 + fields
            if left < 0:
                raise ImageError(f"has more than {MAX_PARTS} fields: save it anew first")
            table = file.read(fields * entry.size)
            (place,) = number.unpack(file.read(number.size).ljust(number.size, b"\0"))
            for _, kind, count, value in entry.iter_unpack(table[: len(table) // entry.size * entry.size]):
                length = count * _SIZES.get(kind, 1)
                if length <= len(value) or number.unpack(value)[0] + length > size:
                    continue  # Pillow leaves out what is not all there
                room -= length
                if room < 0 or (kind in _SIZES and count > MAX_NUMBERS):
                    raise ImageError("has larger fields than any picture needs: save it anew first")
