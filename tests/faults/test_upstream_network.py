"""Providers that cannot be reached, are not who they say, send elsewhere or come too late (FAULTS U1-U3, U13-U16)."""

from __future__ import annotations

import asyncio
import datetime as dt
import socket
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import openai
import pytest
import trustme

from fairlead.testing import FakeUpstream, answers, openai_reply, openai_stream, tokens
from faults.front import ENVIRON, Begin, chat, recorded
from faults.trouble import QUICK, RETRY, both, config, ended, error_of, sdk_fails, sdk_says, tried

NOWHERE = "http://no-such-host.invalid/v1"


@asynccontextmanager
async def nobody() -> AsyncIterator[str]:
    """A base URL at which nobody listens."""
    async with FakeUpstream() as gone:
        pass
    yield gone.base_url


@contextmanager
def deaf() -> Iterator[str]:
    """A base URL whose connections are never taken."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # once its queue is full, Linux lets the next ones wait
            filler.setblocking(False)
            filler.connect_ex(server.getsockname())
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        finally:
            for filler in fillers:
                filler.close()


# --- U1 ---


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["refused", "reset", "no such host"])
async def test_u1_who_cannot_be_reached_is_tried_again_then_another_is_asked(
    begin: Begin, how: str, stream: bool
) -> None:
    """Three tries, then the next target; the answer says that it is another's."""
    async with FakeUpstream(default=answers.refuse()) as resets, FakeUpstream() as two, nobody() as closed:
        base_url = {"refused": closed, "reset": resets.base_url, "no such host": NOWHERE}[how]
        gateway = await begin(config(base_url, two.base_url), ENVIRON)

        answer = await chat(gateway, stream=stream)
        text = await sdk_says(gateway, stream=stream)

    assert (answer.status, text) == (200, "Hello, world.")
    assert answer.headers["x-fairlead-degraded"] == "fallback"
    assert answer.headers["x-fairlead-model"] == "two/gpt-4o-mini"
    record = (await recorded(gateway, 2))[-1]
    assert tried(record) == [("one", "upstream_unreachable")] * 3 + [("two", None)]


async def test_u1_where_nobody_else_is_left_it_is_a_502_that_is_final(begin: Begin) -> None:
    """In the caller's dialect; an SDK does not multiply the tries that were made here."""
    async with nobody() as closed:
        gateway = await begin(config(closed, model=RETRY), ENVIRON)

        answer = await chat(gateway)
        raised = await sdk_fails(gateway, openai.InternalServerError)

    assert error_of(answer) == (502, "upstream_unreachable", "false")
    assert answer.json["error"]["type"] == "server_error"
    assert (raised.status_code, raised.code) == (502, "upstream_unreachable")
    assert len(await gateway.records()) == 2


async def test_u1_it_counts_against_the_provider(begin: Begin) -> None:
    """After three in a row the breaker is open: the next call hears so at once, with the wait."""
    async with nobody() as closed:
        gateway = await begin(config(closed), ENVIRON)
        first, second = await chat(gateway), await chat(gateway)

    assert error_of(first)[:2] == (502, "upstream_unreachable")
    assert error_of(second) == (503, "circuit_open", "true")
    assert 0 < int(second.headers["retry-after-ms"]) <= 800
    assert tried((await gateway.records())[0]) == []


# --- U2 ---


async def test_u2_who_takes_no_connection_is_given_up_in_time_for_the_next(begin: Begin) -> None:
    """The connect clock ends each try, and another target is asked in the time that is left."""
    async with FakeUpstream() as two:
        with deaf() as base_url:
            gateway = await begin(config(base_url, two.base_url, model=both(QUICK)), ENVIRON)
            began = time.monotonic()
            answer = await chat(gateway)
            took_s = time.monotonic() - began

    assert (answer.status, answer.headers["x-fairlead-model"]) == (200, "two/gpt-4o-mini")
    assert took_s < 3
    (record,) = await recorded(gateway)
    assert tried(record)[0] == ("one", "upstream_timeout")


async def test_u2_a_callers_deadline_ends_it_sooner(begin: Begin) -> None:
    """A caller who allows half a second hears within it."""
    with deaf() as base_url:
        gateway = await begin(config(base_url, model=RETRY), ENVIRON)
        began = time.monotonic()
        answer = await chat(gateway, headers={"x-fairlead-timeout": "0.4"})
        took_s = time.monotonic() - began

    assert error_of(answer) == (504, "deadline_exceeded", "false")
    assert took_s < 1


# --- U3 ---


def certificates() -> dict[str, tuple[Any, trustme.CA]]:
    """By what is wrong with them, with the authority that is trusted."""
    trusted, other = trustme.CA(), trustme.CA()
    past = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    return {
        "expired": (trusted.issue_cert("127.0.0.1", not_after=past), trusted),
        "wrong host": (trusted.issue_cert("example.org"), trusted),
        "unknown authority": (other.issue_cert("127.0.0.1"), trusted),
    }


@pytest.mark.parametrize("fault", ["expired", "wrong host", "unknown authority"])
async def test_u3_a_certificate_that_cannot_be_trusted_is_final(begin: Begin, tmp_path: Any, fault: str) -> None:
    """One try, never an insecure one; no request is sent, and another target is asked."""
    certificate, trusted = certificates()[fault]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    authority = tmp_path / "ca.pem"
    trusted.cert_pem.write_to_path(str(authority))
    tls = f'tls = {{ ca = "file:{authority}" }}\n'
    async with FakeUpstream(tls=context) as upstream, FakeUpstream() as two:
        alone = await begin(config(upstream.base_url, provider=tls), ENVIRON)
        answer = await chat(alone)
        raised = await sdk_fails(alone, openai.InternalServerError)
        text = config(upstream.base_url, two.base_url).replace('name = "one"', "")
        text = text.replace(f'base_url = "{upstream.base_url}"\n', f'base_url = "{upstream.base_url}"\n{tls}')
        backed = await begin(text, ENVIRON)
        assert (await chat(backed)).status == 200

    assert error_of(answer) == (502, "upstream_tls", "false")
    assert raised.code == "upstream_tls"
    assert upstream.requests == []
    assert tried((await alone.records())[-1]) == [("one", "upstream_tls")]
    assert tried((await backed.records())[-1]) == [("one", "upstream_tls"), ("two", None)]


async def test_u3_nothing_in_a_call_turns_the_check_off(begin: Begin) -> None:
    """Fields and headers of that kind go nowhere, and mean nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with FakeUpstream(tls=context) as upstream:
        gateway = await begin(config(upstream.base_url), ENVIRON)
        for name in ("verify", "ssl_verify", "insecure"):
            answer = await chat(gateway, headers={f"x-{name}": "false"}, **{name: False})
            assert answer.json["error"]["code"] in {"upstream_tls", "circuit_open"}

    assert upstream.requests == []


# --- U13, U14 ---


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_u13_a_redirect_is_not_followed(begin: Begin, status: int) -> None:
    """Neither the prompt nor the credential goes to a place that a provider names."""
    async with FakeUpstream() as evil, FakeUpstream() as upstream:
        gateway = await begin(config(upstream.base_url, model=RETRY), ENVIRON)
        upstream.then(*[answers.status(status, {"location": evil.base_url + "/chat/completions"})] * 9)
        answer = await chat(gateway)
        raised = await sdk_fails(gateway, openai.InternalServerError)

    assert error_of(answer) == (502, "upstream_protocol_error", "false")
    assert raised.code == "upstream_protocol_error"
    assert "location" not in answer.headers
    assert evil.connections == 0


ODD = {
    "101": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "102 without end": b"HTTP/1.1 102 Processing\r\n\r\n" * 500,
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
    "304": b"HTTP/1.1 304 Not Modified\r\n\r\n",
    "418": b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n",
    "999": b"HTTP/1.1 999 Request denied\r\ncontent-length: 0\r\n\r\n",
    "007": b"HTTP/1.1 007 Bond\r\ncontent-length: 0\r\n\r\n",
    "no number": b"HTTP/1.1 OK\r\ncontent-length: 0\r\n\r\n",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("odd", ODD)
async def test_u14_a_status_that_is_no_answer_is_a_protocol_error(begin: Begin, odd: str, stream: bool) -> None:
    """Nothing crashes, the caller gets a 502, and the next call works."""
    async with FakeUpstream([answers.raw(ODD[odd])] * 3) as upstream:
        gateway = await begin(config(upstream.base_url, model=RETRY), ENVIRON)
        answer = await chat(gateway, stream=stream)
        assert (await chat(gateway, stream=stream)).status == 200

    assert error_of(answer) in [(502, code, "false") for code in ("upstream_protocol_error", "upstream_unreachable")]


async def test_u14_interim_answers_are_passed_over(begin: Begin) -> None:
    """100, 102 and 103 come before the answer and are none."""
    body = openai_reply("after all").body
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body)
    interim = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"
    async with FakeUpstream([answers.raw(interim + head + body)]) as upstream:
        gateway = await begin(config(upstream.base_url), ENVIRON)
        assert await sdk_says(gateway) == "after all"


# --- U15 ---

HEADS = {
    "a megabyte": b"x-big: " + b"y" * 1_000_000 + b"\r\n",
    "ten thousand": b"".join(b"x-%d: y\r\n" % number for number in range(10_000)),
    "a bare CR": b"x-split: a\rset-cookie: evil=1\r\n",
    "a NUL": b"x-nul: a\x00b\r\n",
    "a bare LF": b"x-split: a\nset-cookie: evil=1\r\n",
    "a folded line": b"x-fold: a\r\n b\r\n",
    "a name with a blank": b"x bad: y\r\n",
}


@pytest.mark.parametrize("fault", HEADS)
async def test_u15_headers_that_are_too_many_or_split_a_line_go_no_further(begin: Begin, fault: str) -> None:
    """They end the try or are left out; nothing of them reaches the caller."""
    body = openai_reply("fine").body
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n" + HEADS[fault]
    raw = answers.raw(head + b"content-length: %d\r\n\r\n" % len(body) + body)
    async with FakeUpstream([raw] * 3) as upstream:
        gateway = await begin(config(upstream.base_url, model=RETRY), ENVIRON)
        answer = await chat(gateway)

    if answer.status != 200:
        assert error_of(answer) == (502, "upstream_protocol_error", "false")
    else:
        assert answer.json["choices"][0]["message"]["content"] == "fine"
    assert not {"set-cookie", "x-split", "x-nul", "x-big", "x-1", "x-fold"} & answer.headers.keys()
    assert all(ord(char) >= 32 for value in answer.headers.values() for char in value)


# --- U16 ---


@pytest.mark.parametrize("stream", [False, True])
async def test_u16_an_answer_after_the_deadline_is_not_waited_for(begin: Begin, stream: bool) -> None:
    """The connection is closed at the deadline, and the caller hears of it then."""
    async with FakeUpstream([openai_reply("late").latency(30)]) as upstream:
        gateway = await begin(config(upstream.base_url), ENVIRON)
        answer = await chat(gateway, headers={"x-fairlead-timeout": "0.2"}, stream=stream)
        await upstream.until(lambda: upstream.requests[0].closed_early_ns)

    assert error_of(answer) == (504, "deadline_exceeded", "false")
    (record,) = await recorded(gateway)
    assert record["cost_usd"] == "0"
    assert gateway.foundation.ledger.reserved_nanousd() == 0


async def test_u16_an_answer_after_the_deadline_is_paid_for_where_it_is_billed(begin: Begin) -> None:
    """The caller hears in time; the record waits for what the provider bills all the same."""
    text = config("BASE", model=RETRY).replace('dialect = "openai"', 'vendor = "sim"')
    late = openai_reply("late", tokens(1_000, 500)).latency(0.6)
    async with FakeUpstream([late]) as upstream:
        gateway = await begin(text.replace("BASE", upstream.base_url), ENVIRON)
        began = time.monotonic()
        answer = await chat(gateway, headers={"x-fairlead-timeout": "0.2"})
        took_s = time.monotonic() - began
        (record,) = await ended(gateway)

    assert error_of(answer)[:2] == (504, "deadline_exceeded")
    assert took_s < 0.5
    assert (record["cost_usd"], record["usage_source"]) == ("0.002", "final")


async def test_u16_a_stream_past_the_deadline_ends_with_an_error(begin: Begin) -> None:
    """What had come is paid for, and the SDK raises."""
    async with FakeUpstream([openai_stream(["a"] * 1_000).paced(0.02)] * 2) as upstream:
        gateway = await begin(config(upstream.base_url), ENVIRON)
        answer = await chat(gateway, headers={"x-fairlead-timeout": "0.3"}, stream=True)
        with pytest.raises(openai.APIError):
            await sdk_says(gateway, stream=True, extra_headers={"x-fairlead-timeout": "0.3"})
        await asyncio.gather(*(upstream.until(lambda: each.closed_early_ns) for each in upstream.requests))  # noqa: B023

    assert answer.status == 200
    assert b"deadline_exceeded" in answer.body
    assert b"[DONE]" not in answer.body
    for record in await recorded(gateway, 2):
        assert (record["outcome"], record["usage_source"]) == ("truncated", "estimated")
        assert float(record["cost_usd"]) > 0
