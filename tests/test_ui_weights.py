"""The button that fetches laion's weights. A real server on this machine plays the net."""

from __future__ import annotations

import hashlib
import threading
import time
from dataclasses import replace

import pytest
from test_weights import BODY, Server, cache, server  # noqa: F401, fixtures

from nuli.scoring.registry import SCORERS
from nuli.scoring.weights import CLIP_VIT_L14, LAION_HEAD

pytest.importorskip("gradio")
from nuli.ui import weights


@pytest.fixture
def files(server, monkeypatch, tmp_path):  # noqa: F811
    """The two files of laion, small, and from the server here."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    url = f"http://127.0.0.1:{server.server_port}/thing"
    same = {"url": url, "sha256": hashlib.sha256(BODY).hexdigest(), "size": len(BODY)}
    found = (replace(CLIP_VIT_L14, **same), replace(LAION_HEAD, **same))
    monkeypatch.setitem(SCORERS, "laion", replace(SCORERS["laion"], files=found))
    monkeypatch.setattr(weights, "PROGRESS_INTERVAL", 0.02)
    return found


def test_it_says_what_it_fetches():
    assert weights.label() == "Download laion (937 MB; MIT and Apache-2.0)"


def test_a_click_fetches_both_files(files, server, cache, tmp_path):  # noqa: F811
    hosts = tmp_path / "models" / "CLIP"
    assert "not here" in weights.state([hosts])
    *lines, last = weights.fetch([hosts])
    # CLIP's where the host keeps its own, which then need not fetch it again; the other is nobody else's
    assert (hosts / CLIP_VIT_L14.name).read_bytes() == BODY
    assert (cache / LAION_HEAD.name).read_bytes() == BODY
    assert "ready" in last and "ready" in weights.state([hosts]) and lines
    asked = len(server.seen)
    *_, again = weights.fetch([hosts])  # another click
    assert "ready" in again and len(server.seen) == asked == 2


def test_without_a_folder_of_the_hosts_the_cache_has_both(files, cache):  # noqa: F811
    *_, last = weights.fetch([])
    assert "ready" in last
    assert {path.name for path in cache.iterdir()} >= {CLIP_VIT_L14.name, LAION_HEAD.name}


def test_progress_is_shown(files, server):  # noqa: F811
    server.stall = 0.1
    server.cuts = [len(BODY) // 2]  # half of the first file, a pause, the rest
    lines = list(weights.fetch([]))
    assert any("25 %" in line for line in lines), lines


def test_a_second_click_is_refused_while_the_first_is_at_work(files, server):  # noqa: F811
    server.stall = 0.5
    first = weights.fetch([])
    next(first)
    [second] = weights.fetch([])
    assert "already" in second
    *_, last = first
    assert "ready" in last and len(server.seen) == 2


def test_it_goes_on_where_the_page_was_left_and_can_be_clicked_again(files, server):  # noqa: F811
    server.stall = 0.3
    left = weights.fetch([])
    next(left)
    left.close()
    assert "already" in next(weights.fetch([]))
    end = time.monotonic() + 10
    while "ready" not in weights.state([]) and time.monotonic() < end:
        time.sleep(0.05)
    assert "ready" in weights.state([])
    for thread in threading.enumerate():
        if thread.name == "nuli-download":
            thread.join(5)
    *_, last = weights.fetch([])
    assert "ready" in last and len(server.seen) == 2


def test_a_failure_is_told_and_can_be_tried_again(files, server):  # noqa: F811
    server.status = 404
    *_, last = weights.fetch([])
    assert "404" in last and "error" in last
    server.status = None
    *_, last = weights.fetch([])
    assert "ready" in last


def test_the_wrong_content_is_not_kept(files, server, cache, tmp_path):  # noqa: F811
    server.body = bytes(len(BODY))
    *_, last = weights.fetch([tmp_path / "clip"])
    assert "sha256" in last and not list(tmp_path.rglob("*.pt")) and not list(tmp_path.rglob("*.pth"))


def test_a_damaged_file_is_told_of(files, cache, server):  # noqa: F811
    cache.mkdir()
    (cache / CLIP_VIT_L14.name).write_bytes(b"half")
    *_, last = weights.fetch([])
    assert "damaged" in last and "error" in last


def test_the_tab_has_the_button():
    from nuli.hosting import Worker
    from nuli.ui import blocks

    with weights.gr.Blocks() as page:
        blocks.build(Worker())
    names = [getattr(part, "elem_id", None) for part in page.blocks.values()]
    assert {"nuli_scorers", "nuli_weights", "nuli_weights_download"} <= set(names)


def test_something_unexpected_is_told(files, monkeypatch):
    def broken(*args, **more):
        raise RuntimeError("<b>no such luck</b>")

    monkeypatch.setattr(weights, "download", broken)
    *_, last = weights.fetch([])
    assert "RuntimeError" in last and "<b>" not in last
