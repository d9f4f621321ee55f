"""A provider that speaks Responses, called by callers of the same dialect and of others."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from fairlead.call import OK, Call, Candidate, Secret
from fairlead.dialects import dialect
from fairlead.errors import Untranslatable, UpstreamRateLimited
from fairlead.providers import facts
from fairlead.providers.http import HttpProvider
from fairlead.testing import answers
from fairlead.testing.clock import VirtualClock
from fairlead.testing.transport import FakeTransport
from fairlead.types import Message, TextPart, Usage

COUNTS = {"input_tokens": 5, "output_tokens": 2, "total_tokens": 7}
SAID = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [{"type": "output_text", "text": "Hello.", "annotations": []}]}  # fmt: skip
RESPONSE = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed", "output": [SAID], "usage": COUNTS}  # fmt: skip
EVENTS = (
    {"type": "response.created", "response": {**RESPONSE, "status": "in_progress", "output": [], "usage": None}},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "Hel"},
    {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": "lo."},
    {"type": "response.completed", "response": RESPONSE},
)


def named(*events: Any) -> answers.Answer:
    pieces = [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events]
    return answers.sse(pieces, done=False)


class There:
    """OpenAI itself, or a server of which only the dialect is known."""

    def __init__(self, answer: answers.Answer, vendor: str = "openai") -> None:
        table = facts.load()
        time, known = VirtualClock(), table.vendors.get(vendor) or table.stand_ins[vendor]
        self.transport = FakeTransport(default=answer, clock=time)
        self.provider = HttpProvider(
            name="p",
            speaks=tuple(map(dialect, known.speaks)),
            vendor=known,
            transport=self.transport,
            host="h",
            base_path="/v1",
            credentials={"default": Secret("sk-own")},
            clock=time,
        )


def asking(speaks: str, **fields: Any) -> Call:
    raw = msgspec.json.encode({"model": "alias", **fields})
    call = Call("id", "openai_chat", dialect(speaks).request.read(raw), started_ns=0, started_at_ns=0, body=raw)
    call.open_attempt(Candidate(provider="p", model="theirs"), 0)
    return call


async def test_a_caller_of_the_same_dialect_is_relayed():
    """As it was sent, but for the model, at the path of its own; what refers to the provider's own store passes."""
    there, call = There(answers.json(RESPONSE)), asking("openai_responses", input="hi", previous_response_id="resp_0")
    reply = await there.provider.send(call)
    request = there.transport.requests[-1]
    assert json.loads(reply.source) == RESPONSE
    assert (request.path, request.headers["authorization"]) == ("/v1/responses", "Bearer sk-own")
    assert json.loads(request.body) == {"model": "theirs", "input": "hi", "previous_response_id": "resp_0"}
    assert (call.attempt.usage, call.attempt.usage_source) == (Usage(input_tokens=5, output_tokens=2), "final")


async def test_a_stream_is_relayed_as_it_comes():
    """Byte for byte; its usage stands in the last event."""
    there, call = There(named(*EVENTS)), asking("openai_responses", input="hi", stream=True)
    reply = await there.provider.send(call)
    raw = b"".join([chunk async for chunk in reply.source])  # type: ignore[union-attr]
    reply.end(OK)
    assert raw == b"".join(named(*EVENTS).pieces)
    assert (call.attempt.usage, call.attempt.usage_source) == (Usage(input_tokens=5, output_tokens=2), "final")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("vendor", "store", "kept_as"), [("openai", True, "resp_1"), ("openai", False, None)])
async def test_the_id_under_which_an_answer_is_kept_is_noted(
    stream: bool, vendor: str, store: bool, kept_as: str | None
):
    """Unless the caller wants it to be forgotten."""
    answer = named(*EVENTS) if stream else answers.json(RESPONSE)
    call = asking("openai_responses", input="hi", stream=stream, store=store)
    await There(answer, vendor).provider.send(call)
    assert call.attempt.kept_as == kept_as


async def test_the_id_of_a_translated_answer_is_nobodys():
    """Its caller speaks a dialect in which nothing is kept."""
    call = asking("openai_chat", messages=[{"role": "user", "content": "hi"}])
    await There(answers.json(RESPONSE), "openai_responses").provider.send(call)
    assert call.attempt.kept_as is None


@pytest.mark.parametrize("stream", [False, True])
async def test_a_failed_response_is_the_error_that_it_names(stream: bool):
    """Before anything has gone to the caller, so that another candidate can answer."""
    error = {"code": "rate_limit_exceeded", "message": "slow down"}
    failed = {**RESPONSE, "status": "failed", "error": error}
    answer = named(EVENTS[0], {"type": "response.failed", "response": failed}) if stream else answers.json(failed)
    with pytest.raises(UpstreamRateLimited):
        await There(answer).provider.send(asking("openai_responses", input="hi", stream=stream))


async def test_a_caller_of_chat_completions_is_translated_where_the_provider_has_nothing_else():
    """There and back."""
    there = There(answers.json(RESPONSE), "openai_responses")
    reply = await there.provider.send(asking("openai_chat", messages=[{"role": "user", "content": "hi"}]))
    assert json.loads(there.transport.requests[-1].body)["input"] == [
        {"type": "message", "role": "user", "content": "hi"}
    ]
    assert json.loads(reply.source)["choices"][0]["message"]["content"] == "Hello."


async def test_a_stream_is_translated_too():
    """Into chunks, with the terminator of the caller's dialect."""
    there = There(named(*EVENTS), "openai_responses")
    reply = await there.provider.send(
        asking(
            "openai_chat",
            messages=[{"role": "user", "content": "hi"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    raw = b"".join([chunk async for chunk in reply.source])  # type: ignore[union-attr]
    chunks = [json.loads(line[6:]) for line in raw.split(b"\n") if line.startswith(b"data: {")]
    assert "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"]) == "Hello."
    assert chunks[-1]["usage"]["total_tokens"] == 7
    assert raw.endswith(b"data: [DONE]\n\n")


async def test_a_request_that_leans_on_a_store_is_not_translated():
    """Nobody is asked for half of it."""
    there = There(answers.json({}), "anthropic")
    with pytest.raises(Untranslatable) as caught:
        await there.provider.send(asking("openai_responses", input="hi", previous_response_id="resp_0"))
    assert caught.value.param == "previous_response_id"
    assert not there.transport.requests


def test_the_prompt_is_read_where_it_has_to_be_estimated():
    """Instructions and input alike."""
    spoken = dialect("openai_responses").request
    chat = spoken.decode(spoken.read(b'{"model":"m","instructions":"a","input":"b"}').fields)
    assert chat.messages == (
        Message(role="system", parts=(TextPart(text="a"),)),
        Message(role="user", parts=(TextPart(text="b"),)),
    )
