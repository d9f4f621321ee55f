"""One server connection on httptools: one task, every wait bounded, every size capped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol, cast

import httptools

from fairlead.wire import refusal as no
from fairlead.wire.exchange import Exchange
from fairlead.wire.heads import status_head
from fairlead.wire.outbox import Outbox
from fairlead.wire.refusal import Refusal, Refuse, ServerLimits

Handler = Callable[[Exchange], Awaitable[None]]
"""Answers one request.  An exception becomes a plain 500, or an aborted connection once the answer has begun."""

_HOST_BYTES = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_~:[]%"
_JSON = (("content-type", "application/json"),)
_LINGER_BYTES = 64 * 1024
_LEAST_PROGRESS_BYTES = 48 * 1024  # what a peer must read in each `write_s`; the span between the water marks

# What a connection is receiving.
_IDLE, _HEAD, _BODY, _DEAF = range(4)


class Owner(Protocol):
    """The server, as its connections see it."""

    handler: Handler
    limits: ServerLimits
    outbox: Outbox
    refuse: Refuse

    def joined(self, connection: ServerConnection) -> bool:
        """Count a connection in; says whether it may stay."""
        ...

    def left(self, connection: ServerConnection) -> None:
        """Count a connection out."""
        ...


class ServerConnection(asyncio.Protocol):
    """One connection: parses what comes in, and runs one task that answers request after request in order."""

    __slots__ = (
        "_armed",
        "_body",
        "_completed",
        "_deadline",
        "_exchange",
        "_fed",
        "_fields",
        "_finished",
        "_head_bytes",
        "_headers",
        "_heard",
        "_held",
        "_loop",
        "_lost",
        "_parser",
        "_peer",
        "_queue",
        "_refusal",
        "_server",
        "_size",
        "_stage",
        "_target",
        "_task",
        "_timer",
        "_timer_at",
        "_unpaused",
        "_unsent",
        "_version",
        "_waiter",
        "closing",
        "outbox",
        "paused",
        "transport",
    )

    transport: asyncio.Transport
    _task: asyncio.Task[None]

    def __init__(self, server: Owner) -> None:
        self._server = server
        self.outbox = server.outbox
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._queue: list[Exchange | Refusal] = []
        self._waiter: asyncio.Future[None] | None = None
        self._unpaused: asyncio.Future[None] | None = None
        self._exchange: Exchange | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self._deadline: float | None = None
        self._armed = -1
        self._stage = _IDLE
        self._refusal: Refusal | None = None
        self._completed = 0
        self._fed = 0
        self._peer = ""
        self._unsent = 0
        self._heard = False  # the last request of this connection has come in
        self._held = False  # reading is paused
        self._lost = self._finished = False
        self.closing = self.paused = False
        self._begin()

    # --- transport callbacks ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        if not self._server.joined(self):
            self._write_refusal(no.CROWDED)
            transport.close()
            self._stage = _DEAF
            self._finished = True
            return
        peer = transport.get_extra_info("peername")
        self._peer = str(peer[0]) if isinstance(peer, tuple) else ""
        self._task = self._loop.create_task(self._serve(), name="fairlead connection")

    def data_received(self, data: bytes) -> None:
        if self._stage == _DEAF:
            self._discard(len(data))
            return
        completed = self._completed
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._refuse(self._refusal or no.NO_UPGRADE)
            return
        except httptools.HttpParserError:
            # What follows the last request of a connection is not looked at.
            last = self.closing or self._heard
            self._refuse(self._refusal or (None if last else no.MALFORMED))
            return
        if self._stage != _IDLE:
            self._check_partial(len(data), fresh=completed != self._completed)

    def eof_received(self) -> None:
        """A peer that stops sending has left: HTTP clients do not half-close."""
        exchange = self._exchange
        if exchange is not None and not exchange.ended:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went changes nothing
        self._lost = self.closing = True
        self._stage = _DEAF
        del self._parser  # it refers back to us
        if self._timer is not None:
            self._timer.cancel()
        _wake(self._waiter)
        _wake(self._unpaused)
        exchange = self._exchange
        if self._finished:
            self._server.left(self)
        elif exchange is not None and not exchange.ended:
            exchange.disconnected = True
            try:
                if exchange.on_disconnect is not None:
                    exchange.on_disconnect()
            finally:
                self._task.cancel()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._deadline = None
        _wake(self._unpaused)

    # --- parser callbacks; what they raise ends the feed, and `_refusal` says why ---

    def on_message_begin(self) -> None:
        if self.closing or self._heard:
            raise ValueError
        self._stage = _HEAD

    def on_url(self, url: bytes) -> None:
        self._target += url
        self._head_bytes += len(url)
        if self._head_bytes > self._server.limits.max_header_bytes:
            self._fail(no.HEADERS_TOO_LARGE)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._stage != _HEAD:
            return  # a trailer: nobody reads those
        limits = self._server.limits
        self._fields += 1
        self._head_bytes += len(name) + len(value) + 4
        if self._fields > limits.max_headers or self._head_bytes > limits.max_header_bytes:
            self._fail(no.HEADERS_TOO_LARGE)
        if b"_" in name:
            return  # `x_api_key` and `x-api-key` are one name to too many programs
        key = name.lower().decode("latin-1")
        text = value.strip().decode("latin-1")
        headers = self._headers
        if key not in headers:
            headers[key] = text
        elif key == "host":
            self._fail(no.BAD_HOST)
        else:
            headers[key] = f"{headers[key]}, {text}"

    def on_headers_complete(self) -> None:
        parser = self._parser
        self._version = parser.get_http_version()
        fault = self._fault_of_head(parser)
        if fault is not None:
            self._fail(fault)
        self._stage = _BODY
        if "expect" in self._headers:
            self._expect()

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self._server.limits.max_body_bytes:
            self._fail(no.body_too_large(self._server.limits.max_body_bytes))
        self._body.append(body)

    def on_message_complete(self) -> None:
        parser = self._parser
        if parser.should_upgrade():
            return
        if len(self._queue) >= self._server.limits.max_pipelined:
            self._fail(no.PIPELINE_FULL)
        body = self._body
        keep_alive = parser.should_keep_alive()
        exchange = Exchange(
            self,
            parser.get_method().decode("latin-1"),
            self._target,
            self._headers,
            body[0] if len(body) == 1 else b"".join(body),
            version=self._version,
            keep_alive=keep_alive,
            peer=self._peer,
        )
        self._begin()
        self._stage = _IDLE
        self._completed += 1
        self._heard = not keep_alive
        self._put(exchange)

    # --- receiving ---

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = self._fields = self._head_bytes = 0
        self._version = "1.1"

    def _fail(self, refusal: Refusal) -> None:
        self._refusal = refusal
        raise ValueError

    def _fault_of_head(self, parser: httptools.HttpRequestParser) -> Refusal | None:
        """What is wrong with a complete head, beyond what the parser refuses by itself."""
        if self._version not in {"1.1", "1.0"}:
            return no.BAD_VERSION
        if parser.should_upgrade():
            return no.NO_UPGRADE
        if not self._target.startswith(b"/") or b"#" in self._target:
            return no.BAD_TARGET
        host = self._headers.get("host")
        if host is None:
            return no.BAD_HOST if self._version == "1.1" else self._fault_of_framing()
        if not host or host.encode("latin-1").translate(None, _HOST_BYTES):
            return no.BAD_HOST
        return self._fault_of_framing()

    def _fault_of_framing(self) -> Refusal | None:
        coding = self._headers.get("transfer-encoding")
        if coding is not None and (coding.lower() != "chunked" or self._version == "1.0"):
            return no.BAD_CODING
        length = self._headers.get("content-length")
        if length is not None and int(length) > self._server.limits.max_body_bytes:
            return no.body_too_large(self._server.limits.max_body_bytes)
        return None

    def _expect(self) -> None:
        if self._headers["expect"].lower() != "100-continue":
            self._fail(no.BAD_EXPECT)
        # Not into the middle of an earlier answer: a client that waits sends its body after a while anyway.
        if self._exchange is None and not self._queue and self._version == "1.1":
            self.outbox.flush()
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _check_partial(self, received: int, *, fresh: bool) -> None:
        """Cap and time a message that has begun but not ended with these bytes."""
        self._fed = 0 if fresh else self._fed + received
        limits = self._server.limits
        if self._stage == _HEAD and self._fed > limits.max_header_bytes:
            self._refuse(no.HEADERS_TOO_LARGE)
        elif self._stage == _BODY and self._fed > 16 * self._size + limits.max_header_bytes + 64 * 1024:
            self._refuse(no.CHUNK_FLOOD)
        elif self._waiter is not None and self._stage != self._armed:
            self._arm_stage()

    def _refuse(self, refusal: Refusal | None) -> None:
        """Be deaf from here on, and answer once the requests before it are answered."""
        self._stage = _DEAF
        self._fed = 0
        self._heard = True
        if refusal is not None:
            self._put(refusal)

    def _put(self, item: Exchange | Refusal) -> None:
        self._fed = 0
        self._queue.append(item)
        if self._waiter is not None:
            _wake(self._waiter)
        elif self._exchange is not None and not self._held and not self.transport.is_closing():
            self._held = True
            self.transport.pause_reading()

    def _discard(self, received: int) -> None:
        self._fed += received
        if self._fed > _LINGER_BYTES and not self._held and not self.transport.is_closing():
            self._held = True
            self.transport.pause_reading()

    # --- answering ---

    async def _serve(self) -> None:
        try:
            while not self._lost:
                if not self._queue:
                    if self.closing or self._heard:
                        break
                    await self._arrival()
                    continue
                item = self._queue.pop(0)
                self._deadline = None
                if isinstance(item, Refusal):
                    await self._linger(item)
                    break
                self._exchange = item
                await self._answer(item)
                if not item.keep_alive:
                    break
                if self.paused:
                    await self.writable()
                self._exchange = None
                if self._held and not self._queue and not self.transport.is_closing():
                    self._held = False
                    self.transport.resume_reading()
        except asyncio.CancelledError:
            if self._exchange is None or not self._exchange.ended:
                self.transport.abort()
            raise
        finally:
            self._finish()

    async def _arrival(self) -> None:
        self._armed = -1
        self._arm_stage()
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await self._server.handler(exchange)
        except Exception as error:  # noqa: BLE001 - whatever a handler raises is answered, and told to the loop
            self._loop.call_exception_handler({"message": "a request handler failed", "exception": error})
        if not exchange.ended:
            if exchange.take_back():
                body = self._server.refuse(*no.FAULT)
                exchange.respond(no.FAULT.status, _JSON, body)
            else:
                exchange.abort()

    async def _linger(self, refusal: Refusal) -> None:
        """Refuse, then let the peer read that before the connection goes: a close with unread input is a reset."""
        self._write_refusal(refusal)
        if self.transport.is_closing() or not self.transport.can_write_eof():
            return
        try:
            self.transport.write_eof()
        except OSError:  # the peer has reset the connection, and the loop does not know yet
            return
        self._arm(self._server.limits.linger_s)
        self._waiter = self._loop.create_future()
        await self._waiter

    def _write_refusal(self, refusal: Refusal) -> None:
        self.outbox.flush()
        if self.transport.is_closing():
            return
        body = self._server.refuse(*refusal)
        head = status_head(refusal.status, _JSON)
        self.transport.write(b"%bconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (head, len(body), body))

    def _finish(self) -> None:
        self._finished = True
        self.closing = True
        self._stage = _DEAF
        if self._lost:
            self._server.left(self)
            return
        self.outbox.flush()
        self._arm_write()  # a peer that does not read must not keep the rest in our memory
        self.transport.close()

    async def writable(self) -> None:
        """Wait until the peer has read enough, or until it took longer than `write_s` and was cut off."""
        while self.paused and not self._lost:
            self._arm_write()
            if self._unpaused is None or self._unpaused.done():
                self._unpaused = self._loop.create_future()
            await self._unpaused

    # --- the end ---

    def retire(self) -> None:
        """Take no further request; close at once if none is under way."""
        self.closing = True
        if self._stage == _IDLE:
            _wake(self._waiter)

    def cancel(self) -> asyncio.Task[None]:
        """Cancel what runs; its handler may still say why."""
        self._task.cancel()
        return self._task

    # --- clocks: one timer a connection, moved only when it has to fire earlier ---

    def _arm_stage(self) -> None:
        limits = self._server.limits
        self._armed = self._stage
        if self._stage == _BODY:
            self._arm(limits.body_s)
        elif self._stage == _HEAD or not self._completed:
            self._arm(limits.header_s)
        else:
            self._arm(limits.idle_s)

    def _arm_write(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._arm(self._server.limits.write_s)

    def _arm(self, delay_s: float) -> None:
        self._deadline = deadline = self._loop.time() + delay_s
        if self._timer is not None:
            if self._timer_at <= deadline:
                return
            self._timer.cancel()
        self._timer_at = deadline
        self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        self._timer = None
        deadline = self._deadline
        if deadline is None:
            return
        if self._loop.time() < deadline:
            self._timer_at = deadline
            self._timer = self._loop.call_at(deadline, self._tick)
        elif self._stage == _HEAD and not self.paused:
            self._refuse(no.SLOW_HEAD)
        elif self._stage == _BODY and not self.paused:
            self._refuse(no.SLOW_BODY)
        else:
            self._cut()

    def _cut(self) -> None:
        """Close a connection that is idle, lingers, or does not read what we wrote."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self.transport.close()
        elif unsent <= self._unsent - _LEAST_PROGRESS_BYTES:
            self._arm_write()
        else:
            self.transport.abort()


def _wake(waiter: asyncio.Future[None] | None) -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
