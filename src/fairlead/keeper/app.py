"""The control plane, on its own port and behind its own credential."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.responses import Response

from fairlead.call import Secret
from fairlead.ports import LogStore
from fairlead.telemetry.exposition import CONTENT_TYPE, Exposition


def create_app(logs: LogStore, exposition: Exposition, admin_key: Secret, metrics_token: str | None) -> FastAPI:
    """The admin API.

    Args:
        metrics_token: opens `/metrics` and nothing else; the admin key opens it too.
    """
    app = FastAPI(title="Fairlead control plane", docs_url=None, redoc_url=None)
    admin = _bearer(admin_key.reveal())
    metrics = _bearer(*(each for each in (admin_key.reveal(), metrics_token) if each))

    @app.get("/health/live")
    async def live() -> dict[str, str]:
        """Whether the process runs."""
        return {"status": "live"}

    @app.get("/metrics", dependencies=[Depends(metrics)], response_class=Response)
    async def scrape() -> Response:
        """All metrics in Prometheus' text format."""
        return Response(await exposition.render(), media_type=CONTENT_TYPE)

    @app.get("/api/usage", dependencies=[Depends(admin)])
    async def usage(by: str = "model", since_ns: int | None = None) -> list[dict[str, object]]:
        """Totals by `model`, `key`, `user`, `team`, `provider`, `alias`, `day` or `outcome`."""
        rows = await logs.usage(by, since_ns)
        return [{name: getattr(row, name) for name in row.__struct_fields__} for row in rows]

    return app


def _bearer(*accepted: str) -> Callable[..., Awaitable[None]]:
    wanted = [each.encode() for each in accepted]

    async def check(authorization: Annotated[str, Header()] = "") -> None:
        given = authorization.removeprefix("Bearer ").encode()
        same = [hmac.compare_digest(given, each) for each in wanted]  # all of them, so that the time tells nothing
        if not any(same):
            raise HTTPException(401, "send the admin key as `Authorization: Bearer KEY`")

    return check
