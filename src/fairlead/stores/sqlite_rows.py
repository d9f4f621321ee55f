"""Records as rows: the statements that write them, and the values that go with them."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from fairlead.core.clip import CONTENT_BYTES, clip
from fairlead.record import Admitted, Ended, Gauges
from fairlead.stores.rollups import HOUR_NS, Group, Totals
from fairlead.stores.scrub import is_plausible
from fairlead.types import Identity

# Binding `None` or `bytes` costs ten times what binding `str`, `int` or `bytearray` does, so what is absent is bound as
# an empty text, an empty blob or -1, which stand for nothing in these columns, and made NULL here.
INSERT_OPEN: Final = """
    INSERT INTO open_calls
        (id, segment, started_at_ns, dialect, alias, model, stream, tenant, key_id, key_name, user, team, provider,
         reserved_nanousd, parent_id, request)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), nullif(?, ''), nullif(?, ''), nullif(?, ''), ?, nullif(?, -1),
            nullif(?, ''), nullif(?, x''))
    ON CONFLICT (id) DO NOTHING
"""
# The request of a call that was admitted in an earlier batch comes from there.
INSERT_CALL: Final = """
    INSERT INTO calls
        (id, started_at_ns, duration_ns, first_token_ns, dialect, alias, model, stream, tenant, key_id, key_name, user,
         team, provider, status, outcome, error_class, error_code, error_message, usage, usage_source, cost_nanousd,
         spent_nanousd, input_tokens, output_tokens, is_unpriced, parent_id, tags, session, degraded, attempts,
         request, response, validated, refused)
    VALUES (?1, ?2, ?3, nullif(?4, -1), ?5, ?6, ?7, ?8, ?9, nullif(?10, ''), nullif(?11, ''), nullif(?12, ''),
            nullif(?13, ''), nullif(?14, ''), ?15, ?16, nullif(?17, ''), nullif(?18, ''), nullif(?19, ''),
            nullif(?20, ''), ?21, nullif(?22, -1), ?23, ?24, ?25, ?26, nullif(?27, ''), nullif(?28, ''),
            nullif(?29, ''), nullif(?30, ''), ?31,
            coalesce(nullif(?32, x''), (SELECT request FROM open_calls WHERE id = ?1)), nullif(?33, x''),
            nullif(?34, ''), nullif(?35, x''))
    ON CONFLICT (id) DO NOTHING
"""
DELETE_OPEN: Final = "DELETE FROM open_calls WHERE id IN (SELECT value FROM json_each(?))"
# A call that was taken for crashed and did end: it is under way again, until its end is stored.
REOPEN: Final = """
    INSERT OR IGNORE INTO open_calls
    SELECT id, '', started_at_ns, dialect, alias, model, stream, tenant, key_id, key_name, user, team,
        coalesce(provider, ''), spent_nanousd, parent_id, request
    FROM calls WHERE id = ?
"""
DELETE_CALL: Final = "DELETE FROM calls WHERE id = ?"
ADD_REQUEST: Final = "UPDATE calls SET request = coalesce(request, ?) WHERE id = ?"
UPSERT_GAUGES: Final = """
    INSERT INTO gauges (worker, at_ns, record) VALUES (?, ?, ?)
    ON CONFLICT (worker) DO UPDATE SET at_ns = excluded.at_ns, record = excluded.record
    WHERE excluded.at_ns > gauges.at_ns
"""
UPSERT_SEGMENT: Final = """
    INSERT INTO segments (name, offset, is_finished) VALUES (?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET
        offset = max(segments.offset, excluded.offset), is_finished = max(segments.is_finished, excluded.is_finished)
"""
UPSERT_COUNTER: Final = """
    INSERT INTO counters (metric, labels, value) VALUES (?, ?, ?)
    ON CONFLICT (metric, labels) DO UPDATE SET value = counters.value + excluded.value
"""
UPSERT_ROLLUP: Final = """
    INSERT INTO rollups
        (kind, name, hour, calls, errors, input_tokens, output_tokens, cost_nanousd, spent_nanousd, unpriced_calls)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (kind, name, hour) DO UPDATE SET
        calls = rollups.calls + excluded.calls, errors = rollups.errors + excluded.errors,
        input_tokens = rollups.input_tokens + excluded.input_tokens,
        output_tokens = rollups.output_tokens + excluded.output_tokens,
        cost_nanousd = rollups.cost_nanousd + excluded.cost_nanousd,
        spent_nanousd = rollups.spent_nanousd + excluded.spent_nanousd,
        unpriced_calls = rollups.unpriced_calls + excluded.unpriced_calls
"""
SELECT_OPEN: Final = """
    SELECT id, started_at_ns, dialect, alias, model, stream, tenant, key_id, key_name, user, team, parent_id,
        reserved_nanousd
    FROM open_calls WHERE segment = ?
"""
SELECT_KNOWN: Final = """
    SELECT id, started_at_ns, dialect, alias, model, stream, tenant, key_id, key_name, user, team, parent_id, outcome,
        spent_nanousd
    FROM calls WHERE id IN (SELECT value FROM json_each(?))
"""
SELECT_ENDED: Final = "SELECT id FROM calls WHERE id IN (SELECT value FROM json_each(?))"
SELECT_SEGMENT: Final = "SELECT offset, is_finished FROM segments WHERE name = ?"
SELECT_OFFSETS: Final = "SELECT name, offset FROM segments"
# The file of one that was finished before is gone by now.
DELETE_FINISHED: Final = "DELETE FROM segments WHERE is_finished AND name <> ?"
DELETE_SILENT_GAUGES: Final = "DELETE FROM gauges WHERE at_ns < ?"
# A segment's name is its worker's, a dash and a number of fixed width: same length and beginning, same worker.
DELETE_GAUGES_OF: Final = """
    DELETE FROM gauges WHERE worker = :worker AND NOT EXISTS (
        SELECT 1 FROM segments
        WHERE NOT is_finished AND length(name) = length(:segment)
          AND substr(name, 1, length(:worker) + 1) = :worker || '-')
"""
DELETE_OLD_CALLS: Final = """
    DELETE FROM calls WHERE rowid IN (
        SELECT rowid FROM calls WHERE started_at_ns < :before_ns ORDER BY started_at_ns LIMIT :limit)
"""
DELETE_OLD_OPEN: Final = """
    DELETE FROM open_calls WHERE rowid IN (SELECT rowid FROM open_calls WHERE started_at_ns < :before_ns LIMIT :limit)
"""

_encode = msgspec.json.Encoder().encode


def open_call(record: Admitted, segment: str) -> tuple[Any, ...]:
    """The values of `INSERT_OPEN`.

    Raises:
        ValueError: a reservation that cannot be.
    """
    if not is_plausible(record):
        msg = "a reservation that cannot be"
        raise ValueError(msg)
    who = record.identity
    return (
        record.call_id,
        segment,
        record.started_at_ns,
        record.dialect,
        record.alias,
        record.model,
        1 if record.stream else 0,
        who.tenant,
        who.key_id or "",
        who.key_name or "",
        who.user or "",
        who.team or "",
        record.provider,
        -1 if record.reserved_nanousd is None else record.reserved_nanousd,
        record.parent_id or "",
        blob(record.request),
    )


def ended_call(record: Ended, totals: Totals, request: bytes | None) -> tuple[Any, ...]:
    """The values of `INSERT_CALL`.

    Args:
        request: where it is known.

    Raises:
        ValueError: re-asks that cannot be.
    """
    who, attempts, validated = record.identity, record.attempts, record.validated
    if validated is not None and not is_plausible(validated):
        msg = "re-asks that cannot be"
        raise ValueError(msg)
    return (
        record.call_id,
        record.started_at_ns,
        record.duration_ns,
        -1 if record.first_token_ns is None else record.first_token_ns,
        record.dialect,
        record.alias,
        record.model,
        1 if record.stream else 0,
        who.tenant,
        who.key_id or "",
        who.key_name or "",
        who.user or "",
        who.team or "",
        attempts[-1].provider if attempts else "",
        record.status,
        record.outcome,
        record.error_class or "",
        record.error_code or "",
        record.error_message or "",
        "" if record.usage is None else _json(record.usage),
        record.usage_source,
        -1 if record.cost_nanousd is None else record.cost_nanousd,
        totals.spent_nanousd,
        totals.input_tokens,
        totals.output_tokens,
        1 if totals.is_unpriced else 0,
        record.parent_id or "",
        _json(record.tags) if record.tags else "",
        record.session or "",
        _json(record.degraded) if record.degraded else "",
        _json(attempts),
        blob(request),
        blob(record.response),
        "" if validated is None else _json(msgspec.structs.replace(validated, output=None)),
        blob(None if validated is None else validated.output),
    )


def group(record: Ended) -> Group:
    """Where it stands in the rollups."""
    who = record.identity
    return (
        record.started_at_ns // HOUR_NS,
        who.key_id or "",
        who.user or "",
        who.team or "",
        record.alias,
        record.outcome,
    )


def gauges(record: Gauges) -> tuple[Any, ...]:
    """The values of `UPSERT_GAUGES`."""
    return record.worker, record.at_ns, _json(record)


def labels(pairs: tuple[tuple[str, str], ...]) -> str:
    """Labels as they stand in `counters`."""
    return _json(pairs)


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


def blob(content: bytes | None) -> bytearray:
    """A body to bind: at most `CONTENT_BYTES`, with a marker where something was cut off; empty where there is none."""
    if content is None:
        return bytearray()
    return bytearray(content if len(content) <= CONTENT_BYTES else clip(content, CONTENT_BYTES))


def _json(value: Any) -> str:
    return _encode(value).decode()
