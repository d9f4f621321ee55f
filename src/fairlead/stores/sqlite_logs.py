"""The record of truth in SQLite: calls, attempts, counters."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from fairlead.ports import Batch, LogQuery, UsageRow
from fairlead.record import Admitted, Ended, Gauges, Record
from fairlead.stores import sqlite_queries, sqlite_rows
from fairlead.stores.sqlite_work import Run, transaction

Labels = tuple[tuple[str, str], ...]
Count = Callable[[Ended], Iterable[tuple[str, Labels, int]]]
"""Which counters an ended call moves, and by how much."""

_POISON: Final = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    ArithmeticError,
    TypeError,
    ValueError,
)
"""What one record can be at fault for; anything else is the store's trouble and stops the batch."""


class SqliteLogs:
    """The `LogStore` of one machine.

    Args:
        count: called once for every call that ends, within the transaction that stores it.
    """

    def __init__(self, run: Run, count: Count) -> None:
        self._run = run
        self._count = count

    async def ingest(self, batch: Batch) -> int:
        """Store a batch once, however often it is delivered; returns how many calls it ended.

        A record that cannot be stored is left out and counted in `fairlead_rejected_records_total`.
        """
        return await self._run(lambda connection: _Ingest(connection, self._count).run(batch))

    async def calls(self, query: LogQuery) -> Sequence[Mapping[str, object]]:
        """Calls as plain mappings, ready for JSON; `outcome` is `open` while one runs."""
        return await self._run(lambda connection: sqlite_queries.calls(connection, query))

    async def usage(self, by: str, since_ns: int | None) -> Sequence[UsageRow]:
        """Totals of the calls that are over, dearest group first.

        Args:
            by: `model`, `key`, `user`, `team`, `provider`, `alias`, `day` or `outcome`.  By `model` and `provider` each
                attempt counts where it went, so a call that fell back is in two groups.

        Raises:
            InvalidRequest: another word.
        """
        return await self._run(lambda connection: sqlite_queries.usage(connection, by, since_ns))

    async def spent(self, scope: str, since_ns: int) -> int:
        """Nano-USD of the calls of `key:`, `user:`, `team:` or `model:` (an alias) admitted since.

        Raises:
            InvalidRequest: another kind of scope.
        """
        return await self._run(lambda connection: sqlite_queries.spent(connection, scope, since_ns))

    async def counters(self) -> Mapping[tuple[str, Labels], int]:
        """Every metric counter by name and labels, as integers in the smallest unit."""
        return await self._run(sqlite_queries.counters)

    async def gauges(self) -> Sequence[Gauges]:
        """The newest gauges of each worker that ever was."""
        return await self._run(sqlite_queries.gauges)


class _Ingest:
    """One batch on its way into the database."""

    def __init__(self, connection: sqlite3.Connection, count: Count) -> None:
        self._connection = connection
        self._count = count
        self._deltas: dict[tuple[str, Labels], int] = {}
        self._ended = 0
        self._segment = ""

    def run(self, batch: Batch) -> int:
        """Returns how many calls ended."""
        if not batch.finished and self._is_known(batch):
            return 0
        self._segment = batch.segment
        try:
            with transaction(self._connection):
                self._store_all(batch.records)
                self._close(batch)
        except _POISON:
            self._ended = 0
            self._deltas.clear()
            with transaction(self._connection):
                self._store_each(batch.records)
                self._close(batch)
        return self._ended

    def _is_known(self, batch: Batch) -> bool:
        row = self._connection.execute("SELECT offset FROM segments WHERE name = ?", (batch.segment,)).fetchone()
        return row is not None and row["offset"] >= batch.offset

    def _store_all(self, records: Sequence[Record]) -> None:
        """The usual case; a call that begins and ends in one batch is written once."""
        ends = {record.call_id for record in records if isinstance(record, Ended)}
        begun = {record.call_id: record for record in records if isinstance(record, Admitted)}
        for record in records:
            if isinstance(record, Admitted) and record.call_id in ends:
                continue
            self._store(record, begun)

    def _store_each(self, records: Sequence[Record]) -> None:
        """Each record under its own savepoint, so that one that cannot be stored takes no other with it."""
        for record in records:
            before = self._ended, dict(self._deltas)
            self._connection.execute("SAVEPOINT record")
            try:
                self._store(sqlite_rows.storable(record), {})
            except _POISON:
                self._connection.execute("ROLLBACK TO record")
                self._ended, self._deltas = before
                self._add("fairlead_rejected_records_total", (), 1)
            self._connection.execute("RELEASE record")

    def _store(self, record: Record, begun: Mapping[str, Admitted]) -> None:
        if isinstance(record, Ended):
            admitted = begun.get(record.call_id)
            self._store_ended(record, None if admitted is None else admitted.request)
        elif isinstance(record, Admitted):
            self._connection.execute(sqlite_rows.INSERT_OPEN, (*sqlite_rows.open_call(record), self._segment))
            self._store_contents(record.call_id, record.request, None)
        else:
            self._connection.execute(sqlite_rows.UPSERT_GAUGES, sqlite_rows.gauges(record))

    def _store_ended(self, record: Ended, request: bytes | None) -> None:
        if not all(sqlite_rows.is_plausible(attempt) for attempt in record.attempts):
            msg = "an attempt with numbers that cannot be"
            raise ValueError(msg)
        stored = self._connection.execute(sqlite_rows.UPSERT_ENDED, (*sqlite_rows.ended_call(record), self._segment))
        if stored.rowcount != 1:
            return
        self._store_contents(record.call_id, record.request if record.request is not None else request, record.response)
        rows = [sqlite_rows.attempt(record.call_id, attempt) for attempt in record.attempts]
        self._connection.executemany(sqlite_rows.INSERT_ATTEMPT, rows)
        self._ended += 1
        for metric, labels, delta in self._count(record):
            self._add(metric, labels, delta)

    def _store_contents(self, call_id: str, request: bytes | None, response: bytes | None) -> None:
        if request is not None or response is not None:
            contents = (call_id, sqlite_rows.capped(request), sqlite_rows.capped(response))
            self._connection.execute(sqlite_rows.UPSERT_CONTENTS, contents)

    def _add(self, metric: str, labels: Labels, delta: int) -> None:
        self._deltas[metric, labels] = self._deltas.get((metric, labels), 0) + delta

    def _close(self, batch: Batch) -> None:
        """What belongs to the batch as a whole."""
        if batch.finished:
            for row in self._connection.execute(sqlite_rows.SELECT_OPEN, (batch.segment,)).fetchall():
                self._store_ended(sqlite_rows.crashed(row), None)
            self._connection.execute("DELETE FROM segments WHERE name = ?", (batch.segment,))
        else:
            self._connection.execute(sqlite_rows.UPSERT_SEGMENT, (batch.segment, batch.offset))
        rows = [(metric, sqlite_rows.labels(labels), delta) for (metric, labels), delta in self._deltas.items()]
        self._connection.executemany(sqlite_rows.UPSERT_COUNTER, rows)
