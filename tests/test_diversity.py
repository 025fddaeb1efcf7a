"""Hard mode's other results: good, different from each other, within the budget."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nuli.enhancer import enhance, enhance_iter
from nuli.imaging.frames import make_frame
from nuli.recipe import Recipe
from nuli.result import Event, Result
from nuli.scoring.vivid import Vivid
from nuli.search.archive import MAX_ARCHIVED, MIN_DISTANCE, MIN_GAIN, Archive
from nuli.search.config import MAX_OTHERS
from nuli.search.diversity import pick_diverse
from nuli.search.evaluator import Evaluator
from nuli.search.features import color_distances, color_grid

HARD = {"mode": "hard", "device": "cpu", "scorer": "vivid"}
coordinates = st.lists(st.tuples(st.floats(0, 1), st.floats(-60, 60)), max_size=40)


@pytest.fixture(scope="module")
def found(photo: Image.Image) -> Result:
    return enhance(photo, evaluations=300, **HARD)


def look_of(picture: Result, recipes: list[Recipe]) -> list[torch.Tensor]:
    evaluator = Evaluator(make_frame(picture.photo.pixels), min(picture.photo.pixels.shape[:2]), Vivid())
    return list(color_grid(evaluator.thumbnails(recipes)).split(1))


def apart(picture: Result) -> float:
    """The smallest distance between two of all results."""
    seen = look_of(picture, [picture.recipe, *(other.recipe for other in picture.others)])
    return min(color_distances([a], b)[0] for a, b in itertools.combinations(seen, 2))


@given(coordinates, st.integers(0, 8))
def test_what_is_picked_is_good_and_apart(points: list[tuple[float, float]], count: int) -> None:
    gains, places = [g for g, _ in points], [x for _, x in points]
    names = [("", "warm", "cool")[round(100 * g) % 3] for g in [*gains, 0.0]]
    picked = pick_diverse(gains, [abs(x) for x in places], lambda i: [abs(x - places[i]) for x in places], names, count)
    assert len(picked) == len(set(picked)) <= count
    shown = [0.0, *(places[i] for i in picked)]
    assert all(abs(a - b) >= MIN_DISTANCE for a, b in itertools.combinations(shown, 2))
    assert all(gains[i] >= MIN_GAIN for i in picked)
    if len(picked) < count:  # nothing that fits was left out
        assert not [
            x
            for x, g in zip(places, gains, strict=True)
            if g >= MIN_GAIN and min(abs(x - s) for s in shown) >= MIN_DISTANCE
        ]


def test_of_equally_different_ones_the_better_is_picked_first() -> None:
    assert pick_diverse([0.6, 0.9, 0.4], [30, 30, 30], lambda i: [0 if j == i else 30 for j in range(3)], [""] * 4) == [
        1,
        0,
    ]


def test_one_search_gives_several_that_look_different(found: Result) -> None:
    assert 3 <= len(found.others) <= MAX_OTHERS
    assert apart(found) >= MIN_DISTANCE
    scores = [other.score for other in found.others]
    assert scores == sorted(scores, reverse=True)
    assert all(score > found.score_before for score in scores)
    assert found.evaluations <= 300


def test_the_archive_keeps_what_looks_different_and_is_bounded(photo: Image.Image) -> None:
    evaluator = Evaluator(make_frame(np.array(photo)), 300, Vivid())
    archive = Archive(evaluator, before=0.0)
    warm = Recipe.parse("nuli1 temperature=0.4")
    archive.add(warm, 0.7)
    archive.add(Recipe.parse("nuli1 temperature=-0.4"), 0.4)  # too bad to be shown
    for i in range(3 * MAX_ARCHIVED):  # many that are better and all alike
        archive.add(Recipe.parse(f"nuli1 contrast={1.2 + i / 10_000:.4f}"), 0.9 + i / 10_000)
        assert len(archive._objectives) < 2 * MAX_ARCHIVED
    found = archive.best()
    assert warm in dict(found) and len(found) <= 4 and found[0][1] == max(o for _, o in found) > 0.97
    assert Archive(evaluator, 0.0).best() == []


def test_a_long_search_has_as_many_as_a_short_one(photo: Image.Image) -> None:
    small = photo.resize((90, 60))
    long = enhance(small, evaluations=1500, **HARD)
    assert len(long.others) >= 3
    again = enhance(small, known=long.search, evaluations=40, **HARD)
    assert len(again.others) >= 2


def test_they_are_rendered_when_asked_for_and_score_what_was_said(found: Result, tmp_path: Path) -> None:
    judge = Vivid().bind(make_frame(found.photo.pixels))
    for number, other in enumerate(found.others):
        assert other.image.size == found.image.size
        assert np.array_equal(other.render(), np.array(other.recipe.apply(Image.fromarray(found.photo.pixels), "cpu")))
        [score] = judge(make_frame(other.render())).tolist()
        assert other.score == pytest.approx(score, abs=0.1)
        saved = other.save(tmp_path / f"{number}.png")
        with Image.open(saved) as image:
            assert np.array_equal(np.array(image), other.render())


def test_to_dict_tells_of_them(found: Result) -> None:
    told = found.to_dict()["others"]
    assert [Recipe.from_line(t["infotext"]) for t in told] == [o.recipe for o in found.others]
    assert [Recipe.from_dict(t) for t in told] == [o.recipe for o in found.others]
    assert [t["score"] for t in told] == [o.score for o in found.others]


def test_soft_mode_and_pictures_left_alone_have_none(photo: Image.Image) -> None:
    assert enhance(photo, evaluations=100, scorer="vivid", device="cpu").others == ()
    assert enhance(photo, evaluations=100, margin=10, **HARD).others == ()


@pytest.mark.parametrize("evaluations", [3, 4, 7, 12, 20, 40, 80])
def test_evaluations_are_kept(photo: Image.Image, evaluations: int) -> None:
    seen = []

    class Counting(Vivid):
        differentiable = False

        def bind(self, original: torch.Tensor):
            score = super().bind(original)

            def counted(views: torch.Tensor) -> torch.Tensor:
                seen.append(len(views))
                return score(views)

            return counted

    result = enhance(photo, evaluations=evaluations, scorer=Counting(), mode="hard", device="cpu", margin=0)
    assert result.evaluations == sum(seen) <= evaluations


def test_what_is_shown_at_a_low_strength_is_apart_at_that_strength(photo: Image.Image) -> None:
    result = enhance(photo, evaluations=300, strength=0.6, **HARD)
    assert result.others and apart(result) >= MIN_DISTANCE
    assert all(other.score > result.score_before for other in result.others)


def test_after_stop_they_cost_no_more_than_a_batch(photo: Image.Image) -> None:
    seen: list[Event] = []
    for item in enhance_iter(photo, seconds=100, stop=lambda: len(seen) >= 12, **HARD):
        if isinstance(item, Event):
            seen.append(item)
    assert isinstance(item, Result) and item.others
    # dropping steps once, scoring the result, and a batch
    assert item.evaluations <= seen[-1].evaluations + 8 + 5 + 8


def test_the_same_seed_gives_the_same_others(photo: Image.Image, found: Result) -> None:
    again = enhance(photo, evaluations=300, **HARD)
    assert [o.recipe for o in again.others] == [o.recipe for o in found.others]
