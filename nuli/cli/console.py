"""What the command line prints: results on standard output; errors, notes and progress on standard error."""

from __future__ import annotations

import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress

from ..errors import NuliError, internal_error

DEBUG = "NULI_DEBUG"
"""The environment variable that, set to 1, makes internal errors print where they happened."""
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class OutputError(Exception):
    """Standard output cannot be written: its disk is full, or the reader of a pipe has left."""


def prepare() -> None:
    """Make standard output and error fit to print any text, and silence warnings of libraries about pictures.

    A stream that was closed before the start (`>&-`) becomes one that goes nowhere: what a command saves is still
    saved, and errors do not get among the results.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # stays open to the end
        elif hasattr(stream, "reconfigure"):  # names of files may hold what a terminal can't show
            stream.reconfigure(errors="backslashreplace")
    # here and not where pictures are read: filters belong to the whole process, and this process is ours
    warnings.filterwarnings("ignore", module=r"PIL\.")  # large pictures, and damage that does not matter
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.")  # TorchScript is deprecated
    warnings.formatwarning = lambda message, *_, **__: f"nuli: {plain(str(message))}\n"


def say(text: str) -> None:
    """Print a line on standard output at once. Raises OutputError."""
    try:
        print(plain(text), flush=True)
    except OSError as error:
        raise OutputError from error


def plain(text: str) -> str:
    """Text in one line, without signs that a terminal would obey: names of files may hold any."""
    return _CONTROLS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def tell(text: str, end: str = "\n") -> None:
    """Print a line on standard error at once, where that can be written."""
    with suppress(OSError):  # nobody is left who could be told
        print(text, end=end, file=sys.stderr, flush=True)


def draw(text: str) -> None:
    """Draw a line of progress anew on standard error."""
    tell(f"\r{plain(text)}\x1b[K", end="")


def complain(error: NuliError) -> int:
    """Tell of an error in one line; returns its exit code."""
    tell(f"nuli: {plain(str(error))}")
    return error.exit_code


def complain_of_bug(error: Exception, subject: object = None) -> int:
    """Tell of an error that nobody foresaw in one line, after its traceback where NULI_DEBUG is 1; returns 1.

    Args:
        error: the error.
        subject: what was worked on, to begin the line with.
    """
    place = "" if subject is None else f"{subject}: "
    return complain_of_failure(f"{place}{internal_error(error)}", "".join(traceback.format_exception(error)))


def complain_of_failure(message: str, trace: str | None, code: int = 1) -> int:
    """Tell of an error that has been put into words; returns its exit code.

    Args:
        trace: where an error happened that nobody foresaw.
    """
    hint = ""
    if trace and os.environ.get(DEBUG, "") not in ("", "0"):
        tell(trace, end="")
    elif trace:
        hint = f" (set {DEBUG}=1 to see where)"
    tell(f"nuli: {plain(message)}{hint}")
    return code


def complain_of_output(error: OutputError) -> int:
    """Tell that standard output cannot be written, unless its reader has just seen enough (`| head`); returns 1."""
    if not isinstance(error.__cause__, BrokenPipeError):
        tell(f"nuli: the output cannot be written ({getattr(error.__cause__, 'strerror', None) or error.__cause__})")
    with suppress(OSError, ValueError):  # what is still in the buffer must not fail again, later
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def attempt(action: Callable[[], int | None], subject: object) -> int:
    """Do something that may fail without ending what comes after it.

    Args:
        action: returns an exit code; None is 0.
        subject: what it works on, for the message about an error that nobody foresaw.
    Returns:
        The exit code; an error has been told of.
    Raises:
        OutputError: there is no use in going on, since nobody would hear of it.
    """
    try:
        return action() or 0
    except NuliError as error:
        return complain(error)
    except OutputError:
        raise
    except Exception as error:
        return complain_of_bug(error, subject)


def flush(code: int) -> int:
    """Write out what is still in the buffers; returns the exit code, 1 in place of 0 where that fails."""
    try:
        sys.stdout.flush()
    except OSError as error:
        failure = OutputError()
        failure.__cause__ = error
        return code or complain_of_output(failure)
    return code


def bar(share: float) -> str:
    """A bar of 20 signs."""
    filled = int(20 * share)
    return f"[{'#' * filled}{'.' * (20 - filled)}]"
