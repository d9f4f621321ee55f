"""One client connection on httptools: sends a request at a time and frames its answer."""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

import httptools

from fairlead.errors import FairleadError, UpstreamProtocol, UpstreamTls, UpstreamUnreachable
from fairlead.wire.decoding import Decoder, DecodingError
from fairlead.wire.fields import Fields
from fairlead.wire.incoming import Incoming
from fairlead.wire.outbox import Outbox
from fairlead.wire.tls import certificate_wanted, is_about_certificates

MAX_HEAD_BYTES = 64 * 1024
MAX_HEADERS = 200
_INTERIM = (b"HTTP/1.1 1", b"HTTP/1.0 1")
_FINAL = tuple(b"HTTP/1.%d %d" % (minor, first) for minor in (0, 1) for first in range(2, 10))
"""How the head of an answer begins that is not an interim one."""
_MOST_PIECES = 16
"""How many pieces of one read are kept apart; more are joined, or tiny chunks would cost many times their size."""


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
    """Takes one request at a time; `where` names the other end in messages.

    The parser frames and validates every byte.  Its callbacks are the least that framing needs, two of them methods of
    lists: `on_body` collects, and `on_message_begin` takes the permit for one message, of which a request brings one.
    Header fields are found later, in the head that it has accepted.
    """

    __slots__ = (
        "_answer",
        "_fields",
        "_head",
        "_incoming",
        "_keeper",
        "_loop",
        "_overhead_bytes",
        "_parser",
        "_permits",
        "_pieces",
        "_reusable",
        "_sent_after",
        "closed",
        "on_body",
        "on_message_begin",
        "paused",
        "tick",
        "transport",
        "where",
    )

    transport: asyncio.Transport
    _fields: Fields

    def __init__(self, keeper: Keeper, where: str) -> None:
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self.where = where
        self.tick = 0
        """When the pool put it aside, in the pool's own time."""
        self.closed = self.paused = False
        self._answer: asyncio.Future[Incoming] | None = None
        self._incoming: Incoming | None = None
        self._head = b""
        self._overhead_bytes = 0  # what came without being an answer's head or body: interim heads, chunk lines
        self._reusable: bool | None = None  # known at the answer's end
        self._sent_after = 0
        self._pieces: list[bytes] = []
        self._permits: list[None] = []
        self.on_body = self._pieces.append
        self.on_message_begin = self._permits.pop
        self._parser = httptools.HttpResponseParser(self)

    def send(self, request: bytes) -> asyncio.Future[Incoming]:
        """Write a whole request; the future is its answer, once the head has arrived."""
        self._permits.append(None)
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
        """Read from the socket again."""
        self.paused = False
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
        answer, incoming = self._answer, self._incoming
        if incoming is None and (answer is None or answer.done()):
            self.close()  # nobody asks, or no longer: whatever this is, it must not become the next answer
            return
        pieces = self._pieces
        before = len(pieces)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            if self._reusable is None:
                self.fail(self._protocol_fault(error))
                return
            self._reusable = False  # bytes after the end of the answer
        if len(pieces) - before > _MOST_PIECES:
            pieces[before:] = [b"".join(pieces[before:])]
        if answer is not None:
            self._begin(answer, data)
        elif incoming is not None:
            self._go_on(incoming, len(data), has_body=len(pieces) > before)

    def eof_received(self) -> None:
        self._ended(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        del self._parser, self.on_body, self.on_message_begin  # the parser refers back to us

    # --- parser callbacks ---

    def on_message_complete(self) -> None:
        parser = self._parser
        if parser.get_status_code() < 200:
            self._permits.append(None)  # the answer itself is still to come
        else:
            self._reusable = parser.should_keep_alive()

    # --- framing ---

    def _begin(self, answer: asyncio.Future[Incoming], data: bytes) -> None:
        """The answer begins with the last byte of its head; all bytes up to here have been accepted by the parser."""
        head = self._head + data if self._head else data
        end = head.find(b"\r\n\r\n")
        status = 200
        try:
            if end < 0 or not head.startswith(b"HTTP/1.1 200 "):
                head, end = self._skip_interim(head, end)
                if end < 0:
                    return
                status = int(head[9:12])
            fields = Fields(head[:end])
            if end > 4 * MAX_HEADERS and (end > MAX_HEAD_BYTES or head.count(b"\r\n", 0, end) > MAX_HEADERS):
                raise self._too_large()
            decoder = self._decoder(fields) if fields.coded() else None
        except UpstreamProtocol as error:
            self.fail(error)
            return
        self._answer = None
        incoming = Incoming(status, fields, self, self._pieces, decoder)
        if self._reusable is None:
            self._incoming = incoming
            self._fields = fields
            incoming.unread = len(data)
        else:
            self._finish(incoming)
        answer.set_result(incoming)

    def _skip_interim(self, head: bytes, end: int) -> tuple[bytes, int]:
        """Cut interim answers off; a head that is not whole yet is kept for the next read."""
        while end >= 0 and head.startswith(_INTERIM):
            self._check_interim(head[:end])
            head = head[end + 4 :]
            end = head.find(b"\r\n\r\n")
        if end >= 0 and not head.startswith(_FINAL):
            raise UpstreamProtocol(f"{self.where} answered in another version of HTTP than 1.1, or without a status")
        if end < 0:
            self._head = head
            if len(head) > MAX_HEAD_BYTES:
                raise self._too_large()
        return head, end

    def _check_interim(self, head: bytes) -> None:
        """An interim answer is a head alone (RFC 9110, 8.6 and RFC 9112, 6.1): the answer's own head follows it."""
        fields = Fields(head)
        if head[9:12] == b"101" or "content-length" in fields or "transfer-encoding" in fields:
            raise UpstreamProtocol(f"{self.where} switched protocols, or sent an interim answer with a body")
        self._overhead_bytes += len(head)
        if self._overhead_bytes > MAX_HEAD_BYTES:
            raise self._too_large()

    def _decoder(self, fields: Fields) -> Decoder | None:
        """Check the transfer coding; undo a content coding that we did not ask for."""
        if fields.get("transfer-encoding", "chunked").lower() != "chunked":
            raise UpstreamProtocol(f"{self.where} answered with a transfer coding other than `chunked`")
        coding = fields.get("content-encoding", "").lower()
        if coding in ("identity", ""):
            return None
        try:
            return Decoder(coding, self._keeper.max_decoded_bytes)
        except DecodingError as error:
            raise UpstreamProtocol(f"the answer of {self.where} cannot be decoded: {error}") from error

    def _go_on(self, incoming: Incoming, size: int, *, has_body: bool) -> None:
        """Tell the reader about one read of the body."""
        if has_body:
            self._overhead_bytes = 0
            incoming.unread += size
            if incoming.unread > incoming.high_water and not self.paused and self._reusable is None:
                self.paused = True
                self.transport.pause_reading()
            incoming.arrived()
        else:
            self._overhead_bytes += size
            if self._overhead_bytes > MAX_HEAD_BYTES:
                self.fail(self._too_large())
                return
        if self._reusable is not None:
            self._finish(incoming)

    def _finish(self, incoming: Incoming) -> None:
        incoming.complete()
        reusable, self._reusable = self._reusable, None
        self._incoming = None
        self._head = b""
        self._overhead_bytes = 0
        # An answer that overtook its own request leaves the rest of that request on the connection.
        if reusable and self._has_left():
            if self.paused:
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
        if incoming is not None and error is None and self._is_framed_by_close():
            incoming.complete()
        elif incoming is None and is_about_certificates(error):  # TLS 1.3 tells it after the handshake
            self.fail(UpstreamTls(certificate_wanted(self.where), detail=str(error)))
        elif incoming is not None or self._answer is not None:
            what = "before the end of its answer" if incoming is not None else "without an answer"
            self.fail(
                UpstreamUnreachable(
                    f"{self.where} closed the connection {what}; try again",
                    detail=None if error is None else f"{type(error).__name__}: {error}",
                )
            )
        self.close()

    def _is_framed_by_close(self) -> bool:
        return "content-length" not in self._fields and "transfer-encoding" not in self._fields

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

    def _protocol_fault(self, error: Exception) -> UpstreamProtocol:
        return UpstreamProtocol(
            f"the answer of {self.where} is not valid HTTP/1.1; check that its base URL names an HTTP API",
            detail=f"{type(error).__name__}: {error}",
        )
