"""Pixels: Pillow's images to numpy's arrays and back, in strips, so that memory holds no picture twice."""

import io
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image, ImageCms

from ..errors import ImageError

_STRIP = 2**18  # pixels that are brought from Pillow to numpy, or back, at a time
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
TURNS = {orientation: Image.Transpose[name] for orientation, name in enumerate(_UPRIGHT.split(), 2)}


def conversion(image: Image.Image) -> tuple[str, Callable[[Image.Image], Image.Image], tuple[str, ...]]:
    """The mode to read an image as, what brings a part of it there, and notes for the user. Raises ImageError."""
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
    is_there = mode in (image.mode, "I;16")
    return mode, (lambda part: part if is_there else part.convert(mode)), notes


def _to_srgb(image: Image.Image) -> Callable[[Image.Image], Image.Image]:
    """What converts parts of a CMYK or Lab image to sRGB, by its profile; raises whatever Pillow does without one."""
    profile = io.BytesIO(image.info.get("icc_profile") or b"")
    profile_of_image = ImageCms.createProfile("LAB") if image.mode == "LAB" else ImageCms.ImageCmsProfile(profile)
    intent, black_point_compensation = 1, 0x2000  # relative colorimetric, as in photo editors
    transform = ImageCms.buildTransform(
        profile_of_image, ImageCms.createProfile("sRGB"), image.mode, "RGB", intent, black_point_compensation
    )
    return lambda part: ImageCms.applyTransform(part, transform)


def to_arrays(
    image: Image.Image, mode: str, convert: Callable[[Image.Image], Image.Image], orientation: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """Upright pixels [H,W,1 or 3] and alpha [H,W] or None of an image, of 8 or 16 bits.

    They are brought over in strips: a whole picture more would double the memory.

    Args:
        image: a loaded image.
        mode: what mode to read it as.
        convert: brings a part of it to that mode.
        orientation: the EXIF orientation (1 to 8) that is still to be applied.
    Raises:
        ImageError: values beyond 16 bits.
    """
    width, height = image.size
    shape = (height, width) if orientation < 5 else (width, height)
    kind = np.dtype(np.uint16 if mode.startswith("I") else np.uint8)
    channels = 3 if mode.startswith("RGB") else 1
    key = image.info.get("transparency")  # one colour that stands for transparent; a palette's is converted
    is_colour = isinstance(key, int if channels == 1 else tuple) and np.size(key) == channels
    has_key = image.mode != "P" and is_colour
    # TIFF's WhiteIsZero: Pillow turns 8 bits round, and 16 it leaves
    inverted = image.format == "TIFF" and mode == "I;16" and getattr(image, "tag_v2", {}).get(262, 0) == 0
    pixels = np.empty((*shape, channels), kind)
    alpha = np.empty(shape, kind) if mode.endswith("A") or has_key else None
    for rows in _strips(width, height):
        part = convert(image.crop((0, rows.start, width, rows.stop)))
        if orientation in TURNS:
            part = part.transpose(TURNS[orientation])
        values = np.asarray(part)
        if inverted:
            values = 65_535 - values
        if mode == "I" and not 0 <= values.min() <= values.max() <= 65_535:
            raise ImageError("32-bit values beyond 0..65535: save the picture with 16 bits first")
        values = values.reshape(*values.shape[:2], -1)
        if orientation in (3, 4, 6, 7):
            rows = slice(height - rows.stop, height - rows.start)
        place = (rows,) if orientation < 5 else (slice(None), rows)
        pixels[place] = values[..., :channels]
        if mode.endswith("A"):
            alpha[place] = values[..., -1]
        elif has_key:
            alpha[place] = (values != key).any(-1) * np.iinfo(kind).max
    return pixels, alpha


def _strips(width: int, height: int) -> Iterator[slice]:
    """Slices of rows, from top to bottom, each of about _STRIP pixels."""
    rows = max(1, _STRIP // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def _quantized(values: np.ndarray, top: int) -> np.ndarray:
    """Values as uint8 (top 255) or uint16 (top 65535), rounded once. Raises ImageError for another type."""
    kind = np.uint8 if top == 255 else np.uint16
    if values.dtype.kind == "f":
        return np.rint(np.clip(values, 0, 1).astype(np.float64) * top).astype(kind)
    if values.dtype not in (kind, np.uint16):
        raise ImageError(f"values of type {values.dtype}: pass uint8, uint16, or floating point 0..1")
    return values if values.dtype == kind else ((values.astype(np.uint32) + 128) // 257).astype(kind)


def _unit(values: np.ndarray) -> np.ndarray:
    """Values as floating point in 0..1."""
    return values if values.dtype.kind == "f" else values / np.float32(np.iinfo(values.dtype).max)


def from_array(array: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Pixels [H,W,1 or 3] and alpha [H,W] or None of an array [H, W], [H, W, 1], [H, W, 3] or [H, W, 4].

    Raises ImageError for another shape, type or range.
    """
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
        return np.ascontiguousarray(values[..., :3]), np.ascontiguousarray(values[..., 3])
    return values, None


def compose(
    pixels: np.ndarray, source: np.ndarray, alpha: np.ndarray | None, *, deep: bool, keep_alpha: bool
) -> Image.Image:
    """A Pillow image of new pixels, the source's alpha kept or laid over white, made strip by strip.

    Grey where the source is grey and the pixels still are; with 16 bits where `deep` and they had 16.

    Args:
        pixels: [H,W,1 or 3], or anything that has their shape and type and gives slices of rows.
    """
    height, width = source.shape[:2]
    if pixels.shape not in ((height, width, 1), (height, width, 3)):
        raise ImageError(f"new pixels of shape {pixels.shape}: pass ({height}, {width}, 1 or 3), the photo's own")
    strips = list(_strips(width, height))
    # what was grey and went through colour arithmetic in floating point is grey still
    tolerance = 1 / 65_535 if pixels.dtype.kind == "f" else 0
    grey = source.shape[2] == 1 and all(
        np.abs(part - part[:, :, :1]).max() <= tolerance for part in (pixels[rows] for rows in strips)
    )
    deep = deep and grey and alpha is None and source.dtype == np.uint16 and pixels.dtype != np.uint8
    mode = "I;16" if deep else ("L" if grey else "RGB") + ("A" if alpha is not None and keep_alpha else "")
    image = Image.new(mode, (width, height))
    for rows in strips:
        part = pixels[rows]
        part = part[:, :, :1] if grey else np.broadcast_to(part, (*part.shape[:2], 3))
        if alpha is not None and not keep_alpha:
            part = 1 - (1 - _unit(part)) * _unit(alpha[rows, :, None])
        part = _quantized(part, 65_535 if deep else 255)
        if mode.endswith("A"):
            part = np.concatenate([part, _quantized(alpha[rows, :, None], 255)], axis=2)
        image.paste(_image_of(part, mode), (0, rows.start))
    return image


def _image_of(part: np.ndarray, mode: str) -> Image.Image:
    """Values [h,w,C] as an image of a mode."""
    height, width = part.shape[:2]
    raw, base = "I;16N" if mode == "I;16" else mode, part.base
    padded = mode == "RGB" and part.strides == (4 * width, 4, 1)
    if padded and base is not None and base.nbytes == 4 * height * width and base.ctypes.data == part.ctypes.data:
        part, raw = base, "RGBX"  # three of four bytes, as Pillow itself has them
    part, size = np.ascontiguousarray(part), (width, height)
    return Image.frombuffer(mode, size, part, "raw", raw, 0, 1)


def from_image(image: Image.Image) -> np.ndarray:
    """The pixels [H,W,3] of an image that `compose` made, of 8 or 16 bits, without its alpha."""
    values = np.asarray(image)
    values = values[..., None] if values.ndim == 2 else values
    values = values[..., :3] if values.shape[2] > 2 else values[..., :1]
    return np.broadcast_to(values, (*values.shape[:2], 3))
