"""The tab: draws everything and ties it to the handlers."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from .host import Host


@dataclass(frozen=True)
class Parts:
    """The components of the tab that a WebUI needs to reach."""

    image: gr.Image
    """The picture to enhance (type pil): fill it to send one here."""
    result: gr.Image
    """The full-size result."""


def build(host: Host | None = None) -> Parts:
    """Draw the tab inside an open gr.Blocks or gr.Tab. Its script and style come from `nuli.ui.assets`."""
    image = gr.Image(type="pil", label="Picture", elem_id="nuli_image")
    return Parts(image, gr.Image(type="pil", label="Full size", elem_id="nuli_result"))
