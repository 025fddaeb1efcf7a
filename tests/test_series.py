"""One recipe for a series: judged on several pictures, measured in all of them, and without flicker."""

from __future__ import annotations

import importlib
import json
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nuli
from nuli import series as series_module
from nuli.errors import ImageError, OptionError, RecipeError, ScoreError
from nuli.imaging.frames import make_frame, subsample
from nuli.imaging.photo import load_photo
from nuli.look import Look
from nuli.ops.light import level_ends, mean_luma
from nuli.ops.pipeline import apply_chains
from nuli.ops.registry import get_op, measure_statistics
from nuli.ops.white_balance import white_gains
from nuli.recipe import Recipe
from nuli.scoring.taste import Taste
from nuli.scoring.tone import Tone
from nuli.scoring.vivid import Vivid
from nuli.search.evaluator import Evaluator
from nuli.search.visibility import distances, leave_out_invisible
from nuli.series import MOST, Series, enhance_together, spread

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
bench = importlib.import_module("flicker")

FADED = Recipe.from_line("nuli1 contrast=0.7 exposure=-0.3 temperature=0.1")
MEASURING = Recipe.from_line("nuli1 white_balance=0.5/0.5/0.3 auto_level=0.7/0.4 contrast=1.2 sharpness=1.3")


@pytest.fixture(scope="module")
def faded(photo: Image.Image) -> np.ndarray:
    """A faded photo [H,W,3] in 0..1."""
    return np.asarray(FADED.apply(photo, "cpu")) / 255


@pytest.fixture(scope="module")
def pan(faded: np.ndarray) -> tuple[list[np.ndarray], list[int]]:
    return bench.pan(faded, 12)


@pytest.fixture(scope="module")
def found(pan: tuple[list[np.ndarray], list[int]]) -> Series:
    return enhance_together(pan[0], evaluations=40, seed=0, device="cpu")


@pytest.fixture(scope="module")
def frames(pan: tuple[list[np.ndarray], list[int]]) -> torch.Tensor:
    """Frames [3,3,h,w] of three unlike pictures."""
    return torch.cat([make_frame(pan[0][i]) ** power for i, power in ((0, 1.0), (6, 0.7), (11, 1.6))])


def test_it_makes_the_series_better(found: Series) -> None:
    assert found.changed
    assert found.score_after > found.score_before + 0.3
    assert found.scorer == "tone" and found.pictures == MOST and found.evaluations <= 40
    assert len(found.contributions) in (0, len(found.recipe))
    told = json.loads(json.dumps(found.to_dict()))
    assert told["score_after"] == found.score_after and Recipe.from_dict(told) == found.recipe


def test_a_pan_flickers_hardly_more_than_it_did(pan: tuple[list[np.ndarray], list[int]], found: Series) -> None:
    frames, places = pan
    together = [np.asarray(found.apply(frame, "cpu")) for frame in frames]
    assert bench.flicker(frames, places) > 0.3
    assert bench.flicker(together, places) - bench.flicker(frames, places) <= 0.5


def test_a_steady_pan_gets_no_flicker_at_all_unlike_picture_by_picture(faded: np.ndarray) -> None:
    frames, places = bench.pan(faded, 5, unsteady=0.0)
    options = {"ops": "light,colour", "evaluations": 12, "device": "cpu"}
    found = enhance_together(frames, **options)
    together = [np.asarray(found.apply(frame, "cpu")) for frame in frames]
    singly = [nuli.enhance(frame, **options).pixels for frame in frames]
    assert found.changed
    assert max(bench.flicker(frames, places), bench.flicker(together, places)) < 1e-9  # but for rounding
    assert bench.flicker(singly, places) > 0.1


def test_a_colour_becomes_the_same_colour_in_every_picture(
    pan: tuple[list[np.ndarray], list[int]], frames: torch.Tensor
) -> None:
    look = Look.measured(Recipe(MEASURING.steps[:3]), frames, Evaluator(frames, 300, Vivid()).scale)
    became = set()
    for frame in pan[0][::5]:
        marked = frame.copy()
        marked[:9, :9] = (120, 90, 60)
        made = np.asarray(look.apply(marked, "cpu"))
        became.add(tuple(made[4, 4].tolist()))
        assert np.abs(made[:9, :9].astype(int) - made[4, 4]).max() == 0
    assert len(became) == 1 and became != {(120, 90, 60)}


def test_what_is_measured_is_measured_in_all_pictures(frames: torch.Tensor) -> None:
    few = subsample(frames)
    pixels = few.transpose(0, 1).flatten(1)[None, :, None]
    for name, wanted in (
        ("contrast", mean_luma(few).mean(0, keepdim=True)),
        ("auto_level", level_ends(pixels)),
        ("white_balance", white_gains(few).mean(0, keepdim=True)),
    ):
        measured = measure_statistics(get_op(name), torch.cat([frames, frames.flip(0)]), 3)
        torch.testing.assert_close(measured, torch.cat([wanted] * 6))


def test_chains_on_several_pictures_are_the_look_on_each(frames: torch.Tensor) -> None:
    evaluator = Evaluator(frames, 224, Vivid())
    look = Look.measured(MEASURING, frames, evaluator.scale)
    both = evaluator.frames([Recipe(), MEASURING])
    torch.testing.assert_close(both[:3], frames)
    for frame, made in zip(frames, both[3:], strict=True):
        pixels = (frame * 65535).round().permute(1, 2, 0).numpy().astype(np.uint16)
        rows = np.asarray(look.rows(load_photo(pixels), "cpu")) / 65535
        assert np.abs(rows - made.permute(1, 2, 0).numpy()).max() < 0.003


@pytest.mark.parametrize("mode,scorer", [("soft", Tone.load()), ("soft", Vivid()), ("hard", Taste.load())])
def test_a_recipe_is_worth_its_mean_over_the_pictures(mode: str, scorer: nuli.Scorer, frames: torch.Tensor) -> None:
    critic = Taste.load() if scorer.name == "vivid" else None
    together = Evaluator(frames, 300, scorer, mode, 1.0, critic)
    recipes = [Recipe(), Recipe.from_line("nuli1 exposure=0.2 saturation=1.1"), Recipe.from_line("nuli1 gamma=0.6/1")]
    alone = [Evaluator(frame, 300, scorer, mode, 1.0, critic).objectives(recipes) for frame in frames.split(1)]
    assert together.objectives(recipes) == pytest.approx(np.mean(alone, 0).tolist(), abs=1e-3)
    assert together.evaluations == 3
    evaluation, gradient = together.gradient(MEASURING.steps)
    assert evaluation.objective == pytest.approx(together.objectives([MEASURING])[0], abs=1e-3)
    assert len(gradient) == 7 and all(np.isfinite(gradient)) and any(gradient)


def test_a_step_that_shows_in_one_picture_only_is_not_invisible(frames: torch.Tensor) -> None:
    both = torch.cat([frames[:1] * 0.2, frames[1:2]])
    recipe = Recipe.from_line("nuli1 exposure=0.3 solarize=0.5")
    dark, light, together = (Evaluator(some, 300, Vivid()) for some in (both[:1], both[1:], both))
    assert [s.op for s in leave_out_invisible(dark, recipe)[-1].steps] == ["exposure"]
    assert leave_out_invisible(together, recipe) == leave_out_invisible(light, recipe) == []
    alone = [distances(evaluator, [recipe])[0] for evaluator in (dark, light)]
    assert distances(together, [recipe])[0] == pytest.approx(np.mean(alone), abs=0.01)


@pytest.mark.parametrize("scorer", ["vivid", "taste"])
def test_hard_mode_finds_one_recipe_too(pan: tuple[list[np.ndarray], list[int]], scorer: str) -> None:
    events: list[nuli.Event] = []
    options = {"mode": "hard", "scorer": scorer, "evaluations": 30, "device": "cpu"}
    found = enhance_together(pan[0][::4], progress=events.append, **options)
    assert found.changed and found.score_after > found.score_before and found.pictures == 3
    assert events and events[-1].best_score >= events[0].best_score and events[-1].preview.size[1] == 224
    assert enhance_together(pan[0][::4], **options).recipe == found.recipe


def test_strength_is_part_of_the_look(pan: tuple[list[np.ndarray], list[int]]) -> None:
    options = {"evaluations": 20, "ops": "light", "device": "cpu"}
    whole, half, none = (enhance_together(pan[0][::6], strength=s, **options) for s in (1, 0.5, 0))
    before = np.asarray(pan[0][0], float)
    moved = [np.abs(np.asarray(found.apply(pan[0][0], "cpu")) - before).mean() for found in (whole, half)]
    assert 0.3 * moved[0] < moved[1] < 0.7 * moved[0]
    assert not none.changed and none.evaluations == 1 and none.score_after == none.score_before


def test_a_good_series_is_left_alone_byte_for_byte(photo_path: Path, tmp_path: Path) -> None:
    found = enhance_together([photo_path, photo_path], margin=5, evaluations=10, device="cpu")
    assert not found.changed and found.contributions == () and found.score_after == found.score_before
    assert found.save(photo_path, tmp_path / "same.jpg").read_bytes() == photo_path.read_bytes()


def test_the_look_travels_by_pickle_and_json(found: Series, pan: tuple[list[np.ndarray], list[int]]) -> None:
    frame = pan[0][3]
    made = np.asarray(found.apply(frame, "cpu"))
    for look in (pickle.loads(pickle.dumps(found)).look, Look.from_dict(json.loads(json.dumps(found.to_dict())))):
        assert look == found.look
        assert (np.asarray(look.apply(frame, "cpu")) == made).all()


@pytest.mark.parametrize(
    "statistics", [None, [], [None], ["a"], [[1, 2]], [[[[float("nan")]]]], [[[[10**400]]]], [[[[0.5]]], None]]
)
def test_a_malformed_look_is_refused(statistics: object) -> None:
    recipe = Recipe.from_line("nuli1 contrast=1.2").to_dict()
    assert Look.from_dict({"recipe": recipe, "statistics": [[[[0.5]]]]}).statistics == ((((0.5,),),),)
    with pytest.raises(RecipeError, match="malformed"):
        Look.from_dict({"recipe": recipe, "statistics": statistics})


def test_saved_pictures_have_their_own_size_and_metadata(photo_path: Path, tmp_path: Path) -> None:
    look = Look.measured(
        MEASURING, make_frame(load_photo(photo_path).pixels), Evaluator(torch.rand(1, 3, 224, 300), 300, Vivid()).scale
    )
    saved = look.save(photo_path, tmp_path / "out.jpg", "cpu")
    with Image.open(saved) as image, Image.open(photo_path) as original:
        assert image.size == original.size and image.getexif() == original.getexif()
    with pytest.raises(nuli.NuliError, match="stopped"):
        look.save(photo_path, tmp_path / "never.jpg", "cpu", stop=lambda: True)
    assert not (tmp_path / "never.jpg").exists()


def test_of_a_long_series_a_few_pictures_are_read(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    assert spread(3) == [0, 1, 2] and spread(8) == list(range(8))
    steps = np.diff(spread(1000))
    assert len(spread(1000)) == MOST and steps.min() == steps.max() == 125 and spread(1000)[0] == 62
    read = []
    monkeypatch.setattr(series_module, "load_photo", lambda source: read.append(source) or load_photo(photo))
    enhance_together([f"{i}.jpg" for i in range(1000)], strength=0, device="cpu")
    assert read == [f"{i}.jpg" for i in spread(1000)]


def test_pictures_of_other_shapes_and_kinds_belong_to_a_series(photo: Image.Image, photo_path: Path) -> None:
    transparent = photo.convert("RGBA")
    transparent.putalpha(Image.linear_gradient("L").resize(photo.size))
    sources = [photo, photo.rotate(90, expand=True), photo.convert("L"), transparent, photo_path]
    found = enhance_together([FADED.apply(source, "cpu") for source in sources], evaluations=12, device="cpu")
    assert found.changed and found.pictures == 5
    assert [found.apply(source, "cpu").mode for source in sources] == ["RGB", "RGB", "RGB", "RGBA", "RGB"]


def test_what_cannot_be_read_is_left_out_and_told(pan: tuple[list[np.ndarray], list[int]], tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"no picture")
    found = enhance_together([pan[0][0], broken, tmp_path / "none.jpg"], strength=0, device="cpu")
    assert found.pictures == 1
    assert len(found.notes) == 2 and all(note.startswith("left out of the search: ") for note in found.notes)
    assert "broken.jpg" in found.notes[0]
    with pytest.raises(ImageError, match=r"broken\.jpg"):
        enhance_together([broken, tmp_path / "none.jpg"])


def test_what_cannot_be_done_is_refused(pan: tuple[list[np.ndarray], list[int]]) -> None:
    with pytest.raises(ImageError, match="name at least one"):
        enhance_together([])
    with pytest.raises(OptionError, match="ops"):
        enhance_together(pan[0], ops="nonsense")
    with pytest.raises(OptionError, match="either"):
        enhance_together(pan[0], nuli.Options(), seed=1)

    class Careless(Vivid):
        def bind(self, original: torch.Tensor):
            return lambda views: views.mean()

    with pytest.raises(ScoreError, match="one score per view"):
        enhance_together(pan[0][:2], scorer=Careless(), device="cpu")


def test_a_scorer_that_looks_at_candidates_alone_is_asked_once(frames: torch.Tensor) -> None:
    asked = []

    class Plain(Vivid):
        def bind(self, original: torch.Tensor):
            return self.judge

        def judge(self, views: torch.Tensor) -> torch.Tensor:
            asked.append(len(views))
            return views.mean((1, 2, 3))

    evaluator = Evaluator(frames, 300, Plain(), guard_weight=0)
    [evaluation] = evaluator.score_frames(frames)
    assert asked == [3] and evaluation.score == pytest.approx(frames.mean().item(), abs=1e-4)


def test_a_search_with_targets_that_no_recipe_reaches_ends_by_itself(photo: Image.Image) -> None:
    unlike = [Recipe.from_line(f"nuli1 exposure={stops}").apply(photo, "cpu") for stops in (-0.8, 0.8)]
    found = enhance_together(unlike, seconds=600, device="cpu", ops="light")
    assert found.evaluations < 600 and found.score_after >= found.score_before


def test_a_stop_ends_it_with_the_best_so_far(pan: tuple[list[np.ndarray], list[int]]) -> None:
    events: list[nuli.Event] = []
    found = enhance_together(
        pan[0][:4],
        scorer="vivid",
        guards="off",
        stop=lambda: len(events) > 2,
        progress=events.append,
        device="cpu",
    )
    assert found.changed and len(events) <= 4


def test_batches_of_several_pictures_keep_them_apart(frames: torch.Tensor) -> None:
    blur = Recipe.from_line("nuli1 blur=0.01")
    evaluator = Evaluator(frames, 300, Vivid())
    [alone] = apply_chains([frames[1:2]], [blur.steps], evaluator.scale)
    torch.testing.assert_close(evaluator.frames([blur])[1:2], alone)
