"""A company's network: its own authority, client certificates, a proxy on the way out (FAULTS X2, X4)."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import pytest
import trustme

from fairlead.config.build import build, relaid, unchanged_providers
from fairlead.config.load import load_text
from fairlead.errors import ConfigError
from fairlead.testing import Canary, FakeUpstream, SeededRng
from faults.front import ENVIRON, Answer, Begin, chat

CONFIG = """
[gateway]
auth = "open"
[providers.up]
dialect = "openai"
base_url = "{url}"
api_key = "env:UPSTREAM_KEY"
allow_private = {private}
{more}
[models.m]
targets = ["up/gpt-4o-mini"]
"""


class Files:
    """An authority, a server's context, and PEM files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = trustme.CA()
        self.authority.cert_pem.write_to_path(folder / "ca.pem")
        self.issue("client", "fairlead.example")

    def issue(self, name: str, host: str) -> None:
        made = self.authority.issue_cert(host)
        (self.folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
        made.private_key_pem.write_to_path(self.folder / f"{name}.key")
        (self.folder / f"{name}.key").chmod(0o600)

    def server(self, *, wants_certificate: bool = False, newest: ssl.TLSVersion | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.authority.issue_cert("127.0.0.1", "api.example").configure_cert(context)
        if wants_certificate:
            self.authority.configure_trust(context)
            context.verify_mode = ssl.CERT_REQUIRED
        if newest is not None:
            context.maximum_version = newest
        return context

    def tls(self, *keys: str) -> str:
        names = {"ca": "ca.pem", "cert": "client.pem", "key": "client.key"}
        return "tls = { " + ", ".join(f'{key} = "file:{self.folder / names[key]}"' for key in keys) + " }"


@contextlib.contextmanager
def listening(context: ssl.SSLContext) -> Iterator[int]:
    """A blocking server, which unlike asyncio's says to the client why its handshake fails.

    It reads on until the client leaves, as servers do that linger: bytes left unread at a close would reset the
    connection, and the reset may overtake the alert.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, socket.socket(fileno=os.dup(connection.fileno())) as below:
                with contextlib.suppress(OSError):
                    context.wrap_socket(connection, server_side=True).recv(65_536)
                with contextlib.suppress(OSError):
                    while below.recv(65_536):
                        pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "tls"
    folder.mkdir()
    return Files(folder)


class Proxy:
    """A forward proxy that knows CONNECT, and notes every byte that a client sends it.

    Args:
        status: refuses with it, where it is not 200.
        auth: `user:password` that it wants.
        leads: where every tunnel ends, whatever was asked for.
    """

    def __init__(self, *, status: int = 200, auth: str | None = None, leads: int = 0, raw: bytes = b"") -> None:
        self.status, self.auth, self.leads, self.raw = status, auth, leads, raw
        self.heads: list[str] = []
        self.seen = b""
        self._tasks: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def setting(self) -> str:
        return f'proxy = "http://127.0.0.1:{self.port}"'

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await self._tunnel(reader, writer)
        finally:
            writer.transport.abort()

    async def _tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        if self.raw:
            writer.write(self.raw)
            await reader.read()
        wanted = None if self.auth is None else base64.b64encode(self.auth.encode()).decode()
        if wanted is not None and f"proxy-authorization: Basic {wanted}\r\n" not in head:
            writer.write(b'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n\r\n')
            await reader.read()
        if self.status != 200:
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 2\r\n\r\nno" % self.status)
            await reader.read()
        port = self.leads or int(head.split()[1].rpartition(":")[2])
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        back = asyncio.create_task(self._copy(far_reader, writer))
        self._tasks.add(back)
        try:
            await self._copy(reader, far_writer, note=True)
        finally:
            far_writer.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, note: bool = False) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65_536):
                if note:
                    self.seen += data
                writer.write(data)
                await writer.drain()


async def called(
    begin: Begin, url: str, more: str, private: str = "true", stream: bool = False, **environ: str
) -> Answer:
    gateway = await begin(CONFIG.format(url=url, private=private, more=more), {**ENVIRON, **environ})
    return await chat(gateway, stream=stream)


def error_of(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]["code"]


# --- TLS ---


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_provider_with_a_private_authority_that_wants_a_certificate_gets_it(
    begin: Begin, files: Files, newest: ssl.TLSVersion
) -> None:
    """`tls` brings the authority to trust and the certificate to show."""
    async with FakeUpstream(tls=files.server(wants_certificate=True, newest=newest)) as upstream:
        whole = await called(begin, upstream.base_url, files.tls("ca", "cert", "key"))
        streamed = await called(begin, upstream.base_url, files.tls("ca", "cert", "key"), stream=True)

    assert (whole.status, streamed.status) == (200, 200)
    assert len(upstream.requests) == 2


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_missing_client_certificate_is_told_as_such(begin: Begin, files: Files, newest: ssl.TLSVersion) -> None:
    """The error names the setting, at whichever point of the handshake the provider refuses."""
    with listening(files.server(wants_certificate=True, newest=newest)) as port:
        answer = await called(begin, f"https://127.0.0.1:{port}/v1", files.tls("ca"))

    assert error_of(answer) == (502, "upstream_tls")
    assert "`tls.cert`" in answer.json["error"]["message"]


async def test_without_its_authority_the_provider_is_not_trusted(begin: Begin, files: Files) -> None:
    """No call goes out, and the error names the setting."""
    async with FakeUpstream(tls=files.server()) as upstream:
        answer = await called(begin, upstream.base_url, "")

    assert error_of(answer) == (502, "upstream_tls")
    assert "`tls.ca`" in answer.json["error"]["message"]
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("tls", "says"),
    [
        ('{ ca = "/etc/ca.pem" }', "must be `file:PATH`"),
        ('{ ca = "env:CA" }', "must be `file:PATH`"),
        ('{ key = "file:x.key" }', "add `cert`"),
        ('{ ca = "file:missing.pem" }', "missing.pem"),
        ("{ verify = false }", "is not a setting"),
    ],
)
async def test_tls_files_that_cannot_be_used_are_found_at_start(begin: Begin, tls: str, says: str) -> None:
    """Form, existence and content are checked before the first call, and there is no way to turn verification off."""
    with pytest.raises(ConfigError, match=says):
        await called(begin, "https://127.0.0.1:9/v1", f"tls = {tls}")


async def test_a_client_key_that_others_can_read_is_refused(begin: Begin, files: Files) -> None:
    """A private key is a secret like others."""
    (files.folder / "client.key").chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by everybody"):
        await called(begin, "https://127.0.0.1:9/v1", files.tls("ca", "cert", "key"))


async def test_a_renewed_certificate_is_another_way_out(begin: Begin, files: Files) -> None:
    """A reload with the same file names and another content gives the provider new connections."""
    text = CONFIG.format(url="https://127.0.0.1:9/v1", private="true", more=files.tls("ca", "cert", "key"))
    gateway = await begin(text, ENVIRON)
    same = await asyncio.to_thread(relaid, gateway.foundation, load_text(text), ENVIRON)
    assert "up" in unchanged_providers(gateway.foundation, same)

    files.issue("client", "fairlead.example")
    renewed = await asyncio.to_thread(relaid, gateway.foundation, load_text(text), ENVIRON)

    assert "up" not in unchanged_providers(gateway.foundation, renewed)
    await build(renewed, auth="open").aclose()


# --- proxy ---


@pytest.mark.parametrize("stream", [False, True])
async def test_x4_a_proxy_sees_neither_key_nor_prompt(begin: Begin, files: Files, stream: bool) -> None:
    """It is asked for a tunnel to the provider by name; inside, everything is encrypted."""
    canary = Canary(SeededRng(4))
    canary.plant("provider", ENVIRON["UPSTREAM_KEY"])
    canary.plant("password", "s3cret/+pass")
    async with (
        FakeUpstream(tls=files.server()) as upstream,
        Proxy(auth="me:s3cret/+pass", leads=upstream.port) as proxy,
    ):
        more = f'{proxy.setting}\nproxy_auth = "env:PROXY_AUTH"\n{files.tls("ca")}'
        with canary.logs():
            answer = await called(begin, "https://api.example/v1", more, "false", stream, PROXY_AUTH="me:s3cret/+pass")

    assert answer.status == 200
    assert len(upstream.requests) == 1
    assert proxy.heads[0].startswith("CONNECT api.example:443 HTTP/1.1\r\nhost: api.example:443\r\n")
    canary.watch("what the proxy saw", proxy.seen)
    canary.watch("the answer", answer.body)
    canary.assert_absent()
    assert b"messages" not in proxy.seen


async def test_a_tunnel_is_kept_for_the_next_call(begin: Begin, files: Files) -> None:
    """Ten calls, one CONNECT."""
    async with FakeUpstream(tls=files.server()) as upstream, Proxy(leads=upstream.port) as proxy:
        config = CONFIG.format(
            url="https://api.example/v1", private="false", more=f"{proxy.setting}\n{files.tls('ca')}"
        )
        gateway = await begin(config, ENVIRON)
        assert [(await chat(gateway)).status for _ in range(10)] == [200] * 10

    assert len(proxy.heads) == 1


async def test_a_plain_server_behind_a_proxy_is_tunnelled_too(begin: Begin) -> None:
    """For `http://` too the proxy is asked for a tunnel."""
    async with FakeUpstream() as upstream, Proxy() as proxy:
        answer = await called(begin, upstream.base_url, proxy.setting)

    assert answer.status == 200
    assert proxy.heads[0].startswith(f"CONNECT 127.0.0.1:{upstream.port} HTTP/1.1\r\n")


async def test_a_certificate_is_checked_inside_the_tunnel(begin: Begin, files: Files) -> None:
    """A proxy that breaks TLS open is found out unless its authority is trusted."""
    async with FakeUpstream(tls=files.server()) as upstream, Proxy(leads=upstream.port) as proxy:
        answer = await called(begin, "https://other.example/v1", f"{proxy.setting}\n{files.tls('ca')}", "false")

    assert error_of(answer) == (502, "upstream_tls")
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"auth": "me:right"}, "`proxy_auth`"),
        ({"status": 403}, "status 403"),
        ({"status": 502}, "status 502"),
        ({"raw": b"HTTP/1.1 200 OK\r\n\r\n220 mail.example ESMTP\r\n"}, "bytes of its own"),
        ({"raw": b"220 mail.example ESMTP\r\n\r\n"}, "no HTTP answer"),
        ({"raw": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 20_000}, "more header bytes"),
        ({"leads": 9}, "the end of the connection"),
    ],
    ids=["407", "403", "502", "bytes after the head", "no HTTP", "endless head", "closes"],
)
async def test_a_proxy_that_opens_no_tunnel_is_told_as_such(begin: Begin, options: dict[str, Any], says: str) -> None:
    """The error says that it is the proxy and what to look at; nothing of the call went to it."""
    async with Proxy(**options) as proxy:
        more = f'{proxy.setting}\nproxy_auth = "env:PROXY_AUTH"'
        answer = await called(begin, "https://api.example/v1", more, "false", PROXY_AUTH="me:wrong")

    assert error_of(answer) == (502, "upstream_unreachable")
    assert says in answer.json["error"]["message"]
    assert proxy.seen == b""


async def test_a_proxy_that_is_down_is_told_as_such(begin: Begin) -> None:
    """Nobody searches at the provider."""
    answer = await called(begin, "https://api.example/v1", 'proxy = "http://127.0.0.1:9"', "false")

    assert error_of(answer) == (502, "upstream_unreachable")
    assert "through its proxy" in answer.json["error"]["message"]


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
async def test_a_proxy_of_the_environment_is_the_default(begin: Begin, files: Files, name: str) -> None:
    """With its user and password, as other programs take them."""
    async with FakeUpstream(tls=files.server()) as upstream, Proxy(auth="me:p@ss", leads=upstream.port) as proxy:
        environ = {name: f"http://me:p%40ss@127.0.0.1:{proxy.port}"}
        answer = await called(begin, "https://api.example/v1", files.tls("ca"), "false", **environ)

    assert answer.status == 200
    assert len(proxy.heads) == 1


@pytest.mark.parametrize(
    ("more", "private", "environ"),
    [
        ("", "true", {}),
        ('proxy = "none"', "true", {}),
        ('proxy = "none"', "false", {}),
        ("", "false", {"NO_PROXY": "127.0.0.0/8"}),
        ("", "false", {"no_proxy": "localhost, 127.0.0.1"}),
        ("", "false", {"NO_PROXY": "*"}),
    ],
)
async def test_a_proxy_of_the_environment_is_passed_by(
    begin: Begin, files: Files, more: str, private: str, environ: dict[str, str]
) -> None:
    """For inner providers, by `none`, and by `NO_PROXY`: the gateway then connects itself, and checks the address itself."""
    async with FakeUpstream(tls=files.server()) as upstream, Proxy() as proxy:
        environ = {"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}", **environ}
        answer = await called(begin, upstream.base_url, f"{more}\n{files.tls('ca')}", private, **environ)

    assert answer.status == (200 if private == "true" else 502)
    assert proxy.heads == []


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ('proxy = "http://me:secret@proxy:3128"', "use `proxy_auth`"),
        ('proxy = "socks5://proxy:1080"', "http://HOST:PORT"),
        ('proxy = "https://proxy:3128"', "http://HOST:PORT"),
        ('proxy = "http://proxy:3128/path"', "http://HOST:PORT"),
        ('proxy = "http://proxy:99999"', "is not a URL"),
        ('proxy_auth = "env:X"', "needs `proxy`"),
        ('proxy = "http://proxy:3128"\nproxy_auth = "me:secret"', "must be a reference"),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_found_at_start(begin: Begin, more: str, says: str) -> None:
    """The message names the setting, and no password."""
    with pytest.raises(ConfigError, match=says) as caught:
        await called(begin, "https://api.example/v1", more, "false")

    assert "secret" not in str(caught.value).replace("the secret itself", "")


@pytest.mark.parametrize("value", ["socks5://me:secret@proxy:1080", "http://", "http://me:secret@[x"])
async def test_an_environment_that_names_no_proxy_is_found_at_start(begin: Begin, value: str) -> None:
    """The message names the variable, and not its value."""
    with pytest.raises(ConfigError, match="`HTTPS_PROXY`") as caught:
        await called(begin, "https://api.example/v1", "", "false", HTTPS_PROXY=value)

    assert "secret" not in str(caught.value)
