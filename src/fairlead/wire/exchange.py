"""One request on a server connection, and the answer to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from fairlead.wire.heads import HeaderBlock, Headers, status_head
from fairlead.wire.outbox import Outbox


class Carrier(Protocol):
    """What an exchange needs of its connection."""

    transport: asyncio.Transport
    outbox: Outbox
    peer: str
    """The address of the other end."""
    paused: bool
    """Whether the transport holds more than its high-water mark."""
    closing: bool
    """Whether no further request will be served on it."""

    async def writable(self) -> None: ...


class Exchange:
    """A request that has arrived whole, and the way to answer it: `respond`, or `start`, `write` ... and `end`.

    After a disconnect every writing method does nothing.
    """

    # Defaults stand on the class: one exchange a request is made, and most of these are never set.
    disconnected = False
    on_disconnect: Callable[[], None] | None = None
    """Called before the handler is cancelled because the peer went away; must not raise."""
    congested = False
    """Whether the peer reads too slowly: `await drain()` before the next piece."""
    started = False
    ended = False
    broken_off = False
    """Whether it ended by `break_off`."""
    _head: bytes | None = None
    _chunked = False

    def __init__(
        self,
        carrier: Carrier,
        method: str,
        target: bytes,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        version: str,
        keep_alive: bool,  # noqa: FBT001 - made in one place, by position because that is cheaper
    ) -> None:
        self._carrier = carrier
        self.method = method
        self.target = target
        self.path = path
        """As sent: `%2f`, `//`, `;x` and a trailing slash are not folded away, so such a path matches nothing."""
        self.query = query
        self.headers = headers
        """Lower-case names, latin-1 values; repeated fields joined by `, `; names with an underscore left out."""
        self.body = body
        self._version = version
        self.keep_alive = keep_alive

    @property
    def peer(self) -> str:
        """The address of the other end of the TCP connection."""
        return self._carrier.peer

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self._carrier.transport.get_extra_info("sslcontext") is not None

    def respond(
        self, status: int, headers: Headers, body: bytes, fixed: HeaderBlock | None = None, known: bytes = b""
    ) -> None:
        """Answer completely, in one write.

        Args:
            fixed: lines that are the same in every such answer; they go before `headers`.
            known: whole header lines of the handler's own making, which are not checked.

        Raises:
            RuntimeError: an answer has been started.
            ValueError: a header that cannot be sent; nothing was written.
        """
        if self.started or self.ended:
            raise RuntimeError("the answer has already been started")
        head = status_head(status, headers, fixed)
        self.started = self.ended = True
        if self._carrier.closing or not self.keep_alive or self._version != "1.1":
            head += self._connection_line()
        if self.method == "HEAD" or status in (204, 304):
            length = b"\r\n" if status in (204, 304) else b"content-length: %d\r\n\r\n" % len(body)
            data = head + known + length
        else:
            data = b"%b%bcontent-length: %d\r\n\r\n%b" % (head, known, len(body), body)
        self._carrier.outbox.put(self._carrier.transport, data)

    def start(self, status: int, headers: Headers, fixed: HeaderBlock | None = None, known: bytes = b"") -> None:
        """Begin a streamed answer.  The head waits for the first chunk, so that both go out in one write.

        Args:
            fixed: lines that are the same in every such answer; they go before `headers`.
            known: whole header lines of the handler's own making, which are not checked.

        Raises:
            RuntimeError: an answer has been started.
            ValueError: a header that cannot be sent; nothing was written.
        """
        if self.started or self.ended:
            raise RuntimeError("the answer has already been started")
        head = status_head(status, headers, fixed)
        self.started = True
        self._chunked = self._version == "1.1"
        if not self._chunked:
            self.keep_alive = False  # the end of the connection is the end of the body
        framing = b"transfer-encoding: chunked\r\n" if self._chunked and status not in (204, 304) else b""
        self._head = b"%b%b%b%b\r\n" % (head, known, self._connection_line(), framing)
        if self.method == "HEAD" or status in (204, 304):
            self._send(b"")
            self.ended = True

    def write(self, chunk: bytes) -> None:
        """Send a piece of the body.  Between pieces: `if exchange.congested: await exchange.drain()`."""
        if self.ended or not chunk:
            return
        # Formatting copies the chunk, and still costs half of what `writelines` does with three pieces.
        framed = b"%x\r\n%b\r\n" % (len(chunk), chunk) if self._chunked else chunk
        head = self._head
        if head is not None:
            self._head = None
            framed = head + framed
            self._carrier.outbox.flush()  # an earlier answer leaves before
        transport = self._carrier.transport
        if not transport.is_closing():
            transport.write(framed)

    def offer(self, chunk: bytes) -> bool:
        """Write a piece of the body if it can leave at once; says whether it did."""
        if self.congested or self.ended or self.disconnected:
            return False
        self.write(chunk)
        return True

    async def drain(self) -> None:
        """Wait while the peer reads too slowly; returns at once, without a turn of the loop, as long as it does not."""
        if self._carrier.paused and not self.disconnected:
            await self._carrier.writable()

    def end(self) -> None:
        """End a streamed answer as its framing says; harmless when ended."""
        if self.ended:
            return
        if not self.started:
            raise RuntimeError("the answer has not been started")
        self.ended = True
        self._send(b"0\r\n\r\n" if self._chunked else b"")

    def break_off(self) -> None:
        """End a streamed answer that is not whole: what was written arrives, and a moment later the connection closes
        without the end that the framing has."""
        if self.ended:
            return
        if not self.started:
            raise RuntimeError("the answer has not been started")
        self.ended = self.broken_off = True
        self.keep_alive = False
        self._send(b"")

    def abort(self) -> None:
        """Close the connection hard: the peer sees that the answer is not whole, and may lose the last of it."""
        self.ended = True
        self.keep_alive = False
        self._carrier.transport.abort()

    def take_back(self) -> bool:
        """Undo a `start` of which nothing has been sent; says whether an answer may still be given."""
        if self._head is not None:
            self._head = None
            self.started = False
        return not self.started

    def _connection_line(self) -> bytes:
        if self._carrier.closing:
            self.keep_alive = False
        if not self.keep_alive:
            return b"connection: close\r\n"
        return b"" if self._version == "1.1" else b"connection: keep-alive\r\n"

    def _send(self, data: bytes) -> None:
        head, self._head = self._head, None
        if head is not None:
            data = head + data
        if data:
            self._carrier.outbox.put(self._carrier.transport, data)
