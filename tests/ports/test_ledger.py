from __future__ import annotations

import asyncio

import pytest

from fairlead.errors import BudgetExceeded
from fairlead.ports import Hold, Ledger
from fairlead.testing import VirtualClock
from fairlead.types import Budget, Window

DAY_S = 86_400.0


def budget(limit: int, scope: str = "key:a", window: Window = "day") -> Budget:
    return Budget(scope=scope, limit_nanousd=limit, window=window)


def hold(
    clock: VirtualClock, call_id: str, amount: int, *budgets: Budget, attempt: int = 1, lease_s: float = 60
) -> Hold:
    return Hold(
        call_id=call_id,
        attempt=attempt,
        budgets=budgets or (budget(100),),
        amount_nanousd=amount,
        at_ns=clock.now_ns(),
        lease_s=lease_s,
    )


async def admits(ledger: Ledger, asked: Hold) -> bool:
    try:
        await ledger.reserve(asked)
    except BudgetExceeded:
        return False
    return True


async def test_hundred_parallel_calls_on_a_budget_for_ten(ledger: Ledger, time: VirtualClock) -> None:
    """Exactly ten of a hundred parallel reservations of a tenth each are admitted."""
    answers = await asyncio.gather(*(admits(ledger, hold(time, f"c{n}", 10)) for n in range(100)))
    assert sum(answers) == 10
    assert ledger.reserved_nanousd() == 100


async def test_settling_frees_what_was_not_used(ledger: Ledger, time: VirtualClock) -> None:
    """A reservation of 100 that cost 30 leaves 70."""
    await ledger.reserve(hold(time, "a", 100))
    ledger.settle("a", 1, 30)
    assert ledger.reserved_nanousd() == 0
    assert not await admits(ledger, hold(time, "b", 71))
    assert await admits(ledger, hold(time, "c", 70))


async def test_settling_twice_charges_once(ledger: Ledger, time: VirtualClock) -> None:
    """The second settlement of an attempt changes nothing."""
    await ledger.reserve(hold(time, "a", 100))
    ledger.settle("a", 1, 30)
    ledger.settle("a", 1, 30)
    assert await admits(ledger, hold(time, "b", 70))


async def test_settling_the_unknown_is_ignored(ledger: Ledger, time: VirtualClock) -> None:
    """A settlement of what was never reserved changes nothing."""
    ledger.settle("nobody", 1, 30)
    assert await admits(ledger, hold(time, "a", 100))


async def test_true_cost_above_the_reservation_is_charged(ledger: Ledger, time: VirtualClock) -> None:
    """An overshoot counts in full, and the next admission sees it."""
    await ledger.reserve(hold(time, "a", 10))
    ledger.settle("a", 1, 95)
    assert not await admits(ledger, hold(time, "b", 6))
    assert await admits(ledger, hold(time, "c", 5))


async def test_attempts_reserve_and_settle_apart(ledger: Ledger, time: VirtualClock) -> None:
    """Two attempts of one call are two reservations."""
    await ledger.reserve(hold(time, "a", 40))
    await ledger.reserve(hold(time, "a", 40, attempt=2))
    assert ledger.reserved_nanousd() == 80
    ledger.settle("a", 1, 0)
    assert ledger.reserved_nanousd() == 40


async def test_reserving_an_open_hold_again_changes_nothing(ledger: Ledger, time: VirtualClock) -> None:
    """A reservation delivered twice counts once."""
    await ledger.reserve(hold(time, "a", 60))
    await ledger.reserve(hold(time, "a", 60))
    assert ledger.reserved_nanousd() == 60


async def test_one_refusal_takes_nothing_elsewhere(ledger: Ledger, time: VirtualClock) -> None:
    """Where the team's budget refuses, nothing is taken from the key's."""
    wide, narrow = budget(100), budget(10, "team:t")
    with pytest.raises(BudgetExceeded, match="team:t"):
        await ledger.reserve(hold(time, "a", 50, wide, narrow))
    assert ledger.reserved_nanousd() == 0
    assert await admits(ledger, hold(time, "b", 100, wide))
    assert await admits(ledger, hold(time, "c", 10, narrow))


async def test_without_budgets_everything_is_admitted_and_counted(ledger: Ledger, time: VirtualClock) -> None:
    """A hold against no budget still shows among the open reservations."""
    await ledger.reserve(Hold(call_id="a", attempt=1, budgets=(), amount_nanousd=7, at_ns=time.now_ns()))
    assert ledger.reserved_nanousd() == 7
    ledger.settle("a", 1, 9)
    assert ledger.reserved_nanousd() == 0


async def test_spending_of_before_counts(ledger: Ledger, time: VirtualClock, spent: dict[str, int]) -> None:
    """What the store knows was spent in the window is not there to be spent again."""
    spent["key:a"] = 95
    assert not await admits(ledger, hold(time, "a", 6))
    assert await admits(ledger, hold(time, "b", 5))


async def test_a_lease_frees_what_nobody_settled(ledger: Ledger, time: VirtualClock) -> None:
    """A reservation lapses after its lease, once."""
    await ledger.reserve(hold(time, "a", 100, lease_s=60))
    await time.advance(59)
    assert not await admits(ledger, hold(time, "b", 1))
    await time.advance(2)
    assert ledger.reserved_nanousd() == 0
    assert await admits(ledger, hold(time, "c", 100))
    assert ledger.reserved_nanousd() == 100


async def test_a_hold_that_is_made_anew_has_a_lease_of_its_own(ledger: Ledger, time: VirtualClock) -> None:
    """The end of an earlier one of the same id, settled since, frees nothing."""
    await ledger.reserve(hold(time, "a", 10, lease_s=5))
    ledger.settle("a", 1, 0)
    await ledger.reserve(hold(time, "a", 100, lease_s=60))
    await time.advance(6)
    assert ledger.reserved_nanousd() == 100
    assert not await admits(ledger, hold(time, "b", 1))


async def test_settling_after_the_lease_charges_and_releases_nothing_twice(ledger: Ledger, time: VirtualClock) -> None:
    """A late settlement charges the true cost, and the reservation that lapsed is not released again."""
    await ledger.reserve(hold(time, "a", 100, lease_s=60))
    await time.advance(61)
    await ledger.reserve(hold(time, "b", 50))
    ledger.settle("a", 1, 40)
    assert ledger.reserved_nanousd() == 50
    assert not await admits(ledger, hold(time, "c", 11))
    assert await admits(ledger, hold(time, "d", 10))


async def test_a_new_window_starts_empty(ledger: Ledger, time: VirtualClock) -> None:
    """What was spent yesterday does not count today."""
    await ledger.reserve(hold(time, "a", 100))
    ledger.settle("a", 1, 100)
    assert not await admits(ledger, hold(time, "b", 1))
    await time.advance(DAY_S)
    assert await admits(ledger, hold(time, "c", 100))


async def test_a_call_is_charged_to_the_window_of_its_admission(ledger: Ledger, time: VirtualClock) -> None:
    """A stream that runs over midnight costs yesterday's budget."""
    await ledger.reserve(hold(time, "a", 100, lease_s=10 * DAY_S))
    await time.advance(DAY_S)
    ledger.settle("a", 1, 100)
    assert await admits(ledger, hold(time, "b", 100))


async def test_several_windows_of_one_scope(ledger: Ledger, time: VirtualClock) -> None:
    """Each window of a scope has its own account."""
    day, total = budget(100), budget(150, window="total")
    await ledger.reserve(hold(time, "a", 100, day, total))
    ledger.settle("a", 1, 100)
    await time.advance(DAY_S)
    with pytest.raises(BudgetExceeded, match="whole"):
        await ledger.reserve(hold(time, "b", 51, day, total))
    assert await admits(ledger, hold(time, "c", 50, day, total))


async def test_a_changed_limit_counts_at_once_and_forgets_nothing(ledger: Ledger, time: VirtualClock) -> None:
    """A budget raised or lowered keeps what was spent."""
    await ledger.reserve(hold(time, "a", 80))
    ledger.settle("a", 1, 80)
    assert not await admits(ledger, hold(time, "b", 1, budget(50)))
    assert await admits(ledger, hold(time, "c", 120, budget(200)))


async def test_a_wall_clock_set_back_gives_no_fresh_budget(ledger: Ledger, time: VirtualClock) -> None:
    """An hour's step within the day finds the same account."""
    await time.advance(7_200)
    await ledger.reserve(hold(time, "a", 100))
    time.step_wall(-3_600)
    assert not await admits(ledger, hold(time, "b", 1))
