"""Files that appear whole or not at all, and errors about files in one line that says what to do."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import re
import secrets
import shutil
import stat
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from ..errors import ImageError

try:
    import fcntl
except ImportError:  # Windows, which removes no file that is open
    fcntl = None

OnWritten = Callable[[Path], None]

MAX_PIXELS = 178_956_970  # where Pillow, too, stops by default

_BLOCK = 1 << 20
_PART = re.compile(r"\.nuli-[0-9a-f]{16}\.part")
_STALE_AFTER, _SURELY_STALE_AFTER = 60, 24 * 3600  # seconds since the last byte was written, where clocks are right
_clean_folders: set[Path] = set()  # where this process has looked for what killed ones left

_ADVICE = {
    errno.ENOENT: "no such file or folder: check the name, or make the folder first",
    errno.ENOTDIR: "not a folder, or not in one: check the name",
    errno.EISDIR: "a folder: name a file in it",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "no permission: change it, or choose another place"),
    errno.EROFS: "the disk is read-only: choose another place",
    errno.ENAMETOOLONG: "the name is too long for this disk: choose a shorter one",
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), "no room left on the disk: free some"),
}
_ADVICE_BY_TYPE = {
    MemoryError: "not enough memory: scale the picture down, or free some",
    Image.DecompressionBombError: f"over the limit of {MAX_PIXELS // 10**6} megapixels: scale it down first",
    Image.UnidentifiedImageError: "no picture that can be read here, or a damaged one: convert it to PNG",
}


@contextmanager
def as_image_error(subject: str | os.PathLike[str], action: str) -> Iterator[None]:
    """Turn all errors into ImageError: on broken files Pillow raises whatever its parsers stumble over.

    Args:
        subject: the file, to begin the message with.
        action: what could not be done to it: "read", "written" or "copied".
    """
    try:
        yield
    except ImageError as error:
        raise ImageError(f"{subject}: {error}") from error
    except Exception as error:
        advice = next((text for kind, text in _ADVICE_BY_TYPE.items() if isinstance(error, kind)), None)
        reason = " ".join(str(error).split()) or type(error).__name__
        fallback = f"cannot be {action} ({reason}): try a fresh copy, or another format"
        raise ImageError(f"{subject}: {advice or _ADVICE.get(getattr(error, 'errno', None), fallback)}") from error


@contextmanager
def atomic_write(
    path: str | os.PathLike[str], on_written: OnWritten | None = None, follow: bool = True
) -> Iterator[BinaryIO]:
    """A new file that takes the place of `path` when the block ends well, and vanishes when it does not.

    Its bytes are on the disk before it takes that place, so that a power cut leaves the old file or the new one.

    Args:
        on_written: called with the complete file, under its name for the time being, just before it takes its place:
            it keeps its content, size and time there.
        follow: whether a link stays one, and what it leads to is written. Not for a name that nobody gave: a stranger's
            folder may hold a link of that name to anywhere.
    Raises:
        ImageError: `path` is read-only or cannot be written, or for any error within the block.
    """
    target = Path(os.path.realpath(path)) if follow else Path(path)
    part = target.with_name(f".nuli-{secrets.token_hex(8)}.part")
    with as_image_error(path, "written"):
        _refuse_read_only(target)
        _remove_stale_parts(target.parent)
        try:
            raw = open(part, "xb+", buffering=0)  # noqa: SIM115  # closed with the stream around it
            with _Stream(raw) as file:  # permissions by umask, unlike tempfile's
                _lock(raw.fileno())  # tells others that its owner lives
                yield file
                file.flush()
                _to_disk(raw.fileno())
            with suppress(FileNotFoundError):
                _keep_attributes(target, part)
            if on_written:
                on_written(part)
            os.replace(part, target)
        except BaseException:
            with suppress(OSError):
                part.unlink()
            raise
        _folder_to_disk(target.parent)


def _keep_attributes(target: Path, part: Path) -> None:
    """Give a new file the owner, group, permissions and extended attributes (tags, ratings, ACLs) of the one that it
    replaces. What the system refuses is told by a warning.

    Attributes of the security system itself are its own business: it gives new files theirs.
    """
    lost, before, now = [], target.stat(), part.stat()
    if hasattr(os, "chown"):
        for name, owner, group in (("owner", before.st_uid, -1), ("group", -1, before.st_gid)):
            if getattr(now, "st_uid" if group == -1 else "st_gid") != max(owner, group):
                try:
                    os.chown(part, owner, group)
                except OSError:
                    lost.append(name)
    shutil.copymode(target, part)  # after the owner: a change of that takes permissions away
    if hasattr(os, "listxattr"):
        names = []
        with suppress(OSError):  # a file system that has none
            names = [name for name in os.listxattr(target) if not name.startswith("security.")]
        for name in names:
            try:
                os.setxattr(part, name, os.getxattr(target, name))
            except OSError:
                lost.append(name)
    if lost:
        warnings.warn(f"{target}: could not keep its {', '.join(lost)}: not allowed here", stacklevel=2)


def copy_file(source: Path, path: str | os.PathLike[str], on_written: OnWritten | None = None) -> None:
    """Copy a file byte for byte, see `atomic_write`. Raises ImageError."""
    with as_image_error(source, "copied"), open(source, "rb") as original, atomic_write(path, on_written) as file:
        shutil.copyfileobj(original, file)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal. Raises OSError."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def write_text(path: Path, text: str, follow: bool = True) -> None:
    """Write a text file that appears complete or not at all, see `atomic_write`. Raises ImageError."""
    with atomic_write(path, follow=follow) as file:
        file.write(text.encode(errors="backslashreplace"))  # names of files need not be UTF-8


def check_place(path: str | os.PathLike[str]) -> None:
    """Raise the ImageError that `atomic_write` would, as far as it can be known before there is anything to write."""
    with as_image_error(path, "written"):
        target = Path(os.path.realpath(path))
        if not target.parent.is_dir():
            raise FileNotFoundError(errno.ENOENT, "")
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "")
        if not os.access(target.parent, os.W_OK):
            raise PermissionError(errno.EACCES, "")
        _refuse_read_only(target)


def _refuse_read_only(target: Path) -> None:
    """Raise ImageError for a file that nobody, or not this user, may write: its folder may allow to replace it."""
    with suppress(FileNotFoundError):
        protected = not stat.S_IMODE(target.stat().st_mode) & 0o222  # root has access to everything
        if protected or not os.access(target, os.W_OK):
            raise ImageError("is read-only: allow writing to it, or choose another name")


class _Stream(io.BufferedRandom):
    """A file that hides its descriptor: to one, Pillow writes without seeing blocks that only half fit."""

    def fileno(self) -> int:
        """There is none, as for a file in memory."""
        raise io.UnsupportedOperation("fileno")


def _lock(descriptor: int) -> bool | None:
    """Lock a file until it is closed, by its owner's death at the latest; returns whether that could be done: False
    where another process holds it, None where this file system has no locks."""
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _to_disk(descriptor: int) -> None:
    """Wait until all of a file is on the disk. Raises OSError where it does not fit, or the disk fails."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):  # some file systems can't be asked
            raise


def _folder_to_disk(folder: Path) -> None:
    """Wait until the names in a folder are on the disk, where a folder can be opened and asked that."""
    with suppress(OSError):  # Windows and some file systems can't; the new file is complete in any case
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_stale_parts(folder: Path) -> None:
    """Remove what killed processes left half-written in a folder; listed only once, since it may be large.

    A part is stale when nobody holds its lock any more; where there are no locks, after a day.
    """
    if folder in _clean_folders:
        return
    _clean_folders.add(folder)
    with suppress(OSError), os.scandir(folder) as entries:  # the new file is what matters
        for entry in entries:
            if _PART.fullmatch(entry.name) and entry.is_file(follow_symlinks=False):
                with suppress(OSError):  # another process was faster, or it is not ours to remove
                    age = time.time() - entry.stat(follow_symlinks=False).st_mtime
                    if age > _STALE_AFTER and _has_no_owner(Path(entry.path), age > _SURELY_STALE_AFTER):
                        os.unlink(entry.path)


def _has_no_owner(part: Path, unknown: bool) -> bool:
    """Whether no living process holds the lock of an unfinished file; `unknown` where there are no locks."""
    with open(part, "rb") as file:
        free = _lock(file.fileno())
    return unknown if free is None else free
