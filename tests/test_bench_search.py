"""The comparison of searches: that all play by the same rules, and that the oracle tells the truth."""

from __future__ import annotations

import importlib
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nuli.imaging.color import to_lab
from nuli.ops.registry import select_ops
from nuli.recipe import Recipe
from nuli.search.config import EXPENSIVE
from nuli.search.evaluator import Evaluator
from nuli.search.plan import ScoreResponse

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
ablation = importlib.import_module("ablation")
ciede2000 = importlib.import_module("ciede2000")
objectives = importlib.import_module("objectives")
search = importlib.import_module("search")
searchers = importlib.import_module("searchers")


@pytest.fixture(scope="module")
def tiny(photo: Image.Image) -> np.ndarray:
    """The repository's photo, 24 pixels high."""
    return np.asarray(photo.resize((32, 24), Image.Resampling.BOX), np.float32) / 255


@pytest.fixture(scope="module")
def oracle(tiny: np.ndarray) -> object:
    return objectives.Oracle(search.to_frame(tiny))


def climb(oracle: object, tiny: np.ndarray, name: str, evaluations: int, seed: int = 0) -> tuple[np.ndarray, int]:
    """The curve of one search on a darkened copy, and the evaluations that it took."""
    frame = search.to_frame(tiny * 0.8)
    evaluator = Evaluator(frame, len(tiny), oracle, guard_weight=0)
    [before] = evaluator.score_frames(frame)
    starts = (Recipe.from_line("nuli1 exposure=0.1"),)
    describe = partial(evaluator.features, config=EXPENSIVE.features)
    task = searchers.Task(select_ops("soft"), 8, seed, before.objective, describe, starts)
    curve = search.climb(evaluator, searchers.SEARCHERS[name](task), before.objective, evaluations)
    return curve, evaluator.evaluations - 1


@pytest.mark.parametrize("name", searchers.SEARCHERS)
def test_each_search_keeps_to_its_evaluations_repeats_itself_and_never_falls_back(
    oracle: object, tiny: np.ndarray, name: str
) -> None:
    if name == "cma-es":
        pytest.importorskip("cmaes")
    before = ciede2000.mean_difference(tiny * 0.8, tiny)
    curve, evaluations = climb(oracle, tiny, name, 70)
    assert evaluations == len(curve) == 70
    assert (np.diff(curve) >= 0).all()
    assert 0 < curve[-1] <= before
    assert (climb(oracle, tiny, name, 70)[0] == curve).all()
    assert not (climb(oracle, tiny, name, 70, seed=1)[0] == curve).all()


def test_the_original_goes_on_when_its_best_nodes_are_as_long_as_allowed() -> None:
    task = searchers.Task(select_ops("soft"), 2, 0, 0.0, lambda recipes: torch.zeros(len(recipes), 1))
    run = searchers.original(task)
    request, lengths = next(run), []
    for _ in range(1000):
        lengths += [len(r) for r in request.recipes]
        request = run.send(ScoreResponse(tuple(float(len(r)) for r in request.recipes)))
    assert max(lengths) == 2


def test_the_oracle_is_ciede2000_and_0_at_its_best(oracle: object, tiny: np.ndarray) -> None:
    good = search.to_frame(tiny)
    score = oracle.bind(good)
    assert score(good).item() == 0
    rng = np.random.default_rng(0)
    others = [tiny * 0.8, tiny**1.5, tiny[..., ::-1], rng.random(tiny.shape), tiny * 0, np.full_like(tiny, 0.5)]
    for other in others:
        expected = -ciede2000.mean_difference(other, tiny)
        assert score(search.to_frame(other)).item() == pytest.approx(expected, abs=0.03)


def test_the_oracle_has_finite_gradients_for_greys_and_equal_pictures(oracle: object, tiny: np.ndarray) -> None:
    goal = search.to_frame(tiny)
    for other in (tiny, tiny * 0, tiny * 0 + 0.5, 1 - tiny):
        x = search.to_frame(other).requires_grad_()
        objectives.colour_difference(to_lab(x), to_lab(goal)).sum().backward()
        assert torch.isfinite(x.grad).all()


def test_the_table_counts_evaluations_to_the_original() -> None:
    slow, fast = np.linspace(0, 1, 100), np.minimum(1, np.linspace(0, 10, 100))
    text = search.table({("tone", "original"): [slow, slow], ("tone", "tree"): [fast, fast]}, [])
    assert text.splitlines()[-1].split()[-2:] == ["11", "11"]
    assert search.needed(slow, 2) == np.inf
    assert search.plot({("tone", "tree"): [slow]}).size[0] > 400


def test_the_command_prints_a_table(tmp_path: Path, photo: Image.Image, capsys: pytest.CaptureFixture[str]) -> None:
    photo.save(tmp_path / "a.jpg")
    options = ["--size", "48", "--evaluations", "40", "--searchers", "original,tree", "--plot", str(tmp_path / "p.png")]
    search.main([str(tmp_path), *options])
    assert "oracle, 1 photos" in capsys.readouterr().out
    assert (tmp_path / "p.png").exists()
    with pytest.raises(SystemExit):
        search.main([str(tmp_path), "--searchers", "magic"])


def test_the_ablation_has_a_line_for_each_variant(
    tmp_path: Path, photo: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    photo.save(tmp_path / "a.jpg")
    ablation.main([str(tmp_path), "--size", "32", "--evaluations", "20"])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(ablation.VARIANTS) and all("left of" in line for line in lines)
    assert len({line.split("left of")[0][34:] for line in lines}) > 3  # they do differ
