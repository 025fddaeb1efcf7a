"""Everything that nuli raises on purpose. Each message says what to do about it, in one line."""


class NuliError(Exception):
    """Base of all errors that a caller may want to show to a person as they are."""

    exit_code = 1
    """What a command ends with."""


class ImageError(NuliError):
    """A picture that cannot be read or written."""


class EmptyError(ImageError):
    """A folder without pictures."""


class RecipeError(NuliError):
    """A recipe that is malformed, of a newer version, or names an op that does not exist."""


class OptionError(NuliError):
    """An option with an unknown name, or a value outside its range."""

    exit_code = 2


class SearchError(NuliError):
    """A saved search that is malformed, or of another picture, scorer, mode or guards."""


class WeightsError(NuliError):
    """Weights that are absent, incomplete, or not the file that was expected."""


class ScoreError(NuliError):
    """A scorer that returned something else than one finite number per view."""


class DeviceMemoryError(NuliError):
    """A device without the memory for even one candidate."""


class BusyError(NuliError):
    """Work that is not taken on, since there is enough already."""


class StoppedError(NuliError):
    """Work that the user, or the host, ended before there was a result."""


def shown(value: object, most: int = 60) -> str:
    """A value as a message quotes it, whatever somebody sent: in one line, and not longer than that."""
    try:
        text = repr(value)
    except Exception:  # an integer of thousands of digits has none
        text = f"a {type(value).__name__}"
    text = " ".join(text.split()) if "\n" in text else text  # an array has lines
    return text if len(text) <= most else f"{text[: most - 3]}..."


def is_out_of_memory(error: BaseException) -> bool:
    """CUDA has an error of its own, known by its name, for torch isn't loaded here; the CPU, MPS and CUDA's libraries
    only say so, and oneDNN, which works on CPUs, that it "could not create a primitive"."""
    words = ("out of memory", "can't allocate memory", "alloc_failed", "could not create a primitive")
    said = isinstance(error, RuntimeError) and any(word in str(error).lower() for word in words)
    return isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or said


def internal_error(error: Exception) -> str:
    """An error that nobody foresaw, in one line."""
    if is_out_of_memory(error):
        return "not enough memory: free some, or scale the picture down"
    return ": ".join(["internal error", type(error).__name__, *filter(None, [" ".join(str(error).split())])])
