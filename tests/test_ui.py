"""The user interface without a browser: controls, handlers on a real picture, the plot, what Save writes."""

from __future__ import annotations

import base64
import copy
import gc
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

from nuli.errors import BusyError, ImageError, OptionError, RecipeError
from nuli.ops.step import Step
from nuli.options import Options, options_from, table
from nuli.recipe import Recipe
from nuli.scoring.registry import SCORERS

gr = pytest.importorskip("gradio", reason="the user interface needs gradio: pip install 'nulie[ui]'")

from nuli.hosting import Host, Slot, Worker, search  # noqa: E402
from nuli.imaging.photo import load_photo  # noqa: E402
from nuli.ui import app, batch, blocks, controls, drawing, handlers, session, store  # noqa: E402
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
    *_, last = handlers.enhance(Worker(), opened, 1.0, NAMES, (60, "soft"))
    assert isinstance(last[0], session.Session), last[2]
    return last[0]


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
    assert not done.slot.task


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
    assert session.revert(off).rows == enhanced.rows

    nothing = handlers.acting(handlers.set_strength)(enhanced, 0)
    assert nothing[0].recipe == Recipe() and "stays as it is" in nothing[2]


def test_a_step_can_be_added_tuned_and_undone_without_a_search(opened: session.Session) -> None:
    added = handlers.acting(handlers.add_step)(opened, "auto level")[0]
    assert added.rows[0].step.op == "auto_level" and added.recipe == Recipe()
    tuned = handlers.acting(handlers.tune)(added, True, 0.5, 7)[0]
    assert tuned.rows[0].step == Step("auto_level", (0.5, 1.0))  # held to the range
    assert session.revert(session.revert(tuned)).rows == ()
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
    assert not opened.slot.task


def test_a_stopped_search_keeps_its_best_and_a_replaced_picture_ends_it(opened: session.Session) -> None:
    shows = handlers.enhance(Worker(), opened, 1.0, ("seconds", "scorer"), (600, "vivid"))
    assert any("tried" in shown[2] for shown in shows)  # runs until the first progress line
    assert "running" in handlers.acting(handlers.clear)(opened)[2]
    handlers.stop(opened)
    *_, last = shows
    assert last[0].candidates

    shows = handlers.enhance(Worker(), opened, 1.0, ("seconds", "scorer"), (600, "vivid"))
    assert any("tried" in shown[2] for shown in shows)
    assert handlers.opened(opened, None)[0] is None
    assert [shown for shown in shows if isinstance(shown[0], session.Session)] == []


def test_one_job_at_a_time_and_a_waiting_one_can_be_stopped(opened: session.Session) -> None:
    lock = threading.Lock()
    worker = Worker(Host(lock=lambda: lock))
    with lock:
        shows = handlers.enhance(worker, opened, 1.0, NAMES, (20, "soft"))
        assert any("waiting" in shown[2] for shown in shows)
        handlers.stop(opened)
        *_, last = shows
        assert last[0] is opened
    *_, last = handlers.enhance(worker, opened, 1.0, NAMES, (20, "soft"))
    assert last[0].candidates and not lock.locked()


def test_sessions_do_not_disturb_each_other(dark: Image.Image) -> None:
    one, other = session.open_picture(dark), session.open_picture(dark)
    one.slot.close()
    assert one.slot.closed and not other.slot.closed


def test_hard_mode_gives_several_to_pick_from(opened: session.Session) -> None:
    *_, last = handlers.enhance(Worker(), opened, 1.0, NAMES, (150, "hard"))
    done = last[0]
    count = len(done.candidates)
    assert count > 2 and len({one.recipe for one in done.candidates}) == count
    assert {found.evaluations for found in done.candidates} == {
        done.candidates[0].evaluations
    }  # one search found them all
    assert f"{done.candidates[0].evaluations} tried" in last[2] and done.candidates[0].evaluations <= 150
    captions = [caption for _, caption in handlers.candidates(done)["value"]]
    assert len(captions) == count and captions[0].startswith("best")
    for one, caption in zip(done.candidates, captions, strict=True):
        assert f"{one.direction} · {one.after:.2f} (" in caption or not one.direction
        assert caption.endswith(f" · {one.distance:.0f} dE")
    assert SCORERS["taste"].meaning in last[2]
    picked = handlers.acting(handlers.pick)(done, 2)[0]
    assert picked.recipe == done.candidates[2].recipe and picked.after == done.candidates[2].after
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
    given = session.with_changes(
        session.open_picture(dark), rows=(session.Row(Step("contrast", (1.1,))),), strength=0.5
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
    assert not slot.task and len(gallery) == 2 and "2 done; " in said and "c.png" in said
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
    long = handlers.enhance(Worker(), opened, 1.0, ("seconds", "scorer"), (600, "vivid"))
    next(long)  # the first click's search has begun, and has told nothing yet
    [refused] = handlers.enhance(Worker(), opened, 1.0, ("seconds", "scorer"), (1, "vivid"))
    assert "a search is running" in refused[2] and not isinstance(refused[0], session.Session)
    assert any("tried" in shown[2] for shown in long)
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
    assert said == drawing.line("1 done, 2 left" if done == 1 else "3 done")


def test_no_more_work_is_taken_on_than_there_is_room_for(opened: session.Session) -> None:
    worker = Worker(max_tasks=1)
    task = worker.admit()
    [refused] = handlers.enhance(worker, opened, 1.0, NAMES, (20, "soft"))
    assert "try again" in refused[2] and "try again" in handlers.save(worker, opened)
    task.abandon()
    assert any("tried" in shown[2] or "starting" in shown[2] for shown in handlers.enhance(worker, opened, 1.0, (), ()))


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
        handlers.acting(handlers.set_strength)(second, 0.5),
        *handlers.enhance(Worker(), second, 1.0, (), ()),
    ):
        assert "put the picture in again" in shown[2]
    assert "put the picture in again" in handlers.save(saving_to(Path("never")), second)
    assert "put the picture in again" in handlers.save_lut(second)[1]
    assert "put the picture in again" in handlers.at_full_size(Worker(), second)[2]
    found = session.Candidate(Recipe(), 1, 2, (), 1, 1, (), ())
    assert handlers.candidates(replace(second, candidates=(found, found)))["visible"] is False
    assert len(handlers.row_updates(second)) == 4 * handlers.ROWS + 2
    monkeypatch.setattr(store.VIEWS, "most", 1)
    assert session.open_picture(dark).view  # the newest always stays


def test_a_session_is_a_handle(opened: session.Session) -> None:
    assert len(pickle.dumps(replace(opened, slot=None))) < 2000  # gradio keeps it for good
    handlers.opened(opened, None)
    with pytest.raises(ImageError, match="put the picture in again"):
        _ = opened.view


def test_nothing_of_a_search_outlives_its_picture(opened: session.Session) -> None:
    """Gradio 3 keeps every visitor's last session for good: that must not hold the picture, nor its result."""
    *_, last = handlers.enhance(Worker(), opened, 1.0, NAMES, (20, "soft"))
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
