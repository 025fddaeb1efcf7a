"""What the tab does: plain functions from a session and the values of controls to what is shown next."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..errors import ImageError, NuliError, RecipeError, StoppedError
from ..hosting import Task, Worker, search
from ..imaging.photo import Photo
from ..infotext import recipe_in
from ..ops.lut import left_out, to_cube
from ..options import Amounts, Options, options_from, with_named_lut
from ..recipe import Recipe
from . import drawing
from .controls import options_of
from .files import download
from .session import (
    Row,
    Session,
    applied,
    choose,
    found_rows,
    full_size,
    infotext,
    lut_option,
    new_row,
    open_picture,
    preview,
    rescored,
    with_changes,
    with_result,
)
from .store import VIEWS

LIVE_SIDE = 480
"""Long side of the untouched picture beside a live preview: it is sent again and again."""

log = logging.getLogger("nuli")
Shown = tuple[Any, Any, Any, Any, Any, str]
"""Session, slider, summary, plot, the place of the full-size picture, which is shown only while it is current, and
what is said beside the control that was used: how it goes, or what went wrong."""
KEPT = gr.update()
"""For what stays as it is."""


def explain(error: Exception) -> str:
    """The line for an error; one that is not meant for people is logged with all that is known."""
    if isinstance(error, NuliError):
        return drawing.line(str(error), "error")
    log.error("in the user interface", exc_info=error)
    return drawing.line(f"internal error: {type(error).__name__}: {error} (more in the log)", "error")


def shown(session: Session | None, said: str = "") -> Shown:
    """All that shows a session."""
    pictures = drawing.compared(session), drawing.summary(session), drawing.plot(session)
    return session, *pictures, gr.update(visible=False), said


def failed(error: Exception) -> Shown:
    """The error beside the control, everything else as it was."""
    return KEPT, KEPT, KEPT, KEPT, KEPT, explain(error)


def opened(session: Session | None, picture: Photo | Image.Image | Exception | None, *amounts: float) -> Shown:
    """Another picture, or none, or why it can't be read; what runs for the one before is ended."""
    if session is not None:
        session.slot.close()
        VIEWS.drop(session.handle)
    try:
        if isinstance(picture, Exception):
            raise picture
        return shown(None if picture is None else replace(open_picture(picture), amounts=Amounts(*amounts)))
    except Exception as error:
        return None, "", explain(error), "", gr.update(visible=False), ""


def acting(change: Callable[..., Session]) -> Callable[..., Shown]:
    """A handler that changes the session by `change(session, *values)`."""

    def handler(session: Session | None, *values: Any) -> Shown:
        try:
            return shown(rescored(change(_idle(session), *values)))
        except Exception as error:
            return failed(error)

    return handler


def _some(session: Session | None) -> Session:
    if session is None:
        raise ImageError("there is no picture yet: put one in first")
    return session


def _idle(session: Session | None) -> Session:
    _some(session).slot.check()
    return session


def search_options(worker: Worker, names: Sequence[str], values: Sequence[Any], **more: Any) -> Options:
    """The options that these controls hold, on the host's device. Raises OptionError."""
    options = options_from({"device": worker.host.device(), **options_of(names, values), **more})
    # whoever may not name a folder of this machine may not name a file either
    return with_named_lut(options, allow_paths=worker.host.server_folders)


def enhance(
    worker: Worker,
    session: Session | None,
    amounts: Amounts,
    names: Sequence[str],
    values: Sequence[Any],
    match: Photo | Exception | None = None,
) -> Iterator[Shown]:
    """Search, showing how it goes. In soft mode the amounts are blended in afterwards; an aspect of which nothing
    is wanted is left out of the search. Hard mode searches with them. Either way they can be moved freely then."""
    try:
        session = _idle(session)
        if isinstance(match, Exception):
            raise match
        whole = {name: float(amount > 0) for name, amount in asdict(amounts).items()} | {"strength": 1.0}
        options = search_options(worker, names, values, **whole)
        if options.mode == "hard" and amounts.strength:
            options = replace(options, **asdict(amounts))
        options = replace(options, lut=options.lut or lut_option(session))
        photo, before = session.view.photo, preview(session, Recipe())
        before.thumbnail((LIVE_SIDE, LIVE_SIDE))
        more = {} if match is None else {"match": match}

        def work(task: Task) -> Any:
            with task.turn():
                return search(task, photo, options, **more)

        task, seen = session.slot.start(worker, work), None
        for _ in task.watch():
            picture: Any = KEPT
            progress = task.progress
            if progress is not seen and progress.preview and not task.stopping:
                seen, picture = progress, drawing.compare(before, progress.preview)
            yield KEPT, picture, KEPT, KEPT, KEPT, drawing.busy(task)
        if session.slot.closed:
            return
        try:
            result = task.outcome.result()
        except StoppedError:
            yield shown(session)
        else:
            yield shown(rescored(with_result(replace(session, amounts=amounts), result, options)))
    except Exception as error:
        yield failed(error)


def stop(session: Session | None) -> None:
    """End the search, whose best so far becomes the result, which its own handler shows; or give a rendering up."""
    if session is not None:
        session.slot.end()


def set_amounts(session: Session, *amounts: float) -> Session:
    return with_changes(session, amounts=Amounts(*map(float, amounts)), by="amounts")


def add_step(session: Session, name: str | None) -> Session:
    return with_changes(session, rows=(*session.rows, new_row((name or "").replace(" ", "_"))))


def apply_recipe(session: Session, text: str) -> Session:
    return with_changes(session, rows=tuple(Row(step) for step in recipe_in(text or "").steps))


def copy_steps(session: Session | None) -> tuple[Any, str]:
    """The steps that are on, amounts included, as a line for the box with the recipe."""
    try:
        recipe = _some(session).recipe
        if not recipe.steps:
            raise RecipeError("there are no steps to copy: switch some on")
        return recipe.to_line(), drawing.line("Copied: paste them into another picture.")
    except Exception as error:
        return KEPT, explain(error)


def paste_steps(session: Session, text: str) -> Session:
    """Those of the box, after the ones that are there."""
    return with_changes(session, rows=(*session.rows, *(Row(step) for step in recipe_in(text or "").steps)))


def clear(session: Session) -> Session:
    return with_changes(session, rows=())


def candidates(session: Session | None) -> Any:
    """The gallery to pick from; hidden where there is nothing to choose."""
    if session is None or len(session.candidates) < 2:
        return gr.update(value=None, visible=False)
    pictures = []
    try:
        for number, candidate in enumerate(session.candidates, 1):
            picture = preview(session, applied(found_rows(session, candidate), session.amounts)).convert("RGB")
            picture.thumbnail((LIVE_SIDE, LIVE_SIDE))
            pictures.append((picture, drawing.caption(number, candidate)))
    except ImageError:  # put away: whoever touches it is told
        return gr.update(value=None, visible=False)
    return gr.update(value=pictures, visible=True)


def pick(session: Session, index: int) -> Session:
    return choose(session, index) if 0 <= index < len(session.candidates) else session


def at_full_size(worker: Worker, session: Session | None) -> Iterator[tuple[Any, Any, str]]:
    """The full-size picture, its place, and how it goes."""
    try:
        task = _rendering(worker, _idle(session))
        for _ in task.watch(TICK):
            yield KEPT, KEPT, task_line(task)
        yield task.outcome.result(), gr.update(visible=True), ""
    except Exception as error:
        yield KEPT, KEPT, explain(error)


def save(worker: Worker, session: Session | None) -> Iterator[str]:
    """Write the picture at full size, with its recipe; tells how it goes, and where it went."""
    try:
        text = infotext(_idle(session))
        task = _rendering(worker, session, lambda image: worker.host.save(image, text, ""))
        for _ in task.watch(TICK):
            yield task_line(task)
        yield drawing.line(f"saved as {task.outcome.result()}")
    except Exception as error:
        yield explain(error)


TICK = 1.0
"""Seconds after which a rendering tells again how long it has taken."""


def _rendering(worker: Worker, session: Session, then: Callable[[Image.Image], Any] = lambda image: image) -> Task:
    """A task that renders the picture at full size, and does something with it; its note is what it does, and since
    when. How much is left nobody can know: a table of colours takes no time, a file of many megapixels takes most."""
    photo, device = session.view.photo, worker.host.device()
    height, width = photo.pixels.shape[:2]
    size = f"{height * width / 1e6:.1f}"

    def work(task: Task) -> Any:
        with task.turn():
            task.show((f"rendering {size} megapixels", time.monotonic()))
            image = full_size(session, device, task.ended)
        task.show((f"writing {size} megapixels", time.monotonic()))
        return then(image)

    return session.slot.start(worker, work, "the picture at full size")


def task_line(task: Task) -> str:
    """What a rendering does, and for how long."""
    if task.state == "queued" or task.stopping or task.note is None:
        return drawing.busy(task)
    doing, since = task.note
    return drawing.progress_line(f"{doing}… {time.monotonic() - since:.0f} s", None)


def save_recipe(session: Session | None) -> tuple[Any, str]:
    """The recipe as a file to download."""
    try:
        recipe = _some(session).recipe
        return _offer(download("recipe.json", recipe.to_json() + "\n")), drawing.line("The recipe is ready.")
    except Exception as error:
        return KEPT, explain(error)


def save_lut(session: Session | None) -> tuple[Any, str]:
    """The recipe as a .cube file to download."""
    try:
        recipe = _some(session).recipe
        text = to_cube(recipe.steps, session.view.photo, title="NUlIE")
        left = ", ".join(step.words() for step in left_out(recipe.steps))
        said = f"LUT ready; left out, since it can't hold it: {left}" if left else "The LUT is ready, with all steps."
        return _offer(download("look.cube", text)), drawing.line(said)
    except Exception as error:
        return KEPT, explain(error)


def _offer(path: Path) -> Any:
    return gr.update(value=str(path), visible=True)
