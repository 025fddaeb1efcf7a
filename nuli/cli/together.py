"""`nuli enhance --together`: the one correction for all pictures, found, or as it was found before."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..bulk.work import LookSettings, Settings, digest_of
from ..errors import RecipeError
from ..scoring.registry import resolve_scorer
from ..sources import FileTask
from .console import bar, say, tell

if TYPE_CHECKING:
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
        NuliError: it can't be searched.
    """
    from ..look import Look
    from ..series import enhance_together

    place = settings.journal.with_name(NAME) if settings.journal else None
    key = _key(settings, tasks)
    found = None if anew or place is None else _kept(place, key)
    if found is None:
        show = not as_json and sys.stderr.isatty()
        series = enhance_together(
            [task.source for task in tasks],
            settings.options,
            stop=stop,
            progress=_draw if show else lambda event: None,
        )
        if show:
            tell("\r\x1b[K", end="")
        found = series.to_dict()
        if place is not None and not stop():
            from ..imaging.atomic import write_text

            write_text(place, json.dumps({"key": key, **found}) + "\n")
    if not as_json:
        _report(found)
    return LookSettings(settings.options, Look.from_dict(found), settings.in_place, settings.journal)


def _draw(event: Event) -> None:
    words = f"{event.score_before:.2f} -> {event.best_score:.2f}  {event.evaluations} tried, {event.seconds:.1f} s"
    tell(f"\r{bar(event.progress)} together  {words}\x1b[K", end="")


def _key(settings: Settings, tasks: list[FileTask]) -> str:
    """Tells apart what another correction may be found for."""
    name = resolve_scorer(settings.options.scorer, settings.options.mode).name
    text = json.dumps([digest_of(settings, name), [str(task.source) for task in tasks]])
    return hashlib.sha256(text.encode()).hexdigest()


def _kept(place: Path, key: str) -> dict[str, Any] | None:
    """The correction that was kept for the same pictures and options, if there is one."""
    from ..look import Look

    try:
        found = json.loads(place.read_text())
        if not isinstance(found, dict) or found.get("key") != key:
            return None
        Look.from_dict(found)
    except (OSError, ValueError, RecipeError):  # none, or not ours: it is searched again
        return None
    return found


def _report(found: dict[str, Any]) -> None:
    """Print what was found for the series."""
    before, after = found["score_before"], found["score_after"]
    say(f"together, by {found['pictures']} pictures: {found['scorer']} {before:.2f} -> {after:.2f}")
    for i, words in enumerate(found["steps"]):
        worth = f"  worth {found['contributions'][i]:.2f}" if found["contributions"] else ""
        say(f"  {i + 1}. {words:<30}{worth}".rstrip())
    if not found["changed"]:
        say("  nothing makes them clearly better; copied as they are")
    for note in found["notes"]:
        say(f"  note: {note}")
