"""Steps that nobody can see are left out, and nothing is lost by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuli.enhancer import enhance
from nuli.imaging.color import color_difference, to_lab
from nuli.imaging.frames import make_frame
from nuli.recipe import Recipe
from nuli.scoring.vivid import Vivid
from nuli.search import visibility
from nuli.search.evaluator import Evaluator
from nuli.search.simplify import carried
from nuli.search.visibility import KEPT, TOTAL, distances, leave_out_invisible


@pytest.fixture(scope="module")
def evaluator(photo: Image.Image) -> Evaluator:
    return Evaluator(make_frame(np.array(photo)), 300, Vivid())


@pytest.mark.parametrize(
    "line,shorter",
    [
        ("contrast=1.3 gamma=1.001/1 saturation=0.999", "contrast=1.3"),
        ("gamma=0.8/1.001", "gamma=0.8/1"),
        ("gamma=1.0005/1.1", "gamma=1/1.1"),
        ("contrast=1.15 temperature=0.1 contrast=1.002", "contrast=1.1523 temperature=0.1"),
        ("auto_level=0/0.4 contrast=1.3", "contrast=1.3"),
        ("posterize=8 contrast=1.3", "contrast=1.3"),
        ("contrast=1.3 saturation=1.2", "contrast=1.3 saturation=1.2"),
    ],
)
def test_what_does_not_show_goes(evaluator: Evaluator, line: str, shorter: str) -> None:
    recipe, wanted = Recipe.from_line(f"nuli1 {line}"), Recipe.from_line(f"nuli1 {shorter}")
    spent = evaluator.evaluations
    [*_, last] = [recipe, *leave_out_invisible(evaluator, recipe)]
    assert [s.op for s in last.steps] == [s.op for s in wanted.steps]
    assert all(a.values == pytest.approx(b.values, abs=0.004) for a, b in zip(last.steps, wanted.steps, strict=True))
    assert evaluator.evaluations == spent


def test_many_small_steps_that_show_together_are_not_all_left_out(evaluator: Evaluator) -> None:
    recipe = Recipe.from_line("nuli1 exposure=0.015 brightness=1.005 temperature=0.004 contrast=1.006 saturation=1.01")
    [whole, rest] = evaluator.frames([recipe, leave_out_invisible(evaluator, recipe)[-1]]).split(1)
    assert 0 < color_difference(to_lab(rest), to_lab(whole)).item() <= TOTAL + 0.05


def test_a_small_part_that_changes_much_is_seen(photo: Image.Image) -> None:
    pixels = np.array(photo)
    pixels[:8, :8] = 255
    recipe = Recipe.from_line("nuli1 contrast=1.2 solarize=1.0")
    assert leave_out_invisible(Evaluator(make_frame(pixels), 300, Vivid()), recipe) == []


SEARCHES: list[dict[str, Any]] = [
    {"mode": "soft", "scorer": "tone"},
    {"mode": "soft", "scorer": "vivid", "evaluations": 120},
    {"mode": "soft", "scorer": "vivid", "evaluations": 120, "strength": 0.4},
    {"mode": "hard", "scorer": "vivid", "evaluations": 150},
    {"mode": "hard", "scorer": "vivid", "evaluations": 150, "strength": 0.3},
    {"mode": "hard", "scorer": "tone", "evaluations": 150},
]


@pytest.mark.parametrize("options", SEARCHES, ids=lambda o: " ".join(map(str, o.values())))
@pytest.mark.parametrize("dull", ["contrast=0.7 temperature=0.05", "exposure=-0.5 saturation=0.7"])
def test_a_search_loses_nothing(
    photo: Image.Image, options: dict[str, Any], dull: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Recipe.from_line(f"nuli1 {dull}").apply(photo.resize((180, 120)), device="cpu")
    short = enhance(picture, device="cpu", **options)
    with monkeypatch.context() as patch:
        patch.setattr(visibility, "INVISIBLE", 0.0)
        whole = enhance(picture, device="cpu", **options)
    assert short.changed == whole.changed and len(short.recipe) <= len(whole.recipe)
    assert short.score_after - short.score_before >= KEPT * (whole.score_after - whole.score_before) - 0.03
    assert short.contributions == () or len(short.contributions) == len(short.recipe)
    [one, two] = (to_lab(make_frame(result.pixels)) for result in (short, whole))
    assert color_difference(one, two).item() <= TOTAL + 0.1
    if "evaluations" in options:
        assert short.evaluations <= options["evaluations"]
    assert len(short.others) == len(whole.others)
    for other, longer in zip(short.others, whole.others, strict=True):
        assert len(other.recipe) <= len(longer.recipe) and other.score > short.score_before


def test_a_search_that_goes_on_from_its_own_result_keeps_it(photo: Image.Image) -> None:
    small = photo.resize((90, 60))
    first = enhance(small, scorer="vivid", mode="hard", evaluations=200, device="cpu")
    again = enhance(small, scorer="vivid", mode="hard", evaluations=12, device="cpu", known=first.search)
    assert again.score_after >= first.score_after - 1e-6


def test_distances_are_from_the_untouched_picture(evaluator: Evaluator) -> None:
    none, little, much = distances(evaluator, [Recipe.from_line(f"nuli1 contrast={c}") for c in ("1", "1.02", "1.5")])
    assert none < 0.05 < little < 1 < 4 < much


def test_contributions_stay_with_their_steps() -> None:
    recipe = Recipe.from_line("nuli1 contrast=1.1 gamma=0.9/1.001 contrast=1.2 tint=0.1")
    shorter = Recipe.from_line("nuli1 gamma=0.9/1 contrast=1.2")
    assert carried(recipe, (0.1, 0.2, 0.3, 0.4), shorter) == (0.2, 0.3)
    assert carried(recipe, (), shorter) == ()
