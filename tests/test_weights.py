"""Weights: found, checked, and fetched over bad connections. A real server on this machine plays the net."""

import hashlib
import os
import re
import threading
import time
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from nuli.errors import WeightsError
from nuli.scoring import weights
from nuli.scoring.weights import (
    CLIP_VIT_L14,
    LAION_HEAD,
    WeightsFile,
    cache_dir,
    download,
    ensure,
    locate,
    sha256_of,
    verify,
)

BODY = bytes(range(256)) * 8192  # 2 MiB: several reads


class Server(ThreadingHTTPServer):
    """Serves BODY. `cuts`: for each connection in turn, after how many bytes it breaks (None: never)."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.body, self.ranges, self.status, self.cuts, self.stall, self.seen = BODY, True, None, [], 0, []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        asked = self.headers.get("Range")
        self.server.seen.append(asked)
        time.sleep(self.server.stall)
        if self.server.status:
            return self.send_error(self.server.status)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked and self.server.ranges else 0
        body = self.server.body
        if start >= len(body):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        cut = self.server.cuts.pop(0) if self.server.cuts else None
        self.wfile.write(body[start:][:cut])

    def log_message(self, *args):
        pass


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("NULI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path / "cache"


@pytest.fixture
def server():
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def file(server):
    url = f"http://127.0.0.1:{server.server_port}/models/thing.pt"
    return WeightsFile("thing.pt", url, hashlib.sha256(BODY).hexdigest(), len(BODY), "MIT")


def leave_part(cache, content):
    cache.mkdir(exist_ok=True)
    (cache / "thing.pt.part").write_bytes(content)


def failure(call, *args, **options) -> str:
    """The message of the WeightsError that a call must end with: one line."""
    with pytest.raises(WeightsError) as caught:
        call(*args, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_full_download(server, file, cache):
    calls = []
    path = download(file, progress=lambda *call: calls.append(call))
    assert path == cache / "thing.pt"
    assert path.read_bytes() == BODY
    assert server.seen == [None]
    counts = [got for got, _ in calls]
    assert counts == sorted(set(counts))
    assert calls[-1] == (len(BODY), len(BODY))
    assert {total for _, total in calls} == {len(BODY)}
    assert not (cache / "thing.pt.part").exists()


def test_download_into_a_folder_and_only_once(server, file, tmp_path):
    path = download(file, tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b" / "thing.pt"
    assert download(file, tmp_path / "a" / "b") == path
    assert len(server.seen) == 1


def test_resumes_what_an_earlier_run_left(server, file, cache):
    leave_part(cache, BODY[:700_001])
    calls = []
    assert download(file, progress=lambda *call: calls.append(call)).read_bytes() == BODY
    assert server.seen == ["bytes=700001-"]
    assert calls[0][0] > 700_001
    assert calls[-1] == (len(BODY), len(BODY))


def test_goes_on_after_cut_connections(server, file):
    server.cuts = [500_000, 300_000, None]
    counts = []
    assert download(file, progress=lambda got, total: counts.append(got)).read_bytes() == BODY
    assert server.seen == [None, "bytes=500000-", "bytes=800000-"]
    assert counts == sorted(set(counts))


def test_gives_up_when_connections_bring_nothing_and_goes_on_next_time(server, file, cache):
    server.cuts = [500_000, 0, 0]
    message = failure(download, file)
    assert "500000 bytes are kept" in message
    assert file.url in message
    assert (cache / "thing.pt.part").read_bytes() == BODY[:500_000]
    server.cuts = []
    assert download(file).read_bytes() == BODY
    assert server.seen[-1] == "bytes=500000-"


@pytest.mark.parametrize(("ranges", "part"), [(False, b"x" * 500_000), (True, BODY)])
def test_server_that_ignores_ranges_and_part_that_is_complete(server, file, cache, ranges, part):
    server.ranges = ranges
    leave_part(cache, part)
    assert download(file).read_bytes() == BODY


def test_server_without_ranges_that_always_breaks_off_is_given_up(server, file):
    server.ranges = False
    server.cuts = [1000] * 50
    assert "broke off" in failure(download, file)
    assert len(server.seen) == 2


@pytest.mark.parametrize("size", [None, len(BODY)])
def test_wrong_content_is_deleted(server, file, cache, size):
    server.body = BODY[:-1] + b"!"
    message = failure(download, replace(file, size=size))
    assert "deleted" in message
    assert hashlib.sha256(server.body).hexdigest() in message
    assert str(cache / "thing.pt") in message
    assert not (cache / "thing.pt").exists()
    assert not (cache / "thing.pt.part").exists()


def test_a_login_page_does_not_destroy_what_is_here(server, file, cache):
    leave_part(cache, BODY[:700_000])
    server.body, server.ranges = b"<html>please log in</html>", False
    assert f"26 bytes, not {len(BODY)}" in failure(download, file)
    assert (cache / "thing.pt.part").read_bytes() == BODY[:700_000]


def test_not_found(server, file, cache):
    server.status = 404
    message = failure(download, file)
    assert "404" in message
    assert file.url in message
    assert not (cache / "thing.pt").exists()


def test_offline(server, file, cache):
    closed = Server()
    closed.server_close()
    url = f"http://127.0.0.1:{closed.server_port}/thing.pt"
    message = failure(download, replace(file, url=url))
    for part in (url, str(cache / "thing.pt"), "refused", "another scorer, such as vivid (--scorer vivid)"):
        assert part in message


def test_silent_server(server, file, monkeypatch):
    monkeypatch.setattr(weights, "_TIMEOUT", 0.1)
    server.stall = 0.5
    assert "timed out" in failure(download, file)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, a device that is always full")
def test_full_disk(server, file, cache):
    cache.mkdir()
    (cache / "thing.pt.part").symlink_to("/dev/full")
    message = failure(download, file)
    assert "No space left" in message
    assert "NULI_CACHE" in message
    assert str(cache / "thing.pt") in message
    assert len(server.seen) == 1


def test_folder_that_cannot_be_made(server, file, tmp_path):
    (tmp_path / "a file").touch()
    assert "cannot be written" in failure(download, file, tmp_path / "a file" / "folder")
    assert server.seen == []


def test_two_at_once_fetch_it_once(server, file):
    server.stall = 0.2
    found = []
    threads = [threading.Thread(target=lambda: found.append(download(file).read_bytes())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [BODY] * 3
    assert len(server.seen) == 1


def test_cache_dir(monkeypatch, tmp_path):
    assert cache_dir() == tmp_path / "cache"
    monkeypatch.delenv("NULI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_dir() == tmp_path / "xdg" / "nuli"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path))
    assert cache_dir() == (tmp_path if os.name == "nt" else Path.home() / ".cache") / "nuli"


def test_locate_order_and_empty_files(file, cache, tmp_path):
    extra, shared = tmp_path / "extra", tmp_path / "shared"
    file = replace(file, shared_folders=(str(shared),))
    assert locate(file, [extra]) is None
    for folder in (shared, cache, extra):
        folder.mkdir()
        (folder / "thing.pt").write_bytes(b"something")
        assert locate(file, [extra]) == folder / "thing.pt"
    (extra / "thing.pt").write_bytes(b"")
    assert locate(file, [extra]) == cache / "thing.pt"


def test_the_files_of_laion():
    assert CLIP_VIT_L14.sha256 in CLIP_VIT_L14.url
    assert CLIP_VIT_L14.shared_folders == ("~/.cache/clip",)
    head = Path(__file__).resolve().parents[2] / "shared" / "data" / LAION_HEAD.name
    if not head.exists():
        pytest.skip("shared/data is not here")
    assert head.stat().st_size == LAION_HEAD.size
    verify(LAION_HEAD, head)


def test_verify_hashes_a_file_once_and_again_after_a_change(file, tmp_path, monkeypatch):
    hashed = []
    sha256 = sha256_of
    monkeypatch.setattr(weights, "sha256_of", lambda path: hashed.append(path) or sha256(path))
    path = tmp_path / "thing.pt"
    path.write_bytes(BODY)
    verify(file, path)
    verify(file, path)
    assert len(hashed) == 1
    time.sleep(0.02)  # the file system's clock ticks
    path.write_bytes(BODY[:-1] + b"!")
    for _ in range(2):
        message = failure(verify, file, path)
        assert str(path) in message
        assert "delete" in message
    path.write_bytes(BODY)
    verify(file, path)


def test_verify_without_a_cache(file, tmp_path, monkeypatch):
    (tmp_path / "a file").touch()
    monkeypatch.setenv("NULI_CACHE", str(tmp_path / "a file"))
    path = tmp_path / "thing.pt"
    path.write_bytes(BODY)
    verify(file, path)
    assert "cannot be read" in failure(verify, file, tmp_path / "absent.pt")


def test_ensure(server, file, cache, tmp_path, monkeypatch):
    message = failure(ensure, file)
    ways = ("`nuli scorers download laion`", "such as vivid (--scorer vivid)")  # in a WebUI, in a shell
    for part in (*ways, f"save {file.url} as {cache / 'thing.pt'} yourself"):
        assert part in message
    assert server.seen == []
    path = ensure(file, allow_download=True)
    assert path == cache / "thing.pt"
    with monkeypatch.context() as patch:
        patch.setattr(weights, "sha256_of", lambda path: pytest.fail("hashed again"))
        assert ensure(file) == path
    assert len(server.seen) == 1
    path.write_bytes(b"half of it")
    assert download(file).read_bytes() == BODY
    (tmp_path / "thing.pt").write_bytes(b"half of it")
    assert str(tmp_path / "thing.pt") in failure(ensure, file, [tmp_path], allow_download=True)
