"""What comes to a picture from outside: a mask, a reference, a place that is grey, a LUT."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from ..errors import ImageError
from ..imaging.photo import Photo
from ..ops.lut_files import lut_steps
from ..ops.neutral import neutral_at
from ..recipe import Recipe
from .controls import MAJOR
from .handlers import KEPT, Shown, acting, explain
from .session import Row, Session, masked, preview, with_changes

BRUSH = "#ff5500"
"""What a mask is painted in."""


def mask_editor(elem_id: str) -> gr.components.Component:
    """The component in which a mask is painted over the picture, where gradio stands; hidden at first."""
    common = {"label": "Paint where to enhance", "elem_id": elem_id, "visible": False, "type": "pil"}
    if MAJOR < 4:
        return gr.Image(source="upload", tool="sketch", brush_radius=40, height=420, **common)
    brush = gr.Brush(default_size=40, colors=[BRUSH], default_color=BRUSH, color_mode="fixed")
    return gr.ImageEditor(sources=(), transforms=(), layers=False, brush=brush, **common)


def start_painting(session: Session | None) -> tuple[Any, Any, str]:
    """The editor with the picture, the button that ends it, and what is said."""
    try:
        if session is None:
            raise ImageError("there is no picture yet: put one in first")
        picture = preview(session, Recipe()).convert("RGB")
        value = picture if MAJOR < 4 else {"background": picture, "layers": [], "composite": picture}
        return gr.update(value=value, visible=True), gr.update(visible=True), ""
    except Exception as error:
        return KEPT, KEPT, explain(error)


def painted(value: Any) -> tuple[Any, Any, Any, str]:
    """What was painted as a mask; the editor and its button, hidden again; and what is said."""
    try:
        return _strokes(value), gr.update(visible=False), gr.update(visible=False), ""
    except Exception as error:
        return KEPT, KEPT, KEPT, explain(error)


def _strokes(value: Any) -> Image.Image:
    """The strokes of an editor, white on black. Raises ImageError where there are none."""
    if value and "mask" in value:  # gradio 3
        strokes = np.array(value["mask"].convert("L"))
    else:
        layers = [np.array(layer.convert("RGBA"))[..., 3] for layer in (value or {}).get("layers", ()) if layer]
        strokes = np.max(layers, 0) if layers else np.zeros((1, 1), np.uint8)
    if not strokes.any():
        raise ImageError("nothing is painted yet: brush over what to enhance")
    return Image.fromarray(strokes)


def set_mask(session: Session | None, mask: Photo | Exception | None, feather: float) -> Shown:
    """The picture under another mask, or under none."""

    def change(session: Session) -> Session:
        if isinstance(mask, Exception):
            raise mask
        return masked(session, mask, feather)

    if session is None or (mask is None and not session.masked):
        return (KEPT,) * 5 + ("",)
    return acting(change)(session)


def neutral(session: Session, place: str) -> Session:
    """Steps that make a place "x,y" grey come first, in place of those of another one. Raises OptionError."""
    steps = neutral_at([session.view.photo], place or "")
    rows = (*(Row(step, neutral=True) for step in steps), *(row for row in session.rows if not row.neutral))
    return replace(with_changes(session, rows=rows), neutral_at=place)


def neutral_option(session: Session | None, value: str) -> str:
    """What the control of the option `neutral` shows: the place that was picked, for the next search too."""
    return session.neutral_at if session and session.neutral_at else value


def add_lut(session: Session, file: Any) -> Session:
    """The step of an uploaded .cube file comes last; the file is kept among the LUTs. Raises OptionError."""
    steps = lut_steps(getattr(file, "name", file) or "")
    return with_changes(session, rows=(*session.rows, *map(Row, steps)))
