"""The options that the accordions of Extras, txt2img and img2img offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..options import table

NAMES = ("mode", "seconds", "strength", "scorer", "ops", "guards", "seed")


def settle(controls: Mapping[str, Any]) -> None:
    """Make the option controls fit the host's ways with defaults and with pasted values."""
    # the host would remember the first start's mode, and our setting would never be heard again
    controls["mode"].do_not_save_to_config = True
    for row in table():
        if row.kind is float and row.name in controls:
            # the host converts what is pasted to the type of the default: 2.5 would become 2
            controls[row.name].value = float(controls[row.name].value)
