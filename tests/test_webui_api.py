"""The HTTP API: requests, limits, refusals, jobs; and, on a real server, what it is like when it has much to do."""

from __future__ import annotations

import base64
import io
import json
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from nuli.errors import NuliError, OptionError, RecipeError
from nuli.hosting import MAX_TASKS, Host, Limits, Task, Worker
from nuli.options import table
from nuli.scoring.registry import load_scorer
from nuli.webui import jobs, pictures, service
from nuli.webui.pictures import Picture, RequestError

ROOT = "/nuli/v1"


def to_text(image: Image.Image, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return base64.b64encode(buffer.getvalue()).decode()


def from_text(text: str | Picture) -> Image.Image:
    data = b"".join(text.pieces) if isinstance(text, Picture) else text
    return Image.open(io.BytesIO(base64.b64decode(data)))


def host(**more: Any) -> Host:
    usual = {"device": lambda: "cpu", "load_scorer": load_scorer, "limits": lambda: Limits(1.0, 5.0)}
    return Host(**{**usual, "report": lambda message: pytest.fail(message), **more})


@pytest.fixture
def picture(photo: Image.Image) -> str:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a mountain")
    return to_text(photo.resize((120, 90)), pnginfo=text)


def do(work: Callable[[dict[str, Any], Task], dict[str, Any]], **body: Any) -> dict[str, Any]:
    patient = host(limits=lambda: Limits(1.0, 600.0))
    return Worker(patient).start(lambda task: work(body, task)).outcome.result()


def test_enhance_gives_picture_recipe_and_scores(picture):
    options = {"evaluations": 60, "scorer": "vivid", "margin": 0}
    answer = do(service.enhance, image=picture, options=options)
    assert answer["changed"] and answer["score_after"] > answer["score_before"]
    again = do(service.apply, image=picture, recipe=answer["infotext"])
    assert np.array_equal(np.array(from_text(again["image"])), np.array(from_text(answer["image"])))
    text = from_text(answer["image"]).text
    assert text["parameters"] == "a mountain"
    assert f"NUl recipe: {answer['infotext']}" in text["postprocessing"] and "seconds" not in text["postprocessing"]


def test_hard_mode_tells_of_other_results_and_shows_them_where_asked(picture):
    options = {"evaluations": 200, "scorer": "vivid", "mode": "hard", "margin": 0}
    told = do(service.enhance, image=picture, options=options)
    shown = do(service.enhance, image=picture, options=options, others=True)
    assert told["others"] and not any("image" in other for other in told["others"])
    for plain, other in zip(told["others"], shown["others"], strict=True):
        image = other.pop("image")
        assert other == plain and other["score"] > told["score_before"]
        again = do(service.apply, image=picture, recipe=other["infotext"])
        assert np.array_equal(np.array(from_text(again["image"])), np.array(from_text(image)))
        assert f"NUl recipe: {other['infotext']}" in from_text(image).text["postprocessing"]
        assert f"NUl score: {other['score']:.3f}" in from_text(image).text["postprocessing"]


def test_data_uris_are_read(picture):
    answer = do(service.apply, image=f"data:image/png;base64,{picture}", recipe={"nuli": 1, "steps": []})
    assert np.array_equal(np.array(from_text(answer["image"])), np.array(from_text(picture)))


def test_score(picture):
    answer = do(service.score, images=[picture, picture], options={"scorer": "vivid"})
    assert answer["scorer"] == "vivid" and answer["scores"][0] == answer["scores"][1]


def test_apply_takes_strength(picture):
    answer = do(service.apply, image=picture, recipe="nuli1 contrast=1.2", strength=0.5)
    assert answer["infotext"].endswith("1.1")


def half_mask() -> Image.Image:
    mask = Image.new("L", (120, 90))
    mask.paste(255, (0, 0, 60, 90))
    return mask


def test_a_mask_keeps_the_outside(picture):
    before, outside = np.array(from_text(picture)), np.array(half_mask()) == 0
    options = {"evaluations": 60, "scorer": "vivid", "margin": 0}
    for answer in (
        do(service.enhance, image=picture, mask=to_text(half_mask()), options=options),
        do(service.apply, image=picture, mask=to_text(half_mask()), recipe="nuli1 exposure=0.5", feather=0),
    ):
        after = np.array(from_text(answer["image"]))
        assert np.array_equal(after[outside], before[outside]) and not np.array_equal(after, before)
        assert "NUl mask: yes" in from_text(answer["image"]).text["postprocessing"]


def test_a_reference_is_matched(picture):
    source = from_text(picture).convert("RGB")
    dark = source.point(lambda value: value * 0.7)
    answer = do(service.enhance, image=to_text(dark), match=picture, options={"evaluations": 300})
    before, now = (
        np.abs(np.array(i.convert("RGB")).astype(int) - np.array(source)).mean()
        for i in (dark, from_text(answer["image"]))
    )
    assert now < before / 3 and answer["scorer"] == "match"
    assert "NUl match: yes" in from_text(answer["image"]).text["postprocessing"]
    assert do(service.enhance, image=picture, match=picture, options={"scorer": "match"})["scorer"] == "match"
    with pytest.raises(OptionError, match="scorer"):
        do(service.enhance, image=picture, match=picture, options={"scorer": "vivid"})


def test_the_pictures_own_transparency_is_a_mask(picture):
    image = from_text(picture).convert("RGB")
    image.putalpha(half_mask())
    answer = do(service.apply, image=to_text(image), mask="alpha", recipe="nuli1 exposure=0.5")
    after, outside = np.array(from_text(answer["image"])), np.array(half_mask()) == 0
    assert np.array_equal(after[outside], np.array(image)[outside]) and not np.array_equal(after, np.array(image))


def test_presets_are_told_and_heard(picture, tmp_path, monkeypatch):
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path))
    told = {one["name"]: one for one in service.presets()["presets"]}
    assert json.dumps(told) and told["natural"]["values"]["strength"] == 0.7 and not told["natural"]["own"]
    options = service._options({"preset": "natural", "margin": 0}, host())
    assert (options.strength, options.guards, options.margin) == (0.7, "strict", 0)


def test_a_lut_is_named_and_never_a_path(picture, tmp_path, monkeypatch):
    monkeypatch.setenv("NULI_CONFIG", str(tmp_path))
    rows = [f"{r / 2} {g} {b}" for b in (0, 1) for g in (0, 1) for r in (0, 1)]
    cube = tmp_path / "mine.cube"
    cube.write_text("\n".join(["LUT_3D_SIZE 2", *rows]))
    with pytest.raises(OptionError):
        do(service.enhance, image=picture, options={"lut": str(cube)})
    (tmp_path / "luts").mkdir()
    cube.rename(tmp_path / "luts" / "mine.cube")
    answer = do(service.enhance, image=picture, options={"lut": "mine=0.5", "evaluations": 30, "scorer": "vivid"})
    assert "lut@mine-" in answer["infotext"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, RequestError),
        ({"image": "PICTURE", "mask": 5}, RequestError),
        ({"image": "PICTURE", "mask": "/etc/passwd"}, RequestError),
        ({"image": "PICTURE", "match": "alpha"}, RequestError),
        ({"image": "PICTURE", "options": {"preset": "none such"}}, OptionError),
        ({"image": "PICTURE", "options": {"lut": "/etc/passwd.cube"}}, OptionError),
        ({"image": 5}, RequestError),
        ({"image": "%%"}, RequestError),
        ({"image": base64.b64encode(b"text").decode()}, RequestError),
        ({"image": "PICTURE", "options": []}, RequestError),
        ({"image": "PICTURE", "options": {"strenght": 1}}, OptionError),
        ({"image": "PICTURE", "options": {"seconds": 6}}, RequestError),
        ({"image": "PICTURE", "options": {"device": "cuda"}}, RequestError),
        ({"image": "PICTURE", "options": {"scorer": "none such"}}, OptionError),
        ({"image": "PICTURE", "path": "/etc/passwd"}, RequestError),
        ({"image": "PICTURE", "others": 3}, RequestError),
    ],
)
def test_refused(picture, body, kind):
    body = {key: picture if value == "PICTURE" else value for key, value in body.items()}
    task = Worker(host(lock=lambda: pytest.fail("queued"))).start(lambda task: service.enhance(body, task))
    with pytest.raises(kind) as caught:
        task.outcome.result()
    assert isinstance(caught.value, NuliError)


def test_bad_recipes_are_refused(picture):
    with pytest.raises(RecipeError):
        do(service.apply, image=picture, recipe="nuli1 nonsense=1")
    with pytest.raises(RequestError):
        do(service.apply, image=picture)


def test_bombs_are_refused_before_they_are_unpacked(monkeypatch):
    bomb = to_text(Image.new("1", (12_000, 9_000)))
    assert len(bomb) < 30_000
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("unpacked"))
    with pytest.raises(RequestError) as caught:
        do(service.enhance, image=bomb)
    assert caught.value.status == 413
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow's own limit counts as ours
    with pytest.raises(RequestError) as caught:
        pictures.decode(bomb, 500)
    assert caught.value.status == 413


def test_searches_end_within_the_servers_limit():
    assert service._options({}, host()).seconds == 1.5
    assert service._options({"evaluations": 50}, host()).seconds == 5
    assert service._options({"seconds": 2}, host()).seconds == 2


def test_schema_has_every_option_but_the_device():
    properties = service.schema()["properties"]
    assert set(properties) == {row.name for row in table()} - {"device"} | {"preset"}
    assert properties["seconds"]["type"] == ["number", "null"] and properties["mode"]["enum"] == ["soft", "hard"]


def test_version_says_what_is_missing():
    scorers = {row["name"]: row for row in service.version(host())["scorers"]}
    assert all(row["meaning"] for row in scorers.values())
    assert scorers["vivid"]["ready"] and scorers["vivid"]["missing"] == []


def test_a_body_is_an_object():
    with pytest.raises(RequestError):
        service.body_object([1])


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((700, 700), value).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    "spoil",
    [str, lambda t: "data:image/png;base64," + t, lambda t: "\n".join(t[i : i + 76] for i in range(0, len(t), 76))],
)
def test_base64_is_read_in_all_its_ways(spoil):
    data = png(40)
    text = base64.b64encode(data).decode()
    assert np.array_equal(pictures.decode(spoil(text), 1).pixels[..., 0], np.array(Image.open(io.BytesIO(data))))


@pytest.mark.parametrize("text", ["ü", "a", "aGk=aGk=", "not base64!"])
def test_what_is_not_base64_is_told(text):
    with pytest.raises(RequestError, match=r"base64|no picture"):
        pictures.decode(text, 1)


def test_answers_hold_pictures_in_pieces():
    image = Image.effect_noise((1500, 1000), 90)
    picture = pictures.encode(image)
    assert len(picture.pieces) > 1
    answer = json.loads(b"".join(pictures.to_json({"a": 'q"\\', "others": [{"image": picture}], "image": picture})))
    assert answer["a"] == 'q"\\' and answer["image"] == answer["others"][0]["image"]
    assert np.array_equal(np.array(from_text(answer["image"])), np.array(image))
    with pytest.raises(TypeError):
        pictures.to_json({"a": object()})


pytest.importorskip("fastapi", reason="FastAPI comes with a WebUI")
uvicorn = pytest.importorskip("uvicorn", reason="a WebUI's server")


def _head(length: int) -> bytes:
    lines = f"POST {ROOT}/apply HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {length}"
    return "\r\n".join((*lines, "", "")).encode()


class Client:
    """A server of its own, and requests to it."""

    def __init__(
        self, host: Host, max_tasks: int = MAX_TASKS, dependencies: Sequence[Any] = (), middleware: Any = None
    ) -> None:
        from fastapi import FastAPI

        from nuli.webui.api import add_routes

        app = FastAPI()
        if middleware is not None:
            app.middleware("http")(middleware)
        self.worker = Worker(host, max_tasks)
        add_routes(app, self.worker, dependencies)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        self.thread = threading.Thread(target=self.server.run, args=([self.socket],), daemon=True)
        self.thread.start()

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any, Any]:
        """Status, answer and headers."""
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": kind} if data is not None else {}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{ROOT}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.load(answer), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), error.headers

    def send(self, length: int, body: bytes = b"") -> bytes:
        """The first line of the answer to a request that says it is so long."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as line:
            line.sendall(_head(length) + body)
            return line.recv(1000).partition(b"\r")[0]

    def start(self, body: Any) -> str:
        status, job, _ = self.ask("POST", "/jobs", body)
        assert status == 202, job
        return job["id"]

    def wait(self, name: str, until: Callable[[Any], Any], query: str = "") -> Any:
        for _ in range(400):
            job = self.ask("GET", f"/jobs/{name}{query}")[1]
            if until(job):
                return job
            time.sleep(0.02)
        pytest.fail(f"the job stays {job}")

    def close(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture
def serve() -> Iterator[Callable[..., Client]]:
    clients: list[Client] = []

    def make(**more: Any) -> Client:
        own = {name: more.pop(name) for name in ("max_tasks", "dependencies", "middleware") if name in more}
        clients.append(Client(host(**more), **own))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def over(job: dict[str, Any]) -> bool:
    return job["state"] in ("done", "failed", "stopped")


APPLY = {"recipe": "nuli1 contrast=1.2"}


def test_routes(serve, picture):
    client = serve()
    assert client.ask("GET", "/presets")[1]["presets"][0]["name"] == "natural"
    assert client.ask("GET", "/version")[0] == 200 and "mode" in client.ask("GET", "/options")[1]["properties"]
    assert client.ask("POST", "/enhance", b"{")[:2] == (400, {"error": "the request is not JSON"})
    status, answer, _ = client.ask("POST", "/apply", {"image": picture, **APPLY})
    assert status == 200 and answer["steps"] == ["contrast +20 %"] and from_text(answer["image"]).size == (120, 90)
    assert b" 413 " in client.send(13_000_000, b"0" * 12_000_000)
    assert client.ask("GET", "/jobs/none")[0] == 404 and client.ask("DELETE", "/jobs/none")[0] == 404
    assert client.ask("POST", "/jobs", {"image": picture, "options": {"strenght": 1}})[0] == 400


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_only_json_is_taken_since_other_sites_pages_can_send_the_rest(serve, picture, kind):
    status, answer, _ = serve().ask("POST", "/jobs", {"image": picture}, kind)
    assert status == 415 and "application/json" in answer["error"]


def test_json_may_say_its_encoding(serve, picture):
    status, _, _ = serve().ask("POST", "/apply", {"image": picture, **APPLY}, "application/json; charset=utf-8")
    assert status == 200


def test_a_job_runs_shows_itself_and_ends(serve, picture):
    client = serve()
    name = client.start({"image": picture, "options": {"evaluations": 60, "scorer": "vivid"}})
    done = client.wait(name, over)
    assert done["state"] == "done" and done["result"]["image"] and done["evaluations"] > 0 and done["error"] is None


def test_a_stopped_job_gives_what_it_has(serve, picture):
    client = serve()
    name = client.start({"image": picture, "options": {"seconds": 5, "scorer": "vivid", "mode": "hard", "margin": 0}})
    client.wait(name, lambda job: job["preview"], "?preview=true")
    assert client.ask("DELETE", f"/jobs/{name}")[0] == 200
    done = client.wait(name, over)
    assert done["result"]["image"] and done["state"] == "stopped"


def test_a_waiting_job_is_stopped_at_once(serve, picture):
    lock = threading.Lock()
    client = serve(lock=lambda: lock)
    with lock:
        name = client.start({"image": picture})
        assert client.ask("GET", f"/jobs/{name}")[1]["state"] == "queued"
        told = client.ask("DELETE", f"/jobs/{name}")[1]
        assert told["state"] == "stopped" and told["result"] is None and "before it began" in told["error"]


def test_failures_are_told_and_the_queue_is_let_go(serve, picture):
    told: list[str] = []
    lock = threading.Lock()

    def breaks(*_: Any) -> None:
        raise ZeroDivisionError("/secret/place: oh")

    client = serve(lock=lambda: lock, load_scorer=breaks, report=told.append)
    job = client.wait(client.start({"image": picture}), over)
    assert job["state"] == "failed" and "ZeroDivisionError" in job["error"] and "secret" not in str(job)
    assert not lock.locked() and "/secret/place: oh" in told[0]
    status, answer, _ = client.ask("POST", "/enhance", {"image": picture})
    assert status == 500 and "secret" not in str(answer) and "log" in answer["error"]


def test_no_client_learns_where_things_lie(serve, picture, tmp_path, monkeypatch):
    monkeypatch.setenv("NULI_CACHE", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    told: list[str] = []
    client = serve(report=told.append)
    for path, body in (("/enhance", {"image": picture}), ("/score", {"image": picture})):
        status, answer, _ = client.ask("POST", path, {**body, "options": {"scorer": "laion"}})
        assert status == 503 and str(tmp_path) not in str(answer) and "/" not in answer["error"]
        assert str(tmp_path) in told[-1]
    job = client.wait(client.start({"image": picture, "options": {"scorer": "laion"}}), over)
    assert str(tmp_path) not in str(job) and "weights" in job["error"]


@pytest.mark.parametrize("text", ["in /root/x.pt: no", "C:\\models\\x is bad", "'~/.cache/clip'", "(/opt/w)"])
def test_paths_in_errors_are_for_the_log(text):
    told: list[str] = []
    status, said = service.refusal(NuliError(f"cannot {text}"), told.append)
    assert status == 400 and text not in said and text in told[0]


def test_errors_for_people_go_through():
    for text in ("give a value from 0 to 1.5", "neither a group (light, art) nor/or an op", "+/- 5 %"):
        assert service.refusal(NuliError(text), pytest.fail) == (400, text)


def test_work_beyond_the_limit_is_refused_while_the_rest_answers_at_once(serve, picture):
    lock = threading.Lock()
    client = serve(lock=lambda: lock)
    with ThreadPoolExecutor(60) as pool:
        with lock:
            waiting = [pool.submit(client.ask, "POST", "/apply", {"image": picture, **APPLY}) for _ in range(45)]
            end = time.monotonic() + 20
            while sum(answer.done() for answer in waiting) < 45 - MAX_TASKS and time.monotonic() < end:
                time.sleep(0.05)
            quick = [pool.submit(client.ask, "GET", path) for path in ("/version", "/options", "/jobs/none")]
            assert [answer.result(5)[0] for answer in quick] == [200, 200, 404]
            for path in ("/enhance", "/score", "/jobs"):  # one limit for all
                status, _, headers = client.ask("POST", path, {"image": picture})
                assert status == 429 and int(headers["Retry-After"]) > 0
        statuses = [answer.result(30)[0] for answer in waiting]
    assert statuses.count(200) == MAX_TASKS and statuses.count(429) == 45 - MAX_TASKS
    assert client.ask("POST", "/apply", {"image": picture, **APPLY})[0] == 200  # and the places are free again


def test_a_place_is_given_before_the_request_is_read(serve):
    client = serve(max_tasks=1)
    client.worker.admit()
    assert b" 429 " in client.send(100_000_000)


def test_a_client_that_goes_while_it_sends_gives_its_place_back(serve, picture):
    client = serve(max_tasks=1)
    with socket.create_connection(("127.0.0.1", client.port), timeout=10) as line:
        line.sendall(_head(10_000_000) + b"{")
        time.sleep(0.3)
        assert client.ask("POST", "/apply", {"image": picture, **APPLY})[0] == 429
    time.sleep(0.3)
    assert client.ask("POST", "/apply", {"image": picture, **APPLY})[0] == 200


def test_requests_are_parsed_beside_the_servers_own_thread(serve, picture, monkeypatch):
    from nuli.webui import api

    threads, parse = [], api._object
    monkeypatch.setattr(api, "_object", lambda data: (threads.append(threading.current_thread()), parse(data))[1])
    client = serve()
    assert client.ask("POST", "/apply", {"image": picture, **APPLY})[0] == 200
    assert len(threads) == 1 and client.thread not in threads


def test_polls_do_not_wait_for_a_picture_that_is_looked_at(serve, picture):
    gate, looking = threading.Event(), threading.Event()
    gate.set()

    def device() -> str:  # asked while a request is checked
        looking.set()
        assert gate.wait(30)
        return "cpu"

    client = serve(device=device)
    name = client.start({"image": picture, "options": {"evaluations": 20, "scorer": "vivid"}})
    client.wait(name, over)
    gate.clear()
    looking.clear()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(client.ask, "POST", "/jobs", {"image": picture})
        assert looking.wait(10)
        poll = pool.submit(client.ask, "GET", f"/jobs/{name}")
        try:
            assert poll.result(3)[1]["state"] == "done"
        finally:
            gate.set()
        assert slow.result(10)[0] == 202


def test_answers_are_kept_for_a_while(serve, picture, monkeypatch):
    monkeypatch.setattr(jobs, "EXPIRY_SECONDS", 0.5)
    client = serve()
    body = {"image": picture, "options": {"evaluations": 20, "scorer": "vivid"}}
    name = client.start(body)
    client.wait(name, over)
    time.sleep(0.6)
    assert client.ask("GET", f"/jobs/{name}")[0] == 404


def test_answers_go_by_themselves_and_the_newest_stays(picture, monkeypatch):
    monkeypatch.setattr(jobs, "MAX_BYTES", 1500)
    kept, worker = jobs.Jobs(), Worker(host())

    def finished(size: int) -> jobs.Job:
        job = kept.add(worker.start(lambda task: jobs.Outcome(200, [b"0" * size])))
        job.task.outcome.result()
        return job

    first, second, third = (finished(1000) for _ in range(3))
    assert kept.get(third.id) is third
    for old in (first, second):
        with pytest.raises(RequestError):
            kept.get(old.id)
    huge = finished(10_000)
    assert kept.get(huge.id) is huge
    monkeypatch.setattr(jobs, "EXPIRY_SECONDS", 0.2)
    kept = jobs.Jobs()
    for _ in range(2):
        job = kept.add(worker.start(lambda task: jobs.Outcome(200, [b"0"])))
        job.task.outcome.result()
        time.sleep(0.1)
    time.sleep(0.4)
    assert kept._jobs == {}  # though nobody asked


def test_apply_obeys_the_hosts_stop_and_the_servers_limit(serve, picture):
    status, answer, _ = serve(stopped=lambda: True).ask("POST", "/apply", {"image": picture, **APPLY})
    assert status == 503 and "stopped" in answer["error"]
    client = serve(limits=lambda: Limits(1.0, 0.0))
    status, answer, _ = client.ask("POST", "/apply", {"image": picture, **APPLY})
    assert status == 413 and "limit of 0 seconds" in answer["error"]


def test_a_client_that_has_its_answer_finds_a_free_place(serve, picture):
    client = serve(max_tasks=1)
    for _ in range(20):
        assert client.ask("POST", "/apply", {"image": picture, **APPLY})[0] == 200


def test_scores_obey_the_servers_limit(serve, picture):
    client = serve(limits=lambda: Limits(1.0, 0.0))
    status, answer, _ = client.ask("POST", "/score", {"images": [picture] * 3, "options": {"scorer": "vivid"}})
    assert status == 413 and "limit of 0 seconds" in answer["error"]


def test_what_is_done_has_its_result():
    """Whoever reads a task's state finds the outcome that goes with it, at any moment."""
    sys.setswitchinterval(1e-6)
    try:
        for number in range(300):
            task = Worker(Host()).start(lambda task, number=number: number)
            while (state := task.state) not in ("done", "failed"):
                pass
            assert state == "done" and task.outcome.done() and task.outcome.result() == number
    finally:
        sys.setswitchinterval(0.005)


def test_the_api_imports_nothing_of_a_webui():
    root = Path(pictures.__file__).parent
    for name in ("api", "jobs", "pictures", "service"):
        assert "from modules" not in (root / f"{name}.py").read_text(encoding="utf-8")
