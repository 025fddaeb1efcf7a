"""`nuli enhance --engine ray`: pictures on this machine or in a store, done by the processes of a Ray cluster."""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from pathlib import Path

from ..bulk.notes import Notes
from ..bulk.ray_engine import check_ray, run_ray
from ..bulk.summary import check_name, count_words, row_of, write_summary
from ..bulk.urls import plan_urls
from ..bulk.work import SKIPPED, Settings
from ..errors import OptionError
from .bulk import Progress
from .console import complain, say, tell
from .enhance import report, tell_scorer
from .stop import Stop
from .tasks import tell_left


def enhance_on_cluster(parsed: argparse.Namespace, settings: Settings) -> int:
    """Enhance pictures by Ray; returns the exit code."""
    actors = _check(parsed)
    output = str(parsed.output)
    tasks, errors = plan_urls([str(name) for name in parsed.pictures], parsed.recursive, output, settings.others)
    code = max([complain(error) for error in errors], default=0)
    notes = None if parsed.no_journal else Notes(output, settings.digest)
    known = {} if notes is None or parsed.redo else {t.source: n for t in tasks if (n := notes.find(t))}
    left = {task.source: task for task in tasks if task.source not in known}
    if parsed.dry_run:
        for task in tasks:
            say(f"{task.source} -> {task.target}" + (" (done before)" if task.source in known else ""))
        say(f"{len(tasks)} pictures, {len(left)} to do")
        return code
    if not parsed.json:
        tell_scorer(settings.options)
    rows = []
    counts: Counter[str] = Counter({SKIPPED: len(known)})
    if notes and known and (parsed.json or parsed.summary):
        for record in notes.read(list(known.values())):
            record["status"] = SKIPPED
            rows.append(row_of(record))
            if parsed.json:
                report(record, 0, as_json=True)
    progress, done = Progress(len(left), quiet=parsed.json), 0
    with Stop() as stop:
        try:
            for record in run_ray(
                list(left.values()), settings, notes, address=parsed.ray_address, actors=actors, stop=stop
            ):
                done += 1
                counts[record["status"]] += 1
                if parsed.summary:
                    rows.append(row_of(record))
                progress.clear()
                code = max(code, report(record, len(left[record["input"]].others), parsed.json))
                progress.show(done, Path(record["input"]))
        finally:
            progress.clear()
            if parsed.summary:
                write_summary(parsed.summary, rows)
    if tasks and not parsed.json:
        tell(f"{count_words(counts)}; {progress.words(done)}")
    return tell_left(len(left) - done) or code


def _check(parsed: argparse.Namespace) -> tuple[int, int] | None:
    """Raise OptionError for what this engine has not; gives the number of processes, None for all processors."""
    check_ray()
    # of what Ray has no other way for yet; now, since it shows its warnings from its import on
    warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
    given = {"--watch": parsed.watch, "--together": parsed.together, "--in-place": parsed.in_place}
    for name in [name for name, value in {**given, "--tree": parsed.tree}.items() if value]:
        raise OptionError(f"the engine ray has no {name}: leave it out, or take the engine local")
    if parsed.output is None:
        raise OptionError("the engine ray needs a folder for its results: name one by --output")
    if parsed.summary:
        check_name(parsed.summary)
    if parsed.jobs == "auto":
        return None
    if not parsed.jobs.isdecimal() or not int(parsed.jobs):
        raise OptionError(f"--jobs cannot be {parsed.jobs!r}: give auto or a number")
    return int(parsed.jobs), int(parsed.jobs)
