"""Memory for pictures, shared by all that work at the same time: one more is begun only where there is room for it."""

from __future__ import annotations

import sys
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


_CGROUPS = Path("/sys/fs/cgroup")
_CGROUP_FILES = (
    ("memory.max", "memory.current", ""),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
)
"""The files of a control group, versions 2 and 1: its limit, its use, and how the lines of memory.stat begin."""


def free_memory() -> int:
    """Bytes that programs can get without swapping, as far as the system, or the container, tells."""
    free = _read(Path("/proc/meminfo"), "MemAvailable:")
    if free is None:  # not Linux
        return _UNKNOWN
    return min([free << 10, *(_free_in(folder) for folder in _control_groups())])


def _control_groups() -> list[Path]:
    """The folders of the control groups that this process is in, and of those around them."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    folders = {_CGROUPS, _CGROUPS / "memory"}  # what a container sees of its own
    for _, controllers, path in (line.split(":", 2) for line in lines if line.count(":") >= 2):
        if controllers in ("", "memory"):
            root, inner = _CGROUPS / controllers, Path(path.lstrip("/"))
            folders |= {root / inner, *(root / parent for parent in inner.parents)}
    return sorted(folders)


def _free_in(folder: Path) -> int:
    """Bytes left to a control group; what it has cached of files goes when memory is wanted."""
    for limit_name, used_name, prefix in _CGROUP_FILES:
        limit, used = _read(folder / limit_name), _read(folder / used_name)
        if limit is not None and used is not None:
            cached = (_read(folder / "memory.stat", f"{prefix}{name} ") for name in ("inactive_file", "active_file"))
            return max(0, limit - used + sum(size or 0 for size in cached))
    return sys.maxsize


def _read(path: Path, label: str = "") -> int | None:
    """The number in a file, in the line that begins with a label; None where there is none."""
    try:
        lines = [line for line in path.read_text().splitlines() if line.startswith(label)]
        return int(lines[0].removeprefix(label).split()[0])
    except (OSError, ValueError, IndexError):
        return None


class Gate:
    """Lets pictures in as long as there is memory for them; one that needs more than all of it waits to be alone.

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
        need = max(1, needed(path))
        with self._changed:
            self._changed.wait_for(lambda: not self._taken.value or self._taken.value + need <= self._budget)
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
