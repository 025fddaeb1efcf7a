"""A search saved as JSON, so that a later one can go on from it.

What it holds is told to the later search's tree as it is, so it may only go on with the same picture, scorer, mode
and guards: objectives of others mean something else.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import NuliError, SearchError, shown
from .imaging.atomic import atomic_write
from .imaging.photo import Photo
from .ops.step import Step
from .options import table
from .recipe import Recipe

VERSION = 1
"""The version of the written form. A newer one is refused, not guessed at."""
MAX_NODES = 512
MAX_BYTES = 4 << 20
"""The size of the largest file that is read; MAX_NODES recipes of the greatest length take a half."""
_MAX_EVALUATIONS = 10**12
_MAX_OBJECTIVE = 1e6
"""Objectives beyond are nobody's."""
Source = str | os.PathLike[str]


@dataclass(frozen=True)
class SavedSearch:
    """What a search found out."""

    scorer: str
    mode: str
    guards: str
    picture: str
    """See `fingerprint`."""
    evaluations: int
    """Evaluations of this search and of those that it went on from."""
    recipe: Recipe
    """What it ended with, before strength; here and in the nodes without the steps that are fixed."""
    nodes: tuple[tuple[Recipe, float], ...]
    """The best recipes with their objectives, best first."""

    def to_json(self) -> str:
        """One line for each node, so that a person can read it too."""
        head = {
            "nuli_search": VERSION,
            "scorer": self.scorer,
            "mode": self.mode,
            "guards": self.guards,
            "picture": self.picture,
            "evaluations": self.evaluations,
            "recipe": self.recipe.to_line(),
        }
        nodes = ",\n".join(json.dumps([recipe.to_line(), objective]) for recipe, objective in self.nodes)
        return f'{json.dumps(head, indent=1)[:-2]},\n "nodes": [\n{nodes}]\n}}\n'

    def save(self, path: Source) -> None:
        """Write it; the file that was there before stays until the new one is complete. Raises ImageError."""
        with atomic_write(path) as file:
            file.write(self.to_json().encode())

    @staticmethod
    def from_json(text: str) -> SavedSearch:
        """Raises SearchError for anything but what `to_json` writes."""
        try:
            data = json.loads(text)
        except (ValueError, TypeError, RecursionError):
            raise SearchError("this is no saved search: it is not JSON") from None
        if not isinstance(data, dict) or not isinstance(version := data.get("nuli_search"), int):
            raise SearchError('this is no saved search: one says its version, "nuli_search": 1')
        if version != VERSION:
            raise SearchError(f"this saved search is of version {shown(version)}; this nuli knows {VERSION}: update it")
        choices = {row.name: row.choices for row in table()}
        evaluations, nodes = data.get("evaluations"), data.get("nodes")
        if not isinstance(scorer := data.get("scorer"), str) or not 0 < len(scorer) <= 300:
            raise _damaged("scorer")
        for name in ("mode", "guards"):
            if data.get(name) not in choices[name]:
                raise _damaged(name)
        if not isinstance(picture := data.get("picture"), str) or not re.fullmatch("[0-9a-f]{64}", picture):
            raise _damaged("picture")
        if isinstance(evaluations, bool) or not isinstance(evaluations, int):
            raise _damaged("evaluations")
        if not 1 <= evaluations <= _MAX_EVALUATIONS:
            raise _damaged("evaluations")
        if not isinstance(nodes, list) or len(nodes) > MAX_NODES:
            raise _damaged("nodes")
        return SavedSearch(
            scorer,
            data["mode"],
            data["guards"],
            picture,
            evaluations,
            _recipe(data.get("recipe")),
            best_of(_node(node) for node in nodes),
        )

    @staticmethod
    def load(path: Source) -> SavedSearch:
        """Raises SearchError."""
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
            if len(data) > MAX_BYTES:
                raise SearchError("this is no saved search: it is too large")
            return SavedSearch.from_json(data.decode("utf-8-sig"))
        except OSError as error:
            raise SearchError(f"{path}: can't be read as a saved search ({error.strerror})") from None
        except ValueError:
            raise SearchError(f"{path}: this is no saved search: it is not text") from None
        except SearchError as error:
            raise SearchError(f"{path}: {error}") from None

    def check_options(self, scorer: str, mode: str, guards: str) -> None:
        """Raise SearchError unless a search with these can go on from here."""
        for name, here, there in (
            ("mode", mode, self.mode),
            ("scorer", scorer, self.scorer),
            ("guards", guards, self.guards),
        ):
            if here != there:
                raise SearchError(
                    f"the saved search is one with {name} {there!r}, not {here!r}: "
                    f"choose {name} {there}, or save to another file"
                )

    def check_picture(self, photo: Photo, fixed: tuple[Step, ...] = ()) -> None:
        """Raise SearchError unless it is the same picture, with the same mask and fixed steps."""
        if fingerprint(photo, fixed) != self.picture:
            raise SearchError(
                "the saved search is one of another picture, mask, neutral place or LUT: choose those, "
                "or save to another file"
            )


def fingerprint(photo: Photo, fixed: tuple[Step, ...] = ()) -> str:
    """SHA-256 of a photo's pixels and transparency, as loaded: the same on every device, whatever the file format. And
    of what else belongs to a search of it: its mask, and the steps that are fixed."""
    digest = hashlib.sha256()
    for name, part in (("", photo.pixels), ("", photo.alpha), ("mask", photo.mask)):
        if part is not None:
            digest.update(f"{name}{part.dtype.name}{part.shape}".encode())
            digest.update(np.ascontiguousarray(part).data)
    if fixed:
        digest.update(Recipe(fixed).to_line().encode())
    return digest.hexdigest()


def best_of(
    nodes: Iterable[tuple[Recipe, float]], protected: Iterable[tuple[Recipe, float]] = ()
) -> tuple[tuple[Recipe, float], ...]:
    """As many nodes as are saved, best first, none twice, none that does nothing.

    Args:
        protected: those to keep even where there are many better ones.
    """
    safe = dict(protected)
    unique = dict(nodes) | safe
    unique.pop(Recipe(), None)
    kept = sorted(unique.items(), key=lambda node: (node[0] not in safe, -node[1]))[:MAX_NODES]
    return tuple(sorted(kept, key=lambda node: -node[1]))


def _node(data: Any) -> tuple[Recipe, float]:
    if not isinstance(data, list) or len(data) != 2:
        raise _damaged("nodes")
    line, objective = data
    if isinstance(objective, bool) or not isinstance(objective, (int, float)):
        raise _damaged("nodes")
    if not abs(objective) <= _MAX_OBJECTIVE or not math.isfinite(objective):
        raise _damaged("nodes")
    return _recipe(line), float(objective)


def _recipe(line: Any) -> Recipe:
    if not isinstance(line, str):
        raise _damaged("recipe")
    try:
        return Recipe.from_line(line)
    except NuliError as error:
        raise SearchError(f"this saved search can't be used: {error}") from None


def _damaged(what: str) -> SearchError:
    return SearchError(f"this saved search is damaged (its {what}): start anew with another file")
