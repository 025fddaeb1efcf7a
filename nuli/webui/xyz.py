"""Axes for the host's XYZ plot."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from modules import scripts

from ..options import GROUPS, PRESET, options_from, table
from ..scoring.registry import scorer_names
from . import settings
from .auto import AXES
from .compat import report

NAMES = ("mode", "seconds", "strength", "light", "colour", "detail", "scorer", "ops", "lock", "guards")


def add() -> None:
    """Callback on_before_ui: append our axes to the plot's list, once."""
    try:
        for script in scripts.scripts_data:
            if os.path.basename(script.path) == "xyz_grid.py":
                _append(script.module)
                break
    except Exception:
        report("NUl Enhance could not add its axes to the XYZ plot")


def _append(plot: Any) -> None:
    there = {option.label for option in plot.axis_options}
    for axis in _axes(plot.AxisOption):
        if axis.label not in there:  # on some hosts the list outlives a reload of the UI
            plot.axis_options.append(axis)


def _axes(axis_option: type) -> list[Any]:
    choices = {
        "preset": tuple(settings.presets()),
        "scorer": ("auto", *scorer_names()),
        "ops": ("all", *GROUPS, *(f"-{group}" for group in GROUPS)),
        "lock": ("", *GROUPS),
    }
    axes = []
    for row in (PRESET, *table()):
        if row.name in (PRESET.name, *NAMES):
            offered = row.choices or choices.get(row.name)
            kind = float if row.kind is float else str
            more = {"choices": lambda offered=offered: list(offered)} if offered else {}
            axes.append(axis_option(f"[NUl] {row.label}", kind, _apply(row.name), confirm=_check(row), **more))
    return axes


def _apply(name: str) -> Callable[..., None]:
    def apply(p: Any, value: Any, values: Any) -> None:
        # a new dict: the plot copies p for each picture, and the copies would share one
        setattr(p, AXES, {**getattr(p, AXES, {}), name: value})

    return apply


def _check(row: Any) -> Callable[..., None]:
    def confirm(p: Any, values: list[Any]) -> None:
        for value in values:
            options_from({row.name: value})

    return confirm
