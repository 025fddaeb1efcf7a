"""The WebUI as a Host: its queue, its device, its folders, its buttons."""

from __future__ import annotations

from functools import cache
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

from modules import images, paths, shared

from ..errors import ImageError
from ..hosting import Host, Worker
from . import engine, settings
from .compat import report

if TYPE_CHECKING:
    from PIL import Image


NAME = "nuli"
"""The name of our tab, for the host."""


@cache
def worker() -> Worker:
    """The one that the tab and the API share, over every reload of the pages."""
    return Worker(
        Host(
            lock=engine.job,
            stopped=engine.stopped,
            interrupted=engine.interrupted,
            device=engine.device,
            folders=settings.folders,
            load_scorer=lambda options, folders: engine.scorer_for(options),
            save=save,
            defaults=lambda: {"mode": settings.mode()},
            server_folders=not shared.cmd_opts.hide_ui_dir_config,
            limits=settings.api_limits,
            report=lambda message: report(f"NUl Enhance: {message}"),
        )
    )


def save(image: Image.Image, text: str, name: str) -> Path:
    """Write a result where the host writes those of the Extras tab, in its format and under its kind of name."""
    options = shared.opts
    folder = options.outdir_samples or options.outdir_extras_samples
    if hasattr(paths, "resolve_output_path"):  # SD.Next's base folder, and the one in it
        folder = paths.resolve_output_path(options.outdir_samples, options.outdir_extras_samples)
    # the stem and a number alone; SD.Next adds its pattern for names
    short = {name: True for name in ("short_filename", "no_prompt") if name in signature(images.save_image).parameters}
    # Not a suffix: under "don't add a number to file names" that alone would be the name of every picture.
    stem = f"{Path(name).stem}-{NAME}" if options.use_original_name_batch and name else NAME
    known = {key: value for key, value in image.info.items() if isinstance(key, str) and isinstance(value, str)}
    try:
        path, *_ = images.save_image(
            image,
            path=folder,
            basename=stem,
            extension=options.samples_format,
            info=text,
            grid=False,
            existing_info=known,
            **short,
        )
    except OSError as error:
        raise ImageError(f"{folder}: the picture can't be written ({error.strerror or error})") from None
    return Path(path)
