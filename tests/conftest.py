"""A home for the tests, and their pictures: one that lies in the repository, and the shared photos where they are at
hand."""

from __future__ import annotations

import os
import site
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image


def move_to(home: str) -> None:
    """Let this process, and those that it starts, find an empty home: no presets, LUTs, weights or settings of whoever
    runs the tests."""
    parameters = ("NULI_COMFYUI", "NULI_WEBUI")  # what the tests themselves are told
    settings = (
        "NULI_",
        "XDG_",
        "HF_",
        "HUGGINGFACE_",
        "TRANSFORMERS_",
        "TORCH_HOME",
        "TORCH_FORCE_",
        "GRADIO_",
        "PIP_",
    )
    for name in list(os.environ):
        if name == "RAY_ADDRESS" or (name.startswith(settings) and name not in parameters):
            del os.environ[name]
    os.environ.setdefault("PYTHONUSERBASE", site.getuserbase())  # packages may be installed there
    browsers = Path("~/.cache/ms-playwright").expanduser()
    if browsers.is_dir():
        os.environ.setdefault("PLAYWRIGHT_BROWSERS_PATH", str(browsers))
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        os.environ[name] = home
    for name, folder in (
        ("CACHE", ".cache"),
        ("CONFIG", ".config"),
        ("DATA", ".local/share"),
        ("STATE", ".local/state"),
    ):
        os.environ[f"XDG_{name}_HOME"] = str(Path(home, folder))
    os.environ["HF_HUB_OFFLINE"] = "1"


# before anything of nuli is imported
_home = tempfile.TemporaryDirectory(prefix="nuli-tests-", ignore_cleanup_errors=True)
move_to(_home.name)

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
