"""What an enhanced picture says about itself, and how that becomes options again."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .options import INPUTS, Options, table

if TYPE_CHECKING:
    from .recipe import Recipe
    from .result import Result

RECIPE = "NUl recipe"
"""Present on every picture that was looked at: "nuli1" alone where nothing was changed."""
BEFORE, AFTER = "NUl score before", "NUl score"
STAGE = "NUl stage"
_ROWS = {row.name: row for row in table()}
SCORER = _ROWS["scorer"].infotext
WRITTEN = tuple(row for row in table() if row.name not in ("device", "precision", "prompt"))
"""The options that are written; those left out are a matter of the machine, or written by the host itself."""
_INPUTS = {one.name: f"NUl {one.name}" for one in INPUTS}
KEYS = (RECIPE, BEFORE, AFTER, STAGE, *_INPUTS.values(), *(row.infotext for row in WRITTEN))
"""All that we ever write."""


def of_recipe(recipe: Recipe) -> dict[str, str]:
    """Entries for a picture that a given recipe was applied to."""
    return {RECIPE: recipe.to_line()}


def of_result(result: Result, options: Options) -> dict[str, str]:
    """Entries for a picture that was searched on: options that are not the default, scores, recipe."""
    return entries(result.recipe, options, result.scorer, result.score_before, result.score_after)


def entries(
    recipe: Recipe, options: Options, scorer: str = "", before: float | None = None, after: float | None = None
) -> dict[str, str]:
    """Entries for a picture, out of their parts; scorer and scores are left out where there are none."""
    texts = {}
    for row in WRITTEN:
        value = getattr(options, row.name)
        if value != row.default and row.name != "scorer":
            texts[row.infotext] = f"{value:g}" if isinstance(value, float) else str(value)
    if scorer:
        # who judged, rather than "auto": the figures mean nothing without it
        texts[SCORER] = scorer
    for key, score in ((BEFORE, before), (AFTER, after)):
        if score is not None:
            texts[key] = f"{score:.3f}"
    return {**texts, **of_recipe(recipe)}


def of_inputs(names: Iterable[str]) -> dict[str, str]:
    """Entries that tell which second pictures took part, by their names."""
    return {_INPUTS[name]: "yes" for name in names}


def to_text(entries: Mapping[str, str]) -> str:
    """Entries as one line of infotext. Hosts do so themselves with what they are given: hand them the plain entries."""
    return ", ".join(f"{key}: {quoted(value)}" for key, value in entries.items())


def quoted(value: str) -> str:
    """A value as infotext holds it: in JSON's quotes where a host would not read it back as it is."""
    plain = value and value == value.strip() and not re.search(r'[,:\n"]', value)
    return value if plain else json.dumps(value, ensure_ascii=False)


def recipe_in(text: str) -> Recipe:
    """A recipe as JSON or as a line, or the one in a picture's whole text of parameters: of several there the last,
    which was applied last. Those before it made the picture that it was applied to. Raises RecipeError."""
    from .recipe import Recipe

    found = re.findall(rf"{RECIPE}:\s*(nuli\d[^,\n]*)", text)
    return Recipe.parse(found[-1] if found else text)


def was_enhanced(params: Mapping[str, Any]) -> bool:
    """Whether pasted parameters are those of a picture that NUlIE looked at."""
    return bool(params.get(RECIPE))


def option(params: Mapping[str, Any], name: str) -> Any:
    """An option's value in pasted parameters, its default where they don't name it; None: not our picture."""
    if not was_enhanced(params):
        return None
    value = params.get(_ROWS[name].infotext, _ROWS[name].default)
    # the text doesn't hold the reference that judged
    return _ROWS[name].default if (name, value) == ("scorer", "match") else value


def had(name: str, params: Mapping[str, Any]) -> bool | None:
    """Whether that second picture took part, by pasted parameters; None: not our picture."""
    return _INPUTS[name] in params if was_enhanced(params) else None


def recipe(params: Mapping[str, Any]) -> str:
    """The recipe in pasted parameters, "" without."""
    return str(params.get(RECIPE) or "")
