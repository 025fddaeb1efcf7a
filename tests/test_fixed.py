"""Steps that the user asked for: neutral first, a LUT last; the search builds on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from nuli.enhancer import enhance, enhance_iter
from nuli.errors import NuliError, OptionError, SearchError
from nuli.imaging.color import luma
from nuli.imaging.frames import make_frame
from nuli.imaging.photo import load_photo
from nuli.ops.lut import to_cube
from nuli.ops.neutral import LOCKED, colour_at, neutral_steps
from nuli.ops.pipeline import apply_steps
from nuli.ops.registry import Scale
from nuli.ops.step import Step
from nuli.options import Options
from nuli.recipe import Recipe
from nuli.result import Event
from nuli.scoring.vivid import Vivid
from nuli.search.evaluator import Evaluator
from nuli.search.fixed import Fixed, fixed_steps
from nuli.series import enhance_together

CPU = {"device": "cpu", "scorer": "vivid"}
FADED = Recipe.parse("nuli1 contrast=0.6 saturation=0.7")


@pytest.fixture(autouse=True)
def luts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of LUTs with one in it."""
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path / "config"))
    folder = tmp_path / "config" / "luts"
    folder.mkdir(parents=True)
    (folder / "faded.cube").write_text(to_cube(FADED.steps[1:], size=17))
    return folder


@pytest.fixture(scope="module")
def cast(photo: Image.Image) -> Image.Image:
    """The photograph in yellowish light, dull."""
    return Recipe.parse("nuli1 temperature=0.2 tint=-0.1 contrast=0.6").apply(photo, device="cpu")


def applied(colour: tuple[float, ...], steps: tuple[Step, ...]) -> torch.Tensor:
    x = torch.tensor(colour, dtype=torch.float32).reshape(1, 3, 1, 1)
    return apply_steps(x, steps, [None] * len(steps), Scale(1, 1)).flatten()


@given(st.tuples(*[st.floats(0, 1)] * 3))
def test_a_colour_becomes_grey_or_is_refused(colour: tuple[float, ...]) -> None:
    try:
        steps = neutral_steps(colour)
    except OptionError as error:
        assert "choose a" in str(error)
        return
    made = applied(colour, steps)
    assert made.max() - made.min() <= 1 / 255
    assert {step.op for step in steps} <= {"temperature", "tint"}


@given(st.floats(0.1, 0.8), st.floats(-0.15, 0.15), st.floats(-0.15, 0.15))
def test_pale_colours_become_grey_exactly_and_keep_their_luma(grey: float, red: float, blue: float) -> None:
    colour = (grey * (1 + red), grey, grey * (1 + blue))
    steps = neutral_steps(colour)
    made, before = applied(colour, steps), luma(torch.tensor(colour).reshape(1, 3, 1, 1)).item()
    assert made.max() - made.min() < 2e-4  # steps are rounded to four decimals
    assert made.mean().item() == pytest.approx(before, rel=0.03)
    # and back: what these steps make of grey
    values = {step.op: step.values[0] for step in steps}
    assert values.get("temperature", 0) == pytest.approx(np.log((1 + blue) / (1 + red)) / 2, abs=1e-4)


@pytest.mark.parametrize("colour", [(0, 0, 0), (0.01, 0.02, 0.01), (1, 1, 1), (0.99, 0.5, 0.5), (0.9, 0.1, 0.1)])
def test_what_tells_no_colour_is_refused(colour: tuple[float, ...]) -> None:
    with pytest.raises(OptionError, match="choose a"):
        neutral_steps(colour)


def test_grey_needs_no_steps_and_nonsense_is_refused() -> None:
    assert neutral_steps((0.5, 0.5, 0.5)) == ()
    for wrong in ((0.5, 2, 0.5), (float("nan"), 0.5, 0.5)):
        with pytest.raises(OptionError):
            neutral_steps(wrong)


def test_a_place_is_a_disc_whose_transparency_does_not_count() -> None:
    pixels = np.zeros((200, 300, 4), np.uint8)
    pixels[..., :3] = (200, 10, 10)
    pixels[95:105, 145:150] = (90, 100, 110, 255)
    photo = load_photo(pixels)
    assert colour_at(photo, 0.5, 0.5) == pytest.approx((90 / 255, 100 / 255, 110 / 255))
    with pytest.raises(OptionError, match="transparent"):
        colour_at(photo, 0, 1)
    assert colour_at(load_photo(np.full((9, 9), 13_107, np.uint16)), 1, 1) == pytest.approx((0.2, 0.2, 0.2))


@pytest.mark.parametrize("text", ["0.5", "0.5,0.5,0.5", "a,b", "1.5,0", "-0.1,0", "nan,0.5", "0.5;0.5", ","])
def test_no_place(photo: Image.Image, text: str) -> None:
    with pytest.raises(OptionError, match=r"x,y from 0 to 1"):
        next(enhance_iter(photo, neutral=text, **CPU))


def test_the_place_is_grey_in_the_result_and_white_balance_stays_out(cast: Image.Image) -> None:
    photo = load_photo(cast)
    place = grey_place(cast)
    first = fixed_steps(Options(neutral=place), [photo]).first
    assert [step.op for step in first] == ["temperature", "tint"]
    result = enhance(cast, neutral=place, mode="hard", ops="light,white_balance,temperature", evaluations=120, **CPU)
    assert result.recipe.steps[:2] == first and len(result.recipe) > 2
    assert not any(step.op in LOCKED for step in result.recipe.steps[2:])
    x, y = (float(part) for part in place.split(","))
    colour = colour_at(load_photo(Recipe(first).apply(cast, "cpu")), x, y)
    assert max(colour) - min(colour) <= 1.5 / 255


def grey_place(image: Image.Image) -> str:
    """A place that is pale, and neither dark nor light."""
    small = np.array(image.resize((60, 40), Image.Resampling.BOX)).astype(float)
    middle = np.abs(small.mean(2) - 120) < 40
    row, column = np.unravel_index(np.where(middle, np.ptp(small, 2), 999).argmin(), middle.shape)
    return f"{(column + 0.5) / 60:.4f},{(row + 0.5) / 40:.4f}"


def test_the_evaluator_scores_whole_chains(photo_tensor: torch.Tensor) -> None:
    fixed = Fixed(FADED.steps[:1], FADED.steps[1:])
    evaluator = Evaluator(photo_tensor, 300, Vivid(), fixed=fixed)
    found, whole = (
        Recipe.parse("nuli1 exposure=0.3 sharpness=1.4"),
        Recipe.parse("nuli1 contrast=0.6 exposure=0.3 sharpness=1.4 saturation=0.7"),
    )
    assert fixed.whole(found) == whole
    plain = Evaluator(photo_tensor, 300, Vivid())
    for see in ("frames", "subsampled", "thumbnails"):
        assert torch.equal(getattr(evaluator, see)([found]), getattr(plain, see)([whole])), see
    evaluation, gradient = evaluator.gradient(found.steps)
    _, full = plain.gradient(whole.steps)
    [scored] = evaluator.score_frames(evaluator.frames([found]))
    assert evaluation.objective == pytest.approx(scored.objective, abs=1e-3)
    assert len(gradient) == 2 and len(full) == 4
    # the guards hold nothing against what the user asked for
    [alone] = evaluator.score_frames(evaluator.frames([Recipe()]))
    assert alone.penalty == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("mode", ["soft", "hard"])
def test_a_result_is_the_whole_chain(cast: Image.Image, mode: str) -> None:
    place = grey_place(cast)
    options = {"neutral": place, "lut": "faded=0.5", "mode": mode, "evaluations": 120, "margin": 0, **CPU}
    events = list(enhance_iter(cast, strength=0.5, **options))
    result = events[-1]
    fixed = fixed_steps(Options(neutral=place, lut="faded=0.5"), [load_photo(cast)])
    assert fixed.last[0].op.startswith("lut@faded-") and fixed.last[0].values == (0.5,)
    assert result.recipe.steps[:2] == fixed.first and result.recipe.steps[-1:] == fixed.last
    assert len(result.recipe) > 3
    assert len(result.contributions) in (0, len(result.recipe))
    full = enhance(cast, **options)
    assert full.recipe.steps[:2] == fixed.first  # strength is for what was found
    assert len(full.contributions) == len(full.recipe)
    assert full.contributions[:2] == (0, 0) and full.contributions[-1] == 0
    untouched = enhance(cast, evaluations=120, mode=mode, device="cpu", scorer="vivid")
    assert result.score_before == pytest.approx(untouched.score_before, abs=1e-4)
    for event in events[:-1]:
        assert isinstance(event, Event) and event.recipe.steps[:2] == fixed.first
        assert event.score_before == result.score_before
    assert np.array_equal(result.pixels, np.array(result.recipe.apply(cast, "cpu")))
    for other in full.others:
        assert other.recipe.steps[:2] == fixed.first and other.recipe.steps[-1:] == fixed.last


def test_what_was_asked_for_is_done_even_where_nothing_is_found(cast: Image.Image, tmp_path: Path) -> None:
    place = grey_place(cast)
    fixed = fixed_steps(Options(neutral=place, lut="faded"), [load_photo(cast)])
    for more in ({"margin": 10.0}, {"strength": 0.0}, {"evaluations": 3}, {"stop": lambda: True}):
        result = enhance(cast, neutral=place, lut="faded", **{"evaluations": 40, **CPU, **more})
        assert result.recipe == fixed.whole(Recipe()) and result.changed
        assert result.contributions == (0, 0, 0) and result.distance > 0.5
        assert np.array_equal(result.pixels, np.array(result.recipe.apply(cast, "cpu")))
        saved = np.array(Image.open(result.save(tmp_path / "out.png")))
        assert np.array_equal(saved, result.pixels)
        frame = make_frame(result.pixels)
        [score] = Evaluator(make_frame(np.array(cast)), 300, Vivid(), guard_weight=0).score_frames(frame)
        assert result.score_after == pytest.approx(score.score, abs=0.05)
        assert result.evaluations <= 42


def test_saved_searches_know_their_fixed_steps(cast: Image.Image) -> None:
    place = grey_place(cast)
    first = enhance(cast, neutral=place, lut="faded", evaluations=60, **CPU)
    assert all(not step.op.startswith("lut") for recipe, _ in first.search.nodes for step in recipe.steps)
    again = enhance(cast, neutral=place, lut="faded=1", known=first.search, evaluations=30, **CPU)
    assert again.score_after >= first.score_after - 0.01
    for other in ({}, {"neutral": place}, {"neutral": place, "lut": "faded=0.9"}, {"lut": "faded"}):
        with pytest.raises(SearchError, match="LUT"):
            enhance(cast, known=first.search, evaluations=20, **CPU, **other)


def test_a_series_gets_them_too(cast: Image.Image, photo: Image.Image) -> None:
    place = grey_place(cast)
    found = enhance_together([cast, cast], neutral=place, lut="faded", evaluations=60, margin=0, **CPU)
    assert [step.op for step in found.recipe.steps[:2]] == ["temperature", "tint"]
    assert found.recipe.steps[-1].op.startswith("lut@faded-")
    assert len(found.contributions) == len(found.recipe) == len(found.look.statistics)
    nothing = enhance_together([cast], lut="faded", margin=10, evaluations=20, **CPU)
    assert len(nothing.recipe) == 1 and nothing.changed
    with pytest.raises(NuliError, match="no LUT"):
        enhance_together([cast], lut="other", **CPU)
