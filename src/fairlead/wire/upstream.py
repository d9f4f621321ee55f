"""One client connection on httptools: sends a request at a time and frames its answer."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import httptools

from fairlead.errors import FairleadError, UpstreamProtocol, UpstreamUnreachable
from fairlead.wire.decoding import Decoder, DecodingError
from fairlead.wire.incoming import HIGH_WATER_BYTES, Incoming
from fairlead.wire.outbox import Outbox

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200


class Keeper(Protocol):
    """The pool, as its connections see it."""

    max_decoded_bytes: int
    outbox: Outbox

    def put_back(self, connection: UpstreamConnection) -> None:
        """Take a connection whose answer has been received."""
        ...

    def gone(self, connection: UpstreamConnection) -> None:
        """Forget a connection that is closed."""
        ...


class UpstreamConnection(asyncio.Protocol):
    """Takes one request at a time; `where` names the other end in messages."""

    __slots__ = (
        "_answer",
        "_bodiless",
        "_complete",
        "_fields",
        "_head_bytes",
        "_headers",
        "_incoming",
        "_interim",
        "_keep_alive",
        "_keeper",
        "_loop",
        "_parser",
        "_paused",
        "_sent_after",
        "_until_close",
        "closed",
        "idle_since",
        "transport",
        "where",
    )

    transport: asyncio.Transport

    def __init__(self, keeper: Keeper, where: str) -> None:
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self.where = where
        self.closed = False
        self.idle_since = 0.0
        self._answer: asyncio.Future[Incoming] | None = None
        self._incoming: Incoming | None = None
        self._headers: dict[str, str] = {}
        self._paused = False
        self._sent_after = 0
        self._reset()

    def send(self, request: bytes) -> asyncio.Future[Incoming]:
        """Write a whole request; the future is the head of its answer."""
        self._reset()
        answer = self._answer = self._loop.create_future()
        outbox = self._keeper.outbox
        self._sent_after = outbox.rounds
        outbox.put(self.transport, request)
        return answer

    def give_up(self, answer: asyncio.Future[Incoming]) -> None:
        """The sender no longer waits for the head of this answer."""
        if answer.done() and not answer.cancelled():
            if answer.exception() is None:  # the head came in the very moment the sender was cancelled
                answer.result().abort()
        elif answer is self._answer:
            self.close()

    def resume(self) -> None:
        """Read from the socket again, if that was stopped."""
        if self._paused:
            self._paused = False
            if not self.transport.is_closing():
                self.transport.resume_reading()

    def close(self) -> None:
        """Close hard and give up the place in the pool; harmless when closed."""
        if self.closed:
            return
        self.closed = True
        self._incoming = self._answer = None
        self.transport.abort()
        self._keeper.gone(self)

    # --- transport callbacks ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._answer is None and self._incoming is None:
            self.close()  # nobody asked: whatever this is, it must not become the next answer
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:  # an upgrade is one, too
            if not self._complete:
                self.fail(self._protocol_fault(error))
                return
            self._keep_alive = False  # bytes after the end of the answer
        incoming = self._incoming
        if self._complete:
            self._finish()
        elif incoming is None:
            self._head_bytes += len(data)
            if self._head_bytes > 2 * MAX_HEAD_BYTES:
                self.fail(self._too_large())
        elif incoming.unread:
            incoming.wake()
            if incoming.unread > HIGH_WATER_BYTES and not self._paused:
                self._paused = True
                self.transport.pause_reading()

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        del self._parser  # it refers back to us

    # --- parser callbacks ---

    def on_message_begin(self) -> None:
        if self._complete:
            raise ValueError
        self._headers = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields += 1
        self._head_bytes += len(name) + len(value) + 4
        if self._fields > MAX_HEADERS or self._head_bytes > MAX_HEAD_BYTES:
            raise self._too_large()
        if self._incoming is not None:
            return  # a trailer
        key = name.lower().decode("latin-1")
        text = value.strip().decode("latin-1")
        headers = self._headers
        headers[key] = f"{headers[key]}, {text}" if key in headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:
            if status == 101:
                raise UpstreamProtocol(f"{self.where} switched protocols, which nobody asked for")
            self._interim = True
            return
        headers = self._headers
        coding = headers.get("transfer-encoding")
        if coding is not None and coding.lower() != "chunked":
            raise UpstreamProtocol(f"{self.where} answered with a transfer coding other than `chunked`")
        self._until_close = coding is None and "content-length" not in headers and status not in (204, 304)
        answer = self._answer
        if answer is None or answer.done():
            return  # the sender was cancelled and will close
        incoming = self._incoming = Incoming(status, headers, self, self._decoder(headers))
        self._answer = None
        answer.set_result(incoming)

    def on_body(self, body: bytes) -> None:
        if self._incoming is not None:
            self._incoming.push(body)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
            return
        self._complete = True
        self._keep_alive = self._parser.should_keep_alive()

    # --- framing ---

    def _reset(self) -> None:
        self._incoming = None
        self._headers = {}
        self._fields = self._head_bytes = 0
        self._complete = self._interim = self._keep_alive = self._until_close = False

    def _decoder(self, headers: dict[str, str]) -> Decoder | None:
        """Undo a content coding that we did not ask for; the headers then describe what readers get."""
        coding = headers.get("content-encoding", "identity").lower()
        if coding in ("identity", ""):
            return None
        try:
            decoder = Decoder(coding, self._keeper.max_decoded_bytes)
        except DecodingError as error:
            raise UpstreamProtocol(f"the answer of {self.where} cannot be decoded: {error}") from error
        del headers["content-encoding"]
        headers.pop("content-length", None)
        return decoder

    def _finish(self) -> None:
        incoming, self._incoming = self._incoming, None
        # An answer that overtook its own request leaves the rest of that request on the connection.
        keep = self._keep_alive and incoming is not None and self._has_left()
        if incoming is not None:
            incoming.complete()
        if keep and not self.transport.is_closing():
            self.resume()
            self._keeper.put_back(self)
        else:
            self.close()

    def _has_left(self) -> bool:
        return self._keeper.outbox.rounds != self._sent_after and not self.transport.get_write_buffer_size()

    def _ended(self, error: Exception | None) -> None:
        if self.closed:
            return
        incoming = self._incoming
        if incoming is not None and self._until_close and error is None:
            incoming.complete()
        elif incoming is not None or self._answer is not None:
            what = "before the end of its answer" if incoming is not None else "without an answer"
            self.fail(
                UpstreamUnreachable(
                    f"{self.where} closed the connection {what}; try again",
                    detail=None if error is None else f"{type(error).__name__}: {error}",
                )
            )
        self.close()

    def fail(self, error: FairleadError) -> None:
        """Close hard; who waits for the answer or reads it gets the error."""
        if self._incoming is not None:
            self._incoming.fail(error)
        elif self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
        self.close()

    def _too_large(self) -> UpstreamProtocol:
        return UpstreamProtocol(
            f"{self.where} answered with more than {MAX_HEADERS} headers or {MAX_HEAD_BYTES} bytes of them"
        )

    def _protocol_fault(self, error: httptools.HttpParserError) -> UpstreamProtocol:
        if isinstance(error.__context__, UpstreamProtocol):
            return error.__context__
        return UpstreamProtocol(
            f"the answer of {self.where} is not valid HTTP/1.1; check that its base URL names an HTTP API",
            detail=f"{type(error).__name__}: {error}",
        )
