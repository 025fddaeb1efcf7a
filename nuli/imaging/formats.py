"""File formats: which there are, and how a picture is written in each, with its metadata."""

from __future__ import annotations

import os
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image, PngImagePlugin, features

from ..errors import ImageError
from . import generation
from .behind import MPF_PREFIX, mpf_block, write_behind
from .containers import APP1, APP2, APP13, SEGMENT_ROOM, jpeg_segment, split_segments
from .exif import ORIENTATION, PHOTOSHOP_TAG, XMP_TAG, fields_of, pack_block, pack_fields
from .jpeg import EXIF_PREFIX, XMP_PREFIX, extended_segments
from .metadata import XMP_KEYWORD, Meta, icc_for, without_promises
from .photoshop import PREFIX as PHOTOSHOP_PREFIX
from .tags import TRANSFER, colour_chunks, insert_png_chunks, set_nclx
from .xmp import without_padding

EXTENSIONS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **{".png": "PNG", ".webp": "WEBP", ".avif": "AVIF", ".bmp": "BMP", ".gif": "GIF"},
}
_READ_ONLY = {".gif", ".mpo"}
ALPHA = "alpha"
"""Named as a mask: the picture's own transparency."""
NO_ALPHA = {"JPEG", "BMP"}
DEEP = {"PNG", "TIFF"}  # hold 16 bits of grey
LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_536}
_LOSSLESS_TIFF = {"raw", "packbits", "tiff_lzw", "tiff_deflate", "tiff_adobe_deflate", "lzma", "zstd"}


def can_write(path: str | os.PathLike) -> bool:
    """Whether `save_photo` knows the extension, with this Pillow."""
    return Path(path).suffix.lower() in _writable()


def readable_formats() -> list[str]:
    """Pillow's names of the formats that are read: others that it knows run programs (EPS) or hold no photos."""
    Image.init()
    return [kind for kind in dict.fromkeys(EXTENSIONS.values()) if kind in Image.OPEN]


def _writable() -> dict[str, str]:
    """The extensions that can be written with this Pillow, and the format of each."""
    Image.init()
    return {e: kind for e, kind in EXTENSIONS.items() if kind in Image.SAVE and e not in _READ_ONLY}


def format_to_write(path: Path) -> str:
    """Pillow's name of the format that an extension asks for. Raises ImageError."""
    extension, possible = path.suffix.lower(), _writable()
    if extension not in possible:
        hint = "256 colours spoil a photo, use .png" if extension == ".gif" else "choose another extension"
        raise ImageError(f"cannot write {extension or 'without extension'}: {hint} (of {' '.join(possible)})")
    return possible[extension]


def write_image(image: Image.Image, file: BinaryIO, kind: str, meta: Meta) -> None:
    """Write an image in one of Pillow's formats, with metadata. A JPEG that can't be progressive becomes baseline."""
    exif, text, _ = exif_and_text(meta, kind)
    meta = replace(meta, exif=exif, text=text)
    if kind != "JPEG":
        meta = replace(meta, xmp=without_promises(meta.xmp))
    options = _save_options(meta, kind, image.mode)
    try:
        image.save(file, kind, **options)
    except OSError as error:
        if error.errno or not options.pop("progressive", False):
            raise
        # Pillow gives progressive JPEG two bytes a pixel, and fails where noise needs more
        file.seek(0)
        file.truncate()
        image.save(file, kind, **options)
    if kind == "TIFF":
        _add_tiff_fields(file, meta)
    elif kind == "JPEG":
        write_behind(file, meta.behind)
    elif kind == "PNG":
        insert_png_chunks(file, colour_chunks(meta.tags, meta.format == kind, bool(meta.icc)))
    elif kind == "AVIF" and meta.tags.cicp:
        set_nclx(file, meta.tags.cicp)


def exif_and_text(meta: Meta, kind: str) -> tuple[bytes, generation.Text, tuple[str, ...]]:
    """EXIF and text to write in a format, and the keywords of text that it has no place for: what image generators say
    goes where their readers look."""
    exif = meta.exif
    if meta.format == "TIFF" != kind and (fields := fields_of(exif)).pop(TRANSFER, None):
        exif = pack_block(fields.values())  # without a large table, which the profile has now
    if kind == "PNG":
        known = {key for key, _ in meta.text}
        found = generation.from_exif(meta.exif) if meta.format != kind else ()
        return exif, (*meta.text, *(pair for pair in found if pair[0] not in known)), ()
    if kind == "BMP":
        return b"", (), tuple(dict.fromkeys(key for key, _ in meta.text))
    exif, left = generation.to_exif(exif, meta.text)
    return exif, (), left


def _save_options(meta: Meta, kind: str, mode: str) -> dict[str, Any]:
    """What Pillow's save wants to hear, to write an image of a mode in a format with this metadata."""
    options: dict[str, Any] = {"icc_profile": icc_for(meta, mode, kind)}
    if meta.dpi:
        options["dpi"] = meta.dpi
    if kind == "JPEG":
        options |= _jpeg_options(meta, mode)
    elif kind == "PNG":
        options |= {"pnginfo": _png_chunks(meta), "exif": meta.exif}
    elif kind == "WEBP":
        options |= {"lossless": True, "exact": True} if meta.lossless else {"quality": 95}
        options |= {"exif": meta.exif, "xmp": meta.xmp}
    elif kind == "AVIF":
        # an orientation, Pillow would take out itself, and on the way spoil text that is not ASCII
        fields = fields_of(meta.exif)
        fields.pop(ORIENTATION, None)
        options |= {"quality": 90, "exif": pack_block(fields.values()), "xmp": meta.xmp}
    elif kind == "TIFF":
        options |= _tiff_options(meta)
    return options


def _add_tiff_fields(file: BinaryIO, meta: Meta) -> None:
    """Put EXIF and XMP into a TIFF that Pillow has just written, by a new directory at its end.

    Pillow itself cannot write nested directories into a compressed TIFF, and spoils text that is not ASCII.
    """
    fields = fields_of(meta.exif)
    if meta.photoshop:
        fields[PHOTOSHOP_TAG] = (PHOTOSHOP_TAG, 1, len(meta.photoshop), meta.photoshop)
    if meta.xmp:
        fields[XMP_TAG] = (XMP_TAG, 1, len(meta.xmp), meta.xmp)
    if not fields:
        return
    file.seek(4)
    file.seek(*struct.unpack("<I", file.read(4)))
    (count,) = struct.unpack("<H", file.read(2))
    # four bytes each, value or offset alike: the data that they point at stays where it is
    own_fields = {field[0]: field for field in struct.iter_unpack("<HHI4s", file.read(12 * count))}
    end = file.seek(0, 2)
    end += file.write(bytes(end % 2))  # directories lie at even places
    file.write(pack_fields(sorted((fields | own_fields).values()), end))
    file.seek(4)
    file.write(struct.pack("<I", end))


def _png_chunks(meta: Meta) -> PngImagePlugin.PngInfo:
    """XMP and text as the chunks of a PNG."""
    chunks = PngImagePlugin.PngInfo()
    if meta.xmp:
        chunks.add_itxt(XMP_KEYWORD, meta.xmp)
    for key, value in meta.text:
        chunks.add_text(key, value)
    return chunks


def _jpeg_options(meta: Meta, mode: str) -> dict[str, Any]:
    """Options of Pillow\'s save for a JPEG; without quantization tables that fit the mode, those of quality 95."""
    extra = split_segments(APP1, EXIF_PREFIX, meta.exif)
    if xmp := fitting_xmp(meta.xmp):
        extra += jpeg_segment(APP1, XMP_PREFIX + xmp) + extended_segments(meta.extended)
    if meta.behind.listed:
        block = mpf_block(meta.behind, 0, 0)  # its numbers come once the picture is written
        extra += jpeg_segment(APP2, MPF_PREFIX + block)
    extra += meta.behind.segments + meta.segments + split_segments(APP13, PHOTOSHOP_PREFIX, meta.photoshop)
    options: dict[str, Any] = {"extra": extra, "comment": meta.comment[:SEGMENT_ROOM]}
    if len(meta.qtables) != len(mode):  # "L" or "RGB"
        return options | {"quality": 95, "subsampling": 0}
    tables = [list(table) for table in meta.qtables]
    while tables[-1:] == tables[-2:-1]:  # Pillow gives the last table to all components that follow
        tables.pop()
    return options | {"qtables": tables, "subsampling": meta.subsampling, "progressive": meta.progressive}


def fitting_xmp(xmp: bytes) -> bytes:
    """XMP as far as a segment of a JPEG can hold it: without its padding, or not at all."""
    room = SEGMENT_ROOM - len(XMP_PREFIX)
    return next((packet for packet in (xmp, without_padding(xmp)) if len(packet) <= room), b"")


def _tiff_options(meta: Meta) -> dict[str, Any]:
    """Options of Pillow\'s save for a TIFF: the compression that it had where that is lossless, else Deflate."""
    if meta.compression in _LOSSLESS_TIFF:
        compression = meta.compression
    else:
        compression = "tiff_adobe_deflate" if features.check("libtiff") else "raw"
    # the predictor, difference to the pixel before, makes far smaller photos
    return {"compression": compression, "tiffinfo": {} if compression in ("raw", "packbits") else {317: 2}}
