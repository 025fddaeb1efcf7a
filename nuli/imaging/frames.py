"""Small views of a picture: the frame that is searched on, and what a scorer sees of it.

The frame is the whole picture, its short side FRAME pixels. Everything that an op measures is measured in
the frame, in the search and for the full-size picture alike; the scorer's view is cut from it or, for
another input size, made from it. So what was scored is what is rendered.

A large picture is made smaller by a whole number first, each pixel the mean of a square: that is several times as quick
as to let the bicubic filter see all of it, and between the two shows no difference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .color import luma
from .photo import Photo
from .reduce import reduce

FRAME = 224
"""Short side of the frame in pixels: CLIP's input, so that its view is a plain crop of the frame."""
MAX_ASPECT = 4
"""Long side of the frame at most, in short sides; panoramas beyond are squeezed to it."""
CELL, UNCLIPPED, FEWEST_CELLS = 8, 0.98, 100
"""Pixels of a frame, each way, of which the mean colour is taken, the level that none of them reaches there, and how
many such cells there must be."""
ONE_TONE, ONE_COLOUR, MOST_TONE = 0.035, 0.2, 1.9
"""A picture has one tone where the standard deviation of red and blue less green, among what is equally light, is below
these parts of that of luma and of their own size, and below so many levels."""
_BAND = 1 << 20
"""Pixels worked on at a time while a picture is shrunk: bounds the memory."""
_WIDENED = 1 << 24
"""Pixels that a picture may have once it is as wide as its frame: a million rows of one would fill the memory."""


def to_tensor(pixels: np.ndarray, device: str | torch.device = "cpu") -> Tensor:
    """Pixels [H,W,C], C 1 or 3, of 8 or 16 bits or float32 0..1 -> [1,3,H,W], float32 0..1."""
    if pixels.dtype == np.float32:
        x = torch.from_numpy(pixels).to(device)
        return x.permute(2, 0, 1)[None].contiguous()
    top = np.iinfo(pixels.dtype).max
    # uint16 tensors lack most functions, and in torch before 2.3 there are none
    pixels = np.require(pixels, np.uint8 if pixels.dtype == np.uint8 else np.int32, ["C", "W"])
    source = torch.from_numpy(pixels).to(device)
    x = source.permute(2, 0, 1)[None].to(torch.float32).div_(top)
    return x.expand(1, 3, -1, -1) if x.shape[1] == 1 else x


def to_pixels(x: Tensor, dtype: np.dtype | type) -> np.ndarray:
    """[1,3,H,W] in 0..1 -> pixels [H,W,3] of 8 or 16 bits, rounded, or of float32."""
    dtype = np.dtype(dtype)
    if dtype == np.float32:
        return x[0].permute(1, 2, 0).cpu().numpy()
    x = x[0].permute(1, 2, 0).mul(np.iinfo(dtype).max).round_()
    return x.to(torch.uint8 if dtype.itemsize == 1 else torch.int32).cpu().numpy().astype(dtype, copy=False)


def frame_size(height: int, width: int) -> tuple[int, int]:
    """Height and width in pixels of the frame of a picture of that size, rounded as CLIP's own resize does."""
    long = int(FRAME * min(max(height, width) / min(height, width), MAX_ASPECT))
    return (FRAME, long) if width >= height else (long, FRAME)


def reduced(photo: Photo) -> Photo:
    """A large photo made smaller, see `reduce`; a small one is given back as it is."""
    pixels, alpha = reduce(photo.pixels, photo.alpha)
    if pixels is photo.pixels:
        return photo
    mask = None if photo.mask is None else reduce(photo.mask[:, :, None])[0][:, :, 0]
    return replace(photo, pixels=pixels, alpha=alpha, mask=mask)


def make_frame(
    pixels: np.ndarray,
    alpha: np.ndarray | None = None,
    device: str | torch.device = "cpu",
    size: tuple[int, int] | None = None,
) -> Tensor:
    """The frame [1,3,h,w], float32 0..1, of a picture's pixels [H,W,C]: reduced, then resized as by Pillow's bicubic
    filter, unrounded.

    What is transparent by `alpha` [H,W] takes the mean colour of what is not, so that no score depends on it.

    Args:
        size: height and width of the frame in pixels, where they are to be others than its `frame_size`.
    """
    size = size or frame_size(*pixels.shape[:2])
    pixels, alpha = reduce(pixels, alpha)
    height, width = pixels.shape[:2]
    if height * size[1] > _WIDENED:
        turned = make_frame(pixels.swapaxes(0, 1), None if alpha is None else alpha.T, device, size[::-1])
        return turned.transpose(2, 3).contiguous()
    rows = max(1, _BAND // width)
    # first each band to the frame's width, then all of them to its height
    bands = []
    for top in range(0, height, rows):
        band = to_tensor(pixels[top : top + rows], device)
        if alpha is not None:
            opacity = to_tensor(alpha[top : top + rows, :, None], device)[:, :1]
            band = torch.cat([band * opacity, opacity], 1)
        bands.append(_resize(band, band.shape[2], size[1]))
    frame = _resize(torch.cat(bands, 2), *size)
    if alpha is None:
        return frame
    frame, opacity = frame[:, :3], frame[:, 3:]
    mean = frame.sum((2, 3), keepdim=True) / opacity.sum((2, 3), keepdim=True).clamp(min=1e-6)
    return (frame + mean * (1 - opacity)).clamp_(0, 1)


def make_mask(photo: Photo, device: str | torch.device = "cpu", size: tuple[int, int] | None = None) -> Tensor | None:
    """The mask [1,1,h,w], float32 0..1, that belongs to a photo's frame, or to its view of another size; None where all
    of it may be changed."""
    return None if photo.mask is None else make_frame(photo.mask[:, :, None], None, device, size)[:, :1]


def _resize(x: Tensor, height: int, width: int) -> Tensor:
    """A batch [N,C,H,W] in 0..1 at another size in pixels, by the bicubic filter."""
    if x.shape[2:] == (height, width):
        return x
    return F.interpolate(x, (height, width), mode="bicubic", antialias=True, align_corners=False).clamp_(0, 1)


def scorer_view(frames: Tensor, view_mode: str, input_size: int) -> Tensor:
    """What a scorer with that view_mode and input size sees of frames [N,3,h,w] (see `Scorer`)."""
    if view_mode == "crop":
        h, w = frames.shape[2:]
        top, left = round((h - FRAME) / 2), round((w - FRAME) / 2)
        frames = frames[:, :, top : top + FRAME, left : left + FRAME]
    if view_mode == "subsampled":
        return subsample(frames)
    if input_size == FRAME:
        return frames
    return _resize(frames, *(round(side * input_size / FRAME) for side in frames.shape[2:]))


def is_grey(frame: Tensor) -> bool:
    """Whether a picture has no colours, by its frame [1,3,h,w]."""
    return bool((frame.amax(1) - frame.amin(1)).max() < 2 / 255)


def is_toned(frame: Tensor) -> bool:
    """Whether a picture is black and white but for a tone, as sepia is, by its frame [1,3,h,w]: then places that are
    equally light have the same colour. So have hardly any others, but for dark and pale ones, whose colours differ
    little from each other and from grey.
    """
    unclipped = F.max_pool2d(frame.amax(1), CELL).flatten() < UNCLIPPED
    cells = F.avg_pool2d(frame, CELL).flatten(2)[..., unclipped]  # means lack what a JPEG does to colours
    if cells.shape[2] < FEWEST_CELLS:
        return False
    light = luma(cells[..., None]).flatten()
    shades = cells[:, ::2] - cells[:, 1:2]
    differing = (shades[..., light.argsort()].diff(dim=2).square().mean() / 2).sqrt()
    limit = torch.minimum(ONE_TONE * light.std(), ONE_COLOUR * shades.square().mean().sqrt())
    return bool(differing < limit.clamp(max=MOST_TONE / 255))


def each(frames: Tensor) -> Sequence[Tensor]:
    """Frames [K,3,h,w] one by one [1,3,h,w]; a single one as the very tensor that it is."""
    return [frames] if len(frames) == 1 else frames.split(1)


def stacked(x: Tensor, count: int) -> Tensor:
    """[N*count,C,H,W] -> [N,C,count*H,W]: every `count` pictures in a row made one, each below the one before."""
    return x.unflatten(0, (-1, count)).transpose(1, 2).flatten(2, 3)


def subsample(x: Tensor) -> Tensor:
    """Every second pixel of [N,C,H,W] in both directions: says as much of a whole picture, in a quarter of the time."""
    return x[..., ::2, ::2].contiguous()  # scattered values are slow to work with
