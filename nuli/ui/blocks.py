"""The tab: draws everything and ties it to the handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..hosting import Slot, Worker
from ..options import Amounts
from . import batch, handlers, inputs, preset_controls, steps, weights
from .controls import AMOUNTS, EVENT, LATEST_EVENT, LONG_EVENT, MAJOR
from .panel import FURTHER, Panel
from .session import Session, revert
from .stage import Stage

NAMES = ("mode", *FURTHER, "feather")
"""Options of a search; the amounts have a place of their own."""

_AT_ONCE = EVENT | {"queue": False}
_SCRIPT = "_js" if MAJOR < 4 else "js"


@dataclass(frozen=True)
class Parts:
    """The components of the tab that a WebUI needs to reach."""

    image: gr.Image
    """The picture to enhance: fill it to send one here."""
    result: gr.Image
    """The full-size result; empty until asked for."""


def build(worker: Worker, add_send_buttons: Callable[[gr.Image], None] = lambda image: None) -> Parts:
    """Draw the tab inside an open gr.Blocks or gr.Tab. Its script and style lie in javascript/ and style.css.

    Args:
        add_send_buttons: draws the host's buttons that send the full-size result elsewhere. The script presses "Show
            at full size" before one of them where there is no current result, so that none is rendered unasked.
    """
    with gr.Column(elem_id="nuli_tab"), gr.Tabs():
        with gr.Tab("One picture"):
            with gr.Row(elem_id="nuli_one"):
                stage = Stage(add_send_buttons)
                panel = Panel(worker)
            _connect(worker, stage, panel)
        with gr.Tab("Batch"):
            _batch(worker, panel.controls)
        with gr.Tab("Scorers", elem_id="nuli_scorers"):
            weights.draw(worker.host.folders)
    return Parts(stage.image, stage.result)


def _connect(worker: Worker, stage: Stage, panel: Panel) -> None:
    state = gr.State(None)
    controls = panel.controls
    amounts = [controls[name] for name in AMOUNTS]
    options = [controls[name] for name in NAMES]
    lock = controls["lock"]
    shows = [state, stage.picture, stage.summary, stage.plot, stage.place]
    buttons = [*stage.buttons, *panel.buttons]

    def run(session: Session | None, match: Any, *values: Any) -> Iterator[handlers.Shown]:
        chosen = Amounts(*values[: len(AMOUNTS)])
        yield from handlers.enhance(worker, session, chosen, NAMES, values[len(AMOUNTS) :], match)

    def picked(session: Session | None, event: gr.SelectData) -> handlers.Shown:
        return handlers.acting(handlers.pick)(session, event.index)

    def act(change: Callable[..., Session], said: gr.HTML, *inputs: Any) -> dict[str, Any]:
        """A change of the session: what goes wrong is said beside the control."""
        return {"fn": handlers.acting(change), "inputs": [state, *inputs], "outputs": [*shows, said], **LATEST_EVENT}

    def listed(session: Session | None, locked: Sequence[str] | None) -> list[Any]:
        values = [gr.update(value=getattr(session.amounts, name)) if session else gr.update() for name in AMOUNTS]
        return [steps.draw(session, locked or ()), *values]

    def active(session: Session | None) -> list[Any]:
        return [gr.update(interactive=session is not None) for _ in buttons]

    def show_steps(event: Any) -> Any:
        return event.then(listed, [state, lock], [panel.steps, *amounts], **EVENT)

    def offer(event: Any) -> None:
        """Show the results to pick from; emptied first, or gradio would still frame the one that was picked before."""
        emptied = event.then(lambda: None, None, stage.gallery, **EVENT)
        emptied.then(handlers.candidates, [state], stage.gallery, **EVENT)

    # the picture, and the search
    event = stage.image.change(handlers.opened, [state, stage.image, *amounts], [*shows, panel.said], **EVENT)
    offer(show_steps(event).then(active, [state], buttons, **EVENT))
    stage.other.click(lambda: None, None, stage.image, **EVENT)
    found = panel.enhance.click(run, [state, panel.match, *amounts, *options], [*shows, panel.said], **LONG_EVENT)
    offer(show_steps(found))
    panel.stop.click(handlers.stop, [state], None, **_AT_ONCE)
    show_steps(stage.gallery.select(picked, [state], [*shows, panel.said], **EVENT))

    # amounts, presets
    for name in AMOUNTS:
        moved = controls[name].input if MAJOR >= 4 else controls[name].release
        moved(**act(handlers.set_amounts, panel.amounts_said, *amounts))
    names = [*controls]

    def fill(name: str | None) -> list[Any]:
        values, said = preset_controls.fill(names, name, worker.host.defaults())
        return [*values, said]

    chosen = panel.preset.input(fill, [panel.preset], [*controls.values(), panel.preset_said], **EVENT)
    chosen.then(**act(handlers.set_amounts, panel.amounts_said, *amounts))
    if panel.preset_save is not None:
        panel.preset_save.click(
            lambda name, *values: preset_controls.keep(worker, name, names, values),
            [panel.preset_name, *controls.values()],
            [panel.preset, panel.preset_save_said],
            **EVENT,
        )

    # steps
    panel.acted.click(**act(steps.acted, panel.steps_said, panel.messages))
    lock.change(lambda session, locked: steps.draw(session, locked or ()), [state, lock], panel.steps, **EVENT)
    panel.lock.click(steps.toggled, [panel.messages, lock], [lock, panel.steps_said], **EVENT)
    show_steps(panel.undo.click(**act(revert, panel.steps_said)))
    show_steps(panel.clear.click(**act(handlers.clear, panel.steps_said)))
    show_steps(panel.add.click(**act(handlers.add_step, panel.steps_said, panel.add_name)))
    copied = panel.copy.click(handlers.copy_steps, [state], [panel.recipe, panel.steps_said], **EVENT)
    copied.then(None, [panel.recipe], None, **{_SCRIPT: "(line) => { navigator.clipboard?.writeText(line); }"})
    show_steps(panel.paste.click(**act(handlers.paste_steps, panel.steps_said, panel.recipe)))
    show_steps(panel.use.click(**act(handlers.apply_recipe, panel.recipe_said, panel.recipe)))

    # from outside
    masking = inputs.set_mask, [state, panel.mask, controls["feather"]]
    for listen in (panel.mask.change, controls["feather"].release):
        offer(listen(*masking, [*shows, panel.mask_said], **EVENT))
    event.then(*masking, [*shows, panel.said], **EVENT)  # another picture comes under the mask that is there
    event.then(lambda: "", None, controls["neutral"], **EVENT)  # and has its own places
    painting = [panel.painter, panel.use_painted]
    event.then(inputs.stop_painting, None, painting, **EVENT)
    panel.paint.click(inputs.start_painting, [state], [*painting, panel.mask_said], **EVENT)
    strokes = {_SCRIPT: "() => window.nuliPainted()"}  # in place of the box's text
    panel.use_painted.click(
        inputs.painted, [panel.messages], [panel.mask, *painting, panel.mask_said], **strokes, **EVENT
    )
    picked_place = panel.picked.click(**act(inputs.neutral, panel.steps_said, panel.messages))
    show_steps(picked_place).then(inputs.neutral_option, [state, controls["neutral"]], controls["neutral"], **EVENT)
    if panel.lut is not None:
        show_steps(panel.lut.upload(**act(inputs.add_lut, panel.lut_said, panel.lut)))

    # out
    panel.save.click(lambda session: (yield from handlers.save(worker, session)), [state], panel.said, **LONG_EVENT)
    full = stage.full.click(
        lambda session: (yield from handlers.at_full_size(worker, session)),
        [state],
        [stage.result, stage.place, stage.said],
        **LONG_EVENT,
    )
    full.then(None, None, None, **{_SCRIPT: "() => { window.nuliRendered?.(); }"})
    panel.save_recipe.click(handlers.save_recipe, [state], [panel.file, panel.recipe_said], **EVENT)
    panel.save_lut.click(handlers.save_lut, [state], [panel.file, panel.recipe_said], **EVENT)


def _batch(worker: Worker, controls: Mapping[str, Any]) -> None:
    slot = gr.State(Slot())
    gr.HTML('<p class="nuli-help">Enhances and saves each picture, as chosen under One picture.</p>')
    files = gr.File(file_count="multiple", label="Pictures", elem_id="nuli_batch_files")
    folder = gr.Textbox(
        label="Folder",
        info="Of the machine that this runs on; all pictures in it",
        elem_id="nuli_batch_folder",
        visible=worker.host.server_folders,
    )
    with gr.Row(elem_id="nuli_batch_buttons"):
        start = gr.Button("Enhance all", variant="primary", elem_id="nuli_batch_start")
        stop = gr.Button("Stop", elem_id="nuli_batch_stop")
    status = gr.HTML("", elem_id="nuli_batch_status")
    gallery = gr.Gallery(label="Results", columns=4, elem_id="nuli_batch_gallery", object_fit="contain")

    def run(slot: Slot, files: Any, folder: str, *values: Any) -> Iterator[tuple[Any, str]]:
        yield from batch.batch(worker, slot, files, folder, [*controls], values)

    start.click(run, [slot, files, folder, *controls.values()], [gallery, status], **LONG_EVENT)
    stop.click(lambda slot: slot.end(), [slot], None, **_AT_ONCE)
