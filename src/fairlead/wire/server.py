"""The listening half of the HTTP/1.1 server: sockets, the set of open connections, and their orderly end."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Callable

from fairlead.wire import refusal as no
from fairlead.wire.connection import Handler, ServerConnection
from fairlead.wire.outbox import Outbox
from fairlead.wire.refusal import Refusal, Refuse, ServerLimits, refuse


class Server:
    """Listens, and runs a handler for every request.

    Args:
        refuse: makes the bodies of the answers that the server gives by itself.
        before_writes: called before what handlers answered goes out; must not raise.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        limits: ServerLimits | None = None,
        refuse: Refuse = refuse,
        before_writes: Callable[[], None] | None = None,
    ) -> None:
        self.handler = handler
        self.limits = ServerLimits() if limits is None else limits
        self.refuse = refuse
        self.outbox = Outbox(before_writes)
        self._connections: set[ServerConnection] = set()
        self._by_peer: dict[str, int] = {}
        self._listener: asyncio.Server | None = None
        self._empty: asyncio.Future[None] | None = None
        self._draining = False

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._connections)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        if self._listener is None or not self._listener.sockets:
            raise RuntimeError("the server does not listen")
        return int(self._listener.sockets[0].getsockname()[1])

    async def start(
        self,
        host: str | None = None,
        port: int = 0,
        *,
        ssl_context: ssl.SSLContext | None = None,
        reuse_port: bool = False,
        sock: socket.socket | None = None,
    ) -> None:
        """Listen on `host` and `port` (0: any free one), or on a socket that is bound already.

        Raises:
            OSError: the address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        handshake_s = self.limits.header_s if ssl_context is not None else None
        if sock is not None:
            self._listener = await loop.create_server(
                self._connection, sock=sock, ssl=ssl_context, backlog=4096, ssl_handshake_timeout=handshake_s
            )
        else:
            self._listener = await loop.create_server(
                self._connection,
                host,
                port,
                ssl=ssl_context,
                backlog=4096,
                reuse_port=reuse_port or None,
                ssl_handshake_timeout=handshake_s,
            )

    def stop_accepting(self) -> None:
        """Close the listening sockets; open connections live on."""
        if self._listener is not None:
            self._listener.close()

    async def drain(self, timeout_s: float) -> None:
        """Let running requests finish, then close.  Idle connections close at once, and what still runs after
        `timeout_s` is cancelled."""
        self.stop_accepting()
        self._draining = True
        for connection in tuple(self._connections):
            connection.retire()
        if not self._connections:
            return
        self._empty = asyncio.get_running_loop().create_future()
        await asyncio.wait([self._empty], timeout=timeout_s)
        tasks = [connection.cancel() for connection in tuple(self._connections)]
        if tasks:
            # A handler's cleanup is given a bound of its own, so that a stuck one cannot hold the process.
            await asyncio.wait(tasks, timeout=2.0)
        for connection in tuple(self._connections):
            connection.transport.abort()

    def _connection(self) -> ServerConnection:
        return ServerConnection(self)

    def joined(self, connection: ServerConnection) -> Refusal | None:
        """Count a connection in, or say why it may not stay."""
        limits = self.limits
        if self._draining or len(self._connections) >= limits.max_connections:
            return no.CROWDED
        peer = _network(connection.peer, count_loopback=limits.count_loopback)
        if peer is not None:
            held = self._by_peer.get(peer, 0)
            if held >= limits.max_connections_per_peer:
                return no.CROWDED_PEER
            self._by_peer[peer] = held + 1
        self._connections.add(connection)
        return None

    def left(self, connection: ServerConnection) -> None:
        """Count a connection out."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        peer = _network(connection.peer, count_loopback=self.limits.count_loopback)
        if peer is not None:
            held = self._by_peer.pop(peer) - 1
            if held:
                self._by_peer[peer] = held
        if not self._connections and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)


def _network(peer: str, *, count_loopback: bool) -> str | None:
    """Under what a peer is counted: its address, or the /64 of it, which is what one IPv6 subscriber has."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:  # a Unix socket has none
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif not address.is_loopback:
            return str(ipaddress.IPv6Address(int(address) >> 64 << 64))
    return None if address.is_loopback and not count_loopback else str(address)
