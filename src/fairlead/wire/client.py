"""A pool of HTTP/1.1 connections to one origin."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque

from fairlead.errors import UpstreamError, UpstreamTimeout, UpstreamTls, UpstreamUnreachable
from fairlead.wire.incoming import Incoming
from fairlead.wire.origin import AllowPrivate, Origin, check_unresolved
from fairlead.wire.outbox import Outbox
from fairlead.wire.proxy import Proxy, Tunnel
from fairlead.wire.resolver import Lookup, Resolver
from fairlead.wire.tls import certificate_wanted, client_context, is_about_certificates
from fairlead.wire.upstream import UpstreamConnection

_TICKS = 4
"""How many times within `idle_s` the idle connections are looked at."""


class Pool:
    """Sends requests to one origin over connections that it keeps, the last used first.

    Redirects are answers like others: nothing is followed, so no credential leaves its origin.  A request is written
    once and never again, whatever happens; whether it may be repeated is the retry stage's decision.

    Args:
        ssl_context: for an https origin; by default one that trusts the system's authorities.
        idle_s: how long an unused connection is kept.
        max_decoded_bytes: the most that an answer with a content coding may decode to.
        proxy: where connections go instead; through it they lead to the origin, which it resolves.
        lookup: by default the operating system's resolver.
    """

    def __init__(
        self,
        origin: Origin,
        *,
        ssl_context: ssl.SSLContext | None = None,
        max_connections: int = 512,
        idle_s: float = 60.0,
        allow_private: AllowPrivate = False,
        max_decoded_bytes: int = 64 * 1024 * 1024,
        proxy: Proxy | None = None,
        lookup: Lookup | None = None,
    ) -> None:
        self.origin = origin
        self.max_decoded_bytes = max_decoded_bytes
        self.outbox = Outbox()
        self._where = f"{origin.host}:{origin.port}"
        self._ssl = None if not origin.is_tls else client_context() if ssl_context is None else ssl_context
        self._max_connections = max_connections
        self._idle_s = idle_s
        self._allow_private = allow_private
        self._proxy = proxy
        # A proxy is the operator's own choice and stands where it stands; metadata services are refused all the same.
        nearest, private = (origin, allow_private) if proxy is None else (proxy.origin, True)
        self._port = nearest.port
        self._resolver = Resolver(nearest, private, lookup=lookup)
        self._idle: dict[UpstreamConnection, None] = {}  # the last used stands last
        self._connections: set[UpstreamConnection] = set()
        self._connecting = 0
        # A waiter gets a connection, or `None`: room to open one, already counted as connecting.
        self._waiters: deque[asyncio.Future[UpstreamConnection | None]] = deque()
        self._tick = 0
        self._sweeper: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def in_use(self) -> int:
        """Connections that are being opened or carry a request."""
        return self._connecting + len(self._connections) - len(self._idle)

    @property
    def idle(self) -> int:
        """Connections that wait for a request."""
        return len(self._idle)

    async def send(self, head: bytes, body: bytes, connect_timeout_s: float) -> Incoming:
        """Send a request and wait for the head of its answer.

        Args:
            head: request line and header lines with their CRLFs, without `content-length` and the empty line.
            connect_timeout_s: for DNS, TCP and TLS together, and for the wait for a free connection.

        Raises:
            UpstreamUnreachable, UpstreamTls, UpstreamTimeout, UpstreamProtocol.
        """
        connection = self._take() if self._idle else None
        if connection is None:
            connection = await self._acquire(connect_timeout_s)
        answer = connection.send(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
        try:
            return await answer
        except BaseException:
            connection.give_up(answer)
            raise

    async def aclose(self) -> None:
        """Close all connections; what still reads or waits gets `UpstreamUnreachable`."""
        self._closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(self._is_closed())
        for connection in tuple(self._connections):
            connection.fail(self._is_closed())
        self._resolver.close()
        await asyncio.sleep(0)  # lets the transports close their sockets

    # --- for the connections ---

    def put_back(self, connection: UpstreamConnection) -> None:
        """Take a connection whose answer has been received."""
        if self._waiters:
            waiter = self._next_waiter()
            if waiter is not None:
                waiter.set_result(connection)
                return
        connection.tick = self._tick
        self._idle[connection] = None
        if self._sweeper is None:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_s / _TICKS, self._sweep)

    def gone(self, connection: UpstreamConnection) -> None:
        """Forget a connection that is closed."""
        if connection in self._connections:
            self._connections.discard(connection)
            self._idle.pop(connection, None)
            self._pass_room_on()

    # --- finding a connection ---

    def _take(self) -> UpstreamConnection | None:
        """The connection used last, if there is one that is still open."""
        while self._idle:
            connection, _ = self._idle.popitem()
            if not connection.transport.is_closing():
                return connection
            connection.close()
        return None

    async def _acquire(self, timeout_s: float) -> UpstreamConnection:
        if self._closed:
            raise self._is_closed()
        try:
            async with asyncio.timeout(timeout_s):
                connection = await self._place()
                while connection is not None and connection.closed:
                    connection = await self._place()  # it was lost between being handed over and this line
                return connection or await self._open(timeout_s)
        except TimeoutError as error:
            raise UpstreamTimeout(
                f"no connection to {self._where} within {timeout_s:g} s; "
                "check that it is up, or raise the connect timeout or the pool's size"
            ) from error

    async def _place(self) -> UpstreamConnection | None:
        """A connection, or `None` for the right to open one; in the order of asking."""
        if not self._waiters and self._connecting + len(self._connections) < self._max_connections:
            self._connecting += 1
            return None
        waiter: asyncio.Future[UpstreamConnection | None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            return await waiter
        except BaseException:
            self._decline(waiter)
            raise

    def _decline(self, waiter: asyncio.Future[UpstreamConnection | None]) -> None:
        """Hand on what a waiter was given in the very moment it was cancelled."""
        if not waiter.done() or waiter.cancelled():
            waiter.cancel()
            if waiter in self._waiters:
                self._waiters.remove(waiter)
        elif waiter.exception() is None:
            connection = waiter.result()
            if connection is None:
                self._connecting -= 1
                self._pass_room_on()
            elif not connection.closed:
                self.put_back(connection)

    def _next_waiter(self) -> asyncio.Future[UpstreamConnection | None] | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _pass_room_on(self) -> None:
        waiter = self._next_waiter()
        if waiter is not None:
            self._connecting += 1
            waiter.set_result(None)

    # --- opening one ---

    async def _open(self, timeout_s: float) -> UpstreamConnection:
        """Connect, in the place that is already counted."""
        connection: UpstreamConnection | None = None
        try:
            connection = await self._connect(timeout_s)
        finally:
            self._connecting -= 1
            if connection is None:
                self._pass_room_on()
        self._connections.add(connection)
        if self._closed:
            connection.close()
            raise self._is_closed()
        return connection

    async def _connect(self, timeout_s: float) -> UpstreamConnection:
        if self._proxy is not None:
            check_unresolved(self.origin, self._allow_private)
        addresses = await self._resolver.addresses()
        share_s = timeout_s / len(addresses)  # so that one dead address leaves time for the others
        fault: UpstreamError | None = None
        for address in addresses:
            try:
                async with asyncio.timeout(share_s):
                    return await self._connect_to(address)
            except ssl.SSLError as error:
                raise self._tls_fault(error) from error
            except TimeoutError:
                if address == addresses[-1]:
                    self._resolver.forget()
                    raise
            except OSError as error:
                fault = self._connect_fault(error)
                fault.__cause__ = error
        self._resolver.forget()
        raise fault or TimeoutError

    async def _connect_to(self, address: str) -> UpstreamConnection:
        if self._proxy is not None:
            return await self._connect_through(self._proxy, address)
        _, connection = await asyncio.get_running_loop().create_connection(
            lambda: UpstreamConnection(self, self._where),
            address,
            self._port,
            ssl=self._ssl,
            server_hostname=self._server_name,
        )
        return connection

    async def _connect_through(self, proxy: Proxy, address: str) -> UpstreamConnection:
        loop = asyncio.get_running_loop()
        plain, tunnel = await loop.create_connection(Tunnel, address, self._port)
        connection = UpstreamConnection(self, self._where)
        transport: asyncio.Transport | None = plain
        try:
            plain.write(proxy.request(self.origin))
            await tunnel.opened
            if self._ssl is not None:
                transport = await loop.start_tls(plain, connection, self._ssl, server_hostname=self._server_name)
            if transport is None or transport.is_closing():
                raise ConnectionResetError(f"the tunnel to {self._where} broke")  # noqa: TRY301 - handled as the others
        except BaseException:
            plain.abort()
            raise
        connection.connection_made(transport)
        if self._ssl is None:
            plain.set_protocol(connection)
            plain.resume_reading()
        return connection

    @property
    def _server_name(self) -> str | None:
        return None if self._ssl is None else self.origin.host.rstrip(".")

    def _connect_fault(self, error: OSError) -> UpstreamUnreachable:
        what = f"connect to {self._where}; check its base URL and that it is up"
        if self._proxy is not None:
            what = f"reach {self._where} through its proxy; check `proxy` and that both are up"
        return UpstreamUnreachable(f"cannot {what}", detail=f"{type(error).__name__}: {error}")

    def _tls_fault(self, error: ssl.SSLError) -> UpstreamError:
        detail = f"{type(error).__name__}: {error}"
        if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
            return UpstreamUnreachable(f"{self._where} closed the connection in its TLS handshake", detail=detail)
        if isinstance(error, ssl.SSLCertVerificationError):
            return UpstreamTls(
                f"the certificate of {self._where} cannot be trusted: {error.verify_message}; "
                "correct it, or give its authority as `tls.ca`",
                detail=detail,
            )
        if is_about_certificates(error):
            return UpstreamTls(certificate_wanted(self._where), detail=detail)
        return UpstreamTls(
            f"no TLS connection to {self._where} can be agreed; "
            "it needs TLS 1.2 or newer, and may want a certificate of ours (`tls.cert`)",
            detail=detail,
        )

    def _is_closed(self) -> UpstreamUnreachable:
        return UpstreamUnreachable(f"the connections to {self._where} are closed")

    def _sweep(self) -> None:
        """Close what has been idle for too long; the pool's own time saves a look at the clock for each request."""
        self._sweeper = None
        self._tick += 1
        for connection in [each for each in self._idle if each.tick <= self._tick - _TICKS]:
            connection.close()
        if self._idle:
            self._sweeper = asyncio.get_running_loop().call_later(self._idle_s / _TICKS, self._sweep)
