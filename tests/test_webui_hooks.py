"""Extras and auto-enhance, called as a host calls them; with NULI_WEBUI=<checkout>, the hooks of a real one."""

from __future__ import annotations

import ast
import importlib
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import numpy as np
import pytest
from PIL import Image

from nuli.scoring.registry import release_cached

RECIPE = "nuli1 contrast=1.2"


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The parts of a WebUI's `modules` that ours use, none of which do anything."""
    release_cached()
    state = SimpleNamespace(
        interrupted=False,
        skipped=False,
        stopping_generation=False,
        time_start=1.0,
        textinfo=None,
        job_no=1,
        job_count=1,
    )
    scripts = ModuleType("modules.scripts")
    scripts.AlwaysVisible = object()
    scripts.Script = type("Script", (), {"postprocess_image_after_composite": lambda self, p, pp, *args: None})
    postprocessing = ModuleType("modules.scripts_postprocessing")
    postprocessing.ScriptPostprocessing = type("ScriptPostprocessing", (), {})
    fakes = {
        "devices": SimpleNamespace(get_device_for=lambda task: "cpu", torch_gc=lambda: None),
        "shared": SimpleNamespace(state=state, opts=SimpleNamespace(samples_format="png"), cmd_opts=SimpleNamespace()),
        "errors": MagicMock(),
        "images": MagicMock(FilenameGenerator=SimpleNamespace(replacements={})),
        "processing": MagicMock(),
        "ui_components": MagicMock(),
        "scripts": scripts,
        "scripts_postprocessing": postprocessing,
    }
    package = ModuleType("modules")
    for name, fake in fakes.items():
        setattr(package, name, fake)
        monkeypatch.setitem(sys.modules, f"modules.{name}", fake)
    monkeypatch.setitem(sys.modules, "modules", package)
    ours = ("auto", "controls", "engine", "extras", "filenames", "settings")
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

    def save_samples(self) -> bool:
        return True


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
    [(), (None,) * 11, (False, "soft", 1.0, 1.0, "vivid", ["light"], "normal", 0, "after compositing", False, RECIPE)],
)
def test_off_is_off(host, picture, args):
    p = Processing()
    assert after(host, p, picture, *args) is picture and p.extra_generation_params == {"Kept": "yes"}


def test_adetailers_inner_passes_are_left_alone(host, picture):
    for mark in ("_ad_inner", "_ad_disabled"):
        assert after(host, Processing(**{mark: True}), picture, {"recipe": RECIPE}) is picture


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


def test_axes_of_a_plot_switch_it_on(host, picture):
    p = Processing(_nuli_axes={"strength": 0.5})
    chosen = host.our_auto.read((False, "hard"), p._nuli_axes)
    assert chosen["enabled"] and chosen["mode"] == "hard" and chosen["strength"] == 0.5


def test_pasted_parameters_fill_the_options(host):
    pasted = host.our_auto._pasted
    params = {"NUl recipe": RECIPE, "NUl strength": "0.8", "NUl ops": "light,colour"}
    assert pasted("strength")(params) == 0.8 and pasted("ops")(params) == ["light", "colour"]
    assert pasted("mode")(params) == "soft" and pasted("seconds")(params) == 0
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


def test_extras_survive_anything(host, picture):
    pp = extras(host, picture, enable=True, scorer="none such")
    assert pp.image is picture and pp.info == {"Upscale": "2"}
    pp = extras(host, picture, enable=True, ops=[])
    assert pp.image is picture


@pytest.mark.parametrize(("by_name", "stem"), [(False, "nuli"), (True, "photo-nuli")])
def test_the_tab_saves_under_a_numbered_name(host, picture, by_name, stem):
    ours = importlib.import_module("nuli.webui.host")
    try:
        host.shared.opts = SimpleNamespace(
            outdir_samples="", outdir_extras_samples="out", samples_format="png", use_original_name_batch=by_name
        )
        host.images.save_image.return_value = ("out/x.png", None)
        assert ours.save(picture, None, "text", "photo.jpg") == Path("out/x.png")
        asked = host.images.save_image.call_args.kwargs
        assert (asked["path"], asked["basename"], asked["info"]) == ("out", stem, "text")
        # the host leaves the number out where a suffix makes a name without it: each would replace the last
        assert asked["short_filename"] and not asked.get("suffix") and "forced_filename" not in asked
    finally:
        _unload(("host",))


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


def test_a_real_host_has_the_hooks(checkout):
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
    assert "get_device_for" in names_in(checkout, "devices")
    assert {"all_negative_prompts", "index"} <= names_in(checkout, "processing")["create_infotext"]
    paste = names_in(checkout, "infotext_utils")
    assert {"add_paste_fields", "register_paste_params_button", "ParamBinding"} <= set(paste)


def test_the_score_goes_into_file_names(host: SimpleNamespace) -> None:
    host.our_filenames.add()
    pattern = host.images.FilenameGenerator.replacements["nuli_score"]
    judged = SimpleNamespace(p=SimpleNamespace(extra_generation_params={"NUl score": "9.812"}))
    assert pattern(judged) == "9.812"
    nothing = host.images.NOTHING_AND_SKIP_PREVIOUS_TEXT
    assert pattern(SimpleNamespace(p=SimpleNamespace(extra_generation_params={}))) is nothing
    assert pattern(SimpleNamespace(p=None)) is nothing
