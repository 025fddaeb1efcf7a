"""What the commands share that work on pictures: their options, and what they tell."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import OptionError
from ..options import PRESET, Options, options_from, table, with_named_lut
from .console import complain_of_failure, say, tell
from .stop import INTERRUPTED


def parse_options(parsed: argparse.Namespace) -> Options:
    """The options of a command: the values of those that were given, of the others those of the preset, or the
    defaults. Raises OptionError."""
    rows = PRESET, *table()
    options = options_from({row.name: getattr(parsed, row.name) for row in rows if hasattr(parsed, row.name)})
    return with_named_lut(options, allow_paths=True)


def tell_files(source: Path, target: Path, notes: Sequence[str]) -> None:
    """Print which file became which, and what the user should know about it."""
    say(f"{source} -> {target}")
    for note in notes:
        say(f"  note: {note}")


def tell_steps(steps: Sequence[str], contributions: Sequence[float]) -> None:
    """Print steps, and what each is worth where that is known."""
    for i, words in enumerate(steps):
        # what was asked for, and not found, is worth nothing to the search
        worth = f"  worth {contributions[i]:.2f}" if contributions and contributions[i] else ""
        say(f"  {i + 1}. {words:<30}{worth}".rstrip())


def complain_of_record(record: dict[str, Any]) -> int:
    """Tell why a picture failed, by its record; returns its exit code."""
    return complain_of_failure(record["error"], record.get("trace"), record["code"])


def tell_left(count: int) -> int:
    """Tell how many pictures a stop left out; returns the exit code, 0 where there are none."""
    if count:
        tell(f"nuli: stopped; {count} pictures left")
    return INTERRUPTED if count else 0


def number_of_jobs(text: str, automatic: Callable[[], int]) -> int:
    """How many pictures at a time, of the text of --jobs. Raises OptionError."""
    if text == "auto":
        return automatic()
    if not text.isdecimal() or not 1 <= int(text) <= 1024:
        raise OptionError(f"--jobs cannot be {text!r}: give auto or a number from 1 to 1024")
    return int(text)
