"""Pictures and results anywhere that fsspec reaches: on this machine's disks, or in a store such as s3://bucket/folder.

The choice of pictures, and the names of their results, are those of `nuli.sources`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any

from ..errors import ImageError, NuliError, OptionError
from ..imaging.formats import EXTENSIONS, readable_formats
from ..sources import RESULT, find_sources, inner_path, numbered, result_extension, signature_of

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

ADVICE = "pip install 'nulie[ray]'"
_STAMPS = ("ETag", "etag", "md5Hash", "mtime", "LastModified", "last_modified", "modified", "created")
"""What changes when an object does, by the names that file systems have for it: the first that there is."""


@dataclass(frozen=True)
class UrlTask:
    """One picture to work on, and where what becomes of it goes: paths of this machine, or URLs."""

    source: str
    target: str
    others: tuple[str, ...] = ()
    """Where other results go, in order of their score."""
    stamp: str = ""
    """Changes when the source does; "" where nothing is known about it."""


def is_remote(name: str) -> bool:
    """Whether a name is a URL of something else than a file of this machine."""
    return "://" in name and not name.startswith(("file://", "local://"))


def local_path(name: str) -> Path:
    """The path that a name, or a URL of a local file, means."""
    return Path(name.split("://", 1)[-1])


@contextmanager
def advising(subject: str) -> Iterator[None]:
    """Turn the errors of an import or of a file system into one line: OptionError or ImageError."""
    try:
        yield
    except NuliError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, (ImportError, ValueError)):  # fsspec's words for a package, or a protocol, that it lacks
            raise OptionError(f"{subject}: can't be reached ({reason}); for URLs: {ADVICE}, and that package") from None
        raise ImageError(f"{subject}: can't be listed ({reason}): check its name, and that you may") from None


def file_system(url: str) -> tuple[AbstractFileSystem, str]:
    """The file system of a URL or a path, and the path in it. Listings are not kept: they would fill the memory.

    Raises OptionError where a package is missing, such as s3fs for s3://.
    """
    with advising(url):
        import fsspec.core

        return fsspec.core.url_to_fs(url, use_listings_cache=False)


def plan_urls(
    pictures: list[str], recursive: bool, output: str, others: int = 0
) -> tuple[list[UrlTask], list[NuliError]]:
    """All tasks of a command; and what went wrong with the other pictures, as `nuli.sources.plan_files` tells it.

    Args:
        pictures: files and folders, as paths or URLs.
        recursive: whether to look into folders within folders.
        output: a folder, as a path or a URL; it is not searched for pictures.
        others: how many other results of each picture to write, at most.
    Raises:
        OptionError: a package is missing that a URL needs.
    """
    output = normal(output)
    errors: list[NuliError] = []
    found: dict[str, tuple[PurePath, str]] = {}
    for name in pictures:
        try:
            listed = _remote(name, recursive, output) if is_remote(name) else _local(name, recursive, output, errors)
            for source, path, stamp in listed:
                found.setdefault(source, (path, stamp))
        except OptionError:
            raise
        except NuliError as error:
            errors.append(error)
    roots = {PurePosixPath(file_system(name)[1]) if is_remote(name) else local_path(name) for name in pictures}
    own, targets = {identity(source) for source in found}, set()
    tasks = []
    for source, (path, stamp) in found.items():
        names = _results(inner_path(path, roots), output, others)
        keys = [identity(name) for name in names]
        if any(key in own for key in keys):
            errors.append(ImageError(f"{names[0]} is a source itself: choose another --output"))
        elif not targets.isdisjoint(keys):
            errors.append(ImageError(f"{source}: its result would replace another one, {names[0]}; do it by itself"))
        else:
            targets.update(keys)
            tasks.append(UrlTask(source, names[0], tuple(names[1:]), stamp))
    return tasks, errors


def normal(folder: str) -> str:
    """A folder's URL as its file system spells it, or its path; without a slash at the end."""
    if not is_remote(folder):
        return str(local_path(folder))
    system, path = file_system(folder)
    return system.unstrip_protocol(path).rstrip("/")


def identity(name: str) -> str:
    """The same for two names of one file."""
    return name if is_remote(name) else os.path.realpath(name)


def stamp_of(entry: dict[str, Any]) -> str:
    """Changes when the file does that a file system tells of."""
    changing = next((str(entry[name]) for name in _STAMPS if entry.get(name)), "")
    return f"{entry.get('size')}-{changing}"


def _local(name: str, recursive: bool, output: str, errors: list[NuliError]) -> Iterator[tuple[str, PurePath, str]]:
    """Each picture under a path: its name, its path, its stamp."""
    sources, wrong = find_sources([local_path(name)], recursive, None if is_remote(output) else Path(output))
    errors += wrong
    for path in sources:
        known = signature_of(path)  # of one that is not there who reads it will tell
        yield str(path), path, "-".join(map(str, known or ()))


def _remote(name: str, recursive: bool, output: str) -> list[tuple[str, PurePath, str]]:
    """Each picture under a URL: its URL, its path, its stamp."""
    system, root = file_system(name)
    with advising(name):
        if not system.isdir(root):
            entries: Iterable[dict[str, Any]] = [system.info(root)]
            return [(system.unstrip_protocol(e["name"]), PurePosixPath(e["name"]), stamp_of(e)) for e in entries]
        entries = system.find(root, detail=True).values() if recursive else system.ls(root, detail=True)
        own = _inside(system, root, output)
        found = [
            (system.unstrip_protocol(entry["name"]), PurePosixPath(entry["name"]), stamp_of(entry))
            for entry in entries
            if entry["type"] == "file" and _is_picture(entry["name"], root, own)
        ]
    if not found:
        raise ImageError(f"{name}: no pictures in this folder; name another, or add --recursive")
    return sorted(found)


def _inside(system: AbstractFileSystem, root: str, output: str) -> str | None:
    """The folder of the results as a path in the file system of a folder with sources, where it is another one."""
    if not is_remote(output) or output == system.unstrip_protocol(root).rstrip("/"):
        return None
    other, path = file_system(output)
    return path.rstrip("/") + "/" if other.protocol == system.protocol else None


def _is_picture(path: str, root: str, results: str | None) -> bool:
    """Whether a file in a remote folder is a picture that can be read here, not hidden, and no result of ours."""
    readable = readable_formats()
    inner = PurePosixPath(path).relative_to(PurePosixPath(root))
    return (
        EXTENSIONS.get(inner.suffix.lower()) in readable
        and not any(part.startswith(".") for part in inner.parts)
        and not RESULT.search(inner.stem)
        and not (results and path.startswith(results))
    )


def _results(inner: PurePath, output: str, others: int) -> list[str]:
    """Where the result of a picture goes, and its others: NAME-2, NAME-3..."""
    first = inner.with_suffix(result_extension(inner))
    paths = [first, *numbered(first, others)]
    return [f"{output}/{path.as_posix()}" if is_remote(output) else str(Path(output, path)) for path in paths]
