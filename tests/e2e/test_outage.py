"""The store cannot be written for a while, as another process holds its lock: calls go on, and nothing is lost.

What is looked at: how calls fare meanwhile, what belongs to worker and keeper alone (USS) before, during and after, how
long the records that waited take to arrive, and in the end the three books of callers, store and simulator.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import psutil
import pytest

from loads import Load, Program, children, memory_kb, sized, told, until
from processes import Process

RATE = sized(100, 200)
LANES = 32
WARM_S = sized(3, 20)
OUTAGE_S = sized(10, 120)
MOST_GROWTH = 0.1
SLACK_KB = 4_096
"""Of a process of 20 MB a tenth is less than what the allocator takes at a time."""
CONFIG = """
[gateway]
auth = "open"
drain_s = 20
[providers.sim]
vendor = "sim"
base_url = "http://127.0.0.1:{port}/v1"
[models."*"]
targets = ["sim/*"]
"""
Serve = Callable[..., Process]


@pytest.mark.slow
@pytest.mark.timeout(sized(90, 400))
def test_d5_a_store_that_takes_nothing_for_minutes_costs_no_call_and_no_record(
    serve: Serve, load: Load, sim: Serve
) -> None:
    """Calls are answered as before, records wait on disk and not in memory, and all are in the store soon afterwards."""
    provider = sim("--latency", "0.02", "--tokens-per-s", "2000")
    ours = serve(CONFIG.format(port=provider.port))
    calls = load("calls", "--port", ours.port, "--lanes", LANES, "--rate", RATE, "--max-tokens", 40, "--remember")
    before = Watch(ours, calls).watch(WARM_S)

    with locked(ours):
        stored = count(ours)
        during = Watch(ours, calls).watch(OUTAGE_S)
        held = count(ours) - stored
        shown = ours.metrics()
    waiting = calls.ask("status")["answered"] - stored
    began = time.monotonic()
    until(lambda: count(ours) >= stored + waiting, 60, "a drained spool")
    drained_s = time.monotonic() - began
    after = Watch(ours, calls).watch(WARM_S)
    ended = calls.ask("stop")
    until(lambda: not ours.in_flight(), 15, "an idle gateway")
    up_again = ours.metrics()["fairlead_store_up"]
    dropped = sum(value for name, value in ours.metrics().items() if "dropped_records" in name)
    assert ours.stop() == 0

    books = compared(ended["calls"], ours, provider.get("/sim/bill"))
    figures = {
        "outage_s": OUTAGE_S,
        "calls_a_second": {name: each.rate for name, each in (("before", before), ("during", during))},
        "failed calls": ended["failed"],
        "slowest_s": ended["slowest_s"],
        "waiting_at_the_end": waiting,
        "spool_mb_at_the_end": round(shown["fairlead_spool_bytes"] / 2**20, 1),
        "drained_s": round(drained_s, 1),
        "memory_kb": {"before": before.most_kb, "during": during.most_kb, "after": after.most_kb},
        **books,
    }
    told("store unavailable", figures)
    assert held == 0, "the lock was none"
    assert (shown["fairlead_store_up"], up_again, dropped) == (0, 1, 0)
    assert ended["failed"] == {}
    assert during.rate >= 0.8 * before.rate
    assert books["answered and missing"] == []
    assert books["outcomes"].keys() == {"ok"}
    assert books["on record"] == books["bill"]
    for name, most_kb in during.most_kb.items():
        assert most_kb <= (1 + MOST_GROWTH) * before.most_kb[name] + SLACK_KB
        assert after.most_kb[name] <= (1 + MOST_GROWTH) * before.most_kb[name] + 4 * SLACK_KB
    assert "records are stored again" in ours.log.read_text()


class Watch:
    """What a stretch of time was like: answers a second, and the most memory each process has had."""

    def __init__(self, gateway: Process, calls: Program) -> None:
        self.processes: dict[str, psutil.Process] = children(gateway)
        self.calls = calls
        self.rate = 0.0
        self.most_kb: dict[str, int] = {}

    def watch(self, seconds: float) -> Watch:
        """Look twice a second."""
        answered = self.calls.ask("status")["answered"]
        began = time.monotonic()
        while (spent_s := time.monotonic() - began) < seconds:
            for name, process in self.processes.items():
                self.most_kb[name] = max(self.most_kb.get(name, 0), memory_kb(process))
            time.sleep(0.5)
        self.rate = round((self.calls.ask("status")["answered"] - answered) / spent_s, 1)
        return self


@contextmanager
def locked(gateway: Process) -> Iterator[None]:
    """Hold the lock of its database, as a backup tool might, or an operator with a shell."""
    with closing(sqlite3.connect(gateway.folder / "fairlead.db", isolation_level=None, timeout=30)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield
        db.rollback()


def count(gateway: Process) -> int:
    """How many calls that are over the store has."""
    (number,) = read(gateway, "SELECT count(*) FROM calls")[0]
    return int(number)


def read(gateway: Process, query: str) -> list[tuple[Any, ...]]:
    """Rows of its database; `fairlead logs` would print tens of thousands of whole calls."""
    with closing(sqlite3.connect(gateway.folder / "fairlead.db", timeout=30)) as db:
        return db.execute(query).fetchall()


def compared(answered: list[tuple[str, str, bool]], ours: Process, bill: dict[str, Any]) -> dict[str, Any]:
    """What callers have had, what the store has, and what the simulator has billed."""
    ids = {call_id for (call_id,) in read(ours, "SELECT id FROM calls")}
    return {
        "answered": len(answered),
        "answered and missing": sorted({call_id for call_id, _, _ in answered} - ids),
        "outcomes": dict(read(ours, "SELECT outcome, count(*) FROM calls GROUP BY outcome")),
        "bill": bill["total_nanousd"],
        "on record": read(ours, "SELECT sum(cost_nanousd) FROM calls")[0][0],
    }
