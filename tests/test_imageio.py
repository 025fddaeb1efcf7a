"""Loading and saving: pixels, alpha and metadata survive, errors are one line, nothing stays half-written."""

import hashlib
import io
import os
import stat
import struct
import subprocess
import sys
import warnings
import zlib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps, ImageSequence, PngImagePlugin

from nuli.errors import ImageError
from nuli.imaging import pixels as pixel_arrays
from nuli.imaging.atomic import atomic_write
from nuli.imaging.exif import upright_exif
from nuli.imaging.formats import can_write
from nuli.imaging.metadata import Meta, upright_xmp
from nuli.imaging.photo import (
    Photo,
    check_target,
    copy_photo,
    load_photo,
    save_photo,
    to_image,
)
from nuli.sources import list_images

PHOTOS = Path(__file__).resolve().parents[2] / "shared" / "data" / "photos"
HAS_AVIF = ".avif" in Image.registered_extensions()
AVIF = pytest.param("avif", marks=pytest.mark.skipif(not HAS_AVIF, reason="Pillow without AVIF"))
ORIENTATION = 0x0112
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta><rdf:Description tiff:Orientation="%d" dc:title="\xc3\xa9t\xc3\xa9"/></x:xmpmeta>'
MAKER_NOTE = bytes(range(200, 256)) + b"\x12\x01\x03\0"  # holds what looks like an orientation
AUTHOR, DATE = "© Zoë".encode(), "2020:01:02 03:04:05"
TEXT = (("parameters", "a cat\nSteps: 20"), ("Title", PngImagePlugin.iTXt("日本", "ja", "題")))


@pytest.fixture(scope="module", autouse=True)
def several_strips():
    """The small pictures here, too, go to and from Pillow in several parts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pixel_arrays, "_STRIP", 300)
        yield


def smooth(height=40, width=56, channels=3, seed=0):
    """A picture without noise, so that lossy formats stay close, and without symmetry, so that turns show."""
    small = np.random.default_rng(seed).integers(0, 256, (4, 5, channels), dtype=np.uint8)
    bands = [Image.fromarray(small[..., i]).resize((width, height), Image.Resampling.BICUBIC) for i in range(channels)]
    return np.stack([np.asarray(band) for band in bands], axis=2)


def exif_block(order="<", orientation=6):
    """EXIF as cameras write it: text that is not ASCII, a nested directory, a MakerNote."""
    pack = lambda layout, *values: struct.pack(order + layout, *values)  # noqa: E731
    author, date = AUTHOR + b"\0", DATE.encode() + b"\0"
    behind = 8 + 2 + 3 * 12 + 4
    nested = behind + len(author)
    data = nested + 2 + 2 * 12 + 4
    return b"".join(
        [
            {"<": b"II*\0", ">": b"MM\0*"}[order] + pack("I", 8),
            pack("HHHIHH", 3, ORIENTATION, 3, 1, orientation, 0),
            pack("HHII", 0x013B, 2, len(author), behind),
            pack("HHIII", 0x8769, 4, 1, nested, 0) + author,
            pack("HHHII", 2, 0x9003, 2, len(date), data),
            pack("HHIII", 0x927C, 7, len(MAKER_NOTE), data + len(date), 0) + date + MAKER_NOTE,
        ]
    )


def exif_facts(image):
    exif = image.getexif()
    nested = exif.get_ifd(0x8769)
    return exif.get(ORIENTATION, 1), exif.get(0x013B), nested.get(0x9003), nested.get(0x927C)


def write(path, image, **options):
    image.save(path, **options)
    return path


def touched(path):
    path.touch()
    return path


def left_behind(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("."))


def close(a, b, tolerance):
    return a.shape == b.shape and np.abs(a.astype(int) - b.astype(int)).mean() <= tolerance


# ---------------------------------------------------------------- arrays


def test_pixels_between_others_are_the_right_ones() -> None:
    four = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for part in (four[..., :3], four[..., 1:]):
        assert np.array_equal(np.asarray(to_image(load_photo(np.zeros((2, 3, 3), np.uint8)), part)), part)


@pytest.mark.parametrize("shape", [(6, 7), (6, 7, 1), (6, 7, 3), (6, 7, 4)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, ">u2", np.float32, np.float64, np.float16])
def test_arrays(shape, kind):
    rng = np.random.default_rng(1)
    floats = np.dtype(kind).kind == "f"
    array = (rng.random(shape) if floats else rng.integers(0, np.iinfo(kind).max, shape, endpoint=True)).astype(kind)
    before = array.copy()
    photo = load_photo(array)
    whole = photo.pixels if photo.alpha is None else np.concatenate([photo.pixels, photo.alpha[..., None]], axis=2)
    wanted = np.rint(array.astype(np.float64) * 65535) if floats else array
    assert photo.pixels.dtype == (np.uint8 if kind is np.uint8 else np.uint16)
    assert photo.pixels.flags.c_contiguous and not np.shares_memory(photo.pixels, array)
    assert np.array_equal(whole, wanted.reshape(6, 7, -1)) and np.array_equal(array, before)
    assert (photo.alpha is None) == (shape[-1] != 4)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 5, 2), np.uint8),
        np.zeros(5, np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((4, 5), int),
        np.zeros((4, 5), bool),
        np.full((4, 5, 3), 1.01),
        np.full((4, 5), np.nan),
    ],
)
def test_arrays_that_are_no_pictures(array):
    with pytest.raises(ImageError):
        load_photo(array)


# ---------------------------------------------------------------- orientation


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("extension", ["jpg", "png", "webp", AVIF])
def test_orientation_is_applied_once_and_only_its_value_changes(tmp_path, extension, orientation, order):
    exif = exif_block(order, orientation)
    image, options = Image.fromarray(smooth()), {"lossless": True} if extension == "webp" else {}
    path = write(tmp_path / f"in.{extension}", image, exif=b"Exif\0\0" + exif, **options)
    photo = load_photo(path)
    with Image.open(path) as opened:
        assert np.array_equal(photo.pixels, np.asarray(ImageOps.exif_transpose(opened)))
    assert photo.pixels.shape[:2] == ((40, 56) if orientation < 5 else (56, 40)) and photo.pixels.flags.c_contiguous
    out = save_photo(photo, photo.pixels, tmp_path / f"out.{extension}")
    again = load_photo(out)
    assert again.pixels.shape == photo.pixels.shape and close(again.pixels, photo.pixels, 3)
    with Image.open(out) as opened:
        assert exif_facts(opened) == (1, *exif_facts(Image.open(path))[1:])
    if extension != "avif":  # there, Pillow itself rewrites the block
        at = 10 + 8 + (0 if order == "<" else 1)
        assert photo.meta.exif == again.meta.exif == exif[:at] + b"\1" + exif[at + 1 :]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
def test_tiff_keeps_orientation_and_exif_among_its_own_tags(tmp_path, orientation, compression, order):
    """Nested directories survive compression, which Pillow alone cannot do, and so does text beyond ASCII."""
    image = Image.fromarray(smooth())
    exif = exif_block(order, orientation)
    source = replace(load_photo(image).meta, exif=upright_exif(exif)[0], compression=compression)
    path = save_photo(Photo(smooth(), meta=source), smooth(), tmp_path / "in.tif")
    upright, turned = (struct.pack("<HHIHH", ORIENTATION, 3, 1, value, 0) for value in (1, orientation))
    assert path.read_bytes().count(upright) == 1
    path.write_bytes(path.read_bytes().replace(upright, turned))
    image.getexif()[ORIENTATION] = orientation
    photo = load_photo(path)
    assert np.array_equal(photo.pixels, np.asarray(ImageOps.exif_transpose(image)))
    assert photo.meta.compression == compression
    with Image.open(path) as opened:
        assert np.array_equal(load_photo(opened).pixels, photo.pixels)
    again = load_photo(save_photo(photo, photo.pixels, tmp_path / "again.tif"))
    assert np.array_equal(again.pixels, photo.pixels) and again.meta == photo.meta
    with Image.open(tmp_path / "again.tif") as opened:
        facts = exif_facts(opened)
    assert facts == (1, AUTHOR.decode("latin-1"), DATE, MAKER_NOTE)
    over = save_photo(photo, photo.pixels, tmp_path / "over.jpg")
    with Image.open(over) as opened:
        assert exif_facts(opened) == facts


@pytest.mark.parametrize("value", [0, 1, 9, 255])
def test_orientations_without_meaning_stay(value):
    assert upright_exif(exif_block("<", value)) == (exif_block("<", value), 1)


@pytest.mark.parametrize("before", [b'tiff:Orientation="%d"', b"<tiff:Orientation>%d</tiff:Orientation>"])
def test_xmp_orientation_follows(tmp_path, before):
    xmp = b"<x:xmpmeta>%s</x:xmpmeta>"
    assert upright_xmp(xmp % (before % 6)) == xmp % (before % 1)
    assert upright_xmp(xmp % b'exif:Orientation="6"') == xmp % b'exif:Orientation="6"'
    image = Image.fromarray(smooth())
    path = write(tmp_path / "a.webp", image, xmp=xmp % (before % 6), exif=b"Exif\0\0" + exif_block())
    assert load_photo(path).meta.xmp == xmp % (before % 1)
    path = write(tmp_path / "b.webp", image, xmp=xmp % (before % 6))  # not turned: left alone
    assert load_photo(path).meta.xmp == xmp % (before % 6)


def test_old_imagemagick_exif_in_png_becomes_exif(tmp_path):
    block = b"Exif\0\0" + exif_block()
    text = PngImagePlugin.PngInfo()
    text.add_text("Raw profile type exif", f"\nexif\n{len(block):8}\n{block.hex()}\n", zip=True)
    photo = load_photo(write(tmp_path / "a.png", Image.fromarray(smooth()), pnginfo=text))
    assert photo.pixels.shape == (56, 40, 3) and photo.meta.text == ()
    assert photo.meta.exif == exif_block(orientation=1)
    text.add_text("Raw profile type exif", "\nexif\n 9\nno hex\n")
    assert load_photo(write(tmp_path / "b.png", Image.fromarray(smooth()), pnginfo=text)).meta.exif == b""


@settings(max_examples=300)
@given(
    st.sampled_from([b"II*\0", b"MM\0*", b""]),
    st.integers(0, 40),
    st.lists(
        st.tuples(
            st.sampled_from([ORIENTATION, 0x010F]),
            st.integers(0, 5),
            st.integers(0, 2),
            st.lists(st.sampled_from([0, 0, 1, 2, 6, 8, 9]), min_size=4, max_size=4).map(bytes),
        ),
        max_size=4,
    ),
    st.binary(max_size=40),
)
def test_exif_patch_changes_values_of_orientation_only(head, start, entries, rest):
    order = ">" if head.startswith(b"M") else "<"
    exif = head + struct.pack(order + "I", start) + bytes(max(0, start - 8)) + struct.pack(order + "H", len(entries))
    exif += b"".join(struct.pack(order + "HHI4s", *entry) for entry in entries) + rest
    patched, orientation = upright_exif(exif)
    assert len(patched) == len(exif) and 1 <= orientation <= 8
    changed = [at for at in range(len(exif)) if exif[at] != patched[at]]
    assert (orientation > 1) == bool(changed)
    assert all(2 <= exif[at] <= 8 and patched[at] == 1 for at in changed)
    assert upright_exif(patched) == (patched, 1)
    if start >= 8 and head:
        values = [
            {start + 2 + 12 * number + 8 + byte for byte in range({1: 1, 3: 2, 4: 4}[kind])}
            for number, (tag, kind, count, _) in enumerate(entries)
            if tag == ORIENTATION and kind in (1, 3, 4) and count == 1
        ]
        assert set(changed) <= set().union(*values)


# ---------------------------------------------------------------- metadata


HOLDS = {
    "jpg": "exif icc xmp dpi",
    "png": "exif icc xmp dpi text",
    "webp": "exif icc xmp",
    "tif": "exif icc xmp dpi",
}
HOLDS |= {"avif": "exif icc xmp", "bmp": "dpi"}
EVERYWHERE = ["jpg", "png", "webp", "tif", "bmp", AVIF]


@pytest.mark.parametrize("target", EVERYWHERE)
@pytest.mark.parametrize("source", EVERYWHERE)
def test_metadata_survive_where_the_format_can_hold_them(tmp_path, source, target):
    everything = Meta(exif=exif_block(orientation=1), icc=SRGB, xmp=XMP % 1, dpi=(300, 150), text=TEXT)
    photo = load_photo(save_photo(Photo(smooth(), meta=everything), smooth(), tmp_path / f"in.{source}"))
    again = load_photo(save_photo(photo, photo.pixels, tmp_path / f"out.{target}"))
    with Image.open(tmp_path / f"out.{target}") as opened:
        facts = exif_facts(opened)
    for name in ["exif", "icc", "xmp", "dpi", "text"]:
        if name in HOLDS[source] and name in HOLDS[target]:
            if name == "exif":
                assert facts == (1, AUTHOR.decode("latin-1"), DATE, MAKER_NOTE)
            elif name == "dpi":
                assert again.meta.dpi == pytest.approx((300, 150), abs=0.02)
            else:
                assert getattr(again.meta, name) == getattr(everything, name)
        elif name not in HOLDS[target]:
            assert not getattr(again.meta, name)


def test_png_text_in_order_with_language(tmp_path):
    chunks = PngImagePlugin.PngInfo()
    chunks.add_text("parameters", "a cat\nSteps: 20, Größe: 1")
    chunks.add_text("Comment", "long " * 500, zip=True)
    chunks.add_itxt("Title", "日本", "ja", "題")
    chunks.add_text("dpi", "not a number")
    photo = load_photo(write(tmp_path / "a.png", Image.fromarray(smooth()), pnginfo=chunks))
    assert [key for key, _ in photo.meta.text] == ["parameters", "Comment", "Title", "dpi"]
    with Image.open(save_photo(photo, photo.pixels, tmp_path / "b.png")) as again:
        text = again.text
    assert text == dict(photo.meta.text) and (text["Title"].lang, text["Title"].tkey) == ("ja", "題")
    image = to_image(photo, photo.pixels)
    assert image.info["parameters"] == "a cat\nSteps: 20, Größe: 1"


def test_damaged_metadata_do_not_stop_a_picture(tmp_path):
    image = Image.fromarray(smooth())
    bad = [
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0nonsense",
        b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\x87\x69\0\4\0\0\0\1\0\0\0\x08" * 20,
    ]
    for number, exif in enumerate(bad):
        for extension in ["png", "webp", "jpg"]:
            path = write(tmp_path / f"{number}.{extension}", image, exif=exif, icc_profile=b"no profile")
            photo = load_photo(path)
            for target in ["png", "jpg", "tif", "webp", *["avif"] * HAS_AVIF]:
                assert (
                    load_photo(save_photo(photo, photo.pixels, tmp_path / f"{number}.out.{target}")).meta.icc
                    == b"no profile"
                )


def test_exif_with_its_name_twice(tmp_path):
    twice = b"Exif\0\0Exif\0\0" + exif_block()
    assert load_photo(write(tmp_path / "a.jpg", Image.fromarray(smooth()), exif=twice)).pixels.shape == (56, 40, 3)


def test_tiff_directories(tmp_path):
    """What a TIFF must keep to: even places, Pillow's own fields first, nothing for nothing, bounded size."""
    plain = io.BytesIO()
    Image.fromarray(smooth()).save(plain, "TIFF", compression="tiff_adobe_deflate", tiffinfo={317: 2})
    assert save_photo(load_photo(smooth()), smooth(), tmp_path / "a.tif").read_bytes() == plain.getvalue()
    for width in range(20, 30):
        compression = "raw" if width % 2 else ""
        meta = Meta(exif=exif_block(orientation=1), xmp=b"<odd>", dpi=(300, 150), compression=compression)
        picture = smooth(height=41, width=width)
        data = save_photo(Photo(picture, meta=meta), picture, tmp_path / "b.tif").read_bytes()
        (start,) = struct.unpack_from("<I", data, 4)
        (count,) = struct.unpack_from("<H", data, start)
        fields = list(struct.iter_unpack("<HHII", data[start + 2 : start + 2 + 12 * count]))
        assert [field[0] for field in fields] == sorted({field[0] for field in fields})
        assert start % 2 == 0 and all(
            field[3] % 2 == 0 for field in fields if field[2] > 4 or field[1] == 5 or field[0] == 0x8769
        )
    photo = load_photo(tmp_path / "b.tif")
    photo = replace(photo, meta=replace(photo.meta, dpi=(72, 72)))
    assert load_photo(save_photo(photo, photo.pixels, tmp_path / "c.tif")).meta.dpi == (72, 72)
    same = b"".join(struct.pack("<HHII", 60_000 + tag, 7, 100_000, 0) for tag in range(2_000))
    bomb = struct.pack("<2sHIH", b"II", 42, 8, 2_000) + same + bytes(100_000)
    path = save_photo(Photo(smooth(), meta=Meta(exif=bomb)), smooth(), tmp_path / "d.tif")
    assert path.stat().st_size < 20_000_000


def test_large_metadata_in_jpeg(tmp_path):
    """Segments end at 64 KB: EXIF and profile are split, XMP that does not fit is left out."""
    exif = exif_block(orientation=1) + bytes(100_000)
    meta = Meta(exif=exif, icc=SRGB + bytes(200_000), xmp=b"<x>" + b" " * 70_000)
    again = load_photo(save_photo(Photo(smooth(), meta=meta), smooth(), tmp_path / "a.jpg")).meta
    assert (again.icc, again.xmp) == (meta.icc, b"") and again.exif.startswith(exif_block(orientation=1))
    save_photo(Photo(smooth(), meta=replace(meta, xmp=b"")), smooth(), tmp_path / "b.jpg")


def test_jpeg_keeps_iptc_extended_xmp_and_comment(tmp_path):
    iptc = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x05hello\0"
    rdf = b"http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    more = b'<r:RDF xmlns:r="%s"><r:Description r:about="" a:b="c" xmlns:a="a:"/></r:RDF>' % rdf
    guid = hashlib.md5(more).hexdigest().upper().encode()
    extended = b"http://ns.adobe.com/xmp/extension/\0" + guid + struct.pack(">II", len(more), 0) + more
    xmp = more.replace(b'a:b="c" xmlns:a="a:"', b'n:HasExtendedXMP="%s" xmlns:n="http://ns.adobe.com/xmp/note/"' % guid)
    parts = [(0xED, iptc), (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + xmp), (0xE1, extended)]
    extra = b"".join(struct.pack(">BBH", 0xFF, m, len(d) + 2) + d for m, d in parts)
    path = write(tmp_path / "a.jpg", Image.fromarray(smooth()), extra=extra, comment=b"by hand")
    photo = load_photo(path)
    with Image.open(save_photo(photo, photo.pixels, tmp_path / "b.jpg")) as again:
        assert {iptc, extended, b"by hand"} <= {data for _, data in again.applist}
        assert again.info["comment"] == b"by hand"


def test_no_density_is_made_up(tmp_path):
    image = Image.fromarray(smooth())
    for name in ["a.jpg", "a.tif", "a.png"]:
        exif = {} if name == "a.tif" else {"exif": b"Exif\0\0" + exif_block()}
        assert load_photo(write(tmp_path / name, image, **exif)).meta.dpi is None


# ---------------------------------------------------------------- modes


def noisy(*shape, top=256):
    return np.random.default_rng(5).integers(0, top, shape, dtype=np.uint8 if top <= 256 else np.uint16)


def mode_cases():
    grey, colour, opacity = noisy(9, 11), noisy(9, 11, 3), noisy(9, 11)
    deep = noisy(9, 11, top=65536)
    rgb, rgba = Image.fromarray(colour), Image.fromarray(np.dstack([colour, opacity]))
    la = Image.merge("LA", [Image.fromarray(grey), Image.fromarray(opacity)])
    bits = Image.fromarray(grey).point(lambda v: 255 * (v > 99), "1")
    i16 = Image.frombytes("I;16", (11, 9), deep.tobytes())
    i16b = Image.frombytes("I;16B", (11, 9), deep.byteswap().tobytes())
    palette = rgb.quantize(16)
    greys = Image.fromarray(grey // 16)
    greys.putpalette([17 * v for v in range(16) for _ in range(3)])
    greys = Image.frombytes("P", (11, 9), (grey // 16).tobytes())
    greys.putpalette([17 * v for v in range(16) for _ in range(3)])
    ycc, hsv = rgb.convert("YCbCr"), rgb.convert("HSV")
    of = lambda image: np.asarray(image).reshape(9, 11, -1)  # noqa: E731
    yield "1", bits, of(bits.convert("L")), None
    yield "L", Image.fromarray(grey), grey[..., None], None
    yield "LA", la, grey[..., None], opacity
    yield "La", la.convert("La"), of(la.convert("La").convert("LA"))[..., :1], opacity
    yield "P", palette, of(palette.convert("RGB")), None
    yield "P grey", greys, (grey // 16 * 17)[..., None], None
    yield "RGB", rgb, colour, None
    yield "RGBX", Image.fromarray(colour).convert("RGBX"), colour, None
    yield "RGBA", rgba, colour, opacity
    yield "RGBa", rgba.convert("RGBa"), of(rgba.convert("RGBa").convert("RGBA"))[..., :3], opacity
    yield "YCbCr", ycc, of(ycc.convert("RGB")), None
    yield "HSV", hsv, of(hsv.convert("RGB")), None
    yield "I;16", i16, deep[..., None], None
    yield "I;16B", i16b, deep[..., None], None
    yield "I", Image.fromarray(deep.astype(np.int32)), deep[..., None], None


@pytest.mark.parametrize(
    "name, image, pixels, alpha",
    list(mode_cases()),
    ids=lambda value: value if isinstance(value, str) else "",
)
@pytest.mark.parametrize("strip", [1, 2**20])
def test_modes(monkeypatch, strip, name, image, pixels, alpha):
    monkeypatch.setattr(pixel_arrays, "_STRIP", strip)  # rows one by one give the same as all at once
    before = (image.mode, image.tobytes(), dict(image.info))
    photo = load_photo(image)
    assert photo.pixels.dtype == pixels.dtype and np.array_equal(photo.pixels, pixels)
    assert photo.pixels.flags.c_contiguous and photo.path is None
    assert photo.alpha is None if alpha is None else np.array_equal(photo.alpha, alpha)
    assert (image.mode, image.tobytes(), dict(image.info)) == before


def test_transparent_colours(tmp_path):
    """tRNS: one alpha per palette entry, one transparent entry, or one colour that is transparent."""
    grey, colour = noisy(9, 11, top=4) * 60, noisy(9, 11, 3, top=2) * 255
    deep = noisy(9, 11, top=3).astype(np.uint16) * 30_000
    palette = Image.fromarray(colour).quantize(8)
    indexed = np.asarray(palette)
    levels = bytes([0, 50, 100, 255, 200, 150, 25, 75])
    i16 = Image.frombytes("I;16", (11, 9), deep.tobytes())
    cases = [
        (palette, levels, np.frombuffer(levels, np.uint8)[indexed], 3),
        (palette, 2, np.where(indexed == 2, 0, 255), 3),
        (Image.fromarray(colour), (255, 0, 255), np.where((colour == (255, 0, 255)).all(2), 0, 255), 3),
        (Image.fromarray(grey), 120, np.where(grey == 120, 0, 255), 1),
        (i16, 30_000, np.where(deep == 30_000, 0, 65_535), 1),
    ]
    for number, (image, transparency, alpha, channels) in enumerate(cases):
        image.info["transparency"] = transparency
        # Pillow 9 does not write it with 16 bits
        photo = load_photo(image if image is i16 else write(tmp_path / f"{number}.png", image))
        assert np.array_equal(photo.alpha, alpha) and photo.alpha.dtype == photo.pixels.dtype
        assert photo.pixels.shape[2] == channels
        again = load_photo(save_photo(photo, photo.pixels, tmp_path / "again.png"))
        assert np.array_equal(again.alpha, alpha if alpha.max() == 255 else alpha // 257)


def test_modes_that_are_refused(tmp_path):
    wide = Image.fromarray(np.array([[0, 70_000]], np.int32))
    below = Image.fromarray(np.array([[-1, 70]], np.int32))
    for image in [Image.new("F", (3, 3)), wide, below]:
        path = write(tmp_path / "a.tif", image)
        for source in [image, path]:
            with pytest.raises(ImageError, match="save the picture with") as caught:
                load_photo(source)
            assert "\n" not in str(caught.value)


def cmyk_profile(colour_of):
    """A small CMYK profile: the colour in Lab of each combination of full inks, in between linear."""
    ramp = bytes(range(256))
    inks = [[255 * (corner >> shift & 1) for shift in (3, 2, 1, 0)] for corner in range(16)]
    lattice = b"".join(bytes(colour_of(*ink)) for ink in inks)
    table = b"mft1" + bytes(4) + bytes([4, 3, 2, 0])
    table += struct.pack(">9i", *(65536 * (i % 4 == 0) for i in range(9))) + ramp * 4 + lattice + ramp * 3
    head = struct.pack(">4x4xI4s4s4s12x4s28x", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    head += struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D) + bytes(48)
    body = head + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table
    return struct.pack(">I", len(body)) + body[4:]


def lab(red, green, blue):
    image = Image.new("RGB", (1, 1), (red, green, blue))
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB", 1)
    light, a, b = ImageCms.applyTransform(image, transform).tobytes()
    return light, (a + 128) % 256, (b + 128) % 256


@pytest.mark.parametrize("extension", ["jpg", "tif"])
def test_cmyk(tmp_path, extension):
    inks = np.zeros((32, 64, 4), np.uint8)
    inks[:, 32:, 0] = 255  # paper, and pure cyan
    image = Image.frombytes("CMYK", (64, 32), inks.tobytes())
    options = {"quality": 100, "subsampling": 0} if extension == "jpg" else {}
    # a press whose cyan is brick red tells the profile's way from the naive one
    profile = cmyk_profile(lambda c, m, y, k: lab(*((180, 60, 40) if c else (255, 255, 255))))
    photo = load_photo(write(tmp_path / f"a.{extension}", image, icc_profile=profile, **options))
    assert np.abs(photo.pixels[16, 16].astype(int) - 255).max() <= 3
    assert np.abs(photo.pixels[16, 48].astype(int) - (180, 60, 40)).max() <= 4
    assert photo.meta.icc == b"" and "sRGB" in photo.notes[0]
    for icc in [None, b"broken", SRGB]:
        photo = load_photo(write(tmp_path / f"b.{extension}", image, icc_profile=icc, **options))
        assert np.abs(photo.pixels[16, [16, 48]].astype(int) - [(255,) * 3, (0, 255, 255)]).max() <= 2
        assert photo.meta.icc == b"" and "without a usable profile" in photo.notes[0]
    save_photo(photo, photo.pixels, tmp_path / "again.jpg")


def test_ycck_jpeg(tmp_path):
    """Adobe's inverted YCCK: the first three inks, taken for R, G and B, turned to YCbCr; K inverted."""
    inks = Image.merge("RGB", [Image.new("L", (32, 32), v) for v in (200, 100, 30)])
    y, cb, cr = inks.convert("YCbCr").split()
    inverted = [band.point(lambda v: 255 - v) for band in (y, cb, cr)]  # Pillow inverts as it writes
    stored = Image.merge("CMYK", [*inverted, Image.new("L", (32, 32), 40)])
    data = io.BytesIO()
    stored.save(data, "JPEG", quality=100)
    raw = bytearray(data.getvalue())
    marker = raw.index(b"Adobe")
    assert raw[marker + 11] == 0
    raw[marker + 11] = 2
    (tmp_path / "a.jpg").write_bytes(raw)
    wanted = np.asarray(Image.new("CMYK", (1, 1), (200, 100, 30, 40)).convert("RGB"))[0, 0]
    assert np.abs(load_photo(tmp_path / "a.jpg").pixels[16, 16].astype(int) - wanted).max() <= 3


def test_lab_tiff(tmp_path):
    rgb = Image.fromarray(smooth() // 2 + 64)
    transform = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB", 1)
    photo = load_photo(write(tmp_path / "a.tif", ImageCms.applyTransform(rgb, transform)))
    assert close(photo.pixels, np.asarray(rgb), 2) and "LAB" in photo.notes[0]


# ---------------------------------------------------------------- writing


def test_sixteen_bits_become_eight_by_rounding():
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    wanted = np.rint(levels / 257).astype(np.uint8)
    colour = np.repeat(levels, 3, axis=2)
    assert np.array_equal(np.asarray(to_image(load_photo(colour), colour)), np.repeat(wanted, 3, axis=2))
    shallow = load_photo(wanted)
    assert np.array_equal(np.asarray(to_image(shallow, levels)), wanted[..., 0])
    assert np.array_equal(np.asarray(to_image(shallow, levels / 65535)), np.rint(levels / 65535 * 255)[..., 0])


@pytest.mark.parametrize(
    "extension, deep", [("png", True), ("tif", True), ("jpg", False), ("webp", False), ("bmp", False)]
)
def test_grey_stays_grey(tmp_path, extension, deep):
    levels = (smooth(channels=1).astype(np.uint16) * 257) + 100
    photo = load_photo(levels)
    coloured = np.repeat(levels, 3, axis=2)
    almost = coloured / 65535 + np.array([0, 4e-6, -4e-6])  # the dust of floating point arithmetic
    for pixels in [levels, coloured, coloured / 65535, almost]:
        with Image.open(save_photo(photo, pixels, tmp_path / f"a.{extension}")) as image:
            assert image.mode in (("I;16", "I") if deep else ("RGB",) if extension == "webp" else ("L",))
            if deep:
                assert np.abs(np.asarray(image).astype(int) - levels[..., 0]).max() <= (pixels is almost)
    with Image.open(save_photo(photo, smooth(channels=1), tmp_path / f"d.{extension}")) as image:
        assert image.mode == ("RGB" if extension == "webp" else "L")
    with Image.open(save_photo(photo, coloured - np.uint16([0, 0, 99]), tmp_path / f"b.{extension}")) as image:
        assert image.mode == "RGB"
    with Image.open(save_photo(load_photo(coloured), levels, tmp_path / f"c.{extension}")) as image:
        assert image.mode == "RGB"


def test_a_profile_of_greys_does_not_follow_into_colour(tmp_path):
    greys = SRGB[:16] + b"GRAY" + SRGB[20:]
    photo = Photo(smooth(channels=1), meta=Meta(icc=greys))
    assert load_photo(save_photo(photo, photo.pixels, tmp_path / "a.png")).meta.icc == greys
    assert load_photo(save_photo(photo, smooth(), tmp_path / "b.png")).meta.icc == b""


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
@pytest.mark.parametrize("extension", ["png", "tif", "webp", "jpg", "bmp", AVIF])
def test_alpha_is_kept_or_laid_over_white(tmp_path, extension, kind, channels):
    scale = 1 if kind is np.uint8 else 257
    colour, opacity = smooth(channels=channels), smooth(channels=1, seed=3)[..., 0]
    photo = Photo(colour.astype(kind) * kind(scale), opacity.astype(kind) * kind(scale))
    again = load_photo(save_photo(photo, photo.pixels, tmp_path / f"a.{extension}"))
    if extension in ("jpg", "bmp"):
        weight = opacity[..., None] / 255
        wanted = np.rint(colour * weight + 255 * (1 - weight))
        assert again.alpha is None and again.pixels.shape[2] == channels and close(again.pixels, wanted, 1.5)
    else:
        assert close(again.alpha, opacity, 0 if extension != "avif" else 2)
    image = to_image(photo, photo.pixels)
    assert image.mode == ("LA" if channels == 1 else "RGBA") and np.array_equal(np.asarray(image)[..., -1], opacity)


def test_new_pixels_must_fit():
    photo = load_photo(smooth())
    for pixels in [smooth(41), smooth(channels=4), smooth()[..., 0], smooth().astype(np.int64)]:
        with pytest.raises(ImageError):
            to_image(photo, pixels)


def tables_by_component(image):
    return [image.quantization[layer[3]] for layer in image.layer]


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize(
    "options",
    [{"quality": 30}, {"quality": 91, "progressive": True}, {"qtables": [[9] * 64, [12] * 64, [15] * 64]}],
)
def test_jpeg_is_written_as_it_was(tmp_path, mode, subsampling, options):
    path = write(tmp_path / "a.jpg", Image.fromarray(smooth()).convert(mode), subsampling=subsampling, **options)
    photo = load_photo(path)
    with Image.open(path) as before, Image.open(save_photo(photo, photo.pixels, tmp_path / "b.jpg")) as after:
        assert after.mode == mode and tables_by_component(after) == tables_by_component(before)
        if mode == "RGB":
            assert after.quantization == before.quantization
            assert [layer[1:3] for layer in after.layer] == [layer[1:3] for layer in before.layer]
        assert after.info.get("progressive") == before.info.get("progressive")
    assert close(load_photo(tmp_path / "b.jpg").pixels, photo.pixels, 2)


def test_noise_in_a_progressive_jpeg(tmp_path):
    """Pillow runs out of room for it, and it is written as a baseline JPEG."""
    meta = Meta(qtables=((1,) * 64,) * 3, progressive=True)
    again = load_photo(save_photo(Photo(noisy(200, 200, 3), meta=meta), noisy(200, 200, 3), tmp_path / "a.jpg"))
    assert again.meta.qtables == meta.qtables and close(again.pixels, noisy(200, 200, 3), 1)


def test_jpeg_from_elsewhere_is_written_well(tmp_path):
    write(tmp_path / "wanted.jpg", Image.fromarray(smooth()), quality=95, subsampling=0)
    grey = load_photo(write(tmp_path / "grey.jpg", Image.fromarray(smooth(channels=1)[..., 0]), quality=20))
    for photo in [load_photo(smooth()), grey]:
        with (
            Image.open(save_photo(photo, smooth(), tmp_path / "a.jpg")) as image,
            Image.open(tmp_path / "wanted.jpg") as wanted,
        ):
            assert image.quantization == wanted.quantization and image.layer == wanted.layer


@pytest.mark.parametrize("extension, quality", [("webp", 95), pytest.param("avif", 90, marks=AVIF.marks)])
def test_quality(tmp_path, extension, quality):
    write(tmp_path / f"wanted.{extension}", Image.fromarray(smooth()), quality=quality)
    path = save_photo(load_photo(smooth()), smooth(), tmp_path / f"a.{extension}")
    assert path.read_bytes() == (tmp_path / f"wanted.{extension}").read_bytes()


def test_webp_stays_lossless_or_lossy(tmp_path):
    noise = Image.fromarray(np.dstack([noisy(20, 30, 3), noisy(20, 30)]))
    for name, options in {"a": {"lossless": True, "exact": True}, "b": {"quality": 60}}.items():
        path = write(tmp_path / f"{name}.webp", noise, exif=exif_block(orientation=1), **options)
        photo = load_photo(path)
        again = load_photo(save_photo(photo, photo.pixels, tmp_path / "again.webp"))
        assert photo.meta.lossless == again.meta.lossless == (name == "a")
        assert np.array_equal(again.pixels, photo.pixels) == (name == "a")
    two = write(tmp_path / "c.webp", noise, save_all=True, append_images=[noise.rotate(180)], lossless=True)
    assert load_photo(two).meta.lossless


@pytest.mark.parametrize(
    "before, after", [("tiff_lzw", "tiff_lzw"), ("packbits", "packbits"), ("jpeg", "tiff_adobe_deflate")]
)
def test_tiff_compression(tmp_path, before, after):
    photo = load_photo(write(tmp_path / "a.tif", Image.fromarray(smooth()), compression=before))
    with Image.open(save_photo(photo, photo.pixels, tmp_path / "b.tif")) as image:
        assert image.info["compression"] == after
        assert np.array_equal(np.asarray(image), photo.pixels)


# ---------------------------------------------------------------- frames


@pytest.mark.parametrize("extension", ["gif", "webp", "png", "tif"])
def test_first_frame(tmp_path, extension):
    frames = [Image.fromarray(smooth(seed=seed)) for seed in range(3)]
    options = {"lossless": True} if extension == "webp" else {}
    path = write(tmp_path / f"a.{extension}", frames[0], save_all=True, append_images=frames[1:], **options)
    photo = load_photo(path)
    assert photo.notes == ("only the first of 3 frames is used",)
    assert close(photo.pixels, smooth(), 6 if extension == "gif" else 0)
    with Image.open(path) as image:
        second = np.asarray(next(f for i, f in enumerate(ImageSequence.Iterator(image)) if i == 1).convert("RGB"))
        assert np.array_equal(load_photo(image).pixels, second)


def test_damage_behind_the_first_frame(tmp_path):
    frames = [Image.fromarray(smooth(seed=seed)) for seed in range(3)]
    path = write(tmp_path / "a.tif", frames[0], save_all=True, append_images=frames[1:])
    with Image.open(path) as image:
        image.seek(1)
        second = image.tag_v2.offset
    data = bytearray(path.read_bytes())
    data[second : second + 2] = bytes(2)  # a directory without fields
    path.write_bytes(data)
    photo = load_photo(path)
    assert np.array_equal(photo.pixels, smooth()) and photo.notes == ("only the first of several frames is used",)


def test_mpo_is_a_jpeg(tmp_path):
    frames = [Image.fromarray(smooth(seed=seed)) for seed in range(2)]
    path = tmp_path / "a.jpg"
    frames[0].save(path, "MPO", save_all=True, append_images=frames[1:], quality=92)
    photo = load_photo(path)
    assert photo.meta.format == "JPEG" and close(photo.pixels, smooth(), 3) and len(photo.meta.qtables) == 3
    assert copy_photo(photo, tmp_path / "b.jpg").read_bytes() == path.read_bytes()


# ---------------------------------------------------------------- files


def test_copy(tmp_path):
    path = write(tmp_path / "a.jpg", Image.fromarray(smooth()), exif=b"Exif\0\0" + exif_block())
    photo = load_photo(path)
    data, written = path.read_bytes(), path.stat().st_mtime_ns
    assert copy_photo(photo, tmp_path / "b.JPEG").read_bytes() == data
    assert copy_photo(photo, path) == path and path.stat().st_mtime_ns == written and path.read_bytes() == data
    assert np.array_equal(load_photo(copy_photo(photo, tmp_path / "c.png")).pixels, photo.pixels)
    assert np.array_equal(load_photo(copy_photo(load_photo(smooth()), tmp_path / "d.png")).pixels, smooth())
    path.unlink()
    with pytest.raises(ImageError, match="no such file"):
        copy_photo(photo, tmp_path / "e.jpg")
    assert not (tmp_path / "e.jpg").exists() and left_behind(tmp_path) == []


def test_the_source_is_not_overwritten(tmp_path):
    path = write(tmp_path / "a.png", Image.fromarray(smooth()))
    (tmp_path / "soft.png").symlink_to(path)
    (tmp_path / "hard.png").hardlink_to(path)
    photo, data = load_photo(path), path.read_bytes()
    for name in ["a.png", "soft.png", "hard.png", "../" + tmp_path.name + "/a.png"]:
        with pytest.raises(ImageError, match="choose another name"):
            save_photo(photo, smooth(seed=1), tmp_path / name)
        assert path.read_bytes() == data
    save_photo(photo, smooth(seed=1), tmp_path / "soft.png", overwrite_input=True)
    assert (tmp_path / "soft.png").is_symlink() and np.array_equal(load_photo(path).pixels, smooth(seed=1))
    assert (tmp_path / "hard.png").read_bytes() == data
    save_photo(load_photo(path), smooth(seed=2), path, overwrite_input=True)
    assert np.array_equal(load_photo(path).pixels, smooth(seed=2)) and left_behind(tmp_path) == []


def test_permissions(tmp_path):
    photo = load_photo(smooth())
    before = os.umask(0o027)
    try:
        path = save_photo(photo, smooth(), tmp_path / "a.png")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    save_photo(photo, smooth(), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


def test_extensions_that_cannot_be_written(tmp_path):
    photo = load_photo(smooth())
    for name, hint in {"a.gif": r"use \.png", "a.heic": r"\.png", "a": r"\.png", "a.mpo": r"\.jpg"}.items():
        with pytest.raises(ImageError, match=hint):
            save_photo(photo, smooth(), tmp_path / name)
    with pytest.raises(ImageError, match=r"use \.png"):
        save_photo(load_photo(np.zeros((2, 16_384), np.uint8)), np.zeros((2, 16_384, 1), np.uint8), tmp_path / "a.webp")
    assert list(tmp_path.iterdir()) == []


def test_sources_that_are_no_pictures(tmp_path, monkeypatch):
    (tmp_path / "empty.png").touch()
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "program.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")
    os.mkfifo(tmp_path / "pipe.png")
    write(tmp_path / "locked.png", Image.fromarray(smooth()))
    expected = {"empty": "is empty", "text": "convert", "folder": "a folder:", "program": "convert"}
    expected |= {"pipe": "not a file", "missing": "no such file"}
    for name, words in expected.items():
        with pytest.raises(ImageError, match=words) as caught:
            load_photo(tmp_path / f"{name}.png")
        assert "\n" not in str(caught.value) and f"{name}.png" in str(caught.value)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)  # root may read anything
    with pytest.raises(ImageError, match="no permission"):
        load_photo(tmp_path / "locked.png")
    monkeypatch.undo()
    for source in [Image.new("RGB", (0, 5)), None]:
        with pytest.raises(ImageError):
            load_photo(source)


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif", "bmp", "gif", AVIF])
def test_truncated_files(tmp_path, extension):
    path = write(tmp_path / f"a.{extension}", Image.fromarray(noisy(60, 60, 3)))
    data = path.read_bytes()
    for length in [10, len(data) // 2, len(data) * 4 // 5]:
        path.write_bytes(data[:length])
        with pytest.raises(ImageError) as caught:
            load_photo(path)
        assert "\n" not in str(caught.value)


def test_places_that_cannot_be_written(tmp_path):
    photo = load_photo(write(tmp_path / "in.png", Image.fromarray(smooth())))
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").touch()
    before = sorted(tmp_path.iterdir())
    for name, words in {
        "missing/a.png": "make the folder",
        "file/a.png": "not a folder",
        "folder.png": "a folder:",
    }.items():
        for write_it in (lambda path: save_photo(photo, smooth(), path), lambda path: copy_photo(photo, path)):
            with pytest.raises(ImageError, match=words) as caught:
                write_it(tmp_path / name)
            assert "\n" not in str(caught.value)
    with pytest.raises(ImageError):
        save_photo(photo, smooth(), "/proc/a.png")  # where root, too, cannot make files
    assert sorted(tmp_path.iterdir()) == before


@contextmanager
def full_disk():
    """A disk with room for 20,000 bytes: writes there first succeed in part, then fail.

    Not as a fixture: the limit holds for pytest's own output too, which may be a longer file by now.
    """
    resource = pytest.importorskip("resource", reason="Windows limits no file sizes")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("extension", ["jpg", "png", "webp", "tif", "bmp", AVIF, "raw tif", "progressive jpg", "copy"])
def test_full_disk(tmp_path, extension):
    noise = noisy(200, 200, 3)
    source = write(tmp_path / "source.bmp", Image.fromarray(noise))
    meta = Meta(compression="raw", qtables=((1,) * 64,) * 3, progressive="progressive" in extension)
    photo = replace(load_photo(source), meta=meta if " " in extension else load_photo(source).meta)
    target = tmp_path / f"a.{extension.split()[-1] if extension != 'copy' else 'bmp'}"
    target.write_bytes(b"the old one")
    with full_disk(), pytest.raises(ImageError, match="no room left"):
        copy_photo(photo, target) if extension == "copy" else save_photo(photo, noise, target)
    assert target.read_bytes() == b"the old one" and sorted(tmp_path.iterdir()) == [target, source]


def test_interrupted(tmp_path, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    photo = load_photo(write(tmp_path / "a.png", Image.fromarray(smooth())))
    for name in ["PIL.Image.Image.save", "shutil.copyfileobj", "os.replace"]:
        with monkeypatch.context() as patch:
            patch.setattr(name, interrupt)
            with pytest.raises(KeyboardInterrupt):
                (
                    copy_photo(photo, tmp_path / "b.png")
                    if "copy" in name
                    else save_photo(photo, smooth(), tmp_path / "b.png")
                )
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_other_files_are_replaced_the_same_way(tmp_path):
    path = tmp_path / "recipe.json"
    with atomic_write(path) as file:
        file.write(b"one")
    with pytest.raises(ImageError, match=r"recipe\.json"), atomic_write(path) as file:
        file.write(b"two")
        raise ValueError
    assert path.read_bytes() == b"one" and list(tmp_path.iterdir()) == [path]


def test_can_write():
    answers = {name: can_write(name) for name in ["a.JPG", "a.tiff", "a.gif", "a.mpo", "a.eps", "a"]}
    assert [name for name, answer in answers.items() if answer] == ["a.JPG", "a.tiff"]
    assert can_write(Path("a.avif")) == HAS_AVIF


def test_list_images(tmp_path):
    names = ["b.JPG", "a.png", ".hidden.png", "notes.txt", "sub/c.webp", ".trash/d.png", "sub/.e.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "gone.png").symlink_to(tmp_path / "nothing")
    assert list_images(tmp_path) == [tmp_path / "a.png", tmp_path / "b.JPG"]
    assert list_images(str(tmp_path), recursive=True) == [*list_images(tmp_path), tmp_path / "sub" / "c.webp"]
    assert (tmp_path / "x.avif" in list_images(touched(tmp_path / "x.avif").parent)) == HAS_AVIF
    for folder in [tmp_path / "missing", tmp_path / "a.png"]:
        with pytest.raises(ImageError):
            list_images(folder)


# ---------------------------------------------------------------- size


def png(path, width, height, depth, colour, line):
    """A PNG of equal lines, in any of its pixel layouts."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress((b"\0" + line) * height, 1)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b""))
    return path


def png_of_nothing(path, width, height):
    return png(path, width, height, 1, 0, bytes((width + 7) // 8))


def test_sixteen_bits_of_colour_are_read_as_eight_and_the_user_is_told(tmp_path):
    photo = load_photo(png(tmp_path / "a.png", 2, 3, 16, 2, struct.pack(">6H", *range(0, 60_000, 10_000))))
    assert "16 bits" in photo.notes[0] and photo.pixels[0, 1].tolist() == [
        30_000 >> 8,
        40_000 >> 8,
        50_000 >> 8,
    ]
    grey = load_photo(png(tmp_path / "b.png", 2, 3, 16, 0, struct.pack(">2H", 10_000, 40_000)))
    assert grey.notes == () and grey.pixels[0, :, 0].tolist() == [10_000, 40_000]


def test_large_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(pixel_arrays, "_STRIP", 2**20)
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's; the limit is ours
        assert load_photo(png_of_nothing(tmp_path / "a.png", 10_000, 10_000)).pixels.shape == (10_000, 10_000, 1)
        for size in [(20_000, 9_000), (17_900, 10_000)]:
            with pytest.raises(ImageError, match="178 megapixels"):
                load_photo(png_of_nothing(tmp_path / "b.png", *size))
    with pytest.raises(ImageError, match="178 megapixels"):
        load_photo(Image.new("1", (17_900, 10_000)))
    assert limit == Image.MAX_IMAGE_PIXELS


PEAK = """
import sys, numpy as np, nuli.imaging.photo as io
peak = lambda: int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) * 1024
io.save_photo(io.load_photo(np.zeros((8, 8, 3), np.uint8)), np.zeros((8, 8, 3), np.uint8), sys.argv[2])
start = peak()
photo = io.load_photo(sys.argv[1])
loaded = peak()
io.save_photo(photo, photo.pixels, sys.argv[2])
print(start, loaded, peak())
"""


def test_memory(tmp_path):
    """Four bytes a pixel for Pillow's image and three for the array, and Pillow's image gone afterwards."""
    megapixels = 20
    path = write(tmp_path / "a.jpg", Image.new("RGB", (5_000, megapixels * 200), (90, 120, 60)))
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", PEAK, path, tmp_path / "b.jpg"]
    start, loaded, saved = map(
        int, subprocess.run(command, env=environment, capture_output=True, check=True).stdout.split()
    )
    room = (7 * megapixels + 25) * 1e6
    assert loaded - start < room and saved - start < room


# ---------------------------------------------------------------- anything at all


def seeds():
    image, tiny = (
        Image.fromarray(smooth(12, 10)),
        {"exif": b"Exif\0\0" + exif_block(), "icc_profile": SRGB[:200]},
    )
    kinds = {
        "JPEG": tiny,
        "PNG": tiny | {"dpi": (72, 72)},
        "WEBP": tiny,
        "BMP": {},
        "GIF": {},
        "TIFF": {"compression": "tiff_lzw"},
    }
    for kind, options in kinds.items():
        data = io.BytesIO()
        image.save(data, kind, **options)
        yield data.getvalue()


SEEDS = list(seeds())


@settings(max_examples=250, deadline=None)
@given(st.data())
def test_damaged_files_load_or_end_in_an_image_error(tmp_path_factory, data):
    raw = bytearray(data.draw(st.sampled_from(SEEDS) | st.binary(max_size=60)))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 700), st.integers(0, 255)), max_size=6)):
        if raw:
            raw[at % len(raw)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.png"
    path.write_bytes(raw[: data.draw(st.integers(0, len(raw)) | st.just(len(raw)))])
    try:
        photo = load_photo(path)
    except ImageError as error:
        assert "\n" not in str(error)
    else:
        again = load_photo(save_photo(photo, photo.pixels, path.with_name("again.png")))
        assert again.pixels.shape == photo.pixels.shape


# ---------------------------------------------------------------- real photos


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the shared photos are not on this machine")
def test_real_photos(tmp_path):
    for path in sorted(PHOTOS.glob("*.jpg"))[:8]:
        photo = load_photo(path)
        with Image.open(path) as before, Image.open(save_photo(photo, photo.pixels, tmp_path / "a.jpg")) as after:
            assert np.array_equal(photo.pixels, np.asarray(before))
            assert tables_by_component(after) == tables_by_component(before)
            assert close(np.asarray(after), photo.pixels, 2)
        assert np.array_equal(load_photo(save_photo(photo, photo.pixels, tmp_path / "a.png")).pixels, photo.pixels)
        assert copy_photo(photo, tmp_path / "b.jpg").read_bytes() == path.read_bytes()


def test_a_target_is_checked_before_there_is_anything_to_write(tmp_path):
    check_target(tmp_path / "fine.png")
    for bad, says in (
        (tmp_path / "no" / "a.png", "no such"),
        (tmp_path / "a.xyz", "cannot write"),
        (tmp_path / "a.gif", "png"),
    ):
        with pytest.raises(ImageError, match=says):
            check_target(bad)
    assert not list(tmp_path.iterdir())


def test_a_file_that_holds_more_than_was_read_is_not_written_over(tmp_path):
    frames = [Image.new("RGB", (20, 16), colour) for colour in ("red", "green", "blue")]
    for name in ("pages.tif", "moving.webp"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:])
        before, photo = (tmp_path / name).read_bytes(), load_photo(tmp_path / name)
        assert not photo.complete
        with pytest.raises(ImageError, match="would be lost"):
            save_photo(photo, 255 - photo.pixels, tmp_path / name, overwrite_input=True)
        assert (tmp_path / name).read_bytes() == before
        save_photo(photo, 255 - photo.pixels, tmp_path / f"other-{name}")
