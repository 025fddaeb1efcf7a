"""Reload UI on gradio 3, whose own queue is at work here: the server ends though a page went away unannounced."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from test_webui_hooks import host  # noqa: F401, a fixture

gr = pytest.importorskip("gradio")
if int(gr.__version__.split(".")[0]) != 3:
    pytest.skip("needs gradio 3: newer ones have no websockets", allow_module_level=True)
websockets = pytest.importorskip("websockets")


class Page:
    """A gradio application with one long search, as the host would serve it, and a browser without a window."""

    def __init__(self, app: Any) -> None:
        self.go_on = threading.Event()

        def search() -> Iterator[str]:
            for number in range(600):
                yield str(number)
                if self.go_on.wait(0.05):
                    return

        with gr.Blocks(analytics_enabled=False) as self.blocks:
            status = gr.HTML()
            gr.Button().click(search, None, status)
        self.blocks.queue()
        self.blocks.launch(prevent_thread_lock=True, quiet=True, show_api=False, server_name="127.0.0.1")
        app.add(self.blocks, self.blocks.app)

    async def watch(self, leave: str) -> None:
        """Start the search and see it going; then go away, or see it end."""
        address = self.blocks.local_url.replace("http", "ws") + "queue/join"
        socket, seen = await websockets.connect(address), 0
        async for text in socket:
            message = json.loads(text)["msg"]
            if message == "send_hash":
                await socket.send(json.dumps({"fn_index": 0, "session_hash": "here"}))
            elif message == "send_data":
                await socket.send(json.dumps({"data": [], "fn_index": 0, "session_hash": "here"}))
            elif message == "process_generating":
                seen += 1
                if seen == 3 and leave == "finished":
                    self.go_on.set()
                elif seen == 3:
                    if leave == "queued":
                        await self._queued(address)
                    socket.transport.abort()
                    break
            elif message == "process_completed":
                assert leave == "finished" and json.loads(text)["success"]
        assert seen >= 3

    async def _queued(self, address: str) -> None:
        """A second search, which has to wait for the first, and whose page goes away while it does."""
        other = await websockets.connect(address)
        async for text in other:
            if json.loads(text)["msg"] == "send_hash":
                await other.send(json.dumps({"fn_index": 0, "session_hash": "there"}))
            elif json.loads(text)["msg"] == "estimation":
                other.transport.abort()
                return


@pytest.mark.parametrize("leave", ["left", "queued", "finished"])
def test_the_server_ends_at_a_reload(host, leave):  # noqa: F811
    page = Page(host.our_app)
    asyncio.run(page.watch(leave))
    time.sleep(2.5 if leave == "queued" else 0.5)
    closing = threading.Thread(target=page.blocks.close, kwargs={"verbose": False}, daemon=True)
    closing.start()  # as webui.py does at Reload UI
    closing.join(12)
    page.go_on.set()
    assert not closing.is_alive()
