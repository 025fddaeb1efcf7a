"""Colours told outside an ICC profile: PNG's chunks, AVIF's nclx, TIFF's and EXIF's tags; read, and kept in a file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ..errors import ImageError
from .containers import avif_description, boxes, png_chunks
from .exif import fields_of, nested_fields
from .icc import ADOBE_GAMMA, ADOBE_RGB, SRGB, Colours, of_cicp

COLOUR_CHUNKS = {b"cICP": 4, b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"mDCV": 24, b"cLLI": 8}
"""PNG's chunks of colour (PNG, third edition, 11.3.2), and their lengths."""
TRANSFER = 301
"""TIFF's tag of a table of light over code values."""
_HDR = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class Tags:
    """What a file says about its colours beside a profile, and how it can be kept."""

    colours: Colours | None = None
    """What to say of them in a profile, where one is needed; None: sRGB, or nothing is said, or no profile can."""
    cicp: tuple[int, int] | None = None
    """Primaries and transfer function by ITU-T H.273, of full-range RGB."""
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    """PNG's, as they were."""
    untold: str = ""
    """Why no profile can say it, in words: HDR."""
    bits: int = 8
    """Of a colour in the file."""


def read_tags(image: Image.Image, stream: BinaryIO | None, exif: bytes, has_icc: bool) -> Tags:
    """What a loaded image, and the file that it came from, say about its colours besides a profile.

    Args:
        exif: its block, bare.
        has_icc: whether there is a profile; PNG's cICP goes before it, all else behind.
    """
    if image.format == "PNG":
        tags = _png(tuple(_chunks(stream) if stream else _told_by_pillow(image.info)), has_icc)
    elif image.format == "AVIF" and stream:
        tags = _avif(stream, has_icc)
    else:
        tags = Tags()
    if tags.colours or tags.cicp or tags.chunks or has_icc:
        return tags
    colours = _of_exif(exif, image.format == "TIFF")
    return Tags(None if colours and colours.is_srgb else colours, bits=tags.bits)


# ---------------------------------------------------------------- PNG


def _chunks(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """Name and data of the chunks of colour of a PNG; of equal ones, the first counts."""
    seen: set[bytes] = set()
    for name, _, length in png_chunks(stream):
        if name not in seen and COLOUR_CHUNKS.get(name) == length and len(data := stream.read(length)) == length:
            seen.add(name)
            yield name, data
        if name == b"IEND":
            return


def _told_by_pillow(info: dict[Any, Any]) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of colour that Pillow tells of in an image without its file."""
    with suppress(Exception):  # whoever made the image may have put anything there
        if isinstance(info.get("srgb"), int):
            yield b"sRGB", bytes([info["srgb"]])
        if isinstance(info.get("gamma"), float):
            yield b"gAMA", struct.pack(">I", round(info["gamma"] * 100_000))
        if isinstance(info.get("chromaticity"), tuple):
            yield b"cHRM", struct.pack(">8I", *(round(value * 100_000) for value in info["chromaticity"]))


def _png(chunks: tuple[tuple[bytes, bytes], ...], has_icc: bool) -> Tags:
    """What chunks say: cICP before iCCP, that before sRGB, and that before gAMA and cHRM."""
    told, colours, cicp, untold = dict(chunks), None, None, ""
    if b"cICP" in told:
        primaries, transfer, matrix, full = told[b"cICP"]
        if matrix or not full:
            untold = "colours of a narrow range"
        else:
            cicp = primaries, transfer
            colours, untold = _meaning(cicp)
    elif not has_icc and b"sRGB" not in told:
        colours = _of_gamma(told)
    return Tags(colours, cicp, chunks, untold)


def _of_gamma(told: dict[bytes, bytes]) -> Colours | None:
    """The colours of gAMA and cHRM; None for sRGB's, or those within 5 % of its gamma, as libpng has it."""
    gamma = struct.unpack(">I", told.get(b"gAMA", bytes(4)))[0] / 100_000
    points = [value / 100_000 for value in struct.unpack(">8I", told.get(b"cHRM", bytes(32)))]
    colours = Colours(tuple(points) if all(points) else SRGB)
    if 0.01 < gamma < 10 and not 0.95 < gamma * 2.2 < 1.05:
        return Colours(colours.chromaticities, (1 / gamma,))
    return None if colours.is_srgb else colours


def _meaning(cicp: tuple[int, int]) -> tuple[Colours | None, str]:
    """What two numbers of ITU-T H.273 stand for: colours, None for sRGB; or why no profile can say it."""
    colours = of_cicp(*cicp)
    if colours is None:
        kind = _HDR.get(cicp[1])
        return None, f"HDR ({kind})" if kind else f"colours of number {cicp[0]} with curve {cicp[1]} (ITU-T H.273)"
    return (None if colours.is_srgb else colours), ""


def colour_chunks(tags: Tags, same_format: bool, has_icc: bool) -> bytes:
    """The chunks of colour to write in a PNG: as they were, or what says the same. Beside an AVIF's own profile
    (`has_icc`), its numbers count for nothing, and would go before it in a PNG."""
    chunks = tags.chunks if same_format else ()
    if not same_format and not has_icc and tags.cicp and max(tags.cicp) < 256:
        chunks = ((b"cICP", bytes([*tags.cicp, 0, 1])),)
    framed = (struct.pack(">I", len(data)) + name + data for name, data in chunks)
    return b"".join(chunk + struct.pack(">I", zlib.crc32(chunk[4:])) for chunk in framed)


def insert_png_chunks(file: BinaryIO, chunks: bytes) -> None:
    """Put chunks behind the head of a PNG that Pillow has just written: it knows only some of them."""
    place, block = 8 + 25, 1 << 20
    end = file.seek(0, 2)
    while chunks and end > place:  # from the end on, so that the rest moves without a copy of all
        start = max(place, end - block)
        file.seek(start)
        part = file.read(end - start)
        file.seek(start + len(chunks))
        file.write(part)
        end = start
    file.seek(place)
    file.write(chunks)
    file.seek(0, 2)


# ---------------------------------------------------------------- AVIF


def avif_properties(stream: BinaryIO) -> list[tuple[bytes, bytes, int]]:
    """Kind, data and position in the file of each property of an AVIF's first picture (ISO/IEC 23008-12, 9.3).

    Untrusted: what is damaged is left out, and the work is bounded by the size of the description.
    """
    meta, place = avif_description(stream)
    found: list[tuple[bytes, bytes, int]] = []
    with suppress(KeyError, IndexError, struct.error):
        file = BytesIO(meta)
        parts = {kind: (start, end) for kind, start, end in boxes(file, 4, len(meta))}
        start, _ = parts[b"pitm"]
        wide = meta[start] > 0
        (first,) = struct.unpack_from(">I" if wide else ">H", meta, start + 4)
        inner = {kind: span for kind, *span in boxes(file, *parts[b"iprp"])}
        properties = list(boxes(file, *inner[b"ipco"]))
        at, end = inner[b"ipma"]
        version, flags = meta[at], meta[at + 3]
        (count,) = struct.unpack_from(">I", meta, at + 4)
        at += 8
        index, mask = (">H", 0x7FFF) if flags & 1 else (">B", 0x7F)
        for _ in range(count):
            (item,) = struct.unpack_from(">I" if version else ">H", meta, at)
            at += 4 if version else 2
            (uses,) = struct.unpack_from(">B", meta, at)
            at += 1
            for _ in range(uses):
                number = struct.unpack_from(index, meta, at)[0] & mask
                at += struct.calcsize(index)
                if item == first and 0 < number <= len(properties) and at <= end:
                    kind, begin, stop = properties[number - 1]
                    found.append((kind, meta[begin:stop], place + begin))
            if at > end or item == first:
                break
    return found


def _avif(stream: BinaryIO, has_icc: bool) -> Tags:
    """What an AVIF's first picture says: nclx, and bits of a colour."""
    cicp, bits = None, 8
    for kind, data, _ in avif_properties(stream):
        if kind == b"colr" and data[:4] == b"nclx" and len(data) >= 11 and not cicp:
            cicp = struct.unpack_from(">HH", data, 4)
        elif kind == b"pixi" and len(data) > 5:
            bits = max(data[5 : 5 + data[4]])
    colours, untold = _meaning(cicp) if cicp and not has_icc else (None, "")
    return Tags(colours, cicp, untold=untold, bits=bits)


def set_nclx(file: BinaryIO, cicp: tuple[int, int]) -> None:
    """Name primaries and transfer function in an AVIF that Pillow has just written, which always says sRGB's; the
    matrix and the range are those that it wrote the pixels with. Raises ImageError where there is no place."""
    place = next((at for kind, data, at in avif_properties(file) if kind == b"colr" and data[:4] == b"nclx"), None)
    if place is None:
        raise ImageError("this Pillow writes no colours that could be named in an AVIF: write .png")
    file.seek(place + 4)
    file.write(struct.pack(">HH", *cicp))
    file.seek(0, 2)


# ---------------------------------------------------------------- TIFF and EXIF


def _of_exif(exif: bytes, is_tiff: bool) -> Colours | None:
    """The colours that EXIF names by DCF's "R03", Adobe RGB; and of a TIFF, those of its own tags (TIFF 6.0, 20)."""
    fields = fields_of(exif)

    def rationals(tag: int, count: int) -> list[float]:
        _, kind, values, data = fields.get(tag, (0, 0, 0, b""))
        numbers = np.frombuffer(data, "<u4").astype(float) if kind == 5 and values == count else np.zeros(0)
        return list(numbers[::2] / np.maximum(numbers[1::2], 1))

    camera = nested_fields(fields, 0x8769)
    space = camera.get(0xA001, (0, 0, 0, b""))[3][:2]
    if nested_fields(camera, 0xA005).get(1, (0, 0, 0, b""))[3].startswith(b"R03") and space != b"\1\0":
        return Colours(ADOBE_RGB, (ADOBE_GAMMA,))
    if not is_tiff:
        return None
    white, primaries = rationals(318, 2) or list(SRGB[:2]), rationals(319, 6) or list(SRGB[2:])
    _, kind, count, table = fields.get(TRANSFER, (0, 0, 0, b""))
    if kind == 3 and count >= 256:
        samples = np.frombuffer(table, "<u2")
        samples = samples[: count // 3 if count in (3 * 256, 3 * 65_536) else count]
        picked = samples[np.linspace(0, len(samples) - 1, min(len(samples), 1024)).round().astype(int)]
        return Colours((*white, *primaries), tuple(picked / 65_535))
    return Colours((*white, *primaries)) if 318 in fields or 319 in fields else None
