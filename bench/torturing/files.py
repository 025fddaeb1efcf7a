"""Pictures of every kind that Pillow writes, and what becomes of them when their bytes are damaged."""

from __future__ import annotations

import io
import random
import struct
import tempfile
import time
import warnings
import zlib
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms

import nuli
from nuli.cli.main import main
from nuli.errors import ImageError
from nuli.imaging.photo import Photo, load_photo, save_photo
from nuli.recipe import Recipe

from .tally import Tally

MODES = ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I", "I;16", "I;16B", "F"]
SIZES = ((1, 1), (1, 37), (37, 1), (31, 23), (64, 48))
FORMATS = ("PNG", "JPEG", "WEBP", "TIFF", "BMP", "GIF", "AVIF")
LARGE = 4_000_000
"""Pixels from which on a picture is only loaded."""
_NUMBERS = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_QUICK = ("--scorer", "vivid", "--evaluations", "6", "--device", "cpu")
_PNG = b"\x89PNG\r\n\x1a\n"


def corpus(rng: random.Random) -> list[bytes]:
    """A file of every format, mode and size that Pillow can write, with all kinds of metadata."""
    found = []
    for kind in FORMATS:
        for mode in MODES:
            for size in SIZES:
                options = _metadata(rng, kind, mode)
                with suppress(Exception), warnings.catch_warnings():  # what Pillow can't write is none of ours
                    warnings.simplefilter("ignore")
                    made = io.BytesIO()
                    _image(rng, mode, size).save(made, kind, **options)
                    found.append(made.getvalue())
    return found


def _image(rng: random.Random, mode: str, size: tuple[int, int]) -> Image.Image:
    width, height = size
    values = np.frombuffer(rng.randbytes(width * height * 3), np.uint8).reshape(height, width, 3)
    image = Image.fromarray(values)
    if mode.startswith("I;16"):
        return Image.frombytes(mode, size, rng.randbytes(2 * width * height))
    if mode == "LAB":
        return ImageCms.profileToProfile(
            image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
        )
    return image.convert("LA").convert("PA") if mode == "PA" else image.convert(mode)


def _metadata(rng: random.Random, kind: str, mode: str) -> dict[str, object]:
    exif = Image.Exif()
    exif[0x0112] = rng.randint(1, 8)
    exif[0x010E] = "a picture"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    options: dict[str, object] = {"exif": exif.tobytes(), "icc_profile": rng.choice([profile, b"", profile[:100]])}
    if kind == "JPEG":
        options |= {"progressive": rng.random() < 0.5, "subsampling": rng.randint(0, 2), "dpi": (72, 72)}
    elif kind == "TIFF":
        own = {"1": ["group4"], "L": ["jpeg"], "RGB": ["jpeg"]}.get(mode, [])  # libtiff crashes of others
        options["compression"] = rng.choice(["raw", "packbits", "tiff_lzw", "tiff_adobe_deflate", *own])
    elif kind == "WEBP":
        options["lossless"] = rng.random() < 0.5
    if kind in ("GIF", "TIFF", "WEBP", "PNG") and rng.random() < 0.3:
        options |= {"save_all": True, "append_images": [_image(rng, mode, (20, 10)) for _ in range(2)]}
    return options


def damaged(rng: random.Random, files: list[bytes]) -> bytes:
    """A file of the corpus with one to four kinds of damage."""
    data = rng.choice(files)
    if data.startswith(_PNG) and rng.random() < 0.6:
        data = _rechunked(rng, data, files)
    for _ in range(rng.randint(0, 4)):
        data = rng.choice((_cut, _flipped, _renumbered, _without, _doubled, _spliced, _filled))(rng, data, files)
    return data


def _place(rng: random.Random, data: bytes) -> int:
    """Headers are hit as often as all the rest."""
    return rng.randrange(max(1, min(len(data), 64 if rng.random() < 0.5 else len(data))))


def _cut(rng: random.Random, data: bytes, files: list[bytes]) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _flipped(rng: random.Random, data: bytes, files: list[bytes]) -> bytes:
    made = bytearray(data or b"\0")
    for _ in range(rng.randint(1, 8)):
        made[_place(rng, made)] = rng.choice((rng.randrange(256), 0, 255))
    return bytes(made)


def _renumbered(rng: random.Random, data: bytes, files: list[bytes]) -> bytes:
    layout = rng.choice(("<I", ">I", "<H", ">H"))
    number = rng.choice(_NUMBERS) & (0xFFFF if layout[1] == "H" else 0xFFFFFFFF)
    place = _place(rng, data)
    return data[:place] + struct.pack(layout, number) + data[place + struct.calcsize(layout) :]


def _without(rng: random.Random, data: bytes, files: list[bytes]) -> bytes:
    place = _place(rng, data)
    return data[:place] + data[place + rng.randint(1, 40) :]


def _doubled(rng: random.Random, data: bytes, files: list[bytes]) -> bytes:
    place, size = _place(rng, data), rng.randint(1, 200)
    return data[:place] + data[place : place + size] * rng.choice((2, 3, 50)) + data[place + size :]


def _spliced(rng: random.Random, data: bytes, files: list[bytes]) -> bytes:
    other = rng.choice(files)
    return data[: _place(rng, data)] + other[_place(rng, other) :]


def _filled(rng: random.Random, data: bytes, files: list[bytes]) -> bytes:
    place = _place(rng, data)
    return data[:place] + rng.randbytes(rng.randint(1, 100)) + data[place:]


def _rechunked(rng: random.Random, data: bytes, files: list[bytes]) -> bytes:
    """A PNG whose chunks are changed, dropped, doubled, swapped or another's, each with its right checksum."""
    chunks = _chunks(data) + (_chunks(rng.choice(files)) if rng.random() < 0.3 else [])
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(chunks))
        name, content = chunks[at]
        what = rng.randrange(5)
        if what == 0:
            chunks[at] = name, _flipped(rng, content, files)
        elif what == 1 and len(chunks) > 1:
            del chunks[at]
        elif what == 2:
            chunks.insert(rng.randrange(len(chunks) + 1), chunks[at])
        elif what == 3:
            rng.shuffle(chunks)
        else:
            text = b"a" * rng.choice((1, 79, 80, 5000)) + b"\0" + rng.randbytes(20)
            name = rng.choice((b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"eXIf", b"acTL", b"fcTL", b"PLTE", b"tRNS"))
            chunks.insert(1, (name, rng.choice((text, rng.randbytes(30), b"x\0\0" + zlib.compress(bytes(3 << 20))))))
    made = b"".join(struct.pack(">I", len(c)) + n + c + struct.pack(">I", zlib.crc32(n + c)) for n, c in chunks)
    return _PNG + made


def _chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """The chunks of a PNG; of another file one of its bytes."""
    if not data.startswith(_PNG):
        return [(b"IDAT", data[:200])]
    found, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        found.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return found


def fuzzed_files(rng: random.Random, deadline: float, tries: int = 5000) -> Tally:
    """Load whole and damaged pictures; render, score, enhance and save some of them, by the library and by the command
    line. Each ends in a result or an ImageError, and no source is changed."""
    tally = Tally("files")
    whole = corpus(rng)
    with tempfile.TemporaryDirectory(prefix="nuli-torture-") as place, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(place)
        source = folder / "in" / "a.png"
        source.parent.mkdir()
        for number in range(tries):
            if time.monotonic() > deadline:
                break
            data = whole[number] if number < len(whole) else damaged(rng, whole)
            source.write_bytes(data)
            what = rng.random()
            with tally.one(ImageError):
                photo = load_photo(source)
                if photo.pixels.size and photo.pixels.size < LARGE:
                    _use(photo, what, folder)
            if what > 0.95:
                with tally.one():
                    _command(source, what, folder)
                    tally.tries -= 1  # it is the same file
            if source.read_bytes() != data:
                tally.blame("the source was changed", lost=True)
            if odd := {path.name for path in folder.iterdir()} - {"in", "out.png", "out"}:
                tally.blame(f"odd files: {odd}")
    return tally


def _use(photo: Photo, what: float, folder: Path) -> None:
    if what < 0.1:
        recipe = Recipe.parse("nuli1 auto_level=0.5/0 contrast=1.2 vibrance=0.3 sharpness=1.3")
        recipe.apply(photo, device="cpu").load()
    elif what < 0.2:
        again = load_photo(save_photo(photo, photo.pixels, folder / "out.png"))
        assert again.pixels.shape[:2] == photo.pixels.shape[:2]
    elif what < 0.25:
        [score] = nuli.score(photo, "vivid")
        assert np.isfinite(score)
    elif what < 0.28:
        result = nuli.enhance(photo, scorer="vivid", evaluations=6, mode="hard" if what < 0.26 else "soft")
        assert np.isfinite(result.score_after)


def _command(source: Path, what: float, folder: Path) -> None:
    """The command line on the same file: a result, or one line."""
    out, err = io.StringIO(), io.StringIO()
    if what < 0.97:
        arguments = ["apply", "nuli1 contrast=1.2", str(source), "-o", str(folder / "out")]
    elif what < 0.99:
        arguments = ["score", str(source), "--scorer", "vivid", "--jobs", "1"]
    else:
        arguments = ["enhance", str(source), "-o", str(folder / "out"), *_QUICK]
    (folder / "out").mkdir(exist_ok=True)
    with redirect_stdout(out), redirect_stderr(err):
        code = main(arguments)
    lines = err.getvalue().splitlines()
    assert code == len(lines) and "internal error" not in err.getvalue(), (code, err.getvalue())
