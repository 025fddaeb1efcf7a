"""What the commands of the command line do: each takes its parsed arguments and returns the exit code."""

from __future__ import annotations

import argparse
import json
import re
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import NuliError, OptionError, RecipeError
from ..options import options_from, table

if TYPE_CHECKING:
    from ..recipe import Recipe
    from ..result import Event, Result
    from .paths import Job


def complain(error: NuliError) -> int:
    """Tell of an error in one line; returns the exit code: 2 for a wrong option, else 1."""
    print(f"nuli: {error}", file=sys.stderr)
    return 2 if isinstance(error, OptionError) else 1


def _values(parsed: argparse.Namespace) -> dict[str, Any]:
    """The options of the table that this command has."""
    return {row.name: getattr(parsed, row.name) for row in table() if hasattr(parsed, row.name)}


def _each(
    parsed: argparse.Namespace, work: Callable[[Job], None], go_on: Callable[[], bool] = lambda: True, others: int = 0
) -> int:
    """Do `work` for every picture; one that fails is told of and does not stop the rest.

    Args:
        others: other results of each, at most.
    """
    from .paths import plan

    jobs, errors = plan(parsed.pictures, parsed.recursive, parsed.output, parsed.in_place, others)
    code = max([complain(error) for error in errors], default=0)
    for i, job in enumerate(jobs):
        try:
            work(job)
        except NuliError as error:
            code = complain(error)
        if not go_on() and i + 1 < len(jobs):
            print(f"nuli: stopped; {len(jobs) - i - 1} pictures left", file=sys.stderr)
            return 130
    return code


def enhance(parsed: argparse.Namespace) -> int:
    values = _values(parsed)
    settings = options_from(values)  # complain before the slow imports
    others = _others(parsed.others, settings.mode)
    if parsed.tree is not None:
        _check_tree(parsed)
    from ..ops.registry import select_ops
    from ..scoring.registry import load_scorer

    select_ops(settings.mode, settings.ops)
    scorer = load_scorer(settings)
    if not parsed.json:
        _tell_scorer(scorer.name, settings.scorer)
    with _Stop() as stop:

        def work(job: Job) -> None:
            more: dict[str, Any] = {"scorer": scorer, "others": others}
            if parsed.tree is not None and parsed.tree.exists():
                more["known"] = parsed.tree
            result = _watch(job.source, {**values, **more}, stop, quiet=parsed.json)
            if parsed.tree is not None:
                result.search.save(parsed.tree)
            result.save(job.target, overwrite_input=parsed.in_place)
            saved = list(zip(result.others, job.others, strict=False))
            for other, path in saved:
                other.save(path)
            if parsed.save_recipe:
                for made, path in ((result, job.target), *saved):
                    _write_text(path.with_name(path.name + ".json"), made.recipe.to_json() + "\n")
            if parsed.json:
                told = result.to_dict()
                told["others"] = [{"output": str(path), **other.to_dict()} for other, path in saved]
                print(json.dumps({"input": str(job.source), "output": str(job.target), **told}), flush=True)
            else:
                _report(job, result)

        return _each(parsed, work, lambda: not stop.is_set(), others)


def _check_tree(parsed: argparse.Namespace) -> None:
    """Raise OptionError where --tree can't be meant so, rather than after a search of hours."""
    tree = parsed.tree
    if tree.suffix.lower() != ".json":
        raise OptionError(f"{tree}: the name of the file for --tree must end in .json")
    if len(parsed.pictures) > 1 or parsed.pictures[0].is_dir():
        raise OptionError("--tree is for one picture: name a single file, or leave --tree out")
    if not tree.parent.is_dir():
        raise OptionError(f"{tree.parent}: there is no such folder for --tree; make it first")


def _others(given: str, mode: str) -> int:
    """How many other results to save. Raises OptionError."""
    from ..search.diversity import MAX_OTHERS

    try:
        count = int(given)
        if not 0 <= count <= MAX_OTHERS:
            raise ValueError
    except ValueError:
        raise OptionError(f"--others cannot be {given!r}: give a number from 0 to {MAX_OTHERS}") from None
    if count and mode != "hard":
        raise OptionError("only a search in hard mode has other results: leave --others out, or say --mode hard")
    return count


class _Stop(threading.Event):
    """Set by the first Ctrl-C, so that the search ends and its best is saved; the second one interrupts."""

    def __enter__(self) -> _Stop:
        self._previous = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._previous)

    def _handle(self, *_: object) -> None:
        self.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _watch(source: Path, values: dict[str, Any], stop: _Stop, quiet: bool) -> Result:
    """Enhance one picture and draw a progress line where a person is looking."""
    from ..enhancer import enhance_iter
    from ..result import Result

    show = not quiet and sys.stderr.isatty()
    for item in enhance_iter(source, stop=stop.is_set, **values):
        if isinstance(item, Result):
            result = item
        elif show:
            print(f"\r{_progress(source, item)}\x1b[K", end="", file=sys.stderr, flush=True)
    if show:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    return result


def _progress(source: Path, event: Event) -> str:
    done = int(20 * event.progress)
    bar = "#" * done + "." * (20 - done)
    return (
        f"[{bar}] {source.name[:30]}  {event.score_before:.2f} -> {event.best_score:.2f}  "
        f"{event.evaluations} tried, {event.seconds:.1f} s"
    )


def _tell_scorer(name: str, asked: str) -> None:
    from ..scoring.registry import SCORERS

    if asked == "auto" and name != "laion":
        size = sum(file.size for file in SCORERS["laion"].files) / 1e6
        print(
            f"judged by {name}, which is built in; for the stronger laion ({size:.0f} MB): nuli scorers download laion",
            file=sys.stderr,
        )


def _report(job: Job, result: Result) -> None:
    _tell_files(job.source, job.target, result.notes)
    if result.changed:
        gain = result.score_after - result.score_before
        print(f"  {result.scorer} {result.score_before:.2f} -> {result.score_after:.2f} ({gain:+.2f})")
        for i, words in enumerate(result.recipe.words()):
            part = f"  worth {result.contributions[i]:.2f}" if result.contributions else ""
            print(f"  {i + 1}. {words:<30}{part}".rstrip())
    else:
        print(f"  {result.scorer} {result.score_before:.2f}: nothing makes it clearly better; copied as it is")
    for other, path in zip(result.others, job.others, strict=False):
        print(f"  or {path} ({other.score:.2f}): {', '.join(other.recipe.words())}")
    if len(result.others) < len(job.others):
        print(f"  found {len(result.others)} of {len(job.others)} others: no more look different enough and are good")
    print(f"  {result.evaluations} evaluations, {result.seconds:.1f} s", flush=True)


def _tell_files(source: Path, target: Path, notes: tuple[str, ...]) -> None:
    print(f"{source} -> {target}")
    for note in notes:
        print(f"  note: {note}", flush=True)


def score(parsed: argparse.Namespace) -> int:
    settings = options_from(_values(parsed))
    from ..enhancer import score
    from ..scoring.registry import load_scorer
    from .paths import find_sources

    scorer = load_scorer(settings)
    sources, errors = find_sources(parsed.pictures, parsed.recursive, None)
    code = max([complain(error) for error in errors], default=0)
    for source in sources:
        try:
            [value] = score([source], scorer, device=settings.device)
        except NuliError as error:
            code = complain(error)
            continue
        if parsed.json:
            print(json.dumps({"input": str(source), "scorer": scorer.name, "score": value}), flush=True)
        else:
            print(f"{value:8.3f}  {source}", flush=True)
    return code


def apply(parsed: argparse.Namespace) -> int:
    settings = options_from(_values(parsed))
    from ..imaging.photo import copy_photo, load_photo, save_photo
    from ..ops.pipeline import render

    recipe = _read_recipe(parsed.recipe).scaled(settings.strength)

    def work(job: Job) -> None:
        photo = load_photo(job.source)
        if len(recipe.without_noops()):
            save_photo(photo, render(photo, recipe.steps, settings.device), job.target, overwrite_input=parsed.in_place)
        else:
            copy_photo(photo, job.target, overwrite_input=parsed.in_place)
        _tell_files(job.source, job.target, photo.notes)

    return _each(parsed, work)


def lut(parsed: argparse.Namespace) -> int:
    if parsed.output.suffix.lower() != ".cube":
        raise OptionError(f"{parsed.output}: the look-up table's name must end in .cube")
    from ..imaging.photo import load_photo
    from ..ops.lut import left_out, to_cube

    recipe = _read_recipe(parsed.recipe)
    photo = load_photo(parsed.photo) if parsed.photo else None
    _write_text(parsed.output, to_cube(recipe.steps, photo, parsed.size, parsed.output.stem))
    for step in left_out(recipe.steps):
        print(f"nuli: left out, since a LUT can't hold it: {step.words()}", file=sys.stderr)
    print(parsed.output)
    return 0


def scorers(parsed: argparse.Namespace) -> int:
    from ..scoring.registry import SCORERS
    from ..scoring.weights import cache_dir, ensure, locate

    if parsed.action == "list":
        for info in SCORERS.values():
            state = "built in" if not info.files else "not downloaded" if info.missing() else "ready"
            print(f"{info.name:8} {state:15} {info.summary}")
            for file in info.files:
                print(f"{'':24} {locate(file) or cache_dir() / file.name}  ({file.licence})")
        return 0
    if parsed.name not in SCORERS:
        raise OptionError(f"there is no scorer {parsed.name!r}: choose {', '.join(SCORERS)}")
    if not SCORERS[parsed.name].files:
        print(f"{parsed.name} is built in: there is nothing to download")
    for file in SCORERS[parsed.name].files:
        print(ensure(file, progress=_download_line(file.name), allow_download=True))
    return 0


def ui(parsed: argparse.Namespace) -> int:
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise OptionError("the user interface needs gradio: pip install 'nulie[ui]', or pip install gradio") from None
    from ..ui.app import launch

    try:
        launch(parsed.port, parsed.listen, parsed.output)
    except OSError as error:  # gradio's: no free port
        raise OptionError(f"{error}".splitlines()[0]) from None
    return 0


def _download_line(name: str) -> Callable[[int, int | None], None]:
    def show(done: int, total: int | None) -> None:
        if sys.stderr.isatty():
            part = f"{done / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{done / 1e6:.0f} MB"
            end = "\n" if done == total else ""
            print(f"\r{name}: {part}\x1b[K", end=end, file=sys.stderr, flush=True)

    return show


def _read_recipe(text: str) -> Recipe:
    """A recipe from a file, or from the text itself."""
    from ..recipe import Recipe

    if re.match(r"\s*(\{|nuli\d+(\s|$))", text):
        return Recipe.parse(text)
    try:
        text = Path(text).read_text("utf-8-sig")
    except FileNotFoundError:
        raise RecipeError(f"{text}: no such file; give a file that holds a recipe, or the recipe itself") from None
    except (OSError, ValueError) as error:
        raise RecipeError(f"{text}: can't be read as a recipe ({error}); give JSON or a recipe line") from None
    return Recipe.parse(text)


def _write_text(path: Path, text: str) -> None:
    from ..imaging.photo import atomic_write

    with atomic_write(path) as file:
        file.write(text.encode())
