"""`taste`: what it likes, what it refuses, and that searches with it, and held by it, stay pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import nuli
from nuli.errors import WeightsError
from nuli.imaging.color import luma
from nuli.imaging.frames import make_frame, subsample
from nuli.options import Options
from nuli.recipe import Recipe
from nuli.scoring import taste as module
from nuli.scoring.backbone import Backbone
from nuli.scoring.registry import resolve_scorer
from nuli.scoring.taste import WEIGHTS, Taste, liveliness
from nuli.scoring.vivid import measures
from nuli.search.loop import needs_critic

WILD = (
    "nuli1 invert=1",
    "nuli1 posterize=2 saturation=2.5",
    "nuli1 hue=0.4 saturation=2.2",
    "nuli1 channel_mix=1/0 contrast=2",
    "nuli1 solarize=0.4",
    "nuli1 split_tone=0.4/0.7 vibrance=2",
)


@pytest.fixture(scope="module")
def scorer() -> Taste:
    return Taste.load()


def view_of(picture: Image.Image) -> Tensor:
    return subsample(make_frame(np.asarray(picture)))


def realism(scorer: Taste, picture: Image.Image) -> float:
    return scorer.realism(scorer.features(view_of(picture))).item()


class Acid:
    """A stranger's scorer that likes green shadows, violet lights and nothing else."""

    name, licence, input_size, view_mode = "acid", "", 224, "whole"
    differentiable, cheap, score_range = True, True, (0.0, 10.0)

    def bind(self, original: Tensor):
        def score(views: Tensor) -> Tensor:
            grey, green = luma(views), views[:, 1:2] - (views[:, :1] + views[:, 2:]) / 2
            return 5 + 40 * (green * (0.5 - grey)).mean((1, 2, 3))

        return score


def test_it_is_hard_modes_own() -> None:
    assert resolve_scorer("taste").name == "taste"
    assert WEIGHTS.stat().st_size < 1_000_000


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("size", [(112, 112), (112, 448)])
def test_scores_are_finite(scorer: Taste, level: float, size: tuple[int, int]) -> None:
    frame = torch.full((1, 3, 2 * size[0], 2 * size[1]), level)
    scores = scorer.bind(frame)(subsample(frame).expand(5, -1, -1, -1))
    assert scores.shape == (5,) and torch.isfinite(scores).all()
    assert torch.allclose(scores, scores[:1], atol=1e-3)


def test_gradients_flow(scorer: Taste, photo: Image.Image) -> None:
    views = view_of(photo).requires_grad_()
    scorer.bind(make_frame(np.asarray(photo)))(views).sum().backward()
    assert torch.isfinite(views.grad).all() and views.grad.abs().sum() > 0


def test_gradients_flow_where_a_host_loaded_it_in_inference_mode(photo: Image.Image) -> None:
    Backbone.load.__func__.cache_clear()
    with torch.inference_mode():
        loaded = Taste.load()
    views = view_of(photo).requires_grad_()
    loaded.bind_guard(view_of(photo))(views * 0.5).sum().backward()
    assert torch.isfinite(views.grad).all() and views.grad.abs().sum() > 0


@pytest.mark.parametrize("line", WILD)
def test_a_photo_is_more_real_than_what_wild_chains_make_of_it(scorer: Taste, photo: Image.Image, line: str) -> None:
    assert realism(scorer, photo) > realism(scorer, Recipe.from_line(line).apply(photo)) + 0.5


def test_pictures_are_ranked(scorer: Taste, photo: Image.Image) -> None:
    """Good, dull and broken ones, in this order."""
    dull = Recipe.from_line("nuli1 contrast=0.45 saturation=0.4").apply(photo)
    broken = Recipe.from_line("nuli1 hue=0.5 posterize=2").apply(photo)
    good, worse, worst = nuli.score([photo, dull, broken], device="cpu")
    assert good > worse > worst


def test_liveliness_is_asked_beside_pictures_of_the_kind(scorer: Taste, photo_tensor: Tensor) -> None:
    views = subsample(photo_tensor)
    found = measures(views)
    assert liveliness(found, found).item() == pytest.approx(10, abs=1e-4)
    assert liveliness(found, 2 * found).item() < 9
    colourless = found * torch.tensor([[1e-3, 1, 1, 1]])
    pale = found * torch.tensor([[0.1, 1, 1, 1]])
    assert liveliness(pale, found) < liveliness(colourless, found) < 9.5  # black and white is a way to be striking


def test_another_picture_earns_a_little_more(scorer: Taste, photo: Image.Image, monkeypatch) -> None:
    views = torch.cat([view_of(photo), view_of(Recipe.from_line("nuli1 exposure=-1 saturation=0.3").apply(photo))])
    frame = make_frame(np.asarray(photo))
    with_change = scorer.bind(frame)(views)
    monkeypatch.setattr(module, "CHANGE", 0.0)
    ratio = with_change / scorer.bind(frame)(views)
    same, other = (module.SPAN * ratio.log()).tolist()
    assert same == pytest.approx(-1, abs=0.01) and -0.5 < other < 0


def test_hard_mode_is_lively_and_stays_real(scorer: Taste, photo: Image.Image) -> None:
    dull = Recipe.from_line("nuli1 contrast=0.6 saturation=0.6").apply(photo)
    result = nuli.enhance(dull, mode="hard", scorer="taste", evaluations=150, device="cpu")
    assert result.changed and result.score_after > result.score_before + 0.5
    assert realism(scorer, result.image) > min(realism(scorer, dull), module.ENOUGH) - 0.75
    assert all(realism(scorer, other.image) > -1 for other in result.others)


def test_it_keeps_other_scorers_results_real(scorer: Taste, photo: Image.Image) -> None:
    free, held = (
        nuli.enhance(photo, mode="hard", scorer=Acid(), evaluations=120, device="cpu", realism=realism)
        for realism in ("off", "auto")
    )
    assert realism(scorer, held.image) > realism(scorer, free.image) + 1
    assert realism(scorer, held.image) > min(realism(scorer, photo), module.ENOUGH) - 1


def test_the_guard_is_free_for_the_picture_itself(scorer: Taste, photo: Image.Image) -> None:
    penalty = scorer.bind_guard(view_of(photo))
    assert penalty(view_of(photo)).item() == pytest.approx(0, abs=1e-4)
    assert penalty(view_of(Recipe.from_line(WILD[0]).apply(photo))).item() > 1


def test_who_is_held_by_it() -> None:
    hard = Options(mode="hard")
    assert needs_critic(hard, "laion") and not needs_critic(hard, "vivid") and not needs_critic(hard, "taste")
    assert needs_critic(Options(mode="hard", realism="on"), "vivid")
    assert not needs_critic(Options(mode="hard", realism="off"), "laion")
    assert not needs_critic(Options(realism="on"), "laion")


def test_damaged_weights_are_refused(tmp_path, monkeypatch) -> None:
    data = bytearray(WEIGHTS.read_bytes())
    data[-1] ^= 1
    broken = tmp_path / "taste.safetensors"
    broken.write_bytes(data)
    monkeypatch.setattr(module, "WEIGHTS", broken)
    with pytest.raises(WeightsError, match="install nuli anew"):
        Taste.load()
