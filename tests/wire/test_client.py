"""The pooled client against raw upstreams: framing, reuse, back-pressure, cancellation, hostile answers."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from ipaddress import ip_network

import pytest
from tests.wire.conftest import pooling, until, upstream

from fairlead.errors import UpstreamProtocol, UpstreamTimeout, UpstreamUnreachable
from fairlead.wire import head

HEAD = head("POST", "/v1/x", {"host": "localhost", "authorization": "Bearer sk-secret"})
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


async def request_of(reader):
    """One request: its head and its body."""
    raw = await reader.readuntil(b"\r\n\r\n")
    length = int(raw.split(b"content-length: ")[1].split(b"\r\n")[0])
    return raw, await reader.readexactly(length)


def answering(*answers: bytes, then_close: bool = False):
    """An upstream that gives the answers one after the other on each connection."""

    async def play(reader, writer):
        for answer in answers:
            await request_of(reader)
            writer.write(answer)
        if not then_close:
            await reader.read()

    return play


async def ask(pool, body=b"{}", limit=1_000_000):
    incoming = await pool.send(HEAD, body, 1.0)
    return await incoming.read(limit)


async def test_sends_head_length_and_body():
    """The request on the wire is the head, its content-length, and the body."""
    seen = []

    async def play(reader, writer):
        seen.append(await request_of(reader))
        writer.write(OK)

    async with upstream(play) as pool:
        incoming = await pool.send(HEAD, b"hello", 1.0)
        body = await incoming.read(100)

    assert seen == [(HEAD + b"content-length: 5\r\n\r\n", b"hello")]
    assert (incoming.status, incoming.headers["content-length"], body) == (200, "2", b"hi")


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n3\r\n yo\r\n0\r\nT: v\r\n\r\n", b"hi yo"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" + OK, b"hi"),
        (b"HTTP/1.1 999 Odd\r\nContent-Length: 2\r\n\r\nhi", b"hi"),
    ],
    ids=["length", "empty", "chunked", "204", "304", "interim", "odd status"],
)
@pytest.mark.parametrize("bytewise", [False, True])
async def test_reads_every_framing(answer, body, bytewise):
    """A body ends as its framing says, however the bytes are cut, and the connection is used again."""

    async def play(reader, writer):
        for _ in range(2):
            await request_of(reader)
            for piece in [answer[i : i + 1] for i in range(len(answer))] if bytewise else [answer]:
                writer.write(piece)
                await asyncio.sleep(0)
        await reader.read()

    async with upstream(play) as pool:
        for _ in range(2):
            assert await ask(pool) == body
            assert (pool.idle, pool.in_use) == (1, 0)


async def test_a_body_may_end_with_the_connection():
    """Without length and chunks the body is what comes until the close."""
    async with upstream(answering(b"HTTP/1.1 200 OK\r\n\r\nall of it", then_close=True)) as pool:
        assert await ask(pool) == b"all of it"
        assert (pool.idle, pool.in_use) == (0, 0)


async def test_iterating_gives_what_has_arrived():
    """Each step is everything since the last one; the end comes after the last byte."""
    step = asyncio.Event()

    async def play(reader, writer):
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n")
        await step.wait()
        writer.write(b"1\r\nc\r\n0\r\n\r\n")
        await reader.read()

    async with upstream(play) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)
        first = await anext(incoming)
        step.set()
        rest = [chunk async for chunk in incoming]

        assert (first, rest) == (b"ab", [b"c"])
        assert pool.idle == 1


async def test_repeated_headers_are_joined():
    """Names are lower case; repeated fields are joined."""
    answer = b"HTTP/1.1 200 OK\r\nX-A: 1\r\nx-a: 2 \r\nContent-Length: 0\r\n\r\n"
    async with upstream(answering(answer)) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)

    assert incoming.headers == {"x-a": "1, 2", "content-length": "0"}


async def test_the_last_used_connection_is_taken_first():
    """Reuse is last in, first out, so that what is not needed grows old and is closed."""
    async with upstream(answering(OK, OK, OK)) as pool:
        first, second = await asyncio.gather(pool.send(HEAD, b"", 1.0), pool.send(HEAD, b"", 1.0))
        await first.read(10)
        await second.read(10)
        assert pool.idle == 2
        last = next(reversed(pool._idle))
        await ask(pool)

        assert next(reversed(pool._idle)) is last


async def test_a_connection_is_not_reused_after_close():
    """`Connection: close` is obeyed."""
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
    async with upstream(answering(answer)) as pool:
        assert await ask(pool) == b"hi"
        assert (pool.idle, pool.in_use) == (0, 0)


async def test_bytes_after_an_answer_never_become_the_next_one():
    """A connection with more on it than was asked for is closed; the answer itself is good."""
    async with upstream(answering(OK + OK)) as pool:
        assert await ask(pool) == b"hi"
        assert pool.idle == 0


async def test_bytes_on_an_idle_connection_close_it():
    """An answer that nobody asked for is not kept for the next request."""

    async def play(reader, writer):
        await request_of(reader)
        writer.write(OK)
        await asyncio.sleep(0.01)
        writer.write(OK)
        await reader.read()

    async with upstream(play) as pool:
        await ask(pool)
        await until(lambda: pool.idle == 0)


async def test_a_connection_that_was_closed_while_idle_is_skipped():
    """A keep-alive connection that the server closed is noticed before the next request."""
    async with upstream(answering(OK, then_close=True)) as pool:
        await ask(pool)
        await until(lambda: pool.idle == 0)

        assert await ask(pool) == b"hi"


async def test_a_request_is_never_written_twice():
    """A reused connection that closes under a request is an error here; retrying is not the pool's decision."""
    requests = []

    async def play(reader, writer):
        requests.append(await request_of(reader))
        writer.write(OK)
        requests.append(await request_of(reader))

    async with upstream(play) as pool:
        await ask(pool)
        with pytest.raises(UpstreamUnreachable, match="without an answer"):
            await ask(pool)

        assert len(requests) == 2
        assert (pool.idle, pool.in_use) == (0, 0)


async def test_an_idle_connection_grows_old():
    """After `idle_s` an unused connection is closed."""
    async with upstream(answering(OK), idle_s=0.02) as pool:
        await ask(pool)
        assert pool.idle == 1
        await until(lambda: pool.idle == 0)


async def test_an_unread_body_stays_bounded():
    """While nobody reads, the socket is not read either; afterwards every byte comes."""
    total = 32 * 1024 * 1024
    sent = 0

    async def play(reader, writer):
        nonlocal sent
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % total)
        for _ in range(total // 65536):
            writer.write(b"x" * 65536)
            sent += 65536
            await writer.drain()
        await reader.read()

    async with upstream(play) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)
        await asyncio.sleep(0.15)
        unread, held_at = incoming.unread, sent
        received = 0
        async for chunk in incoming:
            received += len(chunk)

        assert unread <= 3 * 256 * 1024
        assert held_at < total
        assert received == total
        assert pool.idle == 1


async def test_a_connection_that_was_held_back_reads_its_next_answer():
    """A whole answer that waits unread does not leave its connection deaf."""
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 400000\r\n\r\n" + b"x" * 400_000
    async with upstream(answering(large, OK)) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)
        assert len(await incoming.read(500_000)) == 400_000
        assert await ask(pool) == b"hi"


@pytest.mark.parametrize(
    "answer",
    [
        b"<html>no HTTP at all",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 1999 X\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nxx",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 201 + b"Content-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 66_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 1_000_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx",
    ],
    ids=[
        "not HTTP", "HTTP/2", "bad status", "upgrade", "101", "two lengths", "length and chunks", "gzip framing",
        "bare LF", "NUL", "folded", "many headers", "large header", "endless header", "endless interim", "brotli",
    ],
)  # fmt: skip
async def test_a_head_that_is_not_http_is_a_protocol_error(answer):
    """Nothing is guessed: the connection is closed and the sender told, without its headers in the message."""
    async with upstream(answering(answer)) as pool:
        with pytest.raises(UpstreamProtocol) as caught:
            await pool.send(HEAD, b"", 1.0)

        assert "localhost" in caught.value.message
        assert "sk-secret" not in str(caught.value) + repr(caught.value.detail)
        assert (pool.idle, pool.in_use) == (0, 0)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", UpstreamUnreachable),
        (b"HTTP/1.1 200 OK\r\n", UpstreamUnreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", UpstreamUnreachable),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", UpstreamUnreachable),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", UpstreamUnreachable),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", UpstreamProtocol),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcdef\r\n", UpstreamProtocol),
    ],
)
async def test_an_answer_that_is_not_whole_is_an_error(answer, error):
    """Too short, or broken within its framing, never looks like a good end."""
    async with upstream(answering(answer, then_close=True)) as pool:
        with pytest.raises(error):
            await ask(pool)
        assert (pool.idle, pool.in_use) == (0, 0)


async def test_what_arrived_before_a_break_is_still_read():
    """A stream gives what it has, and then the error."""
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    async with upstream(answering(answer, then_close=True)) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)
        await until(lambda: pool.in_use == 0)

        assert await anext(incoming) == b"abc"
        with pytest.raises(UpstreamUnreachable, match="before the end"):
            await anext(incoming)


@pytest.mark.parametrize("framing", [b"Content-Length: 2\r\n\r\nhi", b"Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n"])
async def test_a_body_over_the_limit_is_refused(framing):
    """`read` stops at its limit, by the length or by the bytes, and gives the connection up."""
    async with upstream(answering(b"HTTP/1.1 200 OK\r\n" + framing)) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)
        with pytest.raises(UpstreamProtocol, match="longer than 1 bytes"):
            await incoming.read(1)

        assert pool.in_use == 0


async def test_redirects_are_not_followed():
    """A redirect is an answer like any other."""
    answer = b"HTTP/1.1 307 T\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    async with upstream(answering(answer)) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)

    assert incoming.status == 307


def raw_deflate(data):
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(data) + deflate.flush()


@pytest.mark.parametrize(
    ("coding", "encode"),
    [(b"gzip", gzip.compress), (b"deflate", zlib.compress), (b"deflate", raw_deflate), (b"identity", bytes)],
    ids=["gzip", "zlib", "raw deflate", "identity"],
)
async def test_content_codings_are_undone(coding, encode):
    """A server that compresses although nobody asked is understood, cut at any byte."""
    body = b"hello " * 1000
    coded = encode(body)
    chunks = b"".join(b"1\r\n%b\r\n" % coded[i : i + 1] for i in range(len(coded))) + b"0\r\n\r\n"
    answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % coding
    async with upstream(answering(answer + chunks)) as pool:
        assert await ask(pool) == body


def gzipped(coded: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(coded), coded)


@pytest.mark.parametrize(
    "coded",
    [gzip.compress(bytes(50_000_000)), gzip.compress(b"hello")[:-4], b"not gzip at all", gzip.compress(b"x") + b"y"],
    ids=["bomb", "cut short", "not gzip", "more after the end"],
)
async def test_a_bad_content_coding_is_a_protocol_error(coded):
    """Decoding stops at its cap, and a torn or false body is no answer."""
    async with upstream(answering(gzipped(coded)), max_decoded_bytes=1_000_000) as pool:
        with pytest.raises(UpstreamProtocol, match="cannot be decoded"):
            await ask(pool, limit=100_000_000)


async def test_a_large_decoded_body_comes_in_pieces():
    """No step of the iteration is larger than the piece that decoding gives out."""
    async with upstream(answering(gzipped(gzip.compress(bytes(2_000_000))))) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)
        sizes = [len(chunk) async for chunk in incoming]

    assert sum(sizes) == 2_000_000
    assert max(sizes) <= 256 * 1024
    assert "content-length" not in incoming.headers
    assert "content-encoding" not in incoming.headers


async def silent(reader, writer):
    """An upstream that reads and never answers."""
    await reader.read()


async def test_waiting_for_a_free_connection_times_out():
    """A full pool is a connect timeout, and nothing leaks."""
    async with upstream(silent, max_connections=1) as pool:
        busy = asyncio.create_task(pool.send(HEAD, b"", 1.0))
        await until(lambda: len(pool._connections) == 1)
        with pytest.raises(UpstreamTimeout, match="pool"):
            await pool.send(HEAD, b"", 0.02)
        busy.cancel()
        await asyncio.gather(busy, return_exceptions=True)

        assert (pool.in_use, len(pool._waiters)) == (0, 0)


async def test_waiters_are_served_in_order():
    """Who asked first for a connection gets it first."""
    order = []

    async def one(pool, number):
        incoming = await pool.send(HEAD, str(number).encode(), 2.0)
        order.append(number)
        await incoming.read(100)

    async with upstream(answering(*[OK] * 10), max_connections=1) as pool:
        await asyncio.gather(*(one(pool, number) for number in range(10)))

    assert order == list(range(10))


async def test_a_thousand_cancelled_senders_leak_nothing():
    """Senders cancelled at every point give their places back, and the next request succeeds at once."""

    async def play(reader, writer):
        while True:
            _, body = await request_of(reader)
            if body == b"hang":
                await reader.read()
                return
            writer.write(OK)

    async with upstream(play, max_connections=8) as pool:
        for wave in range(20):
            tasks = [asyncio.create_task(pool.send(HEAD, b"hang", 2.0)) for _ in range(50)]
            for _ in range(wave):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert pool.in_use == 0
        assert await ask(pool) == b"hi"


async def test_a_cancelled_waiter_passes_its_connection_on():
    """A connection handed to a waiter in the moment of its cancellation goes to the next one."""
    async with upstream(answering(*[OK] * 5), max_connections=1) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)
        first = asyncio.create_task(pool.send(HEAD, b"", 1.0))
        second = asyncio.create_task(pool.send(HEAD, b"", 1.0))
        await until(lambda: len(pool._waiters) == 2 or pool.idle == 1)
        await incoming.read(10)
        first.cancel()
        answer = await second

        assert await answer.read(10) == b"hi"
        await asyncio.gather(first, return_exceptions=True)
        assert pool.in_use == 0 or pool.idle <= 1


async def test_abort_closes_the_connection():
    """Giving an answer up frees its place at once, and the upstream sees the end."""
    ended = asyncio.Event()

    async def play(reader, writer):
        await request_of(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
        try:
            await reader.read()
        finally:
            ended.set()

    async with upstream(play) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)
        await anext(incoming)
        pending = asyncio.create_task(anext(incoming))
        await asyncio.sleep(0)
        incoming.abort(UpstreamTimeout("too slow"))
        with pytest.raises(UpstreamTimeout):
            await pending
        with pytest.raises(UpstreamTimeout):
            await anext(incoming)
        assert pool.in_use == 0
        await asyncio.wait_for(ended.wait(), 0.25)


async def test_abort_after_the_end_is_harmless():
    """A body that was read to its end keeps its connection in the pool."""
    async with upstream(answering(OK)) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)
        await incoming.read(10)
        incoming.abort()

        assert pool.idle == 1
        with pytest.raises(StopAsyncIteration):
            await anext(incoming)


async def test_abort_without_a_reason_is_unreachable():
    """The default error says that the answer was given up."""
    async with upstream(answering(OK[:-1])) as pool:
        incoming = await pool.send(HEAD, b"", 1.0)
        incoming.abort()
        with pytest.raises(UpstreamUnreachable, match="given up"):
            await incoming.read(10)


async def test_closing_the_pool_ends_everything():
    """Readers and waiters get an error, and later senders too."""
    async with upstream(silent, max_connections=1) as pool:
        tasks = [asyncio.create_task(pool.send(HEAD, b"", 1.0)) for _ in range(2)]
        await until(lambda: len(pool._connections) == 1 and len(pool._waiters) == 1)
        await pool.aclose()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        with pytest.raises(UpstreamUnreachable, match="closed"):
            await pool.send(HEAD, b"", 1.0)

    assert [type(result) for result in results] == [UpstreamUnreachable] * 2


async def test_a_refused_connection_is_unreachable():
    """The message names the place, the detail the system's own words."""
    async with upstream(silent) as pool:
        url = f"http://127.0.0.1:{pool.origin.port}"
    async with pooling(url) as pool:
        with pytest.raises(UpstreamUnreachable, match=r"127\.0\.0\.1") as caught:
            await ask(pool)

        assert "ConnectionRefusedError" in caught.value.detail
        assert pool.in_use == 0


@pytest.mark.parametrize("host", ["nowhere.invalid", "a" * 64 + ".invalid"])
async def test_an_unknown_name_is_unreachable(host):
    """A name that does not resolve, or cannot be one."""
    async with pooling(f"http://{host}") as pool:
        with pytest.raises(UpstreamUnreachable, match="resolved"):
            await ask(pool)
        assert pool.in_use == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "127.1", "0x7f000001"])
async def test_private_addresses_are_refused_by_default(host):
    """However it is written, the address that would be connected to decides."""
    async with pooling(f"http://{host}:9", allow_private=False) as pool:
        with pytest.raises(UpstreamUnreachable, match="allow_private") as caught:
            await ask(pool)

        assert "loopback" in caught.value.detail or "IPv4-mapped" in caught.value.detail


async def test_metadata_services_are_always_refused():
    """No setting opens the way to a cloud's credentials."""
    async with pooling("http://169.254.169.254", allow_private=True) as pool:
        with pytest.raises(UpstreamUnreachable) as caught:
            await ask(pool)

        assert "metadata" in caught.value.detail


async def test_a_network_can_be_allowed():
    """`allow_private` takes the networks that are meant."""
    async with upstream(answering(OK), allow_private=(ip_network("127.0.0.0/8"),)) as pool:
        assert await ask(pool) == b"hi"


async def test_a_connect_that_hangs_times_out():
    """An upstream that accepts nothing costs the connect timeout, and no place in the pool."""
    async with upstream(silent) as plain:
        port = plain.origin.port
        # The TCP connection stands, the TLS handshake is never answered.
        async with pooling(f"https://127.0.0.1:{port}") as pool:
            with pytest.raises(UpstreamTimeout, match="no connection"):
                await pool.send(HEAD, b"", 0.05)
            assert pool.in_use == 0
