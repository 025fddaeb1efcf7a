"""Batches of pictures as ComfyUI hands them around: IMAGE [B,H,W,C], floating point 0..1, and MASK [B,H,W]."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..errors import ImageError
from ..imaging.mask import with_mask
from ..imaging.photo import Photo, load_photo

EMPTY_MASK = (64, 64)
"""The size of the black mask that ComfyUI's loader gives of a picture without transparency: it means no mask."""


def frames_of(images: Tensor) -> list[Tensor]:
    """The pictures [H,W,C] of a batch, float32 on the CPU, whatever type they come in and wherever they are.

    Raises ImageError for another shape, and for values that are no numbers.
    """
    if images.ndim != 4 or images.shape[3] not in (3, 4) or not images.numel():
        raise ImageError(f"images of shape {tuple(images.shape)}: connect an IMAGE, [batch, height, width, 3 or 4]")
    images = images.detach().to("cpu", torch.float32)
    if not torch.isfinite(images).all():
        raise ImageError("the picture has values that are no numbers, as a VAE in float16 makes them: try --fp32-vae")
    return list(images.clamp(0, 1))


def photo_of(frame: Tensor) -> Photo:
    """A picture [H,W,C] as a photo of 16 bits."""
    return load_photo(frame.numpy())


def masked(photo: Photo, masks: Tensor | None, index: int, feather: float) -> Photo:
    """A photo that is only changed inside of its mask, the one of that index, or the only one.

    Raises ImageError for a mask of another shape.
    """
    mask = _item(masks, index, 3)
    if mask is None or (tuple(mask.shape) == EMPTY_MASK != photo.pixels.shape[:2] and not mask.any()):
        return photo
    return with_mask(photo, mask.clamp(0, 1).numpy(), feather)


def reference_of(images: Tensor | None, index: int) -> np.ndarray | None:
    """The reference picture of that index, or the only one."""
    image = _item(images, index, 4)
    return None if image is None else image.clamp(0, 1).numpy()


def _item(batch: Tensor | None, index: int, dimensions: int) -> Tensor | None:
    """A batch's item, float32 on the CPU; of a batch that is too short the last."""
    if batch is None:
        return None
    batch = batch.reshape(-1, *batch.shape[1 - dimensions :])
    return batch[min(index, len(batch) - 1)].detach().to("cpu", torch.float32)


def replaced(frame: Tensor, photo: Photo, pixels: np.ndarray) -> Tensor:
    """A picture [H,W,C] with new pixels [H,W,3] of its photo's type. What did not change in 16 bits stays bit by bit as
    it was; so does transparency."""
    if pixels is photo.pixels:
        return frame
    kept = torch.from_numpy(np.equal(pixels, photo.pixels))
    new = torch.from_numpy(pixels.astype(np.float32)).div_(np.iinfo(pixels.dtype).max)
    return torch.cat([torch.where(kept, frame[..., :3], new), frame[..., 3:]], 2)
