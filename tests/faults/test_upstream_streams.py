"""Streams that begin badly, break off, stall, or count strangely (FAULTS S1-S6, S11-S14, S16, S20, S23)."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import openai
import pytest

from fairlead.testing import Answer, FakeUpstream, answers, openai_error, openai_reply, openai_stream, speak_openai
from faults.front import CHAT, ENVIRON, MESSAGES, Begin, ask, chat, connection, recorded, request, text_of, until
from faults.trouble import QUICK, RETRY, both, config, ended, error_of, sdk_fails, sdk_says, tried

ASKED = {"stream_options": {"include_usage": True}}
SLOW = openai_stream(["a"] * 1_000).paced(0.02)


def in_band(answer: Any) -> dict[str, Any]:
    """The error with which a stream ended, in place of its terminator; its framing does not end either."""
    assert (answer.whole, b"[DONE]" in answer.body) == (False, False)
    last = answer.body.rstrip(b"\n").split(b"\n\n")[-1]
    error: dict[str, Any] = json.loads(last.removeprefix(b"data: "))["error"]
    return error


async def read_by_sdk(gateway: Any, **fields: Any) -> tuple[str, openai.APIError]:
    """What the SDK read of a stream until it raised, and what it raised."""
    stream = await gateway.sdk(max_retries=2).chat.completions.create(
        model="m", messages=MESSAGES, stream=True, **fields
    )
    parts: list[str] = []

    async def read() -> None:
        async for each in stream:
            parts.extend(choice.delta.content or "" for choice in each.choices)

    with pytest.raises(openai.APIError) as caught:
        await read()
    return "".join(parts), caught.value


# --- S1 ---

WORDS = openai_stream(["one ", "two ", "three ", "four"])
ENDS = {
    "closed": WORDS.limit_data(WORDS.offset(4)),
    "reset": WORDS.reset_after(WORDS.offset(4)),
    "in an event": WORDS.limit_data(WORDS.offset(4) + 9),
    "ended without a terminator": Answer(headers=WORDS.headers, pieces=WORDS.pieces[:4], framing="chunked"),
    "an error": answers.sse(
        [*WORDS.pieces[:4], {"error": {"message": "busy", "type": "overloaded_error"}}], done=False
    ),
}


@pytest.mark.parametrize("end", ENDS)
async def test_s1_a_stream_that_breaks_off_ends_with_an_error(begin: Begin, end: str) -> None:
    """No terminator, no retry and no other target: content has gone out.  What had come is paid for, and the SDK raises."""
    async with FakeUpstream([ENDS[end]] * 2) as one, FakeUpstream() as two:
        gateway = await begin(config(one.base_url, two.base_url), ENVIRON)
        answer = await chat(gateway, stream=True)
        text, raised = await read_by_sdk(gateway)

    assert answer.status == 200
    assert in_band(answer)["type"] in {"server_error", "invalid_request_error"}
    assert text_of(answer.body.partition(b'data: {"error"')[0]) == text == "one two three "
    assert isinstance(raised, openai.APIError)
    assert (len(one.requests), two.requests) == (2, [])
    for record in await recorded(gateway, 2):
        assert (record["outcome"], len(record["attempts"]), record["usage_source"]) == ("truncated", 1, "estimated")
        assert float(record["cost_usd"]) > 0


# --- S2, S3 ---

FIRST = {
    "OpenRouter": [{"error": {"code": 502, "message": "Provider returned error"}, "choices": []}],
    "overloaded": [{"error": {"message": "busy", "type": "overloaded_error"}}],
    "Anthropic's": [b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"busy"}}\n\n'],
    "after a role": [
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
        {"error": {"message": "busy", "type": "server_error"}},
    ],
    "after pings": [b": ping\n\n", b": ping\n\n", {"error": {"message": "busy", "code": 503}}],
}


@pytest.mark.parametrize("form", FIRST)
async def test_s2_an_error_before_any_content_is_the_error_that_it_is(begin: Begin, form: str) -> None:
    """Another target answers; where there is none, the caller gets a real status and no stream."""
    fails = answers.sse(FIRST[form], done=False)
    async with FakeUpstream(default=fails) as one, FakeUpstream() as two:
        backed = await begin(config(one.base_url, two.base_url), ENVIRON)
        assert await sdk_says(backed, stream=True) == "Hello, world."
        alone = await begin(config(one.base_url, model=RETRY), ENVIRON)
        answer = await chat(alone, stream=True)
        raised = await sdk_fails(alone, openai.InternalServerError, stream=True)

    assert error_of(answer) == (503, "upstream_unavailable", "false")
    assert answer.headers["content-type"] == "application/json"
    assert raised.status_code == 503
    assert tried((await backed.records())[0])[-1] == ("two", None)


NOTHING = {
    "pings": answers.sse([b": ping\n\n"] * 5, done=False),
    "pings, broken off": answers.sse([b": ping\n\n"] * 5, done=False).limit_data(20),
    "the terminator alone": answers.sse([]),
    "a role and the terminator": answers.sse([{"choices": [{"index": 0, "delta": {"role": "assistant"}}]}]),
    "no byte": answers.sse([], done=False),
    "blank lines": answers.sse([b"\n\n\n"], done=False),
}


@pytest.mark.parametrize("form", NOTHING)
async def test_s3_a_stream_without_content_is_tried_again(begin: Begin, form: str) -> None:
    """Nothing has gone to the caller; where it stays so, it is a 502."""
    async with FakeUpstream([NOTHING[form]]) as one:
        gateway = await begin(config(one.base_url, model=RETRY), ENVIRON)
        assert await sdk_says(gateway, stream=True) == "Hello, world."
        one.then(*[NOTHING[form]] * 3)
        raised = await sdk_fails(gateway, openai.InternalServerError, stream=True)

    assert raised.code in {"empty_stream", "upstream_unreachable"}
    assert (raised.status_code, raised.response.headers["x-should-retry"]) == (502, "false")


# --- S4, S5, S6 ---


@pytest.mark.slow
async def test_s4_headers_and_then_silence_are_given_up_for_another(begin: Begin) -> None:
    """The first-token clock ends each try; pings do not count as an answer."""
    pings = answers.sse([b": ping\n\n"] * 100, done=False).paced(0.05)
    for silent in (openai_stream(["a"], stall_at=0), openai_reply("a").latency(60), pings):
        async with FakeUpstream(default=silent) as one, FakeUpstream() as two:
            gateway = await begin(config(one.base_url, two.base_url, model=both(QUICK)), ENVIRON)
            began = time.monotonic()
            assert await sdk_says(gateway, stream=True) == "Hello, world."
            assert time.monotonic() - began < 3
        (record,) = await recorded(gateway)
        assert tried(record) == [("one", "upstream_timeout")] * 3 + [("two", None)]


async def test_s4_where_nobody_else_is_left_it_is_a_504(begin: Begin) -> None:
    """And final: three tries were made here."""
    async with FakeUpstream(default=openai_stream(["a"], stall_at=0)) as one:
        gateway = await begin(config(one.base_url, model=both(QUICK)), ENVIRON)
        raised = await sdk_fails(gateway, openai.InternalServerError, stream=True)

    assert (raised.status_code, raised.code) == (504, "upstream_timeout")
    assert raised.response.headers["x-should-retry"] == "false"
    assert len(one.requests) == 3


@pytest.mark.parametrize("pings", [False, True])
async def test_s5_a_stall_in_the_middle_ends_the_stream(begin: Begin, pings: bool) -> None:
    """At the idle clock, pings or not; the upstream is closed, and the caller has an error instead of an end."""
    words = WORDS.pieces[:4]
    stalled = answers.sse([*words, *[b": ping\n\n"] * (200 if pings else 0)], done=False).paced(0.02)
    if not pings:
        stalled = stalled.stall(len(b"".join(words)))
    async with FakeUpstream([stalled] * 2) as one, FakeUpstream() as two:
        gateway = await begin(config(one.base_url, two.base_url, model=both(QUICK)), ENVIRON)
        began = time.monotonic()
        answer = await chat(gateway, stream=True)
        took_s = time.monotonic() - began
        await read_by_sdk(gateway)
        await one.until(lambda: all(each.closed_early_ns for each in one.requests))

    assert in_band(answer)["code"] == "upstream_timeout"
    assert took_s < 1.5
    assert two.requests == []
    assert {record["outcome"] for record in await recorded(gateway, 2)} == {"truncated"}


async def test_s6_a_stream_beyond_its_total_is_cut_and_priced(begin: Begin) -> None:
    """An error in band; what had come is priced by the model that wrote it, not by the alias."""
    total = "timeouts = { total = 0.5 }"
    async with FakeUpstream([SLOW] * 2) as one:
        gateway = await begin(config(one.base_url, model=both(total)), ENVIRON)
        answer = await chat(gateway, stream=True)
        await read_by_sdk(gateway)
        await one.until(lambda: all(each.closed_early_ns for each in one.requests))

    assert in_band(answer)["code"] == "upstream_timeout"
    for record in await recorded(gateway, 2):
        assert (record["outcome"], record["attempts"][0]["model"]) == ("truncated", "gpt-4o-mini")
        assert float(record["cost_usd"]) > 0


# --- S11, S12, S13 ---


def said(content: str = "", **fields: Any) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": 0, "delta": {"content": content} if content else {}}], **fields}


def counts(prompt: int | None, completion: int | None) -> dict[str, Any]:
    return {"usage": {"prompt_tokens": prompt, "completion_tokens": completion}}


TABLE: dict[str, tuple[list[Any], str, int | None]] = {
    "final": ([said("a"), said("b"), {"choices": [], **counts(10, 5)}], "final", 5),
    "beside content": ([said("a"), said("b", **counts(10, 5))], "final", 5),
    "in an earlier chunk": ([said("a", **counts(10, 5)), said("b")], "final", 5),
    "twice, growing": ([said("a", **counts(10, 1)), said("b", **counts(10, 2)), said(**counts(10, 5))], "final", 5),
    "a placeholder first": (
        [said(**counts(10, 1)), said("a"), said("b"), {"choices": [], **counts(10, 5)}],
        "final",
        5,
    ),
    "null until the end": (
        [said("a", usage=None), said("b", usage=None), {"choices": [], **counts(10, 5)}],
        "final",
        5,
    ),
    "null": ([said("a", usage=None), said("b", usage=None)], "estimated", None),
    "none": ([said("a"), said("b")], "estimated", None),
    "null inside": ([said("a"), said("b"), {"choices": [], **counts(10, None)}], "final", 0),
    "explicit zero": ([said("a"), said("b"), {"choices": [], **counts(0, 0)}], "final", 0),
}


@pytest.mark.parametrize("form", TABLE)
async def test_s11_usage_is_found_where_it_stands(begin: Begin, form: str) -> None:
    """Final before running before estimated, and an estimate says that it is one."""
    events, source, output = TABLE[form]
    async with FakeUpstream([answers.sse(events)]) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        assert await sdk_says(gateway, stream=True) == "ab"

    (record,) = await recorded(gateway)
    if output is not None:
        assert record["usage"].get("output_tokens", 0) == output
    assert record["usage_source"] == source
    assert float(record["cost_usd"]) >= 0


async def test_s11_running_counts_stand_where_the_end_is_missing(begin: Begin) -> None:
    """The largest of them, marked as such."""
    events = [said("a", **counts(10, 3)), said("b", **counts(10, 7)), said("c", **counts(10, 7))]
    stream = answers.sse(events, done=False)
    async with FakeUpstream([stream.limit_data(len(stream.body))]) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        await read_by_sdk(gateway)

    (record,) = await recorded(gateway)
    assert (record["usage_source"], record["usage"]["output_tokens"]) == ("cumulative", 7)


@pytest.mark.parametrize("stream", [False, True])
async def test_s12_a_zero_stays_a_zero(begin: Begin, stream: bool) -> None:
    """A provider that says that nothing was used is believed; nothing is estimated over it."""
    zero = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    answer = openai_stream(["hello"], zero) if stream else openai_reply("hello", zero)
    async with FakeUpstream([answer]) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        assert await sdk_says(gateway, stream=stream) == "hello"

    (record,) = await recorded(gateway)
    assert (record["usage_source"], record["cost_usd"]) == ("final", "0")


@pytest.mark.parametrize("asked", [False, True])
async def test_s13_usage_goes_to_who_asked_for_it(begin: Begin, asked: bool) -> None:
    """It is asked of the provider in any case; a caller who did not ask sees no chunk without choices."""
    async with FakeUpstream() as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        stream = await gateway.sdk().chat.completions.create(
            model="m", messages=MESSAGES, stream=True, **(ASKED if asked else {})
        )
        chunks = [each async for each in stream]

    assert one.requests[0].json["stream_options"] == {"include_usage": True}
    bare = [each for each in chunks if not each.choices]
    assert bare == (chunks[-1:] if asked else [])
    assert not asked or bare[0].usage.total_tokens == 15
    (record,) = await recorded(gateway)
    assert (record["usage_source"], record["usage"]["output_tokens"]) == ("final", 5)


# --- S14, S20 ---


def call_delta(index: int, arguments: str, **fields: Any) -> dict[str, Any]:
    delta = {
        "tool_calls": [{"index": index, "function": {"arguments": arguments, **fields.pop("function", {})}, **fields}]
    }
    return CHUNK | {"choices": [{"index": 0, "delta": delta}]}


CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}


async def test_s14_tool_calls_that_come_in_turns_are_told_apart(begin: Begin) -> None:
    """Two of them, cut anywhere, one piece of each in turn: put together they are what the provider meant."""
    first, second = '{"city": "Zürich", "n": [1, 2]}', '{"zone": "Europe/Zurich \\"x\\""}'
    events = [
        call_delta(0, "", id="c0", type="function", function={"name": "weather"}),
        call_delta(1, "", id="c1", type="function", function={"name": "time"}),
    ]
    for at in range(0, max(len(first), len(second)), 3):
        events += [call_delta(index, text[at : at + 3]) for index, text in enumerate((first, second)) if text[at:]]
    events.append(CHUNK | {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    body = answers.sse(events)
    async with FakeUpstream([body, body.slice(7)]) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        for _ in range(2):
            async with gateway.sdk().chat.completions.stream(model="m", messages=MESSAGES) as stream:
                whole = await stream.get_final_completion()
            calls = whole.choices[0].message.tool_calls
            assert [(call.id, call.function.name) for call in calls] == [("c0", "weather"), ("c1", "time")]
            assert [call.function.arguments for call in calls] == [first, second]
        answer = await ask(gateway, "POST", CHAT, {"model": "m", "messages": MESSAGES})
        assert answer.status == 200


async def test_s20_everything_else_passes_through_untouched(begin: Begin) -> None:
    """Several choices, log probabilities, reasoning, refusals and audio: byte for byte, streamed or not."""
    deltas = [
        {"role": "assistant", "content": ""},
        {"reasoning_content": "hm", "reasoning": "hm", "reasoning_details": [{"type": "x"}]},
        {"content": "a"},
        {"refusal": "no"},
        {"audio": {"id": "a1", "data": "UklGRg==", "transcript": "hi"}},
        {"annotations": [{"type": "url_citation"}]},
    ]
    events = [
        {"id": "c", "choices": [{"index": index, "delta": delta, "logprobs": {"content": [{"token": "a"}]}}]}
        for delta in deltas
        for index in range(3)
    ]
    body = answers.sse(events)
    message = {"role": "assistant", "content": None, "refusal": "no", "audio": {"id": "a", "data": "UklGRg=="}}
    choices = [{"index": n, "message": message, "logprobs": {"content": []}, "finish_reason": "stop"} for n in range(3)]
    whole = answers.json({"id": "x", "object": "chat.completion", "choices": choices, "usage": None})
    async with FakeUpstream([body, whole]) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        streamed = await chat(gateway, stream=True, n=3, logprobs=True)
        answered = await chat(gateway, n=3, logprobs=True)

    assert (streamed.body, answered.body) == (body.body, whole.body)


# --- S16 ---


@pytest.mark.parametrize("stream", [False, True])
async def test_s16_who_leaves_between_two_tries_leaves_nothing_behind(begin: Begin, stream: bool) -> None:
    """No further try is made, and place and reservation are free."""
    model = "retry = { attempts = 5, base_delay = 60, max_delay = 60 }"
    async with FakeUpstream([openai_error(500, "no")]) as one:
        gateway = await begin(config(one.base_url, auth="keys", model=model), ENVIRON)
        key = await gateway.key("k1", concurrency=1, budget_nanousd=10**9, budget_window="day")
        await left(gateway, key, lambda: one.requests and one.requests[0].answered_ns, stream=stream)
        (record,) = await ended(gateway)
        assert (await chat(gateway, key)).status == 200

    assert (record["outcome"], record["status"], record["cost_usd"]) == ("cancelled", 499, "0")
    assert len(one.requests) == 2
    assert gateway.foundation.ledger.reserved_nanousd() == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_s16_who_leaves_the_queue_leaves_nothing_behind(begin: Begin, stream: bool) -> None:
    """No request goes out for it, and the next one in line has its place."""
    limits = "limits = { concurrency = 1 }\n"
    async with FakeUpstream([openai_reply("slow").latency(0.8)]) as one:
        gateway = await begin(config(one.base_url, auth="keys", provider=limits, model=RETRY), ENVIRON)
        key = await gateway.key("k1", budget_nanousd=10**9, budget_window="day")
        slow = asyncio.ensure_future(chat(gateway, key))
        await one.until(lambda: one.requests)
        await left(gateway, key, gateway.runtime.pace.waiting, stream=stream)
        await until(lambda: not gateway.runtime.pace.waiting())
        assert (await slow).status == 200
        assert (await chat(gateway, key)).status == 200
        records = await ended(gateway, 3)

    assert len(one.requests) == 2
    assert sorted(record["outcome"] for record in records) == ["cancelled", "ok", "ok"]
    assert gateway.foundation.ledger.reserved_nanousd() == 0
    assert gateway.foundation.lanes.all()[0].in_flight == 0


async def left(gateway: Any, key: str, reached: Any, **fields: Any) -> None:
    """A caller who leaves as soon as that is reached."""
    body = {"model": "m", "messages": MESSAGES, **fields}
    async with connection(gateway) as (_, writer):
        writer.write(request("POST", CHAT, body, {"authorization": f"Bearer {key}"}))
        await until(reached)
        await asyncio.sleep(0.05)


# --- S23 ---

LATE = {
    "content after the terminator": [b'data: {"choices":[{"index":0,"delta":{"content":"late"}}]}\n\n'],
    "a second terminator": [b"data: [DONE]\n\n"],
    "an error after the terminator": [b'data: {"error":{"message":"busy"}}\n\n'],
    "garbage after the terminator": [b"data: {{{\n\n", b"\x00\xff"],
}


@pytest.mark.parametrize("form", LATE)
async def test_s23_what_comes_after_the_end_is_ignored(begin: Begin, form: str) -> None:
    """The answer is whole, and is recorded so."""
    stream = answers.sse([*openai_stream(["a", "b"]).pieces, *LATE[form]], done=False)
    async with FakeUpstream([stream] * 2) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        answer = await chat(gateway, stream=True)
        assert await sdk_says(gateway, stream=True) == "ab"

    assert answer.body.count(b"[DONE]") == 1
    assert b"late" not in answer.body
    assert b"error" not in answer.body
    assert {record["outcome"] for record in await recorded(gateway, 2)} == {"ok"}


async def test_s23_content_after_the_finish_reason_ends_nothing(begin: Begin) -> None:
    """The terminator is the end, not a finish reason; the SDK reads on."""
    finished = {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    stream = answers.sse([said("a"), finished, said("b")])
    async with FakeUpstream([stream, speak_openai]) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        assert await sdk_says(gateway, stream=True) == "ab"

    assert {record["outcome"] for record in await recorded(gateway)} == {"ok"}
