"""The official OpenAI SDK asks the gateway for embeddings, and the simulator answers."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import openai
import pytest

OPEN = """
[gateway]
auth = "open"
[models.e]
targets = ["sim/sim-embed"]
[models.m]
targets = ["sim/sim-small"]
"""
Begin = Callable[..., Awaitable[Any]]


async def test_vectors_come_as_the_sdk_asks_for_them_by_itself(begin: Begin) -> None:
    """It asks for base64 and unpacks it; each vector has the length 1."""
    gateway = await begin(OPEN)

    answer = await gateway.sdk().embeddings.create(model="e", input=["hello", "there"])

    first, second = (row.embedding for row in answer.data)
    assert (len(first), len(second)) == (256, 256)
    assert math.dist(first, [0] * 256) == pytest.approx(1, abs=1e-5)
    assert first != second
    assert answer.usage.prompt_tokens == answer.usage.total_tokens == 4


async def test_numbers_and_base64_say_the_same(begin: Begin) -> None:
    """As close as 32 bits are."""
    gateway = await begin(OPEN)
    sdk = gateway.sdk()

    packed = await sdk.embeddings.create(model="e", input="hello")
    plain = await sdk.embeddings.create(model="e", input="hello", encoding_format="float")

    assert packed.data[0].embedding == pytest.approx(plain.data[0].embedding, abs=1e-6)


async def test_vectors_have_the_length_that_is_asked_for(begin: Begin) -> None:
    """From short to long."""
    gateway = await begin(OPEN)

    for dimensions in (1, 64, 1_024):
        answer = await gateway.sdk().embeddings.create(model="e", input="hello", dimensions=dimensions)

        assert len(answer.data[0].embedding) == dimensions


@pytest.mark.parametrize(("given", "tokens"), [("hello", [2]), ([1, 2, 3], [3]), ([[1, 2], [3]], [2, 1])])
async def test_every_kind_of_input_is_taken(given: Any, tokens: list[int], begin: Begin) -> None:
    """A vector for each, and every token counted."""
    gateway = await begin(OPEN)

    answer = await gateway.sdk().embeddings.create(model="e", input=given)

    assert len(answer.data) == len(tokens)
    assert answer.usage.total_tokens == sum(tokens)


async def test_the_record_has_the_call_and_what_it_cost(begin: Begin) -> None:
    """At two cents a million tokens, as the simulator bills it."""
    gateway = await begin(OPEN)

    raw = await gateway.sdk().embeddings.with_raw_response.create(model="e", input="x" * 4_000)

    (record,) = await gateway.records()
    assert record["call_id"] == raw.headers["x-fairlead-call-id"]
    assert record["cost_usd"] == raw.headers["x-fairlead-cost-usd"]
    assert Decimal(record["cost_usd"]) == Decimal("0.00002")
    assert record["usage"] == {"input_tokens": 1_000}


async def test_a_model_does_what_it_is_for(begin: Begin) -> None:
    """An embedding model writes nothing, and a chat model embeds nothing."""
    gateway = await begin(OPEN)
    sdk = gateway.sdk()

    with pytest.raises(openai.NotFoundError, match="sim-embed"):
        await sdk.embeddings.create(model="m", input="hello")
    with pytest.raises(openai.NotFoundError, match="sim-small"):
        await sdk.chat.completions.create(model="e", messages=[{"role": "user", "content": "hello"}])


@pytest.mark.parametrize("given", ["", [], [""], [{}], 7])
async def test_an_input_without_text_is_a_callers_mistake(given: Any, begin: Begin) -> None:
    """Told with the field's name."""
    gateway = await begin(OPEN)

    with pytest.raises(openai.BadRequestError, match="input"):
        await gateway.sdk().embeddings.create(model="e", input=given)


async def test_another_method_is_refused(begin: Begin) -> None:
    """In the form of the dialect that is spoken there."""
    gateway = await begin(OPEN)

    with pytest.raises(openai.APIStatusError, match="POST") as caught:
        await gateway.sdk().get("/embeddings", cast_to=object)

    assert caught.value.status_code == 405


async def test_token_numbers_count_as_what_they_are_against_a_limit(begin: Begin) -> None:
    """They need no guess."""
    gateway = await begin(OPEN.replace('"open"', '"keys"'))
    sdk = gateway.sdk(await gateway.key("k1", tpm=100))

    with pytest.raises(openai.RateLimitError, match="tokens"):
        await sdk.embeddings.create(model="e", input=[1] * 101)
    answer = await sdk.embeddings.create(model="e", input=[1] * 100)

    assert answer.usage.total_tokens == 100
