"""Tunnels through an HTTP proxy: CONNECT (RFC 9110, 9.3.6), for plain targets too."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from dataclasses import dataclass
from typing import cast

from fairlead.call import Sealed, Secret
from fairlead.errors import UpstreamUnreachable
from fairlead.wire.origin import Origin

_MAX_HEAD_BYTES = 16 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy that the operator has named."""

    origin: Origin
    """Where it listens, in plain HTTP; what passes through the tunnel is encrypted on its own."""
    auth: Secret | None = None
    """`user:password`, for Basic."""

    def request(self, target: Origin) -> bytes:
        """The head that asks for a tunnel."""
        host = f"[{target.host}]" if ":" in target.host else target.host
        authority = f"{host}:{target.port}"
        lines = [f"CONNECT {authority} HTTP/1.1", f"host: {authority}", "user-agent: fairlead"]
        if self.auth is not None:
            lines.append(f"proxy-authorization: Basic {base64.b64encode(self.auth.reveal().encode()).decode()}")
        return Sealed("\r\n".join([*lines, "", ""]).encode("latin-1"))


class Tunnel(asyncio.Protocol):
    """Reads a proxy's answer to CONNECT; `opened` becomes true, or fails."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = b""
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self.opened.done():
            return
        self._head += data
        end = self._head.find(b"\r\n\r\n")
        if end < 0 and len(self._head) <= _MAX_HEAD_BYTES:
            return
        if end < 0:
            self._refuse("more header bytes than a proxy needs")
            return
        status = _status(self._head)
        if 100 <= status < 200:
            rest, self._head = self._head[end + 4 :], b""
            self.data_received(rest)
        elif not 200 <= status < 300:
            self._refuse(f"status {status}" if status else "no HTTP answer", status)
        elif len(self._head) > end + 4:
            self._refuse("bytes of its own after opening the tunnel")  # the other end waits for us to begin
        else:
            self.transport.pause_reading()  # what comes now is for the protocol that takes over
            self.opened.set_result(None)

    def connection_lost(self, _: Exception | None) -> None:
        if not self.opened.done():
            self._refuse("the end of the connection")

    def _refuse(self, what: str, status: int = 0) -> None:
        if status == 407:
            error = UpstreamUnreachable(
                "the proxy on the way to the provider asks for other credentials; correct `proxy_auth`"
            )
        else:
            error = UpstreamUnreachable(
                f"the proxy on the way to the provider opened no tunnel: it answered with {what}; "
                "check `proxy`, and that it lets the provider's host and port through"
            )
        error.retryable = not 400 <= status < 500  # it has decided, and will again
        if not self.opened.done():
            self.opened.set_exception(error)
        self.transport.abort()


def bypassed(origin: Origin, no_proxy: str) -> bool:
    """Whether `NO_PROXY` takes an origin out.

    The list is read as curl and Go do: entries by comma or space; a name stands for itself and what is below it, with
    or without a leading dot; `host:port`, addresses, networks, and `*` for everything.
    """
    return any(_matches(origin, entry) for entry in no_proxy.lower().replace(",", " ").split())


def _matches(origin: Origin, entry: str) -> bool:
    if entry == "*":
        return True
    host = origin.host.rstrip(".")
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        pass  # a name on one side or the other
    name, colon, port = entry.partition(":")
    if colon and port != str(origin.port):
        return False
    name = name.removeprefix("*").strip(".")
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _status(head: bytes) -> int:
    if not head.startswith((b"HTTP/1.1 ", b"HTTP/1.0 ")) or not head[9:12].isdigit():
        return 0
    return int(head[9:12])
