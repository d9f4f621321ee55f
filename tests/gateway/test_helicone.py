"""Helicone's request headers, in a whole gateway."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fairlead.call import Call
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.gateway.helicone import apply_helicone
from fairlead.testing import FakeUpstream

Begin = Callable[..., Awaitable[Any]]
HEADERS = {
    "Helicone-Auth": "Bearer sk-helicone-secret",
    "Helicone-User-Id": "ada",
    "Helicone-Session-Id": "s-1",
    "Helicone-Session-Path": "/a/b",
    "Helicone-Property-Env": "prod",
    "Helicone-Property-Feature": "chat",
    "Helicone-Cache-Enabled": "true",
}
CONFIG = """
[gateway]
auth = "open"
helicone_headers = {on}
[providers.up]
dialect = "openai"
base_url = "{base_url}"
allow_private = true
[models.m]
targets = ["up/x"]
"""


async def asked(begin: Begin, *, on: bool, **more: str) -> tuple[Any, Any]:
    """The record of a call with all of these headers, and what its provider received."""
    async with FakeUpstream() as upstream:
        gateway = await begin(CONFIG.format(on=str(on).lower(), base_url=upstream.base_url))
        await gateway.sdk().chat.completions.create(
            model="m", messages=[{"role": "user", "content": "hi"}], extra_headers={**HEADERS, **more}
        )
        (record,) = await gateway.records()
        return record, upstream.requests[0]


async def test_they_tell_user_session_and_properties(begin: Begin) -> None:
    """In the record, where they can be looked for; the end user is no identity."""
    record, _ = await asked(begin, on=True)
    assert record["session"] == "s-1"
    assert list(record["tags"]) == ["user=ada", "env=prod", "feature=chat", "cache-enabled=true"]
    assert record["tenant"] == "local"


async def test_none_of_them_goes_to_the_provider(begin: Begin) -> None:
    """The key for Helicone least of all."""
    record, received = await asked(begin, on=True)
    assert [name for name in received.headers if name.startswith("helicone")] == []
    assert "sk-helicone-secret" not in str(received.headers) + str(record)


async def test_our_own_headers_go_before_them(begin: Begin) -> None:
    """Session and tags."""
    more = {"x-fairlead-session": "ours", "x-fairlead-tags": "first"}
    record, _ = await asked(begin, on=True, **more)
    assert (record["session"], record["tags"][0]) == ("ours", "first")


async def test_they_mean_nothing_unless_it_is_switched_on(begin: Begin) -> None:
    """Off is the default."""
    record, received = await asked(begin, on=False)
    assert (record["session"], list(record["tags"])) == (None, [])
    assert [name for name in received.headers if name.startswith("helicone")] == []


def call() -> Call:
    """One that has just been opened."""
    request = OPENAI_CHAT.request.read(b'{"model":"m","messages":[],"user":"body"}')
    return Call("id", "openai_chat", request, started_ns=0, started_at_ns=0)


def test_the_end_user_is_that_of_the_request() -> None:
    """The header goes before the body's own `user`, as it is about the same thing."""
    opened = call()
    apply_helicone(opened, {"helicone-user-id": " ada "}, 16)
    assert opened.request.end_user == "ada"


@pytest.mark.parametrize("headers", [{}, {"x-other": "1"}, {"helicone-user-id": "  "}, {"helicone-property-": "x"},
                                     {"helicone-cache-enabled": "false"}])  # fmt: skip
def test_what_says_nothing_changes_nothing(headers: dict[str, str]) -> None:
    """Empty values, and names without a name."""
    opened = call()
    apply_helicone(opened, headers, 16)
    assert (opened.request.end_user, opened.session, opened.tags) == ("body", None, ())


def test_tags_are_few_and_short() -> None:
    """As those of our own header."""
    opened = call()
    apply_helicone(opened, {f"helicone-property-p{n}": "x" * 200 for n in range(40)}, 16)
    assert (len(opened.tags), max(map(len, opened.tags))) == (16, 64)
