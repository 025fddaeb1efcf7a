"""The button that fetches the weights of the `laion` scorer, for whoever has no command line."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import gradio as gr

from ..scoring.registry import SCORERS
from ..scoring.weights import WeightsFile, download, locate, verify
from . import drawing
from .controls import LONG_EVENT
from .handlers import explain

NAME = "laion"
PROGRESS_INTERVAL = 0.5
"""Seconds between two lines about progress."""


@dataclass
class _Download:
    """One run, in a thread of its own: it goes on where its page is left."""

    folders: Sequence[Path]
    files: tuple[WeightsFile, ...]
    done: int = 0
    """Bytes."""
    error: Exception | None = None
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        before = 0
        try:
            for file in self.files:
                if path := locate(file, self.folders):
                    verify(file, path)
                else:
                    download(file, _folder(file, self.folders), lambda got, _, before=before: self._set(before + got))
                before += file.size or 0
                self._set(before)
        except Exception as error:
            self.error = error
        finally:
            self.ended.set()

    def _set(self, done: int) -> None:
        self.done = done

    def line(self) -> str:
        """How far it is."""
        percent = math.floor(100 * self.done / max(1, _bytes(self.files)))
        return drawing.line(f"downloading {NAME}: {percent} % of {_megabytes(self.files)} MB", "busy")


_running: _Download | None = None
_lock = threading.Lock()


def draw(folders: Callable[[], Sequence[Path]], prefix: str = "nuli") -> None:
    """The line that says whether the weights are here, and the button, where gradio stands.

    Args:
        folders: where the host keeps weights; a missing CLIP goes into the first.
    """
    # a function: looked up whenever a page is opened
    status = gr.HTML(lambda: state(folders()), elem_id=f"{prefix}_weights")
    button = gr.Button(label(), elem_id=f"{prefix}_weights_download")

    def run() -> Iterator[str]:
        yield from fetch(folders())

    button.click(run, None, status, **LONG_EVENT)


def label() -> str:
    """What the button says: how much it fetches, and under which licences."""
    files = SCORERS[NAME].files
    licences = " and ".join(dict.fromkeys(file.licence for file in files))
    return f"Download {NAME} ({_megabytes(files)} MB; {licences})"


def state(folders: Sequence[Path]) -> str:
    """Whether the weights are here."""
    if SCORERS[NAME].missing(folders):
        return drawing.line(f"{NAME} is not here: built-in scorers judge, tone in soft mode and taste in hard.")
    return drawing.line(f"{NAME} is ready: auto chooses it.")


def fetch(folders: Sequence[Path]) -> Iterator[str]:
    """Download what is missing and check it all; yields lines about it. One run at a time serves all pages."""
    global _running
    with _lock:
        first = _running is None or _running.ended.is_set()
        if first:
            _running = _Download(folders, SCORERS[NAME].files)
            threading.Thread(target=_running.run, name="nuli-download", daemon=True).start()
        task = _running
    if not first:
        yield drawing.line(f"{NAME} is being downloaded already, for this page or another: wait for its end", "error")
        return
    yield drawing.line(f"looking for {NAME}…", "busy")
    while not task.ended.wait(PROGRESS_INTERVAL):
        yield task.line()
    yield explain(task.error) if task.error else state(folders)


def _folder(file: WeightsFile, folders: Sequence[Path]) -> Path | None:
    """Where a missing file goes: what other programs use too lies with the host's, for both; else nuli's cache."""
    return Path(folders[0]) if folders and file.shared_folders else None


def _bytes(files: Sequence[WeightsFile]) -> int:
    return sum(file.size or 0 for file in files)


def _megabytes(files: Sequence[WeightsFile]) -> int:
    return math.ceil(_bytes(files) / 1e6)
