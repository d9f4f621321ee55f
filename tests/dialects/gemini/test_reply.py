"""Whole answers of the Gemini dialect."""

from __future__ import annotations

import json

import pytest
from hypothesis import given

from fairlead.dialects.crossing import reply_across
from fairlead.dialects.gemini import GEMINI, reply
from fairlead.dialects.openai_chat import reply as openai_reply
from fairlead.errors import FairleadError, UpstreamProtocol, UpstreamUnavailable
from fairlead.types import ChatReply, Choice, ImagePart, Message, ReasoningPart, TextPart, ToolCall, Usage
from gemini_generated import LOGPROBS, raw, replies
from gemini_official import check_reply

COUNTS = {"promptTokenCount": 10, "candidatesTokenCount": 5, "totalTokenCount": 15}
USED = Usage(input_tokens=10, output_tokens=5)


def candidate(*parts, reason="STOP", **more):
    return {"content": {"parts": list(parts), "role": "model"}, "finishReason": reason, "index": 0, **more}


def answer(*candidates, **fields):
    return json.dumps(
        {
            "candidates": list(candidates),
            "usageMetadata": COUNTS,
            "modelVersion": "gemini-x",
            "responseId": "r-1",
            **fields,
        }
    ).encode()


@given(replies())
def test_an_answer_survives_the_way_out_and_back(given):
    """Whatever both forms can express, valid by the official models."""
    out = reply.encode(given)
    check_reply(out)
    assert reply.decode(out) == given
    assert reply.usage(out) == given.usage


def test_an_answer_with_everything():
    """Thoughts, text, an image, calls, and what no other dialect has."""
    body = answer(
        candidate(
            {"text": "hm", "thought": True},
            {"text": "so", "thoughtSignature": "AA=="},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"functionCall": {"name": "f", "args": {"a": 1.0}}},
            {"functionCall": {"name": "g", "id": "mine"}},
            safetyRatings=[],
            groundingMetadata={"webSearchQueries": ["q"]},
        ),
        createTime="2026-01-01T00:00:00Z",
    )
    found = reply.decode(body)
    assert (found.id, found.model, found.usage) == ("r-1", "gemini-x", USED)
    assert found.extra == {"createTime": "2026-01-01T00:00:00Z"}
    choice = found.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.parts == (
        ReasoningPart(text="hm"),
        TextPart(text="so", extra={"thoughtSignature": raw("AA==")}),
        ImagePart(url="data:image/png;base64,AAAA"),
    )
    assert choice.message.tool_calls == (
        ToolCall(id="call_r-1_0", name="f", arguments='{"a": 1.0}'),
        ToolCall(id="mine", name="g", arguments="{}"),
    )
    assert list(choice.message.extra) == ["safetyRatings", "groundingMetadata"]
    again = json.loads(reply.encode(found))
    assert again["candidates"][0]["groundingMetadata"] == {"webSearchQueries": ["q"]}


REASONS = [
    ("STOP", "stop"),
    ("MAX_TOKENS", "length"),
    ("SAFETY", "content_filter"),
    ("RECITATION", "content_filter"),
    ("PROHIBITED_CONTENT", "content_filter"),
    ("IMAGE_SAFETY", "content_filter"),
    ("MALFORMED_FUNCTION_CALL", "length"),
    ("OTHER", "length"),
    ("INVENTED", "INVENTED"),
    ("FINISH_REASON_UNSPECIFIED", None),
]


@pytest.mark.parametrize(("reason", "neutral"), REASONS)
def test_why_an_answer_ended(reason, neutral):
    """Google's own word comes back."""
    found = reply.decode(answer(candidate({"text": "a"}, reason=reason)))
    assert found.choices[0].finish_reason == neutral
    again = json.loads(reply.encode(found))["candidates"][0]["finishReason"]
    assert again == ("STOP" if neutral is None else reason)


@pytest.mark.parametrize(
    ("reason", "theirs"),
    [(None, "STOP"), ("tool_calls", "STOP"), ("function_call", "STOP"), ("content_filter", "SAFETY"), ("odd", "OTHER")],
)
def test_reasons_of_other_dialects(reason, theirs):
    """Become Google's."""
    choice = Choice(index=0, message=Message(role="assistant"), finish_reason=reason)
    out = reply.encode(ChatReply(id="", model="", created=0, choices=(choice,)))
    assert check_reply(out).candidates[0].finish_reason.value == theirs
    assert json.loads(out).keys() == {"candidates"}


def test_a_blocked_prompt_is_an_empty_answer_that_a_filter_ended():
    """As callers of other dialects expect it; and it comes back as it was."""
    body = json.dumps({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 3}}).encode()
    assert reply.usage(body) == Usage(input_tokens=3)
    found = reply.decode(body)
    assert found.choices == (Choice(index=0, message=Message(role="assistant"), finish_reason="content_filter"),)
    again = check_reply(reply.encode(found))
    assert (again.candidates, again.prompt_feedback.block_reason.value) == (None, "SAFETY")
    told = json.loads(openai_reply.encode(reply_across(found)))["choices"][0]
    assert told["finish_reason"] == "content_filter"


def test_log_probabilities_have_a_neutral_form():
    """That of OpenAI."""
    told = {
        "chosenCandidates": [{"token": "é", "tokenId": 3, "logProbability": -0.5}],
        "topCandidates": [{"candidates": [{"token": "é", "logProbability": -0.5}]}],
    }
    found = reply.decode(answer(candidate({"text": "é"}, logprobsResult=told))).choices[0]
    assert json.loads(bytes(found.logprobs)) == LOGPROBS


def test_an_answer_without_content_is_an_empty_one():
    """As models give it now and then."""
    found = reply.decode(answer({"finishReason": "STOP", "index": 0}))
    assert found.choices[0] == Choice(index=0, message=Message(role="assistant"), finish_reason="stop")


@pytest.mark.parametrize("candidates", [None, []])
def test_nothing_at_all_is_no_answer(candidates):
    """Another candidate can be asked."""
    body = json.dumps({"candidates": candidates, "usageMetadata": COUNTS}).encode()
    for read in (reply.usage, reply.decode):
        with pytest.raises(UpstreamProtocol):
            read(body)


@pytest.mark.parametrize("body", [b"[]", b"null", b"<html>", b"\xff"])
def test_what_is_no_json_object_is_a_broken_protocol(body):
    """For both."""
    for read in (reply.usage, reply.decode):
        with pytest.raises(UpstreamProtocol):
            read(body)


@pytest.mark.parametrize(
    "parts",
    ["x", [3], [{"text": 3}], [{"functionCall": {}}], [{"functionCall": {"name": "f", "args": "x"}}], [{"functionResponse": {}}]],
)  # fmt: skip
def test_an_odd_candidate_is_a_broken_protocol(parts):
    """And nothing worse."""
    with pytest.raises(UpstreamProtocol):
        reply.decode(answer({"content": {"parts": parts}}))


def test_an_error_in_a_200_is_raised():
    """As if it had come with its own status."""
    for read in (reply.usage, reply.decode):
        with pytest.raises(UpstreamUnavailable):
            read(b'{"error":{"code":503,"message":"x","status":"UNAVAILABLE"}}')


@pytest.mark.parametrize("torn", [b"a\\ud800b", b"a\xffb"])
def test_torn_text_becomes_a_replacement_character(torn):
    """An answer that was paid for is not lost for it (FAULTS S10)."""
    body = answer(candidate({"text": "TORN"})).replace(b"TORN", torn)
    assert reply.decode(body).choices[0].message.text == "a\ufffdb"
    assert reply.usage(body) == USED


def test_arguments_that_are_no_object_cannot_be_written():
    """It is the provider's fault, and nobody's request."""
    message = Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments="{"),))
    choice = Choice(index=0, message=message, finish_reason="tool_calls")
    with pytest.raises(UpstreamProtocol):
        reply.encode(ChatReply(id="", model="", created=0, choices=(choice,)))


def test_ids_that_are_made_fit_everywhere():
    """In characters and in length."""
    body = answer(candidate({"functionCall": {"name": "f"}}), responseId="a/b=" + "x" * 99)
    made = reply.decode(body).choices[0].message.tool_calls[0].id
    assert made == "call_ab" + "x" * 22 + "_0"
    assert len(made) <= 40


def test_lists_and_counts():
    """In Google's form."""
    assert GEMINI.count(3) == {"totalTokens": 3}
    assert GEMINI.models(["a"]) == {"models": [GEMINI.model("a")]}
    assert GEMINI.model("a")["name"] == "models/a"


def test_an_unknown_error_is_still_ours():
    """Whatever stands in it."""
    with pytest.raises(FairleadError):
        reply.usage(b'{"error":"x"}')
