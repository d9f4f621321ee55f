"""Whole answers of the Responses dialect."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.dialects.crossing import reply_across
from fairlead.dialects.openai_chat import reply as openai_reply
from fairlead.dialects.openai_responses import reply
from fairlead.errors import UpstreamProtocol, UpstreamRateLimited, UpstreamUnavailable
from fairlead.types import (
    AudioPart,
    ChatReply,
    Choice,
    Message,
    OpaquePart,
    ReasoningPart,
    RefusalPart,
    TextPart,
    ToolCall,
    Usage,
)
from openai_official import check_response
from responses_generated import ANSWERED, SEARCHED, SPOKEN, USAGES, assistant_turns, raw

COUNTS = {
    "input_tokens": 3,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 2,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 5,
}
TOKEN = {"token": "a", "bytes": [97], "logprob": -0.1, "top_logprobs": [{"token": "b", "bytes": [98], "logprob": -2.0}]}


def text(words, **fields):
    return {"type": "output_text", "text": words, "annotations": [], **fields}


def said(*content, **fields):
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content, **fields}


def call(name="f", **fields):
    return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": "{}", "status": "completed", **fields}  # fmt: skip


def answer(*output, **fields):
    body = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1_700_000_000,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
        "instructions": "Be brief.",
        "model": "gpt-x",
        "output": list(output),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "usage": COUNTS,
        **fields,
    }
    return msgspec.json.encode(body)


def encoded(message, **fields):
    choice = Choice(index=0, message=message, **fields)
    return reply.encode(ChatReply(id="x", model="m", created=5, choices=(choice,)))


def test_usage_is_found_without_the_content():
    """Alone, and unknown where there is none."""
    assert reply.usage(answer(said(text("a")))) == Usage(input_tokens=3, output_tokens=2)
    assert reply.usage(answer(usage=None)) is None
    assert reply.usage(answer(service_tier="flex")).service_tier == "flex"


def test_an_answer_in_neutral_form():
    """Thoughts, words and a call, why it ended and what it cost."""
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    decoded = reply.decode(answer(thought, said(text("so")), call()))
    assert decoded.choices == (
        Choice(
            index=0,
            message=Message(
                role="assistant",
                parts=(ReasoningPart(text="hm", extra={"id": raw("rs_1")}), TextPart(text="so")),
                tool_calls=(ToolCall(id="call_1", name="f", arguments="{}", extra={"id": raw("fc_1")}),),
                extra={"id": raw("msg_1")},
            ),
            finish_reason="tool_calls",
        ),
    )
    assert (decoded.id, decoded.model, decoded.created) == ("resp_1", "gpt-x", 1_700_000_000)
    assert decoded.usage == Usage(input_tokens=3, output_tokens=2)
    assert decoded.extra == {
        "instructions": "Be brief.",
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


@pytest.mark.parametrize(
    ("fields", "neutral"),
    [
        ({}, "stop"),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"status": "incomplete", "incomplete_details": {"reason": "steered"}}, "length"),
        ({"status": "incomplete", "incomplete_details": None}, "length"),
        ({"status": "queued"}, None),
    ],
)
def test_why_it_ended(fields, neutral):
    """In neutral words, and the very same on the way back."""
    decoded = reply.decode(answer(said(text("a")), **fields))
    assert decoded.choices[0].finish_reason == neutral
    again = json.loads(reply.encode(decoded))
    assert {name: again[name] for name in fields} == fields


@pytest.mark.parametrize(
    ("neutral", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
        ("invented", "completed", None),
        (None, "completed", None),
    ],
)
def test_reasons_of_other_dialects(neutral, status, reason):
    """A reason that this dialect does not have is a plain end; the items say so, too."""
    response = check_response(encoded(Message(role="assistant", parts=(TextPart(text="a"),)), finish_reason=neutral))
    assert (response.status, response.output[0].status) == (status, status)
    assert (response.incomplete_details and response.incomplete_details.reason) == reason


def test_what_was_asked_for_shows_as_the_api_has_it_by_default():
    """An encoder knows the answer alone; every field that the API always sends is there."""
    response = check_response(encoded(Message(role="assistant")))
    assert (response.temperature, response.top_p, response.tool_choice, response.tools) == (1.0, 1.0, "auto", [])
    assert (response.parallel_tool_calls, response.metadata, response.truncation) == (True, {}, "disabled")
    assert (response.created_at, response.output, response.usage) == (5, [], None)
    assert check_response(reply.encode(ChatReply(id="x", model="m", created=5, choices=()))).output == []


def test_items_without_an_id_get_one():
    """It follows from the answer's, and no two are the same; a call has one for itself and one for its result."""
    message = Message(
        role="assistant",
        parts=(ReasoningPart(text="hm"), TextPart(text="a"), RefusalPart(text="no")),
        tool_calls=(ToolCall(id="c", name="f", arguments="{}", at=2), ToolCall(id="", name="g", arguments="{}")),
    )
    response = check_response(encoded(message))
    assert [item.type for item in response.output] == [
        "reasoning",
        "message",
        "function_call",
        "message",
        "function_call",
    ]
    assert len({item.id for item in response.output}) == 5
    assert [item.call_id for item in response.output if item.type == "function_call"] == ["c", "call_x_4"]
    assert response.output[0].summary[0].text == "hm"


def test_log_probabilities_are_those_of_the_tokens():
    """In the neutral form they belong to the choice."""
    decoded = reply.decode(answer(said(text("a", logprobs=[TOKEN]), text("b", logprobs=[]))))
    assert json.loads(bytes(decoded.choices[0].logprobs)) == {"content": [TOKEN], "refusal": None}
    assert decoded.choices[0].message.parts == (TextPart(text="a"), TextPart(text="b"))
    response = check_response(reply.encode(decoded))
    assert response.output[0].content[0].logprobs[0].top_logprobs[0].bytes == [98]
    assert reply.decode(reply.encode(decoded)) == reply.decode(reply.encode(reply.decode(reply.encode(decoded))))


@st.composite
def answers(draw):
    """Answers in which the words stand together, as an id of theirs is kept once."""
    turn = draw(assistant_turns(ANSWERED, st.just({"id": raw("msg_1")})))
    parts = tuple(part for part in turn.parts if not isinstance(part, TextPart | RefusalPart))
    spoken = tuple(draw(st.lists(SPOKEN, max_size=2)))
    calls = tuple(
        msgspec.structs.replace(each, at=None, extra={"id": raw(f"fc_{number}")})
        for number, each in enumerate(turn.tool_calls)
    )
    message = Message(
        role="assistant",
        parts=(*parts, *spoken),
        tool_calls=calls,
        extra={"id": raw("msg_1")} if spoken else {},
    )
    reason = draw(st.sampled_from(["length", "content_filter", "tool_calls" if calls else "stop"]))
    return ChatReply(
        id="resp_1",
        model="m",
        created=7,
        choices=(Choice(index=0, message=message, finish_reason=reason),),
        usage=draw(st.none() | USAGES),
    )


@given(answers())
def test_whatever_this_dialect_can_express_survives_the_way_there_and_back(made):
    """And is what the official client knows."""
    body = reply.encode(made)
    check_response(body)
    decoded = reply.decode(body)
    assert decoded.choices == made.choices
    assert decoded.usage == made.usage


@given(assistant_turns(ANSWERED, st.just({})))
def test_any_turn_is_written_as_items_that_the_official_client_knows(turn):
    """In the order in which the model wrote them."""
    turn = msgspec.structs.replace(
        turn, tool_calls=tuple(msgspec.structs.replace(c, extra={}) for c in turn.tool_calls)
    )
    response = check_response(encoded(turn, finish_reason="stop"))
    again = reply.decode(encoded(turn, finish_reason="stop")).choices[0].message
    assert again.parts == turn.parts
    assert [(each.id, each.at) for each in again.tool_calls] == [(each.id, each.at) for each in turn.tool_calls]
    assert response.output_text == turn.text


@pytest.mark.parametrize(
    ("choices", "detail"),
    [
        ((Choice(index=0, message=Message(role="assistant")),) * 2, "2 choices"),
        ((Choice(index=0, message=Message(role="assistant", parts=(AudioPart(data="x", format="wav"),))),), "audio"),
        (
            (Choice(index=0, message=Message(role="assistant", parts=(OpaquePart(dialect="anthropic", kind="x", raw=raw({})),))),),
            "x",
        ),
    ],
)  # fmt: skip
def test_an_answer_that_this_dialect_cannot_express_is_an_error(choices, detail):
    """Nothing of it is dropped in silence."""
    with pytest.raises(UpstreamProtocol) as caught:
        reply.encode(ChatReply(id="x", model="m", created=5, choices=choices))
    assert detail in caught.value.detail


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (answer(status="failed", error={"code": "server_error", "message": "x"}), UpstreamUnavailable),
        (answer(status="failed", error={"code": "rate_limit_exceeded", "message": "x"}), UpstreamRateLimited),
        (answer(status="failed"), UpstreamUnavailable),
        (b'{"error":{"message":"x","type":"server_error"}}', UpstreamUnavailable),
        (b'{"id":"chatcmpl","choices":[]}', UpstreamProtocol),
        (b'{"output":null}', UpstreamProtocol),
        (b'{"output":["x"]}', UpstreamProtocol),
        (b'{"output":[{"type":"message"}]}', UpstreamProtocol),
        (b"[]", UpstreamProtocol),
        (b"<html>", UpstreamProtocol),
    ],
)
def test_what_is_no_answer_is_an_error(body, kind):
    """Also where it came with a 200."""
    with pytest.raises(kind):
        reply.decode(body)


@pytest.mark.parametrize("torn", [b"a\\ud800b", b"a\xffb", b"a\x00b"])
def test_torn_text_does_not_lose_an_answer(torn):
    """It becomes U+FFFD where it must (FAULTS S10)."""
    body = answer(said(text("TORN"))).replace(b"TORN", torn)
    assert reply.usage(body) == Usage(input_tokens=3, output_tokens=2)
    assert reply.decode(body).choices[0].message.text in {"a\ufffdb", "a\x00b"}


def test_an_answer_crosses_over_to_chat_completions():
    """Its words and calls; what only this dialect has is not in it."""
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]}
    crossed = reply_across(reply.decode(answer(thought, said(text("so")), call())))
    (choice,) = json.loads(openai_reply.encode(crossed))["choices"]
    assert choice["message"]["content"] == "so"
    assert choice["message"]["reasoning_content"] == "hm"
    assert choice["message"]["tool_calls"][0]["id"] == "call_1"
    assert choice["finish_reason"] == "tool_calls"


def test_a_tool_of_the_providers_own_is_kept_in_its_place():
    """As it came."""
    decoded = reply.decode(answer(SEARCHED, said(text("a"))))
    assert json.loads(reply.encode(decoded))["output"][0] == SEARCHED
