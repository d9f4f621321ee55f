"""Questions to the record of truth.  Every statement is a constant; what a caller says is only ever bound."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from fairlead.core.money import format_usd
from fairlead.errors import InvalidRequest
from fairlead.ports import LogQuery, UsageRow
from fairlead.record import Gauges

_MOST_CALLS: Final = 10_000

_ONE: Final = """
    SELECT calls.*, contents.request, contents.response
    FROM calls LEFT JOIN contents ON contents.call_id = calls.id
    WHERE calls.id = :call_id
      AND calls.started_at_ns >= :since_ns AND calls.started_at_ns < :until_ns
"""
_NEWEST: Final = """
    SELECT calls.*, contents.request, contents.response
    FROM calls LEFT JOIN contents ON contents.call_id = calls.id
    WHERE calls.started_at_ns >= :since_ns AND calls.started_at_ns < :until_ns
      AND (:text IS NULL
           OR instr(contents.request, :text) OR instr(contents.response, :text)
           OR instr(contents.request, :escaped) OR instr(contents.response, :escaped))
    ORDER BY calls.started_at_ns DESC, calls.id DESC LIMIT :limit
"""
_AFTER: Final = """
    SELECT calls.*, contents.request, contents.response
    FROM calls LEFT JOIN contents ON contents.call_id = calls.id
    WHERE (calls.started_at_ns, calls.id) > (SELECT started_at_ns, id FROM calls WHERE id = :after_id)
      AND calls.started_at_ns >= :since_ns AND calls.started_at_ns < :until_ns
      AND (:text IS NULL
           OR instr(contents.request, :text) OR instr(contents.response, :text)
           OR instr(contents.request, :escaped) OR instr(contents.response, :escaped))
    ORDER BY calls.started_at_ns, calls.id LIMIT :limit
"""

_BY_CALL: Final = """
    , count(*) AS calls,
    sum(outcome NOT IN ('ok', 'cancelled')) AS errors,
    coalesce(sum(input_tokens), 0) AS input_tokens,
    coalesce(sum(output_tokens), 0) AS output_tokens,
    sum(CASE WHEN outcome = 'crashed' THEN 0 ELSE spent_nanousd END) AS cost_nanousd,
    sum(is_unpriced) AS unpriced_calls
    FROM (
        SELECT calls.*,
            (SELECT sum(input_tokens) FROM attempts WHERE call_id = calls.id) AS input_tokens,
            (SELECT sum(output_tokens) FROM attempts WHERE call_id = calls.id) AS output_tokens,
            EXISTS (SELECT 1 FROM attempts WHERE call_id = calls.id AND cost_nanousd IS NULL) AS is_unpriced
        FROM calls WHERE outcome IS NOT NULL AND started_at_ns >= ?
    )
    GROUP BY 1 ORDER BY cost_nanousd DESC, 1
"""
_BY_ATTEMPT: Final = """
    , count(DISTINCT calls.id) AS calls,
    count(DISTINCT CASE WHEN attempts.error_class <> 'cancelled'
        OR attempts.call_id IS NULL AND calls.outcome NOT IN ('ok', 'cancelled')
        THEN calls.id END) AS errors,
    coalesce(sum(attempts.input_tokens), 0) AS input_tokens,
    coalesce(sum(attempts.output_tokens), 0) AS output_tokens,
    coalesce(sum(attempts.cost_nanousd), 0) AS cost_nanousd,
    count(DISTINCT CASE WHEN attempts.call_id IS NOT NULL AND attempts.cost_nanousd IS NULL THEN calls.id END)
        AS unpriced_calls
    FROM calls LEFT JOIN attempts ON attempts.call_id = calls.id
    WHERE calls.outcome IS NOT NULL AND calls.started_at_ns >= ?
    GROUP BY 1 ORDER BY cost_nanousd DESC, 1
"""
_USAGE: Final[Mapping[str, str]] = {
    "model": "SELECT coalesce(attempts.model, '') AS name" + _BY_ATTEMPT,
    "provider": "SELECT coalesce(attempts.provider, '') AS name" + _BY_ATTEMPT,
    "key": "SELECT coalesce(key_id, '') AS name" + _BY_CALL,
    "user": "SELECT coalesce(user, '') AS name" + _BY_CALL,
    "team": "SELECT coalesce(team, '') AS name" + _BY_CALL,
    "alias": "SELECT alias AS name" + _BY_CALL,
    "outcome": "SELECT outcome AS name" + _BY_CALL,
    "day": "SELECT date(started_at_ns / 1000000000, 'unixepoch') AS name" + _BY_CALL,
}
_SPENT: Final[Mapping[str, str]] = {
    "key": "SELECT coalesce(sum(spent_nanousd), 0) FROM calls WHERE key_id = ? AND started_at_ns >= ?",
    "user": "SELECT coalesce(sum(spent_nanousd), 0) FROM calls WHERE user = ? AND started_at_ns >= ?",
    "team": "SELECT coalesce(sum(spent_nanousd), 0) FROM calls WHERE team = ? AND started_at_ns >= ?",
    "model": "SELECT coalesce(sum(spent_nanousd), 0) FROM calls WHERE alias = ? AND started_at_ns >= ?",
}


def calls(connection: sqlite3.Connection, query: LogQuery) -> Sequence[Mapping[str, object]]:
    """The calls that a query asks for, attempts included."""
    parameters = {
        "call_id": query.call_id,
        "since_ns": query.since_ns if query.since_ns is not None else 0,
        "until_ns": query.until_ns if query.until_ns is not None else 2**63 - 1,
        # Bodies are JSON, in which another character than ASCII may stand as itself or escaped.
        "text": None if query.search is None else query.search.encode("utf-8", "replace"),
        "escaped": None if query.search is None else _escaped(query.search),
        "after_id": query.after_id,
        "limit": max(0, min(query.limit, _MOST_CALLS)),
    }
    statement = _NEWEST if query.after_id is None else _AFTER
    if query.call_id is not None:
        statement = _ONE
    rows = connection.execute(statement, parameters).fetchall()
    return [_call(row, connection.execute(_ATTEMPTS, (row["id"],)).fetchall()) for row in rows]


_ATTEMPTS: Final = "SELECT * FROM attempts WHERE call_id = ? ORDER BY number"


def usage(connection: sqlite3.Connection, by: str, since_ns: int | None) -> Sequence[UsageRow]:
    """Totals by one of a fixed set of groups."""
    statement = _USAGE.get(by)
    if statement is None:
        raise InvalidRequest(f"usage cannot be grouped by {by!r}; one of {', '.join(sorted(_USAGE))}", param="by")
    rows = connection.execute(statement, (since_ns if since_ns is not None else 0,))
    return [
        UsageRow(
            group=row["name"],
            calls=row["calls"],
            errors=row["errors"],
            input_tokens=row["input_tokens"],
            output_tokens=row["output_tokens"],
            cost_nanousd=row["cost_nanousd"],
            unpriced_calls=row["unpriced_calls"],
        )
        for row in rows
    ]


def spent(connection: sqlite3.Connection, scope: str, since_ns: int) -> int:
    """What a scope's calls admitted since have cost."""
    kind, _, name = scope.partition(":")
    statement = _SPENT.get(kind)
    if statement is None:
        raise InvalidRequest(f"{scope!r} is no scope; write it as `key:ID`, `user:NAME`, `team:NAME` or `model:NAME`")
    (nanousd,) = connection.execute(statement, (name, since_ns)).fetchone()
    return int(nanousd)


def counters(connection: sqlite3.Connection) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], int]:
    """All counters."""
    pairs = msgspec.json.Decoder(tuple[tuple[str, str], ...])
    rows = connection.execute("SELECT metric, labels, value FROM counters")
    return {(row["metric"], pairs.decode(row["labels"])): row["value"] for row in rows}


def gauges(connection: sqlite3.Connection) -> Sequence[Gauges]:
    """The newest of each worker."""
    rows = connection.execute("SELECT record FROM gauges ORDER BY worker")
    return [msgspec.json.decode(row["record"], type=Gauges) for row in rows]


def _call(row: sqlite3.Row, attempts: Sequence[sqlite3.Row]) -> dict[str, object]:
    return {
        "call_id": row["id"],
        "started_at": _iso(row["started_at_ns"]),
        "started_at_ns": row["started_at_ns"],
        "duration_ns": row["duration_ns"],
        "first_token_ns": row["first_token_ns"],
        "dialect": row["dialect"],
        "alias": row["alias"],
        "model": row["model"],
        "stream": bool(row["stream"]),
        "tenant": row["tenant"],
        "key_id": row["key_id"],
        "key_name": row["key_name"],
        "user": row["user"],
        "team": row["team"],
        "provider": row["provider"],
        "status": row["status"],
        "outcome": row["outcome"] or "open",
        "error_class": row["error_class"],
        "error_code": row["error_code"],
        "error_message": row["error_message"],
        "usage": _decoded(row["usage"], None),
        "usage_source": row["usage_source"],
        "cost_usd": _usd(row["cost_nanousd"]),
        "cost_nanousd": row["cost_nanousd"],
        "parent_id": row["parent_id"],
        "tags": _decoded(row["tags"], []),
        "session": row["session"],
        "degraded": _decoded(row["degraded"], []),
        "attempts": [_attempt(attempt) for attempt in attempts],
        "request": _text(row["request"]),
        "response": _text(row["response"]),
    }


def _attempt(row: sqlite3.Row) -> dict[str, object]:
    return {
        "number": row["number"],
        "provider": row["provider"],
        "credential": row["credential"],
        "model": row["model"],
        "started_ns": row["started_ns"],
        "first_token_ns": row["first_token_ns"],
        "ended_ns": row["ended_ns"],
        "status": row["status"],
        "upstream_id": row["upstream_id"],
        "error_class": row["error_class"],
        "error_code": row["error_code"],
        "usage": _decoded(row["usage"], None),
        "usage_source": row["usage_source"],
        "reserved_nanousd": row["reserved_nanousd"],
        "cost_usd": _usd(row["cost_nanousd"]),
        "cost_nanousd": row["cost_nanousd"],
    }


def _escaped(text: str) -> bytes:
    """The text as ASCII-only JSON spells it, without the quotes around it."""
    spelled = text.encode("utf-16-be", "surrogatepass")
    units = (int.from_bytes(spelled[at : at + 2], "big") for at in range(0, len(spelled), 2))
    return "".join(
        _SHORT.get(unit) or (chr(unit) if 0x20 <= unit < 0x7F else f"\\u{unit:04x}") for unit in units
    ).encode()


_SHORT: Final = {0x22: '\\"', 0x5C: "\\\\", 0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x08: "\\b", 0x0C: "\\f"}


def _iso(at_ns: int) -> str:
    return (
        datetime.fromtimestamp(at_ns / 1_000_000_000, tz=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _decoded(text: str | None, absent: Any) -> Any:
    return absent if text is None else msgspec.json.decode(text)


def _usd(nanousd: int | None) -> str | None:
    return None if nanousd is None else format_usd(nanousd)


def _text(content: bytes | None) -> str | None:
    return None if content is None else content.decode("utf-8", "replace")
