"""Several pictures at a time on this machine.

The embedded scorers work in processes, one thread each: nothing is shared, so that a picture more costs nothing but a
processor. A large network, or a GPU, is shared by threads of one process, which score their candidates together.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from functools import partial
from itertools import islice, takewhile
from typing import Any

from ..errors import ImageError, NuliError
from ..options import Options
from ..sources import FileTask
from .memory import Gate
from .work import AnySettings, LookSettings, Record, failure

AHEAD = 4
"""Pictures begun for each job before the record of the first of them has been taken."""
SHARED_JOBS = 4
"""Pictures at a time that keep a GPU busy."""
MOST_JOBS = 61 if sys.platform == "win32" else 4096
"""Processes that the system can wait for."""
DIED = "the process that worked on it died, perhaps for want of memory: try it by itself"
KEPT_BLOCKS = 16
"""Blocks of 16 MB that Pillow keeps for its next picture: to get fresh memory costs as much time as to fill it."""


def shares_a_device(options: Options) -> bool:
    """Whether searches have to share a GPU, or a scorer too large for every process to have its own."""
    from ..scoring.registry import resolve_scorer

    return options.device not in ("auto", "cpu") or resolve_scorer(options.scorer, options.mode).is_large


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pick_jobs(options: Options) -> int:
    """How many pictures at a time suit this machine and the scorer. Raises OptionError for a device that is none."""
    if not shares_a_device(options):
        return processors()
    from ..devices import pick_device

    # a large network takes all processors for one picture: two at a time would get half as many candidates each
    return 1 if pick_device(options.device).type == "cpu" else min(SHARED_JOBS, processors())


def run(
    tasks: Iterable[FileTask], settings: AnySettings, jobs: int, stop: threading.Event
) -> Iterator[tuple[FileTask, Record]]:
    """Do all tasks, and give each with its record, in order. After a stop, those that have not begun are left out.

    Args:
        jobs: pictures at a time, each on one processor; 0 for one picture at a time on all of them.
        stop: ends all searches with their best so far.
    Raises:
        NuliError: what was asked for can't be done with any picture.
    """
    remaining = takewhile(lambda _: not stop.is_set(), tasks)
    if jobs <= 1:
        if jobs and not _shares_a_device(settings):
            work_alone()
        worker = settings.worker(stop.is_set, lambda scorer: scorer)
        done = ((task, worker(task)) for task in remaining)
        yield from ((task, record) for task, record in done if record is not None)
        return
    pool = (_Threads if _shares_a_device(settings) else _Processes)(settings, jobs, stop)
    try:
        waiting = deque((task, pool.submit(task)) for task in islice(remaining, AHEAD * jobs))
        while waiting:
            task, result = waiting.popleft()
            record = result()
            waiting.extend((task, pool.submit(task)) for task in islice(remaining, 1))
            if record is not None:
                yield task, record
        pool.close(at_once=False)
    except BaseException:  # an interruption, or nobody wants any more
        pool.close(at_once=True)
        raise


def _shares_a_device(settings: AnySettings) -> bool:
    return not isinstance(settings, LookSettings) and shares_a_device(settings.options)


Pending = Callable[[], "Record | None"]
"""Waits for a record; None where the picture was left out after a stop."""


class _Threads:
    """A pool of threads that share one scorer."""

    def __init__(self, settings: AnySettings, jobs: int, stop: threading.Event) -> None:
        import torch

        from .shared import share

        self._closed, self._gate = threading.Event(), Gate(threading)
        self._stopped = lambda: stop.is_set() or self._closed.is_set()
        self._worker = settings.worker(self._stopped, partial(share, threads=torch.get_num_threads()))
        # a thread's own arithmetic is on small pictures
        self._pool = ThreadPoolExecutor(jobs, "nuli", lambda: torch.set_num_threads(1))

    def submit(self, task: FileTask) -> Pending:
        return self._pool.submit(self._work, task).result

    def _work(self, task: FileTask) -> Record | None:
        with self._gate.room_for(task.source):
            return None if self._stopped() else self._worker(task)

    def close(self, at_once: bool) -> None:
        self._closed.set()
        self._pool.shutdown(wait=not at_once, cancel_futures=True)


class _Processes:
    """A pool of processes. One that dies, as for want of memory, takes no other picture along."""

    def __init__(self, settings: AnySettings, jobs: int, stop: threading.Event) -> None:
        self._context = multiprocessing.get_context("spawn")
        if sys.platform == "linux":
            self._context = multiprocessing.get_context("forkserver")
            _start_fork_server()
        # each by itself is quicker on a processor than all of them on one GPU
        self._settings, self._jobs = replace(settings, options=replace(settings.options, device="cpu")), jobs
        self._stop, self._closed = self._context.Event(), False
        threading.Thread(target=self._pass_on, args=(stop,), daemon=True).start()
        self._pool = self._start(jobs)

    def _pass_on(self, stop: threading.Event) -> None:
        """Let the processes know of a stop."""
        while not self._closed:
            if stop.wait(0.1):
                self._stop.set()
                return

    def _start(self, jobs: int) -> ProcessPoolExecutor:
        given = (self._settings, self._stop, Gate(self._context))
        return ProcessPoolExecutor(min(jobs, MOST_JOBS), self._context, _begin, given)

    def submit(self, task: FileTask) -> Pending:
        try:
            future = self._pool.submit(_work, task)
        except BrokenProcessPool:
            self._pool = self._start(self._jobs)
            future = self._pool.submit(_work, task)
        pool = self._pool

        def wait() -> Record | None:
            try:
                return future.result()
            except BrokenProcessPool:
                return self._alone(task, pool)

        return wait

    def _alone(self, task: FileTask, broken: ProcessPoolExecutor) -> Record | None:
        """Do a picture that was under way when a process died, by itself: if it is to blame, that shows now."""
        if self._pool is broken:
            self._pool = self._start(self._jobs)
        with self._start(1) as alone:
            try:
                return alone.submit(_work, task).result()
            except BrokenProcessPool:
                return failure(task, ImageError(f"{task.source}: {DIED}"))

    def close(self, at_once: bool) -> None:
        self._closed = True
        self._stop.set()
        for child in multiprocessing.active_children() if at_once else ():
            child.kill()
        self._pool.shutdown(cancel_futures=True)


_state: tuple[Callable[[FileTask], Record] | NuliError, Any, Gate]
"""Of a process of the pool: what does the work, the event that stops it, and the gate."""


def _begin(settings: AnySettings, stop: Any, gate: Gate) -> None:
    """Prepare a process of the pool."""
    global _state
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it, and says so by `stop`
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work_alone()
    try:
        _state = settings.worker(stop.is_set, lambda scorer: scorer), stop, gate
    except NuliError as error:  # raised here, it would break the pool, and nobody would hear of it
        _state = error, stop, gate


def _start_fork_server() -> None:
    """Start the process that all others are forked from: it loads torch once, and all of them share its memory.

    It is deaf to Ctrl-C, of which it would die while it loads torch.
    """
    from multiprocessing import forkserver, resource_tracker

    forkserver.set_forkserver_preload(["nuli.enhancer", "nuli.scoring.tone", "nuli.scoring.taste"])
    resource_tracker.ensure_running()  # which would let Ctrl-C through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        forkserver.ensure_running()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def work_alone() -> None:
    """Let this process do one picture after the other, on one processor."""
    import torch
    from PIL import Image

    torch.set_num_threads(1)
    Image.core.set_blocks_max(KEPT_BLOCKS)


def _end_with_parent() -> None:
    """A parent that is killed can't end its children."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(task: FileTask) -> Record | None:
    worker, stop, gate = _state
    if isinstance(worker, NuliError):
        raise worker
    with gate.room_for(task.source):
        return None if stop.is_set() else worker(task)
