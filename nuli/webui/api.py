"""The HTTP API: routes under /nuli/v1/ of a FastAPI application.

Whatever takes time is a Task of the worker, in a thread of its own. What is done on the event loop, and what other
programs keep the server's pool of threads busy with, leaves the rest of the API answering at once.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Future
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.requests import ClientDisconnect

from ..errors import BusyError, NuliError, StoppedError
from ..hosting import Task, Worker
from . import service
from .jobs import Jobs, Outcome
from .pictures import RequestError, max_request_bytes, to_json, too_large

PREFIX = "/nuli/v1"
RETRY_AFTER = 5
"""Seconds that a client is asked to wait where there is too much work."""
READ_SECONDS = 60.0
"""For a request to arrive in: as long as it does, it takes a place that others wait for."""
MAX_VALUES = 100_000
"""The values in a request, about: each takes many times the memory that it takes in JSON."""
MAX_TOGETHER = 2
"""The bytes of all the requests that are read or worked on, in requests of the greatest length."""
CLIENT_GONE = 499
"""The status of an answer that nobody will read, as nginx has it."""
Work = Callable[[dict[str, Any], Task], dict[str, Any]]


def add_routes(app: FastAPI, worker: Worker, dependencies: Sequence[Any] = ()) -> None:
    """Add the routes.

    Args:
        dependencies: FastAPI's `Depends(...)` that every route has, such as the host's password.
    """
    host, jobs, total = worker.host, Jobs(), Counter[str]()

    async def begin(request: Request, work: Work) -> Task:
        """A task that does work(body, task), whose outcome is an Outcome. All that can be known before the request is
        read is checked before. Raises RequestError and BusyError."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":  # a page of another site may send all other kinds unasked
            raise RequestError("the request must have the Content-Type application/json", 415)
        task = worker.admit(request.client.host if request.client else "")
        held, loop = _Held(total), asyncio.get_running_loop()
        try:
            data = await _read(request, host.limits().megapixels, held)
            task.start(lambda task: _outcome(data, work, task))
        except BaseException:
            task.abandon()
            held.let_go()
            raise
        task.outcome.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(held.let_go))
        return task

    def post(work: Work) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                task = await begin(request, work)
                if (outcome := await _unless_gone(request, task, task.outcome)) is None:
                    return Response(status_code=CLIENT_GONE)
            except Exception as error:
                return _refused(error)
            return _respond(outcome.pieces, outcome.status)

        return endpoint

    async def start_job(request: Request) -> Response:
        try:
            task = await begin(request, service.enhance)
            accepted = await _unless_gone(request, task, task.accepted)
            if accepted is None:
                return Response(status_code=CLIENT_GONE)  # nobody knows the job's name
            if not accepted:
                outcome: Outcome = task.outcome.result()
                return _respond(outcome.pieces, outcome.status)
        except Exception as error:
            return _refused(error)
        return _respond(jobs.describe(jobs.add(task)), 202)

    def _refused(error: Exception) -> Response:
        if isinstance(error, BusyError):
            return JSONResponse({"error": str(error)}, 429, {"Retry-After": str(RETRY_AFTER)})
        status, text = service.refusal(error, host.report)
        return JSONResponse({"error": text}, status)

    def _outcome(data: bytearray, work: Work, task: Task) -> Outcome:
        try:
            return Outcome(200, to_json(work(_object(data), task)))
        except StoppedError:
            raise  # a task that was stopped says so itself
        except Exception as error:
            status, text = service.refusal(error, host.report)
            return Outcome(status, to_json({"error": text}), text)

    async def version() -> Response:
        return JSONResponse(service.version(host))

    async def options() -> Response:
        return JSONResponse(service.schema())

    async def presets() -> Response:
        try:
            return JSONResponse(service.presets())
        except NuliError as error:
            return _refused(error)

    async def get_job(name: str, preview: bool = False) -> Response:
        try:
            return _respond(jobs.describe(jobs.get(name, preview)))
        except RequestError as error:
            return _refused(error)

    async def stop_job(name: str) -> Response:
        try:
            job = jobs.get(name)
        except RequestError as error:
            return _refused(error)
        job.task.end()
        return _respond(jobs.describe(job))

    takes = {name: _takes(schema) for name, schema in service.bodies().items()}
    for path, endpoint, method, more in (
        ("/version", version, "GET", None),
        ("/options", options, "GET", None),
        ("/presets", presets, "GET", None),
        ("/enhance", post(service.enhance), "POST", takes["enhance"]),
        ("/score", post(service.score), "POST", takes["score"]),
        ("/apply", post(service.apply), "POST", takes["apply"]),
        ("/jobs", start_job, "POST", takes["enhance"]),
        ("/jobs/{name}", get_job, "GET", None),
        ("/jobs/{name}", stop_job, "DELETE", None),
    ):
        app.add_api_route(
            PREFIX + path,
            endpoint,
            methods=[method],
            dependencies=list(dependencies),
            response_model=None,
            openapi_extra=more,
        )


def _takes(schema: dict[str, Any]) -> dict[str, Any]:
    """What the application's own description says of a route that takes JSON."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


async def _unless_gone(request: Request, task: Task, future: Future[Any]) -> Any:
    """What a task's future will hold; None where the client hangs up before, whose task is dropped then."""
    wanted = asyncio.wrap_future(future)
    # not `request.is_disconnected`, which never says so behind another program's middleware (Starlette before 0.28)
    gone = asyncio.ensure_future(_gone(request))
    try:
        await asyncio.wait({wanted, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not future.done() and gone.exception():  # another program's middleware can't say
            await asyncio.wait({wanted})
        return future.result() if future.done() else None
    finally:
        if not future.done():  # gone, or the server ends
            task.drop()
            wanted.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody else looks at it
        gone.cancel()


async def _gone(request: Request) -> None:
    """Wait for the client to hang up. The request has been read: nothing else comes from it."""
    while (await request.receive())["type"] != "http.disconnect":
        await asyncio.sleep(0.5)  # a middleware that hands the request out again and again


class _Held:
    """The bytes of one request, among those of all that are read or worked on."""

    def __init__(self, total: Counter[str]) -> None:
        self._total, self._mine = total, 0

    def check(self, more: int, most: int) -> None:
        """Raise BusyError where all requests with so many bytes more would hold more than `most`."""
        if self._total["bytes"] + more > most:
            raise BusyError("too many large requests are worked on already: try again in a few seconds")

    def add(self, count: int) -> None:
        self._mine += count
        self._total["bytes"] += count

    def let_go(self) -> None:
        self.add(-self._mine)


async def _read(request: Request, megapixels: float, held: _Held) -> bytearray:
    """The request, no further than a picture of the allowed size can be long, and only where there is room for it
    beside the others; of one that tells its length nothing is read else. Raises RequestError and BusyError."""
    data, longest = bytearray(), max_request_bytes(megapixels)

    def check(more: int) -> None:
        if len(data) + more > longest:
            raise too_large(megapixels)
        held.check(more, MAX_TOGETHER * longest)

    length = request.headers.get("content-length", "")
    check(int(length[:20]) if length.isdecimal() else 0)

    async def read() -> None:
        # counted as they come: who says that much will come, and sends little, takes nobody's room
        async for chunk in request.stream():
            check(len(chunk))
            held.add(len(chunk))
            data.extend(chunk)

    try:
        await asyncio.wait_for(read(), READ_SECONDS)
    except asyncio.TimeoutError:
        raise RequestError(f"the request took longer than {READ_SECONDS:g} seconds to arrive", 408) from None
    except ClientDisconnect:
        raise RequestError("the connection ended before the request did") from None
    return data


def _object(data: bytearray) -> dict[str, Any]:
    """The request's JSON object; what it was read from is let go. Raises RequestError."""
    if data.count(b",") > MAX_VALUES:
        raise RequestError("the request holds too many values", 413)
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise RequestError("the request is not JSON") from None
    data.clear()
    return service.body_object(body)


def _respond(pieces: Sequence[bytes], status: int = 200) -> Response:
    """JSON in pieces, sent one by one: none of them keeps the server busy for long."""

    async def each() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    length = {"Content-Length": str(sum(map(len, pieces)))}
    return StreamingResponse(each(), status, length, "application/json")
