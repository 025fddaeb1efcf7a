"""The HTTP API as strangers may use it: requests made by its own schema and spoilt, broken JSON and pictures, paths and
addresses, the wrong methods and types, jobs of others, jobs stopped on their way; from several clients at once.

Every call comes of the seed and its own number alone: `python -m bench.torturing.api SEED NUMBER` makes one again.
"""

from __future__ import annotations

import base64
import io
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from .api_client import ANSWERED, REFUSED, ROOT, SECONDS, Client, World, opened, picture
from .tally import MOST_NOTES, Tally

_CLIENTS = 6
_ODD = [
    *json.loads('[null, true, -1, 0, 1e308, -1e308, 0.1, 9223372036854775808, NaN, Infinity, "", "0", "nan", "1e999"]'),
    *json.loads('["\\u0000", "~\\u0000", "~\\ud800", "=", "a=", "=1", ",", "\\u202e", "../../x", "~root", "data:,"]'),
    *json.loads('[[], {}, [[]], [1, "a", null], {"a": {}}, {"": ""}, [[[[[[[[]]]]]]]], {"nuli": 1}, {"steps": []}]'),
    *json.loads('["nuli1 contrast=nan", "nuli9", "lut@a-00000000", "nuli1 lut@../../a-00000000=1", "pyiqa:../x"]'),
    *json.loads('["mean:tone+tone", "least:", "laion", "match", "alpha", "data:image/png;base64,", "{{{{", "[1"]'),
]
"""Values that nobody foresaw."""


def called(rng: random.Random, deadline: float, tries: int = 5000) -> Tally:
    """Call the API of a server in this process: each call is answered soon, never by a 500, with the right picture;
    jobs have an end and a result; no path that was sent is opened. A job and all looks at it are one try."""
    return _called(rng.getrandbits(32), deadline, range(tries))[0]


def _called(seed: int, deadline: float, numbers: Iterable[int]) -> tuple[Tally, list[str]]:
    """The tally, and lines about what was done."""
    tally, kinds, lock = Tally("API calls"), Counter[str](), threading.Lock()
    rest = iter(numbers)

    def work(world: World) -> None:
        while True:
            with lock:
                number = next(rest, None)
                if number is None or time.monotonic() > deadline:
                    return
            client = Client(world, f"{seed} {number}")
            [kind] = client.rng.choices([kind for kind, _ in KINDS], [weight for _, weight in KINDS])
            kind(client)
            with lock:
                kinds[kind.__name__] += 1
                tally.tries += 1
                tally.lost += client.lost
                tally.wrong += len(client.faults) - client.lost
                tally.notes += client.faults[: max(0, MOST_NOTES - len(tally.notes))]

    with tempfile.TemporaryDirectory(prefix="nuli-torture-") as folder:
        world = World(Path(folder))
        try:
            with ThreadPoolExecutor(_CLIENTS) as pool:
                for done in [pool.submit(work, world) for _ in range(_CLIENTS)]:
                    done.result()
            for place in world.touched():
                tally.blame(f"a client's path or address was used: {place}")
        finally:
            world.close()
    codes = ", ".join(f"{code}: {count}" for code, count in sorted(world.codes.items()))
    tally.slowest = world.slowest
    longest = f"longest by the clock {world.longest:.2f} s: {world.longest_call}"
    return tally, [f"tries: {dict(kinds)}", f"answers: {codes}", longest]


def of_schema(rng: random.Random, schema: dict[str, Any]) -> Any:
    """A value that a schema allows."""
    if schema.get("contentEncoding") == "base64":
        return picture(rng, rng.choice(("PNG", "JPEG", "WEBP")))
    if "enum" in schema:
        return rng.choice(schema["enum"])
    kind = schema["type"] if isinstance(schema["type"], str) else rng.choice(schema["type"])
    if kind == "object":
        known, needed = schema.get("properties", {"nuli": {"type": "integer"}}), schema.get("required", ())
        return {key: of_schema(rng, of) for key, of in known.items() if key in needed or rng.random() < 0.2}
    if kind == "array":
        return [of_schema(rng, schema["items"]) for _ in range(rng.randint(1, 3))]
    if kind in ("number", "integer"):
        low, high = schema.get("minimum", 0), schema.get("maximum", 10)
        value = rng.choice((low, high, low + rng.random() * min(high - low, rng.choice((1, 100, 1e6)))))
        return int(value) if kind == "integer" else value
    if kind == "string":
        return rng.choice(("", "auto", "all", "vivid", "tone", "light,-blur", "0.5,0.5", "natural", "mean:tone+vivid"))
    return {"boolean": rng.random() < 0.5, "null": None}[kind]


def body_of(client: Client, path: str) -> dict[str, Any]:
    """A request's body as the API's own schema has it; short enough to be answered soon."""
    content = client.world.schema["paths"][ROOT + path]["post"]["requestBody"]["content"]
    body = of_schema(client.rng, content["application/json"]["schema"])
    if path != "/apply":
        short = {"evaluations": client.rng.randint(3, 30), "seconds": SECONDS / 2}
        body["options"] = body.get("options", {}) | short
        if client.rng.random() < 0.8:
            body["options"]["scorer"] = client.rng.choice(("vivid", "tone", "taste"))
    elif client.rng.random() < 0.8:
        body["recipe"] = client.rng.choice(("nuli1", "nuli1 contrast=1.1 exposure=0.2", {"nuli": 1, "steps": []}))
    return body


def hostile(client: Client) -> Any:
    """A value that nobody foresaw, or one of this machine that nobody may have."""
    rng, place = client.rng, client.world.forbidden
    named = [f"{place}/a.png", f"{place}/a.cube", f"file://{place}/a.png", f"{place}/a.cube=0.5", client.world.address]
    spoilt = picture(rng)[: rng.randint(1, 200)]
    return rng.choice([*_ODD, *named, spoilt, 10**400, "a" * 200_000, "\ud800", "nuli1 " + "contrast=1.1 " * 65])


def mutated(client: Client, value: Any) -> Any:
    """A value with something in it changed, gone or added."""
    rng = client.rng
    if isinstance(value, dict) and value and rng.random() < 0.8:
        key, what = rng.choice(list(value)), rng.random()
        if what < 0.15:
            return {name: of for name, of in value.items() if name != key}
        if what < 0.3:
            return {**value, str(hostile(client))[:300]: hostile(client)}
        return {**value, key: mutated(client, value[key])}
    if isinstance(value, list) and value and rng.random() < 0.5:
        return [*value[:-1], mutated(client, value[-1])] * rng.choice((1, 1, 100))
    return hostile(client)


def broken(rng: random.Random, text: str, place: Path) -> str:
    """A picture's base64 text that is none any more, or of a picture that is no picture any more."""
    data = bytearray(base64.b64decode(text))
    what = rng.randrange(6)
    if what == 0:
        del data[rng.randrange(len(data)) :]
    elif what == 1:
        for _ in range(rng.randint(1, 20)):
            data[rng.randrange(len(data))] = rng.randrange(256)
    elif what == 2:
        begins = rng.choice((b"%!PS-Adobe\n", b"P6 9 9 255 ", b"<svg/>", b"\0\0\1\0", b"BM", b"II*\0", b"GIF89a"))
        data = bytearray(begins + rng.randbytes(rng.randrange(300)))
    text = base64.b64encode(data).decode()
    if what == 3:
        return rng.choice(("data:image/png,", "data:", "data:image/png;base64;base64,")) + text
    if what == 4:
        return text[: rng.randrange(len(text))] + rng.choice(("%", "\0", "é", "=", "\n", "-_")) + text
    return str(place / "a.png") if what == 5 else text


def valid(client: Client) -> None:
    path = client.rng.choice(("/enhance", "/score", "/apply"))
    body = body_of(client, path)
    answer = client.ask("POST", path, body)
    if answer.status == 200 and path == "/score":
        if len(answer.body["scores"]) != len(body["images"]):
            client.fault("not as many scores as pictures")
    elif answer.status == 200:
        client.same_size(body["image"], answer.body)


def exact(client: Client) -> None:
    """An empty recipe gives the very pixels back."""
    sent = picture(client.rng)
    answer = client.ask("POST", "/apply", {"image": sent, "recipe": "nuli1"}, frozenset({200}))
    if answer.status == 200:
        before, after = opened(sent), opened(answer.body["image"])
        if not np.array_equal(np.array(before.convert("RGBA")), np.array(after.convert("RGBA"))):
            client.fault("not the pixels that were sent")


def spoilt_body(client: Client) -> None:
    path = client.rng.choice(("/enhance", "/score", "/apply", "/jobs"))
    body: Any = body_of(client, path)
    for _ in range(client.rng.randint(1, 3)):
        body = mutated(client, body)
    answer = client.ask("POST", path, json.dumps(body).encode(), ANSWERED | {202})
    if answer.status == 202:
        client.finished(answer.body["id"])


def spoilt_json(client: Client) -> None:
    rng = client.rng
    text = json.dumps(body_of(client, "/apply")).encode()
    place = rng.randrange(len(text))
    data = rng.choice(
        (
            text[:place],
            text[:place] + rng.randbytes(5) + text[place:],
            *(b"", b"null", b"[]", b'"a"', b"NaN", b'{"image": NaN}', b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe{}"),
            b'{"image": ' + b"9" * 5000 + b"}",
            b'{"image": [' + b"0," * 200_000 + b"0]}",
            json.dumps({"image": 1}).encode("utf-16"),
        )
    )
    client.ask("POST", rng.choice(("/enhance", "/score", "/apply", "/jobs")), data, REFUSED | {200})


def spoilt_picture(client: Client) -> None:
    rng = client.rng
    sent = broken(rng, picture(rng, rng.choice(("PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP"))), client.world.forbidden)
    body = {"image": sent, "recipe": "nuli1 exposure=0.1"}
    if rng.random() < 0.2:
        body = {"image": picture(rng), "recipe": "nuli1", "mask": sent}
    client.ask("POST", "/apply", body, frozenset({200}) | REFUSED)


def paths(client: Client) -> None:
    """Paths and addresses, wherever there is text."""
    rng, place = client.rng, client.world.forbidden
    named = rng.choice((f"{place}/a.png", f"file://{place}/a.png", client.world.address, f"{place}/a.cube"))
    image = picture(rng)
    options = {rng.choice(("lut", "preset", "scorer", "ops", "lock", "neutral", "mode", "device")): named}
    path, body = rng.choice(
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
    rng = client.rng
    big = io.BytesIO()
    Image.new("1", rng.choice(((4000, 3000), (1, 1_500_000), (1_500_000, 1)))).save(big, "PNG")
    image = rng.choice((base64.b64encode(big.getvalue()).decode(), "A" * 13_000_000))
    path = rng.choice(("/enhance", "/apply", "/jobs"))
    client.ask("POST", path, {"image": image, **({"recipe": "nuli1"} if path == "/apply" else {})}, frozenset({413}))


def thin(client: Client) -> None:
    """As many pixels as are allowed, one beside the other."""
    side = client.rng.randint(100_000, 1_000_000)
    file = io.BytesIO()
    Image.new("RGB", client.rng.choice(((1, side), (side, 1))), (90, 120, 60)).save(file, "PNG")
    image = base64.b64encode(file.getvalue()).decode()
    client.ask("POST", "/score", {"images": [image], "options": {"scorer": "vivid"}}, frozenset({200}) | REFUSED)


def other_types(client: Client) -> None:
    kinds = "text/plain", "", "multipart/form-data; boundary=a", "application/x-www-form-urlencoded", "a"
    named = {"Content-Type": client.rng.choice(kinds)}
    client.ask("POST", client.rng.choice(("/enhance", "/jobs")), b"{}", frozenset({415}), **named)


def other_methods(client: Client) -> None:
    method = client.rng.choice(("PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "POST", "BREW"))
    path = client.rng.choice(("/version", "/options", "/presets"))
    client.ask(method, path, {} if method == "POST" else None, frozenset({404, 405}))


def readings(client: Client) -> None:
    client.ask("GET", client.rng.choice(("/version", "/options", "/presets")), None, frozenset({200}))


def others_jobs(client: Client) -> None:
    """Names that nobody was given."""
    guess = f"{client.rng.getrandbits(128):032x}"
    name = client.rng.choice(("0" * 32, guess, "%00", "..%2f..%2fetc", "a" * 5000, "%ff"))
    query = client.rng.choice(("", "?preview=true", "?preview=maybe", "?preview=%ff", "?a=" + "b" * 9999))
    client.ask(client.rng.choice(("GET", "DELETE")), f"/jobs/{name}{query}", None, frozenset({404, 405, 422}))


def job(client: Client) -> None:
    """A job from its start to its end and after it, now and then stopped on the way."""
    body = body_of(client, "/jobs")
    answer = client.ask("POST", "/jobs", body, ANSWERED | {202})
    if answer.status != 202:
        return
    name = answer.body["id"]
    if client.rng.random() < 0.4:
        time.sleep(client.rng.random() * 0.2)
        client.ask("DELETE", f"/jobs/{name}", None, frozenset({200}))
    done = client.finished(name)
    if done.get("result"):
        client.same_size(body["image"], done["result"])
    for method in ("DELETE", "GET"):  # after the end, too
        again = client.ask(method, f"/jobs/{name}", None, frozenset({200})).body
        if again.get("state") != done.get("state") or again.get("result") != done.get("result"):
            client.fault(f"a job that was {done.get('state')} is {again.get('state')}")


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


if __name__ == "__main__":
    seed, *chosen = map(int, sys.argv[1:])
    found, lines = _called(seed, time.monotonic() + 1800, chosen or range(5000))
    print(
        f"{found.tries} tries, {found.lost} lost, {found.wrong} wrong, slowest {found.slowest:.1f} s of the processor"
    )
    print(*lines, *found.notes, sep="\n")
