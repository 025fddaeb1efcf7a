"""What is tied to the stored pixels of a picture, turned upright with them: places and sizes in EXIF and in XMP."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from .exif import BYTE_ORDERS, INTEGERS, entries
from .xmp import Packet, Property

EXIF_NS, TIFF_NS = "http://ns.adobe.com/exif/1.0/", "http://ns.adobe.com/tiff/1.0/"
_AREAS = {"http://ns.adobe.com/xmp/sType/Area#", "http://ns.acdsee.com/sType/Area#"}
_DIMENSIONS = {"http://ns.adobe.com/xap/1.0/sType/Dimensions#", "http://ns.acdsee.com/sType/Dimensions#"}
_MICROSOFT = "http://ns.microsoft.com/photo/1.2/t/Region#"
_IPTC = {"http://iptc.org/std/Iptc4xmpExt/2008-02-29/"}
_CRS = "http://ns.adobe.com/camera-raw-settings/1.0/"
_GPANO = "http://ns.google.com/photos/1.0/panorama/"
_EMBEDDED = {  # pictures within XMP, stored as the picture itself is
    "http://ns.google.com/photos/1.0/depthmap/": "a depth map within XMP",
    "http://ns.google.com/photos/1.0/image/": "a second picture within XMP",
}
_SIZES = {(0x100, 0x101), (0xA002, 0xA003), (0x1001, 0x1002)}
_ACROSS_AND_DOWN = _SIZES | {(0x11A, 0x11B), (0xA20E, 0xA20F)}  # resolutions, too
_SUBJECT_AREA, _SUBJECT_LOCATION = 0x9214, 0xA214


@dataclass(frozen=True)
class Turn:
    """How stored pixels become upright ones, by the EXIF orientation."""

    orientation: int
    """2 to 8."""
    width: int
    """Of the stored picture, in pixels."""
    height: int

    @property
    def swaps(self) -> bool:
        """Whether width becomes height."""
        return self.orientation >= 5

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright picture."""
        return (self.height, self.width) if self.swaps else (self.width, self.height)

    def point(self, x: float, y: float, across: float = 1, down: float = 1) -> tuple[float, float]:
        """Where a place comes to lie; `across` and `down` are where the stored picture ends."""
        if self.orientation in (2, 3, 7, 8):
            x = across - x
        if self.orientation in (3, 4, 6, 7):
            y = down - y
        return (y, x) if self.swaps else (x, y)

    def box(self, x: float, y: float, w: float, h: float, across: float = 1, down: float = 1) -> tuple[float, ...]:
        """Left, top, width and height of a box."""
        (left, top), (right, bottom) = self.point(x, y, across, down), self.point(x + w, y + h, across, down)
        return min(left, right), min(top, bottom), abs(right - left), abs(bottom - top)

    def subject(self, values: list[int]) -> list[int]:
        """A subject area or location in pixels: x and y, with a diameter, or with width and height."""
        x, y = self.point(values[0], values[1], max(0, self.width - 1), max(0, self.height - 1))
        rest = values[2:][::-1] if self.swaps else values[2:]
        return [max(0, int(x)), max(0, int(y)), *rest]


def turned_exif(exif: bytes, turn: Turn) -> bytes:
    """An EXIF block whose sizes, resolutions and subject area follow the pixels; nothing in it moves."""
    order, target = BYTE_ORDERS.get(exif[:4]), bytearray(exif)
    if order is None:
        return exif

    def directory(start: int) -> dict[int, tuple[int, int, int]]:
        return {tag: field for tag, *field in entries(exif, order, start)}

    def pointed(fields: dict[int, tuple[int, int, int]], tag: int) -> dict[int, tuple[int, int, int]]:
        kind, count, place = fields.get(tag, (0, 0, 0))
        return directory(*struct.unpack_from(order + "I", exif, place)) if kind in (4, 13) and count == 1 else {}

    with suppress(struct.error):  # cut short: what was read up to there holds
        main = directory(*struct.unpack_from(order + "I", exif, 4))
        inner = pointed(main, 0x8769)
        for fields in (main, inner, pointed(inner, 0xA005)):
            if turn.swaps:
                for pair in _ACROSS_AND_DOWN:
                    _swap(target, order, [fields.get(tag) for tag in pair], turn.size if pair in _SIZES else None)
            for tag, most in ((_SUBJECT_AREA, 4), (_SUBJECT_LOCATION, 2)):
                kind, count, place = fields.get(tag, (0, 0, 0))
                if kind in INTEGERS and 2 <= count <= most:
                    layout = f"{order}{count}{INTEGERS[kind]}"
                    values = turn.subject(list(struct.unpack_from(layout, exif, place)))
                    with suppress(struct.error):
                        struct.pack_into(layout, target, place, *values)
    return bytes(target)


def _swap(target: bytearray, order: str, pair: list, size: tuple[int, int] | None) -> None:
    """Exchange two fields of one value each; where only one of two sizes is there, it becomes that of the picture."""
    fields = [(field[0], field[2]) if field and field[1] == 1 else None for field in pair]
    if all(fields) and all(kind == 5 for kind, _ in fields):
        (_, a), (_, b) = fields
        target[a : a + 8], target[b : b + 8] = target[b : b + 8], target[a : a + 8]
    elif any(fields) and all(field is None or field[0] in INTEGERS for field in fields):
        layouts = [field and order + INTEGERS[field[0]] for field in fields]
        values: Iterable[int] = size or ()
        if all(fields):
            values = [struct.unpack_from(layouts[i], target, fields[i][1])[0] for i in (1, 0)]
        for field, layout, value in zip(fields, layouts, values, strict=False):
            if field:
                with suppress(struct.error):  # too large for its type
                    struct.pack_into(layout, target, field[1], value)


def turned_xmp(packet: Packet, turn: Turn) -> tuple[str, ...]:
    """Turn what a packet says about places in the stored pixels; what can't be turned is taken away.

    Returns what was taken away, in words.
    """
    lost: list[str] = []
    for item in packet.properties((TIFF_NS, "Orientation")):
        packet.set(item, "1")
    if turn.swaps:
        for namespace, across, down in (
            (EXIF_NS, "PixelXDimension", "PixelYDimension"),
            (TIFF_NS, "ImageWidth", "ImageLength"),
            (EXIF_NS, "FocalPlaneXResolution", "FocalPlaneYResolution"),
            (TIFF_NS, "XResolution", "YResolution"),
        ):
            pair = [next(packet.properties((namespace, name)), None) for name in (across, down)]
            _exchange(packet, *pair, turn.size if "Resolution" not in across else None)
        for fields in packet.structures(_DIMENSIONS):
            _exchange(packet, fields.get("w"), fields.get("h"), None)
    for name, most in (("SubjectArea", 4), ("SubjectLocation", 2)):
        for node in packet.properties((EXIF_NS, name)):
            values = packet.items(node)
            numbers = _numbers(values)
            if numbers and 2 <= len(numbers) <= most:
                for item, value in zip(values, turn.subject([int(n) for n in numbers]), strict=True):
                    packet.set(item, str(value))
            else:
                packet.remove(node)
                lost.append("a subject area that could not be turned")
    lost += _structures(packet, turn)
    for item in packet.properties((_MICROSOFT, "Rectangle")):
        try:
            x, y, w, h = (float(part) for part in item.value.split(","))
            packet.set(item, ", ".join(_text(value) for value in turn.box(x, y, w, h)))
        except ValueError:
            packet.remove(item)
            lost.append("a face region that could not be turned")
    for namespace, words in _EMBEDDED.items():
        if packet.remove_all(lambda name, namespace=namespace: name[0] == namespace):
            lost.append(words)
    return tuple(dict.fromkeys(lost))


def _structures(packet: Packet, turn: Turn) -> list[str]:
    """Turn regions, crops and panoramas; returns what was taken away, in words."""
    lost = []

    def apply(fields: dict[str, Property], names: Sequence[str], change: Callable[..., Iterable[float]]) -> bool:
        """Give fields the values that `change` makes of them; returns False where one is missing or is no number."""
        values = [fields[name] for name in names if name in fields]
        numbers = _numbers(values)
        if numbers is None or len(values) < len(names):
            return False
        for item, value in zip(values, change(*numbers), strict=True):
            packet.set(item, _text(value))
        return True

    def take(fields: dict[str, Property], names: Iterable[str], words: str) -> None:
        """Take fields away, and say so."""
        for name in names:
            if name in fields:
                packet.remove(fields[name])
        lost.append(words)

    for fields in packet.structures(_AREAS):
        unit = fields["unit"].value if "unit" in fields else "normalized"
        ends = (turn.width, turn.height) if unit.strip() == "pixel" else (1, 1)
        placed = apply(fields, ("x", "y"), lambda x, y, ends=ends: turn.point(x, y, *ends))
        sized = {"w", "h"} & set(fields)
        if not placed or (turn.swaps and sized and not apply(fields, ("w", "h"), lambda w, h: (h, w))):
            take(fields, ("x", "y", "w", "h", "d"), "a region that could not be turned")
    for fields in packet.structures(_IPTC):
        if not {"rbX", "rbY"} & set(fields):
            continue
        unit = fields["rbUnit"].value.strip() if "rbUnit" in fields else "relative"
        ends = (turn.width, turn.height) if unit == "pixel" else (1, 1)
        if {"rbW", "rbH"} & set(fields):
            done = apply(fields, ("rbX", "rbY", "rbW", "rbH"), lambda *box, ends=ends: turn.box(*box, *ends))
        else:
            done = apply(fields, ("rbX", "rbY"), lambda x, y, ends=ends: turn.point(x, y, *ends))
            if done and "rbRx" in fields and turn.swaps and unit != "pixel":  # a share of the width
                done = apply(fields, ("rbRx",), lambda r: (r * turn.width / turn.height,))
        if not done:
            take(fields, ("rbX", "rbY", "rbW", "rbH", "rbRx"), "a region that could not be turned")
    crop = ("CropLeft", "CropTop", "CropRight", "CropBottom")
    for fields in packet.structures({_CRS}):
        applied = "AlreadyApplied" in fields and fields["AlreadyApplied"].value.strip().lower() == "true"
        if applied or not set(crop) & set(fields):
            continue

        def corners(left: float, top: float, right: float, bottom: float) -> tuple[float, ...]:
            x, y, w, h = turn.box(left, top, right - left, bottom - top)
            return x, y, x + w, y + h

        # with an angle, two corners say where the crop lies only together with the sides of the picture
        angle = _numbers([fields["CropAngle"]]) if "CropAngle" in fields else [0.0]
        if angle != [0.0] or not apply(fields, crop, corners):
            take(fields, (*crop, "CropAngle", "HasCrop"), "a crop that could not be turned")
    if turn.swaps and packet.remove_all(lambda name: name[0] == _GPANO):
        lost.append("that it is a panorama: turned by a quarter it is none")
    panorama = {item.name[1]: item for item in packet.properties(lambda name: name[0] == _GPANO)}
    for at, length, full, flips in (
        ("CroppedAreaLeftPixels", "CroppedAreaImageWidthPixels", "FullPanoWidthPixels", (2, 3)),
        ("CroppedAreaTopPixels", "CroppedAreaImageHeightPixels", "FullPanoHeightPixels", (3, 4)),
    ):
        if panorama and turn.orientation in flips:
            names = (at, length, full)
            if not apply(panorama, names, lambda at, length, full: (full - at - length, length, full)):
                take(panorama, (at,), "where a panorama lies")
    return lost


def _exchange(packet: Packet, a: Property | None, b: Property | None, size: tuple[int, int] | None) -> None:
    """Exchange two values; where only one of two sizes is there, it becomes that of the picture."""
    if a and b:
        first, second = a.value.strip(), b.value.strip()
        if not first or not second:
            return
        packet.set(a, second)
        packet.set(b, first)
    elif size:
        for item, value in ((a, size[0]), (b, size[1])):
            if item:
                packet.set(item, str(value))


def _numbers(items: list[Property]) -> list[float] | None:
    """The values as numbers; None where one is not a number, or is too large."""
    try:
        numbers = [float(item.value) for item in items]
    except ValueError:
        return None
    return numbers if all(abs(number) < 1e9 for number in numbers) else None


def _text(value: float) -> str:
    return f"{value:.9f}".rstrip("0").rstrip(".")
