"""Providers in trouble: what they are still asked, and what callers notice.  The figures are promises."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from itertools import pairwise
from statistics import median

import pytest
from tests.simulate import trouble
from tests.simulate.house import House, key_of
from tests.simulate.loop import SimClock, run
from tests.simulate.trouble import failed, p95_s

from fairlead.errors import CircuitOpen

FLOOR = 3
OPEN_S = 15.0


def test_a_total_outage_is_not_made_worse():
    """Attempts stay within 1.2 times the calls and the floor, the breaker opens within 2 s, and lets go in time."""
    story = trouble.total_outage()
    calls, attempts = story.calls(5, 65), story.attempts(5, 65)
    openings, closings, until_s = story.openings["p/m"], story.closings["p/m"], story.open_until_s["p/m"]
    print(f"outage: {len(calls)} calls, {len(attempts)} attempts, open after {openings[0] - 5:.2f} s, ", end="")
    print(f"opened {len(openings)} times, closed {closings[0] - 65:.1f} s after its end")
    assert len(attempts) <= 1.2 * len(calls) + FLOOR
    assert openings[0] <= 5 + 2.0
    # It is left alone until the last opening is over; the probes after that find it well.
    assert openings[-1] <= 65.5
    assert len(closings) == 1
    assert closings[0] <= until_s[-1] + 2.0
    assert failed(story.calls(closings[0])) == 0


@pytest.mark.slow
def test_without_a_breaker_the_retry_budget_alone_keeps_attempts_down():
    """At most 1.2 attempts a call, of all calls so far, and the floor, which time alone refills every ten seconds."""
    story = trouble.total_outage(breaker=None, for_s=20.0, then_s=0.0)
    calls, attempts = story.calls(0, 25), story.attempts(0, 25)
    print(f"without a breaker: {len(calls)} calls, {len(attempts)} attempts, {len(attempts) / len(calls):.3f} a call")
    assert len(attempts) <= 1.2 * len(calls) + FLOOR * (1 + 25 / 10)
    assert len(story.attempts(5, 25)) > 1.1 * len(story.calls(5, 25)), "nothing was retried"


def test_a_refusal_costs_less_than_a_tenth_of_a_millisecond():
    """Through the whole pipeline, while the breaker is open: the median of many."""
    clock = SimClock()

    async def main() -> list[int]:
        house = House(clock, {}, lambda candidate: {"m": [candidate("p", retries=trouble.RETRIES)]})
        breaker = house.aliases["m"][0].lane.breaker
        while breaker.state == "closed":
            breaker.record(breaker.enter(clock.ns), clock.ns, ok=False)
        took: list[int] = []
        for _ in range(3_000):
            call = house.call("m", b"x" * 200, 100)
            began = time.perf_counter_ns()
            try:
                await house.run(call)
            except CircuitOpen:
                took.append(time.perf_counter_ns() - began)
        assert len(took) == 3_000
        return took

    us = median(run(main(), clock)) / 1_000
    print(f"a refusal takes {us:.1f} us")
    assert us < 100


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(flap, marks=pytest.mark.slow if name.endswith("every 4") else ())
        for name, flap in trouble.FLAPS.items()
    ],
    ids=["20s", "4s", "half"],
)
def test_flapping_does_not_make_the_breaker_flap(fault):
    """It opens at most once in the time that it stays open, half open it lets three probes through, and callers hardly
    notice."""
    story = trouble.flaps(fault)
    openings = story.openings["p/m"]
    gaps = [later - earlier for earlier, later in pairwise(openings)]
    probes = Counter(each.openings for each in story.attempts(provider="p", state="half_open"))
    most_probes = max(probes.values())
    print(f"flapping: opened {len(openings)} times in 300 s, at least {min(gaps):.1f} s apart, at most ", end="")
    print(f"{most_probes} probes at a time, {failed(story.results):.2%} of callers saw an error")
    assert min(gaps) >= 0.8 * OPEN_S
    assert most_probes <= 3
    assert failed(story.results) <= 0.001


def test_a_brown_out_moves_callers_on():
    """A provider that is slow is left alone within a few seconds of the first slow answer, and taken up again."""
    story = trouble.brown_out()
    opened, closed = story.openings["p/m"][0], story.closings["p/m"][0]
    during = story.calls(opened, 120)
    slow = [each for each in story.calls(30, 120) if each.took_s > 3.0]
    probes = story.attempts(opened, 120, provider="p")
    print(
        f"brown-out: open {opened - 30:.1f} s after it began, p95 to the first token then {p95_s(during):.2f} s, ",
        end="",
    )
    print(f"{len(slow)} slow calls, {len(probes)} of them after that, closed {closed - 120:.1f} s after its end")
    assert opened <= 30 + 8 + 3
    assert p95_s(during) <= 2.0
    assert len(probes) <= 3 * len(story.openings["p/m"])
    assert failed(story.results) == 0
    assert closed <= story.open_until_s["p/m"][-1] + 2.0


def test_one_overloaded_model_leaves_the_others_of_its_key_alone():
    """The healthy model's calls all succeed, as fast as before."""
    story = trouble.one_model_overloaded()
    before, during = story.calls(0, 30, "small"), story.calls(30, 90, "small")
    print(
        f"one model: the healthy one fails {failed(during):.2%}, p95 {p95_s(before):.2f} s before, {p95_s(during):.2f} s"
    )
    assert failed(story.calls(alias="small")) == 0
    assert p95_s(during) <= 1.2 * p95_s(before)
    assert "p/small" not in story.openings
    assert len(story.openings["p/big"]) >= 1
    assert all(each.attempts == 1 for each in story.calls(alias="small"))


def test_one_revoked_credential_of_three_is_hardly_noticed():
    """No caller sees an error, it is tried once a minute, and the other two carry the load in equal parts."""
    story = trouble.one_key_revoked()
    after = [story.attempts(31, key=key_of("p", name)) for name in "123"]
    counts = [len(each) for each in after]
    print(f"one key: {failed(story.results):.2%} of callers saw an error, attempts by key in 299 s {counts}")
    assert failed(story.results) == 0
    assert counts[0] <= 2 * 299 / 60
    assert abs(counts[1] - counts[2]) <= 0.1 * (counts[1] + counts[2])


def test_the_loop_notices_a_deadlock():
    """Where everybody waits for somebody else the simulation fails, and does not hang."""
    with pytest.raises(RuntimeError, match="everybody waits"):
        run(asyncio.Event().wait(), SimClock())
