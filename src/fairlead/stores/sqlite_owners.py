"""Whose the answers are that providers keep, in SQLite."""

from __future__ import annotations

import sqlite3
from typing import Final

from fairlead.ports import Kept
from fairlead.stores.sqlite_work import Run, transaction

KEPT_DAYS: Final = 30
"""As long as OpenAI keeps a response (*Data controls in the OpenAI platform*)."""
_KEPT_NS: Final = KEPT_DAYS * 24 * 3_600 * 10**9
_SWEPT: Final = 10
"""So many old ones go with each new one: more than come, and never enough to wait for."""


class SqliteOwners:
    """The `Owners` of one machine."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def remember(self, tenant: str, answer_id: str, kept: Kept) -> None:
        """Note whose an answer is, and forget a few that no provider has any more."""
        await self._run(lambda connection: _remember(connection, tenant, answer_id, kept))

    async def find(self, tenant: str, answer_id: str) -> Kept | None:
        """Where a tenant's answer lies."""
        return await self._run(lambda connection: _find(connection, tenant, answer_id))


def _remember(connection: sqlite3.Connection, tenant: str, answer_id: str, kept: Kept) -> None:
    with transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO answers (tenant, id, provider, credential, model, at_ns) VALUES (?, ?, ?, ?, ?, ?)",
            (tenant, answer_id, kept.provider, kept.credential, kept.model, kept.at_ns),
        )
        connection.execute(
            "DELETE FROM answers WHERE (tenant, id) IN "
            "(SELECT tenant, id FROM answers WHERE at_ns < ? ORDER BY at_ns LIMIT ?)",
            (kept.at_ns - _KEPT_NS, _SWEPT),
        )


def _find(connection: sqlite3.Connection, tenant: str, answer_id: str) -> Kept | None:
    row = connection.execute(
        "SELECT provider, credential, model, at_ns FROM answers WHERE tenant = ? AND id = ?", (tenant, answer_id)
    ).fetchone()
    return None if row is None else Kept(**dict(row))
