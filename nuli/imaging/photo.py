"""Pictures in and out: files, PIL images and arrays become a Photo; new pixels go back into its frame."""

import errno
import io
import os
import stat
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageCms

from ..errors import ImageError
from .atomic import MAX_PIXELS, OnWritten, as_image_error, atomic_write, check_place, copy_file
from .bombs import check_work, count_frames
from .formats import DEEP, EXTENSIONS, LONGEST_SIDE, NO_ALPHA, format_to_write, readable_formats, write_image
from .losses import losses, refusal
from .metadata import Meta, icc_for, image_info, read_meta
from .pixels import compose, conversion, from_array, from_image, to_arrays
from .structure import open_image
from .tags import Tags


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture with all that is needed to write it back: pixels as seen, upright, and what the file said."""

    pixels: np.ndarray  # [H, W, 1 or 3], uint8 or uint16
    alpha: np.ndarray | None = None  # [H, W], of the same type
    meta: Meta = field(default_factory=Meta)
    path: Path | None = None  # where it came from
    notes: tuple[str, ...] = ()  # what the user should know
    complete: bool = True  # False where the file holds more than was read: other frames, deeper colours
    lost: tuple[str, ...] = ()  # what that is, in words
    mask: np.ndarray | None = None  # [H, W], uint16: how far what is rendered from it may differ; see `imaging.mask`


_HOLDERS = {"JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP"}  # formats that are written

Source = str | os.PathLike | bytes | Image.Image | np.ndarray | Photo
"""What a photo can be loaded from."""


def load_photo(source: Source, at_least: int = 0) -> Photo:
    """The picture in a file, in a file's bytes, a PIL image (left as it is), or an array; a Photo is one already.

    Arrays are [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], in uint8, uint16 or floating point 0..1. Warnings that
    Pillow gives, on large pictures and on damage that does not matter, are for the program's own filters.

    Args:
        at_least: where it is given, a JPEG may come smaller than it is, its short side that many pixels at least: that
            takes a part of the time.
    Raises:
        ImageError: there is no picture, or it cannot be read.
    """
    if isinstance(source, Photo):
        return source
    if isinstance(source, np.ndarray):
        return Photo(*from_array(source))
    if not isinstance(source, (str, os.PathLike, bytes, Image.Image)):
        raise ImageError(f"a {type(source).__name__}: pass a path, a file's bytes, a PIL image or a numpy array")
    is_path = isinstance(source, (str, os.PathLike))
    with as_image_error(source if is_path else "the picture", "read"):
        if isinstance(source, Image.Image):
            return _from_image(source)
        if isinstance(source, bytes):
            return _from_stream(io.BytesIO(source), at_least)
        return _from_file(Path(source).absolute(), at_least)


def to_image(photo: Photo, pixels: np.ndarray) -> Image.Image:
    """A PIL image of new pixels, [H, W, 1 or 3] in uint8, uint16 or floating point 0..1, with the photo's alpha and
    metadata. Raises ImageError for pixels of another shape or type."""
    image = compose(pixels, photo.pixels, photo.alpha, deep=True, keep_alpha=True)
    image.info.update(image_info(photo.meta, image.mode))
    return image


def save_photo(
    photo: Photo,
    pixels: np.ndarray | Image.Image,
    path: str | os.PathLike,
    *,
    overwrite_input: bool = False,
    on_written: OnWritten | None = None,
) -> Path:
    """Write new pixels in the photo's frame, in the format of the extension, and return the path.

    The file appears complete or not at all. Formats without transparency (JPEG, BMP) get it laid over white.

    Args:
        photo: the picture that the pixels were made from.
        pixels: [H, W, 1 or 3] in uint8, uint16 or floating point 0..1; or the image that `to_image` made of them.
        path: where to, with an extension that `can_write` knows.
        overwrite_input: whether `path` may be the photo's own file.
        on_written: called when the file is complete, see `atomic_write`.
    Raises:
        ImageError: the pixels don't fit, or the file cannot be written.
    """
    path = Path(path)
    with as_image_error(path, "written"):
        if _is_source(photo, path) and not overwrite_input:
            raise ImageError("this is the source picture: choose another name, or allow overwriting it")
        kind = check_fits(photo, path)
        if max(photo.pixels.shape[:2]) > LONGEST_SIDE.get(kind, MAX_PIXELS):
            raise ImageError(f"{kind} ends at {LONGEST_SIDE[kind]} pixels a side: use .png or .tif")
        image = _image_for(kind, photo, pixels)
    with atomic_write(path, on_written) as file:
        write_image(image, file, kind, photo.meta)
    return path


def check_fits(photo: Photo, path: str | os.PathLike) -> str:
    """Pillow's name of the format to write at a path, which is the one that the extension asks for; where the photo's
    own file is, the one that it really has.

    Raises ImageError where the format can't hold the photo's colours, or where its own file would lose something.
    """
    path = Path(path)
    kind, in_place = format_to_write(path), _is_source(photo, path)
    if in_place and photo.meta.format:
        if photo.meta.format not in _HOLDERS:
            raise ImageError(
                f"named {path.suffix}, but its format is {photo.meta.format}, which is not written: choose another name"
            )
        kind = photo.meta.format
    if reason := refusal(photo.meta, kind):
        raise ImageError(reason)
    if in_place:
        lost = (*photo.lost, *_losses(photo, kind))
        if lost or not photo.complete:
            names = f" ({'; '.join(lost)})" if lost else ""
            raise ImageError(f"holds more than was read, which would be lost{names}: choose another name")
    return kind


def writing_notes(photo: Photo, path: str | os.PathLike) -> tuple[str, ...]:
    """What the user should know about a photo's file at a path: what its format has no place for."""
    path = Path(path)
    named, kind, own = EXTENSIONS.get(path.suffix.lower()), photo.meta.format, photo.path and _is_source(photo, path)
    kind = kind if own and kind in _HOLDERS else named
    if kind not in _HOLDERS:
        return ()
    notes = _losses(photo, kind)
    source = EXTENSIONS.get(photo.path.suffix.lower()) if photo.path else None
    if source and photo.meta.format and source != photo.meta.format and source == named:
        notes = (f"named {photo.path.suffix}, but its format is {photo.meta.format}; written as {kind}", *notes)
    return notes


def _losses(photo: Photo, kind: str) -> tuple[str, ...]:
    deep = photo.pixels.dtype == np.uint16
    return losses(photo.meta, kind, alpha=photo.alpha is not None, deep=deep)


def _image_for(kind: str, photo: Photo, pixels: np.ndarray | Image.Image) -> Image.Image:
    """New pixels as an image that a format can hold."""
    is_image = isinstance(pixels, Image.Image)
    if is_image and not (kind in NO_ALPHA and pixels.mode.endswith("A")) and (kind in DEEP or pixels.mode != "I;16"):
        image = pixels
    else:
        pixels = from_image(pixels) if is_image else pixels
        image = compose(pixels, photo.pixels, photo.alpha, deep=kind in DEEP, keep_alpha=kind not in NO_ALPHA)
    return _to_srgb(image, photo.meta) if kind == "BMP" else image


def _to_srgb(image: Image.Image, meta: Meta) -> Image.Image:
    """An image in sRGB by its profile; as it is without one, or with one that is broken or of something else."""
    icc = icc_for(meta, image.mode)
    with suppress(ImageCms.PyCMSError):
        if icc:
            to = ImageCms.createProfile("sRGB")
            return ImageCms.profileToProfile(image, io.BytesIO(icc), to, 1, "RGB", flags=0x2000)
    return image


def copy_photo(
    photo: Photo, path: str | os.PathLike, *, overwrite_input: bool = False, on_written: OnWritten | None = None
) -> Path:
    """Copy the source file byte for byte where the extension asks for its format, else save its pixels.

    Returns the path. Raises ImageError.
    """
    path = Path(path)
    if _is_source(photo, path):
        if on_written:
            on_written(path)
        return path
    if photo.path is None or EXTENSIONS.get(path.suffix.lower()) != photo.meta.format:
        return save_photo(photo, photo.pixels, path, overwrite_input=overwrite_input, on_written=on_written)
    copy_file(photo.path, path, on_written)
    return path


def check_target(path: str | os.PathLike) -> None:
    """Raise the ImageError that `save_photo` would, as far as it can be known before there are pixels to write."""
    with as_image_error(path, "written"):
        format_to_write(Path(path))
    check_place(path)


def _is_source(photo: Photo, path: Path) -> bool:
    """Whether a path leads to the photo's own file."""
    with suppress(OSError):
        return photo.path is not None and photo.path.samefile(path)
    return False


def _from_file(path: Path, at_least: int) -> Photo:
    """The photo in a file; raises ImageError, or whatever Pillow does."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError("not a file: save the picture to one first")
    if not status.st_size:
        raise ImageError("the file is empty: get a fresh copy")
    with open(path, "rb") as file:
        return replace(_from_stream(file, at_least), path=path)


def _from_stream(file: BinaryIO, at_least: int) -> Photo:
    """The photo in an open file; raises ImageError, or whatever Pillow does."""
    # closing frees Pillow's pixels at once: tracebacks and cycles would keep them
    with closing(open_image(file, readable_formats())) as image:
        return _from_image(image, file, at_least)


def _from_image(image: Image.Image, file: BinaryIO | None = None, at_least: int = 0) -> Photo:
    """The photo in a PIL image and in the open file that it came from, if there is one."""
    width, height = image.size
    if not width or not height:
        raise ImageError("the picture has no pixels: choose another one")
    if width * height > MAX_PIXELS:
        raise Image.DecompressionBombError
    check_work(image, file)
    if at_least and file:
        # libjpeg makes 1/2, 1/4 or 1/8 of the pixels in the first place
        image.draft(None, [side * at_least // min(width, height) for side in image.size])
    deep = not image.mode.startswith("I") and any(";16" in str(tile) for tile in getattr(image, "tile", ()))
    image.load()
    mode, convert, notes = conversion(image)
    is_jpeg = image.format in ("JPEG", "MPO")
    meta, orientation, words, lost = read_meta(image, None if at_least and is_jpeg else file)
    notes += words
    if image.mode in ("CMYK", "LAB"):
        meta = replace(meta, icc=b"", tags=Tags())  # they described those colours, not what they became
    pixels, alpha = to_arrays(image, mode, convert, orientation)
    if meta.tags.untold:
        notes += (f"{meta.tags.untold}: judged as if it were not, and kept so; as .png or .avif only",)
    lost = tuple(f"{name}: left out" for name in lost)
    if deep or meta.tags.bits > 8:
        lost += (f"{16 if deep else meta.tags.bits} bits a colour: read as 8, Pillow has no more",)
    # what lies behind a JPEG was looked at
    if getattr(image, "is_animated", False) and not (is_jpeg and file):
        frames = count_frames(image, file)
        lost += (f"only the {'first' if file else 'current'} of {frames} frames is used",)
    return Photo(pixels, alpha, meta, None, (*notes, *lost), complete=not (lost or at_least), lost=lost)
