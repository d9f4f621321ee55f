"""Generated histories of calls, with time passing between them: every adapter decides as the simple model does."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fairlead.errors import BudgetExceeded, RateLimited
from fairlead.ports import Claim, Hold, Ledger, Limits
from fairlead.testing import VirtualClock
from fairlead.types import Budget, Rate
from ports.models import ModelLedger, ModelLimits

EXAMPLES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
RUN = itertools.count()
"""Each history has scopes of its own, as all share one adapter."""
PAUSE_MS = st.sampled_from([0, 0, 1, 250, 999, 5_000, 30_000, 61_000])
RATES = [
    ("key:{n}", "requests", 7, None),
    ("key:{n}", "tokens", 1_000, None),
    ("team:{n}", "tokens", 3_333, 500),
    ("team:{n}", "concurrency", 3, None),
    ("model:{n}", "requests", 60_000, 5),
    ("model:{n}", "tokens", 10_000_000, None),
]
FLUSH = Claim(rate=Rate(scope="key:flush", kind="requests", limit=60_000_000))
"""Asked for after a release, which is then done before time goes on."""
CALL = st.tuples(
    st.just("call"), st.lists(st.sampled_from(range(len(RATES))), min_size=1, max_size=5, unique=True), st.integers(1, 700)
)  # fmt: skip
END = st.tuples(st.just("end"), st.integers(0, 6), st.none() | st.sampled_from([0, 1, 100, 499, 700, 2_000]))
STEPS = st.lists(st.tuples(PAUSE_MS, CALL | END), min_size=10, max_size=40)


def claims_of(run: int, numbers: list[int], tokens: int) -> list[Claim]:
    claims = []
    for scope, kind, limit, burst in (RATES[number] for number in numbers):
        rate = Rate(scope=scope.format(n=run), kind=kind, limit=limit, burst=burst)  # type: ignore[arg-type]
        claims.append(Claim(rate=rate, amount=tokens if kind == "tokens" else 1))
    return claims


@pytest.mark.timeout(120)
@EXAMPLES
@given(steps=STEPS)
async def test_limits_decide_as_the_model_does(limits: Limits, time: VirtualClock, steps: list[Any]) -> None:
    """Admitted or refused, what is left of each limit, and a wait after which the same fits."""
    run, model, calls = next(RUN), ModelLimits(), []
    for pause_ms, (step, first, second) in steps:
        await time.advance(pause_ms / 1_000)
        now_ns = time.monotonic_ns()
        if step == "end":
            if first < len(calls):
                limits.release(calls[first], second)
                await limits.acquire([FLUSH])
                model.release(first, second, now_ns)
            continue
        claims = claims_of(run, first, second)
        expected = model.acquire(len(calls), claims, now_ns)
        try:
            standings = await limits.acquire(claims)
        except RateLimited as error:
            assert (expected, error.retry_after_s != 0) == (None, True)  # noqa: PT017 - others may have to pass
        else:
            assert expected == [standing.remaining for standing in standings]
            calls.append(claims)
    for number, claims in enumerate(calls):
        limits.release(claims, None)
        model.release(number, None, time.monotonic_ns())


@pytest.mark.timeout(120)
@EXAMPLES
@given(steps=st.lists(st.tuples(PAUSE_MS, CALL), min_size=5, max_size=20))
async def test_l14_waiting_as_told_always_succeeds(limits: Limits, time: VirtualClock, steps: list[Any]) -> None:
    """Whatever was asked before: after the wait that a refusal names, the same claims of rates fit."""
    run = next(RUN)
    for pause_ms, (_, numbers, tokens) in steps:
        await time.advance(pause_ms / 1_000)
        claims = [claim for claim in claims_of(run, numbers, tokens) if claim.rate.kind != "concurrency"]
        try:
            await limits.acquire(claims)
        except RateLimited as error:
            if error.retry_after_s is not None:
                await time.advance(error.retry_after_s)
                await limits.acquire(claims)


BUDGETS = [("key:{n}", "day", 1_000), ("key:{n}", "total", 5_000), ("team:{n}", "minute", 700), ("model:{n}", "month", 10**18)]  # fmt: skip
RESERVE = st.tuples(
    st.just("reserve"),
    st.lists(st.sampled_from(range(len(BUDGETS))), min_size=1, max_size=4, unique=True),
    st.tuples(st.integers(0, 4), st.integers(0, 400), st.sampled_from([5.0, 60.0, 600.0])),
)
SETTLE = st.tuples(st.just("settle"), st.integers(0, 4), st.integers(0, 900))
HISTORY = st.lists(st.tuples(PAUSE_MS, RESERVE | SETTLE), min_size=10, max_size=40)


def flush(time: VirtualClock) -> Hold:
    """Reserved after a settlement, which is then done before time goes on."""
    budget = Budget(scope="key:flush", window="day", limit_nanousd=1)
    return Hold(call_id="flush", attempt=1, budgets=(budget,), amount_nanousd=0, at_ns=time.now_ns())


@pytest.mark.timeout(120)
@EXAMPLES
@given(steps=HISTORY)
async def test_ledgers_decide_as_the_model_does(ledger: Ledger, time: VirtualClock, steps: list[Any]) -> None:
    """Reservations over several budgets, repeated ones, lapsed leases, settlements below and above, late, twice or for nobody."""
    run, model = next(RUN), ModelLedger()
    for pause_ms, (step, first, second) in steps:
        await time.advance(pause_ms / 1_000)
        if step == "settle":
            ledger.settle(f"{run}-{first}", 1, second)
            await ledger.reserve(flush(time))
            model.settle(f"{run}-{first}", 1, second)
            continue
        call, amount, lease_s = second
        budgets = tuple(
            Budget(scope=scope.format(n=run), window=window, limit_nanousd=limit)  # type: ignore[arg-type]
            for scope, window, limit in (BUDGETS[number] for number in first)
        )
        hold = Hold(
            call_id=f"{run}-{call}", attempt=1, budgets=budgets, amount_nanousd=amount, at_ns=time.now_ns(), lease_s=lease_s
        )  # fmt: skip
        expected = model.reserve(hold, time.monotonic_ns())
        try:
            await ledger.reserve(hold)
        except BudgetExceeded:
            assert not expected
        else:
            assert expected
    for call in range(5):
        ledger.settle(f"{run}-{call}", 1, 0)
        model.settle(f"{run}-{call}", 1, 0)
