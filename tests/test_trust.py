"""What makes a result trustworthy: a second opinion, which guard decided, and limits checked on the picture itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from PIL import Image

import nuli
from nuli.cli.enhance import report
from nuli.imaging.color import luma
from nuli.imaging.frames import make_frame, reduced
from nuli.imaging.photo import load_photo
from nuli.ops.step import Step
from nuli.recipe import Recipe
from nuli.search.conclusion import _share
from nuli.search.evaluator import Evaluator
from nuli.search.finish import FinePredictor

CPU = {"device": "cpu", "evaluations": 80}


class Bright:
    """Likes pictures the more, the lighter they are."""

    name = "bright"
    licence = ""
    input_size = 224
    view_mode = "whole"
    differentiable = True
    cheap = True
    score_range = (0.0, 10.0)

    def bind(self, original: torch.Tensor):
        return lambda views: 15 * luma(views).mean((1, 2, 3))


@pytest.fixture(scope="module")
def dull(photo: Image.Image) -> Image.Image:
    return Recipe((Step("contrast", (0.5,)),)).apply(photo.resize((300, 200)), device="cpu")


@pytest.mark.parametrize(
    ("scorer", "other"), [("tone", "taste"), ("vivid", "taste"), ("taste", "vivid"), ("mean:tone+taste", "vivid")]
)
def test_the_second_opinion_is_what_another_scorer_says_of_both_pictures(
    dull: Image.Image, scorer: str, other: str
) -> None:
    result = nuli.enhance(dull, scorer=scorer, margin=0, **CPU)
    opinion = result.opinion
    assert result.changed and opinion is not None and opinion.scorer == other
    said = nuli.score([dull, result.image], other, device="cpu")
    assert [opinion.before, opinion.after] == pytest.approx(said, abs=0.1)
    told = json.loads(json.dumps(result.to_dict()))
    assert told["opinion"] == {"scorer": other, "before": opinion.before, "after": opinion.after}


def test_there_is_none_of_an_unchanged_picture_and_none_where_all_took_part(dull: Image.Image) -> None:
    unchanged = nuli.enhance(dull, scorer="vivid", margin=10, **CPU)
    assert not unchanged.changed and unchanged.opinion is None and unchanged.to_dict()["opinion"] is None
    both = nuli.enhance(dull, scorer="vivid", mode="hard", realism="on", margin=0, **CPU)
    assert both.changed and both.opinion is None


def test_what_was_held_is_said_in_words(dull: Image.Image) -> None:
    result = nuli.enhance(dull, scorer=Bright(), **CPU)
    assert 1 <= len(result.held) <= 2
    assert any("held: a candidate that bright scored" in sentence for sentence in result.held)
    assert any("lighter" in sentence for sentence in result.held)
    assert result.to_dict()["held"] == list(result.held)
    assert nuli.enhance(dull, scorer=Bright(), guards="off", **CPU).held == ()
    assert nuli.enhance(dull, scorer="tone", **CPU).held == ()


def test_the_command_line_tells_both(dull: Image.Image, capsys: pytest.CaptureFixture[str]) -> None:
    result = nuli.enhance(dull, scorer="vivid", margin=0, others=0, **CPU)
    record = {
        "input": "a.png",
        "output": "b.png",
        "status": "enhanced",
        **result.to_dict(),
        "held": ["the light was held"],
    }
    assert report(record, 0, as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"  second opinion: taste {result.opinion.before:.2f} -> {result.opinion.after:.2f}" in lines
    assert "  the light was held" in lines


def test_as_much_of_a_recipe_is_left_as_keeps_within_the_limits() -> None:
    recipe = Recipe((Step("exposure", (0.4,)),))
    assert _share(recipe, lambda some: True) == 1
    share = _share(recipe, lambda some: not len(some) or some.steps[0].values[0] <= 0.2)
    assert 0.45 < share <= 0.5
    assert _share(recipe, lambda some: not len(some)) == 0


def test_the_limits_hold_pixel_by_pixel_where_the_frame_sees_means_only() -> None:
    """Single pixels near white: in the frame they vanish, in the picture they would clip."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(60, 120, (900, 1200, 1), np.uint8).repeat(3, 2)
    pixels[rng.random((900, 1200)) < 0.05] = 236
    photo = load_photo(pixels)
    small, frame = reduced(photo), make_frame(pixels)
    evaluator = Evaluator(frame, 900, Bright())
    fine = FinePredictor(photo, small, evaluator)
    lighter = Recipe((Step("brightness", (1.1,)),))
    assert evaluator.hold(lighter) and fine.hold(Recipe()) and fine.hold(lighter.scaled(0.5))
    assert (fine.rendered(lighter).max(2) == 255).mean() > 0.04
    assert not fine.hold(lighter)
    free = Evaluator(frame, 900, Bright(), guard_weight=0)
    assert free.hold(lighter) and FinePredictor(photo, small, free).hold(lighter)
