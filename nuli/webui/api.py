"""The HTTP API: routes under /nuli/v1/ of a FastAPI application."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from ..errors import NuliError
from .apijobs import Jobs
from .pictures import RequestError, most_bytes, too_large
from .service import Service, body_object

PREFIX = "/nuli/v1"


def add_routes(
    app: FastAPI, service: Service, report: Callable[[str], None] = print, dependencies: Sequence[Any] = ()
) -> None:
    """Add the routes.

    Args:
        report: is told of failures that nobody expected.
        dependencies: FastAPI's `Depends(...)` that every route has, such as the host's password.
    """
    jobs = Jobs(report)

    async def answer(work: Callable[[], dict[str, Any]], status: int = 200) -> JSONResponse:
        try:
            return JSONResponse(await run_in_threadpool(work), status)
        except RequestError as error:
            return JSONResponse({"error": str(error)}, error.status)
        except NuliError as error:
            return JSONResponse({"error": str(error)}, 400)
        except Exception as error:
            report(f"an API request failed: {type(error).__name__}: {error}")
            return JSONResponse({"error": f"{type(error).__name__}: {error}"}, 500)

    async def answer_body(
        request: Request, work: Callable[[dict[str, Any]], dict[str, Any]], status: int = 200
    ) -> JSONResponse:
        try:
            body = await _body(request, service.limits()[0])
        except RequestError as error:
            return JSONResponse({"error": str(error)}, error.status)
        return await answer(lambda: work(body), status)

    async def version() -> JSONResponse:
        return await answer(service.version)

    async def options() -> JSONResponse:
        return await answer(service.schema)

    async def enhance(request: Request) -> JSONResponse:
        return await answer_body(request, lambda body: list(service.enhance(body))[-1])

    async def score(request: Request) -> JSONResponse:
        return await answer_body(request, service.score)

    async def apply(request: Request) -> JSONResponse:
        return await answer_body(request, service.apply)

    async def start_job(request: Request) -> JSONResponse:
        def start(body: dict[str, Any]) -> dict[str, Any]:
            return jobs.start(lambda stop: service.enhance(body, stop)).to_dict()

        return await answer_body(request, start, 202)

    async def get_job(name: str, preview: bool = False) -> JSONResponse:
        return await answer(lambda: jobs.get(name, preview).to_dict())

    async def stop_job(name: str) -> JSONResponse:
        return await answer(lambda: jobs.stop(name).to_dict())

    for path, endpoint, method in (
        ("/version", version, "GET"),
        ("/options", options, "GET"),
        ("/enhance", enhance, "POST"),
        ("/score", score, "POST"),
        ("/apply", apply, "POST"),
        ("/jobs", start_job, "POST"),
        ("/jobs/{name}", get_job, "GET"),
        ("/jobs/{name}", stop_job, "DELETE"),
    ):
        app.add_api_route(
            PREFIX + path, endpoint, methods=[method], dependencies=list(dependencies), response_model=None
        )


async def _body(request: Request, megapixels: float) -> dict[str, Any]:
    """The request's JSON object, read no further than a picture of the allowed size can be long."""
    limit = most_bytes(megapixels)
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit:
            raise too_large(megapixels)
    try:
        body = json.loads(bytes(data))
    except (ValueError, RecursionError):
        raise RequestError("the request is not JSON") from None
    return body_object(body)
