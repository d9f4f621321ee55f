from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.backoff import REFILL_NS, RetryBudget, full_jitter_s

ratios = st.sampled_from([0.0, 0.1, 0.2, 0.5, 1.0])
floors = st.integers(0, 5)
draws = st.floats(0, 1, exclude_max=True)
acts = st.sampled_from(["call", "retry"])


@given(st.integers(1, 10**9), st.floats(0, 1e9), st.floats(0, 1e9), draws)
def test_a_wait_lies_between_nothing_and_its_bound(retry: int, base_s: float, max_s: float, random: float) -> None:
    """Never negative, never beyond `max_s`, and never an overflow."""
    assert 0 <= full_jitter_s(retry, base_s=base_s, max_s=max_s, random=random) <= max_s


def test_the_bound_doubles_up_to_the_maximum() -> None:
    """1, 2, 4, 8, 16, 32, 60, 60 seconds with the usual settings."""
    near_one = 1 - sys.float_info.epsilon
    waits = [full_jitter_s(retry, base_s=1, max_s=60, random=near_one) for retry in range(1, 9)]
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60])


@given(st.integers(1, 30), draws)
def test_waits_are_spread_evenly_below_the_bound(retry: int, random: float) -> None:
    """The wait is the same share of the bound as the random number is of 1."""
    bound_s = full_jitter_s(retry, base_s=1, max_s=60, random=1.0)
    assert full_jitter_s(retry, base_s=1, max_s=60, random=random) == pytest.approx(random * bound_s)


@given(ratios, floors, st.lists(acts, max_size=200))
def test_at_one_moment_retries_are_a_share_of_the_calls(ratio: float, floor: int, order: list[str]) -> None:
    """While no time passes, attempts are at most (1 + ratio) * calls + floor."""
    budget, calls, retries = RetryBudget(ratio, floor), 0, 0
    for act in order:
        if act == "call":
            budget.deposit(0)
            calls += 1
        else:
            retries += budget.take(0)
        assert calls + retries <= (1 + ratio) * calls + floor + 1e-9


@given(ratios, floors, st.lists(st.tuples(acts, st.integers(0, REFILL_NS)), max_size=200))
def test_within_the_time_of_one_refill_there_are_two_floors(
    ratio: float, floor: int, steps: list[tuple[str, int]]
) -> None:
    """In the first 10 s, retries are at most ratio * calls + 2 * floor."""
    budget, calls, retries, now_ns = RetryBudget(ratio, floor), 0, 0, 0
    for act, gap_ns in steps:
        now_ns += gap_ns
        if now_ns > REFILL_NS:
            return
        if act == "call":
            budget.deposit(now_ns)
            calls += 1
        else:
            retries += budget.take(now_ns)
        assert retries <= ratio * calls + 2 * floor + 1e-9


@given(ratios, floors, st.lists(st.tuples(acts, st.integers(0, 4_000_000_000), st.integers(1, 30)), max_size=80))
def test_a_long_healthy_time_does_not_pay_for_a_storm(
    ratio: float, floor: int, steps: list[tuple[str, int, int]]
) -> None:
    """In no 10 s are there more retries than the share of the calls of these and the 10 s before, and two floors."""
    budget, now_ns = RetryBudget(ratio, floor), 0
    calls: list[int] = []
    retries: list[int] = []
    for act, gap_ns, times in steps:
        now_ns += gap_ns
        for _ in range(times):
            if act == "call":
                budget.deposit(now_ns)
                calls.append(now_ns)
            elif budget.take(now_ns):
                retries.append(now_ns)
    for start_ns in retries:
        inside = sum(start_ns <= at_ns <= start_ns + REFILL_NS for at_ns in retries)
        paid = sum(start_ns - REFILL_NS <= at_ns <= start_ns + REFILL_NS for at_ns in calls)
        assert inside <= ratio * paid + 2 * floor + 1e-9


@given(floors, st.integers(0, 10**15), st.integers(0, 50))
def test_rare_calls_may_be_retried(floor: int, at_ns: int, spent: int) -> None:
    """However much was taken, the floor is there again after 10 s, and no more than it."""
    budget = RetryBudget(0.2, floor)
    for _ in range(spent):
        budget.take(at_ns)
    later_ns = at_ns + REFILL_NS
    assert sum(budget.take(later_ns) for _ in range(floor + 1)) == floor


def test_the_refill_is_even() -> None:
    """With a floor of 3, one retry comes back every 10/3 s."""
    budget = RetryBudget(floor=3)
    assert [budget.take(0) for _ in range(4)] == [True, True, True, False]
    assert not budget.take(3_333_333_333)
    assert budget.take(3_333_333_334)


def test_calls_of_the_span_before_still_count() -> None:
    """A healthy second pays for retries a few seconds later, and no longer half a minute later."""

    def after(gap_ns: int) -> int:
        budget = RetryBudget(0.2, 3)
        for _ in range(100):
            budget.deposit(4_999_999_999)
        return sum(budget.take(4_999_999_999 + gap_ns) for _ in range(100))

    assert [after(0), after(1_000_000_000), after(6_000_000_000), after(30_000_000_000)] == [23, 23, 3, 3]


def test_a_clock_that_goes_back_changes_nothing() -> None:
    """Two threads may come in the other order than they looked at the clock."""
    budget = RetryBudget(floor=1)
    assert budget.take(REFILL_NS)
    assert not budget.take(0)
    assert not budget.take(REFILL_NS)


@pytest.mark.parametrize("bad", [{"ratio": -0.1}, {"floor": -1}, {"ratio": float("inf")}, {"ratio": float("nan")}])
def test_a_budget_of_less_than_nothing_is_refused(bad: dict[str, float]) -> None:
    """Neither part may be negative, and the ratio is a number."""
    with pytest.raises(ValueError, match="0 or more"):
        RetryBudget(**bad)
