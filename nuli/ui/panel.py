"""The controls beside the picture: what is done most comes first, the rest folds."""

from __future__ import annotations

from typing import Any

import gradio as gr

from ..hosting import Worker
from ..ops.registry import OPS
from ..options import GROUPS, INPUTS
from . import preset_controls, steps
from .controls import AMOUNTS, HINTS, option_controls
from .stage import image_input

FURTHER = (
    "scorer",
    "ops",
    "lock",
    "seconds",
    "guards",
    "realism",
    "margin",
    "max_steps",
    "evaluations",
    "neutral",
    "lut",
    "prompt",
    "seed",
    "mirror",
    "precision",
)
"""The options under More."""
_HIDDEN: dict[str, Any] = {"elem_classes": ["nuli-hidden"]}
"""For what the script works with: out of sight, and in the page."""


class Panel:
    """The components, drawn where gradio stands."""

    def __init__(self, worker: Worker) -> None:
        defaults = worker.host.defaults()
        with gr.Column(elem_id="nuli_panel", min_width=320):
            with gr.Row(elem_id="nuli_buttons"):
                self.enhance = gr.Button("Enhance", variant="primary", interactive=False, elem_id="nuli_enhance")
                self.stop = gr.Button("Stop", elem_id="nuli_stop")
                self.save = gr.Button("Save", interactive=False, elem_id="nuli_save")
            self.said = gr.HTML("", elem_id="nuli_said")
            with gr.Row(elem_id="nuli_basics"):
                self.preset = preset_controls.draw()
                self.controls = option_controls(["mode"], "nuli", defaults)
            self.preset_said = gr.HTML("", elem_id="nuli_preset_said")
            with gr.Column(elem_id="nuli_amounts", elem_classes=["nuli-card"]):
                gr.HTML('<h3 class="nuli-title">Amounts</h3>')
                self.controls |= option_controls(AMOUNTS, "nuli", defaults)
                self.amounts_said = gr.HTML("", elem_id="nuli_amounts_said")
            with gr.Column(elem_id="nuli_steps", elem_classes=["nuli-card"]):
                self._draw_steps()
            with gr.Accordion("Mask and reference", open=False, elem_id="nuli_second"):
                self._draw_second(defaults)
            with gr.Accordion("More", open=False, elem_id="nuli_more"):
                self.controls |= option_controls(FURTHER, "nuli", defaults)
                self._draw_preset_name(worker)
            with gr.Accordion("Recipe and files", open=False, elem_id="nuli_files"):
                self._draw_files(worker)
        self.buttons = [
            self.enhance,
            self.save,
            self.undo,
            self.copy,
            self.paste,
            self.clear,
            self.pick,
            self.add,
            self.paint,
            self.use,
            self.save_recipe,
            self.save_lut,
        ]
        """What does nothing before there is a picture."""

    def _draw_steps(self) -> None:
        gr.HTML('<h3 class="nuli-title">Steps</h3>')
        self.steps = gr.HTML(steps.draw(None), elem_id="nuli_list")
        self.steps_said = gr.HTML("", elem_id="nuli_steps_said")
        with gr.Row(elem_id="nuli_tools"):
            self.undo, self.copy, self.paste, self.clear = (
                gr.Button(text, size="sm", interactive=False, elem_id=f"nuli_{name}")
                for text, name in (
                    ("Undo", "undo"),
                    ("Copy steps", "copy"),
                    ("Paste steps", "paste"),
                    ("Remove all", "clear"),
                )
            )
        with gr.Row(elem_id="nuli_adding"):
            names = [op.words for group in GROUPS for op in OPS.values() if op.group == group]
            self.add_name = gr.Dropdown(
                names, value=names[0], label="Step to add", show_label=False, elem_id="nuli_add_name"
            )
            self.add = gr.Button("Add", size="sm", interactive=False, elem_id="nuli_add")
            self.pick = gr.Button("Pick a neutral place", size="sm", interactive=False, elem_id="nuli_pick")
        self.messages = gr.Textbox("", label="Changes", elem_id="nuli_messages", **_HIDDEN)
        self.acted, self.lock, self.picked = (
            gr.Button(name, elem_id=f"nuli_{name}", **_HIDDEN) for name in ("acted", "locked", "picked")
        )

    def _draw_second(self, defaults: Any) -> None:
        mask, match = INPUTS
        _help(HINTS[mask.name])
        self.mask = image_input(mask.label, "nuli_mask", 180)
        with gr.Row():
            self.paint = gr.Button("Paint a mask", size="sm", interactive=False, elem_id="nuli_paint")
            self.use_painted = gr.Button("Use what is painted", size="sm", visible=False, elem_id="nuli_use_painted")
        self.painter = gr.HTML("", elem_id="nuli_painter")
        self.mask_said = gr.HTML("", elem_id="nuli_mask_said")
        self.controls |= option_controls(["feather"], "nuli", defaults)
        _help(HINTS[match.name])
        self.match = image_input(match.label, "nuli_match", 180)

    def _draw_preset_name(self, worker: Worker) -> None:
        self.preset_name: gr.Textbox | None = None
        self.preset_save: gr.Button | None = None
        if not worker.host.server_folders:  # strangers keep nothing here
            return
        with gr.Row(elem_id="nuli_preset_saving"):
            self.preset_name = gr.Textbox("", label="Name of a new preset", max_lines=1, elem_id="nuli_preset_name")
            self.preset_save = gr.Button("Save as preset", size="sm", elem_id="nuli_preset_save")
        self.preset_save_said = gr.HTML("", elem_id="nuli_preset_save_said")

    def _draw_files(self, worker: Worker) -> None:
        self.recipe = gr.Textbox(
            "",
            label="Recipe",
            info="JSON, a line such as nuli1 contrast=1.12, or a picture's infotext",
            lines=2,
            elem_id="nuli_recipe",
        )
        self.use = gr.Button("Apply the recipe", size="sm", interactive=False, elem_id="nuli_apply")
        with gr.Row():
            self.save_recipe = gr.Button("Recipe as a file", size="sm", interactive=False, elem_id="nuli_save_recipe")
            self.save_lut = gr.Button("Steps as a LUT", size="sm", interactive=False, elem_id="nuli_save_lut")
        self.recipe_said = gr.HTML("", elem_id="nuli_recipe_said")
        self.file = gr.File(label="Download", visible=False, interactive=False, elem_id="nuli_file")
        self.lut: gr.File | None = None
        if worker.host.server_folders:  # it is kept in a folder of this machine
            self.lut = gr.File(label="Add a LUT (.cube)", file_types=[".cube"], elem_id="nuli_lut_file", height=110)
        self.lut_said = gr.HTML("", elem_id="nuli_lut_said")


def _help(text: str) -> None:
    gr.HTML(f'<p class="nuli-help">{text}</p>')
