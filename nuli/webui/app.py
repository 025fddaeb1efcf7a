"""What is done once the host's server runs: the HTTP API is added to it, and its Reload UI made to work."""

from __future__ import annotations

from contextlib import suppress
from inspect import iscoroutinefunction
from secrets import compare_digest
from typing import Any

from modules import shared

from . import engine
from .compat import report
from .host import worker


def add(blocks: Any, app: Any) -> None:
    """Callback on_app_started, also after each reload of the pages; `blocks` is None under --nowebui."""
    _close_left_events(blocks)
    engine.end_jobs()  # those of the pages before: nobody can see their results, and the host waits for its lock
    options = shared.cmd_opts
    # Whoever did not ask for an API has none: the password of the pages doesn't guard routes.
    if not (getattr(options, "api", False) or getattr(options, "nowebui", False)):
        return
    try:
        from .api import add_routes

        add_routes(app, worker(), _password(_known()))
    except Exception:
        report("NUl Enhance could not add its API")


def _known() -> dict[str, str]:
    """Passwords by name of those who may use the host's API; none where everybody may."""
    pairs = getattr(shared.cmd_opts, "api_auth", None) or ""
    known = dict(pair.split(":", 1) for pair in pairs.split(",") if pair)
    # SD.Next's, out of --auth and --auth-file, which is for its pages and its API
    return known | getattr(getattr(shared, "api", None), "credentials", {})


def _password(known: dict[str, str]) -> list[Any]:
    """The dependency that asks for a name and its password, as the host's own routes do."""
    if not known:
        return []
    from fastapi import Depends, HTTPException
    from fastapi.security import HTTPBasic, HTTPBasicCredentials

    sent = Depends(HTTPBasic())

    async def check(credentials: Any = sent) -> bool:  # not in the pool of threads, which may be full
        given: HTTPBasicCredentials = credentials
        expected = known.get(given.username)
        if expected is not None and compare_digest(given.password.encode(), expected.encode()):
            return True
        raise HTTPException(401, "Incorrect username or password", {"WWW-Authenticate": "Basic"})

    return [Depends(check)]


def _close_left_events(blocks: Any) -> None:
    """Let Reload UI end where somebody left or reloaded a page while a search was running.

    Gradio 3 forgets an event whose page is gone without closing its websocket. The websocket's route waits for just
    that, and the server's shutdown waits for the route, for ever.
    """
    queue = getattr(blocks, "_queue", None)
    send, process = getattr(queue, "send_message", None), getattr(queue, "process_events", None)
    if not (iscoroutinefunction(send) and iscoroutinefunction(process)):
        return  # no pages, or a gradio without websockets (4 and newer)
    from starlette.websockets import WebSocketDisconnect, WebSocketState

    async def close(event: Any) -> None:
        if event.websocket.application_state is not WebSocketState.DISCONNECTED:
            # The route hears of it before the page does, which may be gone: the kind of error depends on the server.
            with suppress(RuntimeError, OSError, WebSocketDisconnect):
                await event.disconnect()

    async def send_message(event: Any, *args: Any, **kwargs: Any) -> bool:
        alive = await send(event, *args, **kwargs)
        if not alive:
            await close(event)
        return alive

    async def process_events(events: list[Any], *args: Any, **kwargs: Any) -> None:
        try:
            await process(events, *args, **kwargs)
        finally:
            for event in events:
                await close(event)

    queue.send_message, queue.process_events = send_message, process_events
