"""Where a pool connects to: an origin from a base URL, resolved to addresses that may be connected to."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from fairlead.core.addresses import METADATA_NAMES, Network, refusal
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
        if parts.scheme not in {"http", "https"} or not host or not _is_host(host, parts.netloc):
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


def _is_host(host: str, place: str) -> bool:
    """Whether it is a name or an address; only IPv6 addresses stand in brackets."""
    return _HOST_CHARS.issuperset(host) and ("[" in place) == (":" in host)


def permitted(found: Iterable[str], where: str, allow_private: AllowPrivate) -> list[str]:
    """The addresses that may be connected to, each once, in their order.

    Raises:
        UpstreamUnreachable: every one is refused.
    """
    allowed = allow_private if isinstance(allow_private, tuple) else allow_private or ()
    addresses: list[str] = []
    refused: list[str] = []
    for address in dict.fromkeys(found):
        reason = refusal(address, allowed)
        if reason is None:
            addresses.append(address)
        else:
            refused.append(f"{address} ({reason})")
    if not addresses:
        raise _not_public(where, ", ".join(refused))
    return addresses


def check_unresolved(origin: Origin, allow_private: AllowPrivate) -> None:
    """Check a name that a proxy will resolve: all that is known here is whether it already says an address.

    Raises:
        UpstreamUnreachable: an address that is refused, in whatever notation, or a name of this machine or of a
            metadata service.
    """
    where, host = f"{origin.host}:{origin.port}", origin.host.rstrip(".")
    if host in METADATA_NAMES:
        raise _not_public(where, "metadata service")
    if host == "localhost" or host.endswith(".localhost"):
        host = "127.0.0.1"
    if ":" not in host:
        try:
            host = socket.inet_ntoa(socket.inet_aton(host))  # also `127.1`, `0x7f000001` and the like
        except OSError:
            return  # a name
    permitted([host], where, allow_private)


def _not_public(where: str, refused: str) -> UpstreamUnreachable:
    return UpstreamUnreachable(
        f"the provider's host {where} has no public address; "
        "set `allow_private` to its network if it is meant to be an internal one",
        detail=refused,
    )
