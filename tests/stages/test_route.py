"""route: who answers, and who is next."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Sequence
from functools import partial
from typing import Any

import pytest

from fairlead.call import OK, Call, Candidate, Outcome
from fairlead.core.lane import Lane, Reason
from fairlead.core.pacing import Pacing
from fairlead.core.pricing import flat
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.dialects.static import static_reply
from fairlead.errors import (
    Cancelled,
    CircuitOpen,
    ContentRefused,
    ContextWindowExceeded,
    EmptyStream,
    InternalError,
    StreamTruncated,
    Untranslatable,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from fairlead.pipeline import Next, Reply, Stage
from fairlead.stages.pace import Pace
from fairlead.stages.route import Plan, Route
from fairlead.testing import (
    Answer,
    FakeLimits,
    FakeTransport,
    SeededRng,
    VirtualClock,
    answers,
    assert_one_terminal_record,
    openai_error,
    openai_reply,
    openai_stream,
    tokens,
)
from fairlead.testing.pipeline import Bench, candidate
from fairlead.types import Budget, Principal
from virtual import virtual

BODY_FAULTS = {
    "refused": answers.refuse(),
    "500": answers.status(500),
    "html in a 200": answers.html(),
    "empty body": answers.status(200, {"content-type": "application/json"}, b""),
    "null": answers.json(None),
    "error in a 200": answers.json({"error": {"message": "overloaded", "type": "server_error"}}),
    "truncated": openai_reply("x").limit_data(20),
    "credential refused": answers.status(401, {}, b'{"error":{"message":"bad key"}}'),
    "no quota": openai_error(
        429, "You exceeded your current quota", kind="insufficient_quota", error_code="insufficient_quota"
    ),
}


def two(first: Answer, second: Answer, *, weights: tuple[int | None, int | None] = (None, None)) -> Bench:
    transports = {"one": FakeTransport(default=lambda _: first), "two": FakeTransport(default=lambda _: second)}
    aliases = {"m": [candidate(provider="one", weight=weights[0]), candidate(provider="two", weight=weights[1])]}
    return Bench(transports=transports, aliases=aliases)


@pytest.mark.parametrize("fault", BODY_FAULTS)
async def test_a_fault_of_the_first_provider_is_answered_by_the_second(fault: str) -> None:
    """Whatever is the provider's fault falls back (U1, U6-U8, U10-U12), and both attempts are recorded."""
    bench = two(BODY_FAULTS[fault], openai_reply("from two"))

    assert b"from two" in await bench.ask("m")

    assert_one_terminal_record(bench.sink.records)
    (ended,) = bench.sink.ended
    assert [attempt.provider for attempt in ended.attempts] == ["one", "two"]
    assert ended.attempts[0].error_code is not None
    assert ended.attempts[1].error_code is None


async def test_a_fault_of_the_caller_does_not_fall_back() -> None:
    """A 400 of the provider goes to the caller; the second provider is not asked (U8)."""
    bench = two(answers.status(400, {}, b'{"error":{"message":"bad temperature"}}'), openai_reply("from two"))

    with pytest.raises(UpstreamRejected):
        await bench.ask("m")

    assert len(bench.sink.ended[0].attempts) == 1


async def test_when_all_fail_the_last_failure_is_told() -> None:
    """The caller learns what the last candidate said."""
    bench = two(answers.refuse(), answers.status(503))

    with pytest.raises(UpstreamUnavailable):
        await bench.ask("m")


async def test_an_error_as_the_first_frame_of_a_stream_falls_back() -> None:
    """An error inside a 200, before any content, is the same as an HTTP error (S2)."""
    first = answers.sse([{"error": {"message": "overloaded", "type": "server_error", "code": 529}}])
    bench = two(first, openai_stream(["two"]))

    assert b"two" in await bench.ask("m", stream=True)


async def test_a_stream_without_content_falls_back() -> None:
    """Pings and a terminator alone are no answer (S3)."""
    bench = two(answers.sse(["[DONE]"]), openai_stream(["two"]))

    assert b"two" in await bench.ask("m", stream=True)
    assert bench.sink.ended[0].attempts[0].error_code == EmptyStream.code


async def test_nothing_falls_back_once_content_has_gone_out() -> None:
    """A stream that breaks after content ends in an error; the second provider is not asked (S1)."""
    broken = openai_stream(["one", "more"])
    bench = two(broken.limit_data(broken.offset(3)), openai_stream(["two"]))

    with pytest.raises(StreamTruncated):
        await bench.ask("m", stream=True)

    (ended,) = bench.sink.ended
    assert (ended.outcome, len(ended.attempts)) == ("truncated", 1)
    assert ended.usage_source == "estimated"
    assert ended.cost_nanousd


async def test_weights_share_the_traffic() -> None:
    """Of 1,000 calls with weights 90 and 10, between 850 and 950 go to the first (seeded)."""
    bench = two(openai_reply("a"), openai_reply("b"), weights=(90, 10))

    for _ in range(1_000):
        await bench.ask("m")

    shares = Counter(ended.attempts[0].provider for ended in bench.sink.ended)
    assert 850 <= shares["one"] <= 950
    assert shares["one"] + shares["two"] == 1_000


async def test_a_weighted_candidate_that_fails_falls_back_to_the_others() -> None:
    """Weights choose who is first, not who is asked at all."""
    bench = two(answers.refuse(), openai_reply("b"), weights=(90, 10))

    for _ in range(20):
        assert b'"b"' in await bench.ask("m")


def test_the_default_candidate_is_unpriced() -> None:
    """A candidate that nobody priced has an unknown price, not a price of zero."""
    assert Candidate(provider="p", model="m").price is None


async def test_a_candidate_too_dear_for_the_budget_gives_way_to_a_cheaper_one() -> None:
    """Where the first target does not fit into the budget, the next that does answers."""
    dear = candidate("gpt-4", price=flat({"input": 10**9, "output": 10**9}))
    budget = Budget(scope="key:k", limit_nanousd=10_000_000, window="day")
    bench = Bench(aliases={"m": [dear, candidate()]}, principal=Principal(key_id="k", budgets=(budget,)))

    await bench.ask("m")

    first, second = bench.sink.ended[0].attempts
    assert (first.error_code, first.status, first.cost_nanousd) == ("budget_exceeded", None, 0)
    assert second.error_code is None
    assert len(bench.transport.requests) == 1


async def test_what_a_provider_said_tells_more_than_a_budget_that_is_too_small_for_another() -> None:
    """Where the cheap target fails and the dear one does not fit, the caller hears of the failure."""
    dear = candidate("gpt-4", price=flat({"input": 10**9, "output": 10**9}))
    budget = Budget(scope="key:k", limit_nanousd=10_000_000, window="day")
    bench = Bench(aliases={"m": [candidate(), dear]}, principal=Principal(key_id="k", budgets=(budget,)))
    bench.transport.then(answers.status(500))

    with pytest.raises(UpstreamUnavailable):
        await bench.ask("m")


# --- order ---

ONE_TWO = ("one", "two")


class Routed(Bench):
    """A bench with a plan for `m`, whose candidates are those given, and a transport for each of their providers."""

    def __init__(
        self,
        clock: VirtualClock,
        plan: Plan,
        *candidates: Candidate,
        further: Sequence[str] = (),
        above: Stage | None = None,
    ) -> None:
        self.candidates = candidates
        providers = [*(each.provider for each in candidates), *further]
        transports = {name: FakeTransport(clock=clock) for name in providers}
        route = Route(clock, SeededRng(0), {"m": plan}, partial(static_reply, OPENAI_CHAT))
        pace = Pace(FakeLimits(clock), clock, SeededRng(0))
        stages: dict[str, Stage] = {"route": route, "pace": pace} | ({} if above is None else {"validate": above})
        super().__init__(clock=clock, transports=transports, aliases={"m": candidates}, stages=stages)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Which provider, with which credential, in which order; of the newest record."""
        return [(attempt.provider, attempt.credential) for attempt in self.sink.ended[-1].attempts]

    def requests(self, provider: str) -> int:
        return len(self.transports[provider].requests)


def busy(count: int, seconds: float | None = None, name: str = "p/m") -> Lane:
    """A lane with so many attempts under way, and answers that took so long."""
    lane = Lane(name)
    lane.in_flight = count
    for _ in range(0 if seconds is None else 20):
        lane.first_token_s.add(seconds or 0.0)
        lane.whole_s.add(seconds or 0.0)
    return lane


def on(provider: str, lane: Lane | None = None, **facts: Any) -> Candidate:
    return candidate(provider=provider, lane=Lane(f"{provider}/gpt-4o-mini") if lane is None else lane, **facts)


@pytest.mark.parametrize(
    ("strategy", "first"),
    [("order", "one"), ("least-load", "two"), ("latency", "three")],
)
def test_a_strategy_says_who_is_asked_first(strategy: Any, first: str) -> None:
    """As they stand, the one with the fewest calls under way, or the fastest for its load."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        bench = Routed(
            clock,
            Plan(strategy=strategy),
            on("one", busy(3, 5.0)),
            on("two", busy(0, 9.0)),
            on("three", busy(1, 2.0)),
        )
        await bench.ask("m", stream=True)
        assert bench.asked == [(first, "default")]
        assert bench.sink.ended[-1].degraded == ()

    scenario()


@virtual
async def test_one_whose_speed_nobody_knows_is_found_out(clock: VirtualClock) -> None:
    """Under `latency` a target without any answer yet is asked first."""
    bench = Routed(clock, Plan(strategy="latency"), on("one", busy(0, 0.1)), on("two"))
    await bench.ask("m")
    assert bench.asked == [("two", "default")]


@virtual
async def test_of_several_credentials_the_least_busy_one_is_used(clock: VirtualClock) -> None:
    """The other ones of a target come before the next target."""
    bench = Routed(
        clock,
        Plan(),
        on("one", busy(2), credential="1"),
        on("one", busy(1), credential="2"),
        on("two", busy(0)),
    )
    bench.transports["one"].then(answers.refuse(), answers.refuse())
    await bench.ask("m")
    assert bench.asked == [("one", "2"), ("one", "1"), ("two", "default")]
    assert bench.sink.ended[-1].degraded == ("fallback",)


@virtual
async def test_a_drawn_target_is_asked_with_all_its_credentials(clock: VirtualClock) -> None:
    """Weights are of targets: the least busy credential first, the others before the next target."""
    bench = Routed(
        clock,
        Plan(),
        on("one", busy(2), credential="1", weight=45.0),
        on("one", busy(1), credential="2", weight=45.0),
        on("two", busy(0), weight=80.0),
    )
    bench.transports["one"].then(*[answers.refuse()] * 40)
    for _ in range(20):
        await bench.ask("m")
        assert bench.asked in ([("one", "2"), ("one", "1"), ("two", "default")], [("two", "default")])


@virtual
async def test_a_weight_of_all_others_is_drawn_last(clock: VirtualClock) -> None:
    """A point at the very end of the line falls on the last one."""

    class End(SeededRng):
        def random(self) -> float:
            return 1.0

    bench = Routed(clock, Plan(), on("one", weight=1.0), on("two", weight=1.0))
    route = Route(clock, End(0))
    call = bench.call("m")
    call.candidates = (on("one", weight=1.0), on("two", weight=1.0))
    seen: list[str] = []

    async def following(call: Call) -> Reply:
        seen.append(call.attempt.candidate.provider)
        return Reply(200, b"{}")

    await route(call, following)
    assert seen == ["two"]


# --- who is left alone ---


@virtual
async def test_blocked_candidates_are_passed_over(clock: VirtualClock) -> None:
    """They get no attempt, and the answer of another target says that it is one."""
    lane = busy(0)
    lane.set_aside("credential", clock.monotonic_ns(), 60)
    bench = Routed(clock, Plan(), on("one", lane), on("two"))
    await bench.ask("m")
    assert (bench.asked, bench.sink.ended[-1].degraded) == ([("two", "default")], ("fallback",))


@virtual
async def test_where_all_are_left_alone_the_shortest_wait_is_told_at_once(clock: VirtualClock) -> None:
    """A 503 that names each of them, after no time, without an attempt; and after the wait it works (U17)."""
    lanes = [busy(0, name=name) for name in ("a/m", "b/m", "c/m")]
    for lane, reason, wait_s in zip(lanes, ("cooling", "quota", "credential"), (30, 12, 60), strict=True):
        lane.set_aside(reason, clock.monotonic_ns(), wait_s)  # type: ignore[arg-type]
    bench = Routed(clock, Plan(), *(on(lane.name[0], lane) for lane in lanes))
    began_ns = clock.monotonic_ns()
    with pytest.raises(CircuitOpen) as caught:
        await bench.ask("m")
    assert (clock.monotonic_ns(), caught.value.retry_after_s, caught.value.status) == (began_ns, 12, 503)
    assert "'a/m' (cooling), 'b/m' (quota), 'c/m' (credential)" in caught.value.message
    assert_one_terminal_record(bench.sink.records)
    await clock.sleep(12)
    await bench.ask("m")
    assert bench.asked == [("b", "default")]


@virtual
@pytest.mark.parametrize(("reason", "waits"), [("cooling", True), ("credential", False), ("quota", False)])
async def test_a_caller_waits_for_what_passes_with_time_alone(clock: VirtualClock, reason: Reason, waits: bool) -> None:
    """An SDK that was told to retry would wait a minute for somebody to renew a key."""
    lane = busy(0)
    lane.set_aside(reason, clock.monotonic_ns(), 60)
    bench = Routed(clock, Plan(), on("one", lane))
    with pytest.raises(CircuitOpen) as caught:
        await bench.ask("m")
    assert (caught.value.retryable, caught.value.retry_after_s) == (waits, 60)


async def test_a_call_without_candidates_is_a_fault_of_ours() -> None:
    """Resolve lets none through."""
    bench = two(openai_reply("a"), openai_reply("b"))

    async def none(call: Call, following: Next) -> Reply:
        call.candidates = ()
        return await following(call)

    bench = Bench(stages={"resolve": none})
    with pytest.raises(InternalError):
        await bench.ask()


# --- further targets ---

TOO_LONG = openai_error(400, "too long", kind="invalid_request_error", error_code="context_length_exceeded")
REFUSED = openai_error(400, "not this", kind="invalid_request_error", error_code="content_policy_violation")


@virtual
async def test_a_prompt_that_does_not_fit_goes_to_larger_windows_alone(clock: VirtualClock) -> None:
    """Smaller and unknown ones of the list are not asked in vain; those configured for it come after (U9)."""
    further = (on("four", window=4_000), on("five", window=None), on("six", window=900_000))
    bench = Routed(
        clock,
        Plan(on_context_window=further),
        on("one", window=8_000),
        on("two", window=8_000),
        on("three", window=128_000),
        further=("four", "five", "six"),
    )
    for name in ("one", "three", "five"):
        bench.transports[name].then(TOO_LONG)
    await bench.ask("m")
    assert [provider for provider, _ in bench.asked] == ["one", "three", "six"]
    assert bench.sink.ended[-1].degraded == ("fallback",)


@virtual
async def test_a_prompt_that_fits_nowhere_is_the_callers(clock: VirtualClock) -> None:
    """The error is a 400, nobody is asked twice, and no static reply hides it (U9)."""
    larger = on("two", window=128_000)
    plan = Plan(on_context_window=(larger,), static="away")
    bench = Routed(clock, plan, on("one", window=8_000), larger)
    for name in ONE_TWO:
        bench.transports[name].then(TOO_LONG)
    with pytest.raises(ContextWindowExceeded):
        await bench.ask("m")
    assert [provider for provider, _ in bench.asked] == ["one", "two"]


@virtual
async def test_of_unknown_windows_only_configured_ones_are_asked(clock: VirtualClock) -> None:
    """Where nobody knows how large the first one is, no other of the list is known to be larger."""
    bench = Routed(clock, Plan(on_context_window=(on("three"),)), on("one"), on("two", window=10**6), further=["three"])
    bench.transports["one"].then(TOO_LONG)
    await bench.ask("m")
    assert [provider for provider, _ in bench.asked] == ["one", "three"]


@virtual
async def test_what_a_content_policy_refuses_goes_to_those_configured_for_it(clock: VirtualClock) -> None:
    """And to nobody else: the next target of the list is not asked."""
    bench = Routed(clock, Plan(on_content_policy=(on("three"),)), on("one"), on("two"), further=["three"])
    bench.transports["one"].then(REFUSED)
    await bench.ask("m")
    assert [provider for provider, _ in bench.asked] == ["one", "three"]
    bench.transports["one"].then(REFUSED)
    bench.transports["three"].then(REFUSED)
    with pytest.raises(ContentRefused):
        await bench.ask("m")
    assert [provider for provider, _ in bench.asked] == ["one", "three"]


# --- a call that is asked again ---


async def asked_twice(call: Call, following: Next) -> Reply:
    """A stage above that does not want the first answer."""
    (await following(call)).end(OK)
    return await following(call)


@virtual
async def test_asked_again_a_target_that_answered_before_is_a_fallback_again(clock: VirtualClock) -> None:
    """What it said the first time was not wanted, and it may say something else now."""
    bench = Routed(clock, Plan(), on("one"), on("two"), above=asked_twice)
    for _ in range(2):
        bench.transports["one"].then(answers.status(503))
    bench.transports["two"].then(openai_reply("bad"))
    bench.transports["two"].then(openai_reply("good"))

    assert b"good" in await bench.ask("m")
    assert [provider for provider, _ in bench.asked] == ["one", "two", "one", "two"]
    assert bench.sink.ended[-1].degraded == ("fallback",)


@virtual
async def test_asked_again_those_configured_for_a_refusal_or_a_long_prompt_are_asked_again(clock: VirtualClock) -> None:
    """Each pass has all of them before it."""
    for fault, plan in (
        (REFUSED, Plan(on_content_policy=(on("two"),))),
        (TOO_LONG, Plan(on_context_window=(on("two"),))),
    ):
        bench = Routed(clock, plan, on("one"), further=["two"], above=asked_twice)
        for _ in range(2):
            bench.transports["one"].then(fault)
        await bench.ask("m")
        assert [provider for provider, _ in bench.asked] == ["one", "two", "one", "two"]


@virtual
async def test_asked_again_is_no_hedge(clock: VirtualClock) -> None:
    """Each answer counts once towards what an alias costs, and none of them as what hedging adds."""
    one = on("one", busy(0, 1.0))
    bench = Routed(clock, Plan(hedge_share=0.1), one, on("two"), above=asked_twice)
    await bench.ask("m")
    bench.transports["one"].then(openai_reply("slow").latency(60))
    bench.transports["one"].then(openai_reply("slow").latency(60))

    await bench.ask("m")

    assert [provider for provider, _ in bench.asked] == ["one", "two", "one", "two"], "a hedge fits under the cap"


# --- hedging ---


def hedged(clock: VirtualClock, *candidates: Candidate, share: float = 1.0, **plan: Any) -> Routed:
    """`one` and `two`, of which `one` usually takes a second."""
    pair = candidates or (on("one", busy(0, 1.0)), on("two"))
    return Routed(clock, Plan(hedge_share=share, **plan), *pair)


async def since(clock: VirtualClock, asked: Awaitable[bytes]) -> tuple[bytes, float]:
    began_ns = clock.monotonic_ns()
    answer = await asked
    return answer, (clock.monotonic_ns() - began_ns) / 1e9


@virtual
async def test_a_second_one_is_asked_where_the_first_is_slow(clock: VirtualClock) -> None:
    """After the 95th percentile, not before; who is first answers, the other is cancelled and costs what was billed."""
    bench = hedged(clock)
    bench.transports["one"].then(openai_reply("slow").latency(60))
    bench.transports["two"].then(openai_reply("fast").latency(0.5))
    answer, took_s = await since(clock, bench.ask("m"))
    assert b"fast" in answer
    assert took_s == pytest.approx(1.5)
    assert_one_terminal_record(bench.sink.records)
    (ended,) = bench.sink.ended
    slow, fast = ended.attempts
    assert (slow.provider, slow.cost_nanousd, fast.provider) == ("one", 0, "two")
    assert ended.cost_nanousd == fast.cost_nanousd != 0
    assert ended.degraded == ("fallback",)
    assert bench.transports["one"].requests[0].closed_early_ns is not None
    assert bench.ledger.reserved_nanousd() == 0
    assert [each.lane.in_flight for each in bench.candidates] == [0, 0]


@virtual
async def test_the_first_one_may_still_win(clock: VirtualClock) -> None:
    """Then the second is cancelled, and the answer is no fallback."""
    bench = hedged(clock)
    bench.transports["one"].then(openai_reply("first").latency(2))
    bench.transports["two"].then(openai_reply("second").latency(60))
    answer, took_s = await since(clock, bench.ask("m"))
    assert b"first" in answer
    assert took_s == pytest.approx(2)
    assert bench.sink.ended[-1].degraded == ()
    assert (bench.requests("one"), bench.requests("two")) == (1, 1)


@virtual
async def test_an_answer_in_time_asks_nobody_else(clock: VirtualClock) -> None:
    """Nor does one whose usual time nobody knows yet, nor one without a price to count it by."""
    bench = hedged(clock)
    await bench.ask("m")
    assert bench.requests("two") == 0
    unknown = hedged(clock, on("one"), on("two"))
    unpriced = hedged(clock, on("one", busy(0, 1.0), price=None), on("two"))
    for each in (unknown, unpriced):
        each.transports["one"].then(openai_reply("slow").latency(60))
        await each.ask("m")
        assert each.requests("two") == 0


@virtual
async def test_a_stream_is_hedged_until_its_first_content(clock: VirtualClock) -> None:
    """The winner's stream goes on to its end; the other one was cancelled."""
    bench = hedged(clock)
    bench.transports["one"].then(openai_stream(["slow"]).latency(60))
    bench.transports["two"].then(openai_stream(["fast", "er"]).paced(0.2))
    answer = await bench.ask("m", stream=True)
    assert b"fast" in answer
    assert b"[DONE]" in answer
    assert_one_terminal_record(bench.sink.records)


@virtual
async def test_a_target_alone_is_asked_twice(clock: VirtualClock) -> None:
    """Another connection to the same place is better than none."""
    bench = hedged(clock, on("one", busy(0, 1.0)))
    bench.transports["one"].then(openai_reply("slow").latency(60), openai_reply("fast"))
    answer, took_s = await since(clock, bench.ask("m"))
    assert (b"fast" in answer, round(took_s, 3)) == (True, 1.0)


@virtual
async def test_a_loser_that_bills_all_the_same_is_paid_for(clock: VirtualClock) -> None:
    """Its usage comes later, and the record waits for it; the cap of what hedging may cost knows it, too."""
    bench = hedged(clock, on("one", busy(0, 1.0), bills_after_disconnect=True), on("two"), share=0.1)
    for _ in range(2):
        bench.transports["one"].then(openai_reply("slow", tokens(10, 1_000)).latency(5))
        await bench.ask("m")
        await clock.sleep(10)
    first, second = bench.sink.ended
    assert [attempt.cost_nanousd for attempt in first.attempts] == [2_010_000, 20_000]
    assert [attempt.provider for attempt in second.attempts] == ["one"], "the cap is reached"


@virtual
async def test_hedging_costs_no_more_than_its_share(clock: VirtualClock) -> None:
    """A loser that was paid for counts until enough other calls have made it a small part again."""
    bench = hedged(clock, on("one", busy(0, 1.0), bills_after_disconnect=True), on("two"), share=0.5)
    bench.transports["one"].then(openai_reply("slow").latency(5))
    await bench.ask("m")
    await clock.sleep(10)
    hedges = []
    for _ in range(6):
        bench.transports["one"].then(openai_reply("slow").latency(5))
        await bench.ask("m")
        await clock.sleep(10)
        hedges.append(len(bench.asked) == 2)
    costs = [attempt.cost_nanousd or 0 for ended in bench.sink.ended for attempt in ended.attempts]
    losers = [ended.attempts[0].cost_nanousd or 0 for ended in bench.sink.ended if len(ended.attempts) == 2]
    assert True in hedges
    assert sum(losers) <= 0.5 * sum(costs) + max(losers)


@virtual
async def test_one_that_is_left_alone_is_no_rival(clock: VirtualClock) -> None:
    """A second attempt is not made where it would be refused."""
    lane = busy(0)
    bench = hedged(clock, on("one", busy(0, 1.0)), on("two", lane))
    bench.transports["one"].then(openai_reply("slow").latency(3))

    def block() -> None:
        lane.set_aside("quota", clock.monotonic_ns(), 60)

    clock.timer(0.5, block)
    assert b"slow" in await bench.ask("m")
    assert bench.requests("two") == 0


@virtual
async def test_where_both_fail_the_next_one_is_asked(clock: VirtualClock) -> None:
    """Nobody is asked a second time for it."""
    bench = hedged(clock, on("one", busy(0, 1.0)), on("two"), on("three"))
    bench.transports["one"].then(answers.status(500).latency(3))
    bench.transports["two"].then(answers.status(500).latency(1))
    await bench.ask("m")
    assert [provider for provider, _ in bench.asked] == ["one", "two", "three"]
    assert_one_terminal_record(bench.sink.records)


@virtual
async def test_where_all_fail_the_first_ones_error_is_told(clock: VirtualClock) -> None:
    """What the target itself said, not what its rival did."""
    bench = hedged(clock)
    bench.transports["one"].then(answers.status(504).latency(3))
    bench.transports["two"].then(answers.status(500).latency(1))
    with pytest.raises(UpstreamTimeout):
        await bench.ask("m")
    assert [provider for provider, _ in bench.asked] == ["one", "two"]


@virtual
async def test_time_in_line_is_no_reason_to_hedge(clock: VirtualClock) -> None:
    """Calls that wait for a provider's limits are not slow; one that is slow afterwards is, from when it was sent."""
    lane = busy(0, 1.0)
    bench = hedged(clock, on("one", lane, pacing=Pacing()), on("two"))
    lane.set_aside("cooling", clock.monotonic_ns(), 4)
    await bench.ask("m")
    assert bench.requests("two") == 0
    lane.set_aside("cooling", clock.monotonic_ns(), 4)
    bench.transports["one"].then(openai_reply("slow").latency(60))
    _, took_s = await since(clock, bench.ask("m"))
    assert (took_s, bench.requests("two")) == (pytest.approx(5), 1)


@virtual
async def test_a_failure_before_the_time_is_no_reason_to_hedge(clock: VirtualClock) -> None:
    """It falls back as ever."""
    bench = hedged(clock)
    bench.transports["one"].then(answers.status(500))
    await bench.ask("m")
    assert [provider for provider, _ in bench.asked] == ["one", "two"]


@pytest.mark.parametrize("bills", [False, True], ids=["billed no further", "billed all the same"])
def test_who_leaves_while_two_are_asked_leaves_nothing_behind(bills: bool) -> None:
    """Both are cancelled, nothing stays reserved, and there is one record."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        bench = hedged(
            clock,
            on("one", busy(0, 1.0), bills_after_disconnect=bills),
            on("two", bills_after_disconnect=bills),
        )
        for name in ONE_TWO:
            bench.transports[name].then(openai_reply("slow").latency(10))
        task = asyncio.get_running_loop().create_task(bench.ask("m"))
        await clock.sleep(2)
        assert (bench.requests("one"), bench.requests("two")) == (1, 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await clock.sleep(100)
        assert_one_terminal_record(bench.sink.records)
        (ended,) = bench.sink.ended
        assert [attempt.cost_nanousd for attempt in ended.attempts] == ([20_000] * 2 if bills else [0, 0])
        assert bench.ledger.reserved_nanousd() == 0
        assert [each.lane.in_flight for each in bench.candidates] == [0, 0]
        assert clock.pending == 0

    scenario()


@virtual
async def test_of_two_answers_in_one_moment_one_is_ended(clock: VirtualClock) -> None:
    """The other reply's hooks run, so that nothing of it stays open."""
    bench = hedged(clock)
    bench.transports["one"].then(openai_stream(["one"]).latency(3))
    bench.transports["two"].then(openai_stream(["two"]).latency(2))
    await bench.ask("m", stream=True)
    assert_one_terminal_record(bench.sink.records)
    assert len(bench.sink.ended[0].attempts) == 2
    assert bench.ledger.reserved_nanousd() == 0
    assert [each.lane.in_flight for each in bench.candidates] == [0, 0]


@virtual
async def test_s18_one_cancelled_twice_while_two_are_asked_leaves_nothing_open(clock: VirtualClock) -> None:
    """The second time comes while the first attempt takes its leave; the other one has answered all the same, and is ended."""
    ended: list[Outcome] = []

    async def asked(call: Call) -> Reply:
        call.attempt.sent_ns = clock.monotonic_ns()
        try:
            await clock.sleep(10)
        except asyncio.CancelledError:
            if call.attempt.candidate.provider == "one":
                await clock.sleep(1)
                raise
        reply = Reply(200, b"late")
        reply.on_end.append(ended.append)
        return reply

    route = Route(clock, SeededRng(0), {"m": Plan(hedge_share=1.0)})
    call = Bench(clock=clock).call("m")
    call.alias, call.candidates = "m", (on("one", busy(0, 1.0)), on("two"))
    task = asyncio.get_running_loop().create_task(route(call, asked))
    await clock.sleep(2)
    task.cancel()
    await clock.sleep(0.5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await clock.sleep(10)
    assert [outcome.kind for outcome in ended] == ["cancelled"]


# --- the last resort ---


@pytest.mark.parametrize("stream", [False, True])
def test_where_nobody_can_answer_the_operators_text_does(stream: bool) -> None:
    """In the caller's dialect, at no cost, and marked as what it is."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        bench = Routed(clock, Plan(static="We are away."), on("one"), on("two"))
        for name in ONE_TWO:
            bench.transports[name].then(answers.status(500))
        call = bench.call("m", stream=stream, stream_options={"include_usage": True} if stream else None, n=2)
        body = await bench.see_through(await bench.run(call))
        assert call.answered_by == "static"
        if stream:
            assert body.endswith(b"data: [DONE]\n\n")
            assert body.count(b"We are away.") == 2
            assert b'"usage":{' in body
        else:
            assert [each["message"]["content"] for each in json.loads(body)["choices"]] == ["We are away."] * 2
        (ended,) = bench.sink.ended
        assert (ended.outcome, ended.degraded, ended.cost_nanousd) == ("ok", ("static",), 0)
        assert [attempt.error_code for attempt in ended.attempts] == ["upstream_unavailable"] * 2

    scenario()


@virtual
async def test_the_operators_text_comes_at_once_where_all_are_left_alone(clock: VirtualClock) -> None:
    """Nobody is asked for it."""
    lane = busy(0)
    lane.set_aside("quota", clock.monotonic_ns(), 60)
    bench = Routed(clock, Plan(static="We are away."), on("one", lane))
    assert b"We are away." in await bench.ask("m")
    assert bench.requests("one") == 0


@virtual
async def test_the_operators_text_hides_nothing_that_is_the_callers(clock: VirtualClock) -> None:
    """A mistake of the caller and a broken stream stay what they are."""
    broken = openai_stream(["one", "more"])
    bench = Routed(clock, Plan(static="We are away."), on("one"))
    bench.transports["one"].then(answers.status(422), broken.limit_data(broken.offset(2)))
    with pytest.raises(UpstreamRejected):
        await bench.ask("m")
    with pytest.raises(StreamTruncated):
        await bench.ask("m", stream=True)


@virtual
async def test_a_static_stream_may_be_left_and_cut(clock: VirtualClock) -> None:
    """It behaves as any other stream does."""
    lane = busy(0)
    lane.set_aside("quota", clock.monotonic_ns(), 60)
    bench = Routed(clock, Plan(static="We are away."), on("one", lane))
    reply = await bench.run(bench.call("m", stream=True))
    assert not isinstance(reply.source, bytes)
    assert b"We are away." in reply.source.raw()
    reply.source.abort(StreamTruncated("cut"))
    with pytest.raises(StreamTruncated):
        await bench.see_through(reply)
    reply = await bench.run(bench.call("m", stream=True))
    reply.end(Outcome("cancelled", 499, Cancelled("left")))
    assert [ended.outcome for ended in bench.sink.ended] == ["truncated", "cancelled"]


@virtual
async def test_what_goes_on_from_a_stored_answer_goes_nowhere_else(clock: VirtualClock) -> None:
    """It lies with the candidates: another target would not know it, and hide why the call failed."""
    further = (on("three", window=900_000),)
    for fault, plan, error in (
        (TOO_LONG, Plan(on_context_window=further), ContextWindowExceeded),
        (REFUSED, Plan(on_content_policy=further), ContentRefused),
    ):
        bench = Routed(clock, plan, on("one", window=8_000), further=["three"])
        bench.transports["one"].then(fault)
        call = bench.call("m")
        call.request.goes_on_from = ("previous_response_id", "resp_1")
        with pytest.raises(error):
            await bench.run(call)
        assert [provider for provider, _ in bench.asked] == ["one"]


@virtual
async def test_what_cannot_be_translated_waits_for_a_target_that_is_left_alone(clock: VirtualClock) -> None:
    """The caller is told to come again, and not that nobody has a form for it."""
    route = Route(clock, SeededRng(0), {})
    shut, other = on("one"), on("two")
    shut.lane.set_aside("cooling", clock.monotonic_ns(), 600.0)

    async def no_form(call: Call) -> Reply:
        raise Untranslatable("no form for it")

    call = Bench().call("m")
    call.candidates = (shut, other)
    with pytest.raises(CircuitOpen) as caught:
        await route(call, no_form)
    assert (caught.value.retryable, caught.value.retry_after_s) == (True, 600.0)
    call.candidates = (other,)
    with pytest.raises(Untranslatable):
        await route(call, no_form)
