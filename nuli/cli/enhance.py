"""The command `nuli enhance`: search for each picture, save the best, and report how it went."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import ImageError, OptionError
from ..options import Options
from ..sources import FileTask, plan_files
from .console import attempt, bar, complain, draw, say, tell
from .stop import Stop
from .tasks import complain_of_record, number_of_jobs, parse_options, tell_files, tell_steps

if TYPE_CHECKING:
    from ..bulk.inputs import Inputs
    from ..bulk.work import Record, Settings
    from ..result import Event, Result


SOFT_OTHERS = 2
"""Versions that soft mode offers beside its result."""


def enhance(parsed: argparse.Namespace) -> int:
    """Enhance every picture named; returns the exit code."""
    options = parse_options(parsed)  # complain before the slow imports
    others = _number_of_others(parsed.others, options.mode)
    if parsed.engine == "local":
        _refuse_urls([*parsed.pictures, parsed.output])
    if parsed.tree is not None and parsed.engine == "local":
        _check_tree(parsed)
    if parsed.watch and not any(Path(name).is_dir() for name in parsed.pictures):
        raise OptionError("--watch is for a folder: name one")
    from ..bulk.inputs import Inputs
    from ..bulk.work import Settings

    inputs = Inputs(parsed.mask, parsed.match)
    _check_inputs(parsed, inputs)
    if options.lut and parsed.engine == "ray":
        raise OptionError("--lut is for pictures of this machine: leave --engine out")
    if inputs.match and options.scorer == "match":  # which it is in any case
        options = replace(options, scorer="auto")
    settings = Settings(options, others, parsed.in_place, parsed.save_recipe, inputs=inputs)
    if parsed.engine == "ray":
        from .cluster import enhance_on_cluster

        return enhance_on_cluster(parsed, settings)
    number_of_jobs(parsed.jobs, lambda: 1)
    if len(parsed.pictures) > 1 or parsed.pictures[0].is_dir() or parsed.dry_run or parsed.summary or parsed.together:
        from .bulk import enhance_many

        return enhance_many(parsed, settings)
    tasks, errors = plan_files(parsed.pictures, parsed.recursive, parsed.output, parsed.in_place, others)
    code = max([complain(error) for error in errors], default=0)
    return max([code, *(_enhance_one(parsed, settings, task) for task in tasks)])


def _check_inputs(parsed: argparse.Namespace, inputs: Inputs) -> None:
    """Raise OptionError for second pictures that can't be used, rather than once for each picture."""
    for name, value in (("mask", inputs.mask), ("match", inputs.match)):
        if value is None:
            continue
        if parsed.engine == "ray":
            raise OptionError(f"--{name} is for pictures of this machine: leave --engine out")
        if parsed.together and name == "mask":
            raise OptionError("--mask is for pictures by themselves: leave --together out")
        is_place = Path(value).is_file() or (name == "mask" and (value == "alpha" or Path(value).is_dir()))
        if not is_place:
            raise OptionError(f"{value}: there is no such file for --{name}")


def _refuse_urls(names: list[Path | str | None]) -> None:
    """Raise OptionError for a URL."""
    for name in names:
        if isinstance(name, str):
            raise OptionError(f"{name} is no file of this machine: say --engine ray")


def _enhance_one(parsed: argparse.Namespace, settings: Settings, task: FileTask) -> int:
    """Enhance one picture, save all that comes of it, and report; returns the exit code."""
    from ..bulk.work import Worker, status_of

    if parsed.in_place and not parsed.no_journal:
        from ..bulk.journal import IS_RESULT, find_results
        from .bulk import journal_place

        settings = replace(settings, journal=journal_place([task.source], None, True))
        if find_results([task.source]):
            raise ImageError(f"{task.source}: {IS_RESULT}")
    with Stop() as stop:
        worker = Worker(settings, stop.is_set)
        if not parsed.json and not parsed.match:
            tell_scorer(settings.options)

        def work() -> int:
            source = status_of(task.source)  # as it is read: it may change meanwhile
            known = parsed.tree if parsed.tree is not None and parsed.tree.exists() else None
            result = _watch(worker.events(task, known), task.source, quiet=parsed.json)
            records: list[Record] = []
            code = attempt(lambda: records.append(worker.save(task, result, source)), task.source)
            if parsed.tree is not None:
                # last, so that a tree that can't be written costs no picture; and also where the picture failed
                code = max(code, attempt(lambda: result.search.save(parsed.tree), parsed.tree))
            for record in records:
                report(record, len(task.others), parsed.json)
            return code

        return attempt(work, task.source)


def _check_tree(parsed: argparse.Namespace) -> None:
    """Raise OptionError where --tree can't be meant so, or ImageError where it can't be written.

    Both come now rather than after a search of hours.
    """
    tree = parsed.tree
    if tree.suffix.lower() != ".json":
        raise OptionError(f"{tree}: the name of the file for --tree must end in .json")
    if len(parsed.pictures) > 1 or parsed.pictures[0].is_dir():
        raise OptionError("--tree is for one picture: name a single file, or leave --tree out")
    for name, given in {
        "--summary": parsed.summary,
        "--together": parsed.together,
        "--dry-run": parsed.dry_run,
    }.items():
        if given:
            raise OptionError(f"{name} is for many pictures, --tree for one: leave one out")
    if not tree.parent.is_dir():
        raise OptionError(f"{tree.parent}: there is no such folder for --tree; make it first")
    from ..imaging.atomic import check_place

    check_place(tree)


def _number_of_others(text: str, mode: str) -> int:
    """How many other results to save, of the text of --others. Raises OptionError."""
    from ..search.config import MAX_OTHERS

    try:
        count = int(text)
        if not 0 <= count <= MAX_OTHERS:
            raise ValueError
    except ValueError:
        raise OptionError(f"--others cannot be {text!r}: give a number from 0 to {MAX_OTHERS}") from None
    return count if mode == "hard" else min(count, SOFT_OTHERS)


def _watch(events: Iterator[Event | Result], source: Path, quiet: bool) -> Result:
    """Wait for the result of one picture, and draw a progress line where a person is looking."""
    from ..result import Result

    show = not quiet and sys.stderr.isatty()
    try:
        for item in events:
            if isinstance(item, Result):
                result = item
            elif show:
                draw(progress_words(source.name[:30], item))
    finally:
        if show:
            draw("")
    return result


def progress_words(name: str, event: Event) -> str:
    """The line that tells how far a search has come: a bar, the score before and now, and what it took."""
    return (
        f"{bar(event.progress)} {name}  {event.score_before:.2f} -> {event.best_score:.2f}  "
        f"{event.evaluations} tried, {event.seconds:.1f} s"
    )


def tell_scorer(options: Options) -> None:
    """Tell who judges, and how to get the stronger scorer, where the choice was left to us."""
    from ..scoring.registry import SCORERS, resolve_scorer

    name = resolve_scorer(options.scorer, options.mode).name
    if options.scorer == "auto" and name != "laion":
        size = sum(file.size for file in SCORERS["laion"].files) / 1e6
        tell(
            f"judged by {name}, which is built in; for the stronger laion ({size:.0f} MB): nuli scorers download laion"
        )


def report(record: Record, others: int, as_json: bool) -> int:
    """Print what was done to one picture, and what each step is worth, or why it failed; returns the exit code.

    Args:
        others: how many other results were asked for.
        as_json: print the record itself.
    """
    from ..bulk.work import FAILED

    if record["status"] == FAILED:
        return complain_of_record(record)
    if as_json:
        say(json.dumps(record))
    else:
        tell_files(record["input"], record["output"], record["notes"])
        if "scorer" in record:  # else of a series, which was scored as a whole
            _tell_result(record, others)
    return 0


def _tell_result(record: Record, others: int) -> None:
    before, after = record["score_before"], record["score_after"]
    if record["changed"]:
        say(f"  {record['scorer']} {before:.2f} -> {after:.2f} ({after - before:+.2f})")
        tell_steps(record["steps"], record["contributions"])
        if opinion := record["opinion"]:
            say(f"  second opinion: {opinion['scorer']} {opinion['before']:.2f} -> {opinion['after']:.2f}")
    else:
        say(f"  {record['scorer']} {before:.2f}: nothing makes it clearly better; copied as it is")
    for sentence in record["held"]:
        say(f"  {sentence}")
    for other in record["others"]:
        about = f"{other['direction'] or 'another look'}, {other['score']:.2f}, {other['distance']:.0f} dE"
        say(f"  or {other['output']} ({about} from the original): {', '.join(other['steps'])}")
    if record["changed"] and len(record["others"]) < others:
        found = f"found {len(record['others'])} of {others} others"
        say(f"  {found}: no more look different enough and are good")
    say(f"  {record['evaluations']} evaluations, {record['seconds']:.1f} s")
