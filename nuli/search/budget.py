"""What a search may take: seconds, evaluations, and no more after the user's stop."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

GRACE = 0.15
"""Seconds that evaluations for one purpose may take after the user's stop."""


class Budget:
    """Counts from when it is made.

    Args:
        seconds: None where time doesn't count.
        evaluations: most candidates to score; None where they don't count.
        stop: whether the user wants an end.
    """

    def __init__(self, seconds: float | None, evaluations: int | None, stop: Callable[[], bool]) -> None:
        self._start = time.perf_counter()
        self.seconds, self.evaluations, self.stop = seconds, evaluations, stop
        self.spent: Callable[[], int] = lambda: 0
        """Evaluations so far."""
        self._prepared = 0.0
        self._stopped = False

    def begin(self, spent: Callable[[], int]) -> None:
        """Preparations are over, the untouched picture is scored: time per evaluation is measured from here."""
        self.spent, self._prepared = spent, self.elapsed

    @property
    def elapsed(self) -> float:
        return time.perf_counter() - self._start

    @property
    def progress(self) -> float:
        by_time = self.elapsed / self.seconds if self.seconds else 0.0
        return min(1.0, max(by_time, self.spent() / self.evaluations if self.evaluations else 0.0))

    @property
    def stopped(self) -> bool:
        """Whether the user wants an end."""
        self._stopped = self._stopped or self.stop()
        return self._stopped

    @property
    def _each(self) -> float:
        """Seconds that an evaluation takes."""
        return (self.elapsed - self._prepared) / max(1, self.spent() - 1)

    @property
    def affordable(self) -> int:
        """As many evaluations as don't keep a user waiting who wants an end."""
        return int(min(GRACE / max(self._each, 1e-6), sys.maxsize)) if self.stopped else sys.maxsize

    def remaining(self, reserve: int) -> int:
        """Evaluations that are left, `reserve` kept back; 0 when stopped or out of time."""
        if self.stopped:
            return 0
        each = self._each
        # of a short time, or with a slow scorer, most is still for the search
        if self.seconds is not None and self.elapsed + min(reserve * each, 0.3 * self.seconds) >= self.seconds:
            return 0
        return self.remaining_evaluations(reserve)

    def remaining_evaluations(self, reserve: int) -> int:
        """Evaluations that are left, `reserve` kept back, whatever the time, stopped or not."""
        return sys.maxsize if self.evaluations is None else max(0, self.evaluations - self.spent() - reserve)
