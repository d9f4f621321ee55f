"""The control plane, on its own port and behind its own credential."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Depends, FastAPI, Header, Query
from fastapi.exceptions import RequestValidationError
from fastapi.requests import Request
from fastapi.responses import JSONResponse, Response
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fairlead.config.build_keeper import KeeperParts
from fairlead.errors import (
    FairleadError,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    Unauthenticated,
)

UsageGroup = Literal["alias", "day", "key", "model", "outcome", "provider", "team", "user"]
_NO_STORE = {"cache-control": "no-store"}


def create_app(parts: KeeperParts) -> FastAPI:
    """The admin API.

    Every error is JSON, `{"error": {"code", "message"}}`, and nothing may be kept by a cache on the way.
    """
    app = FastAPI(title="Fairlead control plane", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(_NoStore)
    _answer_errors(app)
    key = parts.admin_key.reveal()
    admin = _bearer("the admin key", key)
    metrics = _bearer("the admin key or the metrics token", key, *_revealed(parts))

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """Whether the process runs."""
        return {"status": "live"}

    @app.get("/metrics", dependencies=[Depends(metrics)], response_class=Response)
    async def scrape() -> Response:
        """All metrics in Prometheus' text format."""
        return Response(await parts.scrape(), media_type=parts.scrape_type)

    @app.get("/api/usage", dependencies=[Depends(admin)])
    async def usage(
        by: UsageGroup = "model", since_ns: Annotated[int | None, Query(ge=0, lt=2**63)] = None
    ) -> list[dict[str, object]]:
        """Totals of the calls that are over, dearest group first.

        Args:
            since_ns: only calls admitted since, in nanoseconds since the epoch.
        """
        return [msgspec.structs.asdict(row) for row in await parts.logs.usage(by, since_ns)]

    @app.get("/openapi.json", dependencies=[Depends(admin)], include_in_schema=False)
    async def schema() -> dict[str, Any]:
        """This API in OpenAPI's form."""
        return app.openapi()

    return app


class _NoStore:
    """Marks every answer as not to be kept."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_NO_STORE)
            await send(message)

        await self._app(scope, receive, marked)


def _bearer(wanted: str, *accepted: str) -> Callable[..., Awaitable[None]]:
    secrets = [each.encode() for each in accepted]

    async def check(authorization: Annotated[str, Header()] = "") -> None:
        scheme, _, given = authorization.partition(" ")
        # All of them, so that the time tells nothing.
        same = [hmac.compare_digest(given.strip().encode(), each) for each in secrets]
        if scheme.lower() != "bearer" or not any(same):
            raise Unauthenticated(f"send {wanted} as `Authorization: Bearer KEY`")

    return check


def _revealed(parts: KeeperParts) -> list[str]:
    return [] if parts.metrics_token is None else [parts.metrics_token.reveal()]


def _answer_errors(app: FastAPI) -> None:
    async def ours(_: Request, error: FairleadError) -> Response:
        headers = {"www-authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
        return _problem(error.status, error.code, error.message, headers)

    async def invalid(_: Request, error: RequestValidationError) -> Response:
        found = [f"`{each['loc'][-1]}`: {each['msg']}" for each in error.errors()]
        return _problem(400, InvalidRequest.code, "; ".join(found))

    async def routing(request: Request, error: HTTPException) -> Response:
        kind = {404: NotFound, 405: MethodNotAllowed}.get(error.status_code, InvalidRequest)
        message = f"{request.method} {request.url.path[:200]!r}: {error.detail}"
        return _problem(error.status_code, kind.code, message, error.headers or {})

    async def fault(_: Request, __: Exception) -> Response:
        return _problem(500, InternalError.code, "something went wrong inside Fairlead; its log says what")

    handlers: dict[type[Exception], Any] = {
        FairleadError: ours, RequestValidationError: invalid, HTTPException: routing, Exception: fault,
    }  # fmt: skip
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _problem(status: int, code: str, message: str, headers: Any = None) -> Response:
    body = {"error": {"code": code, "message": message}}
    return JSONResponse(body, status_code=status, headers={**(headers or {}), **_NO_STORE})
