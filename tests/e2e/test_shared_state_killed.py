"""One of four processes that use the library on one state is killed: its places and its money come back, exactly.

A call that was under way when its process died counts with its reservation, as nobody knows what it has cost.  So:

- spent = what the others' calls have cost + the victim's answered calls + the reservations of its crashed ones,
- bill  = what is on record + a rest, and 0 <= rest <= those reservations,
- and both are within the budget.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from loads import until
from processes import CLEAN_ENVIRONMENT, FAIRLEAD, Process

CONFIG = """
[gateway]
auth = "keys"
[providers.quick]
vendor = "sim"
base_url = "http://127.0.0.1:{quick}/v1"
[providers.slow]
vendor = "sim"
base_url = "http://127.0.0.1:{slow}/v1"
[models.quick]
targets = ["quick/sim-small"]
[models.slow]
targets = ["slow/sim-small"]
[state]
url = "sqlite:///shared.state.db"
"""
LANES = 4
BUDGET_NANOUSD = 10_000_000
CALLER = """
import asyncio, json, sys
import fairlead
from fairlead.errors import BudgetExceeded, RateLimited, StateUnavailable

async def main(key, model, lanes):
    counts = {"ok": 0, "limited": 0, "cost_nanousd": 0}
    async with fairlead.Client.from_file("fairlead.toml", key=key) as llm:
        async def lane():
            while True:
                try:
                    done = await llm.complete("hello", model=model, max_tokens=20)
                except BudgetExceeded:
                    return
                except RateLimited:
                    counts["limited"] += 1
                    await asyncio.sleep(0.02)
                except StateUnavailable:  # so much to do at this moment: nothing was taken
                    await asyncio.sleep(0.02)
                else:
                    counts["ok"] += 1
                    counts["cost_nanousd"] += done.cost_nanousd
                print(json.dumps(counts), flush=True)
        await asyncio.gather(*(lane() for _ in range(lanes)))
    print(json.dumps({**counts, "ended": True}), flush=True)

asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
"""


@dataclass
class Caller:
    """A process that calls until the budget is spent."""

    child: subprocess.Popen[str]

    def counts(self) -> dict[str, Any]:
        """How things stand with its next call."""
        assert self.child.stdout is not None
        line = self.child.stdout.readline()
        assert line, "the caller has died"
        counts: dict[str, Any] = json.loads(line)
        return counts

    def reaches(self, ok: int) -> None:
        """Read on until it has had so many answers."""
        while self.counts()["ok"] < ok:
            pass

    def ended(self) -> dict[str, Any]:
        """Read on to its end."""
        while not (counts := self.counts()).get("ended"):
            pass
        return counts

    def kill(self) -> None:
        self.child.kill()
        self.child.wait(10)


Call = Callable[..., Caller]


@pytest.fixture
def provider(sim: Callable[..., Process]) -> Process:
    """A simulator that takes a moment, so that a kill finds calls under way."""
    return sim("--latency", "0.03")


@pytest.fixture
def folder(tmp_path: Path, provider: Process, sim: Callable[..., Process]) -> Path:
    """Where all processes find their configuration, and so their state."""
    text = CONFIG.format(quick=provider.port, slow=sim("--latency", "60").port)
    (tmp_path / "fairlead.toml").write_text(text)
    return tmp_path


@pytest.fixture
def call(folder: Path) -> Iterator[Call]:
    started: list[Caller] = []

    def begin(key: str, model: str = "quick", lanes: int = LANES) -> Caller:
        child = subprocess.Popen(
            [sys.executable, "-c", CALLER, key, model, str(lanes)],
            cwd=folder, stdout=subprocess.PIPE, text=True, env=CLEAN_ENVIRONMENT,
        )  # fmt: skip
        started.append(Caller(child))
        return started[-1]

    yield begin
    for each in started:
        each.child.kill()
        each.child.communicate()


def fairlead(folder: Path, *arguments: str) -> Any:
    """What a command answers in JSON."""
    done = subprocess.run(
        [FAIRLEAD, *arguments, "--json"], cwd=folder, capture_output=True, text=True, check=True, env=CLEAN_ENVIRONMENT
    )
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return rows[0] if len(rows) == 1 else rows


def accounts(folder: Path) -> tuple[int, int]:
    """What the shared state says is spent and held."""
    with closing(sqlite3.connect(folder / "shared.state.db")) as db:
        (row,) = db.execute("SELECT spent_nanousd, held_nanousd FROM accounts").fetchall()
    return row[0], row[1]


def running(folder: Path) -> int:
    """How many calls the shared state says are under way."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'shared.state.db'}?mode=ro", uri=True)) as db:
            (row,) = db.execute("SELECT coalesce(sum(running), 0) FROM permits").fetchall()
    except sqlite3.OperationalError:
        return 0  # nobody has made it yet
    return int(row[0])


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_l5_what_a_killed_process_was_running_comes_back(folder: Path, call: Call) -> None:
    """It had all four places of a key; about a second after kill -9 another process has them."""
    key = fairlead(folder, "keys", "create", "--name", "shared", "--concurrency", str(LANES))["key"]
    victim = call(key, "slow")
    until(lambda: running(folder) == LANES, 20, "a process that has all places of the key")
    other = call(key)
    until(lambda: other.counts()["limited"] > 2 * LANES, 20, "a key without a free place", every_s=0)

    victim.kill()
    killed = time.monotonic()
    other.reaches(ok=20)

    assert time.monotonic() - killed < 5


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_l5_a_killed_process_leaves_the_money_right(folder: Path, call: Call, provider: Process) -> None:
    """Of one budget for four processes, of which one dies on the way, everything is accounted for."""
    limit = f"{BUDGET_NANOUSD / 1e9:.3f}usd"
    key = fairlead(folder, "keys", "create", "--name", "shared", "--budget", limit)["key"]
    victim, *others = [call(key) for _ in range(4)]
    victim.reaches(ok=10)
    time.sleep(0.015)  # half of what an answer takes, for its lanes go on in step

    victim.kill()
    had = [each.ended() for each in others]
    until(lambda: call(key, lanes=1).ended() and accounts(folder)[1] == 0, 20, "everything settled")

    rows = fairlead(folder, "logs", "--since", "1h", "--limit", "100000")
    bill_nanousd = provider.get("/sim/bill")["total_nanousd"]
    with closing(sqlite3.connect(folder / "fairlead.db")) as db:
        (lost_nanousd,) = db.execute(
            "SELECT coalesce(sum(spent_nanousd), 0) FROM calls WHERE outcome = 'crashed'"
        ).fetchone()
    by_outcome: dict[str, list[int]] = {}
    for row in rows:
        by_outcome.setdefault(row["outcome"], []).append(row["cost_nanousd"] or 0)
    answered_nanousd = sum(by_outcome["ok"])
    spent_nanousd, _ = accounts(folder)

    assert by_outcome.keys() <= {"ok", "crashed", "error"}
    assert len(by_outcome.get("crashed", ())) <= LANES
    assert len(by_outcome["ok"]) >= 10 + sum(each["ok"] for each in had)
    assert spent_nanousd == answered_nanousd + lost_nanousd
    assert 0 <= bill_nanousd - answered_nanousd <= lost_nanousd
    assert BUDGET_NANOUSD * 0.9 < spent_nanousd <= BUDGET_NANOUSD
