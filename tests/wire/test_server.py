"""The server on real sockets: answering, keeping alive, draining, noticing who leaves."""

from __future__ import annotations

import asyncio
import socket

import pytest
from tests.wire.conftest import GET, connected, echo, post, serving, until

from fairlead.wire import Server


async def test_answers_a_request():
    """A request with a body is answered whole, with its length."""
    async with serving(echo) as server, connected(server) as peer:
        status, headers, body = await peer.ask(post(b"hello", "/a?b=c"))

    assert (status, body) == (200, b"POST /a hello")
    assert headers == {b"content-type": b"text/plain", b"content-length": b"13"}


async def test_keeps_the_connection_alive():
    """Requests one after the other use one connection."""
    async with serving(echo) as server, connected(server) as peer:
        bodies = [(await peer.ask(post(str(number).encode())))[2] for number in range(3)]
        connections = server.connections

    assert bodies == [b"POST / 0", b"POST / 1", b"POST / 2"]
    assert connections == 1


async def test_says_close_when_asked_to():
    """`Connection: close` is answered in kind, and the connection ends."""
    async with serving(echo) as server, connected(server) as peer:
        _, headers, _ = await peer.ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

        assert headers[b"connection"] == b"close"
        assert await peer.is_closed()


async def test_http_1_0_closes_unless_asked_to_keep_alive():
    """An HTTP/1.0 client keeps its connection only if it asks, and is told so."""
    async with serving(echo) as server, connected(server) as peer:
        _, kept, _ = await peer.ask(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        _, closed, _ = await peer.ask(b"GET / HTTP/1.0\r\n\r\n")

        assert kept[b"connection"] == b"keep-alive"
        assert closed[b"connection"] == b"close"
        assert await peer.is_closed()


async def test_pipelined_requests_are_answered_in_order():
    """A later request waits until the earlier one is answered, however long that takes."""
    release = asyncio.Event()

    async def handler(exchange):
        if exchange.body == b"0":
            await release.wait()
        await echo(exchange)

    async with serving(handler) as server, connected(server) as peer:
        peer.write(b"".join(post(str(number).encode()) for number in range(5)))
        release.set()
        bodies = [(await peer.answer())[2] for _ in range(5)]

    assert bodies == [b"POST / %d" % number for number in range(5)]


async def test_reading_goes_on_after_a_pipelined_burst():
    """Reading stops while requests queue, and goes on when they are answered."""
    async with serving(echo) as server, connected(server) as peer:
        for _ in range(3):
            peer.write(GET * 20)
            for _ in range(20):
                assert (await peer.answer())[0] == 200


async def test_a_request_before_a_close_is_answered_first():
    """The answer to an earlier pipelined request does not claim to be the last."""
    async with serving(echo) as server, connected(server) as peer:
        peer.write(GET + b"GET /last HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + GET)
        first = await peer.answer()
        second = await peer.answer()

        assert b"connection" not in first[1]
        assert second[2] == b"GET /last "
        assert await peer.is_closed()


async def test_a_malformed_request_is_refused_after_the_ones_before_it():
    """A refusal waits for its turn."""
    async with serving(echo) as server, connected(server) as peer:
        peer.write(GET + b"nonsense\r\n\r\n")

        assert (await peer.answer())[0] == 200
        assert (await peer.answer())[0] == 400
        assert await peer.is_closed()


async def test_a_chunked_request_is_joined():
    """The handler sees one body, whatever its framing, cut at any byte."""
    request = (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nT: v\r\n\r\n"
    )
    async with serving(echo) as server, connected(server) as peer:
        for byte in request:
            peer.write(bytes([byte]))
            await asyncio.sleep(0)
        _, _, body = await peer.answer()

    assert body == b"POST / abcde"


async def test_a_stream_is_sent_in_chunks():
    """Head and first chunk go out together, and each later chunk by itself."""
    step = asyncio.Event()

    async def handler(exchange):
        exchange.start(200, {"content-type": "text/event-stream"})
        exchange.write(b"one")
        await step.wait()
        exchange.write(b"two")
        exchange.end()

    async with serving(handler) as server, connected(server) as peer:
        peer.write(GET)
        first = await peer.reader.read(1000)
        step.set()
        second = await peer.reader.readuntil(b"0\r\n\r\n")

    assert first.endswith(b"transfer-encoding: chunked\r\n\r\n3\r\none\r\n")
    assert second == b"3\r\ntwo\r\n0\r\n\r\n"


async def test_a_stream_to_http_1_0_ends_with_the_connection():
    """A client that knows no chunks gets the bare body."""

    async def handler(exchange):
        exchange.start(200, {})
        exchange.write(b"one")
        exchange.write(b"two")
        exchange.end()

    async with serving(handler) as server, connected(server) as peer:
        peer.write(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        answer = await peer.reader.read()

    assert answer == b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nonetwo"


async def test_a_stream_that_breaks_off_arrives_and_ends_without_its_framing():
    """All that was written comes, then the connection closes without the last chunk."""

    async def handler(exchange):
        exchange.start(200, {})
        exchange.write(b"one")
        exchange.write(b"broken")
        exchange.break_off()

    async with serving(handler) as server, connected(server) as peer:
        peer.write(GET)
        answer = await peer.reader.read()

    assert answer.endswith(b"\r\n\r\n3\r\none\r\n6\r\nbroken\r\n")


async def breaking(exchange):
    exchange.start(200, {})
    exchange.write(b"broken")
    exchange.break_off()


async def test_what_broke_off_can_be_read_before_the_connection_closes():
    """A peer that reads more slowly than it is written to keeps the connection for a moment; one that leaves ends it."""
    async with serving(breaking, break_s=60) as server:
        async with connected(server) as peer:
            peer.write(GET)
            received = await peer.reader.readuntil(b"broken\r\n")
            open_then = (server.connections, peer.reader.at_eof())
        while server.connections:  # noqa: ASYNC110 - the server does not tell
            await asyncio.sleep(0)

    assert received.endswith(b"\r\n\r\n6\r\nbroken\r\n")
    assert open_then == (1, False)


async def test_draining_does_not_wait_for_readers_of_what_broke_off():
    """Such a connection closes at once."""
    async with serving(breaking, break_s=60) as server, connected(server) as peer:
        peer.write(GET)
        await peer.reader.readuntil(b"broken\r\n")
        await asyncio.wait_for(server.drain(10), 1)
        rest = await peer.reader.read()

    assert rest == b""


async def test_a_request_behind_what_broke_off_is_not_answered():
    """The connection is over for both sides."""
    async with serving(breaking, break_s=0.2) as server, connected(server) as peer:
        peer.write(GET)
        await peer.reader.readuntil(b"broken\r\n")
        peer.write(GET)
        rest = await peer.reader.read()

    assert rest == b""


async def test_only_an_answer_that_has_begun_breaks_off():
    """Before its start it raises; after its end it does nothing."""
    raised = []

    async def handler(exchange):
        try:
            exchange.break_off()
        except RuntimeError as error:
            raised.append(str(error))
        exchange.respond(200, {}, b"ok")
        exchange.break_off()

    async with serving(handler) as server, connected(server) as peer:
        peer.write(GET * 2)
        answers = [await peer.answer() for _ in range(2)]

    assert raised == ["the answer has not been started"] * 2
    assert [body for _, _, body in answers] == [b"ok", b"ok"]


@pytest.mark.parametrize("streamed", [False, True])
async def test_head_has_no_body(streamed):
    """An answer to HEAD carries the headers of the real one and no body."""

    async def handler(exchange):
        if streamed:
            exchange.start(200, {})
            exchange.write(b"body")
            exchange.end()
        else:
            exchange.respond(200, {}, b"body")

    async with serving(handler) as server, connected(server) as peer:
        peer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await peer.reader.readuntil(b"\r\n\r\n")
        peer.write(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        rest = await peer.reader.read()

    framing = b"transfer-encoding: chunked" if streamed else b"content-length: 4"
    assert head == b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n"
    assert rest == b"HTTP/1.1 200 OK\r\nconnection: close\r\n" + framing + b"\r\n\r\n"


@pytest.mark.parametrize("status", [204, 304])
async def test_some_statuses_have_no_body(status):
    """204 and 304 carry neither a body nor a length."""

    async def handler(exchange):
        exchange.respond(status, {}, b"")

    async with serving(handler) as server, connected(server) as peer:
        peer.write(GET)
        head = await peer.reader.readuntil(b"\r\n\r\n")
        again = await peer.ask(GET)

    assert b"content-length" not in head
    assert again[0] == status


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\rb", "a\0b"])
async def test_a_header_cannot_smuggle_a_line(value):
    """A header value with a line break or NUL is refused, and the client gets a 500 instead."""
    faults = []

    async def handler(exchange):
        try:
            exchange.respond(200, [("x-name", value)], b"")
        except ValueError as error:
            faults.append(error)
            exchange.respond(500, {}, b"")

    async with serving(handler) as server, connected(server) as peer:
        status, _, _ = await peer.ask(GET)

    assert status == 500
    assert len(faults) == 1


async def test_framing_headers_are_not_the_handlers():
    """A handler that sets the length itself is at fault."""

    async def handler(exchange):
        with pytest.raises(ValueError, match="content-length"):
            exchange.respond(200, {"content-length": "7"}, b"")
        with pytest.raises(ValueError, match="transfer-encoding"):
            exchange.start(200, {"transfer-encoding": "chunked"})
        await echo(exchange)

    async with serving(handler) as server, connected(server) as peer:
        assert (await peer.ask(GET))[0] == 200


async def test_an_answer_is_given_once():
    """A second answer is an error of the handler's, not bytes on the wire."""

    async def handler(exchange):
        await echo(exchange)
        with pytest.raises(RuntimeError):
            exchange.respond(200, {}, b"again")
        with pytest.raises(RuntimeError):
            exchange.start(200, {})
        exchange.write(b"more")
        exchange.end()

    async with serving(handler) as server, connected(server) as peer:
        assert (await peer.ask(GET))[2] == b"GET / "
        assert (await peer.ask(GET))[2] == b"GET / "


async def test_a_failing_handler_is_a_500():
    """An exception before the answer becomes a plain JSON 500, and the connection lives on."""
    contexts = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: contexts.append(context))

    async def handler(exchange):
        if exchange.path == "/start":
            exchange.start(200, {})
        if exchange.path != "/silent":
            raise ZeroDivisionError

    async with serving(handler) as server, connected(server) as peer:
        for path in (b"/", b"/start", b"/silent"):
            status, headers, body = await peer.ask(b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % path)
            assert status == 500
            assert headers[b"content-type"] == b"application/json"
            assert b'"code":"internal_error"' in body

    assert [type(context["exception"]) for context in contexts] == [ZeroDivisionError] * 2


async def test_a_handler_that_fails_mid_stream_aborts():
    """Once bytes are out, a failure must not look like a whole answer."""
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)

    async def handler(exchange):
        exchange.start(200, {})
        exchange.write(b"part")
        raise ZeroDivisionError

    async with serving(handler) as server, connected(server) as peer:
        peer.write(GET)
        try:
            received = await peer.reader.read()
        except ConnectionResetError:
            received = b""

    assert not received.endswith(b"0\r\n\r\n")


async def test_a_departure_cancels_the_handler():
    """When the peer goes away, the exchange knows first, then the handler is cancelled."""
    seen = []
    started = asyncio.Event()

    async def handler(exchange):
        exchange.on_disconnect = lambda: seen.append(("told", exchange.disconnected))
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append(("cancelled", exchange.disconnected))
            raise

    async with serving(handler) as server:
        async with connected(server) as peer:
            peer.write(post(b"x"))
            await started.wait()
        await until(lambda: server.connections == 0)

    assert seen == [("told", True), ("cancelled", True)]


async def test_a_departure_mid_stream_is_noticed():
    """A reset connection ends the stream's handler as well."""
    gone = asyncio.Event()

    async def handler(exchange):
        exchange.on_disconnect = gone.set
        exchange.start(200, {})
        while True:
            exchange.write(b"x" * 100)
            await exchange.drain()
            await asyncio.sleep(0.001)

    async with serving(handler) as server, connected(server) as peer:
        peer.write(GET)
        await peer.reader.readuntil(b"\r\n\r\n")
        peer.reset()
        await asyncio.wait_for(gone.wait(), 2)
        await until(lambda: server.connections == 0)


async def test_a_departure_after_the_answer_lets_the_handler_finish():
    """What a handler does after the answer is not cut short by the peer's leaving."""
    finished = asyncio.Event()
    leave = asyncio.Event()

    async def handler(exchange):
        await echo(exchange)
        await leave.wait()
        finished.set()

    async with serving(handler) as server:
        async with connected(server) as peer:
            await peer.ask(GET)
        leave.set()
        await asyncio.wait_for(finished.wait(), 2)
        await until(lambda: server.connections == 0)


async def test_a_slow_reader_holds_the_handler_back():
    """`drain` waits while the peer does not read, so memory stays bounded."""
    written = 0

    async def handler(exchange):
        nonlocal written
        exchange.start(200, {})
        for _ in range(300):
            exchange.write(b"x" * 65536)
            written += 65536
            await exchange.drain()
        exchange.end()

    async with serving(handler) as server, connected(server) as peer:
        peer.write(GET)
        await peer.reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(0.1)
        held_at = written
        while chunk := await peer.chunk():
            assert len(chunk) == 65536

    assert held_at < 16 * 1024 * 1024
    assert written == 300 * 65536


async def test_a_peer_that_never_reads_is_cut():
    """After `write_s` without progress the connection is dropped and the handler cancelled."""
    gone = asyncio.Event()

    async def handler(exchange):
        exchange.on_disconnect = gone.set
        exchange.start(200, {})
        while True:
            exchange.write(b"x" * 65536)
            await exchange.drain()

    async with serving(handler, write_s=0.05) as server, connected(server) as peer:
        peer.write(GET)
        await asyncio.wait_for(gone.wait(), 2)
        await until(lambda: server.connections == 0)


async def test_draining_closes_idle_connections_at_once():
    """A connection without a request does not hold up the end."""
    async with serving(echo) as server, connected(server) as peer:
        await peer.ask(GET)
        await asyncio.wait_for(server.drain(10), 1)

        assert await peer.is_closed()
        assert server.connections == 0


async def test_draining_lets_requests_finish():
    """A running request is answered, with word that the connection closes."""
    release = asyncio.Event()
    running = asyncio.Event()

    async def handler(exchange):
        running.set()
        await release.wait()
        await echo(exchange)

    async with serving(handler) as server, connected(server) as peer:
        peer.write(GET)
        await running.wait()
        drained = asyncio.create_task(server.drain(5))
        await asyncio.sleep(0)
        release.set()
        status, headers, _ = await peer.answer()
        await drained

    assert (status, headers[b"connection"]) == (200, b"close")


async def test_draining_takes_no_new_connections():
    """The port is closed first."""
    async with serving(echo) as server:
        port = server.port
        await server.drain(1)
        with pytest.raises(OSError):
            await asyncio.open_connection("127.0.0.1", port)


async def test_what_outlasts_the_drain_is_cancelled():
    """Past the timeout the handler is cancelled, and not told that its peer left."""
    seen = []
    running = asyncio.Event()

    async def handler(exchange):
        running.set()
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(exchange.disconnected)

    async with serving(handler) as server, connected(server) as peer:
        peer.write(GET)
        await running.wait()
        await server.drain(0.02)

        assert await peer.is_closed()
        await until(lambda: server.connections == 0)

    assert seen == [False]


async def test_listens_on_a_given_socket():
    """A socket that is bound already is used as it is."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        server = Server(echo)
        await server.start(sock=sock)
        try:
            assert server.port == port
            async with connected(server) as peer:
                assert (await peer.ask(GET))[0] == 200
        finally:
            await server.drain(0.2)


async def test_two_servers_share_a_port():
    """`reuse_port` lets a second worker listen where the first one does."""
    first, second = Server(echo), Server(echo)
    await first.start("127.0.0.1", 0, reuse_port=True)
    try:
        await second.start("127.0.0.1", first.port, reuse_port=True)
        assert second.port == first.port
    finally:
        await first.drain(0.2)
        await second.drain(0.2)


async def test_small_writes_are_not_delayed():
    """Connections have Nagle's algorithm off."""
    seen = []

    async def handler(exchange):
        sock = exchange._carrier.transport.get_extra_info("socket")
        seen.append(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        await echo(exchange)

    async with serving(handler) as server, connected(server) as peer:
        await peer.ask(GET)

    assert seen[0] != 0


async def test_the_exchange_shows_the_request():
    """Names are lower case, repeated fields joined, underscores dropped; path and query stay as sent."""
    seen = []

    async def handler(exchange):
        seen.append(exchange)
        await echo(exchange)

    request = (
        b"GET /a%2fb//c;d/?q=%20&r HTTP/1.1\r\nHost: X:80\r\nX-Two: 1\r\nx-two:  2 \r\n"
        b"X_Two: 3\r\nX-Latin: \xe9\r\nX-Empty:\r\n\r\n"
    )
    async with serving(handler) as server, connected(server) as peer:
        await peer.ask(request)

    (exchange,) = seen
    assert exchange.path == "/a%2fb//c;d/"
    assert exchange.query == "q=%20&r"
    assert exchange.target == b"/a%2fb//c;d/?q=%20&r"
    assert exchange.headers == {"host": "X:80", "x-two": "1, 2", "x-latin": "é", "x-empty": ""}
    assert exchange.peer == "127.0.0.1"
    assert not exchange.is_tls
