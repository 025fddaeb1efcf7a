"""Memory that was freed goes back to the system."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache


def give_back() -> None:
    """Let the C library return what was freed. Call it after work on pictures, in a program that goes on.

    glibc keeps what a thread frees for that thread's successors, 64 MB and more for each of several: in a server, whose
    threads come and go, that grows to a gigabyte; and hours of batches of all sizes scatter it. Other C libraries have
    no such call, and less need of it.
    """
    trim = _trim()
    if trim is not None:
        trim(0)


@cache
def _trim() -> Callable[[int], int] | None:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # no glibc; no such way to ask on Windows
        return None
