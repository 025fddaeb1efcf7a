"""The node pack in a real ComfyUI, driven through its API: NULI_COMFYUI=<checkout>, in that checkout's own Python."""

from __future__ import annotations

import json
import os
import random
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nuli.comfy.specs import ENHANCE, NODES, TOGETHER, VARIATIONS

ROOT = Path(__file__).resolve().parents[1]
CHECKOUT = os.environ.get("NULI_COMFYUI", "")
pytestmark = pytest.mark.skipif(not CHECKOUT, reason="NULI_COMFYUI names no checkout of ComfyUI")
PROBE = '''
class Sick:
    """A scorer that fails, as a package may bring one."""
    name, licence, input_size, view_mode, score_range, differentiable = "sick", "", 64, "whole", (0.0, 1.0), False
    @classmethod
    def load(cls, options, device, folders):
        return cls()
    def bind(self, original):
        raise RuntimeError("the scorer is sick")

class Point:
    name, dist = "sick", None
    def load(self):
        return Sick

import nuli.plugins
nuli.plugins._found = lambda group: (Point(),) if group == "nuli.scorers" else ()
nuli.plugins.source = lambda point: "the test"
from aiohttp import web
from comfy.cli_args import LatentPreviewMethod, args
from server import PromptServer

@PromptServer.instance.routes.post("/probe/previews/{method}")
async def set_previews(request):
    """As ComfyUI-Manager does it."""
    args.preview_method = LatentPreviewMethod(request.match_info["method"])
    return web.Response()

NODE_CLASS_MAPPINGS = {}
'''


@dataclass
class Server:
    """A ComfyUI that runs."""

    url: str
    base: Path
    log: Path

    def ask(self, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                text = answer.read()
                return json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            return json.loads(error.read())

    def start(self, graph: dict[str, Any]) -> str:
        return self.ask("/prompt", {"prompt": graph, "client_id": "test"})["prompt_id"]

    def wait(self, prompt: str) -> dict[str, Any]:
        for _ in range(2400):
            if done := self.ask(f"/history/{prompt}"):
                return done[prompt]
            time.sleep(0.05)
        raise AssertionError("it does not end")

    def run(self, graph: dict[str, Any]) -> dict[str, Any]:
        """The outputs by their nodes' ids."""
        done = self.wait(self.start(graph))
        assert done["status"]["status_str"] == "success", done["status"]
        return done["outputs"]

    def pictures(self, output: dict[str, Any]) -> list[np.ndarray]:
        return [np.array(Image.open(self.base / "output" / one["filename"])) for one in output["images"]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, photo_path: Path) -> Iterator[Server]:
    base = tmp_path_factory.mktemp("comfyui")
    (base / "custom_nodes").mkdir()
    (base / "custom_nodes" / "nulie").symlink_to(ROOT)
    (base / "custom_nodes" / "zz_probe.py").write_text(PROBE)
    (base / "input").mkdir()
    with Image.open(photo_path) as image:
        image = image.convert("RGB").resize((480, 320))
        for i in range(4):
            image.point([int(v * (0.5 + 0.1 * i)) + 20 for v in range(256)] * 3).save(base / "input" / f"{i}.png")
        Image.linear_gradient("L").resize((480, 320)).point(lambda v: 255 * (v > 128)).save(base / "input" / "mask.png")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = base / "log.txt"
    command = [sys.executable, "main.py", "--cpu", "--port", str(port), "--base-directory", str(base)]
    with log.open("w") as file:
        process = subprocess.Popen([*command, "--disable-auto-launch"], cwd=CHECKOUT, stdout=file, stderr=file)
    found = Server(f"http://127.0.0.1:{port}", base, log)
    try:
        for _ in range(120):
            try:
                found.ask("/system_stats")
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.5)
        yield found
    finally:
        process.terminate()
        process.wait(20)


def node(kind: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": kind, "inputs": inputs}


def ours(spec: Any, **inputs: Any) -> dict[str, Any]:
    """One of our nodes with its widgets' defaults."""
    return node(spec.id, **{widget.name: widget.default for widget in spec.widgets} | inputs)


def batch_of_four() -> dict[str, Any]:
    graph = {f"load{i}": node("LoadImage", image=f"{i}.png") for i in range(4)}
    graph["two"] = node("ImageBatch", image1=["load0", 0], image2=["load1", 0])
    graph["three"] = node("ImageBatch", image1=["two", 0], image2=["load2", 0])
    return {**graph, "four": node("ImageBatch", image1=["three", 0], image2=["load3", 0])}


def saved(link: list[Any]) -> dict[str, Any]:
    return node("SaveImage", images=link, filename_prefix="made")


def test_it_loads_quickly_and_warns_of_nothing(server: Server) -> None:
    log = server.log.read_text()
    [seconds] = re.findall(r"^ *([\d.]+) seconds: .*nulie$", log, re.MULTILINE)
    assert float(seconds) <= 0.1
    assert not [line for line in log.splitlines() if "nul" in line.lower() and "seconds" not in line]
    known = server.ask("/object_info")
    for spec in NODES:
        info = known[spec.id]
        assert info["display_name"] == spec.title and info["output_name"] == [one.name for one in spec.outputs]
        assert list(info["input"]["required"]) == [one.name for one in (*spec.inputs, *spec.widgets)]


def test_a_batch_and_its_replay(server: Server) -> None:
    graph = batch_of_four() | {
        "enhance": ours(ENHANCE, image=["four", 0]),
        "made": saved(["enhance", 0]),
        "text": node("PreviewAny", source=["enhance", 1]),
    }
    outputs = server.run(graph)
    made = server.pictures(outputs["made"])
    assert len(made) == 4 and len(json.loads(outputs["text"]["text"][0])) == 4
    # what the PNG holds makes the same pixels again, and so does the recipe
    first = Image.open(server.base / "output" / outputs["made"]["images"][0]["filename"])
    again = json.loads(first.info["prompt"])
    again["enhance"]["inputs"]["seconds"] = 999.0  # not what ComfyUI keeps
    assert all(map(np.array_equal, server.pictures(server.run(again)["made"]), made))
    apply = node("NUlApplyRecipe", image=["four", 0], recipe=outputs["text"]["text"][0], strength=1.0)
    replay = server.run(batch_of_four() | {"apply": apply, "made": saved(["apply", 0])})
    assert all(map(np.array_equal, server.pictures(replay["made"]), made))
    together = ours(ENHANCE, image=["four", 0], batch=TOGETHER, seed=2)
    assert len(server.run(batch_of_four() | {"all": together, "made": saved(["all", 0])})["made"]["images"]) == 4


def test_a_mask(server: Server) -> None:
    graph = {
        "load": node("LoadImage", image="0.png"),
        "mask": node("LoadImageMask", image="mask.png", channel="red"),
        "enhance": ours(ENHANCE, image=["load", 0], mask=["mask", 0]),
        "made": saved(["enhance", 0]),
    }
    [made] = server.pictures(server.run(graph)["made"])
    before = np.array(Image.open(server.base / "input" / "0.png"))
    outside = np.array(Image.open(server.base / "input" / "mask.png")) == 0
    assert np.array_equal(made[outside], before[outside]) and not np.array_equal(made, before)


def test_score_and_variations(server: Server) -> None:
    graph = batch_of_four() | {
        "score": node("NUlScore", image=["four", 0], keep=2, scorer="vivid"),
        "best": saved(["score", 0]),
        "report": node("PreviewAny", source=["score", 2]),
        "vary": ours(VARIATIONS, image=["load3", 0], count=3, evaluations=150),
        "varied": saved(["vary", 0]),
    }
    outputs = server.run(graph)
    assert len(outputs["best"]["images"]) == 2 and "picture" in outputs["report"]["text"][0]
    assert 1 < len(outputs["varied"]["images"]) <= 3


def test_an_interrupt_stops_it_soon(server: Server) -> None:
    graph = batch_of_four() | {
        "vary": ours(VARIATIONS, image=["four", 0], evaluations=100_000, seconds=600.0, seed=3),
        "made": saved(["vary", 0]),
    }
    prompt = server.start(graph)
    time.sleep(3)
    assert server.ask("/queue")["queue_running"]
    asked = time.monotonic()
    server.ask("/interrupt", {})
    done = server.wait(prompt)
    assert time.monotonic() - asked < 2
    assert "execution_interrupted" in [kind for kind, _ in done["status"]["messages"]]


def test_a_failing_scorer_is_told_and_the_queue_goes_on(server: Server) -> None:
    load = node("LoadImage", image="1.png")
    sick = ours(ENHANCE, image=["load", 0], scorer="sick")
    failing = server.start({"load": load, "sick": sick, "made": saved(["sick", 0])})
    well = ours(ENHANCE, image=["load", 0], seed=9)
    following = server.start({"load": load, "well": well, "made": saved(["well", 0])})
    [error] = [what for kind, what in server.wait(failing)["status"]["messages"] if kind == "execution_error"]
    assert error["node_type"] == "NUlEnhance" and "sick" in error["exception_message"]
    assert server.wait(following)["status"]["status_str"] == "success"


def typed(**inputs: Any) -> dict[str, Any]:
    enhance = ours(ENHANCE, image=["load", 0], **inputs)
    return {"load": node("LoadImage", image="1.png"), "enhance": enhance, "made": saved(["enhance", 0])}


def test_what_is_typed_wrong_in_more_is_told_once_and_marks_it_alone(server: Server) -> None:
    for more, named in [("lihgt=1", "lihgt"), ("lock=lihgt", "lihgt"), ("light", "name=value"), ("light=9", "from 0")]:
        [error] = server.ask("/prompt", {"prompt": typed(more=more)})["node_errors"]["enhance"]["errors"]
        assert error["extra_info"]["input_name"] == "more" and named in error["details"]


@pytest.mark.parametrize(
    ("inputs", "named"),
    [({"ops": "lihgt"}, "lihgt"), ({"guards": "default"}, "guards"), ({"ops": "light", "more": "lock=light"}, "ops")],
)
def test_other_options_are_told_once_before_a_picture_is_made(
    server: Server, inputs: dict[str, Any], named: str
) -> None:
    messages = server.wait(server.start(typed(**inputs)))["status"]["messages"]
    [error] = [what for kind, what in messages if kind == "execution_error"]
    assert error["node_id"] == "enhance" and named in error["exception_message"] and not error["executed"]


def test_what_only_hard_mode_has_may_be_typed(server: Server) -> None:
    assert server.run(typed(mode="hard", ops="posterize"))["made"]["images"]
    messages = server.wait(server.start(typed(mode="soft", ops="posterize")))["status"]["messages"]
    assert "leaves nothing" in str(messages)


def test_the_report_is_ui_output_that_the_page_can_show(server: Server) -> None:
    graph = batch_of_four() | {
        "enhance": ours(ENHANCE, image=["four", 0], seed=5),
        "score": node("NUlScore", image=["enhance", 0], keep=0, scorer="vivid"),
        "made": saved(["score", 0]),
    }
    outputs = server.run(graph)
    assert len(outputs["enhance"]["text"][0].splitlines()) == len(outputs["score"]["text"][0].splitlines()) == 4
    assert "/extensions/nulie/report.js" in server.ask("/extensions")
    with urllib.request.urlopen(server.url + "/extensions/nulie/report.js", timeout=60) as answer:
        assert b"registerExtension" in answer.read()


@pytest.mark.parametrize("method", ["none", "auto"])
def test_previews_come_where_the_host_wants_them(server: Server, method: str) -> None:
    import asyncio

    import aiohttp

    async def previews() -> int:
        found = 0
        body = {"prompt": typed(seed=random.randrange(2**30)), "client_id": "previews"}
        async with aiohttp.ClientSession(server.url) as session, session.ws_connect("/ws?clientId=previews") as socket:
            await session.post(f"/probe/previews/{method}", raise_for_status=True)
            prompt = (await (await session.post("/prompt", json=body)).json())["prompt_id"]
            async for message in socket:
                if message.type == aiohttp.WSMsgType.BINARY:
                    found += 1
                else:
                    told = message.json()
                    if told["type"] == "execution_success" and told["data"]["prompt_id"] == prompt:
                        return found
        raise AssertionError("it does not end")

    assert (asyncio.run(asyncio.wait_for(previews(), 60)) > 0) == (method != "none")
