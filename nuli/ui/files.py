"""The files that the stand-alone interface saves, and those that either one offers for download."""

from __future__ import annotations

import hashlib
import itertools
import tempfile
from datetime import datetime
from functools import cache
from pathlib import Path

from PIL import Image

from ..errors import ImageError
from ..imaging.atomic import atomic_write
from ..imaging.photo import load_photo, save_photo
from ..sources import SUFFIX


def save_to_folder(folder: Path, image: Image.Image, infotext: str, name: str = "") -> Path:
    """Write a PNG with the infotext and what `image.info` holds, under a name that is new in the folder.

    The name is claimed before there is anything to write: two saves of one moment get two names.
    Raises ImageError.
    """
    image = image.copy()
    image.info["parameters"] = infotext
    photo = load_photo(image)
    stem = f"{Path(name).stem}{SUFFIX}" if name else f"nuli-{datetime.now():%Y%m%d-%H%M%S}"
    path = _claim(folder, stem)
    try:
        return save_photo(photo, photo.pixels, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _claim(folder: Path, stem: str) -> Path:
    """An empty file of that name, or of the first numbered one that is free."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number in itertools.count(1):
            path = folder / f"{stem}{f'-{number}' if number > 1 else ''}.png"
            try:
                path.open("xb").close()
                return path
            except FileExistsError:
                continue
    except OSError as error:
        raise ImageError(f"{folder}: can't be written to ({error.strerror or error}): choose another folder") from None
    raise AssertionError("numbers never end")


@cache
def _downloads() -> tempfile.TemporaryDirectory:
    """The folder of this process for what is downloaded; it goes with the process."""
    return tempfile.TemporaryDirectory(prefix="nuli-")


def remove_downloads() -> None:
    """Remove that folder now, for a process whose end leaves no time for it."""
    _downloads().cleanup()
    _downloads.cache_clear()


def download(name: str, text: str) -> Path:
    """A file of that name with that text, which is there as long as this process is."""
    # a place by content: two users' files of one name stay apart, and the same file comes but once
    path = Path(_downloads().name) / hashlib.sha256(text.encode()).hexdigest()[:16] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(text.encode())
    return path
