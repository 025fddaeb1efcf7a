"""The stand-alone interface: `nuli ui`."""

from __future__ import annotations

import importlib.metadata
from contextlib import suppress
from pathlib import Path
from typing import Any

import gradio as gr

from ..hosting import Host, Worker
from .blocks import build
from .files import save_to_folder

_MAJOR = int(gr.__version__.split(".")[0])
TITLE = "NUlIE"


def asset(name: str) -> str:
    """The text of javascript/nuli.js or style.css: in a checkout where a WebUI looks for them, else installed."""
    checkout = Path(__file__).parents[2]
    if (checkout / "javascript" / "nuli.js").is_file():
        return (checkout / name).read_text("utf-8")
    with suppress(importlib.metadata.PackageNotFoundError):
        for file in importlib.metadata.files("nulie") or ():
            if file.name == Path(name).name:
                return Path(file.locate()).read_text("utf-8")
    raise FileNotFoundError(f"{name} is missing from this installation of nulie: install it again")


def make(worker: Worker) -> tuple[gr.Blocks, dict[str, Any]]:
    """The page, its queue on, and what its launch needs for the script and the style to arrive."""
    script, style = asset("javascript/nuli.js"), asset("style.css")
    head = f"<script>{script}</script>"
    dress: dict[str, Any] = {}
    if _MAJOR >= 6:
        launch: dict[str, Any] = {"css": style, "head": head}
    else:
        launch, dress = {}, {"css": style} | ({"head": head} if _MAJOR >= 4 else {})
    with gr.Blocks(title=TITLE, analytics_enabled=False, **dress) as page:
        gr.Markdown(f"# {TITLE}\nMakes a picture better by searching chains of readable adjustments.")
        build(worker)
        if _MAJOR < 4:
            page.load(None, None, None, _js=f"() => {{ {script} }}")
    # several sessions at once: the host's lock sees to it that only one of them works the device
    page.queue(**({"concurrency_count": 8} if _MAJOR < 4 else {"default_concurrency_limit": 8}))
    return page, launch


def launch(port: int | None, listen: bool, output: Path) -> None:
    """Serve the page until Ctrl-C. With `listen` other machines may use it; they can't name folders of this one."""
    host = Host(
        save=lambda image, recipe, infotext, name: save_to_folder(output, image, infotext, name),
        server_folders=not listen,
    )
    page, options = make(Worker(host))
    page.launch(server_port=port, server_name="0.0.0.0" if listen else "127.0.0.1", share=False, **options)
