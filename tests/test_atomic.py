"""Files appear whole or not at all: on the disk for good, over nothing protected, and nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nuli.errors import ImageError
from nuli.imaging import photo as photo_code
from nuli.imaging.atomic import atomic_write
from nuli.imaging.photo import check_target, copy_photo, load_photo, save_photo

DAY = 24 * 3600
PIXELS = np.arange(6 * 8 * 3, dtype=np.uint8).reshape(6, 8, 3)


def write(path: Path, data: bytes = b"new") -> None:
    with atomic_write(path) as file:
        file.write(data)


def part(folder: Path, number: int, age: float) -> Path:
    """An unfinished file as a run that was killed leaves it, last written `age` seconds ago."""
    path = folder / f".nuli-{number:016x}.part"
    path.write_bytes(b"half")
    os.utime(path, (time.time() - age,) * 2)
    return path


def test_a_file_is_on_the_disk_before_it_takes_the_place_of_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(descriptor: int) -> None:
        calls.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else os.fstat(descriptor).st_size)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", lambda *paths: (calls.append("replace"), replace(*paths)))
    write(tmp_path / "a.json", b"12345")
    assert calls == ([5, "replace", "folder"] if sys.platform == "linux" else [5, "replace"])


def test_what_killed_runs_left_is_removed_once_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old, dead = part(tmp_path, 1, 2 * DAY), part(tmp_path, 2, 120)
    fresh = part(tmp_path, 3, 0)
    others = [tmp_path / name for name in (".nuli-notes.part", "nuli.part", ".nuli-0000000000000004.part.txt")]
    for path in others:
        path.write_bytes(b"not ours")
        os.utime(path, (0, 0))
    listings = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda *a: (listings.append(a), scandir(*a))[1])
    for name in ("a.json", "b.json", "a.json"):
        write(tmp_path / name)
    assert not old.exists() and not dead.exists()
    assert fresh.exists() and all(path.exists() for path in others)
    assert len(listings) == 1


HOLD = """
import sys, time
from nuli.imaging.atomic import atomic_write
with atomic_write(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    print("begun", flush=True)
    time.sleep(600)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_file_that_a_living_run_writes_is_left_alone(tmp_path: Path) -> None:
    """Two processes write for minutes; one is killed with no chance to clean up."""
    runs = [
        subprocess.Popen([sys.executable, "-c", HOLD, tmp_path / name], stdout=subprocess.PIPE, text=True)
        for name in ("a", "b")
    ]
    try:
        for run in runs:
            assert run.stdout.readline() == "begun\n"
        parts = sorted(tmp_path.glob(".nuli-*.part"))
        for path in parts:  # or so it seems, after a jump of the clock
            os.utime(path, (time.time() - 2 * DAY,) * 2)
        runs[0].send_signal(signal.SIGKILL)
        runs[0].wait()
        write(tmp_path / "c")
        [left] = tmp_path.glob(".nuli-*.part")
        assert len(parts) == 2 and left in parts
    finally:
        for run in runs:
            run.kill()
            run.communicate()


def test_a_read_only_target_is_refused_before_and_while_writing(tmp_path: Path) -> None:
    """By its mode: root and the owner of a folder may replace any file in it."""
    target = tmp_path / "a.png"
    photo = load_photo(PIXELS)
    save_photo(photo, PIXELS, target)
    before = target.read_bytes()
    source = load_photo(save_photo(photo, PIXELS, tmp_path / "b.png"))
    target.chmod(0o444)
    for action in (
        lambda: check_target(target),
        lambda: save_photo(photo, 255 - PIXELS, target),
        lambda: copy_photo(source, target),
        lambda: write(target),
    ):
        with pytest.raises(ImageError, match="read-only: allow writing to it, or choose another name") as caught:
            action()
        assert f"{target}: " in str(caught.value) and "\n" not in str(caught.value)
    (tmp_path / "link.png").symlink_to(target)
    with pytest.raises(ImageError, match="read-only"):
        check_target(tmp_path / "link.png")
    assert target.read_bytes() == before and not list(tmp_path.glob(".nuli*"))
    target.chmod(0o644)
    check_target(target)
    save_photo(photo, 255 - PIXELS, target)
    assert target.read_bytes() != before


def test_a_folder_in_place_of_a_target_is_told_before(tmp_path: Path) -> None:
    (tmp_path / "a.png").mkdir()
    with pytest.raises(ImageError, match="name a file in it"):
        check_target(tmp_path / "a.png")


def test_filters_of_warnings_are_left_to_the_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong to the whole process: pictures are read in threads, and changing filters is not safe there."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)  # Pillow warns from there on, to twice as many
    Image.fromarray(PIXELS).save(tmp_path / "large.png")
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        filters = list(warnings.filters)
        assert load_photo(tmp_path / "large.png").pixels.shape == PIXELS.shape
        assert warnings.filters == filters
    assert {warning.category for warning in heard} == {Image.DecompressionBombWarning}
    code = "".join(path.read_text() for path in Path(photo_code.__file__).parents[1].rglob("*.py"))
    assert "catch_warnings" not in code
