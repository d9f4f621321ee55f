"""Old calls go, a little at a time."""

from __future__ import annotations

import asyncio

from fairlead.errors import StateUnavailable
from fairlead.keeper.retention import BATCH_CALLS, keep_pruning, prune_once
from fairlead.testing import virtual_run
from fairlead.testing.clock import LoopClock

HOUR_NS = 3_600 * 10**9


class Store:
    """So many old calls."""

    def __init__(self, old: int) -> None:
        self.old = old
        self.asked: list[tuple[int, int]] = []
        self.is_down = False

    async def prune(self, before_ns: int, limit: int) -> int:
        self.asked.append((before_ns, limit))
        if self.is_down:
            raise StateUnavailable("down")
        deleted = min(limit, self.old)
        self.old -= deleted
        return deleted


def test_old_calls_go_in_batches_with_pauses() -> None:
    """Each batch is small, and between two the database is free."""

    async def run() -> None:
        store, clock = Store(2 * BATCH_CALLS + 1), LoopClock()
        begun_ns = clock.monotonic_ns()
        assert await prune_once(store.prune, clock, 30) == 2 * BATCH_CALLS + 1
        assert len(store.asked) == 4
        assert clock.monotonic_ns() - begun_ns >= 3 * 10**8

    virtual_run(run())


def test_whole_hours_go() -> None:
    """The bound is the beginning of an hour, so many days ago or a little earlier."""

    async def run() -> None:
        store, clock = Store(0), LoopClock()
        await prune_once(store.prune, clock, 30)
        ((before_ns, _),) = store.asked
        assert before_ns % HOUR_NS == 0
        assert 0 <= clock.now_ns() - 30 * 24 * HOUR_NS - before_ns < HOUR_NS

    virtual_run(run())


def test_it_goes_on_for_ever_and_through_outages() -> None:
    """Every ten minutes, whether or not the store answered the last time."""

    async def run() -> None:
        store = Store(0)
        store.is_down = True
        task = asyncio.create_task(keep_pruning(store.prune, LoopClock(), 30))
        await asyncio.sleep(650)
        store.is_down = False
        store.old = 3
        await asyncio.sleep(600)
        assert (len(store.asked), store.old) == (4, 0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    virtual_run(run())
