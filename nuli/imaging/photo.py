"""Pictures in and out: files, PIL images and arrays become a Photo; new pixels go back into its frame."""

import errno
import io
import os
import secrets
import shutil
import stat
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from ..errors import ImageError
from .metadata import Meta, add_tiff_fields, image_info, read_meta, save_options
from .pixels import compose, conversion, from_array, to_arrays

MAX_PIXELS = 178_956_970  # where Pillow, too, stops by default

_EXTENSIONS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **{".png": "PNG", ".webp": "WEBP", ".avif": "AVIF", ".bmp": "BMP", ".gif": "GIF"},
}
_READ_ONLY = {".gif", ".mpo"}
_NO_ALPHA = {"JPEG", "BMP"}
_DEEP = {"PNG", "TIFF"}  # hold 16 bits of grey
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_536}
_ADVICE = {
    errno.ENOENT: "no such file or folder: check the name, or make the folder first",
    errno.ENOTDIR: "not a folder, or not in one: check the name",
    errno.EISDIR: "a folder: name a file in it",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "no permission: change it, or choose another place"),
    errno.EROFS: "the disk is read-only: choose another place",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "no room left on the disk: free some"),
}
_ADVICE_BY_TYPE = {
    MemoryError: "not enough memory: scale the picture down, or free some",
    Image.DecompressionBombError: f"over the limit of {MAX_PIXELS // 10**6} megapixels: scale it down first",
    Image.UnidentifiedImageError: "no picture that can be read here, or a damaged one: convert it to PNG",
}


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture with all that is needed to write it back: pixels as seen, upright, and what the file said."""

    pixels: np.ndarray  # [H, W, 1 or 3], uint8 or uint16
    alpha: np.ndarray | None = None  # [H, W], of the same type
    meta: Meta = field(default_factory=Meta)
    path: Path | None = None  # where it came from
    notes: tuple[str, ...] = ()  # what the user should know
    complete: bool = True  # False where the file holds more than was read: other frames, deeper colours


def load_photo(source: str | os.PathLike | bytes | Image.Image | np.ndarray) -> Photo:
    """The picture in a file, in a file's bytes, a PIL image (left as it is), or an array.

    Arrays are [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], in uint8, uint16 or floating point 0..1.
    """
    if isinstance(source, np.ndarray):
        return Photo(*from_array(source))
    if not isinstance(source, (str, os.PathLike, bytes, Image.Image)):
        raise ImageError(f"a {type(source).__name__}: pass a path, a file's bytes, a PIL image or a numpy array")
    named = isinstance(source, (str, os.PathLike))
    with _blaming(source if named else "the picture", "read"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on large pictures and on damage that does not matter
        if isinstance(source, Image.Image):
            return _from_image(source)
        return _from_stream(io.BytesIO(source)) if isinstance(source, bytes) else _from_file(Path(source).absolute())


def to_image(photo: Photo, pixels: np.ndarray) -> Image.Image:
    """New pixels, [H, W, C] in uint8, uint16 or floating point 0..1, with the photo's alpha and metadata."""
    image = compose(pixels, photo.pixels, photo.alpha, deep=True, keep_alpha=True)
    image.info.update(image_info(photo.meta, image.mode))
    return image


def save_photo(photo: Photo, pixels: np.ndarray, path: str | os.PathLike, *, overwrite_input: bool = False) -> Path:
    """Write new pixels in the photo's frame, in the format of the extension, and return the path.

    The file appears complete or not at all. Formats without transparency (JPEG, BMP) get it laid over white.
    """
    path = Path(path)
    with _blaming(path, "written"):
        kind = _format_to_write(path)
        if _is_source(photo, path):
            if not overwrite_input:
                raise ImageError("this is the source picture: choose another name, or allow overwriting it")
            if not photo.complete:
                raise ImageError("holds more than was read, which would be lost: choose another name")
        if max(photo.pixels.shape[:2]) > _LONGEST_SIDE.get(kind, MAX_PIXELS):
            raise ImageError(f"{kind} ends at {_LONGEST_SIDE[kind]} pixels a side: use .png or .tif")
        image = compose(pixels, photo.pixels, photo.alpha, deep=kind in _DEEP, keep_alpha=kind not in _NO_ALPHA)
    with atomic_write(path) as file:
        _write(image, file, kind, save_options(photo.meta, kind, image.mode))
        if kind == "TIFF":
            add_tiff_fields(file, photo.meta)
    return path


def copy_photo(photo: Photo, path: str | os.PathLike, *, overwrite_input: bool = False) -> Path:
    """The source file byte for byte where the extension asks for the same format, else its pixels saved."""
    path = Path(path)
    if _is_source(photo, path):
        return path
    if photo.path is None or _EXTENSIONS.get(path.suffix.lower()) != photo.meta.format:
        return save_photo(photo, photo.pixels, path, overwrite_input=overwrite_input)
    with _blaming(photo.path, "copied"), open(photo.path, "rb") as original, atomic_write(path) as file:
        shutil.copyfileobj(original, file)
    return path


@contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well, and vanishes when it does not.

    All errors, those of the block too, become ImageError.
    """
    target = Path(os.path.realpath(path))  # a link stays a link
    part = target.with_name(f".nuli-{secrets.token_hex(8)}.part")
    with _blaming(path, "written"):
        try:
            with _Stream(open(part, "xb+", buffering=0)) as file:  # permissions by umask, unlike tempfile's
                yield file
            with suppress(FileNotFoundError):
                shutil.copymode(target, part)
            os.replace(part, target)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise


def check_target(path: str | os.PathLike) -> None:
    """Raise the ImageError that `save` would, as far as it can be known before there are pixels to write."""
    with _blaming(path, "written"):
        _format_to_write(Path(path))
        folder = Path(os.path.realpath(path)).parent
        if not folder.is_dir():
            raise FileNotFoundError(errno.ENOENT, "")
        if not os.access(folder, os.W_OK):
            raise PermissionError(errno.EACCES, "")


def can_write(path: str | os.PathLike) -> bool:
    """Whether `save` knows the extension, with this Pillow."""
    return Path(path).suffix.lower() in _writable()


def list_images(folder: str | os.PathLike, recursive: bool = False) -> list[Path]:
    """The pictures in a folder that can be read here, by extension, sorted; hidden ones are left out."""
    Image.init()
    kinds = {extension for extension, kind in _EXTENSIONS.items() if kind in Image.OPEN}
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        if error.filename == os.fspath(folder):  # folders further down that cannot be read are left out
            raise error

    with _blaming(folder, "read"):
        for here, folders, files in os.walk(folder, onerror=refuse):
            folders[:] = [name for name in folders if recursive and not name.startswith(".")]
            found += [Path(here, name) for name in files if not name.startswith(".")]
    return sorted(path for path in found if path.suffix.lower() in kinds and path.is_file())


@contextmanager
def _blaming(what: str | os.PathLike, doing: str) -> Iterator[None]:
    """Turn all errors into ImageError: on broken files Pillow raises whatever its parsers stumble over."""
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{what}: {error}") from error
    except Exception as error:
        advice = next((text for kind, text in _ADVICE_BY_TYPE.items() if isinstance(error, kind)), None)
        reason = " ".join(str(error).split()) or type(error).__name__
        other = f"cannot be {doing} ({reason}): try a fresh copy, or another format"
        raise ImageError(f"{what}: {advice or _ADVICE.get(getattr(error, 'errno', None), other)}") from error


class _Stream(io.BufferedRandom):
    """A file that hides its descriptor: to one, Pillow writes without seeing blocks that only half fit."""

    def fileno(self) -> int:
        raise io.UnsupportedOperation("fileno")


def _write(image: Image.Image, file: BinaryIO, kind: str, options: dict[str, Any]) -> None:
    try:
        image.save(file, kind, **options)
    except OSError as error:
        if error.errno or not options.pop("progressive", False):
            raise
        # Pillow gives progressive JPEG two bytes a pixel, and fails where noise needs more
        file.seek(0)
        file.truncate()
        image.save(file, kind, **options)


def _writable() -> dict[str, str]:
    Image.init()
    return {e: kind for e, kind in _EXTENSIONS.items() if kind in Image.SAVE and e not in _READ_ONLY}


def _format_to_write(path: Path) -> str:
    extension, possible = path.suffix.lower(), _writable()
    if extension not in possible:
        hint = "256 colours spoil a photo, use .png" if extension == ".gif" else "choose another extension"
        raise ImageError(f"cannot write {extension or 'without extension'}: {hint} (of {' '.join(possible)})")
    return possible[extension]


def _is_source(photo: Photo, path: Path) -> bool:
    with suppress(OSError):
        return photo.path is not None and photo.path.samefile(path)
    return False


def _from_file(path: Path) -> Photo:
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("not a file: save the picture to one first")
    if not status.st_size:
        raise ImageError("the file is empty: get a fresh copy")
    with open(path, "rb") as file:
        return replace(_from_stream(file), path=path)


def _from_stream(file: BinaryIO) -> Photo:
    Image.init()
    # only these formats: others that Pillow knows run programs (EPS) or hold no photos
    kinds = [kind for kind in dict.fromkeys(_EXTENSIONS.values()) if kind in Image.OPEN]
    # closing frees Pillow's pixels at once: tracebacks and cycles would keep them
    with closing(Image.open(file, formats=kinds)) as image:
        return _from_image(image, file)


def _from_image(image: Image.Image, file: BinaryIO | None = None) -> Photo:
    width, height = image.size
    if not width or not height:
        raise ImageError("the picture has no pixels: choose another one")
    if width * height > MAX_PIXELS:
        raise Image.DecompressionBombError
    deep = not image.mode.startswith("I") and any(";16" in str(tile) for tile in getattr(image, "tile", ()))
    image.load()
    mode, convert, notes = conversion(image)
    meta, orientation = read_meta(image, file)
    if image.mode in ("CMYK", "LAB"):
        meta = replace(meta, icc=b"")  # it described those colours, not what they became
    pixels, alpha = to_arrays(image, mode, convert, orientation)
    if deep:
        notes += ("16 bits a colour: read as 8, Pillow has no more",)
    if animated := getattr(image, "is_animated", False):
        frames = "several"
        with suppress(Exception):  # the first frame is good, whatever follows
            frames = image.n_frames
        notes += (f"only the {'first' if file else 'current'} of {frames} frames is used",)
    return Photo(pixels, alpha, meta, None, notes, complete=not (deep or animated))
