"""The record of truth in SQLite: calls, attempts, counters."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from fairlead.ports import Batch, LogQuery, UsageRow
from fairlead.record import Admitted, AttemptRecord, Ended, Gauges, Record
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

_GAUGES_KEPT_NS: Final = 86_400 * 10**9
"""Gauges so much older than the newest are deleted, whatever became of their worker."""


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
        """The newest gauges of each worker that has not ended."""
        return await self._run(sqlite_queries.gauges)


class _Ingest:
    """One batch on its way into the database: rows are collected first, then each table is written in one go."""

    def __init__(self, connection: sqlite3.Connection, count: Count) -> None:
        self._connection = connection
        self._count = count
        self._deltas: dict[tuple[str, Labels], int] = {}
        self._ended = 0

    def run(self, batch: Batch) -> int:
        """Returns how many calls ended."""
        if not batch.finished and self._is_known(batch):
            return 0
        try:
            with transaction(self._connection):
                self._store(batch.segment, batch.records)
                self._close(batch)
        except _POISON:
            self._ended = 0
            self._deltas.clear()
            with transaction(self._connection):
                self._store_each(batch)
                self._close(batch)
        return self._ended

    def _is_known(self, batch: Batch) -> bool:
        row = self._connection.execute("SELECT offset FROM segments WHERE name = ?", (batch.segment,)).fetchone()
        return row is not None and row["offset"] >= batch.offset

    def _store(self, segment: str, records: Sequence[Record]) -> None:
        """A call that begins and ends among these records is written once."""
        begun = {record.call_id: record for record in records if isinstance(record, Admitted)}
        ends = [record for record in records if isinstance(record, Ended)]
        if ends:
            self._store_ends(segment, ends, begun)
            for end in ends:
                begun.pop(end.call_id, None)
        if begun:
            self._store_open(segment, begun.values())
        standing = [record for record in records if isinstance(record, Gauges)]
        if standing:
            self._store_gauges(standing)

    def _store_each(self, batch: Batch) -> None:
        """Each record under its own savepoint, so that one that cannot be stored takes no other with it."""
        for record in batch.records:
            before = self._ended, dict(self._deltas)
            self._connection.execute("SAVEPOINT record")
            try:
                self._store(batch.segment, (sqlite_rows.storable(record),))
            except _POISON:
                self._connection.execute("ROLLBACK TO record")
                self._ended, self._deltas = before
                self._add("fairlead_rejected_records_total", (), 1)
            self._connection.execute("RELEASE record")

    def _store_open(self, segment: str, begun: Collection[Admitted]) -> None:
        _refuse_implausible(begun)
        self._write(sqlite_rows.INSERT_OPEN, [(*sqlite_rows.open_call(record), segment) for record in begun])
        self._write(
            sqlite_rows.UPSERT_CONTENTS,
            [(each.call_id, sqlite_rows.capped(each.request), None) for each in begun if each.request is not None],
        )

    def _store_ends(self, segment: str, ends: Sequence[Ended], begun: Mapping[str, Admitted]) -> None:
        """The first end of each call, unless the store has one: those that crashed may still turn out to have ended."""
        outcomes = self._outcomes([record.call_id for record in ends])
        fresh = []
        for record in ends:
            known = outcomes.get(record.call_id)
            if known is None or (known == "crashed" and record.outcome != "crashed"):
                outcomes[record.call_id] = record.outcome
                fresh.append(record)
        _refuse_implausible(attempt for each in fresh for attempt in each.attempts)
        self._write(
            sqlite_rows.UPSERT_ENDED,
            [(*sqlite_rows.ended_call(each, sqlite_rows.spent_nanousd(each)), segment) for each in fresh],
        )
        self._write(
            sqlite_rows.UPSERT_CONTENTS,
            [row for row in (_contents(each, begun.get(each.call_id)) for each in fresh) if row is not None],
        )
        self._write(
            sqlite_rows.INSERT_ATTEMPT,
            [sqlite_rows.attempt(each.call_id, attempt) for each in fresh for attempt in each.attempts],
        )
        self._count_ends(fresh)

    def _store_gauges(self, standing: Sequence[Gauges]) -> None:
        self._write(sqlite_rows.UPSERT_GAUGES, [sqlite_rows.gauges(record) for record in standing])
        newest_ns = max(record.at_ns for record in standing)
        self._connection.execute(sqlite_rows.DELETE_SILENT_GAUGES, (newest_ns - _GAUGES_KEPT_NS,))

    def _store_crashed(self, segment: str) -> None:
        """Whatever is open in a segment without a writer: nobody knows what it cost, so what it had reserved counts."""
        rows = self._connection.execute(sqlite_rows.SELECT_OPEN, (segment,)).fetchall()
        crashed = [sqlite_rows.crashed(row) for row in rows]
        reserved = [row["reserved_nanousd"] or 0 for row in rows]
        self._write(
            sqlite_rows.UPSERT_ENDED,
            [(*sqlite_rows.ended_call(*each), segment) for each in zip(crashed, reserved, strict=True)],
        )
        self._count_ends(crashed)

    def _outcomes(self, call_ids: Sequence[str]) -> dict[str, str | None]:
        """How the calls ended that the store has; `None` where one is open."""
        found = self._connection.execute(sqlite_rows.SELECT_OUTCOMES, (msgspec.json.encode(call_ids).decode(),))
        return {row["id"]: row["outcome"] for row in found}

    def _count_ends(self, ends: Sequence[Ended]) -> None:
        self._ended += len(ends)
        deltas = self._deltas
        for record in ends:
            for metric, labels, delta in self._count(record):
                key = metric, labels
                deltas[key] = deltas.get(key, 0) + delta

    def _add(self, metric: str, labels: Labels, delta: int) -> None:
        self._deltas[metric, labels] = self._deltas.get((metric, labels), 0) + delta

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self._connection.executemany(statement, rows)

    def _close(self, batch: Batch) -> None:
        """What belongs to the batch as a whole."""
        if batch.finished:
            self._store_crashed(batch.segment)
            self._connection.execute(sqlite_rows.DELETE_SEGMENT, (batch.segment,))
            worker, _, _ = batch.segment.rpartition("-")
            self._connection.execute(sqlite_rows.DELETE_GAUGES_OF, {"worker": worker, "segment": batch.segment})
        else:
            self._connection.execute(sqlite_rows.UPSERT_SEGMENT, (batch.segment, batch.offset))
        if batch.torn:
            self._add("fairlead_spool_torn_segments_total", (), 1)
        if batch.rejected:
            self._add("fairlead_spool_rejected_records_total", (), batch.rejected)
        self._write(
            sqlite_rows.UPSERT_COUNTER,
            [(metric, sqlite_rows.labels(labels), delta) for (metric, labels), delta in self._deltas.items()],
        )


def _refuse_implausible(records: Iterable[AttemptRecord | Admitted]) -> None:
    if not all(sqlite_rows.is_plausible(record) for record in records):
        msg = "a record with numbers that cannot be"
        raise ValueError(msg)


def _contents(record: Ended, begun: Admitted | None) -> tuple[str, bytes | None, bytes | None] | None:
    """The values of `UPSERT_CONTENTS`, if any were kept."""
    request = begun.request if record.request is None and begun is not None else record.request
    if request is None and record.response is None:
        return None
    return record.call_id, sqlite_rows.capped(request), sqlite_rows.capped(record.response)
