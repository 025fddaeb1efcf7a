"""The HTTP API and its clients on real sockets: those who hang up, and those who send more than is to be held."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="FastAPI comes with a WebUI")
pytest.importorskip("uvicorn", reason="a WebUI's server")

from test_webui_api import APPLY, ROOT, Client, over, picture, serve, to_text  # noqa: F401, fixtures

from nuli.hosting import MAX_TASKS, Limits, Worker
from nuli.scoring.registry import cached_scorer
from nuli.webui import service

TINY = to_text(Image.effect_noise((20, 14), 60))
LONG = {"seconds": 500, "mode": "hard", "scorer": "vivid", "margin": 0}
BODIES = {
    "/enhance": {"image": TINY, "options": LONG},
    "/score": {"images": [TINY] * 64, "options": {"scorer": "vivid"}},
    "/apply": {"image": TINY, **APPLY},
}


async def passing_on(request: Any, call_next: Callable[[Any], Any]) -> Any:
    return await call_next(request)


def begin(client: Client, path: str, length: int | None, body: bytes = b"") -> socket.socket:
    """A connection whose request has begun; without a length its body comes in chunks, of which this is the first."""
    line = socket.create_connection(("127.0.0.1", client.port), timeout=30)
    how = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    line.sendall(f"POST {ROOT}{path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{how}\r\n\r\n".encode())
    line.sendall(b"%x\r\n%b\r\n" % (len(body), body) if length is None and body else body)
    return line


def send(client: Client, path: str) -> socket.socket:
    body = json.dumps(BODIES[path]).encode()
    return begin(client, path, len(body), body)


def status(line: socket.socket) -> int:
    return int(line.recv(100).split()[1])


def taken(client: Client) -> int:
    return client.worker._places.total()


def soon(is_so: Callable[[], bool], seconds: float = 2.0) -> bool:
    end = time.monotonic() + seconds
    while not is_so() and time.monotonic() < end:
        time.sleep(0.02)
    return is_so()


def patient(**more: Any) -> dict[str, Any]:
    return {"limits": lambda: Limits(1.0, 600.0), "load_scorer": cached_scorer, **more}


@pytest.mark.parametrize("middleware", [None, passing_on])
@pytest.mark.parametrize("path", BODIES)
def test_who_hangs_up_while_waiting_gives_the_place_back(serve, path: str, middleware: Any) -> None:  # noqa: F811
    lock = threading.Lock()
    client = serve(**patient(lock=lambda: lock, middleware=middleware))
    with lock:
        lines = [send(client, path) for _ in range(MAX_TASKS)]
        assert (
            soon(lambda: taken(client) == MAX_TASKS, 20) and client.ask("POST", "/jobs", BODIES["/enhance"])[0] == 429
        )
        for line in lines:
            line.close()
        assert soon(lambda: taken(client) == 0)
        before = threading.active_count()
        names = [client.start({"image": TINY, "options": {"evaluations": 10}}) for _ in range(3)]
        assert threading.active_count() <= before + 3  # those who left wait no more
    for name in names:
        assert client.wait(name, over)["state"] == "done"
    assert taken(client) == 0


@pytest.mark.parametrize("middleware", [None, passing_on])
def test_who_hangs_up_ends_the_search(serve, middleware: Any) -> None:  # noqa: F811
    lock = threading.Lock()
    client = serve(**patient(lock=lambda: lock, middleware=middleware))
    line = send(client, "/enhance")
    assert soon(lock.locked, 20)
    time.sleep(0.5)
    assert lock.locked()
    line.close()
    assert soon(lambda: taken(client) == 0, 1.0)
    assert soon(lambda: not lock.locked())  # the device is free too
    assert client.ask("POST", "/apply", BODIES["/apply"])[0] == 200


def test_a_job_whose_name_nobody_heard_is_not_begun(serve, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    gate, looking, decode = threading.Event(), threading.Event(), service.decode

    def slow(*arguments: Any) -> Any:
        looking.set()
        assert gate.wait(20)
        return decode(*arguments)

    monkeypatch.setattr(service, "decode", slow)
    loaded: list[Any] = []
    client = serve(**patient(load_scorer=lambda *a: loaded.append(a) or cached_scorer(*a)))
    body = json.dumps(BODIES["/enhance"]).encode()
    line = begin(client, "/jobs", len(body), body)
    assert looking.wait(20)
    line.close()
    time.sleep(0.3)
    gate.set()
    assert soon(lambda: taken(client) == 0)
    assert not loaded


@pytest.mark.parametrize("message", [{"type": "http.request", "body": b"{}"}, RuntimeError("no message is left")])
def test_a_middleware_that_cannot_tell_is_no_trouble(message: Any) -> None:
    """Some hand the request out again and again, some complain that it was read before."""
    from nuli.webui.api import _unless_gone

    async def receive() -> Any:
        if isinstance(message, Exception):
            raise message
        return message

    worker, gate = Worker(), threading.Event()
    task = worker.start(lambda task: gate.wait(20) and "made")
    threading.Timer(0.3, gate.set).start()
    assert asyncio.run(_unless_gone(SimpleNamespace(receive=receive), task, task.outcome)) == "made"
    assert not task.stopping


MOST = 11_666_666
"""The bytes of the longest request, for a picture of one megapixel."""


def test_so_many_bytes_are_held_at_once(serve) -> None:  # noqa: F811
    client = serve()
    with ExitStack() as stack:
        for length in (MOST, None):  # twice as many as one request may have
            stack.enter_context(begin(client, "/apply", length, b" " * (MOST - 1)))
        assert soon(lambda: taken(client) == 2, 20)
        time.sleep(0.5)  # for all of it to arrive
        with begin(client, "/apply", 5_000_000) as line:  # nothing of it is waited for
            assert status(line) == 429
        with begin(client, "/apply", None, b" " * 5_000_000) as line:
            assert status(line) == 429
        assert soon(lambda: taken(client) == 2)
    assert soon(lambda: taken(client) == 0)
    buffer = io.BytesIO()
    Image.effect_noise((990, 990), 200).save(buffer, "BMP")
    large = base64.b64encode(buffer.getvalue()).decode()
    for _ in range(20):  # of more bytes together: those that are through count no more
        assert client.ask("POST", "/apply", {"image": large, **APPLY})[0] == 200


@pytest.mark.parametrize("length", [MOST + 1, 10**15, None])
def test_what_is_too_long_is_not_read(serve, length: int | None) -> None:  # noqa: F811
    client = serve()
    with begin(client, "/apply", length, b"" if length else b" " * (MOST + 1)) as line:
        assert status(line) == 413
    assert soon(lambda: taken(client) == 0)


def test_the_password_is_asked_for_before_anything_is_read(serve) -> None:  # noqa: F811
    from fastapi import Depends, HTTPException

    def check() -> None:
        raise HTTPException(401)

    client = serve(dependencies=[Depends(check)])
    for length, body in ((1000, b""), (None, b"{"), (10**12, b"")):
        with begin(client, "/enhance", length, body) as line:
            assert status(line) == 401
    assert taken(client) == 0
