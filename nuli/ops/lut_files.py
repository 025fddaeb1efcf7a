"""The LUTs at hand: .cube files in a folder, each an op of its own, named by its content.

A LUT's name is that of its file and the first digits of its SHA-256: 'warm-1a2b3c4d'. A recipe holds that name, never
a path: the step reads 'lut@warm-1a2b3c4d=0.6', and means the same table wherever it can be replayed at all.
"""

from __future__ import annotations

import hashlib
import os
import re
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ..errors import OptionError, RecipeError
from ..imaging.atomic import as_image_error, atomic_write
from ..places import config_dir
from ..sources import signature
from .cube import MAX_BYTES, read_cube
from .registry import LUT, Op, Param
from .step import Step

SUFFIX = ".cube"
_DIGITS = 8
_NAME = re.compile(rf"([A-Za-z0-9_-]{{1,40}})-[0-9a-f]{{{_DIGITS}}}")


def luts_dir() -> Path:
    """The folder of LUTs."""
    return config_dir() / "luts"


def luts() -> dict[str, Path]:
    """The files in the folder by their LUTs' names; those that can't be read are left out."""
    found = {}
    for path in sorted(luts_dir().glob("*")):
        with suppress(OSError, OptionError):
            if path.suffix.lower() == SUFFIX and path.is_file():
                found[_name(path.stem, _digits(path, signature(path.stat())))] = path
    return found


def resolve(text: str, allow_paths: bool) -> str:
    """A LUT that a user named, as 'warm-1a2b3c4d' or 'warm-1a2b3c4d=0.6'. It is in the folder then.

    Args:
        text: the name of a LUT or of its file in the folder; with allow_paths also the path of a .cube file, which goes
            before those and is copied into the folder. Then, where less than all of it is wanted, "=" and an amount
            from 0 to 1. Of none, "", there is none.
        allow_paths: whether who asks may read the files of this machine: never for what came over a network.
    Raises:
        OptionError: there is no such LUT, or several, its file is none, or the amount is no such number.
        ImageError: the copy can't be written.
    """
    named, amount = text.strip(), "1"
    if not named:
        return ""
    if "=" in named and not named.lower().endswith(SUFFIX):
        named, _, amount = named.rpartition("=")
    try:
        value = float(amount)
        if not 0 <= value <= 1:
            raise ValueError
    except ValueError:
        raise OptionError(f"lut: the amount cannot be {amount[:20]!r}: give a value from 0 to 1") from None
    if not allow_paths and set(named) & set("/\\"):
        raise OptionError("there is no LUT of that name: a path can't be given here, name one in nuli's folder of LUTs")
    is_file = named.lower().endswith(SUFFIX)
    stem = named[: -len(SUFFIX)] if is_file else named
    known = luts()
    found = [name for name, path in known.items() if stem in (name, path.stem)]
    found = found or [name for name in known if name[: -_DIGITS - 1] == stem]
    if is_file and allow_paths:
        file = Path(os.path.expanduser(named))
        if file.is_file() or not found:
            found = [_kept(file)]  # what was copied from it before may be another LUT
    if not found:
        there = f"there are {', '.join(known)}" if known else f"put its {SUFFIX} file there first"
        raise OptionError(f"there is no LUT {stem[:60]!r} in nuli's folder of LUTs: {there}")
    if len(found) > 1:
        raise OptionError(f"there are several LUTs {stem[:60]!r} in nuli's folder of LUTs: say {' or '.join(found)}")
    [name] = found
    try:
        lut_op(f"{LUT}{name}")
    except RecipeError as error:
        raise OptionError(str(error)) from None
    return f"{name}={value:g}" if value != 1 else name


def lut_steps(text: str, allow_paths: bool = True) -> tuple[Step, ...]:
    """The step that an option's text asks for, see `resolve`; none for "". Raises OptionError."""
    name, _, amount = resolve(text, allow_paths).partition("=")
    return (Step(f"{LUT}{name}", (float(amount or 1),)),) if name else ()


@lru_cache(16)
@torch.inference_mode(False)  # it is used again, where gradients may be wanted
def lut_op(name: str) -> Op:
    """The op 'lut@NAME': towards what the table makes of each colour. Raises RecipeError."""
    full = name.removeprefix(LUT)
    match = _NAME.fullmatch(full)
    if not match:
        raise RecipeError(f"{name[:60]!r}: a LUT's step reads {LUT}NAME-DIGITS, such as {LUT}warm-1a2b3c4d")
    path = luts().get(full)
    if path is None:
        raise RecipeError(f"the LUT {full} isn't here: put its file, {match[1]}{SUFFIX}, into {_shown(luts_dir())}")
    try:
        cube = read_cube(_read(path))
    except OptionError as error:
        raise RecipeError(f"{path.name}: {error}") from None

    def lut(x: Tensor, amount: Tensor) -> Tensor:
        return torch.lerp(x, cube.apply(x).clamp(0, 1), amount)

    return Op(name, "colour", (Param("amount", 0, (0, 1), (0, 1)),), lut, True, False, True, None, False, None)


def _shown(path: Path) -> str:
    """A path as a message tells it, which may go far: without the user's name."""
    home, text = os.path.expanduser("~"), os.fspath(path)
    return f"~{text.removeprefix(home)}" if text.startswith(f"{home}{os.sep}") else text


def _kept(path: Path) -> str:
    """The name of a file's LUT, once the file is copied into the folder. Raises OptionError or ImageError."""
    data = _read(path)
    try:
        read_cube(data)  # nothing else is copied
    except OptionError as error:
        raise OptionError(f"{path}: {error}") from None
    name = _name(path.stem, hashlib.sha256(data).hexdigest())
    with as_image_error(luts_dir(), "written"):
        luts_dir().mkdir(parents=True, exist_ok=True)
    with atomic_write(luts_dir() / f"{name}{SUFFIX}") as file:
        file.write(data)
    return name


def _read(path: Path) -> bytes:
    """A file's bytes, one more at most than a LUT may have. Raises OptionError."""
    try:
        if not path.is_file():
            raise OptionError(f"{_shown(path)}: there is no such file: give the path of a .cube file, or a LUT's name")
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise OptionError(f"{_shown(path)}: can't be read ({error.strerror})") from None


@lru_cache(1024)
def _digits(path: Path, _: tuple[int, int]) -> str:
    """SHA-256 of a file that has that signature."""
    return hashlib.sha256(_read(path)).hexdigest()


def _name(stem: str, digits: str) -> str:
    """The name of a LUT, by its file's stem and its SHA-256: in a file that was copied here it stands already."""
    safe = re.sub(r"[^A-Za-z0-9_-]+", "-", stem)
    tail = f"-{digits[:_DIGITS]}"
    return f"{safe.removesuffix(tail)[:40] or 'lut'}{tail}"
