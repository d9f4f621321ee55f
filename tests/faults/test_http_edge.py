"""Rows H of the fault list, in raw bytes at a gateway's data port.

Deadlines and caps that a test cannot wait for are looked at on a second port of the gateway, with smaller ones.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from tests.wire.malformed import MALFORMED

from fairlead.testing import FakeUpstream
from fairlead.wire import Server, ServerLimits
from faults.front import (
    BODY,
    CHAT,
    ENVIRON,
    KEYS,
    OPEN,
    UPSTREAM,
    Begin,
    ask,
    chat,
    connection,
    parsed,
    recorded,
    request,
    until,
)

LIMITS = ServerLimits()


async def refused(gateway: Any, raw: bytes) -> tuple[int, bytes]:
    """What bytes on a connection of their own are answered with, once the gateway has closed it."""
    async with connection(gateway) as (reader, writer):
        writer.write(raw)
        async with asyncio.timeout(10):
            answer = await reader.read()
    return parsed(answer).status, answer


def test_h1_the_deadlines_are_those_that_are_promised() -> None:
    """Ten seconds for a head, thirty for a body and a least rate beyond, and a cap for one address."""
    assert (LIMITS.header_s, LIMITS.body_s, LIMITS.min_body_bytes_per_s) == (10.0, 30.0, 16 * 1024)
    assert LIMITS.max_connections_per_peer < LIMITS.max_connections


@pytest.mark.slow
async def test_h1_a_thousand_slow_callers_harm_no_healthy_one(begin: Begin) -> None:
    """Half of a head each, and calls go on."""
    gateway = await begin(OPEN)
    async with AsyncExitStack() as stack:
        for _ in range(1_000):
            _, writer = await stack.enter_async_context(connection(gateway))
            writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: ")
        await until(lambda: gateway.server.connections >= 1_000)
        took_s = []
        for _ in range(20):
            began = time.monotonic()
            assert (await chat(gateway)).status == 200
            took_s.append(time.monotonic() - began)
        assert gateway.server.connections >= 1_000, "they are there all the while"
        assert sorted(took_s)[10] < 0.1


@asynccontextmanager
async def limited(gateway: Any, context: ssl.SSLContext | None = None, **limits: Any) -> AsyncIterator[Server]:
    """Another port of the same gateway, with limits that a test can wait for."""
    flush = gateway.foundation.spool.flush
    server = Server(gateway.app, limits=ServerLimits(**limits), before_writes=flush)
    await server.start("127.0.0.1", 0, ssl_context=context)
    try:
        yield server
    finally:
        await server.drain(0)


async def ends(server: Server, *pieces: bytes, every_s: float = 0.0) -> bytes:
    """What the gateway says before it closes a connection on which this comes in, and nothing more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        first = asyncio.create_task(reader.read(1))
        for piece in pieces:
            if first.done():
                break
            writer.write(piece)
            await asyncio.sleep(every_s)
        async with asyncio.timeout(5):
            return await first + await reader.read()
    finally:
        writer.transport.abort()


HEAD = f"POST {CHAT} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n".encode()


async def test_h1_who_takes_too_long_is_answered_408_and_others_are_served(begin: Begin) -> None:
    """A head that does not end, and a body at a byte a moment; meanwhile calls of others go on."""
    gateway = await begin(OPEN)
    async with limited(gateway, header_s=0.3, body_s=0.3) as server:
        body = HEAD + b"content-length: 1000\r\n\r\n"
        slow = asyncio.gather(
            ends(server, HEAD + b"x-slow: "),
            ends(server, *[HEAD[at : at + 1] for at in range(len(HEAD))], every_s=0.02),
            ends(server, body, *[b"x"] * 1_000, every_s=0.02),
        )
        served = 0
        while not slow.done():
            assert (await chat(SimpleNamespace(server=server))).status == 200
            served += 1
        assert [parsed(answer).status for answer in await slow] == [408, 408, 408]
        assert served > 5
        await until(lambda: not server.connections)
    assert len(await gateway.records()) == served


async def test_h1_one_address_has_no_more_connections_than_its_share(begin: Begin) -> None:
    """One more is sent away with 503, and let in again once another has gone."""
    gateway = await begin(OPEN)
    async with limited(gateway, max_connections_per_peer=3, count_loopback=True) as server:
        port = SimpleNamespace(server=server)
        async with AsyncExitStack() as stack:
            for _ in range(3):
                await stack.enter_async_context(connection(port))
            await until(lambda: server.connections == 3)
            assert parsed(await ends(server)).status == 503
        await until(lambda: not server.connections)
        assert (await chat(port)).status == 200


async def test_h2_a_body_over_the_cap_is_refused_by_its_length(begin: Begin) -> None:
    """Before any of it was read, also where the caller asks first."""
    gateway = await begin(OPEN)
    for more in (b"", b"expect: 100-continue\r\n"):
        head = b"POST %b HTTP/1.1\r\nhost: 127.0.0.1\r\n%bcontent-length: 1000000000\r\n\r\n" % (CHAT.encode(), more)
        status, answer = await refused(gateway, head)
        assert status == 413
        assert b"100 Continue" not in answer


async def test_h2_a_body_without_a_length_is_refused_at_the_cap(begin: Begin) -> None:
    """No more than 64 KiB beyond it are taken in."""
    gateway = await begin(OPEN)
    piece = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    async with connection(gateway) as (reader, writer):
        writer.write(b"POST %b HTTP/1.1\r\nhost: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n" % CHAT.encode())
        for _ in range(LIMITS.max_body_bytes // 65_536 + 1):
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(10):
            assert parsed(await reader.read()).status == 413


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
async def test_h3_what_two_parsers_could_read_differently_is_refused(begin: Begin, raw: bytes) -> None:
    """One answer of status 4xx or 505, no second one, and the connection closes."""
    gateway = await begin(OPEN)
    status, answer = await refused(gateway, raw)
    assert status in {400, 413, 431, 505}
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower()
    assert await gateway.records() == []


HOSTS = {
    "slash": "127.0.0.1/health/live",
    "query": "127.0.0.1?/health/live",
    "fragment": "127.0.0.1#",
    "user": "health@127.0.0.1",
    "backslash": "127.0.0.1\\health",
    "space": "127.0.0.1 health",
    "list": "127.0.0.1,127.0.0.1",
    "scheme": "http://127.0.0.1",
    "empty": "",
    "no ASCII": "127.0.0.1\u00e9",
}
PATHS = (("GET", "/v1/models"), ("GET", "/v1/fairlead/calls/x"), ("POST", CHAT))


def raw_request(method: str, target: str, *lines: str) -> bytes:
    """A request with exactly these header lines, and a chat body that is framed by the first of them."""
    body = json.dumps(BODY).encode() if method == "POST" else b""
    fixed = ["content-type: application/json", f"content-length: {len(body)}", "connection: close"]
    return "\r\n".join([f"{method} {target} HTTP/1.1", *fixed, *lines, "", ""]).encode("latin-1") + body


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS.keys())
async def test_h4_a_host_that_is_more_than_a_name_is_refused_for_everybody(begin: Begin, host: str) -> None:
    """With 400 on every path, with a good key, a bad one and none: it is looked at before all of that, and nothing ran."""
    gateway = await begin(KEYS)
    key = await gateway.key("k1")
    for method, path in (*PATHS, ("GET", "/health/live")):
        for credential in ([], [f"x-api-key: {key}"], ["x-api-key: wrong"]):
            status, answer = await refused(gateway, raw_request(method, path, f"host: {host}", *credential))
            assert status == 400, (path, credential)
            assert answer.count(b"HTTP/1.1 ") == 1
    assert await gateway.records() == []


@pytest.mark.parametrize("hosts", [[], ["host: 127.0.0.1"] * 2, ["host: 127.0.0.1", "host: evil.example"]])
async def test_h4_without_a_host_or_with_two_nothing_is_answered(begin: Begin, hosts: list[str]) -> None:
    """With 400, whatever else is right about the request."""
    gateway = await begin(KEYS)
    key = await gateway.key("k1")
    for method, path in PATHS:
        assert (await refused(gateway, raw_request(method, path, *hosts, f"x-api-key: {key}")))[0] == 400
    assert await gateway.records() == []


async def test_h4_a_target_that_names_a_host_is_refused(begin: Begin) -> None:
    """`GET http://host/path`: nobody has to decide which of the two hosts counts."""
    gateway = await begin(KEYS)
    key = await gateway.key("k1")
    for method, path in PATHS:
        for target in (f"http://127.0.0.1{path}", f"http://evil.example{path}", f"//127.0.0.1{path}"):
            raw = raw_request(method, target, "host: 127.0.0.1", f"x-api-key: {key}")
            assert (await refused(gateway, raw))[0] in {400, 404}, target
    assert await gateway.records() == []


async def test_h4_no_host_changes_who_may_do_what(begin: Begin) -> None:
    """Names, addresses and ports that are well formed: without a key 401 on every path, with it the same answer."""
    gateway = await begin(KEYS)
    key = await gateway.key("k1")
    hosts = (
        "127.0.0.1",
        "localhost:4000",
        "[::1]:1",
        "evil.example",
        "health",
        "health.live:80",
        "v1",
        "127.0.0.1%2fhealth",
        "a:1:2",
    )
    for method, path in PATHS:
        for credential, accepted in (([], False), (["x-api-key: wrong"], False), ([f"x-api-key: {key}"], True)):
            raws = [raw_request(method, path, f"host: {host}", *credential) for host in hosts]
            found = {(await refused(gateway, raw))[0] for raw in raws}
            assert found == ({404 if "calls" in path else 200} if accepted else {401}), (path, credential)


async def test_h4_an_open_gateway_answers_under_names_of_this_machine_alone(begin: Begin) -> None:
    """So that no web page reaches it by a name of its own that points here."""
    gateway = await begin(OPEN)
    for host, status in (
        ("127.0.0.1", 200),
        ("LOCALHOST:4000", 200),
        ("[::1]:1", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.", 403),
        ("127.0.0.2", 403),
    ):
        for method, path in (PATHS[0], PATHS[2]):
            assert (await refused(gateway, raw_request(method, path, f"host: {host}")))[0] == status, host
    assert len(await gateway.records()) == 3


async def test_h5_no_path_but_the_exact_one_reaches_the_handler(begin: Begin) -> None:
    """Whatever is put before, behind or into it, drawn at random: an unknown path, a refusal, and no record."""
    gateway = await begin(OPEN)
    dice = random.Random(5)  # noqa: S311 - repeatable on purpose
    marks = ("/", "//", "%2f", "%2e%2e/", ";x", "?#", ".", "/../v1", "\\", "%00", "%c0%af", "A", "\u00e9")
    for _ in range(100):
        at = dice.randrange(1, len(CHAT) + 1)
        path = CHAT[:at] + dice.choice(marks) + CHAT[at:]
        if path.partition("?")[0] == CHAT:
            continue
        assert (await ask(gateway, "POST", path, BODY)).status in {400, 404}, path
    assert (await ask(gateway, "POST", CHAT.upper(), BODY)).status == 404
    assert await gateway.records() == []


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([f"x-long: {'a' * 65_536}"], 431),
        ([f"x-{number}: a" for number in range(1_000)], 431),
        (["x-nul: a\0b"], 400),
        (["x-bare: a\rb"], 400),
    ],
    ids=["64 KB", "1,000 fields", "NUL", "bare CR"],
)
async def test_h6_headers_over_the_caps_and_odd_ones_are_refused(begin: Begin, lines: list[str], status: int) -> None:
    """With 431 or 400."""
    gateway = await begin(OPEN)
    head = "\r\n".join(["GET /v1/models HTTP/1.1", "host: 127.0.0.1", *lines, "", ""]).encode("latin-1")
    assert (await refused(gateway, head))[0] == status


async def test_h6_a_twin_with_underscores_is_not_the_header(begin: Begin) -> None:
    """`x_api_key` is dropped, so the call has no key."""
    gateway = await begin(KEYS)
    key = await gateway.key("k1")
    assert (await ask(gateway, "GET", "/v1/models", headers={"x-api-key": key})).status == 200
    assert (await ask(gateway, "GET", "/v1/models", headers={"x_api_key": key})).status == 401


async def test_h7_two_credentials_are_one_only_where_they_agree(begin: Begin) -> None:
    """Else 400; the scheme's case and spaces do not matter; a token of 15 KB is a plain 401."""
    gateway = await begin(KEYS)
    key = await gateway.key("k1")
    for headers, status in (
        ({"authorization": f"bearer   {key} "}, 200),
        ({"authorization": f"Bearer {key}", "x-api-key": key}, 200),
        ({"authorization": f"Bearer {key}", "x-api-key": "other"}, 400),
        ({"authorization": f"Basic {key}"}, 400),
        ({"authorization": f"Bearer {'k' * 15_000}"}, 401),
    ):
        assert (await ask(gateway, "GET", "/v1/models", headers=headers)).status == status
    twice = f"GET /v1/models HTTP/1.1\r\nhost: 127.0.0.1\r\nx-api-key: {key}\r\nx-api-key: {key}\r\n\r\n".encode()
    assert (await refused(gateway, twice))[0] == 400


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        b"{" + b",".join(b'"k%d":1' % number for number in range(100_000)) + b"}",
        b'{"model":"m","model":"m","messages":[]}',
        b'{"model":"m","n":' + b"1" * 1_000_000 + b',"messages":[]}',
        b'{"model":"m","temperature":NaN,"messages":[]}',
        b'\xef\xbb\xbf{"model":"m","messages":[]}',
        '{"model":"m","messages":[]}'.encode("utf-16"),
    ],
    ids=["depth", "keys", "duplicate", "number", "NaN", "BOM", "UTF-16"],
)
async def test_h8_hostile_json_is_a_cheap_400(begin: Begin, body: bytes) -> None:
    """At most 5 ms of CPU a megabyte, and 50 for both ends of the exchange; nothing is called.

    The least of several is what it costs; what one of them took says what else this process did meanwhile.
    """
    gateway = await begin(OPEN)
    await chat(gateway, model="absent")
    spent_s: list[float] = []
    for _ in range(5):
        began = time.process_time()
        answer = await ask(gateway, "POST", CHAT, body)
        spent_s.append(time.process_time() - began)
        assert answer.status == 400, answer.body
    assert min(spent_s) < 0.05 + 0.005 * len(body) / 1e6
    assert len(await recorded(gateway)) == 1


async def test_h8_a_compressed_request_is_refused(begin: Begin) -> None:
    """So no bomb is ever opened."""
    gateway = await begin(OPEN)
    assert (await ask(gateway, "POST", CHAT, b"\x1f\x8b", {"content-encoding": "gzip"})).status == 400


async def test_h9_http2_is_refused(begin: Begin) -> None:
    """Its preface is no request, so there is no stream to reset; the defaults cap and end what idles."""
    gateway = await begin(OPEN)
    status, _ = await refused(gateway, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert status in {400, 505}
    assert LIMITS.max_connections <= 16_384
    assert LIMITS.idle_s <= 75.0


async def test_h9_connections_that_idle_are_closed(begin: Begin) -> None:
    """Those that have had an answer, and those that never asked."""
    gateway = await begin(OPEN)
    async with limited(gateway, idle_s=0.2, header_s=0.4) as server:
        answer = await ends(server, request("GET", "/health/live"))
        assert parsed(answer).status == 200
        assert answer.count(b"HTTP/1.1 ") == 1
        assert await ends(server) == b""
        await until(lambda: not server.connections)


async def test_h9_half_a_tls_handshake_does_not_hold_a_connection(begin: Begin) -> None:
    """Silence, and a hello that does not end, are cut off at the deadline of a head; whole handshakes are served."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    gateway = await begin(OPEN)
    async with limited(gateway, context, header_s=0.5) as server:
        for begun in (b"", b"\x16\x03\x01\x02\x00\x01"):
            await ends(server, begun)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=trusting)
        writer.write(request("GET", "/health/live", headers={"connection": "close"}))
        assert parsed(await reader.read()).status == 200
        writer.transport.abort()
        await until(lambda: not server.connections)


async def test_h10_what_browsers_and_proxies_ask_is_closed_by_default(begin: Begin) -> None:
    """Preflights, upgrades, CONNECT, TRACE and unknown methods; HEAD is a GET without a body."""
    gateway = await begin(OPEN)
    preflight = await ask(gateway, "OPTIONS", CHAT, headers={"origin": "https://evil.example"})
    assert preflight.status == 405
    assert not any(name.startswith("access-control") for name in preflight.headers)
    assert (await ask(gateway, "TRACE", CHAT)).status in {400, 405}
    assert (await ask(gateway, "HEAD", "/v1/models")).status == 200
    upgrade = request("GET", "/v1/models", None, {"connection": "upgrade", "upgrade": "websocket"})
    assert (await refused(gateway, upgrade))[0] == 400
    assert (await refused(gateway, b"CONNECT evil.example:443 HTTP/1.1\r\nhost: evil.example\r\n\r\n"))[0] == 400
    assert (await refused(gateway, b"BREW / HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"))[0] in {400, 405}


async def test_h11_only_allowed_headers_go_upstream(begin: Begin) -> None:
    """Neither ids, traces and forwarding notes of the caller, nor hop-by-hop headers, nor its credential."""
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        sent = {
            "x-request-id": "caller", "traceparent": "00-1-2-03", "x-forwarded-for": "192.0.2.1", "te": "trailers",
            "authorization": "Bearer of-the-caller", "cookie": "a=b", "x-secret": "c",
        }  # fmt: skip
        answer = await chat(gateway, headers=sent)
        assert answer.status == 200
        (received,) = upstream.requests
        (record,) = await gateway.records()
    for name, value in sent.items():
        assert not name.startswith(("x-", "trace", "cookie")) or value not in answer.headers.values()
    assert answer.headers["x-fairlead-call-id"] == record["call_id"] != "caller"
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-fairlead-call-id"])
    assert not set(received.headers) & (sent.keys() - {"authorization"})
    assert received.headers["authorization"] == "Bearer sk-upstream"
    assert b"caller" not in received.body


async def test_h12_control_characters_stay_out_of_log_lines(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    """A model name with line breaks or ANSI codes is refused, and none starts a line of its own."""
    gateway = await begin(OPEN)
    evil = 'x\r\nlevel=error msg="forged"\x1b[31m{"a":1}'
    plain = 'x" level=error {"a":1} end'
    with caplog.at_level("DEBUG"):
        refused_answer = await chat(gateway, model=evil)
        unknown = await chat(gateway, model=plain)
    assert (refused_answer.status, unknown.status) == (400, 404)
    for answer in (refused_answer, unknown):
        assert not set(answer.body) & set(range(32))
    assert unknown.headers["x-fairlead-call-id"] in caplog.text, "there is a line, for debugging"
    assert not any(line.startswith("level=error") for line in caplog.text.splitlines())
    assert not any(set(each.getMessage()) & set(map(chr, range(32))) for each in caplog.records)
    assert plain in {row["model"] for row in await recorded(gateway)}
