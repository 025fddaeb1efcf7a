"""The user interface without a browser: controls, handlers on a real picture, the plot, what Save writes."""

from __future__ import annotations

import base64
import copy
import gc
import html
import io
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import time
import weakref
import xml.etree.ElementTree as ET
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from nuli import infotext
from nuli.errors import BusyError, ImageError, OptionError, RecipeError
from nuli.ops.lut import to_cube
from nuli.ops.registry import OPS, get_op
from nuli.ops.step import Step
from nuli.options import Amounts, Options, options_from, table
from nuli.recipe import Recipe
from nuli.result import Opinion
from nuli.scoring.registry import SCORERS

gr = pytest.importorskip("gradio", reason="the user interface needs gradio: pip install 'nulie[ui]'")

from nuli.hosting import Host, Slot, Worker, search  # noqa: E402
from nuli.imaging.photo import load_photo  # noqa: E402
from nuli.ui import (  # noqa: E402
    app,
    batch,
    blocks,
    controls,
    drawing,
    handlers,
    inputs,
    preset_controls,
    session,
    steps,
    store,
)
from nuli.ui.files import save_to_folder  # noqa: E402
from nuli.ui.treeplot import tree_plot  # noqa: E402
from nuli.ui.upload import read_upload  # noqa: E402

NAMES = ("evaluations", "mode")


@pytest.fixture
def dark(photo: Image.Image) -> Image.Image:
    return Recipe.parse("nuli1 exposure=-1").apply(photo)


@pytest.fixture
def opened(dark: Image.Image) -> session.Session:
    return session.open_picture(dark)


@pytest.fixture
def enhanced(opened: session.Session) -> session.Session:
    *_, last = handlers.enhance(Worker(), opened, Amounts(), NAMES, (60, "soft"))
    assert isinstance(last[0], session.Session), last[5]
    return last[0]


def saved(worker: Worker, given: session.Session | None) -> str:
    """What Save says at its end."""
    return list(handlers.save(worker, given))[-1]


def saving_to(folder: Path) -> Worker:
    return Worker(Host(save=partial(save_to_folder, folder)))


def test_controls_give_back_the_options_that_they_show() -> None:
    names = [row.name for row in table()]
    with gr.Blocks():
        made = controls.option_controls(names, "x", {"mode": "hard", "seconds": 5, "ops": "-art"})
    assert list(made) == names
    values = [component.value for component in made.values()]
    assert options_from(controls.options_of(names, values)) == Options(
        mode="hard", seconds=5, ops="light,colour,detail"
    )
    assert options_from(controls.options_of(names, [None] * len(names))) == Options()
    assert made["mode"].elem_id == "x_mode"


def test_no_group_at_all_is_an_error_and_text_goes_through() -> None:
    with pytest.raises(OptionError, match="at least one group"):
        controls.options_of(["ops"], [[]])
    assert controls.options_of(["ops", "seed"], ["light,-blur", 3.0]) == {"ops": "light,-blur", "seed": 3}
    assert controls.control_value("ops", "colour, -light") == ["colour"]
    assert controls.control_value("seconds", "auto") == controls.AUTOMATIC


def test_the_page_is_built_and_its_script_and_style_found() -> None:
    page, _ = app.make(Worker())
    ids = {block.elem_id for block in page.blocks.values() if getattr(block, "elem_id", None)}
    assert {
        "nuli_image",
        "nuli_enhance",
        "nuli_stop",
        "nuli_strength",
        "nuli_save",
        "nuli_list",
        "nuli_messages",
    } <= ids
    assert ".nuli-compare" in app.asset("style.css") and "nuli-handle" in app.asset("javascript/nuli.js")


@pytest.mark.skipif(controls.MAJOR < 4, reason="this gradio has no such limit")
def test_gradio_forgets_visitors_of_long_ago() -> None:
    page, options = app.make(Worker())
    try:
        page.launch(prevent_thread_lock=True, quiet=True, **options)
        assert page.app.state_holder.capacity == app.SESSIONS
    finally:
        page.close()


def test_a_webui_gets_the_components_that_it_needs() -> None:
    seen: list[Any] = []
    with gr.Blocks():
        parts = blocks.build(Worker(), seen.append)
    assert seen == [parts.result] and parts.image.elem_id == "nuli_image"


@pytest.mark.parametrize("folders", [True, False])
def test_who_may_not_name_a_folder_has_no_way_to_keep_a_lut_or_a_preset(folders: bool) -> None:
    with gr.Blocks() as page:
        blocks.build(Worker(Host(server_folders=folders)))
    ids = {component.elem_id for component in page.blocks.values()}
    assert ({"nuli_lut_file", "nuli_preset_save"} <= ids) is folders
    assert bool({"nuli_lut_file", "nuli_preset_save"} & ids) is folders


def test_enhancing_tells_how_it_goes_and_ends_with_a_better_picture(opened: session.Session) -> None:
    *live, last = handlers.enhance(Worker(), opened, Amounts(), NAMES, (80, "soft"))
    assert any("tried" in shown[5] and "nuli-compare" in str(shown[1]) for shown in live)
    done = last[0]
    assert done.after > done.before and done.rows and "Score" in last[2] and "tone" in last[2] and "<svg" in last[3]
    assert not done.slot.task


def test_the_preview_is_what_is_saved(enhanced: session.Session) -> None:
    # the photo is smaller than a preview: both show the same pixels
    assert session.preview(enhanced).tobytes() == session.full_size(enhanced, "cpu").tobytes()


def test_amounts_need_no_search_and_an_infotext_has_them(enhanced: session.Session) -> None:
    weaker = handlers.acting(handlers.set_amounts)(enhanced, 0.5, 1, 0.8, 1)[0]
    assert weaker.recipe == enhanced.recipe.scaled(Amounts(0.5, colour=0.8)) and weaker.after is not None
    again = handlers.set_amounts(weaker, 0.4, 1, 0.8, 1)  # a slider that moves on is one change to undo
    assert session.revert(again).amounts == enhanced.amounts
    assert "NUl strength: 0.5" in session.infotext(weaker) and "NUl colour: 0.8" in session.infotext(weaker)
    nothing = handlers.acting(handlers.set_amounts)(enhanced, 0, 1, 1, 1)
    assert nothing[0].recipe == Recipe() and "stays as it is" not in nothing[2] and "No step is on" in nothing[2]


def test_an_aspect_of_which_nothing_is_wanted_is_left_out_of_the_search(opened: session.Session) -> None:
    *_, last = handlers.enhance(Worker(), opened, Amounts(0.8, light=0), NAMES, (60, "soft"))
    done = last[0]
    assert done.amounts == Amounts(0.8, light=0) and done.options.light == 0 and done.options.strength == 1
    assert not [row for row in done.rows if get_op(row.step.op).group == "light"]


def test_steps_are_tuned_in_the_units_of_their_words(enhanced: session.Session) -> None:
    act = handlers.acting(steps.acted)
    off = act(enhanced, json.dumps([["on", 0, False]]))[0]
    assert len(off.recipe) == len(enhanced.rows) - 1 and len(off.rows) == len(enhanced.rows)
    assert session.revert(off).rows == enhanced.rows

    added = handlers.acting(handlers.add_step)(enhanced, "tint")[0]
    last = len(added.rows) - 1
    tuned = act(added, json.dumps([["value", last, 0, 0.6], ["value", last, 0, 0.7]]))[0]
    assert tuned.rows[-1].step == Step("tint", (0.007,)) and tuned.rows[-1].first == (0.0,)
    assert tuned.rows[-1].step.words() == "tint +0.7" and ">+0.7</output>" in steps.draw(tuned)
    # one of two pages that are drawn in turns gets another element each time, too
    assert len({steps.draw(tuned).partition(" ")[0] for _ in range(9)}) == 9
    assert session.revert(tuned).rows == added.rows
    assert act(added, json.dumps([["value", last, 0, 1e9]]))[0].rows[-1].step.values == (0.5,)  # held to the range


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1]",
        '[["value", 0, 0]]',
        '[["value", 0, 9, 1]]',
        '[["value", true, 0, 1]]',
        '[["value", 0, 0, NaN]]',
        '[["value", -1, 0, 1]]',
        '[["value", 0, 0, "x"]]',
        '[["on", 99, true]]',
        '[["drop", 0]]',
        "[" * 9999,
    ],
)
def test_nothing_that_a_browser_sends_is_believed(enhanced: session.Session, text: str) -> None:
    shown = handlers.acting(steps.acted)(enhanced, text)
    assert not isinstance(shown[0], session.Session) and "load" in shown[5] and "internal" not in shown[5]


def test_every_op_is_drawn_on_one_line_with_a_name_for_every_control() -> None:
    for op in OPS.values():
        item = steps._item(0, session.Row(Step(op.name, op.identity)), True, (op.group,))
        assert item.count('class="nuli-value"') == len(op.params) == item.count("aria-valuetext")
        assert 'aria-pressed="true"' in item and html.escape(op.words) in item
        for param in op.params:
            low, high = param.reading.shown(param.hard[0]), param.reading.shown(param.hard[1])
            assert param.reading.value(low) == pytest.approx(param.hard[0]) and low <= high


def test_a_lock_is_an_option_of_the_next_search() -> None:
    assert steps.toggled('[["lock", "contrast", true]]', ["art"]) == (["art", "contrast"], "")
    assert steps.toggled('[["lock", "contrast", false]]', ["contrast"])[0] == []
    freed, _ = steps.toggled('[["lock", "tint", false]]', ["colour"])
    assert "tint" not in freed and "saturation" in freed and "colour" not in freed
    assert "load the page again" in steps.toggled('[["lock", "nonsense", true]]', [])[1]
    assert controls.options_of(["lock"], [["tint", "detail"]]) == {"lock": "tint,detail"}
    assert controls.control_value("lock", "tint, detail") == ["tint", "detail"]


def test_a_step_can_be_added_and_undone_without_a_search(opened: session.Session) -> None:
    added = handlers.acting(handlers.add_step)(opened, "auto level")[0]
    assert added.rows[0].step.op == "auto_level" and added.recipe == Recipe()
    assert session.revert(added).rows == ()


def test_steps_are_copied_to_another_picture(enhanced: session.Session, dark: Image.Image) -> None:
    off = steps.acted(enhanced, '[["on", 0, false]]')
    line, said = handlers.copy_steps(off)
    assert Recipe.parse(line) == off.recipe and "Copied" in said
    other = handlers.add_step(session.open_picture(dark), "tint")
    assert [row.step for row in handlers.paste_steps(other, line).rows] == [other.rows[0].step, *off.recipe.steps]
    assert "no steps to copy" in handlers.copy_steps(other)[1]


def test_presets_fill_the_controls_and_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path))
    names = ["mode", "guards", "seed", *controls.AMOUNTS]
    values, said = preset_controls.fill(names, "portrait", {"mode": "hard"})
    assert [value["value"] for value in values] == ["soft", "strict", 0, 1.0, 0.8, 0.7, 0.5] and not said
    assert preset_controls.fill(names, preset_controls.NONE, {"mode": "hard"})[0][0]["value"] == "hard"
    assert "no preset" in preset_controls.fill(names, "portrit", {})[1]
    dropdown, said = preset_controls.keep(Worker(), " my own ", ["mode", "strength"], ["hard", 0.6])
    assert dropdown["value"] == "my own" and "saved" in said
    assert preset_controls.fill(["strength"], "my own", {})[0][0]["value"] == 0.6
    assert "others use it" in preset_controls.keep(Worker(Host(server_folders=False)), "x", [], [])[1]
    assert "needs a name" in preset_controls.keep(Worker(), "", [], [])[1]


def test_outside_a_mask_the_preview_and_what_is_saved_are_the_picture(
    enhanced: session.Session, tmp_path: Path
) -> None:
    view = enhanced.view
    mask = Image.new("L", (view.photo.pixels.shape[1], view.photo.pixels.shape[0]))
    mask.paste(255, (0, 0, mask.width // 2, mask.height))
    shown = inputs.set_mask(enhanced, load_photo(mask), 0.0)
    under = shown[0]
    assert under.view.mask is not None and under.rows == enhanced.rows and not under.candidates
    half = slice(mask.width // 2, None)
    for picture in (session.preview(under), session.full_size(under, "cpu")):
        assert np.array_equal(np.array(picture)[:, half], view.photo.pixels[:, half])
        assert not np.array_equal(np.array(picture), view.photo.pixels)
    assert "error" in inputs.set_mask(under, ImageError("no mask"), 0.0)[5]
    *_, last = handlers.enhance(Worker(), under, Amounts(), NAMES, (40, "soft"))
    assert last[0].candidates
    assert np.array_equal(np.array(session.preview(last[0]))[:, half], view.photo.pixels[:, half])
    assert inputs.set_mask(last[0], None, 0.0)[0].view.mask is None


def test_a_mask_is_painted(opened: session.Session) -> None:
    layer = Image.new("RGBA", (20, 10))
    assert "nothing is painted" in inputs.painted("")[-1] and "nothing is painted" in inputs.painted(_uri(layer))[-1]
    layer.paste((255, 80, 0, 255), (0, 0, 10, 10))
    mask, painter, button, said = inputs.painted(_uri(layer))
    assert np.array_equal(np.array(mask), np.array(layer)[..., 3])
    assert (painter, button["visible"], said) == ("", False, "")
    whole = inputs.painted(_uri(Image.new("RGBA", (20, 10), (255, 80, 0, 255))))[0]
    assert np.array(whole).min() == 255


@pytest.mark.parametrize("sent", ["/etc/hostname", "data:image/png;base64,AAAA", "data:", "x", 7, ["data:"]])
def test_what_is_no_drawing_is_refused(sent: Any) -> None:
    assert "error" in inputs.painted(sent)[-1] and "internal" not in inputs.painted(sent)[-1]


def test_a_drawing_larger_than_the_painter_is_refused() -> None:
    large = Image.new("RGBA", (session.PREVIEW + 1, 2), (255, 80, 0, 128))
    assert "larger than the painter" in inputs.painted(_uri(large))[-1]


def test_the_painter_is_built_when_painting_begins(opened: session.Session) -> None:
    page, _ = app.make(Worker())
    assert not any("Editor" in type(block).__name__ for block in page.blocks.values())
    painter, button, said = inputs.start_painting(opened)
    height, width = opened.view.small.shape[:2]
    assert f'<canvas width="{width}" height="{height}">' in painter and button["visible"] and not said
    assert "put one in first" in inputs.start_painting(None)[-1]
    assert inputs.stop_painting()[0] == ""


def _uri(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def test_a_neutral_place_is_made_grey_first_and_only_once(opened: session.Session) -> None:
    place = "0.5,0.9"
    once = handlers.acting(inputs.neutral)(opened, place)[0]
    assert {row.step.op for row in once.rows} <= {"temperature", "tint"} and once.rows
    twice = inputs.neutral(handlers.add_step(once, "contrast"), "0.6,0.9")
    assert len([row for row in twice.rows if row.step.op == "temperature"]) <= 1
    assert twice.rows[-1].step.op == "contrast" and inputs.neutral_option(twice, "") == "0.6,0.9"
    assert inputs.neutral_option(opened, "0,0") == "0,0"
    assert "error" in handlers.acting(inputs.neutral)(opened, "here")[5]


def test_amounts_leave_alone_what_was_asked_for(
    opened: session.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path / "config"))
    (tmp_path / "warm.cube").write_text(to_cube((Step("temperature", (0.1,)),), opened.view.photo))
    found = handlers.apply_recipe(opened, "nuli1 exposure=0.5")
    asked = inputs.neutral(handlers.acting(inputs.add_lut)(found, str(tmp_path / "warm.cube"))[0], "0.5,0.9")
    *first, _, lut = asked.rows
    assert {row.step.op for row in first} <= {"temperature", "tint"} and first
    for strength in (0.0, 0.5, 1.5):
        weaker = handlers.set_amounts(asked, strength, 1, 1, 1)
        middle = (Step("exposure", (0.5 * strength,)),) if strength else ()
        assert weaker.recipe.steps == (*(row.step for row in first), *middle, lut.step)
    # a search finds them anew around what it looks for, and its results in the gallery are as they are shown
    names, values = (*NAMES, "neutral", "lut"), (60, "soft", "0.5,0.9", session.lut_option(asked))
    *_, last = handlers.enhance(Worker(), asked, Amounts(0.5), names, values)
    *_, lut_row = last[0].rows
    assert lut_row.asked and last[0].recipe.steps[-1] == lut_row.step
    assert last[0].recipe.steps[: len(first)] == tuple(row.step for row in last[0].rows if row.neutral)
    assert len(last[0].rows) > len(first) + 1 and last[0].recipe != last[0].candidates[0].recipe
    picture, _ = handlers.candidates(last[0])["value"][0]
    assert np.array_equal(np.array(picture), np.array(session.preview(last[0]).convert("RGB")))


def test_a_lut_comes_last_and_stays_for_the_next_search(
    enhanced: session.Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path / "config"))
    (tmp_path / "warm.cube").write_text(to_cube((Step("temperature", (0.1,)),), enhanced.view.photo))
    added = handlers.acting(inputs.add_lut)(enhanced, str(tmp_path / "warm.cube"))[0]
    assert added.rows[-1].step.op.startswith("lut@warm-") and added.rows[-1].step.values == (1.0,)
    weaker = steps.acted(added, json.dumps([["value", len(added.rows) - 1, 0, 60]]))
    assert session.lut_option(weaker) == f"{weaker.rows[-1].step.op[4:]}=0.6" and not session.lut_option(enhanced)
    *_, last = handlers.enhance(Worker(), weaker, Amounts(), NAMES, (40, "soft"))
    assert last[0].rows[-1].step == weaker.rows[-1].step
    stranger = Worker(Host(server_folders=False))
    *_, last = handlers.enhance(stranger, enhanced, Amounts(), ("lut",), (str(tmp_path / "warm.cube"),))
    assert "error" in last[5]  # who may not name a folder of this machine may not name a file


def test_the_progress_of_a_large_picture_is_told(enhanced: session.Session) -> None:
    shown = [said for *_, said in handlers.at_full_size(Worker(), enhanced)]
    assert shown[-1] == "" and (len(shown) == 1 or "<progress" in shown[0])
    task = SimpleNamespace(state="running", stopping=False, note=("writing 24.0 megapixels", time.monotonic() - 7))
    assert "writing 24.0 megapixels… 7 s" in handlers.task_line(task) and "<progress" in handlers.task_line(task)


def test_a_slow_file_is_seen_to_be_written(enhanced: session.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "TICK", 0.1)
    go_on = threading.Event()
    worker = Worker(Host(save=lambda image, text, name: go_on.wait(30) and "x.png"))
    said = handlers.save(worker, enhanced)
    seen = [one for one, _ in zip((one for one in said if "writing" in one), range(3), strict=False)]
    assert len(seen) == 3  # it goes on telling though nothing has changed
    go_on.set()
    assert "saved as x.png" in [*said][-1]


def test_a_second_opinion_and_guards_are_told(enhanced: session.Session) -> None:
    told = replace(enhanced, opinion=Opinion("taste", 5.0, 5.5), held=("Light was held back.",))
    said = drawing.summary(told)
    assert "Second opinion" in said and "5.00 → 5.50 (+0.50)" in said and "Light was held back." in said
    changed = handlers.set_amounts(told, 0.5, 1, 1, 1)
    assert "Second opinion" not in drawing.summary(changed)  # it was about the result as found


def test_recipes_come_as_json_as_a_line_or_in_an_infotext(opened: session.Session) -> None:
    recipe = Recipe.parse("nuli1 contrast=1.12 saturation=1.1")
    for text in (recipe.to_json(), recipe.to_line(), f"a cat\nSteps: 20, NUl recipe: {recipe.to_line()}, NUl score: 5"):
        assert infotext.recipe_in(text) == recipe
    assert handlers.acting(handlers.apply_recipe)(opened, recipe.to_line())[0].recipe == recipe
    with pytest.raises(RecipeError):
        infotext.recipe_in("a cat")


def test_errors_are_told_and_change_nothing(opened: session.Session, caplog: pytest.LogCaptureFixture) -> None:
    kept = handlers.acting(handlers.apply_recipe)(opened, "nuli1 contrast=99")
    assert not isinstance(kept[0], session.Session) and "contrast factor" in kept[5] and "error" in kept[5]
    assert "put one in first" in handlers.acting(handlers.clear)(None)[5]
    assert "put one in first" in saved(Worker(), None)

    def breaks(*_: object) -> None:
        raise ZeroDivisionError("<b>")

    [*_, last] = handlers.enhance(Worker(Host(load_scorer=breaks)), opened, Amounts(), NAMES, (20, "soft"))
    assert "internal error: ZeroDivisionError: &lt;b&gt;" in last[5] and "Traceback" in caplog.text
    assert not opened.slot.task


def test_a_stopped_search_keeps_its_best_and_a_replaced_picture_ends_it(opened: session.Session) -> None:
    shows = handlers.enhance(Worker(), opened, Amounts(), ("seconds", "scorer"), (600, "vivid"))
    assert any("tried" in shown[5] for shown in shows)  # runs until the first progress line
    assert "running" in handlers.acting(handlers.clear)(opened)[5]
    handlers.stop(opened)
    *_, last = shows
    assert last[0].candidates

    shows = handlers.enhance(Worker(), opened, Amounts(), ("seconds", "scorer"), (600, "vivid"))
    assert any("tried" in shown[5] for shown in shows)
    assert handlers.opened(opened, None)[0] is None
    assert [shown for shown in shows if isinstance(shown[0], session.Session)] == []


def test_one_job_at_a_time_and_a_waiting_one_can_be_stopped(opened: session.Session) -> None:
    lock = threading.Lock()
    worker = Worker(Host(lock=lambda: lock))
    with lock:
        shows = handlers.enhance(worker, opened, Amounts(), NAMES, (20, "soft"))
        assert any("waiting" in shown[5] for shown in shows)
        handlers.stop(opened)
        *_, last = shows
        assert last[0] is opened
    *_, last = handlers.enhance(worker, opened, Amounts(), NAMES, (20, "soft"))
    assert last[0].candidates and not lock.locked()


def test_sessions_do_not_disturb_each_other(dark: Image.Image) -> None:
    one, other = session.open_picture(dark), session.open_picture(dark)
    one.slot.close()
    assert one.slot.closed and not other.slot.closed


def test_hard_mode_gives_several_to_pick_from(opened: session.Session) -> None:
    *_, last = handlers.enhance(Worker(), opened, Amounts(), NAMES, (150, "hard"))
    done = last[0]
    count = len(done.candidates)
    assert count > 2 and len({one.recipe for one in done.candidates}) == count
    assert {found.evaluations for found in done.candidates} == {
        done.candidates[0].evaluations
    }  # one search found them all
    assert f"{done.candidates[0].evaluations} <span>tried" in last[3] and done.candidates[0].evaluations <= 150
    captions = [caption for _, caption in handlers.candidates(done)["value"]]
    assert len(captions) == count and [caption.split()[0] for caption in captions] == [str(i + 1) for i in range(count)]
    for one, caption in zip(done.candidates, captions, strict=True):
        assert f"{one.direction} · {one.after:.2f} (" in caption or not one.direction
        assert caption.endswith(f" · {one.distance:.0f} dE")
    assert html.escape(SCORERS["taste"].meaning) in last[3]
    picked = handlers.acting(handlers.pick)(done, 2)[0]
    assert picked.recipe == done.candidates[2].recipe and picked.after == done.candidates[2].after
    assert "<svg" in handlers.acting(handlers.pick)(done, 2)[3]


def test_the_host_saves_the_recipe_in_the_picture(enhanced: session.Session, tmp_path: Path) -> None:
    worker = saving_to(tmp_path / "new")
    assert "saved as" in saved(worker, enhanced)
    assert "saved as" in saved(worker, enhanced)  # never over another
    first, _ = sorted((tmp_path / "new").iterdir())
    with Image.open(first) as written:
        assert infotext.recipe_in(written.info["parameters"]) == enhanced.recipe
        assert "NUl scorer: tone" in written.info["parameters"]
        assert written.convert("RGB").tobytes() == session.full_size(enhanced, "cpu").tobytes()


def test_what_the_source_says_of_itself_is_kept(dark: Image.Image, tmp_path: Path) -> None:
    dark = dark.convert("RGBA")
    dark.putpixel((0, 0), (1, 2, 3, 0))
    dark.info["parameters"] = "a cat\nSteps: 20, Size: 8x8"
    given = session.with_changes(
        session.open_picture(dark), rows=(session.Row(Step("contrast", (1.1,))),), amounts=Amounts(0.5)
    )
    text = session.infotext(given)
    assert text == "a cat\nSteps: 20, Size: 8x8, NUl strength: 0.5, NUl recipe: nuli1 contrast=1.05"
    path = save_to_folder(tmp_path, session.full_size(given, "cpu"), text, "cat.webp")
    with Image.open(path) as saved:
        assert path.name == "cat-nuli.png" and saved.mode == "RGBA" and saved.getpixel((0, 0))[3] == 0


def test_recipe_and_lut_to_download(enhanced: session.Session) -> None:
    file, _ = handlers.save_recipe(enhanced)
    assert Recipe.from_dict(json.loads(Path(file["value"]).read_text())) == enhanced.recipe
    file, said = handlers.save_lut(enhanced)
    assert "LUT_3D_SIZE 33" in Path(file["value"]).read_text() and "The LUT is ready" in said
    assert "nothing to put in a LUT" in handlers.save_lut(handlers.clear(enhanced))[1]


def test_the_tree_shows_the_chosen_branch_and_shares_beginnings() -> None:
    chains = [(("gamma", "contrast"), 0.5), (("gamma",), 0.3), (("gamma", "tint"), 0.2), (("blur",), -0.1)]
    figure = ET.fromstring(tree_plot(chains, ("gamma", "contrast")))
    dots = figure.findall(".//g")
    assert [dot.find("title").text for dot in dots] == [
        "the picture: +0.00",
        "blur: -0.10",
        "gamma: +0.30",
        "gamma + contrast: +0.50",
        "gamma + tint: +0.20",
    ]
    assert sum("nuli-chosen" in dot.get("class") for dot in dots) == 3
    assert len([p for p in figure.findall(".//path")]) == 4
    assert tree_plot([]) == ""
    many = [((f"op{i}", "tint"), 1 / (i + 1)) for i in range(40)]
    assert len(ET.fromstring(tree_plot(many, ("op39", "tint"))).findall(".//g")) < 50


def test_the_plot_is_well_formed_and_says_its_ends() -> None:
    for points in ([(0.0, 5.0)], [(0.0, 5.0), (0.4, 5.5), (1.0, 7.25)], [(0.0, -1e-9), (1e-9, 0.0)]):
        figure = ET.fromstring(drawing.score_plot(points, 1.5))
        assert figure.find("svg").get("aria-label").startswith("Best score over time: from")
    assert drawing._ticks(0, 1.5, 6) == [0, 0.5, 1, 1.5]


def test_a_batch_saves_every_picture_and_tells_of_those_that_fail(dark: Image.Image, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    dark.save(folder / "a.png")
    dark.save(folder / "b.jpg")
    (folder / "c.png").write_bytes(b"no picture")
    worker, slot = saving_to(tmp_path / "out"), Slot()
    *_, (gallery, said) = batch.batch(worker, slot, None, str(folder), NAMES, (40, "soft"))
    assert not slot.task and len(gallery) == 2 and "<span>2 done · 1 failed</span>" in said
    rows = re.findall(r"<li( class=nuli-failed)?><span>(.*?)</span>", said)
    assert [bool(failed) for failed, _ in rows] == [False, False, True] and 'class="nuli-status"' in said
    assert [row.partition(":")[0] for _, row in rows] == ["a-nuli.png", "b-nuli.png", "c.png"]
    assert str(tmp_path) not in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-nuli.png", "b-nuli.png"]

    shows = batch.batch(worker, slot, [str(folder / "a.png"), str(folder / "b.jpg")], "", ("seconds",), (600,))
    next(shows)
    slot.end()
    *_, last = shows
    assert "left" in last[1]


@pytest.mark.parametrize("shown", ["/srv/a b/in", "C:\\Users\\me", "/tmp/gradio/0af3"])
def test_no_row_of_a_batch_names_a_folder(shown: str) -> None:
    slash = "\\" if "\\" in shown else "/"
    text = f"{shown}{slash}x y.png: 3/4 read, see http://a.b/c/d"
    expected = "x y.png: 3/4 read, see http://a.b/c/d"
    assert batch.without_folders(text, Path(shown)).removeprefix(shown + slash) == expected
    other = f"x.png: /srv/webui/out: no room; {shown.replace(' ', '')}{slash}y.png"
    assert batch.without_folders(other) == "x.png: out: no room; y.png"


def test_a_batch_goes_on_where_part_of_a_folder_is_refused(dark: Image.Image, tmp_path: Path) -> None:
    folder, outside = tmp_path / "in", tmp_path / "secret.png"
    folder.mkdir()
    dark.save(folder / "a.png")
    dark.save(outside)
    try:
        (folder / "link.png").symlink_to(outside)
    except OSError:
        pytest.skip("no links here")
    worker = saving_to(tmp_path / "out")
    *_, (gallery, said) = batch.batch(worker, Slot(), None, str(folder), NAMES, (40, "soft"))
    assert len(gallery) == 1 and "1 done · 1 failed" in said and str(tmp_path) not in said


def test_a_batch_says_what_it_lacks(tmp_path: Path) -> None:
    for host, folder, says in (
        (Host(), "", "there are no pictures yet"),
        (Host(), str(tmp_path), "no pictures in this folder"),
        (Host(server_folders=False), str(tmp_path), "can&#x27;t be named here"),
    ):
        [(_, said)] = batch.batch(Worker(host), Slot(), None, folder, (), ())
        assert says in said


def test_two_saves_of_one_moment_get_two_names(tmp_path: Path) -> None:
    together = threading.Barrier(8)

    def save(shade: int) -> Path:
        together.wait(10)
        return save_to_folder(tmp_path / "new", Image.new("RGB", (200, 200), (shade,) * 3), "text")

    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(save, range(8)))
    assert len(set(paths)) == 8
    for shade, path in enumerate(paths):
        with Image.open(path) as saved:
            assert saved.getpixel((0, 0)) == (shade,) * 3


def test_a_name_that_nothing_was_written_to_is_given_back(tmp_path: Path) -> None:
    with pytest.raises(ImageError):
        save_to_folder(tmp_path, Image.new("RGB", (9, 9)), "\ud800", "cat.png")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(ImageError, match="choose another folder"):
        save_to_folder(tmp_path / "file", Image.new("RGB", (9, 9)), "text")


def test_a_second_click_starts_no_second_search(opened: session.Session) -> None:
    long = handlers.enhance(Worker(), opened, Amounts(), ("seconds", "scorer"), (600, "vivid"))
    next(long)  # the first click's search has begun, and has told nothing yet
    [refused] = handlers.enhance(Worker(), opened, Amounts(), ("seconds", "scorer"), (1, "vivid"))
    assert "a search is running" in refused[5] and not isinstance(refused[0], session.Session)
    assert any("tried" in shown[5] for shown in long)
    handlers.stop(opened)
    *_, last = long
    assert last[0].candidates


def test_of_many_clicks_at_once_one_starts(opened: session.Session) -> None:
    worker, slot, together, go_on = Worker(), Slot(), threading.Barrier(6), threading.Event()

    def click(_: int) -> bool:
        together.wait(10)
        try:
            slot.start(worker, lambda task: go_on.wait(30))
            return True
        except BusyError:
            return False

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(click, range(6))) == 1
    go_on.set()


def test_every_visitor_has_a_batch_of_their_own() -> None:
    page, _ = app.make(Worker())
    [state] = [block for block in page.blocks.values() if isinstance(getattr(block, "value", None), Slot)]
    one, other = copy.deepcopy(state.value), copy.deepcopy(state.value)
    assert isinstance(one, Slot) and len({id(one), id(other), id(state.value)}) == 3


def test_a_second_click_starts_no_second_batch(photo_path: Path, tmp_path: Path) -> None:
    worker, slot = saving_to(tmp_path), Slot()
    first = batch.batch(worker, slot, [str(photo_path)], "", ("seconds",), (600,))
    next(first)
    [(_, said)] = batch.batch(worker, slot, [str(photo_path)], "", ("seconds",), (1,))
    assert "batch is running" in said
    slot.end()
    *_, last = first
    assert "1 done" in last[1] or "0 done" in last[1]


@pytest.mark.parametrize(("flag", "done"), [("interrupted", 1), ("skipped", 3)])
def test_interrupt_ends_a_batch_and_skip_a_picture(dark: Image.Image, tmp_path: Path, flag: str, done: int) -> None:
    (tmp_path / "in").mkdir()
    spoilt = Recipe.parse("nuli1 exposure=1.2 contrast=0.4 saturation=0.3").apply(dark)  # what a search has to mend
    for name in "abc":
        spoilt.resize((60, 40)).save(tmp_path / "in" / f"{name}.png")
    pressed: set[str] = set()

    class Queue:
        """As a WebUI's: what was pressed is forgotten when the next job begins."""

        def __enter__(self) -> None:
            pressed.clear()

        def __exit__(self, *_: object) -> None:
            pass

    def stopped() -> bool:
        pressed.add(flag)  # as soon as a search asks
        return True

    saving = saving_to(tmp_path / "out").host
    host = replace(saving, lock=Queue, stopped=stopped, interrupted=lambda: "interrupted" in pressed)
    shows = batch.batch(Worker(host), Slot(), None, str(tmp_path / "in"), ("seconds",), (600,))
    *_, (gallery, said) = shows
    assert len(list((tmp_path / "out").iterdir())) == len(gallery) == done
    assert f"<span>{'1 done · 2 left' if done == 1 else '3 done'}</span>" in said and "nuli-failed" not in said


def test_no_more_work_is_taken_on_than_there_is_room_for(opened: session.Session) -> None:
    worker = Worker(max_tasks=1)
    task = worker.admit()
    [refused] = handlers.enhance(worker, opened, Amounts(), NAMES, (20, "soft"))
    assert "try again" in refused[5] and "try again" in saved(worker, opened)
    task.abandon()
    assert any(
        "tried" in shown[5] or "starting" in shown[5] for shown in handlers.enhance(worker, opened, Amounts(), (), ())
    )


def test_pictures_beyond_the_room_for_them_are_put_away(dark: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    size = session.open_picture(dark).view.size
    assert size > 3 * dark.width * dark.height
    monkeypatch.setattr(store.VIEWS, "most", int(2.5 * size))
    first, second = session.open_picture(dark), session.open_picture(dark)
    assert first.view and second.view
    assert first.view  # used last
    third = session.open_picture(dark)
    assert first.view and third.view
    for shown in (
        handlers.acting(handlers.set_amounts)(second, 0.5, 1, 1, 1),
        *handlers.enhance(Worker(), second, Amounts(), (), ()),
    ):
        assert "put the picture in again" in shown[5]
    assert "put the picture in again" in saved(saving_to(Path("never")), second)
    assert "put the picture in again" in handlers.save_lut(second)[1]
    assert "put the picture in again" in list(handlers.at_full_size(Worker(), second))[-1][2]
    found = session.Candidate(Recipe(), 1, 2, (), 1, 1, (), ())
    assert handlers.candidates(replace(second, candidates=(found, found)))["visible"] is False
    assert "No steps yet" in steps.draw(second)
    monkeypatch.setattr(store.VIEWS, "most", 1)
    assert session.open_picture(dark).view  # the newest always stays


def test_a_session_is_a_handle(opened: session.Session) -> None:
    assert len(pickle.dumps(replace(opened, slot=None))) < 2000  # gradio keeps it for good
    handlers.opened(opened, None)
    with pytest.raises(ImageError, match="put the picture in again"):
        _ = opened.view


def test_nothing_of_a_search_outlives_its_picture(opened: session.Session) -> None:
    """Gradio 3 keeps every visitor's last session for good: that must not hold the picture, nor its result."""
    *_, last = handlers.enhance(Worker(), opened, Amounts(), NAMES, (20, "soft"))
    kept, photo = last[0], weakref.ref(last[0].view.photo)
    handlers.opened(kept, None)
    del last, opened
    deadline = time.monotonic() + 10
    while photo() is not None and time.monotonic() < deadline:
        gc.collect()
        time.sleep(0.05)  # the search's own thread may be on its way out
    assert kept.candidates and photo() is None


@pytest.mark.parametrize("text", ["", "tests/photo.jpg", "file:///etc/passwd", "http://127.0.0.1/a.png"])
def test_nobody_names_a_file_of_this_machine_as_an_upload(text: str, photo_path: Path) -> None:
    """Gradio 3 hands over whatever text a client sends."""
    for payload in (text, str(photo_path)):
        assert isinstance(read_upload(payload), ImageError)


def payloads(path: Path, kind: str) -> list[Any]:
    """A file as gradio 3 and as newer ones give it to the component."""
    text = f"data:image/{kind};base64,{base64.b64encode(path.read_bytes()).decode()}"
    return [text, SimpleNamespace(path=str(path), url=None), SimpleNamespace(path=None, url=text)]


def put_in(payload: Any) -> handlers.Shown:
    """What is shown when the page's own image component gets that."""
    with gr.Blocks():
        component = blocks.build(Worker()).image
    return handlers.opened(None, component.preprocess(payload))


def test_sixteen_bits_and_metadata_of_an_upload_survive(tmp_path: Path) -> None:
    grey = np.linspace(1000, 60_000, 64 * 48).astype(np.uint16).reshape(48, 64)
    text = PngInfo()
    text.add_text("parameters", "a cat")
    Image.fromarray(grey).save(tmp_path / "grey.png", pnginfo=text, dpi=(300, 300))
    for payload in payloads(tmp_path / "grey.png", "png"):
        photo = put_in(payload)[0].view.photo
        assert photo.pixels.dtype == np.uint16 and np.array_equal(photo.pixels[..., 0], grey)
        assert dict(photo.meta.text) == {"parameters": "a cat"} and photo.meta.dpi


def test_an_upload_that_gradio_hands_over_itself(photo_path: Path) -> None:
    """Through gradio's own class of payload, where it has one."""
    image = pytest.importorskip("gradio.data_classes")
    if not hasattr(image, "ImageData"):
        pytest.skip("gradio 3 has data URIs")
    photo = put_in(image.ImageData(path=str(photo_path), orig_name="photo.jpg"))[0].view.photo
    assert photo.meta.format == "JPEG" and photo.meta.exif == load_photo(photo_path).meta.exif


def test_a_picture_that_a_host_sends_is_taken(dark: Image.Image) -> None:
    dark.info["parameters"] = "a cat"
    photo = put_in(dark)[0].view.photo
    assert np.array_equal(photo.pixels, np.array(dark)) and dict(photo.meta.text) == {"parameters": "a cat"}
    assert put_in(None)[0] is None


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_damaged_upload_is_told_of(photo_path: Path, tmp_path: Path, cut: int) -> None:
    (tmp_path / "bad.jpg").write_bytes(photo_path.read_bytes()[:cut])
    for payload in payloads(tmp_path / "bad.jpg", "jpeg"):
        shown = put_in(payload)
        assert shown[0] is None and "error" in shown[2] and "the picture" in shown[2] and str(tmp_path) not in shown[2]


def test_downloads_lie_in_one_folder_that_goes_with_the_process(tmp_path: Path) -> None:
    code = (
        "from nuli.ui.files import download\n"
        "paths = [download('recipe.json', text) for text in 'aab']\n"
        "assert [path.read_text() for path in paths] == ['a', 'a', 'b']\n"
        "assert paths[0] == paths[1] != paths[2] and paths[2].name == 'recipe.json'\n"
        "import os; print(*os.listdir(os.environ['TMPDIR']))"
    )
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    ran = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    assert len(ran.stdout.split()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_task_raises_what_the_search_raised(opened: session.Session) -> None:
    with pytest.raises(OptionError, match="no scorer"):
        Worker().run(lambda task: search(task, opened.view.photo, Options(scorer="nobody")))
    with pytest.raises(ImageError):
        session.open_picture(Image.new("RGB", (0, 5)))


def test_the_core_imports_no_gradio() -> None:
    package = Path(app.__file__).parents[1]
    core = [path for path in package.rglob("*.py") if path.parent.name not in ("ui", "webui")]
    assert len(core) > 20
    assert [path for path in core if re.search(r"^(import|from) gradio", path.read_text("utf-8"), re.MULTILINE)] == []
