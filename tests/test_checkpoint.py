"""A search saved and gone on from: the written form, what it may go on with, that it ends no worse."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import nuli
from nuli.checkpoint import MAX_NODES, SavedSearch, best_of, fingerprint
from nuli.enhancer import enhance, enhance_iter
from nuli.errors import ImageError, NuliError, SearchError
from nuli.imaging.photo import load_photo
from nuli.ops.registry import OPS, get_op
from nuli.ops.step import Step
from nuli.options import Options
from nuli.recipe import Recipe
from nuli.result import Result
from nuli.scoring.vivid import Vivid
from nuli.search.loop import Search, judged_with, untold

CPU = {"device": "cpu", "scorer": "vivid", "guards": "off"}  # so that the score is all that is searched for


@st.composite
def recipes(draw: st.DrawFn) -> Recipe:
    steps = []
    for op in draw(st.lists(st.sampled_from(list(OPS.values())), max_size=6)):
        steps.append(Step(op.name, tuple(draw(st.floats(*param.hard)) for param in op.params)))
    return Recipe(tuple(steps))


saved_searches = st.builds(
    SavedSearch,
    scorer=st.text(min_size=1, max_size=20),
    mode=st.sampled_from(["soft", "hard"]),
    guards=st.sampled_from(["off", "normal", "strict"]),
    picture=st.text("0123456789abcdef", min_size=64, max_size=64),
    evaluations=st.integers(1, 10**9),
    recipe=recipes(),
    nodes=st.lists(st.tuples(recipes(), st.floats(-1e6, 1e6)), max_size=5).map(best_of),
    realism=st.sampled_from([None, "on", "off"]),
    mirror=st.sampled_from([None, "on", "off"]),
)
FIELDS = ["nuli_search", "scorer", "mode", "guards", "picture", "evaluations", "recipe", "nodes"]
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("nuli1 contrast=1.1"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def dull(photo: Image.Image) -> Image.Image:
    return Recipe.parse("nuli1 contrast=0.5").apply(photo, device="cpu")


@pytest.fixture(scope="module")
def first(dull: Image.Image) -> Result:
    return enhance(dull, evaluations=100, **CPU)


@given(saved_searches)
@settings(max_examples=60)
def test_the_written_form_holds_everything(search: SavedSearch) -> None:
    assert SavedSearch.from_json(search.to_json()) == search
    for recipe, objective in search.nodes:  # a line for each, that a person can read
        assert f'["{recipe.to_line()}", {objective!r}' in search.to_json()


@given(
    saved_searches,
    st.sampled_from(["scorer", "mode", "guards", "realism", "mirror", "picture", "evaluations", "recipe", "nodes"]),
    json_values,
)
@settings(max_examples=200)
def test_whatever_a_file_holds_is_read_or_refused(search: SavedSearch, field: str, value: Any) -> None:
    data = json.loads(search.to_json()) | {field: value}
    with suppress(SearchError):
        SavedSearch.from_json(json.dumps(data))


NODE = '[["nuli1 contrast=1.1", 1.0]]'


@pytest.mark.parametrize(
    "nodes",
    [
        '[["nuli1 contrast=1.1", NaN]]',
        '[["nuli1 contrast=1.1", Infinity]]',
        '[["nuli1 contrast=1.1", 1e300]]',
        f'[["nuli1 contrast=1.1", {"9" * 400}]]',
        '[["nuli1 contrast=1.1", true]]',
        '[["nuli1 contrast=1.1", "1"]]',
        '[["nuli1 contrast=99", 1]]',
        '[["nuli1 nonsense=1", 1]]',
        '[["nuli2 contrast=1.1", 1]]',
        f'[["nuli1 {"contrast=1.1 " * 65}", 1]]',
        "[[1, 2]]",
        "[5]",
        "{}",
        "null",
        f"[{', '.join([NODE[1:-1]] * (MAX_NODES + 1))}]",
        "[" * 100_000,
    ],
)
def test_bad_nodes_are_refused(first: Result, nodes: str) -> None:
    head = json.dumps({**json.loads(first.search.to_json()), "nodes": 0})[:-2]
    assert SavedSearch.from_json(f"{head}{NODE}}}")
    with pytest.raises(SearchError):
        SavedSearch.from_json(f"{head}{nodes}}}")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"nuli_search": 2}', b"\xff\xfe\x00", b" " * (5 << 20)])
def test_files_that_are_none_are_refused_by_name(tmp_path: Path, dull: Image.Image, content: bytes) -> None:
    path = tmp_path / "tree.json"
    path.write_bytes(content)
    with pytest.raises(SearchError, match=r"tree\.json"):
        enhance(dull, known=path, **CPU)
    with pytest.raises(SearchError, match=r"none\.json"):
        enhance(dull, known=tmp_path / "none.json", **CPU)


def test_it_goes_on_where_it_ended_and_never_ends_worse(dull: Image.Image, first: Result, tmp_path: Path) -> None:
    first.search.save(tmp_path / "tree.json")
    again = enhance(dull, known=tmp_path / "tree.json", evaluations=30, **CPU)
    assert again.score_after >= first.score_after - 0.01
    # the first thing that was judged, besides the picture itself, was the saved best
    assert again.trace[1][0] <= 3 and again.trace[1][2] >= max(score for _, _, score in first.trace) - 0.01
    assert again.evaluations <= 30
    assert again.search.evaluations == first.evaluations + again.evaluations
    assert any(f"{first.evaluations} evaluations" in note for note in again.notes)
    assert again.search.nodes[0][1] >= first.search.nodes[0][1] - 0.01
    longer = enhance(dull, known=again.search, evaluations=200, **CPU)
    assert longer.score_after >= again.score_after - 0.01


def test_it_asks_other_questions_than_before(dull: Image.Image) -> None:
    class Black(Vivid):
        differentiable = False

    options = {"scorer": Black(), "device": "cpu", "evaluations": 80}
    before = enhance(dull, **options)
    after, same = (enhance(dull, known=before.search, **options) for _ in range(2))
    assert after.search == same.search
    known = {recipe for recipe, _ in before.search.nodes}
    new = [recipe for recipe, _ in after.search.nodes if recipe not in known]
    assert len(new) > 30 and known <= {recipe for recipe, _ in after.search.nodes}


def test_its_memory_is_bounded(dull: Image.Image, first: Result) -> None:
    nodes = tuple((Recipe.parse(f"nuli1 contrast={1 + i / 1000:.3f}"), i / 1000) for i in range(1, 600))
    known = replace(first.search, nodes=best_of(nodes))
    assert len(known.nodes) == MAX_NODES
    assert len(enhance(dull, known=known, evaluations=60, **CPU).search.nodes) == MAX_NODES


def test_what_the_options_now_exclude_is_kept_but_not_used(dull: Image.Image, first: Result) -> None:
    assert any(step.op in ("contrast", "auto_level") for step in first.recipe.steps)
    again = enhance(dull, known=first.search, evaluations=80, ops="colour", max_steps=2, margin=0, **CPU)
    assert len(again.recipe) <= 2 and all(get_op(step.op).group == "colour" for step in again.recipe.steps)
    assert again.search.nodes[0] == first.search.nodes[0]


def test_an_objective_that_is_not_true_does_not_lead(dull: Image.Image, first: Result) -> None:
    lie = (Recipe.parse("nuli1 blur=0.01"), 1e6)
    known = replace(first.search, nodes=best_of([lie, *first.search.nodes]))
    again = enhance(dull, known=known, evaluations=150, **CPU)
    assert again.score_after > again.score_before
    assert again.search.nodes[0][1] < 100


@pytest.mark.parametrize("evaluations", [3, 5, 6, 7, 9])
def test_small_budgets_are_kept_and_nothing_is_lost(dull: Image.Image, first: Result, evaluations: int) -> None:
    again = enhance(dull, known=first.search, evaluations=evaluations, **CPU)
    assert again.evaluations <= evaluations
    assert {recipe for recipe, _ in first.search.nodes} <= {recipe for recipe, _ in again.search.nodes}


def test_strength_zero_keeps_what_was_known(dull: Image.Image, first: Result) -> None:
    again = enhance(dull, known=first.search, strength=0, **CPU)
    assert not again.changed and again.search.nodes == first.search.nodes
    assert again.search.recipe == first.search.recipe


def test_a_stopped_one_gives_the_same_again(dull: Image.Image, first: Result) -> None:
    again = enhance(dull, known=first.search, stop=lambda: True, **CPU)
    assert again.recipe == first.recipe and again.score_after == pytest.approx(first.score_after, abs=1e-4)


def test_an_anchored_scorer_that_is_satisfied_ends_at_once(dull: Image.Image) -> None:
    tone = {"scorer": "tone", "device": "cpu"}
    solved = enhance(dull, **tone)
    again = enhance(dull, known=solved.search, **tone)
    assert again.score_after >= solved.score_after - 0.01
    assert again.evaluations < 40


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"scorer": "tone"}, "choose scorer vivid"),
        ({"mode": "hard"}, "choose mode soft"),
        ({"guards": "strict"}, "choose guards off"),
    ],
)
def test_another_kind_of_search_is_refused(
    dull: Image.Image, first: Result, options: dict[str, str], says: str
) -> None:
    with pytest.raises(NuliError, match=says):
        next(enhance_iter(dull, known=first.search, **{**CPU, **options}))


def test_another_picture_is_refused_and_the_same_one_known(first: Result, dull: Image.Image, tmp_path: Path) -> None:
    other = dull.copy()
    other.putpixel((0, 0), (9, 9, 9))
    with pytest.raises(SearchError, match="another picture"):
        enhance(other, known=first.search, **CPU)
    dull.save(tmp_path / "same.bmp")
    assert fingerprint(load_photo(tmp_path / "same.bmp")) == first.search.picture
    with_alpha = dull.convert("RGBA")
    with_alpha.putalpha(100)
    assert fingerprint(load_photo(with_alpha)) != first.search.picture


def test_hard_modes_others_come_from_old_and_new(photo: Image.Image) -> None:
    hard = {"mode": "hard", "margin": 0, **CPU}
    before = enhance(photo, evaluations=150, **hard)
    again = enhance(photo, known=before.search, evaluations=60, **hard)
    assert again.others and again.score_after >= before.score_after - 0.01


def test_hard_mode_goes_on_at_other_amounts_with_what_they_allow(photo: Image.Image) -> None:
    hard = {"mode": "hard", "margin": 0, **CPU}
    whole = enhance(photo, evaluations=100, **hard)
    part = enhance(photo, known=whole.search, evaluations=60, strength=0.3, **hard)
    bounds = {op.name: op.ranges("hard", 0.3) for op in OPS.values()}
    for recipe in (part.recipe, *(other.recipe for other in part.others)):
        for step in recipe.steps:
            assert all(a - 1e-4 <= v <= b + 1e-4 for v, (a, b) in zip(step.values, bounds[step.op], strict=True))
    assert {recipe for recipe, _ in whole.search.nodes} <= {recipe for recipe, _ in part.search.nodes}
    again = enhance(photo, known=part.search, evaluations=60, **hard)
    assert again.score_after >= whole.score_after - 0.01


@pytest.mark.parametrize("there", ["on", "off"])
def test_realism_is_part_of_what_was_judged(dull: Image.Image, there: str) -> None:
    here = "off" if there == "on" else "on"
    hard = {"mode": "hard", "scorer": "vivid", "device": "cpu", "evaluations": 60}
    saved = enhance(dull, realism=there, **hard).search
    with pytest.raises(SearchError, match=f"choose realism {there}"):
        enhance(dull, known=saved, realism=here, **hard)
    # a file of a version that did not tell: nothing of it is believed
    old = SavedSearch.from_json(replace(saved, realism=None, mirror=None).to_json())
    again = enhance(dull, known=old, realism=here, **hard)
    assert again.evaluations <= 60 and any("scored again" in note for note in again.notes)
    clean = enhance(dull, realism=here, **hard).search
    known = {recipe: objective for recipe, objective in again.search.nodes if recipe in dict(old.nodes)}
    assert known and again.search.realism == here
    resumed = enhance(dull, known=clean, realism=here, **{**hard, "evaluations": 20})
    assert resumed.search.realism == here
    search = Search(load_photo(dull), Options(realism=here, **hard), Vivid(), lambda: False)
    for recipe, objective in known.items():
        assert search.evaluator.objectives([recipe]) == pytest.approx([objective], abs=1e-3)


def test_what_cannot_matter_is_no_reason_to_refuse(dull: Image.Image, first: Result) -> None:
    assert (first.search.realism, first.search.mirror) == ("off", "off")
    old = replace(first.search, realism=None, mirror=None)
    for known in (first.search, old):  # soft mode knows no critic, and vivid no mirror
        again = enhance(dull, known=known, evaluations=20, realism="on", mirror="on", **CPU)
        assert not any("scored again" in note for note in again.notes)


def test_the_mirror_is_part_of_what_laion_judged(first: Result) -> None:
    laion = Vivid()
    laion.name = "laion"
    kinds = [judged_with(laion, Options(mirror=mirror)) for mirror in ("off", "on")]
    saved = replace(first.search, **kinds[0])
    saved.check_options(**kinds[0])
    with pytest.raises(SearchError, match="choose mirror off"):
        saved.check_options(**kinds[1])
    assert untold(replace(saved, mirror=None), laion, Options()) == ["mirror"]


def test_it_is_public_and_a_place_that_cannot_be_written_is_told(first: Result, tmp_path: Path) -> None:
    assert nuli.SavedSearch is SavedSearch
    with pytest.raises(ImageError):
        first.search.save(tmp_path / "no" / "tree.json")
