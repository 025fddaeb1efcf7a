"""The ComfyUI nodes without ComfyUI: what they offer, and what they do to tensors. test_comfyui.py has the real one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nuli
from nuli.comfy import work
from nuli.comfy.specs import APPLY, EACH, ENHANCE, NODES, SCORE, TOGETHER, VARIATIONS, Node
from nuli.comfy.tensors import Batch
from nuli.comfy.widgets import MORE, options_of, parse_more
from nuli.comfy.work import Runtime
from nuli.errors import ImageError, NuliError, OptionError, RecipeError
from nuli.imaging.photo import Photo
from nuli.ops.render import render_rows
from nuli.options import Options, table
from nuli.scoring.registry import cached_scorer

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = Runtime(lambda: "cpu", cached_scorer)
QUICK = {"evaluations": 40, "seed": 1}


class InterruptedError_(Exception):
    """What a host ends a node with."""


def tensor(image: Image.Image) -> torch.Tensor:
    """As ComfyUI loads it: [1,H,W,C], 8 bits in float32."""
    return torch.from_numpy(np.array(image).astype(np.float32) / 255)[None]


@pytest.fixture(scope="module")
def pale(photo: Image.Image) -> torch.Tensor:
    """Two pictures to correct, one pale and one dark: [2,H,W,3], with more than 8 bits."""
    x = tensor(photo.resize((360, 240)))
    return torch.cat([x * 0.55 + 0.3, x**1.8])


def test_every_node_is_described_whole() -> None:
    assert len({node.id for node in NODES}) == len({node.title for node in NODES}) == len(NODES) == 4
    for node in NODES:
        names = [one.name for one in (*node.inputs, *node.widgets, *node.optional)]
        assert len(set(names)) == len(names) and node.help.endswith(".") and callable(getattr(work, node.run))
        assert all(one.help for one in (*node.inputs, *node.widgets, *node.optional, *node.outputs))
        assert all(one.default in one.choices for one in node.widgets if one.choices)


@pytest.mark.parametrize("node", [ENHANCE, VARIATIONS], ids=lambda node: node.id)
def test_every_option_can_be_given(node: Node) -> None:
    shown = {widget.name: widget for widget in node.widgets}
    for row in table():
        if row.name in shown and row.kind is not str:
            assert shown[row.name].maximum == row.maximum
            assert shown[row.name].minimum in (row.minimum, 0)
        elif row.name not in shown:
            assert (row.name in shown[MORE].help) == (row.name != "device")
    options_of({widget.name: widget.default for widget in node.widgets}, node.widgets)


def test_what_stands_at_its_default_comes_from_the_preset() -> None:
    def options(**values: object) -> Options:
        return options_of(values, ENHANCE.widgets)

    assert options() == Options(evaluations=300)
    assert options(evaluations=0) == Options() and options(seconds=2.0, evaluations=0) == Options(seconds=2.0)
    assert options(preset="natural") == Options(mode="soft", strength=0.7, guards="strict", margin=0.2, evaluations=300)
    assert options(preset="natural", strength=0.5).strength == 0.5
    assert options(preset="natural", more="margin=0.3; light = 0.5\nlock=blur").lock == "blur"
    assert options(preset="natural", more="strength=1").strength == 1.0
    assert options_of({}, VARIATIONS.widgets).mode == "hard"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("light", "write name=value"),
        ("lihgt=1", "did you mean 'light'"),
        ("light=9", "give a value from 0"),
        ("device=cpu", "not for this place"),
        ("lut=/etc/passwd", "a path can't be given here"),
    ],
)
def test_more_says_what_is_wrong(more: str, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        options_of({MORE: more}, ENHANCE.widgets)
    assert parse_more(" ; \n") == {}


def test_a_batch_replays_to_the_same_bits(pale: torch.Tensor) -> None:
    made, text, score = work.enhance(RUNTIME, pale, **QUICK)
    assert made.shape == pale.shape and made.dtype == torch.float32 and 0 <= made.min() <= made.max() <= 1
    lines = json.loads(text)
    assert len(lines) == 2 and lines[0] != lines[1] and not torch.equal(made, pale)
    assert torch.equal(work.enhance(RUNTIME, pale, **QUICK)[0], made)
    assert torch.equal(work.apply(RUNTIME, pale, text)[0], made)
    [alone, line, alone_score] = work.enhance(RUNTIME, pale[:1], **QUICK)
    assert torch.equal(alone, made[:1]) and line == lines[0] and 0 < score < 10 and 0 < alone_score < 10
    half = work.apply(RUNTIME, pale, text, strength=0.5)[0]
    assert (half - pale).abs().mean() < 0.8 * (made - pale).abs().mean()
    assert torch.equal(work.apply(RUNTIME, pale, text, strength=0.0)[0], pale)


def test_one_recipe_for_all(pale: torch.Tensor) -> None:
    frames = torch.cat([pale[:1], pale[:1].flip(2), pale[:1] * 0.98])
    made, text, _ = work.enhance(RUNTIME, frames, batch=TOGETHER, **QUICK)
    assert "statistics" in json.loads(text) and not torch.equal(made, frames)
    # measured once for all: the same colours become the same in the frame that is the other one mirrored
    assert torch.allclose(made[1], made[0].flip(1), atol=1e-4)
    assert torch.equal(work.apply(RUNTIME, frames, text)[0], made)
    single, text, _ = work.enhance(RUNTIME, pale[:1], batch=TOGETHER, **QUICK)
    assert text.startswith("nuli1") and torch.equal(single, work.enhance(RUNTIME, pale[:1], batch=EACH, **QUICK)[0])


def test_what_a_mask_leaves_out_keeps_its_bits(pale: torch.Tensor) -> None:
    mask = torch.zeros(1, 240, 360)
    mask[:, 60:180, 90:270] = 1
    made, *_ = work.enhance(RUNTIME, pale, mask=mask, **QUICK)
    outside = (mask == 0).expand(2, -1, -1)
    assert torch.equal(made[outside], pale[outside]) and not torch.equal(made, pale)
    # half the size, and one for each picture
    masks = torch.stack([torch.ones(120, 180), torch.zeros(120, 180)])
    made, *_ = work.enhance(RUNTIME, pale, mask=masks, **QUICK)
    assert torch.equal(made[1], pale[1]) and not torch.equal(made[0], pale[0])
    with pytest.raises(ImageError, match="shape"):
        work.enhance(RUNTIME, pale, mask=torch.ones(1, 300, 100), **QUICK)


def test_the_loaders_stand_in_for_no_mask_is_none(pale: torch.Tensor) -> None:
    for mask in (torch.zeros(1, 64, 64), torch.zeros(64, 64)):
        assert all(picture.photo.mask is None for picture in Batch(pale, mask))
    assert Batch(pale, torch.zeros(1, 240, 360))[1].photo.mask is not None


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_come_in(pale: torch.Tensor, kind: torch.dtype) -> None:
    made, *_ = work.enhance(RUNTIME, pale[:1].to(kind), **QUICK)
    assert made.dtype == torch.float32 and (made - pale[:1]).abs().mean() > 0.01


def test_transparency_stays(pale: torch.Tensor) -> None:
    alpha = torch.linspace(0, 1, 360).expand(1, 240, 360)[..., None]
    made, *_ = work.enhance(RUNTIME, torch.cat([pale[:1], alpha], 3), **QUICK)
    assert torch.equal(made[..., 3:], alpha) and not torch.equal(made[..., :3], pale[:1])


def test_a_good_picture_keeps_its_bits(photo: Image.Image) -> None:
    x = tensor(photo.resize((360, 240))) * 0.999 + 0.0003
    made, text, _ = work.enhance(RUNTIME, x, margin=10.0, more="margin=10", **QUICK)
    assert text == "nuli1" and torch.equal(made, x)


def test_a_reference_undoes_a_shift(photo: Image.Image) -> None:
    x = tensor(photo.resize((360, 240)))
    shifted = x * torch.tensor([0.9, 1.0, 1.1]).clamp(max=1)
    made, *_ = work.enhance(RUNTIME, shifted.clamp(0, 1), reference=x, evaluations=200)
    assert (made - x).abs().mean() < 0.4 * (shifted - x).abs().mean()


def test_no_numbers_and_no_pictures_are_refused(pale: torch.Tensor) -> None:
    broken = pale.clone()
    broken[0, 0, 0, 0] = torch.nan
    with pytest.raises(ImageError, match="no numbers"):
        list(Batch(broken))
    with pytest.raises(ImageError, match="connect an IMAGE"):
        Batch(pale[..., 0])


@pytest.mark.parametrize(
    ("run", "says"),
    [
        (lambda x: work.enhance(RUNTIME, x[:0]), "not empty"),
        (lambda x: work.enhance(RUNTIME, (x * 255).to(torch.uint8)), "floats from 0 to 1"),
        (lambda x: work.enhance(RUNTIME, x, mask=torch.zeros(0, 240, 360)), "no mask"),
        (lambda x: work.enhance(RUNTIME, x, mask=torch.full((1, 240, 360), torch.nan)), "the mask has values"),
        (lambda x: work.enhance(RUNTIME, x, reference=x[:0]), "no reference"),
        (lambda x: work.enhance(RUNTIME, x, batch=TOGETHER, reference=x * torch.nan), "the reference has values"),
        (lambda x: work.score(RUNTIME, []), "no pictures"),
    ],
)
def test_what_an_odd_workflow_connects_is_told(
    pale: torch.Tensor, run: Callable[[torch.Tensor], object], says: str
) -> None:
    with pytest.raises(ImageError, match=says):
        run(pale)


def test_the_best_come_first(pale: torch.Tensor, photo: Image.Image) -> None:
    good = tensor(photo.resize((360, 240)))
    grey = torch.full_like(good, 0.5)
    [kept], [best], [report] = work.score(RUNTIME, [torch.cat([grey, good]), pale[:1]], keep=2, scorer="vivid")
    assert torch.equal(kept[0], good[0]) and len(kept) == 2 and report.startswith(f"1. {best:.3f}  picture 2\n2. ")
    small = tensor(photo.resize((180, 120)))
    batches, *_ = work.score(RUNTIME, [small, grey], scorer="vivid")
    assert [tuple(batch.shape[1:3]) for batch in batches] == [(120, 180), (240, 360)]


def test_variations_differ_and_replay(pale: torch.Tensor) -> None:
    told: list[str] = []
    runtime = replace(RUNTIME, tell=told.append)
    made, text, score = work.variations(runtime, pale[:1], count=3, evaluations=150, seconds=0.0)
    recipes = json.loads(text)
    assert len(made) == len(recipes) == len(set(recipes)) > 1 and score > 0 and "→" in told[0]
    assert len(told) == len(made)
    for frame, recipe in zip(made, recipes, strict=True):
        assert torch.equal(work.apply(RUNTIME, pale[:1], recipe)[0][0], frame)
    assert torch.equal(work.apply(RUNTIME, pale[:1].expand(len(made), -1, -1, -1), text)[0], made)


@pytest.mark.parametrize("text", ["", "[", "[]", "[1]", "nuli1 nosuch=1", '{"nuli": 1}', '[["nuli1"]]'])
def test_what_is_no_recipe_is_refused(pale: torch.Tensor, text: str) -> None:
    with pytest.raises(RecipeError):
        work.apply(RUNTIME, pale, text)


def test_a_pictures_parameters_can_be_pasted(pale: torch.Tensor) -> None:
    text = "a cat, best quality\nSteps: 20, Size: 512x512, NUl scorer: tone, NUl recipe: nuli1 gamma=0.9/1, Version: v1"
    assert torch.equal(work.apply(RUNTIME, pale, text)[0], work.apply(RUNTIME, pale, "nuli1 gamma=0.9/1")[0])


def test_recipes_must_be_one_or_one_for_each(pale: torch.Tensor) -> None:
    with pytest.raises(RecipeError, match="3 recipes for 2 pictures"):
        work.apply(RUNTIME, pale, '["nuli1", "nuli1", "nuli1"]')


@pytest.mark.parametrize(
    "run",
    [
        lambda runtime, x: work.enhance(runtime, x, **QUICK),
        lambda runtime, x: work.enhance(runtime, x, batch=TOGETHER, **QUICK),
        lambda runtime, x: work.variations(runtime, x, evaluations=100),
        lambda runtime, x: work.apply(runtime, x, "nuli1 sharpness=0.5"),
        lambda runtime, x: work.score(runtime, [x]),
    ],
)
def test_an_interrupt_gets_through(pale: torch.Tensor, run: Callable[[Runtime, torch.Tensor], object]) -> None:
    asked = 0

    def check() -> None:
        nonlocal asked
        asked += 1
        if asked == 2:
            raise InterruptedError_

    with pytest.raises(InterruptedError_):
        run(replace(RUNTIME, check=check), pale)
    assert asked == 2


def test_progress_rises_over_the_batch(pale: torch.Tensor) -> None:
    shown: list[float] = []
    previews: list[Image.Image] = []

    def show(done: float, preview: work.Preview | None) -> None:
        shown.append(done)
        if preview is not None and not previews:
            previews.append(preview())

    work.enhance(replace(RUNTIME, show=show), pale, **QUICK)
    assert shown == sorted(shown) and shown[0] < 0.5 in shown and shown[-1] == 1 and previews[0].size[0] > 1


def test_each_picture_is_rendered_once_at_full_size(photo: Image.Image, monkeypatch: pytest.MonkeyPatch) -> None:
    large, rendered = tensor(photo.resize((2016, 1344))) * 0.55 + 0.3, []

    def counting(photo: Photo, *args: Any, **named: Any) -> Any:
        rendered.append(photo.pixels.shape[:2])
        return render_rows(photo, *args, **named)

    for module in ("look", "ops.render", "result", "search.finish"):
        monkeypatch.setattr(f"nuli.{module}.render_rows", counting)
    made, text, _ = work.enhance(RUNTIME, large, **QUICK)
    assert rendered.count((1344, 2016)) == 1 and not torch.equal(made, large)
    assert torch.equal(work.apply(RUNTIME, large, text)[0], made)
    rendered.clear()
    made, *_ = work.variations(RUNTIME, large, count=2, evaluations=150)
    assert rendered.count((1344, 2016)) == len(made)


def test_a_report_is_bounded() -> None:
    assert work.report(["a", "b"]) == "a\nb"
    assert work.report([str(i) for i in range(10_000)]).splitlines()[-2:] == ["99", "and 9900 more"]


def test_what_was_done_is_told_of_each_picture(pale: torch.Tensor) -> None:
    told: list[str] = []
    work.enhance(replace(RUNTIME, tell=told.append), pale, **QUICK)
    assert len(told) == 2 and "→" in told[0]
    told.clear()
    work.score(replace(RUNTIME, tell=told.append), [pale])
    assert [line[:2] for line in told] == ["1.", "2."]


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (3, 2)])
def test_tiny_pictures_come_through(size: tuple[int, int]) -> None:
    x = torch.rand(2, *size, 3, generator=torch.Generator().manual_seed(1))
    for mask in (None, torch.ones(1, *size), torch.zeros(64, 64)):
        made, text, _ = work.enhance(RUNTIME, x, mask=mask, **QUICK)
        assert made.shape == x.shape and len(json.loads(text)) == 2
    assert work.enhance(RUNTIME, x, batch=TOGETHER, **QUICK)[0].shape == x.shape
    assert work.variations(RUNTIME, x[:1], count=3, evaluations=50)[0].shape[1:] == x.shape[1:]
    assert work.score(RUNTIME, [x])[0][0].shape == x.shape


def test_a_scorer_that_fails_says_so(pale: torch.Tensor) -> None:
    class Broken:
        name, licence, input_size, view_mode, score_range, differentiable = "broken", "", 64, "whole", (0.0, 1.0), False

        def bind(self, original: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
            return lambda views: torch.full((len(views),), torch.nan)

    with pytest.raises(NuliError, match="not a finite number"):
        work.enhance(replace(RUNTIME, load_scorer=lambda options: Broken()), pale, **QUICK)


def test_the_root_of_the_repository_loads_nothing() -> None:
    """ComfyUI imports it as a node pack, pytest as a package."""
    code = (
        "import sys, importlib.util as u; s = u.spec_from_file_location('pack', '__init__.py');"
        "m = u.module_from_spec(s); s.loader.exec_module(m);"
        "print(callable(m.comfy_entrypoint), [n for n in ('nuli', 'torch', 'numpy', 'PIL') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "True []", done.stderr


def test_the_registry_is_told_this_version() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    assert f'\nversion = "{nuli.__version__}"' in text and '\n[tool.comfy]\nPublisherId = "' in text


def test_the_specs_load_no_torch() -> None:
    code = "import sys, nuli.comfy.specs; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "False\n"


def test_each_list_of_widgets_is_fit_for_its_function() -> None:
    import inspect

    for node in (APPLY, SCORE):
        parameters = inspect.signature(getattr(work, node.run)).parameters
        free = any(one.kind is one.VAR_KEYWORD for one in parameters.values())
        assert free or {one.name for one in (*node.inputs, *node.widgets, *node.optional)} < set(parameters)
