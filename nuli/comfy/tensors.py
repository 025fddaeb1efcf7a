"""Batches of pictures as ComfyUI hands them around: IMAGE [B,H,W,C], floating point 0..1, and MASK [B,H,W]."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import ImageError
from ..imaging.mask import with_mask
from ..imaging.photo import Photo, load_photo

EMPTY_MASK = (64, 64)
"""The size of the black mask that ComfyUI's loader gives of a picture without transparency: it means no mask."""


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture of a batch."""

    frame: Tensor
    """[H,W,3 or 4], float32 on the CPU."""
    photo: Photo
    """The same with 16 bits, and its mask."""

    def replaced(self, pixels: np.ndarray) -> Tensor:
        """The frame with new pixels [H,W,3] of the photo's type. What did not change in 16 bits stays bit by bit as it
        was; so does transparency."""
        if pixels is self.photo.pixels:
            return self.frame
        kept = torch.from_numpy(np.equal(pixels, self.photo.pixels))
        new = torch.from_numpy(pixels.astype(np.float32)).div_(np.iinfo(pixels.dtype).max)
        return torch.cat([torch.where(kept, self.frame[..., :3], new), self.frame[..., 3:]], 2)


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures, and where they may be changed. They are unpacked one at a time, for a batch may be a whole video.

    Raises ImageError for a tensor of another shape or type.
    """

    images: Tensor
    """[B,H,W,3 or 4], of any floating point type, on any device."""
    masks: Tensor | None = None
    """[B,h,w], or [1,h,w] or [h,w] for all."""
    feather: float = 0.0

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        if len(shape) != 4 or shape[3] not in (3, 4) or not self.images.numel():
            raise ImageError(f"images of shape {shape}: connect an IMAGE, [batch, height, width, 3 or 4], not empty")
        if not self.images.is_floating_point():
            raise ImageError(
                f"images of type {self.images.dtype}: connect an IMAGE, whose values are floats from 0 to 1"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[Picture]:
        return map(self.__getitem__, range(len(self)))

    def __getitem__(self, index: int) -> Picture:
        """Raises ImageError for values that are no numbers, and for a mask of another shape."""
        frame = item(self.images, index, 4)
        photo = load_photo(frame.numpy())
        mask = None if self.masks is None else item(self.masks, index, 3, "mask")
        stands_in = mask is not None and mask.shape == EMPTY_MASK != photo.pixels.shape[:2] and not mask.any()
        if mask is not None and not stands_in:
            photo = with_mask(photo, mask.numpy(), self.feather)
        return Picture(frame, photo)


def item(batch: Tensor, index: int, dimensions: int, name: str = "picture") -> Tensor:
    """One of a batch, float32 on the CPU, in 0..1; of a batch that is too short the last.

    Args:
        dimensions: of the batch; one of a single item may lack the first.
        name: what messages call the item.
    Raises:
        ImageError: the batch is empty, or the item has values that are no numbers.
    """
    if not batch.numel():
        raise ImageError(f"there is no {name} in the batch that is connected")
    batch = batch.reshape(-1, *batch.shape[1 - dimensions :])
    found = batch[min(index, len(batch) - 1)].detach().to("cpu", torch.float32)
    if not torch.isfinite(found).all():
        raise ImageError(f"the {name} has values that are no numbers, as a VAE in float16 makes them: try --fp32-vae")
    return found.clamp(0, 1)
