"""What a node shows for an option, and the options that a node's values ask for. Nothing here knows ComfyUI."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ..errors import NuliError, OptionError
from ..options import PRESET, Options, options_from, table, with_named_lut
from ..presets import NONE, preset, presets
from ..scoring.registry import scorer_names

MORE = "more"
"""The widget for every option that has none of its own."""
_STEPS = {"evaluations": 1, "seconds": 0.5, "strength": 0.05, "seed": 1}
_HELP = {
    PRESET.name: "values for several options at once; what stands at its default here is taken from it",
    "scorer": "which scorer judges; auto: laion where its weights are present, else a built-in one; several in one "
    "by the widget more: 'scorer=mean:laion+tone'",
}
"""Where the table's words are for other surfaces."""
_ROWS = {row.name: row for row in table()}
_KINDS = {int: "INT", float: "FLOAT", str: "STRING"}


@dataclass(frozen=True)
class Widget:
    """One value of a node."""

    name: str
    kind: str
    """INT, FLOAT, STRING or COMBO."""
    default: Any
    help: str
    minimum: float | None = None
    maximum: float | None = None
    step: float | None = None
    choices: tuple[str, ...] | None = None
    multiline: bool = False


def option_widget(name: str, **changes: Any) -> Widget:
    """The widget of an option, by the table; an option that may be automatic is so at 0.

    Args:
        changes: fields that a node has otherwise.
    """
    row = _ROWS.get(name, PRESET)
    choices = row.choices
    if row is PRESET:
        choices = (NONE, *_preset_names())
    elif name == "scorer":
        choices = ("auto", *scorer_names())
    kind = "COMBO" if choices else _KINDS[row.kind]
    default, minimum = (NONE if row is PRESET else row.default), row.minimum
    if default is None:
        default = minimum = row.kind(0)
    help = _HELP.get(name, row.help)
    widget = Widget(name, kind, default, help, minimum, row.maximum, _STEPS.get(name), choices)
    return replace(widget, **changes)


def more_widget(shown: tuple[str, ...]) -> Widget:
    """The widget MORE of a node that shows some options itself."""
    names = ", ".join(row.name for row in table() if row.name not in (*shown, "device"))
    help = f"other options, as in 'light=0.5; lock=saturation': {names}"
    return Widget(MORE, "STRING", "", help)


def options_of(values: Mapping[str, Any], widgets: tuple[Widget, ...], **fixed: Any) -> Options:
    """The options that the values of a node's widgets ask for. What a widget leaves at its default comes from the
    preset, where one is chosen that says something of it.

    Args:
        values: by widget; other names are passed over.
        fixed: options that neither widgets nor presets decide.
    Raises:
        OptionError: a value that can't be, or an option or a preset that there is not.
    """
    shown = [widget for widget in widgets if widget.name in _ROWS]
    changed = [widget for widget in shown if values.get(widget.name, widget.default) != widget.default]
    chosen = values.get(PRESET.name, NONE)
    named = {widget.name: _option_value(widget, widget.default) for widget in shown}
    named |= {} if chosen == NONE else preset(chosen)
    named |= {widget.name: _option_value(widget, values[widget.name]) for widget in changed}
    named |= parse_more(values.get(MORE, ""))
    return with_named_lut(options_from({**named, **fixed}), allow_paths=False)


def _option_value(widget: Widget, value: Any) -> Any:
    """A widget's value as that of its option."""
    return None if _ROWS[widget.name].default is None and not value else value


def parse_more(text: str) -> dict[str, str]:
    """The values in 'name=value; name=value', one a line or between semicolons. Raises OptionError."""
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in re.split(r"[;\n]", text))):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise OptionError(f"{MORE}: write name=value, as in light=0.5, not {part!r}")
        if name in ("device", PRESET.name):
            raise OptionError(f"{MORE}: {name} is not for this place: ComfyUI and the widget decide it")
        found[name] = value
    return found


def _preset_names() -> tuple[str, ...]:
    """Of all presets; where the user's file can't be read, none, for the pack is to load nevertheless."""
    try:
        return tuple(presets())
    except NuliError as error:
        logging.getLogger("nuli").warning("no presets: %s", error)
        return ()
