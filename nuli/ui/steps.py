"""The list of steps: how it is drawn, and what is done to it there.

It is HTML of our own rather than components of gradio's: one line a step in a grid, values in the units of the words,
and as many steps as a recipe has. `javascript/nuli.js` tells of what is done as a JSON list of messages, such as
["value", 0, 1, -3.5] or ["on", 2, false], which `acted` carries out. They come from a browser: nothing in them is
believed.
"""

from __future__ import annotations

import html
import itertools
import json
import math
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from ..errors import RecipeError
from ..ops.registry import OPS, Param, get_op
from ..ops.step import Step
from .handlers import KEPT, explain
from .session import Row, Session, with_changes

POSITIONS = 200
"""A slider has about so many."""
MOST_MESSAGES = 200
OF_WHAT = " of the short side"
"""In words that are read out; beside a slider there is no room for it."""
_numbers = itertools.count(1)
_LOCK = (
    '<svg viewBox="0 0 16 16" aria-hidden="true"><path class="nuli-shackle" d="M5 7V5a3 3 0 0 1 6 0v2"/>'
    '<rect x="3.5" y="7" width="9" height="6.5" rx="1.5"/></svg>'
)


def draw(session: Session | None, locked: Collection[str] = ()) -> str:
    """The list; `locked` names the groups and ops that the next search must not touch."""
    rows = session.rows if session else ()
    if not rows:
        return '<p class="nuli-none">No steps yet.</p>'
    hard = bool(session and session.options.mode == "hard")
    items = "".join(_item(i, row, hard, locked) for i, row in enumerate(rows))
    # another element each time, whoever else's was drawn meanwhile: gradio 6 would leave a moved slider and a switch as
    # they are in one of the same name
    tag = f"nuli-list-{next(_numbers)}"
    return f'<{tag} style="display:block"><ol class="nuli-steps">{items}</ol></{tag}>'


def _item(i: int, row: Row, hard: bool, locked: Collection[str]) -> str:
    op = get_op(row.step.op)
    name, lock = f"nuli_name_{i}", f"nuli_lock_{i}"
    fixed = op.name in locked or op.group in locked
    first, *further = (
        _value(i, j, param, value, found, hard, name if j == 0 else f"{name} {name}_{j}")
        for j, (param, value, found) in enumerate(zip(op.params, row.step.values, row.first, strict=True))
    )
    lines = "".join(
        f'<span class="nuli-sub" id="{name}_{j}">{html.escape(op.params[j].name)}</span>{line}'
        for j, line in enumerate(further, 1)
    )
    button = (
        f'<button type="button" class="nuli-lock" id="{lock}" data-op="{op.name}" '
        f'aria-labelledby="{lock}_text {name}" aria-pressed="{str(fixed).lower()}" title="Never touch">{_LOCK}'
        f'<span class="nuli-spoken" id="{lock}_text">Never touch</span></button>'
    )
    return (
        f'<li class="nuli-step" data-step="{i}">'
        f'<label class="nuli-name"><input type="checkbox" class="nuli-on"{" checked" * row.on}>'
        f'<span id="{name}">{html.escape(op.words)}</span></label>{first}'
        f"{button if op.name in OPS else '<span></span>'}{lines}</li>"
    )


def _value(i: int, j: int, param: Param, value: float, found: float, hard: bool, names: str) -> str:
    """A slider in the units of the words, and the value in words beside it."""
    low, high = param.hard if hard or param.soft[0] == param.soft[1] else param.soft
    reading = param.reading
    ends = [reading.shown(end) for end in (min(low, value, found), max(high, value, found))]
    size = step_size(param)
    low, high = math.floor(ends[0] / size) * size, math.ceil(ends[1] / size) * size
    shown, first = (f"{reading.shown(v):.6g}" for v in (value, found))
    begin = (reading.shown(found) - low) / (high - low)
    words = param.words(value)
    suffix, brief, at_first = (text.removesuffix(OF_WHAT) for text in (reading.suffix, words, param.words(found)))
    data = {
        "param": j,
        "step": f"{size:g}",
        "first": first,
        "words": at_first,
        "decimals": reading.decimals,
        "sign": reading.sign,
        "suffix": suffix,
    }
    attributes = "".join(f' data-{key}="{value}"' for key, value in data.items())
    return (
        f'<input type="range" class="nuli-value" id="nuli_step_{i}_{j}" style="--nuli-begin:{begin:.4f}" '
        f'min="{low:.6g}" max="{high:.6g}" step="any" value="{shown}" aria-labelledby="{names}" '
        f'aria-valuetext="{words}"{attributes}>'
        f'<output for="nuli_step_{i}_{j}">{brief}</output>'
    )


def step_size(param: Param) -> float:
    """How far apart a slider's positions are, in the units of the words: 1, 2 or 5 of some decimal place."""
    low, high = param.soft if param.soft[0] != param.soft[1] else param.hard
    size = (high - low) * param.reading.scale / POSITIONS
    if param.unit == "bits":
        return 1.0
    place = 10 ** math.floor(math.log10(size))
    return next(place * factor for factor in (1, 2, 5, 10) if size <= place * factor * 1.001)


def messages(text: str) -> list[list[Any]]:
    """What the page's script sent. Raises RecipeError for anything else."""
    try:
        found = json.loads(text or "")
        if not all(isinstance(one, list) and one for one in found) or len(found) > MOST_MESSAGES:
            raise ValueError
    except (ValueError, TypeError, RecursionError):
        raise RecipeError("the page sent something that is no list of changes: load it again") from None
    return found


def acted(session: Session, text: str) -> Session:
    """The session after what was done in the list. Raises RecipeError."""
    for message in messages(text):
        session = _acted(session, message)
    return session


def toggled(text: str, locked: Sequence[str] | None) -> tuple[Any, str]:
    """The locked groups and ops after ["lock", op, whether], as their control holds them; and what is said."""
    try:
        kept = list(locked or ())
        for kind, name, on in messages(text):
            if kind != "lock" or name not in OPS:
                raise RecipeError("there is no such step to lock: load the page again")
            group = OPS[name].group
            if on and name not in kept:
                kept.append(name)
            elif not on and group in kept:  # all of its group but this one
                kept.remove(group)
                kept += [op.name for op in OPS.values() if op.group == group and op.name not in (name, *kept)]
            elif not on and name in kept:
                kept.remove(name)
        return kept, ""
    except Exception as error:
        return KEPT, explain(error)


def _acted(session: Session, message: list[Any]) -> Session:
    rows = list(session.rows)
    try:
        kind, i, *rest = message
        row = rows[_index(i, len(rows))]
        if kind == "on":
            [on] = rest
            rows[i] = replace(row, on=bool(on))
            return with_changes(session, rows=tuple(rows))
        if kind != "value":
            raise ValueError
        j, shown = rest
        params, values = get_op(row.step.op).params, list(row.step.values)
        param = params[_index(j, len(params))]
        low, high = param.limits
        value = param.reading.value(float(shown))
        if not math.isfinite(value):
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise RecipeError("the list of steps is not what the page shows any more: load the page again") from None
    values[j] = min(max(value, low), high)
    rows[i] = replace(row, step=Step(row.step.op, tuple(values)), found=row.first)
    return with_changes(session, rows=tuple(rows), by=f"{row.step.op} {i} {j}")


def _index(value: Any, length: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < length:
        raise ValueError
    return value
