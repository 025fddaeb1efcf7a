"""The command line in processes of its own that start at once, to be killed, interrupted, or starved."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nuli.cli.stop import handle_interrupt

_WARM = (
    "nuli.cli.main",
    "nuli.cli.bulk",
    "nuli.cli.together",
    "nuli.enhancer",
    "nuli.scoring.tone",
    "nuli.scoring.taste",
)
"""Loaded once, in the process that all others are forked from."""
GRACE = 60.0
"""Seconds that processes have to end in, on a machine that others use too."""


def warm_up() -> None:
    """Let the processes that follow start with all that the command line imports."""
    multiprocessing.set_forkserver_preload([*_WARM, "nuli.scoring.vivid", __name__])


class Child:
    """One run of the command line.

    Args:
        arguments: of the command.
        log: a file for what it prints.
        prepare: called in the process before it begins.
    """

    def __init__(self, arguments: list[str], log: Path, prepare: Callable[[], None] | None = None) -> None:
        log.unlink(missing_ok=True)
        self._log = log
        self._process = multiprocessing.get_context("forkserver").Process(target=_run, args=(arguments, log, prepare))
        self._process.start()

    def begun(self) -> None:
        """Wait until it hears Ctrl-C as the command does from its first moment on."""
        until = time.monotonic() + GRACE
        while not self._log.exists() and time.monotonic() < until:
            time.sleep(0.005)

    def wait(self, seconds: float = GRACE) -> int | None:
        """Its exit code, below 0 that of a signal; None where it still runs then."""
        self._process.join(seconds)
        return self._process.exitcode

    def signal(self, number: int, group: bool) -> None:
        """Send a signal to it, or to its processes as well, as a terminal does."""
        with suppress(ProcessLookupError):  # it was faster
            (os.killpg if group and self._has_group() else os.kill)(self._process.pid, number)

    def _has_group(self) -> bool:
        return os.getpgid(self._process.pid) == self._process.pid

    def end(self) -> str:
        """End it and all that it started, and tell what it printed."""
        self.signal(signal.SIGKILL, group=True)
        self._process.join()
        return self._log.read_text("utf-8", "replace") if self._log.exists() else ""

    def orphans(self) -> list[str]:
        """What still runs of its processes, a few seconds after its end."""
        until = time.monotonic() + GRACE
        while (left := _members(self._process.pid)) and time.monotonic() < until:
            time.sleep(0.05)
        return left


def _members(group: int) -> list[str]:
    """The processes of a group, by their command lines."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            try:
                words = (folder / "stat").read_text().rpartition(")")[2].split()
                if int(words[2]) == group and words[0] != "Z":
                    found.append((folder / "cmdline").read_text().replace("\0", " "))
            except OSError:
                continue  # it has just ended
    return found


def _run(arguments: list[str], log: Path, prepare: Callable[[], None] | None) -> None:
    os.setpgid(0, 0)
    handle_interrupt()
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(target, 1)
    os.dup2(target, 2)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
    sys.argv = ["nuli", *arguments]
    if prepare:
        prepare()
    from nuli.__main__ import run

    run()
