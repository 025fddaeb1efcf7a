"""Steps that the user asked for: every recipe is built on them, and none may undo them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..imaging.photo import Photo
from ..ops.lut_files import lut_steps
from ..ops.neutral import LOCKED, neutral_at
from ..ops.step import Step
from ..options import Options
from ..recipe import Recipe


@dataclass(frozen=True)
class Fixed:
    """Steps before and after those that are searched for. False where there are none."""

    first: tuple[Step, ...] = ()
    last: tuple[Step, ...] = ()
    locked: frozenset[str] = frozenset()
    """Ops that would undo them."""

    def __bool__(self) -> bool:
        return bool(self.first or self.last)

    def around(self, steps: Sequence[Step]) -> tuple[Step, ...]:
        """The whole chain."""
        return (*self.first, *steps, *self.last)

    def whole(self, recipe: Recipe) -> Recipe:
        """The whole recipe."""
        return Recipe(self.around(recipe.steps)) if self else recipe

    def with_zeros(self, contributions: tuple[float, ...], recipe: Recipe) -> tuple[float, ...]:
        """What the steps of the whole recipe contribute, of what those of a recipe do: those that are fixed nothing."""
        if len(recipe) and not contributions:
            return ()
        return (*(0.0 for _ in self.first), *contributions[: len(recipe)], *(0.0 for _ in self.last))


NONE_FIXED = Fixed()


def fixed_steps(options: Options, photos: Sequence[Photo]) -> Fixed:
    """What the options `neutral` and `lut` ask for; nothing where masks leave nothing to change.

    Args:
        photos: the pictures that get one recipe; any size will do.
    Raises:
        OptionError: a place that can't be made grey, or a LUT that can't be used.
    """
    if all(photo.mask is not None and not photo.mask.any() for photo in photos):
        return NONE_FIXED
    first = neutral_at(photos, options.neutral) if options.neutral else ()
    return Fixed(first, lut_steps(options.lut), frozenset(LOCKED if options.neutral else ()))
