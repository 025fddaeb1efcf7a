"""Those who work a host for soak.py, without a browser: clients of the HTTP API, and of gradio's own protocol."""

from __future__ import annotations

import base64
import io
import json
import random
import secrets
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from PIL import Image


@dataclass(frozen=True)
class Event:
    """Something that a client or a visitor did."""

    at: float
    what: str
    seconds: float
    error: str | None


class Log:
    """Everything that happened, as it comes in from several threads."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.start = time.monotonic()

    def add(self, what: str, seconds: float, error: str | None = None) -> None:
        event = Event(time.monotonic() - self.start, what, seconds, error)
        self.events.append(event)
        if error:
            print(f"  {event.at / 60:5.1f} min  {what}: {error}", flush=True)


def timed(log: Log, who: str, way: Callable[[], str]) -> None:
    """Do something that returns what it was, and note it."""
    start = time.monotonic()
    try:
        log.add(f"{who} {way()}", time.monotonic() - start)
    except Exception as error:  # whatever comes is what this looks for
        log.add(f"{who} {way.__name__}", time.monotonic() - start, f"{type(error).__name__}: {error}")


class Client:
    """A client of the HTTP API that does now this, now that."""

    def __init__(self, url: str, photos: Sequence[Path], log: Log, seed: int) -> None:
        self.url, self.log, self.random = url, log, random.Random(seed)
        self.photos = [base64.b64encode(photo.read_bytes()).decode() for photo in photos]

    def repeat(self, over: threading.Event) -> None:
        ways = (self.enhance, self.enhance, self.score, self.apply, self.job, self.stopped, self.forgotten, self.bad)
        while not over.is_set():
            timed(self.log, "API", self.random.choice(ways))
            over.wait(self.random.uniform(4, 16))

    def ask(self, path: str, body: object = None, method: str = "", expected: Sequence[int] = (200,)) -> dict:
        """A request, sent again where the server has no place for it. Raises AssertionError for another status."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/nuli/v1/{path}", data, headers, method=method or None)
        while True:
            try:
                with urllib.request.urlopen(request, timeout=180) as answer:
                    status, text = answer.status, answer.read()
            except urllib.error.HTTPError as error:
                status, text = error.code, error.read()
                if status == 429:
                    self.log.add("refused: too much work", 0)
                    time.sleep(float(error.headers["Retry-After"]))
                    continue
            assert status in expected, f"{path}: {status} {text[:300]!r}"
            return json.loads(text)

    def photo(self) -> str:
        return self.random.choice(self.photos)

    def enhance(self) -> str:
        mode = self.random.choice(("soft", "hard"))
        photo = self.photo()
        more = self.random.choice(({}, {"match": self.photo()}, {"mask": photo}, {"others": True}))
        answer = self.ask("enhance", {"image": photo, "options": {"mode": mode, "seconds": 1.5}, **more})
        assert Image.open(io.BytesIO(base64.b64decode(answer["image"]))).size
        return f"enhance {mode}"

    def score(self) -> str:
        assert len(self.ask("score", {"images": [self.photo() for _ in range(3)]})["scores"]) == 3
        return "score 3"

    def apply(self) -> str:
        recipe = "nuli1 auto_level=0.4/0.3 exposure=0.2 saturation=1.1 sharpness=0.3"
        assert self.ask("apply", {"image": self.photo(), "recipe": recipe})["image"]
        return "apply"

    def begin(self, seconds: float) -> str:
        body = {"image": self.photo(), "options": {"mode": "hard", "seconds": seconds}}
        return self.ask("jobs", body, expected=(202,))["id"]

    def watch(self, name: str, done: Callable[[dict], bool]) -> dict:
        end = time.monotonic() + 180
        while time.monotonic() < end:
            answer = self.ask(f"jobs/{name}?preview=true")
            if done(answer):
                return answer
            time.sleep(0.5)
        raise AssertionError(f"job {name} is still {answer['state']}")

    def job(self) -> str:
        answer = self.watch(self.begin(3), lambda job: job["state"] not in ("new", "queued", "running"))
        assert answer["state"] == "done" and answer["result"]["image"], f"{answer['state']}: {answer['error']}"
        return "job"

    def stopped(self) -> str:
        name = self.begin(30)
        time.sleep(self.random.uniform(0, 3))
        self.ask(f"jobs/{name}", method="DELETE")
        answer = self.watch(name, lambda job: job["state"] not in ("new", "queued", "running"))
        assert answer["state"] in ("done", "stopped"), f"{answer['state']}: {answer['error']}"
        return "job, stopped"

    def forgotten(self) -> str:
        self.begin(1)
        return "job, never asked for"

    def bad(self) -> str:
        photo = self.photo()
        path, body, status = self.random.choice(
            (
                ("enhance", {"image": photo, "options": {"strenght": 1}}, 400),
                ("enhance", {"image": photo[:2000]}, 400),
                ("enhance", {"image": base64.b64encode(b"no picture").decode()}, 400),
                ("enhance", {"image": photo, "options": {"lut": "/etc/passwd"}}, 400),
                ("enhance", {"image": photo, "options": {"seconds": 9999}}, 400),
                ("apply", {"image": photo, "recipe": "rubbish"}, 400),
                ("score", {"images": []}, 400),
                ("jobs", {"image": 5}, 400),
                ("jobs/none", None, 404),
                ("hang up", None, 0),
            )
        )
        if status:
            self.ask(path, body, expected=(status,))
        else:
            place = urlsplit(self.url)
            with socket.create_connection((place.hostname, place.port), 30) as connection:
                head = "POST /nuli/v1/enhance HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                connection.sendall(f'{head}Content-Length: 100000\r\n\r\n{{"image": "'.encode())
        return "bad request"


class Session:
    """A page without a browser: what gradio 5 and newer hear from one. Its search is watched, stopped or left."""

    def __init__(self, url: str, photos: Sequence[Path], log: Log, seed: int) -> None:
        self.url, self.log, self.random, self.photos = url, log, random.Random(seed), photos
        with urllib.request.urlopen(f"{url}/config", timeout=60) as answer:
            config = json.load(answer)
        self.api, self.events = url + config["api_prefix"], config["dependencies"]
        self.parts = {part["id"]: part["props"] for part in config["components"]}
        self.hash = ""

    def repeat(self, over: threading.Event) -> None:
        ways = (self.enhance, self.enhance, self.save, self.stopped, self.left)
        while not over.is_set():
            self.hash = secrets.token_hex(8)
            timed(self.log, "session", self.put)
            timed(self.log, "session", self.random.choice(ways))
            over.wait(self.random.uniform(5, 15))

    def put(self) -> str:
        path = self._upload(self.random.choice(self.photos))
        self._finish("nuli_image", "change", nuli_image={"path": path, "meta": {"_type": "gradio.FileData"}})
        return "picture"

    def enhance(self) -> str:
        shown = self._finish("nuli_enhance", "click", nuli_mode=self.random.choice(("soft", "hard")))
        if "too much work" in shown:
            self.log.add("refused: too much work", 0)
        else:
            assert "Score" in shown, shown[-300:]
        return "enhance"

    def save(self) -> str:
        self.enhance()
        shown = self._finish("nuli_save", "click")
        assert "saved as" in shown or "too much work" in shown, shown
        return "enhance and save"

    def stopped(self) -> str:
        messages = self._begin("nuli_enhance", "click", nuli_mode="hard", nuli_seconds=20)
        next(message for message in messages if message["msg"] == "process_generating")
        self._finish("nuli_stop", "click", queue=False)
        done = next(message for message in messages if message["msg"] == "process_completed")
        assert done["success"], done
        return "enhance, stopped"

    def left(self) -> str:
        messages = self._begin("nuli_enhance", "click", nuli_mode="hard", nuli_seconds=20)
        next(message for message in messages if message["msg"] == "process_generating")
        messages.close()
        return "left in a search"

    def _upload(self, photo: Path) -> str:
        boundary = secrets.token_hex(16)
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{photo.name}"\r\n\r\n'
        body = head.encode() + photo.read_bytes() + f"\r\n--{boundary}--\r\n".encode()
        return self._post("upload", body, f"multipart/form-data; boundary={boundary}")[0]

    def _post(self, path: str, body: bytes, kind: str = "application/json") -> Any:
        request = urllib.request.Request(f"{self.api}/{path}", body, {"Content-Type": kind})
        with urllib.request.urlopen(request, timeout=180) as answer:
            return json.load(answer)

    def _request(self, elem_id: str, event: str, given: dict[str, Any]) -> bytes:
        """What a page sends of an event: the values given by the ids of components, else those they began with."""
        here = {part for part, props in self.parts.items() if props.get("elem_id") == elem_id}
        [found] = [one for one in self.events if any(p in here and kind == event for p, kind in one["targets"])]
        parts = [self.parts[part] for part in found["inputs"]]
        values = [given.get(part.get("elem_id"), part.get("value")) for part in parts]
        fields = {"data": values, "fn_index": found["id"], "session_hash": self.hash, "event_data": None}
        return json.dumps(fields | {"trigger_id": found["targets"][0][0]}).encode()

    def _begin(self, elem_id: str, event: str, **given: Any) -> Iterator[dict[str, Any]]:
        """What the server sends of an event that it queued; closing the generator is leaving the page."""
        self._post("queue/join", self._request(elem_id, event, given))
        with urllib.request.urlopen(f"{self.api}/queue/data?session_hash={self.hash}", timeout=180) as stream:
            for line in stream:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])

    def _finish(self, elem_id: str, event: str, queue: bool = True, **given: Any) -> str:
        """All that an event showed at its end."""
        if not queue:
            return str(self._post("run/predict", self._request(elem_id, event, given)))
        done = next(m for m in self._begin(elem_id, event, **given) if m["msg"] == "process_completed")
        assert done["success"], done
        return str(done["output"]["data"])
