"""The picture that somebody put in, from the very bytes that they put in.

Gradio's own way would clip 16 bits to 8, lose the metadata, and say nothing of a file that is damaged.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import ImageError
from ..imaging.photo import Photo, load_photo


def read_upload(payload: Any) -> Photo | Exception | None:
    """What gradio's image component hands to its handlers, in place of the component's own `preprocess`.

    Args:
        payload: a data URI (gradio 3), an object with a `path` or a `url` that is a data URI (gradio 4 and newer),
            a PIL image, or None.
    Returns:
        The photo; or what went wrong, for the status line: nothing can be shown from in here.
    """
    if payload is None or isinstance(payload, Photo):
        return payload
    try:
        if isinstance(payload, Image.Image):
            return load_photo(payload)
        uri = payload if isinstance(payload, str) else payload.url or ""
        if uri.startswith("data:"):
            return load_photo(base64.b64decode(uri.partition(",")[2]))
        if isinstance(payload, str):  # whoever sends one could name any file of this machine
            raise ImageError("this is no upload: put the picture in again")
        # gradio has checked that it lies among the uploads; not by its path, which says nothing to the user
        return load_photo(Path(payload.path).read_bytes())
    except Exception as error:
        return error
