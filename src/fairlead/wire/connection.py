"""One server connection on httptools: one task, every wait bounded, every size capped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Protocol, cast

import httptools

from fairlead.wire import refusal as no
from fairlead.wire.alarm import Alarm
from fairlead.wire.exchange import Exchange
from fairlead.wire.heads import HeaderBlock, status_head
from fairlead.wire.outbox import Outbox
from fairlead.wire.refusal import Refusal, Refuse, ServerLimits
from fairlead.wire.request_parser import BODY, HEAD, IDLE, RequestParser

Handler = Callable[[Exchange], Awaitable[None]]
"""Answers one request.  An exception becomes a plain 500, or an aborted connection once the answer has begun."""

_JSON = HeaderBlock([("content-type", "application/json")])
_LINGER_BYTES = 64 * 1024
_LEAST_PROGRESS_BYTES = 48 * 1024  # what a peer must read in each `write_s`; the span between the water marks
_CHUNK_FRAMING = 16
"""How many bytes of chunk framing may come with one byte of body."""


class Owner(Protocol):
    """The server, as its connections see it."""

    handler: Handler
    limits: ServerLimits
    outbox: Outbox
    refuse: Refuse

    def joined(self, connection: ServerConnection) -> Refusal | None:
        """Count a connection in, or say why it may not stay."""
        ...

    def left(self, connection: ServerConnection) -> None:
        """Count a connection out."""
        ...


class ServerConnection(asyncio.Protocol):
    """One connection: gives what comes in to its parser, and runs one task that answers request after request."""

    __slots__ = (
        "_alarm",
        "_armed",
        "_body_began",
        "_deaf",
        "_exchange",
        "_feed",
        "_finished",
        "_held",
        "_loop",
        "_lost",
        "_parser",
        "_queue",
        "_server",
        "_task",
        "_unpaused",
        "_unsent",
        "_waiter",
        "closing",
        "outbox",
        "paused",
        "peer",
        "transport",
    )

    transport: asyncio.Transport
    _task: asyncio.Task[None]

    def __init__(self, server: Owner) -> None:
        self._server = server
        self.outbox = server.outbox
        self._loop = asyncio.get_running_loop()
        self._parser = RequestParser(self, server.limits)
        self._feed = self._parser.feed
        self._alarm = Alarm(self._loop, self._overdue)
        self._queue: list[Exchange | Refusal] = []
        self._waiter: asyncio.Future[Exchange | Refusal | None] | None = None
        self._unpaused: asyncio.Future[None] | None = None
        self._exchange: Exchange | None = None
        self._armed = -1
        self._body_began = 0.0
        self._unsent = 0
        self._deaf = False  # nothing more is parsed
        self._held = False  # reading is paused
        self._lost = self._finished = False
        self.closing = self.paused = False
        self.peer = ""

    # --- transport callbacks ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        peer = transport.get_extra_info("peername")
        self.peer = str(peer[0]) if isinstance(peer, tuple) else ""
        refusal = self._server.joined(self)
        if refusal is not None:
            self._write_refusal(refusal)
            transport.close()
            self._deaf = self._finished = True
            return
        self._task = self._loop.create_task(self._serve(), name="fairlead connection")

    def data_received(self, data: bytes) -> None:
        parser = self._parser
        received = parser.packet_bytes = len(data)
        if self._deaf:
            self._discard(received)
            return
        completed = parser.completed
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade:
            self._refuse(parser.refusal or no.NO_UPGRADE)
        except httptools.HttpParserError:
            # What follows the last request of a connection is not looked at.
            last = self.closing or parser.heard
            self._refuse(parser.refusal or (None if last else no.MALFORMED))
        else:
            if parser.stage != IDLE:
                self._check_partial(received, fresh=completed != parser.completed)

    def eof_received(self) -> None:
        """A peer that stops sending has left: HTTP clients do not half-close."""
        exchange = self._exchange
        if exchange is not None and not exchange.ended:
            self.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - why it went changes nothing
        self._lost = self.closing = self._deaf = True
        del self._feed
        self._parser.release()
        self._alarm.cancel()
        self._wake()
        if self._unpaused is not None and not self._unpaused.done():
            self._unpaused.set_result(None)
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
        if self._exchange is not None:
            self._exchange.congested = True

    def resume_writing(self) -> None:
        self.paused = False
        if self._exchange is not None:
            self._exchange.congested = False
        if self._unpaused is not None and not self._unpaused.done():
            self._alarm.due = None
            self._unpaused.set_result(None)

    # --- receiving ---

    def arrived(self, exchange: Exchange) -> None:
        """Answer it, when those before it are answered."""
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            self._waiter = None
            waiter.set_result(exchange)
        elif len(self._queue) >= self._server.limits.max_pipelined:
            self._parser.fail(no.PIPELINE_FULL)
        else:
            self._enqueue(exchange)

    def expects_body(self) -> None:
        """Say that the body may come, but not into the middle of an earlier answer: a client that waits sends its body
        after a while anyway."""
        if self._exchange is None and not self._queue:
            self.outbox.flush()
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _enqueue(self, item: Exchange | Refusal) -> None:
        self._queue.append(item)
        if self._waiter is not None:
            self._wake()
        elif self._exchange is not None and not self._held and not self.transport.is_closing():
            self._held = True
            self.transport.pause_reading()

    def _check_partial(self, received: int, *, fresh: bool) -> None:
        """Cap and time a request that has begun but not ended with these bytes."""
        parser = self._parser
        fed = parser.before_bytes = 0 if fresh else parser.before_bytes + received
        limits = self._server.limits
        if parser.stage == HEAD and fed > limits.max_header_bytes:
            self._refuse(no.HEADERS_TOO_LARGE)
        elif parser.stage == BODY and fed > _CHUNK_FRAMING * parser.size + limits.max_header_bytes + 64 * 1024:
            self._refuse(no.CHUNK_FLOOD)
        elif self._waiter is not None and parser.stage != self._armed:
            self._arm()

    def _refuse(self, refusal: Refusal | None) -> None:
        """Be deaf from here on, and answer once the requests before it are answered."""
        self._deaf = True
        self._parser.before_bytes = 0
        self._parser.heard = True
        if refusal is not None:
            self._enqueue(refusal)
        else:
            self._wake()

    def _discard(self, received: int) -> None:
        self._parser.before_bytes += received
        if self._parser.before_bytes > _LINGER_BYTES and not self._held and not self.transport.is_closing():
            self._held = True
            self.transport.pause_reading()

    def _wake(self) -> None:
        """Let the task look around, if it waits for a request."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    # --- answering ---

    async def _serve(self) -> None:
        try:
            await self._answer_all()
        except asyncio.CancelledError:
            if self._exchange is None or not self._exchange.ended:
                self.transport.abort()
            raise
        finally:
            self._finish()

    async def _answer_all(self) -> None:
        server = self._server
        queue = self._queue
        while not self._lost:
            if queue:
                item: Exchange | Refusal | None = queue.pop(0)
            elif self.closing or self._parser.heard:
                return
            else:
                self._arm()
                self._waiter = waiter = self._loop.create_future()
                item = await waiter
            if not isinstance(item, Exchange):
                if item is None:
                    continue
                await self._linger(item)
                return
            if self._lost:
                return
            self._alarm.due = None
            self._exchange = item
            item.congested = self.paused
            try:
                await server.handler(item)  # looked up each time: a worker that takes leave has another
            except Exception as error:  # noqa: BLE001 - whatever a handler raises is answered, and told to the loop
                self._loop.call_exception_handler({"message": "a request handler failed", "exception": error})
            if not item.ended:
                self._conclude(item)
            if not item.keep_alive:
                await self._let_read(item)
                return
            if self.paused:
                await self.writable()
            self._exchange = None
            if self._held and not queue:
                self._listen()

    def _listen(self) -> None:
        """Read from the socket again."""
        if not self.transport.is_closing():
            self._held = False
            self.transport.resume_reading()

    def _conclude(self, exchange: Exchange) -> None:
        """End what a handler left open: with a 500 while nothing has been sent, else visibly cut."""
        if exchange.take_back():
            exchange.respond(no.FAULT.status, (), self._server.refuse(*no.FAULT), _JSON)
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
        self._alarm.set(self._server.limits.linger_s)
        self._waiter = self._loop.create_future()
        await self._waiter

    async def _let_read(self, exchange: Exchange) -> None:
        """Give the peer a moment with an answer that broke off: some clients drop, at the close, what they have not
        read by then."""
        if self._lost or self.closing or not exchange.broken_off:
            return
        self._deaf = True
        self._waiter = waiter = self._loop.create_future()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._server.limits.break_s):
                await waiter

    def _write_refusal(self, refusal: Refusal) -> None:
        self.outbox.flush()
        if self.transport.is_closing():
            return
        body = self._server.refuse(*refusal)
        head = status_head(refusal.status, (), _JSON)
        self.transport.write(b"%bconnection: close\r\ncontent-length: %d\r\n\r\n%b" % (head, len(body), body))

    def _finish(self) -> None:
        self._finished = self.closing = self._deaf = True
        self._waiter = self._exchange = None
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
            self._unpaused = self._loop.create_future()
            await self._unpaused

    # --- the end ---

    def retire(self) -> None:
        """Take no further request; close at once if none is under way."""
        self.closing = True
        if self._parser.stage == IDLE:
            self._wake()

    def cancel(self) -> asyncio.Task[None]:
        """Cancel what runs; its handler may still say why."""
        self._task.cancel()
        return self._task

    # --- clocks ---

    def _arm(self) -> None:
        """Set the alarm for what is being received."""
        limits, parser = self._server.limits, self._parser
        self._armed = stage = parser.stage
        if stage == IDLE and parser.completed:
            self._alarm.set(limits.idle_s)
        elif stage == BODY:
            self._body_began = self._loop.time()
            self._alarm.set(limits.body_s)
        else:
            self._alarm.set(limits.header_s)

    def _arm_write(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._alarm.set(self._server.limits.write_s)

    def _overdue(self) -> None:
        stage = self._parser.stage
        if self._deaf or self.paused or stage == IDLE:
            self._cut()
        elif stage == HEAD:
            self._refuse(no.SLOW_HEAD)
        elif (more_s := self._body_allowance_s()) > 0:
            self._alarm.set(more_s)
        else:
            self._refuse(no.SLOW_BODY)

    def _body_allowance_s(self) -> float:
        """How much longer a body may come in: `body_s`, and then as long as it has kept up the least rate."""
        limits = self._server.limits
        allowed_s = max(limits.body_s, self._parser.size / limits.min_body_bytes_per_s)
        return self._body_began + allowed_s - self._loop.time()

    def _cut(self) -> None:
        """Close a connection that is idle, lingers, or does not read what we wrote."""
        unsent = self.transport.get_write_buffer_size()
        if not unsent:
            self.transport.close()
        elif unsent <= self._unsent - _LEAST_PROGRESS_BYTES:
            self._arm_write()
        else:
            self.transport.abort()
