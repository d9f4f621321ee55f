"""The library against a gateway elsewhere."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

import fairlead
from fairlead.errors import (
    BudgetExceeded,
    InvalidRequest,
    ModelNotFound,
    RateLimited,
    Unauthenticated,
    UpstreamUnreachable,
)

KEYS = """
[gateway]
auth = "keys"
[models.m]
targets = ["sim/sim-small"]
"""
Begin = Callable[..., Awaitable[Any]]


async def test_a_completion_through_a_gateway_tells_what_the_gateway_says(begin: Begin) -> None:
    """Call id, model, attempts and exact cost are those of the gateway's own record."""
    gateway = await begin(KEYS)
    async with fairlead.Client(gateway=gateway.origin, key=await gateway.key("k1")) as llm:
        reply = await llm.complete("Say hello", model="m")
        pieces = [piece async for piece in llm.stream("Say hello", model="m")]

    _, record = await gateway.records()
    assert reply.call_id == record["call_id"]
    assert str(reply.cost_nanousd) == str(record["cost_nanousd"])
    assert (reply.model, reply.attempts) == ("sim/sim-small", 1)
    assert "".join(piece.text for piece in pieces) == reply.text


async def test_errors_of_a_gateway_are_the_same_classes_here(begin: Begin) -> None:
    """What the gateway refused is raised as the class that it was there, with its status and wait."""
    gateway = await begin(KEYS)
    poor = await gateway.key("poor", budget_nanousd=1, budget_window="day")
    slow = await gateway.key("slow", rpm=1)

    async with fairlead.Client(gateway=gateway.origin, key="fl-none.none") as llm:
        with pytest.raises(Unauthenticated):
            await llm.complete("x", model="m")
    async with fairlead.Client(gateway=gateway.origin, key=poor) as llm:
        with pytest.raises(BudgetExceeded):
            await llm.complete("x", model="m")
        with pytest.raises(ModelNotFound):
            await llm.complete("x", model="nope")
        with pytest.raises(InvalidRequest):
            await llm.complete("x", model="m", max_tokens=-1)
    async with fairlead.Client(gateway=gateway.origin, key=slow) as llm:
        await llm.complete("x", model="m")
        with pytest.raises(RateLimited) as caught:
            await llm.complete("x", model="m")
    assert (caught.value.limit, caught.value.retryable) == (1, True)
    assert caught.value.retry_after_s


async def test_a_gateway_that_is_not_there_is_a_typed_error() -> None:
    """Nobody listening is `UpstreamUnreachable`, at once."""
    async with fairlead.Client(gateway="http://127.0.0.1:1") as llm:
        with pytest.raises(UpstreamUnreachable):
            await llm.complete("x", model="m")
