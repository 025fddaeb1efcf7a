"""What the commands share that work on many pictures: doing one after the other, whatever happens to one."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from ..options import Options, options_from, table
from ..sources import FileTask, plan_files
from .console import attempt, complain, say, tell


def parse_options(parsed: argparse.Namespace) -> Options:
    """The options of a command: the values of those that it has, the defaults of the others. Raises OptionError."""
    return options_from({row.name: getattr(parsed, row.name) for row in table() if hasattr(parsed, row.name)})


def do_tasks(
    parsed: argparse.Namespace,
    work: Callable[[FileTask], int | None],
    may_continue: Callable[[], bool] = lambda: True,
    others: int = 0,
) -> int:
    """Do `work` for every picture; one that fails is told of and does not stop the rest.

    Args:
        parsed: the arguments of a command that has pictures and an output.
        work: does one task; returns an exit code, None for 0.
        may_continue: asked after every picture.
        others: how many other results each picture has, at most.
    Returns:
        The exit code: the worst of all pictures, or 130 where pictures were left out.
    """
    tasks, errors = plan_files(parsed.pictures, parsed.recursive, parsed.output, parsed.in_place, others)
    code = max([complain(error) for error in errors], default=0)
    for i, task in enumerate(tasks):
        code = max(code, attempt(lambda task=task: work(task), task.source))
        if not may_continue() and i + 1 < len(tasks):
            tell(f"nuli: stopped; {len(tasks) - i - 1} pictures left")
            return 130
    return code


def tell_files(source: Path, target: Path, notes: Sequence[str]) -> None:
    """Print which file became which, and what the user should know about it."""
    say(f"{source} -> {target}")
    for note in notes:
        say(f"  note: {note}")
