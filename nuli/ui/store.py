"""Pictures that sessions work on, kept by us: gradio's own memory of its visitors is without bounds."""

from __future__ import annotations

import secrets
import threading
from typing import Any

from ..errors import ImageError

MAX_BYTES = 1 << 29
"""The bytes of all pictures together, unpacked."""


class Store:
    """Values by handle, up to so many bytes. The least recently used goes first; the newest always stays."""

    def __init__(self, most: int = MAX_BYTES) -> None:
        self.most, self._lock = most, threading.Lock()
        self._values: dict[str, tuple[Any, int]] = {}

    def put(self, value: Any, size: int) -> str:
        """Keep a value of `size` bytes; returns its handle."""
        handle = secrets.token_hex(16)
        with self._lock:
            self._values[handle] = value, size
            used = sum(size for _, size in self._values.values())
            for old in list(self._values)[:-1]:
                if used <= self.most:
                    break
                used -= self._values.pop(old)[1]
        return handle

    def get(self, handle: str) -> Any:
        """The value. Raises ImageError where it was put away."""
        with self._lock:
            if handle not in self._values:
                raise ImageError("this picture was put away, to make room for others: put the picture in again")
            self._values[handle] = value = self._values.pop(handle)  # to the end: used just now
            return value[0]

    def drop(self, handle: str) -> None:
        """Forget a value; one that is not there is no error."""
        with self._lock:
            self._values.pop(handle, None)


VIEWS = Store()
"""A `session.View` for every session that has a picture."""
