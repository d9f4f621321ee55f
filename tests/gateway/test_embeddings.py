"""Embeddings through the gateway: one form in, four kinds of providers out, each as its own API is documented."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import openai
import pytest

from fairlead.testing import FakeUpstream, Received, answers
from fairlead.testing.answers import Answer

Begin = Callable[..., Awaitable[Any]]
DOLLAR = 10**9
"""In nano-USD."""
CONFIG = """
[gateway]
auth = "{auth}"
[providers.p]
vendor = "{vendor}"
base_url = "{origin}{root}"
api_key = "env:UPSTREAM_KEY"
allow_private = true
[models.m]
targets = ["p/{model}"]
{model_more}
"""
ENVIRON = {"UPSTREAM_KEY": "sk-up"}
TEXTS = ["hello", "there"]
VECTORS = [[0.5, -0.25], [1.0, 2.0]]
PACKED = ["AAAAPwAAgL4=", "AACAPwAAAEA="]
"""The same as little-endian 32-bit floats."""
TOKENS = 1_000


def openai_like(request: Received) -> Answer:
    vectors: list[Any] = PACKED if request.json.get("encoding_format") == "base64" else VECTORS
    rows = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    counted = (
        {"total_tokens": TOKENS}
        if "voyage" in request.json["model"]
        else {"prompt_tokens": TOKENS, "total_tokens": TOKENS}
    )
    return answers.json({"object": "list", "data": rows, "model": request.json["model"], "usage": counted})


def gemini_like(_: Received) -> Answer:
    counted = {"promptTokenCount": TOKENS}
    return answers.json({"embeddings": [{"values": vector} for vector in VECTORS], "usageMetadata": counted})


def cohere_like(_: Received) -> Answer:
    meta = {"api_version": {"version": "2"}, "billed_units": {"input_tokens": TOKENS}}
    return answers.json({"id": "x", "embeddings": {"float": VECTORS}, "texts": TEXTS, "meta": meta})


PROVIDERS: dict[str, tuple[Any, str, str, str]] = {
    "openai": (openai_like, "/v1", "text-embedding-3-small", "/v1/embeddings"),
    "gemini": (
        gemini_like,
        "/v1beta",
        "gemini-embedding-001",
        "/v1beta/models/gemini-embedding-001:batchEmbedContents",
    ),
    "cohere": (cohere_like, "", "embed-v4.0", "/v2/embed"),
    "voyage": (openai_like, "/v1", "voyage-3.5", "/v1/embeddings"),
}
"""By vendor: the fake, where its API stands, a model, and where that is asked."""
NANOUSD_A_MILLION = {
    "openai": DOLLAR // 50,
    "gemini": DOLLAR * 15 // 100,
    "cohere": DOLLAR * 12 // 100,
    "voyage": DOLLAR * 6 // 100,
}
"""What those models cost a million tokens; Voyage's is configured."""
PRICED = {"voyage": "price = { input = 0.06, output = 0 }"}


def config(vendor: str, upstream: FakeUpstream, auth: str = "open", more: str | None = None) -> str:
    _, root, model, _ = PROVIDERS[vendor]
    more = PRICED.get(vendor, "") if more is None else more
    return CONFIG.format(auth=auth, vendor=vendor, origin=upstream.origin, root=root, model=model, model_more=more)


@pytest.mark.parametrize("vendor", PROVIDERS)
@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_each_provider_answers_in_openais_form(vendor: str, encoding: Any, begin: Begin) -> None:
    """With its own vectors, in the form that the caller wants."""
    fake, _, model, path = PROVIDERS[vendor]
    async with FakeUpstream(default=fake) as upstream:
        gateway = await begin(config(vendor, upstream), ENVIRON)

        answer = await gateway.sdk().embeddings.create(model="m", input=TEXTS, encoding_format=encoding)

    assert [row.embedding for row in answer.data] == (PACKED if encoding == "base64" else VECTORS)
    assert [row.index for row in answer.data] == [0, 1]
    assert answer.model == model
    assert answer.usage.total_tokens == answer.usage.prompt_tokens == TOKENS
    assert [request.path for request in upstream.requests] == [path]


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_call_costs_what_its_tokens_cost(vendor: str, begin: Begin) -> None:
    """In the header, in the record and against the budget; nothing is written, so nothing of that is paid."""
    fake = PROVIDERS[vendor][0]
    async with FakeUpstream(default=fake) as upstream:
        gateway = await begin(config(vendor, upstream, auth="keys"), ENVIRON)
        key = await gateway.key("k1", budget_nanousd=DOLLAR)

        raw = await gateway.sdk(key).embeddings.with_raw_response.create(model="m", input=TEXTS)

    cost = NANOUSD_A_MILLION[vendor] * TOKENS // 1_000_000
    (record,) = await gateway.records()
    assert record["cost_usd"] == raw.headers["x-fairlead-cost-usd"]
    assert Decimal(str(record["cost_usd"])) * DOLLAR == cost
    assert record["usage"] == {"input_tokens": TOKENS}
    assert record["dialect"] == "openai_embeddings"
    assert gateway.foundation.ledger.reserved_nanousd() == 0


@pytest.mark.parametrize("vendor", PROVIDERS)
async def test_a_reservation_is_for_the_input_alone(vendor: str, begin: Begin) -> None:
    """A budget that a chat's default of output would not fit into lets embeddings in."""
    fake = PROVIDERS[vendor][0]
    async with FakeUpstream(default=fake) as upstream:
        more = "price = { input = 1.0, output = 1000.0 }"
        gateway = await begin(config(vendor, upstream, auth="keys", more=more), ENVIRON)
        key = await gateway.key("k1", budget_nanousd=100_000)

        await gateway.sdk(key).embeddings.create(model="m", input=["a"] * 2)

        with pytest.raises(openai.RateLimitError, match="budget"):
            await gateway.sdk(key).embeddings.create(model="m", input="a" * 100_001)


async def test_a_relay_changes_no_byte_of_an_answer(begin: Begin) -> None:
    """Base64 is neither read nor written again."""
    body = b'{ "data": [ {"embedding": "AAAAPwAAgL4=", "index": 0} ], "usage": {"prompt_tokens": 3}, "own": 1 }'
    answer = answers.status(200, {"content-type": "application/json"}, body)
    async with FakeUpstream(default=answer) as upstream:
        gateway = await begin(config("openai", upstream), ENVIRON)

        raw = await gateway.sdk().embeddings.with_raw_response.create(model="m", input="hello", user="u", dimensions=2)

    assert raw.content == body
    assert upstream.requests[0].json == {
        "model": "text-embedding-3-small",
        "input": "hello",
        "encoding_format": "base64",
        "user": "u",
        "dimensions": 2,
    }


@pytest.mark.parametrize(
    ("vendor", "sent"),
    [
        ("openai", {"input_type": "query", "dimensions": 2}),
        ("cohere", {"input_type": "search_query", "output_dimension": 2}),
        ("voyage", {"input_type": "query", "output_dimension": 2}),
    ],
)
async def test_what_they_are_for_is_said_in_the_providers_words(vendor: str, sent: Any, begin: Begin) -> None:
    """And how long the vectors are to be, by its name for that."""
    async with FakeUpstream(default=PROVIDERS[vendor][0]) as upstream:
        gateway = await begin(config(vendor, upstream), ENVIRON)

        await gateway.sdk().embeddings.create(
            model="m", input=TEXTS, dimensions=2, extra_body={"input_type": "query"}, encoding_format="float"
        )

    assert upstream.requests[0].json.items() >= sent.items()


@pytest.mark.parametrize("vendor", ["gemini", "cohere", "voyage"])
async def test_token_numbers_are_refused_by_name_where_only_text_is_taken(vendor: str, begin: Begin) -> None:
    """Before anything is sent."""
    async with FakeUpstream(default=PROVIDERS[vendor][0]) as upstream:
        gateway = await begin(config(vendor, upstream), ENVIRON)

        with pytest.raises(openai.BadRequestError, match="token numbers") as caught:
            await gateway.sdk().embeddings.create(model="m", input=[[1, 2], [3]])

    assert caught.value.param == "input"
    assert upstream.requests == []


async def test_usage_that_a_provider_does_not_tell_is_estimated(begin: Begin) -> None:
    """From the texts alone, and the record says so."""
    silent = answers.json({"embeddings": [{"values": vector} for vector in VECTORS]})
    async with FakeUpstream(default=silent) as upstream:
        gateway = await begin(config("gemini", upstream), ENVIRON)

        answer = await gateway.sdk().embeddings.create(model="m", input=["x" * 400, "y" * 40])

    (record,) = await gateway.records()
    assert answer.usage.prompt_tokens == 110
    assert (record["usage"], record["usage_source"]) == ({"input_tokens": 110}, "estimated")


async def test_fewer_vectors_than_texts_are_a_broken_protocol(begin: Begin) -> None:
    """Rather none than the vector of another text; what it used is paid all the same."""
    async with FakeUpstream(default=cohere_like) as upstream:
        gateway = await begin(config("cohere", upstream), ENVIRON)

        with pytest.raises(openai.InternalServerError, match="2 embeddings for 3 inputs"):
            await gateway.sdk().embeddings.create(model="m", input=["a", "b", "c"])

    (record,) = await gateway.records()
    assert record["usage"] == {"input_tokens": TOKENS}


@pytest.mark.parametrize(
    ("vendor", "body"),
    [
        ("voyage", {"detail": "no such model"}),
        ("cohere", {"message": "no such model"}),
        ("gemini", {"error": {"code": 400, "message": "no such model", "status": "INVALID_ARGUMENT"}}),
        ("openai", {"error": {"message": "no such model", "type": "invalid_request_error"}}),
    ],
)
async def test_each_providers_refusal_comes_in_openais_form(vendor: str, body: Any, begin: Begin) -> None:
    """With its words."""
    async with FakeUpstream(default=answers.json(body, 400)) as upstream:
        gateway = await begin(config(vendor, upstream), ENVIRON)

        with pytest.raises(openai.BadRequestError, match="no such model"):
            await gateway.sdk().embeddings.create(model="m", input=TEXTS)


async def test_what_a_provider_has_no_place_for_is_named(begin: Begin) -> None:
    """In the header that translated answers carry."""
    async with FakeUpstream(default=PROVIDERS["voyage"][0]) as upstream:
        gateway = await begin(config("voyage", upstream), ENVIRON)

        raw = await gateway.sdk().embeddings.with_raw_response.create(
            model="m", input=TEXTS, user="u", extra_body={"truncate": "END"}
        )

    assert raw.headers["x-fairlead-left-out"] == "truncate, user"
    assert not {"truncate", "user"} & upstream.requests[0].json.keys()


async def test_a_provider_of_chats_alone_is_asked_for_no_embeddings(begin: Begin) -> None:
    """And the message says so."""
    async with FakeUpstream() as upstream:
        text = config("openai", upstream).replace('vendor = "openai"', 'dialect = "anthropic"')
        gateway = await begin(text, ENVIRON)

        with pytest.raises(openai.BadRequestError, match="has no embeddings"):
            await gateway.sdk().embeddings.create(model="m", input=TEXTS)

    assert upstream.requests == []


async def test_a_static_text_is_no_answer_to_embeddings(begin: Begin) -> None:
    """The provider's failure is told as it is."""
    async with FakeUpstream(default=answers.status(500)) as upstream:
        more = 'degraded = [{ static = "We are busy." }]'
        gateway = await begin(config("openai", upstream, more=more), ENVIRON)

        with pytest.raises(openai.InternalServerError, match="not available"):
            await gateway.sdk().embeddings.create(model="m", input=TEXTS)


async def test_chats_of_cohere_go_to_its_openai_dialect(begin: Begin) -> None:
    """Which stands at another place of the same host."""
    async with FakeUpstream() as upstream:
        gateway = await begin(config("cohere", upstream), ENVIRON)

        await gateway.sdk().chat.completions.create(model="m", messages=[{"role": "user", "content": "hi"}])

    assert upstream.requests[0].path == "/compatibility/v1/chat/completions"
    assert json.loads(upstream.requests[0].body)["model"] == "embed-v4.0"
