"""Kill -9 of the worker, of the keeper and of everything, under load: what was answered is on record, and the money is right.

What is compared afterwards, exactly:

- *Answered* is a call whose answer its caller received whole, to the end of its HTTP framing; for each of them
  `fairlead logs` has a record with outcome `ok`, and its cost is the simulator's bill for that very call.
- A call that was under way when its worker died is recorded as `crashed`.  Nobody knows what it cost, so it counts with its
  reservation.  What the simulator billed for such calls has no counterpart by id; in sum it is at most those reservations.
- So: bill = cost of the recorded attempts + a rest, and 0 <= rest <= reservations of the crashed calls.
"""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from loads import FULL, Load, Program, children, kill_all, logged, settled, sized, told, until
from processes import Process

ROUNDS = sized(3, 20)
LANES = 16
RATE = sized(120, 60)  # `fairlead logs` lists 10,000 calls at most
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


@pytest.fixture
def provider(sim: Serve) -> Process:
    """A simulator that takes its time, so that a kill finds calls under way."""
    return sim("--latency", "0.01", "--tokens-per-s", "600")


@pytest.mark.slow
@pytest.mark.timeout(sized(60, 400))
@pytest.mark.parametrize("victim", ["worker", "keeper"])
def test_d9_what_was_answered_survives_kill_9_of_a_child(
    victim: str, serve: Serve, load: Load, provider: Process
) -> None:
    """No answered call is missing, none is counted twice, money is the bill's, and the gateway goes on by itself."""
    ours = serve(CONFIG.format(port=provider.port))
    calls = load("calls", "--port", ours.port, "--lanes", LANES, "--rate", RATE, "--remember")
    dice = random.Random(victim)  # noqa: S311 - repeatable on purpose

    for _ in range(ROUNDS):
        goes_on(calls)
        time.sleep(dice.uniform(0.05, 0.3))
        until(lambda: children(ours).get(victim), what="a victim").kill()
    goes_on(calls)

    finished(f"kill -9 of the {victim}", ours, provider, calls)


@pytest.mark.slow
@pytest.mark.timeout(sized(60, 400))
def test_d9_what_was_answered_survives_kill_9_of_everything(serve: Serve, load: Load, provider: Process) -> None:
    """Supervisor, worker and keeper at once: the next start is clean and takes in what they left behind."""
    ours = serve(CONFIG.format(port=provider.port))
    calls = load("calls", "--port", ours.port, "--lanes", LANES, "--rate", RATE, "--remember")
    dice = random.Random(0)  # noqa: S311 - repeatable on purpose

    for _ in range(ROUNDS):
        goes_on(calls)
        time.sleep(dice.uniform(0.05, 0.3))
        kill_all(ours)
        ours = serve(again=ours)
    goes_on(calls)

    finished("kill -9 of everything", ours, provider, calls)


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_p1_sigterm_under_load_cuts_no_call_and_loses_no_record(serve: Serve, load: Load, provider: Process) -> None:
    """What had begun comes to its own end, new connections are refused, and every answer is on record and billed."""
    ours = serve(CONFIG.format(port=provider.port))
    calls = load("calls", "--port", ours.port, "--lanes", LANES, "--rate", RATE, "--remember", "--streamed", 0.8)
    goes_on(calls)

    assert ours.stop(signal.SIGTERM) == 0
    ended = calls.ask("stop")

    records = logged(ours)
    bill = provider.get("/sim/bill")
    answered = {call_id for call_id, _, _ in ended["calls"]}
    told("SIGTERM under load", {"answered": len(answered), "failed": ended["failed"]})
    assert {row["outcome"] for row in records.values()} == {"ok"}
    assert answered <= records.keys()
    assert len(records) - len(answered) <= LANES
    assert sum(row["cost_nanousd"] for row in records.values()) == bill["total_nanousd"]
    assert set(ended["failed"]) <= {"ConnectionRefusedError", "ConnectionResetError", "IncompleteReadError"}


def goes_on(calls: Program) -> None:
    """Wait until another 20 calls have been answered."""
    before = calls.ask("status")["answered"]
    until(lambda: calls.ask("status")["answered"] >= before + 20, 30, "20 further answers")


def finished(section: str, ours: Process, provider: Process, calls: Program) -> None:
    """End the load, and compare what the callers have had, what is on record, and what was billed."""
    ended = calls.ask("stop")
    settled(ours)
    assert ours.stop() == 0
    records = logged(ours)
    bill = provider.get("/sim/bill")
    books = compared(ended["calls"], records, bill, reserved_nanousd(ours))
    told(section, {"rounds": ROUNDS, "failed calls": ended["failed"], **books})

    assert books["answered and missing"] == []
    assert books["answered twice"] == []
    assert books["answered but not ok"] == {}
    assert books["answered at another cost"] == []
    assert 0 <= books["billed, not on record"] <= books["reserved by crashed calls"]
    assert books["outcomes"].keys() <= {"ok", "crashed", "cancelled", "error"}
    assert "Traceback" not in ours.log.read_text()
    assert FULL or books["answered"] >= 20 * (ROUNDS + 1)


def reserved_nanousd(ours: Process) -> int:
    """What crashed calls count for in budgets."""
    with closing(sqlite3.connect(ours.folder / "fairlead.db")) as db:
        (total,) = db.execute("SELECT coalesce(sum(spent_nanousd), 0) FROM calls WHERE outcome = 'crashed'").fetchone()
    return int(total)


def compared(
    answered: list[tuple[str, str, bool]], records: dict[str, dict[str, Any]], bill: dict[str, Any], reserved: int
) -> dict[str, Any]:
    """The three books side by side; a call at the simulator is known by the number at the end of its id."""
    billed = {line["id"].rpartition("-")[2]: line["cost_nanousd"] for line in bill["calls"]}
    booked = {
        (attempt.get("upstream_id") or "-").rpartition("-")[2]: attempt["cost_nanousd"]
        for row in records.values()
        for attempt in row["attempts"]
    }
    ok = {call_id: number.rpartition("-")[2] for call_id, number, _ in answered if call_id in records}
    return {
        "answered": len(answered),
        "outcomes": dict(Counter(row["outcome"] for row in records.values())),
        "answered and missing": sorted({call_id for call_id, _, _ in answered} - records.keys()),
        "answered twice": [call_id for call_id, times in Counter(each[0] for each in answered).items() if times > 1],
        "answered but not ok": dict(Counter(o for i in ok if (o := records[i]["outcome"]) != "ok")),
        "answered at another cost": [i for i, number in ok.items() if booked.get(number) != billed.get(number)],
        "bill": bill["total_nanousd"],
        "on record": sum(booked.values()),
        "billed, not on record": bill["total_nanousd"] - sum(booked.values()),
        "reserved by crashed calls": reserved,
    }
