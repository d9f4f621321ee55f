"""TLS in both directions, with certificates made for the test."""

from __future__ import annotations

import datetime as dt
import ssl

import pytest
import trustme
from tests.wire.conftest import echo, pooling, serving

from fairlead.errors import ConfigError, UpstreamTls, UpstreamUnreachable
from fairlead.wire import client_context, head, server_context

HEAD = head("GET", "/v1/x", {"host": "localhost"})


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def files(authority, tmp_path_factory):
    """The paths of the authority and of a server's certificate and key."""
    folder = tmp_path_factory.mktemp("tls")
    authority.cert_pem.write_to_path(folder / "ca.pem")
    _written(authority.issue_cert("localhost"), folder, "server")
    return folder


def _written(certificate, folder, name):
    certificate.private_key_pem.write_to_path(folder / f"{name}.key")
    (folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))


def context_of(certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context


async def test_a_trusted_certificate_is_good(files):
    """Server and client speak TLS, keep the connection, and the exchange knows that it is encrypted."""
    encrypted = []

    async def handler(exchange):
        encrypted.append(exchange.is_tls)
        await echo(exchange)

    context = server_context(str(files / "server.pem"), str(files / "server.key"))
    async with (
        serving(handler, ssl_context=context) as server,
        pooling(f"https://localhost:{server.port}", client_ssl=client_context(str(files / "ca.pem"))) as pool,
    ):
        for _ in range(2):
            incoming = await pool.send(HEAD, b"", 2.0)
            assert await incoming.read(100) == b"GET /v1/x "
        assert pool.idle == 1

    assert encrypted == [True, True]


async def test_a_large_body_passes_both_ways(files):
    """Back-pressure and framing hold under TLS."""
    context = server_context(str(files / "server.pem"), str(files / "server.key"))
    body = bytes(range(256)) * 8192
    async with (
        serving(echo, ssl_context=context) as server,
        pooling(f"https://localhost:{server.port}", client_ssl=client_context(str(files / "ca.pem"))) as pool,
    ):
        incoming = await pool.send(HEAD, body, 2.0)

        assert await incoming.read(len(body) + 100) == b"GET /v1/x " + body


@pytest.mark.parametrize("case", ["expired", "wrong host", "other authority"])
async def test_a_bad_certificate_is_refused(authority, files, case):
    """Expired, for another name or from an unknown authority: no request is sent, and the reason is said."""
    certificate = {
        "expired": lambda: authority.issue_cert("localhost", not_after=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
        "wrong host": lambda: authority.issue_cert("example.org"),
        "other authority": lambda: trustme.CA().issue_cert("localhost"),
    }[case]()
    asked = []

    async def handler(exchange):
        asked.append(exchange)
        await echo(exchange)

    async with (
        serving(handler, ssl_context=context_of(certificate)) as server,
        pooling(f"https://localhost:{server.port}", client_ssl=client_context(str(files / "ca.pem"))) as pool,
    ):
        with pytest.raises(UpstreamTls, match="certificate of localhost:"):
            await pool.send(HEAD, b"", 2.0)
        assert pool.in_use == 0

    assert asked == []


async def test_the_system_authorities_are_the_default(authority):
    """Without authorities of its own a private authority is not trusted."""
    async with (
        serving(echo, ssl_context=context_of(authority.issue_cert("localhost"))) as server,
        pooling(f"https://localhost:{server.port}") as pool,
    ):
        with pytest.raises(UpstreamTls):
            await pool.send(HEAD, b"", 2.0)


async def test_https_to_a_plain_port_is_a_tls_fault():
    """A base URL with the wrong scheme is told as such, not as a protocol fault of the answer."""
    async with serving(echo) as server, pooling(f"https://localhost:{server.port}") as pool:
        with pytest.raises((UpstreamTls, UpstreamUnreachable)):
            await pool.send(HEAD, b"", 2.0)
        assert pool.in_use == 0


def test_contexts_verify_and_refuse_old_protocols(files):
    """TLS 1.2 is the least, and a client always checks chain and name."""
    client = client_context(str(files / "ca.pem"), str(files / "server.pem"), str(files / "server.key"))
    server = server_context(str(files / "server.pem"), str(files / "server.key"))

    assert client.verify_mode is ssl.CERT_REQUIRED
    assert client.check_hostname
    assert client.minimum_version is server.minimum_version is ssl.TLSVersion.TLSv1_2


def test_unreadable_files_are_configuration_errors(files, tmp_path):
    """A missing file or one that is not PEM is named, with the remedy."""
    garbage = tmp_path / "garbage.pem"
    garbage.write_text("not PEM")
    with pytest.raises(ConfigError, match=r"missing\.pem"):
        client_context(str(tmp_path / "missing.pem"))
    with pytest.raises(ConfigError, match=r"garbage\.pem"):
        client_context(str(garbage))
    with pytest.raises(ConfigError, match=r"garbage\.pem"):
        server_context(str(garbage), str(files / "server.key"))
