"""One search, run beside the user interface: in a thread of its own, told of a few times a second."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from PIL import Image

from ..enhancer import enhance_iter
from ..options import Options, options_from
from ..result import Event, Result
from ..search.diversity import MAX_OTHERS
from .host import Host

if TYPE_CHECKING:
    from ..imaging.photo import Photo

TOLD = 0.25
"""Seconds between two messages: more would only keep the browser busy."""


@dataclass
class Job:
    """What a session's handlers share while a search is running; each session has its own."""

    stop: threading.Event = field(default_factory=threading.Event)
    """Set: end the search, its best is the result. Each run has one of its own: a run that was stopped while
    it waited may find out after the next has begun."""
    replaced: bool = False
    """Another picture has come: nobody wants the result."""
    running: bool = False

    def end(self, replaced: bool = False) -> None:
        self.replaced = self.replaced or replaced
        self.stop.set()

    @contextmanager
    def run(self) -> Iterator[threading.Event]:
        """Marks the job as running, from a clean start to whatever end."""
        self.stop = stop = threading.Event()
        self.running = True
        try:
            yield stop
        finally:
            self.running = False
            stop.set()  # also where the browser has gone and the generator is closed


@dataclass(frozen=True)
class Live:
    """How far a search has come."""

    event: Event
    preview: Image.Image
    scorer: str


@dataclass(frozen=True)
class Pause:
    """Nothing new for a moment, and why."""

    why: str


def watch(
    host: Host, photo: Photo, options: Mapping[str, Any], stop: threading.Event, others: int = MAX_OTHERS
) -> Iterator[Live | Pause | Result]:
    """Search for a better picture, telling how it goes; ends with the result.

    Args:
        options: by name; `device` is the host's.
        others: other results of hard mode, at most.
    Raises:
        NuliError: for an option, a scorer or a device that can't be used.
    """
    news: queue.Queue[Any] = queue.Queue()
    thread = threading.Thread(target=_work, args=(host, photo, dict(options), stop, others, news), daemon=True)
    thread.start()
    waiting, ending = True, False
    while True:
        try:
            item = news.get(timeout=TOLD)
        except queue.Empty:
            if waiting and stop.is_set():
                return  # the thread finds out when it gets the lock
            if waiting:
                yield Pause("waiting for another job to end…")
            elif stop.is_set() and not ending:
                ending = True
                yield Pause("stopping…")
            continue
        waiting = False
        if isinstance(item, Result):
            yield item
            return
        if isinstance(item, BaseException):
            raise item
        if isinstance(item, Live) and news.empty() and not stop.is_set():
            yield item


def _work(
    host: Host, photo: Photo, options: dict[str, Any], stop: threading.Event, others: int, news: queue.Queue[Any]
) -> None:
    """Put Live messages and then the Result, or an exception, into the queue."""
    try:
        with host.lock():
            if stop.is_set():
                return
            news.put("begun")
            try:
                news.put(_search(host, photo, options, stop, others, news))
            finally:
                host.unload()
    except BaseException as error:
        news.put(error)


def _search(
    host: Host, photo: Photo, options: dict[str, Any], stop: threading.Event, others: int, news: queue.Queue[Any]
) -> Result:
    folders = list(host.folders())
    settings = options_from({"device": host.device(), **options})
    scorer = host.load_scorer(settings, folders)
    values = {name: getattr(settings, name) for name in Options.__dataclass_fields__} | {"scorer": scorer}
    told = 0.0

    def ended() -> bool:
        return stop.is_set() or host.stopped()

    for item in enhance_iter(photo, stop=ended, folders=folders, others=others, **values):
        now = time.perf_counter()
        if isinstance(item, Event) and now - told >= TOLD:
            told = now
            # the preview is made here: the device and the evaluator belong to this thread
            news.put(Live(item, item.preview, scorer.name))
    return item
