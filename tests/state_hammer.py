"""A process that uses the shared state, for tests that start several: `python state_hammer.py FILE WHAT ARGUMENT`.

It prints `ready` once it has joined, waits for a line on standard input, does its work and prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from fairlead.errors import BudgetExceeded, RateLimited, StateUnavailable
from fairlead.ports import Claim, Hold
from fairlead.stores.sqlite_state import SqliteState
from fairlead.stores.system import SystemClock
from fairlead.types import Budget, Rate

CLOCK = SystemClock()


async def nothing_spent(scope: str, since_ns: int) -> int:
    return 0


async def not_booked(call_id: str, attempt: int, reserved_nanousd: int) -> int | None:
    return None


def hold(call_id: str, amount_nanousd: int, limit_nanousd: int) -> Hold:
    budget = Budget(scope="key:a", limit_nanousd=limit_nanousd, window="total")
    return Hold(call_id=call_id, attempt=1, budgets=(budget,), amount_nanousd=amount_nanousd, at_ns=CLOCK.now_ns())


async def requests(state: SqliteState, number: int) -> dict[str, int]:
    """Ask for `number` requests of a limit of 100 a minute, many at once."""
    counts = {"admitted": 0, "refused": 0, "unavailable": 0}

    async def one() -> None:
        try:
            await state.limits.acquire([Claim(rate=Rate(scope="key:a", kind="requests", limit=100))])
        except RateLimited:
            counts["refused"] += 1
        else:
            counts["admitted"] += 1

    await in_turns(one, number)
    counts["shared alone"] = int(state.limits.degraded)
    return counts


async def budgets(state: SqliteState, number: int) -> dict[str, int]:
    """Reserve 10 of a budget of 1,000 `number` times, and settle each for 10."""
    counts = {"admitted": 0, "refused": 0, "unavailable": 0}

    async def one() -> None:
        call_id = os.urandom(8).hex()
        while True:
            try:
                await state.ledger.reserve(hold(call_id, 10, 1_000))
            except BudgetExceeded:
                counts["refused"] += 1
            except StateUnavailable:  # too much to do at this moment: nothing was taken
                counts["unavailable"] += 1
                continue
            else:
                counts["admitted"] += 1
                state.ledger.settle(call_id, 1, 10)
            return

    await in_turns(one, number)
    return counts


async def take_and_stay(state: SqliteState, _: int) -> dict[str, int]:
    """Hold one of two calls at one time and 60 of a budget of 100; then wait for the end of the input."""
    await state.limits.acquire([Claim(rate=Rate(scope="key:a", kind="concurrency", limit=2))])
    await state.ledger.reserve(hold("stays", 60, 100))
    print(json.dumps({"taken": 1}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    return {}


async def in_turns(one: Callable[[], Awaitable[None]], number: int) -> None:
    for _ in range(0, number, 20):
        await asyncio.gather(*(one() for _ in range(min(20, number))))


WORK = {"requests": requests, "budgets": budgets, "take": take_and_stay}


async def main(path: str, what: str, number: str) -> None:
    state = SqliteState(Path(path), CLOCK, seed_spent=nothing_spent, booked=not_booked)
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    try:
        print(json.dumps(await WORK[what](state, int(number))), flush=True)
    finally:
        await state.aclose()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
