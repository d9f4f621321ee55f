"""The state of one machine: limits and budgets that any number of processes share, exactly, in one SQLite file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from fairlead.errors import ConfigError
from fairlead.ports import Clock
from fairlead.stores import sqlite_state_ledger
from fairlead.stores.sqlite_state_file import StateFile
from fairlead.stores.sqlite_state_ledger import Booked, SeedSpent, SqliteLedger
from fairlead.stores.sqlite_state_limits import SqliteLimits
from fairlead.stores.sqlite_state_thread import StateThread
from fairlead.stores.sqlite_work import transaction

_FORGET_EVERY_NS = 600_000_000_000


class SqliteState:
    """`ledger` and `limits` of this process on the shared file; what it leaves behind at its death comes back.

    Opening blocks; all further work is done on a thread of its own.

    Args:
        path: the file; made with access for its owner alone, and emptied after a reboot.

    Raises:
        ConfigError: the file cannot be used.
    """

    def __init__(self, path: Path, clock: Clock, *, seed_spent: SeedSpent, booked: Booked) -> None:
        self._clock = clock
        self._processes = 1
        self._forget_due_ns = clock.monotonic_ns() + _FORGET_EVERY_NS
        try:
            self._file = StateFile(path)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(
                f"the state {str(path)!r} cannot be used: {error}; check `[state] url` and who may write there"
            ) from error
        holder = self._file.holder
        self._thread = StateThread(self._file, clock, self._chores)
        self.ledger = SqliteLedger(self._thread, holder, clock, seed_spent=seed_spent, booked=booked)
        self.limits = SqliteLimits(self._thread, holder, clock, lambda: self._processes)

    @property
    def degraded(self) -> dict[str, str]:
        """The features that do not run as configured, and how they run."""
        found = {}
        if self._thread.failing or self.limits.degraded:
            found["limits"] = "local"
        if self._thread.failing:
            found["budgets"] = "closed"
        return found

    async def aclose(self) -> None:
        """Write down what is settled and released, and give up the place of this process; harmless the second time."""
        await self._thread.aclose(self._give_back)

    def _give_back(self, connection: sqlite3.Connection, _: int) -> None:
        self._free(connection, (self._file.holder,))

    def _chores(self, connection: sqlite3.Connection, now_ns: int) -> None:
        """Give back what dead processes hold, and now and then forget what is past."""
        found = self._file.others()
        if found is not None:
            alive, dead = found
            self._processes = 1 + alive
            if dead:
                self._bury(connection, dead)
        self.ledger.orphans = sqlite_state_ledger.orphans(connection)
        if now_ns >= self._forget_due_ns:
            self._forget_due_ns = now_ns + _FORGET_EVERY_NS
            with transaction(connection):
                sqlite_state_ledger.forget_past(connection, now_ns, self._clock.now_ns())
                connection.execute("DELETE FROM rates WHERE tat_ns <= ?", (now_ns,))

    def _bury(self, connection: sqlite3.Connection, dead: dict[str, int]) -> None:
        done = False
        try:
            with transaction(connection):
                self._free(connection, dead)
            done = True
        finally:
            self._file.bury(dead, forget=done)

    def _free(self, connection: sqlite3.Connection, holders: tuple[str, ...] | dict[str, int]) -> None:
        connection.executemany("DELETE FROM permits WHERE holder = ?", [(holder,) for holder in holders])
        sqlite_state_ledger.orphan(connection, holders)
