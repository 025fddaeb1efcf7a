"""What PNG, WebP, AVIF and TIFF hold besides a picture that new pixels are not given, in words for the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from PIL import Image

from .containers import avif_description, boxes, png_chunks, webp_chunks, webp_end
from .tags import COLOUR_CHUNKS, avif_properties

# what Pillow reads and `formats` writes, and what speaks of the old pixels alone; sBIT: new pixels fill all bits
_PNG_CHUNKS = set(b"IHDR PLTE IDAT IEND tRNS iCCP eXIf pHYs tEXt zTXt iTXt tIME hIST sBIT bKGD sPLT".split())
_PNG_CHUNKS |= {b"acTL", b"fcTL", b"fdAT"}  # frames, which are told by themselves
_WEBP_CHUNKS = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP", b"EXIF", b"XMP "}
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


def _in_png(file: BinaryIO) -> Iterator[str]:
    size, names = file.seek(0, 2), set()
    for name, place, length in png_chunks(file):
        names.add(name)
        if name == b"IEND":
            if place + length + 4 < size:
                yield "bytes behind the picture"
            break
    # whoever made a chunk that nobody knows allows copying it by a small last letter (PNG, 5.4); its place may matter
    unknown = sorted(names - COLOUR_CHUNKS.keys() - _PNG_CHUNKS)
    yield from (f"PNG chunk {name.decode('ascii', 'replace')}" for name in unknown[:20])


def _in_webp(file: BinaryIO) -> Iterator[str]:
    for name, _, _ in webp_chunks(file):
        if name == b"C2PA":
            yield "content credentials (C2PA)"
        elif name not in _WEBP_CHUNKS:
            yield f"WebP chunk {name.decode('ascii', 'replace')}"
    end = webp_end(file)
    if end + end % 2 < file.seek(0, 2):
        yield "bytes behind the picture"


def _in_avif(file: BinaryIO) -> Iterator[str]:
    for kind, start, _ in boxes(file, 0, file.seek(0, 2)):
        file.seek(start)
        if kind == b"uuid" and file.read(16) == _C2PA_BOX:
            yield "content credentials (C2PA)"
    description, _ = avif_description(file)
    if re.search(rb"infe.{8,10}tmap", description, re.DOTALL):
        yield "a gain map (HDR)"
    elif any(kind not in _ALPHA for kind in _AUXILIARY.findall(description)):
        yield "auxiliary pictures (a gain map or depth map)"
    for kind, _, _ in avif_properties(file):
        if kind in (b"clli", b"mdcv", b"cclv", b"amve"):
            yield f"light levels ({kind.decode()})"


_LOOKS: dict[str, Callable[[BinaryIO], Iterator[str]]] = {"PNG": _in_png, "WEBP": _in_webp, "AVIF": _in_avif}


def has_preview(text: str) -> bool:
    """Whether a PNG's text is a block of metadata in hexadecimal digits, as ImageMagick writes them, that holds a
    preview."""
    digits = "".join(text.split()).lower()
    return "ffd8ff" in digits or b"xmpGImg".hex() in digits
