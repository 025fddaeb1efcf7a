"""The stand-alone interface: `nuli ui`."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.middleware import Middleware

from ..errors import OptionError
from ..hosting import Host, Worker
from .blocks import build
from .controls import MAJOR
from .files import remove_downloads, save_to_folder

TITLE = "NUlIE"
DICTIONARIES = ("de_DE", "ja_JP")
"""Those in localizations/, under the names that a WebUI knows them by."""
ABOUT = "Makes a picture better by searching chains of readable adjustments."
SESSIONS = 256
"""Visitors whose last pages gradio remembers, about half a megabyte of each; its own limit is ten thousand."""
_NOWHERE = str(Path(__file__, "nowhere"))
"""A path at which there is no folder, and can be none: below a file."""


def asset(name: str) -> str:
    """The text of a script, a dictionary or style.css: in a checkout where a WebUI looks for them, else installed.

    Raises FileNotFoundError where neither has it.
    """
    checkout = Path(__file__).parents[2]
    if (checkout / "javascript" / "nuli.js").is_file():
        return (checkout / name).read_text("utf-8")
    with suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("nulie") or ():
            if file.name == Path(name).name:
                return Path(file.locate()).read_text("utf-8")
    raise FileNotFoundError(f"{name} is missing from this installation of nulie: install it again")


def make(worker: Worker, language: str = "") -> tuple[gr.Blocks, dict[str, Any]]:
    """The page, its queue on, and what its launch needs for the script and the style to arrive.

    Args:
        language: such as "de"; "" for that of the browser, or English where there is no dictionary.
    Raises:
        OptionError: there is no such language.
    """
    languages = sorted(["en", *(name.partition("_")[0] for name in DICTIONARIES)])
    if language and language not in languages:
        raise OptionError(f"--language cannot be {language[:20]!r}: choose {', '.join(languages)}")
    script, style = _script(language), asset("style.css")
    # in the head: what goes through gradio's own `css` is rewritten, and comes out broken where a selector has a list
    head = f"<style>{style}</style><script>{script}</script>"
    page_options: dict[str, Any] = {}
    launch_options: dict[str, Any] = {}
    if "state_session_capacity" in inspect.signature(gr.Blocks.launch).parameters:
        launch_options["state_session_capacity"] = SESSIONS
    if MAJOR >= 6:
        launch_options["head"] = head
    else:
        page_options = {"head": head} if MAJOR >= 4 else {"css": style}
    with gr.Blocks(title=TITLE, analytics_enabled=False, **page_options) as page:
        gr.HTML(f'<header id="nuli_page"><h1>{TITLE}</h1><p>{ABOUT}</p></header>')
        build(worker)
        if MAJOR < 4:
            page.load(None, None, None, _js=f"() => {{ {script} }}")
    # several sessions at once: the host's lock sees to it that only one of them works the device
    page.queue(**({"concurrency_count": 8} if MAJOR < 4 else {"default_concurrency_limit": 8}))
    return page, launch_options


def _script(language: str) -> str:
    """All that runs in the page."""
    words = {name: json.loads(asset(f"localizations/{name}.json")) for name in DICTIONARIES}
    said = json.dumps([words, language]).replace("<", "\\u003c")  # no end of the script within
    data = f"[window.nuliLanguages, window.nuliLanguage] = {said};"
    return "\n".join([data, asset("javascript/nuli.js"), asset("javascript/nuli_localize.js")])


class _NoLaunchFolder:
    """ASGI middleware that keeps the files of the folder where the program was started from being served.

    gradio before 4.2 serves all that lie below the server's `cwd`, wherever uploads may be. Set with each request,
    the first included, so that there is no moment without it.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if hasattr(scope.get("app"), "cwd"):
            scope["app"].cwd = _NOWHERE
        await self._app(scope, receive, send)


def launch(
    port: int | None, listen: bool, output: Path, login: tuple[str, str] | None = None, language: str = ""
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        port: where to serve it; None for 7860, or the next that is free.
        listen: whether other machines may use it too; they can't name folders of this one.
        output: the folder where Save puts pictures.
        login: a name and a password to ask for.
        language: of the page, as in `make`.
    Raises:
        OptionError: there is no such language.
        OSError: the port is not free.
    """
    host = Host(
        save=partial(save_to_folder, output),
        server_folders=not listen,
    )
    page, options = make(Worker(host), language)
    try:
        page.launch(
            server_port=port,
            server_name="0.0.0.0" if listen else "127.0.0.1",
            share=False,
            auth=login,
            app_kwargs={"middleware": [Middleware(_NoLaunchFolder)]},
            **options,
        )
    finally:
        remove_downloads()  # the command leaves too fast for what is registered for its end
