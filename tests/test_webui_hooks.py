"""Extras and auto-enhance, called as a host calls them; with NULI_WEBUI=<checkout>, the hooks of a real one."""

from __future__ import annotations

import ast
import importlib
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, create_autospec

import numpy as np
import pytest
from PIL import Image

from nuli.errors import OptionError, StoppedError, WeightsError
from nuli.options import options_from
from nuli.scoring.registry import release_cached

RECIPE = "nuli1 contrast=1.2"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The parts of a WebUI's `modules` that ours use, none of which do anything."""
    scripts = ModuleType("modules.scripts")
    scripts.Script = type("Script", (), {"postprocess_image_after_composite": lambda self, p, pp, *args: None})
    yield from _host(
        monkeypatch,
        devices=SimpleNamespace(get_device_for=lambda task: "cpu", torch_gc=lambda: None),
        errors=MagicMock(),
        images=MagicMock(FilenameGenerator=SimpleNamespace(replacements={})),
        infotext_utils=SimpleNamespace(),
        paths=SimpleNamespace(),
        scripts=scripts,
        scripts_postprocessing=_postprocessing("create_copy"),
    )


@pytest.fixture
def sdnext(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    """The same of SD.Next, which lacks some and calls others differently."""
    scripts = ModuleType("modules.scripts")
    scripts.Script = type("Script", (), {})
    names = ["save_image", "FilenameGenerator"]
    monkeypatch.setitem(sys.modules, "modules.image", SimpleNamespace())
    monkeypatch.setitem(sys.modules, "modules.image.namegen", SimpleNamespace(NOTHING=object()))
    yield from _host(
        monkeypatch,
        devices=SimpleNamespace(device="cpu", torch_gc=lambda: None),
        errors=MagicMock(spec=["display"]),
        generation_parameters_copypaste=SimpleNamespace(should_skip=str.lower),
        images=MagicMock(spec=names, FilenameGenerator=SimpleNamespace(replacements={})),
        paths=SimpleNamespace(resolve_output_path=os.path.join),
        scripts=scripts,
        scripts_postprocessing=_postprocessing(),
    )


def _postprocessing(*methods: str) -> ModuleType:
    found = ModuleType("modules.scripts_postprocessing")
    found.ScriptPostprocessing = type("ScriptPostprocessing", (), {})
    found.PostprocessedImage = type("PostprocessedImage", (), dict.fromkeys(methods))
    return found


def _host(monkeypatch: pytest.MonkeyPatch, scripts: ModuleType, **fakes: Any) -> Iterator[SimpleNamespace]:
    release_cached()
    scripts.AlwaysVisible = object()
    state = SimpleNamespace(
        interrupted=False,
        skipped=False,
        stopping_generation=False,
        time_start=1.0,
        textinfo=None,
        job_no=1,
        job_count=1,
    )
    fakes |= {
        "shared": SimpleNamespace(
            state=state, opts=SimpleNamespace(samples_format="png", samples_save=True), cmd_opts=SimpleNamespace()
        ),
        "processing": MagicMock(),
        "ui_components": MagicMock(),
        "scripts": scripts,
    }
    package = ModuleType("modules")
    for name, fake in fakes.items():
        setattr(package, name, fake)
        monkeypatch.setitem(sys.modules, f"modules.{name}", fake)
    monkeypatch.setitem(sys.modules, "modules", package)
    ours = ("app", "auto", "compat", "controls", "engine", "extras", "filenames", "host", "inputs", "settings", "xyz")
    if importlib.util.find_spec("gradio") is None:
        monkeypatch.setitem(sys.modules, "gradio", MagicMock(__version__="3.41.2"))
        monkeypatch.delitem(sys.modules, "nuli.ui.controls", raising=False)
    _unload(ours)
    loaded = {name: importlib.import_module(f"nuli.webui.{name}") for name in ours}
    yield SimpleNamespace(**fakes, state=state, **{f"our_{name}": module for name, module in loaded.items()})
    _unload(ours)
    sys.modules.pop("nuli.ui.controls", None)


def _unload(names: tuple[str, ...]) -> None:
    package = importlib.import_module("nuli.webui")
    for name in names:
        sys.modules.pop(f"nuli.webui.{name}", None)
        vars(package).pop(name, None)  # else `from . import` would find the last test's


@pytest.fixture
def picture(photo: Image.Image) -> Image.Image:
    return photo.resize((96, 64))


class Processing(SimpleNamespace):
    def __init__(self, **more: Any) -> None:
        super().__init__(extra_generation_params={"Kept": "yes"}, batch_index=0, seeds=[1], prompts=["x"], **more)
        self.subseeds, self.negative_prompts, self.outpath_samples = [1], [""], "out"
        self.do_not_save_samples = False


def after(host: SimpleNamespace, p: Any, image: Image.Image, *args: Any) -> Image.Image:
    pp = SimpleNamespace(image=image)
    host.our_auto.AutoEnhance().postprocess_image_after_composite(p, pp, *args)
    return pp.image


def test_a_recipe_is_applied_and_recorded(host, picture):
    p = Processing()
    result = after(host, p, picture, {"recipe": RECIPE})
    from nuli import Recipe

    assert np.array_equal(np.array(result), np.array(Recipe.parse(RECIPE).apply(picture)))
    assert p.extra_generation_params == {"Kept": "yes", "NUl recipe": RECIPE}


def test_the_next_picture_loses_the_last_ones_entries(host, picture):
    p = Processing()
    after(host, p, picture, {"recipe": RECIPE})
    assert after(host, p, picture, {"recipe": "rubbish"}) is picture
    assert p.extra_generation_params == {"Kept": "yes"}


def test_a_search_is_recorded(host, picture):
    p = Processing()
    after(host, p, picture, {"evaluations": 40, "scorer": "vivid", "margin": 0, "seed": 7})
    assert {"NUl scorer", "NUl score", "NUl score before", "NUl recipe", "NUl seed"} <= set(p.extra_generation_params)
    assert "NUl mode" not in p.extra_generation_params  # the default


@pytest.mark.parametrize(
    "args",
    [
        (),
        (None,) * 11,
        (None,) * 40,
        (False, "soft", 1.0, 1.0, "vivid", ["light"], "normal", 0, "after compositing", False, RECIPE),
    ],
)
def test_off_is_off(host, picture, args):
    p = Processing()
    assert after(host, p, picture, *args) is picture and p.extra_generation_params == {"Kept": "yes"}


def test_adetailers_inner_passes_are_left_alone(host, picture):
    # as adetailer marks the passes over the parts that it found
    p = Processing(_ad_inner=True, _ad_disabled=True)
    assert after(host, p, picture, {"recipe": RECIPE}) is picture and p.extra_generation_params == {"Kept": "yes"}


def test_adetailer_switched_off_does_not_switch_us_off(host, picture):
    # as adetailer marks the whole picture's own p wherever it has nothing to do, which is its default
    p = Processing(_ad_disabled=True)
    assert after(host, p, picture, {"recipe": RECIPE}) is not picture
    assert p.extra_generation_params["NUl recipe"] == RECIPE


@pytest.mark.parametrize("flag", ["interrupted", "skipped", "stopping_generation"])
def test_interrupts_are_heard(host, picture, flag):
    setattr(host.state, flag, True)
    assert after(host, Processing(), picture, {"recipe": RECIPE}) is picture


def test_stage_before_compositing(host, picture):
    script, p, pp = host.our_auto.AutoEnhance(), Processing(), SimpleNamespace(image=picture)
    args = ({"recipe": RECIPE, "stage": "before compositing"},)
    script.postprocess_image(p, pp, *args)
    assert pp.image is not picture
    changed = pp.image
    script.postprocess_image_after_composite(p, pp, *args)
    assert pp.image is changed and p.extra_generation_params["NUl stage"] == "before compositing"


def test_save_before_says_nothing_of_us(host, picture):
    p = Processing()
    seen = []
    host.processing.create_infotext.side_effect = lambda p, *a, **k: seen.append(dict(p.extra_generation_params))
    after(host, p, picture, {"recipe": RECIPE, "save_before": True})
    assert seen == [{"Kept": "yes"}] and host.images.save_image.call_args.args[0] is picture


@pytest.mark.parametrize("error", [RuntimeError("broken"), MemoryError()])
def test_a_failure_leaves_the_picture_and_is_told_once(host, picture, monkeypatch, error):
    def broken(*args: Any) -> None:
        raise error

    monkeypatch.setattr("nuli.scoring.registry.load_scorer", broken)
    p = Processing()
    for _ in range(3):
        assert after(host, p, picture, {"evaluations": 40}) is picture
    assert host.errors.report.call_count == 1
    host.state.time_start = 2.0  # another job
    after(host, p, picture, {"evaluations": 40})
    assert host.errors.report.call_count == 2


class Commented(Processing):
    """With the lines that the host shows under its pictures."""

    def comment(self, text: str) -> None:
        self.comments.append(text)


def test_a_failure_is_told_under_the_picture(host, picture):
    p = Commented(comments=[])
    for _ in range(3):  # once a job
        assert after(host, p, picture, {"recipe": "rubbish"}) is picture
    [told] = p.comments
    assert "NUl Enhance left the picture as it is" in told and "rubbish" in told
    assert p.extra_generation_params == {"Kept": "yes"}  # what is written into the file


@pytest.fixture
def toasts(host, monkeypatch) -> list[str]:
    """What gr.Warning is given."""
    found: list[str] = []
    monkeypatch.setattr(host.our_extras.gr, "Warning", found.append)
    return found


def test_a_host_without_comments_shows_a_toast(host, picture, toasts):
    for _ in range(3):
        after(host, Processing(), picture, {"recipe": "rubbish"})
    assert len(toasts) == 1 and "rubbish" in toasts[0]


def test_a_pasted_recipe_is_no_markup_in_a_toast(host, picture, toasts):
    extras(host, picture, enable=True, recipe="<img src=x onerror=alert(1)>")  # some gradios show HTML there
    assert len(toasts) == 1 and "<" not in toasts[0] and "img" in toasts[0]


def test_extras_show_a_toast_once_a_job(host, picture, toasts):
    for _ in range(2):
        pp = extras(host, picture, enable=True, scorer="none such")
    assert len(toasts) == 1 and "none such" in toasts[0] and pp.info == {"Upscale": "2"}


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_extras_leave_what_the_host_made_white(host, toasts, mode):
    white = Image.new(mode, (32, 32), "white")
    for args in ({"evaluations": 30}, {"recipe": "nuli1 exposure=-0.5"}):
        host.state.time_start += 1
        pp = extras(host, white, enable=True, **args)
        assert pp.image is white and pp.info == {"Upscale": "2"}
    assert len(toasts) == 2 and "white all over" in toasts[0] and "16-bit" in toasts[0]


def test_extras_enhance_what_is_nearly_white(host, toasts):
    nearly = Image.new("RGB", (32, 32), "white")
    nearly.putpixel((3, 3), (255, 255, 254))
    pp = extras(host, nearly, enable=True, recipe=RECIPE)
    assert pp.info["NUl recipe"] == RECIPE and not toasts


@pytest.mark.parametrize("flag", ["interrupted", "skipped"])
def test_a_recipe_is_given_up_when_the_user_says_so(host, picture, toasts, monkeypatch, flag):
    from nuli.ops import render

    begun = render.chain_statistics

    def press(*args: Any) -> Any:
        setattr(host.state, flag, True)  # while the picture is being rendered
        return begun(*args)

    monkeypatch.setattr(render, "chain_statistics", press)
    p = Commented(comments=[])
    assert after(host, p, picture, {"recipe": RECIPE}) is picture
    assert host.state.interrupted or host.state.skipped
    assert p.extra_generation_params == {"Kept": "yes"} and not p.comments and not toasts


def test_the_search_gets_the_very_options(host, picture, monkeypatch):
    seen = []
    search = importlib.import_module("nuli.enhancer").enhance_iter

    def watched(source: Any, options: Any = None, **more: Any) -> Any:
        seen.append((options, sorted(more)))
        return search(source, options, **more)

    monkeypatch.setattr("nuli.enhancer.enhance_iter", watched)
    values = {"evaluations": 30, "scorer": "vivid", "seed": 3}
    host.our_engine.enhance(picture, host.our_engine.Wanted(values))
    assert seen == [(host.our_engine.options_for(values), ["others", "scorer", "stop"])]


def test_absent_weights_name_the_button(host, picture, tmp_path, monkeypatch):
    for name in ("NULI_CACHE", "HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(tmp_path))
    p = Commented(comments=[])
    assert after(host, p, picture, {"scorer": "laion"}) is picture
    [told] = p.comments
    assert "Download laion" in told and "Scorers" in told and "Settings" in told
    assert "nuli scorers" not in told  # there is no command line in a WebUI
    host.shared.cmd_opts.hide_ui_dir_config = False
    hooks = host.our_host.worker().host  # of the tab and the API
    for scorer in ("laion", "mean:laion+tone"):
        with pytest.raises(WeightsError, match="press Download laion"):
            hooks.load_scorer(options_from({"scorer": scorer, "device": "cpu"}), hooks.folders())


def test_the_settings_page_has_the_button(host, monkeypatch):
    gr = pytest.importorskip("gradio")
    added: dict[str, Any] = {}

    def option_info(default: Any, label: str, component: Any = None, *args: Any) -> Any:
        found = MagicMock(default=default, component=component)
        found.info.return_value = found.needs_reload_ui.return_value = found
        return found

    host.shared.OptionInfo = option_info
    host.shared.opts.add_option = added.__setitem__
    host.our_settings.add()
    option = added["nuli_weights"]
    assert option.do_not_save is True and added["nuli_seconds"].do_not_save is not True

    def drawn() -> list[Any]:
        with gr.Blocks() as page:
            text = option.component(label="", value=option.default, elem_id="setting_nuli_weights")
        assert type(text) is gr.HTML  # what the host sets and reads
        return [part.value for part in page.blocks.values() if isinstance(part, gr.Button)]

    assert drawn() == ["Download laion (937 MB; MIT and Apache-2.0)"]
    monkeypatch.setattr("nuli.ui.weights.draw", lambda *args: 1 / 0)
    assert drawn() == [] and host.errors.report.call_count == 1
    assert "tab NUl Enhance" in option.default


def test_running_jobs_end_when_the_pages_are_built_anew(host, monkeypatch):
    engine, lock = host.our_engine, threading.Lock()
    monkeypatch.setitem(sys.modules, "modules.call_queue", SimpleNamespace(queue_lock=lock))
    host.state.begin, host.state.end = lambda job: None, lambda: None
    began, ended = threading.Event(), []

    def work(number: int) -> None:
        try:
            with engine.job():
                began.set()
                end = time.monotonic() + 10
                while not engine.stopped() and time.monotonic() < end:
                    time.sleep(0.01)
                ended.append(engine.stopped())
        except StoppedError:
            ended.append("before it began")

    threads = [threading.Thread(target=work, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    assert began.wait(5)
    time.sleep(0.1)  # the other one waits for the lock
    host.our_app.add(None, None)
    for thread in threads:
        thread.join(5)
    assert ended == [True, "before it began"] and not lock.locked()
    assert not engine.stopped()  # whatever is done later, and in other threads
    with engine.job():
        assert not engine.stopped()


class Inpainting(Processing):
    """As the host leaves it once an inpainted part is laid over its picture."""

    def __init__(self, mask: Image.Image, **more: Any) -> None:
        super().__init__(mask_for_overlay=mask, paste_to=None, init_images=[], resize_mode=0, **more)


@pytest.fixture
def halved(picture) -> Image.Image:
    """A mask: the left half, with a soft edge."""
    ramp = np.clip((48 - np.arange(picture.width)) * 32, 0, 255).astype(np.uint8)
    return Image.fromarray(np.repeat(ramp[None], picture.height, 0)).convert("RGB")


def test_only_the_inside_of_the_inpaint_mask_is_enhanced(host, picture, halved):
    for args in ({"recipe": "nuli1 exposure=0.5"}, {"scorer": "vivid", "evaluations": 60, "margin": 0}):
        p = Inpainting(halved)
        result = after(host, p, picture, {"inside_mask": True, **args})
        outside, [before, now] = np.array(halved)[:, :, 0] == 0, [np.array(i.convert("RGB")) for i in (picture, result)]
        assert (before != now).any() and np.array_equal(before[outside], now[outside])
        assert p.extra_generation_params["NUl mask"] == "yes"


def test_the_inputs_colours_come_back(host, photo):
    source = photo.resize((240, 160))
    tinted = Image.fromarray((np.array(source) * [1.0, 0.9, 0.75]).astype(np.uint8))  # as a VAE may do
    host.shared.opts.img2img_background_color = "#ffffff"
    host.images.flatten.side_effect = lambda image, colour: image
    host.images.resize_image.side_effect = lambda mode, image, width, height: image.resize((width, height))
    p = Inpainting(None)
    p.init_images = [source]
    result = after(host, p, tinted, {"match_input": True, "evaluations": 300})
    before, now = (np.abs(np.array(i.convert("RGB")).astype(int) - np.array(source)).mean() for i in (tinted, result))
    assert now < before / 3
    assert p.extra_generation_params["NUl match"] == "yes" and p.extra_generation_params["NUl scorer"] == "match"


def test_without_an_inpaint_mask_all_is_enhanced(host, picture):
    for p in (Processing(), Inpainting(None)):
        result = after(host, p, picture, {"inside_mask": True, "recipe": RECIPE})
        assert np.array_equal(np.array(result), np.array(after(host, Processing(), picture, {"recipe": RECIPE})))
        assert "NUl mask" not in p.extra_generation_params


def test_before_compositing_the_mask_is_that_of_the_part(host, picture, halved):
    p = Inpainting(halved)
    p.paste_to = (40, 0, 16, 64)  # across the edge
    part = host.our_inputs.inpaint_mask(p, (32, 128), composed=False)
    assert part.size == (32, 128) and part.mode == "L"
    assert part.getpixel((0, 5)) == 255 and part.getpixel((31, 5)) == 0
    assert host.our_inputs.inpaint_mask(p, halved.size, composed=True).tobytes() == halved.convert("L").tobytes()


def test_the_input_is_framed_as_its_result(host, picture):
    host.shared.opts.img2img_background_color = "#ffffff"
    host.images.flatten.side_effect = lambda image, colour: image.convert("RGB")
    host.images.resize_image.side_effect = lambda mode, image, width, height: image.resize((width, height))
    of = host.our_inputs.input_picture
    assert of(Processing(), (8, 8), True) is None  # txt2img
    p = Inpainting(None)
    p.init_images, p.resize_mode = [picture], 3
    assert of(p, (48, 32), True).size == (48, 32) and host.images.resize_image.call_args.args[0] == 0
    p.paste_to = (10, 10, 20, 30)
    assert of(p, picture.size, True).size == picture.size
    part = of(p, (20, 30), False)
    assert part.tobytes() == picture.crop((10, 10, 30, 40)).tobytes()
    p.init_images, p.batch_index = [picture, part], 1
    assert of(p, part.size, True).size == part.size


@pytest.mark.parametrize("args", [{"match_input": True}, {"inside_mask": True}])
def test_second_pictures_that_fail_leave_the_picture(host, picture, args):
    p = Commented(comments=[], init_images=[object()], mask_for_overlay=object(), paste_to=None, resize_mode=0)
    host.shared.opts.img2img_background_color = "#ffffff"
    host.images.flatten.side_effect = lambda image, colour: image.convert("RGB")
    assert after(host, p, picture, {**args, "evaluations": 30}) is picture
    assert len(p.comments) == 1 and p.extra_generation_params == {"Kept": "yes"}


def test_the_scorer_hears_the_prompt_without_its_networks(host):
    p = Processing()
    p.prompts = ["a <lora:x:0.8> hill <not one> <b>"]
    assert host.our_inputs.prompt(p) == "a  hill <not one> <b>"
    for args, prompt in (
        ({"scorer": "mine"}, "a  hill <not one> <b>"),
        ({"scorer": "mine", "prompt": "a sea"}, "a sea"),
        ({"scorer": "laion"}, None),
        ({"scorer": "mean:pyiqa:topiq_iaa+tone"}, None),
        ({"scorer": "least:laion+hpsv2"}, "a  hill <not one> <b>"),
        ({}, None),
    ):
        chosen = host.our_auto.read((args,), {})
        wanted = host.our_auto._wanted(chosen, p, Image.new("RGB", (8, 8)), "after compositing")
        assert wanted.values.get("prompt") == prompt and wanted.second == {}


def test_a_preset_is_expanded_under_what_is_said_besides(host, tmp_path, monkeypatch):
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path))
    values = host.our_controls.option_values
    assert values({"preset": "natural", "strength": 1.2}) == {
        "mode": "soft",
        "strength": 1.2,
        "guards": "strict",
        "margin": 0.2,
    }
    assert values({"preset": None}) == values({"preset": "none"}) == values({"preset": ""}) == {}
    p = Commented(comments=[])
    assert after(host, p, Image.new("RGB", (8, 8)), {"preset": "naturel"}).size == (8, 8)
    assert "did you mean 'natural'" in p.comments[0]
    # what the controls can't show: as the preset filled them, they leave its word alone
    (tmp_path / "presets.ini").write_text("[mine]\nops = -blur,-equalize\nlock = saturation\n")
    shown = dict(zip(host.our_controls.NAMES, host.our_controls._fill("mine"), strict=True))
    filled = {name: update["value"] for name, update in shown.items()}
    found = values({"preset": "mine", **filled})
    assert found["ops"] == "-blur,-equalize" and found["lock"] == "saturation"
    assert values({"preset": "mine", **filled, "ops": ["light"]})["ops"] == "light"


def test_a_broken_file_of_presets_does_not_break_the_pages(host, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path))
    (tmp_path / "presets.ini").write_text("[x]\nstrenght = 1\n")
    assert host.our_settings.presets() == {} and "strenght" in capsys.readouterr().out


def test_the_plot_shows_a_preset_rather_than_the_accordion(host):
    accordion = (False, "hard", 3.0, 0.2)
    chosen = host.our_auto.read(accordion, {"preset": "natural", "light": 0.5})
    assert chosen["enabled"] and chosen["mode"] is None and chosen["strength"] is None
    values = host.our_controls.option_values(chosen)
    assert values["strength"] == 0.7 and values["light"] == 0.5 and values["mode"] == "soft"
    chosen = host.our_auto.read(({"evaluations": 40},), {"preset": "natural"})
    assert chosen["evaluations"] == 40 and chosen["preset"] == "natural"


def test_the_plot_has_our_axes(host):
    class Axis(SimpleNamespace):
        def __init__(self, label: str, kind: type, apply: Any, **more: Any) -> None:
            super().__init__(label=label, kind=kind, apply=apply, **more)

    plot = SimpleNamespace(AxisOption=Axis, axis_options=[])
    for _ in range(2):  # again after a reload
        host.our_xyz._append(plot)
    axes = {axis.label: axis for axis in plot.axis_options}
    assert len(axes) == len(plot.axis_options) == 11
    for label in ("Preset", "Light", "Colour", "Detail", "Never touch", "Guards"):
        assert f"[NUl] {label}" in axes
    assert "natural" in axes["[NUl] Preset"].choices()
    p = SimpleNamespace()
    axes["[NUl] Preset"].apply(p, "natural", None)
    axes["[NUl] Light"].apply(p, 0.5, None)
    assert p._nuli_axes == {"preset": "natural", "light": 0.5}
    axes["[NUl] Preset"].confirm(p, ["natural", "night"])
    for label, value in (("Preset", "naturel"), ("Light", 9.0), ("Guards", "lax")):
        with pytest.raises(OptionError):
            axes[f"[NUl] {label}"].confirm(p, [value])


def test_what_went_wrong_is_said_in_the_accordion_too(host):
    auto = host.our_auto
    html = f"<p class='comments'>other<br>\n{auto.engine.LEFT}a &#x27;b&#x27;<br>\n</p><div>Time</div>"
    told = auto._ours(html)
    assert told["visible"] and f"{auto.engine.LEFT}a &#x27;b&#x27;</div>" in told["value"]
    assert "other" not in told["value"] and "Time" not in told["value"]
    assert not auto._ours("<p class='comments'></p>")["visible"] and not auto._ours(None)["visible"]
    events = []
    line, log = object(), object()
    changing = SimpleNamespace(change=lambda fn, inputs, outputs, **more: events.append((inputs, outputs)))
    auto.note_component(changing, elem_id="generation_info_txt2img")  # no accordion there
    auto._lines["txt2img"] = line
    auto.note_component(log, elem_id="html_log_txt2img")
    auto.note_component(changing, elem_id="generation_info_txt2img")
    auto.note_component(changing, elem_id=None)
    assert events == [([log], [line])]


def test_no_lut_is_read_by_its_path(host, picture, tmp_path, monkeypatch):
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path))
    cube = tmp_path / "mine.cube"
    cube.write_text("LUT_3D_SIZE 2\n" + "\n".join(f"{r} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1)))
    p = Commented(comments=[])
    assert after(host, p, picture, {"lut": str(cube), "evaluations": 30}) is picture
    assert "no LUT" in p.comments[0] and not (tmp_path / "luts").exists()


def test_axes_of_a_plot_switch_it_on(host, picture):
    p = Processing(_nuli_axes={"strength": 0.5})
    chosen = host.our_auto.read((False, "hard"), p._nuli_axes)
    assert chosen["enabled"] and chosen["mode"] == "hard" and chosen["strength"] == 0.5


def test_pasted_parameters_fill_the_options(host):
    pasted = host.our_auto._pasted
    params = {"NUl recipe": RECIPE, "NUl strength": "0.8", "NUl ops": "light,colour"}
    assert pasted("strength")(params) == 0.8 and pasted("ops")(params) == ["light", "colour"]
    assert pasted("mode")(params) == "soft" and pasted("seconds")(params) == 0
    assert pasted("lock")({**params, "NUl lock": "blur"}) in ("blur", ["blur"])
    assert pasted("mode")({}) is None and pasted("mode")({"NUl recipe": RECIPE, "NUl mode": "unheard of"}) is None


class Picture(SimpleNamespace):
    def create_copy(self, image: Image.Image, nametags: list[str], disable_processing: bool) -> SimpleNamespace:
        return SimpleNamespace(image=image, nametags=nametags, info=dict(self.info))


def extras(host: SimpleNamespace, image: Image.Image, **args: Any) -> Picture:
    pp = Picture(image=image, info={"Upscale": "2"}, extra_images=[])
    host.our_extras.Extras().process(pp, **args)
    return pp


def test_extras_without_arguments_do_nothing(host, picture):
    for args in ({}, dict.fromkeys(("enable", "mode", "seconds", "ops", "recipe", "save_before"))):
        pp = extras(host, picture, **args)
        assert pp.image is picture and pp.info == {"Upscale": "2"}


def test_extras_enhance_and_keep_the_picture_before(host, picture):
    pp = extras(host, picture, enable=True, recipe=RECIPE, save_before=True, mode=None)
    assert pp.image is not picture and pp.info == {"Upscale": "2", "NUl recipe": RECIPE}
    [copy] = pp.extra_images
    assert copy.image is picture and copy.nametags == ["before"] and copy.info == {"Upscale": "2"}


def test_extras_take_a_mask_and_a_preset(host, picture, halved):
    pp = extras(host, picture, enable=True, recipe="nuli1 exposure=0.5", mask=halved, match=None, preset="none")
    outside = np.array(halved)[:, :, 0] == 0
    assert np.array_equal(np.array(pp.image)[outside], np.array(picture)[outside])
    assert not np.array_equal(np.array(pp.image), np.array(picture)) and pp.info["NUl mask"] == "yes"
    pp = extras(host, picture, enable=True, preset="artistic", evaluations=60, scorer="vivid", margin=0)
    assert pp.info["NUl mode"] == "hard"


def test_extras_match_a_reference(host, photo):
    source = photo.resize((240, 160))
    dark = source.point(lambda value: value * 0.7)
    pp = extras(host, dark, enable=True, match=source, evaluations=300)
    before, now = (np.abs(np.array(i.convert("RGB")).astype(int) - np.array(source)).mean() for i in (dark, pp.image))
    assert now < before / 3 and pp.info["NUl match"] == "yes"


def test_extras_survive_anything(host, picture):
    pp = extras(host, picture, enable=True, scorer="none such")
    assert pp.image is picture and pp.info == {"Upscale": "2"}
    pp = extras(host, picture, enable=True, ops=[])
    assert pp.image is picture


def save_image(image: Any, path: str, basename: str, **more: Any) -> tuple[str, None]: ...


def numbered(image: Any, path: str, basename: str, short_filename: bool, no_prompt: bool, **more: Any) -> Any: ...


def save(host: SimpleNamespace, picture: Image.Image, function: Any, saved: tuple[Any, ...], **opts: Any) -> Any:
    """What the host is asked to save."""
    host.images.save_image = create_autospec(function, return_value=saved)
    usual = {"outdir_extras_samples": "out", "samples_format": "png", "use_original_name_batch": False}
    host.shared.opts = SimpleNamespace(**{**usual, **opts})
    assert host.our_host.save(picture, "text", "photo.jpg") == Path(saved[0])
    return host.images.save_image.call_args.kwargs


@pytest.mark.parametrize(("by_name", "stem"), [(False, "nuli"), (True, "photo-nuli")])
def test_the_tab_saves_under_a_numbered_name(host, picture, by_name, stem):
    asked = save(host, picture, numbered, ("out/x.png", None), outdir_samples="", use_original_name_batch=by_name)
    assert (asked["path"], asked["basename"], asked["info"]) == ("out", stem, "text")
    # the host leaves the number out where a suffix makes a name without it: each would replace the last
    assert asked["short_filename"] and not asked.get("suffix") and "forced_filename" not in asked


def test_sdnext_saves_in_its_folder_under_its_pattern(sdnext, picture):
    asked = save(sdnext, picture, save_image, ("base/out/x.png", None, ""), outdir_samples="base")
    assert (asked["path"], asked["basename"]) == (os.path.join("base", "out"), "nuli")
    assert not {"short_filename", "no_prompt"} & set(asked)


def test_sdnext_enhances_before_compositing_alone(sdnext, picture):
    script, p, pp = sdnext.our_auto.AutoEnhance(), Processing(), SimpleNamespace(image=picture)
    script.postprocess_image(p, pp, {"recipe": RECIPE, "stage": "after compositing"})
    assert pp.image is not picture and p.extra_generation_params["NUl recipe"] == RECIPE


def test_sdnext_shows_our_comments(sdnext):
    script, p = sdnext.our_auto.AutoEnhance(), Commented(comments=["ours"])
    for own, shown in (("", "ours"), ("its own", "its own")):
        processed = SimpleNamespace(comments=own)
        script.postprocess(p, processed)
        assert processed.comments == shown


def test_sdnext_logs_what_is_broken(sdnext, picture, monkeypatch):
    error = RuntimeError("broken")
    monkeypatch.setattr("nuli.scoring.registry.load_scorer", MagicMock(side_effect=error))
    pp = SimpleNamespace(image=picture)
    sdnext.our_auto.AutoEnhance().postprocess_image(Commented(comments=[]), pp, {"evaluations": 40})
    assert pp.image is picture and sdnext.errors.display.call_args.args[0] is error
    assert "broken" in sdnext.errors.display.call_args.args[1]


def test_sdnext_gets_updates_of_pasted_parameters(host, sdnext):
    pytest.importorskip("gradio")
    read = {"NUl strength": 0.5}.get
    assert host.our_compat.pasted(read) is read
    pasted = sdnext.our_compat.pasted(read)
    assert pasted("NUl strength")["value"] == 0.5 and "__type__" in pasted("NUl strength")
    assert pasted("NUl light") is None


def test_sdnext_has_framed_the_input(sdnext, picture):
    p = Inpainting(None, iter_init_images=[picture])
    p.paste_to = (10, 10, 20, 30)  # it is of this part already
    assert sdnext.our_inputs.input_picture(p, (48, 32), False).tobytes() == picture.resize((48, 32)).tobytes()
    assert sdnext.our_inputs.input_picture(Processing(iter_init_images=None), (8, 8), False) is None


def test_sdnext_has_videos_and_no_further_pictures(sdnext, picture, monkeypatch):
    told: list[str] = []
    monkeypatch.setattr(sdnext.our_extras.gr, "Warning", told.append)
    pp = SimpleNamespace(image=None, info={})
    sdnext.our_extras.Extras().process(pp, enable=True)
    assert pp.image is None and pp.info == {} and "it is a video" in told[0]
    pp.image = picture
    sdnext.our_extras.Extras().process(pp, enable=True, recipe=RECIPE, save_before=True)
    assert pp.image is not picture and pp.info == {"NUl recipe": RECIPE}


def test_sdnext_names_files_by_the_score(sdnext):
    sdnext.our_filenames.add()
    pattern = sdnext.images.FilenameGenerator.replacements["nuli_score"]
    assert pattern(SimpleNamespace(p=None)) is sys.modules["modules.image.namegen"].NOTHING


@pytest.mark.parametrize("flags", [{}, {"api_auth": None}, {"api_auth": "a:b,c:d:e"}])
def test_the_api_has_the_hosts_passwords(host, flags):
    host.shared.cmd_opts = SimpleNamespace(**flags)
    assert host.our_app._known() == ({"a": "b", "c": "d:e"} if flags.get("api_auth") else {})
    host.shared.api = SimpleNamespace(credentials={"x": "y"})  # SD.Next's
    assert host.our_app._known()["x"] == "y"


def test_skip_ends_a_picture_and_interrupt_all_that_was_asked_for(host):
    engine = host.our_engine
    for flags, stopped, interrupted in (
        ((), False, False),
        (("skipped",), True, False),
        (("interrupted",), True, True),
        (("stopping_generation",), True, True),
    ):
        vars(host.state).update(dict.fromkeys(("skipped", "interrupted", "stopping_generation"), False))
        vars(host.state).update(dict.fromkeys(flags, True))
        assert (engine.stopped(), engine.interrupted()) == (stopped, interrupted)


@pytest.fixture
def checkout() -> Path:
    if not os.environ.get("NULI_WEBUI"):
        pytest.skip("NULI_WEBUI names no checkout of a WebUI")
    return Path(os.environ["NULI_WEBUI"])


def names_in(checkout: Path, module: str) -> dict[str, set[str]]:
    """Functions and classes of a host's module, with their arguments or what they define; nothing is imported."""
    found: dict[str, set[str]] = {}
    for node in ast.walk(ast.parse((checkout / "modules" / f"{module}.py").read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            found.setdefault(node.name, set()).update(arg.arg for arg in (*node.args.args, *node.args.kwonlyargs))
        elif isinstance(node, ast.ClassDef):
            found[node.name] = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
    return found


def is_sdnext(checkout: Path) -> bool:
    return (checkout / "modules" / "scripts_manager.py").exists()


def test_a_real_host_has_the_hooks(checkout):
    if is_sdnext(checkout):
        pytest.skip("SD.Next has others")
    scripts = names_in(checkout, "scripts")["Script"]
    assert {"title", "show", "ui", "process", "postprocess_image", "postprocess"} <= scripts
    assert "postprocess_image_after_composite" in scripts
    postprocessing = names_in(checkout, "scripts_postprocessing")
    assert {"ui", "process"} <= postprocessing["ScriptPostprocessing"]
    assert {"new_image", "nametags", "disable_processing"} <= postprocessing["create_copy"]
    callbacks = names_in(checkout, "script_callbacks")
    for name in ("before_ui", "ui_settings", "ui_tabs", "app_started", "before_image_saved", "after_component"):
        assert f"on_{name}" in callbacks
    assert {"InputAccordion", "ToolButton"} <= set(names_in(checkout, "ui_components"))
    saving = {"path", "basename", "extension", "info", "short_filename", "existing_info", "suffix", "p"}
    assert saving <= names_in(checkout, "images")["save_image"]
    assert {"flatten", "resize_image"} <= set(names_in(checkout, "images"))
    assert "get_device_for" in names_in(checkout, "devices")
    assert "comment" in names_in(checkout, "processing")["StableDiffusionProcessing"]
    processing = (checkout / "modules" / "processing.py").read_text(encoding="utf-8")
    for name in ("mask_for_overlay", "paste_to", "init_images", "resize_mode", "batch_index", "prompts"):
        assert f"self.{name} =" in processing or f"{name}: " in processing or f"p.{name} =" in processing
    output = (checkout / "modules" / "ui_common.py").read_text(encoding="utf-8")
    assert output.index("html_log_{tabname}") < output.index("generation_info_{tabname}")
    assert {"all_negative_prompts", "index"} <= names_in(checkout, "processing")["create_infotext"]
    paste = names_in(checkout, "infotext_utils")
    assert {"add_paste_fields", "register_paste_params_button", "ParamBinding"} <= set(paste)


def test_a_real_sdnext_has_the_hooks(checkout):
    if not is_sdnext(checkout):
        pytest.skip("NULI_WEBUI is another WebUI")
    scripts = names_in(checkout, "scripts_manager")["Script"]
    assert {"title", "show", "ui", "process", "postprocess_image", "postprocess"} <= scripts
    postprocessing = names_in(checkout, "scripts_postprocessing")
    assert {"process", "postprocess"} <= set(postprocessing) and "create_copy" not in postprocessing
    callbacks = names_in(checkout, "script_callbacks")
    for name in ("before_ui", "ui_settings", "ui_tabs", "app_started", "before_image_saved", "after_component"):
        assert f"on_{name}" in callbacks
    assert {"InputAccordion", "ToolButton"} <= set(names_in(checkout, "ui_components"))
    saving = names_in(checkout, "image/save")["save_image"]
    assert {"path", "basename", "extension", "info", "grid", "existing_info", "suffix", "p"} <= saving
    assert {"all_negative_prompts", "index"} <= names_in(checkout, "processing_info")["create_infotext"]
    assert "resolve_output_path" in names_in(checkout, "paths")
    assert "display" in names_in(checkout, "errors")
    paste = names_in(checkout, "generation_parameters_copypaste")
    assert {"add_paste_fields", "register_paste_params_button", "ParamBinding", "should_skip"} <= set(paste)
    assert "p.iter_init_images = p.init_images" in (checkout / "modules" / "processing.py").read_text(encoding="utf-8")
    assert "self.credentials" in (checkout / "modules" / "api" / "api.py").read_text(encoding="utf-8")


def test_the_score_goes_into_file_names(host: SimpleNamespace) -> None:
    host.our_filenames.add()
    pattern = host.images.FilenameGenerator.replacements["nuli_score"]
    judged = SimpleNamespace(p=SimpleNamespace(extra_generation_params={"NUl score": "9.812"}))
    assert pattern(judged) == "9.812"
    entries = {"NUl score": "9.812", "NUl scorer": "tone"}  # which all pictures get, so the file is named by another
    tone = SimpleNamespace(p=SimpleNamespace(extra_generation_params=entries), image=Image.new("RGB", (64, 64), "red"))
    assert float(pattern(tone)) < 9
    nothing = host.images.NOTHING_AND_SKIP_PREVIOUS_TEXT
    assert pattern(SimpleNamespace(p=SimpleNamespace(extra_generation_params={}))) is nothing
    assert pattern(SimpleNamespace(p=None)) is nothing
