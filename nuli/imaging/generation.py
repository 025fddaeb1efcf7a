"""What image generators write about a picture: as text in a PNG, as EXIF in other formats, and from one to the other.

AUTOMATIC1111's WebUI has its infotext in a PNG's `parameters`, else in EXIF's UserComment, as UTF-16, the high byte
first. ComfyUI has JSON in a PNG's `prompt` and `workflow`, else in text of EXIF's first directory, "prompt:{...", that
it writes as Model and Make and reads anywhere there.
"""

from __future__ import annotations

import re
import struct

from .exif import BYTE_ORDERS, fields_of, nested_fields

PARAMETERS = "parameters"
_COMFY = {"prompt": (0x0110, 0x010D, 0x010E), "workflow": (0x010F, 0x010E, 0x010D)}
"""The tags that may hold each: Model or Make; where a camera stands there, DocumentName or ImageDescription."""
_NESTED, _COMMENT = 0x8769, 0x9286
ROOM = 1 << 21
"""Bytes of EXIF that are written, at most: half of what this program would read from a JPEG."""
_EMPTY = b"II*\0\x08\0\0\0" + bytes(6)

Text = tuple[tuple[str, str], ...]
_Entries = dict[int, bytes]
_New = dict[int, tuple[int, bytes]]  # type and data of a field, by its tag


def to_exif(exif: bytes, text: Text) -> tuple[bytes, tuple[str, ...]]:
    """An EXIF block with the generators' text in it, and the keywords of all text that found no place.

    What is in the block stays where it is: MakerNotes hold offsets. A comment, a Make or a Model that says something
    is not written over.
    """
    told = dict(reversed(text))  # of equal keywords the first counts
    names = tuple(dict.fromkeys(key for key, _ in text))
    block = exif or _EMPTY
    tables = _tables(block)
    if tables is None:
        return exif, names
    order, root, nested, link = tables
    new_root: _New = {}
    new_nested: _New = {}
    room, done = ROOM - len(exif), set()

    def add(key: str, new: _New, tag: int, kind: int, data: bytes) -> None:
        nonlocal room
        if len(data) <= room:
            new[tag] = kind, data
            room -= len(data)
            done.add(key)

    if parameters := told.get(PARAMETERS):
        comment = _comment(exif)
        if comment == parameters:
            done.add(PARAMETERS)
        elif not comment:
            add(PARAMETERS, new_nested, _COMMENT, 7, b"UNICODE\0" + parameters.encode("utf-16-be", "replace"))
    for key, tags in _COMFY.items():
        free = next((tag for tag in tags if tag not in root and tag not in new_root), None)
        if free and _is_json(told.get(key, "")):
            add(key, new_root, free, 2, f"{key}:{told[key]}\0".encode("utf-8", "replace"))
    if new_root or new_nested:
        exif = _with(block, order, root, nested, link, new_root, new_nested)
    return exif, tuple(name for name in names if name not in done)


def from_exif(exif: bytes) -> Text:
    """The generators' text in an EXIF block, as a PNG has it."""
    found = {}
    comment = _comment(exif)
    if re.search(r"\bSteps: \d", comment) or _is_json(comment):
        found[PARAMETERS] = comment
    for _, kind, _, data in fields_of(exif).values():
        if kind == 2:
            key, colon, value = data.rstrip(b"\0").decode("utf-8", "replace").partition(":")
            if colon and key.lower() in _COMFY and _is_json(value):
                found.setdefault(key.lower(), value.strip())
    return tuple(found.items())


def _is_json(text: str) -> bool:
    return text.strip()[:1] == "{" and text.strip()[-1:] == "}"


def _comment(exif: bytes) -> str:
    """What EXIF's UserComment says; "" where it is blank."""
    data = nested_fields(fields_of(exif), _NESTED).get(_COMMENT, (0, 0, 0, b""))[3]
    code, data = data[:8], data[8:]
    if code == b"UNICODE\0":
        # the standard leaves the order of bytes open: letters of few codes have their zeros first, or behind
        high, low = data[::2].count(0), data[1::2].count(0)
        text = data.decode("utf-16-le" if low > high else "utf-16-be", "replace")
    else:
        known = code in (b"ASCII\0\0\0", bytes(8))
        text = (data if known else code + data).decode("utf-8", "replace")
    return text.strip("\0 \ufeff")


def _table(exif: bytes, order: str, start: int) -> tuple[_Entries, int] | None:
    """The entries of a directory as they are, and its link; None where it is cut short."""
    try:
        (count,) = struct.unpack_from(order + "H", exif, start)
        (link,) = struct.unpack_from(order + "I", exif, start + 2 + 12 * count)
    except struct.error:
        return None
    places = range(start + 2, start + 2 + 12 * count, 12)
    entries = [exif[at : at + 12] for at in places]
    return {struct.unpack_from(order + "H", entry)[0]: entry for entry in reversed(entries)}, link


def _tables(exif: bytes) -> tuple[str, _Entries, _Entries, int] | None:
    """Byte order, first directory, the one of EXIF's own, and the first one's link; None where they are damaged."""
    order = BYTE_ORDERS.get(exif[:4])
    if order is None or len(exif) < 8:
        return None
    first = _table(exif, order, struct.unpack_from(order + "I", exif, 4)[0])
    if first is None:
        return None
    root, link = first
    if _NESTED not in root:
        return order, root, {}, link
    second = _table(exif, order, struct.unpack_from(order + "I", root[_NESTED], 8)[0])
    return None if second is None else (order, root, second[0], link)


def _with(
    exif: bytes,
    order: str,
    root: _Entries,
    nested: _Entries,
    link: int,
    new_root: _New,
    new_nested: _New,
) -> bytes:
    """An EXIF block with its two directories written anew at its end, those of the new fields first that say more for
    their length: some programs read the first segment of a JPEG alone."""
    out = bytearray(exif) + bytes(len(exif) % 2)
    at = len(out)
    behind_root = at + 6 + 12 * len(root.keys() | new_root.keys() | ({_NESTED} if nested or new_nested else set()))
    data_at = behind_root + (6 + 12 * len(nested.keys() | new_nested.keys()) if nested or new_nested else 0)
    data = bytearray()

    def placed(fields: _New) -> _Entries:
        entries = {}
        for tag, (kind, value) in fields.items():
            entries[tag] = struct.pack(order + "HHII", tag, kind, len(value), data_at + len(data))
            data.extend(value + bytes(len(value) % 2))
        return entries

    nested = nested | placed(new_nested)
    root = root | placed(new_root)
    if nested:
        root[_NESTED] = struct.pack(order + "HHII", _NESTED, 4, 1, behind_root)
    for entries, last in ((root, link), (nested, 0)):
        if entries:
            table = b"".join(entries[tag] for tag in sorted(entries))
            out += struct.pack(order + "H", len(entries)) + table + struct.pack(order + "I", last)
    struct.pack_into(order + "I", out, 4, at)
    return bytes(out + data)
