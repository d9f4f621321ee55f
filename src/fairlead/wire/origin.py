"""Where a pool connects to: an origin from a base URL, resolved to addresses that may be connected to."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from fairlead.core.addresses import Network, refusal
from fairlead.errors import ConfigError, UpstreamUnreachable

AllowPrivate = tuple[Network, ...] | bool
"""Networks that may be connected to although they are not public; `True` for all, metadata services excepted."""

_HOST_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-_:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Scheme, host and port."""

    scheme: str
    host: str
    """Lower case, without brackets."""
    port: int

    @classmethod
    def of(cls, url: str) -> Origin:
        """The origin of a base URL; its path is not looked at.

        Raises:
            ConfigError: not an http or https URL, one with credentials, or a host outside ASCII.
        """
        if "\\" in url or not url.isprintable() or " " in url:
            raise ConfigError("a base URL holds a backslash, a space or a control character; take it out")
        remedy = "give it as `https://host[:port]/path`, an internationalised name in its `xn--` form"
        try:
            parts = urlsplit(url)
            host, port = (parts.hostname or "").lower(), parts.port
        except ValueError as error:
            raise ConfigError(f"a base URL cannot be read; {remedy}", detail=str(error)) from error
        if parts.scheme not in {"http", "https"} or not host or not _HOST_CHARS.issuperset(host):
            raise ConfigError(f"the base URL of host {host!r} cannot be used; {remedy}")
        if "@" in parts.netloc:
            raise ConfigError(f"the base URL of host {host!r} holds credentials; put them where the key belongs")
        if port is None:
            port = 443 if parts.scheme == "https" else 80
        return cls(scheme=parts.scheme, host=host, port=port)

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted."""
        return self.scheme == "https"

    @property
    def authority(self) -> str:
        """The value of `host`, and the name in messages: the port only where it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.is_tls else 80) else f"{host}:{self.port}"


async def resolve(origin: Origin, allow_private: AllowPrivate) -> list[str]:
    """The addresses of an origin that may be connected to, in the resolver's order.

    Checked is what will be connected to, so a name that changes its address between two look-ups gains nothing.

    Raises:
        UpstreamUnreachable: the name is unknown, or every address is refused.
    """
    where = f"{origin.host}:{origin.port}"
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise UpstreamUnreachable(
            f"the name of the provider's host {where} cannot be resolved; check its base URL and DNS",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    allowed = allow_private if isinstance(allow_private, tuple) else allow_private or ()
    addresses: list[str] = []
    refused: list[str] = []
    for address in dict.fromkeys(str(info[4][0]) for info in found):
        reason = refusal(address, allowed)
        if reason is None:
            addresses.append(address)
        else:
            refused.append(f"{address} ({reason})")
    if not addresses:
        raise UpstreamUnreachable(
            f"the provider's host {where} has no public address; "
            "set `allow_private` to its network if it is meant to be an internal one",
            detail=", ".join(refused),
        )
    return addresses
