"""The small picture within EXIF goes when the pixels change, and nothing else does: other data hold offsets."""

from __future__ import annotations

import io
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image

from nuli.imaging.photo import copy_photo, load_photo, save_photo, to_image

HAS_AVIF = ".avif" in Image.registered_extensions()
PIXELS = np.random.default_rng(3).integers(0, 256, (4, 5, 3), dtype=np.uint8).repeat(9, 0).repeat(9, 1)
AUTHOR, MAKER_NOTE = b"someone 2\0", bytes(range(150, 200))
BEHIND = b"what a MakerNote points at"


def thumbnail() -> bytes:
    file = io.BytesIO()
    Image.fromarray(255 - PIXELS[:24, :32]).save(file, "JPEG", quality=70)
    return file.getvalue()


THUMBNAIL = thumbnail()
FIXED = 8 + 2 + 3 * 12  # where IFD0's link to the next directory lies
IFD1 = FIXED + 4 + len(AUTHOR) + 2 + 12 + 4 + len(MAKER_NOTE)
"""Where the directory of the thumbnail begins; up to there nothing but the link may change."""
DATA = IFD1 + 2 + 4 * 12 + 4


def block(
    order: str = "<",
    *,
    link: int = IFD1,
    offset: int = DATA,
    length: int = len(THUMBNAIL),
    behind: bytes = b"",
    strips: bool = False,
    orientation: int = 1,
) -> bytes:
    """EXIF with an author, a MakerNote in the EXIF directory, and a thumbnail: JPEG, or pixels in one strip."""

    def pack(layout: str, *values: int) -> bytes:
        return struct.pack(order + layout, *values)

    nested = FIXED + 4 + len(AUTHOR)
    first, second = (273, 279) if strips else (513, 514)
    return b"".join(
        [
            {"<": b"II*\0", ">": b"MM\0*"}[order] + pack("I", 8),
            pack("H", 3)
            + pack("HHIHH", 0x0112, 3, 1, orientation, 0)
            + pack("HHII", 0x013B, 2, len(AUTHOR), FIXED + 4),
            pack("HHII", 0x8769, 4, 1, nested) + pack("I", link) + AUTHOR,
            pack("H", 1) + pack("HHII", 0x927C, 7, len(MAKER_NOTE), nested + 18) + pack("I", 0) + MAKER_NOTE,
            pack("H", 4) + pack("HHIHH", 0x0103, 3, 1, 1 if strips else 6, 0) + pack("HHIHH", 0x0112, 3, 1, 6, 0),
            pack("HHII", first, 4, 1, offset) + pack("HHII", second, 4, 1, length) + pack("I", 0),
            THUMBNAIL + behind,
        ]
    )


def written(exif: bytes, folder: Path, extension: str = "jpg") -> Path:
    """A picture file that carries this EXIF block, written by Pillow."""
    path = folder / f"in.{extension}"
    Image.fromarray(PIXELS).save(path, exif=b"Exif\0\0" + exif)
    return path


def without(exif: bytes, end: int | None = None) -> bytes:
    """EXIF with IFD0's link cut, and up to `end`."""
    return exif[:FIXED] + bytes(4) + exif[FIXED + 4 : end]


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("extension", ["jpg", "png", "webp"])  # Pillow writes no such block into AVIF
def test_new_pixels_carry_no_thumbnail_of_the_old_ones(tmp_path: Path, extension: str, order: str) -> None:
    path = written(block(order), tmp_path, extension)
    with Image.open(path) as image:
        assert image.getexif().get_ifd(ExifTags.IFD.IFD1)[513] and THUMBNAIL in image.info["exif"]
    photo = load_photo(path)
    for target in ("jpg", "png", "webp", "tif", *["avif"] * HAS_AVIF):
        out = save_photo(photo, 255 - photo.pixels, tmp_path / f"out.{target}")
        assert THUMBNAIL[20:60] not in out.read_bytes()
        with Image.open(out) as image:
            exif = image.getexif()
            assert not exif.get_ifd(ExifTags.IFD.IFD1) and exif[0x013B] == "someone 2"
            assert exif.get_ifd(0x8769)[0x927C] == MAKER_NOTE
    assert to_image(photo, photo.pixels).info["exif"] == b"Exif\0\0" + without(block(order), DATA)
    copy = copy_photo(photo, tmp_path / f"copy.{extension}")
    assert copy.read_bytes() == path.read_bytes()  # untouched


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("strips", [False, True])
def test_other_data_stays_where_it_is(tmp_path: Path, order: str, strips: bool) -> None:
    exif = block(order, behind=BEHIND, strips=strips)
    wanted = without(exif, DATA) + bytes(len(THUMBNAIL)) + BEHIND
    assert load_photo(written(exif, tmp_path)).meta.exif == wanted
    assert load_photo(written(exif[: -len(BEHIND)], tmp_path)).meta.exif == without(exif, DATA)
    turned = block(order, behind=BEHIND, strips=strips, orientation=6)
    assert load_photo(written(turned, tmp_path)).meta.exif == wanted  # turned upright too


def test_several_strips_of_a_thumbnail(tmp_path: Path) -> None:
    """Their offsets and lengths lie in lists of their own."""
    exif = bytearray(block(strips=True, behind=b"####" + struct.pack("<IIHH", DATA, DATA + 100, 90, 80)))
    at = len(exif) - 12
    struct.pack_into("<HHII", exif, IFD1 + 2 + 24, 273, 4, 2, at)
    struct.pack_into("<HHIHH", exif, IFD1 + 2 + 36, 279, 3, 2, 90, 80)
    wanted = bytearray(without(bytes(exif)))
    wanted[DATA : DATA + 90], wanted[DATA + 100 : DATA + 180] = bytes(90), bytes(80)
    assert load_photo(written(bytes(exif), tmp_path)).meta.exif == bytes(wanted)


def test_no_link_is_cut_that_is_none(tmp_path: Path) -> None:
    """Some programs leave the link out: there, data of the directory lie in its place."""
    exif = struct.pack("<4sIHHHII", b"II*\0", 8, 1, 0x013B, 2, 10, 22) + AUTHOR
    assert load_photo(written(exif, tmp_path)).meta.exif == exif
    plain = block(link=0)
    assert load_photo(written(plain, tmp_path)).meta.exif == plain


def test_a_thumbnail_that_is_none_is_only_cut_loose(tmp_path: Path) -> None:
    exif = block(offset=DATA + 7, behind=BEHIND)  # no JPEG begins there
    assert load_photo(written(exif, tmp_path)).meta.exif == without(exif)


NUMBERS = st.integers(0, DATA + len(THUMBNAIL) + 40) | st.integers(0, 2**32 - 1) | st.sampled_from([0, 8, FIXED, IFD1])


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from("<>"),
    NUMBERS,
    NUMBERS,
    NUMBERS,
    st.booleans(),
    st.integers(0, DATA + len(THUMBNAIL) + len(BEHIND)) | st.just(None),
)
def test_hostile_offsets_never_reach_other_data(
    order: str, link: int, offset: int, length: int, strips: bool, cut: int | None
) -> None:
    exif = block(order, link=link, offset=offset, length=length, strips=strips, behind=BEHIND)[:cut]
    image = Image.fromarray(PIXELS[:2, :2])
    image.info["exif"] = b"Exif\0\0" + exif
    kept = load_photo(image).meta.exif
    known = min(IFD1, len(exif))  # what is reached from IFD0
    assert len(kept) <= len(exif) and len(kept) >= known
    assert kept[:known] in (exif[:known], without(exif)[:known])
    assert len(exif) < FIXED + 4 or kept[FIXED : FIXED + 4] == bytes(4)
    changed = {at for at in range(known, len(kept)) if kept[at] != exif[at]}
    assert all(kept[at] == 0 for at in changed)
    image.info["exif"] = b"Exif\0\0" + kept
    assert load_photo(image).meta.exif == kept


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_damaged_exif_ends_in_no_error(data: st.DataObject) -> None:
    raw = bytearray(block(data.draw(st.sampled_from("<>")), behind=BEHIND))
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, DATA + 20), st.integers(0, 255)), max_size=8)):
        raw[at] = value
    image = Image.fromarray(PIXELS)
    image.info["exif"] = bytes(raw)
    assert len(load_photo(image).meta.exif) <= len(raw)


def test_many_overlapping_fields_take_no_time() -> None:
    """A block of a megabyte, each of whose directories claims all of it, thousands of times."""
    entries = struct.pack("<HHII", 0x8769, 4, 1, 8) * 3 + struct.pack("<HHII", 0x9000, 7, 2**20, 8) * 65_000
    exif = struct.pack("<4sIH", b"II*\0", 8, 65_003) + entries + struct.pack("<I", 8) + bytes(2**18)
    image = Image.fromarray(PIXELS)
    image.info["exif"] = exif
    begin = time.perf_counter()
    assert len(load_photo(image).meta.exif) == len(exif)
    assert time.perf_counter() - begin < 20
