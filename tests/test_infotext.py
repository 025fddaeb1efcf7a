"""What is written into pictures reads back, by the rules of the WebUIs that people paste it into."""

from __future__ import annotations

import ast
import base64
import io
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from nuli import Recipe, infotext
from nuli.imaging.photo import load_photo
from nuli.options import options_from

RECIPE = Recipe.from_line("nuli1 contrast=1.12 gamma=0.9/1")
ODD = {
    "mode": "hard",
    "seconds": 0.25,
    "evaluations": 10_000_000,
    "strength": 1.5,
    "light": 0.25,
    "colour": 1.125,
    "detail": 0.0,
    "lock": "saturation, hue",
    "neutral": "0.5,0.25",
    "lut": "warm look=0.6",
    "feather": 0.05,
    "ops": "light,colour,-equalize",
    "guards": "strict",
    "realism": "on",
    "max_steps": 32,
    "margin": 1e-05,
    "seed": 2**32 - 1,
    "mirror": "on",
}
VALUES = (
    "light,colour,-equalize",
    "a: b",
    "two\nlines",
    'say "yes"',
    '"quoted"',
    '"',
    "back\\slash",
    'all, of: "it\\" \\n',
    " before and behind ",
    "",
    "größer, 大きい",
    "plain",
)


def small_reader(text: str) -> dict[str, str]:
    """The rule of the hosts: values end at a comma, unless they are JSON in quotes."""
    found = {}
    for key, value in re.findall(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)', text.split("\n")[-1]):
        if value[0] == '"' and value[-1] == '"':
            with suppress(ValueError):
                value = json.loads(value)
        found[key] = value
    return found


def hosts_reader(checkout: Path) -> Callable[[str], dict[str, str]]:
    """A real WebUI's own parse_generation_parameters, to where it has read all pairs of name and value."""
    modules = checkout / "modules"
    if (modules / "infotext.py").is_file():
        pytest.skip("SD.Next reads parameters by a rule of its own, which wants those of a generation before ours")
    tree = ast.parse((modules / "infotext_utils.py").read_text(encoding="utf-8"))
    wanted = {"re_param_code", "re_param", "re_imagesize", "unquote", "parse_generation_parameters"}
    kept = [
        n
        for n in tree.body
        if wanted & {getattr(n, "name", ""), *(getattr(t, "id", "") for t in getattr(n, "targets", ()))}
    ]
    parse = kept[-1]
    [last] = [i for i, n in enumerate(parse.body) if isinstance(n, ast.For) and "re_param" in ast.unparse(n.iter)]
    parse.body[last + 1 :] = ast.parse("return res").body
    no_styles = SimpleNamespace(opts=SimpleNamespace(infotext_styles="Ignore"))
    names: dict[str, Any] = {"re": re, "json": json, "shared": no_styles}
    exec(compile(ast.fix_missing_locations(ast.Module(kept, [])), "infotext_utils.py", "exec"), names)
    return lambda text: names["parse_generation_parameters"](text, [])


@pytest.fixture(params=["small", "real"])
def read(request) -> Callable[[str], dict[str, str]]:
    if request.param == "small":
        return small_reader
    if not os.environ.get("NULI_WEBUI"):
        pytest.skip("NULI_WEBUI names no checkout of a WebUI")
    return hosts_reader(Path(os.environ["NULI_WEBUI"]))


@pytest.mark.parametrize("value", VALUES)
def test_a_value_reads_back(read, value):
    # three entries: a line with fewer is a prompt to the hosts
    found = read(infotext.to_text({"Steps": "3", "Odd": value, "Last one": "end"}))
    assert (found["Odd"], found["Steps"], found["Last one"]) == (value, "3", "end")
    found = read(infotext.to_text({"Steps": "3", "First one": "x", "Odd": value}))
    assert found["Odd"] == value


def test_plain_values_stay_plain():
    assert infotext.to_text({"NUl mode": "hard", "NUl score": "9.912"}) == "NUl mode: hard, NUl score: 9.912"
    assert infotext.to_text(infotext.of_recipe(RECIPE)) == f"NUl recipe: {RECIPE.to_line()}"


def test_all_options_read_back(read):
    options = options_from(ODD)
    written = infotext.entries(RECIPE, options, "a scorer, of: somebody", 4.5, 5.25)
    assert {row.name for row in infotext.WRITTEN} == {*ODD, "scorer"}  # whoever adds an option adds it here
    found = read(infotext.to_text(written))
    assert {key: found[key] for key in written} == written
    again = {name: infotext.option(found, name) for name in ODD}
    assert options_from(again) == options
    assert Recipe.parse(infotext.recipe(found)) == RECIPE


def test_the_apis_pictures_read_back(read):
    from nuli.webui.pictures import encode

    written = infotext.entries(RECIPE, options_from(ODD), "tone", 4.5, 5.25)
    file = io.BytesIO(base64.b64decode(b"".join(encode(Image.new("RGB", (8, 8)), written).pieces)))
    found = read(Image.open(file).info["postprocessing"])
    assert {key: found[key] for key in written} == written


def test_the_tabs_pictures_read_back(read):
    session = pytest.importorskip("nuli.ui.session")
    image = Image.new("RGB", (8, 8))
    image.info["parameters"] = 'a prompt\nSteps: 20, Sampler: Euler, Lora hashes: "a: 1, b: 2"'
    written = infotext.entries(RECIPE, options_from({**ODD, "ops": '"light"'}), "tone", 4.5, 5.25)
    found = read(session.complete_infotext(load_photo(image), written))
    assert {key: found[key] for key in written} == written and found["Lora hashes"] == "a: 1, b: 2"


def test_of_two_recipes_the_last_counts_for_everybody() -> None:
    """A picture that was enhanced twice holds both: what made it what it is now is the second one's."""
    from nuli.comfy.work import _looks

    second = Recipe.from_line("nuli1 saturation=1.1")
    text = f"a cat, NUl recipe: of mine\nSteps: 20, NUl recipe: {RECIPE.to_line()}, NUl recipe: {second.to_line()}, NUl"
    assert infotext.recipe_in(text) == second
    assert [look.recipe for look in _looks(text)] == [second]
    assert infotext.recipe_in(text.replace("nuli1 saturation=1.1", "none")) == RECIPE
