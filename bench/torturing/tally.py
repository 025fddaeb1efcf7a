"""What a kind of torture found, and how one try of it is judged."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

HANG = 10.0
"""Seconds of the processor that a try may take: on a machine that others use too, the clock says nothing."""
MOST_NOTES = 20


@dataclass
class Tally:
    """How many tries there were, how many lost a file or gave a wrong one, and what went wrong."""

    name: str
    tries: int = 0
    lost: int = 0
    """Files that were there before, and are neither as they were nor as they were to become."""
    wrong: int = 0
    """Tries that ended otherwise than in a result or in one line that says what is wrong."""
    notes: list[str] = field(default_factory=list)
    slowest: float = 0.0
    """Seconds of the processor."""

    def blame(self, text: str, lost: bool = False) -> None:
        """Note what went wrong with the current try."""
        self.lost += lost
        self.wrong += not lost
        if len(self.notes) < MOST_NOTES:
            self.notes.append(f"try {self.tries}: {text[:300]}")

    @contextmanager
    def one(self, *expected: type[Exception]) -> Iterator[None]:
        """A try in this process: any other exception is wrong, and so is a message of several lines."""
        self.tries += 1
        began = time.process_time()
        try:
            yield
        except expected as error:
            if "\n" in str(error) or not 0 < len(str(error)) < 2000:
                self.blame(f"{type(error).__name__} not in one line: {str(error)!r}")
        except Exception as error:
            self.blame(f"{type(error).__name__}: {error}")
        took = time.process_time() - began
        self.slowest = max(self.slowest, took)
        if took > HANG:
            self.blame(f"took {took:.1f} s")
