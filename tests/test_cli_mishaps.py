"""What the command line does when something fails late: results stay, the rest goes on, one line tells why."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from nuli.cli.main import main
from nuli.errors import OptionError

QUICK = ["--evaluations", "40", "--device", "cpu", "--scorer", "vivid", "--margin", "0"]
CONTRAST = "nuli1 contrast=1.3"


@pytest.fixture
def folder(tmp_path: Path, photo_path: Path) -> Path:
    """Two small pictures, a.jpg and b.png, of different sizes."""
    with Image.open(photo_path) as image:
        image.resize((120, 80)).save(tmp_path / "a.jpg")
        image.resize((90, 60)).save(tmp_path / "b.png")
    return tmp_path


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if not line.startswith("judged by")]


def nuli(*arguments: str, shell: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own, in the way a shell would with `shell` behind the command."""
    command = ["sh", "-c", f'"$@" {shell}', "sh", sys.executable, "-m", "nuli", *arguments]
    environment = {**os.environ, "PYTHONUNBUFFERED": "", **environment}  # argparse ignores what fails unbuffered
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=120)


def test_a_tree_that_cannot_be_saved_costs_no_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The disk has room for the picture but not for the tree, which is larger."""
    resource = pytest.importorskip("resource", reason="Windows limits no file sizes")
    with Image.open(folder / "a.jpg") as image:
        image.resize((24, 16)).save(folder / "a.jpg", quality=60)
    command = ["enhance", str(folder / "a.jpg"), "--save-recipe", "--tree", str(folder / "tree.json"), *QUICK]
    command += ["--evaluations", "150", "--guards", "off"]
    assert main(command) == 0
    picture, recipe, tree = (folder / name for name in ("a-nuli.jpg", "a-nuli.jpg.json", "tree.json"))
    room = max(picture.stat().st_size, recipe.stat().st_size)
    assert room < tree.stat().st_size
    for path in (picture, recipe, tree):
        path.unlink()
    capsys.readouterr()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        code = main(command)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    out, err = capsys.readouterr()
    assert code == 1 and picture.exists() and recipe.exists() and not tree.exists()
    [line] = lines(err)
    assert line.startswith("nuli: ") and "tree.json" in line and "no room left" in line
    assert "a-nuli.jpg" in out


def test_a_tree_that_may_not_be_replaced_is_told_before_the_search(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["enhance", str(folder / "a.jpg"), "--tree", str(folder / "tree.json"), *QUICK]
    assert main(command) == 0
    (folder / "a-nuli.jpg").unlink()
    (folder / "tree.json").chmod(0o444)
    capsys.readouterr()
    assert main(command) == 1
    [line] = lines(capsys.readouterr().err)
    assert "tree.json" in line and "read-only" in line and not (folder / "a-nuli.jpg").exists()


@pytest.mark.parametrize("error", [ValueError("odd\nvalue"), MemoryError(), RecursionError("too deep")])
@pytest.mark.parametrize("command", ["enhance", "score", "apply"])
def test_an_odd_failure_of_one_picture_does_not_end_a_folder(
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    command: str,
) -> None:
    def fail_for_the_first(original, size):
        def fail(*arguments, **keywords):
            if size(*arguments) == (80, 120):
                raise error
            return original(*arguments, **keywords)

        return fail

    if command == "apply":
        from nuli import look

        render_rows = fail_for_the_first(look.render_rows, lambda photo, *_: photo.pixels.shape[:2])
        monkeypatch.setattr(look, "render_rows", render_rows)
        arguments = ["apply", CONTRAST, str(folder), "--jobs", "1"]
    else:
        from nuli import enhancer
        from nuli.search import sample

        make_frame = fail_for_the_first(enhancer.make_frame, lambda pixels, *_: pixels.shape[:2])
        monkeypatch.setattr(enhancer, "make_frame", make_frame)
        fail = fail_for_the_first(sample.reduced, lambda photo: photo.pixels.shape[:2])
        monkeypatch.setattr(sample, "reduced", fail)
        arguments = [command, str(folder), *(QUICK if command == "enhance" else QUICK[2:6]), "--jobs", "1"]
    assert main(arguments) == 1
    out, err = capsys.readouterr()
    [line] = [line for line in lines(err) if line.startswith("nuli: ")]
    told = "not enough memory" if isinstance(error, MemoryError) else f"internal error: {type(error).__name__}"
    assert line.startswith(f"nuli: {folder / 'a.jpg'}: {told}")
    assert "NULI_DEBUG=1" in line and "b.png" in out
    if command != "score":
        assert (folder / "b-nuli.png").exists() and not (folder / "a-nuli.jpg").exists()
    monkeypatch.setenv("NULI_DEBUG", "1")
    assert main(arguments) == 1
    err = capsys.readouterr().err
    assert "Traceback" in err and "in fail\n" in err


def test_a_command_that_fails_oddly_as_a_whole_is_told_too(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nuli.scoring.weights.cache_dir", lambda: 1 / 0)
    assert main(["scorers"]) == 1
    [line] = lines(capsys.readouterr().err)
    assert line.startswith("nuli: internal error: ZeroDivisionError") and "NULI_DEBUG=1" in line


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has a device that is always full")
@pytest.mark.parametrize("command", ["enhance", "score", "apply", "scorers", "lut", "--help", "--version"])
def test_a_full_output_is_told_in_one_line(folder: Path, command: str) -> None:
    picture = str(folder / "a.jpg")
    arguments = {
        "enhance": ["enhance", picture, *QUICK],
        "score": ["score", picture, *QUICK[2:6]],
        "apply": ["apply", CONTRAST, picture],
        "lut": ["lut", "nuli1 invert=1", str(folder / "look.cube")],
    }.get(command, [command])
    done = nuli(*arguments, shell="> /dev/full")
    [line] = lines(done.stderr)
    assert done.returncode == 1 and line.startswith("nuli: ") and "output" in line and "No space left" in line
    if command in ("enhance", "apply"):
        assert (folder / "a-nuli.jpg").exists()


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_closed_outputs_and_readers_who_leave(folder: Path) -> None:
    picture = str(folder / "a.jpg")
    done = nuli("apply", CONTRAST, picture, shell=">&-")
    assert (done.returncode, done.stderr) == (0, "") and (folder / "a-nuli.jpg").exists()
    (folder / "a-nuli.jpg").unlink()
    done = nuli("apply", CONTRAST, picture, shell=">&- 2>&-")
    assert done.returncode == 0 and (folder / "a-nuli.jpg").exists()
    done = nuli("apply", CONTRAST, str(folder / "missing.jpg"), shell="2>&-")
    assert (done.returncode, done.stdout) == (1, "")  # the error does not go among the results
    done = nuli("apply", CONTRAST, str(folder / "missing.jpg"), picture, shell="2> /dev/full")
    assert done.returncode == 1 and "a-nuli.jpg" in done.stdout
    done = nuli("scorers", shell="| true")
    assert done.stderr == ""


@pytest.mark.parametrize("device", ["meta", "toaster", "cuda:99", "cpu:7x", ""])
@pytest.mark.parametrize("command", ["enhance", "score", "apply"])
def test_a_device_that_cannot_compute_is_told_once(
    folder: Path, capsys: pytest.CaptureFixture[str], command: str, device: str
) -> None:
    arguments = [command, *([CONTRAST] if command == "apply" else []), str(folder), "--device", device]
    assert main(arguments) == 2
    [line] = lines(capsys.readouterr().err)
    assert line.startswith("nuli: ") and repr(device) in line and "cpu" in line
    assert sorted(path.name for path in folder.iterdir()) == ["a.jpg", "b.png"]


def test_every_kind_of_device_is_one_that_computes_or_an_option_error() -> None:
    import torch

    from nuli.devices import pick_device

    kinds = "cpu cuda ipu xpu opengl opencl ideep hip ve fpga maia xla lazy vulkan mps meta hpu mtia privateuseone"
    for kind in kinds.split():
        try:
            device = pick_device(kind)
        except OptionError as error:
            assert "\n" not in str(error) and kind in str(error)
        else:
            assert (torch.ones(2, device=device) + 1).sum().item() == 4


def test_warnings_of_pillow_do_not_reach_the_terminal(folder: Path) -> None:
    bad = b"Exif\0\0" + struct.pack("<2sHIHHHI", b"II", 42, 8, 9, 0x010F, 2, 99)
    with Image.open(folder / "b.png") as image:
        image.convert("RGB").save(folder / "c.jpg", exif=bad)
    done = nuli("apply", CONTRAST, str(folder / "c.jpg"))
    assert (done.returncode, done.stderr) == (0, "")
