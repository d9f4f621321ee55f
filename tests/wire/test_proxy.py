"""Which origins `NO_PROXY` takes out, what a tunnel is asked for with, and what goes through it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

import pytest
import trustme
from tests.wire.conftest import echo, pooling, serving

from fairlead.call import Secret
from fairlead.wire import Origin, Proxy, bypassed, head


@pytest.mark.parametrize(
    ("url", "no_proxy", "expected"),
    [
        ("https://api.example.com", "", False),
        ("https://api.example.com", "example.com", True),
        ("https://api.example.com", ".example.com", True),
        ("https://api.example.com", "*.example.com", True),
        ("https://example.com", ".example.com", True),
        ("https://api.example.com.", "EXAMPLE.com", True),
        ("https://badexample.com", "example.com", False),
        ("https://api.example.com", "ample.com", False),
        ("https://api.example.com", "other.org, example.com:443", True),
        ("https://api.example.com", "example.com:8443", False),
        ("https://api.example.com", "a.org b.org\texample.com", True),
        ("https://api.example.com", "*", True),
        ("https://api.example.com", "., ,*.", False),
        ("https://10.1.2.3", "10.0.0.0/8", True),
        ("https://10.1.2.3", "10.1.2.3", True),
        ("https://10.1.2.3", "10.1.2.4", False),
        ("https://10.1.2.3:8443", "10.1.2.3:8443", True),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://[fd00::1]", "[fd00::1]", True),
        ("https://[fd00::1]", "10.0.0.0/8", False),
        ("https://api.example.com", "10.0.0.0/8", False),
    ],
)
def test_no_proxy(url: str, no_proxy: str, expected: bool):
    """Names with what is below them, ports, addresses, networks and the star."""
    assert bypassed(Origin.of(url), no_proxy) is expected


def test_a_tunnel_is_asked_for_by_name_and_port():
    """IPv6 stands in brackets, the port is always there, and credentials are Basic and do not show themselves."""
    proxy = Origin.of("http://proxy:3128")
    plain = Proxy(origin=proxy).request(Origin.of("https://[fd00::1]/v1"))
    asked = Proxy(origin=proxy, auth=Secret("me:pw")).request(Origin.of("https://api.example.com"))

    assert bytes(plain) == b"CONNECT [fd00::1]:443 HTTP/1.1\r\nhost: [fd00::1]:443\r\nuser-agent: fairlead\r\n\r\n"
    assert b"\r\nproxy-authorization: Basic bWU6cHc=\r\n" in asked
    assert "bWU6cHc" not in repr(asked)


async def copy(reader, writer):
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def connect(reader, writer):
    """A proxy that says first that it is thinking, and then opens the tunnel."""
    target = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
    far = await asyncio.open_connection("127.0.0.1", int(target.rpartition(":")[2]))
    writer.write(b"HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 200 ")
    await asyncio.sleep(0)
    writer.write(b"OK\r\n\r\n")
    await asyncio.gather(copy(reader, far[1]), copy(far[0], writer))


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_large_bodies_pass_through_a_tunnel(scheme: str):
    """Plain or encrypted, both ways, and the tunnel is kept for the next request."""
    server_ssl = client_ssl = None
    if scheme == "https":
        authority = trustme.CA()
        server_ssl, client_ssl = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
        authority.issue_cert("localhost").configure_cert(server_ssl)
        authority.configure_trust(client_ssl)
    body = bytes(range(256)) * 8_192
    listener = await asyncio.start_server(connect, "127.0.0.1", 0)
    proxy = Proxy(origin=Origin.of(f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"))
    async with (
        serving(echo, ssl_context=server_ssl) as server,
        pooling(f"{scheme}://localhost:{server.port}", client_ssl=client_ssl, proxy=proxy) as pool,
    ):
        for _ in range(2):
            incoming = await pool.send(head("POST", "/v1/x", {"host": "localhost"}), body, 2.0)
            assert await incoming.read(len(body) + 100) == b"POST /v1/x " + body
            assert (pool.in_use, pool.idle) == (0, 1)
    listener.close()
    await asyncio.sleep(0.01)
