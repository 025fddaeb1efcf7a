"""Threads of our own, in place of torch's, for arithmetic on a CPU.

torch splits each operation over threads that spin until the last one is done. Our frames are small: an operation takes
about 0.1 ms, so where another program holds a core, the wait takes many times as long as the work. Here whole pieces of
work run in threads that use one processor each, and whoever waits for them sleeps. What a piece computes does not
depend on how many threads there are.

A host's own thread count is never touched: torch keeps it for each thread, and these threads are ours.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import TypeVar

import torch

from .devices import pick_device

T = TypeVar("T")
R = TypeVar("R")

_ours = threading.local()
"""`workers` of a thread of ours: how many threads it may share work out to."""
_beginning = threading.Lock()
_END = object()


def workers() -> int:
    """How many threads the caller may share work out to: as many as torch would use for it."""
    return getattr(_ours, "workers", None) or torch.get_num_threads()


def parallel_map(function: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """What a function makes of each item, in order, with several items at a time. It must not depend on the thread.

    After an exception no further item is begun.
    """
    if min(workers(), len(items)) <= 1:
        return [function(item) for item in items]
    failed = threading.Event()

    def work(item: T) -> R | None:
        try:
            return None if failed.is_set() else function(item)
        except BaseException:
            failed.set()
            raise

    return list(_pool("piece", workers(), 1, os.getpid()).map(work, items))


def split_evenly(items: Sequence[T], smallest: int) -> list[Sequence[T]]:
    """Items in as many pieces of equal size as there are workers; fewer where a piece would be too small to pay."""
    size = max(smallest, -(-len(items) // workers()))
    return [items[i : i + size] for i in range(0, len(items), size)]


def run_single_threaded(function: Callable[..., R], *arguments: object) -> R:
    """Call a function in a thread that uses one processor for each operation, and may share work out."""
    count = workers()
    if count == 1 or hasattr(_ours, "workers"):
        return function(*arguments)
    return _pool("search", count, count, os.getpid()).submit(function, *arguments).result()


def iterate_on(steps: Iterator[T], device: str | torch.device) -> Iterator[T]:
    """The same items; on a CPU each is computed as by `run_single_threaded`."""
    if pick_device(device).type != "cpu":
        yield from steps
        return
    while (item := run_single_threaded(next, steps, _END)) is not _END:
        yield item


def run_multithreaded(function: Callable[..., R], *arguments: object) -> R:
    """Call a function with torch's own threads, which pay for large operations: a network such as CLIP is 1.97 times as
    quick with two, and 1.3 times beside two busy processes."""
    if getattr(_ours, "workers", 1) == 1:
        return function(*arguments)
    return _pool("multithreaded", workers(), 0, os.getpid()).submit(function, *arguments).result()


@cache  # by process too: threads do not survive a fork
def _pool(name: str, threads: int, shares: int, process: int) -> ThreadPoolExecutor:
    """Threads that use one processor each, `shares` of which may work for one of them; 0 for torch's own threads. They
    are kept: new ones would cost time, and memory that the C library keeps for each."""
    return ThreadPoolExecutor(threads, f"nuli-{name}", partial(_begin, shares) if shares else None)


def _begin(shares: int) -> None:
    """Prepare a thread of ours.

    `torch.set_num_threads` sets the number of the calling thread and of all threads that have not computed yet. Those
    are not ours, so a second thread, which ends at once, sets that number back.
    """
    _ours.workers = shares
    with _beginning:  # two of ours at once would take each other's number for the host's
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        restore = threading.Thread(target=torch.set_num_threads, args=(before,))
        restore.start()
        restore.join()
