"""Questions to the record of truth.  Every statement is a constant; what a caller says is only ever bound."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from fairlead.core.money import format_usd
from fairlead.ports import LogQuery
from fairlead.record import Gauges
from fairlead.verdict import Validated

_MOST_CALLS: Final = 10_000
_ATTEMPT: Final = (
    "number",
    "provider",
    "credential",
    "model",
    "started_ns",
    "first_token_ns",
    "ended_ns",
    "status",
    "upstream_id",
    "error_class",
    "error_code",
    "usage",
    "usage_source",
    "reserved_nanousd",
    "cost_usd",
    "cost_nanousd",
)
"""What is shown of an attempt, in this order."""
_VERDICT: Final = msgspec.json.Decoder(Validated)

_ONE: Final = """
    SELECT * FROM all_calls
    WHERE id = :call_id AND started_at_ns >= :since_ns AND started_at_ns < :until_ns
"""
_NEWEST: Final = """
    SELECT * FROM all_calls
    WHERE started_at_ns >= :since_ns AND started_at_ns < :until_ns
      AND (:text IS NULL OR instr(request, :text) OR instr(response, :text)
           OR instr(request, :escaped) OR instr(response, :escaped))
      AND (:failed IS NULL OR error_class = :failed OR (:failed = 'validation' AND id IN (
          SELECT id FROM calls WHERE validated IS NOT NULL AND started_at_ns >= :since_ns AND started_at_ns < :until_ns
            AND (json_extract(validated, '$.fits') = 0 OR json_array_length(validated, '$.errors') > 0))))
    ORDER BY started_at_ns DESC, id DESC LIMIT :limit
"""
_AFTER: Final = """
    SELECT * FROM all_calls
    WHERE (started_at_ns, id) > (SELECT started_at_ns, id FROM all_calls WHERE id = :after_id)
      AND started_at_ns >= :since_ns AND started_at_ns < :until_ns
      AND (:text IS NULL OR instr(request, :text) OR instr(response, :text)
           OR instr(request, :escaped) OR instr(response, :escaped))
      AND (:failed IS NULL OR error_class = :failed OR (:failed = 'validation' AND id IN (
          SELECT id FROM calls WHERE validated IS NOT NULL AND started_at_ns >= :since_ns AND started_at_ns < :until_ns
            AND (json_extract(validated, '$.fits') = 0 OR json_array_length(validated, '$.errors') > 0))))
    ORDER BY started_at_ns, id LIMIT :limit
"""


def calls(connection: sqlite3.Connection, query: LogQuery) -> Sequence[Mapping[str, object]]:
    """The calls that a query asks for, attempts included."""
    parameters = {
        "call_id": query.call_id,
        "since_ns": query.since_ns if query.since_ns is not None else 0,
        "until_ns": query.until_ns if query.until_ns is not None else 2**63 - 1,
        # Bodies are JSON, in which another character than ASCII may stand as itself or escaped.
        "text": None if query.search is None else query.search.encode("utf-8", "replace"),
        "escaped": None if query.search is None else _escaped(query.search),
        "failed": query.failed,
        "after_id": query.after_id,
        "limit": max(0, min(query.limit, _MOST_CALLS)),
    }
    statement = _NEWEST if query.after_id is None else _AFTER
    if query.call_id is not None:
        statement = _ONE
    return [_call(row) for row in connection.execute(statement, parameters)]


def counters(connection: sqlite3.Connection) -> Mapping[tuple[str, tuple[tuple[str, str], ...]], int]:
    """All counters."""
    pairs = msgspec.json.Decoder(tuple[tuple[str, str], ...])
    rows = connection.execute("SELECT metric, labels, value FROM counters")
    return {(row["metric"], pairs.decode(row["labels"])): row["value"] for row in rows}


def gauges(connection: sqlite3.Connection) -> Sequence[Gauges]:
    """The newest of each worker."""
    rows = connection.execute("SELECT record FROM gauges ORDER BY worker")
    return [msgspec.json.decode(row["record"], type=Gauges) for row in rows]


def _call(row: sqlite3.Row) -> dict[str, object]:
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
        "outcome": row["outcome"],
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
        "validated": _validated(row["validated"]),
        "attempts": [_attempt(attempt) for attempt in _decoded(row["attempts"], [])],
        "request": _text(row["request"]),
        "response": _text(row["response"]),
        "refused": _text(row["refused"]),
    }


def _attempt(stored: Mapping[str, Any]) -> dict[str, object]:
    attempt = {name: stored.get(name) for name in _ATTEMPT}
    attempt["usage_source"] = attempt["usage_source"] or "none"
    attempt["cost_usd"] = _usd(stored.get("cost_nanousd"))
    return attempt


def _validated(text: str | None) -> dict[str, object] | None:
    """The verdict with all that is known of it; the output is a content of its own."""
    if text is None:
        return None
    verdict = _VERDICT.decode(text)
    shown = msgspec.structs.asdict(verdict)
    del shown["output"]
    shown["edits"] = [msgspec.structs.asdict(edit) for edit in verdict.edits]
    shown["errors"] = [{"path": each.path, "message": each.message, "kind": each.kind} for each in verdict.errors]
    return {**shown, "lost": list(verdict.lost), "reask_usd": format_usd(verdict.reask_nanousd)}


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
