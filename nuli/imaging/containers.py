"""The parts that a file consists of: chunks of a PNG and a WebP, boxes of an AVIF, segments of a JPEG.

Untrusted: each walk ends where the file is cut short. Positions are those in the file.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import BinaryIO

MAX_PARTS = 65_536
"""Parts of a file: chunks, segments, blocks, strips, tiles. Large files may have more, where they are not tiny."""
_META_ROOM = 1 << 22  # bytes of an AVIF's description that are read
_END_OF_RUN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_BLOCK = 1 << 20

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
APP1, APP2, APP13 = 0xE1, 0xE2, 0xED
SEGMENT_ROOM = 65_533
"""Bytes of data in a segment of a JPEG, at most."""


def png_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, position and length of the data of each chunk of a PNG; the file is left at the data. (PNG, 5.3)"""
    file.seek(8)
    while len(head := file.read(8)) == 8:
        length, place = int.from_bytes(head[:4], "big"), file.tell()
        yield head[4:], place, length
        file.seek(place + length + 4)


def webp_chunks(file: BinaryIO) -> Iterator[tuple[bytes, int, int]]:
    """Name, position and length of the data of each chunk of a WebP, within RIFF's length; those of an animation's
    frames follow their frame."""
    size = file.seek(0, 2)
    end, place = min(size, webp_end(file)), 12
    for _ in range(MAX_PARTS):
        if place + 8 > end:
            return
        file.seek(place)
        name, length = file.read(4), int.from_bytes(file.read(4), "little")
        yield name, place + 8, length
        place += 8 + (16 if name == b"ANMF" else length + length % 2)


def webp_end(file: BinaryIO) -> int:
    """Where a WebP ends by RIFF's length."""
    file.seek(4)
    return 8 + int.from_bytes(file.read(4), "little")


def boxes(file: BinaryIO, place: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and end of the content of each box between two positions that is whole. (ISO/IEC 14496-12, 4.2)"""
    for _ in range(MAX_PARTS):
        file.seek(place)
        head, start = file.read(16), place + 8
        if len(head) < 8 or start > end:
            return
        size = int.from_bytes(head[:4], "big")
        if size == 1:
            size, start = int.from_bytes(head[8:], "big"), place + 16
        stop = place + size if size else end
        if not start <= stop <= end:
            return
        yield head[4:8], start, stop
        place = stop


def avif_description(file: BinaryIO) -> tuple[bytes, int]:
    """The content of an AVIF's meta box, as far as it is read, and its position; nothing where there is none."""
    for kind, start, stop in boxes(file, 0, file.seek(0, 2)):
        if kind == b"meta":
            file.seek(start)
            return file.read(min(stop - start, _META_ROOM)), start
    return b"", 0


def jpeg_segments(file: BinaryIO) -> Iterator[tuple[int, int, int]]:
    """Marker, position and length of the data of each segment of a JPEG that begins where the file is, up to its end.

    The end of the picture (EOI) comes last, with the position behind it, where it is found.
    """
    if file.read(2) != bytes((0xFF, SOI)):
        return
    for _ in range(MAX_PARTS):
        byte = file.read(1)
        while byte == b"\xff" and (byte := file.read(1)) == b"\xff":
            pass
        if not byte:
            return
        marker = byte[0]
        if marker in (0, 1) or 0xD0 <= marker <= SOI:
            continue
        if marker == EOI:
            yield marker, file.tell(), 0
            return
        length = max(0, int.from_bytes(file.read(2), "big") - 2)
        place = file.tell()
        yield marker, place, length
        file.seek(place + length)
        if marker == SOS and not _skip_run(file):
            return


def _skip_run(file: BinaryIO) -> bool:
    """Go on to the marker that ends a run of compressed pixels; returns whether there is one."""
    last = b""
    while block := file.read(_BLOCK):
        if found := _END_OF_RUN.search(last + block):
            file.seek(found.start() - len(last) - len(block), 1)
            return True
        last = block[-1:] if block.endswith(b"\xff") else b""
    return False


def jpeg_segment(marker: int, data: bytes) -> bytes:
    """A segment of a JPEG: its marker, its length, its data of at most SEGMENT_ROOM bytes."""
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def split_segments(marker: int, prefix: bytes, data: bytes) -> bytes:
    """Data of any length as segments of a JPEG, each with the prefix."""
    room = SEGMENT_ROOM - len(prefix)
    parts = (data[place : place + room] for place in range(0, len(data), room))
    return b"".join(jpeg_segment(marker, prefix + part) for part in parts)
