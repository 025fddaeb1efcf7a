"""Many pictures, one after the other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..errors import ImageError, NuliError, StoppedError
from ..hosting import Slot, Task, Worker, search
from ..imaging.photo import load_photo
from ..infotext import of_result
from ..options import Options
from ..sources import find_sources
from . import drawing
from .handlers import explain, search_options
from .session import complete_infotext

THUMBNAIL = 400
"""Long side of the results in the gallery, in pixels."""
_FOLDERS = re.compile(r"(?<![\w.:/\\])(?:[A-Za-z]:)?[/\\](?:[^\s/\\:]+[/\\])+(?=[^\s/\\])")
"""The folders of an absolute path, up to the name at its end."""


@dataclass(frozen=True, eq=False)
class _Done:
    """How far a batch has come."""

    total: int
    at: str = ""
    """Number and name of the picture that is worked on."""
    made: tuple[tuple[Image.Image, str], ...] = ()
    """What the gallery shows."""
    rows: tuple[tuple[str, bool], ...] = ()
    """What became of each picture, in words, and whether it failed."""

    def failing(self, text: str) -> _Done:
        return replace(self, rows=(*self.rows, (text, True)))

    def __str__(self) -> str:
        failed = len(self.rows) - len(self.made)
        counts = ((len(self.made), "done"), (failed, "failed"), (self.total - len(self.rows), "left"))
        return " · ".join(f"{count} {what}" for count, what in counts if count or what == "done")


def without_folders(text: str, *known: Path) -> str:
    """A message with bare names in it: where the server keeps its files is nobody's business.

    Args:
        known: folders that may be in it, spaces and all; others are found by what paths look like.
    """
    for folder in known:
        text = text.replace(str(folder) + os.sep, "")
    return _FOLDERS.sub("", text)


def batch(
    worker: Worker, slot: Slot, files: Any, folder: str, names: Sequence[str], values: Sequence[Any]
) -> Iterator[tuple[Any, str]]:
    """Enhance and save each picture; yields the gallery and the status line.

    A picture that fails is told of and does not stop the others. The host's Skip ends the search of one picture,
    its Interrupt, and Stop, that of all: the best so far is saved.
    """
    try:
        options = search_options(worker, names, values)
        sources, refused = _sources(worker, files, folder)
        begun = _Done(len(sources) + len(refused), rows=tuple((without_folders(str(one)), True) for one in refused))
        task = slot.start(worker, lambda task: _work(task, sources, options, begun), "this batch")
        shown = 0
        for _ in task.watch():
            done: _Done | None = task.note
            made = done.made if done else ()
            gallery = list(made) if len(made) > shown else gr.update()
            shown = len(made)
            yield gallery, drawing.busy(task, f"{done.at} · " if done and done.at else "")
        with suppress(StoppedError):  # while it waited its turn: what was done till then is told
            task.outcome.result()
        done = task.note or begun
        yield list(done.made), drawing.report(str(done), done.rows)
    except Exception as error:
        yield gr.update(), explain(error)


def _work(task: Task, sources: Sequence[Path], options: Options, done: _Done) -> None:
    for number, path in enumerate(sources, 1):
        done = replace(done, at=f"{number} of {len(sources)}: {path.name}")
        task.show(done)
        task.progress = None  # the last picture's
        try:
            # all on one turn: an Interrupt is forgotten by the host when the next turn begins
            with task.turn():
                try:
                    picture = _enhance(task, path, options)
                finally:
                    if task.host.interrupted():
                        task.end()
            done = replace(done, made=(*done.made, picture), rows=(*done.rows, (picture[1], False)))
        except StoppedError:
            return
        except NuliError as error:
            said = without_folders(str(error), path.parent)
            done = done.failing(said if path.name in said else f"{path.name}: {said}")
        except Exception as error:
            task.host.report(f"{path.name}: {type(error).__name__}: {error}")
            said = without_folders(str(error), path.parent)
            done = done.failing(f"{path.name}: internal error: {said} (more in the log)")
        task.show(done)
        if task.stopping:
            return


def _sources(worker: Worker, files: Any, folder: str) -> tuple[list[Path], list[NuliError]]:
    """The pictures, and what went wrong with others. Raises ImageError where there are none."""
    # gradio 3 hands out open files, gradio 4 names
    named = [Path(getattr(file, "name", file)) for file in files or ()]
    if folder and folder.strip():
        if not worker.host.server_folders:
            raise ImageError("folders of this machine can't be named here: put the files in instead")
        named.append(Path(folder.strip()).expanduser())
    sources, errors = find_sources(named, recursive=False, output=None)
    if not sources:
        raise errors[0] if errors else ImageError("there are no pictures yet: put some in, or name a folder")
    return sources, errors


def _enhance(task: Task, path: Path, options: Options) -> tuple[Image.Image, str]:
    """Enhance and save one picture; returns what the gallery shows of it."""
    result = search(task, load_photo(path), options, others=0)
    text = complete_infotext(result.photo, of_result(result, options))
    saved = task.host.save(result.image, text, path.name)
    picture = result.image.convert("RGB")
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    said = f"{result.score_before:.2f} → {result.score_after:.2f}" if result.changed else "left as it is"
    return picture, f"{saved.name}: {said}"
