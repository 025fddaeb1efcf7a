"""What tests do to pictures."""

from __future__ import annotations

import io

from PIL import Image


def as_jpeg(image: Image.Image, quality: int = 80) -> Image.Image:
    """A picture as a JPEG of that quality gives it back."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality, subsampling=2)
    return Image.open(file).convert("RGB")
