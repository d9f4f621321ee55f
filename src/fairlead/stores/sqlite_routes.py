"""What operators say about targets, and the log of it, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from fairlead.ports import Audited, Overruled
from fairlead.stores.sqlite_work import Run, transaction


class SqliteRoutes:
    """The `Routes` of one machine."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def current(self, now_ns: int) -> Sequence[Overruled]:
        """What counts now, by target."""
        return await self._run(lambda connection: _current(connection, now_ns))

    async def overrule(self, overruled: Overruled, audited: Audited) -> None:
        """Say something about a target, in place of what was said before."""
        await self._run(lambda connection: _overrule(connection, overruled, audited))

    async def reset(self, target: str | None, audited: Audited) -> int:
        """Take it back, for one target or for all; returns for how many."""
        return await self._run(lambda connection: _reset(connection, target, audited))

    async def audit(self, limit: int) -> Sequence[Audited]:
        """Who said what, newest first."""
        return await self._run(lambda connection: _audit(connection, limit))


def _current(connection: sqlite3.Connection, now_ns: int) -> list[Overruled]:
    rows = connection.execute(
        "SELECT target, action, until_ns FROM overrides WHERE until_ns IS NULL OR until_ns > ? ORDER BY target",
        (now_ns,),
    )
    return [Overruled(target=row["target"], action=row["action"], until_ns=row["until_ns"]) for row in rows]


def _overrule(connection: sqlite3.Connection, overruled: Overruled, audited: Audited) -> None:
    with transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO overrides (target, action, until_ns) VALUES (?, ?, ?)",
            (overruled.target, overruled.action, overruled.until_ns),
        )
        _log(connection, audited)


def _reset(connection: sqlite3.Connection, target: str | None, audited: Audited) -> int:
    with transaction(connection):
        if target is None:
            gone = connection.execute("DELETE FROM overrides").rowcount
        else:
            gone = connection.execute("DELETE FROM overrides WHERE target = ?", (target,)).rowcount
        _log(connection, audited)
    return gone


def _log(connection: sqlite3.Connection, audited: Audited) -> None:
    connection.execute(
        "INSERT INTO audit (at_ns, actor, action, subject, detail) VALUES (?, ?, ?, ?, ?)",
        (audited.at_ns, audited.actor, audited.action, audited.subject, audited.detail),
    )


def _audit(connection: sqlite3.Connection, limit: int) -> list[Audited]:
    rows = connection.execute(
        "SELECT at_ns, actor, action, subject, detail FROM audit ORDER BY number DESC LIMIT ?", (limit,)
    )
    return [Audited(**dict(row)) for row in rows]
