"""The library embeds: in this process, without a loop, and through a gateway elsewhere."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import fairlead
from fairlead.config.load import load_text
from fairlead.errors import BudgetExceeded, InvalidRequest, ModelNotFound, NotYetAvailable
from fairlead.types import Usage

CONFIG = '[models.e]\ntargets = ["sim/sim-embed"]\n'
KEYS = f'[gateway]\nauth = "keys"\n{CONFIG}'
Begin = Callable[..., Awaitable[Any]]


@pytest.fixture
def client(tmp_path: Path) -> fairlead.Client:
    """A client of the simulator with a store of its own; the test closes it."""
    return fairlead.Client(config=load_text(CONFIG), root=tmp_path)


async def test_embeddings_tell_all_about_their_call(client: fairlead.Client, tmp_path: Path) -> None:
    """Vectors, usage, exact cost, model and attempts, and the same cost in the store."""
    async with client as llm:
        answer = await llm.embed(["hello", "x" * 400], model="e", dimensions=8)

    assert [len(vector) for vector in answer.vectors] == [8, 8]
    assert len(answer) == 2
    assert (answer.usage, answer.usage_source) == (Usage(input_tokens=102), "final")
    assert answer.cost_usd == Decimal("0.00000204")
    assert (answer.model, answer.attempts, answer.degraded) == ("sim/sim-embed", 1, ())
    with sqlite3.connect(tmp_path / "fairlead.db") as db:
        assert db.execute("SELECT outcome, cost_nanousd FROM calls").fetchall() == [("ok", 2_040)]


async def test_every_kind_of_input_and_parameter_is_taken(client: fairlead.Client) -> None:
    """As OpenAI has them; numbers as JSON differ from packed ones by less than 32 bits can tell."""
    async with client as llm:
        packed = await llm.embed("hello", model="e", user="u", input_type="search_query")
        plain = await llm.embed(["hello"], model="e", encoding_format="float")
        numbers = await llm.embed([[1, 2], [3]], model="e")

    assert packed.vectors[0] == pytest.approx(plain.vectors[0], abs=1e-7)
    assert len(numbers) == 2


async def test_errors_are_typed(client: fairlead.Client) -> None:
    """Each failure is a class of `fairlead.errors`."""
    async with client as llm:
        with pytest.raises(ModelNotFound):
            await llm.embed("x", model="nothing")
        with pytest.raises(InvalidRequest, match="input"):
            await llm.embed([], model="e")
        with pytest.raises(InvalidRequest, match="JSON"):
            await llm.embed([object()], model="e")  # type: ignore[list-item]
        with pytest.raises(NotYetAvailable, match="cache"):
            await llm.embed("x", model="e", cache="off")


def test_it_works_without_a_loop(tmp_path: Path) -> None:
    """`SyncClient` has the same."""
    with fairlead.SyncClient(config=load_text(CONFIG), root=tmp_path) as llm:
        assert len(llm.embed(["a", "b", "c"], model="e")) == 3


async def test_a_gateway_elsewhere_is_asked_for_them(begin: Begin) -> None:
    """Call id, model and exact cost are those of the gateway's own record, and its errors the same classes."""
    gateway = await begin(KEYS)
    poor = await gateway.key("poor", budget_nanousd=1)
    async with fairlead.Client(gateway=gateway.origin, key=await gateway.key("k1")) as llm:
        answer = await llm.embed(["hello"], model="e")
    async with fairlead.Client(gateway=gateway.origin, key=poor) as llm:
        with pytest.raises(BudgetExceeded):
            await llm.embed(["hello"], model="e")

    record = (await gateway.records())[-1]
    assert (answer.call_id, answer.model) == (record["call_id"], "sim/sim-embed")
    assert str(answer.cost_nanousd) == str(record["cost_nanousd"])
