"""The options that the accordions of Extras, txt2img and img2img offer, and what is chosen there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..options import PRESET, table
from ..presets import NONE, preset
from ..ui import preset_controls
from ..ui.controls import EVENT, control_value, option_controls, options_of
from . import settings

FIRST = ("mode", "seconds", "strength", "scorer", "ops", "guards", "seed")
"""Those that the host passes on first: clients of its API give values by their place."""
LATER = tuple(row.name for row in table() if row.name not in (*FIRST, "device", "precision"))
"""The other ones; the device and its precision are the host's to choose."""
NAMES = (*FIRST, *LATER)
_MORE = (("light", "colour", "detail"), ("lock", "ops"), ("guards", "scorer"), ("seconds", "seed"))
LUT_HELP = "The name of one in nuli's folder; warm=0.6: less of it"
RECIPE_HELP = "Applied as it is, instead of a search; pasted parameters bring it along"


@dataclass(frozen=True)
class Drawn:
    preset: Any
    options: dict[str, Any]
    """By name, in the order of NAMES."""
    recipe: Any


def draw(prefix: str, draw_more: Callable[[], None]) -> Drawn:
    """The controls, where gradio stands: what is chosen most, and the rest folded.

    Args:
        draw_more: draws the caller's own controls among the rest.
    """
    known = settings.presets()
    chosen = settings.preset() if settings.preset() in known else NONE
    usual = {"mode": settings.mode(), **known.get(chosen, {})}
    with gr.Row():
        drawn = option_controls(["mode"], prefix, usual)
        presets = gr.Dropdown(
            [NONE, *known],
            value=chosen,
            label=PRESET.label,
            info="Fills the other controls",
            elem_id=f"{prefix}_preset",
        )
    drawn |= option_controls(["strength"], prefix, usual)
    with gr.Accordion("More", open=False, elem_id=f"{prefix}_more"):
        for names in _MORE:
            with gr.Row():
                drawn |= option_controls(names, prefix, usual)
        draw_more()
        recipe = gr.Textbox(
            "", label="Recipe", info=RECIPE_HELP, placeholder="nuli1 ...", lines=1, elem_id=f"{prefix}_recipe"
        )
        with gr.Accordion("Further options", open=False, elem_id=f"{prefix}_further"):
            rest = [name for name in NAMES if name not in drawn]
            for i in range(0, len(rest), 2):
                with gr.Row():
                    drawn |= option_controls(rest[i : i + 2], prefix, usual)
    settle(drawn)
    # the host would remember the first start's values, and our settings would never be heard again
    for name, control in {**drawn, PRESET.name: presets}.items():
        control.do_not_save_to_config = name in ("mode", PRESET.name) or chosen != NONE
    # Only what a user chooses: pasted parameters set the preset, too, and all the values that they mean.
    presets.input(_fill, [presets], [drawn[name] for name in NAMES], **EVENT)
    return Drawn(presets, {name: drawn[name] for name in NAMES}, recipe)


def settle(controls: Mapping[str, Any]) -> None:
    """Make the option controls fit the host's pages, and its way with pasted values."""
    controls["seed"].label = "Search seed"  # the host has a seed of its own above
    controls["lut"].info = LUT_HELP  # never a path here
    for row in table():
        if row.kind is float and row.name in controls:
            # the host converts what is pasted to the type of the default: 2.5 would become 2
            controls[row.name].value = float(controls[row.name].value)


def option_values(chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Option values by name, out of what controls hold or a client says; those of the preset where they say nothing.

    Raises:
        OptionError: no such preset, or a value that is none.
    """
    name = chosen.get(PRESET.name)
    base = preset(name) if name and name != NONE else {}
    given = {row.name: chosen[row.name] for row in table() if chosen.get(row.name) is not None}
    for name, value in base.items():
        # a control can't show all that a preset may say: where it stands as that filled it, the preset's word counts
        if name in given and given[name] == control_value(name, value):
            del given[name]
    return {**base, **options_of(tuple(given), tuple(given.values()))}


def _fill(name: str) -> list[Any]:
    """What the controls become once a preset is chosen; they stay where it can't be had any more."""
    return preset_controls.fill(NAMES, name, {"mode": settings.mode()})[0]
