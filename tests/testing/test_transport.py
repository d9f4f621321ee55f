"""The fake transport: the same answers, in process and in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.errors import StreamTruncated, UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from fairlead.providers.transport import Incoming, Transport
from fairlead.testing import FakeTransport, VirtualClock, answers, openai_reply, openai_stream

HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n"


async def send(transport: Transport) -> Incoming:
    return await transport.send(HEAD, b'{"model":"m"}', 5)


async def test_an_answer_is_read_whole() -> None:
    """Status, lower-case headers and body come as scripted, and the request is recorded."""
    transport = FakeTransport(openai_reply("Hi"))
    incoming = await send(transport)
    assert (incoming.status, incoming.headers["content-type"]) == (200, "application/json")
    assert await incoming.read(10_000) == openai_reply("Hi").body
    request = transport.requests[0]
    assert (request.path, request.headers["authorization"], request.json) == (
        "/v1/chat/completions",
        "Bearer k",
        {"model": "m"},
    )
    assert request.answered_ns is not None


async def test_a_stream_comes_in_its_pieces() -> None:
    """Each event is one item of the iteration, and pauses pass in the transport's clock."""
    clock = VirtualClock()
    answer = openai_stream(["a", "b"]).paced(10)
    began_ns = clock.monotonic_ns()
    incoming = await send(FakeTransport(answer, clock=clock))
    assert tuple([piece async for piece in incoming]) == answer.pieces
    assert clock.monotonic_ns() - began_ns == 10 * 10**9 * len(answer.pieces)


async def test_latency_passes_before_the_head() -> None:
    """`send` returns after the scripted latency."""
    clock = VirtualClock()
    began_ns = clock.monotonic_ns()
    await send(FakeTransport(openai_reply("x").latency(7), clock=clock))
    assert clock.monotonic_ns() - began_ns == 7 * 10**9


@pytest.mark.parametrize(
    "answer",
    [openai_stream(["a"], cut_at=30), openai_stream(["a"]).reset_after(30)],
    ids=["cut", "reset"],
)
async def test_a_torn_body_breaks_after_its_bytes(answer: answers.Answer) -> None:
    """What was sent is read, then the connection is broken, as often as one asks."""
    incoming = await send(FakeTransport(answer))
    assert await anext(incoming) == answer.body[:30]
    for _ in range(2):
        with pytest.raises(UpstreamUnreachable):
            await anext(incoming)


async def test_refuse_and_raw_fail_before_the_head() -> None:
    """A refused request is unreachable, bytes that are not HTTP are a protocol error."""
    transport = FakeTransport([answers.refuse(), answers.raw(b"junk")])
    with pytest.raises(UpstreamUnreachable):
        await send(transport)
    with pytest.raises(UpstreamProtocol):
        await send(transport)


async def test_a_black_hole_waits_until_the_caller_gives_up() -> None:
    """Cancelling the wait is recorded as the client's early leave."""
    transport = FakeTransport(answers.blackhole())
    task = asyncio.create_task(send(transport))
    await transport.until(lambda: transport.requests)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert transport.requests[0].closed_early_ns is not None


async def test_abort_ends_a_stall_by_its_error() -> None:
    """A pending read raises the error given to `abort`, and so does a later one."""
    transport = FakeTransport(openai_stream(["a"], stall_at=0))
    incoming = await send(transport)
    reading = asyncio.create_task(anext(incoming))
    await asyncio.sleep(0)
    incoming.abort(UpstreamTimeout("idle"))
    with pytest.raises(UpstreamTimeout):
        await reading
    with pytest.raises(UpstreamTimeout):
        await anext(incoming)
    assert transport.requests[0].closed_early_ns is not None


async def test_abort_between_reads_counts_for_the_next() -> None:
    """The next read after `abort` raises although pieces are left."""
    incoming = await send(FakeTransport(openai_stream(["a", "b"])))
    await anext(incoming)
    incoming.abort(StreamTruncated("left"))
    with pytest.raises(StreamTruncated):
        await anext(incoming)


async def test_abort_after_the_end_is_harmless() -> None:
    """Once the last piece was read the body has ended, and `abort` changes nothing."""
    transport = FakeTransport(openai_reply("x"))
    incoming = await send(transport)
    await anext(incoming)
    incoming.abort()
    with pytest.raises(StopAsyncIteration):
        await anext(incoming)
    assert transport.requests[0].closed_early_ns is None


async def test_a_cancelled_read_loses_nothing() -> None:
    """A piece whose wait was cancelled comes with the next read."""
    clock = VirtualClock(autojump=False)
    answer = openai_stream(["a"]).paced(5)
    incoming = await send(FakeTransport(answer, clock=clock))
    reading = asyncio.create_task(anext(incoming))
    await clock.settle()
    reading.cancel()
    again = asyncio.create_task(anext(incoming))
    await clock.advance(5)
    assert await again == answer.pieces[0]


async def test_a_body_over_the_limit_is_a_protocol_error() -> None:
    """`read` gives up as soon as more than the limit has come."""
    incoming = await send(FakeTransport(answers.status(200, body=b"12345").slice(1)))
    with pytest.raises(UpstreamProtocol, match="4 bytes"):
        await incoming.read(4)


async def test_a_closed_transport_sends_nothing() -> None:
    """After `aclose` every request is unreachable and none is recorded."""
    transport = FakeTransport()
    await transport.aclose()
    with pytest.raises(UpstreamUnreachable):
        await send(transport)
    assert transport.requests == []
