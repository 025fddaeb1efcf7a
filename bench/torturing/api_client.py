"""A server of the HTTP API on this machine, what nobody may touch there, and a client that judges every answer."""

from __future__ import annotations

import base64
import http.client
import io
import json
import random
import socket
import sys
import threading
import time
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from .tally import HANG

ROOT = "/nuli/v1"
SECONDS = 0.5
"""The server's limit for one search."""
REFUSED = frozenset({400, 413})
ANSWERED = frozenset({200, 400, 413, 503})
"""What a request may come to that is in order, or nearly: 503 where a scorer's weights are absent."""
_LONGEST = 2000
"""Characters of a refusal."""
_TOO_LARGE = 10_000_000
"""Bytes of a request that is refused before it has arrived."""
_opened: list[str] = []


class World:
    """A server, files at `forbidden` that it must not open, and an address that it must not call."""

    def __init__(self, folder: Path) -> None:
        import uvicorn
        from fastapi import FastAPI

        from nuli.hosting import Host, Limits, Worker
        from nuli.webui.api import add_routes

        self.forbidden = folder / "forbidden"
        self.forbidden.mkdir()
        (self.forbidden / "a.png").write_bytes(base64.b64decode(picture(random.Random(0))))
        (self.forbidden / "a.cube").write_text("LUT_1D_SIZE 2\n0 0 0\n1 1 1\n", encoding="utf-8")
        self._canary = socket.create_server(("127.0.0.1", 0))
        self._canary.setblocking(False)
        self.address = f"http://127.0.0.1:{self._canary.getsockname()[1]}/a.png"
        self.codes, self.lock = Counter[int](), threading.Lock()
        self.longest, self.longest_call, self.slowest = 0.0, "", 0.0
        app = FastAPI()
        host = Host(device=lambda: "cpu", limits=lambda: Limits(1.0, SECONDS), report=lambda message: None)
        add_routes(app, Worker(host))
        self.schema = app.openapi()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()
        Client(self, "first").ask(
            "POST", "/score", {"images": [picture(random.Random(0))]}
        )  # libraries are loaded once
        self.longest = self.slowest = 0.0
        _listen()
        _opened.clear()

    def touched(self) -> list[str]:
        """What was opened or called that must not be."""
        found = [path for path in _opened if path.startswith(str(self.forbidden))]
        try:
            self._canary.accept()
        except BlockingIOError:
            return found
        return [*found, self.address]

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(10)
        self._canary.close()


@cache
def _listen() -> None:
    """Note all files that this process opens from now on."""

    def audit(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.listdir", "os.scandir") and "forbidden" in str(arguments[0]):
            _opened.append(str(arguments[0]))

    sys.addaudithook(audit)


class Answer(NamedTuple):
    status: int
    body: Any


class Client:
    """The calls that come of one name, and what was wrong about their answers."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.rng = world, name, random.Random(name)
        self.calls, self.lost, self.faults = 0, 0, list[str]()

    def ask(
        self, method: str, path: str, body: Any = None, allowed: frozenset[int] = ANSWERED, **headers: str
    ) -> Answer:
        """The answer; as long as the server is busy, it is asked again."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data is not None and not headers else headers
        for _ in range(600):
            answer = self._ask(method, path, data, headers)
            if answer.status != 429:
                break
            time.sleep(0.05)
        if answer.status not in allowed:
            self.fault(f"{method} {path[:60]}: {answer.status} {str(answer.body)[:200]}")
        return answer

    def _ask(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        self.calls += 1
        line = http.client.HTTPConnection("127.0.0.1", self.world.port, timeout=120)
        begun, worked = time.monotonic(), time.process_time()
        try:
            line.request(method, ROOT + path, data, headers)
            response = line.getresponse()
            status, text = response.status, response.read()
        except OSError as error:
            status, text = (413 if data and len(data) > _TOO_LARGE else 0), json.dumps(str(error)).encode()
        finally:
            line.close()
        took, worked = time.monotonic() - begun, time.process_time() - worked
        called = f"{self.name} {method} {path[:60]}"
        with self.world.lock:
            self.world.codes[status] += 1
            self.world.slowest = max(self.world.slowest, worked)
            if took > self.world.longest:
                self.world.longest, self.world.longest_call = took, called
        if worked > HANG:  # of all that this process did meanwhile: as much as it would be on a machine of its own
            self.fault(f"{method} {path[:60]}: took {took:.1f} s")
        try:
            body = json.loads(text, parse_constant=_refuse) if method != "HEAD" else {}
        except ValueError as error:
            self.fault(f"{method} {path[:60]}: {status}, no JSON: {error}")
            body = {}
        error = body.get("error") if isinstance(body, dict) else None
        if isinstance(error, str) and (len(error) > _LONGEST or "Traceback" in error):
            self.fault(f"{method} {path[:60]}: tells too much: {error[:200]}")
        return Answer(status, body)

    def finished(self, job: str) -> dict[str, Any]:
        """The job once it is over."""
        found: dict[str, Any] = {}
        end = time.monotonic() + 120
        while time.monotonic() < end:
            found = self.ask("GET", f"/jobs/{job}?preview=true", None, frozenset({200})).body
            if found.get("state") in ("done", "failed", "stopped"):
                if found["state"] == "done" and not found["result"]:
                    self.fault(f"job {job} is done without a result", lost=True)
                if "internal error" in (found["error"] or ""):
                    self.fault(f"job {job}: {found['error']}")
                return found
            time.sleep(0.05)
        self.fault(f"job {job} has no end: {str(found)[:200]}", lost=True)
        return {}

    def fault(self, text: str, lost: bool = False) -> None:
        self.lost += lost
        self.faults.append(f"{self.name}: {text}")

    def same_size(self, sent: str, answer: Any) -> None:
        """An answer's picture is of the size of the one that was sent, which hardly two requests share."""
        if opened(answer["image"]).size != opened(sent).size:
            self.fault("the answer's picture is another one's")


def _refuse(name: str) -> None:
    raise ValueError(name)


def picture(rng: random.Random, kind: str = "PNG") -> str:
    """A picture in base64, of a size of its own."""
    numbers = np.random.default_rng(rng.getrandbits(32))
    size = rng.randint(1, 90), rng.randint(1, 90), rng.choice((3, 3, 3, 4, 1))
    pixels = numbers.integers(0, 256, size, np.uint8)
    image = Image.fromarray(pixels[..., 0] if size[2] == 1 else pixels)
    file = io.BytesIO()
    (image.convert("RGB") if kind == "JPEG" else image).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))
