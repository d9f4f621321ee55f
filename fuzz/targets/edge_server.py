"""The listening side of the HTTP edge: arbitrary bytes raise nothing, a request reaches the handler only where a strict
reading of HTTP finds the same one, answers come in order, and what is kept stays under the caps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from fairlead.wire import Exchange, Server, ServerLimits
from fuzz.fake import Loop, connected
from fuzz.http1 import Message, requests
from fuzz.plan import Plan, read, seed

_LIMITS = ServerLimits(max_header_bytes=1024, max_headers=24, max_body_bytes=2048, max_pipelined=6)
_TURNS = 200
_LEAVES = 8
"""The flag of a plan whose client leaves once it has sent everything."""
_loop = Loop()


class _Handler:
    """Answers with the number of the request."""

    def __init__(self, *, streamed: bool, slow: bool) -> None:
        self.handled: list[Exchange] = []
        self._streamed = streamed
        self._slow = slow

    async def __call__(self, exchange: Exchange) -> None:
        number = len(self.handled)
        self.handled.append(exchange)
        headers = (("x-number", str(number)),)
        if self._slow:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        if self._streamed:
            exchange.start(200, headers)
            exchange.write(b"%d" % number)
            await exchange.drain()
            exchange.end()
        else:
            exchange.respond(200, headers, b"%d" % number)


def check(data: bytes) -> None:
    plan = read(data)
    handler = _Handler(streamed=bool(plan.flags & 1), slow=bool(plan.flags & 2))
    written = _loop.run(_serve(plan, handler))
    _check_handled(handler.handled, requests(plan.payload))
    _check_answers(written, handler.handled, left=bool(plan.flags & _LEAVES))


async def _serve(plan: Plan, handler: _Handler) -> bytes:
    """Feed a connection; returns what was written to it."""
    server = Server(handler, limits=_LIMITS)
    await server.start("127.0.0.1")
    assert _loop.listener is not None
    transport = connected(_loop.listener)
    for piece in plan.pieces:
        await _until(lambda: transport.reading or transport.closed)
        if transport.closed or not transport.reading:
            break
        transport.protocol.data_received(piece)
        if plan.flags & 4:
            await asyncio.sleep(0)
    if not plan.flags & _LEAVES:
        await _until(lambda: transport.closed)
    if not transport.closed:
        transport.protocol.eof_received()
        transport.close()
    await _until(lambda: not server.connections)
    assert not server.connections, "the connection was not counted out"
    return bytes(transport.written)


async def _until(done: Callable[[], bool]) -> None:
    """A bounded number of turns of the loop."""
    for _ in range(_TURNS):
        if done():
            return
        await asyncio.sleep(0)


def _check_handled(handled: list[Exchange], found: list[Message]) -> None:
    assert len(handled) <= len(found), f"a request was made of bytes that are none: {handled[-1].target!r}"
    for exchange, message in zip(handled, found, strict=False):
        got = (exchange.method.encode(), exchange.target, exchange.body)
        assert got == (*message.start, message.body), (got, message)
        assert exchange.headers == _headers(message), (exchange.headers, message)
        hosts = message.values(b"host")
        assert len(hosts) == 1 if message.version == "1.1" else len(hosts) <= 1, "two hosts, or none"
        assert message.start[1].startswith(b"/"), "not an absolute path"
        assert len(message.body) <= _LIMITS.max_body_bytes, "a body over the cap"
        head_bytes = len(message.start[1]) + sum(len(name) + len(value) + 4 for name, value in message.fields)
        assert head_bytes <= _LIMITS.max_header_bytes, "a head over the cap"
        assert len(message.fields) <= _LIMITS.max_headers, "fields over the cap"


def _headers(message: Message) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in message.fields:
        key, text = name.lower().decode("latin-1"), value.decode("latin-1")
        if "_" not in key:
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _check_answers(written: bytes, handled: list[Exchange], *, left: bool) -> None:
    """Each request's own answer, in order, then at most one refusal."""
    rest = written
    for number, exchange in enumerate(handled):
        rest = _after_continue(rest)
        head, found, rest = rest.partition(b"\r\n\r\n")
        if not found:
            assert not head, "half an answer"
            return  # the peer left before
        lines = head.lower().split(b"\r\n")
        assert lines[0] == b"http/1.1 200 ok", head
        assert b"x-number: %d" % number in lines, (head, number)
        digits = b"%d" % number
        if exchange.method == "HEAD":
            continue
        body = digits
        if b"transfer-encoding: chunked" in lines:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(digits), digits)
        if left and body.startswith(rest):
            return  # in the middle of a streamed answer
        assert rest.startswith(body), (rest, body)
        rest = rest[len(body) :]
    rest = _after_continue(rest)
    if rest:
        head, found, body = rest.partition(b"\r\n\r\n")
        assert found, "half a refusal"
        assert b"connection: close" in head, head
        assert b"content-length: %d" % len(body) in head, head
        assert head[9:10] in b"45", head


def _after_continue(written: bytes) -> bytes:
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    while written.startswith(interim):
        written = written[len(interim) :]
    return written


_GET = b"GET /v1/models?x=1 HTTP/1.1\r\nHost: localhost:8400\r\nX-Api-Key: k\r\n\r\n"
_POST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"  # fmt: skip
_CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\n{}\r\n0\r\nX-T: 1\r\n\r\n"
SEEDS = (
    seed(_GET),
    seed(_GET + _POST + _CHUNKED, 1, (7, 11, 1)),
    seed(_POST * 8, 6),
    seed(_POST.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"), 4, (60, 0, 0)),
    seed(_CHUNKED, 4, (1, 0, 0)),
    seed(_POST.replace(b"content-length: 2", b"content-length: 2\r\ncontent-length: 2")),
    seed(_CHUNKED.replace(b"Host: a", b"Host: a\r\nContent-Length: 4")),
    seed(_CHUNKED.replace(b"chunked", b"chunked, identity")),
    seed(_GET.replace(b"\r\n", b"\n")),
    seed(_GET.replace(b"X-Api-Key: k", b"X: a\r\n b")),
    seed(_GET.replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"X-Api-Key: k", b"Connection: keep-alive"), 1),
    seed(_GET.replace(b"X-Api-Key: k", b"x_api_key: k\r\nHost: b")),
    seed(_GET.replace(b"GET", b"HEAD").replace(b"X-Api-Key: k", b"Connection: close") + _GET),
    seed(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
    seed(b"GET http://a/ HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"),
    seed(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"),
    seed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    seed(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    seed(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"x: y\r\n" * 30 + b"\r\n"),
    seed(b"GET /" + b"a" * 1100 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 4, (100, 0, 0)),
    seed(_POST.replace(b"content-length: 2", b"content-length: 99999")),
)
WORDS = (
    b"GET ", b"POST ", b"HEAD ", b" HTTP/1.1", b" HTTP/1.0", b"\r\n", b"\r\n\r\n", b"\n", b"Host: a", b"Content-Length: ",
    b"Transfer-Encoding: chunked", b"Connection: close", b"Connection: keep-alive", b"Upgrade: h2c", b"Expect: 100-continue",
    b"0\r\n\r\n", b"1\r\nx\r\n", b";ext=1", b"\t", b"\x00", b"\x0b", b"+2", b"0x2", b"ffffffffffffffff", b", ", b"_", b"18446744073709551616",
)  # fmt: skip
