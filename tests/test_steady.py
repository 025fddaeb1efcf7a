"""The light of a series: what wavers is steadied, what is meant stays."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nuli.imaging.photo import load_photo
from nuli.look import Look
from nuli.ops.render import render
from nuli.recipe import Recipe
from nuli.steady import MOST, SEQUENCE, light_of, steady_light, steadying


def wavering(count: int = 40, size: float = 0.03) -> np.ndarray:
    return np.random.default_rng(0).normal(0, size, count)


def test_light_is_told_in_stops(photo: Image.Image) -> None:
    pixels = np.asarray(photo)
    light = light_of(pixels)
    for stops in (-0.5, 0.3):
        moved = render(load_photo(pixels), Recipe.parse(f"nuli1 exposure={stops}").steps, "cpu")
        assert light_of(moved) - light == pytest.approx(stops, abs=0.08)  # a little clips
    assert light_of(np.full((50, 60), 128, np.uint8)) == pytest.approx(light_of(np.full((50, 60, 3), 128, np.uint8)))


def test_jitter_is_taken_out() -> None:
    lights = -2 + wavering()
    after = lights + steadying(lights)
    assert np.abs(np.diff(after)).mean() < 0.25 * np.abs(np.diff(lights)).mean()


def test_a_steady_change_and_a_cut_stay() -> None:
    ramp = np.linspace(-3, -1, 40)
    assert max(map(abs, steadying(ramp))) < 0.01
    cut = np.concatenate([np.full(20, -3.0), np.full(20, -1.5)])
    assert steadying(cut) == [0.0] * 40
    both = cut + wavering()
    assert np.abs(both + steadying(both) - cut).max() < 0.06


def test_pictures_that_are_no_sequence_stay() -> None:
    lights = np.random.default_rng(1).uniform(-4, -1, 30)
    assert np.median(np.abs(np.diff(lights))) > SEQUENCE
    assert steadying(lights) == [0.0] * 30
    assert steadying([-2.0, -2.02]) == [0.0, 0.0] and steadying([]) == []


def test_a_picture_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    assert math.isnan(light_of(tmp_path / "none.jpg"))
    lights = -2 + wavering()
    lights[7] = math.nan
    stops = steadying(lights)
    assert stops[7] == 0 and all(map(math.isfinite, stops))


@given(st.lists(st.floats(-10, 0) | st.just(math.nan), max_size=40))
def test_no_light_breaks_it(lights: list[float]) -> None:
    stops = steadying(lights)
    assert len(stops) == len(lights) and all(math.isfinite(s) and abs(s) <= MOST for s in stops)


def test_a_look_on_a_lighter_picture(photo: Image.Image) -> None:
    pixels = np.asarray(photo)
    look = Look(Recipe.parse("nuli1 gamma=0.9/1"), (None,))
    assert look.lit(0.0) is look and Look(Recipe()).lit(0.3) == Look(Recipe())
    both = np.asarray(look.lit(0.3).apply(pixels, "cpu"))
    lighter = render(load_photo(pixels), Recipe.parse("nuli1 exposure=0.3 gamma=0.9/1").steps, "cpu")
    assert np.abs(both.astype(int) - lighter).max() <= 1


def test_files_are_read_several_at_a_time(photo: Image.Image, tmp_path: Path) -> None:
    paths = []
    for i, stops in enumerate(wavering(12)):
        paths.append(tmp_path / f"{i:02}.png")
        Recipe.parse(f"nuli1 exposure={stops:.4f}").apply(photo, "cpu").save(paths[-1])
    assert steady_light(paths, 3) == steady_light(paths) == steadying([light_of(path) for path in paths])
    assert any(steady_light(paths))
