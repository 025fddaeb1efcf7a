"""Weights files that are too large to ship: where they lie, whether they are whole, how to fetch them.

Nothing here imports torch. Nothing is downloaded unless a caller says so.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from pathlib import Path

from ..errors import WeightsError
from ..imaging.atomic import sha256_of

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here so far, and the bytes of the whole file (None: unknown)."""

_BLOCK = 1 << 20
_TIMEOUT = 30.0
"""Seconds without any sign of the server."""
ANOTHER = "or choose another scorer, such as vivid (--scorer vivid)"
"""The way out of every trouble with weights, for the command line and for a WebUI."""


@dataclass(frozen=True)
class WeightsFile:
    """A public file, pinned by its content."""

    name: str
    url: str
    sha256: str
    size: int | None
    """Bytes; None: unknown."""
    licence: str
    """SPDX name."""
    shared_folders: tuple[str, ...] = ()
    """Where other programs keep the same file."""


CLIP_VIT_L14 = WeightsFile(
    name="ViT-L-14.pt",
    url="https://openaipublic.azureedge.net/clip/models/"
    "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836/ViT-L-14.pt",
    sha256="b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836",
    size=932768134,
    licence="MIT",
    shared_folders=("~/.cache/clip",),  # the default of package `clip`, and so of the WebUI's interrogator
)
LAION_HEAD = WeightsFile(
    name="sac+logos+ava1-l14-linearMSE.pth",
    url="https://raw.githubusercontent.com/christophschuhmann/improved-aesthetic-predictor/main/"
    "sac%2Blogos%2Bava1-l14-linearMSE.pth",
    sha256="21dd590f3ccdc646f0d53120778b296013b096a035a2718c9cb0d511bff0f1e0",
    size=3714759,
    licence="Apache-2.0",
)


def cache_dir() -> Path:
    """The folder for downloads: $NULI_CACHE, else $XDG_CACHE_HOME/nuli, else the system's usual place."""
    if own := os.environ.get("NULI_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME") or (os.name == "nt" and os.environ.get("LOCALAPPDATA"))
    return Path(base or "~/.cache").expanduser() / "nuli"


def locate(file: WeightsFile, folders: Sequence[Path] = ()) -> Path | None:
    """The first file of that name that isn't empty: in `folders`, the cache, then where others keep it.

    Its content is not looked at: see `verify`.
    """
    for folder in (*folders, cache_dir(), *file.shared_folders):
        path = Path(folder).expanduser() / file.name
        if path.is_file() and path.stat().st_size > 0:
            return path
    return None


def verify(file: WeightsFile, path: Path) -> None:
    """Check the content at `path` against the pinned sha256, or trust an earlier check of the same file.

    Raises:
        WeightsError: it is damaged, or can't be read.
    """
    try:
        right = _is_right(file, path)
    except OSError as error:
        reason = error.strerror or error
        raise WeightsError(f"{path} cannot be read ({reason}): allow reading it, {ANOTHER}") from error
    if not right:
        raise WeightsError(f"{path} is damaged or another file: delete it and fetch it again, {ANOTHER}")


@contextmanager
def loading(file: WeightsFile, path: Path) -> Iterator[None]:
    """Check a file, see `verify`, that the block loads: what is altered or swapped meanwhile is refused.

    Raises:
        WeightsError: it is damaged, can't be read, or is not the file any more that was checked.
    """
    before = _state_now(path)
    verify(file, path)
    try:
        yield
    finally:  # what goes wrong then may come of that
        if _state_now(path) != before:
            raise WeightsError(f"{path} was changed while it was loaded: try again, {ANOTHER}")


def download(file: WeightsFile, folder: Path | None = None, progress: Progress | None = None) -> Path:
    """Fetch a file into `folder` (the cache by default), going on from what an earlier try left there.

    The bytes gather in NAME.part and get their name only once their sha256 is right. A second process that
    wants the same file waits for the first (NAME.lock; the system frees it should its owner die).

    Args:
        progress: told as bytes come in. The count falls back only if the server can't resume.
    Returns:
        The path of the whole, verified file, at once where it is there already.
    Raises:
        WeightsError: no connection, no such page, no room, no permission, or the wrong content.
    """
    from filelock import FileLock

    target = Path(folder or cache_dir()).expanduser() / file.name
    part, lock = target.with_name(file.name + ".part"), target.with_name(file.name + ".lock")
    with _disk(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()  # on Windows FileLock takes a folder without permission for a lock and waits for ever
        held = FileLock(lock).acquire()
    with held:
        with _disk(target):
            if target.is_file() and _is_right(file, target):
                return target
        _gather(file, part, target, progress)
        with _disk(target):
            digest = sha256_of(part)
            if digest != file.sha256:
                part.unlink()
                raise WeightsError(
                    f"{file.url} sent something else (sha256 {digest}), which was deleted: "
                    f"try again, or save the right {file.name} as {target}, {ANOTHER}"
                )
            os.replace(part, target)
            _remember(file, _state(target))
    return target


def ensure(
    file: WeightsFile,
    folders: Sequence[Path] = (),
    progress: Progress | None = None,
    allow_download: bool = False,
) -> Path:
    """The path of a verified file, wherever it lies; downloaded into the cache if allowed.

    Raises:
        WeightsError: it is absent (the message says how to get it), damaged, or can't be downloaded.
    """
    if path := locate(file, folders):
        verify(file, path)
        return path
    if allow_download:
        return download(file, progress=progress)
    raise WeightsError(
        f"{file.name} is not here: get it with `nuli scorers download laion` on the command line, "
        f"or save {file.url} as {cache_dir() / file.name} yourself, {ANOTHER}"
    )


def _gather(file: WeightsFile, part: Path, target: Path, progress: Progress | None) -> None:
    """Fill `part`, with a new connection each time one breaks, as long as each brings new bytes."""
    most = _size(part)
    while True:
        try:
            if _fetch(file, part, target, progress):
                return
            why = "the connection broke off"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # nothing lies beyond what is here: the sha256 decides
                return
            why = f"HTTP {error.code} {error.reason}"
        except (OSError, HTTPException) as error:
            why = str(getattr(error, "reason", error))
        got = _size(part)
        if got <= most:
            kept = f"; {got} bytes are kept for the next try" if got else ""
            raise WeightsError(
                f"{file.name} could not be downloaded ({why}{kept}): save {file.url} as {target}, {ANOTHER}"
            )
        most = got


def _fetch(file: WeightsFile, part: Path, target: Path, progress: Progress | None) -> bool:
    """One connection: append what comes to `part`; say whether that is all of it.

    Raises:
        OSError, HTTPException: the connection failed; what came before is in `part`.
        WeightsError: `part` can't be written, or the server has a file of another size.
    """
    got = _size(part)
    headers = {"User-Agent": "nuli", **({"Range": f"bytes={got}-"} if got else {})}
    request = urllib.request.Request(file.url, headers=headers)
    with ExitStack() as stack:
        response = stack.enter_context(urllib.request.urlopen(request, timeout=_TIMEOUT))
        if response.status != 206:  # a server that doesn't know Range sends it all again
            got = 0
        total = _total(response, got)
        if total and file.size and total != file.size:  # such as the login page of a hotel's network
            raise WeightsError(
                f"{file.url} has {total} bytes, not {file.size}: save the right one as {target}, {ANOTHER}"
            )
        with _disk(target):
            # Unbuffered: a buffer that a full disk refused would be written again on closing, and fail again.
            out = stack.enter_context(open(part, "ab" if got else "wb", buffering=0))
        while block := response.read1(_BLOCK):  # what is there: a broken connection loses nothing
            got += len(block)
            if file.size and got > file.size:  # a server that didn't say so, and perhaps never ends
                raise WeightsError(
                    f"{file.url} is longer than {file.size} bytes: save the right one as {target}, {ANOTHER}"
                )
            with _disk(target):
                while block:
                    block = block[out.write(block) :]
            if progress:
                progress(got, total or file.size)
    return got >= (total or file.size or 0)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _total(response: HTTPResponse, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


@contextmanager
def _disk(target: Path) -> Iterator[None]:
    """Tell trouble with the disk from trouble with the network: both are OSErrors."""
    try:
        yield
    except OSError as error:
        raise WeightsError(
            f"{target} cannot be written ({error.strerror or error}): make room or allow writing there, "
            f"or choose another folder with NULI_CACHE, {ANOTHER}"
        ) from error


def _is_right(file: WeightsFile, path: Path) -> bool:
    note = _note(file)
    if note.is_file() and note.read_bytes() == _state(path):
        return True
    before = _state(path)
    right = sha256_of(path) == file.sha256
    if right:
        _remember(file, before)
    return right


def _remember(file: WeightsFile, state: bytes) -> None:
    """Note the state that a file had before it was found right: hashing 930 MB takes seconds, at every start.

    A guard against damage, not against somebody who may write here: they could as well change this program.
    """
    note = _note(file)
    try:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_bytes(state)
    except OSError:
        pass  # a cache that can't be written costs time, nothing else


def _note(file: WeightsFile) -> Path:
    return cache_dir() / f"{file.sha256[:16]}.ok"


def _state_now(path: Path) -> bytes:
    """The state of a file, "" where it is gone."""
    try:
        return _state(path)
    except OSError:
        return b""


def _state(path: Path) -> bytes:
    stat = path.stat()
    return os.fsencode(f"{path.resolve()} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}")
