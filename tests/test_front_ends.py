"""Every option and every second picture is offered by every front end: all of them are made from one table."""

from __future__ import annotations

import inspect
import re

import pytest

import nuli
from nuli import infotext
from nuli.cli.main import main
from nuli.options import INPUTS, PRESET, Options, table

NAMES = [PRESET.name, *(row.name for row in table())]
MACHINE = {"device", "precision"}
"""A host has chosen these."""


@pytest.mark.parametrize("name", [*NAMES, *(one.name for one in INPUTS)])
def test_the_command_line_has_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["enhance", "--help"])
    told = capsys.readouterr().out
    assert re.search(rf"^  --{name.replace('_', '-')} ", told, re.MULTILINE)


def test_python_has_it() -> None:
    assert set(NAMES) == {PRESET.name, *vars(Options())}
    assert {one.name for one in INPUTS} <= set(inspect.signature(nuli.enhance_iter).parameters)


def test_the_infotext_has_it() -> None:
    assert {row.name for row in infotext.WRITTEN} == set(NAMES) - MACHINE - {PRESET.name, "prompt"}
    assert len(set(infotext.KEYS)) == len(infotext.KEYS)


def test_the_api_has_it() -> None:
    pytest.importorskip("gradio")
    from nuli.webui import service

    assert set(service.schema()["properties"]) == set(NAMES) - {"device"}


def test_the_tab_has_it() -> None:
    pytest.importorskip("gradio")
    from nuli.hosting import Worker
    from nuli.ui.app import make

    page, _ = make(Worker())
    drawn = {getattr(block, "elem_id", None) for block in page.blocks.values()}
    wanted = {*NAMES, *(one.name for one in INPUTS)} - {"device"}
    assert {f"nuli_{name}" for name in wanted} <= drawn
