"""The fake upstream on real sockets, looked at with bare asyncio streams and with the official client."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import time
from contextlib import asynccontextmanager

import openai
import pytest
import trustme

from fairlead.testing import (
    FakeUpstream,
    VirtualClock,
    answers,
    baseline,
    openai_error,
    openai_reply,
    openai_stream,
    virtual_run,
)

REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"


@asynccontextmanager
async def connected(upstream: FakeUpstream, request: bytes = REQUEST, *, context: ssl.SSLContext | None = None):
    """A connection on which `request` has been sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port, ssl=context)
    writer.write(request)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def what_came(reader: asyncio.StreamReader) -> bytes:
    """What can be read until the connection ends, in whichever way."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


async def exchange(upstream: FakeUpstream, request: bytes = REQUEST) -> bytes:
    """Everything that comes back until the connection closes."""
    async with connected(upstream, request) as (reader, _):
        return await reader.read()


def client(upstream: FakeUpstream) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=upstream.base_url, api_key="sk-test", max_retries=0)


MESSAGES = [{"role": "user", "content": "Hi"}]


async def test_the_official_client_gets_its_answers() -> None:
    """Without a script the OpenAI SDK reads a reply, and a stream with usage, on one connection."""
    async with FakeUpstream() as upstream, client(upstream) as sdk:
        reply = await sdk.chat.completions.create(model="m1", messages=MESSAGES)
        stream = await sdk.chat.completions.create(
            model="m2", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
        assert reply.choices[0].message.content == "Hello, world."
        assert reply.usage is not None
        assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == "Hello, world."
        assert chunks[-1].usage is not None
        assert [request.json["model"] for request in upstream.requests] == ["m1", "m2"]


async def test_the_script_is_played_in_order_and_then_the_default() -> None:
    """Answers come one for each request, queued ones and functions of the request too."""
    async with FakeUpstream([openai_error(429, "slow down")], default=openai_reply("default")) as upstream:
        upstream.then(lambda request: openai_reply(request.path))
        async with client(upstream) as sdk:
            with pytest.raises(openai.RateLimitError, match="slow down"):
                await sdk.chat.completions.create(model="m", messages=MESSAGES)
            texts = []
            for _ in range(2):
                reply = await sdk.chat.completions.create(model="m", messages=MESSAGES)
                texts.append(reply.choices[0].message.content)
        assert texts == ["/v1/chat/completions", "default"]


async def test_requests_are_recorded_as_they_came() -> None:
    """Method, path, repeated headers, chunked bodies and the connection are kept."""
    chunked = b"PUT /a?b=c HTTP/1.1\r\nX-A: 1\r\nx-a: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += b"3;ext=1\r\nabc\r\n2\r\nde\r\n0\r\nTrailer: x\r\n\r\n"
    async with FakeUpstream(default=answers.json({})) as upstream:
        async with connected(upstream, chunked + REQUEST) as (reader, _):
            await upstream.until(lambda: len(upstream.requests) == 2)
            await reader.readuntil(b"{}")
        first, second = upstream.requests
        assert (first.method, first.path, first.headers["x-a"], first.body) == ("PUT", "/a?b=c", "1, 2", b"abcde")
        assert (second.body, second.connection) == (b"{}", 1)


async def test_a_client_that_expects_100_continue_is_told_to() -> None:
    """The interim answer comes before the body is read."""
    head = b"POST / HTTP/1.1\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n"
    async with FakeUpstream(default=answers.json({})) as upstream, connected(upstream, head) as (reader, writer):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"{}")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")


async def test_limit_data_closes_in_the_middle() -> None:
    """After so many body bytes the connection ends cleanly, and the answer counts as given."""
    async with FakeUpstream(answers.status(200, body=b"0123456789").limit_data(4)) as upstream:
        raw = await exchange(upstream)
        assert raw.endswith(b"content-length: 10\r\n\r\n0123")
        assert upstream.requests[0].answered_ns is not None
        assert upstream.requests[0].closed_early_ns is None
        assert upstream.requests[0].sent_bytes == 4


async def test_a_cut_stream_lacks_the_end_of_its_framing() -> None:
    """`cut_at` leaves out the last chunk, a stream without `[DONE]` has it."""
    async with FakeUpstream(
        [openai_stream(["a"], cut_at=10), answers.sse(["x"], done=False).slow_close(0)]
    ) as upstream:
        assert (await exchange(upstream)).endswith(b'\r\n\r\na\r\ndata: {"id\r\n')
        assert (await exchange(upstream)).endswith(b"data: x\n\n\r\n0\r\n\r\n")


@pytest.mark.parametrize("size", [0, 4])
async def test_reset_after_is_a_reset(size: int) -> None:
    """The client reads the bytes before the position and then an error, not an end."""
    answer = answers.status(200, body=b"0123456789").reset_after(size)
    async with FakeUpstream(answer) as upstream, connected(upstream) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(size) == b"0123"[:size]
        with pytest.raises(ConnectionResetError):
            await reader.read()


async def test_refuse_resets_without_a_byte() -> None:
    """The client sees a reset and nothing else."""
    async with FakeUpstream(answers.refuse()) as upstream:
        with pytest.raises(ConnectionResetError):
            await exchange(upstream)


async def test_a_stopped_upstream_refuses_connections_and_can_come_back() -> None:
    """`stop` drops what stands and refuses what comes; `start` listens on the same port."""
    async with FakeUpstream(default=answers.blackhole()) as upstream:
        port = upstream.port
        async with connected(upstream) as (reader, _):
            await upstream.until(lambda: upstream.requests)
            await upstream.stop()
            assert await what_came(reader) == b""
        with pytest.raises(ConnectionRefusedError):
            await exchange(upstream)
        await upstream.start()
        upstream.then(answers.raw(b"back"))
        assert upstream.port == port
        assert await exchange(upstream) == b"back"


@pytest.mark.parametrize(
    "answer",
    [
        answers.blackhole(),
        openai_reply("late").latency(60),
        openai_stream(["a", "b"], stall_at=30),
        openai_stream(["a", "b", "c"]).paced(60),
    ],
    ids=["blackhole", "latency", "stall", "paced"],
)
async def test_a_client_that_leaves_is_noticed_at_once(answer: answers.Answer) -> None:
    """Whatever the answer waits for, a client's close is recorded within 100 ms."""
    async with FakeUpstream(answer) as upstream:
        async with connected(upstream):
            await upstream.until(lambda: upstream.requests)
        left_ns = time.monotonic_ns()
        request = upstream.requests[0]
        await upstream.until(lambda: request.closed_early_ns)
        assert request.closed_early_ns is not None
        assert request.closed_early_ns - left_ns < 100_000_000
        assert request.answered_ns is None
        await upstream.until(lambda: upstream.closed_connections == 1)


async def test_a_client_that_closes_after_the_answer_did_not_leave_early() -> None:
    """Closing an answered connection is no early close."""
    async with FakeUpstream() as upstream:
        async with connected(upstream) as (reader, _):
            await reader.readuntil(b"stop")
        await upstream.until(lambda: upstream.closed_connections == 1)
        assert upstream.requests[0].closed_early_ns is None
        assert upstream.requests[0].answered_ns is not None


async def test_slices_arrive_one_by_one() -> None:
    """Each slice is a write of its own."""
    answer = answers.status(200, body=b"abcdef").slice(1, 2).paced(0.001)
    async with FakeUpstream(answer) as upstream, connected(upstream) as (reader, _):
        await reader.readuntil(b"\r\n\r\n")
        pieces = [await reader.read(100) for _ in range(4)]
    assert pieces == [b"a", b"bc", b"d", b"ef"]


async def test_slow_close_keeps_the_connection_open_after_the_body() -> None:
    """The body is complete long before the close that the head announces."""
    clock = VirtualClock(autojump=False)
    answer = answers.status(200, body=b"ok").slow_close(30)
    async with FakeUpstream(answer, clock=clock) as upstream, connected(upstream) as (reader, _):
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"connection: close" in head
        assert await reader.readexactly(2) == b"ok"
        rest = asyncio.create_task(reader.read())
        await upstream.until(lambda: upstream.requests[0].answered_ns)
        await clock.advance(29)
        assert not rest.done()
        await clock.advance(1)
        assert await rest == b""


def test_latency_and_trickle_pass_in_virtual_time() -> None:
    """On a virtual loop a minute of latency and a minute of trickle take no time, and exactly two minutes."""

    async def main() -> float:
        loop = asyncio.get_running_loop()
        async with FakeUpstream(answers.status(200, body=b"x" * 120).latency(60).trickle(2).slow_close(0)) as upstream:
            began = loop.time()
            assert (await exchange(upstream)).endswith(b"x" * 120)
            return loop.time() - began

    began = time.perf_counter()
    assert virtual_run(main()) == pytest.approx(120, abs=0.1)
    assert time.perf_counter() - began < 5


async def test_raw_bytes_go_out_as_they_are() -> None:
    """A scripted answer need not be HTTP."""
    async with FakeUpstream(answers.raw(b"\x00not http")) as upstream:
        assert await exchange(upstream) == b"\x00not http"


async def test_html_and_gzip_bombs_are_served() -> None:
    """A web page has its type; a bomb unpacks to what it names."""
    close = b"POST / HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    async with FakeUpstream([answers.html(502), answers.gzip_bomb(1 << 20)]) as upstream:
        page = await exchange(upstream, close)
        head, _, body = (await exchange(upstream, close)).partition(b"\r\n\r\n")
    assert page.startswith(b"HTTP/1.1 502 Bad Gateway")
    assert b"text/html" in page
    assert b"content-encoding: gzip" in head
    assert len(gzip.decompress(body)) == 1 << 20


async def test_tls_is_served() -> None:
    """With a context the upstream is https, and resets reach the client there too."""
    authority = trustme.CA()
    server, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(trusting)
    async with FakeUpstream([answers.json({"tls": True}), answers.refuse()], tls=server) as upstream:
        assert upstream.base_url.startswith("https://127.0.0.1:")
        async with connected(upstream, context=trusting) as (reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            assert json.loads(await reader.readuntil(b"}")) == {"tls": True}
            writer.write(REQUEST)
            assert await what_came(reader) == b""


async def test_connections_are_counted() -> None:
    """Every connection is counted when it opens and when it ends."""
    async with FakeUpstream() as upstream:
        async with connected(upstream) as (one, _), connected(upstream) as (two, _):
            await one.readuntil(b"stop")
            await two.readuntil(b"stop")
            assert (upstream.connections, upstream.open_connections, upstream.closed_connections) == (2, 2, 0)
        await upstream.until(lambda: upstream.closed_connections == 2)
    assert upstream.open_connections == 0


async def test_nothing_is_left_behind() -> None:
    """Leaving the block ends every task and closes every socket, whatever was under way."""
    hanging, half = REQUEST, REQUEST[:20]
    async with (
        baseline(),
        FakeUpstream(default=answers.blackhole()) as upstream,
        connected(upstream, hanging),
        connected(upstream, half),
    ):
        await upstream.until(lambda: upstream.requests and upstream.connections == 2)
        await upstream.stop()


async def test_a_faulty_script_fails_its_test() -> None:
    """What a script's function raises comes out at the end of the block."""

    def broken(_: object) -> answers.Answer:
        raise LookupError("no such answer")

    with pytest.raises(ExceptionGroup) as caught:
        async with FakeUpstream(broken) as upstream:
            await exchange(upstream)
    assert isinstance(caught.value.exceptions[0], LookupError)
