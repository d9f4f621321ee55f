"""One batch on its way into the database: rows are collected first, then each table is written in one go."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from fairlead.ports import Batch
from fairlead.record import Admitted, Ended, Gauges, Record
from fairlead.stores import sqlite_rows
from fairlead.stores.rollups import Group, Rollups, Totals, totals_of
from fairlead.stores.scrub import storable
from fairlead.stores.sqlite_work import transaction

Labels = tuple[tuple[str, str], ...]
Count = Callable[[Iterable[Ended]], Iterable[tuple[str, Labels, int]]]
"""Which counters ended calls move, and by how much."""

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

_Over = tuple[Ended, Totals]
"""A call that is over, and what it comes to."""


class Ingest:
    """Stores one batch, once.

    Args:
        count: called once, within the transaction, with the calls that the batch ended.
    """

    def __init__(self, connection: sqlite3.Connection, count: Count) -> None:
        self._connection = connection
        self._count = count
        self._begin()

    def _begin(self) -> None:
        self._taken: list[_Over] = []
        self._given_up: list[tuple[Group, Totals]] = []
        """Calls that crashed, as it seemed; they come again with what they were."""
        self._rejected = 0

    def run(self, batch: Batch) -> int:
        """Returns how many calls ended."""
        if self._is_known(batch):
            return 0
        try:
            with transaction(self._connection):
                self._store(batch.segment, batch.records)
                self._close(batch)
        except _POISON:
            self._begin()
            with transaction(self._connection):
                self._store_each(batch)
                self._close(batch)
        return len(self._taken)

    def _is_known(self, batch: Batch) -> bool:
        """Whether the whole batch was stored before; of others, each record is looked for by itself."""
        row = self._connection.execute(sqlite_rows.SELECT_SEGMENT, (batch.segment,)).fetchone()
        if row is None or row["is_finished"] or batch.finished or batch.is_partial:
            return row is not None and bool(row["is_finished"])
        return int(row["offset"]) >= batch.offset

    def _store(self, segment: str, records: Sequence[Record]) -> None:
        begun: dict[str, Admitted] = {}
        over: dict[str, _Over] = {}
        standing: list[Gauges] = []
        for record in records:
            if isinstance(record, Ended):
                if record.call_id not in over:  # the first end of a call is its end
                    over[record.call_id] = record, totals_of(record.attempts)
            elif isinstance(record, Admitted):
                begun.setdefault(record.call_id, record)
            else:
                standing.append(record)
        if over:
            self._take(over, begun)
        still_open = [record for call_id, record in begun.items() if call_id not in over]
        if still_open:
            self._store_open(segment, still_open)
        if standing:
            self._store_gauges(standing)

    def _store_each(self, batch: Batch) -> None:
        """Each record under its own savepoint, so that one that cannot be stored takes no other with it."""
        for record in batch.records:
            before = len(self._taken), len(self._given_up)
            self._connection.execute("SAVEPOINT record")
            try:
                self._store(batch.segment, (storable(record),))
            except _POISON:
                self._connection.execute("ROLLBACK TO record")
                del self._taken[before[0] :], self._given_up[before[1] :]
                self._rejected += 1
            self._connection.execute("RELEASE record")

    def _take(self, over: Mapping[str, _Over], begun: Mapping[str, Admitted]) -> None:
        """Calls that are over, unless the store has them: those that crashed may still turn out to have ended."""
        news = list(over.values())
        if not self._inserted(news, begun):
            known = self._known(over)
            news = [each for each in news if _is_news(each[0], known.get(each[0].call_id))]
            self._reopen([known[record.call_id] for record, _ in news if record.call_id in known])
            if not self._inserted(news, begun):
                msg = "a call that the store neither has nor takes"
                raise sqlite3.IntegrityError(msg)
        self._connection.execute(sqlite_rows.DELETE_OPEN, (_ids(over),))
        self._taken += news

    def _inserted(self, over: Sequence[_Over], begun: Mapping[str, Admitted]) -> bool:
        """Whether the store took all of them; if not, it took none."""
        rows = [
            sqlite_rows.ended_call(record, totals, _request(record, begun.get(record.call_id)))
            for record, totals in over
        ]
        self._connection.execute("SAVEPOINT calls")
        stored = self._connection.executemany(sqlite_rows.INSERT_CALL, rows).rowcount if rows else 0
        if stored != len(rows):
            self._connection.execute("ROLLBACK TO calls")
        self._connection.execute("RELEASE calls")
        return stored == len(rows)

    def _known(self, call_ids: Iterable[str]) -> dict[str, sqlite3.Row]:
        """Those of these calls that are over, as far as the store knows."""
        return {row["id"]: row for row in self._connection.execute(sqlite_rows.SELECT_KNOWN, (_ids(call_ids),))}

    def _reopen(self, crashed: Sequence[sqlite3.Row]) -> None:
        for row in crashed:
            record = sqlite_rows.crashed(row)
            self._given_up.append((sqlite_rows.group(record), Totals(0, 0, row["spent_nanousd"], is_unpriced=False)))
            self._connection.execute(sqlite_rows.REOPEN, (row["id"],))
            self._connection.execute(sqlite_rows.DELETE_CALL, (row["id"],))

    def _store_open(self, segment: str, begun: Sequence[Admitted]) -> None:
        """Calls that are under way, unless their end came first: then only the request is news."""
        ids = _ids(record.call_id for record in begun)
        known = {row["id"] for row in self._connection.execute(sqlite_rows.SELECT_ENDED, (ids,))}
        rows = [sqlite_rows.open_call(record, segment) for record in begun if record.call_id not in known]
        self._write(sqlite_rows.INSERT_OPEN, rows)
        late = [(each.request, each.call_id) for each in begun if each.call_id in known and each.request is not None]
        self._write(sqlite_rows.ADD_REQUEST, [(sqlite_rows.blob(request), call_id) for request, call_id in late])

    def _store_gauges(self, standing: Sequence[Gauges]) -> None:
        self._write(sqlite_rows.UPSERT_GAUGES, [sqlite_rows.gauges(record) for record in standing])
        newest_ns = max(record.at_ns for record in standing)
        self._connection.execute(sqlite_rows.DELETE_SILENT_GAUGES, (newest_ns - _GAUGES_KEPT_NS,))

    def _store_crashed(self, segment: str) -> None:
        """Whatever is open in a segment without a writer: nobody knows what it cost, so what it had reserved counts."""
        lost: dict[str, _Over] = {}
        for row in self._connection.execute(sqlite_rows.SELECT_OPEN, (segment,)):
            reserved_nanousd = row["reserved_nanousd"] or 0
            lost[row["id"]] = sqlite_rows.crashed(row), Totals(0, 0, reserved_nanousd, is_unpriced=False)
        if lost:
            self._take(lost, {})

    def _close(self, batch: Batch) -> None:
        """What belongs to the batch as a whole."""
        if batch.finished:
            self._store_crashed(batch.segment)
            self._connection.execute(sqlite_rows.DELETE_FINISHED, (batch.segment,))
        self._connection.execute(sqlite_rows.UPSERT_SEGMENT, (batch.segment, batch.offset, int(batch.finished)))
        if batch.finished:
            worker, _, _ = batch.segment.rpartition("-")
            self._connection.execute(sqlite_rows.DELETE_GAUGES_OF, {"worker": worker, "segment": batch.segment})
        self._count_up(batch)
        self._roll_up()

    def _count_up(self, batch: Batch) -> None:
        moved = list(self._count([record for record, _ in self._taken]))
        moved += [
            (metric, (), number)
            for metric, number in (
                ("fairlead_rejected_records_total", self._rejected),
                ("fairlead_spool_torn_segments_total", int(batch.torn)),
                ("fairlead_spool_rejected_records_total", batch.rejected),
            )
            if number
        ]
        rows = [(metric, sqlite_rows.labels(labels), number) for metric, labels, number in moved]
        self._write(sqlite_rows.UPSERT_COUNTER, rows)

    def _roll_up(self) -> None:
        rollups = Rollups()
        for group, totals in self._given_up:
            rollups.add(group, totals, (), sign=-1)
        for record, totals in self._taken:
            rollups.add(sqlite_rows.group(record), totals, record.attempts)
        self._write(sqlite_rows.UPSERT_ROLLUP, rollups.rows())

    def _write(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if rows:
            self._connection.executemany(statement, rows)


def _is_news(record: Ended, known: sqlite3.Row | None) -> bool:
    return known is None or (known["outcome"] == "crashed" and record.outcome != "crashed")


def _request(record: Ended, begun: Admitted | None) -> bytes | None:
    return begun.request if record.request is None and begun is not None else record.request


def _ids(call_ids: Iterable[str]) -> str:
    return msgspec.json.encode(list(call_ids)).decode()
