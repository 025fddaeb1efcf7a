"""`nuli ui` over real HTTP: what it serves, what it keeps to itself, and who may come in."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

import pytest

from nuli.cli.login import read_login
from nuli.cli.main import main
from nuli.errors import OptionError

pytest.importorskip("gradio", reason="the user interface needs gradio: pip install 'nulie[ui]'")

SECRET = b"for nobody else"
LOGIN = {"username": "ann", "password": "a:b c"}


def get(url: str, opener: OpenerDirector | None = None, data: bytes | None = None, kind: str = "") -> tuple[int, bytes]:
    """Status and body of a GET, or of a POST where there are data."""
    request = Request(url, data, {"Content-Type": kind} if kind else {})
    try:
        with (opener or build_opener()).open(request, timeout=30) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()


@contextmanager
def serving(folder: Path, *arguments: str, **environment: str) -> Iterator[tuple[str, Path]]:
    """The address of a `nuli ui` that runs in a folder, its temporary files in a folder within, and its stderr."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (folder / "temp").mkdir()
    environment = {**os.environ, "TMPDIR": str(folder / "temp"), "GRADIO_ANALYTICS_ENABLED": "False", **environment}
    environment.pop("GRADIO_TEMP_DIR", None)
    log = folder.parent / f"{folder.name}.log"
    command = [sys.executable, "-m", "nuli", "ui", "--port", str(port), *arguments]
    with open(log, "wb") as err:
        server = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=err)
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(600):
            assert server.poll() is None, log.read_text()
            try:
                get(url)
            except (URLError, ConnectionError):
                time.sleep(0.2)
            else:
                break
        yield url, log
    finally:
        server.kill()
        server.wait()


def upload(url: str, opener: OpenerDirector | None = None) -> tuple[str, str]:
    """Upload a text; returns the prefix of the server's addresses, and the path under which it lies there."""
    body = b'--x\r\nContent-Disposition: form-data; name="files"; filename="mine.txt"\r\n\r\nmine\r\n--x--\r\n'
    refusals = []
    for prefix in ("/gradio_api", ""):  # gradio 5 and later, and before
        status, answer = get(f"{url}{prefix}/upload", opener, body, "multipart/form-data; boundary=x")
        if status == 200:
            return prefix, json.loads(answer)[0]
        refusals.append(status)
    raise AssertionError(refusals)


def test_files_of_the_folder_are_not_served_and_uploads_are() -> None:
    # gradio 3 itself refuses what lies in a folder with a leading dot: pytest's own have none, nor has this one
    with tempfile.TemporaryDirectory(prefix="nuli-ui-") as name:
        folder = Path(name).resolve() / "launch"
        (folder / "sub").mkdir(parents=True)
        secrets = [folder / "secret.txt", folder / "sub" / "secret.txt"]
        for path in secrets:
            path.write_bytes(SECRET)
        with serving(folder, "--listen") as (url, log):
            prefix, uploaded = upload(url)
            assert Path(uploaded).is_relative_to(folder / "temp")
            assert get(f"{url}{prefix}/file={uploaded}") == (200, b"mine")
            places = [str(path) for path in secrets] + ["secret.txt", "sub/secret.txt", "temp/../secret.txt"]
            for place in places:
                for form in ("/file=", "/file/", "/static/", "/assets/"):
                    for start in {prefix, ""}:
                        status, body = get(f"{url}{start}{form}{place}")
                        assert SECRET not in body
                        assert status in (403, 404) or b"<html" in body.lower() or b"<!doctype" in body.lower()
            assert get(f"{url}{prefix}/file={secrets[0]}")[0] == 403
        assert "warning" in log.read_text() and "--auth" in log.read_text()


def test_a_login_is_asked_for(tmp_path: Path) -> None:
    folder = tmp_path / "launch"
    folder.mkdir()
    (tmp_path / "login").write_text("ann:a:b c\n")
    with serving(folder, "--listen", "--auth-file", str(tmp_path / "login")) as (url, log):
        for path in ("/config", "/info", "/file=secret.txt"):
            assert get(url + path)[0] in (401, 404), path
        with pytest.raises(AssertionError, match="401"):
            upload(url)
        opener = build_opener(HTTPCookieProcessor(CookieJar()))
        wrong = urlencode({**LOGIN, "password": "a"}).encode()
        assert get(f"{url}/login", opener, wrong, "application/x-www-form-urlencoded")[0] in (400, 401)
        status, _ = get(f"{url}/login", opener, urlencode(LOGIN).encode(), "application/x-www-form-urlencoded")
        assert status == 200
        assert get(f"{url}/config", opener)[0] == 200
        prefix, uploaded = upload(url, opener)
        assert get(f"{url}{prefix}/file={uploaded}", opener) == (200, b"mine")
        assert get(f"{url}{prefix}/file={uploaded}")[0] == 401
    assert "warning: whoever" not in log.read_text()


def test_where_a_login_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NULI_AUTH", raising=False)
    assert read_login(None, None) is None
    monkeypatch.setenv("NULI_AUTH", "zoe:x")
    assert read_login(None, None) == ("zoe", "x")
    assert read_login("ann:a:b c", None) == ("ann", "a:b c")
    (tmp_path / "login").write_text("bob:secret\nmore\n", "utf-8-sig")
    assert read_login(None, tmp_path / "login") == ("bob", "secret")
    for text in ("ann", "ann:", ":x", ""):
        with pytest.raises(OptionError, match="NAME:PASSWORD"):
            read_login(text, None)
        monkeypatch.setenv("NULI_AUTH", text)
        with pytest.raises(OptionError, match="NULI_AUTH"):
            read_login(None, None)
    (tmp_path / "empty").touch()
    with pytest.raises(OptionError, match="empty"):
        read_login(None, tmp_path / "empty")
    with pytest.raises(OptionError, match="No such file"):
        read_login(None, tmp_path / "missing")


def test_a_wrong_login_is_told_in_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["ui", "--auth", "ann"]) == 2
    assert main(["ui", "--auth", "ann:x", "--auth-file", str(tmp_path / "login")]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and all(line.startswith("nuli: ") for line in lines)
    assert "ann" not in "".join(lines)  # a password that was mistyped is not shown


def test_the_page_speaks_the_language_that_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "launch"
    folder.mkdir()
    with serving(folder, "--language", "ja") as (url, _):
        page = get(url)[1].decode().replace('\\"', '"')  # gradio 3 has the script within JSON
        assert re.search(r"window\.nuliLanguage\] = \[\{.*\}, \"ja\"\];", page)


def test_a_language_that_is_not_there(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["ui", "--language", "fr"]) == 2
    assert capsys.readouterr().err == "nuli: --language cannot be 'fr': choose de, en, ja\n"
