"""Streams: every cut, every spelling, every size, and callers that leave or do not read (FAULTS S).

What Fairlead does with bytes that are no good text (S10): a stream goes to the caller as the provider sent it, byte for
byte, and only what Fairlead keeps for itself is made valid.  An event that has to be understood, and is no JSON object
even so, ends the stream with a protocol error.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.call import Timeouts
from fairlead.ports import LogQuery
from fairlead.testing import (
    Answer,
    FakeTransport,
    FakeUpstream,
    VirtualClock,
    answers,
    assert_one_terminal_record,
    openai_reply,
    openai_stream,
    virtual_run,
)
from fairlead.testing.pipeline import Bench, candidate
from fairlead.types import Budget, Principal, Rate
from fairlead.wire import Exchange, Server, ServerLimits
from faults.front import BODY, CHAT, ENVIRON, UPSTREAM, Begin, ask, chat, connection, recorded, request, text_of, until

CLOSED_S = 0.25
"""How soon after its caller's departure an upstream is closed."""
TEXTS = [
    "Grüße ",
    "\N{GRINNING FACE}\N{ZERO WIDTH JOINER}\N{PERSONAL COMPUTER}",
    'a\r\nb\n\ndata: [DONE]\n\n"usage":1 \\',
    "日本",
]
USAGE = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
ASKED = {"stream_options": {"include_usage": True}}
KEPT = ("outcome", "status", "usage", "usage_source", "cost_usd", "response")
MOST_IN_KERNEL = 48 * 1024 * 1024
"""What the kernel holds at the very most of a connection that nobody reads: both ends' largest buffers (Linux)."""
BILLED = UPSTREAM.replace('dialect = "openai"', 'vendor = "sim"')
"""The same provider, were it one that finishes and bills what nobody reads."""


def chunk(content: str | None = None, **fields: Any) -> dict[str, Any]:
    """One event's body in the dialect."""
    choices = [{"index": 0, "delta": {"content": content}, "finish_reason": None}]
    return {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices} | fields


def dumped(content: str | None = None, **fields: Any) -> bytes:
    return json.dumps(chunk(content, **fields), ensure_ascii=False).encode()


def spelt(end: bytes) -> bytes:
    """The stream of `TEXTS` with these line ends."""
    deltas = [{"role": "assistant", "content": ""}, *({"content": text} for text in TEXTS)]
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    last = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE | {"completion_tokens": 6}}
    return answers.sse([*events, last, {"choices": [], "usage": USAGE}]).body.replace(b"\n", end)


def streaming(body: bytes, *cuts: int) -> Answer:
    """A stream of these bytes, written piece by piece, each long enough after the one before to arrive by itself."""
    bounds = [0, *cuts, len(body)]
    pieces = tuple(body[a:b] for a, b in itertools.pairwise(bounds) if a < b)
    return Answer(headers=(("content-type", "text/event-stream"),), pieces=pieces, framing="chunked").paced(0.002)


async def streamed(gateway: Any, **fields: Any) -> tuple[str, bytes]:
    """The id and the body of one streamed call."""
    answer = await chat(gateway, stream=True, **fields)
    assert answer.status == 200, answer.body
    return answer.headers["x-fairlead-call-id"], answer.body


async def all_of(gateway: Any, upstream: FakeUpstream, replies: list[Answer], **fields: Any) -> dict[str, bytes]:
    """Play these answers, one to a call, some at a time; the bodies by call."""
    ready = asyncio.Semaphore(32)
    upstream.then(*replies)

    async def one() -> tuple[str, bytes]:
        async with ready:
            return await streamed(gateway, **fields)

    return dict(await asyncio.gather(*(one() for _ in replies)))


@pytest.mark.parametrize("asked", [ASKED, {}], ids=["usage for the caller", "usage for us alone"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(slice(1, 2), id="one cut"),
        pytest.param(slice(3), id="its event alone", marks=pytest.mark.slow),
        pytest.param(slice(1, 3), id="its event's end", marks=pytest.mark.slow),
    ],
)
async def test_s7_a_stream_means_the_same_wherever_it_is_cut(
    begin: Begin, end: bytes, asked: dict[str, Any], kept: slice
) -> None:
    """Cut at every byte: the caller gets the same bytes, and the record has the same usage, cost and content."""
    body = spelt(end)
    passed = body if asked else without_usage(body, end)
    replies = [streaming(body, *around(body, cut, end + end)[kept]) for cut in range(len(body))]
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)

        got = await all_of(gateway, upstream, replies, **asked)

    assert set(got.values()) == {passed}
    assert text_of(passed) == "".join(TEXTS)
    records = await kept_of(gateway, got)
    assert len(records) == len(body) < 1_000
    assert all(record == records[0] for record in records)
    first = records[0]
    assert (first["outcome"], first["usage_source"], first["response"]) == ("ok", "final", passed.decode())
    assert (first["usage"]["input_tokens"], first["usage"]["output_tokens"]) == (11, 7)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
async def test_s7_a_stream_in_crumbs_means_the_same(begin: Begin, size: int) -> None:
    """Byte by byte, too."""
    body = spelt(b"\n")
    async with FakeUpstream([streaming(body, *range(size, len(body), size))]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)

        got = dict([await streamed(gateway, **ASKED)])

    assert list(got.values()) == [body]
    (record,) = await kept_of(gateway, got)
    assert (record["usage"]["output_tokens"], record["response"]) == (7, body.decode())


async def test_s7_usage_beside_content_is_found_wherever_it_is_cut(begin: Begin) -> None:
    """Also where an answer's only usage stands in an event that has content before it."""
    first, last = (b"data: " + dumped(text, **more) + b"\n\n" for text, more in (("a", {}), ("b", {"usage": USAGE})))
    body = first + last + b"data: [DONE]\n\n"
    replies = [streaming(body, *around(body, len(first) + cut, b"\n\n")) for cut in range(len(last))]
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)

        got = await all_of(gateway, upstream, replies)

    assert set(got.values()) == {body}
    assert {record["usage"]["output_tokens"] for record in await kept_of(gateway, got)} == {7}


def around(body: bytes, cut: int, blank: bytes) -> list[int]:
    """Where the event begins that is cut there, the cut, and where the event ends."""
    begins, ends = body.rfind(blank, 0, cut), body.find(blank, cut)
    return [begins + len(blank) if begins >= 0 else 0, cut, ends + len(blank) if ends >= 0 else len(body)]


def without_usage(body: bytes, end: bytes) -> bytes:
    """The stream but for the event with the usage."""
    events = body.split(end + end)
    kept = [event for event in events if not event.startswith(b'data: {"choices":[],')]
    assert len(kept) == len(events) - 1
    return (end + end).join(kept)


async def kept_of(gateway: Any, calls: dict[str, bytes]) -> list[dict[str, Any]]:
    """What was recorded of these calls, without what differs by nature."""
    records = {record["call_id"]: record for record in await gateway.records()}
    return [{name: records[call_id][name] for name in KEPT} for call_id in calls]


ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
NOISE = st.sampled_from([b": ping", b":", b"id: 7", b"retry: 10", b"foo: bar", b"event: message", b"event"])


@st.composite
def spellings(draw: st.DrawFn) -> tuple[bytes, str]:
    """One answer as the WHATWG grammar lets a provider spell it, and what the model wrote in it."""
    end = draw(ENDS)
    texts = draw(st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=5), min_size=1, max_size=4))
    lines: list[bytes] = []
    for event in [*map(dumped, texts), dumped(choices=[], usage=USAGE), b"[DONE]"]:
        lines += draw(st.lists(NOISE, max_size=2))
        colon = draw(st.sampled_from([b"data:", b"data: "]))
        data = [event]
        if draw(st.booleans()) and event != b"[DONE]":
            head, _, tail = event.partition(b'"choices": ')
            data = [head + b'"choices": ', tail]  # a value may stand on its own line of data
        lines += [colon + each for each in data]
        lines += draw(st.sampled_from([[b""], [b"", b""], [b"", b": between", b""]]))
    bom = draw(st.sampled_from([b"", b"\xef\xbb\xbf"]))
    return bom + b"".join(line + end for line in lines), "".join(texts)


async def test_s8_every_spelling_that_the_standard_allows_is_understood(begin: Begin) -> None:
    """CR, LF, CRLF, BOM, comments, ids, several lines of data, no space: the same text, usage and end for all of them."""
    examples: list[tuple[bytes, str]] = []

    @settings(max_examples=150, database=None, suppress_health_check=list(HealthCheck))
    @given(spellings())
    def draw(example: tuple[bytes, str]) -> None:
        examples.append(example)

    await asyncio.to_thread(draw)
    async with FakeUpstream() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        ids: dict[str, bytes] = {}
        for body, text in examples:
            upstream.then(streaming(body, len(body) // 2))
            call_id, got = await streamed(gateway, **ASKED)
            ids[call_id] = got
            assert body.startswith(got)
            assert b"data" not in body[len(got) :], "what comes after the end may be left out, and nothing else"
            assert understood(got) == text

    for record in await kept_of(gateway, dict(list(ids.items())[-900:])):
        assert (record["outcome"], record["usage"]["output_tokens"]) == ("ok", 7), record


def understood(stream: bytes) -> str:
    """What a client that knows the standard, and nothing of ours, reads."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n").decode()
    written: list[str] = []
    for event in text.split("\n\n"):
        data = "\n".join(line[5:].removeprefix(" ") for line in event.split("\n") if line.startswith("data:"))
        if data and data != "[DONE]":
            written += [choice["delta"].get("content") or "" for choice in json.loads(data)["choices"]]
    return "".join(written)


FIRST = b"data: " + dumped("a") + b"\n\n"
PIECE = b"x" * 65_536
ENDLESS = {
    "a line": (b'data: {"x":"', PIECE),
    "a comment": (b": ", PIECE),
    "an event of many lines": (b"", b"data: " + b"y" * 1_017 + b"\n"),
    "an event of CRLF lines": (b"", (b"data: " + b"y" * 1_016 + b"\r\n") * 16),
}


class Endless:
    """A provider that streams for ever, as fast as it is read."""

    def __init__(self, begun: bytes, piece: bytes) -> None:
        self.begun = begun
        self.piece = piece
        self.port = 0
        self.sent = 0
        """Bytes that have left this process's own buffers."""
        self.closed = asyncio.Event()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Endless]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
        writer.transport.set_write_buffer_limits(0)
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(head + self.begun)
            while True:
                writer.write(self.piece)
                await writer.drain()
                self.sent += len(self.piece)
        except ConnectionError:
            self.closed.set()
        finally:
            writer.transport.abort()


@pytest.mark.parametrize("begun", [b"", FIRST], ids=["at once", "after content"])
@pytest.mark.parametrize(("head", "piece"), ENDLESS.values(), ids=ENDLESS)
async def test_s9_what_never_ends_is_cut_at_its_cap(begin: Begin, begun: bytes, head: bytes, piece: bytes) -> None:
    """A line over 1 MiB or an event over 4 MiB is a protocol error at once; no more is read, and none of it is kept."""
    async with Endless(begun + head, piece).listening() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        began = time.process_time()
        tracemalloc.start()
        try:
            answer = await chat(gateway, stream=True)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        spent_s = time.process_time() - began
        await upstream.closed.wait()

    (record,) = await gateway.records()
    if begun:
        assert (answer.status, answer.body.startswith(FIRST)) == (200, True)
        assert b"[DONE]" not in answer.body
        assert len(answer.body) < 4_096
        error = json.loads(answer.body.removeprefix(FIRST).partition(b"data: ")[2])["error"]
    else:
        assert answer.status == 502
        error = answer.json["error"]
    cap = 1_048_576 if head else 4_194_304
    assert f"longer than {cap} bytes" in error["message"]
    assert record["outcome"] == ("truncated" if begun else "error")
    assert upstream.sent < cap + MOST_IN_KERNEL
    assert peak_bytes < 4 * cap + 2_000_000
    assert spent_s < 4, "looking at every byte again with each read takes a minute"


BAD_TEXT = {
    "NUL": b"a\x00b",
    "escaped NUL": b"a\\u0000b",
    "lone surrogate": b"a\\ud800b",
    "wrong order of surrogates": b"\\udc00\\ud800",
    "invalid UTF-8": b"a\xff\xfeb",
    "cut UTF-8": "\N{GRINNING FACE}".encode()[:3],
    "raw surrogate": b"\xed\xa0\x80",
    "control characters": b"\x01\x1b[31m\x7f",
}


@pytest.mark.parametrize("at", [0, 1], ids=["first event", "later event"])
@pytest.mark.parametrize("text", BAD_TEXT.values(), ids=BAD_TEXT)
async def test_s10_bytes_that_are_no_text_do_not_stop_a_stream(begin: Begin, text: bytes, at: int) -> None:
    """The caller gets what the provider sent, usage is counted, and what is stored is valid text of the same length."""
    events = [b"data: " + dumped(each) + b"\n\n" for each in ("one", "two")]
    events[at] = events[at].replace((b"one", b"two")[at], text)
    body = b"".join(events) + b"data: " + dumped(choices=[], usage=USAGE) + b"\n\ndata: [DONE]\n\n"
    async with FakeUpstream([streaming(body)]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)

        call_id, got = await streamed(gateway, **ASKED)

    assert got == body
    await stored_well(gateway, call_id, body)


@pytest.mark.parametrize("text", BAD_TEXT.values(), ids=BAD_TEXT)
async def test_s10_bytes_that_are_no_text_do_not_stop_a_whole_answer(begin: Begin, text: bytes) -> None:
    """The same, not streamed."""
    body = openai_reply("here", USAGE).body.replace(b"here", text)
    async with FakeUpstream([answers.status(200, {"content-type": "application/json"}, body)]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)

        answer = await chat(gateway)

    assert (answer.status, answer.body) == (200, body)
    await stored_well(gateway, answer.headers["x-fairlead-call-id"], body)


async def stored_well(gateway: Any, call_id: str, body: bytes) -> None:
    """The record of a call is valid JSON and valid UTF-8, wherever it is read."""
    (record,) = await gateway.records()
    assert (record["outcome"], record["usage"]["output_tokens"]) == ("ok", 7)
    kept = record["response"]
    assert kept.encode().decode() == kept
    assert kept == body.decode("utf-8", "replace")
    after = await gateway.foundation.store.logs.calls(LogQuery(search='"usage"', limit=10))
    assert [row["call_id"] for row in after] == [call_id], "a search sees what stands behind a NUL"
    assert json.loads(json.dumps(record))["response"] == kept
    shown = await ask(gateway, "GET", f"/v1/fairlead/calls/{call_id}")
    assert (shown.status, shown.json["call_id"]) == (200, call_id)


NOT_JSON = {
    "before content": (b"data: {broken\n\n", b""),
    "where usage may be": (FIRST + b'data: {"usage":{broken\n\n', FIRST),
    "a list": (b"data: [1]\n\n", b""),
    "nested without end": (b"data: " + b"[" * 200_000 + b"\n\n", b""),
}


@pytest.mark.parametrize(("body", "passed"), NOT_JSON.values(), ids=NOT_JSON)
async def test_s10_what_has_to_be_understood_and_cannot_be_is_a_protocol_error(
    begin: Begin, body: bytes, passed: bytes
) -> None:
    """An error in the caller's dialect, a 502 while nothing has gone out, and never a good end."""
    async with FakeUpstream([streaming(body + b"data: [DONE]\n\n", len(passed))]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)

        answer = await chat(gateway, stream=True)

    assert answer.status == (200 if passed else 502)
    assert answer.body.startswith(passed)
    assert b"[DONE]" not in answer.body
    assert "not JSON" in answer.body.decode() or "not a JSON object" in answer.body.decode()
    (record,) = await gateway.records()
    assert record["outcome"] == ("truncated" if passed else "error")


@asynccontextmanager
async def caller(gateway: Any, **fields: Any) -> AsyncIterator[asyncio.StreamReader]:
    """A caller who has asked, and leaves at the end without a word."""
    async with connection(gateway) as (reader, writer):
        headers = {"authorization": f"Bearer {fields.pop('key')}"} if "key" in fields else {}
        writer.write(request("POST", CHAT, BODY | fields, headers))
        yield reader


@pytest.mark.parametrize("counts", [False, True], ids=["nothing counted", "running totals"])
async def test_s15_who_leaves_after_three_chunks_closes_the_upstream(begin: Begin, counts: bool) -> None:
    """Within 250 ms; the call is recorded as cancelled, with status 499 and the cost of what had come."""
    running = {"usage": {"prompt_tokens": 10, "completion_tokens": 3}} if counts else {}
    answer = answers.sse([chunk(f"word {number} ", **running) for number in range(1_000)]).paced(0.01)
    async with FakeUpstream([answer]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        async with caller(gateway, stream=True) as reader:
            for _ in range(3):
                await reader.readuntil(b"}\n\n")
        left_ns = time.monotonic_ns()
        await upstream.until(lambda: upstream.requests[0].closed_early_ns)
        closed_s = (upstream.requests[0].closed_early_ns - left_ns) / 1e9
        (record,) = await recorded(gateway)

    assert closed_s < CLOSED_S
    assert (record["outcome"], record["status"]) == ("cancelled", 499)
    assert record["usage_source"] == ("cumulative" if counts else "estimated")
    assert float(record["cost_usd"]) > 0
    if counts:
        assert record["cost_usd"] == "0.000016"


async def test_s15_a_provider_that_bills_all_the_same_is_read_to_its_end(begin: Begin) -> None:
    """The caller's place is free at once, and the record has the whole usage as the provider counts it."""
    answer = openai_stream(["a"] * 30, USAGE).paced(0.01)
    async with FakeUpstream([answer]) as upstream:
        gateway = await begin(BILLED.format(auth="keys", base_url=upstream.base_url), ENVIRON)
        key = await gateway.key("k1", concurrency=1)
        async with caller(gateway, key=key, stream=True) as reader:
            for _ in range(3):
                await reader.readuntil(b"}\n\n")
        await freed(gateway, key)
        assert upstream.requests[0].answered_ns is None, "it is read on"
        await upstream.until(lambda: upstream.requests[0].answered_ns)
        records = await recorded(gateway, 2)

    assert upstream.requests[0].closed_early_ns is None
    first = records[-1]
    assert (first["outcome"], first["status"], first["usage_source"]) == ("cancelled", 499, "final")
    assert (first["usage"]["input_tokens"], first["usage"]["output_tokens"]) == (11, 7)
    assert first["cost_usd"] == "0.000025"


async def freed(gateway: Any, key: str) -> None:
    """The next call of a key with one place is let in within the time in which an upstream is closed."""
    ends = time.monotonic() + CLOSED_S
    while (answer := await chat(gateway, key)).status == 429:
        assert time.monotonic() < ends, "the place is still taken"
        await asyncio.sleep(0.005)
    assert answer.status == 200


@pytest.mark.parametrize(
    "reaction",
    [answers.blackhole(), openai_stream(["a"]).latency(60), openai_stream(["a"]).stall(40)],
    ids=["no head", "late head", "head alone"],
)
@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
async def test_s16_who_leaves_before_the_first_byte_leaves_nothing_behind(
    begin: Begin,
    stream: bool,
    reaction: Answer,
) -> None:
    """The upstream is closed within 250 ms, place and reservation are free, and the record says who ended it."""
    async with FakeUpstream([reaction]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="keys", base_url=upstream.base_url), ENVIRON)
        key = await gateway.key("k1", concurrency=1, budget_nanousd=10**9, budget_window="day")
        async with caller(gateway, key=key, stream=stream, max_tokens=100):
            await upstream.until(lambda: upstream.requests)
            assert gateway.foundation.ledger.reserved_nanousd() > 0
            assert (await chat(gateway, key)).status == 429
        left_ns = time.monotonic_ns()
        await upstream.until(lambda: upstream.requests[0].closed_early_ns)
        closed_s = (upstream.requests[0].closed_early_ns - left_ns) / 1e9
        await freed(gateway, key)

        records = await gateway.records()
    assert closed_s < CLOSED_S
    assert gateway.foundation.ledger.reserved_nanousd() == 0
    assert gateway.app.in_flight == 0
    assert [
        (record["outcome"], record["status"], record["cost_usd"]) for record in records if record["status"] == 499
    ] == [("cancelled", 499, "0")]


async def test_s16_who_leaves_while_a_connection_is_opened_leaves_nothing_behind(begin: Begin) -> None:
    """As above, where the provider does not even take the connection."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:  # once its queue is full, Linux lets the next ones wait
            filler.setblocking(False)
            filler.connect_ex(deaf.getsockname())
        try:
            base_url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
            gateway = await begin(UPSTREAM.format(auth="keys", base_url=base_url), ENVIRON)
            key = await gateway.key("k1", concurrency=1, budget_nanousd=10**9, budget_window="day")
            async with caller(gateway, key=key, max_tokens=100):
                await until(gateway.foundation.ledger.reserved_nanousd)
                assert (await chat(gateway, key)).status == 429
            await until(lambda: not gateway.app.in_flight, CLOSED_S)
            records = await gateway.records()
        finally:
            for filler in fillers:
                filler.close()

    assert gateway.foundation.ledger.reserved_nanousd() == 0
    assert sorted((record["outcome"], record["status"]) for record in records) == [("cancelled", 499), ("error", 429)]


SCENES = {
    "whole": (openai_reply("hi").latency(0.5), {}),
    "streamed": (openai_stream(["a", "b", "c"]).paced(0.3), {"stream": True}),
    "refused": (answers.status(500, body=b"{}").latency(0.5), {"stream": True}),
    "before content": (openai_stream(["a"]).stall(40), {"stream": True}),
}
TWO_BUDGETS = Principal(
    key_id="k1",
    budgets=(Budget(scope="key:k1", limit_nanousd=10**12, window="day"),),
    rates=(Rate(scope="key:k1", kind="concurrency", limit=1),),
)


@pytest.mark.parametrize("bills", [False, True], ids=["closed", "read on"])
@pytest.mark.parametrize("between", [0, 1, 2], ids=["at once", "a turn later", "two turns later"])
@pytest.mark.parametrize("scene", SCENES)
def test_s18_a_call_that_is_cancelled_twice_ends_once(scene: str, between: int, bills: bool) -> None:
    """At every turn of the loop, in cleanup too: place and money are free, the upstream is settled, one record says so."""
    steps = 0
    while cancelled_twice(scene, steps, between, bills):
        steps += 1
    assert steps > 3


def cancelled_twice(scene: str, steps: int, between: int, bills: bool) -> bool:
    """Cancel after so many turns and again after a few more; says whether the call was still under way."""
    clock = VirtualClock()
    answer, fields = SCENES[scene]
    transport = FakeTransport([answer], clock=clock)
    rig = Bench(
        clock=clock,
        transports={"fake": transport},
        aliases={"gpt-4o-mini": [candidate(bills_after_disconnect=bills, timeouts=Timeouts(first_token_s=1.0))]},
        principal=TWO_BUDGETS,
    )

    async def scenario() -> bool:
        task = asyncio.get_running_loop().create_task(rig.ask(**fields))
        for step in range(steps):
            await (asyncio.sleep(0) if step < 20 else clock.sleep(0.1))
        was_running = not task.done()
        task.cancel()
        for _ in range(between):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task], timeout=2)
        assert task.done(), "cleanup takes longer than two seconds"
        assert rig.limits.unreleased == []
        await clock.sleep(61)
        return was_running

    was_running = virtual_run(scenario(), clock)

    assert rig.ledger.open_holds == []
    assert_one_terminal_record(rig.sink.records)
    return was_running


async def test_s18_leaving_while_the_gateway_drains_ends_a_call_once(begin: Begin) -> None:
    """Callers leave in the very turn in which the gateway cancels what is left: nothing is held and each is recorded."""
    async with FakeUpstream(default=openai_stream(["a"] * 1_000).paced(0.01)) as upstream:
        gateway = await begin(UPSTREAM.format(auth="keys", base_url=upstream.base_url), ENVIRON)
        key = await gateway.key("k1", concurrency=4, budget_nanousd=10**9, budget_window="day")
        async with caller(gateway, key=key, stream=True) as one, caller(gateway, key=key, stream=True) as two:
            await one.readuntil(b"}\n\n")
            await two.readuntil(b"}\n\n")
            draining = asyncio.create_task(gateway.server.drain(0))
        await gateway.server.drain(0)
        await draining
        await upstream.until(lambda: all(received.closed_early_ns for received in upstream.requests))

    assert (gateway.app.in_flight, gateway.server.connections) == (0, 0)
    assert gateway.foundation.ledger.reserved_nanousd() == 0
    records = await gateway.records()
    assert len(records) == 2
    assert {record["outcome"] for record in records} <= {"cancelled", "truncated"}


def test_s18_cleanup_that_hangs_is_cut_off_after_two_seconds() -> None:
    """A handler that does not end when it is cancelled, not even twice, holds neither its caller nor the shutdown."""

    async def scenario() -> tuple[float, bytes]:
        entered, let_go = asyncio.Event(), asyncio.Event()

        async def handler(_: Exchange) -> None:
            entered.set()
            while not let_go.is_set():
                with suppress(asyncio.CancelledError):
                    await let_go.wait()

        server = Server(handler)
        await server.start("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(request("POST", CHAT, BODY))
        await entered.wait()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await server.drain(1.0)
        took_s = loop.time() - began_s
        try:
            told = await reader.read()
        except ConnectionError:
            told = b""
        let_go.set()
        writer.close()
        await until(lambda: not server.connections)
        return took_s, told

    took_s, told = virtual_run(scenario())

    assert 3.0 <= took_s < 3.5, "one second to end by itself, two for its cleanup"
    assert told == b""


EVENT = b"data: " + dumped("x" * 16_000) + b"\n\n"
MOST_BUFFERED = 256 * 1024


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="asks Linux what its sockets hold")
@pytest.mark.parametrize("size", [16, 1], ids=["large events", "small events"])
async def test_s19_a_caller_who_does_not_read_holds_the_provider_back(begin: Begin, size: int) -> None:
    """The gateway keeps at most 256 KiB of a stream that nobody reads; the rest waits with the provider."""
    event = b"data: " + dumped("x" * 1_000 * size) + b"\n\n"
    async with Endless(event, event * (16 // size)).listening() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            slow.connect(("127.0.0.1", gateway.server.port))
            slow.sendall(request("POST", CHAT, BODY | {"stream": True}))
            await stands_still(lambda: upstream.sent)

            held = upstream.sent - in_kernel(gateway.server.port, upstream.port)

        await upstream.closed.wait()
    assert held <= MOST_BUFFERED


async def stands_still(count: Callable[[], int]) -> None:
    """Wait until a number does not grow any more."""
    seen = -1
    while seen != (seen := count()) or not seen:  # noqa: ASYNC110 - nothing tells of what does not happen
        await asyncio.sleep(0.3)


def in_kernel(*ports: int) -> int:
    """What the sockets of this machine's connections to and from these ports hold."""
    total = 0
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, state, queues, *_ = line.split()
        ends = {int(address.partition(":")[2], 16) for address in (local, remote)}
        if state != "0A" and ends.intersection(ports):
            total += sum(int(queue, 16) for queue in queues.split(":"))
    return total


async def test_s19_a_caller_who_reads_too_slowly_is_cut_off(begin: Begin) -> None:
    """After the write deadline, at one byte a moment too: its connection is reset, the upstream closed, the cost recorded."""
    async with Endless(EVENT, EVENT).listening() as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        server = Server(gateway.app, limits=ServerLimits(write_s=0.5), before_writes=gateway.foundation.spool.flush)
        await server.start("127.0.0.1", 0)
        with socket.socket() as slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            slow.connect(("127.0.0.1", server.port))
            slow.setblocking(False)
            slow.sendall(request("POST", CHAT, BODY | {"stream": True}))
            reading = asyncio.create_task(a_byte_at_a_time(slow))
            await upstream.closed.wait()
            reading.cancel()
            sent = upstream.sent
        assert server.connections == 0
        await server.drain(0)
        (record,) = await recorded(gateway)

    assert (record["outcome"], record["status"]) == ("cancelled", 499)
    assert float(record["cost_usd"]) > 0
    assert sent < MOST_IN_KERNEL


async def a_byte_at_a_time(reader: socket.socket) -> None:
    while True:
        with suppress(BlockingIOError):
            reader.recv(1)
        await asyncio.sleep(0.02)
