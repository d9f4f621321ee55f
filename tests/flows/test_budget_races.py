"""A budget for ten calls and a hundred callers at once, over and over."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import pytest

from fairlead.errors import BudgetExceeded
from fairlead.stores.memory import MemoryLedger
from fairlead.testing import (
    Answer,
    FakeTransport,
    Received,
    VirtualClock,
    openai_reply,
    openai_stream,
    tokens,
    virtual_run,
)
from fairlead.testing.pipeline import Bench
from fairlead.types import Budget, Principal

RUNS = 200
CALLERS = 100
AFFORDABLE = 10


async def nothing_spent(scope: str, since_ns: int) -> int:
    """The store's answer about the past, after a turn of the loop as a real one takes."""
    await asyncio.sleep(0)
    return 0


@pytest.mark.parametrize("block", range(10))
@pytest.mark.timeout(60)
def test_exactly_ten_of_a_hundred_parallel_calls_are_admitted(block: int) -> None:
    """In each of 200 seeded runs ten calls reach the provider, never eleven, and nothing stays reserved (L1).

    Every call costs its worst case, against the budgets of key, user and team at once; callers come and answers arrive
    in any order, whole in one run and streamed in another.
    """
    for seed in range(block * RUNS // 10, (block + 1) * RUNS // 10):
        clock = VirtualClock()
        admitted, spent, limit, reserved = virtual_run(hundred_calls(seed, clock), clock)
        assert admitted == AFFORDABLE, f"seed {seed}"
        assert spent <= limit, f"seed {seed}"
        assert reserved == 0, f"seed {seed}"


async def hundred_calls(seed: int, clock: VirtualClock) -> tuple[int, int, int, int]:
    """One run: calls that reached the provider, money spent, the smallest budget, and what stays reserved."""
    dice = random.Random(seed)  # noqa: S311 - repeatable on purpose
    ledger = MemoryLedger(clock, nothing_spent)
    fields: dict[str, object] = {"max_tokens": 50} | ({"stream": True} if dice.random() < 0.5 else {})

    def answer(_: Received) -> Answer:
        used = tokens(asked.input_bytes, 50)
        made = openai_stream(["x"], used) if asked.stream else openai_reply("x", used)
        return made.latency(dice.random())

    transport = FakeTransport(default=answer, clock=clock)
    bench = Bench(clock=clock, ledger=ledger, seed=seed, transports={"fake": transport})
    asked = bench.call(**fields).request
    worst = asked.input_bytes * 1_000 + 50 * 2_000
    budgets = tuple(
        Budget(scope=scope, limit_nanousd=AFFORDABLE * worst + dice.randint(0, worst - 1), window="day")
        for scope in ("key:k", "user:u", "team:t")
    )
    bench.principal = Principal(key_id="k", user="u", team="t", budgets=budgets)

    async def caller() -> None:
        await clock.sleep(dice.random() * 0.1)
        with suppress(BudgetExceeded):
            await bench.ask(**fields)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    spent = sum(ended.cost_nanousd or 0 for ended in bench.sink.ended)
    return len(transport.requests), spent, min(each.limit_nanousd for each in budgets), ledger.reserved_nanousd()
