"""Enhancing under the host's rules: its device, its weights folder, its interrupts, its progress display."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import gradio as gr
from modules import devices, shared

from .. import infotext
from ..errors import NuliError, StoppedError, WeightsError
from ..options import Options, options_from, with_named_lut
from ..scoring.registry import cached_scorer, release_cached, resolve_scorer
from . import settings
from .compat import report

if TYPE_CHECKING:
    from PIL import Image

    from ..result import Event
    from ..scoring.protocol import Scorer

LEFT = "NUl Enhance left the picture as it is: "
"""Begins what users are told of a picture that we could not enhance."""
PREVIEW_EVERY = 0.5
"""Seconds between live previews: each is a picture sent to every browser that watches."""


@dataclass(frozen=True)
class Wanted:
    """What a picture is to get."""

    values: dict[str, Any]
    """Of options, by name."""
    recipe: str = ""
    """Applied instead of a search; "" for none."""
    second: Mapping[str, Any] = field(default_factory=dict)
    """Second pictures by their names in `options.INPUTS`, as PIL images; None for one that isn't there."""


@dataclass(frozen=True)
class Enhanced:
    image: Image.Image
    """The very object that was given where nothing was changed."""
    infotext: dict[str, str]


_said: tuple[object, str] | None = None
"""The last complaint, and the job that it was about."""
_ends: dict[int, threading.Event] = {}
"""What ends each of our own jobs, by the thread that it waits or works in."""


def device() -> str:
    """The device that the host would use for a model of its own; --use-cpu is heard."""
    choose = getattr(devices, "get_device_for", None)
    return str(choose("nuli") if choose else devices.device)  # SD.Next has one for all


def stopped() -> bool:
    """Whether the user pressed Interrupt or Skip, or the job of this thread is to end."""
    return bool(shared.state.skipped) or interrupted()


def interrupted() -> bool:
    """Whether the user pressed Interrupt, which ends a whole batch; Skip ends one picture of it."""
    state, end = shared.state, _ends.get(threading.get_ident())
    ended = end is not None and end.is_set()
    return bool(state.interrupted or getattr(state, "stopping_generation", False) or ended)


def scorer_for(options: Options) -> Scorer:
    """The scorer that the options name, loaded at most once between two calls of `release`. Raises NuliError."""
    info = resolve_scorer(options.scorer, options.mode, settings.folders())
    # told here, since whoever uses a WebUI may have no command line to type advice into
    if info.missing(settings.folders()):
        raise WeightsError(
            f"the weights of {info.name} are not here: press Download laion in the tab NUl Enhance, under Scorers, or "
            "in Settings, under NUl Enhance; or choose another scorer, such as vivid"
        )
    return cached_scorer(options, settings.folders())


def release() -> None:
    """Forget the scorer after a job, and give its memory back, unless the user wants it kept."""
    if not settings.keep_model() and release_cached():
        devices.torch_gc()


@contextmanager
def job(name: str = "nuli") -> Iterator[None]:
    """A job of our own on the host's queue: nothing else works on the device until it ends.

    Raises:
        StoppedError: `end_jobs` was called while it waited.
    """
    from modules.call_queue import queue_lock

    thread = threading.get_ident()
    _ends[thread] = end = threading.Event()
    try:
        with queue_lock:
            if end.is_set():
                raise StoppedError("stopped before it began: the WebUI built its pages anew")
            shared.state.begin(name)
            try:
                yield
            finally:
                release()
                shared.state.end()
    finally:
        del _ends[thread]


def end_jobs() -> None:
    """End our own jobs, those that wait included. What the host itself does goes on, and so does auto-enhance in it."""
    for end in list(_ends.values()):
        end.set()


def options_for(values: dict[str, Any]) -> Options:
    """Options with the user's settings where a value is automatic, on the host's device. Raises OptionError."""
    seconds = settings.seconds()
    if values.get("seconds") is None and values.get("evaluations") is None and seconds:
        values = {**values, "seconds": seconds}
    # whoever is at the page, or a client of the host's API, is not to read the files of this machine
    return with_named_lut(options_from({**values, "device": device()}), allow_paths=False)


def enhance(image: Image.Image, wanted: Wanted) -> Enhanced:
    """Search, or apply a recipe where one is given; the picture itself is never written to.

    Raises:
        NuliError: for an option, recipe, picture or scorer that can't be used.
        StoppedError: the user wants no result.
    """
    from ..imaging.photo import load_photo
    from ..recipe import Recipe

    options = options_for(wanted.values)
    photo = load_photo(image)  # before the scorer, which may take long to load
    second = {name: picture for name, picture in wanted.second.items() if picture is not None}
    if wanted.recipe.strip():
        steps = Recipe.parse(wanted.recipe)
        if "mask" in second:
            from ..imaging.mask import with_mask

            photo = with_mask(photo, second["mask"], options.feather)
        done = steps.apply(photo, options.device, stopped) if len(steps.without_noops()) else image
        return Enhanced(done, infotext.of_recipe(steps) | infotext.of_inputs(second.keys() & {"mask"}))
    from ..enhancer import enhance as search

    scorer = None if "match" in second else scorer_for(options)  # a reference is a scorer of its own
    text, shown = shared.state.textinfo, 0.0

    def show(event: Event) -> None:
        nonlocal shown
        if time.monotonic() - shown >= PREVIEW_EVERY:
            _show(event)
            shown = time.monotonic()

    try:
        result = search(photo, options, scorer=scorer, stop=stopped, progress=show, others=0, **second)
    finally:
        shared.state.textinfo = text
    entries = infotext.of_result(result, options) | infotext.of_inputs(second)
    return Enhanced(result.image if result.changed else image, entries)


def enhance_safely(
    image: Image.Image, wanted: Callable[[], Wanted], tell: Callable[[str], None] | None = None
) -> Enhanced | None:
    """Enhance as `enhance` does; None where that failed: the log and the user are told, and the host goes on.

    Args:
        wanted: called here, so that what can't be had is told in the same way.
        tell: shows a line to the user; `toast` by default.
    """
    try:
        return enhance(image, wanted())
    except StoppedError as error:
        print(f"NUl Enhance: {error}")  # the user pressed the button, and knows
    except NuliError as error:
        say(str(error), tell)
    except Exception as error:  # the host's picture must survive whatever happens here, out of memory included
        release()
        say(f"{type(error).__name__} {error}".strip(), tell, trace=True)
    return None


def say(message: str, tell: Callable[[str], None] | None = None, trace: bool = False) -> None:
    """Tell the log and the user why a picture was left as it is; the same reason once a job."""
    global _said
    what = (shared.state.time_start, message)
    if what == _said:
        return
    _said = what
    text = f"{LEFT}{message}"
    if trace:
        report(text)
        text += " (more in the log)"
    else:
        print(f"*** {text}")
    (tell or toast)(text)


def toast(text: str) -> None:
    """Show a line in the corner of the page that asked; whoever asked by the API has none, and the log has the line."""
    # Some gradios take it for HTML, and a recipe that was pasted may hold anything.
    text = text.replace("<", "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}")
    with suppress(UserWarning):  # what gradio gives where there is no page: under python -W error it would be raised
        gr.Warning(text)


def _show(event: Any) -> None:
    state = shared.state
    state.textinfo = f"NUl Enhance: {event.score_before:.2f} -> {event.best_score:.2f}, {event.evaluations} tried"
    if getattr(shared.opts, "live_previews_enable", False):
        state.assign_current_image(event.preview)
