"""`nuli enhance --together`: the one correction for all pictures, found, or as it was found before."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bulk.journal import IS_RESULT, Journal, find_results
from ..bulk.local import processors
from ..bulk.work import LookSettings, Settings
from ..errors import OptionError, RecipeError
from ..sources import FileTask, signature_of
from .console import bar, draw, say
from .enhance import progress_words
from .tasks import tell_steps

if TYPE_CHECKING:
    from ..enhancer import Source
    from ..result import Event

NAME = ".nuli-together.json"
"""Of the file that keeps the correction, beside the journal: an interrupted run must go on with the same."""


def find_look(
    settings: Settings, tasks: list[FileTask], anew: bool, as_json: bool, stop: Callable[[], bool]
) -> LookSettings:
    """What to do to each picture of a series.

    Args:
        tasks: all pictures of the series, in order.
        anew: whether to search in any case.
    Raises:
        OptionError: a source that is to be written over is the result of another correction already.
        NuliError: it can't be searched.
    """
    from ..series import enhance_together
    from ..steady import steady_light

    place = settings.journal.with_name(NAME) if settings.journal else None
    digest, names = settings.digest, [os.path.abspath(task.source) for task in tasks]
    found = None if anew or place is None else _kept(place, digest, names)
    if found is not None and not _fits(found, settings, tasks):
        found = None
    if found is None:
        if settings.in_place and settings.journal:
            _refuse_what_is_done(tasks)
        stamps = [_stamp(task.source) for task in tasks]
        show = not as_json and sys.stderr.isatty()
        sources: list[Source] = [task.source for task in tasks]
        draw_event = _draw if show else lambda event: None
        reference = settings.inputs.match
        series = enhance_together(sources, settings.options, match=reference, stop=stop, progress=draw_event)
        found, stops = series.to_dict(), []
        if series.changed and not stop():
            reading = partial(_draw_reading, len(tasks)) if show else lambda done: None
            stops = steady_light(sources, processors(), reading)
        if show:
            draw("")
        found["stops"] = stops or [0.0] * len(tasks)
        if place is not None and not stop():
            from ..imaging.atomic import write_text

            found |= {"settings": digest, "sources": names, "stamps": stamps}
            write_text(place, json.dumps(found) + "\n", follow=False)
    if not as_json:
        _report(found)
    return _settings_for(settings, found, tasks)


def _settings_for(settings: Settings, found: dict[str, Any], tasks: list[FileTask]) -> LookSettings:
    """The settings that give pictures the correction that was found."""
    from ..look import Look

    pairs = zip(tasks, found["stops"], strict=True)
    stops = tuple((task.source, float(change)) for task, change in pairs if change)
    return LookSettings(settings.options, Look.from_dict(found), stops, settings.in_place, settings.journal)


def _draw(event: Event) -> None:
    draw(progress_words("together", event))


def _draw_reading(total: int, done: int) -> None:
    draw(f"{bar(done / total)} light of {done} of {total}")


def _stamp(path: Path) -> list[int]:
    """The signature of a picture, as JSON keeps it; empty where it can't be asked."""
    return list(signature_of(path) or ())


def _kept(place: Path, digest: str, names: list[str]) -> dict[str, Any] | None:
    """The correction that was kept for pictures of these names and by these options, if there is one."""
    from ..look import Look
    from ..steady import MOST

    try:
        found = json.loads(place.read_text())
        if not isinstance(found, dict) or found.get("settings") != digest or found.get("sources") != names:
            return None
        Look.from_dict(found)
        fits = len(found.get("stamps", ())) == len(found.get("stops", ())) == len(names)
        return found if fits and all(abs(float(change)) <= MOST for change in found["stops"]) else None
    except (OSError, ValueError, TypeError, RecursionError, RecipeError):  # none, or not ours: it is searched again
        return None


def _fits(found: dict[str, Any], settings: Settings, tasks: list[FileTask]) -> bool:
    """Whether a correction was found for the very pictures: those that are there, or of which these are results."""
    changed = [task for task, stamp in zip(tasks, found["stamps"], strict=True) if _stamp(task.source) != stamp]
    if not changed:
        return True
    if not settings.in_place or settings.journal is None or not settings.journal.exists():
        return False
    journal = Journal(settings.journal, _settings_for(settings, found, tasks).digest)
    try:
        return all(journal.find(task) is not None for task in changed)
    finally:
        journal.close()


def _refuse_what_is_done(tasks: list[FileTask]) -> None:
    """Raise OptionError where a picture that would be corrected was written over by a correction before."""
    done = find_results([task.source for task in tasks])
    if done:
        raise OptionError(f"{min(done)}: {IS_RESULT}")


def _report(found: dict[str, Any]) -> None:
    """Print what was found for the series."""
    before, after = found["score_before"], found["score_after"]
    say(f"together, by {found['pictures']} pictures: {found['scorer']} {before:.2f} -> {after:.2f}")
    tell_steps(found["steps"], found["contributions"])
    steadied = [change for change in found["stops"] if change]
    if steadied:
        largest = max(steadied, key=abs)
        say(f"  before that, the exposure of {len(steadied)} of them is steadied, by {largest:+.2f} EV at most")
    if not found["changed"]:
        say("  nothing makes them clearly better; copied as they are")
    for note in found["notes"]:
        say(f"  note: {note}")
