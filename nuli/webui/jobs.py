"""Searches that an API client starts, watches and stops, and the answers kept for it."""

from __future__ import annotations

import json
import secrets
import threading
import time
from dataclasses import dataclass, field, replace
from typing import Any

from ..hosting import Task
from .pictures import RequestError, encode_preview

EXPIRY_SECONDS = 600.0
"""Seconds for which an answer waits for its client."""
MAX_BYTES = 1 << 28
"""The bytes of all the answers that wait; the newest is kept whatever its size."""
MAX_JOBS = 1000
"""The answers that wait, at most."""


@dataclass(frozen=True, eq=False)
class Outcome:
    """How a request ended: the HTTP status, the JSON in pieces, and the error alone where it is one."""

    status: int
    pieces: list[bytes]
    error: str | None = None


@dataclass(eq=False)
class Job:
    """A task by its name. The task's outcome is an Outcome."""

    task: Task
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    finished: float | None = None
    """By time.monotonic()."""

    @property
    def outcome(self) -> Outcome | None:
        """None where there is none yet, or the task was ended while it waited."""
        over = self.task.over and self.task.outcome.exception() is None
        return self.task.outcome.result() if over else None

    @property
    def size(self) -> int:
        return sum(map(len, self.outcome.pieces)) if self.outcome else 0


class Jobs:
    """The jobs of one server. No call waits for anything."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()
        self._timer: threading.Timer | None = None

    def add(self, task: Task) -> Job:
        """A job for a task that runs; it is forgotten some time after its end."""
        job = Job(task)
        with self._lock:
            self._jobs[job.id] = job
        task.outcome.add_done_callback(lambda _: self._finish(job))
        return job

    def get(self, name: str, preview: bool = False) -> Job:
        """The job of that name; with `preview` its task is told that somebody looks. Raises RequestError."""
        self._tidy()
        with self._lock:
            job = self._jobs.get(name)
        if job is None:
            raise RequestError("there is no such job, or it ended long ago", 404)
        if preview:
            job.task.watched_at = time.monotonic()
        return job

    def describe(self, job: Job) -> list[bytes]:
        """What a client is told of a job: pieces of JSON."""
        task, state = job.task, job.task.state  # the state first: a task that is done has its outcome
        outcome, now = job.outcome, task.progress
        error = outcome.error if outcome else "stopped before it began" if task.over else None
        fields: dict[str, Any] = {"id": job.id, "state": state}
        if error:
            fields["state"] = "stopped" if task.stopping or not outcome else "failed"
        if now:
            fields |= {
                "progress": round(now.progress, 3),
                "evaluations": now.evaluations,
                "seconds": round(now.seconds, 3),
                "score_before": now.score_before,
                "best_score": now.best_score,
                "recipe": now.recipe.to_line(),
            }
        fields |= {"preview": encode_preview(now.preview) if now and now.preview else None, "error": error}
        result = outcome.pieces if outcome and not error else [b"null"]
        return [json.dumps(fields)[:-1].encode(), b', "result": ', *result, b"}"]

    def _finish(self, job: Job) -> None:
        job.finished = time.monotonic()
        if job.task.progress:
            job.task.progress = replace(job.task.progress, preview=None)
        self._tidy()

    def _tidy(self) -> None:
        """Forget answers that are too old or too many, and come back when the next one will be."""
        with self._lock:
            now = time.monotonic()
            waiting = sorted((j for j in self._jobs.values() if j.finished is not None), key=lambda j: j.finished)
            used = sum(job.size for job in waiting)
            while waiting and (
                now - waiting[0].finished >= EXPIRY_SECONDS
                or (used > MAX_BYTES and len(waiting) > 1)
                or len(waiting) > MAX_JOBS
            ):
                used -= waiting[0].size
                del self._jobs[waiting.pop(0).id]
            idle = self._timer in (None, threading.current_thread()) or not self._timer.is_alive()
            if waiting and idle:
                self._timer = threading.Timer(waiting[0].finished + EXPIRY_SECONDS - now, self._tidy)
                self._timer.daemon = True
                self._timer.start()
