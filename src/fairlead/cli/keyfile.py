"""`fairlead keys apply`: keys, users and teams as a file, brought into the store."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fairlead.cli import keyring
from fairlead.cli.settings import readable
from fairlead.config.lines import key_lines, line_of
from fairlead.config.problem import Problem
from fairlead.config.schema import Positive, Table
from fairlead.config.shape import misfits
from fairlead.errors import ConfigError, InvalidRequest
from fairlead.ports import ScopeLimits, StoredKey

if TYPE_CHECKING:
    import sqlite3

    from fairlead.stores.sqlite import SqliteStore


class LimitsTable(Table, frozen=True, kw_only=True):
    """`[users.NAME]` and `[teams.NAME]`."""

    budget: str | None = None
    rpm: Positive | None = None
    tpm: Positive | None = None
    concurrency: Positive | None = None

    def limits(self) -> ScopeLimits | None:
        """`None` where the table is empty, which clears what was set."""
        return keyring.limits_of(self.budget, self.rpm, self.tpm, self.concurrency)


class KeyTable(LimitsTable, frozen=True, kw_only=True):
    """`[keys.NAME]`."""

    models: tuple[str, ...] | None = None
    user: str | None = None
    team: str | None = None


class KeysFile(Table, frozen=True, kw_only=True):
    """The whole file."""

    keys: dict[str, KeyTable] = msgspec.field(default_factory=dict)
    users: dict[str, LimitsTable] = msgspec.field(default_factory=dict)
    teams: dict[str, LimitsTable] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a file asks for."""

    wishes: tuple[keyring.Wish, ...]
    scopes: Mapping[str, ScopeLimits | None]
    """`user:NAME` and `team:NAME` to their limits; `None` clears."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that was brought in line."""

    what: str
    """`created` or `changed`."""
    kind: str
    """`key`, `user` or `team`."""
    name: str
    detail: str = ""
    """What moved."""
    key: str | None = None
    """What the owner of a new key has to send."""

    def row(self) -> dict[str, Any]:
        """Ready for JSON."""
        row: dict[str, Any] = {"what": self.what, "kind": self.kind, "name": self.name, "detail": self.detail}
        return row if self.key is None else {**row, "key": self.key}


def read(path: Path) -> Wanted:
    """What a file asks for.

    Raises:
        ConfigError: it cannot be read, or something in it cannot be used; each line starts with `file:line`.
    """
    text = readable(path)
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: this is not TOML: {error}") from None
    _refuse(list(misfits(raw, KeysFile)), text, path)
    file = msgspec.convert(raw, KeysFile)
    _refuse(_broken(file), text, path)
    scopes = {f"{kind}:{name}": table.limits() for kind, name, table in _scopes(file)}
    return Wanted(wishes=tuple(_wish(name, table) for name, table in file.keys.items()), scopes=scopes)


async def apply(wanted: Wanted, store: SqliteStore, hashing: bytes) -> list[Change]:
    """Bring the store in line; what is in line already is not written again."""
    changes = []
    standing = await store.run(_standing)
    for scope, limits in wanted.scopes.items():
        before = standing.get(scope)
        if before != limits:
            await store.keys.limit(scope, limits)
            kind, _, name = scope.partition(":")
            changes.append(Change(what="changed", kind=kind, name=name, detail=_moved(before, limits)))
    known = keyring.live(await store.keys.keys())
    for wish in wanted.wishes:
        if wish.name not in known:
            key, shown = await keyring.make(store.keys, hashing, wish)
            changes.append(Change(what="created", kind="key", name=key.name, key=shown))
            continue
        before_key = known[wish.name]
        after = _as_wished(before_key, wish)
        if after != before_key:
            await store.keys.save(after)
            changes.append(Change(what="changed", kind="key", name=wish.name, detail=_moved(before_key, after)))
    return changes


def _refuse(problems: list[Problem], text: str, path: Path) -> None:
    if problems:
        lines = key_lines(text)
        rows = sorted((line_of(lines, problem.path), problem.message) for problem in problems)
        raise ConfigError("\n".join(f"{path}:{line}: {message}" for line, message in rows))


def _broken(file: KeysFile) -> list[Problem]:
    problems = []
    for name, table in file.keys.items():
        try:
            _wish(name, table).check()
        except InvalidRequest as error:
            problems.append(Problem(("keys", name), error.message))
    for kind, name, scope in _scopes(file):
        try:
            keyring.check_name(kind, name)
            scope.limits()
        except InvalidRequest as error:
            problems.append(Problem((f"{kind}s", name), error.message))
    return problems


def _scopes(file: KeysFile) -> list[tuple[str, str, LimitsTable]]:
    users = [("user", name, table) for name, table in file.users.items()]
    return users + [("team", name, table) for name, table in file.teams.items()]


def _wish(name: str, table: KeyTable) -> keyring.Wish:
    return keyring.Wish(name=name, **msgspec.structs.asdict(table))


def _as_wished(key: StoredKey, wish: keyring.Wish) -> StoredKey:
    models = None if wish.models is None else frozenset(wish.models)
    return msgspec.structs.replace(key, models=models, user=wish.user, team=wish.team, limits=wish.limits())


def _standing(connection: sqlite3.Connection) -> dict[str, ScopeLimits]:
    rows = connection.execute("SELECT scope, limits FROM scope_limits")
    return {row["scope"]: msgspec.json.decode(row["limits"], type=ScopeLimits) for row in rows}


def _moved(before: StoredKey | ScopeLimits | None, after: StoredKey | ScopeLimits | None) -> str:
    """The names of the fields that differ."""
    was, now = _flat(before), _flat(after)
    return ", ".join(name for name in {**was, **now} if was.get(name) != now.get(name))


def _flat(value: StoredKey | ScopeLimits | None) -> dict[str, Any]:
    if value is None:
        return {}
    if isinstance(value, ScopeLimits):
        budget = None if value.budget_nanousd is None else (value.budget_nanousd, value.budget_window)
        return {"budget": budget, "rpm": value.rpm, "tpm": value.tpm, "concurrency": value.concurrency}
    own = {"models": value.models, "user": value.user, "team": value.team}
    return {**own, **_flat(value.limits)}
