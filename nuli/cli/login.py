"""The name and password that the user interface asks for: from the command line, a file, or the environment."""

from __future__ import annotations

import os
from pathlib import Path

from ..errors import OptionError

VARIABLE = "NULI_AUTH"
"""The environment variable that holds NAME:PASSWORD: unlike an argument, other users of the machine can't see it."""


def read_login(text: str | None, file: Path | None) -> tuple[str, str] | None:
    """The name and the password to ask for: of the argument, else of the file, else of NULI_AUTH; None without any.

    Args:
        text: "NAME:PASSWORD", as given on the command line.
        file: a text file whose first line is NAME:PASSWORD.
    Raises:
        OptionError: both were given, the file can't be read, or there is no name or no password.
    """
    if text is not None and file is not None:
        raise OptionError("--auth and --auth-file exclude each other: leave one out")
    place = "--auth"
    if text is None and file is not None:
        place = str(file)
        try:
            text = (file.read_text("utf-8-sig").splitlines() or [""])[0]
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no UTF-8 text"
            raise OptionError(f"{file}: can't be read for --auth-file ({reason})") from None
    elif text is None:
        place, text = VARIABLE, os.environ.get(VARIABLE)
        if text is None:
            return None
    name, colon, password = text.partition(":")
    if not (name and colon and password):
        raise OptionError(f"{place}: a login is NAME:PASSWORD, neither of them empty")
    return name, password
