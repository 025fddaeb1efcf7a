"""Presets: named values for several options at once, in a file that people can read and write.

A file of presets has a section for each, in the form of configparser: `[name]`, then `option = value` lines, and
`help =` for a line about it. nuli's own are in presets.ini beside this module; the user's in presets.ini of
`places.config_dir()`.
"""

from __future__ import annotations

import configparser
import difflib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .errors import OptionError, shown
from .imaging.atomic import as_image_error, write_text
from .options import PRESET, Options, options_from, table
from .places import config_dir

SHIPPED = Path(__file__).with_name("presets.ini")
_HELP = "help"
_EXCLUDED = ("device", "precision", "neutral", "prompt")
"""What is a matter of the machine, or of one picture."""
NONE = "none"
"""What surfaces offer where no preset is chosen: none may be called so."""


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
        raise OptionError(f"there is no preset {shown(name)}: {hint}")
    return known[name].values


def save_preset(name: str, options: Options, help: str = "") -> Path:
    """Keep options under a name, in place of what had it, and return the file. Only what isn't the default is written,
    and nothing that is a matter of the machine or of one picture.

    Raises:
        OptionError: a name that is none, or a file of presets that can't be read.
        ImageError: it can't be written.
    """
    name = " ".join(name.split())
    if not name or len(name) > 60 or set(name) & set("[]\n=;#%") or name in (configparser.DEFAULTSECT, NONE):
        raise OptionError(f"a preset needs a name, of letters, digits, spaces and dashes; not {NONE!r}")
    path, defaults, values = own_file(), asdict(Options()), asdict(options)
    _read(path, own=True)
    kept = {key: value for key, value in values.items() if value != defaults[key] and key not in _EXCLUDED}
    # the mode is what a preset is chosen for: it is said even where it is the default
    lines = {_HELP: help, "mode": options.mode, **kept}
    section = [f"[{name}]", *(f"{key} = {_text(value)}" for key, value in lines.items() if value != "")]
    # everything else stays as it is written there, remarks before the other sections included
    parts = re.split(r"(?m)(?=^(?:(?:[;#].*)?\n)*\[)", _content(path))
    others = "".join(part for part in parts if not part.startswith(f"[{name}]")).strip()
    with as_image_error(path.parent, "made"):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, "\n".join([*([others, ""] if others else []), *section, ""]))
    return path


def _content(path: Path) -> str:
    """The text of a file of presets, "" where there is none. Raises OptionError."""
    try:
        return path.read_text("utf-8-sig")
    except FileNotFoundError:
        return ""
    except (OSError, ValueError) as error:
        raise OptionError(f"{path}: can't be read as a file of presets ({error}): save it as UTF-8 text") from None


def _read(path: Path, own: bool) -> dict[str, Preset]:
    parser = configparser.ConfigParser(interpolation=None, delimiters=("=",), comment_prefixes=(";", "#"))
    try:
        parser.read_string(_content(path))
    except configparser.Error as error:
        raise OptionError(f"{path}: no file of presets: {' '.join(str(error).split())[:200]}") from None
    found = {}
    for name in parser.sections():
        lines = dict(parser[name])
        help = _text(lines.pop(_HELP, ""))
        try:
            if PRESET.name in lines:  # such as itself
                raise OptionError("a preset can't name another one: write its values down here")
            options = options_from(lines)
        except OptionError as error:
            raise OptionError(f"{path}, [{name[:60]}]: {error}") from None
        found[name] = Preset(name, help, {key: getattr(options, key) for key in lines}, own)
    return found


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else " ".join(str(value).split())


def described() -> list[str]:
    """A line for each preset: its name, what it is for, and its values."""
    names = [row.name for row in table()]
    lines = []
    for one in presets().values():
        values = ", ".join(f"{name} {_text(one.values[name])}" for name in names if name in one.values)
        lines.append(f"{one.name}: {one.help + '; ' if one.help else ''}{values}")
    return lines
