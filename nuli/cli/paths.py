"""Which files a command works on, and where their results go."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from ..errors import ImageError, NuliError, OptionError
from ..imaging.photo import can_write, check_target, list_images

SUFFIX = "-nuli"
"""Added to the name of an enhanced picture that is written beside its source."""
_RESULT = re.compile(re.escape(SUFFIX) + r"(-\d+)?$")


@dataclass(frozen=True)
class Job:
    source: Path
    target: Path
    others: tuple[Path, ...] = ()
    """Where other results go."""


def find_sources(pictures: list[Path], recursive: bool, output: Path | None) -> tuple[list[Path], list[NuliError]]:
    """The files named and the pictures in the folders named, our own results left out; and what went wrong."""
    found: list[Path] = []
    errors: list[NuliError] = []
    for path in pictures:
        if not path.is_dir():
            found.append(path)
            continue
        try:
            inside = [p for p in list_images(path, recursive) if not _is_result(p, path, output)]
            if not inside:
                raise ImageError(f"{path}: no pictures in this folder; name another, or add --recursive")
            found += inside
        except ImageError as error:
            errors.append(error)
    return list(dict.fromkeys(found)), errors


def _is_result(path: Path, folder: Path, output: Path | None) -> bool:
    if _RESULT.search(path.stem):
        return True
    return output is not None and output.resolve() != folder.resolve() and output.resolve() in path.resolve().parents


def plan(
    pictures: list[Path], recursive: bool, output: Path | None, in_place: bool, others: int = 0
) -> tuple[list[Job], list[NuliError]]:
    """All jobs of a command, checked before any of them starts; and what went wrong with the others.

    No job writes over a source (but its own, in place) or over the result of another.

    Args:
        others: how many other results of each picture to write, at most.
    Raises:
        OptionError: the options contradict each other or what they name.
    """
    if in_place and output:
        raise OptionError("--in-place and --output exclude each other: leave one out")
    sources, errors = find_sources(pictures, recursive, output)
    several = len(sources) > 1 or any(p.is_dir() for p in pictures)
    if output and several and output.exists() and not output.is_dir():
        raise OptionError(f"{output} is a file; give a folder for several pictures")
    own = {path.resolve(): path for path in sources}
    taken: set[Path] = set()
    jobs = []
    for source in sources:
        try:
            target = source if in_place else _target(source, pictures, output, several)
            further = _numbered(target, in_place, others)
            for path in further if in_place else (target, *further):
                if path.resolve() in own:
                    raise ImageError(f"{path} is a source itself: choose another --output, or say --in-place")
            for path in (target, *further):
                if path.resolve() in taken:
                    raise ImageError(f"{source}: its result would replace another one, {path}; do it by itself")
            check_target(target)  # now, rather than after a search of hours
        except ImageError as error:
            errors.append(error)
        else:
            taken.update(path.resolve() for path in (target, *further))
            jobs.append(Job(source, target, further))
    return jobs, errors


def _numbered(target: Path, in_place: bool, count: int) -> tuple[Path, ...]:
    """NAME-2, NAME-3...; beside a source that is written over, names that are surely ours."""
    stem = target.stem + SUFFIX if in_place else target.stem
    return tuple(target.with_name(f"{stem}-{number}{target.suffix}") for number in range(2, count + 2))


def _target(source: Path, pictures: list[Path], output: Path | None, several: bool) -> Path:
    extension = source.suffix if can_write(source) else ".png"
    if output is None:
        return source.with_name(source.stem + SUFFIX + extension)
    if not several and not output.is_dir() and output.suffix:
        return output
    # keep the layout of a folder that was walked through
    root = next((parent for parent in source.parents if parent in pictures), source.parent)
    target = output / source.relative_to(root).with_suffix(extension)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{target.parent}: can't be made ({error.strerror}); choose another --output") from None
    return target
