"""The command `nuli`, as a plug-in of another program calls it; nothing here needs GIMP."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


class CommandError(Exception):
    """The command is absent, or refused; the message says what to do."""


def enhance(
    source: Path, target: Path, options: list[str], waiting: Callable[[], None] = lambda: None
) -> dict[str, Any]:
    """Enhance one picture into another file, and return what the command tells of it.

    Args:
        options: of `nuli enhance`, besides the files.
        waiting: called several times a second until it is done.
    Raises:
        CommandError: there is no picture at the target.
    """
    command = os.environ.get("NULI") or "nuli"
    # those are for the Python of the program that calls
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        try:
            process = subprocess.Popen(
                [command, "enhance", "--json", "-o", str(target), *options, "--", str(source)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=errors,
                creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            )
        except OSError as error:
            raise CommandError(
                f"the command {command} can't be started ({error.strerror}): install NUlIE, or name the command in "
                "the environment variable NULI and start this program again"
            ) from None
        try:
            while process.poll() is None:
                waiting()
                try:
                    process.wait(0.2)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        out.seek(0)
        errors.seek(0)
        if process.returncode:
            lines = errors.read().decode(errors="replace").strip().splitlines()
            raise CommandError(lines[-1] if lines else f"nuli ended with the code {process.returncode}")
        return json.load(out)
