"""Scorers that love the wrong thing: soft mode's guards hold, and without them each would ruin a picture."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nuli

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "bench"))
bench = importlib.import_module("adversaries")

ALL = {scorer.name: scorer for scorer in bench.adversaries()}


def over(photo: Image.Image, name: str, guards: str) -> np.ndarray:
    """How far a search with an adversary goes, each measure in parts of what is asked."""
    result = nuli.enhance(photo, scorer=ALL[name], guards=guards, evaluations=80, device="cpu")
    found = np.array(bench.findings(result.photo.pixels, result.pixels))
    found[3] = max(found[3], 0)  # colours may be lost within the difference allowed
    return np.nan_to_num(np.abs(found)) / np.array(bench.ASKED)


@pytest.mark.parametrize("name", ALL)
def test_guards_hold(name: str, photo: Image.Image) -> None:
    assert (over(photo, name, "normal") <= 1).all(), bench.MEASURES


@pytest.mark.parametrize("name", bench.LOVES)
def test_without_guards_it_would_be_ruined(name: str, photo: Image.Image) -> None:
    assert (over(photo, name, "off") > 2).any()
