"""What a generation brings along for ours: its inpaint mask, the picture that it started from, its prompt."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from modules import images, shared

if TYPE_CHECKING:
    from PIL import Image


def inpaint_mask(p: Any, size: tuple[int, int], composed: bool) -> Image.Image | None:
    """The mask that inpainting lays its result over the picture by: inverted and blurred as the user asked.

    Args:
        size: of the picture that it is for, (width, height).
        composed: whether that is the whole picture, rather than the inpainted part of it.
    Returns:
        White where something was inpainted; None where nothing was masked.
    """
    mask = getattr(p, "mask_for_overlay", None)
    if mask is None:
        return None
    part = None if composed else _part(p)
    return (mask.crop(part) if part else mask).resize(size).convert("L")


def input_picture(p: Any, size: tuple[int, int], composed: bool) -> Image.Image | None:
    """The picture that img2img started from, framed as its result is; None in txt2img.

    Args: as `inpaint_mask`.
    """
    framed = getattr(p, "iter_init_images", None)  # SD.Next's, which keeps no others
    pictures = framed or getattr(p, "init_images", None)
    if not pictures:
        return None
    source = pictures[p.batch_index if p.batch_index < len(pictures) else 0]  # the only one serves all of a batch
    if framed:
        return source.resize(size)
    source = images.flatten(source, shared.opts.img2img_background_color)
    part = _part(p)
    if part:
        return source if composed else source.crop(part).resize(size)
    # as the host does before it begins; its mode 3 scales up what the model sees, from edge to edge
    return images.resize_image(p.resize_mode if p.resize_mode != 3 else 0, source, *size)


def prompt(p: Any) -> str:
    """The prompt of the picture at hand, without what it says of extra networks."""
    return re.sub(r"<[^<>:]+:[^<>]*>", "", p.prompts[p.batch_index]).strip()


def _part(p: Any) -> tuple[int, int, int, int] | None:
    """The part of the picture that is worked on alone, under "Inpaint area: only masked": its left, upper, right and
    lower edge. None where it is the whole."""
    if getattr(p, "paste_to", None) is None:
        return None
    x, y, width, height = p.paste_to
    return x, y, x + width, y + height
