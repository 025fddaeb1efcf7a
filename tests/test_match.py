"""Matching a reference: what it undoes, how it is read, what it refuses."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import nuli
from nuli.errors import ImageError, OptionError, SearchError
from nuli.hosting import Host, Worker, search
from nuli.imaging.frames import make_frame, subsample
from nuli.imaging.photo import load_photo
from nuli.ops.registry import select_ops
from nuli.options import Options
from nuli.recipe import Recipe
from nuli.scoring.match import Match, cells, correlation
from nuli.scoring.protocol import known_as

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))
match = importlib.import_module("match")
ciede2000 = importlib.import_module("ciede2000")

SAME, OTHER = "the same scene", "another picture"


@pytest.fixture(scope="module")
def goods(shared_photos: list[Path]) -> list[Image.Image]:
    """Some photos that no shift clips."""
    images = [Image.open(file).convert("RGB") for file in shared_photos[3::12]]
    return [image.point([round(28 + 0.72 * level) for level in range(256)] * 3) for image in images]


@pytest.fixture(scope="module")
def other(shared_photos: list[Path]) -> Image.Image:
    """Another photo."""
    return Image.open(shared_photos[20]).convert("RGB")


def shifted(image: Image.Image, line: str = "exposure=-0.6 temperature=0.1 saturation=0.8") -> Image.Image:
    return Recipe.from_line(f"nuli1 {line}").apply(image, device="cpu")


def difference(one: Image.Image, two: Image.Image) -> float:
    return ciede2000.mean_difference(*(np.asarray(image.convert("RGB")) / 255 for image in (one, two)))


@pytest.mark.parametrize("name", ["gains", "lighter", "harder", "vae", "img2img", "all"])
def test_a_known_shift_is_undone(goods: list[Image.Image], name: str) -> None:
    parts = [match.gone(good, match.SHIFTS[name], "plain", evaluations=60)[0] for good in goods]
    assert np.mean(parts) >= 0.8 and min(parts) > 0.6


@pytest.mark.parametrize("spoil", [name for name in match.SPOILS if name != "plain"])
def test_detail_that_differs_does_not_matter(goods: list[Image.Image], spoil: str) -> None:
    parts = [match.gone(good, match.SHIFTS["all"], spoil, evaluations=60)[0] for good in goods]
    assert np.mean(parts) >= 0.8


def test_the_result_says_how_the_reference_is_read(photo: Image.Image, other: Image.Image, tmp_path: Path) -> None:
    photo.save(tmp_path / "reference.png")
    bad = shifted(photo)
    for reference in (tmp_path / "reference.png", photo, np.asarray(photo), load_photo(photo)):
        result = nuli.enhance(bad, match=reference, device="cpu", evaluations=30)
        assert SAME in result.notes[-1]
        assert result.scorer == "match" == result.to_dict()["scorer"]
        assert result.score_before < 9 < result.score_after <= 10
        assert difference(result.image, photo) < 0.2 * difference(bad, photo)
    assert OTHER in nuli.enhance(bad, match=other, device="cpu", evaluations=30).notes[-1]


def test_the_score_is_10_less_the_difference(photo: Image.Image) -> None:
    frame = make_frame(np.asarray(photo))
    score = Match(load_photo(photo)).bind(frame)
    assert float(score(subsample(frame))) == pytest.approx(10, abs=0.02)
    darker = subsample(frame) * 0.9
    off = match.mean_difference(darker[0].permute(1, 2, 0).numpy(), subsample(frame)[0].permute(1, 2, 0).numpy())
    assert float(score(darker)) == pytest.approx(10 - off, abs=0.6)


def test_another_size_shape_and_depth_of_the_same_scene(photo: Image.Image) -> None:
    bad = shifted(photo)
    small = photo.resize((photo.width // 3 + 1, photo.height // 3))
    deep = np.asarray(photo).astype(np.uint16) * 257
    clear = photo.convert("RGBA")
    for reference in (small, deep, clear):
        result = nuli.enhance(bad, match=reference, device="cpu", evaluations=30)
        assert SAME in result.notes[-1]
        assert difference(result.image, photo) < 0.25 * difference(bad, photo)
    narrow = nuli.enhance(bad, match=photo.crop((0, 0, photo.width // 2, photo.height)), device="cpu", evaluations=30)
    assert OTHER in narrow.notes[-1] and narrow.score_after > narrow.score_before


def test_grey_references_and_grey_pictures(photo: Image.Image) -> None:
    grey = nuli.enhance(photo, match=photo.convert("L"), device="cpu", evaluations=60)
    assert grey.pixels.std(2).mean() < 0.1 * np.asarray(photo).std(2).mean()
    dark = shifted(photo, "exposure=-0.6").convert("L")
    lit = nuli.enhance(dark, match=photo, device="cpu", evaluations=60)
    assert {nuli.ops.registry.OPS[step.op].group for step in lit.recipe.steps} == {"light"}
    assert difference(lit.image, photo.convert("L")) < 0.3 * difference(dark, photo.convert("L"))


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_pictures_do_no_harm(photo: Image.Image, level: int) -> None:
    flat = Image.new("RGB", (40, 30), (level, level, level))
    assert np.isfinite(nuli.enhance(photo, match=flat, device="cpu", evaluations=20).score_after)
    assert np.isfinite(nuli.enhance(flat, match=photo, device="cpu", evaluations=20).score_after)


def test_another_pictures_look_is_neared_within_softs_ranges(goods: list[Image.Image], other: Image.Image) -> None:
    for good in goods:
        result = nuli.enhance(good, match=other, device="cpu", evaluations=60)
        assert OTHER in result.notes[-1]
        assert result.score_after > result.score_before + 0.1
        for step in result.recipe.steps:
            for value, (low, high) in zip(step.values, nuli.ops.registry.OPS[step.op].ranges("soft"), strict=True):
                assert low - 1e-4 <= value <= high + 1e-4


def test_structure_tells_scenes_apart(shared_photos: list[Path]) -> None:
    def seen(image: Image.Image) -> torch.Tensor:
        return cells(subsample(make_frame(np.asarray(image.convert("RGB").resize((480, 320))))))

    images = [Image.open(file) for file in shared_photos[::6]]
    for i, image in enumerate(images):
        assert correlation(seen(image), seen(shifted(match.detailed(match.jpeg(image.convert("RGB"), 20))))) > 0.4
        assert all(correlation(seen(image), seen(other)) < 0.3 for other in images[:i])


def test_what_may_be_used_is_heard(photo: Image.Image) -> None:
    scorer, frame = Match(load_photo(photo)), make_frame(np.asarray(shifted(photo)))
    [whole] = scorer.starts(frame, select_ops("soft"), "soft", 8)
    [light] = scorer.starts(frame, select_ops("soft", "light"), "soft", 8)
    [short] = scorer.starts(frame, select_ops("soft"), "soft", 2)
    assert len(whole) > 3 and len(short) == 2
    assert {step.op for step in light.steps} <= {"exposure", "gamma", "contrast", "highlights", "shadows"}
    assert scorer.starts(frame, select_ops("soft", "vibrance"), "soft", 8) == []
    result = nuli.enhance(shifted(photo), match=photo, device="cpu", evaluations=40, lock="saturation")
    assert "saturation" not in {step.op for step in result.recipe.steps}
    result = nuli.enhance(photo.resize((60, 40)), match=photo, device="cpu", evaluations=40, mode="hard")
    assert not {"sharpness", "blur", "glow"} & {step.op for step in result.recipe.steps}
    with pytest.raises(OptionError, match="leaves nothing"):
        nuli.enhance(photo, match=photo, ops="detail")


def test_it_takes_the_scorers_place(photo: Image.Image, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="leave out either match or the scorer tone"):
        nuli.enhance(photo, match=photo, scorer="tone")
    with pytest.raises(OptionError, match="leave out either match or the scorer match"):
        nuli.enhance(photo, match=photo, scorer=Match(load_photo(photo)))
    with pytest.raises(ImageError, match=r"none\.png"):
        nuli.enhance(photo, match=tmp_path / "none.png")
    with pytest.raises(OptionError, match="give one"):
        nuli.enhance(photo, scorer="match")
    assert not nuli.enhance(photo, match=photo, device="cpu", scorer="match").changed


def test_saved_searches_tell_references_apart(photo: Image.Image, other: Image.Image) -> None:
    bad = shifted(photo)
    first = nuli.enhance(bad, match=photo, device="cpu", evaluations=30)
    assert first.scorer == "match" and first.search.scorer == known_as(Match(load_photo(photo)))
    on = nuli.enhance(bad, match=photo, device="cpu", evaluations=30, known=first.search)
    assert on.score_after >= first.score_after - 0.01
    with pytest.raises(SearchError, match=r"reference .* not .*reference"):
        nuli.enhance(bad, match=other, device="cpu", evaluations=30, known=first.search)
    with pytest.raises(SearchError, match="the saved search is one with scorer 'match"):
        nuli.enhance(bad, scorer="vivid", device="cpu", evaluations=30, known=first.search)


def test_hosts_load_no_scorer_for_it(photo: Image.Image) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("a scorer was loaded")

    bad = load_photo(shifted(photo))
    options = Options(device="cpu", evaluations=40)
    seen = []

    def work(task: object) -> object:
        result = search(task, bad, options, match=photo)
        seen.append(task.progress.scorer)
        return result

    worker = Worker(replace(Host(), load_scorer=refuse))
    assert worker.run(work).scorer == "match"
    assert seen == ["match"]


def test_a_series_takes_one_look(photo: Image.Image, other: Image.Image) -> None:
    frames = [shifted(photo, f"exposure={-0.4 - 0.1 * i:.1f}") for i in range(3)]
    series = nuli.enhance_together(frames, match=photo, device="cpu", evaluations=30)
    assert series.scorer == "match" and SAME in series.notes[0]
    assert all(difference(series.apply(frame), photo) < 0.5 * difference(frame, photo) for frame in frames)
    assert OTHER in nuli.enhance_together(frames, match=other, device="cpu", evaluations=10).notes[0]


def test_the_command_prints_a_table(tmp_path: Path, photo: Image.Image, capsys: pytest.CaptureFixture[str]) -> None:
    photo.resize((120, 80)).save(tmp_path / "a.png")
    match.main([str(tmp_path), "--evaluations", "20", "--shifts", "vae", "--spoils", "plain,jpeg", "--headroom"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["vae", "all", "vae", "all"]
    with pytest.raises(SystemExit):
        match.main([str(tmp_path), "--shifts", "magic"])
