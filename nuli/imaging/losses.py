"""What of a picture's file does not go into a file of a given format, in words: to be told, and refused in place."""

from __future__ import annotations

from .containers import SEGMENT_ROOM
from .exif import X_RESOLUTION, fields_of
from .formats import DEEP, NO_ALPHA, exif_and_text, fitting_xmp
from .jpeg import EXIF_PREFIX
from .metadata import Meta

_HOLDS = {"BMP": frozenset[str](), "JPEG": frozenset({"exif", "xmp", "comment", "photoshop", "extended", "segments"})}
_HOLDS |= dict.fromkeys(("PNG", "WEBP", "AVIF"), frozenset({"exif", "xmp"}))
_HOLDS["TIFF"] = frozenset({"exif", "xmp", "photoshop"})
_WORDS = {
    "exif": "EXIF",
    "xmp": "XMP",
    "comment": "the comment",
    "photoshop": "IPTC and Photoshop's data",
    "extended": "extended XMP",
    "segments": "data of the camera or a program in segments of its own",
}


def refusal(meta: Meta, kind: str) -> str:
    """Why a picture can't be written in a format at all, and what to do; "" where it can."""
    by_numbers = kind in ("PNG", "AVIF") and meta.tags.cicp is not None
    if meta.tags.untold and kind != meta.format and not by_numbers:
        return (
            f"{meta.tags.untold}: {kind} cannot say so; write .png or .avif, or convert the picture to SDR sRGB first"
        )
    return ""


def losses(meta: Meta, kind: str, *, alpha: bool, deep: bool) -> tuple[str, ...]:
    """What is left out of a file of a format, for the user.

    Args:
        meta: the picture's.
        kind: Pillow's name of the format.
        alpha: whether the picture has transparency.
        deep: whether its greys have 16 bits.
    """
    told = []
    if alpha and kind in NO_ALPHA:
        told.append(f"{kind} has no transparency: laid over white")
    if deep and (kind not in DEEP or alpha):
        told.append(f"{kind} {'with transparency ' if alpha and kind in DEEP else ''}holds 8 bits here: 16 became 8")
    exif, _, left = exif_and_text(meta, kind)
    names = [word for part, word in _WORDS.items() if getattr(meta, part) and part not in _HOLDS[kind]]
    names += meta.behind.words() if kind != "JPEG" else ()
    if kind == "JPEG" and meta.xmp and not fitting_xmp(meta.xmp):
        names.append("XMP of more than 64 KB")
    if kind == "JPEG" and len(meta.comment) > SEGMENT_ROOM:
        names.append("the end of the comment")
    if meta.dpi and kind in ("WEBP", "AVIF") and X_RESOLUTION not in fields_of(exif):
        names.append("dots per inch")
    dropped = [*names, *(f"text {name!r}" for name in left[:12]), *(["more text"] if len(left) > 12 else [])]
    chunks = [name.decode() for name, _ in meta.tags.chunks if name in (b"mDCV", b"cLLI")]
    if kind != meta.format or kind != "PNG":
        dropped += [f"light levels ({name})" for name in chunks]
    if dropped:
        told.append(f"left out, {kind} has no place for it here: {', '.join(dropped)}")
    if kind == "JPEG" != meta.format and len(EXIF_PREFIX + exif) > SEGMENT_ROOM:
        told.append("more than 64 KB of EXIF: A1111 and exiftool read all of it, some programs only the first part")
    if kind == "BMP" and (meta.icc or meta.tags.colours):
        told.append("BMP holds no colour profile: converted to sRGB, unless the profile is broken")
    return tuple(told)
