"""What an enhanced picture says about itself, and how that becomes options again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ..options import Options, table

if TYPE_CHECKING:
    from ..enhancer import Result
    from ..recipe import Recipe

RECIPE = "NUl recipe"
"""Present on every picture that was looked at: "nuli1" alone where nothing was changed."""
BEFORE, AFTER = "NUl score before", "NUl score"
STAGE = "NUl stage"
PASTED = ("mode", "seconds", "strength", "scorer", "ops", "guards", "seed")
"""The options that are written and read; device and precision are a matter of the machine."""
_ROWS = {row.name: row for row in table()}
KEYS = (RECIPE, BEFORE, AFTER, STAGE, *(_ROWS[name].infotext for name in PASTED))


def of_recipe(recipe: Recipe) -> dict[str, str]:
    """Entries for a picture that a given recipe was applied to."""
    return {RECIPE: recipe.to_line()}


def of_result(result: Result, options: Options) -> dict[str, str]:
    """Entries for a picture that was searched on: options that are not the default, scores, recipe."""
    entries = {}
    for name in PASTED:
        value = getattr(options, name)
        if value != _ROWS[name].default:
            entries[_ROWS[name].infotext] = f"{value:g}" if isinstance(value, float) else str(value)
    # who judged, rather than "auto": the figures mean nothing without it
    entries[_ROWS["scorer"].infotext] = result.scorer
    entries[BEFORE], entries[AFTER] = f"{result.score_before:.3f}", f"{result.score_after:.3f}"
    return {**entries, **of_recipe(result.recipe)}


def was_enhanced(params: Mapping[str, Any]) -> bool:
    """Whether pasted parameters are those of a picture that NUlIE looked at."""
    return bool(params.get(RECIPE))


def option(params: Mapping[str, Any], name: str) -> Any:
    """An option's value in pasted parameters, its default where they don't name it; None: not our picture."""
    if not was_enhanced(params):
        return None
    return params.get(_ROWS[name].infotext, _ROWS[name].default)


def recipe(params: Mapping[str, Any]) -> str:
    """The recipe in pasted parameters, "" without."""
    return str(params.get(RECIPE) or "")
