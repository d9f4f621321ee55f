"""Real sockets on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import uvloop

from fairlead.wire import Handler, Origin, Pool, Server, ServerLimits

Raw = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def pytest_asyncio_loop_factories(config, item):
    """Every test of this folder runs on both loops."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


@asynccontextmanager
async def serving(handler: Handler, *, ssl_context=None, **limits) -> AsyncIterator[Server]:
    """A server of ours on a free port of the loopback."""
    server = Server(handler, limits=ServerLimits(**limits))
    await server.start("127.0.0.1", 0, ssl_context=ssl_context)
    try:
        yield server
    finally:
        await server.drain(0.2)


@asynccontextmanager
async def upstream(play: Raw, *, ssl_context=None, **options) -> AsyncIterator[Pool]:
    """A pool on an upstream that does to each connection what `play` says."""
    tasks: set[asyncio.Task] = set()

    async def run(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await play(reader, writer)
        finally:
            writer.close()

    listener = await asyncio.start_server(run, "127.0.0.1", 0, ssl=ssl_context)
    port = listener.sockets[0].getsockname()[1]
    scheme = "http" if ssl_context is None else "https"
    async with pooling(f"{scheme}://localhost:{port}", **options) as pool:
        try:
            yield pool
        finally:
            listener.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.sleep(0)


@asynccontextmanager
async def pooling(url: str, *, client_ssl=None, allow_private=True, **options) -> AsyncIterator[Pool]:
    """A pool that may go to the loopback."""
    pool = Pool(Origin.of(url), ssl_context=client_ssl, allow_private=allow_private, **options)
    try:
        yield pool
    finally:
        await pool.aclose()


class Peer:
    """A client that speaks raw bytes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self) -> tuple[int, dict[bytes, bytes], bytes]:
        """One answer, framed by its length or its chunks."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        first, *lines = head[:-4].split(b"\r\n")
        headers = dict(line.split(b": ", 1) for line in lines)
        if b"content-length" in headers:
            body = await self.reader.readexactly(int(headers[b"content-length"]))
        elif headers.get(b"transfer-encoding") == b"chunked":
            body = b""
            while chunk := await self.chunk():
                body += chunk
        else:
            body = b""
        return int(first.split()[1]), headers, body

    async def chunk(self) -> bytes:
        size = int(await self.reader.readline(), 16)
        data = await self.reader.readexactly(size)
        await self.reader.readexactly(2)
        return data

    async def ask(self, data: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
        self.write(data)
        return await self.answer()

    async def is_closed(self) -> bool:
        """Reads to the end of the connection; says whether it came without further bytes."""
        try:
            return await asyncio.wait_for(self.reader.read(), 2) == b""
        except ConnectionResetError:
            return True

    def reset(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def connected(server: Server, *, limit: int = 2**16) -> AsyncIterator[Peer]:
    """A raw connection to a server of ours."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=limit)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def until(condition: Callable[[], bool]) -> None:
    """Returns as soon as the condition holds; fails after two seconds."""
    async with asyncio.timeout(2):
        while not condition():  # noqa: ASYNC110 - the conditions are counters, not events
            await asyncio.sleep(0.001)


async def echo(exchange) -> None:
    """Answers with the request's method, path and body."""
    body = f"{exchange.method} {exchange.path} ".encode() + exchange.body
    exchange.respond(200, [("content-type", "text/plain")], body)


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


def post(body: bytes, path: str = "/") -> bytes:
    """A request with a body of known length."""
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
