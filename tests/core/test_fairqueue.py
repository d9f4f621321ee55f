from __future__ import annotations

from collections import Counter, defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core import fairqueue
from fairlead.core.fairqueue import Entry, FairQueue

TENANTS = st.sampled_from("abcde")
COSTS = st.integers(1, 1_000)
WEIGHTS = st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0, 10.0])
OPS = st.lists(
    st.one_of(
        st.tuples(st.just("push"), TENANTS, st.integers(0, 2), COSTS, WEIGHTS),
        st.tuples(st.just("take")),
        st.tuples(st.just("drop"), st.integers(0, 10**6)),
        st.tuples(st.just("charge"), TENANTS, st.integers(0, 2), st.integers(-2_000, 2_000)),
    ),
    max_size=80,
)


def serve(queue: FairQueue[str]) -> Entry[str]:
    entry = queue.peek()
    assert entry is not None
    queue.take(entry)
    return entry


def drained(queue: FairQueue[str]) -> list[str]:
    served = []
    while queue.peek() is not None:
        served.append(serve(queue).item)
    return served


class Played:
    """A run of operations on a queue, beside a list that says what must be in it."""

    def __init__(self, ops: list[tuple]) -> None:
        self.queue: FairQueue[int] = FairQueue()
        self.live: dict[int, Entry[int]] = {}
        self.made = 0
        for op in ops:
            getattr(self, op[0])(*op[1:])

    def push(self, tenant: str, priority: int, cost: int, weight: float) -> None:
        self.made += 1
        self.live[self.made] = self.queue.push(
            self.made, tenant=tenant, priority=priority, cost=cost, weight=weight, units=cost
        )

    def take(self) -> None:
        entry = self.queue.peek()
        assert (entry is None) == (not self.live)
        if entry is not None:
            assert entry.priority == min(each.priority for each in self.live.values())
            self.queue.take(entry)
            del self.live[entry.item]

    def drop(self, which: int) -> None:
        if self.live:
            number = sorted(self.live)[which % len(self.live)]
            self.queue.drop(self.live.pop(number))

    def charge(self, tenant: str, priority: int, cost: int) -> None:
        self.queue.charge(tenant, priority, cost)


@given(OPS)
def test_the_most_urgent_class_is_always_first(ops: list[tuple]) -> None:
    """However it is used, what is next is of the lowest number that has anything queued, and nothing is lost."""
    played = Played(ops)
    assert len(played.queue) == len(played.live)
    assert sorted(played.queue) == sorted(played.live)
    left = len(played.live)
    for _ in range(left):
        played.take()
    assert (len(played.queue), played.queue.peek()) == (0, None)


@given(OPS)
def test_one_tenants_entries_of_a_class_come_in_their_order(ops: list[tuple]) -> None:
    """First come, first served within a tenant."""
    played = Played(ops)
    queue, orders = played.queue, defaultdict(list)
    while (entry := queue.peek()) is not None:
        orders[id(entry.flow)].append(entry.item)
        queue.take(entry)
    assert all(order == sorted(order) for order in orders.values())


@given(
    st.dictionaries(TENANTS, st.tuples(WEIGHTS, st.lists(COSTS, min_size=1, max_size=5)), min_size=2),
    st.integers(1, 300),
)
def test_a_saturated_queue_serves_by_weight(tenants: dict[str, tuple[float, list[int]]], rounds: int) -> None:
    """While all have something queued, what each was served is its weighted share and at most one largest item more."""
    queue: FairQueue[str] = FairQueue()
    largest = max(cost for _, costs in tenants.values() for cost in costs)
    pushed: Counter[str] = Counter()

    def push(tenant: str) -> None:
        weight, costs = tenants[tenant]
        queue.push(tenant, tenant=tenant, weight=weight, cost=costs[pushed[tenant] % len(costs)])
        pushed[tenant] += 1

    for tenant in tenants:
        push(tenant)
        push(tenant)
    served = dict.fromkeys(tenants, 0.0)
    for _ in range(rounds):
        entry = serve(queue)
        served[entry.item] += entry.cost
        push(entry.item)
    share = min(served[tenant] / weight for tenant, (weight, _) in tenants.items())
    for tenant, (weight, _) in tenants.items():
        assert -1e-6 <= served[tenant] - share * weight <= largest + 1e-6


@given(
    st.lists(st.tuples(TENANTS, COSTS, WEIGHTS), min_size=1, max_size=20),
    st.lists(st.tuples(TENANTS, COSTS, WEIGHTS), max_size=20),
)
def test_what_is_cancelled_costs_nothing(kept: list[tuple], cancelled: list[tuple]) -> None:
    """The order of the others is the same as if it had never been queued."""
    weights = {tenant: weight for tenant, _, weight in (*cancelled, *kept)}
    plain: FairQueue[str] = FairQueue()
    other: FairQueue[str] = FairQueue()
    # Which of two equal tenants is first depends on who came first, so all are there from the beginning.
    for tenant, weight in weights.items():
        for queue in (plain, other):
            queue.push(tenant, tenant=tenant, weight=weight)
    gone = [other.push(f"{t} gone", tenant=t, cost=cost, weight=weights[t]) for t, cost, _ in cancelled]
    for tenant, cost, _ in kept:
        for queue in (plain, other):
            queue.push(f"{tenant} {cost}", tenant=tenant, cost=cost, weight=weights[tenant])
    for entry in gone:
        other.drop(entry)
        other.drop(entry)
        other.take(entry)
    assert drained(other) == drained(plain)


@given(OPS, TENANTS, st.integers(-1, 3), st.floats(1e-9, 1e9))
def test_what_is_ahead_is_between_nothing_and_everything(
    ops: list[tuple], tenant: str, priority: int, weight: float
) -> None:
    """Never negative, and never more than there is in this class and those before."""
    played = Played(ops)
    entries, units = played.queue.ahead(tenant, priority, weight)
    before = [each for each in played.live.values() if each.priority <= priority]
    assert 0 <= entries <= len(before)
    assert 0 <= units <= sum(each.units for each in before)
    urgent = [each for each in before if each.priority < priority]
    assert entries >= len(urgent)


@given(st.lists(st.tuples(TENANTS, st.floats(1e-9, 1e16), st.booleans()), max_size=30), TENANTS, st.floats(1e-9, 1e16))
def test_what_is_ahead_is_no_less_than_nothing_with_absurd_weights(
    pushed: list[tuple[str, float, bool]], tenant: str, weight: float
) -> None:
    """Sums of weights that differ by twenty-five orders of magnitude are not exact."""
    queue: FairQueue[str] = FairQueue()
    for name, each, stays in pushed:
        entry = queue.push(name, tenant=name, weight=each)
        if not stays:
            queue.drop(entry)
    entries, units = queue.ahead(tenant, 0, weight)
    assert 0 <= entries <= len(queue)
    assert 0 <= units <= len(queue)


def test_a_sum_of_weights_that_comes_out_below_nothing_is_no_share() -> None:
    """A tenant with a billionth of another's weight is not lost in the rounding of the sum."""
    queue: FairQueue[str] = FairQueue()
    queue.push("small", tenant="small", weight=1e-9)
    weights = (1e8, 2e8, 1e8 / 3)
    for entry in [queue.push("large", tenant=str(weight), weight=weight) for weight in weights]:
        queue.drop(entry)
    assert queue.ahead("small", 0, 1e-9) == (1, 1)


def test_cancelling_behind_one_that_waits_takes_no_memory() -> None:
    """Ten thousand that come and go while the first waits leave nothing behind."""
    queue: FairQueue[str] = FairQueue()
    queue.push("first", tenant="a")
    queue.push("second", tenant="a")
    for _ in range(10_000):
        queue.drop(queue.push("gone", tenant="a"))
    assert len(queue._classes[0].order) == 1
    assert drained(queue) == ["first", "second"]


def test_what_is_ahead_counts_a_tenants_own_and_its_share_of_others() -> None:
    """With equal weights, three of mine mean about three of another's before my next; of other classes, all or none."""
    queue: FairQueue[str] = FairQueue()
    for _ in range(10):
        queue.push("theirs", tenant="b", units=5)
    assert queue.ahead("a", 0, 1.0) == (0, 0)
    for _ in range(3):
        queue.push("mine", tenant="a", units=7)
    assert queue.ahead("a", 0, 1.0) == (6, 42)
    assert queue.ahead("a", 1, 1.0) == (13, 71)
    assert queue.ahead("a", -1, 1.0) == (0, 0)


def test_who_was_away_is_owed_nothing() -> None:
    """A tenant that comes back is served beside the others, not for as long as it was gone."""
    queue: FairQueue[str] = FairQueue()
    queue.push("b", tenant="b")
    serve(queue)
    for _ in range(100):
        queue.push("a", tenant="a")
    for _ in range(50):
        serve(queue)
    for _ in range(10):
        queue.push("b", tenant="b")
    assert Counter(drained(queue)[:20]) == {"a": 10, "b": 10}


def test_what_serving_took_in_the_end_is_charged() -> None:
    """Who was served more than was thought waits longer, also while something of it is queued; a refund is the other way."""
    queue: FairQueue[str] = FairQueue()
    for tenant in "abab":
        queue.push(tenant, tenant=tenant)
    assert serve(queue).item == "a"
    queue.charge("a", 0, 3.0)
    for tenant in "bbb":
        queue.push(tenant, tenant=tenant)
    assert drained(queue) == ["b", "b", "b", "b", "a", "b"]
    queue.charge("a", 0, -100.0)
    queue.charge("nobody", 0, 5.0)
    queue.charge("a", 7, 5.0)
    assert queue.peek() is None


def test_a_weight_may_change_while_something_waits() -> None:
    """The newest one counts, also for how much is ahead."""
    queue: FairQueue[str] = FairQueue()
    for tenant, weight in (("a", 1.0), ("b", 1.0), ("a", 3.0)):
        queue.push(tenant, tenant=tenant, weight=weight)
    for _ in range(20):
        for tenant, weight in (("a", 3.0), ("b", 1.0)):
            queue.push(tenant, tenant=tenant, weight=weight)
    assert queue.ahead("b", 0, 1.0)[0] == 43
    assert 14 <= Counter(drained(queue)[:20])["a"] <= 16


def test_only_so_many_idle_tenants_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million tenants that came once take no memory; who is ahead of the others still waits its turn."""
    monkeypatch.setattr(fairqueue, "_IDLE_KEPT", 8)
    queue: FairQueue[str] = FairQueue()
    queue.push("greedy", tenant="greedy", cost=1_000)
    serve(queue)
    for number in range(1_000):
        queue.push("once", tenant=f"t{number}")
        serve(queue)
    assert len(queue._classes[0].flows) <= 12
    queue.push("greedy", tenant="greedy")
    queue.push("once", tenant="new")
    assert drained(queue) == ["once", "greedy"]
