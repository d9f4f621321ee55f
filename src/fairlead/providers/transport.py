"""The way to one upstream: the pooled client of `wire/`, or the simulator in process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol


class Incoming(Protocol):
    """An answer whose head has arrived."""

    status: int
    headers: Mapping[str, str]
    """Lower-case names; repeated fields joined by `, `."""
    tap: Callable[[bytes], bool] | None
    """May be offered what arrives while the reader waits; what it takes (it says so) wakes nobody.  Must not raise."""

    @property
    def ended(self) -> bool:
        """Whether the whole body has come and was read; a transport that cannot tell says no."""
        ...

    async def read(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            UpstreamProtocol: longer than `limit` bytes, or not framed as HTTP says.
            UpstreamUnreachable: the connection broke.
        """
        ...

    def __aiter__(self) -> Incoming: ...

    async def __anext__(self) -> bytes:
        """All body bytes that arrived since the last call, never empty.

        Raises:
            UpstreamProtocol: not framed as HTTP says.
            UpstreamUnreachable: the connection broke before the body's end.
            StopAsyncIteration: the body ended as its framing says.
        """
        ...

    def abort(self, error: BaseException | None = None) -> None:
        """Give the connection up unless the body has ended; a pending or later read raises `error` (by default
        `UpstreamUnreachable`).  Call it when done early; harmless at the end."""
        ...


class Transport(Protocol):
    """Sends requests to one origin."""

    async def send(self, head: bytes, body: bytes, connect_timeout_s: float) -> Incoming:
        """Send a request and wait for the head of its answer.

        Args:
            head: request line and header lines with their CRLFs, without `content-length` and the empty line.
            connect_timeout_s: for DNS, TCP and TLS together, and for the wait for a free connection.

        Raises:
            UpstreamUnreachable, UpstreamTls, UpstreamTimeout, UpstreamProtocol.
        """
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...
