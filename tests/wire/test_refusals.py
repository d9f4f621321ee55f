"""What the server refuses by itself: malformed, ambiguous, oversized and slow requests."""

from __future__ import annotations

import asyncio
import gc

import msgspec
import pytest
from tests.wire.conftest import GET, connected, echo, post, serving, until
from tests.wire.malformed import CHUNKED, MALFORMED

from fairlead.wire import Server, ServerLimits


@pytest.mark.parametrize("request_", MALFORMED.values(), ids=MALFORMED.keys())
async def test_refuses_what_two_parsers_could_read_differently(request_):
    """One 400 with a JSON body, then the connection ends; no handler is asked, whatever follows."""
    asked = []

    async def handler(exchange):
        asked.append(exchange.target)
        await echo(exchange)

    async with serving(handler) as server, connected(server) as peer:
        status, headers, body = await peer.ask(request_ + GET)

        assert status == 400
        assert headers[b"connection"] == b"close"
        assert msgspec.json.decode(body)["error"]["type"] == "invalid_request_error"
        assert await peer.is_closed()
    assert asked == []


@pytest.mark.parametrize("version", [b"HTTP/0.9", b"HTTP/2.0"])
async def test_refuses_other_versions(version):
    """Only HTTP/1.1 and 1.0 are spoken."""
    async with serving(echo) as server, connected(server) as peer:
        assert (await peer.ask(b"GET / %b\r\nHost: x\r\n\r\n" % version))[0] == 505


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 17_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 17_000,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 101,
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a" * 17_000,
        b"GET /" + b"a" * 17_000,
        b"GET /" + b"a" * 17_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
    ids=["one large", "one endless", "too many", "endless name", "endless target", "large target"],
)
async def test_refuses_large_heads(head):
    """Over 16 KiB or 100 fields is a 431, also while the head is still coming in."""
    async with serving(echo) as server, connected(server) as peer:
        status, _, body = await peer.ask(head)

        assert status == 431
        assert msgspec.json.decode(body)["error"]["code"] == "headers_too_large"
        assert await peer.is_closed()


async def test_the_head_cap_counts_the_head_alone():
    """A head that begins in the packet of a large body before it is not charged with that body."""
    async with serving(echo, max_header_bytes=100) as server, connected(server) as peer:
        peer.write(post(b"x" * 5000) + GET[:10])
        assert (await peer.answer())[0] == 200
        peer.write(GET[10:])
        assert (await peer.answer())[0] == 200


async def test_refuses_a_large_body_by_its_length():
    """A length over the cap is a 413 before any of the body has come."""
    async with serving(echo, max_body_bytes=10) as server, connected(server) as peer:
        status, _, body = await peer.ask(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n")

        assert status == 413
        assert "10 bytes" in msgspec.json.decode(body)["error"]["message"]
        assert await peer.is_closed()


async def test_refuses_a_large_chunked_body():
    """A body without a length is cut at the cap."""
    async with serving(echo, max_body_bytes=10) as server, connected(server) as peer:
        assert (await peer.ask(CHUNKED + b"6\r\nabcdef\r\n6\r\nabcdef\r\n"))[0] == 413
        assert await peer.is_closed()


async def test_a_body_of_exactly_the_cap_passes():
    """The cap itself is allowed."""
    async with serving(echo, max_body_bytes=10) as server, connected(server) as peer:
        assert (await peer.ask(post(b"0123456789")))[0] == 200


async def test_a_sender_that_does_not_stop_still_reads_the_refusal():
    """The refusal is not lost in a reset, though little of the rest is read."""
    async with serving(echo, max_body_bytes=10, linger_s=0.1) as server, connected(server) as peer:
        peer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n" + b"x" * 50_000)
        status, _, _ = await peer.answer()
        peer.write(b"x" * 10_000_000)
        await until(lambda: server.connections == 0)

    assert status == 413


async def test_refuses_a_flood_of_chunk_framing():
    """Chunk extensions without body cannot be sent for ever."""
    async with serving(echo) as server, connected(server) as peer:
        status, _, _ = await peer.ask(CHUNKED + (b"1;" + b"a" * 5000 + b"\r\nx\r\n") * 30)

    assert status == 400


async def test_expect_is_answered_when_the_body_may_come():
    """`100 Continue` goes out before the body, and the final answer after it."""
    async with serving(echo) as server, connected(server) as peer:
        peer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert await peer.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await peer.ask(b"abc"))[2] == b"POST / abc"


@pytest.mark.parametrize(
    ("length", "expect", "status"), [(b"11", b"100-continue", 413), (b"3", b"something-else", 417)]
)
async def test_expect_is_refused_when_the_body_may_not_come(length, expect, status):
    """A body over the cap, or another expectation, is refused instead."""
    async with serving(echo, max_body_bytes=10) as server, connected(server) as peer:
        request = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %b\r\nExpect: %b\r\n\r\n" % (length, expect)
        assert (await peer.ask(request))[0] == status


async def test_a_slow_head_times_out():
    """A head that trickles in is refused after `header_s` from its first byte, not from its last."""
    async with serving(echo, header_s=0.05) as server, connected(server) as peer:
        trickle = asyncio.create_task(_trickle(peer, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: b\r\n" * 50))
        status, _, body = await asyncio.wait_for(peer.answer(), 1)
        trickle.cancel()

    assert status == 408
    assert msgspec.json.decode(body)["error"]["code"] == "request_timeout"


async def test_a_slow_body_times_out():
    """A body that trickles in is refused after `body_s`."""
    async with serving(echo, body_s=0.05) as server, connected(server) as peer:
        peer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n")
        trickle = asyncio.create_task(_trickle(peer, b"x" * 900))
        status, _, _ = await asyncio.wait_for(peer.answer(), 1)
        trickle.cancel()

    assert status == 408


async def _trickle(peer, data):
    for byte in data:
        peer.write(bytes([byte]))
        await asyncio.sleep(0.005)


async def test_a_head_after_a_long_idle_time_has_its_own_deadline():
    """The short head deadline holds although the long idle timer was set before."""
    async with serving(echo, header_s=0.05, idle_s=60) as server, connected(server) as peer:
        await peer.ask(GET)
        peer.write(b"GET / HT")

        assert (await asyncio.wait_for(peer.answer(), 1))[0] == 408


async def test_a_silent_connection_is_closed():
    """Who connects and says nothing is closed after `header_s`, without an answer."""
    async with serving(echo, header_s=0.05) as server, connected(server) as peer:
        assert await peer.is_closed()
        await until(lambda: server.connections == 0)


async def test_an_idle_connection_is_closed():
    """After an answer the connection is kept for `idle_s`."""
    async with serving(echo, idle_s=0.05) as server, connected(server) as peer:
        await peer.ask(GET)

        assert await peer.is_closed()


async def test_a_long_answer_is_not_idle():
    """No receive deadline runs while a request is being answered."""

    async def handler(exchange):
        await asyncio.sleep(0.1)
        await echo(exchange)

    async with serving(handler, header_s=0.03, idle_s=0.03) as server, connected(server) as peer:
        assert (await peer.ask(GET))[0] == 200


async def test_refuses_connections_over_the_cap():
    """Past `max_connections` a newcomer gets a 503; a place that becomes free is given out again."""
    async with serving(echo, max_connections=1) as server:
        async with connected(server) as peer:
            await peer.ask(GET)
            async with connected(server) as other:
                assert (await other.answer())[0] == 503
                assert await other.is_closed()
            assert (await peer.ask(GET))[0] == 200
        await until(lambda: server.connections == 0)
        async with connected(server) as peer:
            assert (await peer.ask(GET))[0] == 200


async def test_refuses_an_endless_pipeline():
    """Requests that wait behind the one being answered are bounded."""
    release = asyncio.Event()

    async def handler(exchange):
        await release.wait()
        await echo(exchange)

    async with serving(handler, max_pipelined=3) as server, connected(server) as peer:
        peer.write(GET * 10)
        release.set()
        statuses = [(await peer.answer())[0] for _ in range(5)]

        assert statuses == [200, 200, 200, 200, 400]
        assert await peer.is_closed()


async def test_the_body_of_a_refusal_is_the_callers_choice():
    """The application makes refusals speak its own dialect."""
    server = Server(echo, limits=ServerLimits(), refuse=lambda status, code, _: f"{status} {code}".encode())
    await server.start("127.0.0.1", 0)
    try:
        async with connected(server) as peer:
            assert (await peer.ask(b"nonsense\r\n\r\n"))[2] == b"400 malformed_request"
    finally:
        await server.drain(0.2)


async def test_random_bytes_never_break_the_server():
    """Whatever is sent, the server answers the next connection."""
    faults = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    async with serving(echo) as server:
        for cut in range(0, len(CHUNKED), 3):
            async with connected(server) as peer:
                peer.write(CHUNKED[:cut] + bytes(range(256)))
                if cut % 2:
                    await asyncio.sleep(0)
                    peer.reset()
        async with connected(server) as peer:
            assert (await peer.ask(GET))[0] == 200
    gc.collect()  # a task that failed is told of when it is freed

    assert faults == []
