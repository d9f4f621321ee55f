"""Embeddings in Cohere's form."""

from __future__ import annotations

import json

import msgspec
import pytest

from fairlead.dialects.embeddings.cohere import reply, request
from fairlead.dialects.embeddings.cohere.request import DEFAULT_TASK
from fairlead.errors import InvalidRequest, UpstreamProtocol
from fairlead.types import Embed, EmbedReply, Usage

EMBED = Embed(model="embed-v4.0", inputs=("a", "bc"), dimensions=256, task="classification")


def test_a_request_is_as_the_api_documents_it():
    """Floats alone are asked for."""
    assert json.loads(request.encode(EMBED)) == {
        "model": "embed-v4.0",
        "texts": ["a", "bc"],
        "input_type": "classification",
        "embedding_types": ["float"],
        "output_dimension": 256,
    }


def test_what_this_form_demands_is_there_where_the_caller_does_not_say_it():
    """A text is taken for one that is stored."""
    assert json.loads(request.encode(Embed(model="m", inputs=("a",))))["input_type"] == DEFAULT_TASK


def test_a_request_comes_through_its_own_form():
    """Encoded and decoded it is the same."""
    assert request.decode(request.read(request.encode(EMBED)).fields) == EMBED


def test_other_kinds_of_numbers_are_kept_for_cohere_alone():
    """They have no neutral form."""
    fields = request.read(b'{"model":"m","texts":["a"],"input_type":"clustering","embedding_types":["int8"]}').fields

    assert request.decode(fields).extra == {"embedding_types": msgspec.Raw(b'["int8"]')}


def test_a_task_that_it_does_not_have_is_refused_by_name():
    """The message lists those that it has."""
    with pytest.raises(InvalidRequest, match="search_document") as caught:
        request.encode(Embed(model="m", inputs=("a",), task="similarity"))

    assert caught.value.param == "input_type"


def test_token_numbers_are_refused_by_name():
    """They are of another model's vocabulary."""
    with pytest.raises(InvalidRequest, match="token numbers"):
        request.encode(Embed(model="m", inputs=("a", (1, 2))))


@pytest.mark.parametrize("texts", [None, "a", [], [1], [["a"]]])
def test_texts_are_an_array_of_strings(texts):
    """The message names the field."""
    with pytest.raises(InvalidRequest, match="`texts`"):
        request.decode({"model": msgspec.Raw(b'"m"'), "texts": msgspec.Raw(msgspec.json.encode(texts))})


def test_a_reservation_covers_every_byte():
    """And nothing is written."""
    read = request.read(request.encode(EMBED))

    assert read.input_bytes >= 3 + 2 * 16
    assert (read.model, read.max_output_tokens) == ("embed-v4.0", 0)


def test_an_answer_comes_through_its_own_form():
    """It does not say which model gave it."""
    whole = EmbedReply(model="", vectors=((0.5, 1.0), (0.0, 2.0)), usage=Usage(input_tokens=4))

    assert reply.decode(reply.encode(whole)) == whole


def test_usage_is_what_is_billed():
    """A count may be written as a number with a point."""
    told = b'{"embeddings":{},"meta":{"billed_units":{"input_tokens":7.0},"tokens":{"input_tokens":9}}}'

    assert reply.usage(told) == Usage(input_tokens=7)


@pytest.mark.parametrize("meta", [None, {}, {"billed_units": None}, {"billed_units": {"input_tokens": -1}}])
def test_usage_that_is_not_told_is_unknown(meta):
    """It is estimated further on."""
    assert reply.usage(json.dumps({"embeddings": {"float": [[1]]}, "meta": meta}).encode()) is None


@pytest.mark.parametrize(
    "embeddings", [None, [], [[1.0]], {"int8": [[1]]}, {"float": [["a"]]}, {"float": [[1], [1, 2]]}]
)
def test_what_is_no_answer_is_a_broken_protocol(embeddings):
    """Whatever it is."""
    with pytest.raises(UpstreamProtocol):
        reply.decode(json.dumps({"embeddings": embeddings}).encode())
