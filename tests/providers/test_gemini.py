"""Providers that speak the Gemini dialect: where requests go, and when a stream without a terminator is over."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from fairlead.call import Call, Candidate, Secret
from fairlead.dialects import dialect
from fairlead.errors import InvalidRequest, StreamTruncated
from fairlead.pipeline import Reply
from fairlead.providers import facts
from fairlead.providers.http import HttpProvider
from fairlead.testing import answers
from fairlead.testing.clock import VirtualClock
from fairlead.testing.transport import FakeTransport
from fairlead.types import Usage

CONTENTS = [{"role": "user", "parts": [{"text": "Say hello."}]}]
ASKED = {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": 9}}
COUNTS = {"promptTokenCount": 5, "candidatesTokenCount": 2, "totalTokenCount": 7}
HELLO = {"candidates": [{"content": {"parts": [{"text": "Hello."}], "role": "model"}, "index": 0}]}
ENDED = {"candidates": [{"finishReason": "STOP", "index": 0}]}
WHOLE = {"candidates": [HELLO["candidates"][0] | {"finishReason": "STOP"}], "usageMetadata": COUNTS}
USED = Usage(input_tokens=5, output_tokens=2)


class There:
    """A provider of Google's with one answer."""

    def __init__(self, answer: answers.Answer) -> None:
        self.time = VirtualClock()
        self.transport = FakeTransport(default=answer, clock=self.time)
        self.provider = HttpProvider(
            name="google",
            speaks=(dialect("gemini"),),
            vendor=facts.load().vendors["gemini"],
            transport=self.transport,
            host="h",
            base_path="/v1beta",
            credentials={"default": Secret("AIza-own")},
            clock=self.time,
        )

    @property
    def sent(self) -> Any:
        return self.transport.requests[-1]


def asking(operation: str, body: Any = None) -> Call:
    """A call with its first attempt open."""
    raw = msgspec.json.encode(ASKED if body is None else body)
    read = dialect("gemini").request.read(raw, f"/v1beta/models/alias:{operation}")
    call = Call("id", read.dialect, read, started_ns=0, started_at_ns=0, body=raw)
    call.open_attempt(Candidate(provider="google", model="tuned/gemini-x"), 0)
    return call


def chunks(*bodies: Any) -> answers.Answer:
    return answers.sse([f"data: {json.dumps(body)}\n\n".encode() for body in bodies], done=False)


async def read(reply: Reply) -> bytes:
    assert not isinstance(reply.source, bytes)
    pieces = [chunk async for chunk in reply.source]  # type: ignore[misc]
    reply.source.close()
    return b"".join(pieces)


async def test_a_request_names_the_model_in_its_path():
    """And holds the key in Google's header; the body is the caller's."""
    there, call = There(answers.json(WHOLE)), asking("generateContent")
    reply = await there.provider.send(call)
    assert (there.sent.path, there.sent.headers["x-goog-api-key"]) == (
        "/v1beta/models/tuned%2Fgemini-x:generateContent",
        "AIza-own",
    )
    assert json.loads(there.sent.body) == ASKED
    assert json.loads(reply.source) == WHOLE
    assert call.attempt.usage == USED


async def test_a_stream_is_asked_for_in_its_path():
    """And comes through as it is."""
    answer = chunks(HELLO, ENDED | {"usageMetadata": COUNTS})
    there, call = There(answer), asking("streamGenerateContent")
    out = await read(await there.provider.send(call))
    assert there.sent.path == "/v1beta/models/tuned%2Fgemini-x:streamGenerateContent?alt=sse"
    assert out == answer.body
    assert (call.attempt.usage, call.attempt.usage_source) == (USED, "final")


async def test_a_count_of_tokens_is_the_providers_own():
    """Relayed, also where it wraps the request; it uses none."""
    there = There(answers.json({"totalTokens": 3}))
    call = asking("countTokens", {"generateContentRequest": {"model": "models/alias", "contents": CONTENTS}})
    reply = await there.provider.send(call)
    assert there.sent.path == "/v1beta/models/tuned%2Fgemini-x:countTokens"
    assert json.loads(there.sent.body)["generateContentRequest"]["model"] == "models/tuned/gemini-x"
    assert (json.loads(reply.source), call.attempt.usage) == ({"totalTokens": 3}, None)


async def test_what_comes_after_the_end_of_an_answer_is_read():
    """Counts may come in an event of their own."""
    there, call = There(chunks(HELLO, ENDED, {"usageMetadata": COUNTS})), asking("streamGenerateContent")
    out = await read(await there.provider.send(call))
    assert b"usageMetadata" in out
    assert (call.attempt.usage, call.attempt.usage_source) == (USED, "final")


async def test_a_stream_that_ends_before_its_answer_does_is_torn():
    """The body's end alone is no end."""
    there, call = There(chunks(HELLO, {"usageMetadata": COUNTS})), asking("streamGenerateContent")
    with pytest.raises(StreamTruncated):
        await read(await there.provider.send(call))


async def test_a_connection_that_breaks_behind_the_answer_is_no_fault():
    """Nothing is missing; only the end of the body did not come."""
    answer = chunks(HELLO, ENDED | {"usageMetadata": COUNTS})
    there, call = There(answer.reset_after(len(answer.body))), asking("streamGenerateContent")
    out = await read(await there.provider.send(call))
    assert out == answer.body
    assert (call.attempt.usage, call.attempt.usage_source) == (USED, "final")


async def test_a_connection_that_breaks_in_the_midst_of_an_answer_is_torn():
    """What was counted so far is booked."""
    answer = chunks(HELLO | {"usageMetadata": COUNTS}, ENDED)
    there, call = There(answer.reset_after(len(answer.body) - 9)), asking("streamGenerateContent")
    reply = await there.provider.send(call)
    with pytest.raises(StreamTruncated):
        await read(reply)
    reply.source.close()  # type: ignore[union-attr]
    assert (call.attempt.usage, call.attempt.usage_source) == (USED, "cumulative")


async def test_an_error_behind_the_answer_is_one_all_the_same():
    """The provider says so itself."""
    failed = {"error": {"code": 503, "message": "x", "status": "UNAVAILABLE"}}
    there, call = There(chunks(HELLO, ENDED, failed)), asking("streamGenerateContent")
    with pytest.raises(StreamTruncated, match="status 503"):
        await read(await there.provider.send(call))


async def test_a_blocked_prompt_is_a_whole_stream():
    """Without any candidate."""
    blocked = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 5}}
    there, call = There(chunks(blocked)), asking("streamGenerateContent")
    assert b"blockReason" in await read(await there.provider.send(call))
    assert call.attempt.usage == Usage(input_tokens=5)


@pytest.mark.parametrize("model", ["..", "../files", "a/../b", "..\\files"])
async def test_no_model_leads_out_of_its_place(model: str):
    """It is written into the path, and servers on the way may decode what is encoded there."""
    there, call = There(answers.json(WHOLE)), asking("generateContent")
    call.open_attempt(Candidate(provider="google", model=model), 0)
    with pytest.raises(InvalidRequest) as caught:
        await there.provider.send(call)
    assert caught.value.param == "model"
    assert not there.transport.requests


async def test_a_model_may_have_dots_in_its_name():
    """As most have; two in a row are no part of their own there."""
    there, call = There(answers.json(WHOLE)), asking("generateContent")
    call.open_attempt(Candidate(provider="google", model="gemini-2.5..x"), 0)
    await there.provider.send(call)
    assert there.sent.path == "/v1beta/models/gemini-2.5..x:generateContent"
