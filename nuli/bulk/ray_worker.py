"""What one process of a cluster does to a picture, wherever that lies: the same as one process of this machine."""

from __future__ import annotations

import json
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import NuliError
from ..imaging.atomic import as_image_error, write_text
from ..sources import FileTask
from .local import work_alone
from .notes import name_of
from .urls import file_system, is_remote
from .work import FAILED, Record, Settings, Worker, failure

UNABLE = "unable"
"""The status of a record that says that no picture can be done."""
_WHOLE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oss", "memory"}
"""Protocols of stores where an object appears complete or not at all."""


class Enhancer:
    """Does batches of pictures; Ray Data makes one in each process. The scorer is loaded once.

    Args:
        settings: what to do to each; without a journal.
    """

    def __init__(self, settings: Settings) -> None:
        work_alone()
        self._folder = tempfile.TemporaryDirectory(prefix="nuli-", ignore_cleanup_errors=True)
        for part in ("in", "out"):  # a source and its result may have one name
            Path(self._folder.name, part).mkdir()
        self._worker: Worker | NuliError
        try:
            self._worker = Worker(settings)
        except NuliError as error:  # raised here, it would be tried again and again
            self._worker = error

    def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, list[str]]]:
        """Do the pictures of a batch, each told as JSON in the column `task`; give a `record`, as JSON, of each."""
        for text in batch["task"]:
            yield {"record": [json.dumps(self.do(**json.loads(text)))]}

    def do(
        self, source: str, target: str, others: list[str], paths: dict[str, str], note: str, stale: list[str]
    ) -> Record:
        """Enhance a picture, put its results in their places, and note that.

        Args:
            source, target, others: as the record is to name them.
            paths: of those that are files of this machine, the absolute paths.
            note: the beginning of the name of the note; "" for none.
            stale: notes to remove, since they will not be true any more.
        Returns:
            The record, whatever goes wrong; of the status UNABLE where no picture can be done.
        """
        if isinstance(self._worker, NuliError):
            return {"status": UNABLE, "error": str(self._worker), "kind": type(self._worker).__name__}
        places = [self._place(name, paths, "out" if at else "in") for at, name in enumerate((source, target, *others))]
        names = dict(zip(map(str, places), (source, target, *others), strict=True))
        task = FileTask(places[0], places[1], tuple(places[2:]))
        try:
            _prepare(source, task, stale)
            record = _named(self._worker(task), names)
            if record["status"] != FAILED:
                count = len(record["others"])
                size = task.target.stat().st_size
                _send(names, task, count)
                if note:
                    _put_text(json.dumps(record), name_of(note, size, count))
        except Exception as error:
            record = _named(failure(task, error), names)
        finally:
            self._clear()
        return record

    def _place(self, name: str, paths: dict[str, str], part: str) -> Path:
        """Where a file is while it is worked on: its own place, or for a remote one a folder of this machine."""
        return Path(paths[name]) if name in paths else Path(self._folder.name, part, name.rpartition("/")[2])

    def _clear(self) -> None:
        for path in Path(self._folder.name).glob("*/*"):
            path.unlink(missing_ok=True)


def _prepare(source: str, task: FileTask, stale: list[str]) -> None:
    """Remove notes, fetch a remote source, make the folder of the results. Raises ImageError."""
    for note in stale:
        system, path = file_system(note)
        with as_image_error(note, "removed"), suppress(FileNotFoundError):
            system.rm_file(path)
    if is_remote(source):
        system, path = file_system(source)
        with as_image_error(source, "read"):
            system.get_file(path, str(task.source))
    with as_image_error(task.target.parent, "made"):
        task.target.parent.mkdir(parents=True, exist_ok=True)


def _send(names: dict[str, str], task: FileTask, others: int) -> None:
    """Put results, with their recipes, into their remote places; the best one last. Raises ImageError."""
    for path in (*task.others[:others], task.target):
        name = names[str(path)]
        if is_remote(name):
            recipe = path.with_name(path.name + ".json")
            if recipe.exists():
                _put(recipe, name + ".json")
            _put(path, name)


def _put(path: Path, url: str) -> None:
    """Make a file an object that appears complete or not at all. Raises ImageError."""
    system, target = file_system(url)
    protocols = {system.protocol} if isinstance(system.protocol, str) else set(system.protocol)
    with as_image_error(url, "written"):
        if protocols & _WHOLE:
            system.put_file(str(path), target)
            return
        folder = target.rpartition("/")[0]
        part = f"{folder}/.nuli-{secrets.token_hex(8)}.part"
        system.makedirs(folder, exist_ok=True)
        try:
            system.put_file(str(path), part)
            system.mv(part, target)
        except BaseException:
            with suppress(Exception):
                system.rm_file(part)
            raise


def _put_text(text: str, place: str) -> None:
    """Write a text file to a path or a URL. Raises ImageError."""
    if is_remote(place):
        system, path = file_system(place)
        with as_image_error(place, "written"):
            system.pipe_file(path, text.encode())
        return
    path = Path(place)
    with as_image_error(path.parent, "made"):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, text, follow=False)


def _named(record: Record, names: dict[str, str]) -> Record:
    """A record that names files as they were named to us, in place of those that were worked on."""
    told = {**record, "input": names[record["input"]], "output": names[record["output"]]}
    if "others" in record:
        told["others"] = [{**other, "output": names[other["output"]]} for other in record["others"]]
    for key in ("error", "trace") if record["status"] == FAILED else ():
        for place, name in names.items() if key in record else ():
            told[key] = told[key].replace(place, name)
    return told
