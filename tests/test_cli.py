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

from nuli.cli.main import main
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
        assert np.abs(np.array(made, dtype=float) - np.array(source)).mean() > 0.3


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


def test_others_of_hard_mode_are_saved_beside_the_best(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hard = ["--mode", "hard", "--others", "2", "--seed", "3", *QUICK]
    assert main(["enhance", str(folder), "-o", str(folder / "out"), "--json", "--save-recipe", *hard]) == 0
    for line in capsys.readouterr().out.splitlines():
        told = json.loads(line)
        target = Path(told["output"])
        assert [o["output"] for o in told["others"]] == [str(target.with_stem(f"{target.stem}-{n}")) for n in (2, 3)]
        for other in told["others"]:
            path = Path(other["output"])
            recipe = Recipe.from_dict(other)
            assert recipe == Recipe.parse(path.with_name(path.name + ".json").read_text()) != Recipe.from_dict(told)
            again = folder / f"again{path.suffix}"
            assert main(["apply", other["infotext"], told["input"], "-o", str(again)]) == 0
            assert again.read_bytes() == path.read_bytes()
            again.unlink()
        capsys.readouterr()
    assert main(["enhance", str(folder / "a.jpg"), *hard]) == 0
    assert f"or {folder / 'a-nuli-2.jpg'} (" in capsys.readouterr().out
    assert main(["enhance", str(folder), *hard]) == 0  # results are not taken for sources
    assert {p.stem for p in folder.glob("*.???")} == {
        "notes", "a", "b", "a-nuli", "b-nuli", "a-nuli-2", "b-nuli-2", "a-nuli-3", "b-nuli-3"
    }  # fmt: skip


def test_others_are_written_over_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hard = ["--mode", "hard", "--others", "1", *QUICK]
    shutil.copy(folder / "a.jpg", folder / "c-2.jpg")
    before = (folder / "c-2.jpg").read_bytes()
    both = [str(folder / "a.jpg"), str(folder / "c-2.jpg")]
    assert main(["enhance", both[0], "-o", str(folder / "c.jpg"), *hard]) == 0  # may be: it was no source
    (folder / "c-2.jpg").write_bytes(before)
    (folder / "a.jpg").rename(folder / "c.jpg")
    both[0] = str(folder / "c.jpg")
    assert main(["enhance", *both, "-o", str(folder), *hard]) == 1
    assert "is a source itself" in capsys.readouterr().err
    assert main(["enhance", *both, "-o", str(folder / "out"), *hard]) == 1
    assert "would replace another one" in capsys.readouterr().err
    assert (folder / "c-2.jpg").read_bytes() == before
    assert main(["enhance", both[0], "--in-place", *hard]) == 0
    assert (folder / "c-nuli-2.jpg").exists() and (folder / "c-2.jpg").read_bytes() == before


def test_a_search_goes_on_from_a_saved_tree(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree = folder / "tree.json"
    command = ["enhance", str(folder / "a.jpg"), "--tree", str(tree), "--json", *QUICK, "--guards", "off"]
    told = []
    for _ in range(2):
        assert main(command) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[1]["score_after"] >= told[0]["score_after"] - 0.01
    saved = json.loads(tree.read_text())
    assert saved["evaluations"] == told[0]["evaluations"] + told[1]["evaluations"]
    assert any("goes on" in note for note in told[1]["notes"])
    before = tree.read_bytes()
    assert main([*command, "--mode", "hard"]) == 1
    assert "choose mode soft" in capsys.readouterr().err
    assert main(["enhance", str(folder / "b.png"), "--tree", str(tree), *QUICK, "--guards", "off"]) == 1
    assert "another picture" in capsys.readouterr().err
    assert tree.read_bytes() == before


def test_a_folder_goes_to_a_folder_and_results_are_not_taken_for_sources(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["enhance", str(folder), "-o", str(folder / "out"), *QUICK]) == 0
    assert sorted(p.name for p in (folder / "out").iterdir()) == [".nuli-journal.sqlite", "a.jpg", "b.png"]
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
    assert [p.name for p in (folder / "out").glob("[!.]*")] == ["b.png"]
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
    assert sorted(p.name for p in folder.iterdir()) == [".nuli-journal.sqlite", "a.jpg", "b.png", "notes.txt"]


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
    assert "can't compare pictures" in told
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
        (["enhance", "a.jpg", "--preset", "portait"], 2, "did you mean 'portrait'"),
        (["enhance", "a.jpg", "--lock", "hair"], 2, "neither a group"),
        (["presets", "save", "=", "--mode", "hard"], 2, "needs a name"),
        (["apply", "nuli1 gamma=1.1/1", "a.jpg", "--steps", "hue"], 1, "no step 'hue'"),
        (["apply", "nuli1 auto_level=0.5/0", "a.jpg", "--frozen"], 1, "without --frozen"),
        (["enhance", "a.jpg", "b.png", "--tree", "t.json"], 2, "one picture"),
        (["enhance", "empty", "--tree", "t.json"], 2, "one picture"),
        (["enhance", "a.jpg", "--tree", "a.jpg"], 2, ".json"),
        (["enhance", "a.jpg", "--tree", "nowhere/t.json"], 2, "nowhere"),
        (["enhance", "a.jpg", "--tree", "text.json"], 1, "text.json"),
        (["enhance", "a.jpg", "--others", "many", "--mode", "hard"], 2, "from 0 to 5"),
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
    (folder / "text.json").write_text("not a search")
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
@pytest.mark.parametrize("tree", [None, "tree.json"])
def test_ctrl_c_saves_the_best_so_far(folder: Path, tree: str | None) -> None:
    command = [sys.executable, "-m", "nuli", "enhance", "a.jpg", "b.png", "--seconds", "100", "--margin", "0"]
    command += ["--scorer", "vivid", "--device", "cpu", "--seed", "3", "--jobs", "1"]
    command = [part for part in command if tree is None or part != "b.png"] + (["--tree", tree] if tree else [])
    # the search has a budget, so that only the signal ends it
    script = (
        "import sys; from nuli.search.loop import Search; events = Search.events; "
        "Search.events = lambda search: (open('begun', 'w').close(), events(search))[1]; "
        f"from nuli.cli.main import main; sys.exit(main({command[3:]}))"
    )
    process = subprocess.Popen([sys.executable, "-c", script], cwd=folder, stdout=-1, stderr=-1, text=True)
    for _ in range(600):
        if (folder / "begun").exists():
            break
        time.sleep(0.1)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err and (folder / "a-nuli.jpg").exists() and "a-nuli.jpg" in out
    if tree:
        assert process.returncode == 0 and json.loads((folder / tree).read_text())["evaluations"] > 1
    else:
        assert process.returncode == 130 and "1 pictures left" in err and not (folder / "b-nuli.png").exists()
