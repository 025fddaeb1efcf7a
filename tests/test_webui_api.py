"""The HTTP API, up to HTTP: requests, limits, refusals, jobs."""

from __future__ import annotations

import base64
import io
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from nuli.errors import NuliError, OptionError, RecipeError
from nuli.options import table
from nuli.scoring.registry import load_scorer
from nuli.webui import pictures
from nuli.webui.apijobs import MOST_WAITING, Jobs
from nuli.webui.pictures import RequestError
from nuli.webui.service import Service, body_object


def to_text(image: Image.Image, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return base64.b64encode(buffer.getvalue()).decode()


def from_text(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


@pytest.fixture
def service() -> Service:
    return Service(
        job=nullcontext,
        stopped=lambda: False,
        device=lambda: "cpu",
        folders=lambda: [],
        scorer=lambda options: load_scorer(options),
        limits=lambda: (1.0, 5.0),
    )


@pytest.fixture
def picture(photo: Image.Image) -> str:
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", "a mountain")
    return to_text(photo.resize((120, 90)), pnginfo=text)


def enhance(service: Service, **body: Any) -> dict[str, Any]:
    return list(service.enhance(body))[-1]


def test_enhance_gives_picture_recipe_and_scores(service, picture):
    answer = enhance(service, image=picture, options={"evaluations": 60, "scorer": "vivid", "margin": 0})
    assert answer["changed"] and answer["score_after"] > answer["score_before"]
    again = service.apply({"image": picture, "recipe": answer["infotext"]})
    assert np.array_equal(np.array(from_text(again["image"])), np.array(from_text(answer["image"])))
    text = from_text(answer["image"]).text
    assert text["parameters"] == "a mountain"
    assert f"NUl recipe: {answer['infotext']}" in text["postprocessing"] and "seconds" not in text["postprocessing"]


def test_hard_mode_tells_of_other_results_and_shows_them_where_asked(service, picture):
    options = {"evaluations": 200, "scorer": "vivid", "mode": "hard", "margin": 0}
    told = enhance(service, image=picture, options=options)
    shown = enhance(service, image=picture, options=options, others=True)
    assert told["others"] and not any("image" in other for other in told["others"])
    for plain, other in zip(told["others"], shown["others"], strict=True):
        image = other.pop("image")
        assert other == plain and other["score"] > told["score_before"]
        again = service.apply({"image": picture, "recipe": other["infotext"]})
        assert np.array_equal(np.array(from_text(again["image"])), np.array(from_text(image)))
        assert f"NUl recipe: {other['infotext']}" in from_text(image).text["postprocessing"]
        assert f"NUl score: {other['score']:.3f}" in from_text(image).text["postprocessing"]


def test_data_uris_are_read(service, picture):
    answer = service.apply({"image": f"data:image/png;base64,{picture}", "recipe": {"nuli": 1, "steps": []}})
    assert np.array_equal(np.array(from_text(answer["image"])), np.array(from_text(picture)))


def test_score(service, picture):
    answer = service.score({"images": [picture, picture], "options": {"scorer": "vivid"}})
    assert answer["scorer"] == "vivid" and answer["scores"][0] == answer["scores"][1]


def test_apply_takes_strength(service, picture):
    assert service.apply({"image": picture, "recipe": "nuli1 contrast=1.2", "strength": 0.5})["infotext"].endswith(
        "1.1"
    )


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, RequestError),
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
def test_refused(service, picture, body, kind):
    body = {key: picture if value == "PICTURE" else value for key, value in body.items()}
    with pytest.raises(kind) as caught:
        service.enhance(body)  # before the first event is asked for
    assert isinstance(caught.value, NuliError)


def test_bad_recipes_are_refused(service, picture):
    with pytest.raises(RecipeError):
        service.apply({"image": picture, "recipe": "nuli1 nonsense=1"})
    with pytest.raises(RequestError):
        service.apply({"image": picture})


def test_bombs_are_refused_before_they_are_unpacked(service, monkeypatch):
    bomb = to_text(Image.new("1", (12_000, 9_000)))
    assert len(bomb) < 30_000
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("unpacked"))
    with pytest.raises(RequestError) as caught:
        service.enhance({"image": bomb})
    assert caught.value.status == 413
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)  # Pillow's own limit counts as ours
    with pytest.raises(RequestError) as caught:
        pictures.decode(bomb, 500)
    assert caught.value.status == 413


def test_searches_end_within_the_servers_limit(service):
    assert service._options({}).seconds == 1.5
    assert service._options({"evaluations": 50}).seconds == 5
    assert service._options({"seconds": 2}).seconds == 2


def test_schema_has_every_option_but_the_device(service):
    properties = service.schema()["properties"]
    assert set(properties) == {row.name for row in table()} - {"device"}
    assert properties["seconds"]["type"] == ["number", "null"] and properties["mode"]["enum"] == ["soft", "hard"]


def test_version_says_what_is_missing(service):
    scorers = {row["name"]: row for row in service.version()["scorers"]}
    assert scorers["vivid"]["ready"] and scorers["vivid"]["missing"] == []


def test_a_body_is_an_object():
    with pytest.raises(RequestError):
        body_object([1])


def wait(jobs: Jobs, name: str, until: Any, preview: bool = False) -> Any:
    for _ in range(400):
        job = jobs.get(name, preview)
        if until(job):
            return job
        time.sleep(0.02)
    pytest.fail(f"the job is {job.state}: {job.error}")


def test_a_job_runs_shows_itself_and_ends(service, picture):
    jobs = Jobs(pytest.fail)
    body = {"image": picture, "options": {"evaluations": 60, "scorer": "vivid"}}
    name = jobs.start(lambda stop: service.enhance(body, stop)).id
    done = wait(jobs, name, lambda job: job.over)
    assert done.state == "done" and done.result["image"] and done.to_dict()["evaluations"] > 0


def test_a_stopped_job_gives_what_it_has(service, picture):
    jobs = Jobs(pytest.fail)
    body = {"image": picture, "options": {"seconds": 5, "scorer": "vivid", "mode": "hard", "margin": 0}}
    name = jobs.start(lambda stop: service.enhance(body, stop)).id
    wait(jobs, name, lambda job: job.preview, preview=True)
    jobs.stop(name)
    assert wait(jobs, name, lambda job: job.over).result["image"]
    assert jobs.get(name).state == "stopped"


def test_failures_are_told_and_the_queue_is_let_go():
    told: list[str] = []
    closed: list[bool] = []

    def steps():
        try:
            yield from ()
            raise ZeroDivisionError("oh")
        finally:
            closed.append(True)

    jobs = Jobs(told.append)
    job = wait(jobs, jobs.start(lambda stop: steps()).id, lambda job: job.over)
    assert job.state == "failed" and "oh" in job.error and told and closed


def test_full_and_unknown():
    jobs = Jobs(print)
    gate = []

    def waiting():
        while not gate:
            time.sleep(0.01)
        yield {}

    for _ in range(MOST_WAITING):
        jobs.start(lambda stop: waiting())
    with pytest.raises(RequestError) as caught:
        jobs.start(lambda stop: waiting())
    assert caught.value.status == 429
    gate.append(True)
    with pytest.raises(RequestError) as caught:
        jobs.get("none such")
    assert caught.value.status == 404


def test_routes(service, picture):
    """The same through HTTP, where FastAPI is installed."""
    pytest.importorskip("fastapi", reason="FastAPI comes with a WebUI")
    pytest.importorskip("httpx", reason="FastAPI's test client needs it")
    from fastapi import FastAPI
    from fastapi.testclient import TestClient

    from nuli.webui.api import add_routes

    app = FastAPI()
    add_routes(app, service, pytest.fail)
    client = TestClient(app)
    assert client.get("/nuli/v1/version").status_code == 200
    assert client.post("/nuli/v1/enhance", content=b"{").json() == {"error": "the request is not JSON"}
    answer = client.post("/nuli/v1/apply", json={"image": picture, "recipe": "nuli1 contrast=1.2"})
    assert answer.status_code == 200 and answer.json()["steps"] == ["contrast +20 %"]
    assert client.post("/nuli/v1/enhance", content=b"0" * 13_000_000).status_code == 413
    assert client.get("/nuli/v1/jobs/none").status_code == 404


def test_the_api_imports_nothing_of_a_webui():
    root = Path(pictures.__file__).parent
    for name in ("api", "apijobs", "pictures", "service"):
        assert "from modules" not in (root / f"{name}.py").read_text(encoding="utf-8")
