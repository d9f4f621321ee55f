"""The line before a provider: who waits how long for its limits, and who goes first; all in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairlead.core.lane import Lane
from fairlead.core.pacing import Pacing
from fairlead.core.ratelimits import Told
from fairlead.errors import CircuitOpen, StateUnavailable, UpstreamRateLimited
from fairlead.line import Ask, Line, Turn
from fairlead.ports import Claim, Limits, Standing
from fairlead.stores.memory import MemoryLimits
from fairlead.testing import VirtualClock
from fairlead.types import Rate
from virtual import virtual

NS = 1_000_000_000


@dataclass
class Rig:
    """A line, and when each of those who asked it got through."""

    clock: VirtualClock
    pacing: Pacing
    limits: Any = None
    lane: Lane = field(default_factory=lambda: Lane("p/m"))
    through: list[tuple[str, float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.limits = Counting(MemoryLimits(self.clock)) if self.limits is None else self.limits
        self.pumps: set[asyncio.Task[None]] = set()
        self.line = Line(self.lane, self.limits, self.clock, self._spawn)
        self.line.follow(self.pacing)
        self.began_ns = self.clock.monotonic_ns()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.pumps.add(asyncio.get_running_loop().create_task(work))

    @property
    def now_s(self) -> float:
        return (self.clock.monotonic_ns() - self.began_ns) / NS

    async def turn(
        self,
        name: str = "",
        *,
        tenant: str = "t",
        priority: int = 0,
        weight: float = 1.0,
        prompt: int = 1,
        output: int | None = 0,
        within_s: float = 10_000.0,
    ) -> Turn:
        until_ns = self.clock.monotonic_ns() + round(within_s * NS)
        ask = Ask(
            tenant=tenant,
            priority=priority,
            weight=weight,
            prompt_tokens=prompt,
            output_tokens=output,
            until_ns=until_ns,
        )
        turn = await self.line.turn(ask)
        self.through.append((name, round(self.now_s, 6)))
        return turn

    def begin(self, name: str = "", **ask: Any) -> asyncio.Task[Turn]:
        return asyncio.get_running_loop().create_task(self.turn(name, **ask))

    async def begun(self, *names: str, **ask: Any) -> list[asyncio.Task[Turn]]:
        """Ask in this order, and let all come as far as they get at once."""
        tasks = [self.begin(name, **ask) for name in names]
        await settle()
        return tasks

    async def over(self) -> None:
        """Nobody waits any more, and nothing of the line goes on."""
        assert len(self.line) == 0
        await asyncio.gather(*self.pumps)


class Counting:
    """Limits that remember what is held of them, and can be made to fail or to call back."""

    def __init__(self, inner: Limits) -> None:
        self.inner = inner
        self.held: list[Sequence[Claim]] = []
        self.given_back: list[int | None] = []
        self.asked = 0
        self.error: Exception | None = None
        self.acquired: Callable[[], None] = lambda: None

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Standing]:
        self.asked += 1
        if self.error is not None:
            raise self.error
        standings = await self.inner.acquire(claims)
        self.held.append(claims)
        self.acquired()
        return standings

    def release(self, claims: Sequence[Claim], used_tokens: int | None) -> None:
        if claims:
            self.held = [each for each in self.held if each is not claims]
            self.given_back.append(used_tokens)
        self.inner.release(claims, used_tokens)


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def refused(asked: Awaitable[Turn]) -> UpstreamRateLimited:
    with pytest.raises(UpstreamRateLimited) as caught:
        await asked
    return caught.value


# --- how long ---


@virtual
async def test_without_limits_nobody_waits(clock: VirtualClock) -> None:
    """And nothing is claimed, nor any task begun."""
    rig = Rig(clock, Pacing())
    await asyncio.gather(*(rig.turn() for _ in range(100)))
    assert (rig.now_s, rig.pumps, rig.limits.asked) == (0.0, set(), 0)


@virtual
async def test_calls_go_out_as_the_limit_of_requests_says(clock: VirtualClock) -> None:
    """Of 60 a minute ten at once, a sixth, and then one each second to the microsecond."""
    rig = Rig(clock, Pacing(rpm=60))
    await asyncio.gather(*(rig.turn() for _ in range(25)))
    times = [at_s for _, at_s in rig.through]
    assert times == pytest.approx([0.0] * 10 + [float(second) for second in range(1, 16)], abs=1e-5)
    await rig.over()


@virtual
async def test_calls_go_out_as_the_limit_of_tokens_says(clock: VirtualClock) -> None:
    """360 tokens a minute are a call of 30 every five seconds, after the first two, which are a sixth of it."""
    rig = Rig(clock, Pacing(tpm=360))
    await asyncio.gather(*(rig.turn(prompt=20, output=10) for _ in range(4)))
    assert [at_s for _, at_s in rig.through] == pytest.approx([0, 0, 5, 10], abs=1e-5)
    await rig.over()


@virtual
async def test_the_tighter_of_two_limits_counts(clock: VirtualClock) -> None:
    """Nothing is taken of one limit while the other refuses."""
    rig = Rig(clock, Pacing(rpm=6_000, tpm=360))
    await asyncio.gather(*(rig.turn(prompt=60) for _ in range(3)))
    assert [at_s for _, at_s in rig.through] == pytest.approx([0, 10, 20], abs=1e-5)


@virtual
async def test_an_end_lets_the_next_one_in_at_once(clock: VirtualClock) -> None:
    """Under a limit of concurrency nobody waits for a timer once a place is free."""
    rig = Rig(clock, Pacing(concurrency=2))
    first, _ = await rig.turn("a"), await rig.turn("b")
    waiting = rig.begin("c")
    await clock.sleep(0.1)
    rig.line.over(first, None, {})
    await waiting
    assert rig.through[-1] == ("c", pytest.approx(0.1))
    await rig.over()


@virtual
async def test_a_place_that_another_process_gives_back_is_found(clock: VirtualClock) -> None:
    """Where limits are shared nobody tells, so it is looked four times a second."""
    limits = Counting(MemoryLimits(clock))
    rig = Rig(clock, Pacing(concurrency=1), limits)
    elsewhere = [Claim(rate=Rate(scope="target:p/m", kind="concurrency", limit=1))]
    await limits.acquire(elsewhere)
    waiting = rig.begin()
    await clock.sleep(1.1)
    limits.release(elsewhere, None)
    await waiting
    assert 1.1 < rig.now_s <= 1.36


@virtual
async def test_a_provider_that_asked_for_a_moment_gets_it(clock: VirtualClock) -> None:
    """Who comes while it cools waits for just that long (U4)."""
    rig = Rig(clock, Pacing())
    rig.lane.set_aside("cooling", clock.monotonic_ns(), 3)
    await rig.turn()
    assert rig.now_s == pytest.approx(3)


@virtual
async def test_a_pace_that_refusals_taught_is_kept(clock: VirtualClock) -> None:
    """After a 429 at two a second calls go out at 1.8 a second, the first two of them at once."""
    rig = Rig(clock, Pacing(learn=True))
    for _ in range(20):
        rig.line.aimd.send(clock.monotonic_ns(), held_back=False)
        await clock.sleep(0.5)
    rig.line.aimd.refused(clock.monotonic_ns())
    rig.began_ns = clock.monotonic_ns()
    await asyncio.gather(*(rig.turn() for _ in range(20)))
    assert 8.5 < rig.now_s < 11


# --- who first ---


@virtual
async def test_the_more_urgent_go_first(clock: VirtualClock) -> None:
    """Whenever they came."""
    rig = Rig(clock, Pacing(rpm=6))
    await rig.turn("first")
    tasks = await rig.begun("background", priority=2)
    tasks += await rig.begun("batch", priority=1)
    tasks += await rig.begun("one", "two", priority=0)
    await asyncio.gather(*tasks)
    assert [name for name, _ in rig.through] == ["first", "one", "two", "batch", "background"]
    assert rig.through[-1][1] == pytest.approx(40, abs=1e-5)


@virtual
async def test_tenants_share_by_their_weights(clock: VirtualClock) -> None:
    """Of twenty places three quarters go to the tenant with three times the weight, though it came last."""
    rig = Rig(clock, Pacing(rpm=60, max_wait_s=600))
    for _ in range(10):
        await rig.turn("burst", tenant="x")
    tasks = await rig.begun(*["a"] * 30, tenant="a")
    tasks += await rig.begun(*["b"] * 30, tenant="b", weight=3.0)
    await asyncio.gather(*tasks)
    first = [name for name, _ in rig.through[10:30]]
    assert 14 <= first.count("b") <= 16


@virtual
async def test_a_call_that_used_more_than_expected_costs_its_tenant_its_turn(clock: VirtualClock) -> None:
    """What was used is what counts for fairness, once it is known."""
    rig = Rig(clock, Pacing(tpm=60_000, concurrency=1))
    first = await rig.turn("first", prompt=100)
    tasks = await rig.begun("a", "a", tenant="a", prompt=100)
    tasks += await rig.begun("b", "b", "b", tenant="b", prompt=100)
    rig.line.over(first, 100, {})
    for used in (300, 100, 100, 100, 100):
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        (task,) = done
        tasks.remove(task)
        rig.line.over(task.result(), used, {})
        await settle()
    assert [name for name, _ in rig.through] == ["first", "a", "b", "b", "b", "a"]


# --- too late ---


@virtual
async def test_a_call_that_would_wait_too_long_is_refused_at_once(clock: VirtualClock) -> None:
    """It does not wait out its deadline in vain, and after the wait that it is told it gets through."""
    rig = Rig(clock, Pacing(rpm=60))
    tasks = await rig.begun(*["a"] * 30)
    error = await refused(rig.turn("b", within_s=5))
    assert rig.now_s == 0
    assert error.retry_after_s is not None
    assert 15 <= error.retry_after_s <= 21
    assert "allow it more time" in error.message
    await clock.sleep(error.retry_after_s)
    await rig.turn("b", within_s=5)
    await asyncio.gather(*tasks)


@virtual
async def test_how_long_places_are_held_says_how_long_it_would_take(clock: VirtualClock) -> None:
    """Of calls of ten seconds, one at a time, the fifth in line has no chance to begin within half a minute."""
    rig = Rig(clock, Pacing(concurrency=1))

    async def one() -> None:
        turn = await rig.turn()
        await clock.sleep(10)
        rig.line.over(turn, None, {})

    await one()
    others = [asyncio.get_running_loop().create_task(one()) for _ in range(5)]
    await settle()
    began_s = rig.now_s
    error = await refused(rig.turn(within_s=30))
    assert (rig.now_s, error.retry_after_s) == (began_s, 40)
    await asyncio.gather(*others)


@virtual
async def test_the_longest_wait_is_the_operators(clock: VirtualClock) -> None:
    """However long the caller would wait, `max_wait_s` is the end; also where nobody else waits."""
    rig = Rig(clock, Pacing(rpm=6, max_wait_s=4))
    await rig.turn()
    error = await refused(rig.turn())
    assert (rig.now_s, error.retry_after_s) == (0, pytest.approx(10, abs=0.01))
    await clock.sleep(6.5)
    await rig.turn()
    assert rig.now_s == pytest.approx(10, abs=1e-5)


@pytest.mark.parametrize(
    "pacing",
    [
        Pacing(rpm=120, max_wait_s=600),
        Pacing(tpm=1_200, max_wait_s=600),
        Pacing(concurrency=3, max_wait_s=600),
        Pacing(rpm=6_000, tpm=600, max_wait_s=600),
        Pacing(learn=True, max_wait_s=600),
    ],
    ids=["requests", "tokens", "concurrency", "both", "learnt pace"],
)
@pytest.mark.parametrize("waiting", [0, 3, 40])
def test_waiting_as_told_is_enough(pacing: Pacing, waiting: int) -> None:
    """Whichever limit it was: who was refused, and comes again after the stated wait, is not refused again."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        rig = Rig(clock, pacing)
        first = await rig.turn()
        await clock.sleep(1)
        rig.line.over(first, None, {})
        if pacing == Pacing(learn=True, max_wait_s=600):
            for _ in range(100):
                rig.line.aimd.send(clock.monotonic_ns(), held_back=False)
                await clock.sleep(0.1)
            rig.line.aimd.refused(clock.monotonic_ns())

        async def one() -> None:
            turn = await rig.turn(prompt=10)
            await clock.sleep(1)
            rig.line.over(turn, 10, {})

        others = [asyncio.get_running_loop().create_task(one()) for _ in range(60 + waiting)]
        await settle()
        error = await refused(rig.turn(prompt=10, within_s=0.05))
        assert error.retry_after_s is not None
        await clock.sleep(error.retry_after_s)
        await rig.turn(prompt=10, within_s=2)
        await asyncio.gather(*others)

    scenario()


@virtual
async def test_who_is_overtaken_until_its_deadline_is_told_so(clock: VirtualClock) -> None:
    """It was let in as there was time, then more urgent calls came: its wait ends at its deadline, not later."""
    rig = Rig(clock, Pacing(rpm=6))
    await rig.turn()
    late = rig.begin("late", priority=1, within_s=15)
    await settle()
    urgent = await rig.begun(*["urgent"] * 3)
    error = await refused(late)
    assert rig.now_s == pytest.approx(15)
    assert error.retry_after_s is not None
    assert error.retry_after_s > 5
    await asyncio.gather(*urgent)
    await rig.over()


@virtual
async def test_more_tokens_than_a_minute_has_never_fit(clock: VirtualClock) -> None:
    """No wait is promised, and nobody tries again: fewer tokens have to be asked for."""
    rig = Rig(clock, Pacing(tpm=100))
    error = await refused(rig.turn(prompt=101))
    assert (error.retry_after_s, error.retryable) == (None, False)
    assert "max_tokens" in error.message
    await rig.turn(prompt=100)
    first, second = await rig.begun("waits", "waits")
    never = rig.begin(prompt=101, priority=-1)
    assert (await refused(never)).retryable is False
    await asyncio.gather(first, second)


@virtual
async def test_a_call_that_fits_is_not_refused_for_what_others_owe(clock: VirtualClock) -> None:
    """What earlier calls used beyond their claims is made good where there is room, and makes no call impossible."""
    rig = Rig(clock, Pacing(tpm=1_200))
    turn = await rig.turn(prompt=10)
    rig.line.over(turn, 5_000, {})
    await rig.turn(prompt=1_150)
    assert rig.now_s < 60


# --- leaving ---


@virtual
async def test_who_leaves_the_line_leaves_nothing_behind(clock: VirtualClock) -> None:
    """Nothing stays claimed, nothing queued, and the others go on as if it had never been there (S16)."""
    rig = Rig(clock, Pacing(rpm=6, tpm=1_000, concurrency=5))
    await rig.turn("a")
    tasks = await rig.begun("b", "c", "d")
    await clock.sleep(3)
    for task in tasks[:2]:
        task.cancel()
    await settle()
    assert (len(rig.line), len(rig.limits.held)) == (1, 1)
    await tasks[2]
    assert rig.through == [("a", 0.0), ("d", pytest.approx(10, abs=1e-5))]
    await rig.over()


@virtual
async def test_who_leaves_at_the_head_holds_up_nobody_behind(clock: VirtualClock) -> None:
    """The line waited for a thousand tokens; the next one needs a single one, and need not wait for the others."""
    rig = Rig(clock, Pacing(tpm=6_000))
    await rig.turn(prompt=1_000)
    first, second = await rig.begun("large", prompt=1_000), await rig.begun("small", prompt=1)
    await clock.sleep(1)
    first[0].cancel()
    await second[0]
    assert rig.through[1:] == [("small", 1.0)]
    await rig.over()


@virtual
async def test_all_may_leave(clock: VirtualClock) -> None:
    """Then the line rests, and works again afterwards."""
    rig = Rig(clock, Pacing(concurrency=1))
    turn = await rig.turn("a")
    (waiting,) = await rig.begun("b")
    waiting.cancel()
    await clock.sleep(1)
    await rig.over()
    rig.line.over(turn, None, {})
    await rig.turn("c")
    assert len(rig.limits.held) == 1


@pytest.mark.parametrize("when", ["before", "after"], ids=["as it is given", "just after it was given"])
def test_a_place_given_to_one_who_is_leaving_comes_back(when: str) -> None:
    """Cancelled in the very moment when its turn comes, it keeps neither place nor tokens, and neither does the debt."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        rig = Rig(clock, Pacing(tpm=12_000, concurrency=1))
        first = await rig.turn("a", prompt=100)
        tasks = await rig.begun("b", "c", prompt=100)
        leaves = tasks[0].cancel if when == "before" else lambda: asyncio.get_running_loop().call_soon(tasks[0].cancel)
        rig.limits.acquired = lambda: [leaves(), setattr(rig.limits, "acquired", lambda: None)]
        rig.line.over(first, 200, {})
        turn = await tasks[1]
        assert tasks[0].cancelled()
        assert [name for name, _ in rig.through] == ["a", "c"]
        assert rig.limits.held == [turn.claims]
        assert rig.limits.given_back == [None, 0]
        assert sum(claim.amount for claim in turn.claims if claim.rate.kind == "tokens") == 200
        await rig.over()

    scenario()


# --- what goes wrong ---


@virtual
async def test_limits_that_cannot_be_checked_are_said_to_be(clock: VirtualClock) -> None:
    """Nobody goes through unchecked, whether it came first or waits."""
    rig = Rig(clock, Pacing(rpm=6))
    await rig.turn()
    tasks = await rig.begun("b", "c")
    rig.limits.error = StateUnavailable("down")
    for task in tasks:
        with pytest.raises(StateUnavailable):
            await task
    with pytest.raises(StateUnavailable):
        await rig.turn()
    rig.limits.error = None
    await clock.sleep(10)
    await rig.turn()
    await rig.over()


@virtual
async def test_limits_that_never_answer_hold_nobody(clock: VirtualClock) -> None:
    """After a second it is known that they cannot be checked, for who came first and for who waits."""

    class Hanging(Counting):
        async def acquire(self, claims: Sequence[Claim]) -> Sequence[Standing]:
            await asyncio.get_running_loop().create_future()
            return await super().acquire(claims)

    rig = Rig(clock, Pacing(rpm=6), Hanging(MemoryLimits(clock)))
    with pytest.raises(StateUnavailable):
        await rig.turn()
    assert rig.now_s == pytest.approx(1)
    rig.lane.set_aside("cooling", clock.monotonic_ns(), 1)
    tasks = await rig.begun("a", "b")
    for task in tasks:
        with pytest.raises(StateUnavailable):
            await task
    assert rig.now_s == pytest.approx(4)


@virtual
async def test_an_error_for_one_who_has_left_reaches_nobody_else(clock: VirtualClock) -> None:
    """The next one is asked for anew."""
    rig = Rig(clock, Pacing(rpm=6))
    await rig.turn()
    tasks = await rig.begun("b", "c")

    class Leaving(StateUnavailable):
        def __init__(self) -> None:
            tasks[0].cancel()
            rig.limits.error = None
            super().__init__("down")

    async def acquire(claims: Sequence[Claim]) -> Sequence[Standing]:
        del rig.limits.acquire
        raise Leaving

    await clock.sleep(5)
    rig.limits.acquire = acquire
    await tasks[1]
    assert tasks[0].cancelled()


@virtual
async def test_a_breaker_that_opens_ends_the_wait_of_all(clock: VirtualClock) -> None:
    """Each gets an error of its own, at once."""
    rig = Rig(clock, Pacing(rpm=6))
    await rig.turn()
    tasks = await rig.begun("a", "b")
    tasks[0].cancel()
    rig.line.fail(lambda: CircuitOpen("open", retry_after_s=15))
    with pytest.raises(CircuitOpen):
        await tasks[1]
    assert rig.now_s == 0
    await clock.sleep(20)
    await rig.over()


@virtual
async def test_the_first_of_two_ends_counts(clock: VirtualClock) -> None:
    """A breaker that opens in the moment of a deadline is what the caller hears of."""
    rig = Rig(clock, Pacing(concurrency=1))
    await rig.turn()
    clock.timer(1.0, lambda: rig.line.fail(lambda: CircuitOpen("open")))
    with pytest.raises(CircuitOpen):
        await rig.turn(within_s=1.0)


@virtual
async def test_one_that_ended_by_itself_is_passed_over(clock: VirtualClock) -> None:
    """Where a deadline and a free place fall into one moment, the place goes to the next."""
    rig = Rig(clock, Pacing(concurrency=1))
    turn = await rig.turn("a")
    clock.timer(1.0, lambda: rig.line.over(turn, None, {}))
    late = rig.begin("late", within_s=1)
    (waiting,) = await rig.begun("b")
    await refused(late)
    await waiting
    assert [name for name, _ in rig.through] == ["a", "b"]
    await rig.over()


# --- what is expected, and what it was ---


@virtual
async def test_as_much_is_expected_as_answers_usually_are_long(clock: VirtualClock) -> None:
    """`max_tokens` is a bound, not a forecast; before the first answer it is all that is known."""
    rig = Rig(clock, Pacing(tpm=100_000))
    claimed = [(await rig.turn(prompt=100, output=output)).claims[0].amount for output in (1_000, None)]
    assert claimed == [1_100, 100]
    rig.lane.answered(50)
    claimed = [(await rig.turn(prompt=100, output=output)).claims[0].amount for output in (1_000, 20, None)]
    assert claimed == [150, 120, 150]


@virtual
async def test_a_provider_that_counts_the_maximum_is_claimed_the_maximum(clock: VirtualClock) -> None:
    """And what the answer became in the end does not matter to it."""
    rig = Rig(clock, Pacing(tpm=100_000, counts_maximum=True))
    rig.lane.answered(50)
    turn = await rig.turn(prompt=100, output=1_000)
    assert turn.claims[0].amount == 1_100
    rig.line.over(turn, 150, {})
    assert (await rig.turn(prompt=100, output=None)).claims[0].amount == 150


@virtual
async def test_what_was_wrong_is_made_good_bit_by_bit(clock: VirtualClock) -> None:
    """The calls that follow claim up to a twelfth of a minute more, until it is paid."""
    rig = Rig(clock, Pacing(tpm=12_000))
    rig.line.over(await rig.turn(prompt=100), 2_600, {})
    amounts = []
    for _ in range(4):
        turn = await rig.turn(prompt=100)
        amounts.append(turn.claims[0].amount)
        rig.line.over(turn, 100, {})
    assert amounts == [1_100, 1_100, 600, 100]


@virtual
async def test_what_was_not_used_is_given_to_the_next(clock: VirtualClock) -> None:
    """A twelfth of a minute at a time, and of an idle hour no more than two: it pays for no storm."""
    rig = Rig(clock, Pacing(tpm=12_000))
    for _ in range(30):
        rig.line.over(await rig.turn(prompt=1_500), 0, {})
    amounts = [(await rig.turn(prompt=1_500)).claims[0].amount for _ in range(3)]
    assert amounts == [500, 500, 1_500]


@virtual
async def test_usage_that_nobody_knows_is_as_expected(clock: VirtualClock) -> None:
    """Nothing is owed and nothing is saved."""
    rig = Rig(clock, Pacing(tpm=1_200))
    rig.line.over(await rig.turn(prompt=100), None, {})
    assert (await rig.turn(prompt=100)).claims[0].amount == 100


@given(st.lists(st.tuples(st.integers(1, 400), st.integers(0, 800)), min_size=1, max_size=8))
@settings(max_examples=25)
def test_over_time_as_much_is_claimed_as_is_used(calls: list[tuple[int, int]]) -> None:
    """Never further apart than what is still to be made good, and never more than a twelfth of a minute too little."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        rig = Rig(clock, Pacing(tpm=1_200))
        claimed = used = 0
        for expected, really in calls:
            turn = await rig.turn(prompt=expected)
            claimed += turn.claims[0].amount
            used += really
            rig.line.over(turn, really, {})
        for _ in range(80):
            turn = await rig.turn(prompt=100)
            claimed += turn.claims[0].amount
            used += 100
            rig.line.over(turn, 100, {})
        assert claimed >= used - 100

    scenario()


# --- limits that change ---


@virtual
async def test_limits_are_learnt_from_what_answers_say(clock: VirtualClock) -> None:
    """From then on calls go by them; a configured limit stays in force where it is the tighter one."""
    rig = Rig(clock, Pacing(tpm=1_000, learn=True))
    turn = await rig.turn()
    rig.line.over(turn, 1, {"requests": Told(a_minute=6, remaining=5), "tokens": Told(a_minute=9_000, remaining=8_000)})
    turn = await rig.turn()
    assert {claim.rate.kind: claim.rate.limit for claim in turn.claims} == {"requests": 6, "tokens": 1_000}
    rig.line.over(turn, 1, {"requests": Told(a_minute=6, remaining=5), "tokens": Told(a_minute=500, remaining=400)})
    task = rig.begin()
    await settle()
    assert not task.done()
    turn = await task
    assert {claim.rate.kind: claim.rate.limit for claim in turn.claims} == {"requests": 6, "tokens": 500}
    assert rig.now_s == pytest.approx(10, abs=1e-5)


@virtual
async def test_nothing_left_means_waiting_for_the_next_one(clock: VirtualClock) -> None:
    """Others use the same account: what it says is left counts, whatever was counted here."""
    rig = Rig(clock, Pacing(learn=True))
    turn = await rig.turn()
    rig.line.over(turn, 1, {"requests": Told(a_minute=20, remaining=0)})
    await rig.turn()
    assert rig.now_s == pytest.approx(3, abs=1e-5)


@virtual
async def test_other_limits_hold_from_the_next_call_on(clock: VirtualClock) -> None:
    """A changed configuration lets those go that wait for the old one; the same one changes nothing."""
    rig = Rig(clock, Pacing(rpm=6))
    await rig.turn()
    waiting = rig.begin()
    await clock.sleep(1)
    rig.line.follow(rig.pacing)
    rig.line.follow(Pacing(rpm=600))
    rig.line.kick()
    await waiting
    assert rig.now_s == pytest.approx(1, abs=0.2)


# --- all of it ---


@given(
    st.lists(
        st.tuples(
            st.floats(0, 5),
            st.sampled_from("abc"),
            st.integers(0, 2),
            st.integers(1, 60),
            st.floats(0.1, 30),
            st.sampled_from(["stays", "stays", "leaves"]),
        ),
        max_size=30,
    )
)
@settings(max_examples=60)
def test_everybody_gets_through_or_is_told_in_time(calls: list[tuple[float, str, int, int, float, str]]) -> None:
    """Whoever asks is let through before its deadline, or refused with a wait; at the end nothing is left."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        rig = Rig(clock, Pacing(rpm=60, tpm=600, concurrency=4))

        async def one(tenant: str, priority: int, prompt: int, within_s: float) -> None:
            began_s = rig.now_s
            try:
                turn = await rig.turn(tenant=tenant, priority=priority, prompt=prompt, within_s=within_s)
            except UpstreamRateLimited as error:
                told.append(error.retry_after_s)
                return
            finally:
                assert rig.now_s - began_s <= within_s + 1e-6
            try:
                await clock.sleep(1.5)
            finally:
                rig.line.over(turn, prompt, {})

        tasks: list[asyncio.Task[None]] = []
        told: list[float | None] = []
        for gap_s, tenant, priority, prompt, within_s, fate in calls:
            await clock.sleep(gap_s)
            task = asyncio.get_running_loop().create_task(one(tenant, priority, prompt, within_s))
            tasks.append(task)
            if fate == "leaves":
                clock.timer(within_s / 2, task.cancel)
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [each for each in done if each is not None and not isinstance(each, asyncio.CancelledError)] == []
        await clock.sleep(61)
        await rig.over()
        assert rig.limits.held == []
        assert all(wait_s is not None and wait_s > 0 for wait_s in told)

    scenario()
