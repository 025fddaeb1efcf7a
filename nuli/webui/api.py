"""The HTTP API: routes under /nuli/v1/ of a FastAPI application.

Whatever takes time is a Task of the worker, in a thread of its own. What is done on the event loop, and what other
programs keep the server's pool of threads busy with, leaves the rest of the API answering at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
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
Work = Callable[[dict[str, Any], Task], dict[str, Any]]


def add_routes(app: FastAPI, worker: Worker, dependencies: Sequence[Any] = ()) -> None:
    """Add the routes.

    Args:
        dependencies: FastAPI's `Depends(...)` that every route has, such as the host's password.
    """
    host, jobs = worker.host, Jobs()

    async def begin(request: Request, work: Work) -> Task:
        """A task that does work(body, task), whose outcome is an Outcome. Raises RequestError and BusyError."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":  # a page of another site may send all other kinds unasked
            raise RequestError("the request must have the Content-Type application/json", 415)
        task = worker.admit(request.client.host if request.client else "")
        try:
            data = await _read(request, host.limits().megapixels)
        except BaseException:
            task.abandon()
            raise
        task.start(lambda task: _outcome(data, work, task))
        return task

    def post(work: Work) -> Callable[[Request], Any]:
        async def endpoint(request: Request) -> Response:
            try:
                task = await begin(request, work)
                outcome: Outcome = await asyncio.shield(asyncio.wrap_future(task.outcome))
            except Exception as error:
                return _refused(error)
            return _respond(outcome.pieces, outcome.status)

        return endpoint

    async def start_job(request: Request) -> Response:
        try:
            task = await begin(request, service.enhance)
            if not await asyncio.shield(asyncio.wrap_future(task.accepted)):
                outcome = task.outcome.result()
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


async def _read(request: Request, megapixels: float) -> bytearray:
    """The request, no further than a picture of the allowed size can be long. Raises RequestError."""
    data, limit = bytearray(), max_request_bytes(megapixels)

    async def read() -> None:
        async for chunk in request.stream():
            data.extend(chunk)
            if len(data) > limit:
                raise too_large(megapixels)

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
