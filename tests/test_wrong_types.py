"""Arguments of other types than a function takes: a NuliError says so, whatever they are."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import nuli
from nuli.errors import ImageError, OptionError

SMALL = (np.random.default_rng(0).random((24, 32, 3)) * 255).astype(np.uint8)
QUICK = {"evaluations": 3, "device": "cpu", "scorer": "vivid"}
ODD: tuple[Any, ...] = (5, -3, 1.5, b"x", "x", "", [], ["x"], [5], {}, {"a": 1}, object(), Path("no/such"), True)
ODD += (float("nan"), 10**400, np.zeros(3), np.zeros((2, 2, 2, 2)), SimpleNamespace(), type, lambda: None, iter([5]))


def tried(call: Callable[[], Any], value: Any) -> None:
    """What a call returns, or a NuliError in one line."""
    try:
        call()
    except nuli.NuliError as error:
        assert str(error) and "\n" not in str(error) and len(str(error)) < 1000
    except Exception as error:
        raise AssertionError(f"{value!r}: {type(error).__name__}: {error}") from error


ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "enhance": lambda value: nuli.enhance(value, **QUICK),
    "enhance_iter": lambda value: list(nuli.enhance_iter(value, **QUICK)),
    "score": lambda value: nuli.score(value, **{**QUICK, "evaluations": None}),
    "enhance_together": lambda value: nuli.enhance_together(value, **QUICK),
    "steady_light": lambda value: nuli.steady_light(value),
    "steady_light jobs": lambda value: nuli.steady_light([SMALL], value),
    "steady_light progress": lambda value: nuli.steady_light([], progress=value),
    "score scorer": lambda value: nuli.score(SMALL, value),
    "together match": lambda value: nuli.enhance_together([SMALL], evaluations=3, match=value),
    "recipe": lambda value: nuli.Recipe(value),
    "recipe parse": lambda value: nuli.Recipe.parse(value),
    "recipe json": lambda value: nuli.Recipe.from_json(value),
    "recipe line": lambda value: nuli.Recipe.from_line(value),
    "recipe dict": lambda value: nuli.Recipe.from_dict(value),
    "recipe apply": lambda value: nuli.Recipe().apply(value),
    "recipe scaled": lambda value: nuli.Recipe.from_line("nuli1 contrast=1.2").scaled(value),
    "recipe then": lambda value: nuli.Recipe().then(value),
    "step op": lambda value: nuli.Step(value, (1.0,)),
    "step values": lambda value: nuli.Step("contrast", value),
    "look json": lambda value: nuli.Look.from_json(value),
    "look dict": lambda value: nuli.Look.from_dict(value),
    "look apply": lambda value: nuli.Look(nuli.Recipe()).apply(value),
    "search json": lambda value: nuli.SavedSearch.from_json(value),
}
for name in ("options", "scorer", "folders", "stop", "others", "known", "mask", "match", "seed", "mode", "preset"):
    ARGUMENTS[f"enhance {name}"] = lambda value, name=name: nuli.enhance(
        SMALL, **{"evaluations": 3, "device": "cpu", name: value}
    )
for name in ("options", "folders"):
    ARGUMENTS[f"score {name}"] = lambda value, name=name: nuli.score(SMALL, **{name: value})
    ARGUMENTS[f"together {name}"] = lambda value, name=name: nuli.enhance_together([SMALL], **{name: value})
for name in ("stop", "progress", "scorer"):
    ARGUMENTS[f"together {name}"] = lambda value, name=name: nuli.enhance_together(
        [SMALL], **{"evaluations": 3, "device": "cpu", name: value}
    )


@pytest.mark.parametrize("argument", ARGUMENTS)
def test_values_of_other_types_are_refused(argument: str) -> None:
    harmless = argument.endswith(("stop", "progress"))  # any function will do, and is their own
    for value in (None, *ODD):
        if not (harmless and callable(value)) and not isinstance(value, type(iter([]))):
            tried(lambda value=value: ARGUMENTS[argument](value), value)


def test_a_files_bytes_are_one_picture(photo: Image.Image) -> None:
    photo.save(file := io.BytesIO(), "PNG")
    data, options = file.getvalue(), {"scorer": "vivid", "device": "cpu"}
    assert nuli.score(data, **options) == nuli.score(photo, **options) == nuli.score((p for p in [photo]), **options)
    assert nuli.enhance_together(data, evaluations=3, **options).pictures == 1
    for nothing in (None, 5):
        with pytest.raises(ImageError, match="pass a list of pictures"):
            nuli.score(nothing)


class Whole:
    name, licence, input_size, differentiable, score_range = "mine", "", 32, False, (0.0, 1.0)

    def bind(self, original: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
        return lambda views: views.mean((1, 2, 3))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, None) for name in ("name", "input_size", "score_range", "bind")),
        *(("name", 5), ("input_size", "large"), ("input_size", 0), ("score_range", (1.0, 1.0)), ("score_range", 5)),
        *(("bind", 5), ("view_mode", "all")),
    ],
)
def test_what_a_scorer_lacks_is_told(name: str, value: Any) -> None:
    assert nuli.score(SMALL, Whole()) and nuli.enhance(SMALL, scorer=Whole(), evaluations=3).scorer == "mine"
    lacking = type("Lacking", (Whole,), {name: value})()
    for call in (
        lambda: nuli.score(SMALL, lacking),
        lambda: nuli.enhance(SMALL, scorer=lacking),
        lambda: nuli.enhance_together([SMALL], scorer=lacking),
    ):
        with pytest.raises(OptionError, match=name):
            call()


@pytest.mark.parametrize("value", [5, b"tone", object(), Whole, ["tone"]])
def test_what_is_no_scorer_is_told(value: Any) -> None:
    with pytest.raises(OptionError, match="a scorer is a name"):
        nuli.enhance(SMALL, scorer=value)


@pytest.mark.parametrize("value", ["x", -3, 1.5, True, None])
def test_others_is_a_count(value: Any) -> None:
    with pytest.raises(OptionError, match="others must be"):
        nuli.enhance(SMALL, others=value)
