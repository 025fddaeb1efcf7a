"""What stands in or behind a picture file besides its first picture."""

import base64
import contextlib
import hashlib
import io
import re
import struct
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from containers import (
    NAMESPACES,
    VIDEO,
    exif,
    extended_segments,
    jpeg,
    mpf,
    phone_photo,
    samsung_trailer,
    segment,
    xmp,
    xmp_segment,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin, TiffImagePlugin

from nuli.errors import ImageError
from nuli.imaging.behind import end_of_picture, read_mpf
from nuli.imaging.photo import load_photo, save_photo


def picture(width: int = 160, height: int = 112) -> Image.Image:
    values = np.full((height, width, 3), 60, np.uint8)
    values[: height // 4, : width // 4] = 220
    return Image.fromarray(values)


def enhanced(data: bytes, tmp_path: Path, name: str = "out.jpg") -> tuple[bytes, tuple[str, ...]]:
    """The bytes of a file written over in place where the extension is the same, and the notes."""
    source = tmp_path / "in.jpg"
    source.write_bytes(data)
    photo = load_photo(source)
    assert photo.complete
    changed = (photo.pixels // 2 + 20).astype(np.uint8)
    target = save_photo(photo, changed, source if name == "out.jpg" else tmp_path / name, overwrite_input=True)
    return target.read_bytes(), photo.notes


def behind(data: bytes) -> bytes:
    file = io.BytesIO(data)
    return data[end_of_picture(file) :]


def packet(data: bytes) -> ET.Element:
    with Image.open(io.BytesIO(data)) as image:
        return ET.fromstring(image.info["xmp"])


def items(data: bytes) -> list[dict[str, str]]:
    """What the container of a file lists."""
    uri = f"{{{NAMESPACES['Item']}}}"
    found = []
    for element in packet(data).iter(f"{{{NAMESPACES['Container']}}}Item"):
        fields = dict(element.attrib) | {child.tag: child.text for child in element}
        found.append({name.removeprefix(uri): value for name, value in fields.items() if name.startswith(uri)})
    return found


def by_mpf(data: bytes) -> list[bytes]:
    """The pictures that MPF lists."""
    at = data.index(b"\xff\xe2", data.index(b"MPF\0") - 6) + 8
    first, *others = read_mpf(data[at:])
    assert first[2] == 0 and data[: first[1]].endswith(b"\xff\xd9") and behind(data[: first[1]]) == b""
    return [data[at + offset : at + offset + size] for _, size, offset in others]


@pytest.mark.parametrize("elements", [False, True])
@pytest.mark.parametrize("motion", ["", "new", "old", "both"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_gain_map_and_video_of_a_phone_survive_in_place(tmp_path, orientation, motion, elements):
    trailer = samsung_trailer([(0x0A01, b"Image_UTC_Data", b"1700000000000")])
    source = phone_photo(picture(), orientation, motion=motion, elements=elements, trailer=trailer)
    result, notes = enhanced(source, tmp_path)
    assert notes == ()
    [gain] = by_mpf(result)
    [before] = by_mpf(source)
    end = (VIDEO if motion else b"") + trailer
    assert behind(result) == gain + end
    if orientation == 1:
        assert gain == before
    with Image.open(io.BytesIO(gain)) as image, Image.open(io.BytesIO(result)) as first:
        # the bright corner lies where it lies in the picture
        assert image.size == (first.width // 4, first.height // 4) and image.mode == "L"
        values, seen = np.asarray(image), np.asarray(first.convert("L").resize(image.size))
        assert ((values > 135) == (seen > 80)).mean() > 0.97
        assert first.getexif().get_ifd(0x8769)[0xA002] == first.width
        assert first.getexif().get_ifd(0x8769)[0xA003] == first.height
    assert b'hdrgm:GainMapMax="2.3"' in gain and b"urn:iso:std:iso:ts:21496:-1" in gain
    listed = items(result)
    assert [item["Semantic"] for item in listed][:2] == ["Primary", "GainMap"] and int(listed[1]["Length"]) == len(gain)
    if motion in ("new", "both"):
        assert result[len(result) - int(listed[2]["Length"]) :] == end
    if motion in ("old", "both"):
        offset = int(re.search(rb'MicroVideoOffset="(\d+)"', result)[1])
        assert result[-offset:] == end
    assert b"\xff\xe7\0\x05own" in result and "Grüße".encode() in result


@pytest.mark.parametrize("extension", ["png", "webp", "tif", "avif"])
def test_another_format_promises_nothing(tmp_path, extension):
    result, _ = enhanced(phone_photo(picture(), 6, motion="both"), tmp_path, f"out.{extension}")
    for word in (b"hdrgm", b"GainMap", b"MotionPhoto", b"MicroVideo", b"Container", b"ftypmp42isom"):
        assert word not in result
    assert "Grüße".encode() in result or extension == "avif"


def test_an_image_in_memory_promises_nothing():
    with Image.open(io.BytesIO(phone_photo(picture(), 1, motion="both"))) as image:
        photo = load_photo(image)
    assert photo.meta.xmp and not re.search(rb"hdrgm|GainMap|MotionPhoto|MicroVideo|Container", photo.meta.xmp)


def test_promises_that_a_file_does_not_keep_are_removed(tmp_path):
    source = phone_photo(picture(), motion="both")
    cut = source[: len(source) - len(behind(source))]
    result, _ = enhanced(cut, tmp_path)
    assert not re.search(rb"hdrgm|GainMap|MotionPhoto|MicroVideo|Container|MPF\0|21496", result)


def test_unknown_bytes_survive(tmp_path):
    source = jpeg(picture()) + b"anything"
    assert behind(enhanced(source, tmp_path)[0]) == b"anything"


def previews(kind: int) -> bytes:
    small = jpeg(picture(80, 56))
    first = jpeg(picture(), segment(0xE7, b"own"))
    listed = [(0x030000, 0, len(first)), (kind, len(first), len(small))]
    return mpf(first + small, first.index(b"\xff\xe7"), listed)


def test_previews_of_cameras_are_removed_and_told(tmp_path):
    result, notes = enhanced(previews(0x010002), tmp_path)
    assert behind(result) == b"" and b"MPF\0" not in result and "previews" in notes[0]


def test_flashpix_previews_are_removed_and_told(tmp_path):
    data = jpeg(picture(), segment(0xE2, b"FPXR\0\0\2" + jpeg(picture(24, 16))), segment(0xE7, b"own"))
    (tmp_path / "in.jpg").write_bytes(data)
    photo = load_photo(tmp_path / "in.jpg")
    assert any("FlashPix" in note for note in photo.notes)
    made = save_photo(photo, photo.pixels // 2, tmp_path / "out.jpg").read_bytes()
    assert b"FPXR" not in made and b"own" in made


def test_other_pictures_are_not_lost_silently(tmp_path):
    for source in (previews(0x020002), previews(0), jpeg(picture()) + jpeg(picture())):
        path = tmp_path / "in.jpg"
        path.write_bytes(source)
        photo = load_photo(path)
        assert not photo.complete and "1 more picture" in photo.notes[0]
        with pytest.raises(ImageError, match="would be lost"):
            save_photo(photo, photo.pixels, path, overwrite_input=True)
        result = save_photo(photo, photo.pixels, tmp_path / "other.jpg").read_bytes()
        assert behind(result) == b"" and b"MPF\0" not in result


def test_content_credentials_are_told(tmp_path):
    path = tmp_path / "in.jpg"
    path.write_bytes(jpeg(picture(), segment(0xEB, b"JP\0\x01\0\0\0\x01\0\0\0\x20jumb...c2pa")))
    photo = load_photo(path)
    assert not photo.complete and "C2PA" in photo.notes[0]
    assert b"c2pa" not in save_photo(photo, photo.pixels, tmp_path / "other.jpg").read_bytes()


THUMBNAIL = base64.b64encode(jpeg(picture(80, 56))).decode()
THUMBNAILS = [
    '<xmp:Thumbnails><rdf:Alt><rdf:li rdf:parseType="Resource"><xmpGImg:format>JPEG</xmpGImg:format>'
    f"<xmpGImg:image>{THUMBNAIL}</xmpGImg:image></rdf:li></rdf:Alt></xmp:Thumbnails>",
    f'<xmp:Thumbnails><rdf:Alt><rdf:li xmpGImg:format="JPEG" xmpGImg:image="{THUMBNAIL}"/></rdf:Alt></xmp:Thumbnails>',
]


@pytest.mark.parametrize("thumbnail", THUMBNAILS)
@pytest.mark.parametrize("more", ["", "<dc:source>here</dc:source>"])
def test_thumbnails_in_xmp_are_removed(tmp_path, thumbnail, more):
    result, notes = enhanced(jpeg(picture(), xmp_segment(xmp(elements=thumbnail))), tmp_path)
    assert b"Thumbnails" not in result and "Grüße".encode() in result and notes == ()
    large = xmp(elements=thumbnail + more + f"<dc:rights>{'x' * 70_000 if more else ''}</dc:rights>")
    large = large.replace("<dc:title>Grüße</dc:title>".encode(), b"")
    if not more:
        large = large.replace(b"<dc:rights></dc:rights>", b"")
    guid, extended = extended_segments(large)
    source = jpeg(picture(), xmp_segment(xmp(f'xmpNote:HasExtendedXMP="{guid}"')), extended)
    result, notes = enhanced(source, tmp_path)
    assert b"Thumbnails" not in result and "Grüße".encode() in result and notes == ()
    assert (b"HasExtendedXMP" in result) == (b"/xmp/extension/" in result) == bool(more)
    if more:
        [extended] = re.findall(rb"xmp/extension/\0([0-9A-F]{32})", result)[:1]
        assert b'HasExtendedXMP="%s"' % extended in result
        assert hashlib.md5(load_photo(tmp_path / "in.jpg").meta.extended).hexdigest().upper().encode() == extended


def test_photoshops_thumbnails_are_removed_and_the_rest_stays(tmp_path):
    def resource(number: int, content: bytes) -> bytes:
        return b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + content + bytes(len(content) % 2)

    small = bytes(28) + jpeg(picture(80, 56))
    data = resource(1028, b"\x1c\x02\x05\0\x05hello") + resource(1036, small) + resource(1033, small)
    data += resource(1034, b"\1")
    source = jpeg(picture(), segment(0xED, b"Photoshop 3.0\0" + data))
    result, _ = enhanced(source, tmp_path)
    kept = resource(1028, b"\x1c\x02\x05\0\x05hello") + resource(1034, b"\1")
    assert segment(0xED, b"Photoshop 3.0\0" + kept) in result


@pytest.mark.parametrize("extension", ["png", "webp", "avif"])
def test_bytes_and_chunks_besides_the_picture_are_told(tmp_path, extension):
    path = tmp_path / f"in.{extension}"
    picture().save(path)
    assert load_photo(path).complete
    data = path.read_bytes()
    if extension == "png":
        more = {"bytes behind the picture": data + b"PK\3\4"}
    elif extension == "webp":
        chunk = b"C2PA" + struct.pack("<I", 4) + b"jumb"
        more = {"content credentials": data[:4] + struct.pack("<I", len(data) + 4) + data[8:] + chunk}
        more["bytes behind the picture"] = data + b"PK\3\4"
    else:
        box = b"uuid" + bytes.fromhex("d8fec3d61b0e483c92975828877ec481") + b"jumb"
        more = {"content credentials": data + struct.pack(">I", len(box) + 4) + box}
    for words, changed in more.items():
        path.write_bytes(changed)
        photo = load_photo(path)
        assert not photo.complete and any(words in note for note in photo.notes)
        with pytest.raises(ImageError, match="would be lost"):
            save_photo(photo, photo.pixels, path, overwrite_input=True)


def test_alpha_of_an_avif_is_no_loss(tmp_path):
    path = tmp_path / "in.avif"
    image = picture()
    image.putalpha(100)
    image.save(path)
    assert load_photo(path).complete
    data = path.read_bytes()
    name = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"
    assert name in data
    path.write_bytes(data.replace(name, b"urn:com:photo:aux:hdrgainmap".ljust(len(name), b"x")))
    assert any("auxiliary pictures" in note for note in load_photo(path).notes)


def test_tiff_keeps_photoshops_resources_without_thumbnails_and_tells_of_layers(tmp_path):
    def resource(number: int, content: bytes) -> bytes:
        return b"8BIM" + struct.pack(">HHI", number, 0, len(content)) + content + bytes(len(content) % 2)

    kept = resource(1028, b"\x1c\x02\x05\0\x05hello")
    path = tmp_path / "in.tif"
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[34377] = kept + resource(1036, bytes(28) + jpeg(picture(80, 56)))
    tags.tagtype[34377] = 1
    picture().save(path, tiffinfo=tags)
    result, notes = enhanced(path.read_bytes(), tmp_path, "out.tif")
    assert notes == () and kept in result and b"\xff\xd8\xff" not in result
    as_jpeg, _ = enhanced(path.read_bytes(), tmp_path, "other.jpg")
    assert segment(0xED, b"Photoshop 3.0\0" + kept) in as_jpeg
    tags[37724] = b"Adobe Photoshop Document Data Block\0"
    tags.tagtype[37724] = 7
    picture().save(path, tiffinfo=tags)
    photo = load_photo(path)
    assert not photo.complete and any("layers" in note for note in photo.notes)


def test_raw_profiles_of_a_png_show_no_old_picture(tmp_path):
    text = PngImagePlugin.PngInfo()
    for name, content in (("8bim", b"8BIM\x04\x0c\0\0" + jpeg(picture(80, 56))), ("iptc", b"\x1c\x02\x05\0\x05hello")):
        text.add_text(f"Raw profile type {name}", f"\n{name}\n{len(content):8}\n{content.hex()}\n", zip=True)
    path = tmp_path / "in.png"
    picture().save(path, pnginfo=text)
    photo = load_photo(path)
    assert [key for key, _ in photo.meta.text] == ["Raw profile type iptc"] and "8bim" in photo.notes[0]


def test_a_file_made_to_keep_its_reader_busy_does_not(tmp_path):
    many = "".join('<rdf:li><Container:Item Item:Mime="image/jpeg" Item:Length="4"/></rdf:li>' for _ in range(700))
    areas = "<exif:SubjectArea><rdf:Seq><rdf:li>1</rdf:li></rdf:Seq></exif:SubjectArea>" * 100
    packet = xmp(elements=f"<Container:Directory><rdf:Seq>{many}</rdf:Seq></Container:Directory>{areas}")
    source = jpeg(picture(), exif(6), xmp_segment(packet)) + b"\xff\xd8\xff\xd9" * 100_000 + bytes(1 << 20)
    path = tmp_path / "in.jpg"
    path.write_bytes(source)
    begin = time.process_time()
    photo = load_photo(path)
    assert time.process_time() - begin < 2 and not photo.complete
    save_photo(photo, photo.pixels, tmp_path / "out.jpg")


@pytest.mark.parametrize("spaces", [b"<x a='1'%s/>", b"<x%sa='1'/>", b"<x a%s='1'/>", b"<x>%s</x>", b"<x/>%s"])
def test_long_room_in_xmp_takes_no_time(tmp_path, spaces):
    """A pattern that looks for the end of spaces anew at each of them would take minutes."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", (spaces % (b" " * (1 << 20))).decode())
    picture().save(tmp_path / "in.png", pnginfo=info)
    (tmp_path / "in.jpg").write_bytes(jpeg(picture(), xmp_segment(spaces % (b" " * 60_000))))
    begin = time.process_time()
    for name in ("in.png", "in.jpg"):
        photo = load_photo(tmp_path / name)
        save_photo(photo, photo.pixels, tmp_path / "out.jpg")
    assert time.process_time() - begin < 2


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damaged_phone_photos_end_in_no_error_but_ours(tmp_path, data):
    source = bytearray(phone_photo(picture(), data.draw(st.sampled_from([1, 6])), motion="both"))
    spots = [source.index(word) for word in (b"MPF\0", b"Container:Directory", b"MicroVideoOffset", b"Exif")]
    spots.append(len(source) - len(behind(bytes(source))))
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.sampled_from(spots)) + data.draw(st.integers(0, 200))
        source[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "in.jpg"
    path.write_bytes(source[: data.draw(st.sampled_from([len(source), len(source) - 9000, len(source) - 10_400]))])
    with contextlib.suppress(ImageError):
        photo = load_photo(path)
        save_photo(photo, photo.pixels, tmp_path / "out.jpg")
        save_photo(photo, photo.pixels, tmp_path / "out.png")
