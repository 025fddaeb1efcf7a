"""The HTTP API among strangers: whatever they send, however many they are, and what none of them may touch."""

from __future__ import annotations

import base64
import http.client
import importlib
import io
import json
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from nuli.errors import BusyError, DeviceMemoryError
from nuli.hosting import Limits, Worker
from nuli.webui import jobs, service

pytest.importorskip("fastapi", reason="FastAPI comes with a WebUI")
pytest.importorskip("uvicorn", reason="a WebUI's server")

from test_webui_api import APPLY, ROOT, Client, host, over, picture, serve, to_text  # noqa: F401, fixtures
from test_webui_hooks import host as webui  # noqa: F401, a fixture

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

TINY = to_text(Image.effect_noise((20, 14), 60))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("a" * 200_000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


def of_schema(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Values that a schema allows, and now and then any other in their place."""
    if schema.get("contentEncoding") == "base64":
        return st.just(TINY) | st.integers(0, len(TINY)).map(lambda end: TINY[:end]) | JSON
    if "enum" in schema:
        return st.sampled_from(schema["enum"]) | JSON
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    number = {"min_value": schema.get("minimum"), "max_value": schema.get("maximum")}
    known = {name: of_schema(of) for name, of in schema.get("properties", {}).items()}
    needed = {name: known.pop(name) for name in schema.get("required", ())}
    possible = {
        "object": lambda: st.fixed_dictionaries(needed, optional=known),
        "array": lambda: st.lists(of_schema(schema["items"]), max_size=3),
        "number": lambda: st.floats(**number),
        "integer": lambda: st.integers(**number),
        "string": lambda: st.text(max_size=20) | st.just("nuli1 contrast=1.1"),
        "boolean": st.booleans,
        "null": st.none,
    }
    return st.one_of(*(possible[kind]() for kind in kinds), JSON)


def schemas() -> dict[str, dict[str, Any]]:
    """The requests' schemas by path, as the application itself tells them."""
    from fastapi import FastAPI

    from nuli.webui.api import add_routes

    app = FastAPI()
    add_routes(app, Worker())
    return {
        path.removeprefix(ROOT): of["post"]["requestBody"]["content"]["application/json"]["schema"]
        for path, of in app.openapi()["paths"].items()
        if "post" in of
    }


REQUESTS = st.one_of(*(st.tuples(st.just(path), of_schema(schema)) for path, schema in schemas().items()))


def refuse_constants(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


@pytest.fixture
def quick(serve) -> Client:  # noqa: F811
    """A server that is soon tired of a search."""
    from nuli.scoring.registry import cached_scorer

    return serve(limits=lambda: Limits(0.05, 0.05), load_scorer=cached_scorer, report=lambda message: None)


def test_whatever_is_asked_is_answered(quick: Client) -> None:
    seen: set[int] = set()

    @settings(max_examples=150, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(REQUESTS)
    def ask(request: tuple[str, Any]) -> None:
        path, body = request
        status, answer, _ = quick.ask("POST", path, json.dumps(body).encode())
        seen.add(status)
        assert status in (200, 202, 400, 413, 429, 503), (status, answer)
        json.loads(json.dumps(answer), parse_constant=refuse_constants)
        if status not in (200, 202):
            assert answer.keys() == {"error"} and len(answer["error"]) < 2000

    ask()
    assert {200, 202, 400} <= seen


def test_all_kinds_of_strange_calls() -> None:
    bench = importlib.import_module("bench.torturing.api")
    tally = bench.called(random.Random(1), time.monotonic() + 600, 120)
    assert tally.tries == 120 and not tally.lost and not tally.wrong, tally.notes


@pytest.mark.parametrize("text", ["~\0", "~\ud800", "/etc/\0", "~root"])
def test_a_luts_name_is_no_path(quick: Client, text: str) -> None:
    assert quick.ask("POST", "/enhance", {"image": TINY, "options": {"lut": text}})[0] == 400


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"image": TINY, "options": {"ops": "blur " * 100_000}}, 400, "100,000 characters"),
        ({"image": TINY, "options": {"A" * 1_000_000: 1}}, 400, "no option 'AAA"),
        ({"image": TINY, "options": [0] * 200_000}, 413, "too many values"),
    ],
)
def test_what_would_take_long_is_refused_at_once(quick: Client, body: Any, status: int, words: str) -> None:
    begun = time.process_time()
    answer = quick.ask("POST", "/enhance", body)
    assert answer[0] == status and words in answer[1]["error"] and len(answer[1]["error"]) < 500
    assert time.process_time() - begun < 5


def test_a_thread_of_pixels_takes_no_memory(serve) -> None:  # noqa: F811
    """As wide as the frame it would have 200 million pixels."""
    thread = to_text(Image.new("RGB", (1, 900_000), (90, 120, 60)))
    status, answer, _ = serve().ask("POST", "/score", {"images": [thread], "options": {"scorer": "vivid"}})
    assert status == 200 and len(answer["scores"]) == 1


def test_frames_of_a_large_file_are_not_counted() -> None:
    head = b"GIF89a\x01\0\x01\0\x80\0\0\0\0\0\xff\xff\xff"
    frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01" + (b"\xff" + bytes(255)) * 2 + b"\0"
    text = base64.b64encode(head + frame * 40_000 + b"\x3b").decode()
    begun = time.process_time()
    photo = importlib.import_module("nuli.webui.pictures").decode(text, 1)
    assert photo.pixels.shape[:2] == (1, 1) and time.process_time() - begun < 5
    assert photo.notes == ("only the first of several frames is used",)


def test_who_sends_too_slowly_gives_the_place_back(serve, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    monkeypatch.setattr(importlib.import_module("nuli.webui.api"), "READ_SECONDS", 0.3)
    client = serve(max_tasks=1)
    assert b" 408 " in client.send(1000, b'{"image": ')
    assert client.ask("POST", "/apply", {"image": TINY, **APPLY})[0] == 200


def test_a_device_without_memory_is_no_fault_of_the_request() -> None:
    assert service.refusal(DeviceMemoryError("no room for even one"), pytest.fail)[0] == 503
    told: list[str] = []
    assert service.refusal(MemoryError(), told.append)[0] == 503 and "MemoryError" in told[0]


# ---------------------------------------------------------------- many at once


def test_who_comes_first_is_served_first(serve, picture: str) -> None:  # noqa: F811
    served: list[int] = []

    def load(options: Any, folders: Any) -> Any:
        served.append(options.seed)
        return importlib.import_module("nuli.scoring.registry").cached_scorer(options, folders)

    client = serve(load_scorer=load)
    body = {"image": picture, "options": {"evaluations": 10, "scorer": "vivid"}}
    with client.worker.host.lock():
        names = [client.start({**body, "options": {**body["options"], "seed": number}}) for number in range(8)]
    for name in names:
        assert client.wait(name, over)["state"] == "done"
    assert len(served) == 8 and all(abs(place - number) <= 1 for place, number in enumerate(served)), served


def test_nobody_gets_more_than_a_share_while_others_wait() -> None:
    worker = Worker(host(), max_tasks=8)
    many = [worker.admit("many") for _ in range(8)]
    with pytest.raises(BusyError):
        worker.admit("one")
    for task in many[:3]:
        task.abandon()
    with pytest.raises(BusyError):  # who has five already
        worker.admit("many")
    mine = [worker.admit("one"), worker.admit("one"), worker.admit("one")]
    for task in [*many[3:], *mine]:
        task.abandon()
    assert len([worker.admit("many") for _ in range(8)]) == 8  # nobody waits any more


def test_clients_are_told_apart_by_their_addresses(serve) -> None:  # noqa: F811
    lock = threading.Lock()
    client = serve(lock=lambda: lock, max_tasks=4)

    def ask(address: str) -> int:
        line = http.client.HTTPConnection("127.0.0.1", client.port, timeout=30, source_address=(address, 0))
        body = json.dumps({"image": TINY, "options": {"evaluations": 5, "scorer": "vivid"}})
        line.request("POST", f"{ROOT}/jobs", body, {"Content-Type": "application/json"})
        status = line.getresponse().status
        line.close()
        return status

    try:
        with lock:
            assert [ask("127.0.0.1") for _ in range(4)] == [202] * 4
            assert ask("127.0.0.2") == 429
        until(lambda: not client.worker._places)
        with lock:
            assert [ask("127.0.0.1") for _ in range(3)] == [202, 202, 429]
            assert ask("127.0.0.2") == 202
    except OSError as error:
        pytest.skip(f"this system has one loopback address: {error}")


def until(true: Any) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_stop_stops_its_own_job_only(serve, picture: str) -> None:  # noqa: F811
    client = serve()
    body = {"image": picture, "options": {"seconds": 1, "scorer": "vivid", "mode": "hard"}}
    names = [client.start(body) for _ in range(3)]
    told = client.ask("DELETE", f"/jobs/{names[1]}")[1]
    assert told["state"] in ("running", "stopped")
    assert [client.wait(name, over)["state"] for name in names] == ["done", "stopped", "done"]


def test_a_job_stays_what_it_became(serve, picture: str) -> None:  # noqa: F811
    client = serve(load_scorer=lambda *_: 1 / 0, report=lambda message: None)
    name = client.start({"image": picture})
    before = client.wait(name, over)
    assert before["state"] == "failed"
    assert client.ask("DELETE", f"/jobs/{name}")[1] == before == client.ask("GET", f"/jobs/{name}")[1]


def test_so_many_answers_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MAX_JOBS", 2)
    kept, worker = jobs.Jobs(), Worker(host())
    for _ in range(5):
        job = kept.add(worker.start(lambda task: jobs.Outcome(200, [b"0"])))
        job.task.outcome.result()
        until(lambda job=job: job.finished is not None)
    until(lambda: len(kept._jobs) == 2)
    assert kept.get(job.id) is job


def test_eight_clients_lose_nothing(serve, picture: str) -> None:  # noqa: F811
    client = serve()

    def work(number: int) -> list[tuple[int, int]]:
        image = to_text(Image.open(io.BytesIO(base64.b64decode(picture))).resize((30 + number, 40)))
        sizes = []
        for _ in range(4):
            while (status := client.ask("POST", "/apply", {"image": image, **APPLY}))[0] == 429:
                time.sleep(0.05)
            assert status[0] == 200
            sizes.append(Image.open(io.BytesIO(base64.b64decode(status[1]["image"]))).size)
        return sizes

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(work, range(8))) == [[(30 + number, 40)] * 4 for number in range(8)]


# ---------------------------------------------------------------- the host's password


def test_every_route_asks_for_the_hosts_password(webui: SimpleNamespace) -> None:  # noqa: F811
    """Those that --api-auth names, as the WebUI itself reads it."""
    import uvicorn
    from fastapi import FastAPI

    app = FastAPI()
    webui.shared.cmd_opts.api, webui.shared.cmd_opts.api_auth = True, "me:secret,you:a:b"
    webui.shared.cmd_opts.hide_ui_dir_config = False
    webui.our_app.add(None, app)
    routes = [(method, path) for path, of in app.openapi()["paths"].items() for method in of]
    assert len(routes) == 9
    listening = importlib.import_module("socket").create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()

    def ask(method: str, path: str, login: str | None) -> int:
        line = http.client.HTTPConnection("127.0.0.1", listening.getsockname()[1], timeout=20)
        headers = {"Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"} if login is not None else {}
        line.request(method.upper(), path.replace("{name}", "0"), None, headers)
        status = line.getresponse().status
        line.close()
        return status

    try:
        for login in (None, "", ":", "me:", "me:wrong", "you:a", "nobody:secret", "me:sécret", "secret"):
            assert {ask(*route, login) for route in routes} == {401}, login
        for login in ("me:secret", "you:a:b"):
            assert 401 not in {ask(*route, login) for route in routes}
    finally:
        server.should_exit = True
        thread.join(10)
