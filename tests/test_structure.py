"""Files whose parts keep Pillow busy for long are refused at once; whatever programs write is not."""

import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from nuli.errors import ImageError
from nuli.imaging import structure
from nuli.imaging.photo import load_photo

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
MANY = 150_000


def saved(kind: str, **options: object) -> bytes:
    file = io.BytesIO()
    Image.fromarray(PIXELS).save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(*chunks: bytes) -> bytes:
    whole = saved("PNG")
    return whole[:33] + b"".join(chunks) + whole[33:]


def jpeg(*segments: bytes, app: int = 0xE1) -> bytes:
    """A JPEG with such segments, and without JFIF's density, in place of which Pillow then looks for EXIF's."""
    whole = saved("JPEG")
    parts = (struct.pack(">BBH", 0xFF, app, len(data) + 2) + data for data in segments)
    return whole[:2] + b"".join(parts) + whole[4 + struct.unpack_from(">H", whole, 4)[0] :]


def gif(data: bytes) -> bytes:
    whole = saved("GIF")
    begin = 13 + (3 << (whole[10] & 7) + 1 if whole[10] & 128 else 0)
    return whole[:begin] + data + whole[begin:]


def tiff(*fields: tuple[int, int, int, bytes | int], order: str = "<", large: bool = False) -> bytes:
    """A TIFF of one pixel; further fields as tag, type, count, and their bytes, or the place of those."""
    plain = {
        tag: (3, 1, value) for tag, value in {256: 1, 257: 1, 258: 8, 259: 1, 262: 1, 273: 8, 278: 1, 279: 1}.items()
    }
    fields_of = {tag: rest for tag, *rest in fields}
    start, data, table = 16, b"", b""
    place, inline = order + ("Q" if large else "I"), 8 if large else 4
    for tag, (kind, count, value) in sorted((plain | fields_of).items()):
        if isinstance(value, bytes):
            value, data = start + len(data), data + value
            raw = struct.pack(place, value)
        else:
            raw = struct.pack(order + ("H" if kind == 3 and count == 1 else place[1]), value).ljust(inline, b"\0")
        table += struct.pack(order + ("HHQ" if large else "HHI"), tag, kind, count) + raw
    count = len(plain | fields_of)
    head = (b"MM" if order == ">" else b"II") + struct.pack(order + "H", 43 if large else 42)
    if large:
        head += struct.pack(order + "HHQ", 8, 0, start + len(data))
    else:
        head += struct.pack(order + "I", start + len(data)) + bytes(8)
    return head + data + struct.pack(order + ("Q" if large else "H"), count) + table + bytes(8)


def pages(*directories: list[tuple[int, int, int, int]], size: int = 0) -> bytes:
    """A TIFF with further directories behind it, of fields as they lie in the file, and so many bytes after them."""
    whole = tiff()[:-8]
    for fields in directories:
        place = len(whole) + 4
        table = b"".join(struct.pack("<HHII", *field) for field in fields)
        whole += struct.pack("<IH", place, len(fields)) + table
    return whole + bytes(4 + size)


def fractions(count: int) -> tuple[int, int, int, bytes]:
    return 282, 5, count, struct.pack("<II", 72, 1) * count


BOMBS = {
    "PNG, texts": lambda: png(chunk(b"tEXt", b"k\0") * MANY),
    "PNG, empty pixels": lambda: png(chunk(b"IDAT", b"") * MANY),
    "PNG, after the pixels": lambda: saved("PNG")[:-12] + chunk(b"tEXt", b"k\0") * MANY,
    "JPEG, comments": lambda: jpeg(*[b""] * MANY, app=0xFE),
    "JPEG, bytes between": lambda: saved("JPEG")[:2] + bytes(MANY) + saved("JPEG")[2:],
    "JPEG, padding": lambda: saved("JPEG")[:2] + b"\xff" * MANY + saved("JPEG")[2:],
    "JPEG, EXIF in bits": lambda: jpeg(*[b"Exif\0\0a"] * MANY),
    "JPEG, EXIF's fractions": lambda: jpeg(
        *(b"Exif\0\0" + tiff(fractions(300_000))[i : i + 65_000] for i in range(0, 2_400_200, 65_000))
    ),
    "GIF, comments": lambda: gif(b"!\xfe\1a\0" * MANY),
    "GIF, a comment in bits": lambda: gif(b"!\xfe" + b"\1a" * MANY + b"\0"),
    "GIF, a long comment": lambda: gif(b"!\xfe" + (b"\xff" + b"a" * 255) * 8000 + b"\0"),
    "TIFF, fractions": lambda: tiff(fractions(300_000)),
    "TIFF, strips": lambda: tiff((273, 4, 300_000, bytes(1_200_000))),
    "TIFF, data read often": lambda: tiff(
        (999, 7, 1_000_000, bytes(1_000_000)), *((i, 7, 900_000, 16) for i in range(1000, 1400))
    ),
    "TIFF, data read often for its second page": lambda: pages([(i, 7, 900_000, 8) for i in range(400)], size=900_000),
    "TIFF, pages without end": lambda: pages(*[[]] * 70_000),
    "BigTIFF, data read often": lambda: tiff(
        (999, 7, 1_000_000, bytes(1_000_000)), *((i, 7, 900_000, 16) for i in range(1000, 1400)), large=True
    ),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_takes_long_is_refused_at_once(name: str) -> None:
    bomb = BOMBS[name]()
    began = time.process_time()
    with pytest.raises(ImageError, match="save it anew first"):
        load_photo(bomb)
    assert time.process_time() - began < 2  # seconds; Pillow takes up to minutes


PLAIN = {
    "PNG, many chunks": lambda: png(*[chunk(b"tEXt", b"k\0v")] * 20_000),
    "JPEG, EXIF in several segments": lambda: jpeg(
        *(b"Exif\0\0" + tiff((999, 7, 200_000, bytes(200_000)))[i : i + 65_000] for i in range(0, 200_100, 65_000))
    ),
    "JPEG, segments of all kinds": lambda: jpeg(*[b"a" * 60_000] * 300, app=0xE4),
    "GIF, animated": lambda: saved(
        "GIF", save_all=True, append_images=[Image.fromarray(255 - PIXELS)] * 30, comment=b"a"
    ),
    "TIFF": lambda: tiff(fractions(1)),
    "TIFF, big-endian": lambda: tiff(order=">"),
    "TIFF, a long field of bytes": lambda: tiff((999, 7, 3_000_000, bytes(3_000_000))),
    "TIFF, a field beyond the end": lambda: tiff((999, 5, 500_000_000, 16)),
    "TIFF, pages": lambda: pages(*[[(i, 7, 40, 8) for i in range(20)]] * 1000),
    "TIFF, pages in a circle": lambda: pages([(1, 3, 1, 1)])[:-4] + struct.pack("<I", 16),
    "BigTIFF": lambda: tiff(large=True),
    "BigTIFF, a directory far away": lambda: tiff(large=True)[:-8] + bytes(b"\xff" * 8),
    "TIFF, several frames": lambda: saved("TIFF", save_all=True, append_images=[Image.fromarray(PIXELS)] * 5),
    **{kind: lambda kind=kind: saved(kind) for kind in ("PNG", "JPEG", "WEBP", "BMP", "GIF")},
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_programs_write_is_opened(name: str) -> None:
    data = PLAIN[name]()
    with Image.open(io.BytesIO(data)) as image:
        expected = np.array(image.convert("RGB"))
    pixels = load_photo(data).pixels
    assert np.array_equal(np.broadcast_to(pixels, expected.shape), expected)


@pytest.mark.parametrize("name", PLAIN)
def test_a_file_that_was_cut_is_pillows_to_judge(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, places = PLAIN[name]()[:3000], []
    monkeypatch.setattr(Image, "open", lambda file, formats: places.append(file.tell()))
    cuts = range(0, len(whole), 7)
    for end in cuts:
        structure.open_image(io.BytesIO(whole[:end]), ["PNG"])
    assert places == [0] * len(cuts)
