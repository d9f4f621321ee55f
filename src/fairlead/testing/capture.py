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
from fairlead.record import Admitted, AttemptRecord, Ended, Gauges, Record
from fairlead.types import ErrorClass
from fairlead.verdict import Validated


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

    @property
    def newest(self) -> Admitted | Ended:
        """The fuller record."""
        record = self.ended or self.admitted
        if record is None:
            msg = "a call without a record"
            raise AssertionError(msg)
        return record

    @property
    def place(self) -> tuple[int, str]:
        """Where the call stands in order of admission."""
        return self.newest.started_at_ns, self.newest.call_id

    @property
    def spent_nanousd(self) -> int:
        """What budgets count: what is known to have been spent, or what a crashed call had reserved."""
        if self.ended is None:
            return 0
        if self.ended.outcome == "crashed" and self.admitted is not None:
            return self.admitted.reserved_nanousd or 0
        return _cost(self.ended)

    @property
    def request(self) -> bytes | None:
        """From whichever record has it."""
        kept = [record.request for record in (self.ended, self.admitted) if record is not None]
        return next((request for request in kept if request is not None), None)


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
        """The calls that are over, in order of admission."""
        calls = sorted(self._calls.values(), key=lambda call: call.place)
        return [call.ended for call in calls if call.ended is not None]

    async def ingest(self, batch: Batch) -> int:
        """Store a batch once, however often it is delivered; returns how many calls it ended."""
        self._answer()
        if not (batch.finished or batch.is_partial) and batch.offset <= self._offsets.get(batch.segment, -1):
            return 0
        self._offsets[batch.segment] = batch.offset
        ended = sum(self._store(batch.segment, record) for record in batch.records)
        if batch.finished:
            ended += self._crash(batch.segment)
            del self._offsets[batch.segment]
        return ended

    def _store(self, segment: str, record: Record) -> bool:
        """Whether this ended a call."""
        if isinstance(record, Gauges):
            return False
        call = self._calls.setdefault(record.call_id, _Stored(segment))
        if isinstance(record, Admitted):
            call.admitted = call.admitted or record
            return False
        if call.ended is not None and call.ended.outcome != "crashed":
            return False
        call.ended = record
        return True

    def _crash(self, segment: str) -> int:
        """Calls admitted in a segment without a writer, and never ended, went down with it."""
        lost = [call for call in self._calls.values() if call.segment == segment and call.ended is None]
        for call in lost:
            if call.admitted is not None:
                call.ended = _crashed(call.admitted)
        return len(lost)

    async def calls(self, query: LogQuery) -> Sequence[Mapping[str, object]]:
        """Calls as plain mappings, ready for JSON; `outcome` is `open` while one runs."""
        self._answer()
        calls = sorted(self._calls.values(), key=lambda call: call.place, reverse=query.after_id is None)
        if query.after_id is not None:
            after = self._calls.get(query.after_id)
            calls = [call for call in calls if after is not None and call.place > after.place]
        return [_row(call) for call in calls if _fits(call, query)][: query.limit]

    async def usage(self, by: str, since_ns: int | None) -> Sequence[UsageRow]:
        """Totals of the calls that are over, dearest group first; by `model` and `provider` each attempt for itself.

        Args:
            by: `model`, `key`, `user`, `team`, `provider`, `alias`, `day` or `outcome`.
        """
        self._answer()
        groups: dict[str, list[Ended]] = {}
        for ended in self.records:
            if since_ns is None or ended.started_at_ns >= since_ns:
                for group, part in _parts(by, ended):
                    groups.setdefault(group, []).append(part)
        rows = [_total(by, group, parts) for group, parts in groups.items()]
        return sorted(rows, key=lambda row: (-row.cost_nanousd, row.group))

    async def spent(self, scope: str, since_ns: int) -> int:
        """Nano-USD of the calls of `key:`, `user:`, `team:` or `model:` (an alias) admitted since."""
        self._answer()
        kind, _, name = scope.partition(":")
        by = "alias" if kind == "model" else kind
        return sum(
            call.spent_nanousd
            for call in self._calls.values()
            if call.ended is not None and call.ended.started_at_ns >= since_ns and _GROUPS[by](call.ended) == name
        )

    async def counters(self) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], int]:
        """How many calls ended, by outcome; a real store counts more."""
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
    )


def _fits(call: _Stored, query: LogQuery) -> bool:
    response = None if call.ended is None else call.ended.response
    text = b"\n".join(filter(None, (call.request, response))).decode(errors="replace")
    at_ns, call_id = call.place
    return (
        query.call_id in (None, call_id)
        and (query.since_ns is None or at_ns >= query.since_ns)
        and (query.until_ns is None or at_ns < query.until_ns)
        and (query.search is None or query.search in text)
        and (query.failed is None or (call.ended is not None and _has_failed(call.ended, query.failed)))
    )


def _has_failed(ended: Ended, failed: ErrorClass) -> bool:
    validated = ended.validated
    is_refused = validated is not None and (not validated.fits or bool(validated.errors))
    return ended.error_class == failed or (failed == "validation" and is_refused)


def _row(call: _Stored) -> Mapping[str, object]:
    record, response = call.newest, None if call.ended is None else call.ended.response
    validated = None if call.ended is None else call.ended.validated
    refused = None if validated is None else validated.output
    row: dict[str, object] = {name: None for name in Ended.__struct_fields__ if name != "identity"}
    row |= {"tags": (), "degraded": ()}
    row |= {name: getattr(record, name) for name in record.__struct_fields__ if name in row}
    row |= {name: getattr(record.identity, name) for name in record.identity.__struct_fields__}
    row |= {
        "outcome": "open" if call.ended is None else call.ended.outcome,
        "attempts": [] if call.ended is None else [_attempt_row(attempt) for attempt in call.ended.attempts],
        "cost_usd": None if call.ended is None else _usd(call.ended.cost_nanousd),
        "request": None if call.request is None else call.request.decode(errors="replace"),
        "response": None if response is None else response.decode(errors="replace"),
        "validated": None if validated is None else _validated_row(validated),
        "refused": None if refused is None else refused.decode(errors="replace"),
    }
    plain: Mapping[str, object] = msgspec.json.decode(msgspec.json.encode(row))
    return plain


def _validated_row(validated: Validated) -> Mapping[str, object]:
    shown = {name: getattr(validated, name) for name in validated.__struct_fields__ if name != "output"}
    return {
        **shown,
        "edits": [msgspec.structs.asdict(edit) for edit in validated.edits],
        "errors": [{"path": each.path, "message": each.message, "kind": each.kind} for each in validated.errors],
        "reask_usd": format_usd(validated.reask_nanousd),
    }


def _attempt_row(attempt: AttemptRecord) -> Mapping[str, object]:
    fields = {name: getattr(attempt, name) for name in attempt.__struct_fields__}
    return {**fields, "cost_usd": _usd(attempt.cost_nanousd)}


def _usd(nanousd: int | None) -> str | None:
    return None if nanousd is None else format_usd(nanousd)


_GROUPS: Mapping[str, Callable[[Ended], str]] = {
    "key": lambda ended: ended.identity.key_id or "",
    "user": lambda ended: ended.identity.user or "",
    "team": lambda ended: ended.identity.team or "",
    "alias": lambda ended: ended.alias,
    "day": lambda ended: datetime.fromtimestamp(ended.started_at_ns // 10**9, UTC).date().isoformat(),
    "outcome": lambda ended: ended.outcome,
}


def _parts(by: str, ended: Ended) -> list[tuple[str, Ended]]:
    """A call under its group, or its attempts each under theirs."""
    if by not in ("model", "provider"):
        return [(_GROUPS[by](ended), ended)]
    if not ended.attempts:
        return [("", ended)]
    return [(getattr(each, by), msgspec.structs.replace(ended, attempts=(each,))) for each in ended.attempts]


def _total(by: str, group: str, parts: Sequence[Ended]) -> UsageRow:
    attempts = [attempt for part in parts for attempt in part.attempts]
    used = [attempt.usage for attempt in attempts if attempt.usage is not None]
    per_attempt = by in ("model", "provider")
    return UsageRow(
        group=group,
        calls=len({part.call_id for part in parts}),
        errors=len({part.call_id for part in parts if _failed(part, per_attempt=per_attempt)}),
        input_tokens=sum(usage.all_input_tokens for usage in used),
        output_tokens=sum(usage.all_output_tokens for usage in used),
        cost_nanousd=sum(_cost(part) for part in parts),
        unpriced_calls=len({part.call_id for part in parts if None in [each.cost_nanousd for each in part.attempts]}),
    )


def _failed(part: Ended, *, per_attempt: bool) -> bool:
    if per_attempt and part.attempts:
        return any(attempt.error_class not in (None, "cancelled") for attempt in part.attempts)
    return part.outcome not in {"ok", "cancelled"}


def _cost(ended: Ended) -> int:
    """What is known of it."""
    return sum(attempt.cost_nanousd for attempt in ended.attempts if attempt.cost_nanousd is not None)
