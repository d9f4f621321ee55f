"""The record of truth in SQLite: calls, totals, counters."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence

from fairlead.ports import Batch, FieldRow, LogQuery, SchemaRow, UsageRow
from fairlead.record import Gauges
from fairlead.stores import sqlite_queries, sqlite_rows, sqlite_usage, sqlite_verdicts
from fairlead.stores.sqlite_ingest import Count, Ingest, Labels
from fairlead.stores.sqlite_work import Run


class SqliteLogs:
    """The `LogStore` of one machine.

    Args:
        count: which counters ended calls move; called once a batch, within the transaction that stores it.
        check_room: called before each batch; raises `StateUnavailable` where the store should take no more for now.
    """

    def __init__(self, run: Run, count: Count, check_room: Callable[[sqlite3.Connection], None]) -> None:
        self._run = run
        self._count = count
        self._check_room = check_room

    async def ingest(self, batch: Batch) -> int:
        """Store a batch once, however often it is delivered; returns how many calls it ended.

        A record that cannot be stored is left out and counted in `fairlead_rejected_records_total`.
        """

        def work(connection: sqlite3.Connection) -> int:
            self._check_room(connection)
            return Ingest(connection, self._count).run(batch)

        return await self._run(work)

    async def offsets(self) -> Mapping[str, int]:
        """How far each segment was stored."""
        return await self._run(lambda connection: dict(connection.execute(sqlite_rows.SELECT_OFFSETS).fetchall()))

    async def calls(self, query: LogQuery) -> Sequence[Mapping[str, object]]:
        """Calls as plain mappings, ready for JSON; `outcome` is `open` while one runs."""
        return await self._run(lambda connection: sqlite_queries.calls(connection, query))

    async def usage(self, by: str, since_ns: int | None) -> Sequence[UsageRow]:
        """Totals of the calls that are over, dearest group first.

        Args:
            by: `model`, `key`, `user`, `team`, `provider`, `alias`, `day` or `outcome`.  By `model` and `provider` each
                attempt counts where it went, so a call that fell back is in two groups.
            since_ns: exact, but where calls of that hour were deleted: then the whole hour counts.

        Raises:
            InvalidRequest: another word.
        """
        return await self._run(lambda connection: sqlite_usage.usage(connection, by, since_ns))

    async def schemas(self, since_ns: int | None) -> Sequence[SchemaRow]:
        """How answers were held to their schemas, of the calls that are still stored."""
        return await self._run(lambda connection: sqlite_verdicts.schemas(connection, since_ns))

    async def fields(self, since_ns: int | None) -> Sequence[FieldRow]:
        """The fields that outputs were refused for, of the calls that are still stored, the most frequent first."""
        return await self._run(lambda connection: sqlite_verdicts.fields(connection, since_ns))

    async def spent(self, scope: str, since_ns: int) -> int:
        """Nano-USD of the calls of `key:`, `user:`, `team:` or `model:` (an alias) admitted since.

        Raises:
            InvalidRequest: another kind of scope.
        """
        return await self._run(lambda connection: sqlite_usage.spent(connection, scope, since_ns))

    async def counters(self) -> Mapping[tuple[str, Labels], int]:
        """Every metric counter by name and labels, as integers in the smallest unit."""
        return await self._run(sqlite_queries.counters)

    async def gauges(self) -> Sequence[Gauges]:
        """The newest gauges of each worker that has not ended."""
        return await self._run(sqlite_queries.gauges)

    async def prune(self, before_ns: int, limit: int) -> int:
        """Delete calls admitted before, at most `limit` of them, the oldest first; returns how many.

        Totals and counters stay.  The pages of what was deleted are used again; the file does not shrink.
        """

        def work(connection: sqlite3.Connection) -> int:
            bounds = {"before_ns": before_ns, "limit": limit}
            deleted = connection.execute(sqlite_rows.DELETE_OLD_CALLS, bounds).rowcount
            return deleted or connection.execute(sqlite_rows.DELETE_OLD_OPEN, bounds).rowcount

        return await self._run(work)
