"""Providers that refuse, fail, or answer with what is no answer (FAULTS U6-U12, U21)."""

from __future__ import annotations

import json
import logging
import tracemalloc
from typing import Any

import openai
import pytest

from fairlead.testing import Answer, FakeUpstream, answers, openai_error, openai_reply
from faults.front import ENVIRON, MESSAGES, Begin, chat, recorded
from faults.trouble import RETRY, config, error_of, sdk_fails, sdk_says, tried

SDK_ERRORS: dict[int, type[openai.APIStatusError]] = {
    400: openai.BadRequestError,
    404: openai.NotFoundError,
    413: openai.APIStatusError,
    422: openai.UnprocessableEntityError,
}

# --- U6 ---

EMPTY = {
    "OpenAI": openai_error(429, "You exceeded your current quota.", kind="insufficient_quota"),
    "402": openai_error(402, "Payment required"),
    "billing": openai_error(429, "x", error_code="billing_hard_limit_reached"),
    "Google, a day": answers.json(
        [
            {
                "error": {
                    "code": 429,
                    "status": "RESOURCE_EXHAUSTED",
                    "details": [{"violations": [{"quotaId": "RequestsPerDay"}]}],
                }
            }
        ],
        429,
    ),
}


@pytest.mark.parametrize("form", EMPTY)
async def test_u6_an_empty_account_is_asked_once_and_then_left_alone(begin: Begin, form: str) -> None:
    """It falls back without a second try, and the calls after it do not ask it again."""
    async with FakeUpstream([EMPTY[form]] * 9) as one, FakeUpstream() as two:
        gateway = await begin(config(one.base_url, two.base_url), ENVIRON)
        for _ in range(5):
            assert (await chat(gateway)).status == 200

    assert len(one.requests) == 1
    assert tried((await gateway.records())[-1]) == [("one", "upstream_quota_exhausted"), ("two", None)]


async def test_u6_alone_it_has_a_code_of_its_own_and_is_final(begin: Begin) -> None:
    """An SDK does not try again either; the breaker knows nothing of it."""
    async with FakeUpstream([EMPTY["OpenAI"]] * 9) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        raised = await sdk_fails(gateway, openai.RateLimitError)
        second = await chat(gateway)

    assert (raised.code, raised.type) == ("upstream_quota_exhausted", "insufficient_quota")
    assert raised.response.headers["x-should-retry"] == "false"
    assert "You exceeded" not in str(raised)
    assert len(one.requests) == 1
    assert error_of(second) == (503, "circuit_open", "false")
    assert 50 < int(second.headers["retry-after"]) <= 60
    lane = gateway.foundation.lanes.all()[0]
    assert lane.breaker.state == "closed"


# --- U7 ---


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [500, 502, 503, 504, 529, 520, 408, 409])
async def test_u7_what_passes_is_tried_again_then_another_is_asked(begin: Begin, status: int, stream: bool) -> None:
    """Twice at the same target, with a wait that is drawn; then the next target."""
    fails = openai_error(status, "busy")
    async with FakeUpstream([fails]) as one, FakeUpstream() as two:
        gateway = await begin(config(one.base_url, two.base_url), ENVIRON)
        assert await sdk_says(gateway, stream=stream) == "Hello, world."
        one.then(fails, fails, fails)
        assert await sdk_says(gateway, stream=stream) == "Hello, world."

    records = await recorded(gateway, 2)
    assert [provider for provider, _ in tried(records[1])] == ["one"] * 2
    assert [provider for provider, _ in tried(records[0])] == ["one"] * 3 + ["two"]
    assert {code for _, code in tried(records[0])} <= {"upstream_unavailable", "upstream_timeout", None}


async def test_u7_what_was_tried_here_an_sdk_does_not_try_again(begin: Begin) -> None:
    """Three tries in all, not nine; and without retries of ours the SDK is the layer that tries again."""
    async with FakeUpstream(default=openai_error(500, "no")) as one:
        ours = await begin(config(one.base_url, model=RETRY), ENVIRON)
        await sdk_fails(ours, openai.InternalServerError)
        assert len(one.requests) == 3
    async with FakeUpstream([openai_error(500, "no")]) as one:
        theirs = await begin(config(one.base_url, model="routing = 'order'"), ENVIRON)
        assert await sdk_says(theirs, retries=1) == "Hello, world."


# --- U8 ---


@pytest.mark.parametrize("status", [400, 404, 413, 422])
async def test_u8_the_callers_mistake_is_the_callers_at_once(begin: Begin, status: int) -> None:
    """One try, nobody else is asked, the provider's own status and words; ten of them open no breaker."""
    async with FakeUpstream(default=openai_error(status, "temperature is out of range")) as one, FakeUpstream() as two:
        gateway = await begin(config(one.base_url, two.base_url), ENVIRON)
        answers_ = [await chat(gateway) for _ in range(10)]
        raised = await sdk_fails(gateway, SDK_ERRORS[status])

    assert {error_of(answer) for answer in answers_} == {(status, "upstream_rejected", "false")}
    assert "temperature is out of range" in str(raised)
    assert (len(one.requests), two.requests) == (11, [])


@pytest.mark.parametrize("status", [401, 403])
async def test_u8_a_refused_credential_is_ours_and_stays_ours(
    begin: Begin, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Another target answers, the credential is left alone, the log says so, and no caller reads what was said of it."""
    words = "Incorrect API key provided: sk-upst***. Organization org-secret of team Finance"
    async with FakeUpstream(default=openai_error(status, words)) as one, FakeUpstream() as two:
        backed = await begin(config(one.base_url, two.base_url), ENVIRON)
        alone = await begin(config(one.base_url), ENVIRON)
        with caplog.at_level(logging.INFO, "fairlead"):
            for _ in range(3):
                assert (await chat(backed)).status == 200
            answer = await chat(alone)
            second = await chat(alone)
            raised = await sdk_fails(alone, openai.InternalServerError, retries=0)

    assert len(one.requests) == 2
    assert error_of(answer) == (502, "upstream_auth", "false")
    assert "provider 'one' refused the credential" in answer.body.decode()
    assert "[providers.one]" in answer.body.decode()
    assert error_of(second) == (503, "circuit_open", "false")
    for shown in (answer.body.decode(), second.body.decode(), str(raised)):
        assert not [word for word in ("sk-upst", "org-secret", "Finance") if word in shown]
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "the credential of one/gpt-4o-mini is refused; renew it"
    ] * 2
    assert {lane.breaker.state for lane in backed.foundation.lanes.all()} == {"closed"}


# --- U9 ---

CONTEXT = {
    "OpenAI": openai_error(
        400,
        "This model's maximum context length is 8192 tokens.",
        kind="invalid_request_error",
        error_code="context_length_exceeded",
    ),
    "vLLM": answers.json({"object": "error", "message": "maximum context length is 8192 tokens", "code": 400}, 400),
    "llama.cpp": openai_error(400, "exceeds the available context size", kind="exceed_context_size_error"),
    "Anthropic's": openai_error(400, "prompt is too long: 210000 tokens > 200000 maximum"),
    "413": openai_error(413, "context length exceeded"),
}
WINDOWS = """
[gateway]
auth = "open"
[providers.one]
dialect = "openai"
base_url = "{base_url}"
allow_private = true
[models.m]
targets = ["one/gpt-4", "one/gpt-3.5-turbo-unknown", "one/gpt-4o", "one/gpt-4-32k"]
retry = {{ attempts = 3, base_delay = 0.01 }}
fallbacks = {{ context_window = ["one/gpt-4.1", "one/gpt-4"] }}
"""


@pytest.mark.parametrize("form", CONTEXT)
async def test_u9_a_prompt_that_does_not_fit_is_asked_of_larger_windows_alone(begin: Begin, form: str) -> None:
    """In their order, then those configured for it; none with a smaller window, and none of them twice."""
    async with FakeUpstream([CONTEXT[form]] * 2) as one:
        gateway = await begin(WINDOWS.format(base_url=one.base_url))
        assert await sdk_says(gateway) == "Hello, world."
        two_asked = [request.json["model"] for request in one.requests]
        one.then(*[CONTEXT[form]] * 9)
        raised = await sdk_fails(gateway, openai.BadRequestError)

    assert two_asked == ["gpt-4", "gpt-3.5-turbo-unknown", "gpt-4o"]
    assert (raised.status_code, raised.code) == (400, "context_length_exceeded")
    assert [request.json["model"] for request in one.requests[3:]] == [
        "gpt-4",
        "gpt-3.5-turbo-unknown",
        "gpt-4o",
        "gpt-4.1",
    ]


# --- U10, U12 ---

NO_ANSWER = {
    "HTML": answers.html(),
    "text": answers.status(200, {"content-type": "text/plain"}, b"upstream connect error"),
    "empty": answers.status(200, {"content-type": "application/json"}),
    "null": answers.json(None),
    "array": answers.json([]),
    "string": answers.json("sorry"),
    "number": answers.json(7),
    "no choices": answers.json({"id": "x"}),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("form", NO_ANSWER)
async def test_u10_what_is_no_answer_is_tried_again_then_a_502(begin: Begin, form: str, stream: bool) -> None:
    """Whatever stands in a 200: it is tried again, and if it stays so, the caller is told in its dialect."""
    async with FakeUpstream([NO_ANSWER[form]]) as one:
        gateway = await begin(config(one.base_url, model=RETRY), ENVIRON)
        assert await sdk_says(gateway, stream=stream) == "Hello, world."
        one.then(*[NO_ANSWER[form]] * 3)
        raised = await sdk_fails(gateway, openai.InternalServerError, stream=stream)

    assert (raised.status_code, raised.code) in [(502, "upstream_protocol_error"), (502, "empty_stream")]
    assert raised.response.headers["x-should-retry"] == "false"


async def test_u10_a_snippet_is_logged_and_no_secret(begin: Begin, caplog: pytest.LogCaptureFixture) -> None:
    """At most 200 characters of what came, without what looks like a key; the caller sees none of it."""
    page = "<html>" + "x" * 50 + " Authorization: Bearer sk-upstream-0123456789abcdef " + "y" * 5_000
    async with FakeUpstream(default=answers.html(200, page)) as one:
        gateway = await begin(config(one.base_url, model=RETRY), ENVIRON)
        with caplog.at_level(logging.DEBUG, "fairlead"):
            answer = await chat(gateway)

    said = [record.getMessage() for record in caplog.records if "upstream_protocol_error" in record.getMessage()]
    assert said
    assert all(len(line) < 400 for line in said)
    assert "sk-upstream" not in "".join(said)
    assert b"html" not in answer.body
    assert b"sk-upstream" not in answer.body


IN_BAND = {
    "overloaded": ({"message": "busy", "type": "overloaded_error"}, 503, "upstream_unavailable"),
    "rate": ({"message": "slow", "code": "rate_limit_exceeded"}, 429, "upstream_rate_limited"),
    "number": ({"message": "busy", "code": 502}, 503, "upstream_unavailable"),
    "quota": ({"message": "none", "code": "insufficient_quota"}, 429, "upstream_quota_exhausted"),
    "mistake": ({"message": "bad", "type": "invalid_request_error"}, 400, "upstream_rejected"),
    "key": ({"message": "bad", "code": "invalid_api_key"}, 502, "upstream_auth"),
    "text": ("something broke", 503, "upstream_unavailable"),
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("form", IN_BAND)
async def test_u12_an_error_in_a_200_is_the_error_that_it_is(begin: Begin, form: str, stream: bool) -> None:
    """With the status that it would have had, and treated as such."""
    body, status, code = IN_BAND[form]
    async with FakeUpstream(default=answers.json({"error": body})) as one, FakeUpstream() as two:
        gateway = await begin(config(one.base_url, model=RETRY), ENVIRON)
        raised = await sdk_fails(gateway, openai.APIStatusError, stream=stream)
        backed = await begin(config(one.base_url, two.base_url), ENVIRON)
        answer = await chat(backed, stream=stream)

    assert (raised.status_code, raised.code, raised.response.headers["x-should-retry"]) == (status, code, "false")
    assert answer.status == (400 if status == 400 else 200)


# --- U11 ---

JSON = (("content-type", "application/json"),)


def framed(body: bytes, length: int) -> Answer:
    """A body announced with another length."""
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % length
    return answers.raw(head + body)


WHOLE = openai_reply("whole").body
BROKEN = {
    "cut JSON": Answer(headers=JSON, pieces=(WHOLE[:-20],)),
    "shorter than said": framed(WHOLE, len(WHOLE) + 5),
    "cut in the middle": openai_reply("whole").limit_data(30),
    "reset in the middle": openai_reply("whole").reset_after(30),
    "bad gzip": Answer(headers=(*JSON, ("content-encoding", "gzip")), pieces=(b"not gzip at all",)),
    "unknown encoding": Answer(headers=(*JSON, ("content-encoding", "zstd-x")), pieces=(WHOLE,)),
    "bad chunks": answers.raw(
        b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n{}"
    ),
    "two lengths": answers.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}"),
}


@pytest.mark.parametrize("form", BROKEN)
async def test_u11_an_answer_that_is_broken_is_never_passed_on(begin: Begin, form: str) -> None:
    """It is tried again, and if it stays so it is a 502: half an answer looks like none."""
    async with FakeUpstream([BROKEN[form]]) as one:
        gateway = await begin(config(one.base_url, model=RETRY), ENVIRON)
        assert await sdk_says(gateway) == "Hello, world."
        one.then(*[BROKEN[form]] * 3)
        raised = await sdk_fails(gateway, openai.InternalServerError)

    assert raised.code in {"upstream_protocol_error", "upstream_unreachable"}
    assert "whole" not in str(raised)


async def test_u11_more_than_was_said_is_cut_off(begin: Begin) -> None:
    """What follows the announced length is no part of this answer, nor of the next."""
    async with FakeUpstream([framed(WHOLE + b'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n"x"}', len(WHOLE))]) as one:
        gateway = await begin(config(one.base_url, model=RETRY), ENVIRON)
        assert [await sdk_says(gateway), await sdk_says(gateway)] == ["whole", "Hello, world."]


async def test_u11_a_bomb_is_stopped_at_the_cap(begin: Begin) -> None:
    """A megabyte that unpacks to a gigabyte is a 502; no more than the cap of 64 MiB is ever held."""
    async with FakeUpstream([answers.gzip_bomb(1 << 30)]) as one:
        gateway = await begin(config(one.base_url, model="routing = 'order'"), ENVIRON)
        tracemalloc.start()
        try:
            answer = await chat(gateway)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert error_of(answer)[:2] == (502, "upstream_protocol_error")
    assert peak_bytes < 160 * 1024 * 1024


# --- U21 ---


def strange(choice: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return json.loads(openai_reply("hi").body) | {"choices": [{"index": 0, **choice}], "x_new": {"a": [1]}} | fields


async def test_u21_what_a_vendor_adds_or_renames_passes_through(begin: Begin) -> None:
    """Unknown fields, finish reasons and kinds of parts reach the caller byte for byte, and the SDK reads them."""
    body = strange(
        {"message": {"role": "assistant", "content": "hi", "mood": "good"}, "finish_reason": "went_home"},
        usage={"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "thought_tokens": 2, "new": None},
        service_tier="galactic",
    )
    async with FakeUpstream([answers.json(body)] * 2) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        answer = await chat(gateway)
        assert await sdk_says(gateway) == "hi"

    assert answer.body == answers.json(body).body
    record = (await recorded(gateway, 2))[0]
    assert (record["outcome"], record["usage"]["input_tokens"], record["usage"]["output_tokens"]) == ("ok", 3, 4)


async def test_u21_a_stream_with_unknown_events_and_gaps_passes_through(begin: Begin) -> None:
    """Events of a name that nobody knows, choices and tool calls with gaps in their numbers, new kinds of deltas."""
    delta = {"tool_calls": [{"index": 7, "id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}
    events: list[Any] = [
        b'event: x.started\ndata: {"kind": "progress"}\n\n',
        {"id": "c", "choices": [{"index": 0, "delta": {"hologram": "..."}}], "x_new": 1},
        {"id": "c", "choices": [{"index": 0, "delta": {"content": "hi"}, "finish_reason": None}]},
        {"id": "c", "choices": [{"index": 0, "delta": delta}]},
        {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "went_home"}]},
        {"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}},
    ]
    stream = answers.sse(events)
    async with FakeUpstream([stream] * 2) as one:
        gateway = await begin(config(one.base_url), ENVIRON)
        answer = await chat(gateway, stream=True, stream_options={"include_usage": True})
        read = await gateway.sdk().chat.completions.create(model="m", messages=MESSAGES, stream=True)
        finishes = [each.choices[0].finish_reason async for each in read if each.choices]

    assert answer.body == stream.body
    assert finishes[-1] == "went_home"
    assert {record["outcome"] for record in await recorded(gateway, 2)} == {"ok"}
