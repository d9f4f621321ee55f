"""The connecting side of the HTTP edge: whatever a provider answers ends as an answer or an error of ours, the same one
however the bytes were cut, and an answer is what a strict reading of HTTP finds in them.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from typing import Any

from fairlead.errors import UpstreamProtocol, UpstreamUnreachable
from fairlead.wire import Origin, Pool
from fuzz.fake import Loop
from fuzz.http1 import Bad, Message, Short, answer
from fuzz.plan import read, seed

_DECODED_BYTES = 64 * 1024
_READ_BYTES = 16 * 1024
_TURNS = 200
_ORIGIN = Origin(scheme="http", host="1.1.1.1", port=80)
_REQUEST = b"GET / HTTP/1.1\r\nhost: 1.1.1.1\r\n"
_loop = Loop()
_loop.accepts = True


def check(data: bytes) -> None:
    plan = read(data)
    whole = _loop.run(_exchange([plan.payload]))
    pieces = _loop.run(_exchange(plan.pieces))
    assert whole[:2] == pieces[:2] or _is_cut_short(whole, pieces), (whole, pieces)
    _check_against_oracle(whole, plan.payload)


def _is_cut_short(whole: tuple[Any, ...], pieces: tuple[Any, ...]) -> bool:
    """Both failed, and only with another of our errors: a fault may be seen before or after the end of the bytes."""
    return bool(whole[0] == pieces[0] == "error")


async def _exchange(pieces: list[bytes]) -> tuple[Any, ...]:
    """`ok` with status, headers and body, or `error` with its class; at last whether the connection was kept."""
    pool = Pool(_ORIGIN, max_decoded_bytes=_DECODED_BYTES)
    _loop.opened.clear()
    reader = asyncio.get_running_loop().create_task(_read(pool))
    try:
        kept = await _fed(pool, pieces)
        result = await asyncio.wait_for(reader, 5)
    finally:
        reader.cancel()
        await pool.aclose()
    await _until(lambda: not pool.in_use + pool.idle)
    assert not pool.in_use + pool.idle, "a slot leaked"
    assert len(_loop.opened) == 1, "sent again by itself"
    return (*result, kept)


async def _fed(pool: Pool, pieces: list[bytes]) -> int:
    """Answer with these pieces and an end; returns how many connections were kept before the end."""
    await _until(lambda: bool(_loop.opened) and bool(_loop.opened[0].written))
    transport = _loop.opened[0]
    for piece in pieces:
        await _until(lambda: transport.reading or transport.closed)
        if transport.closed:
            break
        transport.protocol.data_received(piece)
        await asyncio.sleep(0)
    kept = pool.idle
    if not transport.closed:
        transport.protocol.eof_received()
        transport.close()
    return kept


async def _until(done: Callable[[], bool]) -> None:
    """A bounded number of turns of the loop."""
    for _ in range(_TURNS):
        if done():
            return
        await asyncio.sleep(0)


async def _read(pool: Pool) -> tuple[Any, ...]:
    try:
        incoming = await pool.send(_REQUEST, b"", 5.0)
        body = await incoming.read(_READ_BYTES)
    except (UpstreamProtocol, UpstreamUnreachable) as error:
        return "error", type(error).__name__
    return "ok", (incoming.status, dict(incoming.headers), body)


def _check_against_oracle(result: tuple[Any, ...], payload: bytes) -> None:
    if result[0] != "ok":
        return
    status, headers, body = result[1]
    try:
        message = answer(payload)
    except (Bad, Short) as error:
        raise AssertionError(f"an answer was made of bytes that hold none: {type(error).__name__} {error}") from None
    assert status == int(message.start[0])
    expected = _headers(message)
    if "content-encoding" in expected and "content-encoding" not in headers:
        coding = expected.pop("content-encoding")
        expected.pop("content-length", None)
        assert body == _decoded(coding, message.body), "decoded to something else"
    else:
        assert body == message.body, (body, message.body)
    assert headers == expected, (headers, expected)
    assert not (message.until_close and result[2]), "a connection was kept whose end is the end of the answer"


def _headers(message: Message) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in message.fields:
        key, text = name.lower().decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return headers


def _decoded(coding: str, body: bytes) -> bytes:
    if coding.lower() == "deflate":
        try:
            return zlib.decompress(body)
        except zlib.error:
            return zlib.decompressobj(-15).decompress(body)
    return zlib.decompress(body, 31)


def _packed(data: bytes, bits: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, bits)
    return packer.compress(data) + packer.flush()


def _coded(coding: bytes, body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b" % (coding, len(body), body)


_PLAIN = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{"a": "b"}\n'
_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;x\r\ndata\r\n3\r\n: x\r\n0\r\nT: 1\r\n\r\n"
SEEDS = (
    seed(_PLAIN),
    seed(_PLAIN + _PLAIN, 0, (5, 30, 1)),
    seed(_CHUNKED, 0, (1, 0, 0)),
    seed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + _CHUNKED, 0, (9, 0, 0)),
    seed(b"HTTP/1.0 200 OK\r\n\r\nuntil the end"),
    seed(b"HTTP/1.1 204 No Content\r\n\r\n"),
    seed(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
    seed(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
    seed(b"HTTP/1.1 200\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"),
    seed(_CHUNKED.replace(b"chunked", b"gzip, chunked")),
    seed(_CHUNKED.replace(b"Transfer", b"Content-Length: 3\r\nTransfer")),
    seed(_PLAIN.replace(b"11", b"11\r\nContent-Length: 12")),
    seed(_coded(b"gzip", _packed(b"hello" * 50, 31)), 0, (10, 0, 0)),
    seed(_coded(b"deflate", _packed(b"hello", 15)), 0, (3, 0, 0)),
    seed(_coded(b"deflate", _packed(b"hello", -15))),
    seed(_coded(b"gzip", _packed(b"a" * 100_000, 31))),
    seed(_coded(b"br", b"xx")),
    seed(_PLAIN[:-3]),
    seed(b"<html>no http</html>"),
    seed(b""),
)
WORDS = (
    b"HTTP/1.1 200 OK", b"HTTP/1.0 ", b"HTTP/1.1 100 Continue\r\n\r\n", b"\r\n", b"\r\n\r\n", b"\n", b"Content-Length: ", b"0\r\n\r\n",
    b"Transfer-Encoding: chunked", b"Connection: close", b"Connection: keep-alive", b"Content-Encoding: gzip",
    b"Content-Encoding: deflate", b"Content-Encoding: identity", b"1\r\nx\r\n", b"204", b"304", b"101", b"Upgrade: x", b"ffffffffffffffff",
)  # fmt: skip
