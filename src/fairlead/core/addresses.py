"""Which IP addresses a request may leave for.

The tables follow the IANA special-purpose registries (RFC 6890 and its updates) and the metadata services of the
large clouds.  They are written out because what `ipaddress.is_global` says differs between Python's patch releases.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Literal

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

METADATA = frozenset(
    map(
        ip_address,
        (
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure's host agent, a public address
            "169.254.0.23",  # Tencent
            "169.254.42.42",  # Scaleway
            "169.254.169.254",  # AWS, Azure, Google and most others
            "169.254.170.2",  # AWS ECS credentials
            "169.254.170.23",  # AWS EKS pod identity
            "192.0.0.192",  # Oracle
            "fd00:42::42",  # Scaleway
            "fd00:ec2::23",  # AWS EKS pod identity
            "fd00:ec2::254",  # AWS
            "fd20:ce::254",  # Google
        ),
    )
)
"""Cloud metadata services: they hand out credentials, so no setting allows them."""

METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
"""Names of such services; they matter where somebody else resolves them."""

_SPECIAL_V4 = tuple(
    (IPv4Network(network), kind)
    for network, kind in (
        ("0.0.0.0/8", "unspecified"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("192.0.0.0/24", "reserved"),
        ("192.0.2.0/24", "documentation"),
        ("192.88.99.0/24", "reserved"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "benchmarking"),
        ("198.51.100.0/24", "documentation"),
        ("203.0.113.0/24", "documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    )
)
_SPECIAL_V6 = tuple(
    (IPv6Network(network), kind)
    for network, kind in (
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4-mapped"),
        ("64:ff9b::/96", "NAT64"),
        ("64:ff9b:1::/48", "NAT64"),
        ("2001::/32", "Teredo"),
        ("2001::/23", "reserved"),
        ("2001:db8::/32", "documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "documentation"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("ff00::/8", "multicast"),
    )
)
_GLOBAL_V6 = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


def refusal(address: str, allowed: Sequence[Network] | Literal[True] = ()) -> str | None:
    """Why no connection may go to this address, such as `private`; `None` where it may.

    An IPv6 address that carries an IPv4 address must pass with both.  Metadata services never pass.

    Args:
        address: a numeric address; an IPv6 scope (`%eth0`) is ignored.
        allowed: networks that pass although they are not public; `True` stands for all of them.
    """
    try:
        outer = ip_address(address.partition("%")[0])
    except ValueError:
        return "not an address"
    inner = _embedded(outer)
    both: tuple[Address, ...] = (outer,) if inner is None else (outer, inner)
    if any(one in METADATA for one in both):
        return "metadata service"
    if allowed is True:
        return None
    for one in both:
        kind = _special(one)
        if kind is not None and not any(one in network for network in allowed):
            return kind
    return None


def _special(address: Address) -> str | None:
    if isinstance(address, IPv4Address):
        return next((kind for network, kind in _SPECIAL_V4 if address in network), None)
    kind = next((kind for network, kind in _SPECIAL_V6 if address in network), None)
    if kind is None and address not in _GLOBAL_V6:
        return "reserved"
    return kind


def _embedded(address: Address) -> IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if isinstance(address, IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return None
