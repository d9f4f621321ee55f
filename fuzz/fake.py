"""A loop and a transport without sockets, so that a connection can be fed bytes from memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Loop(asyncio.SelectorEventLoop):
    """Keeps what is told to its exception handler, looks up no names, and connects and listens in memory only."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[dict[str, Any]] = []
        self.resolved: list[str] = []
        """What every name that is not numeric resolves to."""
        self.connected: list[str] = []
        """Where connections were asked for."""
        self.opened: list[Transport] = []
        """Connections that came about."""
        self.accepts = False
        """Whether connections come about."""
        self.listener: Callable[[], asyncio.Protocol] | None = None
        """Makes the protocol of a connection that a server accepts."""
        self.set_exception_handler(lambda _, context: self.failures.append(context))

    async def getaddrinfo(self, host: Any, port: Any, **_: Any) -> list[Any]:
        """As libc reads the host where it is numeric in any form, else `resolved`."""
        try:
            return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except socket.gaierror:
            if not self.resolved:
                raise
        families = [socket.AF_INET6 if ":" in address else socket.AF_INET for address in self.resolved]
        pairs = zip(families, self.resolved, strict=True)
        return [(family, socket.SOCK_STREAM, 6, "", (address, port)) for family, address in pairs]

    async def create_connection(  # type: ignore[override]
        self, factory: Callable[[], asyncio.Protocol], host: Any = None, *_: Any, **__: Any
    ) -> Any:
        """Writes down where to; where connections come about, the transport is the last of `opened`."""
        self.connected.append(str(host))
        if not self.accepts:
            raise ConnectionRefusedError
        transport = connected(factory)
        self.opened.append(transport)
        return transport, transport.protocol

    async def create_server(self, factory: Callable[[], asyncio.Protocol], *_: Any, **__: Any) -> Any:  # type: ignore[override]
        """Keeps the factory."""
        self.listener = factory
        return _Listener()

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run it, and fail where anything failed beside it."""
        self.failures.clear()
        result = self.run_until_complete(coroutine)
        if self.failures:
            context = self.failures[0]
            raise AssertionError(f"told to the loop: {context.get('message')}") from context.get("exception")
        return result


class _Listener:
    sockets = ()

    def close(self) -> None:
        pass


class Transport(asyncio.Transport):
    """Keeps what is written; the test feeds the protocol itself."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("192.0.2.1", 4711)})
        self.protocol = protocol
        self.written = bytearray()
        self.closed = False
        self.reading = True
        self.ended = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.closed, "written after the close"
        assert not self.ended, "written after the end"
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    def abort(self) -> None:
        self.close()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        assert not self.closed, "ended after the close"
        self.ended = True

    def pause_reading(self) -> None:
        assert not self.closed, "paused after the close"
        self.reading = False

    def resume_reading(self) -> None:
        assert not self.closed, "resumed after the close"
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return 0


def connected(factory: Callable[[], asyncio.Protocol]) -> Transport:
    """A new connection, its protocol told."""
    protocol = factory()
    transport = Transport(protocol)
    protocol.connection_made(transport)
    return transport
