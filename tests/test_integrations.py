"""What `integrations/` holds for other programs: what runs without its program, and GIMP where there is one."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
INTEGRATIONS = ROOT / "integrations"
AWKWARD = 'it\'s "ü" $(touch spoilt) `touch spoilt`'
"""A folder's name in which a careless script would run commands."""

needs_sh = pytest.mark.skipif(os.name == "nt", reason="the scripts are for a POSIX shell")


@pytest.fixture
def nuli(tmp_path: Path) -> Path:
    """The command, of this checkout, as a program."""
    return program(tmp_path / "nuli", f'PYTHONPATH="{ROOT}" exec "{sys.executable}" -m nuli "$@"')


def program(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


# --- digiKam ---


def digikam(source: Path, target: Path, command: Path) -> subprocess.CompletedProcess:
    """Run the script as digiKam 8 does: the names in double quotes, nothing escaped, by bash."""
    script = (INTEGRATIONS / "digikam" / "enhance.sh").read_text()
    script = script.replace("$INPUT", f'"{source}"').replace("$OUTPUT", f'"{target}"')
    environment = {**os.environ, "NULI": str(command)}
    return subprocess.run(["bash", "-c", script], env=environment, cwd=source.parent, capture_output=True, text=True)


@pytest.fixture
def digikam_files(tmp_path: Path, photo: Image.Image) -> tuple[Path, Path]:
    """A photo in a folder with an awkward name, and the empty file that digiKam makes for the result."""
    folder = tmp_path / AWKWARD
    folder.mkdir()
    photo.point(lambda value: 90 + value // 4).save(folder / "photo.jpg", quality=95)
    target = folder / "BatchTool-AbCdEf.digikamtempfile.jpg"
    target.touch()
    return folder / "photo.jpg", target


@needs_sh
def test_digikam_s_script_enhances_whatever_the_name(digikam_files: tuple[Path, Path], nuli: Path) -> None:
    source, target = digikam_files
    before = source.read_bytes()
    done = digikam(source, target, nuli)
    assert done.returncode == 0, done.stderr
    assert source.read_bytes() == before
    assert pixels(target).std() > pixels(source).std() + 5  # its contrast came back
    assert sorted(p.name for p in source.parent.iterdir()) == sorted([source.name, target.name])


@needs_sh
def test_digikam_hears_of_failures(digikam_files: tuple[Path, Path], nuli: Path) -> None:
    source, target = digikam_files
    assert digikam(source, target, nuli.with_name("absent")).returncode == 127  # "Command not found" in digiKam
    source.write_bytes(b"no picture")
    done = digikam(source, target, nuli)
    assert done.returncode == 1 and "photo.jpg" in done.stderr
    assert not target.stat().st_size  # which digiKam takes away


# --- the command as GIMP's plug-in calls it ---


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, nuli: Path):
    """The module of the plug-in that needs no GIMP."""
    spec = spec_from_file_location("gimp_command", INTEGRATIONS / "gimp" / "nuli" / "command.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setenv("NULI", str(nuli))
    return module


@needs_sh
def test_the_plug_in_runs_the_command(command, tmp_path: Path, photo: Image.Image) -> None:
    source, target = tmp_path / "-ü 'layer'.png", tmp_path / "result.png"
    photo.point(lambda value: 90 + value // 4).save(source)
    waited: list[bool] = []
    record = command.enhance(source, target, ["--mode", "soft"], lambda: waited.append(True))
    assert record["changed"] and waited
    assert pixels(target).std() > pixels(source).std() + 5


@needs_sh
def test_the_plug_in_says_what_went_wrong(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, target = tmp_path / "layer.png", tmp_path / "result.png"
    source.write_bytes(b"no picture")
    with pytest.raises(command.CommandError, match=r"layer\.png"):
        command.enhance(source, target, [])
    monkeypatch.setenv("NULI", str(program(tmp_path / "silent", "exit 3")))
    with pytest.raises(command.CommandError, match="code 3"):
        command.enhance(source, target, [])
    monkeypatch.setenv("NULI", str(tmp_path / "absent"))
    with pytest.raises(command.CommandError, match=r"absent can't be started.*install NUlIE"):
        command.enhance(source, target, [])


@needs_sh
def test_a_command_whose_caller_gives_up_is_ended(command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = tmp_path / "pid"
    monkeypatch.setenv("NULI", str(program(tmp_path / "slow", f'echo $$ > "{left}"; exec sleep 60')))

    def give_up() -> None:
        if left.exists() and left.read_text():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        command.enhance(tmp_path / "a.png", tmp_path / "b.png", [], give_up)
    with pytest.raises(ProcessLookupError):
        os.kill(int(left.read_text()), 0)


# --- GIMP ---

GIMP = shutil.which("gimp-console-3.0") or shutil.which("gimp-console-3")
IN_GIMP = """
import json, os
from gi.repository import Gegl, Gimp, Gio

def file(name):
    return Gio.File.new_for_path(os.path.join(os.environ["PLACE"], name))

def pixels(layer):
    area = Gegl.Rectangle.new(0, 0, layer.get_width(), layer.get_height())
    return layer.get_buffer().get(area, 1.0, "R'G'B' u8", Gegl.AbyssPolicy.NONE)

def enhance(image):
    procedure = Gimp.get_pdb().lookup_procedure("plug-in-nuli-enhance")
    config = procedure.create_config()
    config.set_property("run-mode", Gimp.RunMode.NONINTERACTIVE)
    config.set_property("image", image)
    config.set_core_object_array("drawables", [image.get_layers()[-1]])
    return procedure.run(config).index(0).value_nick, Gimp.get_pdb().get_last_error()

def load():
    return Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file("in.png"))

told = {}
image = load()
told["plain"] = enhance(image)
told["layers"] = len(image.get_layers())
reference = Gimp.file_load(Gimp.RunMode.NONINTERACTIVE, file("out.png"))
told["equal"] = pixels(image.get_layers()[0]) == pixels(reference.get_layers()[0])

image = load()
image.select_rectangle(Gimp.ChannelOps.REPLACE, 20, 30, 100, 80)
told["selected"] = enhance(image)
new, old = (pixels(layer) for layer in image.get_layers())
width = image.get_width()
moved = [(i // 3 % width, i // 3 // width) for i in range(len(new)) if new[i] != old[i]]
told["moved"] = [min(x for x, y in moved), max(x for x, y in moved), min(y for x, y in moved), max(y for x, y in moved)]
told["mask"] = image.get_layers()[0].get_mask() is not None

image = load()
image.convert_grayscale()
image.convert_precision(Gimp.Precision.U16_NON_LINEAR)
image.scale(400, 300)
told["grey"] = enhance(image)
area = Gegl.Rectangle.new(0, 0, 400, 300)
deep = image.get_layers()[0].get_buffer().get(area, 1.0, "Y' u16", Gegl.AbyssPolicy.NONE)
told["levels"] = len({deep[i : i + 2] for i in range(0, len(deep), 2)})
with open(os.path.join(os.environ["PLACE"], "told.json"), "w") as out:
    json.dump(told, out)
"""


@pytest.mark.skipif(GIMP is None, reason="there is no gimp-console of GIMP 3 on this machine")
def test_in_gimp(tmp_path: Path, nuli: Path, photo: Image.Image) -> None:
    """A layer, a selection and 16-bit grey; the new layer is what the command makes of the same pixels."""
    photo.point(lambda value: 90 + value // 4).save(tmp_path / "in.png")
    subprocess.run([nuli, "enhance", tmp_path / "in.png", "-o", tmp_path / "out.png"], check=True, capture_output=True)
    plug_ins = tmp_path / "plug-ins"
    plug_ins.mkdir()
    (plug_ins / "nuli").symlink_to(INTEGRATIONS / "gimp" / "nuli")
    (tmp_path / "gimprc").write_text(f'(plug-in-path "${{gimp_plug_in_dir}}/plug-ins:{plug_ins}")\n')
    (tmp_path / "script.py").write_text(IN_GIMP)
    batch = f"exec(open({str(tmp_path / 'script.py')!r}).read())"
    subprocess.run(
        [
            GIMP,
            "-i",
            "-d",
            f"--gimprc={tmp_path / 'gimprc'}",
            "--batch-interpreter=python-fu-eval",
            "-b",
            batch,
            "--quit",
        ],
        env={**os.environ, "NULI": str(nuli), "PLACE": str(tmp_path), "HOME": str(tmp_path)},
        timeout=300,
        capture_output=True,
    )
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["plain"] == ["success", "success"] and told["layers"] == 2 and told["equal"]
    assert told["selected"] == ["success", "success"] and told["mask"]
    left, right, top, bottom = told["moved"]
    assert left >= 20 and right < 120 and top >= 30 and bottom < 110
    assert told["grey"] == ["success", "success"] and told["levels"] > 256
