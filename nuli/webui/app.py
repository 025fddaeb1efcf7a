"""The HTTP API inside the host: on its queue, behind its password."""

from __future__ import annotations

from secrets import compare_digest
from typing import Any

from modules import errors, shared

from .host import worker


def add(blocks: Any, app: Any) -> None:
    """Callback on_app_started; `blocks` is None under --nowebui."""
    options = shared.cmd_opts
    # Whoever did not ask for an API has none: the password of the pages doesn't guard routes.
    if not (getattr(options, "api", False) or getattr(options, "nowebui", False)):
        return
    try:
        from .api import add_routes

        add_routes(app, worker(), _password(getattr(options, "api_auth", None)))
    except Exception:
        errors.report("NUl Enhance could not add its API", exc_info=True)


def _password(api_auth: str | None) -> list[Any]:
    """The dependency that asks for --api-auth's name and password, as the host's own routes do."""
    if not api_auth:
        return []
    from fastapi import Depends, HTTPException
    from fastapi.security import HTTPBasic, HTTPBasicCredentials

    known = dict(pair.split(":", 1) for pair in api_auth.split(","))
    sent = Depends(HTTPBasic())

    async def check(credentials: Any = sent) -> bool:  # not in the pool of threads, which may be full
        given: HTTPBasicCredentials = credentials
        expected = known.get(given.username)
        if expected is not None and compare_digest(given.password.encode(), expected.encode()):
            return True
        raise HTTPException(401, "Incorrect username or password", {"WWW-Authenticate": "Basic"})

    return [Depends(check)]
