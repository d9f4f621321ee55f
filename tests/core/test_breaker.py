from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fairlead.core.breaker import PROBING_NS, Breaker, Policy
from fairlead.testing import SeededRng

S = 1_000_000_000
POLICY = Policy()
draws = st.floats(0, 1, exclude_max=True)


def call(breaker: Breaker, now_ns: int, *, ok: bool, **rest: Any) -> bool:
    """One call from start to end at one moment; whether it was let through."""
    place = breaker.enter(now_ns)
    if place:
        breaker.record(place, now_ns, ok=ok, **rest)
    return bool(place)


def opened(policy: Policy = POLICY, *, now_ns: int = 0, **rest: Any) -> Breaker:
    """A breaker after just enough failures in a row."""
    breaker = Breaker(policy)
    for _ in range(policy.consecutive):
        call(breaker, now_ns, ok=False, **rest)
    assert breaker.state == "open"
    return breaker


class Interleaved(RuleBasedStateMachine):
    """Calls that begin and end in any order, over any time."""

    def __init__(self) -> None:
        super().__init__()
        self.policy = Policy(min_calls=4, consecutive=3, open_s=10, max_open_s=60, probes=2)
        self.breaker = Breaker(self.policy)
        self.now_ns = 0
        self.inside: list[int] = []
        self.probing: set[int] = set()
        self.since_ns = 0
        self.openings: list[tuple[int, int]] = []

    @rule(gap_s=st.floats(0, 40))
    def time_passes(self, gap_s: float) -> None:
        self.now_ns += int(gap_s * S)

    @rule()
    def a_call_comes(self) -> None:
        before, blocked_ns = self.breaker.state, self.breaker.blocked_ns(self.now_ns)
        place = self.breaker.enter(self.now_ns)
        assert bool(place) == (blocked_ns == 0)
        if place:
            self.inside.append(place)
        if place and self.breaker.state == "half_open":
            if before == "open" or self.now_ns - self.since_ns >= self.policy.max_open_s * S:
                self.since_ns = self.now_ns
                self.probing = set()
            self.probing.add(place)

    @precondition(lambda self: self.inside)
    @rule(data=st.data(), ok=st.booleans(), random=draws, hint_s=st.none() | st.floats(0, 90))
    def a_call_ends(self, data: st.DataObject, ok: bool, random: float, hint_s: float | None) -> None:
        place = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        before, since_ns, until_ns = self.breaker.state, self.breaker.opened_at_ns, self.breaker.blocked_ns(self.now_ns)
        self.breaker.record(place, self.now_ns, ok=ok, random=random, hint_s=hint_s)
        if before == "half_open" and place not in self.probing:
            assert self.breaker.state == "half_open"
        if before == "open":
            assert (self.breaker.state, self.breaker.opened_at_ns) == ("open", since_ns)
            assert self.breaker.blocked_ns(self.now_ns) == until_ns
        elif self.breaker.state == "open":
            assert not ok
            self.openings.append((self.now_ns, self.breaker.blocked_ns(self.now_ns)))
        self.probing.discard(place)

    @precondition(lambda self: self.inside)
    @rule(data=st.data())
    def a_call_says_nothing(self, data: st.DataObject) -> None:
        place = self.inside.pop(data.draw(st.integers(0, len(self.inside) - 1)))
        before = self.breaker.state
        self.breaker.leave(place)
        self.probing.discard(place)
        assert self.breaker.state == before

    @invariant()
    def few_probes_are_inside(self) -> None:
        """Never more than `probes` while half open."""
        if self.breaker.state != "half_open":
            self.probing = set()
        assert len(self.probing) <= self.policy.probes

    @invariant()
    def nothing_is_blocked_while_closed(self) -> None:
        """Closed means that every call goes, and that there is no opening to speak of."""
        if self.breaker.state == "closed":
            assert self.breaker.blocked_ns(self.now_ns) == 0
            assert self.breaker.opened_at_ns is None
        else:
            assert self.breaker.opened_at_ns is not None

    @invariant()
    def openings_do_not_overlap(self) -> None:
        """It opens at most once per open interval, and an interval is of the promised length."""
        for (first_ns, length_ns), (second_ns, _) in zip(self.openings, self.openings[1:], strict=False):
            assert second_ns >= first_ns + length_ns
        for _, length_ns in self.openings:
            assert 0.79 * self.policy.open_s * S <= length_ns <= 1.21 * self.policy.max_open_s * S


TestInterleaved = Interleaved.TestCase


@given(st.lists(st.tuples(st.integers(0, 5 * S), st.integers(0, 3)), max_size=200))
def test_a_callers_errors_never_open_it(steps: list[tuple[int, int]]) -> None:
    """However many calls end without a word about the provider, and whatever lies between them, it stays closed."""
    breaker, now_ns = Breaker(), 0
    for gap_ns, wrong in steps:
        now_ns += gap_ns
        for _ in range(wrong):
            breaker.leave(breaker.enter(now_ns))
        call(breaker, now_ns, ok=True)
        assert breaker.state == "closed"


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.floats(0.1, 5))
def test_u19_flapping_opens_at_most_once_per_open_interval(seed: int, every_s: float) -> None:
    """U19: with every second call failing by chance it opens at most once in `open_s`, less the jitter, for ten minutes."""
    rng = SeededRng(seed)
    breaker, now_ns, openings = Breaker(), 0, 0
    while now_ns < 600 * S:
        before_ns = breaker.opened_at_ns
        call(breaker, now_ns, ok=rng.random() < 0.5, random=rng.random())
        openings += breaker.opened_at_ns is not None and breaker.opened_at_ns != before_ns
        now_ns += int(every_s * S)
    assert openings <= 600 / (0.8 * POLICY.open_s) + 1


@given(st.lists(st.tuples(st.integers(0, 60 * S), st.integers(0, 2), draws), max_size=150), st.floats(0.1, 10))
def test_it_recovers_once_the_provider_is_well(steps: list[tuple[int, int, float]], every_s: float) -> None:
    """After any past, lost calls included, it is closed again soon after the provider is well for good."""
    breaker, now_ns = Breaker(), 0
    for gap_ns, what, draw in steps:
        now_ns += gap_ns
        place = breaker.enter(now_ns)
        if place and what < 2:
            breaker.record(place, now_ns, ok=bool(what), random=draw)
    well_ns = now_ns
    while breaker.state != "closed":
        call(breaker, now_ns, ok=True)
        now_ns += int(every_s * S)
    assert now_ns - well_ns <= (1.2 * POLICY.max_open_s + (POLICY.probes + 1) * every_s) * S


def test_it_opens_after_failures_in_a_row() -> None:
    """Five in a row are enough, four are not, and a success starts the count again."""
    breaker = Breaker()
    for ok in (False, False, False, False, True, False, False, False, False):
        call(breaker, 0, ok=ok)
    # Eight of nine failed, but nine are too few to speak of a share.
    assert breaker.state == "closed"
    call(breaker, 0, ok=False)
    assert breaker.state == "open"
    assert breaker.opened_at_ns == 0


def test_it_opens_at_a_share_of_failures() -> None:
    """Half of ten calls are enough, also when no two failures come after each other."""
    breaker = Breaker()
    for turn in range(10):
        assert breaker.state == "closed"
        call(breaker, 0, ok=turn % 2 == 0)
    assert breaker.state == "open"


def test_failures_below_the_share_keep_it_closed() -> None:
    """Two of five failing for long is a nuisance and no outage."""
    breaker = Breaker()
    for turn in range(500):
        call(breaker, turn * S // 10, ok=turn % 5 not in (0, 2))
    assert breaker.state == "closed"


def test_failures_that_left_the_window_do_not_count() -> None:
    """What failed more than `window_s` ago is forgotten."""
    policy = Policy(consecutive=100, min_calls=8)

    def after(gap_s: int) -> str:
        breaker = Breaker(policy)
        for _ in range(7):
            call(breaker, 0, ok=False)
        call(breaker, gap_s * S, ok=False)
        return breaker.state

    assert [after(0), after(26), after(30), after(3_000)] == ["open", "open", "closed", "closed"]


def test_the_window_slides_in_steps() -> None:
    """Old calls leave it bit by bit, and what is younger stays."""
    breaker = Breaker(Policy(consecutive=100, min_calls=8, failure_rate=1))
    call(breaker, 0, ok=True)
    for second in range(5, 12):
        call(breaker, second * S, ok=False)
    assert breaker.state == "closed"
    call(breaker, 31 * S, ok=False)
    assert breaker.state == "open"


def test_a_clock_that_goes_back_counts_as_now() -> None:
    """Two threads may come in the other order than they looked at the clock."""
    breaker = Breaker()
    call(breaker, 100 * S, ok=True)
    for _ in range(5):
        call(breaker, 99 * S, ok=False)
    assert breaker.state == "open"


def test_slow_successes_are_failures() -> None:
    """With `slow_s`, what takes so long counts against the provider; without it, time does not matter."""
    for slow_s, state in ((2.0, "open"), (None, "closed")):
        breaker = Breaker(Policy(slow_s=slow_s))
        for _ in range(5):
            call(breaker, 0, ok=True, took_s=2.0)
        assert breaker.state == state
    quick = Breaker(Policy(slow_s=2.0))
    for _ in range(5):
        call(quick, 0, ok=True, took_s=1.99)
    assert quick.state == "closed"


def test_an_open_breaker_says_for_how_long() -> None:
    """Calls are refused until its time is over, and told how long that is."""
    breaker = opened(now_ns=7 * S)
    assert breaker.blocked_ns(7 * S) == 15 * S
    assert breaker.blocked_ns(20 * S) == 2 * S
    assert breaker.enter(22 * S - 1) == 0
    assert breaker.state == "open"
    assert breaker.blocked_ns(22 * S) == 0
    assert breaker.enter(22 * S)
    assert breaker.state == "half_open"


@given(draws)
def test_the_open_time_is_jittered_by_a_fifth(draw: float) -> None:
    """Processes that opened together do not all probe at once."""
    blocked_ns = opened(random=draw).blocked_ns(0)
    assert 0.8 * 15 * S - 1 <= blocked_ns <= 1.2 * 15 * S
    assert blocked_ns == pytest.approx((0.8 + 0.4 * draw) * 15 * S)


def test_each_opening_in_a_row_is_longer() -> None:
    """15, 30, 45 seconds and so on, up to five minutes; after it was closed it begins anew."""
    breaker, now_ns, lengths = opened(), 0, []
    for _ in range(25):
        wait_ns = breaker.blocked_ns(now_ns)
        lengths.append(wait_ns // S)
        now_ns += wait_ns
        assert call(breaker, now_ns, ok=False)
    assert lengths == [min(15 * (turn + 1), 300) for turn in range(25)]
    now_ns += breaker.blocked_ns(now_ns)
    for _ in range(3):
        assert call(breaker, now_ns, ok=True)
    assert breaker.state == "closed"
    for _ in range(5):
        call(breaker, now_ns, ok=False)
    assert breaker.blocked_ns(now_ns) == 15 * S


@pytest.mark.parametrize(("hint_s", "blocked_s"), [(None, 15), (0.0, 15), (2.0, 15), (40.0, 40), (86_400.0, 300)])
def test_the_providers_hint_makes_it_longer(hint_s: float | None, blocked_s: int) -> None:
    """It never stays open for less than the provider asks, but for no more than `max_open_s`."""
    assert opened(hint_s=hint_s).blocked_ns(0) == blocked_s * S


def test_probes_come_by_threes_at_most() -> None:
    """The fourth is refused and told to ask again soon; a probe that ends without a word makes room."""
    breaker = opened()
    places = [breaker.enter(15 * S) for _ in range(4)]
    assert [bool(place) for place in places] == [True, True, True, False]
    assert breaker.blocked_ns(15 * S) == PROBING_NS
    breaker.leave(places[0])
    assert breaker.blocked_ns(15 * S) == 0
    assert breaker.enter(15 * S)


def test_all_probes_have_to_succeed() -> None:
    """Two successes do not close it, one failure opens it, and the probes still under way no longer matter."""
    breaker = opened()
    first, second, third = (breaker.enter(15 * S) for _ in range(3))
    breaker.record(first, 16 * S, ok=True)
    breaker.record(second, 16 * S, ok=False)
    assert (breaker.state, breaker.blocked_ns(16 * S)) == ("open", 30 * S)
    breaker.record(third, 17 * S, ok=False)
    assert (breaker.state, breaker.blocked_ns(16 * S)) == ("open", 30 * S)
    later = [breaker.enter(46 * S) for _ in range(3)]
    assert all(later)
    for place in later:
        assert breaker.state == "half_open"
        breaker.record(place, 47 * S, ok=True)
    assert breaker.state == "closed"


def test_late_outcomes_disturb_nothing() -> None:
    """Calls from before the opening are forgotten: while open, half open, and after it was closed again."""
    breaker = Breaker()
    old = [breaker.enter(0) for _ in range(20)]
    for _ in range(5):
        call(breaker, 0, ok=False)
    breaker.record(old.pop(), 1 * S, ok=True)
    assert breaker.state == "open"
    probe = breaker.enter(15 * S)
    breaker.record(old.pop(), 16 * S, ok=False)
    breaker.record(old.pop(), 16 * S, ok=True)
    breaker.leave(old.pop())
    assert breaker.state == "half_open"
    breaker.record(probe, 16 * S, ok=True)
    assert all(call(breaker, 16 * S, ok=True) for _ in range(2))
    assert breaker.state == "closed"
    for place in old:
        breaker.record(place, 17 * S, ok=False)
    assert breaker.state == "closed"


def test_a_place_is_given_back_once() -> None:
    """A second outcome of the same probe changes nothing."""
    breaker = opened()
    place = breaker.enter(15 * S)
    for _ in range(5):
        breaker.record(place, 15 * S, ok=True)
        breaker.leave(place)
    assert breaker.state == "half_open"


def test_no_place_is_no_outcome() -> None:
    """What was refused says nothing, whatever its caller records."""
    breaker = opened()
    breaker.record(0, 0, ok=False)
    assert breaker.blocked_ns(0) == 15 * S


def test_lost_probes_do_not_wedge_it() -> None:
    """Probes that never end are given up after `max_open_s`; what they say later is forgotten."""
    breaker = opened()
    lost = [breaker.enter(15 * S) for _ in range(3)]
    assert breaker.enter(314 * S) == 0
    assert breaker.blocked_ns(315 * S) == 0
    fresh = [breaker.enter(315 * S) for _ in range(4)]
    assert [bool(place) for place in fresh] == [True, True, True, False]
    for place in lost:
        breaker.record(place, 316 * S, ok=False)
    assert breaker.state == "half_open"


@pytest.mark.parametrize(
    "bad",
    [
        {"failure_rate": 0},
        {"failure_rate": 1.1},
        {"min_calls": 0},
        {"consecutive": 0},
        {"probes": 0},
        {"window_s": 0},
        {"window_s": float("inf")},
        {"open_s": 0},
        {"open_s": float("nan")},
        {"open_s": 301},
        {"max_open_s": float("inf")},
        {"slow_s": 0},
    ],
)
def test_a_policy_out_of_range_is_refused(bad: dict[str, Any]) -> None:
    """Each value has a range, and the message names the one that is out of it."""
    with pytest.raises(ValueError, match=f"`{next(iter(bad))}`"):
        Policy(**bad)


def test_a_policy_can_be_read_from_a_configuration() -> None:
    """Its fields are the names that people write; an unknown one is a mistake."""
    assert msgspec.convert({"consecutive": 3, "open_s": 5}, Policy) == Policy(consecutive=3, open_s=5)
    with pytest.raises(msgspec.ValidationError, match="tries"):
        msgspec.convert({"tries": 3}, Policy)
