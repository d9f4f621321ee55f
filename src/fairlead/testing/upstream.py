"""A provider on a real socket that does exactly what a test tells it, and remembers everything.

It is written on asyncio streams, without `fairlead.wire`: a second opinion on what goes over the connection.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import TracebackType
from typing import Self

from fairlead.ports import Clock
from fairlead.testing.answers import Answer
from fairlead.testing.clock import LoopClock
from fairlead.testing.script import Reaction, Received, Script, parse_head, speak_openai

_HEAD_LIMIT_BYTES = 4 << 20


class _ClientLeft(Exception):
    """The client closed or reset its connection."""


class _Connection(asyncio.StreamReaderProtocol):
    """A connection that notices at once when its client leaves, also while nothing is read or written."""

    def __init__(self, clock: Clock, number: int, connected: Callable[[_Connection], None]) -> None:
        reader = asyncio.StreamReader(limit=_HEAD_LIMIT_BYTES)
        super().__init__(reader, self._opened)
        self.reader = reader
        self.writer: asyncio.StreamWriter
        self.number = number
        self.left_ns: int | None = None
        self._clock = clock
        self._connected = connected
        self._waiting: asyncio.Future[None] | None = None

    def _opened(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        self._connected(self)

    def eof_received(self) -> bool | None:
        """The client has closed its side, which an HTTP client does only when it leaves."""
        self._left()
        return super().eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._left()
        super().connection_lost(exc)

    def _left(self) -> None:
        if self.left_ns is None:
            self.left_ns = self._clock.monotonic_ns()
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def pause(self, seconds: float | None) -> None:
        """Wait so long, for ever if `None`.

        Raises:
            _ClientLeft: as soon as it does.
        """
        if seconds == 0:
            await asyncio.sleep(0)
        elif self.left_ns is None:
            self._waiting = asyncio.get_running_loop().create_future()
            timer = None if seconds is None else self._clock.timer(seconds, self._wake)
            try:
                await self._waiting
            finally:
                self._waiting = None
                if timer is not None:
                    timer.cancel()
        if self.left_ns is not None:
            raise _ClientLeft

    def reset(self) -> None:
        """Drop the connection with a TCP reset."""
        sock: socket.socket = self.writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


class FakeUpstream:
    """A scripted HTTP/1.1 server on a free port of 127.0.0.1; without a script it speaks OpenAI chat.

        async with FakeUpstream([openai_error(429, "slow down"), openai_reply("Hi")]) as upstream:
            ...
            assert len(upstream.requests) == 2

    Args:
        script: answers, or functions from request to answer, in the order of the requests.
        default: the answer once the script is used up.
        clock: measures latencies and pauses; the loop's own time by default.
        tls: serve https with this context.
    """

    def __init__(
        self,
        script: Reaction | Iterable[Reaction] | None = None,
        *,
        default: Reaction = speak_openai,
        clock: Clock | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._script = Script(script, default)
        self._clock = LoopClock() if clock is None else clock
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._open: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: list[Exception] = []
        self.port = 0
        self.connections = 0
        """How many were ever opened."""
        self.then = self._script.then
        self.until = self._script.until

    @property
    def requests(self) -> list[Received]:
        """Every request so far, in order of arrival."""
        return self._script.requests

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What a provider's `base_url` is set to."""
        return f"{self.origin}/v1"

    @property
    def open_connections(self) -> int:
        """How many stand now."""
        return len(self._open)

    @property
    def closed_connections(self) -> int:
        """How many have ended, on either side."""
        return self.connections - len(self._open)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()
        if self._failures and error is None:
            msg = "the fake upstream could not play its script"
            raise ExceptionGroup(msg, self._failures)

    async def start(self) -> None:
        """Listen; after a `stop`, on the same port again."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._accept, "127.0.0.1", self.port, ssl=self._tls, backlog=4096)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Drop every connection and refuse new ones."""
        if self._server is None:
            return
        self._server.close()
        for connection in self._open:
            connection.writer.transport.abort()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.until(lambda: not self._open)
        await self._server.wait_closed()
        self._server = None

    def _accept(self) -> _Connection:
        return _Connection(self._clock, self.connections + 1, self._connected)

    def _connected(self, connection: _Connection) -> None:
        self.connections += 1
        self._open.add(connection)
        task = asyncio.get_running_loop().create_task(self._serve(connection), name="fake-upstream")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._script.changed()

    async def _serve(self, connection: _Connection) -> None:
        try:
            while (request := await self._receive(connection)) is not None:
                answer = self._script.answer(request)
                await self._answer(connection, request, answer)
                if answer.closes or connection.left_ns is not None or _wants_close(request):
                    break
        except Exception as error:  # noqa: BLE001 - kept for the end of the test
            self._failures.append(error)
        finally:
            connection.writer.close()
            with suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await connection.writer.wait_closed()
            connection.writer.transport.abort()
            self._open.discard(connection)
            self._script.changed()

    async def _receive(self, connection: _Connection) -> Received | None:
        """The next request; `None` when the client sends none."""
        reader = connection.reader
        try:
            method, path, headers = parse_head((await reader.readuntil(b"\r\n\r\n"))[:-4])
            if headers.get("expect", "").lower() == "100-continue":
                connection.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            if headers.get("transfer-encoding", "").lower() == "chunked":
                body = await _read_chunks(reader)
            else:
                body = await reader.readexactly(int(headers.get("content-length", "0")))
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            return None
        return Received(
            method=method,
            path=path,
            headers=headers,
            body=body,
            at_ns=self._clock.monotonic_ns(),
            connection=connection.number,
        )

    async def _answer(self, connection: _Connection, request: Received, answer: Answer) -> None:
        try:
            await self._send(connection, request, answer)
            request.answered_ns = self._clock.monotonic_ns()
        except (_ClientLeft, ConnectionError, ssl.SSLError):
            now_ns = self._clock.monotonic_ns()
            request.closed_early_ns = now_ns if connection.left_ns is None else connection.left_ns
            return
        finally:
            self._script.changed()
        if answer.slow_close_s is not None:
            with suppress(_ClientLeft):
                await connection.pause(answer.slow_close_s)

    async def _send(self, connection: _Connection, request: Received, answer: Answer) -> None:
        await connection.pause(answer.latency_s)
        if answer.kind == "blackhole":
            await connection.pause(None)
        if answer.kind == "refuse":
            connection.reset()
            return
        await self._send_body(connection, request, answer)
        if answer.ending == "stall":
            await connection.pause(None)
        if answer.ending == "reset":
            await connection.pause(0)
            connection.reset()

    async def _send_body(self, connection: _Connection, request: Received, answer: Answer) -> None:
        writer, pieces = connection.writer, list(answer.sent())
        if answer.kind == "http":
            writer.write(answer.head())
        for left, piece in zip(range(len(pieces) - 1, -1, -1), pieces, strict=True):
            await connection.pause(answer.pause_s)
            data = b"%x\r\n%b\r\n" % (len(piece), piece) if answer.chunked else piece
            if answer.chunked and answer.ending == "complete" and not left:
                data += b"0\r\n\r\n"
            writer.write(data)
            await writer.drain()
            request.sent_bytes += len(piece)
            self._script.changed()
        if answer.chunked and answer.ending == "complete" and not pieces:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


def _wants_close(request: Received) -> bool:
    return request.headers.get("connection", "").lower() == "close"


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    body = bytearray()
    while True:
        size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
        body += await reader.readexactly(size)
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass
            return bytes(body)
        await reader.readexactly(2)
