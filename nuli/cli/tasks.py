"""What the commands share that work on pictures: their options, and what they tell."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ..options import Options, options_from, table
from .console import say


def parse_options(parsed: argparse.Namespace) -> Options:
    """The options of a command: the values of those that it has, the defaults of the others. Raises OptionError."""
    return options_from({row.name: getattr(parsed, row.name) for row in table() if hasattr(parsed, row.name)})


def tell_files(source: Path, target: Path, notes: Sequence[str]) -> None:
    """Print which file became which, and what the user should know about it."""
    say(f"{source} -> {target}")
    for note in notes:
        say(f"  note: {note}")
