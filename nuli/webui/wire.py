"""JSON that holds pictures, in pieces.

One call that parses, decodes or writes 200 MB of text lets no other thread go on for a second or more, the server's
own among them. Here the long strings, which are the pictures, are taken out of what comes in before it is parsed,
and put into what goes out after it is written; no call handles more than about a megabyte of them.
"""

from __future__ import annotations

import json
import re
import secrets
from typing import Any

from .pictures import Picture

LONG = 1 << 14
"""Bytes from which on a string is kept aside."""
MOST_REST = 1 << 20
"""Bytes of a request without them."""


def _mark() -> str:
    """What stands for a picture, with its number: nobody can guess it, so no other text has it."""
    return secrets.token_hex(16)


class Reader:
    """A request's JSON as it comes in."""

    def __init__(self, most: int) -> None:
        """`most`: bytes that there is room for."""
        self._most, self._size = most, 0
        self._rest, self._pictures = bytearray(), list[Picture]()
        self._string: list[bytes] | None = None  # the pieces of the string that is open
        self._odd = False  # it ends, so far, in an odd number of backslashes
        self._mark = _mark()

    def feed(self, chunk: bytes) -> bool:
        """Take the next bytes; whether there is room for more."""
        self._size += len(chunk)
        if self._size > self._most:
            return False
        at = 0
        while at < len(chunk):
            if self._string is None:
                quote = chunk.find(b'"', at)
                end = len(chunk) if quote < 0 else quote + 1
                self._rest += chunk[at:end]
                self._string = None if quote < 0 else []
            else:
                end = self._end_of_string(chunk, at)
                self._string.append(chunk[at:end])
                if end < len(chunk):
                    self._close(self._string)
                    end += 1
            at = end
        return len(self._rest) <= MOST_REST

    def body(self) -> Any:
        """What came, long strings as Pictures. Raises ValueError or RecursionError where it is not JSON."""
        return self._put_back(json.loads(bytes(self._rest)))

    def _put_back(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._put_back(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._put_back(item) for item in value]
        if isinstance(value, str) and value.startswith(self._mark):
            return self._pictures[int(value[len(self._mark) :])]
        return value

    def _end_of_string(self, chunk: bytes, at: int) -> int:
        """Where the quote is that ends the open string; the chunk's end where it is not in it."""
        start, odd = at, self._odd
        while True:
            quote = chunk.find(b'"', at)
            end = len(chunk) if quote < 0 else quote
            first = end
            while first > start and chunk[first - 1] == 0x5C:
                first -= 1
            escaped = (end - first + (odd and first == start)) % 2 == 1
            if quote < 0:
                self._odd = escaped
                return end
            if not escaped:
                self._odd = False
                return end
            at = quote + 1
            start, odd = at, False

    def _close(self, string: list[bytes]) -> None:
        self._string = None
        if sum(map(len, string)) < LONG:
            self._rest += b"".join(string) + b'"'
            return
        self._rest += f'{self._mark}{len(self._pictures)}"'.encode()
        self._pictures.append(Picture(string))


def write(answer: dict[str, Any]) -> list[bytes]:
    """An answer that may hold Pictures, as the pieces of its JSON."""
    pictures, number = list[Picture](), _mark()

    def mark(value: Any) -> str:
        if not isinstance(value, Picture):
            raise TypeError(f"{type(value).__name__} has no place in JSON")
        pictures.append(value)
        return f"{number}{len(pictures) - 1}"

    parts = re.split(rf'"{number}(\d+)"', json.dumps(answer, default=mark, ensure_ascii=False))
    pieces: list[bytes] = []
    for i, part in enumerate(parts):
        pieces += [b'"', *pictures[int(part)].pieces, b'"'] if i % 2 else [part.encode()]
    return pieces
