"""Embeddings in Voyage's form."""

from __future__ import annotations

import json

import msgspec
import pytest

from fairlead.dialects.embeddings.voyage import reply, request
from fairlead.errors import InvalidRequest, UpstreamProtocol
from fairlead.types import Embed, EmbedReply, Usage

EMBED = Embed(model="voyage-3.5", inputs=("a", "bc"), dimensions=256, encoding="base64", task="search_query")


def test_a_request_is_as_the_api_documents_it():
    """Base64 is asked for where the caller wants it."""
    assert json.loads(request.encode(EMBED)) == {
        "model": "voyage-3.5",
        "input": ["a", "bc"],
        "input_type": "query",
        "output_dimension": 256,
        "encoding_format": "base64",
    }


def test_numbers_are_what_comes_without_a_word_about_it():
    """`float` is no value that this form has."""
    body = json.loads(request.encode(Embed(model="m", inputs=("a",), encoding="float")))

    assert body == {"model": "m", "input": ["a"]}


@pytest.mark.parametrize("task", ["classification", "clustering", "similarity"])
def test_a_text_that_is_for_no_search_is_embedded_as_it_is(task):
    """There is no word for it."""
    assert "input_type" not in json.loads(request.encode(Embed(model="m", inputs=("a",), task=task)))


@pytest.mark.parametrize(
    ("embed", "named"),
    [(Embed(model="m", inputs=((1,),)), "input"), (Embed(model="m", inputs=("a",), task="poetry"), "input_type")],
)
def test_what_it_has_no_form_for_is_refused_by_name(embed, named):
    """So that another provider can be asked."""
    with pytest.raises(InvalidRequest) as caught:
        request.encode(embed)

    assert caught.value.param == named


def test_a_request_comes_through_its_own_form():
    """Encoded and decoded it is the same."""
    assert request.decode(request.read(request.encode(EMBED)).fields) == EMBED


@pytest.mark.parametrize(
    "fields", [{"input": [1]}, {"input": []}, {"encoding_format": "float"}, {"output_dimension": 0}]
)
def test_a_field_at_fault_is_refused(fields):
    """As Voyage itself does."""
    body = msgspec.json.encode({"model": "m", "input": "a", **fields})

    with pytest.raises(InvalidRequest):
        request.decode(request.read(body).fields)


@pytest.mark.parametrize("encoding", [None, "base64"])
def test_an_answer_comes_through_its_own_form(encoding):
    """With the one count that it has."""
    whole = EmbedReply(model="m", vectors=((0.5, 1.0), (0.0, 2.0)), encoding=encoding, usage=Usage(input_tokens=4))

    written = reply.encode(whole)

    assert json.loads(written)["usage"] == {"total_tokens": 4}
    assert msgspec.structs.replace(reply.decode(written), encoding=encoding) == whole


def test_usage_that_is_not_told_is_unknown():
    """It is estimated further on."""
    assert reply.usage(b'{"data":[],"model":"m"}') is None
    assert reply.usage(b'{"data":[],"model":"m","usage":{}}') is None
    assert reply.usage(b'{"data":[],"model":7,"usage":"none"}') is None


@pytest.mark.parametrize("body", [b"{}", b'{"detail":"no"}', b'{"data":[{"embedding":["a"]}]}'])
def test_what_is_no_answer_is_a_broken_protocol(body):
    """Whatever it is."""
    with pytest.raises(UpstreamProtocol):
        reply.decode(body)
