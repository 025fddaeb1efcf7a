"""The program that nuli works in, and the work done there: one queue for the tab, its batch and the HTTP API.

Nothing here imports gradio, a WebUI's `modules`, or, before there is work, torch.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import BusyError, ImageError, StoppedError
from .heap import give_back
from .scoring.registry import cached_scorer

if TYPE_CHECKING:
    from PIL import Image

    from .imaging.photo import Photo
    from .options import Options
    from .recipe import Recipe
    from .result import Event, Result
    from .scoring.protocol import Scorer

MAX_TASKS = 8
"""Tasks admitted at once: each holds its picture, unpacked. Beside them there may be two that nobody wants any more:
the one at the device, and the first in the queue, which waits for the host's lock until it gets it."""
PATIENCE = 15.0
"""Seconds for which somebody who was refused is expected to come back: room is kept for them."""
PROGRESS_INTERVAL = 0.25
"""Seconds between two reports of progress: more would only keep a browser busy."""
PREVIEW_WINDOW = 5.0
"""Seconds after somebody looked in which previews are still made."""


class _Queue:
    """A lock that is given in the order in which it was asked for, and whoever waits for it may leave. One of
    threading's may go to whoever came last, and doesn't let go of those who wait."""

    def __init__(self) -> None:
        self._changed, self._line = threading.Condition(), deque[object]()  # the first one holds it

    def __enter__(self) -> None:
        self.join(object())

    def __exit__(self, *_: object) -> None:
        self.next()

    def join(self, who: object, gone: Callable[[], bool] = lambda: False) -> bool:
        """Wait for the lock; False where they are gone already, or `leave` came first."""
        with self._changed:
            if gone():
                return False
            self._line.append(who)
            self._changed.wait_for(lambda: who not in self._line or self._line[0] is who)
            return who in self._line

    def leave(self, who: object) -> None:
        """End somebody's waiting; who holds the lock keeps it."""
        with self._changed:
            if who in self._line and self._line[0] is not who:
                self._line.remove(who)
                self._changed.notify_all()

    def next(self) -> None:
        """Let go of the lock."""
        with self._changed:
            self._line.popleft()
            self._changed.notify_all()


_DEVICE_LOCK = _Queue()


def _no_place(*_: object) -> Path:
    raise ImageError("pictures can't be saved here: this program names no place for them")


class Limits(NamedTuple):
    """What one request of the API may ask for."""

    megapixels: float = 64.0
    seconds: float = 120.0


@dataclass(frozen=True)
class Host:
    """The hooks of a WebUI; the defaults are those of the stand-alone interface."""

    lock: Callable[[], AbstractContextManager[Any]] = lambda: _DEVICE_LOCK
    """Held while the device works: one job at a time. Entered and left by the same thread."""
    stopped: Callable[[], bool] = lambda: False
    """Whether the host's user wants the running search to end (Interrupt, Skip); asked with the lock held."""
    interrupted: Callable[[], bool] = lambda: False
    """Whether they want all that was asked for to end (Interrupt alone); asked with the lock held."""
    device: Callable[[], str] = lambda: "auto"
    """The torch device to work on."""
    folders: Callable[[], Sequence[Path]] = lambda: ()
    """Where weights may lie, besides the usual caches."""
    load_scorer: Callable[[Options, Sequence[Path]], Scorer] = cached_scorer
    """load_scorer(options, folders): called with the lock held. Raises NuliError."""
    save: Callable[[Image.Image, str, str], Path] = _no_place
    """save(image, infotext, name) -> where it went. `image.info` holds the source's metadata; the infotext
    is complete: the source's own and ours; the name is that of the source's file, or "". Raises NuliError."""
    defaults: Callable[[], Mapping[str, Any]] = dict
    """Values of options that differ from the table's, by name: the user's settings."""
    server_folders: bool = True
    """Whether a user may name a folder of this machine for a batch; False where strangers can reach it."""
    limits: Callable[[], Limits] = Limits
    """What one request of the API may ask for."""
    report: Callable[[str], None] = lambda message: logging.getLogger("nuli").error(message, exc_info=True)
    """Tell the server's log of an error, while it is being handled."""


@dataclass(frozen=True, eq=False)
class Progress:
    """How far a search has come: the figures of its last Event, which itself would keep all that it holds."""

    progress: float
    evaluations: int
    seconds: float
    score_before: float
    best_score: float
    recipe: Recipe
    scorer: str
    preview: Image.Image | None
    """None where nobody is watching."""


class Task:
    """One piece of work, in a thread of its own, that somebody watches and may end.

    Its state is new, queued (it waits for its turn), running, then done, failed or stopped.

    Args:
        release: gives its place back; may be called several times.
        queue: of the tasks of one worker. The first one alone waits for the host's lock, whose waiting can't be ended.
    """

    def __init__(self, host: Host, release: Callable[[], None], queue: _Queue | None = None) -> None:
        self.host, self.state, self._queue = host, "new", queue or _Queue()
        self.progress: Progress | None = None
        self.note: Any = None
        """What the work itself wants to show, by `show`."""
        self.watched_at = float("-inf")
        """When somebody last looked at the preview, by time.monotonic()."""
        self.accepted: Future[bool] = Future()
        """True once the work waits for the lock: what it was given is in order. False where it was over before."""
        self.outcome: Future[Any] = Future()
        """What the work returned or raised."""
        self._release, self._stop, self._reported_at = release, threading.Event(), float("-inf")
        self._dropped = False
        self._lock, self._news = threading.RLock(), threading.Event()

    @property
    def over(self) -> bool:
        return self.outcome.done()

    @property
    def stopping(self) -> bool:
        return self._stop.is_set()

    def ended(self) -> bool:
        """Whether somebody wants the search to end; its best so far is the result. Asked on a `turn`."""
        return self.stopping or self.host.stopped()

    def end(self) -> None:
        """End the work; where it waits for its turn, at once. What is over already stays what it is."""
        with self._lock:
            if self.over:
                return
            self._stop.set()
            if self.state == "queued":
                self._finish(StoppedError("stopped before it began"))
                self._queue.leave(self)
                self._release()
        self._news.set()

    def drop(self) -> None:
        """End the work, whose result nobody wants any more. Once it has been queued, its place is free at once."""
        self._dropped = True
        self.end()
        with self._lock:
            if self.state == "running":
                self._release()

    def start(self, work: Callable[[Task], Any]) -> None:
        """Run work(task); once, in place of `abandon`."""
        try:
            threading.Thread(target=self._run, args=(work,), name="nuli", daemon=True).start()
        except RuntimeError:  # the system has no more threads
            self._release()
            raise

    def abandon(self) -> None:
        """Give the place up: there is nothing to do after all."""
        self._release()

    def show(self, note: Any) -> None:
        """Show something to whoever watches."""
        self.note = note
        self._news.set()

    def report(self, event: Event, scorer: str) -> None:
        """Show how far the search is. A preview is made here: the device belongs to this thread.

        Raises StoppedError where nobody wants the result: then none is rendered.
        """
        if self._dropped:
            raise StoppedError("nobody waits for this any more")
        now = time.monotonic()
        if now - self._reported_at < PROGRESS_INTERVAL:
            return
        self._reported_at = now
        preview = event.preview if now - self.watched_at < PREVIEW_WINDOW else None
        figures = event.progress, event.evaluations, event.seconds, event.score_before, event.best_score, event.recipe
        self.progress = Progress(*figures, scorer, preview)
        self._news.set()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """The device, once those before are through and the host gives it. Raises StoppedError where the task was ended
        before."""
        self._enter("queued")
        if not self._queue.join(self, lambda: self.over):
            raise StoppedError("stopped before it began")
        try:
            with self.host.lock():
                self._enter("running")
                yield
        finally:
            self._queue.next()

    def watch(self, every: float = math.inf) -> Iterator[None]:
        """Yields whenever there is news, and once in `every` seconds, until the task is over. It ends with whoever
        watches."""
        seen: Any = None
        try:
            while not self.over:
                self.watched_at = time.monotonic()
                news = (self.state, self.stopping, self.progress, self.note, time.monotonic() // every)
                if news != seen:
                    seen = news
                    yield
                self._news.wait(PROGRESS_INTERVAL)
                self._news.clear()
        finally:
            self.end()  # a browser that has gone closes the generator

    def _enter(self, state: str) -> None:
        with self._lock:
            if self.stopping or self.over:
                raise StoppedError("stopped before it began")
            self.state = state
            if not self.accepted.done():
                self.accepted.set_result(True)
        self._news.set()

    def _finish(self, error: BaseException | None = None, result: Any = None) -> None:
        with self._lock:
            if self.over:
                return
            failed = error is not None and not isinstance(error, StoppedError)
            # the outcome first: whoever reads that it is done finds it
            if error is None:
                self.outcome.set_result(result)
            else:
                self.outcome.set_exception(error)
            self.state = "failed" if failed else "stopped" if self.stopping or error else "done"
            if not self.accepted.done():
                self.accepted.set_result(False)
        self._news.set()

    def _run(self, work: Callable[[Task], Any]) -> None:
        result, error = None, None
        try:
            result = work(self)
        except BaseException as caught:
            error = caught
        self._release()  # before anybody hears of the end: who does may ask for the place
        self._finish(error, result)
        give_back()


class Worker:
    """All the work of one host: so much is taken on at once, and the host's lock lets one at a time at the device."""

    def __init__(self, host: Host | None = None, max_tasks: int = MAX_TASKS) -> None:
        self.host, self._max_tasks = host or Host(), max_tasks
        self._lock, self._places, self._refused = threading.Lock(), Counter[str](), dict[str, float]()
        self._queue = _Queue()

    def admit(self, owner: str = "") -> Task:
        """A task that has a place and no work yet: `start` it, or `abandon` it. Raises BusyError.

        Args:
            owner: whose it is. Once somebody else was refused, nobody gets more than an equal share of the places.
        """
        with self._lock:
            now = time.monotonic()
            self._refused = {name: at for name, at in self._refused.items() if now - at < PATIENCE}
            others = self._refused.keys() - {owner}
            sharing = len(self._places.keys() | others | {owner}) if others else 1
            if self._places.total() >= self._max_tasks or self._places[owner] >= max(1, self._max_tasks // sharing):
                self._refused[owner] = now
                raise BusyError("too much work is waiting already: try again in a few seconds")
            self._refused.pop(owner, None)
            self._places[owner] += 1
        place = [owner]
        return Task(self.host, lambda: self._release(place), self._queue)

    def _release(self, place: list[str]) -> None:
        """Free a place, once, whose owner's name stands there as long as it is taken."""
        with self._lock:
            if place:
                self._places[place.pop()] -= 1
                self._places = +self._places  # without those who have none

    def start(self, work: Callable[[Task], Any]) -> Task:
        """Run work(task) in a thread of its own. Raises BusyError."""
        task = self.admit()
        task.start(work)
        return task

    def run(self, work: Callable[[Task], Any]) -> Any:
        """Run work(task) on its turn, and wait for what it returns. Raises what it raises, and BusyError."""

        def on_turn(task: Task) -> Any:
            with task.turn():
                return work(task)

        return self.start(on_turn).outcome.result()


class Slot:
    """A place for one task at a time, such as one user's search: of two clicks, the second one is refused."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.task: Task | None = None
        self.closed = False
        """Nobody wants a result any more."""

    def __deepcopy__(self, memo: Any) -> Slot:
        return Slot()  # gradio copies a state's first value for every visitor

    def check(self, what: str = "a search") -> None:
        """Raise BusyError where a task is running here."""
        if self.task is not None and not self.task.over:
            raise BusyError(f"{what} is running: wait for its end, or press Stop")

    def start(self, worker: Worker, work: Callable[[Task], Any], what: str = "a search") -> Task:
        """Run work(task). Raises BusyError where one is running here, or the worker has no place."""
        with self._lock:
            self.check(what)
            self.task = task = worker.start(work)
        # a task that is over holds its result, and gradio holds this slot for as long as it runs
        task.outcome.add_done_callback(lambda _: self._forget(task))
        return task

    def _forget(self, task: Task) -> None:
        with self._lock:
            if self.task is task:
                self.task = None

    def end(self) -> None:
        """End what runs here."""
        task = self.task
        if task is not None:
            task.end()

    def close(self) -> None:
        """End what runs here; its result is not to be shown."""
        self.closed = True
        self.end()


def search(task: Task, photo: Photo, options: Options, **more: Any) -> Result:
    """Search for a better picture, on the task's turn, telling how it goes.

    Args:
        more: further arguments of `nuli.enhance`.
    Raises:
        NuliError: for an option, a scorer or a device that can't be used.
    """
    from .enhancer import enhance

    # a reference is a scorer of its own
    scorer = None if more.get("match") is not None else task.host.load_scorer(options, task.host.folders())
    name = scorer.name if scorer else "match"
    return enhance(
        photo, options, scorer=scorer, stop=task.ended, progress=lambda event: task.report(event, name), **more
    )
