"""What XMP promises of things elsewhere in a file, or shows of the old picture: looked up, set right, or taken away."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from .xmp import RDF, Packet, Property

_XMP = "http://ns.adobe.com/xap/1.0/"
_EXTENSION = ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP")
_GOOGLE = "http://ns.google.com/photos/1.0/"
_DYNAMIC_DEPTH = "http://ns.google.com/photos/dd/1.0/"
_ITEMS = {_GOOGLE + "container/item/", _DYNAMIC_DEPTH + "item/"}
_THUMBNAIL = _XMP + "g/img/"
_GAIN_MAP = ("http://ns.adobe.com/hdr-gain-map/1.0/", "http://ns.apple.com/HDRGainMap/1.0/")
_MOTION = ("http://ns.oplus.com/photos/1.0/camera/", "http://ns.xiaomi.com/photos/1.0/camera/")
_CAMERA = _GOOGLE + "camera/"
_CONTENT_CREDENTIALS = ("http://purl.org/dc/terms/", "provenance")


@dataclass(frozen=True)
class Item:
    """One thing that a container lists."""

    fields: dict[str, Property]
    semantic: str
    mime: str
    length: int
    padding: int
    begin: int
    """Where behind the first picture it lies by the list; -1 for the first picture."""

    @property
    def is_image(self) -> bool:
        """Whether it is a picture."""
        return self.mime.startswith("image/")


def listed_items(packet: Packet) -> list[Item]:
    """What the packet's container lists, in order, the first picture among it."""
    groups = sorted(packet.structures(_ITEMS), key=lambda fields: min(item.place for item in fields.values()))

    def number(fields: dict[str, Property], name: str) -> int:
        with suppress(KeyError, ValueError):
            return max(0, int(fields[name].value))
        return 0

    def word(fields: dict[str, Property], *names: str) -> str:
        return next((fields[name].value.strip() for name in names if name in fields), "")

    items, place = [], 0
    for f in groups:
        length, padding, begin = number(f, "Length"), number(f, "Padding"), place if items else -1
        place += padding + (length if items else 0)
        items.append(Item(f, word(f, "Semantic", "DataURI", "URI"), word(f, "Mime"), length, padding, begin))
    return items


def remove_item(packet: Packet, item: Item) -> None:
    """Take something out of the container's list."""
    node = next(iter(item.fields.values())).owner
    while node >= 0 and packet.nodes[node].name != (RDF, "li"):
        node = packet.nodes[node].owner
    for gone in [packet.nodes[node]] if node >= 0 else item.fields.values():
        packet.remove(gone)


def remove_container(packet: Packet) -> None:
    """Take the list itself away, and the depth maps that refer to it."""
    packet.remove_all(lambda name: name[0].startswith((_GOOGLE + "container/", _DYNAMIC_DEPTH)))


def remove_gain_map(packet: Packet) -> None:
    """Take away what says that there is a gain map."""
    packet.remove_all(lambda name: name[0] in _GAIN_MAP)


def remove_motion(packet: Packet) -> None:
    """Take away what says that there is a video."""
    words = ("MotionPhoto", "MicroVideo", "MotionVideo")
    packet.remove_all(lambda name: name[0] in _MOTION or (name[0] == _CAMERA and name[1].startswith(words)))


def video_offset(packet: Packet) -> int:
    """How many bytes before the end of the file the older syntax says that the video begins; 0 where it doesn't."""
    for item in packet.properties((_CAMERA, "MicroVideoOffset")):
        with suppress(ValueError):
            return max(0, int(item.value))
    return 0


def set_video_offset(packet: Packet, offset: int) -> None:
    """Give the older syntax another number of bytes."""
    for item in packet.properties((_CAMERA, "MicroVideoOffset")):
        packet.set(item, str(offset))


def promised_extension(packet: Packet) -> str:
    """The name of the extended XMP that the packet promises; "" where it promises none."""
    item = next(packet.properties(_EXTENSION), None)
    return item.value.strip().upper() if item else ""


def set_extension(packet: Packet, name: str) -> None:
    """Where extended XMP is promised, promise the one of that name; with "", none."""
    for item in packet.properties(_EXTENSION):
        if name:
            packet.set(item, name)
        else:
            packet.remove(item)


def remove_jpegs(packet: Packet) -> None:
    """Take away every promise of what only a JPEG can hold."""
    remove_gain_map(packet)
    remove_motion(packet)
    remove_container(packet)
    set_extension(packet, "")


def remove_previews(packet: Packet) -> None:
    """Take away thumbnails of the old picture, and the link to a signature of it."""
    packet.remove_all((_XMP, "Thumbnails"))
    packet.remove_all((_THUMBNAIL, "image"))
    for item in packet.properties(_CONTENT_CREDENTIALS):
        if "jumbf" in item.value or "c2pa" in item.value:
            packet.remove(item)
