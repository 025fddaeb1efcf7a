"""Directions: their names, what the archive keeps of them, and the search that goes their way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from nuli.enhancer import enhance
from nuli.imaging.frames import make_frame
from nuli.ops.registry import OPS, select_ops
from nuli.recipe import Recipe
from nuli.scoring.vivid import Vivid
from nuli.search.archive import LEADERS, Archive
from nuli.search.directions import DIRECTIONS, directions, starts, starts_of
from nuli.search.evaluator import Evaluator
from nuli.search.tree import Tree


@pytest.fixture(scope="module")
def evaluator(photo: Image.Image) -> Evaluator:
    return Evaluator(make_frame(np.array(photo)), 300, Vivid())


@pytest.mark.parametrize(
    "line,direction",
    [
        ("saturation=0", "black and white"),
        ("saturation=0 gamma=1.8/1", "black and white"),
        ("temperature=0.25", "warm"),
        ("temperature=-0.25", "cool"),
        ("gamma=0.45/1", "high key"),
        ("gamma=2.2/1", "low key"),
        ("contrast=0.6", "faded"),
        ("saturation=2", "saturated"),
        ("contrast=1.05 saturation=1.05", ""),
        ("tint=0.3", ""),
        ("invert=1", ""),
    ],
)
def test_names(evaluator: Evaluator, line: str, direction: str) -> None:
    [original, changed] = evaluator.thumbnails([Recipe(), Recipe.from_line(f"nuli1 {line}")]).split(1)
    assert directions(changed, original) == [direction]


@pytest.mark.parametrize("value", [0.0, 0.5, 1.0])
def test_flat_and_grey_pictures_have_no_colours_to_lose(value: float) -> None:
    flat = torch.full((1, 3, 20, 20), value)
    assert directions(flat, flat) == [""]
    grey = torch.linspace(0, 1, 400).reshape(1, 1, 20, 20).expand(1, 3, -1, -1)
    assert directions(grey, grey) == [""]


def test_starts_are_short_and_allowed_and_the_first_of_each_come_first() -> None:
    lines = starts(2)
    assert lines[: len(DIRECTIONS)] == [starts_of(name)[0] for name in DIRECTIONS]
    assert len(set(lines)) == len(lines) and all(1 <= len(r) <= 3 for r in lines)
    assert starts(0) == []


def test_starts_go_the_way_that_they_are_named_after(evaluator: Evaluator) -> None:
    [original] = evaluator.thumbnails([Recipe()]).split(1)
    for name in DIRECTIONS:
        [first, *_] = directions(evaluator.thumbnails(starts_of(name)), original)
        assert first == name


def test_a_tree_proposes_only_the_starts_that_it_may_use(evaluator: Evaluator) -> None:
    allowed = tuple(o for o in select_ops("hard") if o.name != "saturation")
    archive = Archive(evaluator, 0.0)

    def describe(recipes: Any) -> torch.Tensor:
        return evaluator.thumbnails(recipes).flatten(1).double()[:, ::97]

    tree = Tree(allowed, "hard", 2, 0, 0.0, describe, starts=starts(2), sideways=archive)
    asked: list[Recipe] = []
    for _ in range(6):
        recipes = tree.ask(10)
        for recipe in recipes:
            archive.add(recipe, -float(len(recipe)))
        tree.tell(recipes, [-float(len(r)) for r in recipes])
        asked += recipes
    assert starts_of("low key")[0] in asked and len(set(asked)) == len(asked)
    assert all(len(r) <= 2 and all(s.op in OPS and s.op != "saturation" for s in r.steps) for r in asked)


def test_the_archive_keeps_the_best_of_each_direction_and_searches_on_those_that_lag(evaluator: Evaluator) -> None:
    archive = Archive(evaluator, 0.0)
    assert archive.lagging() == ("", [])
    archive.add(Recipe.from_line("nuli1 saturation=2"), 1.0)
    assert archive.lagging() == ("", [])
    for i in range(2 * LEADERS):
        archive.add(Recipe.from_line(f"nuli1 temperature={0.25 + i / 100}"), 0.3 + i / 100)
        archive.add(Recipe.from_line(f"nuli1 temperature={-0.25 - i / 100}"), -3.0)
    turns = [archive.lagging() for _ in range(12)]
    names = [name for name, _ in turns]
    assert set(names) == {"warm", "cool"} and names.count("warm") > names.count("cool")
    [warm, *_] = [recipes for name, recipes in turns if name == "warm"]
    assert warm[0] == Recipe.from_line(f"nuli1 temperature={0.25 + (2 * LEADERS - 1) / 100}")
    assert len(warm) == LEADERS + len(starts_of("warm"))  # and the best of all, gone on that way


def test_a_direction_that_looks_like_a_better_one_is_still_kept(evaluator: Evaluator) -> None:
    archive = Archive(evaluator, 0.0)
    faint = Recipe.from_line("nuli1 temperature=0.02")
    for step in range(20, 200):  # the weakest warm one that has a name
        faint = Recipe.from_line(f"nuli1 temperature={step / 1000}")
        if archive.directions([faint]) == ["warm"]:
            break
    near = Recipe.from_line(f"nuli1 temperature={faint.steps[0].values[0] - 0.002}")
    archive.add(near, 1.0)
    archive.add(faint, 0.9)
    assert [recipe for recipe, _ in archive.best()] == [near, faint]


def test_the_best_is_the_same_for_any_number_of_others(photo: Image.Image) -> None:
    small = photo.resize((120, 80))
    results = [enhance(small, mode="hard", scorer="vivid", evaluations=120, device="cpu", others=n) for n in (0, 2, 5)]
    assert len({(r.recipe, r.score_after) for r in results}) == 1
    assert results[0].others == () and len(results[1].others) <= 2


def test_results_tell_their_direction_and_distance(photo: Image.Image) -> None:
    result = enhance(photo.resize((120, 80)), mode="hard", scorer="vivid", evaluations=200, device="cpu")
    told = result.to_dict()
    assert result.distance > 1 and told["distance"] == round(result.distance, 2)
    assert result.others
    for other, record in zip(result.others, told["others"], strict=True):
        assert other.direction in ("", *DIRECTIONS) and record["direction"] == other.direction
        assert other.distance > 0 and record["distance"] == round(other.distance, 2)
    soft = enhance(photo.resize((120, 80)), margin=10, device="cpu", scorer="vivid", evaluations=40)
    assert not soft.changed and (soft.direction, soft.distance) == ("", 0.0)
