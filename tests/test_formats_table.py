"""What becomes of all that a file carries besides its pixels: one list, run as tests and printed in docs/formats.md.

A row is made by a function that writes such a file, and by one that says whether a file has it still. Run this file
as a program to print the table.
"""

import io
import json
import re
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import containers
import numpy as np
import pytest
from PIL import Image, ImageCms, PngImagePlugin, TiffImagePlugin

from nuli.errors import ImageError
from nuli.imaging.photo import load_photo, save_photo, writing_notes

TEN_BITS = Path(__file__).resolve().parents[2] / "shared" / "cases" / "avif_nclx" / "pq.avif"
DOCS = Path(__file__).resolve().parents[1] / "docs" / "formats.md"
HAS_AVIF = ".avif" in Image.registered_extensions()
EXTENSIONS = {"JPEG": "jpg", "PNG": "png", "WebP": "webp", "AVIF": "avif", "TIFF": "tif", "BMP": "bmp"}
KEPT, UPDATED, REMOVED, REFUSED = "kept", "updated", "removed and told", "refused"
PROFILE, CONVERTED = "as an ICC profile", "pixels converted to sRGB"
COLOUR = (180, 100, 60)
SIZE = (48, 32)


@dataclass(frozen=True)
class Row:
    """What one format carries, and what becomes of it."""

    format: str
    carries: str
    build: Callable[[Path], object]
    """Writes a file that has it."""
    holds: Callable[[Path], bool]
    """Whether a file has it, as it should be there."""
    fates: dict[str, str]
    """By the format that is written; "else" for those that are not named."""
    word: str = ""
    """Found in the note where it is removed, and in the error where it is refused."""
    srgb: tuple[float, ...] = field(default=())
    """What COLOUR is in sRGB, for PROFILE and CONVERTED."""

    def fate(self, target: str) -> str:
        return self.fates.get(target, self.fates.get("else", REMOVED))


def flat(mode="RGB", **info):
    colour = COLOUR if mode != "L" else 120
    image = Image.new(mode, SIZE, (*COLOUR, 128) if mode == "RGBA" else colour)
    image.info.update(info)
    return image


def png(mode="RGB", **chunks):
    """Writes a PNG with chunks behind its head."""

    def build(path):
        buffer = io.BytesIO()
        flat(mode).save(buffer, "PNG")
        data = buffer.getvalue()
        parts = b""
        for name, value in chunks.items():
            body = name.encode() + value
            parts += struct.pack(">I", len(value)) + body + struct.pack(">I", zlib.crc32(body))
        path.write_bytes(data[:33] + parts + data[33:])

    return build


def png_text(**text):
    def build(path):
        info = PngImagePlugin.PngInfo()
        for key, value in text.items():
            info.add_text(key, value) if value.isascii() else info.add_itxt(key, value)
        flat().save(path, "PNG", pnginfo=info)

    return build


def ten_bits(path):
    """Copies an AVIF of 10 bits a colour: Pillow writes none."""
    if not TEN_BITS.exists():
        pytest.skip("the shared cases are not on this machine")
    path.write_bytes(TEN_BITS.read_bytes())


def avif(primaries=1, transfer=13, **options):
    """Writes an AVIF whose nclx names colours."""

    def build(path):
        flat().save(path, "AVIF", quality=95, **options)
        data = bytearray(path.read_bytes())
        place = data.index(b"nclx")
        data[place + 4 : place + 8] = struct.pack(">HH", primaries, transfer)
        path.write_bytes(data)

    return build


def saved(kind, mode="RGB", **options):
    return lambda path: flat(mode).save(path, kind, **options)


def in_file(*parts):
    return lambda path: all(part in path.read_bytes() for part in parts)


def chunk_or_nclx(primaries, transfer):
    """Whether a PNG's cICP, or an AVIF's nclx, names these."""

    def holds(path):
        data = path.read_bytes()
        return (
            b"cICP" + bytes([primaries, transfer, 0, 1]) in data
            or b"nclx" + struct.pack(">HH", primaries, transfer) in data
        )

    return holds


def user_comment(path):
    with Image.open(path) as image:
        comment = image.getexif().get_ifd(0x8769).get(0x9286, b"")
        return comment[8:].decode("utf-16-be") if comment[:8] == b"UNICODE\0" else image.info.get("parameters", "")


def comfy(path):
    """What ComfyUI's page finds: a PNG's text, or "key:json" in text of EXIF's first directory."""
    with Image.open(path) as image:
        values = dict(value.split(":", 1) for value in image.getexif().values() if ":" in str(value))
        return {key: image.info.get(key, values.get(key)) for key in ("prompt", "workflow")}


def exif_of(tags, nested=None, inter=None):
    exif = Image.Exif()
    for tag, value in tags.items():
        exif[tag] = value
    for tag, value in (nested or {}).items():
        exif.get_ifd(0x8769)[tag] = value
    if inter:
        exif.get_ifd(0x8769)[0xA005] = inter
    return exif.tobytes()


def as_srgb(path):
    """The first pixel of a file, as a viewer with colour management shows it."""
    with Image.open(path) as image:
        icc, image = image.info.get("icc_profile"), image.convert("RGB") if image.mode != "L" else image.copy()
    if icc:
        srgb = ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, io.BytesIO(icc), srgb, 1, "RGB")
    return image.convert("RGB").getpixel((SIZE[0] // 2, SIZE[1] // 2))


def to_srgb(to_linear, matrix):
    linear = np.clip(np.array(matrix) @ to_linear(np.array(COLOUR) / 255), 0, 1)
    return tuple(255 * np.where(linear < 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055))


def srgb_curve(values):
    return np.where(values < 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


SAME = np.eye(3)
P3 = [[1.22494, -0.22494, 0], [-0.04206, 1.04206, 0], [-0.01964, -0.07864, 1.09828]]
ADOBE = [[1.39836, -0.39836, 0], [0, 1, 0], [0, -0.04293, 1.04293]]
P3_CHRM = struct.pack(">8I", 31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/">told</x:xmpmeta>'
INFOTEXT = "a cat, 猫\nSteps: 20, Sampler: Euler a, Seed: 1"
PROMPT, WORKFLOW = json.dumps({"1": {"class_type": "KSampler"}}), json.dumps({"nodes": [1, 2]})
AUTHOR = {0x013B: "Zoe"}
COMMENT = {0x9286: b"UNICODE\0" + INFOTEXT.encode("utf-16-be")}
R03 = exif_of({}, {0xA001: 65535}, {1: "R03"})
NOT_IN_BMP = {"else": KEPT, "BMP": REMOVED}
AS_COLOURS = {"else": PROFILE, "BMP": CONVERTED}
_HDR_FATES = {"PNG": KEPT, "AVIF": KEPT, "else": REFUSED}


def written(data):
    return lambda path: path.write_bytes(data)


def behind(kind):
    def build(path):
        flat().save(path, kind)
        path.write_bytes(path.read_bytes() + b"more")

    return build


def tiff_with(tags):
    def build(path):
        fields = TiffImagePlugin.ImageFileDirectory_v2()
        for tag, value in tags.items():
            fields[tag] = value
            fields.tagtype[tag] = 4 if isinstance(value, int) else 7
        flat().save(path, "TIFF", tiffinfo=fields)

    return build


_FIRST = containers.jpeg(flat(), containers.segment(0xE7, b"own"))
_GUID, _EXTENDED = containers.extended_segments(containers.xmp(elements="<dc:source>beyond</dc:source>"))
JPEG_PARTS = [
    ("gain map (Ultra HDR, ISO 21496-1, Apple's)", containers.phone_photo(flat()), in_file(b"GainMapMax"), "gain map"),
    (
        "a motion photo's video, by either syntax",
        containers.phone_photo(flat(), motion="both"),
        lambda p: p.read_bytes().endswith(containers.VIDEO),
        "video",
    ),
    ("Samsung's trailer and other bytes behind the picture", _FIRST + b"more", in_file(b"more"), "bytes behind"),
    ("segments of cameras and programs", _FIRST, in_file(b"own"), "segments"),
    (
        "extended XMP",
        containers.jpeg(flat(), containers.xmp_segment(containers.xmp(f'xmpNote:HasExtendedXMP="{_GUID}"')), _EXTENDED),
        in_file(b"beyond"),
        "extended XMP",
    ),
]
IPTC = containers.jpeg(flat(), containers.segment(0xED, b"Photoshop 3.0\x008BIM\4\4\0\0\0\0\0\6by Zoe"))
OTHER_PICTURE = containers.mpf(
    _FIRST + _FIRST, _FIRST.index(b"\xff\xe7"), [(0x030000, 0, len(_FIRST)), (0x020002, len(_FIRST), len(_FIRST))]
)
SIGNED = containers.jpeg(flat(), containers.segment(0xEB, b"JP\0\1\0\0\0\1\0\0\0\x20jumb...c2pa"))

ROWS = [
    *(
        Row(
            name,
            what,
            saved(kind, **{option: value}),
            in_file(found) if option == "xmp" else (lambda p, o=option: bool(Image.open(p).info.get(o))),
            fates,
            word,
            COLOUR,
        )
        for name, kind in (("JPEG", "JPEG"), ("WebP", "WEBP"), ("AVIF", "AVIF"), ("PNG", "PNG"), ("TIFF", "TIFF"))
        for what, option, value, found, fates, word in (
            ("ICC profile", "icc_profile", ICC, b"", {"else": KEPT, "BMP": CONVERTED}, "profile"),
            ("XMP", "xmp", XMP, b"told", NOT_IN_BMP, "XMP"),
        )
        if (name, what) not in (("PNG", "XMP"), ("TIFF", "XMP"))
    ),
    *(
        Row(name, "EXIF", saved(kind, exif=exif_of(AUTHOR)), in_file(b"Zoe"), NOT_IN_BMP, "EXIF")
        for name, kind in (("JPEG", "JPEG"), ("WebP", "WEBP"), ("AVIF", "AVIF"), ("PNG", "PNG"), ("TIFF", "TIFF"))
    ),
    *(
        Row(
            name,
            "EXIF: A1111's infotext in UserComment",
            saved(kind, exif=exif_of({}, COMMENT)),
            lambda p: user_comment(p) == INFOTEXT,
            NOT_IN_BMP,
            "EXIF",
        )
        for name, kind in (("JPEG", "JPEG"), ("WebP", "WEBP"), ("AVIF", "AVIF"))
    ),
    *(
        Row(
            name,
            "EXIF: Adobe RGB (R03) without a profile",
            saved(kind, exif=R03),
            in_file(b"R03"),
            {name: KEPT, **AS_COLOURS},
            "profile",
            to_srgb(lambda v: v ** (563 / 256), ADOBE),
        )
        for name, kind in (("JPEG", "JPEG"), ("WebP", "WEBP"))
    ),
    Row("JPEG", "comment", saved("JPEG", comment=b"hello there"), in_file(b"hello there"), {"JPEG": KEPT}, "comment"),
    Row(
        "PNG",
        "gAMA",
        png(gAMA=struct.pack(">I", 100_000)),
        in_file(b"gAMA\0\1\x86\xa0"),
        {"PNG": KEPT, **AS_COLOURS},
        "profile",
        to_srgb(lambda v: v, SAME),
    ),
    Row(
        "PNG",
        "gAMA, of greys",
        png("L", gAMA=struct.pack(">I", 100_000)),
        in_file(b"gAMA\0\1\x86\xa0"),
        {"PNG": KEPT, **AS_COLOURS},
        "profile",
        (181, 181, 181),
    ),
    Row(
        "PNG",
        "cHRM and gAMA",
        png(gAMA=struct.pack(">I", 45_455), cHRM=P3_CHRM),
        in_file(b"cHRM" + P3_CHRM),
        {"PNG": KEPT, **AS_COLOURS},
        "profile",
        to_srgb(srgb_curve, P3),
    ),
    Row(
        "PNG",
        "sRGB",
        png(sRGB=b"\0"),
        lambda p: b"sRGB\0" in p.read_bytes() or not Image.open(p).info.get("icc_profile"),
        {"else": KEPT},
    ),
    Row(
        "PNG",
        "cICP, SDR",
        png(cICP=bytes([12, 13, 0, 1])),
        chunk_or_nclx(12, 13),
        {"PNG": KEPT, "AVIF": KEPT, **AS_COLOURS},
        "profile",
        to_srgb(srgb_curve, P3),
    ),
    Row("PNG", "cICP, HDR (PQ, HLG)", png(cICP=bytes([9, 16, 0, 1])), chunk_or_nclx(9, 16), _HDR_FATES, "HDR (PQ)"),
    Row(
        "PNG",
        "cICP of a narrow range",
        png(cICP=bytes([1, 1, 0, 0])),
        in_file(b"cICP\1\1\0\0"),
        {"PNG": KEPT, "else": REFUSED},
        "narrow range",
    ),
    Row(
        "PNG",
        "mDCV, cLLI",
        png(cLLI=bytes(range(8)), mDCV=bytes(24)),
        in_file(b"cLLI" + bytes(range(8)), b"mDCV"),
        {"PNG": KEPT, "else": REMOVED},
        "light levels",
    ),
    Row(
        "PNG",
        "other chunks (C2PA's caBX, oFFs, private ones)",
        png(caBX=b"signed"),
        in_file(b"signed"),
        {"else": REMOVED},
        "caBX",
    ),
    Row(
        "PNG",
        "A1111's `parameters`",
        png_text(parameters=INFOTEXT),
        lambda p: user_comment(p) == INFOTEXT,
        NOT_IN_BMP,
        "parameters",
    ),
    Row(
        "PNG",
        "ComfyUI's `prompt` and `workflow`",
        png_text(prompt=PROMPT, workflow=WORKFLOW),
        lambda p: comfy(p) == {"prompt": PROMPT, "workflow": WORKFLOW},
        NOT_IN_BMP,
        "workflow",
    ),
    Row(
        "PNG",
        "other text (InvokeAI, NovelAI, Fooocus, Title...)",
        png_text(invokeai_metadata='{"a": "told"}'),
        in_file(b"invokeai_metadata"),
        {"PNG": KEPT},
        "invokeai_metadata",
    ),
    Row(
        "PNG",
        "transparency",
        lambda p: flat("RGBA").save(p, "PNG"),
        lambda p: Image.open(p).has_transparency_data,
        {"JPEG": REMOVED, "BMP": REMOVED, "else": KEPT},
        "transparency",
    ),
    Row(
        "AVIF",
        "nclx, SDR",
        avif(12, 13),
        chunk_or_nclx(12, 13),
        {"PNG": KEPT, "AVIF": KEPT, **AS_COLOURS},
        "profile",
        to_srgb(srgb_curve, P3),
    ),
    Row("AVIF", "nclx, HDR (PQ, HLG)", avif(9, 18), chunk_or_nclx(9, 18), _HDR_FATES, "HDR (HLG)"),
    Row(
        "AVIF",
        "ICC profile and nclx",
        avif(9, 13, icc_profile=ICC),
        lambda p: Image.open(p).info.get("icc_profile") == ICC,
        {"else": KEPT, "BMP": CONVERTED},
        "profile",
        COLOUR,
    ),
    Row(
        "AVIF",
        "10 or 12 bits a colour, HDR",
        ten_bits,
        lambda p: False,
        {"PNG": REMOVED, "AVIF": REMOVED, "else": REFUSED},
        "HDR (PQ)",
    ),
    Row(
        "TIFF",
        "WhitePoint, PrimaryChromaticities, TransferFunction",
        saved("TIFF", tiffinfo={318: (0.3127, 0.329), 319: (0.68, 0.32, 0.265, 0.69, 0.15, 0.06)}),
        lambda p: 319 in Image.open(p).tag_v2,
        {"TIFF": KEPT, **AS_COLOURS},
        "profile",
        to_srgb(srgb_curve, P3),
    ),
    Row(
        "TIFF",
        "greys that count from white",
        lambda p: _white_is_zero(p),
        lambda p: abs(int(np.asarray(Image.open(p).convert("L"))[5, 5]) - 30) < 4,
        {"else": UPDATED},
    ),
    Row(
        "BMP",
        "dots per inch",
        saved("BMP", dpi=(300, 300)),
        lambda p: round(Image.open(p).info.get("dpi", (0,))[0]) == 300,
        {"WebP": REMOVED, "AVIF": REMOVED, "else": KEPT},
        "dots per inch",
    ),
    Row(
        "GIF",
        "further frames",
        lambda p: flat().save(p, "GIF", save_all=True, append_images=[Image.new("RGB", SIZE)]),
        lambda p: False,
        {"GIF": REFUSED, "else": REMOVED},
        "frames",
    ),
    Row(
        "GIF",
        "comment",
        saved("GIF", comment=b"hello there"),
        in_file(b"hello there"),
        {"GIF": REFUSED, "JPEG": KEPT},
        "comment",
    ),
    *(Row("JPEG", what, written(data), holds, {"JPEG": KEPT}, word) for what, data, holds, word in JPEG_PARTS),
    Row(
        "JPEG",
        "IPTC and Photoshop's resources",
        written(IPTC),
        in_file(b"by Zoe"),
        {"JPEG": KEPT, "TIFF": KEPT},
        "IPTC",
    ),
    *(
        Row("JPEG", what, written(data), in_file(b"never"), {}, word)
        for what, data, word in (
            ("3D pairs and other pictures by MPF", OTHER_PICTURE, "1 more picture"),
            ("content credentials (C2PA) and other JUMBF", SIGNED, "C2PA"),
        )
    ),
    Row("TIFF", "layers of Photoshop", tiff_with({37724: b"layers"}), in_file(b"never"), {}, "layers"),
    Row("TIFF", "further pictures (SubIFDs)", tiff_with({330: 8}), in_file(b"never"), {}, "SubIFDs"),
    Row("PNG", "bytes behind the picture", behind("PNG"), in_file(b"more"), {}, "bytes behind"),
    Row("WebP", "bytes behind the picture", behind("WEBP"), in_file(b"more"), {}, "bytes behind"),
]


def _white_is_zero(path):
    flat("L").point(lambda _: 225).save(path, "TIFF")
    data = bytearray(path.read_bytes())
    data[data.index(struct.pack("<HHI", 262, 3, 1)) + 8] = 0
    path.write_bytes(data)


def targets(row):
    return [*EXTENSIONS, *(["GIF"] if row.format == "GIF" else [])]


CASES = [
    pytest.param(row, target, id=f"{row.format}: {row.carries} -> {target}") for row in ROWS for target in targets(row)
]


def source_of(row, folder):
    if "AVIF" in (row.format,) and not HAS_AVIF:
        pytest.skip("Pillow without AVIF")
    path = folder / f"in.{EXTENSIONS.get(row.format, row.format.lower())}"
    row.build(path)
    return path


@pytest.mark.parametrize("row, target", CASES)
def test_row(tmp_path, row, target):
    if target == "AVIF" and not HAS_AVIF:
        pytest.skip("Pillow without AVIF")
    source = source_of(row, tmp_path)
    if row.format != "GIF" and row.fate(row.format) == KEPT and not row.srgb[3:]:
        assert row.holds(source), "the file that is built must have it itself"
    photo, out = load_photo(source), tmp_path / f"out.{EXTENSIONS.get(target, 'gif')}"
    fate = row.fate(target)
    if fate == REFUSED:
        with pytest.raises(ImageError, match=re.escape(row.word) if target != "GIF" else "cannot write"):
            save_photo(photo, photo.pixels, out)
        return
    save_photo(photo, photo.pixels, out)
    notes = " ".join((*photo.notes, *writing_notes(photo, out)))
    if fate in (KEPT, UPDATED):
        assert row.holds(out)
    elif fate == REMOVED:
        assert not row.holds(out) and row.word in notes
    if fate in (PROFILE, CONVERTED):
        assert np.abs(np.subtract(as_srgb(out), row.srgb)).max() < 6, (as_srgb(out), row.srgb)
        with Image.open(out) as image:
            assert bool(image.info.get("icc_profile")) == (fate == PROFILE)
    assert fate != CONVERTED or row.word in notes


@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.format != "GIF"], ids=lambda row: f"{row.format}: {row.carries}"
)
def test_in_place_loses_nothing(tmp_path, row):
    source = source_of(row, tmp_path)
    photo, before = load_photo(source), source.read_bytes()
    if row.fate(row.format) == REMOVED:
        with pytest.raises(ImageError, match="would be lost"):
            save_photo(photo, photo.pixels, source, overwrite_input=True)
        assert source.read_bytes() == before
    else:
        save_photo(photo, photo.pixels, source, overwrite_input=True)
        assert row.holds(source)


def table() -> str:
    """The table in docs/formats.md."""
    lines = ["| Format | What it carries | In the same format | In another |", "| --- | --- | --- | --- |"]
    for row in ROWS:
        same = row.fate(row.format)
        by_fate: dict[str, list[str]] = {}
        for name in EXTENSIONS:
            if name != row.format:
                by_fate.setdefault(row.fate(name), []).append(name)
        longest = max(by_fate, key=lambda fate: len(by_fate[fate]))
        others = [f"{fate}: {', '.join(names)}" for fate, names in by_fate.items() if fate != longest]
        same = "not written" if row.format == "GIF" else same + ("; refused in place" if same == REMOVED else "")
        lines.append(f"| {row.format} | {row.carries} | {same} | {'; '.join([longest, *others])} |")
    return "\n".join(lines)


def test_the_docs_have_this_table():
    assert table() in DOCS.read_text("utf-8"), "run tests/test_formats_table.py and put what it prints there"


if __name__ == "__main__":
    print(table())
