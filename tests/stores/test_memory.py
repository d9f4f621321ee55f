from __future__ import annotations

import asyncio
import random
import threading

import pytest

from fairlead.errors import BudgetExceeded, RateLimited, StateUnavailable
from fairlead.ports import Claim, Hold
from fairlead.stores.memory import MemoryLedger, MemoryLimits
from fairlead.testing import VirtualClock
from fairlead.types import Budget, Rate

KEY = Budget(scope="key:a", limit_nanousd=100, window="day")
TEAM = Budget(scope="team:t", limit_nanousd=70, window="month")


def hold(call_id: str, amount: int, at_ns: int, *budgets: Budget, lease_s: float = 60) -> Hold:
    return Hold(
        call_id=call_id, attempt=1, budgets=budgets or (KEY,), amount_nanousd=amount, at_ns=at_ns, lease_s=lease_s
    )


@pytest.mark.parametrize("seed", range(200))
async def test_no_interleaving_overspends(seed: int) -> None:
    """However a hundred calls interleave, what is open and what was spent never pass any of their budgets."""
    rng = random.Random(seed)  # noqa: S311 - repeatable on purpose
    clock = VirtualClock(autojump=False)
    open_nanousd = {KEY.scope: 0, TEAM.scope: 0}
    admitted = 0

    async def pause() -> None:
        for _ in range(rng.randrange(4)):
            await asyncio.sleep(0)

    async def seed_spent(scope: str, since_ns: int) -> int:
        await pause()
        return 0

    ledger = MemoryLedger(clock, seed_spent)

    async def call(number: int) -> None:
        nonlocal admitted
        budgets = (KEY, TEAM) if number % 2 else (KEY,)
        await pause()
        try:
            await ledger.reserve(hold(f"c{number}", 10, clock.now_ns(), *budgets))
        except BudgetExceeded:
            return
        admitted += 1
        for budget in budgets:
            open_nanousd[budget.scope] += 10
            assert open_nanousd[budget.scope] <= budget.limit_nanousd
        await pause()
        cost = rng.randrange(11)
        ledger.settle(f"c{number}", 1, cost)
        for budget in budgets:
            open_nanousd[budget.scope] -= 10 - cost

    await asyncio.gather(*(call(number) for number in range(100)))
    assert admitted >= 10
    assert ledger.reserved_nanousd() == 0
    with pytest.raises(BudgetExceeded):
        await ledger.reserve(hold("probe", 101 - open_nanousd[KEY.scope], clock.now_ns()))
    await ledger.reserve(hold("rest", 100 - open_nanousd[KEY.scope], clock.now_ns()))


def test_threads_do_not_overspend() -> None:
    """Loops in four threads share one budget for ten."""
    clock = VirtualClock(autojump=False)
    ledger = MemoryLedger(clock, _nothing_spent)
    admitted: list[str] = []

    async def calls(thread: int) -> None:
        for number in range(50):
            try:
                await ledger.reserve(hold(f"{thread}-{number}", 10, clock.now_ns()))
            except BudgetExceeded:
                continue
            admitted.append(f"{thread}-{number}")

    threads = [threading.Thread(target=lambda n=n: asyncio.run(calls(n))) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(admitted) == 10


async def _nothing_spent(scope: str, since_ns: int) -> int:
    return 0


async def test_store_down_fails_closed_and_recovers() -> None:
    """While nobody knows what was spent, nothing is admitted; afterwards all is as ever."""
    clock = VirtualClock(autojump=False)
    down = True

    async def seed(scope: str, since_ns: int) -> int:
        if down:
            raise StateUnavailable("down")
        return 40

    ledger = MemoryLedger(clock, seed)
    with pytest.raises(StateUnavailable):
        await ledger.reserve(hold("a", 10, clock.now_ns()))
    down = False
    await ledger.reserve(hold("a", 60, clock.now_ns()))
    assert ledger.reserved_nanousd() == 60


async def test_the_store_is_asked_once_for_each_window() -> None:
    """The baseline is that of the window's start, and is read once."""
    clock = VirtualClock(autojump=False)
    asked: list[tuple[str, int]] = []

    async def seed(scope: str, since_ns: int) -> int:
        asked.append((scope, since_ns))
        return 0

    ledger = MemoryLedger(clock, seed)
    for number in range(3):
        await ledger.reserve(hold(f"a{number}", 1, clock.now_ns()))
    start_ns = clock.now_ns()
    await clock.advance(86_400)
    await ledger.reserve(hold("b", 1, clock.now_ns()))
    assert asked == [("key:a", start_ns), ("key:a", start_ns + 86_400 * 10**9)]


async def test_ledger_memory_is_bounded_over_time() -> None:
    """Leases of settled calls and accounts of past windows are forgotten."""
    clock = VirtualClock(autojump=False)
    ledger = MemoryLedger(clock, _nothing_spent)
    minute = Budget(scope="key:a", limit_nanousd=10**9, window="minute")
    for number in range(5_000):
        await ledger.reserve(hold(f"c{number}", 1, clock.now_ns(), minute, lease_s=1e9))
        ledger.settle(f"c{number}", 1, 1)
        clock.jump(clock.monotonic_ns() + 60 * 10**9)
    assert len(ledger._leases) < 2_000
    assert len(ledger._accounts) < 2_000


async def test_limits_memory_is_bounded_over_time() -> None:
    """Limits that nobody uses any more are forgotten."""
    clock = VirtualClock(autojump=False)
    limits = MemoryLimits(clock)
    for number in range(10_000):
        claims = [
            Claim(rate=Rate(scope=f"key:{number}", kind="requests", limit=10)),
            Claim(rate=Rate(scope=f"key:{number}", kind="tokens", limit=10), amount=5),
            Claim(rate=Rate(scope=f"key:{number}", kind="concurrency", limit=10)),
        ]
        await limits.acquire(claims)
        limits.release(claims, 5)
        clock.jump(clock.monotonic_ns() + 10**9)
    assert len(limits._cells) < 4_000
    assert not limits._open


async def test_tokens_that_leaked_away_do_not_come_back() -> None:
    """A claim that ends after its tokens have leaked gives nothing back that others have taken since."""
    clock = VirtualClock(autojump=False)
    limits = MemoryLimits(clock)
    rate = Rate(scope="key:a", kind="tokens", limit=100)
    slow, full = [Claim(rate=rate, amount=90)], [Claim(rate=rate, amount=100)]
    await limits.acquire(slow)
    await clock.advance(60)
    await limits.acquire(full)
    limits.release(slow, 1)
    with pytest.raises(RateLimited):
        await limits.acquire([Claim(rate=rate, amount=1)])
