"""Localization: every text that the page can show has an entry in every dictionary."""

from __future__ import annotations

import ast
import json
import re
import string
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nuli.ops.registry import OPS
from nuli.ops.step import Step
from nuli.options import INPUTS, table
from nuli.presets import presets
from nuli.scoring.registry import SCORERS
from nuli.search.directions import DIRECTIONS

gr = pytest.importorskip("gradio", reason="the user interface needs gradio: pip install 'nulie[ui]'")

from nuli.hosting import Worker  # noqa: E402
from nuli.ui import app, controls, drawing, handlers, session, steps  # noqa: E402

ROOT = Path(__file__).parents[1]
NAMES = {*SCORERS, app.TITLE, "RGB"}
"""What has the same name in every language."""


class _Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for key, value in attrs if key in ("title", "aria-label") and value]

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def texts_of(markup: str) -> list[str]:
    parser = _Texts()
    parser.feed(markup)
    return parser.found


def shown() -> set[str]:
    """All that stands on the page before anybody does anything, and all that its controls and steps can say."""
    page, _ = app.make(Worker())
    found: list[Any] = []
    for block in page.blocks.values():
        found += [getattr(block, name, None) for name in ("label", "info", "placeholder")]
        if isinstance(block, gr.Button):
            found.append(block.value)
        if isinstance(block, gr.HTML) and isinstance(block.value, str):
            found += texts_of(block.value)
        for choice in getattr(block, "choices", None) or ():
            found.append(choice if isinstance(choice, str) else choice[0])
    found += [row.label for row in table()] + [controls.HINTS[row.name] for row in table()]
    found += [choice for row in table() for choice in row.choices or ()]
    found += [one.label for one in INPUTS] + list(presets())
    found += [*DIRECTIONS, "as found", "another look"]  # in captions
    for op in OPS.values():
        row = session.Row(Step(op.name, op.identity))
        found += [text for text in texts_of(steps._item(0, row, False, ())) if not re.search(r"\d", text)]
    for path in Path(app.__file__).parent.glob("*.py"):
        source = path.read_text("utf-8")
        found += re.findall(r"<span>([^<{]+)</span>", source)
        for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
            name = getattr(call.func, "attr", getattr(call.func, "id", ""))
            if name in ("line", "progress_line") and call.args:  # sentences with figures in them stay as they are
                given = call.args[0]
                said = (given.body, given.orelse) if isinstance(given, ast.IfExp) else (given,)
                found += [one.value for one in said if isinstance(one, ast.Constant)]
    texts = {text.strip() for text in found if isinstance(text, str)}
    return {text for text in texts if text.strip(string.punctuation + string.whitespace + string.digits)} - NAMES


@pytest.mark.parametrize("language", app.DICTIONARIES)
def test_every_text_of_the_page_is_in_the_dictionary(language: str) -> None:
    words = json.loads((ROOT / "localizations" / f"{language}.json").read_text("utf-8"))
    hidden = {"Changes", "acted", "locked", "picked"}  # what only the script sees
    missing = sorted(text for text in shown() if text not in words and text not in hidden)
    assert not missing
    assert all(isinstance(said, str) and said.strip() for said in words.values())


def test_the_dictionaries_say_the_same() -> None:
    one, other = (
        set(json.loads((ROOT / "localizations" / f"{name}.json").read_text("utf-8"))) for name in app.DICTIONARIES
    )
    assert one == other


@pytest.mark.parametrize("language", app.DICTIONARIES)
def test_what_stands_between_figures_is_kept(language: str) -> None:
    words = json.loads((ROOT / "localizations" / f"{language}.json").read_text("utf-8"))
    assert not [text for text, said in words.items() if text.count("{}") != said.count("{}")]
    patterns = [re.compile(re.escape(text).replace(r"\{\}", ".+")) for text in words]
    candidate = SimpleNamespace(direction="high key", before=3.0, after=3.5, distance=12.0)
    task = SimpleNamespace(state="running", stopping=False, note=("writing 24.0 megapixels", time.monotonic()))
    told = [drawing.caption(2, candidate), *texts_of(handlers.task_line(task)), "3 done · 1 failed · 2 left"]
    parts = [part for text in told for part in text.split(" · ")]
    parts = [re.sub(r"^\d+ (?=high key)", "", part) for part in parts if re.search("[a-z]{2}", part)]
    assert not [part for part in parts if not any(pattern.fullmatch(part) for pattern in patterns)]


def test_every_option_has_one_line_of_help() -> None:
    assert set(controls.HINTS) == {one.name for one in (*table(), *INPUTS)}
    assert max(map(len, controls.HINTS.values())) <= 70
