"""The benchmark of snapshots: what it counts as moved and clipped, its referee, its table and its sheet."""

from __future__ import annotations

import builtins
import csv
import importlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

BENCH = Path(__file__).resolve().parents[1] / "bench"
sys.path.insert(0, str(BENCH))
referee = importlib.import_module("referee")
snapshots = importlib.import_module("snapshots")
KERAS = [5.5e-05, 0.013299, 0.04678, 0.129931, 0.282197, 0.26197, 0.144056, 0.077714, 0.04259, 0.001408]
WEIGHTS = BENCH.parents[1] / "shared" / "data" / "nima_mobilenet_aesthetic_0.07.hdf5"


@pytest.fixture(scope="module")
def folder(photo: Image.Image, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of different shapes."""
    folder = tmp_path_factory.mktemp("snapshots")
    photo.save(folder / "a.jpg")
    photo.rotate(90, expand=True).save(folder / "b.png")
    photo.crop((0, 0, 90, 90)).save(folder / "c-写真.png")
    return folder


def test_newly_clipped_counts_pixels() -> None:
    before = np.full((10, 10, 3), 0.5, np.float32)
    before[0] = 1
    after = before.copy()
    after[1, :5] = 1  # all channels of five pixels
    after[2, :3, 0] = 0.001  # one channel of three, rounded
    assert snapshots.newly_clipped(before, after) == pytest.approx(0.08)
    assert snapshots.newly_clipped(before, before) == 0


def test_table_sheet_and_list(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--enhancers", "contrast,identity,brightness", "--sheet", str(tmp_path / "sheet.png")]
    snapshots.main([str(folder), *arguments, "--size", "64", "--csv", str(tmp_path / "list.csv")])
    count, heads, *lines = capsys.readouterr().out.splitlines()
    assert (count, heads.split()) == ("n 3", ["enhancer", "dE", "moved", "clips"])
    assert [line.split()[0] for line in lines] == ["contrast", "identity", "brightness"]
    assert lines[1].split() == ["identity", "0.00", "0%", "0%"]
    assert float(lines[2].split()[1]) > 2 and lines[2].split()[2] == "100%"
    with Image.open(tmp_path / "sheet-1.png") as sheet:
        assert sheet.size == (6 * snapshots.CELL, snapshots.CELL + snapshots.BAR)
    with (tmp_path / "list.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["picture"] for row in rows[::3]] == ["a.jpg", "b.png", "c-写真.png"]


def test_versions_of_nuli(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    dark = tmp_path / "dark.png"
    Image.open(folder / "a.jpg").point(lambda value: value // 3).save(dark)
    names = ["gentle", "nuli", "bolder"]
    snapshots.main([str(tmp_path), "--enhancers", ",".join(names), "--size", "64", "--evaluations", "60"])
    far = [float(line.split()[1]) for line in capsys.readouterr().out.splitlines()[2:]]
    assert 0 < far[0] < far[1] <= far[2]


def test_the_package_is_the_one_on_the_path(tmp_path: Path) -> None:
    """A bench of one tree measures another tree's package."""
    (tmp_path / "nuli").mkdir()
    (tmp_path / "nuli" / "__init__.py").write_text("raise SystemExit('the other tree')")
    done = subprocess.run(
        [sys.executable, BENCH / "snapshots.py", tmp_path],
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        stderr=subprocess.PIPE,
        text=True,
    )
    assert "the other tree" in done.stderr


def test_without_h5py(monkeypatch: pytest.MonkeyPatch, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "h5py":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SystemExit):
        snapshots.main([str(folder), "--referee", "weights.hdf5"])
    assert "pip install h5py" in capsys.readouterr().err


def test_wrong_weights(folder: Path) -> None:
    pytest.importorskip("h5py")
    with pytest.raises(ValueError, match="holds no weights"):
        referee.Referee(folder / "a.jpg")
    with pytest.raises(ValueError, match="holds no weights"):
        referee.Referee(folder / "none.hdf5")


def test_referee_gives_what_keras_gives(photo: Image.Image) -> None:
    """The marks of Keras 3.15's own MobileNet with these weights, of the same view."""
    pytest.importorskip("h5py")
    if not WEIGHTS.is_file():
        pytest.skip("the referee's weights are not on this machine")
    judge = referee.Referee(WEIGHTS)
    rows, columns = np.mgrid[:224, :224]
    view = np.stack([rows / 112 - 1, columns / 112 - 1, np.sin(rows * columns / 500)], -1).astype(np.float32)
    marks = judge.marks(torch.from_numpy(view).permute(2, 0, 1)[None])[0].numpy()
    assert marks == pytest.approx(KERAS, abs=1e-5)
    assert 3.5 < judge.score(np.asarray(photo, np.float32) / 255) < 6.5
