"""Places in the stored pixels follow them when a picture is turned upright."""

import io
import math
import re

import numpy as np
import pytest
from containers import exif, jpeg, xmp, xmp_segment
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from nuli.imaging.metadata import clean_xmp
from nuli.imaging.photo import load_photo, save_photo
from nuli.imaging.turn import Turn, turned_exif

WIDTH, HEIGHT = 160, 96
LEFT, TOP, ACROSS, DOWN = 16, 8, 48, 24  # the mark, in stored pixels
X, Y, W, H = LEFT / WIDTH, TOP / HEIGHT, ACROSS / WIDTH, DOWN / HEIGHT
CENTRE = X + W / 2, Y + H / 2


def marked() -> Image.Image:
    values = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    values[TOP : TOP + DOWN, LEFT : LEFT + ACROSS] = 220
    return Image.fromarray(values)


def struct_of(elements: bool, name: str, fields: dict, wrapped: str = "") -> str:
    """A structure in the syntax of attributes or of elements."""
    if elements:
        inner = "".join(f"<{key}>{value}</{key}>" for key, value in fields.items())
        return f'<{name} rdf:parseType="Resource">{inner}{wrapped}</{name}>'
    attributes = " ".join(f"{key}='{value}'" for key, value in fields.items())
    if wrapped:
        return f"<{name}><rdf:Description {attributes}>{wrapped}</rdf:Description></{name}>"
    return f"<{name} {attributes}/>"


def regions(elements: bool) -> bytes:
    """A packet with the mark as everything that has a place."""
    area = {"stArea:x": CENTRE[0], "stArea:y": CENTRE[1], "stArea:w": W, "stArea:h": H, "stArea:unit": "normalized"}
    region = struct_of(elements, "rdf:li", {"mwg-rs:Type": "Face"}, struct_of(elements, "mwg-rs:Area", area))
    listed = f"<mwg-rs:RegionList><rdf:Bag>{region}</rdf:Bag></mwg-rs:RegionList>"
    applied = {"stDim:w": WIDTH, "stDim:h": HEIGHT, "stDim:unit": "pixel"}
    applied = struct_of(elements, "mwg-rs:AppliedToDimensions", applied)
    parts = f'<mwg-rs:Regions rdf:parseType="Resource">{applied}{listed}</mwg-rs:Regions>'
    face = struct_of(elements, "rdf:li", {"MPReg:Rectangle": f"{X}, {Y}, {W}, {H}", "MPReg:PersonDisplayName": "Ä"})
    faces = f"<MPRI:Regions><rdf:Bag>{face}</rdf:Bag></MPRI:Regions>"
    parts += f'<MP:RegionInfo rdf:parseType="Resource">{faces}</MP:RegionInfo>'
    subject = "".join(f"<rdf:li>{v}</rdf:li>" for v in (LEFT + ACROSS // 2, TOP + DOWN // 2, ACROSS, DOWN))
    parts += f"<exif:SubjectArea><rdf:Seq>{subject}</rdf:Seq></exif:SubjectArea>"
    simple = {
        "exif:PixelXDimension": WIDTH,
        "exif:PixelYDimension": HEIGHT,
        "tiff:ImageWidth": WIDTH,
        "tiff:ImageLength": HEIGHT,
        "crs:HasCrop": "True",
        "crs:AlreadyApplied": "False",
        "crs:CropLeft": X,
        "crs:CropTop": Y,
        "crs:CropRight": X + W,
        "crs:CropBottom": Y + H,
        "crs:CropAngle": 0,
    }
    if elements:
        return xmp("", parts + "".join(f"<{name}>{value}</{name}>" for name, value in simple.items()))
    return xmp(" ".join(f'{name}="{value}"' for name, value in simple.items()), parts)


def value(packet: bytes, name: str) -> str:
    """The one value of a property, in either syntax."""
    [found] = re.findall(rf"""<{name}>([^<]*)<|\s{name}=["']([^"']*)["']""", packet.decode())
    return found[0] or found[1]


def box_of(pixels: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of the mark."""
    rows, columns = np.nonzero(pixels[..., 0] > 130)
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize("elements", [False, True])
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_still_cover_the_mark(tmp_path, orientation, order, elements):
    subject = (LEFT + ACROSS // 2, TOP + DOWN // 2, ACROSS, DOWN)
    block = exif(orientation, order, subject, (WIDTH, HEIGHT))
    path = tmp_path / "in.jpg"
    path.write_bytes(jpeg(marked(), block, xmp_segment(regions(elements))))
    photo = load_photo(path)
    assert photo.complete and photo.notes == ()
    save_photo(photo, photo.pixels, path, overwrite_input=True)
    with Image.open(path) as image:
        packet, (width, height) = image.info["xmp"], image.size
        fields = image.getexif().get_ifd(0x8769)
        left, top, right, bottom = box_of(np.asarray(image))
    x, y, w, h = (float(value(packet, f"stArea:{name}")) for name in "xywh")
    close = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
    x, y, w, h = (float(part) for part in value(packet, "MPReg:Rectangle").split(","))
    microsoft = [x * width, y * height, (x + w) * width, (y + h) * height]
    crop = [float(value(packet, f"crs:Crop{side}")) for side in ("Left", "Top", "Right", "Bottom")]
    crop = [crop[0] * width, crop[1] * height, crop[2] * width, crop[3] * height]
    x, y, w, h = fields[0x9214]
    area = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
    listed = re.search(r"<exif:SubjectArea>(.*)</exif:SubjectArea>", packet.decode())[1]
    x, y, w, h = (int(number) for number in re.findall(r"\d+", listed))
    in_xmp = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
    for found in (close, microsoft, crop, area, in_xmp):
        assert np.allclose(found, [left, top, right, bottom], atol=1.1)
    assert fields[0xA214] == fields[0x9214][:2]
    assert (fields[0xA002], fields[0xA003]) == (width, height)
    for names in (
        ("exif:PixelXDimension", "exif:PixelYDimension"),
        ("tiff:ImageWidth", "tiff:ImageLength"),
        ("stDim:w", "stDim:h"),
    ):
        assert [int(value(packet, name)) for name in names] == [width, height]
    assert value(packet, "MPReg:PersonDisplayName") == "Ä" and value(packet, "mwg-rs:Type") == "Face"
    if orientation == 1:
        assert packet == regions(elements)


@given(st.integers(2, 8), st.integers(1, 500), st.integers(1, 500), st.floats(0, 1), st.floats(0, 1))
def test_a_point_turns_as_its_pixel_does(orientation, width, height, x, y):
    turn = Turn(orientation, width, height)
    column, row = min(int(x * width), width - 1), min(int(y * height), height - 1)
    stored = np.zeros((height, width), np.uint8)
    stored[row, column] = 1
    [(down, across)] = np.argwhere(load_upright(stored, orientation))
    assert turn.subject([column, row]) == [across, down]
    assert turn.size == (load_upright(stored, orientation).shape[::-1])
    assert math.isclose(turn.point(x, y)[0] + 1, turn.box(x, y, 0, 0)[0] + 1)


def load_upright(stored: np.ndarray, orientation: int) -> np.ndarray:
    """By EXIF's words: what the stored first row and first column are as seen."""
    turned = {
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.T,
        6: stored[::-1].T,
        7: stored[::-1, ::-1].T,
        8: stored[:, ::-1].T,
    }
    return turned[orientation]


@pytest.mark.parametrize("count", [2, 3, 4])
def test_subject_areas_of_two_three_and_four_values(tmp_path, count):
    path = tmp_path / "in.jpg"
    path.write_bytes(jpeg(marked(), exif(6, subject=(20, 10, 8, 4)[:count])))
    with Image.open(save_photo(load_photo(path), load_photo(path).pixels, tmp_path / "b.jpg")) as image:
        found = image.getexif().get_ifd(0x8769)[0x9214]
    assert found == (HEIGHT - 1 - 10, 20, *{2: (), 3: (8,), 4: (4, 8)}[count])


def test_what_cannot_be_turned_is_removed_and_told(tmp_path):
    parts = "<GDepth:Data>AAAA</GDepth:Data><MPReg:Rectangle>nonsense</MPReg:Rectangle>"
    packet = xmp('GDepth:Format="RangeLinear" crs:CropLeft="0.1" crs:CropAngle="3" stArea:x="?"', parts)
    path = tmp_path / "in.jpg"
    path.write_bytes(jpeg(marked(), exif(6), xmp_segment(packet)))
    photo = load_photo(path)
    assert not photo.complete and len(photo.notes) == 4
    assert not re.search(rb"GDepth|MPReg|CropLeft|stArea", photo.meta.xmp) and "Grüße".encode() in photo.meta.xmp
    path.write_bytes(jpeg(marked(), exif(1), xmp_segment(packet)))
    photo = load_photo(path)
    assert photo.complete and photo.notes == () and photo.meta.xmp == packet


@pytest.mark.parametrize(
    "packet",
    [
        b"<x:xmpmeta><stArea:x>0.5</stArea:x>",
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><x xmlns:stArea="s">&b;<stArea:x/></x>',
        "<x stArea:x='1'/>".encode("utf-16"),
        b"<a>" * 100_000,
    ],
)
def test_xmp_that_cannot_be_read_is_dropped_only_where_it_would_lie(packet):
    assert clean_xmp(packet, None) == (packet, ())
    turned = clean_xmp(packet, Turn(6, 3, 2))
    assert turned == (b"", ("XMP that can't be read",)) or b"Area" not in packet


@settings(deadline=None)
@given(st.data())
def test_damaged_packets_end_in_no_error(data):
    packet = bytearray(regions(data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(packet) - 1))
        packet[at : at + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=5))
    clean_xmp(bytes(packet), Turn(data.draw(st.integers(2, 8)), WIDTH, HEIGHT))
    block = bytearray(exif(6, subject=(1, 2, 3), size=(4, 5))[10:])
    for _ in range(data.draw(st.integers(1, 5))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    assert len(turned_exif(bytes(block), Turn(6, WIDTH, HEIGHT))) == len(block)


def test_resolutions_follow(tmp_path):
    image = marked()
    file = io.BytesIO()
    image.save(file, "JPEG", dpi=(300, 150), exif=exif(8)[4:])
    path = tmp_path / "in.jpg"
    path.write_bytes(file.getvalue())
    assert load_photo(path).meta.dpi == (150, 300)
