"""What an enhancer does to plain snapshots, which nobody retouched: does it show, does it please, does it clip?

    python bench/snapshots.py FOLDER [--referee weights_mobilenet_aesthetic_0.07.hdf5] [--sheet OUT.png]

Printed for each enhancer:

    dE      how far it takes a picture: mean CIEDE2000
    moved   share of the pictures that it takes 2 or more
    clips   share of the pictures in which more than 2 % of the pixels have a channel at 0 or 255 that was not there
    wins    share of those moved that the referee prefers; it took no part in the enhancement (see `referee`)
    gain    how many marks, of 10, it gives them more on average

A referee is no taste: this one likes contrast and cares little for lifted shadows. Look at the sheet too: its pages
OUT-1.png, OUT-2.png... show every picture before and after the first of the enhancers.
"""

from __future__ import annotations

import argparse
import csv
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from ciede2000 import mean_difference
from degrade import contrast, saturation
from PIL import Image, ImageDraw
from recover import Enhancer, as_float, autocontrast, enhance, find_enhancer, identity, read, to_bytes
from referee import Referee

import nuli
from nuli.errors import NuliError
from nuli.sources import list_images

MOVED = 2.0
"""CIEDE2000."""
CLIPPED = 0.02
"""Of the pixels."""
CELL, BAR, PAIRS, ABREAST = 300, 14, 21, 3
"""The sheet: pixels of a picture's long side and of the line above it, pairs on a page, and in a row of it."""


def nuli_version(x: np.ndarray, direction: str, **options: Any) -> np.ndarray:
    """What nuli makes of a file of 8 bits: its other result of that name, its main one where there is none."""
    result = nuli.enhance(to_bytes(x), **options)
    for other in result.others:
        if other.direction == direction:
            return as_float(other.render())
    return as_float(result.pixels)


PEERS: dict[str, Enhancer] = {
    "identity": identity,
    "half-autocontrast": partial(autocontrast, amount=0.5),
    "contrast": partial(contrast, size=1, factor=1.15),
    "saturation": partial(saturation, size=1, factor=1.25),
    "brightness": lambda x: x * 1.12,
}
VERSIONS = ("nuli", "gentle", "bolder")


@dataclass(frozen=True)
class Finding:
    """What became of one picture."""

    enhancer: str
    picture: str
    moved: float
    """Mean CIEDE2000."""
    clipped: float
    """Share of its pixels with a channel newly at an end."""
    before: float = math.nan
    """The referee's marks."""
    after: float = math.nan


def newly_clipped(before: np.ndarray, after: np.ndarray) -> float:
    """Share of the pixels of which a channel is at 0 or 255, rounded, and was not."""
    x, y = to_bytes(before), to_bytes(after)
    return float(np.any((y != x) & ((y == 0) | (y == 255)), axis=2).mean())


def table(findings: Sequence[Finding], refereed: bool) -> str:
    """A line an enhancer, in the order of the findings."""
    names = list(dict.fromkeys(f.enhancer for f in findings))
    width = max(map(len, names))
    lines = [f"{'enhancer':{width}} {'dE':>6} {'moved':>6} {'clips':>6}" + f" {'wins':>6} {'gain':>7}" * refereed]
    for name in names:
        mine = [f for f in findings if f.enhancer == name]
        far = [f for f in mine if f.moved >= MOVED]
        clips = np.mean([f.clipped > CLIPPED for f in mine])
        line = f"{name:{width}} {np.mean([f.moved for f in mine]):6.2f} {len(far) / len(mine):6.0%} {clips:6.0%}"
        if refereed and far:
            gains = np.array([f.after - f.before for f in far])
            line += f" {(gains > 0).mean():6.0%} {gains.mean():+7.3f}"
        lines.append(line)
    return "\n".join(lines)


Pair = tuple[str, Image.Image, Image.Image]
"""A title, and thumbnails of a picture before and after."""


def thumbnail(x: np.ndarray) -> Image.Image:
    image = Image.fromarray(to_bytes(x))
    image.thumbnail((CELL - 2, CELL - 2))
    return image


def page(pairs: Sequence[Pair]) -> Image.Image:
    rows = -(-len(pairs) // ABREAST)
    image = Image.new("RGB", (2 * CELL * ABREAST, (CELL + BAR) * rows), "white")
    pen = ImageDraw.Draw(image)
    for number, (title, *pair) in enumerate(pairs):
        left, top = number % ABREAST * 2 * CELL, number // ABREAST * (CELL + BAR)
        pen.text((left + 2, top + 1), title.encode("ascii", "replace").decode(), "black")
        for i, picture in enumerate(pair):
            image.paste(picture, (left + i * CELL, top + BAR))
    return image


def write_sheet(pairs: Sequence[Pair], file: Path) -> None:
    for number, first in enumerate(range(0, len(pairs), PAIRS), 1):
        page(pairs[first : first + PAIRS]).save(file.with_name(f"{file.stem}-{number}{file.suffix}"))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--referee", type=Path, help="the weights of idealo's NIMA, aesthetic (no marks)")
    parser.add_argument("--count", type=int, help="so many pictures, in the order of their names (all)")
    parser.add_argument("--size", type=int, default=640, help="short side in pixels, at most (640)")
    parser.add_argument(
        "--enhancers", default=",".join(["nuli", *PEERS]), help="(%(default)s), gentle, bolder, or module:function"
    )
    parser.add_argument("--sheet", type=Path, help="write pages of all pictures before and after the first enhancer")
    parser.add_argument("--csv", type=Path, help="write what became of every picture")
    parser.add_argument("--scorer", default="auto", help="for nuli (auto)")
    parser.add_argument("--evaluations", type=int, default=300, help="for nuli (300)")
    parser.add_argument("--strength", type=float, default=1.0, help="for nuli (1)")
    asked = parser.parse_args(arguments)
    options = {name: getattr(asked, name) for name in ("scorer", "evaluations", "strength")} | {"device": "cpu"}
    peers = PEERS | {name: partial(nuli_version, direction=name, **options) for name in VERSIONS}
    try:
        enhancers = {name: find_enhancer(name, options, peers) for name in asked.enhancers.split(",")}
        referee = Referee(asked.referee) if asked.referee else None
    except ValueError as error:
        parser.error(str(error))
    findings: list[Finding] = []
    pairs: list[Pair] = []
    try:
        for number, (picture, x) in enumerate(read(list_images(asked.folder)[: asked.count], asked.size), 1):
            before = referee.score(x) if referee else math.nan
            for i, (name, enhancer) in enumerate(enhancers.items()):
                y = enhance(enhancer, x)
                after = referee.score(y) if referee else math.nan
                found = Finding(name, picture, mean_difference(x, y), newly_clipped(x, y), before, after)
                findings.append(found)
                if i == 0 and asked.sheet:
                    marks = f", {before:.2f} to {after:.2f}" if referee else ""
                    pairs.append((f"{number} {picture[-40:]}: dE {found.moved:.1f}{marks}", thumbnail(x), thumbnail(y)))
    except NuliError as error:
        parser.error(str(error))
    if not findings:
        parser.error(f"no picture in {asked.folder} that can be used")
    print(f"n {len(findings) // len(enhancers)}")
    print(table(findings, referee is not None))
    if asked.sheet:
        write_sheet(pairs, asked.sheet)
    if asked.csv:
        with asked.csv.open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file)
            rows.writerow(field.name for field in fields(Finding))
            rows.writerows(map(astuple, findings))


if __name__ == "__main__":
    main()
