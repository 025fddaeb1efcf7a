"""The pictures that a search looks at, each as small as it needs them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..imaging.frames import frame_size, make_frame, make_mask, reduced
from ..imaging.photo import Photo


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture, made smaller as far as predictions need it."""

    photo: Photo
    """The picture reduced (see `imaging.reduce`); a small one is itself."""
    short: int
    """Short side of the full-size picture, in pixels."""

    @staticmethod
    def of(photo: Photo) -> Sample:
        return Sample(reduced(photo), min(photo.pixels.shape[:2]))


def common_size(samples: Sequence[Sample]) -> tuple[int, int]:
    """Height and width in pixels of the frames of most of the pictures: those of the others are squeezed to it."""
    sizes = Counter(frame_size(*sample.photo.pixels.shape[:2]) for sample in samples)
    return sizes.most_common(1)[0][0]


def make_frames(samples: Sequence[Sample], device: str | torch.device) -> Tensor:
    """The frames [K,3,h,w] of K pictures, all of one size."""
    size = common_size(samples)
    photos = [sample.photo for sample in samples]
    return torch.cat([make_frame(photo.pixels, photo.alpha, device, size) for photo in photos])


def make_masks(samples: Sequence[Sample], device: str | torch.device) -> Tensor | None:
    """The masks [K,1,h,w] that belong to the frames of K pictures; None where no picture has one."""
    size = common_size(samples)
    masks = [make_mask(sample.photo, device, size) for sample in samples]
    if all(mask is None for mask in masks):
        return None
    white = torch.ones(1, 1, *size, device=device)
    return torch.cat([white if mask is None else mask for mask in masks])
