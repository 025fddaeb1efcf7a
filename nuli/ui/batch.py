"""Many pictures, one after the other."""

from __future__ import annotations

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


@dataclass(frozen=True, eq=False)
class _Done:
    """How far a batch has come."""

    total: int
    at: str = ""
    """Number and name of the picture that is worked on."""
    made: tuple[tuple[Image.Image, str], ...] = ()
    """What the gallery shows."""
    troubles: tuple[str, ...] = ()

    def __str__(self) -> str:
        left = self.total - len(self.made) - len(self.troubles)
        said = f"{len(self.made)} done" + (f", {left} left" if left else "")
        return said + "".join(f"; {trouble}" for trouble in self.troubles)


def batch(
    worker: Worker, slot: Slot, files: Any, folder: str, names: Sequence[str], values: Sequence[Any]
) -> Iterator[tuple[Any, str]]:
    """Enhance and save each picture; yields the gallery and the status line.

    A picture that fails is told of and does not stop the others. The host's Skip ends the search of one picture,
    its Interrupt, and Stop, that of all: the best so far is saved.
    """
    try:
        options = search_options(worker, names, values)
        sources = _sources(worker, files, folder)
        task = slot.start(worker, lambda task: _work(task, sources, options), "this batch")
        shown = 0
        for _ in task.watch():
            done: _Done | None = task.note
            made = done.made if done else ()
            gallery = list(made) if len(made) > shown else gr.update()
            shown = len(made)
            yield gallery, drawing.busy(task, f"{done.at} · " if done and done.at else "")
        with suppress(StoppedError):  # while it waited its turn: what was done till then is told
            task.outcome.result()
        done = task.note or _Done(len(sources))
        yield list(done.made), drawing.line(str(done), "error" if done.troubles else "")
    except Exception as error:
        yield gr.update(), explain(error)


def _work(task: Task, sources: Sequence[Path], options: Options) -> None:
    done = _Done(len(sources))
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
            done = replace(done, made=(*done.made, picture))
        except StoppedError:
            return
        except NuliError as error:
            done = replace(done, troubles=(*done.troubles, str(error)))
        except Exception as error:
            task.host.report(f"{path.name}: {type(error).__name__}: {error}")
            done = replace(done, troubles=(*done.troubles, f"{path.name}: internal error: {error} (more in the log)"))
        task.show(done)
        if task.stopping:
            return


def _sources(worker: Worker, files: Any, folder: str) -> list[Path]:
    # gradio 3 hands out open files, gradio 4 names
    named = [Path(getattr(file, "name", file)) for file in files or ()]
    if folder and folder.strip():
        if not worker.host.server_folders:
            raise ImageError("folders of this machine can't be named here: put the files in instead")
        named.append(Path(folder.strip()).expanduser())
    sources, errors = find_sources(named, recursive=False, output=None)
    if errors:
        raise errors[0]
    if not sources:
        raise ImageError("there are no pictures yet: put some in, or name a folder")
    return sources


def _enhance(task: Task, path: Path, options: Options) -> tuple[Image.Image, str]:
    """Enhance and save one picture; returns what the gallery shows of it."""
    result = search(task, load_photo(path), options, others=0)
    text = complete_infotext(result.photo, of_result(result, options))
    saved = task.host.save(result.image, text, path.name)
    picture = result.image.convert("RGB")
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    said = f"{result.score_before:.2f} → {result.score_after:.2f}" if result.changed else "left as it is"
    return picture, f"{saved.name}: {said}"
