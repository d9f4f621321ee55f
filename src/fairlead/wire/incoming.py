"""An answer from upstream whose head has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from fairlead.errors import UpstreamProtocol, UpstreamUnreachable
from fairlead.wire.decoding import Decoder, DecodingError
from fairlead.wire.fields import Fields

HIGH_WATER_BYTES = 16 * 1024
"""Unread bytes above which reading from the socket stops until the reader waits for more.

One read of a socket can bring 256 KiB, and a reader that passes that on may have to wait for a slow peer: until it is
back, nothing is added to what it holds (FAULTS S19)."""


class Source(Protocol):
    """What an answer needs of its connection."""

    where: str
    paused: bool
    """Whether reading from the socket is stopped."""

    def resume(self) -> None:
        """Read from the socket again."""
        ...

    def close(self) -> None:
        """Close the connection hard and give up its place in the pool."""
        ...


class Incoming:
    """Status, headers and body of one answer.  For one reader; `abort` may come from anywhere on the loop.

    A reader takes what has arrived, and waits only where that is nothing:

        while (chunk := incoming.take()) is not None:
            if chunk:
                ...
            else:
                await incoming.arrival()
    """

    __slots__ = (
        "_chunks",
        "_decoder",
        "_error",
        "_exhausted",
        "_open",
        "_source",
        "_waiter",
        "headers",
        "high_water",
        "status",
        "tap",
        "unread",
    )

    def __init__(
        self, status: int, fields: Fields, source: Source, chunks: list[bytes], decoder: Decoder | None
    ) -> None:
        self.status = status
        self.headers: Mapping[str, str] = (
            fields if decoder is None else fields.without("content-encoding", "content-length")
        )
        self.unread = 0
        """About how many bytes were received and not yet taken."""
        self.high_water = HIGH_WATER_BYTES
        """How many may be unread before reading from the socket stops."""
        self.tap: Callable[[bytes], bool] | None = None
        """Offered what arrives while the reader waits, in that very turn of the loop; what it takes (it says so) wakes
        nobody."""
        self._chunks = chunks  # the connection's own list, until the body is complete
        self._source = source
        self._open = True  # more may come
        self._decoder = decoder
        self._waiter: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._exhausted = False

    # --- for the connection ---

    def arrived(self) -> None:
        """Let the reader go on; one that waits for a whole body goes on when it is whole, or too large."""
        small = self.unread <= HIGH_WATER_BYTES
        if small and self.tap is not None and self._waiter is not None and self._decoder is None and self._chunks:
            chunk = self._taken()
            if self.tap(chunk):
                return
            self._chunks.append(chunk)
            self.unread = len(chunk)
        if self.high_water == HIGH_WATER_BYTES or self.unread > self.high_water:
            self._wake()

    def complete(self) -> None:
        """The body has been received as its framing says; the connection belongs to the pool again."""
        chunks = self._chunks
        self._chunks = chunks.copy()
        chunks.clear()
        self._open = False
        if self._waiter is not None:
            self._wake()

    def fail(self, error: BaseException) -> None:
        """The body will not come.  What has arrived before is still read first."""
        self._open = False
        self._error = error
        self._wake()

    # --- for the reader ---

    @property
    def ended(self) -> bool:
        """Whether the whole body has come and was taken."""
        return self._exhausted or not (self._open or self._chunks or self._error or self._decoder)

    def take(self) -> bytes | None:
        """All body bytes that arrived since the last call; empty if none did, `None` at the body's end.

        Raises:
            UpstreamProtocol: not framed as HTTP says, or not of its content coding.
            UpstreamUnreachable: the connection broke before the body's end.
        """
        if self._decoder is not None and self._decoder.pending:
            return self._decode(self._decoder, b"")
        if self._chunks:
            chunk = self._taken()
            return chunk if self._decoder is None else self._decode(self._decoder, chunk)
        if self._error is not None:
            raise self._error
        if self._open:
            return b""
        self._end()
        return None

    def arrival(self) -> asyncio.Future[None]:
        """Done when `take` has more to say; wait for it after `take` gave nothing."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiter = waiter
        if self._chunks or not self._open or (self._decoder is not None and self._decoder.pending):
            loop.call_soon(self._wake)
        elif self._source.paused:
            self._source.resume()
        return waiter

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            UpstreamProtocol: longer than `limit` bytes, not framed as HTTP says, or not of its content coding.
            UpstreamUnreachable: the connection broke.
        """
        if self._decoder is not None:
            return await self._read_decoded(limit)
        if self._open:
            await self._gathered(limit)
        if self._error is not None:
            raise self._error
        chunks = self._chunks
        body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if len(body) > limit:
            raise self._too_long(limit)
        self._chunks = []
        self._exhausted = True
        return body

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> bytes:
        """All body bytes that arrived since the last call, never empty.

        Raises:
            UpstreamProtocol: not framed as HTTP says, or not of its content coding.
            UpstreamUnreachable: the connection broke before the body's end.
            StopAsyncIteration: the body ended as its framing says.
        """
        while not (chunk := self.take()):
            if chunk is None:
                raise StopAsyncIteration
            await self.arrival()
        return chunk

    def abort(self, error: BaseException | None = None) -> None:
        """Give the connection up unless the body has ended; a pending or later read raises `error` (by default
        `UpstreamUnreachable`).  Call it when done early; harmless at the end."""
        if self._exhausted:
            return
        self._exhausted = True
        self._chunks.clear()
        self._decoder = None
        self.unread = 0
        if error is None:
            error = UpstreamUnreachable(f"the answer of {self._source.where} was given up before its end")
        self._error = error
        self._wake()
        if self._open:
            self._open = False
            self._source.close()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None:
            self._waiter = None
            if not waiter.done():
                waiter.set_result(None)

    def _taken(self) -> bytes:
        chunks = self._chunks
        chunk = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.unread = 0
        return chunk

    async def _gathered(self, limit: int) -> None:
        """Wait until the body is there, has failed or is too long; one wake for all its packets."""
        length = self.headers.get("content-length")
        if length is not None and int(length) > limit:
            raise self._too_long(limit)
        while self._open:
            room = limit - sum(map(len, self._chunks))
            if room < 0:
                raise self._too_long(limit)
            self.high_water = self.unread + room + 1
            if self._source.paused:
                self._source.resume()
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    async def _read_decoded(self, limit: int) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for chunk in self:
            size += len(chunk)
            if size > limit:
                raise self._too_long(limit)
            parts.append(chunk)
        return b"".join(parts)

    def _decode(self, decoder: Decoder, chunk: bytes) -> bytes:
        try:
            return decoder.decode(chunk)
        except DecodingError as error:
            raise self._undecodable(error) from error

    def _end(self) -> None:
        if self._decoder is not None and not self._exhausted:
            try:
                self._decoder.finish()
            except DecodingError as error:
                raise self._undecodable(error) from error
        self._exhausted = True

    def _undecodable(self, error: DecodingError) -> UpstreamProtocol:
        fault = UpstreamProtocol(f"the answer of {self._source.where} cannot be decoded: {error}")
        self.abort(fault)
        return fault

    def _too_long(self, limit: int) -> UpstreamProtocol:
        fault = UpstreamProtocol(f"the answer of {self._source.where} is longer than {limit} bytes")
        self.abort(fault)
        return fault
