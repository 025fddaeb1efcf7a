"""Many pictures, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..cli.paths import find_sources
from ..errors import ImageError, NuliError
from ..imaging.photo import load_photo
from ..result import Result
from ..ui import drawing
from .controls import options_of
from .handlers import explain
from .host import Host
from .job import Job, Live, watch
from .session import infotext, open_picture, searched

THUMBNAIL = 400
"""Long side of the results in the gallery, in pixels."""


def batch(
    host: Host, job: Job | None, files: Any, folder: str, names: Sequence[str], values: Sequence[Any]
) -> Iterator[tuple[Any, Any, str]]:
    """Enhance and save each picture; yields the job, the gallery and the status line.

    A picture that fails is told of and does not stop the others.
    """
    if job is not None and job.running:
        yield gr.update(), gr.update(), drawing.line("this batch is running already", "error")
        return
    job = Job()
    try:
        options = options_of(names, values)
        sources = _sources(host, files, folder)
    except Exception as error:
        yield gr.update(), gr.update(), explain(error)
        return
    made: list[tuple[Image.Image, str]] = []
    troubles: list[str] = []
    done = 0
    with job.run() as stop:
        for number, path in enumerate(sources, 1):
            yield job, gr.update(), drawing.line(f"{number} of {len(sources)}: {path.name}", "busy")
            try:
                for item in watch(host, load_photo(path), options, stop, others=0):
                    if isinstance(item, Live):
                        yield (
                            gr.update(),
                            gr.update(),
                            drawing.told(item, f"{number} of {len(sources)}: {path.name} · "),
                        )
                    elif isinstance(item, Result):
                        made.append(_saved(host, item, options, path))
                        done += 1
                    else:
                        yield gr.update(), gr.update(), drawing.line(item.why, "busy")
                yield gr.update(), list(made), drawing.line(f"{number} of {len(sources)}: {path.name} done", "busy")
            except NuliError as error:
                troubles.append(str(error))
            except Exception as error:
                explain(error)
                troubles.append(f"{path.name}: internal error: {error} (more in the log)")
            if stop.is_set():
                break
    left = len(sources) - done - len(troubles)
    said = f"{done} done" + (f", {left} left" if left else "") + "".join(f"; {trouble}" for trouble in troubles)
    yield job, list(made), drawing.line(said, "error" if troubles else "")


def stop(job: Job | None) -> None:
    """End the batch after the best so far of the picture that it is at."""
    if job is not None:
        job.end()


def _sources(host: Host, files: Any, folder: str) -> list[Path]:
    # gradio 3 hands out open files, gradio 4 names
    named = [Path(getattr(file, "name", file)) for file in files or ()]
    if folder and folder.strip():
        if not host.server_folders:
            raise ImageError("folders of this machine can't be named here: put the files in instead")
        named.append(Path(folder.strip()).expanduser())
    sources, errors = find_sources(named, recursive=False, output=None)
    if errors:
        raise errors[0]
    if not sources:
        raise ImageError("there are no pictures yet: put some in, or name a folder")
    return sources


def _saved(host: Host, result: Result, options: dict[str, Any], path: Path) -> tuple[Image.Image, str]:
    """Save one result; returns what the gallery shows of it."""
    session = searched(open_picture(result.photo, path.name), result, options)
    saved = host.save(result.image, result.recipe, infotext(session), path.name)
    picture = result.image.convert("RGB")
    picture.thumbnail((THUMBNAIL, THUMBNAIL))
    said = f"{result.score_before:.2f} → {result.score_after:.2f}" if result.changed else "left as it is"
    return picture, f"{saved.name}: {said}"
