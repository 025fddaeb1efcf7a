"""The command `nuli enhance`: search for each picture, save the best, and report how it went."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import OptionError
from .console import attempt, say, tell
from .tasks import FileTask, do_tasks, parse_options, tell_files, write_text

if TYPE_CHECKING:
    from ..result import Event, Other, Result


def enhance(parsed: argparse.Namespace) -> int:
    """Enhance every picture named, one after the other; returns the exit code."""
    options = parse_options(parsed)  # complain before the slow imports
    others = _number_of_others(parsed.others, options.mode)
    if parsed.tree is not None:
        _check_tree(parsed)
    from ..enhancer import enhance_iter
    from ..ops.registry import select_ops
    from ..scoring.registry import load_scorer

    select_ops(options.mode, options.ops)
    scorer = load_scorer(options)
    if not parsed.json:
        _tell_scorer(scorer.name, options.scorer)
    with _Stop() as stop:

        def work(task: FileTask) -> int:
            """Enhance one picture, save all that comes of it, and report; returns the exit code."""
            known = parsed.tree if parsed.tree is not None and parsed.tree.exists() else None
            events = enhance_iter(task.source, options, scorer=scorer, others=others, known=known, stop=stop.is_set)
            result = _watch(events, task.source, quiet=parsed.json)
            code = attempt(lambda: _save(result, task, parsed), task.source)
            is_saved = code == 0
            if parsed.tree is not None:
                # last, so that a tree that can't be written costs no picture; and also where the picture failed
                code = max(code, attempt(lambda: result.search.save(parsed.tree), parsed.tree))
            if is_saved and parsed.json:
                say(json.dumps(_record(task, result)))
            elif is_saved:
                _report(task, result)
            return code

        return do_tasks(parsed, work, lambda: not stop.is_set(), others)


def _check_tree(parsed: argparse.Namespace) -> None:
    """Raise OptionError where --tree can't be meant so, or ImageError where it can't be written.

    Both come now rather than after a search of hours.
    """
    tree = parsed.tree
    if tree.suffix.lower() != ".json":
        raise OptionError(f"{tree}: the name of the file for --tree must end in .json")
    if len(parsed.pictures) > 1 or parsed.pictures[0].is_dir():
        raise OptionError("--tree is for one picture: name a single file, or leave --tree out")
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
    if count and mode != "hard":
        raise OptionError("only a search in hard mode has other results: leave --others out, or say --mode hard")
    return count


class _Stop(threading.Event):
    """Set by the first Ctrl-C, so that the search ends and its best is saved; the second one interrupts."""

    def __enter__(self) -> _Stop:
        """Handle Ctrl-C from now on."""
        self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        """Leave Ctrl-C to whoever handled it before."""
        signal.signal(signal.SIGINT, self._previous)

    def _handle(self, *_: object) -> None:
        """Note the first Ctrl-C, and let the next one interrupt."""
        self.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _watch(events: Iterator[Event | Result], source: Path, quiet: bool) -> Result:
    """Wait for the result of one picture, and draw a progress line where a person is looking."""
    from ..result import Result

    show = not quiet and sys.stderr.isatty()
    try:
        for item in events:
            if isinstance(item, Result):
                result = item
            elif show:
                tell(f"\r{_progress(source, item)}\x1b[K", end="")
    finally:
        if show:
            tell("\r\x1b[K", end="")
    return result


def _progress(source: Path, event: Event) -> str:
    """The line that tells how far a search has come: a bar, the score before and now, and what it took."""
    filled = int(20 * event.progress)
    bar = "#" * filled + "." * (20 - filled)
    return (
        f"[{bar}] {source.name[:30]}  {event.score_before:.2f} -> {event.best_score:.2f}  "
        f"{event.evaluations} tried, {event.seconds:.1f} s"
    )


def _save(result: Result, task: FileTask, parsed: argparse.Namespace) -> None:
    """Write the result and its others, and with --save-recipe their recipes. Raises ImageError."""
    result.save(task.target, overwrite_input=parsed.in_place)
    for other, path in _pairs(result, task):
        other.save(path)
    if parsed.save_recipe:
        for item, path in ((result, task.target), *_pairs(result, task)):
            write_text(path.with_name(path.name + ".json"), item.recipe.to_json() + "\n")


def _pairs(result: Result, task: FileTask) -> list[tuple[Other, Path]]:
    """Each other result that there is, and where it goes."""
    return list(zip(result.others, task.others, strict=False))


def _record(task: FileTask, result: Result) -> dict[str, Any]:
    """What --json prints about one picture."""
    record = result.to_dict()
    record["others"] = [{"output": str(path), **other.to_dict()} for other, path in _pairs(result, task)]
    return {"input": str(task.source), "output": str(task.target), **record}


def _tell_scorer(name: str, option: str) -> None:
    """Tell who judges, and how to get the stronger scorer, where the choice was left to us."""
    from ..scoring.registry import SCORERS

    if option == "auto" and name != "laion":
        size = sum(file.size for file in SCORERS["laion"].files) / 1e6
        tell(
            f"judged by {name}, which is built in; for the stronger laion ({size:.0f} MB): nuli scorers download laion"
        )


def _report(task: FileTask, result: Result) -> None:
    """Print what was done to one picture, and what each step is worth."""
    tell_files(task.source, task.target, result.notes)
    if result.changed:
        gain = result.score_after - result.score_before
        say(f"  {result.scorer} {result.score_before:.2f} -> {result.score_after:.2f} ({gain:+.2f})")
        for i, words in enumerate(result.recipe.words()):
            worth = f"  worth {result.contributions[i]:.2f}" if result.contributions else ""
            say(f"  {i + 1}. {words:<30}{worth}".rstrip())
    else:
        say(f"  {result.scorer} {result.score_before:.2f}: nothing makes it clearly better; copied as it is")
    for other, path in _pairs(result, task):
        about = f"{other.direction or 'another look'}, {other.score:.2f}, {other.distance:.0f} dE from the original"
        say(f"  or {path} ({about}): {', '.join(other.recipe.words())}")
    if len(result.others) < len(task.others):
        say(f"  found {len(result.others)} of {len(task.others)} others: no more look different enough and are good")
    say(f"  {result.evaluations} evaluations, {result.seconds:.1f} s")
