"""retry: the one layer that tries again, within its budget and the time that there is."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from fairlead.call import Retries, Timeouts
from fairlead.core.breaker import Policy
from fairlead.core.lane import Lane
from fairlead.core.pacing import Pacing
from fairlead.errors import CircuitOpen, FairleadError, StreamTruncated, UpstreamError, UpstreamRateLimited
from fairlead.stages.pace import Pace
from fairlead.stages.retry import Retry
from fairlead.stores.memory import MemoryLimits
from fairlead.testing import (
    FakeTransport,
    SeededRng,
    VirtualClock,
    answers,
    assert_one_terminal_record,
    openai_error,
    openai_reply,
    openai_stream,
)
from fairlead.testing.pipeline import Bench, candidate
from fairlead.types import Budget, Principal
from virtual import virtual

NS = 1_000_000_000
FAILS = answers.status(503)


class Middling(SeededRng):
    """An `Rng` whose every number is a half."""

    def random(self) -> float:
        return 0.5


def retrying(clock: VirtualClock, *, seed: int | None = None, attempts: int = 5, **more: Any) -> Bench:
    """A bench whose one candidate is tried up to five times."""
    rng = Middling(0) if seed is None else SeededRng(seed)
    stages = {"retry": Retry(clock, rng)} | more.pop("stages", {})
    each = candidate(retries=Retries(attempts=attempts), **more.pop("facts", {}))
    return Bench(clock=clock, aliases={"m": [each]}, stages=stages, **more)


def gaps(bench: Bench) -> list[float]:
    """Seconds between requests."""
    times = [request.at_ns for request in bench.transport.requests]
    return [round((later - earlier) / NS, 3) for earlier, later in pairwise(times)]


async def failed(bench: Bench, **fields: Any) -> FairleadError:
    with pytest.raises(FairleadError) as caught:
        await bench.ask("m", **fields)
    return caught.value


@virtual
async def test_what_may_pass_is_tried_again_after_a_wait_that_doubles(clock: VirtualClock) -> None:
    """A half of one, two, four seconds with a die that always shows a half; each try is an attempt with its end (U7)."""
    bench = retrying(clock)
    bench.transport.then(FAILS, answers.refuse(), answers.html(), openai_reply("at last"))

    assert b"at last" in await bench.ask("m")

    assert gaps(bench) == [0.5, 1.0, 2.0]
    assert_one_terminal_record(bench.sink.records)
    (ended,) = bench.sink.ended
    assert [attempt.error_code for attempt in ended.attempts] == [
        "upstream_unavailable",
        "upstream_unreachable",
        "upstream_protocol_error",
        None,
    ]
    assert all(attempt.cost_nanousd == 0 for attempt in ended.attempts[:3])


@virtual
async def test_waits_are_drawn_anew_each_time(clock: VirtualClock) -> None:
    """Two calls that failed together do not come back together."""
    bench = retrying(clock, seed=1, attempts=2)
    bench.transport.then(FAILS, FAILS)
    await asyncio.gather(bench.ask("m"), bench.ask("m"))
    times = sorted(request.at_ns for request in bench.transport.requests)[2:]
    assert times[0] != times[1]


@virtual
async def test_it_gives_up_after_as_many_tries_as_configured(clock: VirtualClock) -> None:
    """With the last error."""
    bench = retrying(clock, attempts=3)
    bench.transport.then(FAILS, FAILS, answers.status(504))
    error = await failed(bench)
    assert (error.code, len(bench.transport.requests)) == ("upstream_timeout", 3)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_does_not_pass_is_not_tried_again(status: int) -> None:
    """The caller's mistakes and a refused credential (U8)."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        bench = retrying(clock)
        bench.transport.then(answers.status(status, {}, b'{"error":{"message":"no"}}'))
        await failed(bench)
        assert len(bench.transport.requests) == 1

    scenario()


@virtual
async def test_an_empty_account_is_not_tried_again(clock: VirtualClock) -> None:
    """Its 429 is about money, not about rate (U6)."""
    bench = retrying(clock)
    bench.transport.then(openai_error(429, "no money", error_code="insufficient_quota"))
    assert (await failed(bench)).code == "upstream_quota_exhausted"
    assert len(bench.transport.requests) == 1


@virtual
async def test_a_short_hint_is_taken_as_it_is(clock: VirtualClock) -> None:
    """The provider knows when it has room; a tenth of the usual jitter is added, so that not all come at once (U4)."""
    bench = retrying(clock)
    bench.transport.then(openai_error(429, "slow", headers={"retry-after": "2"}))
    await bench.ask("m")
    assert gaps(bench) == [2.05]


@virtual
async def test_a_long_hint_ends_the_tries(clock: VirtualClock) -> None:
    """Beyond five seconds another candidate is asked, or the caller is told the wait (U4)."""
    bench = retrying(clock)
    bench.transport.then(openai_error(429, "slow", headers={"retry-after": "6"}))
    error = await failed(bench)
    assert (error.retry_after_s, len(bench.transport.requests)) == (6, 1)


@virtual
async def test_a_negative_hint_means_never(clock: VirtualClock) -> None:
    """A provider that asks not to be called again is not (U5)."""
    bench = retrying(clock)
    bench.transport.then(openai_error(503, "no", headers={"retry-after": "-1"}))
    assert (await failed(bench)).retryable is False
    assert len(bench.transport.requests) == 1


@virtual
async def test_an_open_breaker_ends_the_tries(clock: VirtualClock) -> None:
    """The attempt that opened it was the last one."""
    lane = Lane("fake/m", Policy(consecutive=2))
    stages = {"pace": Pace(MemoryLimits(clock), clock, SeededRng(0))}
    bench = retrying(clock, stages=stages, facts={"lane": lane})
    bench.transport.then(*[FAILS] * 5)
    error = await failed(bench)
    assert isinstance(error, CircuitOpen)
    assert len(bench.transport.requests) == 2


@pytest.mark.parametrize("by", ["caller", "total"])
def test_no_try_is_begun_that_could_not_end_in_time(by: str) -> None:
    """The last failure is told at once where the next wait would pass the deadline."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        timeouts = Timeouts(total_s=1.2 if by == "total" else 600.0)
        bench = retrying(clock, facts={"timeouts": timeouts})
        bench.transport.then(*[FAILS] * 5)
        call = bench.call("m")
        call.deadline_ns = None if by == "total" else call.started_ns + int(1.2 * NS)
        with pytest.raises(UpstreamError):
            await bench.run(call)
        assert (clock.monotonic_ns() - call.started_ns) / NS == pytest.approx(0.5)
        assert len(bench.transport.requests) == 2

    scenario()


@virtual
async def test_a_stream_is_tried_again_until_its_first_content(clock: VirtualClock) -> None:
    """Empty streams and errors in their first event are; what breaks after content is not (S1 to S3)."""
    bench = retrying(clock)
    broken = openai_stream(["one", "two"])
    bench.transport.then(
        answers.sse(["[DONE]"]),
        answers.sse([{"error": {"message": "busy", "type": "server_error", "code": 529}}]),
        broken.limit_data(broken.offset(2)),
    )
    assert isinstance(await failed(bench, stream=True), StreamTruncated)
    assert len(bench.transport.requests) == 3


@virtual
async def test_retries_are_a_small_share_of_all_calls(clock: VirtualClock) -> None:
    """A provider that fails everything is asked at most a fifth more often than it is called, and three times (U18)."""
    bench = retrying(clock)
    bench.transport.then(*[FAILS] * 1_000)

    async def one(after_s: float) -> None:
        await clock.sleep(after_s)
        await failed(bench)

    await asyncio.gather(*(one(number * 0.001) for number in range(100)))
    assert 100 < len(bench.transport.requests) <= 100 * 1.2 + 3 + 3


@virtual
async def test_each_provider_has_a_budget_of_its_own(clock: VirtualClock) -> None:
    """One that fails does not take the retries of one that works."""
    transports = {"bad": FakeTransport(default=FAILS, clock=clock), "good": FakeTransport([FAILS], clock=clock)}
    aliases = {name: [candidate(provider=name, retries=Retries())] for name in transports}
    bench = Bench(clock=clock, transports=transports, aliases=aliases, stages={"retry": Retry(clock, Middling(0))})
    done = await asyncio.gather(*(bench.ask("bad") for _ in range(30)), return_exceptions=True)
    assert all(isinstance(error, UpstreamError) for error in done)

    await bench.ask("good")

    assert len(transports["good"].requests) == 2


@virtual
async def test_what_was_tried_here_is_final_for_the_caller(clock: VirtualClock) -> None:
    """Or a client's own retries would multiply ours; where the provider says how long to wait, waiting helps."""
    bench = retrying(clock, attempts=2)
    bench.transport.then(FAILS, FAILS, openai_error(429, "slow", headers={"retry-after": "20"}))
    assert (await failed(bench)).retryable is False
    assert (await failed(bench)).retryable is True


@virtual
async def test_without_retries_one_try_is_all(clock: VirtualClock) -> None:
    """A model that does not ask for retries has none, though the stage is there for another."""
    bench = Bench(clock=clock, stages={"retry": Retry(clock, Middling(0))})
    bench.transport.then(FAILS)
    with pytest.raises(UpstreamError):
        await bench.ask()
    assert len(bench.transport.requests) == 1


@virtual
async def test_who_leaves_between_two_tries_leaves_nothing_behind(clock: VirtualClock) -> None:
    """No further try, no open reservation, one record (S16)."""
    budget = Budget(scope="key:k", limit_nanousd=10**12, window="day")
    bench = retrying(clock, principal=Principal(key_id="k", budgets=(budget,)))
    bench.transport.then(*[FAILS] * 5)
    task = asyncio.get_running_loop().create_task(bench.ask("m"))
    await clock.sleep(0.7)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await clock.sleep(60)
    assert len(bench.transport.requests) == 2
    assert bench.ledger.reserved_nanousd() == 0
    assert_one_terminal_record(bench.sink.records)
    assert clock.pending == 0


@virtual
async def test_each_try_is_reserved_and_paid_by_itself(clock: VirtualClock) -> None:
    """A try that came to nothing costs nothing, and holds nothing while the next one waits (L9)."""
    budget = Budget(scope="key:k", limit_nanousd=400_000, window="day")
    bench = retrying(clock, principal=Principal(key_id="k", budgets=(budget,)))
    bench.transport.then(FAILS, FAILS)
    await bench.ask("m", max_tokens=100)
    (ended,) = bench.sink.ended
    assert [attempt.reserved_nanousd is not None for attempt in ended.attempts] == [True] * 3
    assert [attempt.cost_nanousd for attempt in ended.attempts] == [0, 0, ended.cost_nanousd]


@virtual
async def test_a_line_that_is_too_long_is_told_at_once(clock: VirtualClock) -> None:
    """Waiting here would be more than `max_wait_s` allows, and keep the call from another target; so no retry is spent."""
    pace = Pace(MemoryLimits(clock), clock, SeededRng(0))
    bench = retrying(clock, stages={"pace": pace}, facts={"pacing": Pacing(rpm=20, max_wait_s=1)})
    for _ in range(3):
        await bench.ask("m")
    began_ns = clock.monotonic_ns()
    error = await failed(bench)
    assert isinstance(error, UpstreamRateLimited)
    assert (error.retry_after_s, error.retryable) == (pytest.approx(3, abs=0.01), True)
    assert (clock.monotonic_ns(), len(bench.sink.ended[-1].attempts)) == (began_ns, 1)
