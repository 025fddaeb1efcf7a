"""The command line as people use it, mishaps included."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nuli.cli import main
from nuli.recipe import Recipe

QUICK = ["--evaluations", "150", "--device", "cpu", "--scorer", "vivid", "--margin", "0"]


@pytest.fixture
def folder(tmp_path: Path, photo_path: Path) -> Path:
    """a.jpg, b.png with alpha, and a text file."""
    shutil.copy(photo_path, tmp_path / "a.jpg")
    with Image.open(photo_path) as image:
        small = image.convert("RGBA").resize((300, 200))
    small.putalpha(200)
    small.save(tmp_path / "b.png")
    (tmp_path / "notes.txt").write_text("no picture")
    return tmp_path


def test_enhance_writes_beside_the_source_and_tells_what_it_did(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (folder / "a.jpg").read_bytes()
    assert main(["enhance", str(folder / "a.jpg"), *QUICK]) == 0
    told = capsys.readouterr().out
    assert f"{folder / 'a.jpg'} -> {folder / 'a-nuli.jpg'}" in told
    assert "vivid" in told and " -> " in told and "evaluations" in told and "1. " in told
    assert (folder / "a.jpg").read_bytes() == before
    with Image.open(folder / "a.jpg") as source, Image.open(folder / "a-nuli.jpg") as made:
        assert made.size == source.size
        assert np.abs(np.array(made, dtype=float) - np.array(source)).mean() > 1


def test_enhance_prints_json_that_apply_repeats(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, made, again = folder / "b.png", folder / "made.png", folder / "again.png"
    assert main(["enhance", str(source), "-o", str(made), "--json", "--save-recipe", *QUICK]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["input"] == str(source) and told["output"] == str(made)
    assert told["score_after"] > told["score_before"]
    recipe = folder / "made.png.json"
    assert Recipe.parse(recipe.read_text()) == Recipe.from_dict(told)
    for form in (str(recipe), told["infotext"], json.dumps(told["recipe"])):
        assert main(["apply", form, str(source), "-o", str(again)]) == 0
        with Image.open(made) as first, Image.open(again) as second:
            assert first.mode == "RGBA"
            assert np.array_equal(np.array(first), np.array(second))
        again.unlink()


def test_a_folder_goes_to_a_folder_and_results_are_not_taken_for_sources(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enhance", str(folder), "-o", str(folder / "out"), *QUICK]) == 0
    assert sorted(p.name for p in (folder / "out").iterdir()) == ["a.jpg", "b.png"]
    assert main(["enhance", str(folder), *QUICK]) == 0
    assert main(["enhance", str(folder), *QUICK]) == 0
    assert not list(folder.glob("*-nuli-nuli*"))


def test_folders_keep_their_layout(folder: Path) -> None:
    (folder / "trip" / "day").mkdir(parents=True)
    (folder / "b.png").rename(folder / "trip" / "day" / "a.png")
    assert main(["apply", "nuli1 contrast=1.1", "-r", str(folder), "-o", str(folder.parent / "results")]) == 0
    found = {str(p.relative_to(folder.parent / "results")) for p in (folder.parent / "results").rglob("*.*")}
    assert found == {"a.jpg", os.path.join("trip", "day", "a.png")}
    shutil.rmtree(folder.parent / "results")


def test_no_source_and_no_other_result_is_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "other").mkdir()
    with Image.open(folder / "a.jpg") as image:
        image.rotate(90).save(folder / "other" / "a.jpg")
    image.convert("P").save(folder / "b.gif")
    before = {p: p.read_bytes() for p in folder.rglob("*.*")}
    recipe = "nuli1 contrast=1.3"
    assert main(["apply", recipe, str(folder / "a.jpg"), str(folder / "other" / "a.jpg"), "-o", str(folder)]) == 1
    assert "is a source itself" in capsys.readouterr().err
    assert main(["apply", recipe, str(folder / "b.gif"), str(folder / "b.png")]) == 1
    assert "would replace another one" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in before} == before
    with Image.open(folder / "b-nuli.png") as made, Image.open(folder / "b.gif") as source:
        assert made.size == source.size


def test_results_inside_the_input_are_not_taken_for_sources(folder: Path) -> None:
    for _ in range(2):
        assert main(["apply", "nuli1 contrast=1.3", "-r", str(folder), "-o", str(folder / "out")]) == 0
    assert sorted(p.name for p in (folder / "out").rglob("*")) == ["a.jpg", "b.png"]


def test_an_empty_folder_does_not_stop_the_rest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert main(["apply", "nuli1 contrast=1.3", str(folder / "empty"), str(folder / "a.jpg")]) == 1
    assert (folder / "a-nuli.jpg").exists() and "no pictures" in capsys.readouterr().err


def test_a_recipe_file_may_start_with_a_byte_order_mark(folder: Path) -> None:
    (folder / "look.json").write_text(Recipe.parse("nuli1 contrast=1.3").to_json(), "utf-8-sig")
    assert main(["apply", str(folder / "look.json"), str(folder / "a.jpg")]) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems allow no such names")
def test_names_that_are_no_text_are_survived(folder: Path) -> None:
    name = os.fsdecode(os.fsencode(folder) + b"/caf\xe9.jpg")
    shutil.copy(folder / "a.jpg", name)
    command = [sys.executable, "-m", "nuli", "apply", "nuli1 contrast=1.3", name, str(folder / "b.png")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and (folder / "b-nuli.png").exists()


def test_one_bad_picture_does_not_stop_the_others(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "a.jpg").write_bytes((folder / "a.jpg").read_bytes()[:5000])
    assert main(["enhance", str(folder / "a.jpg"), str(folder / "b.png"), "-o", str(folder / "out"), *QUICK]) == 1
    assert [p.name for p in (folder / "out").iterdir()] == ["b.png"]
    [line] = [li for li in capsys.readouterr().err.splitlines() if "a.jpg" in li]
    assert line.startswith("nuli: ")


def test_in_place_only_when_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = folder / "a.jpg"
    before = source.read_bytes()
    assert main(["apply", "nuli1 contrast=1.3", str(source), "-o", str(source)]) == 1
    assert "--in-place" in capsys.readouterr().err
    assert source.read_bytes() == before
    assert main(["apply", "nuli1 contrast=1.3", str(source), "--in-place"]) == 0
    assert source.read_bytes() != before
    assert sorted(p.name for p in folder.iterdir()) == ["a.jpg", "b.png", "notes.txt"]


def test_apply_of_nothing_copies_byte_for_byte(folder: Path) -> None:
    for arguments in (["nuli1"], ["nuli1 contrast=1.2", "--strength", "0"]):
        assert main(["apply", arguments[0], str(folder / "a.jpg"), "-o", str(folder / "c.jpg"), *arguments[1:]]) == 0
        assert (folder / "c.jpg").read_bytes() == (folder / "a.jpg").read_bytes()


def test_score(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pictures = [str(folder / "a.jpg"), str(folder / "b.png")]
    assert main(["score", *pictures, "--scorer", "vivid", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[1] for line in lines] == pictures
    assert all(0 < float(line.split()[0]) < 10 for line in lines)
    assert main(["score", pictures[0], "--scorer", "vivid", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["score"] == pytest.approx(float(lines[0].split()[0]), abs=1e-3)


def test_lut(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "look.cube"
    recipe = "nuli1 contrast=1.2 sharpness=1.5"
    assert main(["lut", recipe, str(out)]) == 1
    assert "--photo" in capsys.readouterr().err and not out.exists()
    assert main(["lut", recipe, str(out), "--photo", str(folder / "a.jpg"), "--size", "5"]) == 0
    assert "left out" in capsys.readouterr().err
    assert len(out.read_text().splitlines()) == 2 + 5**3


def test_scorers(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NULI_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main(["scorers"]) == 0
    told = capsys.readouterr().out
    assert "laion" in told and "not downloaded" in told and str(tmp_path) in told and "built in" in told
    assert main(["scorers", "download", "vivid"]) == 0
    assert main(["scorers", "download", "nobody"]) == 2


@pytest.mark.parametrize(
    "arguments,code,says",
    [
        (["enhance", "missing.jpg"], 1, "missing.jpg"),
        (["enhance", "text.png"], 1, "text.png"),
        (["enhance", "empty"], 1, "no pictures"),
        (["enhance", "a.jpg", "-o", "nowhere/b.jpg"], 1, "nowhere"),
        (["enhance", "a.jpg", "-o", "b.xyz"], 1, "b.xyz"),
        (["enhance", "a.jpg", "b.png", "-o", "notes.txt"], 2, "folder"),
        (["enhance", "a.jpg", "--mode", "medium"], 2, "soft, hard"),
        (["enhance", "a.jpg", "--seconds", "soon"], 2, "seconds"),
        (["enhance", "a.jpg", "--strength", "9"], 2, "1.5"),
        (["enhance", "a.jpg", "--scorer", "nobody"], 2, "vivid"),
        (["enhance", "a.jpg", "--ops", "lihgt"], 2, "light"),
        (["enhance", "a.jpg", "--device", "toaster"], 2, "cpu"),
        (["apply", "nuli1 contrast=99", "a.jpg"], 1, "from 0.2 to 3"),
        (["apply", "gone.json", "a.jpg"], 1, "gone.json"),
        (["apply", "a.jpg", "a.jpg"], 1, "a.jpg"),
        (["apply", "{", "a.jpg"], 1, "not a recipe"),
        (["lut", "nuli1 invert=1", "x.cube", "--size", "1"], 2, "129"),
        (["lut", "nuli1 invert=1", "a.jpg"], 2, ".cube"),
        (["apply", "nuli-look.json", "a.jpg"], 1, "no such file"),
    ],
)
def test_mishaps_are_told_in_one_line_and_leave_nothing(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    monkeypatch.chdir(folder)
    (folder / "text.png").write_text("not a picture")
    (folder / "empty").mkdir()
    before = sorted(folder.rglob("*"))
    quick = ["--evaluations", "20"] if arguments[0] == "enhance" else []
    assert main([*arguments, *quick]) == code
    errors = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("judged by")]
    assert len(errors) == 1 and errors[0].startswith("nuli: ") and says in errors[0]
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize("arguments", [[], ["enhance"], ["improve", "a.jpg"], ["enhance", "a.jpg", "--nonsense"]])
def test_usage_errors_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child")
def test_ctrl_c_saves_the_best_so_far(folder: Path) -> None:
    command = [sys.executable, "-m", "nuli", "enhance", "a.jpg", "b.png", "--seconds", "100", "--margin", "0"]
    command += ["--scorer", "vivid", "--device", "cpu", "--seed", "3"]
    # no improvement is small enough to give up over: only the signal ends it
    script = (
        f"import sys, nuli.enhancer as e; e.PATIENCE = 10**9; from nuli.cli import main; sys.exit(main({command[3:]}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=folder, stdout=-1, stderr=-1, text=True)
    time.sleep(8)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert (folder / "a-nuli.jpg").exists() and not (folder / "b-nuli.png").exists()
    assert "a-nuli.jpg" in out and "1 pictures left" in err and "Traceback" not in err
