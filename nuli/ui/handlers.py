"""What the tab does: plain functions from a session and the values of controls to what is shown next."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from ..errors import ImageError, NuliError, StoppedError
from ..hosting import Task, Worker, search
from ..imaging.photo import Photo
from ..ops.lut import left_out, to_cube
from ..ops.registry import Param, get_op
from ..ops.step import Step
from ..options import Options, options_from
from ..recipe import Recipe
from . import drawing
from .controls import options_of
from .files import download
from .session import (
    Row,
    Session,
    choose,
    full_size,
    infotext,
    new_row,
    open_picture,
    preview,
    recipe_in,
    rescored,
    with_changes,
    with_result,
)
from .store import VIEWS

ROWS = 12
"""Steps that can be tuned by hand; a longer recipe's further steps are applied and not shown."""
LIVE_SIDE = 480
"""Long side of the untouched picture beside a live preview: it is sent again and again."""

log = logging.getLogger("nuli")
Shown = tuple[Any, Any, str, Any, Any]
"""Session, slider, status, plot, and the place of the full-size picture, which is shown only while it is current."""


def explain(error: Exception) -> str:
    """The status line for an error; one that is not meant for people is logged with all that is known."""
    if isinstance(error, NuliError):
        return drawing.line(str(error), "error")
    log.error("in the user interface", exc_info=error)
    return drawing.line(f"internal error: {type(error).__name__}: {error} (more in the log)", "error")


def shown(session: Session | None) -> Shown:
    """All that shows a session."""
    return session, drawing.compared(session), drawing.summary(session), drawing.plot(session), gr.update(visible=False)


def failed(error: Exception) -> Shown:
    """The error in the status line, everything else as it was."""
    return gr.update(), gr.update(), explain(error), gr.update(), gr.update()


def opened(session: Session | None, picture: Photo | Image.Image | Exception | None, strength: float = 1.0) -> Shown:
    """Another picture, or none, or why it can't be read; what runs for the one before is ended."""
    if session is not None:
        session.slot.close()
        VIEWS.drop(session.handle)
    try:
        if isinstance(picture, Exception):
            raise picture
        return shown(None if picture is None else replace(open_picture(picture), strength=strength))
    except Exception as error:
        empty = drawing.compared(None), explain(error), drawing.plot(None), gr.update(visible=False)
        return None, *empty


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
    return options_from({"device": worker.host.device(), **options_of(names, values), **more})


def enhance(
    worker: Worker, session: Session | None, strength: float, names: Sequence[str], values: Sequence[Any]
) -> Iterator[Shown]:
    """Search, showing how it goes. The strength is blended in afterwards, so that it can be moved freely."""
    try:
        session = _idle(session)
        options = search_options(worker, names, values, strength=1.0)
        photo, before = session.view.photo, preview(session, Recipe())
        before.thumbnail((LIVE_SIDE, LIVE_SIDE))

        def work(task: Task) -> Any:
            with task.turn():
                return search(task, photo, options)

        task, seen = session.slot.start(worker, work), None
        for _ in task.watch():
            picture: Any = gr.update()
            progress = task.progress
            if progress is not seen and progress.preview and not task.stopping:
                seen, picture = progress, drawing.compare(before, progress.preview)
            yield gr.update(), picture, drawing.busy(task), gr.update(), gr.update()
        if session.slot.closed:
            return
        try:
            result = task.outcome.result()
        except StoppedError:
            yield shown(session)
        else:
            yield shown(rescored(with_result(replace(session, strength=strength), result, options)))
    except Exception as error:
        yield failed(error)


def stop(session: Session | None) -> None:
    """End the search; its best so far becomes the result, which the search's own handler shows."""
    if session is not None:
        session.slot.end()


def set_strength(session: Session, strength: float) -> Session:
    return with_changes(session, strength=float(strength))


def tune(session: Session, *values: Any) -> Session:
    """Rows by hand: three values each, the switch and two parameters."""
    rows = list(session.rows)
    for i, row in enumerate(session.rows[:ROWS]):
        on, *numbers = values[3 * i : 3 * i + 3]
        params = get_op(row.step.op).params
        taken = []
        for param, old, new in zip(params, row.step.values, numbers, strict=False):
            # the slider shows rounded values: one that was not moved keeps its own
            moved = new is not None and abs(float(new) - old) > 0.6 * _step_of(param)
            low, high = param.limits
            taken.append(min(max(float(new), low), high) if moved else old)
        rows[i] = Row(Step(row.step.op, tuple(taken)), bool(on))
    return with_changes(session, rows=tuple(rows))


def add_step(session: Session, name: str | None) -> Session:
    return with_changes(session, rows=(*session.rows, new_row((name or "").replace(" ", "_"))))


def apply_recipe(session: Session, text: str) -> Session:
    return with_changes(session, rows=tuple(Row(step) for step in recipe_in(text or "").steps))


def clear(session: Session) -> Session:
    return with_changes(session, rows=())


def row_updates(session: Session | None) -> list[Any]:
    """For each row: whether it is seen, its switch, its two sliders; then the note below, and the strength."""
    rows = session.rows if session else ()
    updates: list[Any] = []
    mode = session.options.mode if session else "soft"
    for i in range(ROWS):
        if i >= len(rows):
            updates += [gr.update(visible=False), *(gr.update() for _ in range(3))]
            continue
        op = get_op(rows[i].step.op)
        sliders = [gr.update(visible=False)] * 2
        for j, (param, value) in enumerate(zip(op.params, rows[i].step.values, strict=True)):
            low, high = param.hard if mode == "hard" or param.soft[0] == param.soft[1] else param.soft
            step = _step_of(param)
            sliders[j] = gr.update(
                minimum=min(low, value),
                maximum=max(high, value),
                step=step,
                value=round(value, 4),
                label=f"{op.words}: {param.name}",
                visible=True,
            )
        updates += [gr.update(visible=True), gr.update(value=rows[i].on, label=_numbered(i, rows[i].step)), *sliders]
    more = [row.step.words() for row in rows[ROWS:]]
    note = f"Applied too: {', '.join(more)}" if more else "" if rows else "No steps yet."
    return [
        *updates,
        gr.update(value=note, visible=bool(note)),
        gr.update(value=session.strength) if session else gr.update(),
    ]


def label_updates(session: Session | None) -> list[Any]:
    """The words of the rows, while their sliders are left to the hand that moves them."""
    rows = session.rows if session else ()
    return [gr.update(label=_numbered(i, rows[i].step)) if i < len(rows) else gr.update() for i in range(ROWS)]


def _numbered(i: int, step: Step) -> str:
    return f"{i + 1}. {step.words()}"


def _step_of(param: Param) -> float:
    if param.unit == "bits":
        return 1.0
    return 0.0001 if param.unit == "radius" else 0.01


def candidates(session: Session | None) -> Any:
    """The gallery to pick from; hidden where there is nothing to choose."""
    if session is None or len(session.candidates) < 2:
        return gr.update(value=None, visible=False)
    pictures = []
    try:
        for i, candidate in enumerate(session.candidates):
            picture = preview(session, candidate.recipe.scaled(session.strength)).convert("RGB")
            picture.thumbnail((LIVE_SIDE, LIVE_SIDE))
            pictures.append((picture, drawing.caption(candidate, best=i == 0)))
    except ImageError:  # put away: whoever touches it is told
        return gr.update(value=None, visible=False)
    return gr.update(value=pictures, visible=True)


def pick(session: Session, index: int) -> Session:
    return choose(session, index) if 0 <= index < len(session.candidates) else session


def at_full_size(worker: Worker, session: Session | None) -> tuple[Any, Any, str]:
    """The full-size picture, for sending it elsewhere, its place, and the status line."""
    try:
        return _render(worker, _idle(session)), gr.update(visible=True), drawing.summary(session)
    except Exception as error:
        return gr.update(), gr.update(), explain(error)


def save(worker: Worker, session: Session | None) -> str:
    """Write the picture at full size, with its recipe; tells where it went."""
    try:
        image = _render(worker, _idle(session))
        path = worker.host.save(image, infotext(session), "")
        return drawing.line(f"saved as {path}")
    except Exception as error:
        return explain(error)


def _render(worker: Worker, session: Session) -> Image.Image:
    return worker.run(lambda task: full_size(session, worker.host.device(), task.ended))


def save_recipe(session: Session | None) -> tuple[Any, str]:
    """The recipe as a file to download."""
    try:
        recipe = _some(session).recipe
        return _offer(download("recipe.json", recipe.to_json() + "\n")), drawing.line(f"recipe: {recipe.to_line()}")
    except Exception as error:
        return gr.update(), explain(error)


def save_lut(session: Session | None) -> tuple[Any, str]:
    """The recipe as a .cube file to download."""
    try:
        recipe = _some(session).recipe
        text = to_cube(recipe.steps, session.view.photo, title="NUlIE")
        left = ", ".join(step.words() for step in left_out(recipe.steps))
        said = f"LUT ready; left out, since it can't hold it: {left}" if left else "LUT ready, with all steps"
        return _offer(download("look.cube", text)), drawing.line(said)
    except Exception as error:
        return gr.update(), explain(error)


def _offer(path: Path) -> Any:
    return gr.update(value=str(path), visible=True)
