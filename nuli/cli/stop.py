"""Ctrl-C: once to end with what there is, twice to leave."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from types import FrameType

INTERRUPTED = 130
"""The exit code: 128 and the number of SIGINT, as shells have it."""


class Stop(threading.Event):
    """Set by the first Ctrl-C, so that searches end and their best is saved; the second one interrupts."""

    def __enter__(self) -> Stop:
        """Handle Ctrl-C from now on."""
        self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave Ctrl-C to whoever handled it before."""
        signal.signal(signal.SIGINT, self._previous)

    def _handle(self, *_: object) -> None:
        """Note the first Ctrl-C, and let the next one interrupt."""
        self.set()
        handle_interrupt()


def handle_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt from now on, but within an import leave the process at once."""
    signal.signal(signal.SIGINT, _interrupt)


def _interrupt(_: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt. Within an import this would reach C++ code that sets a library up, and torch aborts the
    process of it; nearly all imports come before the work."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            with suppress(OSError):  # print could be what was interrupted
                os.write(2, b"nuli: interrupted\n")
            os._exit(INTERRUPTED)
        frame = frame.f_back
    raise KeyboardInterrupt
