"""What a user decides: amounts of light, colour and detail, locks, presets, versions, and steps copied elsewhere."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import nuli
from nuli.bulk.inputs import Inputs
from nuli.cli.main import main
from nuli.errors import OptionError, RecipeError
from nuli.imaging.photo import load_photo
from nuli.look import Look
from nuli.ops.registry import OPS, get_op, select_ops
from nuli.ops.step import Step
from nuli.options import GROUPS, Amounts, Options, options_from
from nuli.presets import own_file, presets, save_preset
from nuli.recipe import Recipe
from nuli.scoring.vivid import Vivid
from nuli.search.evaluator import Evaluation
from nuli.search.loop import Search
from nuli.search.versions import versions

QUICK = {"device": "cpu", "evaluations": 90, "seed": 1}
MIXED = Recipe.from_line("nuli1 exposure=0.5 saturation=1.4 sharpness=1.5 temperature=0.1")


@pytest.fixture(scope="module")
def dull(photo: Image.Image) -> Image.Image:
    """The photograph, pale, dark, and of little contrast."""
    return Recipe.from_line("nuli1 contrast=0.6 saturation=0.6 exposure=-0.6").apply(photo, device="cpu")


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of settings of the test's own."""
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path / "settings"))
    return tmp_path


@pytest.mark.parametrize("group", ["light", "colour", "detail"])
def test_an_amount_moves_its_own_steps_alone(group: str) -> None:
    half = MIXED.scaled(Amounts(**{group: 0.5}))
    for step, other in zip(MIXED.steps, half.steps, strict=True):
        op = get_op(step.op)
        expected = (step.values[0] + op.identity[0]) / 2 if op.group == group else step.values[0]
        assert other.values[0] == pytest.approx(expected)
    assert {get_op(s.op).group for s in MIXED.scaled(Amounts(**{group: 0.0})).steps} == {*GROUPS[:3]} - {group}


@given(st.floats(0, 1.5), st.floats(0, 1.5), st.floats(0, 1.5), st.floats(0, 1.5))
def test_amounts_multiply_the_strength(strength: float, light: float, colour: float, detail: float) -> None:
    scaled = MIXED.scaled(Amounts(strength, light, colour, detail))
    for step in scaled.steps:
        amount = strength * {"light": light, "colour": colour, "detail": detail}[get_op(step.op).group]
        [alone] = [s for s in MIXED.scaled(amount).steps if s.op == step.op]
        assert step.values == pytest.approx(alone.values, abs=1e-4)


def test_strength_0_gives_the_originals_bytes(own: Path, photo_path: Path) -> None:
    for number, zero in enumerate(({"strength": 0}, {"light": 0, "colour": 0, "detail": 0})):
        result = nuli.enhance(photo_path, **zero, **QUICK)
        assert not result.changed
        assert result.save(own / f"{number}.jpg").read_bytes() == photo_path.read_bytes()


def test_an_amount_of_0_keeps_the_search_from_it(dull: Image.Image) -> None:
    result = nuli.enhance(dull, light=0, scorer="vivid", guards="off", **QUICK)
    assert result.changed and "light" not in {get_op(s.op).group for s in result.recipe.steps}


class Colours(Vivid):
    """Likes strong colours, and nothing else."""

    name, has_target = "colours", False

    def bind(self, original: torch.Tensor):
        return lambda views: 20 * (views.amax(1) - views.amin(1)).mean((1, 2)).clamp(max=0.5)


@pytest.mark.parametrize("amounts", [{"colour": 0.3}, {"strength": 0.5}, {"light": 1.5, "colour": 0.5}])
def test_hard_mode_searches_with_the_amounts(photo: Image.Image, amounts: dict[str, float]) -> None:
    free = {"mode": "hard", "scorer": Colours(), "guards": "off", "margin": 0, "device": "cpu", "evaluations": 150}
    steps: list[nuli.Event] = []
    result = nuli.enhance(photo, progress=steps.append, **free, **amounts)
    shown = [result, *result.others]
    # what is told is what is seen, best first
    assert [one.score for one in result.others] == sorted((one.score for one in result.others), reverse=True)
    assert result.score_after >= max((one.score for one in result.others), default=0) - 0.02
    assert nuli.score([one.image for one in shown], Colours()) == pytest.approx(
        [result.score_after, *(one.score for one in result.others)], abs=0.1
    )
    assert len(result.contributions) == len(result.recipe)
    assert steps[-1].best_score == pytest.approx(result.trace[-1][2])
    assert result.trace[-1][2] == pytest.approx(result.score_after, abs=0.2)
    # an amount bounds the ranges, and a second step of an op is no way around it
    bounds, found = Amounts(**amounts), [one.recipe for one in shown]
    for recipe in [*found, *(recipe for recipe, _ in result.search.nodes), *(one.recipe for one in steps)]:
        few = [step for step in recipe.steps if bounds.of(get_op(step.op).group) < 1]
        assert len({step.op for step in few}) == len(few)
        for step in few:
            op = get_op(step.op)
            ranges = op.ranges("hard", bounds.of(op.group))
            assert all(a - 1e-4 <= v <= b + 1e-4 for v, (a, b) in zip(step.values, ranges, strict=True))


def test_soft_mode_applies_a_part_of_the_same_correction(dull: Image.Image) -> None:
    whole, half = (nuli.enhance(dull, scorer="vivid", others=0, strength=s, **QUICK) for s in (1, 0.5))
    assert half.search.nodes == whole.search.nodes
    assert 0.3 * whole.distance < half.distance < 0.7 * whole.distance


@pytest.mark.parametrize("mode,lock", [("soft", "saturation,contrast"), ("soft", "colour"), ("hard", "art, light")])
@pytest.mark.parametrize("seed", [0, 1])
def test_locks_hold(dull: Image.Image, mode: str, lock: str, seed: int) -> None:
    free = nuli.enhance(dull, mode=mode, scorer="vivid", guards="off", device="cpu", evaluations=200, seed=seed)
    held = nuli.enhance(
        dull, mode=mode, scorer="vivid", guards="off", device="cpu", evaluations=200, seed=seed, lock=lock
    )
    locked = lock.replace(",", " ").split()

    def touches(recipe: Recipe) -> bool:
        return any(step.op in locked or get_op(step.op).group in locked for step in recipe.steps)

    assert any(touches(recipe) for recipe, _ in free.search.nodes)
    recipes = [held.recipe, *(other.recipe for other in held.others)]
    recipes += [recipe for recipe, _ in held.search.nodes]
    assert held.changed and not any(touches(recipe) for recipe in recipes)


def test_a_lock_goes_before_what_is_chosen() -> None:
    assert [op.name for op in select_ops("soft", "saturation,vibrance", "saturation")] == ["vibrance"]
    assert {op.group for op in select_ops("hard", lock="art,detail")} == {"light", "colour"}
    with pytest.raises(OptionError, match="leaves nothing"):
        select_ops("soft", "light", "light")
    with pytest.raises(OptionError, match="neither a group"):
        select_ops("soft", lock="brightness-ish")


def test_soft_mode_has_a_gentler_and_a_bolder_version(dull: Image.Image) -> None:
    result = nuli.enhance(dull, device="cpu", seed=0)
    gentle, bolder = result.others
    assert (gentle.direction, bolder.direction) == ("gentle", "bolder")
    assert gentle.recipe == result.recipe.scaled(0.5) and bolder.recipe == result.recipe.scaled(1.5)
    assert gentle.distance < result.distance < bolder.distance
    frame = nuli.score([gentle.image, bolder.image], scorer="vivid")
    assert len({*frame, *nuli.score(result.image, scorer="vivid")}) == 3
    # the best is the same without them, and the budget is kept with them
    alone = nuli.enhance(dull, device="cpu", seed=0, others=0)
    assert alone.recipe == result.recipe and not alone.others
    assert nuli.enhance(dull, **QUICK).evaluations <= QUICK["evaluations"]


class Distance:
    """Likes to be near to one picture: more of the correction than it takes is worse than none."""

    name, licence, input_size, view_mode = "distance", "", 224, "whole"
    differentiable, has_target, score_range = True, False, (-0.2, 0.0)

    def __init__(self, target: torch.Tensor) -> None:
        self.target = target

    def bind(self, original: torch.Tensor):
        return lambda views: -(views - self.target).square().mean((1, 2, 3)).sqrt()


def test_where_bolder_is_worse_than_nothing_another_reading_takes_its_place(photo: Image.Image) -> None:
    from nuli.imaging.frames import make_frame

    target = Recipe.from_line("nuli1 exposure=0.9 saturation=0.2").apply(photo, device="cpu")
    scorer = Distance(make_frame(np.array(target), None))
    # at one and a half times its strength the target itself is further off than the picture is
    far = Recipe.from_line("nuli1 exposure=0.3").apply(photo, device="cpu")
    result = nuli.enhance(far, scorer=scorer, guards="off", device="cpu", evaluations=400, seed=0)
    names = [other.direction for other in result.others]
    assert names[0] == "gentle" and names[1] in ("bolder", "another reading")
    if names[1] == "another reading":
        assert [s.op for s in result.others[1].recipe.steps] != [s.op for s in result.recipe.steps]


@pytest.mark.parametrize(("most", "expected"), [(0.4, ["gentle", "bolder"]), (0.2, ["gentle"])])
def test_a_bolder_version_keeps_within_the_limits(dull: Image.Image, most: float, expected: list[str]) -> None:
    search = Search(load_photo(dull), Options(device="cpu"), Vivid(), lambda: False)
    recipe, good = Recipe.from_line("nuli1 exposure=0.2"), Evaluation(search.before.score + 1, 0.0)
    found = versions(search, recipe, recipe, lambda _: good, lambda one: one.steps[0].values[0] <= most, 2)
    assert [name for *_, name in found] == expected


def test_presets_that_come_with_it_are_complete_and_known() -> None:
    names = {"natural", "portrait", "landscape", "night", "washed-out generation", "artistic"}
    assert names <= set(presets())
    for one in presets().values():
        assert one.help and not one.own and set(one.values) <= set(vars(Options()))
        options = options_from({"preset": one.name})
        assert all(getattr(options, name) == value for name, value in one.values.items())
        select_ops(options.mode, options.ops, options.lock)


def test_what_is_given_goes_before_the_preset(dull: Image.Image) -> None:
    options = options_from({"preset": "portrait", "detail": 1, "guards": "normal"})
    assert (options.detail, options.guards, options.lock) == (1, "normal", "equalize,blur")
    by_name = nuli.enhance(dull, preset="artistic", **QUICK)
    assert by_name.recipe == nuli.enhance(dull, mode="hard", **QUICK).recipe


@given(
    st.builds(
        Options,
        mode=st.sampled_from(["soft", "hard"]),
        seconds=st.none() | st.floats(0.125, 3600).map(lambda v: float(f"{v:.6g}")),
        strength=st.floats(0, 1.5).map(lambda v: float(f"{v:.6g}")),
        lock=st.sampled_from(["", "saturation", "light, hue"]),
        seed=st.integers(0, 2**32 - 1),
    )
)
def test_a_saved_preset_reads_back(options: Options) -> None:
    save_preset("my  own", options, "a line\nabout it")
    assert presets()["my own"].help == "a line about it" and presets()["my own"].own
    assert options_from({"preset": "my own"}) == options


def test_saving_a_preset_keeps_the_others_and_a_broken_file(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets", "save", "first", "--mode", "hard", "--about", "loud"]) == 0
    assert main(["presets", "save", "natural", "--strength", "0.4"]) == 0
    assert presets()["first"].values["mode"] == "hard"
    assert presets()["natural"].own and options_from({"preset": "natural"}).guards == "normal"
    capsys.readouterr()
    assert main(["presets"]) == 0
    told = capsys.readouterr().out
    assert "first: loud; mode hard" in told and str(own_file()) in told
    own_file().write_text("[first]\nmode = medium\n")
    assert main(["presets", "save", "second"]) == 2
    assert "choose soft, hard" in capsys.readouterr().err and "medium" in own_file().read_text()
    own_file().write_text("no section at all\n")
    assert main(["enhance", "x.jpg", "--preset", "natural"]) == 2


def test_a_file_of_presets_keeps_what_a_person_wrote(own: Path) -> None:
    own_file().parent.mkdir()
    own_file().write_text("\ufeff; mine\n[first]\nmode = hard\n\n; for cats\n[second]\nseed = 3\n", "utf-8")
    save_preset("first", Options(strength=0.5, neutral="0.5,0.5", prompt="a\n[cat]", scorer="x\n[y]"))
    assert own_file().read_text("utf-8").startswith("; mine\n\n; for cats\n[second]\nseed = 3\n\n[first]\nmode")
    assert dict(presets()["second"].values) == {"seed": 3}
    # nothing of one picture, and no section out of a value
    assert dict(presets()["first"].values) == {"mode": "soft", "strength": 0.5, "scorer": "x [y]"}
    for name in ("none", "DEFAULT", "a]b", " "):
        with pytest.raises(OptionError, match="needs a name"):
            save_preset(name, Options())


def test_steps_are_copied_measured_again_or_frozen(
    own: Path, dull: Image.Image, photo_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = own / "dull.png"
    dull.save(source)
    assert main(["enhance", str(source), "--save-recipe", "--device", "cpu"]) == 0
    sidecar = own / "dull-nuli.png.json"
    look = Look.from_json(sidecar.read_text())
    assert look.recipe == Recipe.parse(sidecar.read_text()) and len(look.recipe)
    measuring = [i for i, step in enumerate(look.recipe.steps) if get_op(step.op).statistics]
    assert [i for i, stats in enumerate(look.statistics) if stats is not None] == measuring
    # frozen on its own picture is the very result; on another it goes by what was measured there
    with Image.open(own / "dull-nuli.png") as made:
        assert np.array_equal(np.array(look.apply(source)), np.array(made))
    for name, more in (("again", []), ("frozen", ["--frozen"])):
        assert main(["apply", str(sidecar), str(photo_path), "-o", str(own / f"{name}.png"), *more]) == 0
    pictures = [np.array(Image.open(own / f"{name}.png")) for name in ("again", "frozen")]
    assert np.array_equal(pictures[0], np.array(look.recipe.apply(photo_path, device="cpu")))
    assert np.array_equal(pictures[1], np.array(look.apply(photo_path, device="cpu")))
    if measuring:
        assert not np.array_equal(*pictures)


def test_only_chosen_steps_are_copied() -> None:
    look = Look(MIXED, None)
    assert look.only("1, saturation").recipe == Recipe(MIXED.steps[:2])
    assert [s.op for s in look.only("colour").recipe.steps] == ["saturation", "temperature"]
    frozen = Look(Recipe((Step("auto_level", (0.5, 0.0)), *MIXED.steps)), (((0.1, 0.9),) * 4, *(None,) * 4))
    assert frozen.only("1").statistics == (((0.1, 0.9),) * 4,)
    assert frozen.scaled(Amounts(light=0)).statistics == (None,) * 3
    assert Look.from_json(json.dumps(frozen.to_dict())) != look
    for nothing in ("5", "hue", "", "art", "1,9"):
        with pytest.raises(RecipeError, match="step"):
            look.only(nothing)


def test_every_op_has_an_amount() -> None:
    amounts = Amounts(0.5, 0.5, 1.5, 1.0)
    assert {op.group: amounts.of(op.group) for op in OPS.values()} == {
        "light": 0.25,
        "colour": 0.75,
        "detail": 0.5,
        "art": 0.5,
    }


def test_masks_and_references_of_files(own: Path, dull: Image.Image, capsys: pytest.CaptureFixture[str]) -> None:
    photos, masks, out = own / "photos", own / "masks", own / "out"
    photos.mkdir(), masks.mkdir()
    for name in ("one", "two"):
        dull.save(photos / f"{name}.png")
        left = Image.new("L", dull.size, 0)
        left.paste(255, (0, 0, dull.width // (2 if name == "one" else 4), dull.height))
        left.save(masks / f"{name}.png")
    run = ["enhance", str(photos), "-o", str(out), "--device", "cpu", "--jobs", "1", "--feather", "0"]
    assert main([*run, "--mask", str(masks)]) == 0
    before = np.array(dull)
    for name, edge in (("one", dull.width // 2), ("two", dull.width // 4)):
        after = np.array(Image.open(out / f"{name}.png"))
        assert np.array_equal(after[:, edge:], before[:, edge:])
        assert not np.array_equal(after[:, :edge], before[:, :edge])
    painted = Inputs(str(masks)).signature
    Image.new("L", dull.size, 255).save(masks / "two.png", compress_level=0)
    assert Inputs(str(masks)).signature != painted != Inputs("alpha").signature
    (masks / "two.png").unlink()
    capsys.readouterr()
    assert main([*run, "--mask", str(masks), "--redo"]) == 1
    assert "no mask for two.png" in capsys.readouterr().err
    # the same steps elsewhere, through the other's mask
    assert main(["apply", "nuli1 exposure=0.4", str(photos / "two.png"), "-o", str(own / "a.png"),
                 "--mask", str(masks / "one.png"), "--feather", "0"]) == 0  # fmt: skip
    after = np.array(Image.open(own / "a.png"))
    assert np.array_equal(after[:, dull.width // 2 :], before[:, dull.width // 2 :])
    assert (after[:, : dull.width // 2] > before[:, : dull.width // 2]).mean() > 0.9


def test_a_reference_in_place_of_a_scorer(own: Path, dull: Image.Image, photo: Image.Image) -> None:
    dull.save(own / "dull.png"), photo.save(own / "photo.png")
    run = ["enhance", str(own / "dull.png"), "--device", "cpu", "--match", str(own / "photo.png")]
    assert main([*run, "-o", str(own / "made.png")]) == 0
    far, near = (
        np.abs(np.array(im, float) - np.array(photo, float)).mean() for im in (dull, Image.open(own / "made.png"))
    )
    assert near < 0.3 * far
    assert main([*run, "-o", str(own / "x.png"), "--scorer", "vivid"]) == 2
    assert main([*run[:-1], str(own / "nowhere.png")]) == 2
    # as a result's infotext calls it, and in a folder, whose journal tells settings apart
    both = [*run[:2], str(own / "photo.png"), *run[2:]]
    assert main([*both, "-o", str(own / "all"), "--scorer", "match", "--jobs", "1"]) == 0


def test_a_lut_by_path_goes_on_by_its_content(own: Path, dull: Image.Image, capsys: pytest.CaptureFixture[str]) -> None:
    dull.save(own / "dull.png")
    rows = [f"{r} {g * 0.9} {b * 0.8}" for b in (0, 1) for g in (0, 1) for r in (0, 1)]
    (own / "warm.cube").write_text("\n".join(["LUT_3D_SIZE 2", *rows]))
    assert (
        main(["enhance", str(own / "dull.png"), "--device", "cpu", "--lut", f"{own / 'warm.cube'}=0.5", "--json"]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert str(own) not in told["infotext"] and "lut@warm-" in told["infotext"]
    assert main(["apply", told["infotext"], str(own / "dull.png"), "-o", str(own / "again.png")]) == 0
    assert np.array_equal(np.array(Image.open(own / "again.png")), np.array(Image.open(own / "dull-nuli.png")))
