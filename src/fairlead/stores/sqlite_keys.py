"""Virtual keys and the limits of scopes, in SQLite."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

import msgspec

from fairlead.ports import ScopeLimits, StoredKey
from fairlead.stores.sqlite_work import Run, transaction
from fairlead.types import Budget, Principal, Rate


class SqliteKeys:
    """The `KeyStore` of one machine."""

    def __init__(self, run: Run) -> None:
        self._run = run

    async def find(self, key_id: str) -> tuple[StoredKey, Principal] | None:
        """The key, revoked and expired ones too, and the principal that it stands for."""
        return await self._run(lambda connection: _find(connection, key_id))

    async def save(self, key: StoredKey) -> None:
        """Create or replace."""
        await self._run(lambda connection: _save(connection, key))

    async def keys(self) -> Sequence[StoredKey]:
        """All of them, newest first."""
        return await self._run(_keys)

    async def limit(self, scope: str, limits: ScopeLimits | None) -> None:
        """Set or clear the limits of `user:NAME`, `team:NAME` or `model:NAME`."""
        await self._run(lambda connection: _limit(connection, scope, limits))

    async def generation(self) -> int:
        """Moves with every change."""
        return await self._run(_generation)


def principal_of(key: StoredKey, limits: Mapping[str, ScopeLimits]) -> Principal:
    """Who a key stands for.

    Args:
        limits: of its user and its team, by scope, where there are any.
    """
    scoped = [(f"key:{key.id}", key.limits)]
    scoped += [(scope, limits[scope]) for scope in _scopes(key) if scope in limits]
    return Principal(
        key_id=key.id,
        key_name=key.name,
        user=key.user,
        team=key.team,
        models=key.models,
        budgets=tuple(
            Budget(scope=scope, limit_nanousd=given.budget_nanousd, window=given.budget_window)
            for scope, given in scoped
            if given is not None and given.budget_nanousd is not None
        ),
        rates=tuple(rate for scope, given in scoped if given is not None for rate in _rates(scope, given)),
        trusts_user_header=key.trusts_user_header,
    )


def _rates(scope: str, limits: ScopeLimits) -> list[Rate]:
    rates: list[Rate] = []
    if limits.rpm is not None:
        rates.append(Rate(scope=scope, kind="requests", limit=limits.rpm))
    if limits.tpm is not None:
        rates.append(Rate(scope=scope, kind="tokens", limit=limits.tpm))
    if limits.concurrency is not None:
        rates.append(Rate(scope=scope, kind="concurrency", limit=limits.concurrency))
    return rates


def _scopes(key: StoredKey) -> list[str]:
    named = (("user", key.user), ("team", key.team))
    return [f"{kind}:{name}" for kind, name in named if name is not None]


def _find(connection: sqlite3.Connection, key_id: str) -> tuple[StoredKey, Principal] | None:
    row = connection.execute("SELECT * FROM keys WHERE id = ?", (key_id,)).fetchone()
    if row is None:
        return None
    key = _key_of(row)
    limits: dict[str, ScopeLimits] = {}
    for scope in _scopes(key):
        found = connection.execute("SELECT limits FROM scope_limits WHERE scope = ?", (scope,)).fetchone()
        if found is not None:
            limits[scope] = msgspec.json.decode(found["limits"], type=ScopeLimits)
    return key, principal_of(key, limits)


def _save(connection: sqlite3.Connection, key: StoredKey) -> None:
    with transaction(connection):
        connection.execute(
            "INSERT OR REPLACE INTO keys (id, digest, name, hash_id, user, team, models, limits, trusts_user_header,"
            " created_at_ns, expires_at_ns, revoked_at_ns) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                key.id,
                key.digest,
                key.name,
                key.hash_id,
                key.user,
                key.team,
                None if key.models is None else msgspec.json.encode(sorted(key.models)).decode(),
                None if key.limits is None else msgspec.json.encode(key.limits).decode(),
                int(key.trusts_user_header),
                key.created_at_ns,
                key.expires_at_ns,
                key.revoked_at_ns,
            ),
        )
        _move_generation(connection)


def _keys(connection: sqlite3.Connection) -> Sequence[StoredKey]:
    rows = connection.execute("SELECT * FROM keys ORDER BY created_at_ns DESC, id DESC")
    return [_key_of(row) for row in rows]


def _limit(connection: sqlite3.Connection, scope: str, limits: ScopeLimits | None) -> None:
    with transaction(connection):
        if limits is None:
            connection.execute("DELETE FROM scope_limits WHERE scope = ?", (scope,))
        else:
            connection.execute(
                "INSERT OR REPLACE INTO scope_limits (scope, limits) VALUES (?, ?)",
                (scope, msgspec.json.encode(limits).decode()),
            )
        _move_generation(connection)


def _generation(connection: sqlite3.Connection) -> int:
    (value,) = connection.execute("SELECT value FROM generation").fetchone()
    return int(value)


def _move_generation(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE generation SET value = value + 1")


def _key_of(row: sqlite3.Row) -> StoredKey:
    models, limits = row["models"], row["limits"]
    return StoredKey(
        id=row["id"],
        digest=row["digest"],
        name=row["name"],
        hash_id=row["hash_id"],
        user=row["user"],
        team=row["team"],
        models=None if models is None else msgspec.json.decode(models, type=frozenset[str]),
        limits=None if limits is None else msgspec.json.decode(limits, type=ScopeLimits),
        trusts_user_header=bool(row["trusts_user_header"]),
        created_at_ns=row["created_at_ns"],
        expires_at_ns=row["expires_at_ns"],
        revoked_at_ns=row["revoked_at_ns"],
    )
