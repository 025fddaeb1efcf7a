"""Recipes, looks, infotexts, saved searches, presets and LUTs as strangers might write them."""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

from nuli import infotext
from nuli.checkpoint import MAX_NODES, SavedSearch
from nuli.errors import NuliError
from nuli.imaging.photo import load_photo
from nuli.look import Look
from nuli.ops.cube import MOST_3D, read_cube
from nuli.ops.lut_files import resolve
from nuli.ops.neutral import parse_place
from nuli.ops.registry import OPS, get_op, measure_statistics, select_ops
from nuli.options import Options, options_from, table
from nuli.presets import presets
from nuli.recipe import MAX_STEPS, Recipe

from .tally import Tally

_PIXELS = np.random.default_rng(0).random((12, 16, 3), np.float32)
_ODD_WORDS = (
    *(
        "nan",
        "inf",
        "-inf",
        "1e400",
        "-0",
        "1e-400",
        "9" * 5000,
        "0x10",
        "1_0",
        "½",
        "٣",
        "\0",
        "\ud800",
        "null",
        "true",
    ),
    *(
        "{",
        "}",
        "[",
        "]",
        '"',
        "\\",
        "\n",
        "\r",
        "\u2028",
        " ",
        "=",
        "/",
        ",",
        ":",
        "nuli1",
        "nuli999999999",
        "lut@a-00",
    ),
    *("[" * 3000, '{"a":' * 3000, "x" * 30_000, "contrast=1.1 " * 2000, "../../etc/passwd", "%s%n", "{0.__class__}"),
)
_ODD_VALUES = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1e308,
        -1e308,
        float("nan"),
        float("inf"),
        10**30,
        10**400,
        "",
        "1",
        [],
        {},
        [[]],
        "x" * 999,
    ),
    *([0] * 999, {"op": "contrast"}, {"nuli": 1}, [1.0, "a"], [[1, 2], [3]], "\ud800"),
)


def fuzzed_texts(rng: random.Random, deadline: float, tries: int = 20_000) -> Tally:
    """Read right and damaged texts of every kind: each is refused in one line, or what it says is finite, within its
    bounds, and reads back the same."""
    tally = Tally("recipes, infotexts")
    readers: tuple[Callable[[random.Random], object], ...] = (
        *(_recipe, _recipe, _look, _search, _infotext, _options, _cube, _presets),
    )
    with tempfile.TemporaryDirectory(prefix="nuli-torture-") as place, patch.dict(os.environ, NULI_CONFIG=place):
        for _ in range(tries):
            if time.monotonic() > deadline:
                break
            with tally.one(NuliError):
                rng.choice(readers)(rng)
    return tally


def _step(rng: random.Random) -> dict[str, Any]:
    op = rng.choice(list(OPS.values()))
    ends = [(param.name, param.limits) for param in op.params]
    return {"op": op.name, **{name: round(rng.uniform(*limits), 4) for name, limits in ends}}


def _data(rng: random.Random) -> dict[str, Any]:
    """A right recipe."""
    return {"nuli": 1, "steps": [_step(rng) for _ in range(rng.choice((0, 1, 2, 5, MAX_STEPS)))]}


def _line(rng: random.Random) -> str:
    return Recipe.from_dict(_data(rng)).to_line()


def _bent(rng: random.Random, data: Any) -> Any:
    """JSON with one of its values, at any depth, changed, dropped, renamed or doubled."""
    if rng.random() < 0.2 or not isinstance(data, (dict, list)) or not data:
        return rng.choice((*_ODD_VALUES, data))
    if isinstance(data, list):
        at = rng.randrange(len(data))
        return [*data[:at], *rng.choice(([_bent(rng, data[at])], [], [data[at]] * 70)), *data[at + 1 :]]
    name = rng.choice(list(data))
    rest = {key: value for key, value in data.items() if key != name}
    return rng.choice(({**rest, name: _bent(rng, data[name])}, rest, {**rest, name + "s": data[name]}))


def _damaged(rng: random.Random, text: str) -> str:
    """A text with up to three odd words in it, or without a part."""
    for _ in range(rng.choice((0, 1, 1, 2, 3))):
        place = rng.randrange(len(text) + 1)
        text = rng.choice((text[:place], text[:place] + rng.choice(_ODD_WORDS))) + text[place + rng.randint(0, 5) :]
    return text


def _written(rng: random.Random, data: Any) -> str:
    """JSON as text, sometimes bent, sometimes damaged."""
    for _ in range(rng.choice((0, 1, 1, 2))):
        data = _bent(rng, data)
    try:
        text = json.dumps(data)
    except ValueError:  # a number too long to be written
        text = "1" * 5000
    return _damaged(rng, text) if rng.random() < 0.4 else text


def _recipe(rng: random.Random) -> None:
    text = _damaged(rng, _line(rng)) if rng.random() < 0.5 else _written(rng, _data(rng))
    _check(Recipe.parse(text), rng)


def _check(recipe: Recipe, rng: random.Random) -> None:
    """A recipe that was read is within its bounds, reads back the same, and makes a picture."""
    assert len(recipe) <= MAX_STEPS
    for step in recipe.steps:
        for param, value in zip(get_op(step.op).params, step.values, strict=True):
            assert np.isfinite(value) and param.limits[0] <= value <= param.limits[1]
    assert Recipe.from_line(recipe.to_line()) == recipe == Recipe.from_json(recipe.to_json())
    if rng.random() < 0.05:
        assert np.asarray(recipe.apply(_PIXELS, "cpu")).shape[:2] == _PIXELS.shape[:2]


def _look(rng: random.Random) -> None:
    recipe = Recipe.from_dict(_data(rng))
    frame = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(rng.randrange(100)))
    statistics = [measure_statistics(get_op(step.op), frame) for step in recipe.steps]
    data = {"recipe": recipe.to_dict(), "statistics": [None if s is None else s[0].tolist() for s in statistics]}
    if rng.random() < 0.3:  # right in shape, and odd in size
        data["statistics"] = [_other(rng, stats) for stats in data["statistics"]]
    look = Look.from_json(rng.choice(("", " ", "\u2003")) + _written(rng, data))
    _check(look.recipe, rng)
    assert look.statistics is not None and len(look.statistics) == len(look.recipe)
    if rng.random() < 0.2:
        made = np.asarray(look.rows(load_photo(_PIXELS), "cpu"))
        assert made.shape == _PIXELS.shape
        _check_finite(look)


def _check_finite(look: Look) -> None:
    """Pixels of 8 or 16 bits can't tell."""
    from nuli.ops.pipeline import apply_steps
    from nuli.ops.registry import Scale

    stats = [None if s is None else torch.tensor(s, dtype=torch.float32)[None] for s in look.statistics or ()]
    made = apply_steps(torch.from_numpy(_PIXELS).permute(2, 0, 1)[None], look.recipe.steps, stats, Scale(12, 12))
    assert torch.isfinite(made).all(), f"{look.to_dict()} gives no finite pixels"


def _other(rng: random.Random, stats: Any) -> Any:
    """Statistics of the same shape."""
    if isinstance(stats, list):
        return [_other(rng, value) for value in stats]
    return None if stats is None else rng.choice((stats, 0.0, -1.0, 1.0, 1e-30, 1e30, -1e30, 3e38, rng.gauss(0, 10)))


def _search(rng: random.Random) -> None:
    nodes = [
        [_line(rng), rng.gauss(0, 5)] for _ in range(rng.choice((0, 1, 3, MAX_NODES + 1 if rng.random() < 0.02 else 4)))
    ]
    data = {
        **{"nuli_search": 1, "scorer": "vivid", "mode": "soft", "guards": "normal", "picture": "0a" * 32},
        **{"evaluations": 30, "recipe": _line(rng), "nodes": nodes},
    }
    saved = SavedSearch.from_json(_written(rng, data))
    assert len(saved.nodes) <= MAX_NODES and all(np.isfinite(objective) for _, objective in saved.nodes)
    assert SavedSearch.from_json(saved.to_json()) == saved


def _infotext(rng: random.Random) -> None:
    """Pasted parameters: what a host reads out of a picture's text."""
    params: dict[str, Any] = {
        key: rng.choice((*_ODD_WORDS, "0.5", "soft", "3")) for key in infotext.KEYS if rng.random() < 0.3
    }
    params[infotext.RECIPE] = _damaged(rng, _line(rng))
    if rng.random() < 0.3:
        params[rng.choice(infotext.KEYS)] = rng.choice(_ODD_VALUES)
    assert isinstance(infotext.to_text({key: str(value) for key, value in params.items()}), str)
    names = [row.name for row in infotext.WRITTEN]
    values = {name: value for name in names if (value := infotext.option(params, name)) is not None}
    assert isinstance(infotext.had("mask", params), (bool, type(None)))
    _check_options(options_from(values))
    _check(Recipe.parse(infotext.recipe(params)), rng)


def _options(rng: random.Random) -> None:
    names = [*(row.name for row in table()), "preset", "nothing"]
    values = {name: rng.choice((*_ODD_VALUES, *_ODD_WORDS, "light,-grain", "0.5")) for name in rng.sample(names, 2)}
    _check_options(options_from(values))


def _check_options(options: Options) -> None:
    """Numbers are within their bounds; texts that hold more are refused, or taken apart."""
    for row in table():
        value = getattr(options, row.name)
        if row.kind is not str and value is not None:
            assert row.minimum <= value <= row.maximum
    assert select_ops(options.mode, options.ops, options.lock)
    resolve(options.lut, allow_paths=False)
    if options.neutral:
        parse_place(options.neutral)


def _cube(rng: random.Random) -> None:
    size, keyword = rng.choice(((2, "LUT_3D_SIZE"), (3, "LUT_3D_SIZE"), (9, "LUT_1D_SIZE")))
    count = size if "1D" in keyword else size**3
    ends = [f"DOMAIN_MIN {rng.choice((0, -1, 1e6, 'nan'))} 0 0", f"DOMAIN_MAX 1 {rng.choice((1, 0, 1e6, 1e30))} 1"]
    rows = [" ".join(f"{rng.choice((rng.random(), 1e6, -1e6))}" for _ in range(3)) for _ in range(count)]
    lines = [f"{keyword} {rng.choice((size, size, size, 1e9, MOST_3D + 1, -1))}", *rng.choice(([], ends)), *rows]
    cube = read_cube(_damaged(rng, "\n".join(lines)).encode("utf-8", "replace"))
    assert torch.isfinite(cube.apply(torch.rand(1, 3, 4, 4))).all()


def _presets(rng: random.Random) -> None:
    names = [row.name for row in table()] + ["help", "preset", "PRESET", "nothing"]
    lines = [f"[{rng.choice(('a', 'b', 'vivid', 'DEFAULT', '', ' '))}]"]
    lines += [f"{rng.choice(names)} {rng.choice('==:')} {rng.choice((*_ODD_WORDS, 'soft', '1'))}" for _ in range(2)]
    path = Path(os.environ["NULI_CONFIG"], "presets.ini")
    path.write_bytes(_damaged(rng, "\n".join(lines) + "\n").encode("utf-8", rng.choice(("replace", "surrogatepass"))))
    for one in presets().values():
        _check_options(options_from(one.values))
