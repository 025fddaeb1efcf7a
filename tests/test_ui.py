"""The user interface without a browser: controls, handlers on a real picture, the plot, what Save writes."""

from __future__ import annotations

import json
import re
import threading
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nuli.errors import ImageError, OptionError, RecipeError
from nuli.ops.step import Step
from nuli.options import Options, options_from, table
from nuli.recipe import Recipe

gr = pytest.importorskip("gradio", reason="the user interface needs gradio: pip install 'nulie[ui]'")

from nuli.hosting import Host, Slot, Worker, search  # noqa: E402
from nuli.ui import app, batch, blocks, controls, drawing, handlers, session  # noqa: E402
from nuli.ui.files import save_to_folder  # noqa: E402
from nuli.ui.treeplot import tree_plot  # noqa: E402

NAMES = ("evaluations", "mode")


@pytest.fixture
def dark(photo: Image.Image) -> Image.Image:
    return Recipe.parse("nuli1 exposure=-1").apply(photo)


@pytest.fixture
def opened(dark: Image.Image) -> session.Session:
    return session.open_picture(dark)


@pytest.fixture
def enhanced(opened: session.Session) -> session.Session:
    *_, last = handlers.enhance(Worker(), opened, 1.0, NAMES, (60, "soft"))
    assert isinstance(last[0], session.Session), last[2]
    return last[0]


def saving_to(folder: Path) -> Worker:
    return Worker(Host(save=lambda image, recipe, text, name: save_to_folder(folder, image, text, name)))


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
    assert {"nuli_image", "nuli_enhance", "nuli_stop", "nuli_strength", "nuli_save", "nuli_step_0_1"} <= ids
    assert ".nuli-compare" in app.asset("style.css") and "nuli-handle" in app.asset("javascript/nuli.js")


def test_a_webui_gets_the_components_that_it_needs() -> None:
    seen: list[Any] = []
    with gr.Blocks():
        parts = blocks.build(Worker(), seen.append)
    assert seen == [parts.result] and parts.image.elem_id == "nuli_image"


def test_enhancing_tells_how_it_goes_and_ends_with_a_better_picture(opened: session.Session) -> None:
    *live, last = handlers.enhance(Worker(), opened, 1.0, NAMES, (80, "soft"))
    assert any("tried" in shown[2] and "nuli-compare" in str(shown[1]) for shown in live)
    done = last[0]
    assert done.after > done.before and done.rows and "Score by tone" in last[2] and "<svg" in last[3]
    assert not done.slot.busy


def test_the_preview_is_what_is_saved(enhanced: session.Session) -> None:
    # the photo is smaller than a preview: both show the same pixels
    assert session.preview(enhanced).tobytes() == session.full_size(enhanced, "cpu").tobytes()


def test_strength_and_steps_by_hand_need_no_search(enhanced: session.Session) -> None:
    weaker = handlers.acting(handlers.set_strength)(enhanced, 0.5)[0]
    assert weaker.recipe == enhanced.recipe.scaled(0.5) and weaker.after is not None != enhanced.after

    values = [v for row in enhanced.rows for v in (True, *row.step.values, *[None] * (2 - len(row.step.values)))]
    assert handlers.tune(enhanced, *values) is enhanced  # nothing was moved
    off = handlers.acting(handlers.tune)(enhanced, False, *values[1:])[0]
    assert len(off.recipe) == len(enhanced.rows) - 1 and len(off.rows) == len(enhanced.rows)
    assert session.undone(off).rows == enhanced.rows

    nothing = handlers.acting(handlers.set_strength)(enhanced, 0)
    assert nothing[0].recipe == Recipe() and "stays as it is" in nothing[2]


def test_a_step_can_be_added_tuned_and_undone_without_a_search(opened: session.Session) -> None:
    added = handlers.acting(handlers.add_step)(opened, "auto level")[0]
    assert added.rows[0].step.op == "auto_level" and added.recipe == Recipe()
    tuned = handlers.acting(handlers.tune)(added, True, 0.5, 7)[0]
    assert tuned.rows[0].step == Step("auto_level", (0.5, 1.0))  # held to the range
    assert session.undone(session.undone(tuned)).rows == ()
    updates = handlers.row_updates(tuned)
    assert len(updates) == 4 * handlers.ROWS + 2
    assert updates[0]["visible"] and updates[2]["value"] == 0.5 and not updates[4]["visible"]


def test_recipes_come_as_json_as_a_line_or_in_an_infotext(opened: session.Session) -> None:
    recipe = Recipe.parse("nuli1 contrast=1.12 saturation=1.1")
    for text in (recipe.to_json(), recipe.to_line(), f"a cat\nSteps: 20, NUl recipe: {recipe.to_line()}, NUl score: 5"):
        assert session.recipe_in(text) == recipe
    assert handlers.acting(handlers.apply_recipe)(opened, recipe.to_line())[0].recipe == recipe
    with pytest.raises(RecipeError):
        session.recipe_in("a cat")


def test_errors_are_told_and_change_nothing(opened: session.Session, caplog: pytest.LogCaptureFixture) -> None:
    kept = handlers.acting(handlers.apply_recipe)(opened, "nuli1 contrast=99")
    assert not isinstance(kept[0], session.Session) and "contrast factor" in kept[2] and "error" in kept[2]
    assert "put one in first" in handlers.acting(handlers.clear)(None)[2]
    assert "put one in first" in handlers.save(Worker(), None)

    def breaks(*_: object) -> None:
        raise ZeroDivisionError("<b>")

    [*_, last] = handlers.enhance(Worker(Host(load_scorer=breaks)), opened, 1.0, NAMES, (20, "soft"))
    assert "internal error: ZeroDivisionError: &lt;b&gt;" in last[2] and "Traceback" in caplog.text
    assert not opened.slot.busy


def test_a_stopped_search_keeps_its_best_and_a_replaced_picture_ends_it(opened: session.Session) -> None:
    shows = handlers.enhance(Worker(), opened, 1.0, ("seconds", "scorer"), (600, "vivid"))
    assert any("tried" in shown[2] for shown in shows)  # runs until the first progress line
    assert "running" in handlers.acting(handlers.clear)(opened)[2]
    handlers.stop(opened)
    *_, last = shows
    assert last[0].found

    shows = handlers.enhance(Worker(), opened, 1.0, ("seconds", "scorer"), (600, "vivid"))
    assert any("tried" in shown[2] for shown in shows)
    assert handlers.opened(opened, None)[0] is None
    assert [shown for shown in shows if isinstance(shown[0], session.Session)] == []


def test_one_job_at_a_time_and_a_waiting_one_can_be_stopped(opened: session.Session) -> None:
    lock, unloaded = threading.Lock(), []
    worker = Worker(Host(lock=lambda: lock, unload=lambda: unloaded.append(1)))
    with lock:
        shows = handlers.enhance(worker, opened, 1.0, NAMES, (20, "soft"))
        assert any("waiting" in shown[2] for shown in shows)
        handlers.stop(opened)
        *_, last = shows
        assert last[0] is opened
    *_, last = handlers.enhance(worker, opened, 1.0, NAMES, (20, "soft"))
    assert last[0].found and unloaded == [1]


def test_sessions_do_not_disturb_each_other(dark: Image.Image) -> None:
    one, other = session.open_picture(dark), session.open_picture(dark)
    one.slot.close()
    assert one.slot.closed and not other.slot.closed


def test_hard_mode_gives_several_to_pick_from(opened: session.Session) -> None:
    *_, last = handlers.enhance(Worker(), opened, 1.0, NAMES, (150, "hard"))
    done = last[0]
    count = len(done.found)
    assert count > 2 and len({found.recipe for found in done.found}) == count
    assert {found.evaluations for found in done.found} == {done.found[0].evaluations}  # one search found them all
    assert f"{done.found[0].evaluations} tried" in last[2] and done.found[0].evaluations <= 150
    assert len(handlers.candidates(done)["value"]) == count
    picked = handlers.acting(handlers.pick)(done, 2)[0]
    assert picked.recipe == done.found[2].recipe and picked.after == done.found[2].after
    assert "<svg" in handlers.acting(handlers.pick)(done, 2)[3]


def test_the_host_saves_the_recipe_in_the_picture(enhanced: session.Session, tmp_path: Path) -> None:
    worker = saving_to(tmp_path / "new")
    assert "saved as" in handlers.save(worker, enhanced)
    assert "saved as" in handlers.save(worker, enhanced)  # never over another
    first, _ = sorted((tmp_path / "new").iterdir())
    with Image.open(first) as saved:
        assert session.recipe_in(saved.info["parameters"]) == enhanced.recipe
        assert "NUl scorer: tone" in saved.info["parameters"]
        assert saved.convert("RGB").tobytes() == session.full_size(enhanced, "cpu").tobytes()


def test_what_the_source_says_of_itself_is_kept(dark: Image.Image, tmp_path: Path) -> None:
    dark = dark.convert("RGBA")
    dark.putpixel((0, 0), (1, 2, 3, 0))
    dark.info["parameters"] = "a cat\nSteps: 20, Size: 8x8"
    given = session.changed(session.open_picture(dark), rows=(session.Row(Step("contrast", (1.1,))),), strength=0.5)
    text = session.infotext(given)
    assert text == "a cat\nSteps: 20, Size: 8x8, NUl strength: 0.5, NUl recipe: nuli1 contrast=1.05"
    path = save_to_folder(tmp_path, session.full_size(given, "cpu"), text, "cat.webp")
    with Image.open(path) as saved:
        assert path.name == "cat-nuli.png" and saved.mode == "RGBA" and saved.getpixel((0, 0))[3] == 0


def test_recipe_and_lut_to_download(enhanced: session.Session) -> None:
    file, _ = handlers.save_recipe(enhanced)
    assert Recipe.from_dict(json.loads(Path(file["value"]).read_text())) == enhanced.recipe
    file, said = handlers.save_lut(enhanced)
    assert "LUT_3D_SIZE 33" in Path(file["value"]).read_text() and "LUT ready" in said
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
    assert not slot.busy and len(gallery) == 2 and "2 done; " in said and "c.png" in said
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a-nuli.png", "b-nuli.png"]

    shows = batch.batch(worker, slot, [str(folder / "a.png"), str(folder / "b.jpg")], "", ("seconds",), (600,))
    next(shows)
    slot.end()
    *_, last = shows
    assert "left" in last[1]


def test_a_batch_says_what_it_lacks(tmp_path: Path) -> None:
    for host, folder, says in (
        (Host(), "", "there are no pictures yet"),
        (Host(), str(tmp_path), "no pictures in this folder"),
        (Host(server_folders=False), str(tmp_path), "can&#x27;t be named here"),
    ):
        [(_, said)] = batch.batch(Worker(host), Slot(), None, folder, (), ())
        assert says in said


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
