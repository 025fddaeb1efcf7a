"""Gradio controls made from the option table, and their values made into options again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from ..errors import OptionError
from ..ops.registry import OPS
from ..options import GROUPS, Amounts, Option, table
from ..scoring.registry import scorer_names

MAJOR = int(gr.__version__.split(".")[0])
"""Gradio's major version."""
EVENT: dict[str, Any] = {"show_progress": "hidden"}
"""Arguments of every event: none has a name in gradio's own API."""
EVENT |= {"api_name": False} if MAJOR < 6 else {"api_visibility": "private"}
LONG_EVENT = EVENT | ({"concurrency_limit": None} if MAJOR >= 4 else {})
"""Arguments of an event that may last: our own lock is the queue."""
_NO_RESET: dict[str, Any] = {"buttons": []} if MAJOR >= 6 else {"show_reset_button": False} if MAJOR == 5 else {}
LATEST_EVENT = EVENT | ({"trigger_mode": "always_last"} if MAJOR >= 4 else {})
"""Arguments of an event of which only the last one of many matters."""
AUTOMATIC = 0
"""What a number shows where the option's value is None, automatic."""
AMOUNTS = tuple(field.name for field in dataclasses.fields(Amounts))
"""The options that are amounts."""
SHOWN = {
    "seconds": (0, 120, 0.5),
    **dict.fromkeys(AMOUNTS, (0, 1.5, 0.05)),
    "feather": (0, 0.2, 0.005),
    "max_steps": (1, 32, 1),
    "margin": (0, 2, 0.05),
}
"""Lowest, highest and step of the options that are sliders; others may be typed."""
HINTS = {
    "mode": "soft: natural; hard: striking",
    "seconds": "Time to search; 0: automatic",
    "evaluations": "Most candidates to score; 0: no limit",
    "strength": "How much of the correction",
    "light": "How much of its light",
    "colour": "How much of its colours",
    "detail": "How much of its detail",
    "scorer": "Who judges; auto: the best that is here",
    "ops": "Which kinds of adjustments may be used",
    "lock": "Groups and steps that stay out",
    "neutral": "A place that is to be grey: x,y in parts of the picture",
    "lut": "A .cube file or the name of a LUT; warm=0.6 takes less of it",
    "feather": "How softly the mask ends",
    "guards": "How firmly light and clipping are held",
    "realism": "Whether hard results must look real",
    "max_steps": "Most steps of a recipe",
    "margin": "What a change must gain to be made",
    "prompt": "What the picture should show, for scorers that read it",
    "seed": "Another number, another search",
    "device": "Where to work: auto, cpu, cuda",
    "mirror": "laion also judges the mirrored picture: steadier, slower",
    "precision": "Of the scorer's network",
    "mask": "White is enhanced, black stays as it is",
    "match": "Light and colours come near to this picture",
}
"""One line for each option and second picture; the table's own help is for who wants to know more."""


def option_controls(
    names: Sequence[str], elem_prefix: str, defaults: Mapping[str, Any] | None = None
) -> dict[str, gr.components.Component]:
    """A control for each of these options, drawn where gradio stands, in their order.

    Args:
        names: of the option table.
        elem_prefix: the element ids are `<elem_prefix>_<name>`.
        defaults: option values to start from, where they are not the table's.
    """
    rows = {row.name: row for row in table()}
    defaults = defaults or {}
    return {
        name: _control(rows[name], defaults.get(name, rows[name].default), f"{elem_prefix}_{name}") for name in names
    }


def options_of(names: Sequence[str], values: Sequence[Any]) -> dict[str, Any]:
    """The option values, by name, of what those controls hold; for `nuli.enhance_iter(**...)`.

    None (a control that was never filled) stands for the default. Raises OptionError.
    """
    rows = {row.name: row for row in table()}
    return {name: _option_value(rows[name], value) for name, value in zip(names, values, strict=True)}


def control_value(name: str, value: Any) -> Any:
    """What the control of an option shows for an option's value, given as text or as itself."""
    row = next(row for row in table() if row.name == name)
    value = row.parse(value)
    if name == "ops":
        return _groups_in(value)
    if name == "lock":
        return value.replace(",", " ").split()
    return AUTOMATIC if value is None else value


def _control(row: Option, default: Any, elem_id: str) -> gr.components.Component:
    common = {"label": row.label, "elem_id": elem_id, "value": control_value(row.name, default)}
    if row.name not in AMOUNTS:  # what they are is seen at once
        common["info"] = HINTS.get(row.name, row.help)
    if row.name == "ops":
        return gr.CheckboxGroup(list(GROUPS), **common)
    if row.name == "lock":
        return gr.Dropdown([*GROUPS, *OPS], multiselect=True, **common)
    if row.name == "scorer":
        return gr.Dropdown(["auto", *scorer_names()], allow_custom_value=True, **common)
    if row.choices:
        return gr.Radio(list(row.choices), **common)
    if row.kind is str:
        return gr.Textbox(max_lines=1, **common)
    if row.name in SHOWN:
        low, high, step = SHOWN[row.name]
        return gr.Slider(low, high, step=step, **_NO_RESET, **common)
    return gr.Number(precision=0 if row.kind is int else None, **common)


def _option_value(row: Option, value: Any) -> Any:
    if value is None:
        return row.default
    if row.name == "ops" and not isinstance(value, str):
        if not value:
            raise OptionError(f"choose at least one group of {', '.join(GROUPS)}")
        return "all" if set(value) == set(GROUPS) else ",".join(value)
    if row.name == "lock" and not isinstance(value, str):
        return ",".join(value)
    if row.default is None and value == AUTOMATIC:
        return None
    if row.kind is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    return row.parse(value)


def _groups_in(ops: str) -> list[str]:
    """The groups that an `ops` option leaves, as far as groups can say it."""
    words = [word for word in ops.replace(" ", ",").split(",") if word]
    wanted = [w for w in words if not w.startswith("-")]
    kept = GROUPS if not wanted or "all" in wanted else [g for g in GROUPS if g in wanted]
    return [group for group in kept if f"-{group}" not in words]
