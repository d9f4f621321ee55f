"""The shared state with several processes: exact together, and none the worse for one that dies."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import time as real_time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from fairlead.errors import BudgetExceeded, ConfigError, RateLimited, StateUnavailable
from fairlead.ports import Claim, Hold
from fairlead.stores.sqlite_state import SqliteState
from fairlead.stores.system import SystemClock
from fairlead.types import Budget, Rate

HAMMER = Path(__file__).parents[1] / "state_hammer.py"
CLOCK = SystemClock()
TWO = Rate(scope="key:a", kind="concurrency", limit=2)


class Hammer:
    """A process of its own on the shared state."""

    def __init__(self, path: Path, what: str, number: int = 0) -> None:
        self.child = subprocess.Popen(
            [sys.executable, str(HAMMER), str(path), what, str(number)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def line(self) -> str:
        assert self.child.stdout is not None
        return self.child.stdout.readline().strip()

    def go(self) -> None:
        assert self.child.stdin is not None
        self.child.stdin.write("go\n")
        self.child.stdin.flush()

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()

    def close(self) -> None:
        self.child.kill()
        self.child.communicate()


Start = Callable[..., Hammer]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def hammer(path: Path) -> Iterator[Start]:
    started: list[Hammer] = []

    def start(what: str, number: int = 0) -> Hammer:
        started.append(Hammer(path, what, number))
        return started[-1]

    yield start
    for each in started:
        each.close()


Join = Callable[..., Awaitable[SqliteState]]


@pytest.fixture
async def join(path: Path) -> AsyncIterator[Join]:
    """Open the shared state in this process; `booked` is what the store says of every call."""
    opened: list[SqliteState] = []

    async def joined(*, booked: int | None = None, spent: int = 0) -> SqliteState:
        async def seed(scope: str, since_ns: int) -> int:
            return spent

        async def ask(call_id: str, attempt: int, reserved_nanousd: int) -> int | None:
            return booked

        state = await asyncio.to_thread(SqliteState, path, CLOCK, seed_spent=seed, booked=ask)
        opened.append(state)
        return state

    yield joined
    for state in opened:
        await state.aclose()


def together(hammers: list[Hammer]) -> list[dict[str, Any]]:
    """Let all begin at one moment; what each answers."""
    for each in hammers:
        assert each.line() == "ready"
    for each in hammers:
        each.go()
    return [json.loads(each.line()) for each in hammers]


def hold(call_id: str, amount: int, limit: int = 100) -> Hold:
    budget = Budget(scope="key:a", limit_nanousd=limit, window="total")
    return Hold(call_id=call_id, attempt=1, budgets=(budget,), amount_nanousd=amount, at_ns=CLOCK.now_ns())


async def admits(state: SqliteState, asked: Hold) -> bool:
    try:
        await state.ledger.reserve(asked)
    except BudgetExceeded:
        return False
    return True


async def runs(state: SqliteState) -> bool:
    try:
        await state.limits.acquire([Claim(rate=TWO)])
    except RateLimited:
        return False
    return True


async def until(ask: Callable[[], Awaitable[bool]], seconds: float = 10.0) -> None:
    ends = real_time.monotonic() + seconds
    while not await ask():
        assert real_time.monotonic() < ends, "it did not come true in time"
        await asyncio.sleep(0.05)


@pytest.mark.timeout(60)
def test_four_processes_admit_one_limit_together(hammer: Start) -> None:
    """Of 400 requests from four processes on a limit of 100 a minute, 100 pass, and those that the minute lets in."""
    began = real_time.monotonic()
    counts = together([hammer("requests", 100) for _ in range(4)])
    leaked = int((real_time.monotonic() - began) / 0.6) + 1

    assert sum(each["shared alone"] for each in counts) == 0
    admitted = sum(each["admitted"] for each in counts)
    assert 100 <= admitted <= 100 + leaked
    assert admitted + sum(each["refused"] for each in counts) == 400


@pytest.mark.timeout(60)
def test_four_processes_spend_one_budget_together(hammer: Start) -> None:
    """A budget for 100 attempts admits 100 of 400 from four processes, to the nano-dollar."""
    counts = together([hammer("budgets", 100) for _ in range(4)])

    assert sum(each["admitted"] for each in counts) == 100
    assert sum(each["refused"] for each in counts) == 300


@pytest.mark.timeout(60)
async def test_what_a_killed_process_ran_comes_back(hammer: Start, join: Join) -> None:
    """Its calls at one time are free again about half a second after kill -9."""
    state = await join()
    other = hammer("take")
    await asyncio.to_thread(other.line)
    other.go()
    await asyncio.to_thread(other.line)
    assert await runs(state)
    assert not await runs(state)

    await asyncio.to_thread(other.kill)

    await until(lambda: runs(state), 3.0)
    assert not await runs(state)


@pytest.mark.timeout(60)
async def test_what_a_killed_process_held_is_charged_as_the_store_says(hammer: Start, join: Join) -> None:
    """Of 60 held when it died 25 had been spent: 75 of 100 are left."""
    state = await join(booked=25)
    other = hammer("take")
    await asyncio.to_thread(other.line)
    other.go()
    await asyncio.to_thread(other.line)
    assert not await admits(state, hold("a", 75))

    await asyncio.to_thread(other.kill)

    await until(lambda: admits(state, hold("b", 75)))
    assert not await admits(state, hold("c", 1))


@pytest.mark.timeout(60)
async def test_l5_what_a_killed_process_held_stays_held_until_the_store_knows(hammer: Start, join: Join) -> None:
    """Nobody can spend it a second time meanwhile."""
    state = await join(booked=None)
    other = hammer("take")
    await asyncio.to_thread(other.line)
    other.go()
    await asyncio.to_thread(other.line)
    await asyncio.to_thread(other.kill)

    ends = real_time.monotonic() + 1.5
    while real_time.monotonic() < ends:
        assert not await admits(state, hold("a", 41))
        await asyncio.sleep(0.1)
    assert await admits(state, hold("b", 40))


async def test_a_process_that_was_stopped_for_a_while_is_not_taken_for_dead(hammer: Start, join: Join) -> None:
    """Suspended is not gone: nothing of its is given away."""
    state = await join()
    other = hammer("take")
    await asyncio.to_thread(other.line)
    other.go()
    await asyncio.to_thread(other.line)
    assert await runs(state)

    os.kill(other.child.pid, 19)
    ends = real_time.monotonic() + 1.5
    while real_time.monotonic() < ends:
        assert not await runs(state)
        await asyncio.sleep(0.1)


async def test_two_places_of_one_process_count_together(join: Join) -> None:
    """As two clients of a library do."""
    first, second = await join(), await join()
    assert await admits(first, hold("a", 60))
    assert not await admits(second, hold("b", 41))
    first.ledger.settle("a", 1, 10)
    await until(lambda: admits(second, hold("c", 90)))


async def test_l2_what_was_spent_before_is_read_once_by_whoever_comes_first(join: Join) -> None:
    """A second process that reads another figure from a store that went on changes nothing."""
    first, second = await join(spent=95), await join(spent=0)
    assert await admits(first, hold("a", 5))
    assert not await admits(second, hold("b", 1))


async def test_what_is_settled_is_written_down_before_the_end(join: Join) -> None:
    """Closing waits for it."""
    first = await join()
    assert await admits(first, hold("a", 100))
    first.ledger.settle("a", 1, 40)
    await first.aclose()

    second = await join()
    assert not await admits(second, hold("b", 61))
    assert await admits(second, hold("c", 60))


async def test_a_caller_that_leaves_while_it_is_decided_takes_nothing(join: Join) -> None:
    """Whether the answer came before or after it left."""
    state = await join()
    for _ in range(50):
        asking = asyncio.ensure_future(state.limits.acquire([Claim(rate=TWO)]))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    assert await runs(state)
    assert await runs(state)
    assert not await runs(state)


async def test_a_locked_file_leaves_each_process_its_share(path: Path, join: Join) -> None:
    """Rate limits are divided by the processes, hard budgets fail closed, and all is shared again afterwards."""
    state, _ = await join(), await join()
    rate = Rate(scope="key:b", kind="requests", limit=10)
    await state.limits.acquire([Claim(rate=rate)])
    connection = await asyncio.to_thread(sqlite3.connect, path, isolation_level=None, check_same_thread=False)
    await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
    try:
        standings = await state.limits.acquire([Claim(rate=rate)])
        assert (standings[0].limit, standings[0].remaining) == (5, 4)
        with pytest.raises(StateUnavailable):
            await state.ledger.reserve(hold("a", 1))
        assert state.degraded["limits"] == "local"
    finally:
        await asyncio.to_thread(connection.close)

    await until(lambda: _is_shared(state, rate))
    await until(lambda: admits_or_late(state, hold("b", 100)))


async def _is_shared(state: SqliteState, rate: Rate) -> bool:
    (standing,) = await state.limits.acquire([Claim(rate=rate)])
    return standing.limit == 10


async def admits_or_late(state: SqliteState, asked: Hold) -> bool:
    try:
        return await admits(state, asked)
    except StateUnavailable:
        return False


async def test_settlements_outlast_a_locked_file(path: Path, join: Join) -> None:
    """They are tried until they are written down."""
    state = await join()
    await state.ledger.reserve(hold("a", 100))
    connection = await asyncio.to_thread(sqlite3.connect, path, isolation_level=None, check_same_thread=False)
    await asyncio.to_thread(connection.execute, "BEGIN IMMEDIATE")
    state.ledger.settle("a", 1, 30)
    await asyncio.sleep(0.2)
    await asyncio.to_thread(connection.close)

    await until(lambda: admits_or_late(state, hold("b", 70)))
    assert not await admits(state, hold("c", 1))


async def test_after_a_reboot_it_starts_anew(path: Path, join: Join) -> None:
    """Times of another boot mean nothing; budgets come from the store's records."""
    first = await join()
    assert await admits(first, hold("a", 100))
    await first.aclose()
    path.with_name(path.name + ".boot").write_text("another boot")

    second = await join(spent=10)

    assert await admits(second, hold("b", 90))
    assert not await admits(second, hold("c", 1))


async def test_a_file_that_cannot_be_used_says_which(tmp_path: Path) -> None:
    """And which setting chooses another."""
    tmp_path.joinpath("file").touch()

    async def never(*_: object) -> int:
        return 0

    with pytest.raises(ConfigError, match=r"file/state.db.*`\[state\] url`"):
        await asyncio.to_thread(SqliteState, tmp_path / "file" / "state.db", CLOCK, seed_spent=never, booked=never)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
async def test_p14_a_forked_child_does_not_keep_its_parents_place(hammer: Start, path: Path, join: Join) -> None:
    """What a process ran comes back at its death though a child that it forked lives on."""
    program = (
        "import os, sys, time\n"
        f"sys.path.insert(0, {str(HAMMER.parent)!r})\n"
        "import asyncio, state_hammer as h\n"
        "async def main():\n"
        f"    state = h.SqliteState(h.Path({str(path)!r}), h.CLOCK, seed_spent=h.nothing_spent, booked=h.not_booked)\n"
        "    await state.limits.acquire([h.Claim(rate=h.Rate(scope='key:a', kind='concurrency', limit=2))])\n"
        "    await state.limits.acquire([h.Claim(rate=h.Rate(scope='key:a', kind='concurrency', limit=2))])\n"
        "    child = os.fork()\n"
        "    if not child:\n"
        "        time.sleep(30)\n"
        "        os._exit(0)\n"
        "    print(child, flush=True)\n"
        "    time.sleep(30)\n"
        "asyncio.run(main())\n"
    )
    state = await join()
    with await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(await asyncio.to_thread(parent.stdout.readline))
        try:
            assert not await runs(state)
            parent.kill()
            await until(lambda: runs(state), 3.0)
        finally:
            os.kill(child, 9)
            await asyncio.to_thread(parent.wait)


@pytest.mark.timeout(60)
async def test_nobody_is_refused_for_what_a_dead_process_merely_held(hammer: Start, join: Join) -> None:
    """The first call that would be is let wait until the store has said what that has cost."""
    other = hammer("take")
    await asyncio.to_thread(other.line)
    other.go()
    await asyncio.to_thread(other.line)
    await asyncio.to_thread(other.kill)
    state = await join(booked=0)

    await until(lambda: runs(state))  # the first transaction finds out who is dead
    assert await admits(state, hold("a", 100))
