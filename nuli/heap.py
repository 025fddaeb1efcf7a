"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache
from typing import Generic, TypeVar

T = TypeVar("T")


class Spare(Generic[T]):
    """Large things that are costly to make: one that is not in use is kept for the next who takes one, until
    `give_back`."""

    _all: list[Spare] = []  # noqa: RUF012  # of all of them

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self._kept = make, list[T]()
        self._all.append(self)

    def take(self) -> T:
        """The one that is kept, or a new one."""
        try:
            return self._kept.pop()
        except IndexError:
            return self._make()

    def keep(self, thing: T) -> None:
        """Keep one that is not in use any more, in place of another that is kept."""
        self._kept[:] = [thing]

    @classmethod
    def free(cls) -> None:
        """Let go of all that are kept."""
        for spare in cls._all:
            spare._kept.clear()


def give_back() -> None:
    """Free what is kept for later, and let the C library return what was freed. Call it after work on pictures, in a
    program that goes on.

    glibc keeps what a thread frees for that thread's successors, 64 MB and more for each of several: in a server, whose
    threads come and go, that grows to a gigabyte; and hours of batches of all sizes scatter it. Other C libraries have
    no such call, and less need of it.
    """
    Spare.free()
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # no glibc; no such way to ask on Windows
        return None
