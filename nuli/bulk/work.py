"""What is done to one picture of many, and the record of it: the same in every engine."""

from __future__ import annotations

import hashlib
import json
import os
import traceback
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import ImageError, NuliError, StoppedError, internal_error
from ..imaging.atomic import OnWritten, as_image_error, write_text
from ..imaging.mask import with_mask
from ..imaging.photo import check_fits, load_photo, writing_notes
from ..options import Options
from ..scoring.registry import cached_scorer, load_scorer, resolve_scorer
from ..sources import FileTask, signature
from .inputs import NONE, Inputs
from .journal import Journal

if TYPE_CHECKING:
    from ..checkpoint import SavedSearch
    from ..look import Look
    from ..result import Event, Other, Result
    from ..scoring.protocol import Scorer

Record = dict[str, Any]
"""What became of one picture, as JSON: `input`, `output`, `status`, and what `Result.to_dict` tells."""
ENHANCED, UNCHANGED, SCORED, SKIPPED, FAILED = "enhanced", "unchanged", "scored", "skipped", "failed"


@dataclass(frozen=True)
class Settings:
    """What to do to each picture."""

    options: Options
    others: int = 0
    """Other results to save, at most."""
    in_place: bool = False
    """Whether sources may be written over."""
    save_recipe: bool = False
    """Whether to write each recipe, with what it measured, beside its picture."""
    journal: Path | None = None
    """Where to note what is done."""
    inputs: Inputs = NONE

    @property
    def digest(self) -> str:
        """Tells settings apart that make other results, or other files."""
        scorer = resolve_scorer(self.options.scorer, self.options.mode).name
        fields = {**asdict(self.options), "scorer": scorer, "others": self.others, "recipes": self.save_recipe}
        fields["inputs"] = self.inputs.signature
        del fields["device"]  # which only makes a rounding's difference
        return _digest(fields)

    def worker(self, stop: Callable[[], bool], wrap: Callable[[Scorer], Scorer]) -> Worker:
        """What does it; for the arguments see `Worker`."""
        return Worker(self, stop, wrap)


class Worker:
    """Enhances files, one after the other, with a scorer that is loaded once.

    Args:
        settings: what to do.
        stop: asked after every batch; once it says True, a search ends with its best so far.
        wrap: what to make of the scorer that the options name.
    Raises:
        NuliError: the scorer can't be loaded, or the options contradict each other.
    """

    def __init__(
        self,
        settings: Settings,
        stop: Callable[[], bool] = lambda: False,
        wrap: Callable[[Scorer], Scorer] = lambda scorer: scorer,
    ) -> None:
        from ..enhancer import check_options

        check_options(settings.options)
        self.settings, self.stop = settings, stop
        # a folder that is watched needs it again and again; with a reference, that is what judges
        self.scorer = None if settings.inputs.match else wrap(cached_scorer(settings.options))
        self._journal = Journal(settings.journal, settings.digest) if settings.journal else None

    def __call__(self, task: FileTask) -> Record:
        """Enhance and save one picture. Whatever goes wrong with it is told in the record."""
        try:
            source = status_of(task.source)  # as it is read: it may change meanwhile
            for item in self.events(task):
                result = item
            return self.save(task, result, source)
        except Exception as error:
            return failure(task, error)

    def events(self, task: FileTask, known: SavedSearch | Path | None = None) -> Iterator[Event | Result]:
        """Search for one picture, as `enhance_iter` does."""
        from ..enhancer import enhance_iter

        settings = self.settings
        photo = load_photo(task.source)
        with as_image_error(task.target, "written"):
            check_fits(photo, task.target)  # now, rather than after a search of hours
        return enhance_iter(
            photo,
            settings.options,
            scorer=self.scorer,
            others=settings.others,
            known=known,
            stop=self.stop,
            **settings.inputs.of(task.source),
        )

    def save(self, task: FileTask, result: Result, source: os.stat_result) -> Record:
        """Save a result and its others, with their recipes where that is asked for, and note it. Raises ImageError.

        Args:
            source: the status of the source when it was read.
        """
        record = record_of(task, result)
        for other, path in pairs(result, task):
            other.save(path)
        if self.settings.save_recipe:
            for item, path in ((result, task.target), *pairs(result, task)):
                write_text(path.with_name(path.name + ".json"), json.dumps(item.look.to_dict()) + "\n", follow=False)
        result.save(task.target, self.settings.in_place, _completing(self._journal, task, source, record, self.stop))
        return record


@dataclass(frozen=True)
class LookSettings:
    """To give each picture one look."""

    options: Options
    look: Look
    stops: tuple[tuple[Path, float], ...] = ()
    """Sources that are made lighter first, and by how many stops."""
    in_place: bool = False
    """Whether sources may be written over."""
    journal: Path | None = None
    """Where to note what is done."""
    inputs: Inputs = NONE
    """Of which a look has use for the mask."""

    @property
    def digest(self) -> str:
        """Tells looks apart, and where they go."""
        return _digest([self.look.to_dict(), self.inputs.signature, self.options.feather])

    def worker(self, stop: Callable[[], bool], wrap: Callable[[Scorer], Scorer]) -> Dresser:
        """What does it. No scorer is needed."""
        return Dresser(self, stop)


class Dresser:
    """Gives files a look, one after the other. Raises NuliError where the journal or the device can't be used."""

    def __init__(self, settings: LookSettings, stop: Callable[[], bool] = lambda: False) -> None:
        from ..devices import pick_device

        self._settings, self._stop, self._stops = settings, stop, dict(settings.stops)
        self._device = pick_device(settings.options.device)
        self._journal = Journal(settings.journal, settings.digest) if settings.journal else None

    def __call__(self, task: FileTask) -> Record | None:
        """Make and save one picture. Whatever goes wrong with it is told in the record; None after a stop."""
        settings = self._settings
        look = settings.look.lit(self._stops.get(task.source, 0.0))
        recipe = look.recipe
        record: Record = {
            "input": str(task.source),
            "output": str(task.target),
            "status": ENHANCED if len(recipe) else UNCHANGED,
            "changed": len(recipe) > 0,
            "steps": recipe.words(),
            "infotext": recipe.to_line(),
        }
        try:
            source = status_of(task.source)
            photo = load_photo(task.source)
            mask = settings.inputs.mask_of(task.source)
            if mask is not None:
                photo = with_mask(photo, mask, settings.options.feather)
            record["notes"] = [*photo.notes, *writing_notes(photo, task.target)]
            note = _completing(self._journal, task, source, record, self._stop)
            look.save(photo, task.target, self._device, self._stop, settings.in_place, note)
        except StoppedError:
            return None
        except Exception as error:
            return failure(task, error)
        return record


@dataclass(frozen=True)
class ScoreSettings:
    """To tell how good each picture is."""

    options: Options

    def worker(self, stop: Callable[[], bool], wrap: Callable[[Scorer], Scorer]) -> Judge:
        """What does it."""
        return Judge(self, wrap)


class Judge:
    """Scores files, one after the other, by a scorer that is loaded once. Raises NuliError where it can't be."""

    def __init__(self, settings: ScoreSettings, wrap: Callable[[Scorer], Scorer] = lambda scorer: scorer) -> None:
        self._options, self._scorer = settings.options, wrap(load_scorer(settings.options))

    def __call__(self, task: FileTask) -> Record:
        """The record of one picture, with its `score`. Whatever goes wrong with it is told there."""
        from ..enhancer import score

        try:
            [value] = score(task.source, self._scorer, options=self._options)
        except Exception as error:
            return failure(task, error)
        return {"input": str(task.source), "status": SCORED, "scorer": self._scorer.name, "score": value}


AnySettings = Settings | LookSettings | ScoreSettings


def status_of(path: Path) -> os.stat_result:
    """The status of a source. Raises ImageError where there is none."""
    with as_image_error(path, "read"):
        return path.stat()


def check_unchanged(path: Path, before: os.stat_result) -> None:
    """Raise ImageError for a source that is not the one any more that was read: a result would hide what is new."""
    if signature(status_of(path)) != signature(before):
        raise ImageError(f"{path}: changed while it was worked on: do it again")


def _completing(
    journal: Journal | None, task: FileTask, source: os.stat_result, record: Record, stop: Callable[[], bool]
) -> OnWritten:
    """What to call when a result is complete, just before it takes its place: what was saved to the source meanwhile
    must not be written over, and what is there is noted."""
    note = journal.noting(task, source, record, stop) if journal else None

    def complete(made: Path) -> None:
        check_unchanged(task.source, source)
        if note:
            note(made)

    return complete


def pairs(result: Result, task: FileTask) -> list[tuple[Other, Path]]:
    """Each other result that there is, and where it goes."""
    return list(zip(result.others, task.others, strict=False))


def record_of(task: FileTask, result: Result) -> Record:
    """What there is to tell about a result."""
    told = result.to_dict()
    told["notes"] += writing_notes(result.photo, task.target)
    told["others"] = [{"output": str(path), **other.to_dict()} for other, path in pairs(result, task)]
    status = ENHANCED if result.changed else UNCHANGED
    return {"input": str(task.source), "output": str(task.target), "status": status, **told}


def skipped(task: FileTask, why: str) -> Record:
    """The record of a picture that is left as it is."""
    told = {"input": str(task.source), "output": str(task.target), "status": SKIPPED}
    return {**told, "changed": False, "notes": [why]}


def failure(task: FileTask, error: Exception) -> Record:
    """The record of a picture that could not be done: `error`, its exit code, and of a bug where it happened."""
    record = {"input": str(task.source), "output": str(task.target), "status": FAILED, "code": 1}
    if isinstance(error, NuliError):
        return {**record, "error": str(error), "code": error.exit_code}
    trace = "".join(traceback.format_exception(error))
    return {**record, "error": f"{task.source}: {internal_error(error)}", "trace": trace}


def _digest(data: Any) -> str:
    text = json.dumps([__version__, data], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
