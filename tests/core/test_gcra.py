from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.gcra import MINUTE_NS, Quota, check, quota, settle

quotas = st.builds(quota, st.integers(1, 200), burst=st.none() | st.integers(1, 50))
gaps = st.lists(st.tuples(st.integers(0, MINUTE_NS // 2), st.integers(1, 20)), max_size=60)


@given(quotas, gaps)
def test_never_more_than_limit_and_burst_in_any_period(limit: Quota, arrivals: list[tuple[int, int]]) -> None:
    """In no minute whatsoever are more units admitted than the limit and one burst."""
    now_ns, tat_ns, admitted = 0, None, []
    for gap_ns, amount in arrivals:
        now_ns += gap_ns
        decision = check(limit, tat_ns, now_ns, amount)
        tat_ns = decision.tat_ns
        if decision.allowed:
            admitted.append((now_ns, amount))
    for start_ns, _ in admitted:
        inside = sum(amount for at_ns, amount in admitted if start_ns <= at_ns < start_ns + MINUTE_NS)
        assert inside <= limit.limit + limit.burst


@given(quotas, gaps, st.integers(1, 60))
def test_waiting_as_told_succeeds(limit: Quota, arrivals: list[tuple[int, int]], amount: int) -> None:
    """After the stated wait the claim fits; a nanosecond before, it does not."""
    now_ns, tat_ns = 0, None
    for gap_ns, taken in arrivals:
        now_ns += gap_ns
        tat_ns = check(limit, tat_ns, now_ns, taken).tat_ns
    decision = check(limit, tat_ns, now_ns, amount)
    if decision.retry_after_ns is None:
        assert amount > limit.burst
        return
    assert check(limit, tat_ns, now_ns + decision.retry_after_ns, amount).allowed
    if not decision.allowed:
        assert not check(limit, tat_ns, now_ns + decision.retry_after_ns - 1, amount).allowed


@given(quotas, gaps)
def test_remaining_is_what_still_fits(limit: Quota, arrivals: list[tuple[int, int]]) -> None:
    """Exactly `remaining` units fit at this moment, and after `reset_ns` the whole burst does."""
    now_ns, tat_ns = 0, None
    for gap_ns, amount in arrivals:
        now_ns += gap_ns
        decision = check(limit, tat_ns, now_ns, amount)
        tat_ns = decision.tat_ns
        assert 0 <= decision.remaining <= limit.burst
        assert decision.remaining == 0 or check(limit, tat_ns, now_ns, decision.remaining).allowed
        assert not check(limit, tat_ns, now_ns, decision.remaining + 1).allowed
        assert check(limit, tat_ns, now_ns + decision.reset_ns, limit.burst).allowed


@given(quotas, gaps, st.integers(1, 50), st.integers(1, 5_000), st.integers(0, MINUTE_NS))
def test_what_was_used_beyond_a_claim_counts_like_a_claim(
    limit: Quota, arrivals: list[tuple[int, int]], claimed: int, beyond: int, lasted_ns: int
) -> None:
    """The TAT moves by exactly the excess, and after the stated wait, not before, the next unit fits."""
    now_ns, tat_ns = 0, None
    for gap_ns, amount in arrivals:
        now_ns += gap_ns
        tat_ns = check(limit, tat_ns, now_ns, amount).tat_ns
    before_ns = check(limit, tat_ns, now_ns + lasted_ns, 0).tat_ns
    now_ns += lasted_ns
    after_ns = settle(limit, tat_ns, now_ns, claimed=claimed, used=claimed + beyond, claimed_at_ns=now_ns - lasted_ns)
    assert after_ns == max(before_ns, now_ns) + beyond * limit.interval_ns
    decision = check(limit, after_ns, now_ns)
    assert decision.remaining >= 0
    assert decision.retry_after_ns is not None
    assert check(limit, after_ns, now_ns + decision.retry_after_ns).allowed
    if not decision.allowed:
        assert not check(limit, after_ns, now_ns + decision.retry_after_ns - 1).allowed


@given(quotas, gaps, st.data())
def test_a_refund_never_gives_more_than_was_claimed(
    limit: Quota, arrivals: list[tuple[int, int]], data: st.DataObject
) -> None:
    """A claim with a refund leaves no lower TAT than a claim for what was used would have."""
    now_ns = 1
    with_refund: int | None = None
    exact: int | None = None
    claimed = data.draw(st.integers(1, limit.burst))
    used = data.draw(st.integers(0, claimed))
    with_refund = check(limit, None, now_ns, claimed).tat_ns
    exact = check(limit, None, now_ns, used).tat_ns
    for gap_ns, amount in arrivals:
        now_ns += gap_ns
        step = check(limit, with_refund, now_ns, amount)
        with_refund = step.tat_ns
        if step.allowed:
            exact = check(limit, exact, now_ns, amount).tat_ns
    now_ns += data.draw(st.integers(0, MINUTE_NS))
    back = settle(limit, with_refund, now_ns, claimed=claimed, used=used, claimed_at_ns=1)
    assert max(back, now_ns) >= max(exact, now_ns)


def test_a_refund_at_once_is_whole() -> None:
    """Giving back at the moment of the claim restores all of it."""
    limit = quota(100)
    tat_ns = check(limit, None, 0, 100).tat_ns
    assert settle(limit, tat_ns, 0, claimed=100, used=10, claimed_at_ns=0) == check(limit, None, 0, 10).tat_ns


def test_exactly_the_limit_comes_at_once() -> None:
    """A limit that does not divide a minute still admits exactly its burst."""
    limit, tat_ns, admitted = quota(7), None, 0
    for _ in range(20):
        decision = check(limit, tat_ns, 0)
        tat_ns = decision.tat_ns
        admitted += decision.allowed
    assert admitted == 7


def test_more_than_a_burst_never_fits() -> None:
    """No wait is promised where none would help."""
    assert check(quota(5), None, 0, 6).retry_after_ns is None


@pytest.mark.parametrize("bad", [{"limit": 0}, {"limit": -1}, {"limit": 1, "burst": 0}])
def test_a_quota_is_at_least_one(bad: dict[str, int]) -> None:
    """A limit of nothing is no rate."""
    with pytest.raises(ValueError, match="at least 1"):
        quota(**bad)
