"""The Extras tab's operation."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import scripts_postprocessing, shared, ui_components

from ..ui.controls import options_of
from ..webui import engine
from .controls import NAMES, draw, draw_recipe


class Extras(scripts_postprocessing.ScriptPostprocessing):
    name = "NUl Enhance"
    order = 3500  # after upscaling and face restoration, before what crops and flips for training

    def ui(self) -> dict[str, Any]:
        """The arguments of `process`, by name."""
        with ui_components.InputAccordion(False, label="NUl Enhance", elem_id="nuli_extras") as enable:
            controls = draw("nuli_extras")
            recipe = draw_recipe("nuli_extras")
            save_before = gr.Checkbox(False, label="Save the picture before, too", elem_id="nuli_extras_save_before")
        return {"enable": enable, **controls, "recipe": recipe, "save_before": save_before}

    def process(
        self,
        pp: scripts_postprocessing.PostprocessedImage,
        enable: bool | None = None,
        recipe: str | None = None,
        save_before: bool | None = None,
        **values: Any,
    ) -> None:
        """Enhance one picture; the Extras API fills `enable`, as everything else, with None."""
        if not enable or engine.stopped():
            return
        given = {name: value for name, value in values.items() if name in NAMES and value is not None}
        before = pp.image
        try:
            enhanced = engine.enhance_safely(before, lambda: options_of(tuple(given), tuple(given.values())), recipe)
        finally:
            if shared.state.job_no >= shared.state.job_count:  # the last one of a batch
                engine.release()
        if enhanced is None:
            return
        if save_before and enhanced.image is not before:
            pp.extra_images.append(pp.create_copy(before, nametags=["before"], disable_processing=True))
        pp.image = enhanced.image
        pp.info.update(enhanced.infotext)
