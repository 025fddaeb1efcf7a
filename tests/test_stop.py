"""The user's stop: whenever it comes, the end comes soon after, and nothing that was found is lost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

import nuli
from nuli.search import finish as finish_module
from nuli.search.budget import GRACE, Budget


@pytest.fixture(scope="module")
def large(photo: Image.Image) -> Image.Image:
    """A dull picture that is reduced for predictions, and takes a while to render."""
    dull = nuli.Recipe.parse("nuli1 contrast=0.6 saturation=0.6 exposure=-0.6").apply(photo, device="cpu")
    return dull.resize((3000, 3000 * dull.height // dull.width))


@pytest.mark.parametrize("mode", ["soft", "hard"])
@pytest.mark.parametrize("moment", ["searching", "predicting", "rendering"])
def test_the_end_comes_soon_after_a_stop(
    large: Image.Image, mode: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, late, passes = False, [], []
    original = finish_module.render_rows

    def spy(photo: Any, *arguments: Any, **more: Any) -> Any:
        nonlocal ended
        full = photo.pixels.shape[1] == large.width
        if ended:
            late.append(full)
        if moment == ("rendering" if full else "predicting"):
            ended = True
        return original(photo, *arguments, **more)

    def stop() -> bool:
        passes.append(ended)
        return ended

    monkeypatch.setattr(finish_module, "render_rows", spy)
    options = {"mode": mode, "evaluations": 60, "device": "cpu", "margin": 0}
    for item in nuli.enhance_iter(large, stop=stop, **options):
        if isinstance(item, nuli.Event) and moment == "searching" and item.best_score > item.score_before:
            ended = True
    assert not late and ended  # nothing large was begun after it
    assert item.changed and item._image is None and item.opinion is None
    assert item.score_after == item.score_predicted > item.score_before
    # the picture is there when somebody asks for it, as the recipe says
    assert np.array_equal(np.asarray(item.image), np.asarray(item.recipe.apply(large, device="cpu")))
    assert np.array_equal(item.pixels, np.asarray(item.image))
    [score] = nuli.score(item.image, item.scorer)
    assert item.search.nodes and score > nuli.score(large, item.scorer)[0]


def test_a_stopped_result_is_saved_whole(large: Image.Image, tmp_path: Any) -> None:
    seen: list[nuli.Event] = []
    result = nuli.enhance(large, progress=seen.append, stop=lambda: len(seen) > 3, mode="hard", device="cpu", margin=0)
    assert result.changed and result._image is None and len(result.others) > 0
    with Image.open(result.save(tmp_path / "it.png")) as saved:
        assert np.array_equal(np.asarray(saved), result.pixels)


def test_evaluations_after_a_stop_are_few_where_each_takes_long() -> None:
    ended = False
    budget = Budget(None, None, lambda: ended)
    budget.begin(lambda: 2)
    budget._start -= 1  # the one evaluation since took a second
    assert budget.affordable > 1e9
    ended = True
    assert budget.affordable == int(GRACE / 1) == 0
    ended = False
    assert budget.stopped  # once and for all
