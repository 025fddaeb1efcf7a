"""Pictures in and out: files, PIL images and arrays become a Photo; new pixels go back into its frame."""

import errno
import io
import os
import secrets
import shutil
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageCms

from nuli.errors import ImageError
from nuli.metadata import Meta, add_tiff_fields, image_info, read_meta, save_options

MAX_PIXELS = 178_956_970  # where Pillow, too, stops by default

_EXTENSIONS = {
    **dict.fromkeys((".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **{".png": "PNG", ".webp": "WEBP", ".avif": "AVIF", ".bmp": "BMP", ".gif": "GIF"},
}
_READ_ONLY = {".gif", ".mpo"}
_NO_ALPHA = {"JPEG", "BMP"}
_DEEP = {"PNG", "TIFF"}  # hold 16 bits of grey
_STRIP = 2**20  # pixels that are brought from Pillow to numpy, or back, at a time
_LONGEST_SIDE = {"JPEG": 65_500, "WEBP": 16_383, "AVIF": 65_536}
# Pillow's modes, and as what they are read; P, CMYK and LAB need a closer look
_READ_AS = {
    **dict.fromkeys(("1", "L"), "L"),
    **dict.fromkeys(("LA", "La"), "LA"),
    **dict.fromkeys(("RGB", "RGBX", "YCbCr", "HSV"), "RGB"),
    **dict.fromkeys(("RGBA", "RGBa", "PA"), "RGBA"),
    **dict.fromkeys(("I;16", "I;16L", "I;16B", "I;16N"), "I;16"),
    "I": "I",
}
# what turns a picture upright, by EXIF orientation from 2 on
_UPRIGHT = "FLIP_LEFT_RIGHT ROTATE_180 FLIP_TOP_BOTTOM TRANSPOSE ROTATE_270 TRANSVERSE ROTATE_90"
_TURNS = {orientation: Image.Transpose[name] for orientation, name in enumerate(_UPRIGHT.split(), 2)}
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


def load(source: str | os.PathLike | Image.Image | np.ndarray) -> Photo:
    """The picture in a file, a PIL image (left as it is), or an array.

    Arrays are [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], in uint8, uint16 or floating point 0..1.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if not isinstance(source, (str, os.PathLike, Image.Image)):
        raise ImageError(f"a {type(source).__name__}: pass a path, a PIL image or a numpy array")
    whole = isinstance(source, Image.Image)
    with _blaming("the picture" if whole else source, "read"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, on large pictures and on damage that does not matter
        return _from_image(source) if whole else _from_file(Path(source).absolute())


def to_image(photo: Photo, pixels: np.ndarray) -> Image.Image:
    """New pixels, [H, W, C] in uint8, uint16 or floating point 0..1, with the photo's alpha and metadata."""
    image = _compose(photo, pixels, deep=True, keep_alpha=True)
    image.info.update(image_info(photo.meta, image.mode))
    return image


def save(photo: Photo, pixels: np.ndarray, path: str | os.PathLike, *, overwrite_input: bool = False) -> Path:
    """Write new pixels in the photo's frame, in the format of the extension, and return the path.

    The file appears complete or not at all. Formats without transparency (JPEG, BMP) get it laid over white.
    """
    path = Path(path)
    with _blaming(path, "written"):
        kind = _format_to_write(path)
        if not overwrite_input and _is_source(photo, path):
            raise ImageError("this is the source picture: choose another name, or allow overwriting it")
        if max(photo.pixels.shape[:2]) > _LONGEST_SIDE.get(kind, MAX_PIXELS):
            raise ImageError(f"{kind} ends at {_LONGEST_SIDE[kind]} pixels a side: use .png or .tif")
        image = _compose(photo, pixels, deep=kind in _DEEP, keep_alpha=kind not in _NO_ALPHA)
    with replacing(path) as file:
        _write(image, file, kind, save_options(photo.meta, kind, image.mode))
        if kind == "TIFF":
            add_tiff_fields(file, photo.meta)
    return path


def copy(photo: Photo, path: str | os.PathLike, *, overwrite_input: bool = False) -> Path:
    """The source file byte for byte where the extension asks for the same format, else its pixels saved."""
    path = Path(path)
    if _is_source(photo, path):
        return path
    if photo.path is None or _EXTENSIONS.get(path.suffix.lower()) != photo.meta.format:
        return save(photo, photo.pixels, path, overwrite_input=overwrite_input)
    with _blaming(photo.path, "copied"), open(photo.path, "rb") as original, replacing(path) as file:
        shutil.copyfileobj(original, file)
    return path


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[BinaryIO]:
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
        reason = " ".join(str(error).split()) or type(error).__name__
        advice = f"cannot be {doing} ({reason}): try a fresh copy, or another format"
        if isinstance(error, OSError):
            advice = _ADVICE.get(error.errno, advice)
        for kind, other in _ADVICE_BY_TYPE.items():
            advice = other if isinstance(error, kind) else advice
        raise ImageError(f"{what}: {advice}") from error


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
    Image.init()
    # only these formats: others that Pillow knows run programs (EPS) or hold no photos
    kinds = [kind for kind in dict.fromkeys(_EXTENSIONS.values()) if kind in Image.OPEN]
    # closing frees Pillow's pixels at once: tracebacks and cycles would keep them
    with open(path, "rb") as file, closing(Image.open(file, formats=kinds)) as image:
        return replace(_from_image(image, file), path=path)


def _from_image(image: Image.Image, file: BinaryIO | None = None) -> Photo:
    width, height = image.size
    if not width or not height:
        raise ImageError("the picture has no pixels: choose another one")
    if width * height > MAX_PIXELS:
        raise Image.DecompressionBombError
    deep = not image.mode.startswith("I") and any(";16" in str(tile) for tile in getattr(image, "tile", ()))
    image.load()
    mode, convert, notes = _conversion(image)
    meta, orientation = read_meta(image, file)
    if image.mode in ("CMYK", "LAB"):
        meta = replace(meta, icc=b"")  # it described those colours, not what they became
    pixels, alpha = _to_arrays(image, mode, convert, orientation)
    if deep:
        notes += ("16 bits a colour: read as 8, Pillow has no more",)
    if getattr(image, "is_animated", False):
        frames = "several"
        with suppress(Exception):  # the first frame is good, whatever follows
            frames = image.n_frames
        notes += (f"only the {'first' if file else 'current'} of {frames} frames is used",)
    return Photo(pixels, alpha, meta, None, notes)


def _conversion(image: Image.Image) -> tuple[str, Callable[[Image.Image], Image.Image], tuple[str, ...]]:
    """As what mode to read an image, how to bring a part of it there, and what to tell the user."""
    mode, notes = _READ_AS.get(image.mode, ""), ()
    if image.mode == "P":
        colours = np.reshape(image.getpalette() or [0, 0, 0], (-1, 3))
        # a profile is one of colours here, and would not fit a picture of greys
        grey = not np.ptp(colours, axis=1).any() and not image.info.get("icc_profile")
        transparent = "transparency" in image.info or image.palette.mode == "RGBA"
        mode = ("L" if grey else "RGB") + ("A" if transparent else "")
    elif image.mode in ("CMYK", "LAB"):
        try:
            return "RGB", _to_srgb(image), (f"{image.mode}: converted to sRGB",)
        except Exception as error:  # a profile that is absent, broken, or of something else
            if image.mode == "LAB":
                raise ImageError("Lab colours that cannot be converted: save it as RGB first") from error
            mode, notes = "RGB", ("CMYK without a usable profile: converted to RGB, colours may be off",)
    elif not mode:
        raise ImageError(f"pixels of mode {image.mode}: save the picture with 8 or 16 bits a channel first")
    # numpy reads all kinds of I;16 right, and Pillow would clip one as it makes another of it
    same = mode in (image.mode, "I;16")
    return mode, (lambda part: part if same else part.convert(mode)), notes


def _to_srgb(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    profile = io.BytesIO(image.info.get("icc_profile") or b"")
    given = ImageCms.createProfile("LAB") if image.mode == "LAB" else ImageCms.ImageCmsProfile(profile)
    intent, black_point_compensation = 1, 0x2000  # relative colorimetric, as in photo editors
    transform = ImageCms.buildTransform(
        given, ImageCms.createProfile("sRGB"), image.mode, "RGB", intent, black_point_compensation
    )
    return lambda part: ImageCms.applyTransform(part, transform)


def _to_arrays(
    image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image], orientation: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Upright pixels and alpha, brought over in strips: a whole picture more would double the memory."""
    width, height = image.size
    shape = (height, width) if orientation < 5 else (width, height)
    kind = np.dtype(np.uint16 if mode.startswith("I") else np.uint8)
    channels = 3 if mode.startswith("RGB") else 1
    key = image.info.get("transparency")  # one colour that stands for transparent; a palette's is converted
    fits = isinstance(key, int if channels == 1 else tuple) and np.size(key) == channels
    keyed = image.mode != "P" and fits
    pixels = np.empty((*shape, channels), kind)
    alpha = np.empty(shape, kind) if mode.endswith("A") or keyed else None
    for rows in _strips(width, height):
        part = convert(image.crop((0, rows.start, width, rows.stop)))
        if orientation in _TURNS:
            part = part.transpose(_TURNS[orientation])
        values = np.asarray(part)
        if mode == "I" and not 0 <= values.min() <= values.max() <= 65_535:
            raise ImageError("32-bit values beyond 0..65535: save the picture with 16 bits first")
        values = values.reshape(*values.shape[:2], -1)
        if orientation in (3, 4, 6, 7):
            rows = slice(height - rows.stop, height - rows.start)
        place = (rows,) if orientation < 5 else (slice(None), rows)
        pixels[place] = values[..., :channels]
        if mode.endswith("A"):
            alpha[place] = values[..., -1]
        elif keyed:
            alpha[place] = (values != key).any(-1) * np.iinfo(kind).max
    return pixels, alpha


def _strips(width: int, height: int) -> Iterator[slice]:
    rows = max(1, _STRIP // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def _from_array(array: np.ndarray) -> Photo:
    channels = 1 if array.ndim == 2 else array.shape[-1]
    if array.ndim not in (2, 3) or channels not in (1, 3, 4) or not array.size:
        raise ImageError(f"an array of shape {array.shape}: pass [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]")
    deep = array.dtype != np.uint8
    if array.dtype.kind == "f" and not (array.min() >= 0 and array.max() <= 1):
        raise ImageError("floating point values outside 0..1: scale them to it")
    array = array.reshape(*array.shape[:2], channels).astype(array.dtype.newbyteorder("="), copy=False)
    values = np.empty(array.shape, np.uint16 if deep else np.uint8)
    for rows in _strips(array.shape[1], array.shape[0]):
        values[rows] = _quantized(array[rows], 65_535 if deep else 255)
    if channels == 4:
        return Photo(np.ascontiguousarray(values[..., :3]), np.ascontiguousarray(values[..., 3]))
    return Photo(values)


def _quantized(values: np.ndarray, top: int) -> np.ndarray:
    """Values as uint8 (top 255) or uint16 (top 65535), rounded once."""
    kind = np.uint8 if top == 255 else np.uint16
    if values.dtype.kind == "f":
        return np.rint(np.clip(values, 0, 1).astype(np.float64) * top).astype(kind)
    if values.dtype not in (kind, np.uint16):
        raise ImageError(f"values of type {values.dtype}: pass uint8, uint16, or floating point 0..1")
    return values if values.dtype == kind else ((values.astype(np.uint32) + 128) // 257).astype(kind)


def _compose(photo: Photo, pixels: np.ndarray, *, deep: bool, keep_alpha: bool) -> Image.Image:
    """A Pillow image of new pixels, with the photo's alpha kept or laid over white, made strip by strip."""
    height, width = photo.pixels.shape[:2]
    if pixels.shape not in ((height, width, 1), (height, width, 3)):
        raise ImageError(f"new pixels of shape {pixels.shape}: pass ({height}, {width}, 1 or 3), the photo's own")
    strips = list(_strips(width, height))
    # what was grey and went through colour arithmetic in floating point is grey still
    apart = 1 / 65_535 if pixels.dtype.kind == "f" else 0
    grey = photo.pixels.shape[2] == 1 and all(
        np.abs(pixels[rows] - pixels[rows, :, :1]).max() <= apart for rows in strips
    )
    alpha = photo.alpha
    deep = deep and grey and alpha is None and photo.pixels.dtype == np.uint16 and pixels.dtype != np.uint8
    mode = "I;16" if deep else ("L" if grey else "RGB") + ("A" if alpha is not None and keep_alpha else "")
    image, raw = Image.new(mode, (width, height)), "I;16N" if deep else mode
    for rows in strips:
        part = pixels[rows, :, :1] if grey else np.broadcast_to(pixels[rows], (*pixels[rows].shape[:2], 3))
        if alpha is not None and not keep_alpha:
            part = 1 - (1 - _unit(part)) * _unit(alpha[rows, :, None])
        part = _quantized(part, 65_535 if deep else 255)
        if mode.endswith("A"):
            part = np.concatenate([part, _quantized(alpha[rows, :, None], 255)], axis=2)
        part, size = np.ascontiguousarray(part), (width, rows.stop - rows.start)
        image.paste(Image.frombuffer(mode, size, part, "raw", raw, 0, 1), (0, rows.start))
    return image


def _unit(values: np.ndarray) -> np.ndarray:
    return values if values.dtype.kind == "f" else values / np.float32(np.iinfo(values.dtype).max)
