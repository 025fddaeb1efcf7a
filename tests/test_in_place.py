"""Sources that are written over: never twice, and with all that belongs to the file."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

from nuli.bulk import inputs, memory
from nuli.bulk.inputs import Inputs
from nuli.bulk.journal import NAME, Journal, find_results
from nuli.bulk.memory import Gate, needed
from nuli.cli.main import main

QUICK = ["--evaluations", "30", "--device", "cpu", "--jobs", "1"]
APPLY = ["apply", "nuli1 contrast=1.2"]


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image) -> Path:
    """Three dark pictures, one of them in a folder of its own."""
    place = tmp_path / "photos"
    (place / "trip").mkdir(parents=True)
    for name, light in (("a", 0.4), ("b", 0.5), ("trip/c", 0.6)):
        dark = photo.resize((240, 180)).point(lambda v, light=light: int(v * light))
        dark.save(place / f"{name}.jpg", quality=95)
    return place


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.jpg")}


def enhance(*arguments: str | Path, expected: int = 0) -> None:
    assert main(["enhance", *map(str, arguments), "--in-place", *QUICK]) == expected


def test_other_settings_make_no_source_of_a_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(folder)
    enhance(folder, "-r")
    made = contents(folder)
    assert not made.items() & before.items()
    Image.new("L", (240, 180), 255).save(folder.parent / "mask.png")
    for settings in (["--seed", "7"], ["--mode", "hard"], ["--mask", str(folder.parent / "mask.png")]):
        capsys.readouterr()
        enhance(folder, "-r", *settings)
        told = capsys.readouterr().err
        assert "a result already" in told and "3 such pictures" in told
        assert contents(folder) == made


def test_results_are_known_whatever_is_named(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    enhance(folder / "a.jpg", folder / "trip" / "c.jpg")
    enhance(folder / "b.jpg")
    made = contents(folder)
    capsys.readouterr()
    enhance(folder, "-r", "--seed", "2")
    enhance(folder / "trip", "--seed", "2")
    enhance(folder.parent, "-r", "--seed", "2")
    enhance(folder / "b.jpg", expected=1)
    assert "whose original is gone" in capsys.readouterr().err
    assert contents(folder) == made


def test_what_other_programs_write_to_a_result_makes_no_source_of_it(folder: Path) -> None:
    enhance(folder, "-r")
    path = folder / "a.jpg"
    with Image.open(path) as image:
        exif = image.getexif()
    exif[0x4746] = 5  # a rating; and turned by a viewer
    exif[0x0112] = 6
    data = path.read_bytes()
    block = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    segment = b"\xff\xe1" + (len(block) + 2).to_bytes(2, "big") + block
    path.write_bytes(data[:2] + segment + data[2:])
    made = contents(folder)
    for settings in ([], ["--seed", "2"], ["--redo"]):
        enhance(folder, "-r", *settings, expected=int(bool(settings == ["--redo"])))
        assert contents(folder) == made


def test_a_recipe_is_applied_to_no_result(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = (folder / "b.jpg").read_bytes()
    apply = [*APPLY, str(folder), "-r", "--in-place", "--jobs", "1"]
    enhance(folder / "a.jpg")
    made = contents(folder)
    assert main(apply) == 0
    now = contents(folder)
    assert now["a.jpg"] == made["a.jpg"] and now["b.jpg"] != made["b.jpg"]
    capsys.readouterr()
    assert main(apply) == 0
    assert "3 such pictures are left" in capsys.readouterr().err
    assert main([*APPLY, str(folder / "b.jpg"), "--in-place"]) == 1
    enhance(folder, "-r")
    assert contents(folder) == now
    (folder / "b.jpg").write_bytes(original)
    assert main(apply) == 0
    assert contents(folder) == now
    assert main([*apply, "--no-journal"]) == 0
    assert not contents(folder).items() & now.items()


def test_a_result_is_known_through_a_link(folder: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    try:
        for name in ("a", "b"):
            (links / f"{name}.jpg").symlink_to(folder / f"{name}.jpg")
    except OSError:
        pytest.skip("this system makes no links")
    enhance(folder / "a.jpg")
    enhance(links / "b.jpg")
    made = contents(folder)
    enhance(links / "a.jpg", "--seed", "2", expected=1)
    enhance(folder / "a.jpg", folder / "b.jpg", "--seed", "2")
    assert contents(folder) == made


@pytest.mark.parametrize("extension", ["png", "jpg", "webp"])
def test_a_gif_of_another_name_stays_one(
    tmp_path: Path, photo: Image.Image, extension: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"a.{extension}"
    photo.resize((48, 36)).save(path, "GIF")
    before = path.read_bytes()
    assert main([*APPLY, str(path), "--in-place"]) == 1
    assert "its format is GIF" in capsys.readouterr().err
    assert path.read_bytes() == before
    assert main([*APPLY, str(path), "-o", str(tmp_path / f"b.{extension}")]) == 0


def test_redo_is_refused_where_the_original_is_gone(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    enhance(folder, "-r")
    made = contents(folder)
    capsys.readouterr()
    enhance(folder, "-r", "--redo", expected=1)
    assert capsys.readouterr().err.count("whose original is gone") == 3
    assert contents(folder) == made


def test_a_result_is_known_by_its_content(folder: Path) -> None:
    enhance(folder, "-r")
    made = contents(folder)
    os.utime(folder / "a.jpg", ns=(5, 5))  # touched
    (folder / "b.jpg").rename(folder / "trip" / "renamed.jpg")
    shutil.copy(folder / "trip" / "c.jpg", folder / "copied.jpg")
    enhance(folder, "-r", "--seed", "2")
    assert set(contents(folder).values()) == set(made.values())


def test_another_picture_of_the_same_name_is_a_new_source(folder: Path) -> None:
    original = (folder / "a.jpg").read_bytes()
    enhance(folder, "-r")
    made = contents(folder)
    (folder / "a.jpg").write_bytes(original)
    enhance(folder, "-r")
    assert contents(folder) == made


def test_without_a_journal_nothing_is_known(folder: Path) -> None:
    enhance(folder, "-r")
    made = contents(folder)
    enhance(folder, "-r", "--no-journal", "--mode", "hard")
    assert contents(folder) != made


def test_what_was_left_as_it_was_is_a_source_still(folder: Path) -> None:
    before = contents(folder)
    enhance(folder, "-r", "--margin", "10")
    assert contents(folder) == before
    enhance(folder, "-r")
    assert not contents(folder).items() & before.items()


def test_a_journal_of_the_first_days_is_understood(folder: Path) -> None:
    enhance(folder, "-r")
    made = contents(folder)
    with closing(sqlite3.connect(folder / NAME)) as connection, connection:
        connection.execute("drop table written_over")
        connection.execute("drop table pixels_written")
    assert find_results(folder.rglob("*.jpg")) == set(folder.rglob("*.jpg"))
    enhance(folder, "-r", "--seed", "2")
    assert contents(folder) == made


def test_a_series_whose_picture_has_vanished(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [folder / "a.jpg", folder / "b.jpg", "--together"]
    enhance(*arguments)
    (folder / "b.jpg").unlink()
    capsys.readouterr()
    enhance(*arguments, "--redo", expected=2)
    told = capsys.readouterr().err
    assert "a result already" in told and "internal" not in told


@pytest.mark.skipif(not hasattr(os, "listxattr"), reason="this system's Python knows no extended attributes")
@pytest.mark.parametrize("command", [["enhance"], APPLY])
def test_a_replaced_file_keeps_what_belongs_to_it(folder: Path, command: list[str]) -> None:
    path = folder / "a.jpg"
    try:
        os.setxattr(path, "user.xdg.tags", b"beach")
    except OSError:
        pytest.skip("this file system has no extended attributes")
    path.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(path, 1234, 2345)
    before, content = path.stat(), path.read_bytes()
    assert main([*command, str(path), "--in-place"]) == 0
    after = path.stat()
    assert path.read_bytes() != content and os.getxattr(path, "user.xdg.tags") == b"beach"
    assert (after.st_uid, after.st_gid, after.st_mode) == (before.st_uid, before.st_gid, before.st_mode)


@pytest.mark.skipif(not hasattr(os, "setxattr"), reason="this system's Python knows no extended attributes")
def test_what_a_replaced_file_could_not_keep_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "a.jpg"
    try:
        os.setxattr(path, "user.xdg.tags", b"beach")
    except OSError:
        pytest.skip("this file system has no extended attributes")

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "setxattr", refuse)
    before = path.read_bytes()
    with pytest.warns(UserWarning, match=r"could not keep its user\.xdg\.tags"):
        assert main([*APPLY, str(path), "--in-place"]) == 0
    assert path.read_bytes() != before


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
def test_a_name_that_is_no_utf8_costs_nothing(folder: Path, tmp_path: Path, locale: dict[str, str]) -> None:
    odd = os.fsencode(folder) + b"/caf\xe9.jpg"
    shutil.copy(os.fsencode(folder / "a.jpg"), odd)

    def nuli(*arguments: str | Path) -> None:
        command = [sys.executable, "-m", "nuli", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, env={**os.environ, **locale})
        assert done.returncode == 0, done.stderr

    output, summary = tmp_path / "out", tmp_path / "summary.csv"
    for options in (["--summary", summary, "--save-recipe"], ["--together", "--summary", tmp_path / "summary.json"]):
        nuli("enhance", folder, "-o", output, *QUICK, *options)
        assert os.fsencode("caf\udce9.jpg") in os.listdir(os.fsencode(output))
    assert len(summary.read_text(encoding="utf-8").splitlines()) == 4
    nuli("score", folder, "--best", "2", "--keep-best", tmp_path / "best")
    nuli(*APPLY, folder, "-o", tmp_path / "applied")
    nuli("enhance", folder, "--in-place", *QUICK)
    made = Path(os.fsdecode(odd)).read_bytes()
    nuli("enhance", folder, "--in-place", *QUICK, "--seed", "3")
    assert Path(os.fsdecode(odd)).read_bytes() == made


def test_a_name_at_the_limit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / ("x" * 250 + ".jpg")
    try:
        shutil.copy(folder / "a.jpg", path)
    except OSError:
        pytest.skip("this file system has shorter names")
    assert main([*APPLY, str(path)]) == 1
    assert "the name is too long" in capsys.readouterr().err
    assert main([*APPLY, str(path), "--in-place"]) == 0


def test_no_semaphore_is_left_after_a_refused_picture(folder: Path, tmp_path: Path) -> None:
    (folder / "b.jpg").write_bytes(b"no picture")
    command = [sys.executable, "-m", "nuli", *APPLY, folder, "-r", "-o", tmp_path / "out", "--jobs", "2"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1 and "no picture that can be read" in done.stderr and "leaked" not in done.stderr


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"memory.max": "max", "memory.current": "5"}, sys.maxsize),
        ({"memory.max": "1000", "memory.current": "900", "memory.stat": "anon 5\nfile 700\ninactive_file 600\n"}, 700),
        ({"memory.max": "1000", "memory.current": "1000", "memory.stat": "anon 1000\n"}, 0),
        (
            {
                "memory.limit_in_bytes": "1000",
                "memory.usage_in_bytes": "900",
                "memory.stat": "inactive_file 1\ntotal_inactive_file 300\ntotal_active_file 200\n",
            },
            600,
        ),
        ({}, sys.maxsize),
    ],
)
def test_what_a_control_group_has_left(tmp_path: Path, files: dict[str, str], expected: int) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    assert memory._free_in(tmp_path) == expected


def test_without_any_memory_pictures_go_one_by_one(folder: Path) -> None:
    gate, path, inside, most = Gate(threading, 0), folder / "a.jpg", [], []
    assert needed(path) > 0

    def work() -> None:
        with gate.room_for(path):
            inside.append(1)
            most.append(len(inside))
            threading.Event().wait(0.01)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert most == [1] * 6


def test_a_folder_of_masks_is_listed_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in ("a", "b", "c"):
        Image.new("L", (24, 18), 255).save(masks / f"{name}.png")
    listed, list_images = [], inputs.list_images
    monkeypatch.setattr(inputs, "list_images", lambda place: (listed.append(place), list_images(place))[1])
    found = Inputs(str(masks))
    for name in ("a", "b", "c"):
        assert found.mask_of(folder / f"{name}.jpg") == masks / f"{name}.png"
    assert len(listed) == 1
    Image.new("L", (24, 18), 255).save(masks / "new.png")
    assert found.mask_of(folder / "new.jpg") == masks / "new.png"


def test_a_journal_that_may_only_be_read_tells_of_results(folder: Path) -> None:
    enhance(folder / "a.jpg")
    Journal(folder / NAME, "").close()
    (folder / NAME).chmod(0o444)
    assert find_results([folder / "a.jpg", folder / "b.jpg"]) == {folder / "a.jpg"}
