"""Presets: named values for several options at once, in a file that people can read and write.

A file of presets has a section for each, in the form of configparser: `[name]`, then `option = value` lines, and
`help =` for a line about it. nuli's own are in presets.ini beside this module; the user's in presets.ini of
`places.config_dir()`.
"""

from __future__ import annotations

import configparser
import difflib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import OptionError
from .imaging.atomic import write_text
from .options import Options, options_from, table
from .places import config_dir

SHIPPED = Path(__file__).with_name("presets.ini")
_HELP = "help"
_EXCLUDED = ("device", "precision")
"""What is a matter of the machine."""


@dataclass(frozen=True)
class Preset:
    name: str
    help: str
    values: Mapping[str, Any]
    """Option values, by name, checked."""
    own: bool
    """Whether it is the user's."""


def own_file() -> Path:
    """Where the user's presets are, or would be."""
    return config_dir() / "presets.ini"


def presets() -> dict[str, Preset]:
    """All presets by name, nuli's own first. Raises OptionError for a file that can't be used."""
    return _read(SHIPPED, own=False) | _read(own_file(), own=True)


def preset(name: str) -> Mapping[str, Any]:
    """The option values of a preset. Raises OptionError."""
    known = presets()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
        raise OptionError(f"there is no preset {name!r}: {hint}")
    return known[name].values


def save_preset(name: str, options: Options, help: str = "") -> Path:
    """Keep options under a name, in place of what had it, and return the file. Only what isn't the default is written.

    Raises:
        OptionError: a name that is none, or a file of presets that can't be read.
        ImageError: it can't be written.
    """
    name = " ".join(name.split())
    if not name or len(name) > 60 or set(name) & set("[]\n=;#%") or name == configparser.DEFAULTSECT:
        raise OptionError("a preset needs a name, of letters, digits, spaces and dashes")
    _read(own_file(), own=True)
    parser = _parser()
    parser.read(own_file(), "utf-8")
    defaults, values = asdict(Options()), asdict(options)
    lines = {key: _text(value) for key, value in values.items() if value != defaults[key] and key not in _EXCLUDED}
    # the mode is what a preset is chosen for: it is said even where it is the default
    parser[name] = {**({_HELP: " ".join(help.split())} if help.strip() else {}), "mode": options.mode, **lines}
    path = own_file()
    path.parent.mkdir(parents=True, exist_ok=True)
    sections = [
        "\n".join([f"[{section}]", *(f"{key} = {value}" for key, value in parser[section].items())])
        for section in parser.sections()
    ]
    write_text(path, "\n\n".join([*sections, ""]))
    return path


def _parser() -> configparser.ConfigParser:
    return configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";", "#"))


def _read(path: Path, own: bool) -> dict[str, Preset]:
    parser = _parser()
    try:
        parser.read(path, "utf-8")  # no file, no presets
    except (configparser.Error, OSError, ValueError) as error:
        raise OptionError(f"{path}: no file of presets: {' '.join(str(error).split())}") from None
    found = {}
    for name in parser.sections():
        lines = dict(parser[name])
        help = lines.pop(_HELP, "")
        try:
            options = options_from(lines)
        except OptionError as error:
            raise OptionError(f"{path}, [{name}]: {error}") from None
        found[name] = Preset(name, help, {key: getattr(options, key) for key in lines}, own)
    return found


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def described() -> list[str]:
    """A line for each preset: its name, what it is for, and its values."""
    names = [row.name for row in table()]
    lines = []
    for one in presets().values():
        values = ", ".join(f"{name} {_text(one.values[name])}" for name in names if name in one.values)
        lines.append(f"{one.name}: {one.help + '; ' if one.help else ''}{values}")
    return lines
