"""The nth-failure loop finds what a flow does wrong when one port call fails."""

from __future__ import annotations

import asyncio

import pytest

from fairlead.errors import FairleadError, StateUnavailable
from fairlead.ports import Hold
from fairlead.testing import FakeLedger, NthRun, VirtualClock, nth, virtual_run
from fairlead.testing.nth import Ports
from fairlead.types import Budget

BUDGET = Budget(scope="key:k", limit_nanousd=100, window="total")


class Work:
    """A port with two asynchronous calls."""

    async def begin(self) -> str:
        return "begun"

    async def send(self) -> str:
        return "sent"


def ports() -> Ports:
    return {"ledger": FakeLedger(), "work": Work(), "clock": VirtualClock()}


def hold(attempt: int = 1) -> Hold:
    return Hold(call_id="c", attempt=attempt, budgets=(BUDGET,), amount_nanousd=10, at_ns=0)


async def careful(held: Ports) -> str:
    """Reserves, works under a deadline, and settles whatever happens."""
    async with asyncio.timeout(0.02):
        await held["ledger"].reserve(hold())
        try:
            await held["work"].begin()
            return str(await held["work"].send())
        finally:
            held["ledger"].settle("c", 1, 3)


async def careless(held: Ports) -> None:
    """Forgets its reservation when the work fails."""
    async with asyncio.timeout(0.02):
        await held["ledger"].reserve(hold())
        await held["work"].send()
    held["ledger"].settle("c", 1, 3)


def nothing_reserved(run: NthRun) -> None:
    assert run.ports["ledger"].reserved_nanousd() == 0


async def test_every_call_fails_in_every_way() -> None:
    """The clean run comes first, then each call three times, each with its own outcome."""
    runs = await nth(careful, ports, check=nothing_reserved)
    assert [(run.k, run.call, run.mode) for run in runs] == [
        (0, "", "clean"),
        *((k, call, mode) for k, call in enumerate(("ledger.reserve", "work.begin", "work.send"), 1)
          for mode in ("exception", "timeout", "cancel")),
    ]  # fmt: skip
    assert runs[0].result == "sent"
    kinds = {"exception": FairleadError, "timeout": TimeoutError, "cancel": asyncio.CancelledError}
    assert all(isinstance(run.error, kinds[run.mode]) for run in runs[1:])
    assert not any(run.hung for run in runs)


async def test_a_broken_invariant_names_its_run() -> None:
    """The check's failure carries which call failed and how."""
    with pytest.raises(AssertionError) as caught:
        await nth(careless, ports, check=nothing_reserved)
    assert caught.value.__notes__ == ["in the run with call 2, work.send: exception"]


async def test_a_port_call_without_a_deadline_is_reported_as_hung() -> None:
    """A flow that waits for ever on a port is cancelled when its patience ends."""

    async def patient(held: Ports) -> None:
        await held["work"].begin()

    runs = await nth(patient, ports, patience_s=0.01)
    assert [run.mode for run in runs if run.hung] == ["timeout"]


def test_long_deadlines_pass_in_virtual_time() -> None:
    """Under `virtual_run` a flow's ten minutes of deadline take no time and are within a patience of an hour."""

    async def slow(held: Ports) -> None:
        async with asyncio.timeout(600):
            await held["work"].begin()

    runs = virtual_run(nth(slow, ports, patience_s=3_600))
    assert [type(run.error) for run in runs] == [type(None), StateUnavailable, TimeoutError, asyncio.CancelledError]
    assert not any(run.hung for run in runs)


async def test_calls_that_promise_to_raise_nothing_are_only_cancelled() -> None:
    """`sleep` never fails and never hangs, but the flow can be cancelled inside it."""

    async def naps(held: Ports) -> None:
        await held["clock"].sleep(1)

    runs = await nth(naps, ports)
    assert [(run.call, run.mode) for run in runs[1:]] == [("clock.sleep", "cancel")]


async def test_synchronous_calls_are_counted_and_done() -> None:
    """Sync methods never fail; the proxy counts them."""
    counted = []

    async def flow(held: Ports) -> None:
        await careful(held)
        counted.append(held["ledger"].sync_calls["settle"])

    await nth(flow, ports, error=lambda _: None)
    assert counted[0] == 1


async def test_a_check_may_be_asynchronous() -> None:
    """An awaitable check is awaited in each run."""
    seen = []

    async def check(run: NthRun) -> None:
        await asyncio.sleep(0)
        seen.append(run.k)

    await nth(careful, ports, check=check)
    assert seen == [0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


async def test_a_flow_that_ignores_cancellation_is_an_error() -> None:
    """A flow that goes on after being cancelled twice over is reported."""
    free = asyncio.Event()

    async def deaf(held: Ports) -> None:
        await held["work"].begin()
        while not free.is_set():
            try:
                await free.wait()
            except asyncio.CancelledError:
                continue

    with pytest.raises(AssertionError, match="ignores cancellation"):
        await nth(deaf, ports, patience_s=0.01)
    free.set()
    await asyncio.sleep(0)


async def test_a_flow_that_differs_from_run_to_run_is_an_error() -> None:
    """Calls must come in the same order each time up to the one that fails."""
    order = iter(["begin", "send"])

    async def fickle(held: Ports) -> None:
        await getattr(held["work"], next(order))()

    with pytest.raises(AssertionError, match="not repeatable"):
        await nth(fickle, ports)


async def test_a_clean_run_must_succeed() -> None:
    """What the flow raises without any failure comes out as it is."""

    async def broken(held: Ports) -> None:
        raise LookupError("broken anyway")

    with pytest.raises(LookupError, match="broken anyway"):
        await nth(broken, ports)


async def test_a_clean_run_must_end() -> None:
    """A flow that hangs although nothing fails is reported with its calls."""

    async def endless(held: Ports) -> None:
        await held["work"].begin()
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match=r"hangs.*work\.begin"):
        await nth(endless, ports, patience_s=0.01)
