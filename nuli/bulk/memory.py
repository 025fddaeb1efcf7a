"""Memory for pictures, shared by all that work at the same time: one more is begun only where there is room for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..imaging.formats import readable_formats
from ..imaging.structure import open_image

BYTES_A_PIXEL = 46
"""What a picture takes at most while it is worked on: its pixels and mask, the result's, and between the stages of a
recipe two copies in float32. Most take a third of that."""
SHARE = 0.6
"""The part of the free memory that pictures may take together."""
_UNKNOWN = 8 << 30
"""Bytes taken for free where the system doesn't tell."""


def free_memory() -> int:
    """Bytes that programs can get without swapping, as far as the system, or the container, tells."""
    free = _read(Path("/proc/meminfo"), "MemAvailable:")
    if free is None:  # not Linux
        return _UNKNOWN
    limit, used = (_read(Path("/sys/fs/cgroup", name)) for name in ("memory.max", "memory.current"))
    return min(free << 10, max(0, limit - used)) if limit and used else free << 10


def _read(path: Path, label: str = "") -> int | None:
    """The number in a file, in the line that begins with a label; None where there is none."""
    try:
        lines = [line for line in path.read_text().splitlines() if line.startswith(label)]
        return int(lines[0].removeprefix(label).split()[0])
    except (OSError, ValueError, IndexError):
        return None


class Gate:
    """Lets pictures in as long as there is memory for them; one that needs more than all waits to be alone.

    Args:
        context: `threading` or a context of `multiprocessing`, for those who share it.
        budget: bytes for all pictures together.
    """

    def __init__(self, context: Any, budget: int | None = None) -> None:
        self._budget = int(SHARE * free_memory()) if budget is None else budget
        self._changed = context.Condition()
        self._taken = context.Value("q", 0, lock=False) if hasattr(context, "Value") else _Value()

    @contextmanager
    def room_for(self, path: Path) -> Iterator[None]:
        """Wait for room for the picture in a file, and hold it meanwhile."""
        need = min(needed(path), self._budget)
        with self._changed:
            self._changed.wait_for(lambda: self._taken.value + need <= self._budget)
            self._taken.value += need
        try:
            yield
        finally:
            with self._changed:
                self._taken.value -= need
                self._changed.notify_all()


class _Value:
    value = 0


def needed(path: Path) -> int:
    """Bytes that it takes to work on the picture in a file, by the size that its header tells."""
    try:
        with open(path, "rb") as file, open_image(file, readable_formats()) as image:
            width, height = image.size
    except Exception:  # whatever is wrong with it, who reads it will tell
        return 0
    return BYTES_A_PIXEL * width * height
