"""Pictures in stores, notes of what is done, and the engine ray; what needs Ray is skipped where it is absent."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from PIL import Image

from nuli.bulk import ray_engine
from nuli.bulk.notes import FOLDER, Notes
from nuli.bulk.ray_engine import run_ray
from nuli.bulk.ray_worker import UNABLE, Enhancer
from nuli.bulk.urls import UrlTask, plan_urls
from nuli.bulk.work import ENHANCED, FAILED, Settings, Worker
from nuli.errors import OptionError
from nuli.options import Options
from nuli.sources import FileTask, plan_files

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed: pip install 'nulie[ray]'"
)
# what Ray warns of here has no other way yet; filters are the program's, of the command line's as of these tests'
pytestmark = pytest.mark.filterwarnings("ignore:`ray_remote_args` is deprecated")
SETTINGS = Settings(Options(evaluations=40, device="cpu", scorer="vivid", margin=0.0))
HARD = Settings(
    Options(mode="hard", evaluations=150, device="cpu", scorer="vivid", margin=0.0, seed=3), 2, save_recipe=True
)


@pytest.fixture
def folder(tmp_path: Path, photo_path: Path) -> Path:
    """a.jpg, b.png, deep/c.gif, broken.jpg; a hidden one, a result of ours and a text, which are none of ours to do."""
    root = tmp_path / "in"
    (root / "deep" / ".hidden").mkdir(parents=True)
    with Image.open(photo_path) as image:
        small = image.resize((240, 160))
    small.save(root / "a.jpg")
    small.rotate(180).save(root / "b.png")
    small.save(root / "deep" / "c.gif")
    small.save(root / "a-nuli.jpg")
    small.save(root / "deep" / ".hidden" / "d.jpg")
    (root / "broken.jpg").write_bytes(b"no picture")
    (root / "notes.txt").write_text("no picture")
    return root


@pytest.fixture
def store(folder: Path) -> Iterator[MemoryFileSystem]:
    """The same in memory://in."""
    system = fsspec.filesystem("memory")
    system.put(str(folder), "/in", recursive=True)
    yield system
    system.rm("/", recursive=True)
    system.pseudo_dirs[:] = [""]


def rows(tasks: list[UrlTask], notes: Notes | None = None) -> list[dict[str, Any]]:
    import json

    return [json.loads(ray_engine._row(task, notes)) for task in tasks]


def locally(folder: Path, output: Path, settings: Settings) -> list[dict[str, Any]]:
    tasks, errors = plan_files([folder], True, output, False, settings.others)
    assert not errors
    worker = Worker(settings)
    return [worker(task) for task in tasks]


def test_a_plan_is_that_of_the_local_engine(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    for named in ([folder], [folder, folder / "deep"], [folder / "b.png"], [folder, folder / "deep" / "c.gif"]):
        wanted, wrong = plan_files(named, True, output / "", False, 2)
        tasks, errors = plan_urls([str(path) for path in named], True, str(output), 2)
        got = [FileTask(Path(t.source), Path(t.target), tuple(map(Path, t.others))) for t in tasks]
        assert got == wanted and list(map(str, errors)) == list(map(str, wrong))
    shutil.copy(folder / "b.png", folder / "a.png")
    shutil.copy(folder / "deep" / "c.gif", folder / "a.gif")
    tasks, errors = plan_urls([str(folder)], False, f"file://{output}")
    assert {Path(task.source).name for task in tasks} == {"a.gif", "a.jpg", "b.png", "broken.jpg"}
    assert "would replace another" in str(errors[0])
    tasks, errors = plan_urls([str(folder)], False, str(folder))
    assert [Path(task.source).name for task in tasks] == []
    assert "source itself" in str(errors[0])


def test_a_store_is_searched_like_a_folder(store: MemoryFileSystem) -> None:
    store.pipe_file("/in/out/old.jpg", b"a result")
    tasks, errors = plan_urls(["memory://in"], True, "memory://in/out", 1)
    assert not errors
    assert {task.source: task.target for task in tasks} == {
        "memory:///in/a.jpg": "memory:///in/out/a.jpg",
        "memory:///in/b.png": "memory:///in/out/b.png",
        "memory:///in/broken.jpg": "memory:///in/out/broken.jpg",
        "memory:///in/deep/c.gif": "memory:///in/out/deep/c.png",
    }
    assert tasks[0].others == ("memory:///in/out/a-2.jpg",) and tasks[0].stamp
    tasks, _ = plan_urls(["memory://in"], False, "memory://out")
    assert len(tasks) == 3
    tasks, _ = plan_urls(["memory://in/deep/c.gif"], False, "memory://out")
    assert [task.target for task in tasks] == ["memory:///out/c.png"]
    tasks, errors = plan_urls(["memory://nowhere", "memory://in/out/deeper"], False, "memory://out")
    assert not tasks and len(errors) == 2
    with pytest.raises(OptionError, match="pip install"):
        plan_urls(["nosuch://bucket/in"], False, "memory://out")


def test_a_result_in_a_store_is_that_of_the_local_engine(folder: Path, store: MemoryFileSystem, tmp_path: Path) -> None:
    records = locally(folder, tmp_path / "out", HARD)
    tasks, _ = plan_urls(["memory://in"], True, "memory://out", HARD.others)
    notes = Notes("memory://out", "digest")
    enhancer = Enhancer(HARD)
    told = [enhancer.do(**row) for row in rows(tasks, notes)]
    assert [r["status"] for r in told] == [r["status"] for r in records]
    assert sum(r["status"] == ENHANCED for r in told) == 3 and sum(len(r.get("others", ())) for r in told)
    wanted = {str(p.relative_to(tmp_path)): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    got = {path.lstrip("/"): store.cat_file(path) for path in store.find("/out") if FOLDER not in path}
    assert got == wanted
    broken = next(r for r in told if r["status"] == FAILED)
    assert broken["input"] == "memory:///in/broken.jpg" and broken["error"].startswith("memory:///in/broken.jpg: ")
    fine = next(r for r in told if r["others"])
    assert fine["output"].startswith("memory:///out/") and fine["others"][0]["output"].startswith("memory:///out/")
    notes = Notes("memory://out", "digest")
    known = [notes.find(task) for task in tasks]
    assert [name is None for name in known] == [r["status"] == FAILED for r in told]
    assert notes.read([name for name in known if name]) == [r for r in told if r["status"] != FAILED]


def test_a_store_where_half_an_object_can_be_seen(store: MemoryFileSystem) -> None:
    class Plain(MemoryFileSystem):
        protocol = "plain"

        @classmethod
        def _strip_protocol(cls, path: str) -> str:
            return super()._strip_protocol(path.replace("plain://", "memory://"))

    fsspec.register_implementation("plain", Plain, clobber=True)
    tasks, _ = plan_urls(["memory://in/a.jpg"], False, "plain://results")
    assert Enhancer(SETTINGS).do(**rows(tasks)[0])["status"] == ENHANCED
    assert store.find("/results") == ["/results/a.jpg"]


def test_what_is_done_is_found_until_something_changes(folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    tasks, _ = plan_urls([str(folder)], False, str(output))
    task = next(task for task in tasks if task.source.endswith("a.jpg"))
    assert Notes(str(output), "digest").find(task) is None
    enhancer = Enhancer(SETTINGS)
    enhancer.do(**rows([task], Notes(str(output), "digest"))[0])
    notes = Notes(str(output), "digest")
    assert notes.find(task) and not notes.find(replace(task, stamp="newer"))
    assert not notes.find(replace(task, source=task.source + "x"))
    other = Notes(str(output), "other")
    assert not other.find(task) and len(other.stale(task)) == 1
    enhancer.do(**rows([task], other)[0])
    assert Notes(str(output), "other").find(task) and not Notes(str(output), "digest").find(task)
    Path(task.target).write_bytes(b"changed")
    assert not Notes(str(output), "other").find(task)


def test_no_picture_is_done_where_none_can_be(folder: Path, tmp_path: Path) -> None:
    tasks, _ = plan_urls([str(folder)], False, str(tmp_path / "out"))
    enhancer = Enhancer(replace(SETTINGS, options=Options(ops="nosuch")))
    assert enhancer.do(**rows(tasks)[0])["status"] == UNABLE


def test_ray_is_asked_for_where_it_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(OptionError, match=r"pip install 'nulie\[ray\]'"):
        list(run_ray([], SETTINGS, None))


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """Ray on this machine, started once for all tests."""
    with ray_engine._cluster(None, (2, 2)):
        yield


@needs_ray
def test_ray_makes_the_same_and_then_nothing(cluster: None, folder: Path, tmp_path: Path) -> None:
    locally(folder, tmp_path / "locally", SETTINGS)
    output = tmp_path / "out"
    tasks, _ = plan_urls([str(folder)], True, str(output))
    records = list(run_ray(tasks, SETTINGS, Notes(str(output), "digest"), actors=(2, 2)))
    assert {r["input"]: r["status"] for r in records} == {
        task.source: FAILED if "broken" in task.source else ENHANCED for task in tasks
    }
    for path in (tmp_path / "locally").rglob("*.*"):
        assert (output / path.relative_to(tmp_path / "locally")).read_bytes() == path.read_bytes()
    notes = Notes(str(output), "digest")
    left = [task for task in tasks if not notes.find(task)]
    assert [Path(task.source).name for task in left] == ["broken.jpg"]
    with pytest.raises(OptionError, match="nosuch"):
        list(run_ray(tasks, replace(SETTINGS, options=Options(ops="nosuch")), None))


@needs_ray
def test_ray_goes_on_when_processes_die(
    cluster: None, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = str(tmp_path / "died")

    class Mortal(Enhancer):  # within the test, so that it travels to the processes with it
        def do(self, source: str, **others: Any) -> dict[str, Any]:
            once = source.endswith("b.png") and not os.path.exists(mark)
            if once:
                open(mark, "w").close()
            if once or source.endswith("c.gif"):
                os.kill(os.getpid(), signal.SIGKILL)
            return super().do(source=source, **others)

    monkeypatch.setattr(ray_engine, "Enhancer", Mortal)
    monkeypatch.setattr(ray_engine, "TRIES", 1)
    output = tmp_path / "out"
    tasks, _ = plan_urls([str(folder)], True, str(output))
    records = list(run_ray(tasks, SETTINGS, Notes(str(output), "digest"), actors=(2, 2)))
    told = {Path(r["input"]).name: r["status"] for r in records}
    assert told == {"a.jpg": ENHANCED, "b.png": ENHANCED, "c.gif": FAILED, "broken.jpg": FAILED}
    assert "died" in next(r["error"] for r in records if r["input"].endswith("c.gif"))


@needs_ray
def test_a_stop_leaves_the_rest(cluster: None, folder: Path, tmp_path: Path) -> None:
    tasks, _ = plan_urls([str(folder)], True, str(tmp_path / "out"))
    stop = threading.Event()
    stop.set()
    began = time.monotonic()
    assert len(list(run_ray(tasks, SETTINGS, None, actors=(1, 1), stop=stop))) == 1
    assert time.monotonic() - began < 30
