"""The one door, with real pictures: scores that hold at full size, budgets, stops, doing no harm."""

from __future__ import annotations

import importlib
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nuli
from nuli.enhancer import enhance, enhance_iter
from nuli.errors import NuliError, OptionError, ScoreError, StoppedError
from nuli.imaging.frames import make_frame, reduced
from nuli.imaging.photo import load_photo
from nuli.ops import render as rendering
from nuli.ops.pipeline import apply_chains_subsampled, apply_steps, chain_statistics, scale_of
from nuli.ops.render import render
from nuli.ops.step import Step
from nuli.recipe import Recipe
from nuli.result import Event, Result
from nuli.scoring.tone import Tone
from nuli.scoring.vivid import Vivid
from nuli.search.config import GRADIENT_COST
from nuli.search.evaluator import Evaluator
from nuli.search.finish import FinePredictor
from nuli.search.loop import FINAL
from nuli.threads import workers

CPU = {"device": "cpu", "scorer": "vivid"}


class Towards:
    """Likes pictures the more, the nearer they are to a target frame."""

    name = "towards"
    licence = ""
    input_size = 224
    view_mode = "whole"
    differentiable = True
    score_range = (-1.0, 0.0)

    def __init__(self, target: torch.Tensor) -> None:
        self.target = target
        self.views = 0

    def bind(self, original: torch.Tensor):
        def score(views: torch.Tensor) -> torch.Tensor:
            self.views += len(views) * (GRADIENT_COST if views.requires_grad else 1)
            return -(views - self.target).square().mean((1, 2, 3)).sqrt()

        return score


@pytest.fixture(scope="module")
def dull(photo: Image.Image) -> Image.Image:
    """The photograph with half of its contrast."""
    return Recipe((Step("contrast", (0.5,)),)).apply(photo, device="cpu")


def test_it_recovers_a_known_target(photo: Image.Image, dull: Image.Image) -> None:
    target = Towards(make_frame(np.array(photo)))
    result = enhance(dull, scorer=target, evaluations=400, guards="off", margin=0, device="cpu", ops="light,colour")
    assert result.score_before < -0.05
    assert result.score_after > result.score_before / 4
    assert result.evaluations <= 400
    assert target.views == result.evaluations


def test_events_and_the_result_tell_how_it_went(dull: Image.Image) -> None:
    *events, result = enhance_iter(dull, evaluations=150, **CPU)
    assert all(isinstance(e, Event) for e in events) and isinstance(result, Result)
    assert [e.evaluations for e in events] == sorted(e.evaluations for e in events)
    assert all(0 <= e.progress <= 1 for e in events)
    assert events[-1].preview.size == (336, 224)
    assert result.changed and len(result.recipe.words()) == len(result.recipe)
    assert result.contributions == () or len(result.contributions) == len(result.recipe)
    assert result.image.size == dull.size
    assert result.trace[0][2] == result.score_before
    gains = [gain for _, gain in result.chains]
    assert gains == sorted(gains, reverse=True) and gains[0] > 0 and all(len(ops) > 0 for ops, _ in result.chains)
    told = result.to_dict()
    assert Recipe.from_dict(told) == result.recipe == Recipe.from_line(told["infotext"])


def test_the_same_seed_gives_the_same_recipe(dull: Image.Image) -> None:
    first, second = (enhance(dull, evaluations=120, seed=5, **CPU) for _ in range(2))
    assert first.recipe == second.recipe
    assert np.array_equal(first.pixels, second.pixels)


def test_without_gradients_the_seed_decides(dull: Image.Image) -> None:
    class Black(Vivid):
        differentiable = False

    first, second, other = (
        enhance(dull, scorer=Black(), evaluations=120, seed=seed, device="cpu") for seed in (5, 5, 6)
    )
    assert first.recipe == second.recipe
    assert other.recipe != first.recipe


def test_the_hosts_random_numbers_are_left_alone(dull: Image.Image) -> None:
    import random

    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    enhance(dull, evaluations=60, **CPU)
    after = random.random(), np.random.rand(), torch.rand(1).item()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    assert after == (random.random(), np.random.rand(), torch.rand(1).item())


def test_the_recipe_of_a_result_makes_its_pixels(dull: Image.Image) -> None:
    result = enhance(dull, evaluations=150, **CPU)
    assert np.array_equal(np.array(result.recipe.apply(dull, device="cpu")), np.array(result.image))


def test_what_is_not_worth_it_is_left_alone(photo_path: Path, tmp_path: Path) -> None:
    result = enhance(photo_path, evaluations=100, margin=10, **CPU)
    assert not result.changed
    assert result.pixels is result.photo.pixels
    assert result.score_after == result.score_before
    assert result.save(tmp_path / "same.jpg").read_bytes() == photo_path.read_bytes()


@pytest.mark.parametrize("strength", [1, 0.5])
@pytest.mark.parametrize("evaluations", [3, 4, 5, 6, 7, 8, 17])
def test_the_smallest_budgets_are_kept_and_searched_with(
    photo: Image.Image, dull: Image.Image, evaluations: int, strength: float
) -> None:
    scorer = Towards(make_frame(np.array(photo)))
    result = enhance(dull, scorer=scorer, evaluations=evaluations, strength=strength, guards="off", device="cpu")
    assert result.changed
    assert result.score_after > result.score_before
    assert 3 <= result.evaluations == scorer.views <= evaluations


def test_a_budget_that_no_search_fits_in_is_refused() -> None:
    with pytest.raises(OptionError, match="give a value from 3"):
        nuli.Options(evaluations=2)


def test_stop_ends_it_within_a_batch_and_keeps_the_best(dull: Image.Image) -> None:
    seen: list[Event] = []
    for item in enhance_iter(dull, seconds=600, stop=lambda: len(seen) >= 4, **CPU):
        if isinstance(item, Event):
            seen.append(item)
    assert len(seen) == 4
    assert isinstance(item, Result)
    # one pass over the steps, and what the result's own score takes
    assert item.evaluations <= seen[-1].evaluations + 8 + FINAL


def test_seconds_are_kept(dull: Image.Image) -> None:
    start = time.perf_counter()
    enhance(dull, seconds=0.5, **CPU)
    assert time.perf_counter() - start < 3


def test_seconds_of_a_slow_scorer_are_overshot_by_a_batch_at_most(dull: Image.Image) -> None:
    class Slow(Vivid):
        def bind(self, original: torch.Tensor):
            score = super().bind(original)

            def slowly(views: torch.Tensor) -> torch.Tensor:
                time.sleep(0.02 * len(views))
                return score(views)

            return slowly

    result = enhance(dull, scorer=Slow(), seconds=1, device="cpu")
    assert 0.5 < result.seconds < 2


def test_strength_blends(dull: Image.Image) -> None:
    full, half, none = (
        enhance(dull, evaluations=150, strength=strength, margin=0, **CPU) for strength in (1.0, 0.5, 0.0)
    )
    assert not none.changed
    apart = [np.abs(np.array(r.image, dtype=float) - np.array(dull)).mean() for r in (half, full)]
    assert 0.2 * apart[1] < apart[0] < 0.8 * apart[1]


def test_a_low_strength_is_not_mistaken_for_a_small_gain(dull: Image.Image) -> None:
    full = enhance(dull, evaluations=150, **CPU)
    least = 0.9 * (full.score_after - full.score_before) / 10  # in tenths of the range
    low = enhance(dull, evaluations=150, strength=0.3, margin=least, **CPU)
    assert low.changed and low.score_after > low.score_before
    assert low.contributions == ()
    assert enhance(dull, evaluations=150, strength=0, **CPU).evaluations == 1


def test_ops_and_modes_are_respected(dull: Image.Image) -> None:
    light = enhance(dull, evaluations=150, ops="light,-equalize", **CPU)
    assert {nuli.Step(s.op, s.values).op for s in light.recipe.steps} <= {
        "exposure",
        "brightness",
        "contrast",
        "gamma",
        "shadows",
        "highlights",
        "auto_level",
    }
    hard = enhance(dull, evaluations=150, mode="hard", ops="art", margin=0, guards="off", **CPU)
    assert {s.op for s in hard.recipe.steps} <= {"invert", "solarize", "posterize"}


def test_a_grey_picture_gets_no_colours(photo: Image.Image) -> None:
    grey = Recipe((Step("contrast", (0.4,)),)).apply(photo.convert("L"), device="cpu")
    assert grey.mode == "L"
    result = enhance(grey, evaluations=150, **CPU)
    assert result.changed and result.image.mode == "L"
    assert "grey" in " ".join(result.notes)
    as_rgb = enhance(grey.convert("RGB"), evaluations=150, **CPU)
    assert as_rgb.recipe == result.recipe
    assert not enhance(grey, evaluations=50, ops="colour", **CPU).changed


@pytest.mark.parametrize("size", [(1, 1), (3000, 10), (10, 3000), (2, 2)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    pixels = rng.integers(60, 140, (size[1], size[0], 3), np.uint8)
    result = enhance(pixels, evaluations=60, margin=0, **CPU)
    assert result.image.size == size


@pytest.mark.parametrize("value", [0, 128, 255])
def test_flat_pictures_are_survived(value: int) -> None:
    result = enhance(np.full((64, 64, 3), value, np.uint8), evaluations=60, **CPU)
    assert np.isfinite([result.score_before, result.score_after]).all()


@pytest.mark.parametrize(
    "scores",
    [lambda v: v.mean(), lambda v: [1.0] * len(v), lambda v: v.mean((2, 3)), lambda v: v.mean((1, 2, 3)) / 0],
)
def test_a_scorer_that_misbehaves_is_named(dull: Image.Image, scores) -> None:
    class Odd(Vivid):
        def bind(self, original: torch.Tensor):
            return scores

    with pytest.raises(ScoreError, match="scorer"):
        enhance(dull, scorer=Odd(), evaluations=20, device="cpu")


@pytest.mark.parametrize(
    "options", [{"scorer": "nobody"}, {"ops": "nothing"}, {"mode": "firm"}, {"device": "toaster"}, {"speed": 3}]
)
def test_wrong_options_are_refused(dull: Image.Image, options: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        enhance(dull, **{"evaluations": 5, **options})


def test_laion_without_weights_says_how_to_get_them(
    dull: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NULI_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(NuliError, match="nuli scorers download laion"):
        enhance(dull, scorer="laion", evaluations=5, device="cpu")
    for mode, judge in (("soft", "tone"), ("hard", "taste")):
        assert enhance(dull, scorer="auto", mode=mode, evaluations=5, device="cpu").scorer == judge


@pytest.mark.parametrize(
    "failure",
    [
        torch.cuda.OutOfMemoryError("no room"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_halves_the_batch(dull: Image.Image, failure: Exception) -> None:
    sizes: list[int] = []

    class Small(Vivid):
        cheap = False  # a cheap one is given a batch in pieces

        def bind(self, original: torch.Tensor):
            score = super().bind(original)

            def limited(views: torch.Tensor) -> torch.Tensor:
                sizes.append(len(views))
                if len(views) > 2:
                    raise failure
                return score(views)

            return limited

    frame = make_frame(np.array(dull))
    recipes = [Recipe((Step("contrast", (1 + i / 100,)),)) for i in range(1, 14)]
    small, large = (Evaluator(frame, 300, scorer) for scorer in (Small(), Vivid()))
    in_parts, at_once = ([j.objective for batch in e.evaluate(recipes) for j in batch] for e in (small, large))
    assert in_parts == pytest.approx(at_once, abs=1e-4)
    assert small.batch == 2 and sizes[:2] == [8, 4]


def test_no_memory_at_all_is_told_and_other_errors_are_left_alone(dull: Image.Image) -> None:
    for raised, expected in ((MemoryError(), NuliError), (RuntimeError("a bug"), RuntimeError)):

        class Failing(Vivid):
            def bind(self, original: torch.Tensor, raised: Exception = raised):
                score = super().bind(original)

                def fail(views: torch.Tensor) -> torch.Tensor:
                    if (views - original).abs().max() > 0:
                        raise raised
                    return score(views)

                return fail

        with pytest.raises(expected):
            enhance(dull, scorer=Failing(), evaluations=20, device="cpu")


def test_the_evaluator_scores_what_the_recipe_makes(photo_tensor: torch.Tensor) -> None:
    evaluator = Evaluator(photo_tensor, 300, Vivid())
    recipes = [
        Recipe.parse(line)
        for line in (
            "nuli1",
            "nuli1 contrast=1.2",
            "nuli1 contrast=1.2 equalize=0.3/0 sharpness=1.4",
            "nuli1 equalize=0.5/0 contrast=1.2",
            "nuli1 auto_level=0.7/0.1 blur=0.002 gamma=0.9/1.05",
        )
    ]
    together = evaluator.frames(recipes)
    subsampled = torch.cat(apply_chains_subsampled(photo_tensor, [r.steps for r in recipes], evaluator.scale))
    torch.testing.assert_close(subsampled, together[..., ::2, ::2], atol=1e-5, rtol=0)
    for i, recipe in enumerate(recipes):
        alone, scale = photo_tensor, scale_of(photo_tensor, 300)
        measured = chain_statistics(photo_tensor, recipe.steps, scale)
        alone = apply_steps(alone, recipe.steps, measured, scale)
        torch.testing.assert_close(together[i : i + 1], alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("has_target", [True, False])  # without guards and with them
def test_a_scorer_that_sees_subsampled_views_says_the_same_of_a_recipe_and_of_its_frame(
    photo_tensor: torch.Tensor, monkeypatch: pytest.MonkeyPatch, has_target: bool
) -> None:
    monkeypatch.setattr(Tone, "has_target", has_target)
    evaluator = Evaluator(photo_tensor, 300, Tone.load())
    recipes = [Recipe.parse(line) for line in ("nuli1 gamma=0.9/1.05", "nuli1 blur=0.002 contrast=1.2")]
    [quickly] = evaluator.evaluate(recipes)
    for one, other in zip(quickly, evaluator.score_frames(evaluator.frames(recipes)), strict=True):
        assert (one.score, one.penalty) == pytest.approx((other.score, other.penalty), abs=1e-4)


def test_a_host_in_inference_mode_gets_gradients(photo_tensor: torch.Tensor) -> None:
    steps = Recipe.parse("nuli1 gamma=0.9/1.05 contrast=1.2").steps
    _, gradient = Evaluator(photo_tensor, 300, Vivid()).gradient(steps)
    with torch.inference_mode():
        evaluator = Evaluator(photo_tensor * 1, 300, Vivid())
        evaluator.score_frames(evaluator.original)
        assert evaluator.gradient(steps)[1] == pytest.approx(gradient)


LINES = [
    "nuli1 contrast=1.2 auto_level=0.8/0.2 equalize=0.4/0 sharpness=1.6 blur=0.0008",
    "nuli1 auto_level=0.5/0 sharpness=1.8 contrast=1.3",
    "nuli1 equalize=0.6/0 vibrance=0.5 blur=0.002",
]


@pytest.mark.parametrize("line", LINES)
def test_the_predicted_score_holds_at_full_size(photo: Image.Image, line: str) -> None:
    """The search's figure and that of the rendered picture, 12 times as large."""
    large = photo.resize((photo.width * 5, photo.height * 5), Image.Resampling.BICUBIC)
    source, recipe = load_photo(large), Recipe.parse(line)
    frame = make_frame(source.pixels)
    evaluator = Evaluator(frame, min(source.pixels.shape[:2]), Vivid())
    [before] = evaluator.score_frames(frame)
    predicted = FinePredictor(source, reduced(source), evaluator).predict(recipe)
    [realised] = evaluator.score_frames(make_frame(render(source, recipe.steps, "cpu")))
    gain = abs(realised.score - before.score)
    assert abs(predicted.score - realised.score) <= max(0.01, 0.02 * gain)


def test_tiles_do_not_show(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    source = load_photo(photo)
    recipe = Recipe.parse("nuli1 sharpness=1.7 blur=0.002 contrast=1.2 glow=0.5/0.01 equalize=0.4/0")
    whole = render(source, recipe.steps, "cpu").astype(int)
    monkeypatch.setattr(rendering, "_TILE", 60)
    assert np.abs(render(source, recipe.steps, "cpu").astype(int) - whole).max() <= 1


def test_stages_do_not_show(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far-reaching steps one after the other give what they give together."""
    source = load_photo(photo)
    steps = Recipe.parse("nuli1 glow=0.5/0.03 contrast=1.2 blur=0.01 sharpness=1.7 glow=0.3/0.02").steps
    monkeypatch.setattr(rendering, "_HALO", 10_000)
    together = render(source, steps, "cpu").astype(int)
    monkeypatch.setattr(rendering, "_HALO", 1)
    monkeypatch.setattr(rendering, "_TILE", 60)
    assert np.abs(render(source, steps, "cpu").astype(int) - together).max() <= 1


def test_a_tile_needs_no_more_than_its_farthest_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five glows need no larger tiles than one: memory must not grow with the length of a recipe."""
    source = load_photo(np.full((900, 1000, 3), 90, np.uint8))
    tiles, to_tensor = [], rendering.to_tensor
    monkeypatch.setattr(rendering, "_TILE", 64)
    monkeypatch.setattr(rendering, "to_tensor", lambda p, *rest: (tiles.append(p.shape), to_tensor(p, *rest))[1])
    steps = Recipe.parse("nuli1 glow=0.5/0.03").steps
    render(source, steps, "cpu")
    once = max(tiles)
    tiles.clear()
    render(source, steps * 5, "cpu")
    assert max(tiles) == once < (600, 600, 3)


@pytest.mark.parametrize("tiles", [0, 5])
def test_rendering_can_be_stopped(photo: Image.Image, monkeypatch: pytest.MonkeyPatch, tiles: int) -> None:
    monkeypatch.setattr(rendering, "_TILE", 60)
    asked = []
    with pytest.raises(StoppedError):
        Recipe.parse("nuli1 contrast=1.2").apply(photo, "cpu", stop=lambda: asked.append(1) or len(asked) > tiles)
    assert tiles + 1 <= len(asked) <= tiles + workers()  # some tiles are under way


def test_sixteen_bits_stay_sixteen_bits() -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    made = render(load_photo(ramp), Recipe.parse("nuli1 gamma=0.8/1").steps, "cpu")
    assert made.dtype == np.uint16
    assert len(np.unique(made)) > 50_000
    expected = np.round((ramp[..., 0] / 65535.0) ** 0.8 * 65535)
    assert np.abs(made[..., 0] - expected).max() <= 1


def test_what_becomes_of_an_image_does_not_change_what_is_saved(dull: Image.Image, tmp_path: Path) -> None:
    result = enhance(dull, evaluations=30, **CPU)
    assert result.changed
    result.image.thumbnail((50, 50))
    result.pixels[:] = 0
    result.save(tmp_path / "made.png")
    with Image.open(tmp_path / "made.png") as image:
        assert image.size == dull.size and np.asarray(image).any()


def test_pixels_have_the_depth_of_the_source(dull: Image.Image) -> None:
    deep = np.asarray(dull).astype(np.uint16) * 257
    result = enhance(deep, evaluations=30, **CPU)
    assert result.changed and result.pixels.dtype == np.uint16 and (result.pixels % 257).any()


def test_the_public_names_are_there() -> None:
    for name in nuli.__all__:
        assert getattr(nuli, name) is not None
    with pytest.raises(AttributeError):
        nuli.nothing  # noqa: B018
    importlib.import_module("nuli.enhancer")
    assert callable(nuli.enhance)


def test_scores_are_those_of_the_search(dull: Image.Image) -> None:
    before = enhance(dull, evaluations=3, **CPU).score_before
    assert nuli.score([dull], scorer="vivid", device="cpu") == [pytest.approx(before)]


def test_one_picture_alone_is_a_list_of_one(photo_path: Path) -> None:
    scores = nuli.score(str(photo_path), scorer="vivid", device="cpu")
    assert scores == nuli.score([photo_path], scorer="vivid", device="cpu")
    assert len(scores) == 1


def test_options_are_given_at_once_or_by_name(dull: Image.Image) -> None:
    options = nuli.Options(scorer="vivid", evaluations=30, device="cpu")
    assert enhance(dull, options).recipe == enhance(dull, evaluations=30, **CPU).recipe
    with pytest.raises(OptionError, match="either"):
        enhance(dull, options, evaluations=30)
