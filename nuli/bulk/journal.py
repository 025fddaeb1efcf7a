"""The journal of a run over many pictures: what is done already, so that an interrupted run goes on.

A row is written when a result is complete, just before it takes its place, with the size and the time that it will have
there. So after a crash at any moment a row and its file either fit together, or the picture is done again.

What was written over its source has no original any more. Its content is noted too, so that it is known by another
time, name or folder, and never enhanced again. Where another program wrote to its metadata meanwhile, such as a rating,
or turned it, its place and its pixels tell.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ImageError, NuliError
from ..imaging.atomic import OnWritten, sha256_of
from ..imaging.photo import load_photo
from ..sources import FileTask, signature, signature_of

NAME = ".nuli-journal.sqlite"
"""Of the file, in the folder of the results."""
IS_RESULT = (
    "a result already, whose original is gone or elsewhere: what a second enhancement does to it could not be undone; "
    "put the original back, name an --output, or say --no-journal"
)
"""Why a file is not written over."""
_PATIENCE = 60.0
"""Seconds to wait for others that write."""
_TABLE = """done (
    target text primary key, source text, settings text, source_size integer, source_time integer,
    target_size integer, target_time integer, record text) without rowid"""
_RESULTS = "written_over (size integer, sha256 text, primary key (size, sha256)) without rowid"
"""What took the place of its source. Journals of the first days lack this table."""
_PIXELS = "pixels_written (sha256 text primary key) without rowid"
"""The pixels of that. Older journals lack this table, too."""
_TABLES = _TABLE, _RESULTS, _PIXELS
_SCHEMA = {f"CREATE TABLE {table}" for table in _TABLES}


class Journal:
    """Notes what is done, for several processes and threads at a time.

    Args:
        path: the file; it is made where there is none.
        settings: tells settings apart that make other results.
    Raises:
        ImageError: the file can't be used.
    """

    def __init__(self, path: Path, settings: str) -> None:
        self._path, self._settings = path, settings
        self._lock = threading.Lock()  # threads of one process share the connection
        with self._advising():
            if path.is_symlink():  # a stranger's folder may hold one to anywhere
                raise sqlite3.DatabaseError("it is a link")
            self._connection = sqlite3.connect(path, _PATIENCE, check_same_thread=False)
            found = {sql for (sql,) in self._connection.execute("select sql from sqlite_master")}
            if found - _SCHEMA:
                raise sqlite3.DatabaseError("it holds something else")  # such as triggers, which are programs
            if found != _SCHEMA and (not found or os.access(path, os.W_OK)):
                with self._connection:
                    for table in _TABLES:
                        self._connection.execute("create table if not exists " + table)

    def note(
        self,
        task: FileTask,
        source: os.stat_result,
        target: os.stat_result,
        record: dict[str, Any],
        written_over: Path | None = None,
    ) -> None:
        """Note that a picture is done: the status of its source as it was read, and of the result.

        Args:
            written_over: where a result is that takes the place of its source.
        """
        digests = (sha256_of(written_over), _sha256_of_pixels(written_over)) if written_over else None
        if task.source == task.target:  # what is there now is what a next run would read
            source = target
        stats = (*signature(source), *signature(target))
        names = (_key(task.target), _key(task.source), self._settings)
        with self._lock, self._advising(), self._connection:
            row = (*names, *stats, json.dumps(record))
            self._connection.execute("insert or replace into done values (?, ?, ?, ?, ?, ?, ?, ?)", row)
            if digests:
                content, pixels = digests
                self._connection.execute("insert or ignore into written_over values (?, ?)", (target.st_size, content))
                self._connection.execute("insert or ignore into pixels_written values (?)", (pixels,))

    def noting(
        self, task: FileTask, source: os.stat_result, record: dict[str, Any], stop: Callable[[], bool]
    ) -> OnWritten:
        """What to call when the result is complete, just before it takes its place: a result that is there is noted.

        What a stop cut short is not, so that it will be done again; but for a source that is written over, which must
        not be enhanced twice.
        """
        in_place = task.source == task.target

        def note(made: Path) -> None:
            target = made.stat()
            if in_place and not record["changed"] and signature(target) != signature(source):
                return  # it is another one by now
            if in_place or not stop():
                self.note(task, source, target, record, made if in_place and record["changed"] else None)

        return note

    def find(self, task: FileTask) -> dict[str, Any] | None:
        """The record of a picture that is done: by the same settings, and neither source nor result changed since."""
        query = """select source_size, source_time, target_size, target_time, record from done
            where target = ? and source = ? and settings = ?"""
        key = (_key(task.target), _key(task.source), self._settings)
        with self._lock, self._advising():
            row = self._connection.execute(query, key).fetchone()
        if row is None:
            return None
        try:
            stats = (*signature(task.source.stat()), *signature(task.target.stat()))
            record = json.loads(row[4])
            # a source that was written over can't be done again for want of others
            others = [] if task.source == task.target else [Path(other["output"]) for other in record.get("others", ())]
        except (OSError, ValueError, TypeError, AttributeError, KeyError, RecursionError):  # gone, or a damaged row
            return None
        return record if stats == row[:4] and all(path.exists() for path in others) else None

    def is_result(self, path: Path) -> bool:
        """Whether a file is a result of ours, by whatever settings: one that lies where it was written, or one that was
        written over its source, wherever it is now."""
        found = signature_of(path)
        if found is None:
            return False
        with self._lock, self._advising():
            query = "select target_size, target_time, record from done where target = ?"
            row = self._connection.execute(query, (_key(path),)).fetchone()
            was_changed = row is not None and _says_changed(row[2])
            if was_changed and row[:2] == found:
                return True
            contents = self._column("select sha256 from written_over where size = ?", found[:1])
            pixels = self._column("select sha256 from pixels_written") if was_changed else set()
        return (bool(contents) and sha256_of(path) in contents) or (bool(pixels) and _sha256_of_pixels(path) in pixels)

    def _column(self, query: str, values: tuple[Any, ...] = ()) -> set[str]:
        """What a query finds; nothing where a journal that may only be read lacks the table."""
        table = re.search(r"from (\w+)", query).group(1)
        if not self._connection.execute("select 1 from sqlite_master where name = ?", (table,)).fetchone():
            return set()
        return {text for (text,) in self._connection.execute(query, values)}

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    @contextmanager
    def _advising(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ImageError(
                f"{self._path}: the journal can't be used ({error}); remove it to do all pictures anew, or go without "
                "by --no-journal"
            ) from None


def find_results(paths: Iterable[Path]) -> set[Path]:
    """Those of some files that are results of ours, by the journals in their folders and in the folders above.

    Raises ImageError where one of those journals can't be used.
    """
    with ExitStack() as opened:
        journals: dict[Path, Journal | None] = {}
        found: set[Path] = set()
        for path in paths:
            # a link leads to a file whose journal lies there
            for folder in dict.fromkeys((*Path(os.path.abspath(path)).parents, *path.resolve().parents)):
                if folder not in journals:
                    journal = Journal(folder / NAME, "") if (folder / NAME).exists() else None
                    journals[folder] = opened.enter_context(closing(journal)) if journal else None
                journal = journals[folder]
                if journal is not None and journal.is_result(path):
                    found.add(path)
        return found


def _key(path: Path) -> str | bytes:
    """A file's place, as SQLite can hold it: bytes where they are no UTF-8."""
    place = os.path.abspath(path)
    try:
        place.encode()
    except UnicodeEncodeError:
        return os.fsencode(place)
    return place


def _says_changed(record: str) -> bool:
    """Whether a record tells of a picture that was changed; also where it is damaged, for the file is ours."""
    try:
        return bool(json.loads(record)["changed"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return True


def _sha256_of_pixels(path: Path) -> str:
    """Of how often a picture has each value in each channel, which no turn changes; "" where it can't be read."""
    try:
        pixels = load_photo(path).pixels
    except NuliError:
        return ""
    channels = pixels.reshape(-1, pixels.shape[2]).T
    counts = [np.bincount(channel, minlength=1 + np.iinfo(pixels.dtype).max).astype("<i8") for channel in channels]
    return hashlib.sha256(b"".join(count.tobytes() for count in counts)).hexdigest()
