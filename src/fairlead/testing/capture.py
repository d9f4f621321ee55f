"""What the pipeline wrote down, kept where a test can look at it."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from fairlead.core.money import format_usd
from fairlead.errors import StateUnavailable
from fairlead.ports import Batch, LogQuery, UsageRow
from fairlead.record import Admitted, Ended, Gauges, Record


class RecordSink:
    """A `Sink` that keeps every record in order."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def __call__(self, record: Record) -> None:
        self.records.append(record)

    @property
    def admitted(self) -> list[Admitted]:
        """The records of first attempts about to start."""
        return [record for record in self.records if isinstance(record, Admitted)]

    @property
    def ended(self) -> list[Ended]:
        """The records of calls that are over."""
        return [record for record in self.records if isinstance(record, Ended)]

    @property
    def gauges(self) -> list[Gauges]:
        """The records of how a worker stands."""
        return [record for record in self.records if isinstance(record, Gauges)]


@dataclasses.dataclass(slots=True)
class _Stored:
    """One call: what is known of it so far."""

    segment: str
    admitted: Admitted | None = None
    ended: Ended | None = None


class ListLogStore:
    """A `LogStore` in memory: exact about what is stored once, plain in its queries, without an index.

    Attributes:
        down: while true every method raises `StateUnavailable`.
    """

    def __init__(self) -> None:
        self.down = False
        self._calls: dict[str, _Stored] = {}
        self._offsets: dict[str, int] = {}

    @property
    def records(self) -> list[Ended]:
        """The calls that are over, by their ids."""
        return [call.ended for _, call in sorted(self._calls.items()) if call.ended is not None]

    async def ingest(self, batch: Batch) -> int:
        """Store a batch once, however often it is delivered; returns how many calls it ended."""
        self._answer()
        before = len(self.records)
        if batch.offset > self._offsets.get(batch.segment, -1):
            self._offsets[batch.segment] = batch.offset
            for record in batch.records:
                self._store(batch.segment, record)
        if batch.finished:
            self._crash(batch.segment)
        return len(self.records) - before

    def _store(self, segment: str, record: Record) -> None:
        if isinstance(record, Gauges):
            return
        call = self._calls.setdefault(record.call_id, _Stored(segment))
        if isinstance(record, Admitted):
            call.admitted = call.admitted or record
        elif call.ended is None or call.ended.outcome == "crashed":
            call.ended = record

    def _crash(self, segment: str) -> None:
        """Calls admitted in a segment without a writer, and never ended, went down with it."""
        for call in self._calls.values():
            if call.segment == segment and call.ended is None and call.admitted is not None:
                call.ended = _crashed(call.admitted)

    async def calls(self, query: LogQuery) -> Sequence[Mapping[str, object]]:
        """Calls as plain mappings, ready for JSON."""
        self._answer()
        found = sorted(self._calls.items(), reverse=query.after_id is None)
        rows = [_row(call) for call_id, call in found if _fits(call_id, call, query)]
        return rows[: query.limit]

    async def usage(self, by: str, since_ns: int | None) -> Sequence[UsageRow]:
        """Totals by `model`, `key`, `user`, `team`, `provider`, `alias`, `day` or `outcome`."""
        self._answer()
        groups: dict[str, list[Ended]] = {}
        for ended in self.records:
            if since_ns is None or ended.started_at_ns >= since_ns:
                groups.setdefault(_GROUPS[by](ended), []).append(ended)
        return [_total(group, members) for group, members in sorted(groups.items())]

    async def spent(self, scope: str, since_ns: int) -> int:
        """Nano-USD of a scope's calls admitted since."""
        self._answer()
        kind, _, name = scope.partition(":")
        return sum(
            ended.cost_nanousd or 0
            for ended in self.records
            if ended.started_at_ns >= since_ns and _GROUPS[kind](ended) == name
        )

    async def counters(self) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], int]:
        """How many calls ended, by outcome."""
        self._answer()
        outcomes = Counter(ended.outcome for ended in self.records)
        return {("fairlead_calls_total", (("outcome", outcome),)): count for outcome, count in outcomes.items()}

    def _answer(self) -> None:
        if self.down:
            raise StateUnavailable("the log store is down")


def _crashed(admitted: Admitted) -> Ended:
    return Ended(
        call_id=admitted.call_id,
        started_at_ns=admitted.started_at_ns,
        duration_ns=0,
        dialect=admitted.dialect,
        alias=admitted.alias,
        model=admitted.model,
        stream=admitted.stream,
        identity=admitted.identity,
        status=500,
        outcome="crashed",
        error_class="internal",
        parent_id=admitted.parent_id,
        request=admitted.request,
    )


def _fits(call_id: str, call: _Stored, query: LogQuery) -> bool:
    ended = call.ended
    if ended is None:
        return False
    text = b"\n".join(filter(None, (_request(call), ended.response))).decode(errors="replace")
    return (
        query.call_id in (None, call_id)
        and (query.since_ns is None or ended.started_at_ns >= query.since_ns)
        and (query.until_ns is None or ended.started_at_ns < query.until_ns)
        and (query.after_id is None or call_id > query.after_id)
        and (query.search is None or query.search in text)
    )


def _request(call: _Stored) -> bytes | None:
    if call.ended is not None and call.ended.request is not None:
        return call.ended.request
    return None if call.admitted is None else call.admitted.request


def _row(call: _Stored) -> Mapping[str, object]:
    ended = call.ended
    row: dict[str, object] = msgspec.to_builtins(ended, builtin_types=(bytes,))
    row.pop("type", None)
    cost_nanousd = None if ended is None else ended.cost_nanousd
    row["cost_usd"] = None if cost_nanousd is None else format_usd(cost_nanousd)
    for name, data in (("request", _request(call)), ("response", None if ended is None else ended.response)):
        row[name] = None if data is None else data.decode(errors="replace")
    return row


_GROUPS: Mapping[str, Callable[[Ended], str]] = {
    "model": lambda ended: ended.model,
    "key": lambda ended: ended.identity.key_id or "",
    "user": lambda ended: ended.identity.user or "",
    "team": lambda ended: ended.identity.team or "",
    "provider": lambda ended: ended.attempts[-1].provider if ended.attempts else "",
    "alias": lambda ended: ended.alias,
    "day": lambda ended: datetime.fromtimestamp(ended.started_at_ns // 10**9, UTC).date().isoformat(),
    "outcome": lambda ended: ended.outcome,
}


def _total(group: str, members: Sequence[Ended]) -> UsageRow:
    used = [ended.usage for ended in members if ended.usage is not None]
    return UsageRow(
        group=group,
        calls=len(members),
        errors=sum(ended.outcome != "ok" for ended in members),
        input_tokens=sum(usage.all_input_tokens for usage in used),
        output_tokens=sum(usage.all_output_tokens for usage in used),
        cost_nanousd=sum(ended.cost_nanousd or 0 for ended in members),
        unpriced_calls=sum(ended.cost_nanousd is None for ended in members),
    )
