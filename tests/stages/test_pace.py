"""pace: waiting for a provider's limits, leaving it alone when it fails, and what is learnt from each attempt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import pytest

from fairlead.call import PRIORITIES, Secret, Timeouts, Wanted
from fairlead.core.breaker import Policy
from fairlead.core.lane import Lane
from fairlead.core.pacing import Pacing
from fairlead.errors import (
    CircuitOpen,
    FairleadError,
    Overloaded,
    QuotaExhausted,
    StreamTruncated,
    UpstreamAuth,
    UpstreamRateLimited,
    UpstreamRejected,
    UpstreamUnavailable,
)
from fairlead.stages.pace import Pace
from fairlead.stores.memory import MemoryLimits
from fairlead.testing import (
    Answer,
    SeededRng,
    VirtualClock,
    answers,
    openai_error,
    openai_reply,
    openai_stream,
    tokens,
)
from fairlead.testing.pipeline import Bench, candidate
from fairlead.types import Principal
from virtual import virtual

NS = 1_000_000_000
FAILS = answers.status(500)
POLICY = Policy(consecutive=3, open_s=10, probes=2, min_calls=100)


class Paced(Bench):
    """A bench with a pace stage and one candidate, `m`."""

    def __init__(
        self,
        clock: VirtualClock,
        *,
        pacing: Pacing | None = None,
        policy: Policy | None = None,
        weights: Mapping[str, float] | None = None,
        principal: Principal | None = None,
        **facts: Any,
    ) -> None:
        self.lane = Lane("fake/gpt-4o-mini", policy)
        self.counted = MemoryLimits(clock)
        self.pace = Pace(self.counted, clock, SeededRng(0), weights)
        self.candidate = candidate(pacing=pacing, lane=self.lane, **facts)
        super().__init__(clock=clock, aliases={"m": [self.candidate]}, stages={"pace": self.pace}, principal=principal)
        self.virtual = clock
        self.began_ns = clock.monotonic_ns()
        self.ends: list[tuple[str, float]] = []

    @property
    def now_s(self) -> float:
        return round((self.virtual.monotonic_ns() - self.began_ns) / NS, 3)

    async def one(self, name: str = "", *, tenant: str | None = None, priority: int = 0, **fields: Any) -> None:
        """One call from its beginning to its end, which is noted."""
        call = self.call("m", **fields)
        call.priority = priority
        if tenant is not None:
            call.principal = Principal(team=tenant)
        await self.see_through(await self.run(call))
        self.ends.append((name, self.now_s))

    async def fails(self, times: int = 1, **fields: Any) -> FairleadError:
        """That many calls, all of which fail; the last error."""
        for _ in range(times):
            with pytest.raises(FairleadError) as caught:
                await self.one(**fields)
        return caught.value

    async def refusal(self) -> FairleadError:
        """What an attempt hears that route had chosen before the lane was blocked."""
        call = self.call("m")
        call.open_attempt(self.candidate, call.started_ns)
        with pytest.raises(FairleadError) as caught:
            await self.pace(call, self.run)
        return caught.value

    def later(self, *answers_: Any) -> None:
        self.transport.then(*answers_)


# --- limits ---


@virtual
async def test_calls_wait_for_the_providers_limit(clock: VirtualClock) -> None:
    """Of thirty calls a minute five go at once and then one every two seconds; none is lost."""
    bench = Paced(clock, pacing=Pacing(rpm=30))
    await asyncio.gather(*(bench.one() for _ in range(8)))
    assert [at_s for _, at_s in bench.ends] == [0, 0, 0, 0, 0, 2, 4, 6]
    assert bench.pace.waiting() == {}


@virtual
async def test_who_waits_can_be_seen(clock: VirtualClock) -> None:
    """By the name of the lane."""
    bench = Paced(clock, pacing=Pacing(rpm=6))
    tasks = [asyncio.get_running_loop().create_task(bench.one()) for _ in range(3)]
    await clock.sleep(1)
    assert bench.pace.waiting() == {"fake/gpt-4o-mini": 2}
    await asyncio.gather(*tasks)


@virtual
async def test_the_more_urgent_call_goes_first(clock: VirtualClock) -> None:
    """By the call's priority."""
    bench = Paced(clock, pacing=Pacing(rpm=6))
    order = ["interactive", "background", "batch", "interactive"]
    await asyncio.gather(*(bench.one(name, priority=PRIORITIES[name]) for name in order))
    assert [name for name, _ in bench.ends] == ["interactive", "interactive", "batch", "background"]


@virtual
async def test_tenants_share_by_their_weights(clock: VirtualClock) -> None:
    """A tenant with three times the weight gets three times the places."""
    bench = Paced(clock, pacing=Pacing(rpm=60, max_wait_s=600), weights={"team:b": 3.0})
    await asyncio.gather(*(bench.one() for _ in range(10)))
    await asyncio.gather(*(bench.one(name, tenant=name) for name in "a" * 20 + "b" * 20))
    assert 14 <= [name for name, _ in bench.ends[10:30]].count("b") <= 16


@virtual
async def test_a_call_without_the_time_is_refused_at_once(clock: VirtualClock) -> None:
    """A caller's deadline that would pass in line is a 429 with the wait now, not a 504 later; no request went out."""
    bench = Paced(clock, pacing=Pacing(rpm=6))
    await bench.one()
    call = bench.call("m")
    call.deadline_ns = call.started_ns + 5 * NS
    with pytest.raises(UpstreamRateLimited) as caught:
        await bench.run(call)
    assert (bench.now_s, caught.value.retry_after_s) == (0, pytest.approx(10, abs=0.01))
    assert (bench.lane.in_flight, len(bench.transport.requests)) == (0, 1)
    assert bench.sink.ended[-1].cost_nanousd == 0


@virtual
async def test_a_call_that_would_begin_but_not_end_in_time_is_refused_at_once(clock: VirtualClock) -> None:
    """It would be cut off and paid for, and its provider blamed for being slow."""
    bench = Paced(clock, pacing=Pacing(rpm=6))
    bench.later(openai_reply("x").latency(4))
    await bench.one()
    for seconds, is_let_in in ((8, False), (11, True)):
        call = bench.call("m")
        call.deadline_ns = call.started_ns + seconds * NS
        bench.later(openai_reply("x").latency(4))
        asked = await asyncio.gather(bench.run(call), return_exceptions=True)
        assert isinstance(asked[0], UpstreamRateLimited) is not is_let_in
    assert bench.now_s == 14


@virtual
async def test_nobody_waits_beyond_the_total_clock(clock: VirtualClock) -> None:
    """The total of a call spans its wait."""
    bench = Paced(clock, pacing=Pacing(rpm=6), timeouts=Timeouts(total_s=5))
    await bench.one()
    assert isinstance(await bench.fails(), UpstreamRateLimited)
    assert bench.now_s == 0


@virtual
async def test_what_an_answer_was_long_is_what_the_next_is_expected_to_be(clock: VirtualClock) -> None:
    """Tokens are claimed by the average answer; those of a failure without usage are claimed back."""
    bench = Paced(clock, pacing=Pacing(tpm=600))
    bench.later(openai_reply("x", tokens(10, 30)), FAILS, openai_reply("x", tokens(10, 30)))
    await bench.one(max_tokens=50)
    assert bench.lane.output_tokens == 30
    await bench.fails(max_tokens=50)
    await bench.one(max_tokens=50)
    assert bench.lane.in_flight == 0


@virtual
async def test_n_answers_are_n_times_the_maximum(clock: VirtualClock) -> None:
    """Three answers of 40 tokens do not fit into 100 a minute, and nobody can make them fit by waiting."""
    bench = Paced(clock, pacing=Pacing(tpm=100))
    error = await bench.fails(max_tokens=40, n=3)
    assert (error.code, error.retryable) == ("upstream_rate_limited", False)


@virtual
async def test_a_schema_that_is_asked_for_is_claimed_with_the_prompt(clock: VirtualClock) -> None:
    """It may stand in the prompt, once more and in words, and then does not fit into 600 a minute."""
    bench = Paced(clock, pacing=Pacing(tpm=600))
    await bench.one()
    call = bench.call("m")
    call.request.wanted = Wanted(name="s", schema=b"{" + b" " * 1_000 + b"}")
    with pytest.raises(UpstreamRateLimited):
        await bench.run(call)


@virtual
async def test_the_place_is_kept_until_a_stream_has_ended(clock: VirtualClock) -> None:
    """Concurrency is of answers, not of headers."""
    bench = Paced(clock, pacing=Pacing(concurrency=1))
    bench.later(openai_stream(["a", "b"]).paced(1.0))
    first = asyncio.get_running_loop().create_task(bench.one("first", stream=True))
    await clock.sleep(0.5)
    await asyncio.gather(first, bench.one("second"))
    assert bench.ends == [("first", 6.0), ("second", 6.0)]


@virtual
async def test_a_caller_who_leaves_gives_the_place_back(clock: VirtualClock) -> None:
    """In line as well as under way (S16)."""
    bench = Paced(clock, pacing=Pacing(concurrency=1), policy=POLICY)
    bench.later(openai_reply("x").latency(60))
    tasks = [asyncio.get_running_loop().create_task(bench.one()) for _ in range(2)]
    await clock.sleep(1)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (bench.lane.in_flight, bench.pace.waiting()) == (0, {})
    await bench.one()
    assert bench.now_s == 1


@virtual
async def test_a_place_is_held_until_the_provider_is_through(clock: VirtualClock) -> None:
    """Where a provider goes on for a caller who left, its usage counts, and the place is free only then."""
    bench = Paced(clock, pacing=Pacing(concurrency=1, tpm=6_000), bills_after_disconnect=True)
    bench.later(openai_reply("x", tokens(10, 30)).latency(10))
    task = asyncio.get_running_loop().create_task(bench.one())
    await clock.sleep(1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await bench.one("second")
    assert bench.ends == [("second", 10.0)]
    assert bench.lane.output_tokens is not None


@virtual
async def test_the_end_ends_the_wait_of_all(clock: VirtualClock) -> None:
    """Nobody waits for a process that is closing."""
    bench = Paced(clock, pacing=Pacing(rpm=6))
    await bench.one()
    task = asyncio.get_running_loop().create_task(bench.one())
    await clock.sleep(1)
    await bench.pace.aclose()
    with pytest.raises(Overloaded):
        await task
    await bench.pace.aclose()


# --- what answers say ---


@virtual
async def test_a_short_wait_that_the_provider_asks_for_is_waited(clock: VirtualClock) -> None:
    """Two seconds are nothing to ask elsewhere for; all calls to it wait (U4)."""
    bench = Paced(clock, pacing=Pacing())
    bench.later(openai_error(429, "slow down", headers={"retry-after": "2"}))
    await bench.fails()
    await bench.one()
    assert bench.now_s == 2


@virtual
async def test_a_long_wait_that_the_provider_asks_for_is_refused(clock: VirtualClock) -> None:
    """Another provider is the better choice; once it is over, all is well, and no breaker knows of it (U4, U17)."""
    bench = Paced(clock, policy=POLICY)
    bench.later(openai_error(429, "slow down", headers={"retry-after": "30"}))
    await bench.fails()
    error = await bench.refusal()
    assert isinstance(error, CircuitOpen)
    assert (error.retry_after_s, error.status) == (30, 503)
    assert "asked to be left alone" in error.message
    assert bench.lane.breaker is not None
    assert bench.lane.breaker.state == "closed"
    await clock.sleep(30)
    await bench.one()


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (answers.status(401, {}, b'{"error":{"message":"bad key sk-123"}}'), UpstreamAuth, "refuses our credential"),
        (openai_error(429, "exceeded your current quota", error_code="insufficient_quota"), QuotaExhausted, "no quota"),
    ],
    ids=["401", "quota"],
)
def test_what_no_wait_of_seconds_mends_is_left_alone_for_a_minute(
    answer: Answer, kind: type[FairleadError], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A refused credential and an empty account are said in the log, once; after a minute one call tries again (U6, U8)."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        bench = Paced(clock, policy=POLICY)
        bench.later(answer)
        with caplog.at_level(logging.INFO, "fairlead"):
            assert isinstance(await bench.fails(), kind)
            await bench.fails(3)
        error = await bench.refusal()
        assert isinstance(error, CircuitOpen)
        assert said in error.message
        assert "sk-123" not in error.message
        assert (error.retry_after_s, len(bench.transport.requests)) == (60, 1)
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert bench.lane.breaker is not None
        assert bench.lane.breaker.state == "closed"
        await clock.sleep(60)
        await bench.one()

    scenario()


HEADERS = {
    "x-ratelimit-limit-requests": "6",
    "x-ratelimit-remaining-requests": "5",
    "x-ratelimit-reset-requests": "10s",
}


def told(answer: Answer, headers: Mapping[str, str] = HEADERS) -> Answer:
    return Answer(code=answer.code, headers=(*answer.headers, *headers.items()), pieces=answer.pieces)


@virtual
async def test_limits_in_headers_are_learnt(clock: VirtualClock) -> None:
    """From the first answer on calls go by them, and the headers are not kept."""
    bench = Paced(clock, pacing=Pacing(learn=True))
    bench.later(told(openai_reply("x")))
    call = bench.call("m")
    await bench.see_through(await bench.run(call))
    assert call.attempt.upstream_headers is None
    await asyncio.gather(bench.one(), bench.one())
    assert bench.ends[-1][1] == pytest.approx(10, abs=0.01)


@virtual
async def test_limits_in_headers_are_left_alone_unless_wanted(clock: VirtualClock) -> None:
    """Without `learn` a provider's headers change nothing, nor do its refusals."""
    bench = Paced(clock, pacing=Pacing(rpm=6_000))
    bench.later(told(openai_reply("x")), openai_error(429, "slow down"))
    await bench.one()
    await bench.fails()
    await asyncio.gather(*(bench.one() for _ in range(20)))
    assert bench.now_s == 0


@pytest.mark.parametrize("code", [429, 529])
def test_refusals_teach_a_pace(code: int) -> None:
    """Where no header says anything, the pace falls to what the provider took, and a little below (also at 529)."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        bench = Paced(clock, pacing=Pacing(learn=True))
        for _ in range(40):
            await bench.one()
            await clock.sleep(0.25)
        bench.later(answers.status(500), openai_error(code, "too many"))
        await bench.fails(2)
        bench.began_ns = clock.monotonic_ns()
        await asyncio.gather(*(bench.one() for _ in range(40)))
        assert 8 < bench.now_s < 12

    scenario()


@virtual
async def test_refusals_at_the_start_are_no_verdict_for_hours(clock: VirtualClock) -> None:
    """Thirty slow calls at once, some of them refused before the first was answered: the pace is what was taken, not nothing."""
    bench = Paced(clock, pacing=Pacing(learn=True))
    bench.later(*[openai_error(429, "too many")] * 5, *[openai_reply("slow").latency(30)] * 25)
    await asyncio.gather(*(bench.one() for _ in range(30)), return_exceptions=True)
    bench.began_ns = clock.monotonic_ns()
    await asyncio.gather(*(bench.one() for _ in range(60)))
    assert bench.now_s < 10


# --- the breaker ---


@virtual
async def test_a_provider_that_fails_is_left_alone_then_probed_then_used(clock: VirtualClock) -> None:
    """Open it answers at once with the wait; after it probes are let through, and when they succeed, all are."""
    bench = Paced(clock, policy=POLICY)
    bench.later(FAILS, FAILS, FAILS)
    await bench.fails(3)
    error = await bench.fails(50)
    assert isinstance(error, CircuitOpen)
    assert error.retry_after_s is not None
    assert 8 <= error.retry_after_s <= 12
    assert (bench.now_s, len(bench.transport.requests)) == (0, 3)
    await clock.sleep(error.retry_after_s)
    await asyncio.gather(*(bench.one() for _ in range(2)))
    await asyncio.gather(*(bench.one() for _ in range(10)))
    assert len(bench.transport.requests) == 15


@virtual
async def test_only_so_many_probes_are_under_way(clock: VirtualClock) -> None:
    """Of many calls that come when it is over, as many as there are probes go through; the others are refused (U19)."""
    bench = Paced(clock, policy=POLICY, pacing=Pacing(rpm=6_000))
    bench.later(FAILS, FAILS, FAILS)
    await bench.fails(3)
    await clock.sleep(12.1)
    bench.later(*[openai_reply("x").latency(1)] * 2)
    done = await asyncio.gather(*(bench.one() for _ in range(20)), return_exceptions=True)
    refused = [error for error in done if isinstance(error, CircuitOpen)]
    assert (len(refused), len(bench.transport.requests)) == (18, 5)
    assert {error.retry_after_s for error in refused} == {1.0}
    await bench.one()


@virtual
async def test_who_gets_its_turn_when_the_probes_are_taken_is_refused(clock: VirtualClock) -> None:
    """What happened while a call waited in line counts, and its place is given back."""
    bench = Paced(clock, policy=Policy(consecutive=1, open_s=5, probes=1), pacing=Pacing(rpm=6, concurrency=2))
    bench.later(FAILS, openai_reply("x").latency(30))
    await bench.fails()
    await clock.sleep(6.5)
    probe, other = (asyncio.get_running_loop().create_task(bench.one()) for _ in range(2))
    with pytest.raises(CircuitOpen) as caught:
        await other
    assert (bench.now_s, caught.value.retry_after_s, bench.lane.in_flight) == (20, 1.0, 1)
    await probe
    await asyncio.gather(bench.one(), bench.one())


@virtual
async def test_openings_and_closings_are_said(clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> None:
    """Once each, by the name of the lane."""
    bench = Paced(clock, policy=POLICY)
    bench.later(FAILS, FAILS, FAILS)
    with caplog.at_level(logging.INFO, "fairlead"):
        await bench.fails(5)
        await clock.sleep(12)
        for _ in range(3):
            await bench.one()
    assert [(record.levelname, record.getMessage().split(" for ")[0]) for record in caplog.records] == [
        ("WARNING", "fake/gpt-4o-mini fails and is left alone"),
        ("INFO", "fake/gpt-4o-mini answers again"),
    ]


@virtual
async def test_what_is_not_the_providers_fault_opens_nothing(clock: VirtualClock) -> None:
    """Callers' mistakes, limits and departures; a probe that ends so lets another one try (U8)."""
    bench = Paced(clock, policy=POLICY)
    bench.later(*[answers.status(400, {}, b'{"error":{"message":"no"}}')] * 5, *[openai_error(429, "slow")] * 5)
    assert isinstance(await bench.fails(5), UpstreamRejected)
    assert isinstance(await bench.fails(5), UpstreamRateLimited)
    bench.later(*[openai_reply("x").latency(9)] * 5)
    for _ in range(5):
        task = asyncio.get_running_loop().create_task(bench.one())
        await clock.sleep(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    bench.later(FAILS, FAILS, FAILS)
    await bench.fails(3)
    assert isinstance(await bench.fails(), CircuitOpen)
    await clock.sleep(12.1)
    bench.later(*[answers.status(400, {}, b'{"error":{"message":"no"}}')] * 5)
    assert isinstance(await bench.fails(5), UpstreamRejected)
    await bench.one()


@virtual
async def test_streams_that_break_off_count(clock: VirtualClock) -> None:
    """A stream's end says how it was, though its beginning was well."""
    broken = openai_stream(["one", "two"])
    bench = Paced(clock, policy=POLICY)
    bench.later(*[broken.limit_data(broken.offset(2))] * 3)
    assert isinstance(await bench.fails(3, stream=True), StreamTruncated)
    assert isinstance(await bench.fails(), CircuitOpen)


@virtual
async def test_slow_first_tokens_count_where_that_is_wanted(clock: VirtualClock) -> None:
    """A stream that begins after `slow_s` is a failure; a whole answer is as slow as it is long and is not."""
    bench = Paced(clock, policy=Policy(consecutive=2, slow_s=5.0, min_calls=100))
    bench.later(*[openai_reply("x").latency(8)] * 2, *[openai_stream(["x"]).latency(8)] * 2)
    for stream in (False, False, True, True):
        await bench.one(stream=stream)
    assert isinstance(await bench.fails(), CircuitOpen)
    assert (bench.lane.whole_s.mean, bench.lane.first_token_s.mean) == (pytest.approx(8), pytest.approx(8))


@virtual
async def test_an_opening_ends_the_wait_of_those_in_line(clock: VirtualClock) -> None:
    """They do not find out one by one."""
    bench = Paced(clock, policy=POLICY, pacing=Pacing(concurrency=3))
    bench.later(*[FAILS.latency(1)] * 3)
    done = await asyncio.gather(*(bench.one() for _ in range(10)), return_exceptions=True)
    assert [type(error) for error in done] == [UpstreamUnavailable] * 3 + [CircuitOpen] * 7
    assert (bench.now_s, bench.lane.in_flight) == (1, 0)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (answers.status(401), UpstreamAuth),
        (openai_error(429, "exceeded your current quota", error_code="insufficient_quota"), QuotaExhausted),
        (openai_error(429, "slow down", headers={"retry-after": "30"}), UpstreamRateLimited),
    ],
    ids=["credential", "quota", "cooling"],
)
def test_nobody_stays_in_the_line_of_what_is_left_alone(answer: Answer, kind: type[FairleadError]) -> None:
    """As for those who come later, another candidate may answer them at once."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        bench = Paced(clock, pacing=Pacing(concurrency=1))
        bench.later(answer.latency(1))
        done = await asyncio.gather(*(bench.one() for _ in range(4)), return_exceptions=True)
        assert [type(error) for error in done] == [kind] + [CircuitOpen] * 3
        assert (bench.now_s, bench.pace.waiting()) == (1, {})

    scenario()


@pytest.mark.parametrize(
    "answer",
    [
        openai_error(429, "exceeded your current quota", error_code="insufficient_quota"),
        openai_error(429, "slow down", headers={"retry-after": "30"}),
        openai_error(429, "slow down"),
    ],
    ids=["quota", "cooling", "too many"],
)
def test_what_befalls_a_callers_own_account_concerns_no_other_caller(answer: Answer) -> None:
    """With `auth = "passthrough"` each caller has a key, an account and limits at the provider."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        bench = Paced(clock, policy=POLICY, pacing=Pacing(learn=True))
        theirs = bench.call("m")
        theirs.request.credential = Secret("sk-theirs")
        bench.later(answer)
        with pytest.raises(FairleadError):
            await bench.run(theirs)
        await asyncio.gather(*(bench.one() for _ in range(20)))
        assert bench.now_s == 0

    scenario()


@virtual
async def test_forced_calls_do_not_wait_in_line_for_what_they_are_to_ignore(clock: VirtualClock) -> None:
    """Also where a refused credential has set the target aside, and its limits are kept."""
    bench = Paced(clock, pacing=Pacing(rpm=600))
    bench.later(answers.status(401))
    await bench.fails()
    bench.lane.override = "force"
    await bench.one()
    assert bench.now_s == 0


@virtual
async def test_an_operator_may_force_what_fails_and_disable_what_works(clock: VirtualClock) -> None:
    """Forced calls go through, whatever the breaker thinks; disabled ones are refused."""
    bench = Paced(clock, policy=POLICY)
    bench.later(FAILS, FAILS, FAILS)
    await bench.fails(3)
    bench.lane.override = "force"
    await bench.one()
    bench.lane.override = "disable"
    error = await bench.refusal()
    assert isinstance(error, CircuitOpen)
    assert "operator" in error.message


@virtual
async def test_one_model_that_fails_leaves_the_others_alone(clock: VirtualClock) -> None:
    """Each provider, credential and model has a breaker of its own (U20)."""
    lanes = [Lane(f"fake/{name}", POLICY) for name in ("bad", "good")]
    aliases = {lane.name[5:]: [candidate(lane.name[5:], lane=lane)] for lane in lanes}
    pace = Pace(MemoryLimits(clock), clock, SeededRng(0))
    bench = Bench(clock=clock, aliases=aliases, stages={"pace": pace})
    bench.transports["fake"] = bench.transport
    bench.transport.then(FAILS, FAILS, FAILS)
    for _ in range(3):
        with pytest.raises(UpstreamUnavailable):
            await bench.ask("bad")
    with pytest.raises(CircuitOpen):
        await bench.ask("bad")
    await bench.ask("good")
