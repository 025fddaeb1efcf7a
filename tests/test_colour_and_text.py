"""Colour told outside a profile, generators' text between formats, files whose name says another format."""

import io
import json
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, PngImagePlugin
from test_formats_table import (
    AUTHOR,
    INFOTEXT,
    PROMPT,
    WORKFLOW,
    as_srgb,
    avif,
    comfy,
    exif_of,
    flat,
    png,
    png_text,
    user_comment,
)
from test_imageio import AVIF, MAKER_NOTE, exif_block, exif_facts

from nuli.errors import ImageError
from nuli.imaging import generation, icc, tags
from nuli.imaging.exif import read_fields
from nuli.imaging.photo import check_fits, load_photo, save_photo, to_image, writing_notes

CAMERA = exif_of({0x010F: "Canon", 0x0110: "EOS"}, {0x9286: b"ASCII\0\0\0my holiday"})


# ---------------------------------------------------------------- text


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("extension", ["jpg", "webp", "tif", AVIF])
def test_infotext_goes_beside_exif_that_is_there(tmp_path, extension, order):
    path = tmp_path / "a.png"
    png_text(parameters=INFOTEXT, prompt=PROMPT, workflow=WORKFLOW)(path)
    Image.open(path).save(path, exif=exif_block(order, 1), pnginfo=_info(path))
    photo = load_photo(path)
    out = save_photo(photo, photo.pixels, tmp_path / f"b.{extension}")
    assert user_comment(out) == INFOTEXT and comfy(out) == {"prompt": PROMPT, "workflow": WORKFLOW}
    assert exif_facts(Image.open(out))[3] == MAKER_NOTE
    back = load_photo(save_photo(load_photo(out), photo.pixels, tmp_path / "c.png"))
    assert dict(back.meta.text) == {"parameters": INFOTEXT, "prompt": PROMPT, "workflow": WORKFLOW}


def _info(path):
    info = PngImagePlugin.PngInfo()
    for key, value in Image.open(path).text.items():
        info.add_itxt(key, value)
    return info


def test_what_a_camera_says_is_not_written_over(tmp_path):
    exif, left = generation.to_exif(CAMERA[6:], (("parameters", INFOTEXT), ("prompt", PROMPT), ("workflow", WORKFLOW)))
    image = Image.Exif()
    image.load(exif)
    assert (image[0x010F], image[0x0110]) == ("Canon", "EOS") and left == ("parameters",)
    assert image.get_ifd(0x8769)[0x9286] == b"ASCII\0\0\0my holiday"
    assert {image[0x010D], image[0x010E]} == {"prompt:" + PROMPT, "workflow:" + WORKFLOW}
    path = tmp_path / "a.png"
    png_text(parameters=INFOTEXT)(path)
    Image.open(path).save(path, exif=CAMERA, pnginfo=_info(path))
    photo = load_photo(path)
    assert "'parameters'" in " ".join(writing_notes(photo, tmp_path / "b.jpg"))
    # in place it keeps its real format, which holds all of it
    path = path.rename(tmp_path / "a.jpg")
    save_photo(load_photo(path), photo.pixels, path, overwrite_input=True)
    assert Image.open(path).text["parameters"] == INFOTEXT


def test_a_blank_comment_is_filled():
    blank = exif_of({}, {0x9286: b"ASCII\0\0\0" + b" " * 40})[6:]
    exif, left = generation.to_exif(blank, (("parameters", INFOTEXT),))
    assert not left and generation.from_exif(exif) == (("parameters", INFOTEXT),)


@pytest.mark.parametrize("extension", ["jpg", "webp", "tif", AVIF])
def test_a_long_workflow_is_found_whole(tmp_path, extension):
    long = json.dumps({"nodes": ["x" * 200_000]})
    png_text(parameters=INFOTEXT, workflow=long)(tmp_path / "a.png")
    photo = load_photo(tmp_path / "a.png")
    out = save_photo(photo, photo.pixels, tmp_path / f"b.{extension}")
    assert comfy(out)["workflow"] == long and user_comment(out) == INFOTEXT
    assert any("64 KB" in note for note in writing_notes(photo, out)) == (extension == "jpg")
    if extension == "jpg":  # readers of the first segment alone find the infotext
        data = out.read_bytes()
        start = data.index(b"Exif\0\0")
        assert "Steps: 20".encode("utf-16-be") in data[start : start + 60_000]


def test_too_long_a_workflow_is_named(tmp_path):
    huge = json.dumps({"nodes": ["x" * generation.ROOM]})
    exif, left = generation.to_exif(b"", (("parameters", INFOTEXT), ("workflow", huge)))
    assert left == ("workflow",) and len(exif) < 1000


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1).map(lambda text: text + "\nSteps: 20").filter(lambda t: t == t.strip("\0 \ufeff")))
def test_any_infotext_comes_back(text):
    if not text.isprintable():
        text = "".join(c for c in text if c.isprintable() or c == "\n").strip() or "Steps: 1"
    exif, left = generation.to_exif(b"", (("parameters", text),))
    assert not left and dict(generation.from_exif(exif))["parameters"] == text.strip("\0 \ufeff")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 300))
def test_strange_exif_costs_nothing(tail, start):
    block = b"II*\0" + struct.pack("<I", start) + tail
    exif, left = generation.to_exif(block, (("parameters", INFOTEXT), ("prompt", PROMPT)))
    assert exif.startswith(b"II*\0") and exif[8 : len(block)] == block[8:]
    if "parameters" not in left:
        assert dict(generation.from_exif(exif)).get("parameters") == INFOTEXT
    generation.from_exif(block)


# ---------------------------------------------------------------- colours


@pytest.mark.parametrize("primaries", icc.PRIMARIES)
@pytest.mark.parametrize("transfer", icc.CURVES)
def test_profiles_are_ones_that_lcms_reads(primaries, transfer):
    colours = icc.of_cicp(primaries, transfer)
    for grey, mode in ((False, "RGB"), (True, "L")):
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc.profile(colours, grey)))
        white = ImageCms.profileToProfile(
            flat(mode).point(lambda _: 255), profile, ImageCms.createProfile("sRGB"), 1, "RGB"
        )
        assert min(white.getpixel((0, 0))) >= 254


def test_srgb_made_of_numbers_changes_nothing():
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    ours = ImageCms.ImageCmsProfile(io.BytesIO(icc.profile(icc.Colours())))
    same = ImageCms.profileToProfile(image, ours, ImageCms.createProfile("sRGB"))
    assert np.abs(np.asarray(same).astype(int) - np.asarray(image)).max() <= 1


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=8, max_size=8))
def test_impossible_primaries_make_no_profile(values):
    made = icc.profile(icc.Colours(tuple(values)))
    assert made == b"" or made[36:40] == b"acsp"


def test_an_image_in_memory_has_a_profile(tmp_path):
    png(gAMA=struct.pack(">I", 100_000))(tmp_path / "a.png")
    photo = load_photo(tmp_path / "a.png")
    assert to_image(photo, photo.pixels).info["icc_profile"]
    # and one that comes from Pillow says the same
    with Image.open(tmp_path / "a.png") as image:
        assert load_photo(image).meta.tags.colours == photo.meta.tags.colours


def test_hdr_is_refused_before_any_work(tmp_path):
    png(cICP=bytes([9, 16, 0, 1]))(tmp_path / "a.png")
    photo = load_photo(tmp_path / "a.png")
    assert any("HDR (PQ)" in note for note in photo.notes)
    with pytest.raises(ImageError, match=r"write \.png or \.avif"):
        check_fits(photo, tmp_path / "a.jpg")


def test_cicp_goes_before_a_profile(tmp_path):
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    png(cICP=bytes([12, 13, 0, 1]))(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    flat().save(tmp_path / "b.png", icc_profile=srgb)
    behind = (tmp_path / "b.png").read_bytes()
    (tmp_path / "b.png").write_bytes(data[: 33 + 16] + behind[33:])
    photo = load_photo(tmp_path / "b.png")
    out = load_photo(save_photo(photo, photo.pixels, tmp_path / "c.jpg"))
    assert out.meta.icc not in (b"", srgb)
    again = load_photo(save_photo(photo, photo.pixels, tmp_path / "d.png"))
    assert again.meta.icc == srgb and again.meta.tags.cicp == (12, 13)


@pytest.mark.parametrize("cicp", [(1, 13), (9, 16)])
def test_a_profile_behind_cicp_does_not_come_before_it_elsewhere(tmp_path, cicp):
    """Formats that have no cICP, or another order, must not show the profile's colours."""
    flat().save(tmp_path / "a.png", icc_profile=icc.profile(icc.of_cicp(12, 13)))
    data = (tmp_path / "a.png").read_bytes()
    png(cICP=bytes([*cicp, 0, 1]))(tmp_path / "b.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "b.png").read_bytes()[: 33 + 16] + data[33:])
    photo = load_photo(tmp_path / "b.png")
    assert photo.meta.icc
    targets = (["webp"] if cicp[1] == 13 else []) + (["avif"] if ".avif" in Image.registered_extensions() else [])
    for extension in targets:
        out = load_photo(save_photo(photo, photo.pixels, tmp_path / f"c.{extension}"))
        assert not out.meta.icc and out.meta.tags.cicp in (None, cicp)


@pytest.mark.skipif(".avif" not in Image.registered_extensions(), reason="Pillow without AVIF")
def test_numbers_beside_the_profile_of_an_avif_stay_behind_it(tmp_path):
    profile = icc.profile(icc.of_cicp(12, 13))
    avif(9, 16, icc_profile=profile)(tmp_path / "a.avif")
    photo = load_photo(tmp_path / "a.avif")
    out = save_photo(photo, photo.pixels, tmp_path / "b.png")
    assert b"cICP" not in out.read_bytes() and load_photo(out).meta.icc == profile


def test_a_tiffs_table_becomes_the_profile(tmp_path):
    light = tuple(round((i / 255) ** 1.8 * 65_535) for i in range(256))
    flat().save(tmp_path / "a.tif", tiffinfo={301: light * 3})
    photo = load_photo(tmp_path / "a.tif")
    out = save_photo(photo, photo.pixels, tmp_path / "b.png")
    with Image.open(out) as image:
        assert 301 not in image.getexif()
    linear = np.array([180, 100, 60]) / 255
    wanted = 255 * (1.055 * (linear**1.8) ** (1 / 2.4) - 0.055)
    assert np.abs(np.subtract(as_srgb(out), wanted)).max() < 3
    kept = save_photo(photo, photo.pixels, tmp_path / "c.tif")
    assert Image.open(kept).tag_v2[301][:256] == light


@pytest.mark.skipif(".avif" not in Image.registered_extensions(), reason="Pillow without AVIF")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_boxes_end_quietly(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "boxes.avif"
    if not path.exists():
        avif(12, 13, exif=exif_of(AUTHOR))(path)
    whole = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, 400))] = data.draw(st.integers(0, 255))
    tags._avif(io.BytesIO(bytes(whole[: data.draw(st.integers(0, len(whole)))])), False)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("named", ["jpg", "png", "webp", "tif", "bmp", AVIF])
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "BMP"])
def test_the_real_format_stays_in_place(tmp_path, kind, named):
    path = tmp_path / f"a.{named}"
    mode = "RGB" if kind in ("JPEG", "BMP") else "RGBA"
    flat(mode).save(path, kind)
    photo = load_photo(path)
    save_photo(photo, photo.pixels, path, overwrite_input=True)
    with Image.open(path) as image:
        assert (image.format, image.mode) == (kind, mode)
    wrong = any("named" in note for note in writing_notes(photo, path))
    assert wrong == ({"jpg": "JPEG", "tif": "TIFF"}.get(named, named.upper()) != kind)


def test_elsewhere_a_file_is_what_its_name_says(tmp_path):
    path = tmp_path / "a.jpg"
    flat("RGBA").save(path, "PNG")
    photo = load_photo(path)
    out = save_photo(photo, photo.pixels, tmp_path / "b.jpg")
    assert Image.open(out).format == "JPEG" and "laid over white" in " ".join(writing_notes(photo, out))


def test_user_comments_of_other_byte_orders():
    for code, data in (
        (b"UNICODE\0", INFOTEXT.encode("utf-16-le")),
        (b"ASCII\0\0\0", b"x\nSteps: 3"),
        (bytes(8), b"x\nSteps: 3"),
    ):
        exif = exif_of({}, {0x9286: code + data})[6:]
        assert dict(generation.from_exif(exif))["parameters"].endswith(("Seed: 1", "Steps: 3"))
    assert read_fields(io.BytesIO(exif))
