"""LUTs in: .cube files read, applied as Pillow applies them, and named safely in recipes."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from nuli.errors import NuliError, OptionError, RecipeError
from nuli.ops.cube import MAX_BYTES, read_cube
from nuli.ops.lut import to_cube
from nuli.ops.lut_files import lut_op, lut_steps, luts, resolve
from nuli.ops.registry import OPS, get_op
from nuli.ops.step import Step
from nuli.recipe import Recipe

ROWS = "0 0 0\n1 0 0\n0 1 0\n1 1 0\n0 0 1\n1 0 1\n0 1 1\n1 1 1\n"
IDENTITY = f"LUT_3D_SIZE 2\n{ROWS}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of LUTs, empty."""
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path / "config"))
    lut_op.cache_clear()
    (tmp_path / "config" / "luts").mkdir(parents=True)
    return tmp_path / "config" / "luts"


def foreign(size: int) -> tuple[str, list[float]]:
    """A LUT that isn't ours, smooth and strong, as a file and as a list."""
    axis = np.linspace(0, 1, size)
    blue, green, red = np.meshgrid(axis, axis, axis, indexing="ij")
    made = np.stack([red**0.8 * 0.9 + 0.1 * blue, green**1.2, 0.2 + 0.7 * blue * (1 - 0.3 * red)], -1).reshape(-1, 3)
    rows = "\n".join(" ".join(f"{v:.7f}" for v in row) for row in made)
    text = f'# made elsewhere\nTITLE "Foreign: look"\n\nLUT_3D_SIZE {size}\nDOMAIN_MIN 0.0 0.0 0.0\n{rows}\n'
    return text, made.flatten().tolist()


def apart(one: Image.Image, other: Image.Image) -> tuple[float, float]:
    difference = np.abs(np.array(one, float) - np.array(other, float))
    return difference.mean(), difference.max()


@pytest.mark.parametrize("size", [17, 33, 64])
def test_a_foreign_lut_does_what_it_does_in_pillow(photo: Image.Image, folder: Path, size: int) -> None:
    text, table = foreign(size)
    (folder / "film.cube").write_text(text)
    large = photo.resize((900, 600))  # by its colours, and pixel by pixel
    for image in (photo, large):
        made = Recipe(lut_steps("film")).apply(image, "cpu")
        mean, most = apart(made, image.filter(ImageFilter.Color3DLUT(size, table)))
        assert mean < 0.5 and most <= 1


@pytest.mark.parametrize(
    "line",
    [
        "nuli1 temperature=0.1 saturation=1.2 brightness=1.05",
        "nuli1 shadows=0.3 highlights=-0.3 vibrance=0.4",
        "nuli1 exposure=0.3 gamma=0.9/1 tint=-0.05",
    ],
)
def test_what_we_write_pillow_and_we_read_alike(photo: Image.Image, folder: Path, line: str) -> None:
    recipe = Recipe.parse(line)
    text = to_cube(recipe.steps, size=33)
    (folder / "ours.cube").write_text(text)
    table = [float(v) for row in text.splitlines() if row[0].isdigit() for v in row.split()]
    direct = recipe.apply(photo, "cpu")
    for made in (photo.filter(ImageFilter.Color3DLUT(33, table)), Recipe(lut_steps("ours")).apply(photo, "cpu")):
        mean, most = apart(made, direct)
        assert mean < 1 and most <= 3


def test_a_lut_in_a_lut(photo: Image.Image, folder: Path) -> None:
    (folder / "film.cube").write_text(foreign(33)[0])
    recipe = Recipe((*Recipe.parse("nuli1 saturation=1.2").steps, *lut_steps("film=0.5")))
    (folder / "both.cube").write_text(to_cube(recipe.steps, size=33))
    mean, most = apart(Recipe(lut_steps("both")).apply(photo, "cpu"), recipe.apply(photo, "cpu"))
    assert mean < 1 and most <= 3


def test_the_amount_goes_all_the_way(photo: Image.Image, folder: Path) -> None:
    (folder / "film.cube").write_text(foreign(33)[0])
    whole, half = (np.array(Recipe(lut_steps(text)).apply(photo, "cpu"), float) for text in ("film", "film=0.5"))
    assert np.abs(half - (np.array(photo, float) + whole) / 2).max() <= 1
    step = lut_steps("film=0")[0]
    assert step.is_noop and np.array_equal(np.array(Recipe((step,)).apply(photo, "cpu")), np.array(photo))
    assert get_op(step.op).differentiable
    assert Recipe(lut_steps("film=0.5")).scaled(0.5).steps == lut_steps("film=0.25")


def test_curves_and_domains(folder: Path) -> None:
    x = torch.rand(2, 3, 5, 7)
    curves = "\n".join(f"{v**2} {v} {1 - v}" for v in np.linspace(0, 1, 1025))
    made = read_cube(f"LUT_1D_SIZE 1025\n{curves}".encode()).apply(x)
    expected = torch.stack([x[:, 0] ** 2, x[:, 1], 1 - x[:, 2]], 1)
    assert (made - expected).abs().max() < 1e-5
    for domain in ("DOMAIN_MIN 0.25 0.25 0.25\nDOMAIN_MAX 0.75 0.75 0.75", "LUT_3D_INPUT_RANGE 0.25 0.75"):
        made = read_cube(f"{domain}\n{IDENTITY}".encode()).apply(x)
        assert (made - ((x - 0.25) * 2).clamp(0, 1)).abs().max() < 1e-5
    assert (read_cube(IDENTITY.encode()).apply(x) - x).abs().max() < 1e-6
    assert (read_cube(b"\xef\xbb\xbf" + IDENTITY.replace("\n", "\r\n").encode()).apply(x) - x).abs().max() < 1e-6


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "LUT_1D_SIZE and LUT_3D_SIZE"),
        (ROWS, "LUT_1D_SIZE and LUT_3D_SIZE"),
        (f"LUT_1D_SIZE 8\n{IDENTITY}", "LUT_1D_SIZE and LUT_3D_SIZE"),
        (f"LUT_3D_SIZE 3\n{ROWS}", "8 rows of values where its size asks for 27"),
        (f"{IDENTITY}0 0 0", "9 rows"),
        (f"LUT_3D_SIZE 1000000\n{ROWS}", "can't be 1e[+]06"),
        (f"LUT_3D_SIZE 130\n{ROWS}", "2 to 129"),
        (f"LUT_1D_SIZE 65537\n{ROWS}", "2 to 65536"),
        (f"LUT_3D_SIZE 2.5\n{ROWS}", "can't be 2.5"),
        (f"LUT_3D_SIZE two\n{ROWS}", "'two' is not 1 numbers"),
        (f"LUT_3D_SIZE\n{ROWS}", "not 1 numbers"),
        (f"LUT_3D_SIZE 2\n{IDENTITY}", "said twice"),
        (f"DOMAIN_MIN 1 1 1\n{IDENTITY}", "greater"),
        (f"DOMAIN_MAX 1 nan 1\n{IDENTITY}", "not 3 numbers"),
        (f"import os\n{IDENTITY}", "not known"),
        (IDENTITY.replace("1 1 1", "1 1"), "three numbers"),
        (IDENTITY.replace("1 1 1", "1 1 1 1"), "three numbers"),
        (IDENTITY.replace("1 1 1", "1 1 1e9"), "three numbers"),
        (IDENTITY.replace("1 1 1", "1 1 -inf"), "three numbers"),
        (IDENTITY.replace("1 1 1", "1 1 x"), "three numbers"),
        ("\0" * 100, "LUT_1D_SIZE"),
    ],
)
def test_what_is_no_lut_is_refused(text: str, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        read_cube(text.encode())


lines = st.lists(
    st.sampled_from(["LUT_3D_SIZE 2", "LUT_1D_SIZE 2", "0 0 0", "1 1 1", "DOMAIN_MAX 2 2 2", "# x", "TITLE", ""])
    | st.text(max_size=20),
    max_size=14,
)


@given(st.binary(max_size=200) | lines.map(lambda words: "\n".join(words).encode("utf-8", "surrogatepass")))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_file_holds_is_read_or_refused(data: bytes) -> None:
    with suppress(OptionError):
        assert torch.isfinite(read_cube(data).apply(torch.rand(1, 3, 2, 2))).all()


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with open(tmp_path / "huge.cube", "wb") as file:
        file.truncate(MAX_BYTES + 10)
    with pytest.raises(OptionError, match="too large"):
        resolve(str(tmp_path / "huge.cube"), allow_paths=True)


def test_a_path_is_copied_and_then_known_by_name(tmp_path: Path, folder: Path) -> None:
    elsewhere = tmp_path / "My warm = look!.cube"
    elsewhere.write_text(foreign(5)[0])
    name = resolve(f"{elsewhere}=0.6", allow_paths=True)
    full, _, amount = name.partition("=")
    assert amount == "0.6" and full.startswith("My-warm-look--") and [*luts()] == [full]
    assert (folder / f"{full}.cube").read_bytes() == elsewhere.read_bytes()
    elsewhere.unlink()
    assert resolve(name, allow_paths=False) == resolve(f"{full[:-9]}=0.6", allow_paths=False) == name
    assert resolve(f"{full}.cube", allow_paths=False) == resolve(full, True) == full
    with pytest.raises(OptionError, match=r"look!\.cube: there is no such file"):
        resolve(str(elsewhere), allow_paths=True)
    for nonsense in (b"#!/bin/sh\n", b""):
        elsewhere.write_bytes(nonsense)
        with pytest.raises(OptionError, match=r"look!\.cube"):
            resolve(str(elsewhere), allow_paths=True)
    assert len(luts()) == 1


def test_a_file_that_changed_is_not_what_was_copied_of_it(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = []
    for line in ("nuli1 exposure=0.3", "nuli1 exposure=-0.3"):
        Path("warm.cube").write_text(to_cube(Recipe.from_line(line).steps, None, 9))
        names.append(resolve("warm.cube", allow_paths=True))
    assert len({*names}) == 2 and [resolve(name, False) for name in names] == names
    with pytest.raises(OptionError, match=f"several LUTs 'warm'.*{names[1]}"):
        resolve("warm", False)
    (folder / "warm.cube").write_bytes((folder / f"{names[1]}.cube").read_bytes())
    assert resolve("warm", False) == names[1]


def test_a_file_put_there_by_hand_is_named_by_its_content(folder: Path) -> None:
    (folder / "Blue hour.cube").write_text(IDENTITY)
    (folder / "notes.txt").write_text(IDENTITY)
    [name] = luts()
    assert name.startswith("Blue-hour-") and resolve("Blue hour", False) == name
    assert resolve("Blue hour=0.25", False) == f"{name}=0.25"
    recipe = Recipe(lut_steps("Blue hour"))
    (folder / "Blue hour.cube").rename(folder / "Blue-hour.CUBE")  # the content is what counts
    lut_op.cache_clear()
    assert Recipe.parse(recipe.to_line()) == recipe
    (folder / "Blue-hour.CUBE").write_text(foreign(3)[0])
    lut_op.cache_clear()
    with pytest.raises(RecipeError, match="isn't here"):
        Recipe.parse(recipe.to_line())


@pytest.mark.parametrize("text", ["nothing", "=0.5", "../x", "/etc/passwd", "nothing=2", "nothing=nan"])
def test_what_is_not_there_is_told(text: str) -> None:
    with pytest.raises(OptionError, match=r"put its \.cube file there|cannot be"):
        resolve(text, allow_paths=True)


def test_without_leave_no_path_is_looked_at(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "secret.cube").write_text(IDENTITY)
    (folder.parent / "secret.cube").write_text(IDENTITY)
    for text in (str(tmp_path / "secret.cube"), "../secret.cube", "../secret", "~/secret.cube"):
        with pytest.raises(OptionError, match="no LUT"):
            resolve(text, allow_paths=False)
    assert not luts()


def test_recipes_with_luts_are_readable_and_replayable(
    photo: Image.Image, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "film.cube").write_text(foreign(9)[0])
    [step] = lut_steps("film=0.6")
    recipe = Recipe((*Recipe.parse("nuli1 contrast=1.1").steps, step))
    line = recipe.to_line()
    assert line == f"nuli1 contrast=1.1 {step.op}=0.6" and step.op.startswith("lut@film-")
    assert recipe.to_dict()["steps"][1] == {"op": step.op, "amount": 0.6}
    assert recipe.words()[1] == f"{step.op.replace('@', ' ')} 60 %"
    assert not set(line) & set(',:"')
    made = np.array(recipe.apply(photo, "cpu"))
    for again in (Recipe.parse(line), Recipe.from_json(recipe.to_json()), pickle.loads(pickle.dumps(recipe))):
        assert again == recipe and np.array_equal(np.array(again.apply(photo, "cpu")), made)
    lut_op.cache_clear()
    (folder / "film.cube").unlink()
    with pytest.raises(RecipeError, match=r"put its file, film\.cube, into .*luts"):
        Recipe.parse(line)
    monkeypatch.setenv("HOME", str(folder.parent.parent))
    with pytest.raises(RecipeError, match=r"into ~/config/luts"):  # for whoever asks, not who owns it
        Recipe.parse(line)


@pytest.mark.parametrize("name", ["lut@", "lut@../x-12345678", "lut@x", "lut@/etc/passwd", "lut@x-1234567g", "lut"])
def test_other_names_are_no_ops(name: str) -> None:
    with pytest.raises(RecipeError):
        get_op(name)
    for text in (f"nuli1 {name}=0.5", json.dumps({"nuli": 1, "steps": [{"op": name, "amount": 0.5}]})):
        with pytest.raises(RecipeError):
            Recipe.parse(text)


@given(st.text(max_size=30))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_text_breaks_anything(text: str) -> None:
    for use in (lambda: Step(f"lut@{text}", (0.5,)), lambda: resolve(text, False)):
        with suppress(NuliError):
            use()


def test_no_search_proposes_one(folder: Path) -> None:
    (folder / "film.cube").write_text(IDENTITY)
    assert lut_steps("film") and not lut_steps(" ") and not any(name.startswith("lut") for name in OPS)
