from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from fairlead.call import OK, Call, Candidate, Outcome
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.errors import (
    Cancelled,
    FairleadError,
    StreamTruncated,
    UpstreamError,
    UpstreamProtocol,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
    UpstreamUnreachable,
)
from fairlead.pipeline import Reply

if TYPE_CHECKING:
    from tests.ports.conftest import Upstream

LEFT = Outcome("cancelled", 499, Cancelled("the caller left"))
Make = Callable[[str], "Upstream"]


def call(*, stream: bool = False) -> Call:
    """A call with its first attempt open."""
    body = {"model": "a", "messages": [{"role": "user", "content": "Say hello."}], "stream": stream}
    raw = msgspec.json.encode(body)
    opened = Call("id", "openai_chat", OPENAI_CHAT.request.read(raw), started_ns=0, started_at_ns=0, body=raw)
    opened.open_attempt(Candidate(provider="p", model="sim-small"), 0)
    return opened


async def read(reply: Reply) -> bytes:
    """All of an answer, and its end."""
    if isinstance(reply.source, bytes):
        reply.end(OK)
        return reply.source
    try:
        return b"".join([chunk async for chunk in reply.source])  # type: ignore[misc]
    finally:
        reply.end(OK)


async def settled() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_whole_answer_is_bytes(upstream: Make) -> None:
    """With its status, its type and its usage; the connection is free at once."""
    there, asked = upstream("whole"), call()
    reply = await there.provider.send(asked)
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert there.transport.in_use == 0
    assert OPENAI_CHAT.reply.decode(await read(reply)).choices[0].message.text
    assert asked.attempt.usage is not None
    assert (asked.attempt.usage_source, asked.attempt.upstream_status) == ("final", 200)
    assert asked.attempt.first_token_ns is not None


async def test_a_streamed_answer_comes_back_with_its_first_content(upstream: Make) -> None:
    """The rest follows, up to the terminator; then usage is known and the connection free."""
    there, asked = upstream("stream"), call(stream=True)
    reply = await there.provider.send(asked)
    assert reply.headers["content-type"] == "text/event-stream"
    assert asked.attempt.first_token_ns is not None
    raw = await read(reply)
    await settled()
    assert raw.endswith(b"data: [DONE]\n\n")
    assert OPENAI_CHAT.stream.text(raw)
    assert asked.attempt.usage is not None
    assert there.transport.in_use == 0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        ("refused", UpstreamRejected),
        ("limited", UpstreamRateLimited),
        ("down", UpstreamUnavailable),
        ("broken", UpstreamUnreachable),
        ("html", UpstreamError),
    ],
)
async def test_an_error_is_one_of_the_upstream_kinds(
    upstream: Make, behaviour: str, kind: type[FairleadError], *, stream: bool
) -> None:
    """It is raised before anything could go to the caller, and holds no connection."""
    there = upstream(behaviour)
    with pytest.raises(kind):
        await there.provider.send(call(stream=stream))
    assert there.transport.in_use == 0


async def test_a_wait_that_the_provider_asks_for_is_on_the_error(upstream: Make) -> None:
    """Whoever retries can keep to it."""
    with pytest.raises(UpstreamRateLimited) as caught:
        await upstream("limited").provider.send(call())
    assert caught.value.retry_after_s == 7.0


async def test_an_error_inside_a_200_is_raised_like_any_other(upstream: Make) -> None:
    """As long as no content came, another candidate can still answer."""
    there = upstream("error in a 200")
    with pytest.raises(UpstreamError):
        await there.provider.send(call(stream=True))
    assert there.transport.in_use == 0


async def test_a_stream_that_breaks_after_content_is_truncated(upstream: Make) -> None:
    """Content had gone out, so nothing may fall back; what was written is estimated."""
    there, asked = upstream("torn"), call(stream=True)
    reply = await there.provider.send(asked)
    with pytest.raises(StreamTruncated):
        await read(reply)
    await settled()
    assert asked.attempt.usage is not None
    assert asked.attempt.usage_source == "estimated"
    assert there.transport.in_use == 0


async def test_cancelling_a_call_frees_its_connection(upstream: Make) -> None:
    """Before the head of an answer came."""
    there = upstream("silent")
    sending = asyncio.ensure_future(there.provider.send(call()))
    await settled()
    assert there.transport.in_use == 1
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert there.transport.in_use == 0


async def test_leaving_a_stream_frees_its_connection(upstream: Make) -> None:
    """In the middle of an answer that has fallen silent; what came is accounted for."""
    there, asked = upstream("stalling"), call(stream=True)
    reply = await there.provider.send(asked)
    assert there.transport.in_use == 1
    reply.end(LEFT)
    reply.end(LEFT)
    await settled()
    assert there.transport.in_use == 0
    assert asked.attempt.usage is not None


async def test_an_aborted_stream_raises_the_given_error(upstream: Make) -> None:
    """A clock of ours ends a stream that has fallen silent, and says which it was."""
    reply = await upstream("stalling").provider.send(call(stream=True))
    assert not isinstance(reply.source, bytes)
    reading = asyncio.ensure_future(read(reply))
    await settled()
    late = UpstreamProtocol("late")
    reply.source.abort(late)
    with pytest.raises(UpstreamError) as caught:
        await reading
    assert late in (caught.value, caught.value.__cause__)


async def test_closing_a_provider_closes_its_connections(upstream: Make) -> None:
    """It waits for nothing that nobody asked for."""
    there = upstream("whole")
    await read(await there.provider.send(call()))
    await there.provider.aclose()
    assert there.transport.closed
