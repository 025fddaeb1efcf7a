"""Which files a command works on, and where their results go."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TypeVar

from .errors import EmptyError, ImageError, NuliError, OptionError
from .imaging.atomic import as_image_error
from .imaging.formats import EXTENSIONS, can_write, readable_formats
from .imaging.photo import check_target

AnyPath = TypeVar("AnyPath", bound=PurePath)

SUFFIX = "-nuli"
"""Added to the name of an enhanced picture that is written beside its source."""
RESULT = re.compile(re.escape(SUFFIX) + r"(-\d+)?$")
"""Found in the stem of a name of ours: NAME-nuli, NAME-nuli-2..."""


@dataclass(frozen=True)
class FileTask:
    """One picture to work on, and where what becomes of it goes."""

    source: Path
    target: Path
    others: tuple[Path, ...] = ()
    """Where other results go, in order of their score."""


def signature(status: os.stat_result) -> tuple[int, int]:
    """What changes when a file does."""
    return status.st_size, status.st_mtime_ns


def signature_of(path: Path) -> tuple[int, int] | None:
    """The signature of a file; None where there is none."""
    try:
        return signature(path.stat())
    except OSError:
        return None


def list_images(folder: str | os.PathLike, recursive: bool = False) -> list[Path]:
    """The pictures in a folder that can be read here, by extension, sorted; without hidden ones, and without links that
    lead out of it.

    Raises ImageError for a folder that cannot be read.
    """
    return _listed(folder, recursive)[0]


def _leads_out(path: Path, folder: Path) -> bool:
    """Whether a path in a folder means a file elsewhere, by a link: whoever made the folder may have wished for that,
    and not who names it."""
    return not path.resolve().is_relative_to(folder.resolve())


def _listed(folder: str | os.PathLike, recursive: bool) -> tuple[list[Path], list[Path]]:
    """The pictures in a folder, see `list_images`; and the links that lead out of it to others."""
    readable = readable_formats()
    extensions = {extension for extension, kind in EXTENSIONS.items() if kind in readable}
    paths: list[Path] = []

    def refuse(error: OSError) -> None:
        """Raise the error of the folder itself; folders further down that cannot be read are left out."""
        if error.filename == os.fspath(folder):
            raise error

    with as_image_error(folder, "read"):
        for parent, folders, files in os.walk(folder, onerror=refuse):
            folders[:] = [name for name in folders if recursive and not name.startswith(".")]
            paths += [Path(parent, name) for name in files if not name.startswith(".")]
    paths = sorted(path for path in paths if path.suffix.lower() in extensions and path.is_file())
    outside = {path for path in paths if path.is_symlink() and _leads_out(path, Path(folder))}
    return [path for path in paths if path not in outside], sorted(outside)


def find_sources(pictures: list[Path], recursive: bool, output: Path | None) -> tuple[list[Path], list[NuliError]]:
    """The files named and the pictures in the folders named, our own results left out; and what went wrong.

    Args:
        pictures: files and folders.
        recursive: whether to look into folders within folders.
        output: a folder for results; one within a folder named is not searched for pictures.
    """
    sources: list[Path] = []
    errors: list[NuliError] = []
    for path in pictures:
        if not path.is_dir():
            sources.append(path)
            continue
        try:
            listed, outside = _listed(path, recursive)
            inside = [p for p in listed if not _is_result(p, path, output)]
            errors += [ImageError(f"{p}: a link out of {path}: name it by itself") for p in outside]
            if not inside:
                raise EmptyError(f"{path}: no pictures in this folder; name another, or add --recursive")
            sources += inside
        except ImageError as error:
            errors.append(error)
    return list(dict.fromkeys(sources)), errors


def _is_result(path: Path, folder: Path, output: Path | None) -> bool:
    """Whether a picture in a folder is, by its name or its place, a result of ours."""
    if RESULT.search(path.stem):
        return True
    return output is not None and output.resolve() != folder.resolve() and output.resolve() in path.resolve().parents


def plan_files(
    pictures: list[Path],
    recursive: bool,
    output: Path | None,
    in_place: bool,
    others: int = 0,
    prepare: bool = True,
) -> tuple[list[FileTask], list[NuliError]]:
    """All tasks of a command, checked before any of them starts; and what went wrong with the other pictures.

    No task writes over a source (but its own, in place) or over the result of another.

    Args:
        pictures: files and folders.
        recursive: whether to look into folders within folders.
        output: a file for one picture, else a folder; None for names beside the sources.
        in_place: whether to write over the sources.
        others: how many other results of each picture to write, at most.
        prepare: whether to make the folders for results, and to check that these can be written.
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
    targets: set[Path] = set()
    tasks = []
    for source in sources:
        try:
            target = source if in_place else _target(source, pictures, output, several, prepare)
            further = numbered(target, others, SUFFIX if in_place else "")
            for path in further if in_place else (target, *further):
                if path.resolve() in own:
                    raise ImageError(f"{path} is a source itself: choose another --output, or say --in-place")
            for path in (target, *further):
                if path.resolve() in targets:
                    raise ImageError(f"{source}: its result would replace another one, {path}; do it by itself")
            _refuse_links(further)
            for path in (target, *further) if prepare else ():
                check_target(path)  # now, rather than after a search of hours
        except ImageError as error:
            errors.append(error)
        else:
            targets.update(path.resolve() for path in (target, *further))
            tasks.append(FileTask(source, target, further))
    return tasks, errors


def numbered(target: AnyPath, count: int, suffix: str = "") -> tuple[AnyPath, ...]:
    """The targets of other results: NAME-2, NAME-3..., with a suffix to NAME."""
    stem = target.stem + suffix
    return tuple(target.with_name(f"{stem}-{number}{target.suffix}") for number in range(2, count + 2))


def result_extension(source: PurePath) -> str:
    """The extension of a picture's result: its own where that can be written."""
    return source.suffix if can_write(source) else ".png"


def inner_path(source: AnyPath, folders: Collection[PurePath]) -> AnyPath:
    """A picture's path in the nearest of the folders that were walked through; its name alone where it was named."""
    return source.relative_to(next((parent for parent in source.parents if parent in folders), source.parent))


def _target(source: Path, pictures: list[Path], output: Path | None, several: bool, prepare: bool) -> Path:
    """Where the result of one picture goes. Raises ImageError."""
    extension = result_extension(source)
    if output is None:
        target = source.with_name(source.stem + SUFFIX + extension)
        _refuse_links((target,))
        return target
    if not several and not output.is_dir() and output.suffix:
        return output
    return target_in(output, source, pictures, extension, prepare)


def target_in(folder: Path, source: Path, pictures: list[Path], extension: str, make: bool = True) -> Path:
    """Where a picture goes in a folder: in the layout of the folder that was walked through.

    Args:
        pictures: the files and folders named.
        extension: the new one.
        make: whether to make the folders that it takes.
    Raises:
        ImageError: a folder can't be made, or a link leads elsewhere.
    """
    target = folder / inner_path(source, pictures).with_suffix(extension)
    _refuse_links((target,), folder)
    try:
        if make:
            target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ImageError(f"{target.parent}: can't be made ({error.strerror}); choose another --output") from None
    return target


def _refuse_links(targets: Collection[Path], folder: Path | None = None) -> None:
    """Raise ImageError for a name of a result, given by us, that a link makes one of a file outside of its folder."""
    for path in targets:
        if _leads_out(path, folder or path.parent):
            raise ImageError(f"{path}: a link out of {folder or path.parent}: remove it, or choose another --output")
