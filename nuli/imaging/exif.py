"""EXIF blocks and TIFF directories: changed in place where other data hold offsets, or read and packed anew."""

import io
import struct
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np

ORIENTATION, X_RESOLUTION, XMP_TAG, PHOTOSHOP_TAG = 0x0112, 282, 700, 34377
_STRIP_OFFSETS, _STRIP_LENGTHS, _JPEG_OFFSET, _JPEG_LENGTH = 273, 279, 513, 514
BYTE_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
# TIFF field types: bytes in one value, bytes in the units that byte order swaps
FIELD_TYPES = {1: (1, 1), 2: (1, 1), 3: (2, 2), 4: (4, 4), 5: (8, 4), 6: (1, 1), 7: (1, 1)}
FIELD_TYPES |= {8: (2, 2), 9: (4, 4), 10: (8, 4), 11: (4, 4), 12: (8, 8), 13: (4, 4)}
INTEGERS = {1: "B", 3: "H", 4: "I"}
"""Types of unsigned numbers, as `struct` names them."""
_NESTED = {0x8769, 0x8825, 0xA005}  # the EXIF, GPS and interoperability directories
_FIELD_ROOM = 1 << 24  # bytes of fields that one file may fill: many fields can point at the same data
# TIFF tags that say how the pixels of one file lie in it (or that have a place of their own in Meta):
# strips, tiles, JPEG thumbnails, colour maps, XMP, Photoshop's layers, ICC, and what makes a TIFF a DNG
_STRUCTURE = {262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291, 292, 293, 317}
_STRUCTURE |= {*range(254, 260), *range(320, 348), *range(512, 522), *range(529, 533), XMP_TAG}
_STRUCTURE |= {PHOTOSHOP_TAG, 34675, 37724, *range(50706, 52600)}

_Span = tuple[int, int]  # where bytes begin, and where they end
Field = tuple[int, int, int, Any]  # tag, type, count, and its bytes or the fields of a nested directory


def upright_exif(exif: bytes) -> tuple[bytes, int]:
    """An EXIF block with its orientation set to 1, and the orientation (1 to 8) that it asked for.

    Only the value itself changes: rewriting the block would break MakerNotes, which hold offsets into it.
    """
    order = BYTE_ORDERS.get(exif[:4])
    target, orientation = bytearray(exif), 1
    with suppress(struct.error):  # cut short: what was read up to there holds
        if order:
            for tag, kind, values, place in entries(exif, order, *struct.unpack_from(order + "I", exif, 4)):
                if tag == ORIENTATION and values == 1 and kind in INTEGERS:
                    (value,) = struct.unpack_from(order + INTEGERS[kind], exif, place)
                    if 2 <= value <= 8:
                        struct.pack_into(order + INTEGERS[kind], target, place, 1)
                        orientation = value
    return bytes(target), orientation


def drop_thumbnail(exif: bytes) -> bytes:
    """An EXIF block without its thumbnail, which shows the picture as it was, and how it was turned, before a change.

    The link to the thumbnail's directory (IFD1) becomes 0, and its own bytes are cut off at the end of the block or
    zeroed within it. All else stays where it is, whatever the offsets claim: MakerNotes hold offsets too.
    """
    order = BYTE_ORDERS.get(exif[:4])
    with suppress(struct.error):  # cut short: there is no whole link, and nothing that could be followed
        if order:
            (start,) = struct.unpack_from(order + "I", exif, 4)
            (count,) = struct.unpack_from(order + "H", exif, start)
            link = start + 2 + 12 * count
            (directory,) = struct.unpack_from(order + "I", exif, link)
            spans = _merged(_spans_in_use(exif, order, start), len(exif))
            # some programs write no link, and have data in its place
            if directory and all(end <= link or begin >= link + 4 for begin, end in spans):
                target = bytearray(exif)
                target[link : link + 4] = bytes(4)
                return _erased(exif, target, _merged(_thumbnail_spans(exif, order, directory), len(exif)), spans, link)
    return exif


def _erased(exif: bytes, target: bytearray, own: list[_Span], in_use: list[_Span], link: int) -> bytes:
    """A changed EXIF block without the spans of a thumbnail's own bytes, the spans in use as they were."""
    for begin, end in own:
        target[begin:end] = bytes(end - begin)
    for begin, end in in_use:
        target[begin:end] = exif[begin:end]
    if own and not any(exif[own[-1][1] :]):  # at the end, but for padding
        del target[max(own[-1][0], link + 4, *(end for _, end in in_use)) :]
    return bytes(target)


def entries(exif: bytes, order: str, start: int) -> Iterator[tuple[int, int, int, int]]:
    """Tag, type, count, and place of the value, of each field of a directory, as far as there are any."""
    with suppress(struct.error):
        (count,) = struct.unpack_from(order + "H", exif, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, values = struct.unpack_from(order + "HHI", exif, at)
            place = at + 8
            if FIELD_TYPES.get(kind, (0, 1))[0] * values > 4:
                (place,) = struct.unpack_from(order + "I", exif, at + 8)
            yield tag, kind, values, place


def _spans_in_use(exif: bytes, order: str, start: int, nested: frozenset[int] = frozenset(_NESTED)) -> Iterator[_Span]:
    """Where the header, a directory, those nested in it, and their values lie; the directory's own link left out."""
    yield 0, 8
    fields, followed = 0, set()
    for tag, kind, values, place in entries(exif, order, start):
        fields += 1
        yield place, place + FIELD_TYPES.get(kind, (0, 1))[0] * values
        if tag in nested and tag not in followed and values == 1:
            followed.add(tag)  # once only: the work is bounded
            with suppress(struct.error):
                (inner,) = struct.unpack_from(order + "I", exif, place)
                yield from _spans_in_use(exif, order, inner, nested - {tag})
    yield start, start + 2 + 12 * fields


def _thumbnail_spans(exif: bytes, order: str, directory: int) -> Iterator[_Span]:
    """Where the bytes of the picture lie that a directory describes: one JPEG, or strips of pixels."""
    fields = {tag: field for tag, *field in entries(exif, order, directory)}

    def numbers(tag: int) -> Iterator[int]:
        """The values of a field, as far as they are there and of a type for offsets."""
        kind, values, place = fields.get(tag, (0, 0, 0))
        if layout := {3: "H", 4: "I"}.get(kind):
            with suppress(struct.error):  # claims more than there is
                for i in range(values):
                    yield struct.unpack_from(order + layout, exif, place + i * struct.calcsize(layout))[0]

    for begin, length in zip(numbers(_JPEG_OFFSET), numbers(_JPEG_LENGTH), strict=False):
        if exif[begin : begin + 2] == b"\xff\xd8":  # else it is no thumbnail, and may be anything
            yield begin, begin + length
    for begin, length in zip(numbers(_STRIP_OFFSETS), numbers(_STRIP_LENGTHS), strict=False):
        yield begin, begin + length


def _merged(spans: Iterator[_Span], size: int) -> list[_Span]:
    """Spans within 0..size, in order, those that overlap or touch made one: work on them is bounded by the size."""
    merged: list[_Span] = []
    for begin, end in sorted((begin, min(end, size)) for begin, end in spans if begin < min(end, size)):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        else:
            merged.append((begin, end))
    return merged


def read_fields(stream: BinaryIO) -> list[Field]:
    """The fields of a TIFF file or EXIF block that describe the picture, made little-endian.

    Untrusted: what is damaged or out of bounds is left out, and the work is bounded.
    """
    stream.seek(0)
    head = stream.read(8)
    order = BYTE_ORDERS.get(head[:4])
    if order is None or len(head) < 8:
        return []
    room = _FIELD_ROOM

    def number(raw: bytes) -> int:
        """An unsigned number in the byte order of the file."""
        return int.from_bytes(raw, "little" if order == "<" else "big")

    def directory(start: int, nested: set[int]) -> list[Field]:
        """The fields of a directory, sorted; those among `nested` hold the fields of the one that they point at."""
        nonlocal room
        stream.seek(start)
        table = stream.read(12 * number(stream.read(2)))
        fields: dict[int, Field] = {}
        for tag, kind, count, value in struct.iter_unpack(order + "HHI4s", table[: len(table) // 12 * 12]):
            size, unit = FIELD_TYPES.get(kind, (0, 1))
            if tag in fields or tag in _STRUCTURE or not 0 < size * count <= room:
                continue
            if tag in nested:
                fields[tag] = (tag, 4, 1, directory(number(value), nested - {tag}))
                continue
            if size * count > 4:
                stream.seek(number(value))
                value = stream.read(size * count)
            data = value[: size * count]
            if len(data) == size * count:
                room -= len(data)
                little_endian = np.frombuffer(data, f"{order}u{unit}").astype(f"<u{unit}").tobytes()
                fields[tag] = (tag, kind, count, little_endian)
        return sorted(fields.values())

    return directory(number(head[4:]), _NESTED)


def fields_of(exif: bytes) -> dict[int, Field]:
    """The fields of an EXIF block by their tags, see `read_fields`."""
    return {field[0]: field for field in read_fields(io.BytesIO(exif))}


def nested_fields(fields: dict[int, Field], tag: int) -> dict[int, Field]:
    """The fields of the directory that a field points at; none where it does not."""
    value = fields[tag][3] if tag in fields else ()
    return {field[0]: field for field in value} if isinstance(value, list) else {}


def pack_fields(fields: Collection[Field], start: int) -> bytes:
    """A TIFF directory, little-endian, that will lie at `start` with its data behind it."""
    table, data = bytearray(struct.pack("<H", len(fields))), bytearray()
    behind = start + 2 + 12 * len(fields) + 4
    for tag, kind, count, value in fields:
        at = behind + len(data)
        if isinstance(value, list):
            value = pack_fields(value, at)
        elif len(value) <= 4:
            table += struct.pack("<HHI4s", tag, kind, count, value)
            continue
        table += struct.pack("<HHII", tag, kind, count, at)
        data += value + bytes(len(value) % 2)
    return bytes(table + bytes(4) + data)


def pack_block(fields: Collection[Field]) -> bytes:
    """An EXIF block, little-endian, of these fields; empty where there are none."""
    return struct.pack("<2sHI", b"II", 42, 8) + pack_fields(fields, 8) if fields else b""
