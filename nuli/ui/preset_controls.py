"""The dropdown of presets, which fills the other controls, and what keeps their values as a new one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import gradio as gr

from ..errors import OptionError
from ..hosting import Worker
from ..options import PRESET, Options, table
from ..presets import NONE, preset, presets, save_preset
from . import drawing
from .controls import control_value
from .handlers import KEPT, explain, search_options


def draw(elem_id: str = "nuli_preset") -> gr.Dropdown:
    """The dropdown, where gradio stands. A file of presets that can't be read is told of in place of a help text."""
    try:
        names, info = list(presets()), "Fills the controls below"
    except OptionError as error:
        names, info = [], str(error)
    return gr.Dropdown([NONE, *names], value=NONE, label=PRESET.label, info=info, elem_id=elem_id)


def fill(names: Sequence[str], name: str | None, defaults: Mapping[str, Any]) -> tuple[list[Any], str]:
    """What the controls of these options show under a preset: its values, and the defaults for all others; then what
    is said."""
    try:
        usual = {row.name: row.default for row in table()}
        values = {**usual, **defaults, **(preset(name) if name and name != NONE else {})}
        return [gr.update(value=control_value(option, values[option])) for option in names], ""
    except OptionError as error:
        return [KEPT] * len(names), explain(error)


def keep(worker: Worker, name: str | None, names: Sequence[str], values: Sequence[Any]) -> tuple[Any, str]:
    """The controls' values as a preset of that name, then chosen in the dropdown; and what is said."""
    try:
        if not worker.host.server_folders:
            raise OptionError("presets can't be saved on this page: others use it too")
        options: Options = search_options(worker, names, values)
        save_preset(name or "", options)
        chosen = " ".join((name or "").split())
        return gr.update(choices=[NONE, *presets()], value=chosen), drawing.line("The preset is saved.")
    except Exception as error:
        return KEPT, explain(error)
