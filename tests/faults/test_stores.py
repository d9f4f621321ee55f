"""Rows D6 to D8 and D10 to D13 of the fault list: a store that fails, is full, locked, half migrated or too new.

Calls come in at a gateway's data port, or through the library; what is looked at is what the store has of them.
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import fairlead
import fairlead.stores
from fairlead.config.load import load_text
from fairlead.errors import ConfigError, StateUnavailable
from fairlead.gateway.worker import Housekeeping
from fairlead.ports import Batch, LogQuery
from fairlead.record import encode_records
from fairlead.stores.ingest import BATCH_RECORDS, Ingester, SpoolStore
from fairlead.stores.sqlite import SqliteStore
from fairlead.telemetry.metrics import count
from fairlead.testing import Answer as AnswerOfModel
from fairlead.testing import FakeUpstream, openai_reply, tokens
from faults.front import (
    CHAT,
    ENVIRON,
    MESSAGES,
    OPEN,
    UPSTREAM,
    Answer,
    Begin,
    ask,
    chat,
    connection,
    parsed,
    recorded,
    request,
)
from loads import children, until
from processes import CLEAN_ENVIRONMENT, FAIRLEAD, Process

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
        for _ in range(k - 1):
            answered |= ids([await chat(gateway) for _ in range(2)])
            await ingester.run_once()
        answered |= ids([await chat(gateway) for _ in range(2)])
        with pytest.raises(StateUnavailable):
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
    assert gateway.foundation.ingester.skipped_bytes == 0, "half of a record was left in the spool"
    said = [each.message for each in caplog.records if each.name.startswith("fairlead")]
    assert [text.partition(",")[0].partition(";")[0] for text in said] == [
        "records are lost",
        "records are spooled again",
    ]
    (gauges,) = await gateway.foundation.store.logs.gauges()
    assert gauges.dropped_records == 10, "the beginning and the end of each call"
    assert said[1].endswith("; 10 were lost")
    assert gauges.degraded == {"records": "dropped"}


@pytest.mark.slow
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


def may_mount() -> bool:
    """Whether a small file system can be made here."""
    tool = shutil.which("unshare")
    command = [str(tool), "-m", "mount", "-t", "tmpfs", "none", "/mnt"]
    return (
        tool is not None
        and os.geteuid() == 0
        and not subprocess.run(command, capture_output=True, check=False).returncode
    )


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of two megabytes at this folder; yields what fills it, once it is written to."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", str(folder)], check=True)
    try:
        yield folder / "ballast"
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(ballast: Path) -> None:
    """Write until nothing more fits."""
    with ballast.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4_096)
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017 - it ends the loop


def post(gateway: Process) -> int:
    """One call to its data port; the answer's status."""
    body = json.dumps({"model": "m", "messages": MESSAGES}).encode()
    asked = urllib.request.Request(f"{gateway.origin}{CHAT}", body, {"content-type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
        answer.read()
        return int(answer.status)


@pytest.mark.slow
@pytest.mark.timeout(90)
@pytest.mark.skipif(not may_mount(), reason="mounting needs a right that we lack")
@pytest.mark.parametrize(
    ("full", "begun", "over"),
    [
        ("fairlead.spool", "records are lost, as the spool", "records are spooled again"),
        ("store", "records wait in the spool", "records are stored again"),
    ],
)
def test_d8_a_gateway_whose_disk_is_full_goes_on(
    full: str, begun: str, over: str, gateway: Callable[..., Process], tmp_path: Path
) -> None:
    """The spool's disk, or the store's: calls are answered, it is said once, and both recover by themselves."""
    folder = tmp_path / "gateway"
    folder.mkdir()
    with small_disk(folder / full) as ballast:
        ours = gateway(f'{OPEN}[store]\nurl = "sqlite:///store/fairlead.db"\nspool = "fairlead.spool"\n', folder=folder)
        assert post(ours) == 200
        until(lambda: stored(folder) == 1, 15, "the first record")
        fill(ballast)

        until(lambda: post(ours) == 200 and begun in ours.log.read_text(), 15, "the alert")
        assert [post(ours) for _ in range(20)] == [200] * 20
        assert ours.get("/health/ready") == {"status": "ready"}
        before = stored(folder)
        ballast.unlink()
        until(lambda: post(ours) == 200 and over in ours.log.read_text(), 20, "the end of it")

        until(lambda: stored(folder) > before, 15, "new records")
        if full == "fairlead.spool":
            until(lambda: dropped(ours) > 0, 15, "the metric")
        else:
            until(lambda: ours.metrics()["fairlead_store_up"] == 1, 15, "the metric")
            assert dropped(ours) == 0
        said = ours.log.read_text()
        assert (said.count(begun), said.count(over)) == (1, 1)
        assert "Traceback" not in said
        assert ours.stop() == 0


def dropped(gateway: Process) -> float:
    """How many records its metrics say were lost."""
    return sum(
        [value for name, value in gateway.metrics().items() if name.startswith("fairlead_dropped_records_total")]
    )


def stored(folder: Path) -> int:
    """How many calls that are over the store has."""
    path = next(folder.rglob("fairlead.db"))
    return int(rows(path, "SELECT count(*) FROM calls")[0][0])


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_d10_on_sigterm_all_that_waits_is_stored_before_the_end(gateway: Callable[..., Process]) -> None:
    """The records of every answered call, though none had been taken in when the signal came."""
    ours = gateway(OPEN)
    keeper = children(ours)["keeper"]
    keeper.suspend()
    assert [post(ours) for _ in range(50)] == [200] * 50
    assert stored(ours.folder) == 0

    keeper.resume()
    assert ours.stop(signal.SIGTERM) == 0

    assert stored(ours.folder) == 50
    assert rows(ours.folder / "fairlead.db", "SELECT DISTINCT outcome FROM calls") == [("ok",)]
    assert list((ours.folder / "fairlead.spool").glob("*.spool")) == []


@pytest.mark.slow
@pytest.mark.timeout(60)
def test_d10_what_cannot_be_stored_at_the_end_is_there_at_the_next_start(gateway: Callable[..., Process]) -> None:
    """A database that somebody holds delays the end by two of its busy timeouts at most, and costs no record."""
    ours = gateway(OPEN)
    path = ours.folder / "fairlead.db"
    with closing(sqlite3.connect(path, isolation_level=None, timeout=10)) as db:
        db.execute("BEGIN EXCLUSIVE")
        assert [post(ours) for _ in range(20)] == [200] * 20
        began = time.monotonic()
        assert ours.stop(signal.SIGTERM) == 0
        assert time.monotonic() - began < 20
        db.execute("ROLLBACK")
    assert "records wait in the spool for the next start" in ours.log.read_text()
    assert "Traceback" not in ours.log.read_text()
    assert stored(ours.folder) == 0

    again = gateway(folder=ours.folder)

    until(lambda: stored(again.folder) == 20, 15, "the records")
    assert rows(path, "SELECT DISTINCT outcome FROM calls") == [("ok",)]


NASTY = [
    "\0",
    "\ud800",
    "\udfff",
    "\U0001f600",
    "\u202e",
    "\ufeff",
    "'",
    '"',
    "%",
    "_",
    ";--",
    "\\",
    "\n",
    "\x1b[31m",
    "e\u0301",
]


def paired(text: str) -> str:
    """The same without lone surrogates, which are refused in requests."""
    return text.encode("utf-8", "replace").decode()


def spelt(text: str) -> AnswerOfModel:
    """A model's answer with every character that is not ASCII escaped, so that lone surrogates can stand in it."""
    answer = openai_reply("TEXT")
    return replace(answer, pieces=(answer.body.replace(b'"TEXT"', json.dumps(text).encode()),))


async def test_d11_whatever_stands_in_a_call_it_is_stored_and_so_are_those_beside_it(begin: Begin) -> None:
    """Characters that texts and databases stumble over, drawn at random, from the caller and from the model."""
    dice = random.Random(11)  # noqa: S311 - repeatable on purpose
    texts = ["".join(dice.choices(NASTY, k=dice.randint(1, 12))) for _ in range(60)]
    async with FakeUpstream([spelt(text) for text in texts]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        sent: dict[str, str] = {}
        for text in texts:
            header = "".join(each for each in text if each.isprintable() and each.isascii())
            answer = await chat(
                gateway,
                headers={"x-fairlead-session": f"s{header}", "x-fairlead-tags": f"t{header}"},
                messages=[{"role": "user", "content": paired(text)}],
                metadata={"k": paired(text)},
                user=paired(text),
            )
            assert answer.status == 200, answer.body
            sent[answer.headers["x-fairlead-call-id"]] = text

        found = {str(row["call_id"]): row for row in await recorded(gateway, 60)}

    assert found.keys() == sent.keys()
    for call_id, text in sent.items():
        row = found[call_id]
        assert json.loads(str(row["request"]))["messages"][0]["content"] == paired(text)
        assert json.loads(str(row["response"]))["choices"][0]["message"]["content"] == json.loads(json.dumps(text))
    assert ("fairlead_rejected_records_total", ()) not in await gateway.foundation.store.logs.counters()


@pytest.mark.parametrize("absurd", [2**62, 2**63, 10**30, -1], ids=str)
async def test_d11_one_absurd_count_poisons_no_batch(begin: Begin, absurd: int) -> None:
    """A call whose provider says that it used more tokens than can be added up is stored, and so are those beside it."""
    script = [openai_reply("a"), openai_reply("b", tokens(absurd, absurd)), openai_reply("c")]
    async with FakeUpstream(script) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        answered = [await chat(gateway) for _ in script]
        after, odd, before = await recorded(gateway, 3)

    assert [row["call_id"] for row in (before, odd, after)] == [each.headers["x-fairlead-call-id"] for each in answered]
    assert odd["outcome"] == "ok"
    assert odd["usage"] is None or odd["usage_source"] == "estimated"
    for row in (before, after):
        assert row["usage_source"] == "final"
    (usage,) = await gateway.foundation.store.logs.usage("model", None)
    assert usage.calls == 3
    assert usage.cost_nanousd < 10**9


async def test_d11_a_body_that_is_larger_than_what_is_kept_is_cut_with_a_marker(begin: Begin) -> None:
    """Ten megabytes in, ten out: the call is as ever, its record says how much there was, and those beside it are whole."""
    async with FakeUpstream([openai_reply("hi"), openai_reply("y" * 10_000_000), openai_reply("hi")]) as upstream:
        gateway = await begin(UPSTREAM.format(auth="open", base_url=upstream.base_url), ENVIRON)
        large = [{"role": "user", "content": "x" * 10_000_000}]
        answers = [await chat(gateway), await chat(gateway, messages=large), await chat(gateway)]
        assert len(answers[1].json["choices"][0]["message"]["content"]) == 10_000_000
        after, cut, before = await recorded(gateway, 3)

    assert [row["call_id"] for row in (before, cut, after)] == [each.headers["x-fairlead-call-id"] for each in answers]
    for side in ("request", "response"):
        assert str(cut[side]).endswith("bytes in all]")
        assert len(str(cut[side])) <= 1024 * 1024
        assert json.loads(str(before[side]))
        assert json.loads(str(after[side]))


async def test_d11_nesting_is_stored_as_deep_as_it_may_come(begin: Begin) -> None:
    """The record of a body at the cap can be read back, also through the data port; one level more is a plain 400."""
    gateway = await begin(OPEN)
    deepest = 0
    for depth in range(50, 80):
        nested: Any = "x"
        for _ in range(depth):
            nested = [nested]
        answer = await chat(gateway, metadata={"k": nested})
        assert answer.status in {200, 400}
        if answer.status == 400:
            break
        deepest = depth
    assert 50 <= deepest < 79
    kept = await recorded(gateway, deepest - 49)
    assert {row["outcome"] for row in kept} == {"ok"}
    innermost = json.loads(str(kept[0]["request"]))["metadata"]["k"]
    for _ in range(deepest):
        (innermost,) = innermost
    assert innermost == "x"


async def test_d12_while_another_process_writes_calls_go_on_and_their_records_wait(begin: Begin) -> None:
    """For less than the busy timeout it is no trouble at all: nothing fails, nobody is told, everything is stored."""
    gateway = await begin(PRICED)
    with closing(sqlite3.connect(database(gateway), isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answered = ids([await chat(gateway)])
        gateway.foundation.spool.flush()
        ingestion = asyncio.create_task(gateway.foundation.ingester.run_once())
        answered |= ids([await chat(gateway) for _ in range(20)])
        assert not ingestion.done()
        assert rows(database(gateway), "SELECT count(*) FROM calls") == [(0,)]
        other.execute("ROLLBACK")
        assert await ingestion >= 1
    await gateway.records()
    assert (await books(gateway))["calls"] == Counter(answered)


async def test_d12_a_reader_that_stays_does_not_let_the_log_grow_for_ever(begin: Begin, tmp_path: Path) -> None:
    """At its cap records wait in the spool; once the reader is gone the log is emptied and they are taken in."""
    gateway = await begin(PRICED)
    cap = 1024 * 1024
    wal = database(gateway).with_name("fairlead.db-wal")
    store = SqliteStore(database(gateway), count=count, max_wal_bytes=cap)
    ingester = Ingester(gateway.foundation.root / "fairlead.spool", store.logs)
    answered: set[str] = set()
    with closing(sqlite3.connect(database(gateway), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM calls").fetchone()

        async def take_in() -> None:
            for _ in range(20):
                answered.update(ids([await chat(gateway, metadata={"pad": "x" * 200_000})]))
                gateway.foundation.spool.flush()
                await ingester.run_once()

        with pytest.raises(StateUnavailable, match="write-ahead log is full"):
            await take_in()
        assert cap < wal.stat().st_size < 2 * cap
        answered |= ids([await chat(gateway)])
    gateway.foundation.spool.flush()
    await ingester.run_once()
    assert wal.stat().st_size < cap
    assert (await books(gateway))["calls"] == Counter(answered)
    await store.aclose()


@pytest.mark.slow
@pytest.mark.timeout(90)
def test_d12_processes_that_take_in_records_at_one_time_count_each_once(gateway: Callable[..., Process]) -> None:
    """The keeper and five commands that do so before they read: totals are those of the calls."""
    ours = gateway(PRICED)
    commands = [
        subprocess.Popen(
            [FAIRLEAD, command, "--json"], cwd=ours.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            env=CLEAN_ENVIRONMENT,
        )
        for command in ("logs", "usage") * 3
        if post(ours) == 200
    ]  # fmt: skip
    assert [post(ours) for _ in range(200)] == [200] * 200
    for command in commands:
        _, told = command.communicate(timeout=30)
        assert (command.returncode, told) == (0, b"")
    assert ours.stop() == 0

    path = ours.folder / "fairlead.db"
    assert rows(path, "SELECT count(*), count(DISTINCT id) FROM calls WHERE outcome = 'ok'") == [(206, 206)]
    assert rows(path, "SELECT sum(value) FROM counters WHERE metric = 'fairlead_calls_total'") == [(206,)]
    usage = rows(path, "SELECT kind, sum(calls), sum(cost_nanousd) FROM rollups GROUP BY kind")
    (cost,) = rows(path, "SELECT sum(cost_nanousd) FROM calls")
    assert usage
    assert {(calls, spent) for kind, calls, spent in usage} == {(206, *cost)}


MIGRATING = """
import os, resource, shutil, signal, sys
from pathlib import Path
import fairlead
from fairlead.config import build, load
config = load.load_text(sys.argv[1])
for limit in range(0, 4 * 1024 * 1024, 8192):
    folder = Path(f"at-{limit:07d}")
    folder.mkdir()
    if Path("old.db").exists():
        shutil.copy("old.db", folder / "fairlead.db")
    if os.fork() == 0:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        with fairlead.SyncClient(config=config, root=folder) as llm:
            llm.complete("hi", model="m")
        os._exit(0)
    _, status = os.wait()
    if status == 0:
        shutil.rmtree(folder)
        break
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGXFSZ, status
"""
OLD_CALLS = 300
OLD_CALL = """
    INSERT INTO calls (id, segment, started_at_ns, duration_ns, dialect, alias, model, stream, tenant, status, outcome,
                       spent_nanousd, cost_nanousd)
    VALUES (?, 's', 1, 1, 'openai_chat', 'm', 'm', 0, 'local', 200, 'ok', 7, 7)
"""


def old_store(path: Path, steps: int) -> None:
    """A store as an earlier version left it, after so many steps, with calls in it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA page_size = 8192")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("CREATE TABLE schema_version (version INTEGER PRIMARY KEY) STRICT")
        for number, step in enumerate(MIGRATIONS[:steps], start=1):
            db.executescript(f"BEGIN; {step.read_text()}")
            db.execute("INSERT INTO schema_version VALUES (?)", (number,))
            if number == 1:
                db.executemany(OLD_CALL, [(f"old-{call}",) for call in range(OLD_CALLS)])
            db.execute("COMMIT")


def schema(path: Path) -> list[tuple[Any, ...]]:
    """Everything in a store that a step can change but the rows."""
    return rows(path, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")


def version(path: Path) -> int:
    """How many steps a store has seen."""
    if not schema(path):
        return 0
    return int(rows(path, "SELECT max(version) FROM schema_version")[0][0])


@pytest.mark.slow
@pytest.mark.timeout(60)
@pytest.mark.parametrize("steps", [0, 1], ids=["a new store", "one of the first version"])
def test_d13_kill_9_at_any_write_of_a_migration_leaves_no_half_of_a_step(tmp_path: Path, steps: int) -> None:
    """The kernel kills a starting program at the first, the second, ... the last block; the next one starts all the same."""
    whole = {0: list[tuple[Any, ...]]()}
    for done in range(1, len(MIGRATIONS) + 1):
        old_store(tmp_path / f"{done}.db", done)
        whole[done] = schema(tmp_path / f"{done}.db")
    calls = OLD_CALLS if steps else 0
    if steps:
        (tmp_path / "1.db").rename(tmp_path / "old.db")

    ran = subprocess.run(
        [sys.executable, "-c", MIGRATING, PRICED],
        cwd=tmp_path, capture_output=True, text=True, timeout=50, check=False, env=CLEAN_ENVIRONMENT,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr

    killed = [folder / "fairlead.db" for folder in sorted(tmp_path.glob("at-*"))]
    found = {version(path) for path in killed}
    assert found == set(range(steps, len(MIGRATIONS) + 1)), "kills before, between and after the steps"
    for path in killed:
        done = version(path)
        assert schema(path) == whole[done]
        if done:
            assert rows(path, "SELECT count(*), sum(spent_nanousd) FROM calls WHERE id LIKE 'old-%'") == [
                (calls, 7 * calls or None)
            ]
    for path in {version(path): path for path in killed}.values():
        with fairlead.SyncClient(config=load_text(PRICED), root=path.parent) as llm:
            assert llm.complete("hi", model="m").text
        assert schema(path) == whole[len(MIGRATIONS)]
        assert rows(path, "SELECT sum(calls) FROM rollups WHERE kind = 'outcome' AND name = 'ok'")[0][0] > calls


def newer(path: Path) -> bytes:
    """A store that a later version has written; its bytes."""
    old_store(path, len(MIGRATIONS))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("INSERT INTO schema_version VALUES (99)")
        db.execute("CREATE TABLE of_the_future (x)")
    return path.read_bytes()


TOO_NEW = f"the store has schema version 99, this Fairlead knows versions up to {len(MIGRATIONS)}"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", [("serve", "--port", "0", "--admin-port", "0"), ("logs",)], ids="-".join)
def test_d13_a_store_of_a_newer_version_is_refused_in_one_line(command: tuple[str, ...], tmp_path: Path) -> None:
    """It says which version would do, ends with a code that is not 0, and has not touched the file."""
    before = newer(tmp_path / "fairlead.db")
    (tmp_path / "fairlead.toml").write_text(OPEN)

    ran = subprocess.run(
        [FAIRLEAD, *command],
        cwd=tmp_path, capture_output=True, text=True, timeout=30, check=False, env=CLEAN_ENVIRONMENT,
    )  # fmt: skip

    assert ran.returncode != 0
    (line,) = ran.stderr.splitlines()
    assert TOO_NEW in line
    assert "use the Fairlead that wrote it, or a newer one" in line
    assert (tmp_path / "fairlead.db").read_bytes() == before


def test_d13_the_library_refuses_a_store_of_a_newer_version(tmp_path: Path) -> None:
    """With a typed error at the first call, and it has not touched the file."""
    before = newer(tmp_path / "fairlead.db")

    with fairlead.SyncClient(config=load_text(OPEN), root=tmp_path) as llm:
        with pytest.raises(ConfigError, match=TOO_NEW):
            llm.complete("hi", model="m")
        with pytest.raises(ConfigError, match=TOO_NEW):
            "".join(piece.text for piece in llm.stream("hi", model="m"))

    assert (tmp_path / "fairlead.db").read_bytes() == before
