"""Whole answers of the OpenAI dialect."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from fairlead.dialects.openai_chat import reply
from fairlead.dialects.openai_chat.usage import decode_usage, encode_usage
from fairlead.errors import FairleadError, QuotaExhausted, UpstreamProtocol
from fairlead.types import BUCKETS, ChatReply, Choice, Message, ReasoningPart, RefusalPart, TextPart, ToolCall, Usage

COUNTS = st.integers(0, 10**9)
USAGES = st.builds(
    Usage,
    input_tokens=COUNTS,
    cache_read_tokens=COUNTS,
    cache_write_5m_tokens=COUNTS,
    audio_input_tokens=COUNTS,
    image_input_tokens=COUNTS,
    output_tokens=COUNTS,
    reasoning_tokens=COUNTS,
    audio_output_tokens=COUNTS,
    image_output_tokens=COUNTS,
)


def answer(usage=None, **fields):
    message = {"role": "assistant", "content": "hello", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], **fields}
    return json.dumps(body if usage is None else {**body, "usage": usage}).encode()


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": 5}, Usage(input_tokens=10, output_tokens=5)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, Usage()),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 9,
                "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 1, "cache_write_tokens": 2},
                "completion_tokens_details": {"reasoning_tokens": 6, "audio_tokens": 1},
            },
            Usage(
                input_tokens=3,
                cache_read_tokens=4,
                cache_write_5m_tokens=2,
                audio_input_tokens=1,
                output_tokens=2,
                reasoning_tokens=6,
                audio_output_tokens=1,
            ),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 1, "prompt_cache_hit_tokens": 8},
            Usage(input_tokens=2, cache_read_tokens=8, output_tokens=1),
        ),
        (
            {
                "prompt_tokens": 10,
                "completion_tokens": 3,
                "total_tokens": 20,
                "completion_tokens_details": {"reasoning_tokens": 7},
            },
            Usage(input_tokens=10, output_tokens=3, reasoning_tokens=7),
        ),
        (
            {"prompt_tokens": 2, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 99}},
            Usage(cache_read_tokens=2, output_tokens=1),
        ),
        (
            {"prompt_tokens": 2, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": -5}},
            Usage(input_tokens=2, output_tokens=1),
        ),
        ({"prompt_tokens": 2, "completion_tokens": -1, "prompt_tokens_details": None}, Usage(input_tokens=2)),
        ({"prompt_tokens": 2.0, "completion_tokens": True}, Usage(input_tokens=2)),
        ({"prompt_tokens": 2, "completion_tokens": 2**62}, Usage(input_tokens=2)),
        ({"prompt_tokens": 2**62, "completion_tokens": 1e18}, None),
        ({"input_tokens": 2, "output_tokens": 1}, Usage(input_tokens=2, output_tokens=1)),
        ({}, None),
        ("many", None),
        ([], None),
    ],
)
def test_counts_fall_into_disjoint_buckets(counts, expected):
    """Nothing is counted twice, nothing is negative, zero stays zero, and no count is no usage."""
    assert reply.usage(answer(counts)) == expected


def test_no_usage_is_none():
    """Absent and null are both unknown."""
    assert reply.usage(answer()) is None
    assert reply.usage(answer(usage={"x": 1}).replace(b'{"x": 1}', b"null")) is None


@given(USAGES)
def test_usage_survives_the_way_out_and_back(usage):
    """The nested form holds all buckets that the dialect knows."""
    assert decode_usage(encode_usage(usage)) == usage


_DETAILS = st.none() | st.dictionaries(
    st.sampled_from(["cached_tokens", "reasoning_tokens", "audio_tokens"]), st.integers(0, 9)
)


@given(
    st.fixed_dictionaries(
        {"prompt_tokens": st.integers(0, 9), "completion_tokens": st.integers(0, 9)},
        optional={
            "total_tokens": st.integers(0, 30),
            "prompt_tokens_details": _DETAILS,
            "completion_tokens_details": _DETAILS,
        },
    )
)
def test_counts_of_the_documented_kind_read_like_any_others(counts):
    """The short way and the careful one, which a field of no meaning asks for, come to the same."""
    assert decode_usage(counts) == decode_usage(counts | {"no such field": 0})


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "prompt_tokens",
                "completion_tokens",
                "total_tokens",
                "prompt_tokens_details",
                "completion_tokens_details",
                "prompt_cache_hit_tokens",
            ]
        ),
        st.none()
        | st.integers()
        | st.floats()
        | st.text(max_size=2)
        | st.dictionaries(st.sampled_from(["cached_tokens", "reasoning_tokens", "audio_tokens"]), st.integers()),
    )
)
def test_no_counts_make_a_bucket_negative(counts):
    """Whatever a provider counts."""
    usage = decode_usage(counts)
    assert usage is None or all(getattr(usage, name) >= 0 for name in BUCKETS)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"3",
        b"<html>Bad gateway</html>",
        b'{"id":"x","choi',
        b"{}",
        b'{"choices":null}',
        b'{"choices":{}, "usage":' + b"[" * 5_000,
        b"\xff\xfe",
    ],
)
def test_what_is_no_answer_is_a_broken_protocol(body):
    """The caller does not see the provider's bytes, our log sees 200 characters."""
    for read in (reply.usage, reply.decode):
        with pytest.raises(UpstreamProtocol) as raised:
            read(body)
        assert "html" not in str(raised.value)
        assert len(raised.value.detail) < 400


def test_an_error_in_a_200_is_that_error():
    """Both ways of reading raise it."""
    body = b'{"error":{"message":"no money","code":"insufficient_quota"}}'
    for read in (reply.usage, reply.decode):
        with pytest.raises(QuotaExhausted):
            read(body)


def test_an_error_that_is_null_is_none():
    """Some servers send the field with every answer."""
    assert reply.usage(answer(error=None)) is None


@given(st.binary(max_size=60))
def test_any_bytes_are_an_answer_or_one_of_our_errors(body):
    """Nothing else is raised."""
    for read in (reply.usage, reply.decode):
        with pytest.raises(FairleadError):
            read(body)


def test_an_unknown_finish_reason_and_unknown_fields_are_kept():
    """What a vendor invents next passes."""
    message = {"role": "assistant", "content": None, "reasoning_content": "hm", "tool_calls": [{"type": "custom"}]}
    body = answer(choices=[{"message": message, "finish_reason": "bored", "index": 0}], provider="P", service_tier="x")
    decoded = reply.decode(body)
    again = json.loads(reply.encode(decoded))
    assert decoded.choices[0].finish_reason == "bored"
    assert again["provider"] == "P"
    assert again["choices"][0]["message"]["reasoning_content"] == "hm"
    assert again["choices"][0]["message"]["tool_calls"] == [{"type": "custom"}]


FULL = ChatReply(
    id="chatcmpl-1",
    model="m",
    created=7,
    choices=(
        Choice(
            index=0,
            message=Message(role="assistant", parts=(TextPart(text="hello"),)),
            finish_reason="stop",
            logprobs=msgspec.Raw(
                b'{"content":[{"token":"a","logprob":-0.1,"bytes":[97],"top_logprobs":[]}],"refusal":null}'
            ),
        ),
        Choice(
            index=1,
            message=Message(
                role="assistant",
                tool_calls=(ToolCall(id="c1", name="f", arguments="{}"), ToolCall(id="c2", name="g", arguments="{")),
            ),
            finish_reason="tool_calls",
        ),
        Choice(index=2, message=Message(role="assistant", parts=(RefusalPart(text="no"),)), finish_reason="stop"),
    ),
    usage=Usage(input_tokens=3, cache_read_tokens=1, output_tokens=2, reasoning_tokens=1),
    extra={"system_fingerprint": "fp"},
)


def test_an_answer_survives_the_way_out_and_back():
    """Choices, tool calls, log probabilities, refusals and usage."""
    assert reply.decode(reply.encode(FULL)) == FULL


def test_the_official_sdk_reads_what_is_encoded():
    """Its model knows every field and every value."""
    completion = ChatCompletion.model_validate_json(reply.encode(FULL))
    assert completion.model_extra == {}
    assert completion.choices[1].message.tool_calls[0].function.name == "f"
    assert completion.usage.total_tokens == 7


@pytest.mark.parametrize("torn", [b"a\x00b", b"a\\ud800b", b"a\xffb"])
def test_an_answer_with_torn_text_is_an_answer(torn):
    """Its usage is found, and what cannot be said in UTF-8 becomes U+FFFD (FAULTS S10)."""
    body = b'{"choices":[{"message":{"content":"%b"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}' % torn

    assert reply.usage(body).output_tokens == 2
    (part,) = reply.decode(body).choices[0].message.parts
    assert part.text in {"a\x00b", "a\ufffdb"}


@pytest.mark.parametrize(
    "torn", [b'{"error":{"message":"a\x00b"}}', b'{"choices":null,"x":"\x00"}', b'{"choices":[\x00']
)
def test_torn_text_makes_no_answer_of_what_is_none(torn):
    """An error stays an error."""
    with pytest.raises(FairleadError):
        reply.usage(torn)


@pytest.mark.parametrize("names", [("reasoning_content",), ("reasoning",), ("reasoning_content", "reasoning")])
def test_what_the_model_thought_is_reasoning_in_a_whole_answer_too(names):
    """As in a stream, under either name, and once where a server sends both."""
    message = {"role": "assistant", "content": "4"} | dict.fromkeys(names, "2 and 2")
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    decoded = reply.decode(json.dumps({"id": "x", "model": "m", "created": 1, "choices": [choice]}).encode())
    assert decoded.choices[0].message.parts == (ReasoningPart(text="2 and 2"), TextPart(text="4"))
    assert not decoded.choices[0].message.extra
