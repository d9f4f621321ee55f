"""Embeddings in Gemini's form."""

from __future__ import annotations

import json

import msgspec
import pytest
from google.genai.types import EmbedContentResponse

from fairlead.dialects.embeddings.gemini import reply, request
from fairlead.errors import InvalidRequest, UpstreamProtocol, UpstreamRateLimited
from fairlead.types import Embed, EmbedReply, Usage

PATH = "/v1beta/models/gemini-embedding-001:batchEmbedContents"
ASKED = {
    "model": "models/gemini-embedding-001",
    "content": {"parts": [{"text": "a"}]},
    "taskType": "RETRIEVAL_QUERY",
    "outputDimensionality": 256,
}
EMBED = Embed(model="gemini-embedding-001", inputs=("a", "bc"), dimensions=256, task="search_query")


def read(*rows, **fields):
    return request.read(msgspec.json.encode({"requests": rows, **fields}), PATH)


def test_each_text_is_a_request_that_says_all():
    """As the API documents it."""
    body = json.loads(request.encode(EMBED))

    assert body == {"requests": [ASKED, {**ASKED, "content": {"parts": [{"text": "bc"}]}}]}


@pytest.mark.parametrize("model", ["x", "models/x"])
def test_a_model_is_named_by_its_whole_name(model):
    """Once `models/`, whatever the configuration calls it."""
    assert json.loads(request.encode(Embed(model=model, inputs=("a",))))["requests"][0]["model"] == "models/x"


def test_a_request_comes_through_its_own_form():
    """The model comes from the path."""
    assert request.decode(request.read(request.encode(EMBED), PATH).fields) == EMBED


def test_a_relay_names_the_new_model_in_each_request():
    """The path and every request have to agree."""
    joined = json.loads(request.join(read(ASKED, ASKED), "other", ask_usage=False))

    assert [each["model"] for each in joined["requests"]] == ["models/other", "models/other"]


def test_token_numbers_are_refused_by_name():
    """They are of another model's vocabulary."""
    with pytest.raises(InvalidRequest, match="token numbers") as caught:
        request.encode(Embed(model="m", inputs=((1, 2),)))

    assert caught.value.param == "input"


@pytest.mark.parametrize(
    "rows",
    [
        [],
        ["a"],
        [{"content": {"parts": [{"inlineData": {}}]}}],
        [{"content": {"parts": [{"text": "a"}]}, "title": "t"}],
        [ASKED, {**ASKED, "taskType": "CLUSTERING"}],
        [{**ASKED, "outputDimensionality": 0}],
    ],
)
def test_what_has_no_neutral_form_is_refused_by_name(rows):
    """Nothing is left out in silence."""
    with pytest.raises(InvalidRequest, match="requests"):
        request.decode(read(*rows).fields)


@pytest.mark.parametrize("body", [b"{}", b'{"requests":1}', b"[]"])
def test_a_body_without_requests_is_refused(body):
    """Before anything is reserved for it."""
    with pytest.raises(InvalidRequest):
        request.read(body, PATH)


def test_a_reservation_covers_every_byte():
    """And nothing is written."""
    asked = read(ASKED, {**ASKED, "content": {"parts": [{"text": "é" * 100}]}})

    assert (asked.model, asked.max_output_tokens) == ("gemini-embedding-001", 0)
    assert asked.input_bytes >= 200 + 1 + 2 * 16


def test_an_answer_is_one_that_the_sdk_reads():
    """By the SDK's own model, and back; it does not say which model gave it."""
    whole = EmbedReply(model="", vectors=((0.5, 1.0), (0.0, 2.0)), usage=Usage(input_tokens=4))

    written = reply.encode(whole)

    theirs = EmbedContentResponse.model_validate_json(written)
    assert [each.values for each in theirs.embeddings] == [[0.5, 1.0], [0.0, 2.0]]
    assert theirs.usage_metadata.prompt_token_count == 4
    assert reply.decode(written) == whole


def test_usage_that_is_not_told_is_unknown():
    """As it is with older models; it is estimated further on."""
    assert reply.usage(b'{"embeddings":[{"values":[1]}]}') is None
    assert reply.usage(b'{"embeddings":[{"values":[1]}],"usageMetadata":{}}') is None


def test_usage_is_what_the_prompt_had():
    """Explicit zero is known."""
    assert reply.usage(b'{"embeddings":[1],"usageMetadata":{"promptTokenCount":0}}') == Usage()
    assert reply.usage(b'{"embeddings":[1],"usageMetadata":{"promptTokenCount":7}}') == Usage(input_tokens=7)


@pytest.mark.parametrize(
    "body", [b"{}", b'{"embeddings":1}', b'{"embeddings":[{}]}', b'{"embeddings":[{"values":["a"]}]}']
)
def test_what_is_no_answer_is_a_broken_protocol(body):
    """Whatever it is."""
    with pytest.raises(UpstreamProtocol):
        reply.decode(body)


def test_an_error_in_a_200_is_raised():
    """As the error that it is."""
    with pytest.raises(UpstreamRateLimited):
        reply.decode(b'{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED"}}')
