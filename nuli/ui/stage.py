"""The picture's side of the tab: where it is put in and compared, and what there is to do with the result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from .controls import MAJOR
from .upload import read_upload

_LOSSLESS: dict[str, Any] = {"format": "png"} if MAJOR >= 4 else {}


def image_input(label: str, elem_id: str, height: int) -> gr.Image:
    """A component that a picture is put into; handlers get what `read_upload` makes of its very bytes."""
    image = gr.Image(type="pil", label=label, elem_id=elem_id, height=height, interactive=True, **_LOSSLESS)
    image.preprocess = read_upload  # no subclass: gradio writes files for those
    return image


class Stage:
    """The components, drawn where gradio stands. The style hides the place for a picture once there is one."""

    def __init__(self, add_send_buttons: Callable[[gr.Image], None]) -> None:
        with gr.Column(elem_id="nuli_left", min_width=320):
            with gr.Column(elem_id="nuli_stage"):
                self.image = image_input("Picture", "nuli_image", 460)
                self.picture = gr.HTML("", elem_id="nuli_compare")
                self.summary = gr.HTML("", elem_id="nuli_status")
                self.gallery = gr.Gallery(
                    label="Pick one",
                    columns=4,
                    visible=False,
                    elem_id="nuli_gallery",
                    allow_preview=False,
                    object_fit="contain",
                )
            with gr.Column(elem_id="nuli_below"):
                with gr.Row(elem_id="nuli_actions"):
                    self.other = gr.Button("Another picture", size="sm", interactive=False, elem_id="nuli_other")
                    self.full = gr.Button("Show at full size", size="sm", interactive=False, elem_id="nuli_full")
                    with gr.Row(elem_id="nuli_send") as send:
                        pass
                self.said = gr.HTML("", elem_id="nuli_full_said")
                with gr.Column(visible=False, elem_id="nuli_full_size") as self.place:
                    self.result = gr.Image(
                        type="pil",
                        image_mode="RGBA",
                        label="Full size",
                        elem_id="nuli_result",
                        interactive=False,
                        **_LOSSLESS,
                    )
                with send:
                    add_send_buttons(self.result)
                with gr.Accordion("How the search went", open=False, elem_id="nuli_search"):
                    self.plot = gr.HTML("", elem_id="nuli_plot")
        self.buttons = [self.other, self.full, *_buttons(send)]
        """What does nothing before there is a picture."""


def _buttons(block: Any) -> list[gr.Button]:
    """The buttons drawn in a block."""
    if isinstance(block, gr.Button):
        block.interactive = False
        return [block]
    return [button for child in getattr(block, "children", ()) for button in _buttons(child)]
