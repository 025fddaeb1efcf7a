"""The tab, and the buttons that send pictures to it and from it."""

from __future__ import annotations

from typing import Any

import gradio as gr
from modules import ui_components

from .. import infotext
from ..ui import blocks
from .compat import infotext_utils, report
from .host import NAME, worker

TITLE = "NUl Enhance"
TARGETS = {"control": "Control", "img2img": "img2img", "inpaint": "inpaint", "extras": "Extras"}
"""Tabs that take a picture, where the host has them, and what they are called."""
_GALLERIES = ("txt2img", "img2img", "control", "extras")
_pictures: dict[str, Any] = {}
"""The host's components that hold pictures to send, by tab; filled while it draws its pages."""
_buttons: dict[str, Any] = {}
"""Our buttons beside them."""


def add() -> list[tuple[Any, str, str]]:
    """Callback on_ui_tabs. A tab that can't be built must not take the host's pages along."""
    try:
        with gr.Blocks(analytics_enabled=False) as page:
            parts = blocks.build(worker(), _add_send_buttons)
        infotext_utils.add_paste_fields(NAME, parts.image, None)
        for tab, button in _buttons.items():
            _bind(button, NAME, _pictures[tab])
        return [(page, TITLE, NAME)]
    except Exception:
        report("NUl Enhance could not build its tab")
        return []


def note_component(component: Any, **arguments: Any) -> None:
    """Callback on_after_component: put a button of ours after the last of those that send a picture elsewhere."""
    name = arguments.get("elem_id")
    if not isinstance(name, str):
        return
    tab, _, what = name.partition("_")
    if name == "pnginfo_image" or (what == "gallery" and tab in _GALLERIES):
        _pictures.pop(tab, None)  # else it would stay where it stood before a reload, and not be the latest
        _pictures[tab] = component
        _buttons.pop(tab, None)
        return
    tab = next(reversed(_pictures), "")
    if not tab or tab in _buttons or name not in ("extras_tab", f"{tab}_send_to_extras"):
        return
    if tab == "pnginfo":
        _buttons[tab] = gr.Button(f"Send to {TITLE}", elem_id=f"{tab}_send_to_{NAME}")
    else:
        _buttons[tab] = ui_components.ToolButton(
            "\N{MAGIC WAND}", elem_id=f"{tab}_send_to_{NAME}", tooltip=f"Send image to {TITLE} tab."
        )


def add_score(params: Any) -> None:
    """Callback on_before_image_saved: the key that picture browsers sort by, where laion judged."""
    entries = getattr(params.p, "extra_generation_params", None) or {}
    if entries.get(infotext.SCORER) == "laion" and infotext.AFTER in entries:
        params.pnginfo["aesthetic_score"] = entries[infotext.AFTER]


def _add_send_buttons(image: Any) -> None:
    with gr.Row():
        for tab, title in TARGETS.items():
            if tab not in infotext_utils.paste_fields:
                continue
            button = gr.Button(f"Send to {title}", elem_id=f"{NAME}_send_to_{tab}", min_width=120)
            _bind(button, tab, image)


def _bind(button: Any, tab: str, image: Any) -> None:
    infotext_utils.register_paste_params_button(
        infotext_utils.ParamBinding(paste_button=button, tabname=tab, source_image_component=image)
    )
