"""An answer from upstream whose head has arrived."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Protocol

from fairlead.errors import UpstreamProtocol, UpstreamUnreachable
from fairlead.wire.decoding import Decoder, DecodingError

HIGH_WATER_BYTES = 256 * 1024
"""Unread bytes above which reading from the socket stops."""


class Source(Protocol):
    """What an answer needs of its connection."""

    where: str

    def resume(self) -> None:
        """Read from the socket again, if that was stopped."""
        ...

    def close(self) -> None:
        """Close the connection hard and give up its place in the pool."""
        ...


class Incoming:
    """Status, headers and body of one answer.  For one reader; `abort` may come from anywhere on the loop."""

    __slots__ = (
        "_chunks",
        "_decoder",
        "_error",
        "_exhausted",
        "_source",
        "_waiter",
        "_where",
        "headers",
        "status",
        "unread",
    )

    def __init__(self, status: int, headers: Mapping[str, str], source: Source, decoder: Decoder | None) -> None:
        self.status = status
        self.headers = headers
        self.unread = 0
        """Bytes received and not yet taken."""
        self._chunks: list[bytes] = []
        self._source: Source | None = source
        self._where = source.where
        self._decoder = decoder
        self._waiter: asyncio.Future[None] | None = None
        self._error: BaseException | None = None
        self._exhausted = False

    # --- for the connection ---

    def push(self, body: bytes) -> None:
        """Take a piece of the body; the reader is told by `wake`, once for all pieces of a packet."""
        self._chunks.append(body)
        self.unread += len(body)

    def wake(self) -> None:
        """Let the reader go on."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def complete(self) -> None:
        """The body has been received as its framing says; the connection belongs to the pool again."""
        self._source = None
        self.wake()

    def fail(self, error: BaseException) -> None:
        """The body will not come.  What has arrived before is still read first."""
        self._source = None
        self._error = error
        self.wake()

    # --- for the reader ---

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            UpstreamProtocol: longer than `limit` bytes, not framed as HTTP says, or not of its content coding.
            UpstreamUnreachable: the connection broke.
        """
        length = self.headers.get("content-length")
        if length is not None and int(length) > limit:
            raise self._too_long(limit)
        parts: list[bytes] = []
        size = 0
        async for chunk in self:
            size += len(chunk)
            if size > limit:
                raise self._too_long(limit)
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def __aiter__(self) -> Incoming:
        return self

    async def __anext__(self) -> bytes:
        """All body bytes that arrived since the last call, never empty.

        Raises:
            UpstreamProtocol: not framed as HTTP says, or not of its content coding.
            UpstreamUnreachable: the connection broke before the body's end.
            StopAsyncIteration: the body ended as its framing says.
        """
        while True:
            if self._chunks:
                chunk = self._take()
                if self._decoder is None:
                    return chunk
                if decoded := self._decode(self._decoder, chunk):
                    return decoded
            elif self._decoder is not None and self._decoder.pending:
                # A turn of the loop between two pieces of a large decoded body.
                await asyncio.sleep(0)
                if decoded := self._decode(self._decoder, b""):
                    return decoded
            elif self._error is not None:
                raise self._error
            elif self._source is None:
                self._end()
                raise StopAsyncIteration
            else:
                await self._arrival()

    def abort(self, error: BaseException | None = None) -> None:
        """Give the connection up unless the body has ended; a pending or later read raises `error` (by default
        `UpstreamUnreachable`).  Call it when done early; harmless at the end."""
        if self._exhausted:
            return
        self._exhausted = True
        self._chunks.clear()
        self._decoder = None
        self.unread = 0
        source, self._source = self._source, None
        if error is None:
            error = UpstreamUnreachable(f"the answer of {self._where} was given up before its end")
        self._error = error
        self.wake()
        if source is not None:
            source.close()

    def _take(self) -> bytes:
        chunks = self._chunks
        chunk = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self.unread = 0
        if self._source is not None:
            self._source.resume()
        return chunk

    async def _arrival(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

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
        fault = UpstreamProtocol(f"the answer of {self._where} cannot be decoded: {error}")
        self.abort(fault)
        return fault

    def _too_long(self, limit: int) -> UpstreamProtocol:
        fault = UpstreamProtocol(f"the answer of {self._where} is longer than {limit} bytes")
        self.abort(fault)
        return fault
