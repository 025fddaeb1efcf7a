"""NUlIE's section of the host's settings page, and how its values are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from modules import shared

from ..errors import OptionError
from ..hosting import Limits
from ..options import table
from ..presets import NONE
from ..presets import presets as all_presets
from .compat import report

SECTION = ("nuli", "NUl Enhance")
WEIGHTS = "The weights of the scorer laion can also be fetched in the tab NUl Enhance, under Scorers."


def add() -> None:
    """Callback on_ui_settings."""
    modes = next(row for row in table() if row.name == "mode").choices
    slider = gr.Slider
    for key, info in {
        "nuli_seconds": shared.OptionInfo(
            0, "Seconds to search where none are given", slider, {"minimum": 0, "maximum": 120, "step": 0.5}
        ).info("0: automatic, 1.5 with a built-in scorer and 60 with laion"),
        "nuli_mode": shared.OptionInfo(
            "soft", "Mode that the accordions start with", gr.Radio, {"choices": list(modes)}
        ).needs_reload_ui(),
        "nuli_preset": shared.OptionInfo(
            NONE,
            "Preset that the accordions start with",
            gr.Dropdown,
            lambda: {"choices": [NONE, *presets()]},
        )
        .info("it also sets the mode")
        .needs_reload_ui(),
        "nuli_keep_model": shared.OptionInfo(False, "Keep the scorer on the GPU after a job").info(
            "faster next time; takes up to 0.6 GB with laion"
        ),
        "nuli_api_megapixels": shared.OptionInfo(
            Limits().megapixels,
            "API: largest picture, in megapixels",
            slider,
            {"minimum": 1, "maximum": 178, "step": 1},
        ),
        "nuli_api_seconds": shared.OptionInfo(
            Limits().seconds, "API: longest search, in seconds", slider, {"minimum": 1, "maximum": 3600, "step": 1}
        ),
        "nuli_weights": shared.OptionInfo(WEIGHTS, "", _weights),
    }.items():
        info.section = SECTION
        info.do_not_save = key == "nuli_weights"  # it is no value, only a place on the page
        shared.opts.add_option(key, info)


def _weights(**arguments: Any) -> Any:
    """Draw the button, and return the text before it, which the host takes for the setting."""
    text = gr.HTML(**arguments)
    try:
        from ..ui import weights

        weights.draw(folders, "nuli_settings")
    except Exception:  # the page with all settings must not break; the text says where else to look
        report("NUl Enhance could not draw its button for weights")
    return text


def _read(key: str, default: Any) -> Any:
    value = getattr(shared.opts, key, default)
    return default if value is None else value


def seconds() -> float:
    """How long to search where nobody says; 0: automatic."""
    return float(_read("nuli_seconds", 0))


def mode() -> str:
    return str(_read("nuli_mode", "soft"))


def presets() -> dict[str, Mapping[str, Any]]:
    """The values of all presets by name; none where the user's file can't be used: the log says why."""
    try:
        return {name: one.values for name, one in all_presets().items()}
    except OptionError as error:  # the host's pages must not break
        print(f"*** NUl Enhance: {error}")
        return {}


def preset() -> str:
    """The preset that the accordions start with, NONE without."""
    return str(_read("nuli_preset", NONE))


def keep_model() -> bool:
    return bool(_read("nuli_keep_model", False))


def api_limits() -> Limits:
    """What a request may ask for."""
    usual = Limits()
    return Limits(
        float(_read("nuli_api_megapixels", usual.megapixels)), float(_read("nuli_api_seconds", usual.seconds))
    )


def folders() -> list[Path]:
    """Where the host keeps CLIP's weights; its interrogator uses the same file."""
    path = getattr(shared.cmd_opts, "clip_models_path", None)
    return [Path(path)] if path else []
