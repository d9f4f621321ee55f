"""The control plane's answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args
from urllib.parse import urlsplit

import pytest

from fairlead.config.build_keeper import KeeperParts, build_keeper
from fairlead.config.load import load_text
from fairlead.errors import StateUnavailable
from fairlead.keeper.app import UsageGroup, create_app

ENVIRON = {"FAIRLEAD_ADMIN_KEY": "a" * 32, "FAIRLEAD_METRICS_TOKEN": "m" * 32}
ADMIN, METRICS = (f"Bearer {value}" for value in ENVIRON.values())


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@pytest.fixture
def built(tmp_path: Path) -> KeeperParts:
    """A keeper's real parts on an empty store, made outside of the loop."""
    return build_keeper(load_text(""), tmp_path, ENVIRON)


@pytest.fixture
async def parts(built: KeeperParts) -> AsyncIterator[KeeperParts]:
    """The same, closed at the end."""
    yield built
    await built.aclose()


async def ask(parts: KeeperParts, target: str, authorization: str | None = ADMIN, method: str = "GET") -> Answer:
    """One request to the control plane, as an ASGI server hands it over."""
    url = urlsplit(target)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": url.path, "raw_path": url.path.encode(), "query_string": url.query.encode(), "root_path": "",
        "headers": [] if authorization is None else [(b"authorization", authorization.encode())],
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2),
    }  # fmt: skip
    served = asyncio.ensure_future(create_app(parts)(scope, receive, send))
    await asyncio.gather(served, return_exceptions=True)
    head = sent[0]
    headers = {name.decode(): value.decode() for name, value in head["headers"]}
    return Answer(head["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.mark.parametrize("path", ["/openapi.json", "/api/usage", "/metrics"])
@pytest.mark.parametrize("authorization", [None, "Bearer wrong", "a" * 32, f"Basic {'a' * 32}"])
async def test_all_but_liveness_needs_a_credential(parts: KeeperParts, path: str, authorization: str | None) -> None:
    """The schema too, and only as a bearer."""
    answer = await ask(parts, path, authorization)
    assert (answer.status, answer.json["error"]["code"]) == (401, "invalid_api_key")
    assert answer.headers["www-authenticate"] == "Bearer"


@pytest.mark.parametrize("path", ["/openapi.json", "/api/usage", "/metrics", "/health/live"])
async def test_the_admin_key_opens_everything(parts: KeeperParts, path: str) -> None:
    """One key for the operator."""
    assert (await ask(parts, path)).status == 200


@pytest.mark.parametrize(("path", "status"), [("/metrics", 200), ("/api/usage", 401), ("/openapi.json", 401)])
async def test_the_metrics_token_opens_metrics_only(parts: KeeperParts, path: str, status: int) -> None:
    """A scraper can do nothing else."""
    assert (await ask(parts, path, METRICS)).status == status


@pytest.mark.parametrize("target", ["/health/live", "/api/usage", "/metrics", "/nowhere", "/api/usage?by=x"])
async def test_no_answer_may_be_kept_by_a_cache(parts: KeeperParts, target: str) -> None:
    """Errors neither."""
    assert (await ask(parts, target)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("by=x", "`by`: Input should be 'alias', 'day'"),
        ("since_ns=-1", "`since_ns`: Input should be greater than or equal to 0"),
        (f"since_ns={2**63}", "`since_ns`: Input should be less than"),
        (f"since_ns={'9' * 5_000}", "`since_ns`"),
        ("since_ns=yesterday", "`since_ns`: Input should be a valid integer"),
    ],
)
async def test_a_question_that_makes_no_sense_is_the_callers_error(parts: KeeperParts, query: str, named: str) -> None:
    """It names the parameter and what may stand there."""
    answer = await ask(parts, f"/api/usage?{query}")
    assert (answer.status, answer.json["error"]["code"]) == (400, "invalid_request")
    assert named in answer.json["error"]["message"]


@pytest.mark.parametrize("group", get_args(UsageGroup))
async def test_the_store_knows_every_group(parts: KeeperParts, group: str) -> None:
    """What the API offers can be had, up to the latest time there is."""
    answer = await ask(parts, f"/api/usage?by={group}&since_ns={2**63 - 1}")
    assert (answer.status, answer.json) == (200, [])


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [("GET", "/nowhere", 404, "not_found"), ("POST", "/api/usage", 405, "method_not_allowed")],
)
async def test_wrong_paths_and_methods_are_json_errors(
    parts: KeeperParts, method: str, path: str, status: int, code: str
) -> None:
    """As all errors are."""
    answer = await ask(parts, path, method=method)
    assert (answer.status, answer.json["error"]["code"]) == (status, code)


async def test_a_store_that_is_down_is_told_as_such(parts: KeeperParts) -> None:
    """503 in our own words."""

    async def scrape() -> bytes:
        raise StateUnavailable("the store cannot answer right now", detail="secret path")

    answer = await ask(replace(parts, scrape=scrape), "/metrics")
    assert (answer.status, answer.json) == (
        503,
        {"error": {"code": "state_unavailable", "message": "the store cannot answer right now"}},
    )


async def test_a_fault_of_ours_shows_nothing_of_itself(parts: KeeperParts) -> None:
    """No traceback and no words of it reach the caller."""

    async def scrape() -> bytes:
        raise RuntimeError("inner words")

    answer = await ask(replace(parts, scrape=scrape), "/metrics")
    assert (answer.status, answer.json["error"]["code"]) == (500, "internal_error")
    assert b"inner" not in answer.body
    assert answer.headers["cache-control"] == "no-store"
