"""budget: reserve before, settle after, and never more than there is."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.call import OK, Call, Wanted
from fairlead.errors import BudgetExceeded, FairleadError, UpstreamUnavailable
from fairlead.pipeline import Reply
from fairlead.stages.budget import Budget as Stage
from fairlead.testing import (
    FakeLedger,
    VirtualClock,
    answers,
    assert_money_conserved,
    openai_reply,
    openai_stream,
    tokens,
    virtual_run,
)
from fairlead.testing.pipeline import Bench, candidate
from fairlead.types import Budget, Principal

BUDGET = Budget(scope="key:k", limit_nanousd=10_000_000, window="day")
HOLDER = Principal(key_id="k", budgets=(BUDGET,))


async def test_the_real_cost_replaces_the_reservation() -> None:
    """After a call nothing is reserved and the real cost is settled."""
    ledger = FakeLedger()
    bench = Bench(principal=HOLDER, ledger=ledger)
    bench.transport.then(openai_reply("hi", tokens(100, 10)))

    await bench.ask()

    assert ledger.settled_nanousd(BUDGET, bench.clock.now_ns()) == 100 * 1_000 + 10 * 2_000
    assert_money_conserved(ledger, {BUDGET: 120_000})


async def test_a_reservation_covers_the_stated_maximum() -> None:
    """The reservation is the price of every byte as a token, and of `max_tokens` for each of `n` answers."""
    ledger = FakeLedger()
    bench = Bench(principal=HOLDER, ledger=ledger)

    call = bench.call(max_tokens=50, n=3)
    await bench.see_through(await bench.run(call))

    (hold,) = ledger.holds
    assert hold.amount_nanousd == call.request.input_bytes * 1_000 + 150 * 2_000


async def test_a_reservation_covers_a_schema_that_is_put_into_the_prompt() -> None:
    """It is asked for in words where a model takes it in no other way; without one nothing is added."""
    ledger = FakeLedger()
    bench = Bench(principal=HOLDER, ledger=ledger)
    wanted = Wanted(name="n", schema=b'{"type":"object"}')

    call = bench.call(max_tokens=50)
    call.request.wanted = wanted
    await bench.see_through(await bench.run(call))

    (hold,) = ledger.holds
    assert hold.amount_nanousd == (call.request.input_bytes + 3 * len(wanted.schema) + 1_024) * 1_000 + 50 * 2_000


@pytest.mark.parametrize(("window", "most"), [(8_000, 8_000), (None, 1_048_576)])
async def test_a_prompt_that_lies_with_the_provider_may_fill_the_context(window: int | None, most: int) -> None:
    """The bytes of the request say nothing of what an answer before it, or a stored prompt, holds."""
    ledger = FakeLedger()
    rich = Principal(key_id="k", budgets=(Budget(scope="key:k", limit_nanousd=10**12, window="day"),))
    bench = Bench(principal=rich, ledger=ledger, aliases={"m": [candidate(window=window)]})

    call = bench.call("m", max_tokens=50)
    call.request.is_partial = True
    await bench.see_through(await bench.run(call))

    (hold,) = ledger.holds
    assert hold.amount_nanousd == (call.request.input_bytes + most) * 1_000 + 50 * 2_000


async def test_without_a_stated_maximum_the_models_own_counts() -> None:
    """A call that names no maximum reserves the model's (L3)."""
    ledger = FakeLedger()
    bench = Bench(principal=HOLDER, ledger=ledger, aliases={"m": [candidate(max_output_tokens=1_000)]})

    call = bench.call("m")
    await bench.see_through(await bench.run(call))

    assert ledger.holds[0].amount_nanousd == call.request.input_bytes * 1_000 + 1_000 * 2_000


async def test_a_call_over_the_budget_never_reaches_the_provider() -> None:
    """A worst case that does not fit is refused before anything is sent, and does not fall back."""
    bench = Bench(principal=HOLDER)

    with pytest.raises(BudgetExceeded):
        await bench.ask(max_tokens=5_000)

    assert bench.transport.requests == []
    (ended,) = bench.sink.ended
    assert (ended.error_class, ended.status, ended.cost_nanousd) == ("budget", 429, 0)


async def test_a_failed_attempt_is_a_known_zero() -> None:
    """A provider's error costs nothing and frees the reservation."""
    ledger = FakeLedger()
    bench = Bench(principal=HOLDER, ledger=ledger)
    bench.transport.then(answers.status(500))

    with pytest.raises(UpstreamUnavailable):
        await bench.ask()

    assert ledger.reserved_nanousd() == 0
    assert bench.sink.ended[0].cost_nanousd == 0


async def test_a_model_without_a_price_is_unpriced_and_not_free() -> None:
    """Without a budget an unpriced model runs, and its cost is unknown (L8)."""
    bench = Bench(aliases={"m": [candidate(price=None)]})

    await bench.ask("m")

    assert bench.sink.ended[0].cost_nanousd is None
    assert bench.sink.ended[0].attempts[0].reserved_nanousd is None


async def test_a_budget_refuses_a_model_without_a_price_and_names_the_remedy() -> None:
    """With a hard budget an unpriced model is refused; the message says what to set (L8)."""
    bench = Bench(principal=HOLDER, aliases={"m": [candidate(price=None)]})

    with pytest.raises(BudgetExceeded, match=r'\[models\."m"\] price'):
        await bench.ask("m")
    assert bench.sink.ended[0].cost_nanousd == 0, "what was never sent is no unknown cost"


async def test_a_count_of_tokens_needs_no_price() -> None:
    """It costs nothing: with a hard budget it is answered, and nothing is reserved for it."""
    ledger = FakeLedger()
    budget = Stage(ledger, VirtualClock())
    call = Bench(principal=HOLDER).call("m")
    call.request.operation = "count"
    call.open_attempt(candidate(price=None), 0)

    async def counted(call: Call) -> Reply:
        return Reply(200, b"{}")

    (await budget(call, counted)).end(OK)

    assert [hold.amount_nanousd for hold in ledger.holds] == [0]
    assert call.attempt.cost_nanousd == 0


async def test_more_than_was_reserved_is_charged_all_the_same() -> None:
    """An answer dearer than its reservation is charged at its true cost (L4)."""
    ledger = FakeLedger()
    bench = Bench(principal=HOLDER, ledger=ledger)
    bench.transport.then(openai_reply("hi", tokens(4_000, 10)))

    await bench.ask(max_tokens=1)

    assert ledger.settled_nanousd(BUDGET, bench.clock.now_ns()) == 4_000 * 1_000 + 10 * 2_000


async def test_a_caller_who_leaves_a_stream_is_charged_for_what_came() -> None:
    """An abandoned stream is settled by an estimate of what was written, and nothing stays reserved."""
    ledger = FakeLedger()
    bench = Bench(principal=HOLDER, ledger=ledger)
    stream = openai_stream(["word "] * 50)
    bench.transport.then(stream.stall(stream.offset(10)))

    reply = await bench.run(bench.call(stream=True))
    reading = asyncio.ensure_future(bench.see_through(reply))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading

    (ended,) = bench.sink.ended
    assert (ended.outcome, ended.usage_source) == ("cancelled", "estimated")
    assert ended.cost_nanousd
    assert ledger.reserved_nanousd() == 0


async def test_a_hundred_parallel_calls_on_a_budget_for_ten_admit_at_most_ten() -> None:
    """However a hundred calls interleave, no more are admitted than the budget can pay (L1)."""
    bench = Bench(principal=HOLDER)
    worst = bench.call(max_tokens=450).request.input_bytes * 1_000 + 450 * 2_000
    bench.principal = Principal(key_id="k", budgets=(Budget(scope="key:k", limit_nanousd=10 * worst, window="day"),))
    bench.transport.then(*[openai_reply("x", tokens(90, 450)).latency(0.01)] * 100)

    results = await asyncio.gather(*(bench.ask(max_tokens=450) for _ in range(100)), return_exceptions=True)

    admitted = [each for each in results if isinstance(each, bytes)]
    assert len(admitted) == 10
    assert all(isinstance(each, FairleadError | bytes) for each in results)


async def test_usage_that_came_with_an_error_is_charged() -> None:
    """A stream without content, and a whole body for a streamed call, cost what the provider counted."""
    for answer in (openai_stream([], tokens(100, 10)), openai_reply("whole", tokens(100, 10))):
        bench = Bench()
        bench.transport.then(answer)
        try:
            await bench.ask(stream=True)
        except FairleadError as error:
            assert error.code in {"empty_stream", "upstream_protocol_error"}  # noqa: PT017 - both forms are looked at
        assert bench.sink.ended[0].cost_nanousd == 100 * 1_000 + 10 * 2_000


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["timeout", "departure"])
def test_an_answer_that_is_billed_on_is_booked_when_it_has_come(how: str, stream: bool) -> None:
    """Cut by a clock or left by its caller: the caller goes at once, and the real usage is booked later, once."""
    clock = VirtualClock()

    async def scenario() -> tuple[Bench, FakeLedger, float]:
        ledger = FakeLedger()
        billed = candidate(bills_after_disconnect=True)
        bench = Bench(clock=clock, ledger=ledger, principal=HOLDER, aliases={"m": [billed]})
        whole = openai_reply("late", tokens(100, 10)).latency(30)
        bench.transport.then(openai_stream(["a", "b", "c", "d"], tokens(100, 10)).paced(5) if stream else whole)
        call = bench.call("m", stream=stream, **({"stream_options": {"include_usage": True}} if stream else {}))
        began = clock.monotonic_ns()
        if how == "timeout":
            call.deadline_ns = call.started_ns + 12 * 10**9
        task = asyncio.ensure_future(see(bench, call))
        if how == "departure":
            await clock.sleep(12)
            call.fate.abandoned = True
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        took_s = (clock.monotonic_ns() - began) / 1e9
        await clock.sleep(120)
        return bench, ledger, took_s

    bench, ledger, took_s = virtual_run(scenario(), clock)

    (ended,) = bench.sink.ended
    assert took_s == pytest.approx(12, abs=0.5)
    assert ended.duration_ns / 1e9 == pytest.approx(12, abs=0.5)
    assert (ended.usage_source, ended.cost_nanousd) == ("final", 120_000)
    assert list(ledger.settlements.values()) == [120_000]


async def see(bench: Bench, call: Call) -> bytes:
    """Make a call and read its answer to the end."""
    return await bench.see_through(await bench.run(call))
