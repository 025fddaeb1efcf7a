"""The second pictures of a run over files: a mask, and a reference to come near to."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import ImageError
from ..imaging.formats import ALPHA
from ..sources import list_images, signature_of


@dataclass(frozen=True)
class Inputs:
    """Named as the command line does: files; for masks also a folder that has one of each picture's name, or ALPHA
    for each picture's own."""

    mask: str | None = None
    match: str | None = None

    def of(self, source: Path) -> dict[str, Any]:
        """The arguments of `nuli.enhance_iter` for one picture. Raises ImageError where there is no mask for it."""
        found: dict[str, Any] = {}
        if self.mask is not None:
            found["mask"] = self.mask_of(source)
        if self.match is not None:
            found["match"] = self.match
        return found

    def mask_of(self, source: Path) -> str | Path | None:
        """The mask for one picture, None where none is asked for. Raises ImageError where there is none for it."""
        if self.mask is None or self.mask == ALPHA or not Path(self.mask).is_dir():
            return self.mask
        found = _masks_in(self.mask).get(source.stem)
        if found is None or not found.is_file():  # the folder may have changed since it was listed
            _masks_in.cache_clear()
            found = _masks_in(self.mask).get(source.stem)
        if found is None:
            raise ImageError(f"{self.mask}: no mask for {source.name}: put one there named {source.stem}.png")
        return found

    @property
    def signature(self) -> list[Any]:
        """Tells inputs apart that make other results, as JSON: the files by their sizes and times."""
        found: list[Any] = []
        for name in (self.mask, self.match):
            if name is None or name == ALPHA:
                found.append(name)
                continue
            files = list_images(name) if Path(name).is_dir() else [Path(name)]
            found.append([(os.path.abspath(file), signature_of(file)) for file in files])
        return found


@lru_cache(1)
def _masks_in(folder: str) -> dict[str, Path]:
    """The pictures in a folder by their names without extension; of several the first."""
    return {path.stem: path for path in reversed(list_images(folder))}


NONE = Inputs()
