"""`tone`: what it predicts for a picture, and how it judges by that."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

import nuli
from nuli.errors import WeightsError
from nuli.imaging.color import color_difference, to_lab
from nuli.imaging.frames import make_frame, subsample
from nuli.ops.light import level_ends
from nuli.ops.step import Step
from nuli.ops.white_balance import white_gains
from nuli.recipe import Recipe
from nuli.scoring import tone
from nuli.scoring.embedded import load_embedded
from nuli.scoring.registry import SCORERS, resolve_scorer
from nuli.scoring.tone import SHA256, STEPS, WEIGHTS, Tone

skimage_color = pytest.importorskip("skimage.color")


@pytest.fixture(scope="module")
def scorer() -> Tone:
    return Tone.load()


def spoilt(photo: Image.Image, line: str) -> Image.Image:
    return Recipe.from_line(f"nuli1 {line}").apply(photo, device="cpu")


def frame_of(image: Image.Image) -> torch.Tensor:
    return make_frame(np.array(image))


def seen(image: Image.Image) -> torch.Tensor:
    return subsample(frame_of(image))


def test_colours_are_cielab_and_differences_cie94(photo_tensor: torch.Tensor) -> None:
    small = photo_tensor[..., ::4, ::4]
    other = (small * 0.9 + 0.02).flip(3)
    lab, other_lab = (x[0].permute(1, 2, 0).double().numpy() for x in (small, other))
    lab, other_lab = skimage_color.rgb2lab(lab), skimage_color.rgb2lab(other_lab)
    ours = to_lab(small)[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - lab).max() < 0.05
    theirs = skimage_color.deltaE_ciede94(lab, other_lab).mean()
    assert float(color_difference(to_lab(other), to_lab(small))) == pytest.approx(theirs, abs=0.02)


@pytest.mark.parametrize("fault", ["exposure=-1.5", "exposure=1.2", "contrast=0.45", "exposure=-1 saturation=0.5"])
def test_it_knows_what_is_wrong(photo: Image.Image, scorer: Tone, fault: str) -> None:
    """The picture that it makes of a bad one is nearer to the good one, by scikit-image's CIEDE2000."""
    bad = spoilt(photo, fault)
    made = scorer.recipe(frame_of(bad)).apply(bad, device="cpu")
    good, before, after = (skimage_color.rgb2lab(np.array(image)) for image in (photo, bad, made))
    difference = skimage_color.deltaE_ciede2000
    assert difference(after, good).mean() < 0.95 * difference(before, good).mean()


def test_the_recipe_is_the_best_picture(photo: Image.Image, scorer: Tone) -> None:
    bad = spoilt(photo, "exposure=-1.3")
    score = scorer.bind(frame_of(bad))
    recipe = scorer.recipe(frame_of(bad))
    assert len(recipe) > 0
    best = float(score(seen(recipe.apply(bad, device="cpu"))))
    untouched = float(score(seen(bad)))
    half = float(score(seen(recipe.scaled(0.5).apply(bad, device="cpu"))))
    over = float(score(seen(spoilt(bad, "exposure=2 contrast=2"))))
    assert best > 9.9
    assert over < untouched < half < best


def test_where_networks_differ_less_is_done(monkeypatch) -> None:
    monkeypatch.setattr(tone, "DISAGREEMENT", 1.0)
    one = torch.full((1, tone.PARAMETERS), 0.2)
    assert torch.allclose(tone.agreed(torch.stack([one, one])), one, atol=1e-4)
    mixed = tone.agreed(torch.stack([one * 3, -one]))
    acting = [i for i in range(tone.PARAMETERS) if i not in tone.SHAPES]
    assert (mixed[0, acting] < 0.4 * one[0, acting]).all() and (mixed[0, acting] > 0).all()


def test_slight_corrections_are_made_in_part(photo: Image.Image) -> None:
    x = seen(photo)
    for stops, least, most in ((0.01, 0.0, 0.3), (0.8, 0.9, 1.0)):
        values = torch.zeros(1, tone.PARAMETERS)
        at = next(i for i, (op, _, _) in enumerate(tone.CORRECTION) if op == "exposure")
        values[0, at] = stops
        assert least < float(tone.spare_slight_changes(values, x, white_gains(x), level_ends(x))[0, at]) / stops < most


def test_a_correction_that_hardly_shows_is_not_made(photo: Image.Image, scorer: Tone) -> None:
    margin = 10 - float(scorer.bind(frame_of(photo))(seen(photo)))
    assert margin > 0
    result = nuli.enhance(photo, scorer="tone", device="cpu", margin=margin * 1.05)
    assert not result.changed and result.pixels is result.photo.pixels


def test_gradients_flow_to_the_view(photo: Image.Image, scorer: Tone) -> None:
    frame = frame_of(spoilt(photo, "exposure=-1.3"))
    score, view = scorer.bind(frame), subsample(frame)
    x = view.clone().requires_grad_()
    score(x).sum().backward()
    with torch.no_grad():
        assert score(view + 0.01 * x.grad.sign()) > score(view)


def test_half_precision_judges_alike(photo: Image.Image, scorer: Tone) -> None:
    frame = frame_of(spoilt(photo, "exposure=-1.3"))
    view = subsample(frame)
    batch = torch.cat([view, view * 0.5, (view * 1.5).clamp(0, 1)])
    full, half = scorer.bind(frame)(batch), scorer.bind(frame.half())(batch.half())
    assert half.dtype == torch.float32
    assert torch.allclose(full, half, atol=0.02)


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_a_flat_picture_is_judged_too(scorer: Tone, level: float) -> None:
    frame = torch.full((1, 3, 128, 170), level)
    assert torch.isfinite(scorer.correction(frame)).all()
    assert torch.isfinite(scorer.bind(frame)(subsample(frame))).all()


def test_it_judges_soft_mode_where_laion_is_absent() -> None:
    assert resolve_scorer("auto", "soft").name in ("tone", "laion")
    assert resolve_scorer("auto", "hard").name in ("taste", "laion")
    if SCORERS["laion"].missing():
        assert (resolve_scorer("auto", "soft").name, resolve_scorer("auto", "hard").name) == ("tone", "taste")


def test_enhancing_takes_the_prediction_and_stops(photo: Image.Image, scorer: Tone) -> None:
    bad = spoilt(photo, "exposure=-1.5")
    result = nuli.enhance(bad, scorer="tone", device="cpu")
    assert result.changed and result.evaluations < 60
    assert result.score_after > 9.5 and result.score_after > result.score_before + 0.3
    good, before, after = (skimage_color.rgb2lab(np.array(i.convert("RGB"))) for i in (photo, bad, result.image))
    difference = skimage_color.deltaE_ciede2000
    assert difference(after, good).mean() < 0.9 * difference(before, good).mean()


def test_without_the_ops_that_it_wants_it_searches(photo: Image.Image) -> None:
    bad = spoilt(photo, "exposure=-1.5")
    result = nuli.enhance(bad, scorer="tone", device="cpu", ops="brightness,shadows", evaluations=200)
    assert {s.op for s in result.recipe.steps} <= {"brightness", "shadows"}
    assert result.score_after > result.score_before + 0.3


def test_other_scorers_start_from_it(photo: Image.Image) -> None:
    bad = spoilt(photo, "exposure=-1.5")

    class Spy(Tone):
        """A stranger's scorer that likes what `tone` likes, but is not has_target."""

        has_target = False
        name = "spy"

    spy = Spy({k: v.float() for k, v in load_embedded(WEIGHTS, SHA256).items()})
    first = next(iter(nuli.enhance_iter(bad, scorer=spy, device="cpu", evaluations=40, guards="off")))
    assert first.evaluations == 3 and len(first.recipe) > 0  # the untouched picture, the prediction, half of it
    assert first.best_score > first.score_before


def test_damaged_weights_are_refused(tmp_path, monkeypatch) -> None:
    data = bytearray(WEIGHTS.read_bytes())
    data[-1] ^= 1
    broken = tmp_path / "tone.safetensors"
    broken.write_bytes(data)
    monkeypatch.setattr(tone, "WEIGHTS", broken)
    with pytest.raises(WeightsError, match="install nuli anew"):
        Tone.load()
    monkeypatch.setattr(tone, "WEIGHTS", tmp_path / "none")
    with pytest.raises(WeightsError, match="can't be read"):
        Tone.load()


def test_the_weights_are_small() -> None:
    assert WEIGHTS.stat().st_size < 1_500_000


def test_steps_of_the_recipe_are_steps(photo: Image.Image, scorer: Tone) -> None:
    recipe = scorer.recipe(frame_of(spoilt(photo, "contrast=0.5")))
    assert all(isinstance(s, Step) and not s.is_noop for s in recipe.steps)
    assert [s.op for s in recipe.steps] == [op for op in STEPS if op in {s.op for s in recipe.steps}]
