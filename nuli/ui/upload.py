"""The picture that somebody put in, from the very bytes that they put in.

Gradio's own way would clip 16 bits to 8, lose the metadata, and say nothing of a file that is damaged.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from PIL import Image

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
        address = payload if isinstance(payload, str) else payload.path or payload.url
        if address.startswith("data:"):
            return load_photo(base64.b64decode(address.partition(",")[2]))
        return load_photo(Path(address).read_bytes())  # not the path: nobody knows the upload's place
    except Exception as error:
        return error
