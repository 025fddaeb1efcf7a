"""The options that the accordions of Extras, txt2img and img2img offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr

from ..options import table
from ..ui.controls import option_controls
from . import settings

NAMES = ("mode", "seconds", "strength", "scorer", "ops", "guards", "seed")
"""In the order in which the host passes them on."""
_ROWS = (("mode", "scorer"), ("seconds", "strength"), ("ops", "guards"))
RECIPE_HELP = "Applied as it is, instead of a search; pasted parameters bring it along. Empty: search"


def draw(prefix: str) -> dict[str, Any]:
    """The option controls, two in a row, where gradio stands; by name, in the order of NAMES."""
    drawn = {}
    for names in _ROWS:
        with gr.Row():
            drawn.update(option_controls(names, prefix, {"mode": settings.mode()}))
    drawn.update(option_controls([name for name in NAMES if name not in drawn], prefix))
    settle(drawn)
    return {name: drawn[name] for name in NAMES}


def draw_recipe(prefix: str) -> Any:
    """The field that a recipe is typed or pasted into."""
    return gr.Textbox(
        "", label="Recipe", info=RECIPE_HELP, placeholder="nuli1 ...", lines=1, elem_id=f"{prefix}_recipe"
    )


def settle(controls: Mapping[str, Any]) -> None:
    """Make the option controls fit the host's ways with defaults and with pasted values."""
    # the host would remember the first start's mode, and our setting would never be heard again
    controls["mode"].do_not_save_to_config = True
    for row in table():
        if row.kind is float and row.name in controls:
            # the host converts what is pasted to the type of the default: 2.5 would become 2
            controls[row.name].value = float(controls[row.name].value)
