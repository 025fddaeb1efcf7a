"""What the user interface needs from the program that it runs in. This module imports no gradio."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..scoring.registry import cached_scorer

if TYPE_CHECKING:
    from PIL import Image

    from ..options import Options
    from ..recipe import Recipe
    from ..scoring.protocol import Scorer

_ONE_AT_A_TIME = threading.Lock()


def _nothing(*_: object) -> None:
    return None


def save_to_folder(folder: Path, image: Image.Image, infotext: str, name: str = "") -> Path:
    """Write a PNG with the infotext and what `image.info` holds, under a name that is new in the folder."""
    from ..cli.paths import SUFFIX
    from ..imaging.photo import load_photo, save_photo

    image = image.copy()
    image.info["parameters"] = infotext
    folder.mkdir(parents=True, exist_ok=True)
    stem = f"{Path(name).stem}{SUFFIX}" if name else f"nuli-{datetime.now():%Y%m%d-%H%M%S}"
    number, path = 1, folder / f"{stem}.png"
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.png"
    photo = load_photo(image)
    return save_photo(photo, photo.pixels, path)


@dataclass(frozen=True)
class Host:
    """The hooks of a WebUI; the defaults are those of the stand-alone interface."""

    lock: Callable[[], AbstractContextManager[Any]] = field(default=lambda: _ONE_AT_A_TIME)
    """Held while the device works: one job at a time. Entered and left by the same thread."""
    stopped: Callable[[], bool] = lambda: False
    """Whether the host itself wants the running job to end (its Interrupt button)."""
    device: Callable[[], str] = lambda: "auto"
    """The torch device to work on."""
    folders: Callable[[], Sequence[Path]] = lambda: ()
    """Where weights may lie, besides the usual caches."""
    load_scorer: Callable[[Options, Sequence[Path]], Scorer] = cached_scorer
    """load_scorer(options, folders): called with the lock held. Raises NuliError."""
    save: Callable[[Image.Image, Recipe, str, str], Path] = field(
        default=lambda image, recipe, infotext, name: save_to_folder(Path("nuli-output"), image, infotext, name)
    )
    """save(image, recipe, infotext, name) -> where it went. `image.info` holds the source's metadata; the infotext
    is complete: the source's own and ours; the name is that of the source's file, or "". Raises NuliError."""
    add_send_buttons: Callable[[Any], None] = _nothing
    """add_send_buttons(image_component): draw buttons that send the full-size result elsewhere."""
    unload: Callable[[], None] = _nothing
    """Called after every job: time to give the device's memory back."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Values of options that differ from the table's, by name: the user's settings."""
    server_folders: bool = True
    """Whether a user may name a folder of this machine for a batch; False where strangers can reach it."""
