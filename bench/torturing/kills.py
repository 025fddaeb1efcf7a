"""kill -9 at any moment: no half file, no source lost, and the next run finishes the rest."""

from __future__ import annotations

import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from nuli.bulk.journal import NAME
from nuli.checkpoint import SavedSearch
from nuli.errors import NuliError
from nuli.imaging.photo import load_photo

from .child import Child, warm_up
from .tally import Tally

_QUICK = (
    "--scorer",
    "vivid",
    "--evaluations",
    "12",
    "--seed",
    "1",
    "--margin",
    "0",
    "--guards",
    "off",
    "--device",
    "cpu",
)
_EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.chmod", "os.utime", "sqlite3.connect", "shutil.copymode")
"""What Python tells an audit hook before it does it to a file."""


@dataclass(frozen=True)
class Scenario:
    """A command that is killed."""

    name: str
    arguments: tuple[str, ...]
    """After `nuli enhance`; relative to a folder that holds `in`."""
    in_place: bool = False
    again: bool = True
    """Whether a second run gives the same once more."""
    inner: bool = False
    """Whether it has processes of its own."""
    tree: str = ""


SCENARIOS = (
    Scenario("single", ("in/0.jpg", "-o", "out/0.jpg", "--save-recipe", "--others", "2")),
    Scenario("single, --in-place", ("in/0.jpg", "--in-place"), in_place=True, again=False),
    Scenario("--tree", ("in/1.png", "-o", "out/1.png", "--tree", "out/tree.json"), again=False, tree="out/tree.json"),
    Scenario("folder", ("in", "-o", "out", "--jobs", "1", "--summary", "out/sum.csv", "--save-recipe")),
    Scenario("folder, --in-place", ("in", "--in-place", "--jobs", "1"), in_place=True),
    Scenario("folder, --no-journal", ("in", "-o", "out", "--jobs", "1", "--no-journal")),
    Scenario("folder, --together", ("in", "-o", "out", "--jobs", "1", "--together")),
    Scenario("folder, --jobs 2", ("in", "-o", "out", "--jobs", "2"), inner=True),
    Scenario("folder, --jobs 2 --in-place", ("in", "--in-place", "--jobs", "2"), in_place=True, inner=True),
)


def make_pictures(folder: Path) -> None:
    """Two small pictures in need of light."""
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    values = np.random.default_rng(0).random((40, 56, 3)) * np.linspace(0.1, 0.5, 56)[None, :, None]
    for number, extension in enumerate(("jpg", "png")):
        pixels = (255 * values * (1 - 0.2 * number)).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "in" / f"{number}.{extension}", quality=95)


def contents(folder: Path) -> dict[str, bytes]:
    """All files that a user sees, by their paths; without the summary, which has times in it."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".csv"
    }


@dataclass
class Case:
    """A scenario, and what comes of it where nobody kills it."""

    scenario: Scenario
    before: dict[str, bytes] = field(default_factory=dict)
    after: dict[str, bytes] = field(default_factory=dict)
    seconds: float = 0.0
    events: int = 0


def kills(rng: random.Random, deadline: float, tries: int = 220) -> Tally:
    """Kill the command line again and again: at random times, and just before it does something to a file."""
    warm_up()
    tally = Tally("kill -9")
    counts: dict[str, int] = {}
    with tempfile.TemporaryDirectory(prefix="nuli-torture-") as place:
        cases: dict[str, Case] = {}
        for number in range(tries):
            if time.monotonic() > deadline:
                break
            # the first ones in turn; those with processes of their own take long to start
            weights = [1 if one.inner else 4 for one in SCENARIOS]
            scenario = SCENARIOS[number] if number < len(SCENARIOS) else rng.choices(SCENARIOS, weights)[0]
            folder = Path(place, "try")
            if scenario.name not in cases:
                cases[scenario.name] = reference(scenario, folder)
                shutil.rmtree(folder)
            tally.tries += 1
            counts[scenario.name] = counts.get(scenario.name, 0) + 1
            _try(tally, rng, cases[scenario.name], folder)
            shutil.rmtree(folder)
    tally.name += f" ({', '.join(f'{name}: {count}' for name, count in counts.items())})"
    return tally


def child_of(scenario: Scenario, folder: Path, prepare: Callable[[], None] | None = None) -> Child:
    words = [str(folder / word) if word.startswith(("in", "out")) else word for word in scenario.arguments]
    return Child(["enhance", *words, *_QUICK], folder.with_suffix(".log"), prepare)


def reference(scenario: Scenario, folder: Path) -> Case:
    make_pictures(folder)
    case = Case(scenario, contents(folder))
    began = time.monotonic()
    child = child_of(scenario, folder, partial(_kill_at, folder, 0))
    code = child.wait()
    case.seconds = time.monotonic() - began
    printed = child.end()
    if code != 0:
        raise RuntimeError(f"{scenario.name} fails without being killed, with {code}: {printed}")
    case.events = int(folder.with_suffix(".count").read_text() or 0)
    case.after = contents(folder)
    return case


def _kill_at(folder: Path, number: int) -> None:
    """Let this process die before it does something to a file of a folder for that time; for 0 count how often it
    does, in FOLDER.count."""
    count, place = 0, os.fspath(folder)
    notes = open(folder.with_suffix(".count"), "w") if not number else None  # noqa: SIM115

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal count
        if event in _EVENTS and place in str(arguments) and (event != "open" or set("wxa+") & set(str(arguments[1]))):
            count += 1
            if notes is not None:
                notes.seek(0)
                notes.write(str(count))
                notes.flush()
            elif count == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _try(tally: Tally, rng: random.Random, case: Case, folder: Path) -> None:
    make_pictures(folder)
    at_event = not case.scenario.inner and rng.random() < 0.5
    moment = rng.randint(1, case.events) if at_event else rng.uniform(0, 1.1 * case.seconds)
    group = rng.random() < 0.5
    child = child_of(case.scenario, folder, partial(_kill_at, folder, moment) if at_event else None)
    if at_event:
        code = child.wait()
        if code is None:
            tally.blame(f"{case.scenario.name} hangs")
    else:
        child.wait(moment)
        child.signal(signal.SIGKILL, group)
        child.wait()
    if orphans := child.orphans():
        tally.blame(f"{case.scenario.name}: left behind {orphans}")
    child.end()
    words = f"{case.scenario.name} killed {'before its file event' if at_event else 'after'} {moment:.3g}"
    check(tally, case, folder, words)
    if case.scenario.again or not case.scenario.in_place:
        _rerun(tally, case, folder, words)


def check(tally: Tally, case: Case, folder: Path, words: str) -> None:
    """What is there must be old or new, to the last bit."""
    found = contents(folder)
    for name, data in case.before.items():
        if found.get(name) != data and (not case.scenario.in_place or found.get(name) != case.after[name]):
            tally.blame(f"{words}: the source {name} is neither old nor new", lost=True)
    for name, data in found.items():
        if name == case.scenario.tree:
            _check_tree(tally, folder / name, words)
        elif data not in (case.before.get(name), case.after.get(name)):
            tally.blame(f"{words}: {name} is neither old nor new")


def _check_tree(tally: Tally, path: Path, words: str) -> None:
    try:
        SavedSearch.load(path)
    except NuliError as error:
        tally.blame(f"{words}: {error}")


def _rerun(tally: Tally, case: Case, folder: Path, words: str) -> None:
    """The next run finishes the rest, and sweeps up: half-written files are swept when they have lain for a while."""
    for path in folder.rglob(".nuli-*.part"):
        os.utime(path, (time.time() - 120,) * 2)
    child = child_of(case.scenario, folder)
    code = child.wait()
    printed = child.end()
    if code != 0:
        tally.blame(f"{words}: the next run ends with {code}: {printed}")
        return
    found = contents(folder)
    if case.scenario.again and found != case.after:
        odd = sorted(name for name in found.keys() | case.after.keys() if found.get(name) != case.after.get(name))
        tally.blame(f"{words}: after the next run {odd} are not as they should be")
    if case.scenario.tree:
        _check_tree(tally, folder / case.scenario.tree, words)
        load_photo(folder / "out" / "1.png")
    if left := [path.name for path in folder.rglob(".nuli-*.part")]:
        tally.blame(f"{words}: {left} are left behind")
    for journal in folder.rglob(NAME):
        with closing(sqlite3.connect(journal)) as connection:
            if connection.execute("pragma integrity_check").fetchone() != ("ok",):
                tally.blame(f"{words}: the journal is damaged")
