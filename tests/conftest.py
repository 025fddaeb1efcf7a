"""Pictures for the tests: one that lies in the repository, and the shared photos where they are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SHARED_PHOTOS = ROOT.parent / "shared" / "data" / "photos"


@pytest.fixture(scope="session")
def photo_path() -> Path:
    """A real photograph (see docs/README.md for its source)."""
    return ROOT / "tests" / "photo.jpg"


@pytest.fixture(scope="session")
def photo(photo_path: Path) -> Image.Image:
    """That photograph, 300 pixels high."""
    with Image.open(photo_path) as image:
        return image.convert("RGB").resize((image.width * 300 // image.height, 300), Image.Resampling.LANCZOS)


@pytest.fixture(scope="session")
def photo_tensor(photo: Image.Image) -> torch.Tensor:
    """The same as [1,3,H,W] in 0..1."""
    return torch.from_numpy(np.array(photo)).permute(2, 0, 1)[None].float() / 255


@pytest.fixture(scope="session")
def shared_photos() -> list[Path]:
    if not SHARED_PHOTOS.is_dir():
        pytest.skip("the shared photos are not on this machine")
    return sorted(SHARED_PHOTOS.glob("*.jpg"))
