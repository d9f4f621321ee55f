"""What calls may cost and what they did cost, whatever happens on the way (FAULTS L2-L4, L7-L9, L12, L16-L18)."""

from __future__ import annotations

import asyncio
import time
import tracemalloc

import openai
import pytest

from fairlead.errors import BudgetExceeded
from fairlead.ports import Claim, Hold
from fairlead.stores.memory import MemoryLedger, MemoryLimits
from fairlead.testing import (
    FakeUpstream,
    VirtualClock,
    answers,
    openai_error,
    openai_reply,
    openai_stream,
    speak_openai,
    tokens,
)
from fairlead.testing.pipeline import Bench
from fairlead.types import Budget, Principal, Rate
from faults.front import ENVIRON, MESSAGES, Begin, chat, recorded
from faults.trouble import BREAKER, RETRY, config, error_of, tried
from virtual import virtual

DOLLAR = 10**9
"""In nano-USD."""


# --- L2 ---


async def test_l2_the_first_calls_ever_of_a_user_share_one_budget(begin: Begin) -> None:
    """Forty at once of a key that nobody has seen: as many are let in as the budget pays for, and none more."""
    async with FakeUpstream(default=lambda request: speak_openai(request).latency(0.3)) as one:
        gateway = await begin(config(one.base_url, auth="keys", model=BREAKER), ENVIRON)
        probe = await gateway.key("probe", user="other")
        assert (await chat(gateway, probe, max_tokens=10)).status == 200
        worst = (await recorded(gateway))[0]["attempts"][0]["reserved_nanousd"]
        keys = [await gateway.key(f"k{number}", user=f"u{number}", budget_nanousd=5 * worst) for number in range(4)]
        done = await asyncio.gather(*(chat(gateway, key, max_tokens=10) for _ in range(10) for key in keys))

    statuses = [[answer.status for answer in done[number::4]] for number in range(4)]
    assert [each.count(200) for each in statuses] == [5] * 4
    assert {error_of(answer) for answer in done if answer.status != 200} == {(429, "budget_exceeded", "false")}
    assert gateway.foundation.ledger.reserved_nanousd() == 0


# --- L3, L8 ---


async def test_l3_without_a_maximum_the_models_own_is_reserved(begin: Begin) -> None:
    """By its facts, or as configured; a call that names one reserves that."""
    async with FakeUpstream() as one:
        for model, most in ((BREAKER, 16_384), (BREAKER + "\nmax_output_tokens = 100", 100)):
            gateway = await begin(config(one.base_url, auth="keys", model=model), ENVIRON)
            key = await gateway.key("k1", budget_nanousd=DOLLAR)
            for fields in ({}, {"max_tokens": 7}):
                assert (await chat(gateway, key, **fields)).status == 200
            named, bare = (record["attempts"][0]["reserved_nanousd"] for record in await recorded(gateway, 2))
            assert bare - named == pytest.approx((most - 7) * 2_000, abs=50_000), (
                "but for the bytes of the field itself"
            )


@pytest.mark.parametrize("model", ["unpriced", "unpriced, but its maximum is known"])
async def test_l3_what_has_no_price_is_refused_under_a_budget(begin: Begin, model: str) -> None:
    """Nobody can say whether it fits; the remedy stands in the message, and nothing goes upstream."""
    async with FakeUpstream() as one:
        text = config(one.base_url, auth="keys", more='[models."*"]\ntargets = ["one/*"]\n')
        gateway = await begin(text, ENVIRON)
        key = await gateway.key("k1", budget_nanousd=DOLLAR)
        fields = {"max_tokens": 5} if "maximum" in model else {}
        answer = await chat(gateway, key, **{"model": "no-such-model-anywhere"} | fields)

    assert error_of(answer) == (429, "budget_exceeded", "false")
    assert "price = {" in answer.json["error"]["message"]
    assert one.requests == []


@pytest.mark.parametrize("stream", [False, True])
async def test_l8_an_unknown_price_is_unknown_and_not_nothing(begin: Begin, stream: bool) -> None:
    """Without a budget it is let in, and its cost is null in the record and absent from the headers."""
    async with FakeUpstream() as one:
        text = config(one.base_url, auth="keys", more='[models."*"]\ntargets = ["one/*"]\n')
        gateway = await begin(text, ENVIRON)
        answer = await chat(gateway, await gateway.key("k1"), model="no-such-model-anywhere", stream=stream)

    assert answer.status == 200
    assert "x-fairlead-cost-usd" not in answer.headers
    (record,) = await recorded(gateway)
    assert (record["cost_usd"], record["usage"]["output_tokens"], record["usage_source"]) == (None, 5, "final")


# --- L4 ---


@pytest.mark.parametrize("stream", [False, True])
async def test_l4_what_was_used_beyond_the_reservation_is_paid(begin: Begin, stream: bool) -> None:
    """The true cost is settled and shown, and the next call finds the budget spent."""
    used = tokens(10, 2_000, reasoning=1_900)
    answer = openai_stream(["a"], used) if stream else openai_reply("a", used)
    async with FakeUpstream([answer]) as one:
        gateway = await begin(config(one.base_url, auth="keys", model=BREAKER), ENVIRON)
        key = await gateway.key("k1", budget_nanousd=1_000_000, budget_window="day")
        assert (await chat(gateway, key, max_tokens=100, stream=stream)).status == 200
        (record,) = await recorded(gateway)
        refused = await chat(gateway, key, max_tokens=1)

    attempt = record["attempts"][0]
    assert record["cost_usd"] == "0.00401"
    assert attempt["reserved_nanousd"] < 4_010_000
    assert error_of(refused) == (429, "budget_exceeded", "false")
    assert len(one.requests) == 1


# --- L7 ---


@virtual
async def test_l7_a_stream_over_midnight_is_charged_to_the_day_of_its_admission(clock: VirtualClock) -> None:
    """The new day's budget is whole; yesterday's has what the stream cost."""
    await clock.sleep(86_400 - 30)
    limit = Budget(scope="key:k", limit_nanousd=250_000, window="day")

    async def nothing(scope: str, since_ns: int) -> int:
        return 0

    ledger = MemoryLedger(clock, nothing)
    bench = Bench(clock=clock, ledger=ledger, principal=Principal(key_id="k", budgets=(limit,)))
    bench.transport.then(openai_stream(["a"] * 10, tokens(10, 20)).paced(6.0))
    stream = asyncio.get_running_loop().create_task(bench.ask(stream=True, max_tokens=20))
    await clock.sleep(5)
    with pytest.raises(BudgetExceeded):
        await bench.ask(max_tokens=100)
    await clock.sleep(30)
    await bench.ask(max_tokens=20)
    await stream
    for _ in range(3):
        await bench.ask(max_tokens=20)
    assert ledger.reserved_nanousd() == 0
    assert bench.sink.ended[1].cost_nanousd == 10 * 1_000 + 5 * 2_000


# --- L9 ---


async def test_l9_each_try_is_billed_once_and_the_sum_is_shown(begin: Begin) -> None:
    """Retries and fallbacks reserve and settle by themselves; a call is one request of its limit, however often it was tried."""
    broken = openai_reply("x", tokens(100, 50))
    billed = answers.json({"choices": None, "usage": {"prompt_tokens": 9, "completion_tokens": 9}})
    async with FakeUpstream([openai_error(500, "no"), billed, openai_error(500, "no")]) as one, FakeUpstream() as two:
        two.then(broken)
        gateway = await begin(config(one.base_url, two.base_url, auth="keys", model=RETRY), ENVIRON)
        key = await gateway.key("k1", rpm=2, budget_nanousd=DOLLAR)
        first = await chat(gateway, key)
        second = await chat(gateway, key)
        third = await chat(gateway, key)

    assert [answer.status for answer in (first, second, third)] == [200, 200, 429]
    assert first.headers["x-fairlead-attempts"] == "4"
    record = (await recorded(gateway, 3))[2]
    assert [provider for provider, _ in tried(record)] == ["one", "one", "one", "two"]
    costs = [attempt["cost_nanousd"] for attempt in record["attempts"]]
    assert costs == [0, 0, 0, 100 * 1_000 + 50 * 2_000]
    assert sum(costs) == round(float(first.headers["x-fairlead-cost-usd"]) * DOLLAR)
    assert gateway.foundation.ledger.reserved_nanousd() == 0


async def test_l9_a_reply_of_the_operators_costs_nothing_and_counts_as_a_request(begin: Begin) -> None:
    """It is no answer of a provider, but it is one of ours."""
    model = f'{RETRY}\ndegraded = [{{ static = "We are away." }}]'
    async with FakeUpstream(default=openai_error(500, "no")) as one:
        gateway = await begin(config(one.base_url, auth="keys", model=model), ENVIRON)
        key = await gateway.key("k1", rpm=2)
        sdk = gateway.sdk(key)
        whole = await sdk.chat.completions.with_raw_response.create(model="m", messages=MESSAGES)
        stream = await sdk.chat.completions.create(model="m", messages=MESSAGES, stream=True)
        text = "".join([each.choices[0].delta.content or "" async for each in stream if each.choices])
        with pytest.raises(openai.RateLimitError):
            await sdk.chat.completions.create(model="m", messages=MESSAGES)

    assert whole.parse().choices[0].message.content == text == "We are away."
    assert whole.headers["x-fairlead-degraded"] == whole.headers["x-fairlead-model"] == "static"
    assert whole.headers["x-fairlead-cost-usd"] == "0"


# --- L12 ---


async def test_l12_a_limit_that_changes_holds_at_once_and_forgets_nothing(begin: Begin) -> None:
    """Raised or lowered, requests and money: what was used before still counts."""
    async with FakeUpstream() as one:
        gateway = await begin(config(one.base_url, auth="keys", model=BREAKER), ENVIRON)
        key = await gateway.key("k1", rpm=2)
        assert [(await chat(gateway, key)).status for _ in range(3)] == [200, 200, 429]
        await gateway.key("k1", rpm=600)
        began = time.monotonic()
        while (await chat(gateway, key)).status != 200:  # noqa: ASYNC110 - each look is a call
            await asyncio.sleep(0.02)
        assert time.monotonic() - began < 1
        await gateway.key("k1", rpm=1)
        assert (await chat(gateway, key)).status == 429
        await gateway.key("k1", budget_nanousd=1)
        assert error_of(await chat(gateway, key))[1] == "budget_exceeded"
        await gateway.key("k1", budget_nanousd=DOLLAR)
        assert (await chat(gateway, key)).status == 200

    spent = sum(record["cost_nanousd"] or 0 for record in await gateway.records())
    assert spent == 4 * (10 * 1_000 + 5 * 2_000)


# --- L16, L17 ---


async def test_l16_one_key_in_parallel_on_the_dearest_model_is_bounded(begin: Begin) -> None:
    """By its concurrency and by what it reserves: a hundred calls with the longest answers cost no more than the budget.

    An alert on it comes with alerts.
    """
    longest = openai_reply("x", tokens(1_000, 16_384)).latency(0.2)
    async with FakeUpstream(default=longest) as one:
        gateway = await begin(config(one.base_url, auth="keys", model=BREAKER), ENVIRON)
        key = await gateway.key("k1", concurrency=4, budget_nanousd=DOLLAR // 5, budget_window="day")
        most = 0

        async def call() -> int:
            nonlocal most
            most = max(most, gateway.foundation.lanes.all()[0].in_flight)
            return int((await chat(gateway, key)).status)

        statuses: list[int] = []
        for _ in range(10):
            statuses += await asyncio.gather(*(call() for _ in range(10)))

    spent = sum(record["cost_nanousd"] or 0 for record in await gateway.records())
    assert most <= 4
    assert set(statuses) == {200, 429}
    assert 0 < spent <= DOLLAR // 5


@pytest.mark.slow
async def test_l17_a_noisy_neighbour_is_not_heard(begin: Begin) -> None:
    """While one tenant asks for ten times of what a provider takes, another's calls wait for their own share alone."""
    limits = "limits = { concurrency = 4 }\n"
    async with FakeUpstream(default=lambda request: speak_openai(request).latency(0.02)) as one:
        gateway = await begin(config(one.base_url, auth="keys", provider=limits, model=BREAKER), ENVIRON)
        loud, quiet = await gateway.key("loud", team="a"), await gateway.key("quiet", team="b")
        stop = asyncio.Event()

        async def hammer() -> int:
            count = 0
            while not stop.is_set():
                count += (await chat(gateway, loud)).status == 200
            return count

        hammers = [asyncio.ensure_future(hammer()) for _ in range(40)]
        await asyncio.sleep(0.5)
        took_s = []
        for _ in range(30):
            began = time.monotonic()
            assert (await chat(gateway, quiet)).status == 200
            took_s.append(time.monotonic() - began)
        stop.set()
        loud_calls = sum(await asyncio.gather(*hammers))

    assert loud_calls > 100
    assert sorted(took_s)[-2] < 0.15, "in turn with forty others it would be 0.2 s and more"


# --- L18 ---


@pytest.mark.slow
@virtual
async def test_l18_a_hundred_thousand_keys_leave_no_memory_behind(clock: VirtualClock) -> None:
    """A limiter forgets who has not come for as long as its limits look back."""
    limits = MemoryLimits(clock)

    async def came(number: int) -> None:
        claims = [Claim(rate=Rate(scope=f"key:{number}", kind=kind, limit=60)) for kind in ("requests", "tokens")]  # type: ignore[arg-type] # both are
        await limits.acquire(claims)
        limits.release(claims, 1)

    for number in range(2_000):
        await came(number)
    tracemalloc.start()
    try:
        for number in range(2_000, 100_000):
            if number % 1_000 == 0:
                await clock.sleep(61)
            await came(number)
        kept_bytes, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 5_000_000
    assert kept_bytes < 5_000_000


def test_l18_ledgers_forget_windows_that_are_over() -> None:
    """Budgets of a minute of a hundred thousand keys are not kept for ever."""

    @virtual
    async def scenario(clock: VirtualClock) -> None:
        async def nothing(scope: str, since_ns: int) -> int:
            return 0

        ledger = MemoryLedger(clock, nothing)
        tracemalloc.start()
        try:
            for number in range(30_000):
                if number % 1_000 == 0:
                    await clock.sleep(61)
                await reserve(ledger, number, clock.now_ns())
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak_bytes < 10_000_000

    scenario()


async def reserve(ledger: MemoryLedger, number: int, at_ns: int) -> None:
    """One call of a key that comes once."""
    budget = Budget(scope=f"key:{number}", limit_nanousd=100, window="minute")
    hold = Hold(call_id=str(number), attempt=1, budgets=(budget,), amount_nanousd=1, at_ns=at_ns, lease_s=60)
    await ledger.reserve(hold)
    ledger.settle(str(number), 1, 1)
