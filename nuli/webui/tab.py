"""The tab, and the buttons that send pictures to it and from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr
from modules import errors, images, shared, ui_components

try:
    from modules import infotext_utils
except ImportError:  # its older name
    from modules import generation_parameters_copypaste as infotext_utils

from .. import infotext
from ..errors import ImageError
from ..ui import blocks
from ..ui.host import Host
from ..webui import engine, settings

if TYPE_CHECKING:
    from PIL import Image

    from ..recipe import Recipe

TITLE, NAME = "NUl Enhance", "nuli"
TARGETS = {"img2img": "img2img", "inpaint": "inpaint", "extras": "Extras"}
"""Tabs that take a picture, and what they are called."""
_GALLERIES = ("txt2img", "img2img", "extras")
_pictures: dict[str, Any] = {}
"""The host's components that hold pictures to send, by tab; filled while it draws its pages."""
_buttons: dict[str, Any] = {}
"""Our buttons beside them."""


def add() -> list[tuple[Any, str, str]]:
    """Callback on_ui_tabs. A tab that can't be built must not take the host's pages along."""
    try:
        with gr.Blocks(analytics_enabled=False) as page:
            parts = blocks.build(_host())
        infotext_utils.add_paste_fields(NAME, parts.image, None)
        for tab, button in _buttons.items():
            _bind(button, NAME, _pictures[tab])
        return [(page, TITLE, NAME)]
    except Exception:
        errors.report("NUl Enhance could not build its tab", exc_info=True)
        return []


def note_component(component: Any, **arguments: Any) -> None:
    """Callback on_after_component: put a button of ours after the last of those that send a picture elsewhere."""
    name = arguments.get("elem_id")
    if not isinstance(name, str):
        return
    if name == "pnginfo_image":
        _pictures["pnginfo"] = component
    elif name == "extras_tab" and "pnginfo" in _pictures:
        _buttons["pnginfo"] = gr.Button(f"Send to {TITLE}", elem_id=f"pnginfo_send_to_{NAME}")
    elif name.endswith(("_gallery", "_send_to_extras")):
        tab, _, what = name.partition("_")
        if tab not in _GALLERIES:
            return
        if what == "gallery":
            _pictures[tab] = component
        elif tab in _pictures:
            _buttons[tab] = ui_components.ToolButton(
                "\N{MAGIC WAND}", elem_id=f"{tab}_send_to_{NAME}", tooltip=f"Send image to {TITLE} tab."
            )


def add_score(params: Any) -> None:
    """Callback on_before_image_saved: the key that picture browsers sort by, where laion judged."""
    entries = getattr(params.p, "extra_generation_params", None) or {}
    if entries.get("NUl scorer") == "laion" and infotext.AFTER in entries:
        params.pnginfo["aesthetic_score"] = entries[infotext.AFTER]


def _host() -> Host:
    return Host(
        lock=engine.job,
        stopped=engine.stopped,
        device=engine.device,
        folders=engine.folders,
        save=_save,
        add_send_buttons=_add_send_buttons,
        defaults={"mode": settings.mode()},
        server_folders=not shared.cmd_opts.hide_ui_dir_config,
    )


def _add_send_buttons(image: Any) -> None:
    with gr.Row():
        for tab, title in TARGETS.items():
            button = gr.Button(f"Send to {title}", elem_id=f"{NAME}_send_to_{tab}", min_width=120)
            _bind(button, tab, image)


def _bind(button: Any, tab: str, image: Any) -> None:
    infotext_utils.register_paste_params_button(
        infotext_utils.ParamBinding(paste_button=button, tabname=tab, source_image_component=image)
    )


def _save(image: Image.Image, recipe: Recipe, text: str, name: str) -> Path:
    """Write a result where the host writes those of the Extras tab, in its format and under its kind of name."""
    options = shared.opts
    folder = options.outdir_samples or options.outdir_extras_samples
    # Not a suffix: under "don't add a number to file names" that alone would be the name of every picture.
    stem = f"{Path(name).stem}-{NAME}" if options.use_original_name_batch and name else NAME
    known = {key: value for key, value in image.info.items() if isinstance(key, str) and isinstance(value, str)}
    try:
        path, _ = images.save_image(
            image,
            path=folder,
            basename=stem,
            extension=options.samples_format,
            info=text,
            short_filename=True,
            no_prompt=True,
            grid=False,
            existing_info=known,
        )
    except OSError as error:
        raise ImageError(f"{folder}: the picture can't be written ({error.strerror or error})") from None
    return Path(path)
