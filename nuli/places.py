"""Where nuli keeps what is the user's own."""

from __future__ import annotations

import os
from pathlib import Path


def config_dir() -> Path:
    """The folder of presets and LUTs: $NULI_CONFIG, else $XDG_CONFIG_HOME/nuli, else the system's usual place."""
    if own := os.environ.get("NULI_CONFIG"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CONFIG_HOME") or (os.name == "nt" and os.environ.get("APPDATA"))
    return Path(base or "~/.config").expanduser() / "nuli"
