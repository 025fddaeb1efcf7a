"""The measurement of speed, with a tiny tower: that it measures what it says."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest
import torch

from nuli.imaging.frames import make_frame, to_pixels
from nuli.recipe import Recipe
from nuli.scoring import laion
from nuli.scoring.clip_vit import VisionTransformer
from nuli.scoring.vivid import Vivid
from nuli.search.evaluator import Evaluator

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
speed = importlib.import_module("speed")
TINY = (64, 2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("speed") / "weights.pt"
    speed.random_clip.write(str(path), *TINY)
    return path


def test_the_random_file_has_all_that_a_tower_takes(weights: Path) -> None:
    state = laion._read_visual(weights)
    size = sum(value.numel() for value in state.values())
    tower = VisionTransformer(state, torch.float32)
    assert not state
    assert tower(torch.rand(2, 3, 224, 224)).isfinite().all()
    # each weight is multiplied with each of 257 places, but for the few that are added only
    matrices = [p for n, p in tower.named_parameters() if p.ndim > 1 and "blocks" in n]
    assert speed.multiplications(*TINY) > 2 * 257 * sum(m.numel() for m in matrices)
    assert speed.multiplications(*speed.REAL) == pytest.approx(162e9, rel=0.01)
    assert size > sum(m.numel() for m in matrices)


def test_the_scorers_time_is_taken_both_ways(photo_tensor: torch.Tensor) -> None:
    timed = speed.Timed(Vivid())
    evaluator = Evaluator(make_frame(to_pixels(photo_tensor, "uint8")), 300, timed)
    evaluator.score_frames(evaluator.original)
    forward = timed.seconds
    assert forward > 0
    steps = Recipe.from_line(speed.CHAIN).steps
    _, gradient = evaluator.gradient(steps)
    _, plain = Evaluator(evaluator.original, 300, Vivid()).gradient(steps)
    assert gradient == pytest.approx(plain, rel=1e-4)
    moments = []
    timed._go = lambda _=None: moments.append("go")
    timed._stop = lambda _=None: moments.append("stop")
    timed.bind(evaluator.original)(evaluator.original.clone().requires_grad_()).sum().backward()
    assert moments == ["go", "stop"] * 2


def test_the_command_prints_a_table(photo_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    pytest.importorskip("clip")
    monkeypatch.setattr(speed, "ROUNDS", 1)
    speed.main([str(photo_path), "--scorers", "laion", "--seconds", "0.2"], TINY)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["per", "second"]
    assert [line.split()[0] for line in lines] == ["original", "laion"]
    assert [len(line.split()) for line in lines] == [6, 8]
    assert float(lines[0].split()[2]) == 1
    for wrong in ("--scorers=magic", "no-such-photo.jpg"):
        with pytest.raises(SystemExit):
            speed.main([wrong], TINY)
