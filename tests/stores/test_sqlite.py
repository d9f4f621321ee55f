from __future__ import annotations

import asyncio
import re
import sqlite3
import threading
from pathlib import Path

import pytest

import fairlead.stores
from fairlead.errors import ConfigError, StateUnavailable
from fairlead.ports import Batch, LogQuery, ScopeLimits, StoredKey
from fairlead.record import Ended, Gauges, Identity
from fairlead.stores.sqlite import SqliteStore, migrate
from fairlead.stores.sqlite_work import write_ahead
from fairlead.telemetry.metrics import count

MIGRATIONS = Path(fairlead.stores.__file__).parent / "migrations"
STEPS = len(list(MIGRATIONS.glob("*.sql")))


async def open_store(path: Path) -> SqliteStore:
    store = SqliteStore(path, count=count)
    await asyncio.to_thread(store.migrate)
    return store


async def test_what_was_stored_is_there_after_reopening(tmp_path: Path) -> None:
    """Keys, limits and gauges survive the process."""
    path = tmp_path / "deep" / "fairlead.db"
    store = await open_store(path)
    await store.keys.save(StoredKey(id="k", digest=b"d", name="n"))
    await store.keys.limit("team:t", ScopeLimits(rpm=3))
    await store.logs.ingest(Batch(segment="s", offset=1, records=(Gauges(worker="w", at_ns=5, in_flight=2),)))
    await store.aclose()
    again = await open_store(path)
    assert [key.id for key in await again.keys.keys()] == ["k"]
    assert [gauges.in_flight for gauges in await again.logs.gauges()] == [2]
    await again.aclose()


async def test_the_newest_gauges_count(tmp_path: Path) -> None:
    """Older ones that come later change nothing."""
    store = await open_store(tmp_path / "x.db")
    for offset, at_ns in enumerate((5, 9, 7), start=1):
        records = (Gauges(worker="w", at_ns=at_ns),)
        await store.logs.ingest(Batch(segment="s", offset=offset, records=records))
    assert [gauges.at_ns for gauges in await store.logs.gauges()] == [9]
    await store.aclose()


async def test_the_file_is_private(tmp_path: Path) -> None:
    """Digests and bodies are for the owner alone, in the write-ahead log too."""
    store = await open_store(tmp_path / "x.db")
    await store.keys.save(StoredKey(id="k", digest=b"d", name="n"))
    assert {path.stat().st_mode & 0o077 for path in tmp_path.iterdir()} == {0}  # noqa: ASYNC240 - a test may block
    await store.aclose()


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    """A store that a later version has written is not touched, and the message says what to do."""
    path = tmp_path / "x.db"
    await (await open_store(path)).aclose()
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO schema_version (version) VALUES (99)")
    connection.close()
    store = SqliteStore(path, count=count)
    with pytest.raises(ConfigError, match="version 99"):
        await asyncio.to_thread(store.migrate)
    await store.aclose()


def test_an_interrupted_migration_leaves_nothing(tmp_path: Path) -> None:
    """A step that stops half-way is rolled back whole, and runs again from its beginning."""
    path = tmp_path / "x.db"
    connection = sqlite3.connect(path, isolation_level=None)
    allowed = 5

    def authorizer(action: int, *_: object) -> int:
        nonlocal allowed
        if action != sqlite3.SQLITE_CREATE_TABLE:
            return sqlite3.SQLITE_OK
        allowed -= 1
        return sqlite3.SQLITE_OK if allowed >= 0 else sqlite3.SQLITE_DENY

    connection.set_authorizer(authorizer)
    with pytest.raises(sqlite3.DatabaseError):
        migrate(connection)
    connection.set_authorizer(None)
    assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
    migrate(connection)
    assert connection.execute("SELECT max(version) FROM schema_version").fetchone() == (STEPS,)
    connection.close()


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    """A current schema is left as it is, also by several processes at once."""
    path = tmp_path / "x.db"
    stores = [SqliteStore(path, count=count) for _ in range(4)]
    threads = [threading.Thread(target=store.migrate) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    stores[0].migrate()
    for store in stores:
        asyncio.run(store.aclose())
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version FROM schema_version").fetchall() == [
            (step + 1,) for step in range(STEPS)
        ]
    connection.close()


async def test_no_database_is_state_unavailable(tmp_path: Path) -> None:
    """What is no database, or cannot be opened, is our own error with the cause in its detail."""
    (tmp_path / "x.db").write_bytes(b"this is not a database, by any means" * 100)
    for path in (tmp_path / "x.db", tmp_path):
        store = SqliteStore(path, count=count)
        with pytest.raises(StateUnavailable) as raised:
            await store.keys.find("k")
        assert raised.value.detail
        assert str(tmp_path) not in raised.value.message
        await store.aclose()


async def test_a_failed_batch_leaves_nothing_behind(tmp_path: Path) -> None:
    """A batch that fails at its very end is rolled back, counters and offset included, and can be delivered again."""
    path = tmp_path / "x.db"
    store = await open_store(path)
    with sqlite3.connect(path) as other:
        other.execute("ALTER TABLE counters RENAME TO elsewhere")
    batch = Batch(segment="s", offset=1, records=(_rejected("a"),))
    with pytest.raises(StateUnavailable):
        await store.logs.ingest(batch)
    assert await store.logs.calls(LogQuery()) == []
    with other:
        other.execute("ALTER TABLE elsewhere RENAME TO counters")
    other.close()
    assert await store.logs.ingest(batch) == 1
    await store.aclose()


def _rejected(call_id: str) -> Ended:
    return Ended(
        call_id=call_id,
        started_at_ns=1,
        duration_ns=1,
        dialect="openai_chat",
        alias="a",
        model="a",
        stream=False,
        identity=Identity(tenant="local"),
        status=429,
        outcome="error",
        error_class="rate_limit",
    )


async def test_closing_a_locked_store_takes_one_busy_timeout(tmp_path: Path) -> None:
    """What is queued behind another process's lock is given up, the file closed and the thread ended."""
    path = tmp_path / "x.db"
    await (await open_store(path)).aclose()
    before = set(threading.enumerate())
    store = SqliteStore(path, count=count, busy_timeout_ms=200)
    await store.keys.keys()
    (thread,) = set(threading.enumerate()) - before
    with sqlite3.connect(path, isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        key = StoredKey(id="k", digest=b"d", name="n")
        queued = [asyncio.ensure_future(store.keys.save(key)) for _ in range(50)]
        await asyncio.sleep(0)
        async with asyncio.timeout(3):
            await store.aclose()
        refused = await asyncio.gather(*queued, return_exceptions=True)
        await asyncio.to_thread(thread.join, 3)
    other.close()
    assert {type(each) for each in refused} == {StateUnavailable}
    assert not thread.is_alive()


async def test_closing_twice_is_harmless(tmp_path: Path) -> None:
    """The second time there is nothing to do."""
    store = await open_store(tmp_path / "x.db")
    await store.aclose()
    await store.aclose()


async def test_a_store_of_the_first_schema_is_brought_forward(tmp_path: Path) -> None:
    """Calls that were open before the upgrade crash without a reservation."""
    path = tmp_path / "x.db"
    with sqlite3.connect(path) as old:
        old.executescript((MIGRATIONS / "0001_start.sql").read_text())
        old.execute("CREATE TABLE schema_version (version INTEGER PRIMARY KEY) STRICT")
        old.execute("INSERT INTO schema_version VALUES (1)")
        old.execute(
            "INSERT INTO calls (id, segment, started_at_ns, dialect, alias, model, stream, tenant, key_id) "
            "VALUES ('c', 's', 1, 'openai_chat', 'a', 'a', 0, 'key:k', 'k')"
        )
    old.close()
    store = await open_store(path)
    assert await store.logs.ingest(Batch(segment="s", offset=0, records=(), finished=True)) == 1
    assert await store.logs.spent("key:k", 0) == 0
    await store.aclose()


async def test_gauges_of_long_ago_are_deleted(tmp_path: Path) -> None:
    """A day after it fell silent a worker is forgotten, though its segment never showed up."""
    store = await open_store(tmp_path / "x.db")
    day_ns = 86_400 * 10**9
    for offset, (worker, at_ns) in enumerate([("lost", 5), ("w", day_ns + 5), ("w", day_ns + 6)], start=1):
        await store.logs.ingest(Batch(segment="s", offset=offset, records=(Gauges(worker=worker, at_ns=at_ns),)))
        assert len(await store.logs.gauges()) == (2 if offset == 2 else 1)
    await store.aclose()


async def test_many_tasks_share_the_store(tmp_path: Path) -> None:
    """Parallel reads and writes are put in order on its one thread."""
    store = await open_store(tmp_path / "x.db")
    await asyncio.gather(*(store.keys.save(StoredKey(id=f"k{n}", digest=b"d", name="n")) for n in range(50)))
    found = await asyncio.gather(*(store.keys.find(f"k{n}") for n in range(50)))
    assert all(found)
    assert await store.keys.generation() == 50
    await store.aclose()


def test_statements_are_constants() -> None:
    """No SQL is put together from values: no f-string, `format` or `%` makes a statement."""
    folder = Path(fairlead.stores.__file__).parent
    verbs = re.compile(
        r"""(?ix) (?: \b[rb]*f["'] [^\n]* | \.format\([^\n]* | %\s*\( ) \b(select|insert|update|delete|where)\b"""
    )
    for path in folder.glob("sqlite*.py"):
        assert verbs.search(path.read_text()) is None, path.name


def test_a_new_file_that_another_process_holds_is_waited_for(tmp_path: Path) -> None:
    """SQLite itself gives up at once where the journal is to become another one."""
    other = sqlite3.connect(tmp_path / "x.db", isolation_level=None)
    other.execute("CREATE TABLE t (x)")
    other.execute("BEGIN EXCLUSIVE")
    own = sqlite3.connect(tmp_path / "x.db", isolation_level=None, timeout=0)
    said: list[str] = []

    def told(statement: str) -> None:
        said.append(statement)
        if statement.startswith("BEGIN"):
            other.execute("ROLLBACK")

    own.set_trace_callback(told)
    write_ahead(own)

    assert "BEGIN IMMEDIATE" in said
    assert own.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    own.close()
    other.close()
