"""What a picture file carries beside its pixels, as read from Pillow's images; `formats` writes it again."""

import re
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any, BinaryIO

from PIL import Image, JpegImagePlugin

from .behind import Behind
from .beside import has_preview, left_beside
from .containers import webp_chunks
from .exif import PHOTOSHOP_TAG, XMP_TAG, drop_thumbnail, pack_block, read_fields, upright_exif
from .icc import profile
from .jpeg import EXIF_PREFIX, XMP_PREFIX, read_parts
from .photoshop import kept_resources
from .promises import remove_jpegs, remove_previews
from .tags import Tags, read_tags
from .turn import Turn, turned_exif, turned_xmp
from .xmp import Packet, XmpError, edit, edited

XMP_KEYWORD = "XML:com.adobe.xmp"
_RAW_EXIF_KEYWORD = "Raw profile type exif"  # how ImageMagick kept EXIF in PNG before PNG had a place for it
_PREVIEWS = re.compile(rb"Thumbnails|xap/1\.0/g/img/|provenance")
_PLACES = re.compile(
    rb"Area|Rectangle|Region|Dimension|SubjectLocation|ImageWidth|CropLeft|panorama/|depthmap/|1.0/image/"
)


@dataclass(frozen=True)
class Meta:
    """All that is needed to write a picture the way its source was written."""

    format: str | None = None  # Pillow's name; None for arrays and for images made in memory
    exif: bytes = b""  # a bare TIFF block, its orientation set to 1, without a thumbnail of the old pixels
    icc: bytes = b""
    xmp: bytes = b""
    dpi: tuple[float, float] | None = None
    text: tuple[tuple[str, str], ...] = ()  # PNG: keyword and value, in order; iTXt values are Pillow's iTXt
    comment: bytes = b""  # JPEG, and read from a GIF
    extended: bytes = b""  # JPEG: extended XMP, whole
    photoshop: bytes = b""  # JPEG and TIFF: Photoshop's resources (IPTC), without thumbnails
    segments: bytes = b""  # JPEG: others, as they were
    behind: Behind = field(default_factory=Behind)  # JPEG: gain maps, videos and all else behind the picture
    qtables: tuple[tuple[int, ...], ...] = ()  # JPEG: one for each component
    subsampling: int = 0  # JPEG: Pillow's number
    progressive: bool = False  # JPEG
    lossless: bool = False  # WebP
    compression: str = ""  # TIFF
    tags: Tags = field(default_factory=Tags)  # what is said of colours beside the profile


def upright_xmp(xmp: bytes) -> bytes:
    """XMP with its tiff:Orientation, as an attribute or as an element, set to 1."""
    return re.sub(rb"""(\btiff:Orientation(?:\s*=\s*["']|\s*>\s*))[2-8](?=\s*["'<])""", rb"\g<1>1", xmp)


def clean_xmp(xmp: bytes, turn: Turn | None) -> tuple[bytes, tuple[str, ...]]:
    """XMP without previews of the old picture, what is tied to stored pixels turned; and what was lost, in words."""
    lost: list[str] = []

    def change(packet: Packet) -> None:
        remove_previews(packet)
        if turn:
            lost.extend(turned_xmp(packet, turn))

    try:
        if xmp and (turn or _PREVIEWS.search(xmp)):
            xmp = edit(xmp, change)
    except XmpError:
        if _PREVIEWS.search(xmp) or (turn and _PLACES.search(xmp)):
            return b"", ("XMP that can't be read",)
        return upright_xmp(xmp) if turn else xmp, ()
    return xmp, tuple(lost)


def without_promises(xmp: bytes) -> bytes:
    """XMP that promises nothing that only a JPEG can hold."""
    return edited(xmp, remove_jpegs)


def read_meta(image: Image.Image, stream: BinaryIO | None = None) -> tuple[Meta, int, tuple[str, ...], tuple[str, ...]]:
    """The metadata of a loaded image, and the orientation (1 to 8) that is still to be applied to its pixels.

    Also notes for the user, and what new pixels cannot be given of what is worth keeping, in words. `stream` is the
    file that it came from, if there is one: some things Pillow does not tell.
    """
    info, kind = image.info, "JPEG" if image.format == "MPO" else image.format
    exif, orientation = upright_exif(drop_thumbnail(_exif(image, stream)))
    dpi, notes, turn = _dpi(image), (), None
    if orientation > 1:
        # Pillow turns a TIFF as it loads it
        turned = kind == "TIFF" and orientation >= 5
        turn = Turn(orientation, *(image.size[::-1] if turned else image.size))
        exif = turned_exif(exif, turn)
        dpi = dpi[::-1] if dpi and turn.swaps else dpi
    xmp, lost = clean_xmp(_xmp(image), turn)
    format_fields: dict[str, Any] = {}
    if kind == "WEBP":
        format_fields["lossless"] = stream is not None and _is_lossless_webp(stream)
    elif kind == "TIFF":
        resources = _bytes(getattr(image, "tag_v2", {}).get(PHOTOSHOP_TAG))
        format_fields["photoshop"], gone = kept_resources(resources, turn is not None)
        lost += gone
        format_fields["compression"] = info.get("compression", "")
        orientation = 1
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        xmp, format_fields, notes, gone = read_parts(image, stream, xmp, turn, lambda packet: clean_xmp(packet, turn))
        lost += gone
    else:
        xmp = without_promises(xmp)
    if b"\xff\xd8\xff" in exif:
        notes += ("the camera's own data (MakerNote) may hold a preview of the old picture",)
    lost += left_beside(image, stream)
    text = _text(info, kind)
    shown = {key for key, value in text if key.startswith("Raw profile type ") and has_preview(value)}
    lost += tuple(f"text {key!r} with a preview of the old picture" for key in sorted(shown))
    icc = _bytes(info.get("icc_profile"))
    meta = Meta(
        format=kind,
        exif=exif,
        icc=icc,
        tags=read_tags(image, stream, exif, bool(icc)),
        xmp=xmp,
        dpi=dpi,
        text=tuple(pair for pair in text if pair[0] not in shown),
        comment=_bytes(info.get("comment")) if kind in ("JPEG", "GIF") else b"",
        **format_fields,
    )
    return meta, orientation, notes, lost


def icc_for(meta: Meta, mode: str, kind: str | None = None) -> bytes:
    """The profile to write with pixels of a mode: a profile of greys says nothing about colours.

    Args:
        kind: the format to write. In the picture's own, colours that are told beside a profile stay so told; in others,
            and for an image in memory, a profile says the same.
    """
    if kind is None or kind != meta.format:
        if meta.tags.colours:
            # Pillow writes greys as colours in a WebP
            return profile(meta.tags.colours, grey=not mode.startswith("RGB") and kind != "WEBP")
        if meta.format == "PNG" and meta.tags.cicp:
            return b""  # cICP goes before the profile, and says sRGB, or HDR
    return b"" if mode.startswith("RGB") and meta.icc[16:20] == b"GRAY" else meta.icc


def image_info(meta: Meta, mode: str) -> dict[str, Any]:
    """The metadata for an image of a mode, as Pillow keeps it in `info`."""
    exif, icc = EXIF_PREFIX + meta.exif if meta.exif else b"", icc_for(meta, mode)
    fields = dict(meta.text) | {"exif": exif, "icc_profile": icc, "xmp": without_promises(meta.xmp), "dpi": meta.dpi}
    return {name: value for name, value in fields.items() if value}


def _bytes(value: Any) -> bytes:
    """The value, if it is what it should be: text chunks of a PNG may carry any name in Pillow's info."""
    return value if isinstance(value, bytes) else b""


def _exif(image: Image.Image, stream: BinaryIO | None) -> bytes:
    """The EXIF block of an image, bare; empty where there is none that can be read."""
    exif = _bytes(image.info.get("exif"))
    raw = image.info.get(_RAW_EXIF_KEYWORD)
    with suppress(Exception):  # Pillow's own reading of untrusted EXIF may end in any way
        if image.format == "TIFF":
            return pack_block(read_fields(stream or BytesIO(_bare(image.getexif().tobytes()))))
        if not exif and isinstance(raw, str):
            exif = bytes.fromhex("".join(raw.split("\n")[3:]))
    return _bare(exif)


def _bare(exif: bytes) -> bytes:
    """An EXIF block without its name before it, which some programs write twice."""
    while exif.startswith(EXIF_PREFIX):
        exif = exif[len(EXIF_PREFIX) :]
    return exif


def _xmp(image: Image.Image) -> bytes:
    """The XMP packet of an image; empty where there is none."""
    in_tiff = getattr(image, "tag_v2", {}).get(XMP_TAG)
    for xmp in (image.info.get("xmp"), image.info.get(XMP_KEYWORD), in_tiff):
        if xmp and isinstance(xmp, (str, bytes)):
            return xmp.encode() if isinstance(xmp, str) else xmp
    packets = (data for _, data in getattr(image, "applist", ()) if data.startswith(XMP_PREFIX))
    return next(packets, b"")[len(XMP_PREFIX) :]


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    """Dots per inch across and down, where the file itself says so."""
    # where a file says nothing, Pillow makes up 1 for a TIFF and 72 for a JPEG with EXIF
    made_up = image.format == "TIFF" and 282 not in getattr(image, "tag_v2", {})
    with suppress(Exception):  # untrusted: no pair, no numbers, zero denominators, broken EXIF
        if image.format in ("JPEG", "MPO") and image.info.get("jfif_unit") not in (1, 2):
            made_up = 282 not in image.getexif()
        across, down = (float(value) for value in image.info["dpi"])
        if not made_up and 0 < across < 65536 and 0 < down < 65536:
            return across, down
    return None


def _text(info: dict[Any, Any], kind: str | None) -> tuple[tuple[str, str], ...]:
    """Keywords and values of text in an image\'s `info`, in order; EXIF and XMP that look like text left out."""
    elsewhere = {XMP_KEYWORD, _RAW_EXIF_KEYWORD} | ({"compression"} if kind == "TIFF" else set())
    return tuple(
        (key, value)
        for key, value in info.items()
        if isinstance(key, str) and isinstance(value, str) and re.fullmatch("[ -~\xa1-\xff]{1,79}", key)
        if key not in elsewhere
    )


def _is_lossless_webp(stream: BinaryIO) -> bool:
    """Whether the first picture in a WebP file is compressed without loss."""
    return next((name for name, _, _ in webp_chunks(stream) if name in (b"VP8 ", b"VP8L")), b"") == b"VP8L"
