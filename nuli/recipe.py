"""Recipes: immutable chains of steps, and the ways to write them down.

A recipe holds values only; what an op measures in a picture (means, histograms) is measured again in each
picture that the recipe is applied to. The same recipe on the same picture gives the same pixels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .errors import OptionError, RecipeError, shown
from .imaging.photo import load_photo, to_image
from .ops.pipeline import at_strength
from .ops.registry import get_op
from .ops.render import render_rows
from .ops.step import Step
from .options import Amounts

if TYPE_CHECKING:
    import os

    import numpy as np
    from PIL import Image

VERSION = 1
"""The version of the written form. A recipe of a newer version is refused, not guessed at."""
MAX_STEPS = 64
"""Longer recipes are refused: nuli never makes them, and each step of one costs a pass over the picture."""
MAX_TEXT = 16 << 20
"""Characters of a text that a recipe may stand in, with whatever else is told there."""
_MOST_VALUES = 64
"""No op has as many parameters: of more, the rest is not taken apart."""


@dataclass(frozen=True)
class Recipe:
    """An ordered chain of steps; `Recipe()` leaves a picture as it is. Raises RecipeError if it is too long, or not
    made of steps."""

    steps: tuple[Step, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.steps, (tuple, list)) or not all(isinstance(step, Step) for step in self.steps):
            raise RecipeError(f"a recipe is made of steps, not of {shown(self.steps)}")
        _check_length(self.steps)
        object.__setattr__(self, "steps", tuple(self.steps))

    def __len__(self) -> int:
        return len(self.steps)

    def then(self, step: Step) -> Recipe:
        return Recipe((*self.steps, step))

    def without(self, index: int) -> Recipe:
        return Recipe(self.steps[:index] + self.steps[index + 1 :])

    def reductions(self) -> list[Recipe]:
        """All recipes of a step less: first without each of the steps, in order; then with two of one op merged, at
        the place of either."""
        recipes = [self.without(i) for i in range(len(self))]
        for j, later in enumerate(self.steps):
            for i, step in enumerate(self.steps[:j]):
                if step.op == later.op:
                    both = step.merged(later)
                    recipes.append(Recipe((*self.steps[:i], both, *self.steps[i + 1 : j], *self.steps[j + 1 :])))
                    recipes.append(Recipe((*self.steps[:i], *self.steps[i + 1 : j], both, *self.steps[j + 1 :])))
        return recipes

    def scaled(self, amounts: float | Amounts) -> Recipe:
        """This recipe at another strength (0: `Recipe()`), or at amounts of their own for light, colour and detail."""
        if isinstance(amounts, (int, float)) and abs(amounts) < 1e9:
            amounts = Amounts(amounts)
        if not isinstance(amounts, Amounts):
            raise OptionError(f"an amount is a number, not {shown(amounts)}")
        return self if amounts.as_found else Recipe(at_strength(self.steps, amounts))

    def without_noops(self) -> Recipe:
        """Without the steps that change nothing."""
        return Recipe(tuple(s for s in self.steps if not s.is_noop))

    def words(self) -> list[str]:
        """The steps as a person reads them, in order."""
        return [s.words() for s in self.steps]

    def apply(
        self,
        image: str | os.PathLike[str] | Image.Image | np.ndarray,
        device: str = "auto",
        stop: Callable[[], bool] = lambda: False,
    ) -> Image.Image:
        """The picture with this recipe applied, at its own size.

        Args:
            stop: asked now and then; once it returns True, the picture is given up.
        Raises:
            ImageError: the picture can't be read.
            StoppedError: `stop` returned True.
        """
        photo = load_photo(image)
        return to_image(photo, render_rows(photo, self.steps, device, stop=stop))

    def to_dict(self) -> dict[str, Any]:
        """{"nuli": 1, "steps": [{"op": "contrast", "factor": 1.12}, ...]}"""
        steps = []
        for step in self.steps:
            names = [p.name for p in get_op(step.op).params]
            steps.append({"op": step.op, **dict(zip(names, step.values, strict=True))})
        return {"nuli": VERSION, "steps": steps}

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    def to_line(self) -> str:
        """One line without comma, colon or quote, for infotext: 'nuli1 contrast=1.12 gamma=0.9/1'."""
        words = [f"{s.op}={'/'.join(f'{v:g}' for v in s.values)}" for s in self.steps]
        return " ".join([f"nuli{VERSION}", *words])

    @staticmethod
    def from_dict(data: Any) -> Recipe:
        """Of `to_dict`, or of anything that holds one under "recipe". Missing parameters get their identity."""
        if isinstance(data, dict) and isinstance(data.get("recipe"), dict):
            data = data["recipe"]
        if not isinstance(data, dict) or not isinstance(data.get("steps"), list):
            raise RecipeError('a recipe is {"nuli": 1, "steps": [{"op": ..., ...}, ...]}; this is something else')
        _check_version(data.get("nuli"))
        _check_length(data["steps"])  # before each is looked at: there may be millions
        return Recipe(tuple(_step_from_dict(s) for s in data["steps"]))

    @staticmethod
    def from_json(text: str) -> Recipe:
        try:
            data = json.loads(text)
        except (ValueError, TypeError, RecursionError) as error:
            raise RecipeError(f"not a recipe: {error}") from None
        return Recipe.from_dict(data)

    @staticmethod
    def from_line(line: str) -> Recipe:
        _check_text(line)
        head, *words = line.split() or [""]
        version = re.fullmatch(r"nuli(\d{1,9})", head)
        if not version:
            raise RecipeError(f"a recipe line starts with nuli{VERSION}, not {head[:20]!r}")
        _check_version(int(version[1]))
        _check_length(words)
        steps = []
        for word in words:
            name, _, values = word.partition("=")
            try:
                steps.append(Step(name, tuple(float(v) for v in values.split("/", _MOST_VALUES))))
            except ValueError:
                raise RecipeError(f"{word[:40]!r} is not a step; a step reads contrast=1.12") from None
        return Recipe(tuple(steps))

    @staticmethod
    def parse(text: str) -> Recipe:
        """A recipe in either written form."""
        _check_text(text)
        if len(text) > MAX_TEXT:
            raise RecipeError(f"the recipe is too long: {MAX_TEXT} characters are the most")
        text = text.strip()
        if not text:
            raise RecipeError("the recipe is empty; give JSON or a line that starts with nuli1")
        return Recipe.from_json(text) if text[0] in "{[" else Recipe.from_line(text)


def _check_text(text: Any) -> None:
    if not isinstance(text, str):
        raise RecipeError(f"a recipe is written as text, not as {shown(text)}")


def _check_length(steps: Sequence[Any]) -> None:
    if len(steps) > MAX_STEPS:
        raise RecipeError(f"a recipe may have at most {MAX_STEPS} steps, not {len(steps)}")


def _check_version(version: Any) -> None:
    if not isinstance(version, int) or version < 1:
        raise RecipeError('a recipe says its version, "nuli": 1; this one does not')
    if version > VERSION:
        raise RecipeError(
            f"this recipe is of version {shown(version)}; update nuli to use it (this one knows {VERSION})"
        )


def _step_from_dict(data: Any) -> Step:
    if not isinstance(data, dict) or not isinstance(data.get("op"), str):
        raise RecipeError(f'a step is {{"op": ..., ...}}, not {shown(data)}')
    op = get_op(data["op"])
    unknown = set(data) - {"op"} - {p.name for p in op.params}
    if unknown:
        names = ", ".join(p.name for p in op.params)
        raise RecipeError(f"{op.name} has no parameter {shown(sorted(unknown)[0])}; it has {names}")
    values = [data.get(p.name, p.identity) for p in op.params]
    for value in values:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise RecipeError(f"{op.name}: {shown(value)} is not a number")
    return Step(op.name, tuple(values))
