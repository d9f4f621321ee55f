"""Where a connection may go: nothing that `ipaddress` and `urllib` read as a private address gets through, in whatever
form it is written or resolved.
"""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from fairlead.core.addresses import METADATA, refusal
from fairlead.errors import ConfigError, FairleadError
from fairlead.wire import Origin, Pool
from fuzz.fake import Loop

_AUTHORITY = re.compile(r"^(?:[^:/?#]+):(?://([^/?#]*))?", re.DOTALL)  # RFC 3986, appendix B
_HEAD = b"GET / HTTP/1.1\r\nhost: x\r\n"
_RESOLVED_BYTES = 20
_loop = Loop()


def check(data: bytes) -> None:
    if not data:
        return
    mode, rest = data[0], data[1:]
    if mode % 3 == 0 and len(rest) in (4, 16):
        _check_address(str(ip_address(rest)))
    elif mode % 3 == 1:
        _check_address(rest.decode("latin-1"))
    else:
        _check_url(rest[_RESOLVED_BYTES:].decode("utf-8", "replace"), rest[:_RESOLVED_BYTES])


def _check_address(text: str) -> None:
    reason = refusal(text)
    if reason is None:
        assert _is_public(text), f"{text} is not public"
    address = _parsed(text)
    if address is not None and address in METADATA:
        assert refusal(text, True) is not None, "metadata services stay refused"
    if refusal(text, True) is not None:
        assert reason is not None, "more is refused with permission than without"


def _check_url(url: str, seed: bytes) -> None:
    try:
        origin = Origin.of(url)
    except ConfigError:
        return
    match = _AUTHORITY.match(url.strip())
    authority = "" if match is None or match[1] is None else match[1]
    cleaned = "".join(char for char in authority if char not in "\t\r\n")
    assert "@" not in cleaned, "credentials in a URL"
    assert "\\" not in cleaned, "browsers read a backslash as a slash"
    assert origin.host == (urlsplit(url).hostname or "").lower()
    assert origin.host in cleaned.lower(), "the host is not what RFC 3986 reads"
    assert 0 <= origin.port <= 65535
    seed = seed.ljust(_RESOLVED_BYTES, b"\0")
    _loop.resolved = [str(IPv4Address(seed[:4])), str(IPv6Address(seed[4:]))]
    _loop.connected.clear()
    _loop.run(_connect(origin))
    for address in _loop.connected:
        assert _is_public(address), f"{url!r} leads to {address}"


async def _connect(origin: Origin) -> None:
    pool = Pool(origin)
    try:
        await pool.send(_HEAD, b"", 1.0)
    except FairleadError:
        pass
    else:
        raise AssertionError("a connection came about")
    finally:
        await pool.aclose()
    assert pool.in_use == 0, "a slot leaked"


def _parsed(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _is_public(text: str) -> bool:
    address = _parsed(text)
    if address is None:
        return False
    return all(one.is_global and not one.is_multicast and one not in METADATA for one in _readings(address))


def _readings(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, and every IPv4 address that a network on the way may take it for."""
    found = [address]
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            found.append(address.ipv4_mapped)
        if address.sixtofour is not None:
            found.append(address.sixtofour)
        if address.teredo is not None:
            found += address.teredo
        if address.packed.startswith(bytes.fromhex("0064ff9b0000000000000000")) or not any(address.packed[:12]):
            found.append(IPv4Address(address.packed[12:]))
    return found


def _url(text: str, v4: str = "1.1.1.1", v6: str = "2606:4700::1111") -> bytes:
    return b"\x02" + IPv4Address(v4).packed + IPv6Address(v6).packed + text.encode()


SEEDS = (
    *(b"\0" + ip_address(text).packed for text in ("1.1.1.1", "127.0.0.1", "169.254.169.254", "2606:4700::1111")),
    *(b"\0" + ip_address(text).packed for text in ("::ffff:10.0.0.1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "fe80::1")),
    *(b"\0" + ip_address(text).packed for text in ("192.0.0.9", "192.31.196.1", "5f00::1", "2001:20::1", "3fff::1")),
    *(b"\1" + text for text in (b"127.1", b"0x7f000001", b"fe80::1%eth0", b"017700000001", b"::1", b"1.1.1.1 ")),
    *(_url(f"https://{host}/v1") for host in ("api.openai.com", "127.1:80", "0x7f000001", "2130706433", "[::1]:8000")),
    *(_url(f"http://{host}") for host in ("localhost.", "a@b", "[::ffff:127.0.0.1]", "[fe80::1%25eth0]", "\uff11\uff12\uff17.0.0.1")),
    _url("https://a", "10.0.0.1", "::ffff:169.254.169.254"),
    _url("http:\\\\a\\@b"),
    _url(" https://a:99999/?@b#c"),
    _url("ht\ttp://a\n.b:0"),
)  # fmt: skip
WORDS = (
    b"http://", b"https://", b"127.0.0.1", b"127.1", b"0x7f", b"[::1]", b"::ffff:", b"64:ff9b::", b"2002:", b"@", b"\\", b"%25", b":80",
    b"169.254.169.254", b"localhost", b".", "。".encode(), b"#", b"?",
)  # fmt: skip
