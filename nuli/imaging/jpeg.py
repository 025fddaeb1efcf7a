"""What a JPEG carries beside its pixels and its EXIF: kept where it stays true, else taken away with every promise."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO

from PIL import JpegImagePlugin

from . import promises
from .behind import (
    ISO_GAIN_MAP,
    MAX_BEHIND,
    MAX_MAPS,
    MAX_PICTURES,
    MPF_PREFIX,
    Behind,
    end_of_picture,
    find_mpf,
    find_pictures,
    read_mpf,
    rearranged,
    turned_picture,
)
from .containers import APP1, jpeg_segment
from .photoshop import PREFIX as PHOTOSHOP_PREFIX
from .photoshop import kept_resources
from .turn import Turn
from .xmp import Packet, XmpError, edited, is_empty

EXIF_PREFIX = b"Exif\0\0"
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
EXTENSION_PREFIX = b"http://ns.adobe.com/xmp/extension/\0"
_OWN = (EXIF_PREFIX, XMP_PREFIX, EXTENSION_PREFIX, PHOTOSHOP_PREFIX, MPF_PREFIX, b"ICC_PROFILE\0")
"""What is written from elsewhere, or put together anew."""
_CHUNK = 65_400  # bytes of extended XMP in a segment


def read_parts(
    image: JpegImagePlugin.JpegImageFile,
    file: BinaryIO | None,
    xmp: bytes,
    turn: Turn | None,
    clean: Callable[[bytes], tuple[bytes, tuple[str, ...]]],
) -> tuple[bytes, dict[str, Any], tuple[str, ...], tuple[str, ...]]:
    """What a JPEG carries, made right for new pixels: XMP, and the fields of Meta that only a JPEG has.

    Also notes for the user, and what is worth keeping and can't be kept, in words.

    Args:
        file: what it lies in; None where what lies behind the picture is not to be had.
        xmp: its packet as `clean` has left it.
        turn: how the pixels are turned, if they are.
        clean: takes stale previews out of a packet and turns what is tied to pixels; says what was lost, too.
    """
    blocks = [(0xE0 + int(name[3:]), data) for name, data in image.applist if name.startswith("APP")]
    photoshop, gone = kept_resources(
        b"".join(data[len(PHOTOSHOP_PREFIX) :] for _, data in blocks if data.startswith(PHOTOSHOP_PREFIX)),
        turn is not None,
    )
    lost = list(gone)
    whole = _extended(blocks, xmp)
    if not whole and any(data.startswith(EXTENSION_PREFIX) for _, data in blocks):
        lost.append("extended XMP that is not whole")
    extended, words = clean(whole)
    lost += words
    xmp, behind, words, previews = _settled(file, xmp, turn)
    lost += words
    has_map = any(picture.kind == "map" for picture in behind.pictures)
    segments = b""
    for marker, data in blocks:
        if marker in (0xE0, 0xEE) or data.startswith(_OWN):
            continue
        if data.startswith(ISO_GAIN_MAP):
            behind = replace(behind, segments=jpeg_segment(marker, data) if has_map else b"")
        elif marker == 0xEB and data.startswith(b"JP"):
            lost.append("content credentials (C2PA)" if b"c2pa" in data else "data in JUMBF boxes")
        elif 0xE3 <= marker <= 0xE5 and data.startswith(b"\xff\xd8\xff"):
            lost.append("a preview of the old picture")
        elif data.startswith(b"FPXR\0"):
            lost.append("FlashPix data, which may show the old picture")
        elif data.startswith(b"SCALADO"):
            pass  # says where pixels lie in the compressed data
        else:
            segments += jpeg_segment(marker, data)
    if extended:
        try:
            extended = b"" if is_empty(extended) else extended
        except XmpError:
            extended = b""
            lost.append("extended XMP that can't be read")
    xmp = edited(xmp, lambda packet: promises.set_extension(packet, _guid(extended)))
    notes = ("previews of the old picture that cameras and viewers use: removed",) * previews
    tables = [tuple(image.quantization.get(table, ())) for *_, table in image.layer]
    fields = {
        "extended": extended,
        "photoshop": photoshop,
        "segments": segments,
        "behind": behind,
        "qtables": tuple(tables) if all(tables) else (),
        # what Pillow cannot write (4:1:1, 4:4:0...) becomes 4:4:4, which loses nothing
        "subsampling": max(0, JpegImagePlugin.get_sampling(image)),
        "progressive": bool(image.info.get("progressive")),
    }
    return xmp, fields, notes, tuple(dict.fromkeys(lost))


def _extended(blocks: list[tuple[int, bytes]], xmp: bytes) -> bytes:
    """The extended XMP that a packet promises, whole; empty where it isn't."""
    try:
        guid = promises.promised_extension(Packet(xmp)).encode() if xmp else b""
    except XmpError:
        return b""
    parts: dict[int, bytes] = {}
    length, head = 0, len(EXTENSION_PREFIX) + 40
    for _, data in blocks:
        if data.startswith(EXTENSION_PREFIX) and len(data) > head and data[head - 40 : head - 8].upper() == guid:
            length, offset = struct.unpack_from(">II", data, head - 8)
            parts.setdefault(offset, data[head:])
    whole = b""
    for offset in sorted(parts):
        if offset == len(whole):
            whole += parts[offset]
    return whole if guid and len(whole) == length else b""


def _guid(extended: bytes) -> str:
    """The name of extended XMP, its MD5 digest; "" where there is none."""
    return hashlib.md5(extended, usedforsecurity=False).hexdigest().upper() if extended else ""


def extended_segments(extended: bytes) -> bytes:
    """Extended XMP as segments."""
    head = EXTENSION_PREFIX + _guid(extended).encode() + struct.pack(">I", len(extended))
    return b"".join(
        jpeg_segment(APP1, head + struct.pack(">I", place) + extended[place : place + _CHUNK])
        for place in range(0, len(extended), _CHUNK)
    )


def _read_behind(file: BinaryIO | None) -> tuple[bytes, int, list[str]]:
    """The bytes behind the first picture, where they begin, and what is lost with them."""
    if file is None:
        return b"", 0, []
    size = file.seek(0, 2)
    file.seek(0)
    end = end_of_picture(file)
    if end is None or end == size:
        return b"", size, []
    if size - end > MAX_BEHIND:
        return b"", end, [f"{size - end >> 20} MB behind the picture, over the limit of {MAX_BEHIND >> 20}"]
    file.seek(end)
    return file.read(), end, []


def _settled(file: BinaryIO | None, xmp: bytes, turn: Turn | None) -> tuple[bytes, Behind, list[str], bool]:
    """XMP and what lies behind the picture, so that one promises what the other holds.

    Also what is lost, in words, and whether there were previews.
    """
    data, end, lost = _read_behind(file)
    base, block = find_mpf(file) if file else (0, b"")
    base, entries = base - end, read_mpf(block)
    try:
        packet = Packet(xmp) if xmp else None
    except XmpError:
        packet = None
        if data or b"/photos/1.0/" in xmp or b"/hdr-gain-map/" in xmp:
            xmp = b""
            lost.append("XMP that can't be read")
    items = [] if packet is None else promises.listed_items(packet)
    if packet is not None and len(items) > MAX_PICTURES:
        promises.remove_container(packet)
        items = []
    named = [(item.begin, item.length, item.semantic) for item in items if item.is_image]
    pictures = find_pictures(data, [(a, size, base + offset) for a, size, offset in entries[1:]], named[1:])
    behind = Behind(data, pictures, entries[0][0] if entries else Behind.attributes)
    maps = [picture for picture in pictures if picture.kind == "map"]
    new: dict[int, bytes | None] = {}
    for picture in pictures:
        content = data[picture.begin : picture.begin + picture.size]
        if picture.kind in ("preview", "other"):
            content = None
        elif picture.kind == "map" and turn:
            content = _turned(content, turn) if picture in maps[:MAX_MAPS] else None
            if content is None:
                lost.append("a gain map or depth map that could not be turned")
        new[picture.begin] = content
    others = sum(picture.kind == "other" for picture in pictures)
    if others:
        lost.append(f"{others} more {'picture' if others == 1 else 'pictures'} behind the first")
    if packet is not None:
        _promise(packet, items, behind, new)
        xmp = packet.result()
    previews = any(picture.kind == "preview" for picture in pictures)
    return xmp, rearranged(behind, new), lost, previews


def _turned(picture: bytes, turn: Turn) -> bytes | None:
    """A map turned with its picture; None where it can't be read."""
    try:
        return turned_picture(picture, turn)
    except Exception:  # Pillow's reading of untrusted data may end in any way
        return None


def _promise(packet: Packet, items: list[promises.Item], behind: Behind, new: dict[int, bytes | None]) -> None:
    """Correct what a packet says of the things behind the picture, of which `new` has the new pictures (see
    `rearranged`)."""
    free, size, kept = list(behind.pictures), len(behind.data), False
    motion = size > 0
    if items and items[0].length:
        packet.set(items[0].fields["Length"], "0")  # the first picture gets another length, and none is needed
    for number, item in enumerate(items[1:], 1):
        if not item.is_image:
            rest = sum(later.length + later.padding for later in items[number:])
            if 0 < size >= rest:
                kept = True
            else:
                promises.remove_item(packet, item)
                motion = motion and item.semantic != "MotionPhoto"
            continue
        fits = [p for p in free if p.begin == item.begin] or [p for p in free if p.size == item.length]
        if not fits and item.semantic == "GainMap":
            fits = [p for p in free if p.kind == "map"]
        if not fits or (content := new[fits[0].begin]) is None:
            promises.remove_item(packet, item)
        else:
            kept = True
            if "Length" in item.fields:
                packet.set(item.fields["Length"], str(len(content)))
        free = [p for p in free if p not in fits[:1]]
    if not any(p.kind == "map" and new[p.begin] is not None for p in behind.pictures):
        promises.remove_gain_map(packet)
    if items and not kept:
        promises.remove_container(packet)
    offset = promises.video_offset(packet)
    if offset > size or not motion:
        promises.remove_motion(packet)
    elif offset:
        later = (p for p in behind.pictures if p.begin >= size - offset)
        promises.set_video_offset(packet, offset + sum(len(new[p.begin] or b"") - p.size for p in later))
