"""The store of one machine: SQLite in WAL mode, on one thread of its own."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeVar

from fairlead.errors import ConfigError, StateUnavailable, mapped
from fairlead.stores.sqlite_ingest import Count
from fairlead.stores.sqlite_keys import SqliteKeys
from fairlead.stores.sqlite_logs import SqliteLogs
from fairlead.stores.sqlite_owners import SqliteOwners
from fairlead.stores.sqlite_routes import SqliteRoutes
from fairlead.stores.sqlite_work import transaction, write_ahead

T = TypeVar("T")

BUSY_TIMEOUT_MS: Final = 5_000
MAX_WAL_BYTES: Final = 64 * 1024 * 1024

_BROKEN: Final = frozenset(
    {
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_READONLY,
    }
)
"""After these the file is opened anew: it may have been mounted again, replaced or given back its rights."""


class SqliteStore:
    """Keys, ledger and logs in one file.  Opened at the first use; all work is done on one thread, in order.

    Args:
        path: the database file; made with access for its owner alone.
        count: which metric counters ended calls move; called inside the transaction that stores them.
        busy_timeout_ms: how long to wait for another process's transaction.
        max_wal_bytes: of the write-ahead log; it grows while another process goes on reading an old state.  Past this
            no records are taken, and wait in the spool.
    """

    def __init__(
        self,
        path: Path,
        *,
        count: Count,
        busy_timeout_ms: int = BUSY_TIMEOUT_MS,
        max_wal_bytes: int = MAX_WAL_BYTES,
    ) -> None:
        self._path = path
        self._busy_timeout_ms = busy_timeout_ms
        self._max_wal_bytes = max_wal_bytes
        self._closing = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="fairlead-sqlite")
        self._connection: sqlite3.Connection | None = None
        self.keys = SqliteKeys(self.run)
        self.logs = SqliteLogs(self.run, count, self._check_room)
        self.routes = SqliteRoutes(self.run)
        self.owners = SqliteOwners(self.run)

    def migrate(self) -> None:
        """Bring the schema to this version; blocks, so call it before serving.

        Raises:
            ConfigError: the schema is newer than this version of Fairlead.
            StateUnavailable: the file cannot be used.
        """
        self._thread.submit(self._work, migrate).result()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` on the store's thread.

        Raises:
            StateUnavailable: SQLite says no.
        """
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._work, work)

    async def aclose(self) -> None:
        """Finish what is queued, close the file and end the thread; calling it twice is harmless.

        Where another process keeps the database locked, what is queued is given up after one busy timeout in all.
        """
        if self._closing:
            return
        self._closing = True
        closed = asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown(wait=False)
        await closed

    def _work(self, work: Callable[[sqlite3.Connection], T]) -> T:
        with mapped({sqlite3.Error: StateUnavailable, OSError: StateUnavailable}, "the store cannot answer right now"):
            if self._connection is None:
                self._connection = _connect(self._path, self._busy_timeout_ms)
            try:
                return work(self._connection)
            except sqlite3.DatabaseError as error:
                if self._closing:
                    self._connection.execute("PRAGMA busy_timeout = 0")
                if _primary_code(error) in _BROKEN:
                    self._close()
                raise

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _check_room(self, connection: sqlite3.Connection) -> None:
        """Raises `StateUnavailable` where the write-ahead log is too long and cannot be emptied now."""
        wal = self._path.with_name(self._path.name + "-wal")
        try:
            if wal.stat().st_size <= self._max_wal_bytes:
                return
        except FileNotFoundError:
            return
        connection.execute("PRAGMA busy_timeout = 0")
        is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute(f"PRAGMA busy_timeout = {self._busy_timeout_ms:d}")
        if is_busy:
            raise StateUnavailable(
                "the store's write-ahead log is full, since another process has been reading the database for long"
            )


def _primary_code(error: sqlite3.Error) -> int | None:
    """SQLite's own code without its details; `None` for what Python's module says by itself."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def schema_version(connection: sqlite3.Connection) -> int:
    """How many steps the database has seen; 0 before the first."""
    tables = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'schema_version'").fetchall()
    if not tables:
        return 0
    (version,) = connection.execute("SELECT coalesce(max(version), 0) FROM schema_version").fetchone()
    return int(version)


def migrate(connection: sqlite3.Connection) -> None:
    """Run the steps that this database has not seen, each in one transaction with its number.

    A database that has seen them all is only read, so a full disk or another's lock does not keep it from opening.

    Raises:
        ConfigError: it has seen more than there are; it is left as it is.
    """
    steps = _steps()
    while _behind(connection, steps):
        with transaction(connection):
            if not _behind(connection, steps):  # another process was faster
                return
            version = schema_version(connection)
            connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER PRIMARY KEY) STRICT")
            for statement in _statements(steps[version]):
                connection.execute(statement)
            connection.execute("INSERT INTO schema_version (version) VALUES (?)", (version + 1,))


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether the schema is the one of this version."""
    return schema_version(connection) == len(_steps())


def _behind(connection: sqlite3.Connection, steps: Sequence[str]) -> bool:
    version = schema_version(connection)
    if version > len(steps):
        raise ConfigError(
            f"the store has schema version {version}, this Fairlead knows versions up to {len(steps)}; "
            "use the Fairlead that wrote it, or a newer one"
        )
    return version < len(steps)


def _connect(path: Path, busy_timeout_ms: int) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, timeout=busy_timeout_ms / 1_000)
    try:
        connection.row_factory = sqlite3.Row
        # Of a new file only: several calls fit on a page, and little of it stays empty.
        connection.execute("PRAGMA page_size = 8192")
        write_ahead(connection)
        # FULL: once a batch is committed its segment is deleted, so the commit has to survive a power cut.
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _steps() -> list[str]:
    folder = files("fairlead.stores.migrations")
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [folder.joinpath(name).read_text("utf-8") for name in names]


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit the transaction around it."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
