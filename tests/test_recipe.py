"""Recipes: written forms, words, strength, and refusal of what is no recipe."""

from __future__ import annotations

import json
import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nuli.errors import NuliError, RecipeError
from nuli.ops.registry import OPS, Op
from nuli.ops.step import Step
from nuli.recipe import Recipe


def random_step(rng: random.Random) -> Step:
    op = rng.choice(list(OPS.values()))
    return Step(op.name, tuple(rng.uniform(*p.hard) for p in op.params))


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    rng = random.Random(draw(st.integers(0, 2**32)))
    return Recipe(tuple(random_step(rng) for _ in range(draw(st.integers(0, 8)))))


@given(recipes())
def test_every_written_form_reads_back_the_same(recipe: Recipe) -> None:
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert Recipe.from_line(recipe.to_line()) == recipe
    assert Recipe.parse(recipe.to_line()) == Recipe.parse(recipe.to_json()) == recipe
    assert not set(recipe.to_line()) & set(',:"\n')  # what infotext would have to quote


@given(recipes(), st.floats(0, 1.5))
def test_strength_stays_in_range_and_ends_at_identity(recipe: Recipe, strength: float) -> None:
    Recipe.from_dict(recipe.scaled(strength).to_dict())  # checks every value against its range
    assert recipe.scaled(0) == Recipe()
    assert recipe.scaled(1) is recipe


def test_strength_blends_towards_identity_but_not_a_hue() -> None:
    recipe = Recipe((Step("contrast", (1.2,)), Step("split_tone", (0.2, 0.7))))
    half = recipe.scaled(0.5)
    assert half.steps[0].values == (1.1,)
    assert half.steps[1].values == (0.1, 0.7)
    assert Recipe((Step("contrast", (2.9,)),)).scaled(1.5).steps[0].values == (3.0,)


@pytest.mark.parametrize(
    "step,words",
    [
        (Step("contrast", (1.12,)), "contrast +12 %"),
        (Step("exposure", (-0.25,)), "exposure -0.25 EV"),
        (Step("auto_level", (0.4, 0.0)), "auto level 40 %"),
        (Step("auto_level", (0.4, 0.2)), "auto level 40 %, colour 20 %"),
        (Step("gamma", (0.9, 1.05)), "gamma 0.90, gain 1.05"),
        (Step("posterize", (3,)), "posterize 3 bits"),
        (Step("blur", (0.0015,)), "blur 0.15 % of the short side"),
        (Step("gamma", (0.9973, 1.0)), "gamma 0.997"),
        (Step("gamma", (1.0, 1.05)), "gamma gain 1.05"),
        (Step("gamma", (1.0, 1.0)), "gamma 1"),
        (Step("contrast", (1.0,)), "contrast 0 %"),
        (Step("contrast", (0.9996,)), "contrast -0.04 %"),
        (Step("temperature", (-0.0003,)), "temperature -0.03"),
        (Step("temperature", (0.0,)), "temperature 0"),
        (Step("exposure", (0.001,)), "exposure +0.001 EV"),
        (Step("split_tone", (0.1, 0.27)), "split tone 10 %, hue 0.27"),
    ],
)
def test_words(step: Step, words: str) -> None:
    assert step.words() == words


@given(st.sampled_from([(o, i) for o in OPS.values() for i in range(len(o.params))]), st.floats(0, 1))
def test_no_value_that_acts_reads_as_if_it_did_nothing(place: tuple[Op, int], part: float) -> None:
    op, i = place
    param = op.params[i]
    value = round(param.hard[0] + part * (param.hard[1] - param.hard[0]), 4)
    if value != param.identity and not param.shapes and param.unit != "bits":
        number, nothing = (float(re.match(r"[-+\d.]+", param.words(v))[0]) for v in (value, param.identity))
        assert number != nothing and (number > nothing) == (value > param.identity)


@given(st.text())
def test_any_text_is_a_recipe_or_a_recipe_error(text: str) -> None:
    for prefix in ("", "{", "nuli1 ", '{"nuli": 1, "steps": '):
        try:
            Recipe.parse(prefix + text)
        except RecipeError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize(
    "data,says",
    [
        ([], "something else"),
        ({"nuli": 1}, "something else"),
        ({"steps": []}, "version"),
        ({"nuli": 2, "steps": []}, "update nuli"),
        ({"nuli": True, "steps": [1]}, "not 1"),
        ({"nuli": 1, "steps": ["contrast"]}, "a step is"),
        ({"nuli": 1, "steps": [{"op": "contrst"}]}, "there is no op"),
        ({"nuli": 1, "steps": [{"op": "contrast", "factor": 99}]}, "must lie from 0.2 to 3"),
        ({"nuli": 1, "steps": [{"op": "contrast", "factor": "1"}]}, "not a number"),
        ({"nuli": 1, "steps": [{"op": "contrast", "factor": True}]}, "not a number"),
        ({"nuli": 1, "steps": [{"op": "contrast", "amount": 1}]}, "no parameter 'amount'"),
        ({"nuli": 1, "steps": [{"op": "contrast", "factor": float("nan")}]}, "must lie"),
        ({"nuli": 1, "steps": [{"op": "contrast"}] * 65}, "at most 64"),
    ],
)
def test_what_is_no_recipe_is_refused_with_a_reason(data: object, says: str) -> None:
    with pytest.raises(RecipeError, match=says):
        Recipe.from_json(json.dumps(data))


def test_huge_and_deep_json_are_refused() -> None:
    for text in ("[" * 100_000, '{"nuli": 1, "steps": [{"op": "contrast", "factor": 1' + "0" * 400 + "}]}"):
        with pytest.raises(RecipeError):
            Recipe.parse(text)


def test_a_missing_parameter_is_at_its_identity() -> None:
    recipe = Recipe.from_dict({"nuli": 1, "steps": [{"op": "gamma", "gamma": 0.8}]})
    assert recipe.steps == (Step("gamma", (0.8, 1.0)),)


def test_the_result_of_the_command_line_holds_a_recipe() -> None:
    recipe = Recipe((Step("contrast", (1.2,)),))
    assert Recipe.from_dict({"score_after": 5, "recipe": recipe.to_dict()}) == recipe


def test_same_recipe_same_picture_same_pixels(photo: Image.Image) -> None:
    recipe = Recipe.parse("nuli1 auto_level=0.6/0.2 equalize=0.3/0 contrast=1.2 sharpness=1.5 blur=0.001 vibrance=0.4")
    first, second = (np.array(recipe.apply(photo, device="cpu")) for _ in range(2))
    assert np.array_equal(first, second)
    assert first.shape == np.array(photo).shape
    assert not np.array_equal(first, np.array(photo))


def test_apply_takes_arrays_of_16_bits() -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16)[None, :, None], (64, 1, 1))
    made = Recipe((Step("brightness", (0.5,)),)).apply(ramp, device="cpu")
    assert made.mode.startswith("I")
    assert np.abs(np.array(made, dtype=float) - ramp[..., 0] * 0.5).max() <= 1


def test_errors_are_one_family() -> None:
    assert issubclass(RecipeError, NuliError)
