"""Gradio controls made from the option table, and their values made into options again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from ..errors import OptionError
from ..options import GROUPS, Option, table
from ..scoring.registry import SCORERS

MAJOR = int(gr.__version__.split(".")[0])
"""Gradio's major version."""
EVENT: dict[str, Any] = {"show_progress": "hidden"}
"""Arguments of every event: none has a name in gradio's own API."""
EVENT |= {"api_name": False} if MAJOR < 6 else {"api_visibility": "private"}
LONG_EVENT = EVENT | ({"concurrency_limit": None} if MAJOR >= 4 else {})
"""Arguments of an event that may last: our own lock is the queue."""
AUTOMATIC = 0
"""What a number shows where the option's value is None, automatic."""
SHOWN = {"seconds": (0, 120, 0.5), "strength": (0, 1.5, 0.05), "max_steps": (1, 32, 1), "margin": (0, 2, 0.05)}
"""Lowest, highest and step of the options that are sliders; others may be typed."""


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
    return AUTOMATIC if value is None else value


def _control(row: Option, default: Any, elem_id: str) -> gr.components.Component:
    common = {"label": row.label, "elem_id": elem_id, "value": control_value(row.name, default)}
    help = row.help[0].upper() + row.help[1:]
    if row.name == "ops":
        return gr.CheckboxGroup(list(GROUPS), info="Which groups of adjustments may be used", **common)
    if row.name == "scorer":
        return gr.Dropdown(["auto", *SCORERS], info=help, **common)
    if row.choices:
        return gr.Radio(list(row.choices), info=help, **common)
    if row.kind is str:
        return gr.Textbox(info=help, max_lines=1, **common)
    if row.default is None:
        help = f"{AUTOMATIC}: automatic. {help}"
    if row.name in SHOWN:
        low, high, step = SHOWN[row.name]
        return gr.Slider(low, high, step=step, info=help, **common)
    return gr.Number(precision=0 if row.kind is int else None, info=help, **common)


def _option_value(row: Option, value: Any) -> Any:
    if value is None:
        return row.default
    if row.name == "ops" and not isinstance(value, str):
        if not value:
            raise OptionError(f"choose at least one group of {', '.join(GROUPS)}")
        return "all" if set(value) == set(GROUPS) else ",".join(value)
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
