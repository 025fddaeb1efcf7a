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
from . import drawing
from .handlers import KEPT, Shown, acting, explain
from .session import PREVIEW, Row, Session, masked, preview, with_changes
from .upload import read_upload

UNPAINTED = "nothing is painted yet: brush over what to enhance"


def start_painting(session: Session | None) -> tuple[Any, Any, str]:
    """The painter over the picture, the button that ends it, and what is said."""
    try:
        if session is None:
            raise ImageError("there is no picture yet: put one in first")
        return drawing.painter(preview(session, Recipe())), gr.update(visible=True), ""
    except Exception as error:
        return KEPT, KEPT, explain(error)


def stop_painting() -> tuple[Any, Any]:
    """The painter, empty again, and its button, hidden."""
    return "", gr.update(visible=False)


def painted(strokes: str) -> tuple[Any, Any, Any, str]:
    """What was painted as a mask; the painter and its button, gone again; and what is said.

    Args:
        strokes: a transparent PNG with the strokes, as a data URI; "" where there are none. It comes from a browser.
    """
    try:
        return _strokes(strokes), *stop_painting(), ""
    except Exception as error:
        return KEPT, KEPT, KEPT, explain(error)


def _strokes(uri: str) -> Image.Image:
    """The strokes, white on black. Raises ImageError where there are none."""
    if not uri:
        raise ImageError(UNPAINTED)
    photo = read_upload(str(uri))
    if isinstance(photo, Exception):
        raise photo
    if photo is None or photo.alpha is None or not photo.alpha.any():
        raise ImageError(UNPAINTED)
    if max(photo.alpha.shape) > PREVIEW:
        raise ImageError("what was painted is larger than the painter: load the page again")
    return Image.fromarray(photo.alpha.astype(np.uint8))


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
