"""Pictures in requests and answers of the HTTP API: base64 text in, base64 PNG out."""

from __future__ import annotations

import base64
import binascii
import io
from typing import TYPE_CHECKING, Any

from PIL import Image, PngImagePlugin

from ..errors import NuliError

if TYPE_CHECKING:
    from ..imaging.photo import Photo

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "MPO")
"""What is read; Pillow knows others, some of which run programs."""


class RequestError(NuliError):
    """A request that is refused, with the HTTP status that says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def most_bytes(megapixels: float) -> int:
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
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        data = base64.b64decode(text, validate=False)
    except (binascii.Error, ValueError):
        raise RequestError("the picture is not base64 text") from None
    Image.init()
    kinds = [kind for kind in FORMATS if kind in Image.OPEN]
    try:
        image = Image.open(io.BytesIO(data), formats=kinds)
    except Image.DecompressionBombError:
        raise too_large(megapixels) from None
    except Exception:
        raise RequestError("no picture that can be read here: send a PNG, JPEG or WebP") from None
    with image:
        if image.width * image.height > megapixels * 1e6:
            raise too_large(megapixels)
        return load_photo(image)


def too_large(megapixels: float) -> RequestError:
    return RequestError(f"the picture is over this server's limit of {megapixels:g} megapixels: scale it down", 413)


def encode(image: Image.Image, entries: dict[str, str] | None = None) -> str:
    """A PNG in base64, with the picture's own text, profile and EXIF, and our entries as the Extras tab has them."""
    text = PngImagePlugin.PngInfo()
    for key, value in image.info.items():
        if isinstance(key, str) and isinstance(value, str):
            text.add_text(key, value)
    if entries:
        text.add_text("postprocessing", ", ".join(f"{key}: {value}" for key, value in entries.items()))
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16"):
        image = image.convert("RGB")
    buffer = io.BytesIO()
    more = {key: image.info[key] for key in ("icc_profile", "exif", "dpi") if image.info.get(key)}
    image.save(buffer, "PNG", pnginfo=text, **more)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def encode_preview(image: Image.Image) -> str:
    """A small JPEG, as a data URI."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
