"""What is done already, for many machines at a time: a small file for each picture, beside the results.

A database on one machine would be in everybody's way. Here everyone writes files of their own, and what must be known
to leave a picture out stands in a file's name: which result, of which source as it was then, by which settings, of how
many bytes, with how many others. So one listing of the results tells what is done, and no file has to be read.

A file is written when its result is in place: after a crash in between, that one picture is done again.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from typing import Any

from .urls import UrlTask, advising, file_system, identity, is_remote, normal

FOLDER = ".nuli-done"
"""Of the notes, in the folder of the results."""
_TOGETHER = 1000
"""Notes read at the same time."""


class Notes:
    """The notes in a folder of results, as they are when this is made.

    Args:
        output: the folder, as a path or a URL.
        digest: tells settings apart that make other results.
    Raises:
        ImageError: the folder can't be listed.
        OptionError: a package is missing that a URL needs.
    """

    def __init__(self, output: str, digest: str) -> None:
        self._output, self._digest = normal(output), digest
        self._system, self._root = file_system(os.path.abspath(output) if not is_remote(output) else output)
        self._sizes: dict[str, int] = {}
        self._names: dict[str, list[str]] = {}
        with advising(output):
            for path, entry in self._system.find(self._root, detail=True).items():
                self._take(path[len(self._root) :].strip("/"), entry)

    def _take(self, inner: str, entry: dict[str, Any]) -> None:
        if not inner.startswith(FOLDER + "/"):
            self._sizes[inner] = entry["size"]
        elif inner.endswith(".json"):
            folder, name = inner.split("/")[-2:]
            self._names.setdefault(folder + name.split("-")[0], []).append(inner)

    def find(self, task: UrlTask) -> str | None:
        """The note of a picture that is done: by the same settings, and neither source nor result changed since."""
        key = self._key(task)
        for name in self._names.get(self._hash(task.target), ()) if task.stamp else ():
            _, noted, size, count = name.rpartition("/")[2].removesuffix(".json").split("-")
            others = task.others[: int(count)]
            if noted == key and self._sizes.get(self._inner(task.target)) == int(size) and len(others) == int(count):
                return name if all(self._inner(other) in self._sizes for other in others) else None
        return None

    def read(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The records in notes, in order; {} for one that can't be read."""
        records: list[dict[str, Any]] = []
        for start in range(0, len(names), _TOGETHER):
            paths = [f"{self._root}/{name}" for name in names[start : start + _TOGETHER]]
            texts = self._system.cat(paths, on_error="omit") if len(paths) > 1 else self._read_one(paths[0])
            records += [json.loads(texts.get(path) or "{}") for path in paths]
        return records

    def _read_one(self, path: str) -> dict[str, bytes]:
        return {path: self._system.cat_file(path)}

    def begin_of(self, task: UrlTask) -> str:
        """The path or URL of the note that a picture will have, up to what is known when it is done."""
        name = self._hash(task.target)
        return f"{self._place()}/{FOLDER}/{name[:2]}/{name[2:]}-{self._key(task)}"

    def stale(self, task: UrlTask) -> list[str]:
        """The paths or URLs of notes to remove before a picture is done again."""
        return [f"{self._place()}/{name}" for name in self._names.get(self._hash(task.target), ())]

    def _place(self) -> str:
        return self._output if is_remote(self._output) else os.path.abspath(self._output)

    def _inner(self, target: str) -> str:
        """A result's path in the folder of the results."""
        return target[len(self._output) :].lstrip("/") if self._output != "." else target

    def _hash(self, target: str) -> str:
        """Spreads notes over folders, and keeps their names short."""
        return hashlib.sha256(os.fsencode(self._inner(target))).hexdigest()[:32]

    def _key(self, task: UrlTask) -> str:
        text = json.dumps([self._digest, identity(task.source), task.stamp])
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def name_of(begin: str, size: int, others: int) -> str:
    """The whole path or URL of a note.

    Args:
        begin: what `Notes.begin_of` says.
        size: bytes of the result.
        others: how many others there are.
    """
    return f"{begin}-{size}-{others}.json"
