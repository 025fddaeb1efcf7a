"""Searches that an API client starts, watches and stops."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from ..errors import NuliError
from .pictures import RequestError, encode_preview

MOST_WAITING = 8
"""Each holds its picture, unpacked."""
MOST_FINISHED = 8
"""Answers kept for their clients to fetch: each holds a picture."""
PREVIEW_EVERY = 0.5


@dataclass
class Job:
    id: str
    steps: Generator[Any, None, None] = field(repr=False)
    state: str = "queued"
    """queued, running, done, failed or stopped."""
    stop: threading.Event = field(default_factory=threading.Event, repr=False)
    progress: dict[str, Any] = field(default_factory=dict)
    preview: str | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    watched: float = 0.0
    """When a client last asked for a preview; nobody else pays for one."""

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "state": self.state,
            **self.progress,
            "preview": self.preview,
            "result": self.result,
            "error": self.error,
        }

    @property
    def over(self) -> bool:
        return self.state in ("done", "failed", "stopped")


class Jobs:
    """All jobs of one server, each in a thread that waits its turn on the host's queue."""

    def __init__(self, report: Callable[[str], None]) -> None:
        """`report` is told of failures that nobody expected."""
        self._report, self._jobs, self._lock = report, dict[str, Job](), threading.Lock()

    def start(self, make: Callable[[Callable[[], bool]], Generator[Any, None, None]]) -> Job:
        """Run `make(stop)`, an iterator of events with the answer at its end. Raises RequestError when full."""
        with self._lock:
            if sum(not job.over for job in self._jobs.values()) >= MOST_WAITING:
                raise RequestError("too many jobs are waiting: try again later", 429)
            stop = threading.Event()
            job = Job(secrets.token_hex(16), make(stop.is_set), stop=stop)
            self._jobs[job.id] = job
            for old in [j.id for j in self._jobs.values() if j.over][:-MOST_FINISHED]:
                del self._jobs[old]
        threading.Thread(target=self._run, args=(job,), name="nuli-job", daemon=True).start()
        return job

    def get(self, name: str, preview: bool = False) -> Job:
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise RequestError("there is no such job, or it ended long ago", 404)
        if preview:
            job.watched = time.monotonic()
        return job

    def stop(self, name: str) -> Job:
        """Ask a job to end; one that has begun still gives the best that it found."""
        job = self.get(name)
        job.stop.set()
        return job

    def _run(self, job: Job) -> None:
        shown = 0.0
        try:
            with closing(job.steps) as steps:  # whatever happens here, the host's queue is let go
                for event in steps:
                    if isinstance(event, dict):
                        job.result = event
                        continue
                    job.state, job.progress = "running", _progress(event)
                    now = time.monotonic()
                    if now - job.watched < 5 and now - shown >= PREVIEW_EVERY:
                        job.preview, shown = encode_preview(event.preview), now
            job.state = "stopped" if job.stop.is_set() else "done"
        except NuliError as error:
            job.error, job.state = str(error), "stopped" if job.stop.is_set() else "failed"
        except Exception as error:
            job.error, job.state = f"{type(error).__name__}: {error}", "failed"
            self._report(f"an API job failed: {job.error}")
        finally:
            del job.steps  # and the picture with it


def _progress(event: Any) -> dict[str, Any]:
    return {
        "progress": round(event.progress, 3),
        "evaluations": event.evaluations,
        "seconds": round(event.seconds, 3),
        "score_before": event.score_before,
        "best_score": event.best_score,
        "recipe": event.recipe.to_line(),
    }
