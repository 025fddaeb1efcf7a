"""The HTTP API under fire: what strangers may send, thousands of times, to a real server on this machine.

    python -m bench.torture_api [--seed 1] [--calls 5000] [--minutes 30]

Every request comes of the seed and its own number alone, so that `--only NUMBER` sends one again. A call is wrong where
it is answered by a 5xx (503 where a scorer's weights are absent is right), by what is no JSON, later than PATIENCE, or
not as its kind asks for: an answer must hold the very picture that was sent, a path that was sent must not be opened,
nobody may be called at an address that was sent. A job is lost where it was accepted and has no end, or no result.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import io
import json
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

ROOT = "/nuli/v1"
CLIENTS = 6
PATIENCE = 10.0
"""Seconds within which every call is answered."""
SECONDS = 0.5
"""The server's limit for one search."""
REFUSED = frozenset({400, 413})
ANSWERED = frozenset({200, 400, 413, 503})
"""What a request may come to that is in order, or nearly: 503 for scorers whose weights are absent."""
LONGEST = 2000
"""Characters of a refusal."""


class Answer(NamedTuple):
    status: int
    body: Any


@dataclass
class Tally:
    """What came of it."""

    tries: int = 0
    lost: int = 0
    wrong: int = 0
    notes: list[str] = field(default_factory=list)


class World:
    """A server, and what is never to be touched: files at `forbidden`, and a port that nobody calls."""

    def __init__(self, folder: Path) -> None:
        import uvicorn
        from fastapi import FastAPI

        from nuli.hosting import Host, Limits, Worker
        from nuli.webui.api import add_routes

        self.forbidden = folder / "forbidden"
        self.forbidden.mkdir()
        (self.forbidden / "a.png").write_bytes(base64.b64decode(picture(Random(0))))
        (self.forbidden / "a.cube").write_text("LUT_1D_SIZE 2\n0 0 0\n1 1 1\n", encoding="utf-8")
        self.opened: list[str] = []
        self.told: list[str] = []
        self.codes: Counter[int] = Counter()
        self.slowest, self.slowest_call = 0.0, ""
        self.lock = threading.Lock()
        self.canary = socket.create_server(("127.0.0.1", 0))
        self.canary.setblocking(False)
        app = FastAPI()
        host = Host(device=lambda: "cpu", limits=lambda: Limits(1.0, SECONDS), report=self.told.append)
        add_routes(app, Worker(host))
        self.schema = app.openapi()
        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
        self.thread = threading.Thread(target=self.server.run, args=([listening],), daemon=True)
        self.thread.start()
        Client(self, 0, 0).ask("POST", "/score", {"images": [picture(Random(0))]})  # the libraries are loaded once
        self.slowest = 0.0
        sys.addaudithook(self._audit)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("open", "os.listdir", "os.scandir") and "forbidden" in str(arguments[0]):
            self.opened.append(str(arguments[0]))

    def was_called(self) -> bool:
        try:
            self.canary.accept()
        except BlockingIOError:
            return False
        return True

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)
        self.canary.close()


class Client:
    """Calls of one number, and what was wrong about them."""

    def __init__(self, world: World, seed: int, number: int) -> None:
        self.world, self.name = world, f"{seed}/{number}"
        self.random = Random(self.name)
        self.calls, self.lost, self.faults = 0, 0, list[str]()

    def ask(
        self, method: str, path: str, body: Any = None, allowed: frozenset[int] = ANSWERED, **headers: str
    ) -> Answer:
        """The answer; as long as the server is busy, it is asked again."""
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data is not None and not headers else headers
        for _ in range(200):
            answer = self._ask(method, path, data, headers)
            if answer.status != 429:
                break
            time.sleep(0.05)
        if answer.status not in allowed:
            self.fault(f"{method} {path}: {answer.status} {str(answer.body)[:200]}")
        return answer

    def _ask(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> Answer:
        self.calls += 1
        line = http.client.HTTPConnection("127.0.0.1", self.world.port, timeout=60)
        begun = time.monotonic()
        try:
            line.request(method, ROOT + path, data, headers)
            response = line.getresponse()
            status, text = response.status, response.read()
        except OSError as error:  # a body that is too long is refused before it has arrived
            status, text = (413 if data and len(data) > 10_000_000 else 0), json.dumps({"error": str(error)}).encode()
        finally:
            line.close()
        took = time.monotonic() - begun
        with self.world.lock:
            self.world.codes[status] += 1
            if took > self.world.slowest:
                self.world.slowest, self.world.slowest_call = took, f"{self.name} {method} {path}"
        if took > PATIENCE:
            self.fault(f"{method} {path}: took {took:.1f} s")
        try:
            body = json.loads(text, parse_constant=self._not_json) if method != "HEAD" else {}
        except ValueError as error:
            self.fault(f"{method} {path}: {status}, no JSON: {error}")
            body = {}
        error = body.get("error") if isinstance(body, dict) else None
        if isinstance(error, str) and (len(error) > LONGEST or "Traceback" in error):
            self.fault(f"{method} {path}: tells too much: {error[:200]}")
        return Answer(status, body)

    def _not_json(self, name: str) -> None:
        raise ValueError(name)

    def fault(self, text: str) -> None:
        self.faults.append(f"{self.name}: {text}")

    def same_size(self, sent: str, answer: Any) -> None:
        """An answer's picture is of the size of the one that was sent, which hardly two requests share."""
        if opened(answer["image"]).size != opened(sent).size:
            self.fault("the answer's picture is another one's")


def picture(random: Random, kind: str = "PNG") -> str:
    """A picture in base64, of a size of its own."""
    rng = np.random.default_rng(random.getrandbits(32))
    size = random.randint(1, 90), random.randint(1, 90), random.choice((3, 3, 3, 4, 1))
    pixels = rng.integers(0, 256, size, np.uint8)
    image = Image.fromarray(pixels[..., 0] if size[2] == 1 else pixels)
    file = io.BytesIO()
    (image.convert("RGB") if kind == "JPEG" else image).save(file, kind)
    return base64.b64encode(file.getvalue()).decode()


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def of_schema(random: Random, schema: dict[str, Any]) -> Any:
    """A value that a schema allows."""
    if schema.get("contentEncoding") == "base64":
        return picture(random, random.choice(("PNG", "JPEG", "WEBP")))
    if "enum" in schema:
        return random.choice(schema["enum"])
    kind = schema["type"] if isinstance(schema["type"], str) else random.choice(schema["type"])
    if kind == "object":
        known, needed = schema.get("properties", {"nuli": {"type": "integer"}}), schema.get("required", ())
        return {key: of_schema(random, of) for key, of in known.items() if key in needed or random.random() < 0.2}
    if kind == "array":
        return [of_schema(random, schema["items"]) for _ in range(random.randint(1, 3))]
    if kind in ("number", "integer"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 10)
        value = random.choice((low, high, low + random.random() * min(high - low, random.choice((1, 100, 1e6)))))
        return int(value) if kind == "integer" else value
    if kind == "string":
        return random.choice(
            ("", "auto", "all", "vivid", "tone", "light,-blur", "0.5,0.5", "natural", "mean:tone+vivid")
        )
    return {"boolean": random.random() < 0.5, "null": None}[kind]


def body_of(client: Client, path: str) -> dict[str, Any]:
    """A request's body as the API's own schema has it; short enough to be answered soon."""
    content = client.world.schema["paths"][ROOT + path]["post"]["requestBody"]["content"]
    body = of_schema(client.random, content["application/json"]["schema"])
    if path != "/apply":
        body["options"] = {
            **body.get("options", {}),
            "evaluations": client.random.randint(3, 30),
            "seconds": SECONDS / 2,
        }
        if client.random.random() < 0.8:
            body["options"]["scorer"] = client.random.choice(("vivid", "tone", "taste"))
    elif client.random.random() < 0.8:
        body["recipe"] = client.random.choice(("nuli1", "nuli1 contrast=1.1 exposure=0.2", {"nuli": 1, "steps": []}))
    return body


def hostile(client: Client) -> Any:
    """A value that nobody foresaw."""
    random, place = client.random, client.world.forbidden
    return random.choice(
        (
            *(
                None,
                True,
                -1,
                0,
                1e308,
                -1e308,
                10**400,
                2**63,
                float("nan"),
                float("inf"),
                0.1,
                "",
                "0",
                "nan",
                "1e999",
            ),
            *("\0", "~\0", "~\ud800", "\ud800", "a" * 200_000, "=", "a=", "=1", ",", "é\u202e", "../../x", "~root"),
            *([], {}, [[]], [1, "a", None], {"a": {}}, {"": ""}, [[[[[[[[]]]]]]]], {"nuli": 1}, {"steps": []}),
            *(str(place / "a.png"), str(place / "a.cube"), f"file://{place}/a.png", f"{place}/a.cube=0.5", str(place)),
            *(f"http://127.0.0.1:{client.world.canary.getsockname()[1]}/a.png", "data:,", "data:image/png;base64,"),
            *(
                "nuli1 " + "contrast=1.1 " * 65,
                "nuli1 contrast=nan",
                "nuli9",
                "{" * 1000,
                '{"nuli": 1e99}',
                "lut@a-00000000",
            ),
            *("nuli1 lut@../../a-00000000=1", "pyiqa:../x", "mean:tone+tone", "least:", "laion", "match", "alpha"),
            picture(random)[: random.randint(1, 200)],
        )
    )


def mutated(client: Client, value: Any) -> Any:
    """A value with something in it changed, gone or added."""
    random = client.random
    if isinstance(value, dict) and value and random.random() < 0.8:
        key, what = random.choice(list(value)), random.random()
        if what < 0.15:
            return {name: of for name, of in value.items() if name != key}
        if what < 0.3:
            return {**value, str(hostile(client))[:300]: hostile(client)}
        return {**value, key: mutated(client, value[key])}
    if isinstance(value, list) and value and random.random() < 0.5:
        return [*value[:-1], mutated(client, value[-1])] * random.choice((1, 1, 100))
    return hostile(client)


def broken(random: Random, text: str, place: Path) -> str:
    """A picture's base64 text that is none any more, or of a picture that is no picture any more."""
    data = bytearray(base64.b64decode(text))
    what = random.randrange(6)
    if what == 0:
        del data[random.randrange(len(data)) :]
    elif what == 1:
        for _ in range(random.randint(1, 20)):
            data[random.randrange(len(data))] = random.randrange(256)
    elif what == 2:
        data = bytearray(
            random.choice((b"%!PS-Adobe\n", b"P6 9 9 255 ", b"<svg/>", b"\0\0\1\0", b"BM", b"II*\0", b"GIF89a"))
        )
        data += random.randbytes(random.randrange(300))
    text = base64.b64encode(data).decode()
    if what == 3:
        return random.choice(("data:image/png,", "data:", "data:image/png;base64;base64,")) + text
    if what == 4:
        return text[: random.randrange(len(text))] + random.choice(("%", "\0", "é", "=", "\n", "-_")) + text
    return str(place / "a.png") if what == 5 else text


# ---------------------------------------------------------------- kinds of calls


def valid(client: Client) -> None:
    path = client.random.choice(("/enhance", "/score", "/apply"))
    body = body_of(client, path)
    answer = client.ask("POST", path, body)
    if answer.status == 200 and path == "/score":
        if len(answer.body["scores"]) != len(body["images"]):
            client.fault("not as many scores as pictures")
    elif answer.status == 200:
        client.same_size(body["image"], answer.body)


def exact(client: Client) -> None:
    """An empty recipe gives the very pixels back."""
    sent = picture(client.random)
    answer = client.ask("POST", "/apply", {"image": sent, "recipe": "nuli1"}, frozenset({200}))
    if answer.status == 200:
        before, after = opened(sent), opened(answer.body["image"])
        if not np.array_equal(np.array(before.convert("RGBA")), np.array(after.convert("RGBA"))):
            client.fault("not the pixels that were sent")


def spoilt_body(client: Client) -> None:
    path = client.random.choice(("/enhance", "/score", "/apply", "/jobs"))
    body: Any = body_of(client, path)
    for _ in range(client.random.randint(1, 3)):
        body = mutated(client, body)
    answer = client.ask("POST", path, json.dumps(body).encode(), ANSWERED | {202})
    if answer.status == 202:
        _finish(client, answer.body["id"])


def spoilt_json(client: Client) -> None:
    random = client.random
    text = json.dumps(body_of(client, "/apply")).encode()
    place = random.randrange(len(text))
    data = random.choice(
        (
            text[:place],
            text[:place] + random.randbytes(5) + text[place:],
            *(b"", b"null", b"[]", b'"a"', b"NaN", b'{"image": NaN}', b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe{}"),
            b'{"image": ' + b"9" * 5000 + b"}",
            b'{"image": [' + b"0," * 200_000 + b"0]}",
            json.dumps({"image": 1}).encode("utf-16"),
        )
    )
    client.ask("POST", random.choice(("/enhance", "/score", "/apply", "/jobs")), data, REFUSED | {200})


def spoilt_picture(client: Client) -> None:
    random = client.random
    sent = broken(
        random, picture(random, random.choice(("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"))), client.world.forbidden
    )
    body = {"image": sent, "recipe": "nuli1 exposure=0.1"}
    if random.random() < 0.2:
        body = {"image": picture(random), "recipe": "nuli1", "mask": sent}
    client.ask("POST", "/apply", body, frozenset({200}) | REFUSED)


def paths(client: Client) -> None:
    """Paths and addresses, wherever there is text."""
    random, place = client.random, client.world.forbidden
    port = client.world.canary.getsockname()[1]
    named = random.choice(
        (f"{place}/a.png", f"file://{place}/a.png", f"http://127.0.0.1:{port}/a.png", f"{place}/a.cube")
    )
    image = picture(random)
    options = {random.choice(("lut", "preset", "scorer", "ops", "lock", "neutral", "mode", "device")): named}
    path, body = random.choice(
        (
            ("/enhance", {"image": named}),
            ("/enhance", {"image": image, "mask": named}),
            ("/enhance", {"image": image, "match": named}),
            ("/enhance", {"image": image, "options": options}),
            ("/enhance", {"image": image, "path": named}),
            ("/score", {"images": [named]}),
            ("/apply", {"image": image, "recipe": named}),
            ("/apply", {"image": image, "recipe": f"nuli1 lut@{named}=1"}),
            ("/apply", {"image": image, "recipe": {"nuli": 1, "steps": [{"op": f"lut@{named}", "amount": 1}]}}),
            ("/jobs", {"image": named}),
        )
    )
    client.ask("POST", path, body, REFUSED)


def too_much(client: Client) -> None:
    random = client.random
    big = io.BytesIO()
    Image.new("1", random.choice(((4000, 3000), (1, 1_500_000), (1_500_000, 1)))).save(big, "PNG")
    image = random.choice((base64.b64encode(big.getvalue()).decode(), "A" * 13_000_000))
    path = random.choice(("/enhance", "/apply", "/jobs"))
    client.ask("POST", path, {"image": image, **({"recipe": "nuli1"} if path == "/apply" else {})}, frozenset({413}))


def thin(client: Client) -> None:
    """As many pixels as are allowed, one beside the other."""
    side = client.random.randint(100_000, 1_000_000)
    file = io.BytesIO()
    Image.new("RGB", client.random.choice(((1, side), (side, 1))), (90, 120, 60)).save(file, "PNG")
    image = base64.b64encode(file.getvalue()).decode()
    client.ask("POST", "/score", {"images": [image], "options": {"scorer": "vivid"}}, frozenset({200}) | REFUSED)


def other_types(client: Client) -> None:
    kind = client.random.choice(
        ("text/plain", "", "multipart/form-data; boundary=a", "application/x-www-form-urlencoded", "a")
    )
    client.ask("POST", client.random.choice(("/enhance", "/jobs")), b"{}", frozenset({415}), **{"Content-Type": kind})


def other_methods(client: Client) -> None:
    method = client.random.choice(("PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "POST", "BREW"))
    path = client.random.choice(("/version", "/options", "/presets"))
    client.ask(method, path, {} if method == "POST" else None, frozenset({404, 405}))


def readings(client: Client) -> None:
    client.ask("GET", client.random.choice(("/version", "/options", "/presets")), None, frozenset({200}))


def others_jobs(client: Client) -> None:
    """Names that nobody was given."""
    name = client.random.choice(
        ("0" * 32, f"{client.random.getrandbits(128):032x}", "%00", "..%2f..%2fetc", "a" * 5000, "%ff")
    )
    query = client.random.choice(("", "?preview=true", "?preview=maybe", "?preview=%ff", "?a=" + "b" * 9999))
    client.ask(client.random.choice(("GET", "DELETE")), f"/jobs/{name}{query}", None, frozenset({404, 405, 422}))


def job(client: Client) -> None:
    """A job from its start to its end and after it, now and then stopped on the way."""
    body = body_of(client, "/jobs")
    answer = client.ask("POST", "/jobs", body, ANSWERED | {202})
    if answer.status != 202:
        return
    name = answer.body["id"]
    if client.random.random() < 0.4:
        time.sleep(client.random.random() * 0.2)
        client.ask("DELETE", f"/jobs/{name}", None, frozenset({200}))
    done = _finish(client, name)
    if done.get("result"):
        client.same_size(body["image"], done["result"])
    for method in ("DELETE", "GET"):  # after the end, too
        again = client.ask(method, f"/jobs/{name}", None, frozenset({200})).body
        if again.get("state") != done.get("state") or again.get("result") != done.get("result"):
            client.fault(f"a job that was {done.get('state')} is {again.get('state')}")


def _finish(client: Client, name: str) -> dict[str, Any]:
    """The job once it is over."""
    end = time.monotonic() + 6 * PATIENCE
    while time.monotonic() < end:
        found = client.ask("GET", f"/jobs/{name}?preview=true", None, frozenset({200})).body
        if found.get("state") in ("done", "failed", "stopped"):
            if found["state"] == "done" and not found["result"]:
                client.lost += 1
                client.fault(f"job {name} is done without a result")
            if "internal error" in (found["error"] or ""):
                client.fault(f"job {name}: {found['error']}")
            return found
        time.sleep(0.02)
    client.lost += 1
    client.fault(f"job {name} has no end: {str(found)[:200]}")
    return {}


KINDS: tuple[tuple[Callable[[Client], None], int], ...] = (
    (valid, 10),
    (exact, 10),
    (spoilt_body, 30),
    (spoilt_json, 10),
    (spoilt_picture, 15),
    (paths, 15),
    (too_much, 2),
    (thin, 1),
    (other_types, 3),
    (other_methods, 4),
    (readings, 4),
    (others_jobs, 6),
    (job, 6),
)
"""Kinds of calls, and how often each is made."""


@contextmanager
def world() -> Iterator[World]:
    with tempfile.TemporaryDirectory() as folder:
        made = World(Path(folder))
        try:
            yield made
        finally:
            made.close()


def torture(seed: int, deadline: float, calls: int = 5000, only: int | None = None) -> Tally:
    """Call the API so many times, or until the deadline, by time.monotonic(), is over."""
    tally, kinds, told = Tally(), Counter[str](), threading.Lock()
    numbers = iter([only] if only is not None else range(calls))

    def work(made: World) -> None:
        while True:
            with told:
                number = next(numbers, None)
                if number is None or time.monotonic() > deadline or tally.tries >= calls:
                    return
            client = Client(made, seed, number)
            [kind] = client.random.choices([kind for kind, _ in KINDS], [weight for _, weight in KINDS])
            kind(client)
            with told:
                kinds[kind.__name__] += client.calls
                tally.tries += client.calls
                tally.lost += client.lost
                tally.wrong += len(client.faults)
                tally.notes += client.faults

    with world() as made, ThreadPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(work, made) for _ in range(CLIENTS)]:
            done.result()
        if made.opened or made.was_called():
            tally.wrong += 1
            tally.notes.append(f"a client's path was opened, or its address called: {made.opened[:3]}")
        tally.notes += [f"the server's log: {text}" for text in made.told if "Weights" not in text]
        tally.notes.append(f"codes {dict(sorted(made.codes.items()))}; calls {dict(kinds)}")
        tally.notes.append(f"slowest {made.slowest:.2f} s: {made.slowest_call}")
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--only", type=int, metavar="NUMBER")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}", flush=True)
    tally = torture(arguments.seed, time.monotonic() + 60 * arguments.minutes, arguments.calls, arguments.only)
    print(f"{tally.tries} calls, {tally.lost} lost, {tally.wrong} wrong", *tally.notes, sep="\n")
    return int(bool(tally.lost or tally.wrong))


if __name__ == "__main__":
    sys.exit(main())
