"""The invariants hold where they should, and say what is wrong where they do not."""

from __future__ import annotations

import asyncio
import os

import msgspec
import pytest

from fairlead.ports import Hold
from fairlead.record import Admitted, AttemptRecord, Ended, Gauges, Identity
from fairlead.testing import FakeLedger, assert_money_conserved, assert_one_terminal_record, baseline, virtual_run
from fairlead.types import Budget

COMMON = {
    "call_id": "c",
    "started_at_ns": 1,
    "dialect": "openai_chat",
    "alias": "a",
    "model": "m",
    "stream": False,
    "identity": Identity(tenant="local"),
}
ADMITTED = Admitted(**COMMON, provider="p", upstream_model="m")  # type: ignore[arg-type]
ATTEMPT = AttemptRecord(
    number=1, provider="p", credential="default", model="m", started_ns=0, ended_ns=5, cost_nanousd=7
)
ENDED = Ended(**COMMON, duration_ns=5, status=200, outcome="ok", attempts=(ATTEMPT,), cost_nanousd=7)  # type: ignore[arg-type]
REFUSED = msgspec.structs.replace(ENDED, attempts=(), cost_nanousd=0, status=401, outcome="error")
CRASHED = msgspec.structs.replace(ENDED, attempts=(), cost_nanousd=None, status=500, outcome="crashed")


@pytest.mark.parametrize(
    "records",
    [[], [ADMITTED, Gauges(worker="w", at_ns=1), ENDED], [REFUSED], [ADMITTED, CRASHED]],
    ids=["none", "answered", "refused", "crashed"],
)
def test_whole_records_pass(records: list[Admitted | Ended | Gauges]) -> None:
    """Answered, refused and crashed calls each have their one terminal record."""
    assert_one_terminal_record(records)


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([ADMITTED], "c: admitted, never ended"),
        ([ADMITTED, ENDED, ENDED], "c: ended 2 times"),
        ([ADMITTED, ADMITTED, ENDED], "c: admitted 2 times"),
        ([ADMITTED, REFUSED], "c: admitted, but without an attempt"),
        (
            [msgspec.structs.replace(ENDED, attempts=(msgspec.structs.replace(ATTEMPT, status=200),))],
            "c: went upstream, but was never admitted",
        ),
        (
            [ADMITTED, msgspec.structs.replace(ENDED, attempts=(msgspec.structs.replace(ATTEMPT, ended_ns=None),))],
            "c: attempt 1 never ended",
        ),
        (
            [ADMITTED, msgspec.structs.replace(ENDED, attempts=(ATTEMPT, ATTEMPT), cost_nanousd=14)],
            r"c: attempts are numbered \[1, 1\]",
        ),
        ([ADMITTED, msgspec.structs.replace(ENDED, cost_nanousd=8)], "c: costs 8, its attempts 7"),
        ([ADMITTED, msgspec.structs.replace(ENDED, cost_nanousd=None)], "c: costs None, its attempts 7"),
    ],
)
def test_broken_records_are_named(records: list[Admitted | Ended], message: str) -> None:
    """Each way in which records can be wrong is reported with its call."""
    with pytest.raises(AssertionError, match=message):
        assert_one_terminal_record(records)


async def test_money_left_reserved_is_reported() -> None:
    """An open reservation breaks the invariant, a settled one does not."""
    ledger, budget = FakeLedger(), Budget(scope="key:k", limit_nanousd=10, window="day")
    await ledger.reserve(Hold(call_id="c", attempt=1, budgets=(budget,), amount_nanousd=4, at_ns=0))
    with pytest.raises(AssertionError, match="4 nano-USD are still reserved"):
        assert_money_conserved(ledger, {})
    ledger.settle("c", 1, 10)
    assert_money_conserved(ledger, {budget: ledger.settled_nanousd(budget, 0)})


def test_an_overspent_budget_is_reported() -> None:
    """A single nano-dollar over the limit breaks the invariant."""
    budget = Budget(scope="key:k", limit_nanousd=10, window="day")
    with pytest.raises(AssertionError, match="'key:k' spent 11 of 10"):
        assert_money_conserved(FakeLedger(), {budget: 11})


async def test_a_clean_block_is_back_at_its_baseline() -> None:
    """Tasks and files that end shortly after the block are no leak."""
    async with baseline():
        task = asyncio.create_task(asyncio.sleep(0.005))
    assert task.done()


def test_a_task_left_running_is_named() -> None:
    """A task that outlives the block and its patience is a leak."""

    async def main() -> None:
        free = asyncio.Event()
        try:
            async with baseline():
                task = asyncio.create_task(free.wait(), name="leak")
        finally:
            free.set()
            await task

    with pytest.raises(AssertionError, match="task 'leak' still runs"):
        virtual_run(main())


def test_a_file_left_open_is_named() -> None:
    """An open descriptor is a leak, and the report says what it is."""

    async def main() -> None:
        opened: list[int] = []
        try:
            async with baseline():
                opened.append(os.open(__file__, os.O_RDONLY))
        finally:
            os.close(opened[0])

    with pytest.raises(AssertionError, match=r"is open: .*test_invariants"):
        virtual_run(main())


def test_counts_must_return() -> None:
    """A count given by name has to be what it was before the block."""
    counts = iter([1])

    async def main() -> None:
        async with baseline(pool=lambda: next(counts, 2)):
            pass

    with pytest.raises(AssertionError, match="pool is 2, was 1"):
        virtual_run(main())


async def test_an_error_in_the_block_comes_out_as_it_is() -> None:
    """The block's own failure is not hidden by what it left behind."""
    counts = iter([1])

    async def leak() -> None:
        async with baseline(pool=lambda: next(counts, 2)):
            raise LookupError

    with pytest.raises(LookupError):
        await leak()
