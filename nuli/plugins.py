"""Scorers and ops that other packages bring, by entry points.

    [project.entry-points."nuli.scorers"]
    sharp = "my_package.scorers:sharp"      # a ScorerInfo, or an object with load(options, device, folders)

    [project.entry-points."nuli.ops"]
    fade = "my_package.ops"                 # a module that declares ops by `nuli.ops.registry.op`

A package that can't be loaded, or wants a name that is taken, is told of in one line, and nuli goes on without it.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

_log = logging.getLogger("nuli")


def scorers(taken: Collection[str]) -> dict[str, EntryPoint]:
    """The scorers that packages offer, by name, none of them loaded.

    Args:
        taken: names of nuli's own.
    """
    return {point.name: point for point in _found("nuli.scorers") if _is_free(point, taken)}


def load_ops(ops: dict[str, Any], groups: Collection[str]) -> None:
    """Import the modules that declare ops.

    Args:
        ops: the registry, which they fill. What a module that fails has put there is taken out again.
        groups: those that an op may belong to.
    """
    for point in _found("nuli.ops"):
        before = dict(ops)
        try:
            point.load()
            for name in ops.keys() - before.keys():
                if ops[name].group not in groups:
                    raise ValueError(f"{name} is of no group that there is ({', '.join(groups)})")
        except Exception as error:  # somebody else's code
            ops.clear()
            ops.update(before)
            _log.warning("the ops %s of %s are left out: %s", point.name, source(point), one_line(error))


@cache
def _found(group: str) -> tuple[EntryPoint, ...]:
    return tuple(dict.fromkeys(entry_points(group=group)))  # a path that is named twice brings each twice


@cache
def _is_free(point: EntryPoint, taken: Collection[str]) -> bool:
    if point.name in taken or ":" in point.name:
        _log.warning("the scorer %s of %s is left out: that name is taken", point.name, source(point))
        return False
    return True


def source(point: EntryPoint) -> str:
    """Whose it is, in words."""
    return point.dist.name if point.dist else point.value


def one_line(error: Exception) -> str:
    """An error of somebody else's code, as a line tells it."""
    return ": ".join([type(error).__name__, *filter(None, [" ".join(str(error).split())])])
