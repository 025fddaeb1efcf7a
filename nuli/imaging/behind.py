"""What lies behind the first picture of a JPEG: gain maps, videos, previews, other pictures, and their indexes.

Sources: CIPA DC-007 (MPF), Google's Ultra HDR and Motion Photo formats, ISO 21496-1. Samsung's trailer counts from its
own end, and stays as it is.
"""

from __future__ import annotations

import io
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO

from ..errors import ImageError
from .bombs import check_work
from .containers import APP1, APP2, EOI, SOS, jpeg_segment, jpeg_segments
from .exif import BYTE_ORDERS, entries
from .pixels import TURNS
from .structure import open_image
from .turn import Turn

MPF_PREFIX = b"MPF\0"
ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"
MAX_BEHIND = 1 << 28
"""Bytes behind the first picture that are kept."""
MAX_PICTURES = 64
"""Pictures behind the first that are told apart."""
MAX_MAPS = 8
"""Maps that are turned with a picture, each with no more pixels than it has."""
_ZEROS = re.compile(rb"\0*")
_ENTRIES = 0xB002
_PREVIEW, _GAIN_MAP, _ORIGINAL = 0x01, 0x05, 0x04  # first of the three bytes that tell a picture's type
_MAPS = (
    b"http://ns.adobe.com/hdr-gain-map/",
    b"http://ns.apple.com/HDRGainMap/",
    b"photo:2018:aux:",
    b"photo:2020:aux:",
)


@dataclass(frozen=True)
class Picture:
    """A further picture: where it lies behind the first one, and what MPF says of it."""

    begin: int
    size: int
    attributes: int | None = None
    """None where MPF does not name it."""
    kind: str = ""
    """"map", "preview", "original" or "other"."""


@dataclass(frozen=True)
class Behind:
    """What is written behind a JPEG's first picture."""

    data: bytes = b""
    pictures: tuple[Picture, ...] = ()
    attributes: int = 0x030000
    """What MPF says of the first picture."""
    segments: bytes = b""
    """The first picture's segments that promise a gain map."""

    def words(self) -> tuple[str, ...]:
        """Names, for the user, of what is there."""
        kinds = {picture.kind for picture in self.pictures}
        told = ["a gain map (HDR) or depth map"] * ("map" in kinds) + ["the original picture"] * ("original" in kinds)
        if len(self.data) > sum(picture.size for picture in self.pictures):
            told.append("a motion photo's video" if b"ftyp" in self.data else "bytes behind the picture")
        return tuple(told)

    @property
    def listed(self) -> tuple[Picture, ...]:
        """The pictures that MPF is to name."""
        return tuple(picture for picture in self.pictures if picture.attributes is not None)


def end_of_picture(file: BinaryIO) -> int | None:
    """Where the first picture in a JPEG ends, from the position of the file on; None where no end is found."""
    return next((place for marker, place, _ in jpeg_segments(file) if marker == EOI), None)


def _segments(file: BinaryIO) -> Iterator[tuple[int, int, bytes]]:
    """Marker, position and data of the segments before the pixels of a JPEG that begins where the file is."""
    for marker, place, length in jpeg_segments(file):
        if marker in (SOS, EOI):
            return
        yield marker, place, file.read(length)


def find_mpf(file: BinaryIO) -> tuple[int, bytes]:
    """Where in a JPEG its MPF block begins, and the block; 0 and nothing where there is none."""
    file.seek(0)
    for marker, place, data in _segments(file):
        if marker == APP2 and data.startswith(MPF_PREFIX):
            return place + len(MPF_PREFIX), data[len(MPF_PREFIX) :]
    return 0, b""


def read_mpf(mpf: bytes) -> list[tuple[int, int, int]]:
    """Attributes, size and offset of the pictures that an MPF block lists, the first one among them."""
    order = BYTE_ORDERS.get(mpf[:4])
    found: list[tuple[int, int, int]] = []
    with suppress(struct.error):  # cut short: what was read up to there holds
        if order:
            for tag, _, length, place in entries(mpf, order, *struct.unpack_from(order + "I", mpf, 4)):
                if tag == _ENTRIES:
                    for entry in range(place, place + min(length, 16 * MAX_PICTURES), 16):
                        found.append(struct.unpack_from(order + "III", mpf, entry))
                    break
    return found


def mpf_block(behind: Behind, size: int, offset: int) -> bytes:
    """An MPF block: of the first picture, of a size in bytes, and of those behind it; `offset` is where in the file
    the block begins."""
    count = 1 + len(behind.listed)
    block = struct.pack(">2sHIH", b"MM", 42, 8, 3)
    block += struct.pack(">HHI4s", 0xB000, 7, 4, b"0100")
    block += struct.pack(">HHII", 0xB001, 4, 1, count)
    block += struct.pack(">HHII", _ENTRIES, 7, 16 * count, len(block) + 12 + 4) + bytes(4)
    block += struct.pack(">IIII", behind.attributes, size, 0, 0)
    for picture in behind.listed:
        block += struct.pack(">IIII", picture.attributes, picture.size, size + picture.begin - offset, 0)
    return block


def find_pictures(
    data: bytes, listed: list[tuple[int, int, int]], named: list[tuple[int, int, str]]
) -> tuple[Picture, ...]:
    """The JPEGs among the bytes behind a first picture, in order, none over another.

    Args:
        listed: attributes, size and place of those that MPF lists.
        named: place, size and semantic of those that XMP's container lists.
    """
    found: dict[int, Picture] = {}

    def is_jpeg(begin: int, size: int) -> bool:
        return begin >= 0 and size > 2 and begin + size <= len(data) and data[begin : begin + 2] == b"\xff\xd8"

    for attributes, size, begin in listed:
        if is_jpeg(begin, size):
            found.setdefault(begin, Picture(begin, size, attributes))
    names: dict[int, str] = {}
    for begin, size, semantic in named:
        if is_jpeg(begin, size):
            found.setdefault(begin, Picture(begin, size))
            names[begin] = "original" if semantic == "Original" else "map"
    # one that no index names begins right behind the one before
    file, place = io.BytesIO(data), 0
    for _ in range(MAX_PICTURES):
        while place in found:
            place += max(1, found[place].size)
        place = _ZEROS.match(data, min(place, len(data))).end()
        if place in found:
            continue
        if data[place : place + 3] != b"\xff\xd8\xff":
            break
        file.seek(place)
        end = end_of_picture(file) or len(data)
        found[place] = Picture(place, end - place)
        place = end
    pictures, last = [], 0
    for begin in sorted(found)[:MAX_PICTURES]:
        picture = found[begin]
        if begin >= last:
            last = begin + picture.size
            kind = _kind(data[begin:last], picture.attributes) or names.get(begin, "other")
            pictures.append(replace(picture, kind=kind))
    return tuple(pictures)


def _kind(picture: bytes, attributes: int | None) -> str:
    """What a further picture is for; empty where neither it nor MPF tells."""
    what = (attributes or 0) >> 16 & 0xFF
    for marker, _, content in _segments(io.BytesIO(picture)):
        is_map = marker == APP2 and content.startswith(ISO_GAIN_MAP)
        if is_map or (marker == APP1 and any(name in content for name in _MAPS)):
            return "map"
    return {_PREVIEW: "preview", _GAIN_MAP: "map", _ORIGINAL: "original"}.get(what, "")


def turned_picture(picture: bytes, turn: Turn) -> bytes:
    """A picture's map, turned as the picture is, as a JPEG of high quality with the map's own metadata.

    Raises ImageError for a map that is larger than its picture, and whatever Pillow does.
    """
    with open_image(io.BytesIO(picture), ["JPEG", "MPO"]) as image:
        if image.width * image.height > turn.width * turn.height:
            raise ImageError("a map larger than its picture")
        check_work(image, io.BytesIO(picture))
        extra = b"".join(
            jpeg_segment(marker, content)
            for marker, _, content in _segments(io.BytesIO(picture))
            if 0xE1 <= marker <= 0xEF and marker != 0xEE
        )
        turned = image.transpose(TURNS[turn.orientation])
        if turned.mode not in ("L", "RGB"):
            turned = turned.convert("RGB")
    file = io.BytesIO()
    for setting in list(turned.info):
        del turned.info[setting]
    turned.save(file, "JPEG", quality=97, subsampling=0, extra=extra)
    return file.getvalue()


def rearranged(behind: Behind, new: dict[int, bytes | None]) -> Behind:
    """With these bytes for each of the pictures, by where they begin; None takes one away."""
    parts, pictures, last, length = [], [], 0, 0
    for picture in behind.pictures:
        between, content = behind.data[last : picture.begin], new[picture.begin]
        last = picture.begin + picture.size
        parts.append(between)
        length += len(between)
        if content is not None:
            pictures.append(replace(picture, begin=length, size=len(content)))
            parts.append(content)
            length += len(content)
    data = b"".join([*parts, behind.data[last:]])
    dropped = len(pictures) < len(behind.pictures)
    return replace(behind, data=b"" if dropped and not data.strip(b"\0") else data, pictures=tuple(pictures))


def write_behind(file: BinaryIO, behind: Behind) -> None:
    """Put what lies behind a JPEG's first picture into a file that holds that one, and into MPF its numbers."""
    size = file.seek(0, 2)
    file.write(behind.data)
    if not behind.listed:
        return
    offset, _ = find_mpf(file)
    file.seek(offset)  # from reading to writing
    file.write(mpf_block(behind, size, offset))
