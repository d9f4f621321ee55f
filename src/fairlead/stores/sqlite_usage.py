"""What was called and what it cost: whole hours from the rollups, the begun hour from its calls."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from fairlead.errors import InvalidRequest
from fairlead.ports import UsageRow
from fairlead.record import AttemptRecord
from fairlead.stores.rollups import HOUR_NS, Rollups, Totals

_KINDS: Final[Mapping[str, str]] = {
    "alias": "alias",
    "day": "outcome",
    "key": "key",
    "model": "model",
    "outcome": "outcome",
    "provider": "provider",
    "team": "team",
    "user": "user",
}
"""Group to the kind of rollup that answers for it: a day is what all outcomes of its hours come to."""

_BY_NAME: Final = """
    SELECT name, sum(calls), sum(errors), sum(input_tokens), sum(output_tokens), sum(cost_nanousd), sum(unpriced_calls)
    FROM rollups WHERE kind = ? AND hour >= ? GROUP BY name
"""
_BY_DAY: Final = """
    SELECT date(hour * 3600, 'unixepoch'), sum(calls), sum(errors), sum(input_tokens), sum(output_tokens),
        sum(cost_nanousd), sum(unpriced_calls)
    FROM rollups WHERE kind = ? AND hour >= ? GROUP BY 1
"""
_CALLS: Final = """
    SELECT key_id, user, team, alias, outcome, spent_nanousd, input_tokens, output_tokens, is_unpriced, attempts
    FROM calls WHERE started_at_ns >= ? AND started_at_ns < ?
"""
_OLDEST: Final = "SELECT min(started_at_ns) FROM calls"
_SPENT: Final = "SELECT coalesce(sum(spent_nanousd), 0) FROM rollups WHERE kind = ? AND name = ? AND hour >= ?"
_SPENT_OF_CALLS: Final[Mapping[str, tuple[str, str]]] = {
    "key": (
        "key",
        "SELECT coalesce(sum(spent_nanousd), 0) FROM calls WHERE key_id = ? AND started_at_ns >= ? AND started_at_ns < ?",
    ),
    "user": (
        "user",
        "SELECT coalesce(sum(spent_nanousd), 0) FROM calls WHERE user = ? AND started_at_ns >= ? AND started_at_ns < ?",
    ),
    "team": (
        "team",
        "SELECT coalesce(sum(spent_nanousd), 0) FROM calls WHERE team = ? AND started_at_ns >= ? AND started_at_ns < ?",
    ),
    "model": (
        "alias",
        "SELECT coalesce(sum(spent_nanousd), 0) FROM calls WHERE alias = ? AND started_at_ns >= ? AND started_at_ns < ?",
    ),
}
_ATTEMPTS: Final = msgspec.json.Decoder(tuple[AttemptRecord, ...])


def usage(connection: sqlite3.Connection, by: str, since_ns: int | None) -> Sequence[UsageRow]:
    """Totals by one of a fixed set of groups."""
    kind = _KINDS.get(by)
    if kind is None:
        raise InvalidRequest(f"usage cannot be grouped by {by!r}; one of {', '.join(sorted(_KINDS))}", param="by")
    hour, begun = _split(connection, since_ns or 0)
    sums: dict[str, list[int]] = {}
    for name, *figures in connection.execute(_BY_DAY if by == "day" else _BY_NAME, (kind, hour)):
        sums[name] = figures
    for row in _rollups(connection, begun).rows():
        if row.kind == kind:
            name = _day(connection, row.hour) if by == "day" else row.name
            figures = [*row[3:8], row.unpriced_calls]
            sums[name] = [a + b for a, b in zip(sums.get(name, [0] * 6), figures, strict=True)]
    rows = [_usage_row(name, figures) for name, figures in sums.items() if figures[0]]
    return sorted(rows, key=lambda row: (-row.cost_nanousd, row.group))


def spent(connection: sqlite3.Connection, scope: str, since_ns: int) -> int:
    """What a scope's calls admitted since have cost."""
    prefix, _, name = scope.partition(":")
    if prefix not in _SPENT_OF_CALLS:
        raise InvalidRequest(f"{scope!r} is no scope; write it as `key:ID`, `user:NAME`, `team:NAME` or `model:NAME`")
    kind, of_calls = _SPENT_OF_CALLS[prefix]
    hour, (from_ns, to_ns) = _split(connection, since_ns)
    (whole,) = connection.execute(_SPENT, (kind, name, hour)).fetchone()
    (begun,) = connection.execute(of_calls, (name, from_ns, to_ns)).fetchone()
    return int(whole) + int(begun)


def _split(connection: sqlite3.Connection, since_ns: int) -> tuple[int, tuple[int, int]]:
    """The first hour whose totals count whole, and what is to be read before it, call by call.

    An hour of which all calls stand before its totals, or of which some were deleted, counts whole too.
    """
    hour = since_ns // HOUR_NS
    (oldest_ns,) = connection.execute(_OLDEST).fetchone()
    if since_ns == hour * HOUR_NS or oldest_ns is None or since_ns <= oldest_ns:
        return hour, (since_ns, since_ns)
    return hour + 1, (since_ns, (hour + 1) * HOUR_NS)


def _rollups(connection: sqlite3.Connection, span_ns: tuple[int, int]) -> Rollups:
    """Totals of the calls of less than an hour."""
    rollups = Rollups()
    hour = span_ns[0] // HOUR_NS
    for key_id, user, team, alias, outcome, spent_nanousd, *tokens, is_unpriced, attempts in connection.execute(
        _CALLS, span_ns
    ):
        group = (hour, key_id or "", user or "", team or "", alias, outcome)
        totals = Totals(tokens[0], tokens[1], spent_nanousd, bool(is_unpriced))
        rollups.add(group, totals, _ATTEMPTS.decode(attempts))
    return rollups


def _day(connection: sqlite3.Connection, hour: int) -> str:
    (name,) = connection.execute("SELECT date(? * 3600, 'unixepoch')", (hour,)).fetchone()
    return str(name)


def _usage_row(name: str, figures: Sequence[int]) -> UsageRow:
    calls, errors, input_tokens, output_tokens, cost_nanousd, unpriced_calls = figures
    return UsageRow(
        group=name,
        calls=calls,
        errors=errors,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_nanousd=cost_nanousd,
        unpriced_calls=unpriced_calls,
    )
