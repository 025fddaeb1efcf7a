"""Many pictures: in order, several at a time, each done once, and whatever happens to one told."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from nuli.bulk import local
from nuli.bulk.journal import NAME, Journal
from nuli.bulk.local import run
from nuli.bulk.memory import BYTES_A_PIXEL, Gate, free_memory, needed
from nuli.bulk.shared import SharedScorer
from nuli.bulk.work import Settings, Worker
from nuli.cli.main import main
from nuli.enhancer import score
from nuli.errors import ImageError, OptionError
from nuli.imaging.photo import load_photo, save_photo
from nuli.look import Look
from nuli.options import Options
from nuli.recipe import Recipe
from nuli.sources import FileTask, plan_files
from nuli.steady import light_of

QUICK = ["--evaluations", "30", "--device", "cpu", "--seed", "1"]
SETTINGS = Settings(Options(evaluations=30, device="cpu", seed=1))


@pytest.fixture
def folder(tmp_path: Path, photo: Image.Image) -> Path:
    """Eight pictures, two of them in a folder of their own; all but the first in need of light."""
    place = tmp_path / "photos"
    (place / "trip").mkdir(parents=True)
    for i in range(8):
        dark = photo.resize((240 + i, 180)).point(lambda v, i=i: int(v * (1 - 0.08 * i)))
        dark.save(place / ("trip" if i > 5 else ".") / f"{i}.jpg", quality=95)
    return place


def darken(folder: Path, light: float = 0.0) -> None:
    """Make all pictures as dark as each other, or all of them darker."""
    for path in folder.rglob("*.jpg"):
        with Image.open(path) as image:
            factor = light or 0.5 / (1 - 0.08 * int(path.stem))
            dark = image.point(lambda v, factor=factor: int(v * factor))
        dark.save(path, quality=95)


def results(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.jpg")}


def tasks_of(folder: Path, output: Path) -> list[FileTask]:
    return plan_files([folder], True, output, False)[0]


def told(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_jobs_change_neither_order_nor_pixels(folder: Path, tmp_path: Path) -> None:
    made = {}
    for jobs in (1, 2):
        output = tmp_path / f"out{jobs}"
        tasks = tasks_of(folder, output)
        records = [record for _, record in run(tasks, SETTINGS, jobs, threading.Event())]
        assert [r["input"] for r in records] == [str(t.source) for t in tasks]
        assert "enhanced" in {r["status"] for r in records}
        made[jobs] = results(output)
    assert made[1] == made[2] and len(made[1]) == 8 and os.path.join("trip", "6.jpg") in made[1]


def test_a_picture_that_fails_is_told_and_the_others_are_done(folder: Path, tmp_path: Path) -> None:
    (folder / "3.jpg").write_bytes(b"no picture")
    records = [r for _, r in run(tasks_of(folder, tmp_path / "out"), SETTINGS, 2, threading.Event())]
    assert [r["status"] == "failed" for r in records] == [i == 3 for i in range(8)]
    assert "3.jpg" in records[3]["error"] and records[3]["code"] == 1
    assert len(results(tmp_path / "out")) == 7


def test_what_nobody_can_do_is_an_error_at_once(folder: Path, tmp_path: Path) -> None:
    settings = Settings(Options(ops="-light,-colour,-detail"))
    for jobs in (1, 2):
        with pytest.raises(OptionError, match="nothing to use"):
            list(run(tasks_of(folder, tmp_path / "out"), settings, jobs, threading.Event()))


def test_a_process_that_is_killed_costs_no_picture(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = []
    start = local._Processes._start
    monkeypatch.setattr(local._Processes, "_start", lambda self, n: pools.append(start(self, n)) or pools[-1])
    records = run(tasks_of(folder, tmp_path / "out"), SETTINGS, 2, threading.Event())
    first = next(records)
    for pid in list(pools[0]._processes):
        os.kill(pid, signal.SIGKILL)
    rest = list(records)
    assert len(pools) > 1 and {r["status"] for _, r in (first, *rest)} <= {"enhanced", "unchanged"}
    assert len(results(tmp_path / "out")) == 8


@pytest.mark.skipif(os.name == "nt", reason="there are no processes on Windows, but threads")
def test_the_process_that_hands_out_pictures_loads_no_torch(folder: Path, tmp_path: Path) -> None:
    """It would take its time and memory for nothing."""
    arguments = ["enhance", str(folder), "-o", str(tmp_path / "out"), "--jobs", "2", *QUICK]
    code = f"import sys; from nuli.cli.main import main; assert not main({arguments}); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False" and "leaked" not in done.stderr


def test_after_a_stop_the_rest_is_left_out(folder: Path, tmp_path: Path) -> None:
    for jobs in (1, 2):
        stop, done = threading.Event(), []
        for task, record in run(tasks_of(folder, tmp_path / f"out{jobs}") * 3, SETTINGS, jobs, stop):
            assert record["input"] == str(task.source)
            done.append(record)
            stop.set()
        assert 1 <= len(done) < 24


def test_done_is_done_until_something_changes(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    command = ["enhance", str(folder), "-r", "-o", str(output), "--jobs", "1", "--json"]

    def statuses(*more: str) -> list[str]:
        assert main([*command, *QUICK, *more]) == 0
        return [record["status"] for record in told(capsys)]

    first = statuses()
    assert len(first) == 8 and "skipped" not in first
    before = {p: p.stat().st_mtime_ns for p in output.rglob("*.jpg")}
    assert statuses() == ["skipped"] * 8
    assert {p: p.stat().st_mtime_ns for p in output.rglob("*.jpg")} == before
    os.utime(folder / "1.jpg", ns=(1, 1))
    (output / "2.jpg").unlink()
    (output / "3.jpg").write_bytes(b"something else")
    assert [s == "skipped" for s in statuses()] == [i not in (1, 2, 3) for i in range(8)]
    assert "skipped" not in statuses("--strength", "0.5")
    assert "skipped" not in statuses("--redo", "--strength", "0.5")
    (output / NAME).unlink()
    assert "skipped" not in statuses("--no-journal") and not (output / NAME).exists()


def test_sources_that_are_written_over_are_not_enhanced_twice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["enhance", str(folder), "-r", "--in-place", "--jobs", "1", "--json", *QUICK]
    assert main(command) == 0
    assert "enhanced" in {r["status"] for r in told(capsys)}
    made = results(folder)
    assert main(command) == 0
    assert {r["status"] for r in told(capsys)} == {"skipped"}
    assert results(folder) == made


@pytest.mark.parametrize("in_place", [False, True])
def test_what_a_stop_cut_short(folder: Path, tmp_path: Path, in_place: bool) -> None:
    """It is done again; but a source that was written over never."""
    settings = replace(SETTINGS, in_place=in_place, journal=tmp_path / "journal")
    source = folder / "5.jpg"
    task = FileTask(source, source if in_place else tmp_path / "made.jpg")
    worker = Worker(settings)
    status, result = source.stat(), list(worker.events(task))[-1]
    worker.stop = lambda: True
    assert worker.save(task, result, status)["status"] == "enhanced"
    known = Journal(tmp_path / "journal", settings.digest).find(task)
    assert (known is not None) == in_place


def test_a_source_that_changes_meanwhile_is_not_written_over(folder: Path, tmp_path: Path) -> None:
    source = folder / "5.jpg"
    task, worker = FileTask(source, source), Worker(replace(SETTINGS, in_place=True, journal=tmp_path / "journal"))
    status, result = source.stat(), list(worker.events(task))[-1]
    new = (folder / "0.jpg").read_bytes()
    source.write_bytes(new)
    with pytest.raises(ImageError, match="changed while"):
        worker.save(task, result, status)
    assert source.read_bytes() == new


def test_threads_share_a_journal(folder: Path, tmp_path: Path) -> None:
    journal, source = Journal(tmp_path / "journal", "s"), folder / "0.jpg"
    failed: list[BaseException] = []

    def note(part: int) -> None:
        try:
            for i in range(50):
                task = FileTask(source, tmp_path / f"{part}-{i}.jpg")
                journal.note(task, source.stat(), source.stat(), {"status": "enhanced"})
                journal.find(task)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=note, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failed
    with closing(sqlite3.connect(tmp_path / "journal")) as connection:
        assert connection.execute("select count(*) from done").fetchone() == (200,)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child")
@pytest.mark.parametrize("after", [0, 0.2, 0.5, 0.9, 1.5])
def test_ctrl_c_while_processes_start(folder: Path, tmp_path: Path, after: float) -> None:
    """The whole group hears it, as from a terminal, from our first lines on: Python's own start may take long."""
    program = "from nuli.__main__ import handle_interrupt, run; handle_interrupt(); print(flush=True); run()"
    command = [sys.executable, "-c", program, "enhance", str(folder), "-o", str(tmp_path / "out"), "--jobs", "2"]
    process = subprocess.Popen([*command, *QUICK], stdout=-1, stderr=-1, text=True, start_new_session=True)
    process.stdout.readline()
    time.sleep(after)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert "Traceback" not in err and "internal error" not in err
    assert process.returncode in (0, 130, -signal.SIGINT)  # the last one where all was done already


def test_a_journal_that_is_none_says_what_to_do(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / NAME).write_bytes(b"something else entirely" * 100)
    assert main(["enhance", str(folder), "-o", str(tmp_path / "out"), *QUICK]) == 1
    error = capsys.readouterr().err
    assert "--no-journal" in error and "Traceback" not in error


def test_a_row_without_its_file_is_no_proof(folder: Path, tmp_path: Path) -> None:
    """A crash between the note and the file's last step."""
    source, target = folder / "0.jpg", tmp_path / "made.jpg"
    task, journal = FileTask(source, target), Journal(tmp_path / "journal", "s")
    shutil.copy(source, tmp_path / "part")
    journal.note(task, source.stat(), (tmp_path / "part").stat(), {"status": "enhanced"})
    assert journal.find(task) is None
    (tmp_path / "part").rename(target)
    assert journal.find(task) == {"status": "enhanced"}
    assert Journal(tmp_path / "journal", "other").find(task) is None
    with pytest.raises(ImageError, match="journal can't be used"):
        Journal(tmp_path / "no" / "journal", "s")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_killed_run_goes_on(folder: Path, tmp_path: Path) -> None:
    output, whole = tmp_path / "out", tmp_path / "whole"
    command = [sys.executable, "-m", "nuli", "enhance", str(folder), "-r", "--jobs", "2", "--json", *QUICK]
    assert subprocess.run([*command, "-o", str(whole)], capture_output=True).returncode == 0
    process = subprocess.Popen([*command, "-o", str(output)], stdout=-1, stderr=-1, text=True)
    told = [json.loads(process.stdout.readline()) for _ in range(3)]
    process.kill()
    process.communicate()
    time.sleep(1.5)  # its processes end by themselves
    done = {p: p.stat().st_mtime_ns for p in output.rglob("*.jpg")}
    assert {Path(r["output"]) for r in told} <= set(done)
    again = subprocess.run([*command, "-o", str(output)], capture_output=True, text=True)
    assert again.returncode == 0
    records = [json.loads(line) for line in again.stdout.splitlines()]
    assert {r["output"] for r in records if r["status"] == "skipped"} == {str(p) for p in done}
    assert {p: p.stat().st_mtime_ns for p in done} == done
    assert results(output) == results(whole)
    assert not list(output.rglob("*.part")) or len(done) < 8


def test_a_dry_run_does_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["enhance", str(folder), "-r", "-o", str(tmp_path / "out"), "--dry-run", "--jobs", "3"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9 and lines[0].endswith(f"0.jpg -> {tmp_path / 'out' / '0.jpg'}")
    assert lines[-1] == "8 pictures, 8 to do, 3 at a time"
    assert not (tmp_path / "out").exists()


def test_the_summary_tells_of_all(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "3.jpg").write_bytes(b"no picture")
    for name in ("s.csv", "s.json"):
        place = tmp_path / name
        command = ["enhance", str(folder), "-r", "-o", str(tmp_path / "out"), "--jobs", "1", *QUICK]
        assert main([*command, "--summary", str(place)]) == 1
    rows = json.loads((tmp_path / "s.json").read_text())
    with open(tmp_path / "s.csv", newline="") as file:
        first = list(csv.DictReader(file))
    assert (
        [r["input"] for r in first]
        == [r["input"] for r in rows]
        == [str(t.source) for t in tasks_of(folder, tmp_path / "out")]
    )
    assert [r["status"] for r in rows] == ["failed" if i == 3 else "skipped" for i in range(8)]
    assert first[5]["status"] == "enhanced" and float(first[5]["score_after"]) > float(first[5]["score_before"])
    assert first[5]["recipe"].startswith("nuli1 ") and "3.jpg" in first[3]["error"]
    assert "8 pictures: 7 done before, 1 failed" in capsys.readouterr().err
    assert main(["enhance", str(folder), "--summary", str(tmp_path / "s.txt")]) == 2


def test_as_many_at_a_time_as_suit() -> None:
    assert local.pick_jobs(Options()) == local.pick_jobs(Options(mode="hard", device="cpu")) == local.processors() >= 1
    assert local.pick_jobs(Options(scorer="laion", device="cpu")) == 1
    with pytest.raises(OptionError, match="device"):
        local.pick_jobs(Options(device="toaster"))


@pytest.mark.parametrize("jobs", ["0", "-1", "many", "1.5"])
def test_jobs_that_are_no_number(folder: Path, capsys: pytest.CaptureFixture[str], jobs: str) -> None:
    assert main(["enhance", str(folder), "--jobs", jobs]) == 2
    assert "--jobs" in capsys.readouterr().err


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a child")
def test_a_watched_folder(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    command = [sys.executable, "-m", "nuli", "enhance", str(folder), "-o", str(output), "--watch", *QUICK]
    process = subprocess.Popen(command, stdout=-1, stderr=-1, text=True)

    def wait_for(name: str) -> None:
        for _ in range(300):
            if (output / name).exists():
                return
            time.sleep(0.1)
        raise AssertionError(f"{name} did not come")

    try:
        wait_for("5.jpg")
        shutil.copy(folder / "trip" / "7.jpg", folder / "new.jpg")
        wait_for("new.jpg")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 0 and "Traceback" not in err and "new.jpg" in out
    assert not (output / "7.jpg").exists()


def test_pictures_wait_for_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.new("RGB", (100, 50)).save(path)
    assert needed(path) == 5000 * BYTES_A_PIXEL and needed(tmp_path / "none.png") == 0 and free_memory() > 0
    gate, inside, most = Gate(threading, 2 * needed(path)), [], []

    def work() -> None:
        with gate.room_for(path):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.02)
            inside.pop()

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(most) == 6 and max(most) == 2
    small = Gate(threading, 10)  # a picture that needs more than all there is goes alone
    with small.room_for(path):
        pass


class Means:
    """A scorer that scores each view by itself; it notes how many it gets at once."""

    name, licence, input_size, score_range = "means", "", 224, (0.0, 1.0)

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.fails_from = 1000

    def bind(self, original: Tensor) -> Callable[[Tensor], Tensor]:
        return self.score

    def score(self, views: Tensor) -> Tensor:
        time.sleep(0.02)
        self.batches.append(len(views))
        if len(views) >= self.fails_from:
            raise RuntimeError("out of memory")
        return views.mean((1, 2, 3))


@pytest.mark.parametrize("fails_from", [1000, 4])
def test_searches_share_batches(fails_from: int) -> None:
    scorer = Means()
    scorer.fails_from = fails_from
    shared = SharedScorer(scorer, 1)
    assert shared.name == "means" and shared.input_size == 224
    rng = np.random.default_rng(0)
    views = [torch.tensor(rng.random((3, 3, 8, 8), np.float32)) for _ in range(24)]
    found: dict[int, Tensor] = {}

    def search(part: range) -> None:
        score = shared.bind(views[0][:1])
        for i in part:
            found[i] = score(views[i])

    threads = [threading.Thread(target=search, args=(range(i, 24, 4),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == list(range(24))
    for i, scores in found.items():
        torch.testing.assert_close(scores, views[i].mean((1, 2, 3)))
    assert max(scorer.batches) > 3


def test_an_error_of_a_shared_scorer_reaches_who_asked() -> None:
    scorer = Means()
    scorer.fails_from = 2
    score = SharedScorer(scorer, 1).bind(torch.zeros(1, 3, 8, 8))
    with pytest.raises(RuntimeError, match="out of memory"):
        score(torch.zeros(2, 3, 8, 8))
    assert score(torch.ones(1, 3, 8, 8)).tolist() == [1]


def test_a_series_gets_one_correction(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "out"
    darken(folder)
    command = ["enhance", str(folder), "-r", "-o", str(output), "--together", *QUICK]
    assert main([*command, "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("together, by 8 pictures: tone ") and "7.jpg" in out
    made = results(output)
    kept = json.loads((output / ".nuli-together.json").read_text())
    look = Look.from_dict(kept)
    assert len(look.recipe)
    look.lit(kept["stops"][5]).save(folder / "5.jpg", tmp_path / "5.jpg")
    assert (tmp_path / "5.jpg").read_bytes() == made["5.jpg"]
    (output / "5.jpg").unlink()
    assert main([*command, "--json"]) == 0  # goes on with the same correction
    records = told(capsys)
    assert [r["status"] for r in records] == ["enhanced" if i == 5 else "skipped" for i in range(8)]
    assert [r["infotext"] for r in records] == [look.lit(stops).recipe.to_line() for stops in kept["stops"]]
    assert results(output) == made
    assert main([*command, "--watch"]) == 2
    assert "--watch" in capsys.readouterr().err


def test_the_exposure_of_a_video_is_steadied(
    tmp_path: Path, photo: Image.Image, capsys: pytest.CaptureFixture[str]
) -> None:
    frames, output = tmp_path / "frames", tmp_path / "out"
    frames.mkdir()
    for i in range(8):
        stops = -1.5 + 0.03 * (-1) ** i
        Recipe.parse(f"nuli1 exposure={stops:.4f}").apply(photo, "cpu").save(frames / f"{i}.png")
    command = ["enhance", str(frames), "-o", str(output), "--together", "--jobs", "1", *QUICK]
    assert main(command) == 0
    assert "the exposure of 8 of them is steadied" in capsys.readouterr().out
    lights, before = ([light_of(place / f"{i}.png") for i in range(8)] for place in (output, frames))
    assert np.abs(np.diff(lights)).mean() < 0.5 * np.abs(np.diff(before)).mean()
    (output / "3.png").unlink()
    assert main([*command, "--json"]) == 0
    [again] = [record for record in told(capsys) if record["status"] == "enhanced"]
    assert again["infotext"].startswith("nuli1 exposure=")


def test_a_series_that_is_written_over(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It goes on with the same correction, and never gets a second one on top."""
    darken(folder)
    command = ["enhance", str(folder), "-r", "--in-place", "--together", "--jobs", "1", "--json", *QUICK]
    whole = {path: path.read_bytes() for path in folder.rglob("*.jpg")}
    assert main(command) == 0
    assert {r["status"] for r in told(capsys)} == {"enhanced"}
    made = results(folder)
    assert main(command) == 0
    assert {r["status"] for r in told(capsys)} == {"skipped"}
    (folder / "3.jpg").write_bytes(whole[folder / "3.jpg"])
    os.utime(folder / "3.jpg", ns=(5, 5))
    assert main(command) == 2  # another picture than the correction was found for
    assert "a result already" in capsys.readouterr().err
    (folder / "3.jpg").write_bytes(made["3.jpg"])
    shutil.copy(folder / "0.jpg", folder / "new.jpg")
    assert main(command) == 2
    assert main([*command, "--redo"]) == 2
    assert {name: data for name, data in results(folder).items() if name != "new.jpg"} == made


def test_other_pictures_of_the_same_names_get_their_own_correction(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["enhance", str(folder), "-r", "-o", str(tmp_path / "out"), "--together", "--json", *QUICK]
    kept = tmp_path / "out" / ".nuli-together.json"
    darken(folder)
    assert main(command) == 0
    first = json.loads(kept.read_text())
    darken(folder, 0.8)
    assert main(command) == 0
    assert json.loads(kept.read_text())["recipe"] != first["recipe"]
    assert {r["status"] for r in told(capsys)} == {"enhanced"}


def test_a_recipe_is_applied_to_several_at_a_time(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each picture is measured anew, as one by itself is."""
    line = "nuli1 auto_level=0.8/0.3 contrast=1.2"
    for jobs in ("1", "2"):
        assert main(["apply", line, str(folder), "-r", "-o", str(tmp_path / jobs), "--jobs", jobs]) == 0
    made = results(tmp_path / "1")
    assert results(tmp_path / "2") == made and len(made) == 8
    Recipe.parse(line).apply(folder / "5.jpg").save(tmp_path / "5.png")
    save_photo(load_photo(folder / "5.jpg"), np.asarray(Image.open(tmp_path / "5.png")), tmp_path / "5.jpg")
    assert (tmp_path / "5.jpg").read_bytes() == made["5.jpg"]
    assert [li.split(" -> ")[0] for li in capsys.readouterr().out.splitlines()][:8] == [
        str(task.source) for task in tasks_of(folder, tmp_path / "x")
    ]


def test_the_best_are_told_first_and_kept(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["score", str(folder), "-r", "--scorer", "vivid", "--device", "cpu", "--json"]
    assert main([*command, "--jobs", "1"]) == 0
    scores = {record["input"]: record["score"] for record in told(capsys)}
    assert list(scores) == [str(task.source) for task in tasks_of(folder, tmp_path / "x")]
    assert main([*command, "--jobs", "2", "--sort"]) == 0
    ranked = [record["input"] for record in told(capsys)]
    assert ranked == sorted(scores, key=lambda name: -scores[name])
    keep = tmp_path / "kept"
    assert main([*command, "--best", "3", "--keep-best", str(keep)]) == 0
    assert [record["input"] for record in told(capsys)] == ranked[:3]
    kept = {str(folder / name): data for name, data in results(keep).items()}
    assert kept == {name: Path(name).read_bytes() for name in ranked[:3]}
    least = scores[ranked[4]]
    assert main([*command, "--min", str(least)]) == 0
    assert {record["input"] for record in told(capsys)} == set(ranked[:5])
    (keep / Path(ranked[0]).relative_to(folder)).write_bytes(b"something else")
    assert main([*command, "--min", str(least), "--best", "8", "--keep-best", str(keep)]) == 1
    assert "is there already" in capsys.readouterr().err
    assert set(results(keep)) == {str(Path(name).relative_to(folder)) for name in ranked[:5]}
    assert main([*command, "--min", "99"]) == 0 and told(capsys) == []


@pytest.mark.parametrize(
    "arguments", [["--best", "0"], ["--best", "x"], ["--min", "nan"], ["--min", "x"], ["--keep-best", "k"]]
)
def test_the_best_of_what(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    assert main(["score", str(folder), *arguments]) == 2
    assert arguments[0] in capsys.readouterr().err


def test_scores_of_large_photos_need_not_all_their_pixels(photo: Image.Image, tmp_path: Path) -> None:
    """A JPEG is decoded smaller for its score, which is hardly another one."""
    large, path = photo.resize((photo.width * 8, photo.height * 8), Image.Resampling.BICUBIC), tmp_path / "large.jpg"
    large.save(path, quality=95)
    small = load_photo(path, at_least=672)
    assert 672 <= min(small.pixels.shape[:2]) < 1344 and not small.complete
    assert load_photo(path).pixels.shape == (large.height, large.width, 3)
    [quick] = score(path, "vivid", device="cpu")
    with Image.open(path) as image:
        [whole] = score(image.convert("RGB"), "vivid", device="cpu")
    assert quick == pytest.approx(whole, abs=0.02)
