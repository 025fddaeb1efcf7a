"""The command `nuli score`: how good pictures are, the best ones first or alone, and where they are kept."""

from __future__ import annotations

import argparse
import filecmp
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from ..bulk.local import pick_jobs, run
from ..bulk.work import FAILED, Record, ScoreSettings
from ..errors import ImageError, OptionError
from ..imaging.atomic import copy_file
from ..sources import FileTask, find_sources, target_in
from .bulk import Progress
from .console import attempt, complain, say
from .stop import Stop
from .tasks import complain_of_record, number_of_jobs, parse_options, tell_left


def score(parsed: argparse.Namespace) -> int:
    """Print the score of every picture named, or of the best; returns the exit code."""
    options = replace(parse_options(parsed), mode="hard")  # whose scorers compare pictures
    jobs = number_of_jobs(parsed.jobs, partial(pick_jobs, options))
    best, least = _whole(parsed.best, "--best"), _number(parsed.min, "--min")
    selects = best is not None or parsed.sort
    keep: Path | None = parsed.keep_best
    if keep is not None and best is None and least is None:
        raise OptionError("--keep-best needs to know which: say how many by --best, or how good by --min")
    if keep is not None and keep.exists() and not keep.is_dir():
        raise OptionError(f"{keep} is a file: name a folder for --keep-best")
    sources, errors = find_sources(parsed.pictures, parsed.recursive, keep)
    code = max([complain(error) for error in errors], default=0)
    tasks = [FileTask(source, source) for source in sources]
    records: list[Record] = []
    done = 0
    progress = Progress(len(tasks), quiet=parsed.json)
    with Stop() as stop:
        for _, record in run(tasks, ScoreSettings(options), max(1, min(jobs, len(tasks))), stop):
            progress.clear()
            done += 1
            if record["status"] == FAILED:
                code = max(code, complain_of_record(record))
            else:
                records.append(record)
                if not selects:
                    _print([record], least, parsed.json)
            progress.show(done, Path(record["input"]))
        progress.clear()
    chosen = [record for record in records if least is None or record["score"] >= least]
    if selects:
        # of equal scores the earlier one is better
        chosen = sorted(chosen, key=lambda record: -record["score"])[:best]
        _print(chosen, None, parsed.json)
    if done < len(tasks):
        return tell_left(len(tasks) - done)
    for record in chosen if keep is not None else ():
        code = max(code, attempt(lambda r=record: _keep(Path(r["input"]), parsed.pictures, keep), record["input"]))
    return code


def _print(records: Sequence[Record], least: float | None, as_json: bool) -> None:
    for record in records:
        if least is not None and record["score"] < least:
            continue
        if as_json:
            say(json.dumps({name: record[name] for name in ("input", "scorer", "score")}))
        else:
            say(f"{record['score']:8.3f}  {record['input']}")


def _keep(source: Path, pictures: list[Path], folder: Path) -> None:
    """Copy a picture into a folder, byte for byte, in the layout that it comes from. Raises ImageError."""
    target = target_in(folder, source, pictures, source.suffix)
    if target.exists() and filecmp.cmp(source, target, shallow=False):
        return
    if target.exists():
        raise ImageError(f"{target}: is there already; name another folder for --keep-best")
    copy_file(source, target)


def _whole(text: str | None, name: str) -> int | None:
    if text is None:
        return None
    if not text.isdecimal() or not int(text):
        raise OptionError(f"{name} cannot be {text!r}: give a whole number from 1")
    return int(text)


def _number(text: str | None, name: str) -> float | None:
    try:
        value = None if text is None else float(text)
    except ValueError:
        value = math.nan
    if value is not None and not math.isfinite(value):
        raise OptionError(f"{name} cannot be {text!r}: give a number")
    return value
