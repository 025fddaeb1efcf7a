"""`nuli enhance` for many pictures: several at a time, what is done already left out, and a summary at the end."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from ..bulk.journal import IS_RESULT, NAME, Journal, find_results
from ..bulk.local import pick_jobs, processors, run
from ..bulk.summary import check_name, count_words, row_of, write_summary
from ..bulk.work import SKIPPED, LookSettings, Record, Settings, failure, skipped
from ..errors import EmptyError, ImageError, NuliError, OptionError
from ..sources import FileTask, plan_files, signature_of
from .console import bar, complain, draw, say, tell
from .enhance import report, tell_scorer
from .stop import Stop
from .tasks import number_of_jobs, tell_left
from .together import find_look

POLL = 2.0
"""Seconds between two looks at a watched folder; a file that stayed as it was between them is complete."""


def enhance_many(parsed: argparse.Namespace, settings: Settings) -> int:
    """Enhance many pictures; returns the exit code."""
    # one correction for all needs no scorer any more
    jobs = number_of_jobs(parsed.jobs, processors if parsed.together else partial(pick_jobs, settings.options))
    if parsed.summary:
        check_name(parsed.summary)
    if parsed.together:
        _check_together(parsed)
    place = None if parsed.no_journal else journal_place(parsed.pictures, parsed.output, parsed.in_place)
    settings = replace(settings, journal=None if parsed.dry_run else place)
    bulk = _Bulk(parsed, settings, jobs, place)
    if not parsed.json and not parsed.match:
        tell_scorer(settings.options)
    with Stop() as stop:
        code = bulk.once(stop)
        if parsed.watch and not parsed.dry_run:
            code = max(code, bulk.watch(stop))
    return code


def journal_place(pictures: list[Path], output: Path | None, in_place: bool) -> Path | None:
    """Where the journal is: in the folder of the results, else in the first folder with sources that can be written to.

    There is none for one file, unless it is written over. In place, it lies where each picture's folder or one above
    it is: there it is found again, whatever folder is named the next time.
    """
    if not in_place and len(pictures) == 1 and not pictures[0].is_dir():
        return None
    folders = [path if path.is_dir() else path.absolute().parent for path in pictures]
    if in_place:  # what a link leads to is written over
        folders = [path.resolve() if path.is_dir() else path.resolve().parent for path in pictures]
        if len({folder.anchor for folder in folders}) == 1:
            folders.insert(0, Path(os.path.commonpath(folders)))
    return (output or next((folder for folder in folders if os.access(folder, os.W_OK)), folders[0])) / NAME


def _check_together(parsed: argparse.Namespace) -> None:
    """Raise OptionError for what a series can't have."""
    wrong = {"--watch": parsed.watch, "--others": parsed.others != "0", "--save-recipe": parsed.save_recipe}
    for name, given in wrong.items():
        if given:
            raise OptionError(f"--together is for pictures that there are, and one result of each: leave {name} out")


class _Bulk:
    """A run over many pictures: what became of each so far, and the exit code."""

    def __init__(self, parsed: argparse.Namespace, settings: Settings, jobs: int, place: Path | None) -> None:
        self._parsed, self._settings, self._jobs = parsed, settings, jobs
        self._place = place
        self._rows: dict[Path, dict[str, Any]] = {}
        self._done: dict[Path, tuple[int, int] | None] = {}
        """What was begun, whatever became of it, and the signature that it had."""
        self._told: list[NuliError] = []

    def once(self, stop: Stop) -> int:
        """Do all pictures that there are now; returns the exit code."""
        tasks, errors = self._plan()
        code = max([complain(error) for error in self._news(errors)], default=0)
        if self._parsed.dry_run:
            return max(code, self._tell_plan(tasks))
        return max(code, self._do(tasks, stop))

    def watch(self, stop: Stop) -> int:
        """Do pictures as they come, until Ctrl-C; returns the exit code."""
        tell("nuli: watching for pictures; Ctrl-C ends it")
        code, before = 0, {}
        while not stop.wait(POLL):
            tasks, errors = self._plan()
            code = max([code, *(complain(error) for error in self._news(errors))])
            now = {task.source: signature_of(task.source) for task in tasks}
            news = [task for task in tasks if now[task.source] != self._done.get(task.source)]
            ready = [task for task in news if now[task.source] == before.get(task.source)]
            before = now
            if ready:
                code = max(code, self._do(ready, stop))
        return code

    def _plan(self) -> tuple[list[FileTask], list[NuliError]]:
        asked, others = self._parsed, self._settings.others
        how = asked.recursive, asked.output, asked.in_place, others, not asked.dry_run
        return plan_files(asked.pictures, *how)

    def _news(self, errors: list[NuliError]) -> list[NuliError]:
        """The errors that have not been told yet; a folder that is watched may be empty."""
        told = {str(error) for error in self._told}
        news = [e for e in errors if str(e) not in told and not (self._parsed.watch and isinstance(e, EmptyError))]
        self._told += news
        return news

    def _known(self, tasks: list[FileTask], settings: Settings | LookSettings) -> dict[Path, Record]:
        """The records of pictures that were done before, by their sources."""
        if self._place is None or self._parsed.redo or not self._place.exists():
            return {}
        journal = Journal(self._place, settings.digest)
        try:
            found = {task.source: journal.find(task) for task in tasks}
        finally:
            journal.close()
        return {source: {**record, "status": SKIPPED} for source, record in found.items() if record is not None}

    def _refused(self, tasks: list[FileTask]) -> dict[Path, Record]:
        """The records of pictures that would be written over a second time, by their sources."""
        if self._place is None or not self._parsed.in_place:
            return {}
        results = find_results([task.source for task in tasks])
        refused = [task for task in tasks if task.source in results]
        if self._parsed.redo:
            return {task.source: failure(task, ImageError(f"{task.source}: {IS_RESULT}")) for task in refused}
        if refused and not self._parsed.json:
            tell(f"nuli: {refused[0].source}: {IS_RESULT}; {len(refused)} such pictures are left as they are")
        return {task.source: skipped(task, IS_RESULT) for task in refused}

    def _tell_plan(self, tasks: list[FileTask]) -> int:
        # the correction of a series is not searched for this
        known = {} if self._parsed.together else self._known(tasks, self._settings)
        known |= self._refused([task for task in tasks if task.source not in known])
        for task in tasks:
            say(f"{task.source} -> {task.target}" + (" (done before)" if task.source in known else ""))
        say(f"{len(tasks)} pictures, {len(tasks) - len(known)} to do, {self._jobs} at a time")
        return 0

    def _do(self, tasks: list[FileTask], stop: Stop) -> int:
        """Do pictures, but for those that were done before; returns the exit code."""
        self._done |= {task.source: signature_of(task.source) for task in tasks}
        settings: Settings | LookSettings = self._settings
        if self._parsed.together and tasks:
            settings = find_look(self._settings, tasks, self._parsed.redo, self._parsed.json, stop.is_set)
            if stop.is_set():
                return tell_left(len(tasks))
        known = self._known(tasks, settings)
        known |= self._refused([task for task in tasks if task.source not in known])
        waiting = [task for task in tasks if task.source not in known]
        progress = Progress(len(waiting), quiet=self._parsed.json)
        results = run(waiting, settings, min(self._jobs, len(waiting)), stop) if waiting else iter(())
        code, done = 0, 0
        counts: Counter[str] = Counter()
        try:
            for task, record in self._in_order(tasks, known, results):
                counts[record["status"]] += 1
                self._rows[task.source] = row_of(record)
                progress.clear()
                if record["status"] != SKIPPED or self._parsed.json:
                    code = max(code, report(record, len(task.others), self._parsed.json))
                if task.source not in known:
                    done += 1
                    progress.show(done, task.source)
        finally:
            progress.clear()
            if self._parsed.summary:
                write_summary(self._parsed.summary, list(self._rows.values()))
        if self._parsed.in_place and self._place is None:  # else the journal tells what is ours
            self._done |= {task.source: signature_of(task.source) for task in tasks}
        if (waiting or not self._parsed.watch) and tasks and not self._parsed.json:
            tell(f"{count_words(counts)}; {progress.words(done)}")
        return tell_left(len(waiting) - done) or code

    def _in_order(
        self, tasks: list[FileTask], known: dict[Path, Record], done: Iterator[tuple[FileTask, Record]]
    ) -> Iterator[tuple[FileTask, Record]]:
        """Each picture with its record, as far as they were done, now or before."""
        following = iter(tasks)
        for task, record in done:
            for earlier in following:
                if earlier.source in known:
                    yield earlier, known[earlier.source]
                elif earlier is task:
                    break
            yield task, record
        for task in following:
            if task.source in known:
                yield task, known[task.source]


class Progress:
    """A line that tells how far a run has come, where a person is looking."""

    def __init__(self, total: int, quiet: bool) -> None:
        self._total, self._show = total, not quiet and sys.stderr.isatty() and total > 1
        self._began = time.monotonic()

    def words(self, done: int) -> str:
        seconds = time.monotonic() - self._began
        return f"{seconds:.1f} s, {done / max(seconds, 1e-3):.1f} a second"

    def show(self, done: int, source: Path) -> None:
        """Draw the line anew."""
        if self._show:
            rate = done / max(time.monotonic() - self._began, 1e-3)
            left = (self._total - done) / rate
            words = f"{done} of {self._total}, {rate:.1f} a second, {_duration(left)} left  {source.name[:30]}"
            draw(f"{bar(done / self._total)} {words}")

    def clear(self) -> None:
        """Make room for other lines."""
        if self._show:
            draw("")


def _duration(seconds: float) -> str:
    """'42 s', '3 min', '5.2 h'"""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
