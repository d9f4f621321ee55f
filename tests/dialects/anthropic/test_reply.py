"""Whole answers of the Anthropic dialect."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anthropic_generated import OPAQUE, REASONING, TEXTS, USAGES, assistant_turns, raw
from anthropic_official import check_message
from fairlead.dialects.anthropic import reply
from fairlead.dialects.openai_chat import reply as openai_reply
from fairlead.errors import ContextWindowExceeded, UpstreamProtocol, UpstreamUnavailable
from fairlead.types import (
    ChatReply,
    Choice,
    ImagePart,
    Message,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    Usage,
)

COUNTS = {"input_tokens": 3, "output_tokens": 2}


def answer(*content, **fields):
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-x",
        "content": list(content),
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": COUNTS,
        **fields,
    }
    return msgspec.json.encode(body)


TEXT = {"type": "text", "text": "Grüße", "citations": None}
SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}


def test_usage_is_found_without_the_content():
    """Alone, and unknown where there is none."""
    assert reply.usage(answer(TEXT)) == Usage(input_tokens=3, output_tokens=2)
    assert reply.usage(answer(TEXT, usage=None)) is None


def test_an_answer_in_neutral_form():
    """Thinking, text and a call, why it ended and what it cost."""
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    call = {"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}
    decoded = reply.decode(answer(thinking, {"type": "text", "text": "so"}, call, stop_reason="tool_use"))
    assert decoded == ChatReply(
        id="msg_1",
        model="claude-x",
        created=0,
        choices=(
            Choice(
                index=0,
                message=Message(
                    role="assistant",
                    parts=(ReasoningPart(text="hm", signature="s"), TextPart(text="so")),
                    tool_calls=(ToolCall(id="t", name="f", arguments='{"a":1}'),),
                ),
                finish_reason="tool_calls",
            ),
        ),
        usage=Usage(input_tokens=3, output_tokens=2),
    )


@pytest.mark.parametrize(
    ("wire", "neutral"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "length"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "length"),
        ("invented", "invented"),
    ],
)
def test_why_it_ended(wire, neutral):
    """In neutral words, and the very same on the way back."""
    decoded = reply.decode(answer(TEXT, stop_reason=wire))
    assert decoded.choices[0].finish_reason == neutral
    assert json.loads(reply.encode(decoded))["stop_reason"] == wire


@pytest.mark.parametrize(
    ("neutral", "called", "wire"),
    [
        ("stop", False, "end_turn"),
        ("stop", True, "tool_use"),
        ("length", True, "max_tokens"),
        ("function_call", True, "tool_use"),
        ("content_filter", False, "refusal"),
        ("invented", False, "end_turn"),
        (None, False, "end_turn"),
    ],
)
def test_reasons_of_other_dialects(neutral, called, wire):
    """A reason that this dialect does not have is a plain end, and an answer that calls tools ends with that."""
    calls = (ToolCall(id="t", name="f", arguments="{}"),) if called else ()
    choice = Choice(index=0, message=Message(role="assistant", tool_calls=calls), finish_reason=neutral)
    body = reply.encode(ChatReply(id="x", model="m", created=5, choices=(choice,)))
    assert check_message(body).stop_reason == wire


EXTRA = {
    "stop_sequence": "x",
    "container": {"id": "c", "expires_at": "2026-01-01T00:00:00Z"},
    "stop_details": {"type": "refusal", "category": "cyber", "explanation": None},
    "usage": {
        **COUNTS,
        "cache_creation_input_tokens": 3,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 1, "ephemeral_1h_input_tokens": 2},
        "server_tool_use": {"web_search_requests": 1, "web_fetch_requests": 2},
        "service_tier": "standard",
        "inference_geo": "us",
        "speed": "fast",
        "output_tokens_details": {"thinking_tokens": 1},
    },
}


@pytest.mark.parametrize(
    "fields", [{name: EXTRA[name]} for name in EXTRA] + [EXTRA | {"stop_reason": "refusal", "x_new": [1]}]
)
@pytest.mark.parametrize("content", [[TEXT], [SEARCH, FOUND, TEXT], []])
def test_what_has_no_neutral_form_survives(content, fields):
    """Fields, blocks of tools that the provider runs, and counts that no bucket holds."""
    source = json.loads(answer(*content, **fields))
    back = json.loads(reply.encode(reply.decode(answer(*content, **fields))))
    told = {"cache_creation", "cache_creation_input_tokens", "cache_read_input_tokens", "service_tier"}
    unsaid = {name: back["usage"].pop(name) for name in told - source["usage"].keys()}
    assert {json.dumps(value) for value in unsaid.values()} <= {
        "0",
        "null",
        '{"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0}',
    }
    assert back == source


# The official models demand that a text cites something or nothing, and know every kind of block.
OFFICIAL = assistant_turns(TEXTS.map(lambda part: msgspec.structs.replace(part, cache=None)) | REASONING | OPAQUE)


@st.composite
def replies(draw):
    """Answers without marks that only requests hold."""
    message = draw(OFFICIAL)
    calls = tuple(msgspec.structs.replace(call, cache=None) for call in message.tool_calls)
    message = msgspec.structs.replace(message, tool_calls=calls)
    reason = "tool_calls" if calls else draw(st.sampled_from(["stop", "length", "content_filter"]))
    return ChatReply(
        id="msg_1",
        model="m",
        created=0,
        choices=(Choice(index=0, message=message, finish_reason=reason),),
        usage=draw(USAGES),
        extra=draw(st.just({}) | st.just({"usage": {"speed": "fast"}})),
    )


@given(replies())
def test_an_answer_survives_the_way_out_and_back(answer):
    """And the official SDK knows every field of it."""
    body = reply.encode(answer)
    check_message(body)
    assert reply.decode(body) == answer


def test_an_answer_of_the_openai_dialect_crosses_over():
    """Text, refusal and calls; nothing is known of its usage."""
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
    message = {"role": "assistant", "content": "hi", "refusal": "no", "tool_calls": [call]}
    source = openai_reply.decode(
        json.dumps({"id": "x", "model": "m", "choices": [{"message": message, "finish_reason": "tool_calls"}]}).encode()
    )
    found = check_message(reply.encode(source))
    assert [block.type for block in found.content] == ["text", "text", "tool_use"]
    assert (found.content[2].input, found.stop_reason, found.usage.input_tokens) == ({"a": 1}, "tool_use", 0)


def test_an_answer_of_this_dialect_crosses_over_to_openai():
    """Thinking stands where compatible servers have it."""
    thinking = {"type": "thinking", "thinking": "hm", "signature": "s"}
    out = json.loads(openai_reply.encode(reply.decode(answer(thinking, TEXT))))
    message = out["choices"][0]["message"]
    assert (message["content"], message["reasoning_content"], out["choices"][0]["finish_reason"]) == (
        "Grüße",
        "hm",
        "stop",
    )


@pytest.mark.parametrize(
    "message",
    [
        Message(role="assistant", tool_calls=(ToolCall(id="c", name="f", arguments="{"),)),
        Message(role="assistant", parts=(ImagePart(url="data:,x"),)),
    ],
)
def test_an_answer_that_this_dialect_cannot_say_is_the_providers_fault(message):
    """The caller asked for nothing wrong."""
    with pytest.raises(UpstreamProtocol):
        reply.encode(ChatReply(id="x", model="m", created=0, choices=(Choice(index=0, message=message),)))


def test_no_choice_at_all_is_an_empty_answer():
    """And a refusal without more is text."""
    assert check_message(reply.encode(ChatReply(id="x", model="m", created=0, choices=()))).content == []
    refused = Message(role="assistant", parts=(RefusalPart(text="no"),))
    body = reply.encode(ChatReply(id="x", model="m", created=0, choices=(Choice(index=0, message=refused),)))
    assert check_message(body).content[0].text == "no"


@pytest.mark.parametrize("read", [reply.usage, reply.decode])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', UpstreamUnavailable),
        (b'{"error":{"type":"invalid_request_error","message":"prompt is too long"}}', ContextWindowExceeded),
        (b'{"type":"error","error":{"message":"a\\ud800"},"usage":1}', UpstreamUnavailable),
        (b"{}", UpstreamProtocol),
        (b'{"content":null}', UpstreamProtocol),
        (b"[]", UpstreamProtocol),
        (b"<html>", UpstreamProtocol),
        (b'{"a":' * 5000, UpstreamProtocol),
    ],
)
def test_what_is_no_answer_is_an_error(body, kind, read):
    """One of the provider's own in a 200, or a broken protocol."""
    with pytest.raises(kind):
        read(body)


@pytest.mark.parametrize("content", ["3", '[{"text":"x"}]', "[3]", '[{"type":"text"}]', '[{"type":"tool_use"}]'])
def test_content_of_another_form_is_a_broken_protocol(content):
    """Its usage is counted all the same."""
    body = b'{"content":' + content.encode() + b',"usage":{"input_tokens":1,"output_tokens":1}}'
    assert reply.usage(body) == Usage(input_tokens=1, output_tokens=1)
    with pytest.raises(UpstreamProtocol):
        reply.decode(body)


@pytest.mark.parametrize("torn", [b"a\\ud800b", b"a\xffb"])
def test_torn_text_is_mended(torn):
    """Half a character becomes U+FFFD (FAULTS S10)."""
    body = answer({"type": "text", "text": "TORN"}).replace(b"TORN", torn)
    assert reply.usage(body) == Usage(input_tokens=3, output_tokens=2)
    assert reply.decode(body).choices[0].message.text == "a\ufffdb"


def test_explicit_zero_is_known():
    """FAULTS S12."""
    assert reply.usage(answer(usage={"input_tokens": 0, "output_tokens": 0})) == Usage()


def test_raw_values_do_not_hold_their_body():
    """What is kept for the way back is a copy."""
    decoded = reply.decode(answer(SEARCH))
    assert decoded.choices[0].message.parts[0].raw == raw(SEARCH)
