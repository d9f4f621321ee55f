"""Rows D6 to D8 and D10 to D13 of the fault list: a store that fails, is full, locked, half migrated or too new.

Calls come in at a gateway's data port, or through the library; what is looked at is what the store has of them.
"""

from __future__ import annotations

import asyncio
import resource
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import fairlead
import fairlead.stores
from fairlead.errors import StateUnavailable
from fairlead.gateway.worker import Housekeeping
from fairlead.ports import Batch, LogQuery
from fairlead.record import encode_records
from fairlead.stores.ingest import BATCH_RECORDS, Ingester, SpoolStore
from faults.front import (
    CHAT,
    MESSAGES,
    OPEN,
    Answer,
    Begin,
    ask,
    chat,
    connection,
    parsed,
    recorded,
    request,
)
from processes import Process

PRICED = """
[gateway]
auth = "open"
[models.m]
targets = ["sim/sim-small"]
price = { input = 1.0, output = 2.0 }
"""
MIGRATIONS = sorted((Path(fairlead.stores.__file__).parent / "migrations").glob("*.sql"))
Start = Callable[..., Process]
Breaks = Callable[[Any], AbstractContextManager[None]]


def ids(answers: list[Answer]) -> set[str]:
    """The calls that were answered."""
    assert {answer.status for answer in answers} == {200}
    return {answer.headers["x-fairlead-call-id"] for answer in answers}


def database(gateway: Any) -> Path:
    """The file of a gateway in this process."""
    path: Path = gateway.foundation.root / "fairlead.db"
    return path


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    """What the file says, asked past Fairlead."""
    with closing(sqlite3.connect(path, timeout=10)) as db:
        return db.execute(query).fetchall()


async def books(gateway: Any) -> dict[str, Any]:
    """What the store has counted, in all of its four ways."""
    logs = gateway.foundation.store.logs
    (usage,) = await logs.usage("model", None)
    calls = await logs.calls(LogQuery(limit=1_000))
    counters = {name: value for (name, _), value in (await logs.counters()).items()}
    return {
        "calls": Counter(row["call_id"] for row in calls),
        "outcomes": {row["outcome"] for row in calls},
        "counted": counters["fairlead_calls_total"],
        "usage": (usage.calls, usage.cost_nanousd),
    }


class Unsure:
    """A store that fails at its `k`-th batch: before it has it, or after, so that nobody knows."""

    def __init__(self, store: SpoolStore, k: int, *, has_it: bool) -> None:
        self._store = store
        self._left = k
        self._has_it = has_it

    async def ingest(self, batch: Batch) -> int:
        self._left -= 1
        if self._left == 0 and not self._has_it:
            raise StateUnavailable("no connection")
        ended = await self._store.ingest(batch)
        if self._left == 0:
            raise StateUnavailable("no answer came in time")
        return ended

    async def offsets(self) -> Mapping[str, int]:
        return await self._store.offsets()


@pytest.mark.parametrize("has_it", [False, True], ids=["not stored", "stored, but nobody knows"])
@pytest.mark.parametrize("is_new", [False, True], ids=["same ingester", "new ingester"])
async def test_d6_a_batch_whose_commit_is_in_doubt_is_kept_and_counts_once(
    begin: Begin, has_it: bool, is_new: bool
) -> None:
    """Whichever batch it is, tried again by the same process or by the next one."""
    gateway = await begin(PRICED)
    logs = gateway.foundation.store.logs
    folder = gateway.foundation.root / "fairlead.spool"
    answered: set[str] = set()
    for k in (1, 2, 3):
        ingester = Ingester(folder, Unsure(logs, k, has_it=has_it))
        with pytest.raises(StateUnavailable):
            for _ in range(k):
                answered |= ids([await chat(gateway) for _ in range(2)])
                await ingester.run_once()
        await (Ingester(folder, logs) if is_new else ingester).run_once()

        kept = await books(gateway)
        assert kept["calls"] == Counter(answered)
        assert kept["outcomes"] == {"ok"}
        assert kept["counted"] == len(answered)
        cost = sum(row[0] for row in rows(database(gateway), "SELECT cost_nanousd FROM calls"))
        assert kept["usage"] == (len(answered), cost)
    assert cost > 0


WRITES = {
    sqlite3.SQLITE_DELETE,
    sqlite3.SQLITE_INSERT,
    sqlite3.SQLITE_SAVEPOINT,
    sqlite3.SQLITE_TRANSACTION,
    sqlite3.SQLITE_UPDATE,
}


def refuse(k: int, refused: list[str]) -> Callable[[sqlite3.Connection], None]:
    """Have SQLite refuse the `k`-th statement that writes, and note what it was."""
    left = k

    def authorizer(action: int, subject: str | None, *_: object) -> int:
        nonlocal left
        if action not in WRITES or subject == "ROLLBACK":
            return sqlite3.SQLITE_OK
        left -= 1
        if left == 0:
            refused.append(str(subject))
        return sqlite3.SQLITE_DENY if left == 0 else sqlite3.SQLITE_OK

    return lambda connection: connection.set_authorizer(authorizer)


def allow(connection: sqlite3.Connection) -> None:
    """Have SQLite refuse nothing."""
    connection.set_authorizer(None)


async def test_d6_whichever_write_of_a_batch_fails_nothing_is_lost_or_doubled(begin: Begin) -> None:
    """The first, the second, ... the last statement, the commit among them: each time nothing is stored, then all."""
    gateway = await begin(PRICED)
    store, ingester = gateway.foundation.store, gateway.foundation.ingester
    answered = ids([await chat(gateway)])
    await ingester.run_once()
    refused: list[str] = []
    k = 0
    while len(refused) == k:
        k += 1
        answered |= ids([await chat(gateway)])
        before = await books(gateway)
        await store.run(refuse(k, refused))
        try:
            await ingester.run_once()
        except StateUnavailable:
            await store.run(allow)
            assert await books(gateway) == before
            await ingester.run_once()
        else:
            await store.run(allow)
        kept = await books(gateway)
        assert kept["calls"] == Counter(answered)
        assert kept["counted"] == kept["usage"][0] == len(answered)
    assert {"BEGIN", "calls", "counters", "rollups", "segments", "COMMIT"} <= set(refused)


class Sizes:
    """A store that notes how large the batches are that it is given."""

    def __init__(self, store: SpoolStore) -> None:
        self._store = store
        self.records: list[int] = []
        self.bytes: list[int] = []

    async def ingest(self, batch: Batch) -> int:
        self.records.append(len(batch.records))
        self.bytes.append(len(encode_records(batch.records)))
        return await self._store.ingest(batch)

    async def offsets(self) -> Mapping[str, int]:
        return await self._store.offsets()


async def test_d7_no_batch_is_larger_than_two_megabytes(begin: Begin) -> None:
    """However large the bodies are that came in at one time, and however much has waited."""
    gateway = await begin(OPEN)
    sizes_kb = [1_500, 900, 700, 500, 300, 300, 300, 100] * 2
    answered = ids(await asyncio.gather(*(chat(gateway, metadata={"pad": "x" * kb * 1_000}) for kb in sizes_kb)))
    gateway.foundation.spool.flush()
    store = Sizes(gateway.foundation.store.logs)

    await Ingester(gateway.foundation.root / "fairlead.spool", store).run_once()

    assert max(store.bytes) <= 2_000_000
    assert sum(store.bytes) > 6_000_000
    assert len(store.bytes) < len(answered), "small ones go together"
    assert (await books(gateway))["calls"] == Counter(answered)


async def test_d7_no_batch_has_more_records_than_its_cap(begin: Begin) -> None:
    """However many small calls have waited."""
    gateway = await begin(OPEN)
    wanted = BATCH_RECORDS // 2 + 50

    async def lane(calls: int) -> None:
        raw = request("POST", CHAT, {"model": "m", "messages": MESSAGES})
        async with connection(gateway) as (reader, writer):
            for _ in range(calls):
                writer.write(raw)
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(parsed(head).headers["content-length"]))

    await asyncio.gather(*(lane(wanted // 10) for _ in range(10)))
    gateway.foundation.spool.flush()
    store = Sizes(gateway.foundation.store.logs)

    await Ingester(gateway.foundation.root / "fairlead.spool", store).run_once()

    assert max(store.records) <= BATCH_RECORDS
    assert sum(store.records) == 2 * wanted
    assert (await books(gateway))["counted"] == wanted


@contextmanager
def no_room(_: Any) -> Iterator[None]:
    """No file may grow past 20 bytes: what is written fails half-way, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def no_new_files(gateway: Any) -> Iterator[None]:
    """Nothing can be made in the spool's folder, as on a disk that is read-only or has no inodes left."""
    folder = gateway.foundation.root / "fairlead.spool"
    aside = folder.rename(folder.with_suffix(".aside"))
    folder.write_text("in the way")
    yield
    folder.unlink()
    aside.rename(folder)


@pytest.mark.parametrize("broken", [no_room, no_new_files])
async def test_d8_a_disk_that_takes_nothing_costs_no_call(
    begin: Begin, broken: Breaks, caplog: pytest.LogCaptureFixture
) -> None:
    """Calls go on, the loss is said once and counted, and with the disk the records come back by themselves."""
    gateway = await begin(OPEN)
    housekeeping = Housekeeping(gateway.foundation, gateway.app, [gateway.server], "w")

    with broken(gateway):
        ids([await chat(gateway) for _ in range(5)])
        health = await ask(gateway, "GET", "/health/ready")
    kept = ids([await chat(gateway) for _ in range(3)])
    await housekeeping.round()

    assert health.status == 200
    assert {row["call_id"] for row in await recorded(gateway, 3)} == kept
    said = [each.message for each in caplog.records if each.name.startswith("fairlead")]
    assert [text.partition(",")[0].partition(";")[0] for text in said] == [
        "records are lost",
        "records are spooled again",
    ]
    (gauges,) = await gateway.foundation.store.logs.gauges()
    assert gauges.dropped_records == 10, "the beginning and the end of each call"
    assert said[1].endswith("; 10 were lost")
    assert gauges.degraded == {"records": "dropped"}


async def test_d8_a_full_spool_costs_no_call_and_has_room_again_once_it_was_taken_in(
    begin: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    """A spool that is smaller than one of its files has to be, too; what it took before is not lost."""
    gateway = await begin(f"{OPEN}[store]\nspool_max_bytes = 20_000\n")
    spool = gateway.foundation.spool
    kept: list[str] = []
    while not spool.dropped:
        kept += ids([await chat(gateway)])
    kept.pop()  # in whose course it was full

    async def whole() -> set[object]:
        return {row["call_id"] for row in await gateway.records() if row["outcome"] == "ok"}

    assert set(kept) <= await whole()

    async with asyncio.timeout(15):  # it looks for room once a second
        while len(await whole()) < 3 * len(kept):
            assert len(ids([await chat(gateway) for _ in range(5)])) == 5
            await asyncio.sleep(0.05)

    said = [each.message for each in caplog.records if each.name.startswith("fairlead")]
    assert len(said) == 2
    assert said[0].endswith("cannot be written: the spool is full")
    assert said[1].startswith("records are spooled again")
