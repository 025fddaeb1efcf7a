"""The journal of a run over many pictures: what is done already, so that an interrupted run goes on.

A row is written when a result is complete, just before it takes its place, with the size and the time that it will have
there. So after a crash at any moment a row and its file either fit together, or the picture is done again.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import ImageError
from ..imaging.atomic import OnWritten
from ..sources import FileTask, signature

NAME = ".nuli-journal.sqlite"
"""Of the file, in the folder of the results."""
_PATIENCE = 60.0
"""Seconds to wait for others that write."""
_TABLE = """done (
    target text primary key, source text, settings text, source_size integer, source_time integer,
    target_size integer, target_time integer, record text) without rowid"""


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
            with self._connection:
                self._connection.execute("create table if not exists " + _TABLE)
            if self._connection.execute("select sql from sqlite_master").fetchall() != [("CREATE TABLE " + _TABLE,)]:
                raise sqlite3.DatabaseError("it holds something else")  # such as triggers, which are programs

    def note(self, task: FileTask, source: os.stat_result, target: os.stat_result, record: dict[str, Any]) -> None:
        """Note that a picture is done: the status of its source as it was read, and of the result."""
        if task.source == task.target:  # what is there now is what a next run would read
            source = target
        stats = (*signature(source), *signature(target))
        names = (os.path.abspath(task.target), os.path.abspath(task.source), self._settings)
        with self._lock, self._advising(), self._connection:
            row = (*names, *stats, json.dumps(record))
            self._connection.execute("insert or replace into done values (?, ?, ?, ?, ?, ?, ?, ?)", row)

    def noting(
        self, task: FileTask, source: os.stat_result, record: dict[str, Any], stop: Callable[[], bool]
    ) -> OnWritten:
        """What to call when the result is complete, just before it takes its place: a result that is there is noted.

        What a stop cut short is not, so that it will be done again; but for a source that is written over, which must
        not be enhanced twice.
        """
        in_place = task.source == task.target

        def note(target: os.stat_result) -> None:
            if in_place and not record["changed"] and signature(target) != signature(source):
                return  # it is another one by now
            if in_place or not stop():
                self.note(task, source, target, record)

        return note

    def find(self, task: FileTask) -> dict[str, Any] | None:
        """The record of a picture that is done: by the same settings, and neither source nor result changed since."""
        query = """select source_size, source_time, target_size, target_time, record from done
            where target = ? and source = ? and settings = ?"""
        key = (os.path.abspath(task.target), os.path.abspath(task.source), self._settings)
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

    def was_written_over(self, task: FileTask) -> bool:
        """Whether a source is a result of ours by now, by other settings than these."""
        query = "select target_size, target_time, settings from done where target = ?"
        with self._lock, self._advising():
            row = self._connection.execute(query, (os.path.abspath(task.source),)).fetchone()
        return row is not None and row[2] != self._settings and row[:2] == signature(task.source.stat())

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
