"""What hosts call otherwise, under one name: A1111 and most of its forks agree, SD.Next went a way of its own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr
from modules import errors

try:  # SD.Next's, whose infotext_utils is empty; elsewhere the older name of the same module
    from modules import generation_parameters_copypaste as infotext_utils
except ImportError:
    from modules import infotext_utils

_TAKES_VALUES = not hasattr(infotext_utils, "should_skip")
"""Whether a function may give a plain value for a control. SD.Next looks for its name in a list of text, and fails:
no parameters could be pasted at all."""


def report(message: str) -> None:
    """Log the exception that is being handled, and what it means."""
    if hasattr(errors, "report"):
        errors.report(message, exc_info=True)
    else:
        errors.display(sys.exc_info()[1], message)


def pasted(read: Callable[[Mapping[str, Any]], Any]) -> Callable[[Mapping[str, Any]], Any]:
    """A function that reads a control's value in pasted parameters, as the host wants it; None leaves the control."""

    def update(params: Mapping[str, Any]) -> Any:
        value = read(params)
        return None if value is None else gr.update(value=value)

    return read if _TAKES_VALUES else update
