"""What PNG, WebP, AVIF and TIFF hold besides a picture that new pixels are not given, in words for the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from PIL import Image

from .structure import MAX_PARTS

_WEBP_CHUNKS = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP "}
_META_ROOM = 1 << 22  # bytes of an AVIF's description that are looked at
_C2PA_BOX = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
_AUXILIARY = re.compile(rb"auxC\0\0\0\0([ -~]{1,100})")
_ALPHA = {b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha", b"urn:mpeg:hevc:2015:auxid:1"}
_TIFF_TAGS = {330: "further pictures (SubIFDs)", 37724: "Photoshop's layers", 52545: "content credentials (C2PA)"}


def left_beside(image: Image.Image, stream: BinaryIO | None) -> tuple[str, ...]:
    """What a file holds besides its picture and its metadata.

    Args:
        image: a loaded image.
        stream: its file, where there is one.
    """
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        return tuple(words for tag, words in _TIFF_TAGS.items() if tag in tags)
    look = _LOOKS.get(image.format or "")
    return tuple(dict.fromkeys(look(stream))) if look and stream else ()


def _behind_png(stream: BinaryIO) -> Iterator[str]:
    place, size = 8, stream.seek(0, 2)
    while place < size:
        stream.seek(place)
        head = stream.read(8)
        place += 12 + int.from_bytes(head[:4], "big")
        if head[4:] == b"IEND":
            if place < size:
                yield "bytes behind the picture"
            return


def _in_webp(stream: BinaryIO) -> Iterator[str]:
    size = stream.seek(0, 2)
    stream.seek(4)
    end = min(size, 8 + int.from_bytes(stream.read(4), "little"))
    place = 12
    for _ in range(MAX_PARTS):
        if place + 8 > end:
            break
        stream.seek(place)
        head = stream.read(8)
        if head[:4] not in _WEBP_CHUNKS:
            is_c2pa = head[:4] == b"C2PA"
            yield "content credentials (C2PA)" if is_c2pa else f"WebP chunk {head[:4].decode('ascii', 'replace')}"
        length = int.from_bytes(head[4:], "little")
        place += 8 + length + length % 2
    if end + end % 2 < size:
        yield "bytes behind the picture"


def _in_avif(stream: BinaryIO) -> Iterator[str]:
    place = 0
    for _ in range(1024):
        stream.seek(place)
        head = stream.read(24)
        size, begin = int.from_bytes(head[:4], "big"), 8
        if size == 1:
            size, begin = int.from_bytes(head[8:16], "big"), 16
        if head[4:8] == b"uuid" and head[begin : begin + 16] == _C2PA_BOX[: len(head) - begin]:
            yield "content credentials (C2PA)"
        if head[4:8] == b"meta":
            stream.seek(place)
            meta = stream.read(min(size, _META_ROOM) if size else _META_ROOM)
            if re.search(rb"infe.{8,10}tmap", meta, re.DOTALL):
                yield "a gain map (HDR)"
            elif any(kind not in _ALPHA for kind in _AUXILIARY.findall(meta)):
                yield "auxiliary pictures (a gain map or depth map)"
        if size < 8 or place + size >= 1 << 62:
            break
        place += size


_LOOKS: dict[str, Callable[[BinaryIO], Iterator[str]]] = {"PNG": _behind_png, "WEBP": _in_webp, "AVIF": _in_avif}


def has_preview(text: str) -> bool:
    """Whether a PNG's text is a block of metadata in hexadecimal digits, as ImageMagick writes them, that holds a
    preview."""
    digits = "".join(text.split()).lower()
    return "ffd8ff" in digits or b"xmpGImg".hex() in digits
