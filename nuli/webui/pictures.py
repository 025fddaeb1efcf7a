"""Pictures in requests and answers of the HTTP API: base64 text in, base64 PNG out."""

from __future__ import annotations

import base64
import io
import json
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image, PngImagePlugin

from ..errors import ImageError, NuliError
from ..imaging.structure import open_image
from ..infotext import to_text

if TYPE_CHECKING:
    from ..imaging.photo import Photo

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "MPO")
"""What is read; Pillow knows others, some of which run programs."""
_SLICE = 3 << 18
"""Bytes, or characters, converted at a time, a multiple of both of base64's 3 and 4: one call for 200 MB would let no
other thread go on for a second, the server's own among them."""


class RequestError(NuliError):
    """A request that is refused, with the HTTP status that says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture in an answer: base64 text, in pieces."""

    pieces: Sequence[bytes] = field(repr=False)


def max_request_bytes(megapixels: float) -> int:
    """The longest request that may hold a picture of that size: 4 channels of 16 bits, in base64, and a little."""
    return int(megapixels * 1e6 * 8 * 4 / 3) + 1_000_000


def decode(text: Any, megapixels: float) -> Photo:
    """The picture in base64 text or a data URI. Its size is known before any of its pixels are unpacked.

    Raises:
        RequestError: no such picture (400), or one over the limit (413).
        ImageError: a damaged one.
    """
    from ..imaging.photo import load_photo

    if not isinstance(text, str) or not text:
        raise RequestError("the request has no picture: give one as base64 text")
    file = _from_base64(text.partition(",")[2] if text.startswith("data:") else text)
    Image.init()
    kinds = [kind for kind in FORMATS if kind in Image.OPEN]
    try:
        image = open_image(file, kinds)
    except ImageError:
        raise
    except Image.DecompressionBombError:
        raise too_large(megapixels) from None
    except Exception:
        raise RequestError("no picture that can be read here: send a PNG, JPEG or WebP") from None
    with image:
        if image.width * image.height > megapixels * 1e6:
            raise too_large(megapixels)
    return load_photo(file.getvalue())


def _from_base64(text: str) -> io.BytesIO:
    """The bytes of base64 text that may be broken into lines. Raises RequestError."""
    text = "".join(text.split())
    file = io.BytesIO()
    try:
        for i in range(0, len(text), _SLICE):
            file.write(base64.b64decode(text[i : i + _SLICE], validate=True))
    except ValueError:  # binascii's own error, and what is not ASCII
        raise RequestError("the picture is not base64 text") from None
    file.seek(0)
    return file


def too_large(megapixels: float) -> RequestError:
    return RequestError(f"the picture is over this server's limit of {megapixels:g} megapixels: scale it down", 413)


def encode(image: Image.Image, entries: dict[str, str] | None = None) -> Picture:
    """A PNG, with the picture's own text, profile and EXIF, and our entries as the Extras tab has them."""
    text = PngImagePlugin.PngInfo()
    for key, value in image.info.items():
        if isinstance(key, str) and isinstance(value, str):
            text.add_text(key, value)
    if entries:
        text.add_text("postprocessing", to_text(entries))
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):
        image = image.convert("RGB")
    buffer = io.BytesIO()
    more = {key: image.info[key] for key in ("icc_profile", "exif", "dpi") if image.info.get(key)}
    image.save(buffer, "PNG", pnginfo=text, **more)
    data = buffer.getbuffer()
    return Picture([base64.b64encode(data[i : i + _SLICE]) for i in range(0, len(data), _SLICE)])


def to_json(answer: dict[str, Any]) -> list[bytes]:
    """An answer that may hold Pictures, as the pieces of its JSON: their text is put in after the rest is written."""
    pictures, mark = list[Picture](), secrets.token_hex(16)  # nobody can guess it, so no other text has it

    def place(value: Any) -> str:
        if not isinstance(value, Picture):
            raise TypeError(f"{type(value).__name__} has no place in JSON")
        pictures.append(value)
        return f"{mark}{len(pictures) - 1}"

    parts = re.split(rf'"{mark}(\d+)"', json.dumps(answer, default=place))
    pieces: list[bytes] = []
    for i, part in enumerate(parts):
        pieces += [b'"', *pictures[int(part)].pieces, b'"'] if i % 2 else [part.encode()]
    return pieces


def encode_preview(image: Image.Image) -> str:
    """A small JPEG, as a data URI."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
