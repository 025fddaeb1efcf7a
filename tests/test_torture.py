"""What strangers may send, and what may go wrong around a run: a little of each kind of `bench.torture`, and what the
long runs of it, or reading the code, have found."""

from __future__ import annotations

import io
import json
import os
import random
import sqlite3
import struct
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.torturing import faults
from bench.torturing.files import fuzzed_files
from bench.torturing.kills import kills
from bench.torturing.tally import Tally
from bench.torturing.texts import fuzzed_texts
from nuli.bulk.journal import NAME, Journal
from nuli.bulk.memory import needed
from nuli.bulk.work import Settings, Worker
from nuli.cli.main import main
from nuli.errors import ImageError, NuliError, OptionError, RecipeError
from nuli.imaging.atomic import write_text
from nuli.imaging.photo import load_photo
from nuli.look import Look
from nuli.ops.cube import read_cube
from nuli.options import options_from
from nuli.recipe import Recipe
from nuli.sources import FileTask, list_images

QUICK = ["--evaluations", "12", "--device", "cpu", "--scorer", "vivid", "--margin", "0", "--guards", "off"]
CONTRAST = "nuli1 contrast=1.3"


def numbered(value: object) -> str:
    """A test's name for a value that may have millions of signs."""
    return f"{type(value).__name__} {zlib.crc32(repr(value)[:10_000].encode()) if not isinstance(value, int) else ''}"


def picture(path: Path, size: tuple[int, int] = (60, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.effect_noise(size, 60).convert("RGB").point(lambda v: v // 2).save(path)
    return path


def told(capsys: pytest.CaptureFixture[str]) -> str:
    return "".join(line + "\n" for line in capsys.readouterr().err.splitlines() if not line.startswith("judged by"))


@pytest.mark.parametrize("torture,tries", [(fuzzed_texts, 600), (fuzzed_files, 450)])
def test_a_little_torture(torture: Callable[..., Tally], tries: int) -> None:
    tally = torture(random.Random(16), time.monotonic() + 60, tries)
    assert tally.tries > 20 and tally.notes == [] and tally.lost == tally.wrong == 0


@pytest.mark.skipif(sys.platform != "linux", reason="needs SIGKILL, and /proc")
def test_killed_at_a_moment_of_its_own_choice() -> None:
    tally = kills(random.Random(16), time.monotonic() + 90, 3)
    assert tally.tries == 3 and tally.notes == []


@pytest.mark.parametrize("kind", ["bad scorer", "bad weights"])
def test_a_few_faults(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NULI_CACHE", str(tmp_path))
    tally, rng = Tally(kind), random.Random(16)
    for number in range(20):
        faults.KINDS[kind](tally, rng, tmp_path / str(number), {})
    assert tally.notes == []


# ---------------------------------------------------------------- links and names


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A picture that is none of the folder's business."""
    return picture(tmp_path / "private" / "b.png")


def test_links_out_of_a_folder_are_not_followed(
    tmp_path: Path, outside: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, data = picture(tmp_path / "in" / "a.png").parent, outside.read_bytes()
    (folder / "b.png").symlink_to(outside)
    (folder / "c.png").symlink_to("a.png")
    assert [path.name for path in list_images(folder)] == ["a.png", "c.png"]
    assert main(["enhance", str(folder), "--in-place", "--jobs", "1", *QUICK]) == 1
    assert "b.png: a link out of" in told(capsys) and outside.read_bytes() == data
    assert main(["apply", CONTRAST, str(folder / "b.png"), "-o", str(tmp_path / "named.png")]) == 0


@pytest.mark.parametrize("output", [[], ["-o", "out"]])
@pytest.mark.parametrize("single", [True, False])
def test_results_do_not_go_through_links(
    tmp_path: Path, outside: Path, output: list[str], single: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of names that the user gave, a link is followed; of ours it may be a stranger's."""
    monkeypatch.chdir(tmp_path)
    data, source = outside.read_bytes(), picture(tmp_path / "in" / "a.png")
    place = tmp_path / ("out/a.png" if output else "in/a-nuli.png")
    place.parent.mkdir(exist_ok=True)
    place.symlink_to(outside)
    asked = "in/a.png" if single else "in"
    assert main(["apply", CONTRAST, asked, *output]) == 1
    assert outside.read_bytes() == data and place.is_symlink()
    place.unlink()
    if output:  # a folder in the way, too
        picture(tmp_path / "in" / "sub" / "b.png")
        place.with_name("sub").symlink_to(outside.parent)
        assert main(["apply", CONTRAST, "in", "-r", *output]) == 1
        assert outside.read_bytes() == data and place.exists()
        return
    recipe = source.with_name("a-nuli.png.json")
    recipe.symlink_to(outside)
    assert main(["enhance", asked, "--save-recipe", "--no-journal", "--jobs", "1", *QUICK]) == 0
    assert outside.read_bytes() == data and "steps" in recipe.read_text() and not recipe.is_symlink()


def test_a_journal_that_leads_out_or_brings_programs_is_not_used(tmp_path: Path) -> None:
    other = tmp_path / "browser.sqlite"
    with sqlite3.connect(other) as connection:
        connection.execute("create table history (url text)")
    (tmp_path / NAME).symlink_to(other)
    with pytest.raises(ImageError, match="link"):
        Journal(tmp_path / NAME, "s")
    with pytest.raises(ImageError, match="something else"):
        Journal(other, "s")
    Journal(tmp_path / "own", "s").close()
    with sqlite3.connect(tmp_path / "own") as connection:
        connection.execute("create trigger t after insert on done begin delete from done; end")
    with pytest.raises(ImageError, match="something else"):
        Journal(tmp_path / "own", "s")


@pytest.mark.parametrize(
    "record", ["[]", "[" * 100_000, "1", '{"others": [1]}', '{"others": [{}]}', "no", None], ids=numbered
)
def test_a_damaged_row_of_a_journal_is_none(tmp_path: Path, record: str | None) -> None:
    task = FileTask(picture(tmp_path / "a.png"), picture(tmp_path / "b.png"))
    journal = Journal(tmp_path / NAME, "s")
    journal.note(task, task.source.stat(), task.target.stat(), {"status": "enhanced"})
    assert journal.find(task) == {"status": "enhanced"}
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute("update done set record = ?", (record,))
    assert journal.find(task) is None


def test_names_do_not_reach_the_terminal_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "a\n\x1b]0;title\x07\u2028.png"
    picture(tmp_path / name)
    (tmp_path / f"b{name}").write_bytes(b"no picture")
    assert main(["apply", CONTRAST, str(tmp_path), "--jobs", "1"]) == 1
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(err.splitlines()) == 1 and "a\\n\\x1b]0;title\\x07\\u2028.png" in out
    assert not {"\x1b", "\x07", "\u2028"} & set(out + err)


# ---------------------------------------------------------------- work that small files make


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    """200 KB of it took two minutes."""
    made = io.BytesIO()
    Image.new("L", (4000, 4000), 90).save(made, "JPEG", progressive=True)
    data = made.getvalue()
    last = data[data.rfind(b"\xff\xda") : -2]
    assert load_photo(data).pixels.shape == (4000, 4000, 1)
    with pytest.raises(ImageError, match="1006 scans"):
        load_photo(data[:-2] + 1000 * last + data[-2:])
    made = io.BytesIO()
    Image.new("L", (40, 40), 90).save(made, "JPEG", progressive=True)
    load_photo(made.getvalue()[:-2] + 100 * last + data[-2:])  # nobody minds


def test_a_tiff_in_very_many_parts_is_refused() -> None:
    height = 70_000
    fields = {256: 1, 257: height, 258: 8, 259: 1, 262: 1, 273: 0, 277: 1, 278: 1, 279: 0}
    begin = 8 + 2 + 12 * len(fields) + 4
    fields |= {273: begin, 279: begin + 4 * height}
    counts = {273: height, 279: height}
    table = b"".join(struct.pack("<HHII", tag, 4, counts.get(tag, 1), value) for tag, value in fields.items())
    head = b"II*\0" + struct.pack("<IH", 8, len(fields)) + table + bytes(4)
    with pytest.raises(ImageError, match="parts"):
        load_photo(head + struct.pack("<I", 8) * height + struct.pack("<I", 1) * height)


def test_the_frames_of_a_large_gif_are_not_counted() -> None:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x40" + bytes(65)
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    assert load_photo(head + 3 * frame + b";").notes == ("only the first of 3 frames is used",)
    assert load_photo(head + 20_000 * frame + b";").notes == ("only the first of several frames is used",)


def test_formats_that_are_not_read_are_not_opened_for_their_size_either(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 900 900\n%%EndComments\n")
    assert needed(tmp_path / "a.png") == 0 < needed(picture(tmp_path / "b.png"))


# ---------------------------------------------------------------- texts


@pytest.mark.parametrize(
    "text",
    [
        "nuli1 " + "contrast=1.1 " * 200_000,
        json.dumps({"nuli": 1, "steps": [{"op": "contrast"}] * 200_000}),
        "nuli1 contrast=" + "1/" * 2_000_000 + "1",
        "nuli1 " + "x" * 2_000_000 + "=1",
        json.dumps({"nuli": 1, "steps": [{"op": "contrast", "factor": "x" * 2_000_000}]}),
        json.dumps({"nuli": 1, "steps": [{"op": "contrast", "x" * 2_000_000: 1}]}),
        '{"nuli": 1' + "0" * 4000 + ', "steps": []}',
        " " * (17 << 20),
    ],
    ids=numbered,
)
def test_long_recipes_are_refused_at_once_and_briefly(text: str) -> None:
    began = time.process_time()
    with pytest.raises(RecipeError) as caught:
        Recipe.parse(text)
    assert len(str(caught.value)) < 1000 and time.process_time() - began < 3


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="only Unix has a file without end")
def test_a_recipe_without_end_is_not_read_to_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["apply", "/dev/zero", str(picture(tmp_path / "a.png"))]) == 1
    assert "too long" in told(capsys)


def test_a_look_is_read_whatever_spaces_are_around_it_and_measured_nothing_odd() -> None:
    recipe = {"nuli": 1, "steps": [{"op": "white_balance", "amount": 1}]}
    gains = [[0.1, 0.0, 0.2]] * 3
    assert Look.from_json("\u2003" + json.dumps({**recipe, "statistics": [gains]})).statistics is not None
    with pytest.raises(RecipeError, match="malformed"):
        Look.from_json(json.dumps({**recipe, "statistics": [[[100.0, 0.0, 0.2]] * 3]}))


@pytest.mark.parametrize(
    "text", ["[a]\npreset = a\n", "[a]\npreset = b\n[b]\npreset = a\n", "[a]\n" + "x" * 100_000], ids=numbered
)
def test_presets_that_go_in_circles_or_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path))
    (tmp_path / "presets.ini").write_text(text)
    with pytest.raises(OptionError) as caught:
        options_from({"preset": "a"})
    assert len(str(caught.value)) < 1000 and "\n" not in str(caught.value)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere root can make folders everywhere")
def test_a_place_for_presets_that_cannot_be_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NULI_CONFIG", "/proc/nuli")
    assert main(["presets", "save", "mine"]) == 1
    assert "internal error" not in told(capsys)


@pytest.mark.parametrize("value", [10**5000, "x" * 100_000, ["x" * 100_000], b"\n"], ids=numbered)
def test_odd_values_of_options_are_told_briefly(value: object) -> None:
    for name in ("seed", "mode", "ops", "scorer", "strength", "x" * 100_000):
        with pytest.raises(NuliError) as caught:
            options = options_from({name: value})
            Worker(Settings(options))
        assert len(str(caught.value)) < 1500 and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [b"\n" * 5_000_000, b"TITLE " + b"ab " * 5_000_000, b"#" * 5_000_000, b"LUT_3D_SIZE 2\n" + b"1" * 2_000_000],
    ids=numbered,
)
def test_luts_of_nothing_but_lines_are_refused(data: bytes) -> None:
    began = time.process_time()
    with pytest.raises(OptionError, match="lines"):
        read_cube(data)
    assert time.process_time() - began < 5


def test_a_domain_too_narrow_for_float32_is_refused() -> None:
    text = "LUT_1D_SIZE 2\nDOMAIN_MIN 999999 0 0\nDOMAIN_MAX 999999.00001 1 1\n0 0 0\n1 1 1\n"
    with pytest.raises(OptionError, match="greater"):
        read_cube(text.encode())


# ---------------------------------------------------------------- what changes meanwhile


@pytest.mark.parametrize("command", ["enhance", "apply"])
def test_what_is_saved_to_a_source_meanwhile_is_not_written_over(
    tmp_path: Path, command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even at the last moment, when the result has just been encoded."""
    source = picture(tmp_path / "a.png")
    from nuli.imaging import photo

    write = photo.write_image

    def write_slowly(*arguments: object) -> None:
        write(*arguments)
        source.write_bytes(b"what another program saved")

    monkeypatch.setattr(photo, "write_image", write_slowly)
    arguments = ["enhance", *QUICK] if command == "enhance" else ["apply", CONTRAST]
    assert main([*arguments, str(source), "--in-place"]) == 1
    assert source.read_bytes() == b"what another program saved" and "changed while" in told(capsys)
    assert {name for name in os.listdir(tmp_path) if name != NAME} == {"a.png"}


def test_text_beside_a_result_replaces_a_link(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    for name, follow in (("b", False), ("c", True)):
        (tmp_path / name).symlink_to(tmp_path / "a.txt")
        write_text(tmp_path / name, name, follow)
        assert (tmp_path / name).is_symlink() == follow and (tmp_path / name).read_text() == name
    assert (tmp_path / "a.txt").read_text() == "c"
