"""Records as rows: the statements that write them, and the values that go with them."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from fairlead.core.clip import CONTENT_BYTES, clip
from fairlead.record import Admitted, AttemptRecord, Ended, Gauges, Record
from fairlead.stores.scrub import plain
from fairlead.types import Identity, Usage

MOST_TOKENS: Final = 10**12
MOST_NANOUSD: Final = 10**15
"""No attempt takes a trillion tokens or costs a million dollars: such a number is a fault, and sums must not overflow."""

INSERT_OPEN: Final = """
    INSERT OR IGNORE INTO calls
        (id, started_at_ns, dialect, alias, model, stream, tenant, key_id, key_name, user, team, provider, parent_id,
         reserved_nanousd, segment)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
# A call that was taken for crashed and did end is corrected; one that ended is never touched again.
UPSERT_ENDED: Final = """
    INSERT INTO calls
        (id, started_at_ns, duration_ns, first_token_ns, dialect, alias, model, stream, tenant, key_id, key_name, user,
         team, provider, status, outcome, error_class, error_code, error_message, usage, usage_source, cost_nanousd,
         spent_nanousd, parent_id, tags, session, degraded, segment)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET
        duration_ns = excluded.duration_ns, first_token_ns = excluded.first_token_ns, provider = excluded.provider,
        status = excluded.status, outcome = excluded.outcome, error_class = excluded.error_class,
        error_code = excluded.error_code, error_message = excluded.error_message, usage = excluded.usage,
        usage_source = excluded.usage_source, cost_nanousd = excluded.cost_nanousd,
        spent_nanousd = excluded.spent_nanousd, tags = excluded.tags, session = excluded.session,
        degraded = excluded.degraded
    WHERE calls.outcome IS NULL OR (calls.outcome = 'crashed' AND excluded.outcome <> 'crashed')
"""
UPSERT_CONTENTS: Final = """
    INSERT INTO contents (call_id, request, response) VALUES (?, ?, ?)
    ON CONFLICT (call_id) DO UPDATE SET
        request = coalesce(excluded.request, contents.request),
        response = coalesce(excluded.response, contents.response)
"""
INSERT_ATTEMPT: Final = """
    INSERT OR REPLACE INTO attempts
        (call_id, number, provider, credential, model, label, started_ns, first_token_ns, ended_ns, status, upstream_id,
         error_class, error_code, usage, usage_source, input_tokens, output_tokens, reserved_nanousd, cost_nanousd)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
UPSERT_GAUGES: Final = """
    INSERT INTO gauges (worker, at_ns, record) VALUES (?, ?, ?)
    ON CONFLICT (worker) DO UPDATE SET at_ns = excluded.at_ns, record = excluded.record
    WHERE excluded.at_ns > gauges.at_ns
"""
UPSERT_SEGMENT: Final = """
    INSERT INTO segments (name, offset) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET offset = max(segments.offset, excluded.offset)
"""
UPSERT_COUNTER: Final = """
    INSERT INTO counters (metric, labels, value) VALUES (?, ?, ?)
    ON CONFLICT (metric, labels) DO UPDATE SET value = counters.value + excluded.value
"""
SELECT_OPEN: Final = "SELECT * FROM calls WHERE segment = ? AND outcome IS NULL"
SELECT_OUTCOMES: Final = "SELECT id, outcome FROM calls WHERE id IN (SELECT value FROM json_each(?))"
DELETE_SEGMENT: Final = "DELETE FROM segments WHERE name = ?"
DELETE_SILENT_GAUGES: Final = "DELETE FROM gauges WHERE at_ns < ?"
# A segment's name is its worker's, a dash and a number of fixed width: same length and beginning, same worker.
DELETE_GAUGES_OF: Final = """
    DELETE FROM gauges WHERE worker = :worker AND NOT EXISTS (
        SELECT 1 FROM segments
        WHERE length(name) = length(:segment) AND substr(name, 1, length(:worker) + 1) = :worker || '-')
"""


def open_call(record: Admitted) -> tuple[Any, ...]:
    """The values of `INSERT_OPEN`, segment aside."""
    who = record.identity
    return (
        record.call_id,
        record.started_at_ns,
        record.dialect,
        record.alias,
        record.model,
        int(record.stream),
        who.tenant,
        who.key_id,
        who.key_name,
        who.user,
        who.team,
        record.provider,
        record.parent_id,
        record.reserved_nanousd,
    )


def spent_nanousd(record: Ended) -> int:
    """What is known to have been spent."""
    return sum(attempt.cost_nanousd for attempt in record.attempts if attempt.cost_nanousd is not None)


def ended_call(record: Ended, spent_nanousd: int) -> tuple[Any, ...]:
    """The values of `UPSERT_ENDED`, segment aside."""
    who = record.identity
    return (
        record.call_id,
        record.started_at_ns,
        record.duration_ns,
        record.first_token_ns,
        record.dialect,
        record.alias,
        record.model,
        int(record.stream),
        who.tenant,
        who.key_id,
        who.key_name,
        who.user,
        who.team,
        record.attempts[-1].provider if record.attempts else None,
        record.status,
        record.outcome,
        record.error_class,
        record.error_code,
        record.error_message,
        _json(record.usage),
        record.usage_source,
        record.cost_nanousd,
        spent_nanousd,
        record.parent_id,
        _json(record.tags or None),
        record.session,
        _json(record.degraded or None),
    )


def attempt(call_id: str, record: AttemptRecord) -> tuple[Any, ...]:
    """The values of `INSERT_ATTEMPT`."""
    usage = record.usage if record.usage is not None else Usage()
    return (
        call_id,
        record.number,
        record.provider,
        record.credential,
        record.model,
        record.label,
        record.started_ns,
        record.first_token_ns,
        record.ended_ns,
        record.status,
        record.upstream_id,
        record.error_class,
        record.error_code,
        _json(record.usage),
        record.usage_source,
        usage.all_input_tokens,
        usage.all_output_tokens,
        record.reserved_nanousd,
        record.cost_nanousd,
    )


def gauges(record: Gauges) -> tuple[Any, ...]:
    """The values of `UPSERT_GAUGES`."""
    return record.worker, record.at_ns, msgspec.json.encode(record).decode()


def labels(pairs: tuple[tuple[str, str], ...]) -> str:
    """Labels as they stand in `counters`."""
    return msgspec.json.encode(pairs).decode()


def crashed(row: sqlite3.Row) -> Ended:
    """The end of a call whose process died: what it cost, nobody knows."""
    return Ended(
        call_id=row["id"],
        started_at_ns=row["started_at_ns"],
        duration_ns=0,
        dialect=row["dialect"],
        alias=row["alias"],
        model=row["model"],
        stream=bool(row["stream"]),
        identity=Identity(
            tenant=row["tenant"],
            key_id=row["key_id"],
            key_name=row["key_name"],
            user=row["user"],
            team=row["team"],
        ),
        status=500,
        outcome="crashed",
        error_class="internal",
        error_code="crashed",
        error_message="the process that served this call died before it ended",
        parent_id=row["parent_id"],
    )


def capped(content: bytes | None) -> bytes | None:
    """At most `CONTENT_BYTES`, with a marker where something was cut off."""
    return None if content is None else clip(content, CONTENT_BYTES)


def is_plausible(record: AttemptRecord | Admitted) -> bool:
    """Whether its numbers can be summed up."""
    if isinstance(record, Admitted):
        return 0 <= (record.reserved_nanousd or 0) <= MOST_NANOUSD
    usage = record.usage
    tokens = 0 if usage is None else usage.all_input_tokens + usage.all_output_tokens
    costs = (record.cost_nanousd or 0, record.reserved_nanousd or 0)
    return 0 <= tokens <= MOST_TOKENS and min(costs) >= 0 and max(costs) <= MOST_NANOUSD


def storable(record: Record) -> Record:
    """The same record, as far as it can be stored: without lone surrogates, and implausible numbers made unknown."""
    kept: Record = msgspec.convert(plain(record), type=Record, builtin_types=(bytes,))
    if isinstance(kept, Admitted) and not is_plausible(kept):
        return msgspec.structs.replace(kept, reserved_nanousd=None)
    if not isinstance(kept, Ended) or all(is_plausible(each) for each in kept.attempts):
        return kept
    attempts = tuple(
        each
        if is_plausible(each)
        else msgspec.structs.replace(each, usage=None, usage_source="none", cost_nanousd=None, reserved_nanousd=None)
        for each in kept.attempts
    )
    return msgspec.structs.replace(kept, attempts=attempts, usage=None, usage_source="none", cost_nanousd=None)


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()
