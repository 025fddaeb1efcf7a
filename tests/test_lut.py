"""The .cube file against the recipe itself."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from nuli.errors import RecipeError
from nuli.imaging.photo import load_photo
from nuli.ops.lut import left_out, to_cube
from nuli.recipe import Recipe


def look_up(cube: str, image: Image.Image) -> np.ndarray:
    """Pillow's own 3D LUT filter, fed with the rows of the file."""
    from PIL import ImageFilter

    rows = [line for line in cube.splitlines() if line and line[0].isdigit()]
    size = int(next(line for line in cube.splitlines() if line.startswith("LUT_3D_SIZE")).split()[1])
    assert len(rows) == size**3
    table = [float(v) for row in rows for v in row.split()]
    return np.array(image.filter(ImageFilter.Color3DLUT(size, table)), dtype=float)


@pytest.mark.parametrize(
    "line,needs_photo",
    [
        ("nuli1 exposure=0.3 saturation=1.2 temperature=0.1", False),
        ("nuli1 hue=0.2 invert=0.3", False),
        ("nuli1 contrast=1.2 auto_level=0.5/0.1 vibrance=0.3 equalize=0.2/0", True),
    ],
)
def test_a_lut_does_what_the_recipe_does(photo: Image.Image, line: str, needs_photo: bool) -> None:
    recipe = Recipe.parse(line)
    cube = to_cube(recipe.steps, load_photo(photo) if needs_photo else None)
    apart = np.abs(look_up(cube, photo) - np.array(recipe.apply(photo, device="cpu"), dtype=float))
    assert apart.mean() < 1.5  # interpolated between 33 points a side


def test_red_changes_fastest() -> None:
    cube = to_cube(Recipe.parse("nuli1 brightness=0.5").steps, size=2)
    assert cube.splitlines()[2:5] == [
        "0.000000 0.000000 0.000000",
        "0.500000 0.000000 0.000000",
        "0.000000 0.500000 0.000000",
    ]


def test_steps_that_look_at_neighbours_stay_out(photo: Image.Image) -> None:
    recipe = Recipe.parse("nuli1 sharpness=1.5 brightness=0.9")
    assert [s.op for s in left_out(recipe.steps)] == ["sharpness"]
    assert to_cube(recipe.steps) == to_cube(Recipe.parse("nuli1 brightness=0.9").steps)
    with pytest.raises(RecipeError, match="neighbours"):
        to_cube(Recipe.parse("nuli1 sharpness=1.5").steps)


def test_a_step_that_measures_needs_the_picture() -> None:
    with pytest.raises(RecipeError, match="--photo"):
        to_cube(Recipe.parse("nuli1 contrast=1.2").steps)
