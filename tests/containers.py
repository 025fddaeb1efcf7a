"""Builds files as today's phones and cameras write them: gain maps, motion photos, previews, regions."""

import hashlib
import io
import struct

import numpy as np
from PIL import Image

NAMESPACES = {
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "xmp": "http://ns.adobe.com/xap/1.0/",
    "xmpGImg": "http://ns.adobe.com/xap/1.0/g/img/",
    "xmpNote": "http://ns.adobe.com/xmp/note/",
    "dc": "http://purl.org/dc/elements/1.1/",
    "exif": "http://ns.adobe.com/exif/1.0/",
    "tiff": "http://ns.adobe.com/tiff/1.0/",
    "crs": "http://ns.adobe.com/camera-raw-settings/1.0/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "Container": "http://ns.google.com/photos/1.0/container/",
    "Item": "http://ns.google.com/photos/1.0/container/item/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "GDepth": "http://ns.google.com/photos/1.0/depthmap/",
    "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
    "stArea": "http://ns.adobe.com/xmp/sType/Area#",
    "stDim": "http://ns.adobe.com/xap/1.0/sType/Dimensions#",
    "MP": "http://ns.microsoft.com/photo/1.2/",
    "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
    "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
}
VIDEO = b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(range(256)) * 40
ISO = b"urn:iso:std:iso:ts:21496:-1\0"


def xmp(attributes: str = "", elements: str = "", padding: int = 0) -> bytes:
    """A packet with one description."""
    declared = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in NAMESPACES.items() if prefix != "rdf")
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        f'<rdf:RDF xmlns:rdf="{NAMESPACES["rdf"]}"><rdf:Description rdf:about="" {declared} {attributes}>'
        f"<dc:title>Grüße</dc:title>{elements}</rdf:Description></rdf:RDF></x:xmpmeta>"
        + " " * padding
        + '<?xpacket end="w"?>'
    ).encode()


def segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def jpeg(image: Image.Image, *segments: bytes, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=92, extra=b"".join(segments), **options)
    return file.getvalue()


def xmp_segment(packet: bytes) -> bytes:
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)


def extended_segments(packet: bytes) -> tuple[str, bytes]:
    guid = hashlib.md5(packet).hexdigest().upper()
    head = b"http://ns.adobe.com/xmp/extension/\0" + guid.encode()
    parts = (
        segment(0xE1, head + struct.pack(">II", len(packet), at) + packet[at : at + 60_000])
        for at in range(0, len(packet), 60_000)
    )
    return guid, b"".join(parts)


def exif(orientation: int = 1, order: str = ">", subject: tuple[int, ...] = (), size: tuple[int, int] = ()) -> bytes:
    """An EXIF segment with orientation, subject area and the picture's size."""
    sub = []
    if size:
        sub += [(0xA002, 4, 1, struct.pack(order + "I", size[0])), (0xA003, 3, 1, struct.pack(order + "H", size[1]))]
    if subject:
        sub.insert(0, (0x9214, 3, len(subject), struct.pack(f"{order}{len(subject)}H", *subject)))
        sub.append((0xA214, 3, 2, struct.pack(order + "2H", *subject[:2])))

    def directory(fields: list, start: int) -> bytes:
        table, data, behind = b"", b"", start + 6 + 12 * len(fields)
        for tag, kind, count, value in fields:
            if len(value) > 4:
                value, data = struct.pack(order + "I", behind + len(data)), data + value
            table += struct.pack(order + "HHI", tag, kind, count) + value.ljust(4, b"\0")
        return struct.pack(order + "H", len(fields)) + table + bytes(4) + data

    main = [(0x112, 3, 1, struct.pack(order + "H", orientation)), (0x8769, 4, 1, struct.pack(order + "I", 38))]
    head = {"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order]
    return segment(0xE1, b"Exif\0\0" + head + directory(main, 8) + directory(sub, 38))


def mpf(data: bytes, at: int, sizes: list[tuple[int, int, int]]) -> bytes:
    """A file with MPF put in at a place: attributes, begin (in the file without it) and size of each picture."""
    length = 4 + 4 + 8 + 2 + 36 + 4 + 16 * len(sizes)
    base = at + 8
    block = b"MM\0*\0\0\0\x08" + struct.pack(">H", 3) + struct.pack(">HHI4s", 0xB000, 7, 4, b"0100")
    block += struct.pack(">HHII", 0xB001, 4, 1, len(sizes)) + struct.pack(">HHII", 0xB002, 7, 16 * len(sizes), 50)
    block += bytes(4)
    for number, (attributes, begin, size) in enumerate(sizes):
        place, size = (begin + length - base, size) if number else (0, size + length)
        block += struct.pack(">IIII", attributes, size, place, 0)
    whole = segment(0xE2, b"MPF\0" + block)
    assert len(whole) == length
    return data[:at] + whole + data[at:]


def container(*items: tuple[str, str, int], padding: int = 0, elements: bool = False) -> str:
    """Google's list of what stands in a file, in the syntax of attributes or of elements."""
    listed = [("Primary", "image/jpeg", 0), *items]
    out = ""
    for semantic, mime, length in listed:
        fields = {"Mime": mime, "Semantic": semantic} | ({"Length": length} if length else {"Padding": padding})
        if elements:
            inner = "".join(f"<Item:{name}>{value}</Item:{name}>" for name, value in fields.items())
            inner = f'<Container:Item rdf:parseType="Resource">{inner}</Container:Item>'
        else:
            inner = "<Container:Item " + " ".join(f"Item:{name}='{value}'" for name, value in fields.items()) + "/>"
        out += f'<rdf:li rdf:parseType="Resource">{inner}</rdf:li>'
    return f"<Container:Directory><rdf:Seq>{out}</rdf:Seq></Container:Directory>"


def gain_map(width: int, height: int) -> bytes:
    """A gain map: bright at the top left."""
    values = np.full((height, width), 40, np.uint8)
    values[: height // 4, : width // 4] = 230
    packet = xmp('hdrgm:Version="1.0" hdrgm:GainMapMax="2.3"')
    return jpeg(Image.fromarray(values), segment(0xE2, ISO + b"\0\0\0\0" + bytes(40)), xmp_segment(packet))


def phone_photo(
    image: Image.Image, orientation: int = 1, *, motion: str = "", elements: bool = False, trailer: bytes = b""
) -> bytes:
    """An Ultra HDR photo, with a video behind it where `motion` is "new" (container), "old" (MicroVideo) or "both"."""
    further = gain_map(image.width // 4, image.height // 4)
    items = [("GainMap", "image/jpeg", len(further))]
    attributes = 'hdrgm:Version="1.0" '
    end = (VIDEO if motion else b"") + trailer
    if motion in ("new", "both"):
        items.append(("MotionPhoto", "video/mp4", len(end)))
        attributes += 'GCamera:MotionPhoto="1" GCamera:MotionPhotoVersion="1" '
    if motion in ("old", "both"):
        attributes += f'GCamera:MicroVideo="1" GCamera:MicroVideoVersion="1" GCamera:MicroVideoOffset="{len(end)}" '
    packet = xmp(attributes, container(*items, elements=elements))
    size = image.size
    primary = jpeg(
        image, exif(orientation, size=size), xmp_segment(packet), segment(0xE2, ISO + bytes(4)), segment(0xE7, b"own")
    )
    at = primary.index(b"\xff\xe2")
    listed = [(0x030000, 0, len(primary)), (0, len(primary), len(further))]
    return mpf(primary + further, at, listed) + end


def samsung_trailer(parts: list[tuple[int, bytes, bytes]]) -> bytes:
    """Samsung's trailer: type, name and content of each part."""
    data, entries, offsets = b"", b"", []
    for kind, name, content in parts:
        offsets.append(len(data))
        data += struct.pack("<HHI", 0, kind, len(name)) + name + content
    for (kind, name, content), offset in zip(parts, offsets, strict=True):
        entries += struct.pack("<HHII", 0, kind, len(data) - offset, 8 + len(name) + len(content))
    head = b"SEFH" + struct.pack("<II", 107, len(parts)) + entries
    return data + head + struct.pack("<I", len(head)) + b"SEFT"
