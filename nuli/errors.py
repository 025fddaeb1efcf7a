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


def internal_error(error: Exception) -> str:
    """An error that nobody foresaw, in one line."""
    return ": ".join(["internal error", type(error).__name__, *filter(None, [" ".join(str(error).split())])])
