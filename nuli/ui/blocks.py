"""The tab: draws everything and ties it to the handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..hosting import Slot, Worker
from ..ops.registry import OPS
from ..options import GROUPS
from . import batch, handlers, weights
from .controls import EVENT, LONG_EVENT, MAJOR, option_controls
from .handlers import ROWS
from .session import Session, revert
from .upload import read_upload

FIRST = ("mode", "seconds", "scorer", "ops", "seed")
FURTHER = ("evaluations", "guards", "max_steps", "margin", "mirror", "precision")
NAMES = (*FIRST, *FURTHER)
"""Options of a search; strength has a place of its own."""

_LATEST = EVENT | ({"trigger_mode": "always_last"} if MAJOR >= 4 else {})
_AT_ONCE = EVENT | {"queue": False}
_NO_RESET: dict[str, Any] = {"buttons": []} if MAJOR >= 6 else {"show_reset_button": False} if MAJOR == 5 else {}
_LOSSLESS: dict[str, Any] = {"format": "png"} if MAJOR >= 4 else {}


@dataclass(frozen=True)
class Parts:
    """The components of the tab that a WebUI needs to reach."""

    image: gr.Image
    """The picture to enhance: fill it to send one here."""
    result: gr.Image
    """The full-size result; empty until asked for."""


@dataclass(frozen=True)
class _Rows:
    """The rows for steps, made once and hidden while unused."""

    boxes: list[gr.Row]
    switches: list[gr.Checkbox]
    sliders: list[tuple[gr.Slider, gr.Slider]]
    note: gr.Markdown

    @property
    def values(self) -> list[Any]:
        """What `handlers.tune` takes."""
        return [part for switch, pair in zip(self.switches, self.sliders, strict=True) for part in (switch, *pair)]

    @property
    def all(self) -> list[Any]:
        """What `handlers.row_updates` fills, but the strength."""
        parts = zip(self.boxes, self.switches, self.sliders, strict=True)
        return [part for box, switch, pair in parts for part in (box, switch, *pair)] + [self.note]


def build(worker: Worker, add_send_buttons: Callable[[gr.Image], None] = lambda image: None) -> Parts:
    """Draw the tab inside an open gr.Blocks or gr.Tab. Its script and style lie in javascript/ and style.css.

    Args:
        add_send_buttons: draws the host's buttons that send the full-size result elsewhere.
    """
    with gr.Column(elem_id="nuli_tab"), gr.Tabs():
        with gr.Tab("One picture"):
            parts, controls = _one(worker, add_send_buttons)
        with gr.Tab("Batch"):
            _batch(worker, controls)
    with gr.Accordion("Scorers", open=False, elem_id="nuli_scorers"):
        weights.draw(worker.host.folders)
    return parts


def _one(worker: Worker, add_send_buttons: Callable[[gr.Image], None]) -> tuple[Parts, list[Any]]:
    state, defaults = gr.State(None), worker.host.defaults()
    with gr.Row():
        with gr.Column(scale=1, min_width=320):
            image = gr.Image(type="pil", label="Picture", elem_id="nuli_image", height=300, interactive=True)
            image.preprocess = read_upload  # no subclass: gradio writes files for those
            with gr.Row(elem_id="nuli_buttons"):
                enhance = gr.Button("Enhance", variant="primary", elem_id="nuli_enhance")
                stop = gr.Button("Stop", variant="stop", elem_id="nuli_stop")
            controls = option_controls(FIRST, "nuli", defaults)
            with gr.Accordion("More options", open=False):
                controls |= option_controls(FURTHER, "nuli", defaults)
        with gr.Column(scale=2, min_width=320):
            picture = gr.HTML(handlers.drawing.compared(None), elem_id="nuli_compare")
            status = gr.HTML(handlers.drawing.summary(None), elem_id="nuli_status")
            strength = option_controls(["strength"], "nuli", defaults)["strength"]
            with gr.Row(elem_id="nuli_out"):
                save = gr.Button("Save", variant="primary", elem_id="nuli_save")
                recipe = gr.Button("Save recipe", elem_id="nuli_save_recipe")
                lut = gr.Button("Save LUT", elem_id="nuli_save_lut")
                full = gr.Button("Show at full size", elem_id="nuli_full")
            file = gr.File(label="Download", visible=False, interactive=False, elem_id="nuli_file")
            with gr.Column(visible=False, elem_id="nuli_full_size") as place:
                result = gr.Image(
                    type="pil",
                    image_mode="RGBA",
                    label="Full size",
                    elem_id="nuli_result",
                    interactive=False,
                    **_LOSSLESS,
                )
                add_send_buttons(result)
            gallery = gr.Gallery(
                label="Pick one", columns=3, visible=False, elem_id="nuli_gallery", allow_preview=False
            )
            rows = _steps()
            with gr.Row():
                undo = gr.Button("Undo", elem_id="nuli_undo")
                clear = gr.Button("Remove all steps", elem_id="nuli_clear")
            with gr.Row():
                names = [op.words for group in GROUPS for op in OPS.values() if op.group == group]
                name = gr.Dropdown(names, value=names[0], label="Step to add by hand", elem_id="nuli_add_name", scale=3)
                add = gr.Button("Add the step", elem_id="nuli_add", scale=1)
            with gr.Accordion("How the search went", open=False):
                plot = gr.HTML(elem_id="nuli_plot")
            with gr.Accordion("Apply a recipe", open=False):
                text = gr.Textbox(
                    label="Recipe",
                    info="JSON, a line such as nuli1 contrast=1.12, or the infotext of a picture",
                    lines=2,
                    elem_id="nuli_recipe",
                )
                use = gr.Button("Apply the recipe", elem_id="nuli_apply")

    options = list(controls.values())
    outputs = [state, picture, status, plot, place]
    everything = [*rows.all, strength]

    def run(session: Session | None, amount: float, *values: Any) -> Iterator[handlers.Shown]:
        yield from handlers.enhance(worker, session, amount, NAMES, values)

    def picked(session: Session | None, event: gr.SelectData) -> handlers.Shown:
        return handlers.acting(handlers.pick)(session, event.index)

    def act(change: Callable[..., Any], *inputs: Any) -> dict[str, Any]:
        return {"fn": handlers.acting(change), "inputs": [state, *inputs], "outputs": outputs, **_LATEST}

    def show_rows(event: Any) -> Any:
        return event.then(handlers.row_updates, [state], everything, **EVENT)

    def show_all(event: Any) -> None:
        show_rows(event).then(handlers.candidates, [state], gallery, **EVENT)

    show_all(image.change(handlers.opened, [state, image, strength], outputs, **EVENT))
    show_all(enhance.click(run, [state, strength, *options], outputs, **LONG_EVENT))
    stop.click(handlers.stop, [state], None, **_AT_ONCE)
    show_rows(gallery.select(picked, [state], outputs, **EVENT))
    strength.release(**act(handlers.set_strength, strength))
    for listen in [s.input for s in rows.switches] + [s.release for pair in rows.sliders for s in pair]:
        event = listen(**act(handlers.tune, *rows.values))
        event.then(handlers.label_updates, [state], rows.switches, **EVENT)
    show_rows(undo.click(**act(revert)))
    show_rows(clear.click(**act(handlers.clear)))
    show_rows(add.click(**act(handlers.add_step, name)))
    show_rows(use.click(**act(handlers.apply_recipe, text)))
    save.click(lambda session: handlers.save(worker, session), [state], status, **LONG_EVENT)
    full.click(lambda session: handlers.at_full_size(worker, session), [state], [result, place, status], **LONG_EVENT)
    recipe.click(handlers.save_recipe, [state], [file, status], **EVENT)
    lut.click(handlers.save_lut, [state], [file, status], **EVENT)
    return Parts(image, result), [*options, strength]


def _steps() -> _Rows:
    boxes, switches, sliders = [], [], []
    with gr.Accordion("Steps", open=True, elem_id="nuli_steps"):
        note = gr.Markdown("No steps yet.")
        for i in range(ROWS):
            with gr.Row(visible=False, elem_classes=["nuli-step"]) as box:
                switches.append(gr.Checkbox(True, label=f"Step {i + 1}", elem_id=f"nuli_step_{i}", min_width=200))
                sliders.append(
                    tuple(
                        gr.Slider(
                            0,
                            1,
                            step=0.01,
                            label="value",
                            elem_id=f"nuli_step_{i}_{j}",
                            **_NO_RESET,
                            visible=j == 0,
                            min_width=160,
                        )
                        for j in range(2)
                    )
                )
            boxes.append(box)
    return _Rows(boxes, switches, sliders, note)


def _batch(worker: Worker, controls: list[Any]) -> None:
    slot = gr.State(Slot())
    gr.Markdown("Enhances and saves each picture, with the options and the strength chosen under One picture.")
    files = gr.File(file_count="multiple", label="Pictures", elem_id="nuli_batch_files")
    folder = gr.Textbox(
        label="Folder",
        info="of the machine that this runs on; all pictures in it",
        elem_id="nuli_batch_folder",
        visible=worker.host.server_folders,
    )
    with gr.Row():
        start = gr.Button("Enhance all", variant="primary", elem_id="nuli_batch_start")
        stop = gr.Button("Stop", variant="stop", elem_id="nuli_batch_stop")
    status = gr.HTML(handlers.drawing.line("No pictures yet."), elem_id="nuli_batch_status")
    gallery = gr.Gallery(label="Results", columns=4, elem_id="nuli_batch_gallery")

    def run(slot: Slot, files: Any, folder: str, *values: Any) -> Iterator[tuple[Any, str]]:
        yield from batch.batch(worker, slot, files, folder, (*NAMES, "strength"), values)

    start.click(run, [slot, files, folder, *controls], [gallery, status], **LONG_EVENT)
    stop.click(lambda slot: slot.end(), [slot], None, **_AT_ONCE)
