"""Pictures in requests and answers of the HTTP API: base64 text in, base64 PNG out."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image, PngImagePlugin

from ..errors import NuliError
from ..infotext import to_text

if TYPE_CHECKING:
    from ..imaging.photo import Photo

FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "BMP", "GIF", "MPO")
"""What is read; Pillow knows others, some of which run programs."""


_SLICE = 3 << 18  # both of base64's numbers, 3 and 4, divide it


class RequestError(NuliError):
    """A request that is refused, with the HTTP status that says why."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture as base64 text, in pieces as they came, JSON's escapes included."""

    pieces: Sequence[bytes] = field(repr=False)

    @classmethod
    def of(cls, data: bytes | memoryview) -> Picture:
        data = memoryview(data)
        return cls([base64.b64encode(data[i : i + _SLICE]) for i in range(0, len(data), _SLICE)])

    def bytes(self) -> io.BytesIO:
        """What the text stands for. Raises RequestError."""
        out, left = io.BytesIO(), b""
        try:
            for text in self._texts():
                text = left + text
                whole = len(text) // 4 * 4
                left = text[whole:]
                out.write(base64.b64decode(text[:whole]))
            out.write(base64.b64decode(left))
        except binascii.Error:
            raise RequestError("the picture is not base64 text") from None
        out.seek(0)
        return out

    def _texts(self) -> Iterator[bytes]:
        """The text without JSON's escapes, white space and a data URI's head, in parts."""
        left, first = b"", True
        for part in self._parts():
            if first:
                first = False
                part = part.partition(b",")[2] if part.startswith(b"data:") else part
            part = left + part
            left = part[-1:] if part.endswith(b"\\") else b""
            part = part[: len(part) - len(left)]
            for escaped, plain in ((b"\\/", b"/"), (b"\\n", b""), (b"\\r", b"")):
                part = part.replace(escaped, plain)
            yield part.translate(None, b" \t\r\n")
        yield left

    def _parts(self) -> Iterator[bytes]:
        """The pieces in parts of about _SLICE bytes."""
        part = b""
        for piece in self.pieces:
            for i in range(0, len(piece), _SLICE):
                part += piece[i : i + _SLICE]
                if len(part) >= _SLICE // 2:
                    yield part
                    part = b""
        yield part


def most_bytes(megapixels: float) -> int:
    """The longest request that may hold a picture of that size: 4 channels of 16 bits, in base64, and a little."""
    return int(megapixels * 1e6 * 8 * 4 / 3) + 1_000_000


def decode(text: Any, megapixels: float) -> Photo:
    """The picture in base64 text (or a Picture) or a data URI. Its size is known before any of its pixels are unpacked.

    Raises:
        RequestError: no such picture (400), or one over the limit (413).
        ImageError: a damaged one.
    """
    from ..imaging.photo import load_photo

    if isinstance(text, str) and text:
        text = Picture([text.encode()])
    if not isinstance(text, Picture):
        raise RequestError("the request has no picture: give one as base64 text")
    file = text.bytes()
    Image.init()
    kinds = [kind for kind in FORMATS if kind in Image.OPEN]
    try:
        image = Image.open(file, formats=kinds)
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
    return Picture.of(buffer.getbuffer())


def encode_preview(image: Image.Image) -> str:
    """A small JPEG, as a data URI."""
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
