"""Embeddings in OpenAI's form."""

from __future__ import annotations

import json

import msgspec
import pytest
from openai.types import CreateEmbeddingResponse

from fairlead.dialects.embeddings.openai import reply, request
from fairlead.errors import InvalidRequest, UpstreamProtocol, UpstreamRejected
from fairlead.types import Embed, EmbedReply, Usage

HALVES = "AAAAPwAAAL8="
"""0.5 and -0.5 as little-endian 32-bit floats."""


def body(**fields):
    return msgspec.json.encode({"model": "m", "input": "hello", **fields})


def decoded(**fields):
    return request.decode(request.read(body(**fields)).fields)


def answer(*rows, **fields):
    usage = {"prompt_tokens": 3, "total_tokens": 3}
    return json.dumps({"object": "list", "data": list(rows), "model": "m", "usage": usage, **fields}).encode()


@pytest.mark.parametrize(
    ("given", "inputs"),
    [
        ("hello", ("hello",)),
        (["hello", "there"], ("hello", "there")),
        ([1, 2, 3], ((1, 2, 3),)),
        ([[1, 2], [3]], ((1, 2), (3,))),
    ],
)
def test_all_four_kinds_of_input_are_understood(given, inputs):
    """A text, texts, token numbers, and several of those."""
    assert decoded(input=given).inputs == inputs


@pytest.mark.parametrize(
    "given", [None, [], 7, {}, [True], ["a", 1], ["a", [1]], [[1], 2], [["a"]], [-1], [1.5], [None]]
)
def test_anything_else_is_refused_by_name(given):
    """The message names the field."""
    with pytest.raises(InvalidRequest, match="`input`") as caught:
        decoded(input=given)

    assert caught.value.param == "input"


def test_every_documented_field_has_a_neutral_place():
    """What is left is kept for the provider of the same form."""
    told = decoded(input=["a"], dimensions=256, encoding_format="base64", user="u", own=1)

    assert told == Embed(
        model="m", inputs=("a",), dimensions=256, encoding="base64", user="u", extra={"own": msgspec.Raw(b"1")}
    )


@pytest.mark.parametrize("name", ["input_type", "task"])
@pytest.mark.parametrize("word", ["search_query", "query", "RETRIEVAL_QUERY"])
def test_what_they_are_for_may_be_said_in_anybodys_words(name, word):
    """Under either of two names."""
    assert decoded(**{name: word}).task == "search_query"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"dimensions": 0}, "dimensions"),
        ({"dimensions": "256"}, "dimensions"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"input_type": 1}, "input_type"),
        ({"input_type": "query", "task": "query"}, "task"),
    ],
)
def test_a_field_at_fault_is_named(fields, named):
    """So that the caller finds it."""
    with pytest.raises(InvalidRequest) as caught:
        decoded(**fields)

    assert caught.value.param == named


@pytest.mark.parametrize(
    "given",
    [
        b"[]",
        b'{"model":"m"}',
        b'{"input":"a"}',
        b'{"model":1,"input":"a"}',
        b'{"model":"m","input":null}',
        b'{"model":"m","input":"a","user":1}',
        b'{"model":"m","input":"a","base_url":"http://x"}',
        b'{"model":"m","input":"a","input":"b"}',
    ],
)
def test_a_body_that_no_stage_can_use_is_refused_when_it_is_read(given):
    """Before anything is reserved for it."""
    with pytest.raises(InvalidRequest):
        request.read(given)


@pytest.mark.parametrize("text", ["", "a", "hello", "é" * 50, "漢字" * 9, '"\\\n'])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_reservation_covers_every_byte_of_text_and_what_a_provider_adds(text, count):
    """No tokenizer makes more tokens of a text than it has bytes; a provider may put a few around it."""
    read = request.read(body(input=[text] * count))

    assert len(text.encode()) * count + 16 * count <= read.input_bytes
    assert read.max_output_tokens == 0


@pytest.mark.parametrize(("given", "tokens"), [([1, 100_000, 3], 3), ([[1, 2], [3], [4, 5, 6]], 6)])
def test_token_numbers_are_counted(given, tokens):
    """They are as many as they are, however many digits they have; a text is guessed where that is wanted."""
    read = request.read(body(input=given))

    assert (read.input_bytes, read.prompt_tokens) == (tokens, tokens)
    assert request.read(body(input=["a"])).prompt_tokens is None


def test_blanks_before_a_text_change_nothing_that_matters():
    """A body may be laid out as it likes."""
    spaced = b'{"model": "m", "input": [' + b" " * 500 + b'"hello"]}'

    assert request.read(spaced).input_bytes >= 5 + 16


def test_a_relay_changes_the_model_alone():
    """Every other byte is the caller's."""
    read = request.read(b'{"input":[ "a" ],"model":"m","own":{"x": 1}}')

    assert request.join(read, "n", ask_usage=True) == b'{"input":[ "a" ],"model":"n","own":{"x": 1}}'
    assert request.join(read, "m", ask_usage=True) == b'{"input":[ "a" ],"model":"m","own":{"x": 1}}'


def test_defaults_fill_what_the_caller_left_out():
    """A null counts as sent."""
    read = request.read(body(dimensions=None))

    joined = request.join(
        read, "m", ask_usage=False, defaults={"dimensions": msgspec.Raw(b"9"), "user": msgspec.Raw(b'"u"')}
    )

    assert json.loads(joined) == {"model": "m", "input": "hello", "dimensions": None, "user": "u"}


@pytest.mark.parametrize("inputs", [("a", "b"), ((1, 2),), ((1,), (2, 3))])
def test_a_request_comes_through_its_own_form(inputs):
    """Encoded and decoded it is the same."""
    embed = Embed(
        model="m",
        inputs=inputs,
        dimensions=2,
        encoding="float",
        task="similarity",
        user="u",
        extra={"x": msgspec.Raw(b"1")},
    )

    assert request.decode(request.read(request.encode(embed)).fields) == embed


def test_usage_is_found_without_reading_the_vectors():
    """They need not even be vectors."""
    assert reply.usage(answer("anything")) == Usage(input_tokens=3)


@pytest.mark.parametrize("usage", [None, {}, {"total_tokens": 3}, {"prompt_tokens": "3"}, "none"])
def test_usage_that_is_not_told_is_unknown(usage):
    """It is estimated further on."""
    assert reply.usage(answer(usage=usage)) is None


def test_output_that_a_server_counts_is_no_output():
    """Embeddings write nothing."""
    usage = {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}

    assert reply.usage(answer(usage=usage)) == Usage(input_tokens=3)


def test_vectors_come_as_numbers_or_as_base64_and_in_the_order_of_their_inputs():
    """An index counts more than a place."""
    whole = reply.decode(answer({"index": 1, "embedding": [1, 2.5]}, {"index": 0, "embedding": HALVES}))

    assert whole.vectors == ((0.5, -0.5), (1.0, 2.5))
    assert (whole.model, whole.usage) == ("m", Usage(input_tokens=3))


@pytest.mark.parametrize(
    "rows",
    [
        [{"index": 0, "embedding": [1.0]}, {"index": 0, "embedding": [1.0]}],
        [{"index": 1, "embedding": [1.0]}],
        [{"embedding": [1.0]}, {"embedding": [1.0, 2.0]}],
        [{"embedding": "AAAA"}],
        [{"embedding": "???"}],
        [{"embedding": [None]}],
        [{"embedding": None}],
        [{}],
        ["x"],
    ],
)
def test_an_answer_that_cannot_be_told_apart_is_a_broken_protocol(rows):
    """Rather none than the vector of another text."""
    with pytest.raises(UpstreamProtocol):
        reply.decode(answer(*rows))


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"data":null}', b"<html>", b'{"object":"list"}'])
def test_what_is_no_answer_is_a_broken_protocol(body):
    """Whatever it is."""
    with pytest.raises(UpstreamProtocol):
        reply.usage(body)


def test_an_error_in_a_200_is_raised():
    """As the error that it is."""
    with pytest.raises(UpstreamRejected, match="too long"):
        reply.usage(b'{"error":{"message":"too long","type":"invalid_request_error"}}')


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
def test_an_answer_is_one_that_the_sdk_reads(encoding):
    """By the SDK's own model, and back."""
    whole = EmbedReply(model="m", vectors=((0.5, -0.5), (0.0, 1.0)), encoding=encoding, usage=Usage(input_tokens=4))

    written = reply.encode(whole)

    rows = json.loads(written)["data"]
    assert rows[0]["embedding"] == (HALVES if encoding == "base64" else [0.5, -0.5])
    if encoding != "base64":
        assert CreateEmbeddingResponse.model_validate_json(written, strict=True).usage.total_tokens == 4
    assert msgspec.structs.replace(reply.decode(written), encoding=encoding) == whole


def test_a_number_that_32_bits_cannot_hold_is_not_written_as_another():
    """It can only come from a provider that broke."""
    with pytest.raises(UpstreamProtocol):
        reply.encode(EmbedReply(model="m", vectors=((1e300,),), encoding="base64"))
