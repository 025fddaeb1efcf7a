"""The workflows that ComfyUI offers as templates: their values must fit the nodes, which may have changed since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nuli.comfy.specs import NODES

FOLDER = Path(__file__).resolve().parents[1] / "example_workflows"
FILES = sorted(FOLDER.glob("*.json"))
SPECS = {spec.id: spec for spec in NODES}


def nodes_of(path: Path) -> list[dict[str, Any]]:
    return json.loads(path.read_text(encoding="utf-8"))["nodes"]


def test_there_are_workflows() -> None:
    assert {path.stem for path in FILES} == {"text-to-image", "keep-best", "video", "krita"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_values_fit_the_nodes(path: Path) -> None:
    ours = [node for node in nodes_of(path) if node["type"] in SPECS]
    assert ours
    for node in ours:
        spec = SPECS[node["type"]]
        for widget, value in zip(spec.widgets, node["widgets_values"], strict=True):
            assert type(value) in ((int, float) if widget.kind in ("INT", "FLOAT") else (str,)), widget.name
            assert widget.choices is None or value in widget.choices, widget.name
            assert widget.minimum is None or widget.minimum <= value <= (widget.maximum or value), widget.name
        sockets = {one.name for one in (*spec.inputs, *spec.optional, *spec.widgets)}
        assert {one["name"] for one in node["inputs"]} == sockets


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_has_its_picture(path: Path) -> None:
    assert 0 < path.with_suffix(".jpg").stat().st_size < 60_000


def test_krita_finds_only_nodes_of_the_server() -> None:
    """Its plug-in looks up every node of a file there, and refuses one with a note, which only the page knows."""
    assert not [node for node in nodes_of(FOLDER / "krita.json") if node["type"] in ("Note", "MarkdownNote")]
