"""Ctrl-C: once to end with what there is, twice to leave."""

from __future__ import annotations

import signal
import threading


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
        signal.signal(signal.SIGINT, signal.default_int_handler)
