"""The file that processes of one machine count limits and budgets in, and who of them is alive.

Beside the database `NAME` stand `NAME.lock`, held for as long as somebody joins or cleans up, and the folder
`NAME.holders` with one file for each process that uses it.  A process holds an exclusive `flock` on its own file, which
the kernel lets go of at its death, however it died: so who is gone is known exactly, without heartbeats, and without
taking a process that was stopped for a while for a dead one.

Times in the database are of the monotonic clock, which all processes of one boot share and which no time server moves.
After a reboot they mean nothing, and nothing that was counted is under way any more: the database starts anew, budgets
from the store's records.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from fairlead.stores.segments import let_go, try_lock

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_JOIN_TIMEOUT_S: Final = 2.0
_JOIN_TRIES: Final = 100
_JOIN_PAUSE_S: Final = 0.02
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS rates (
    scope TEXT NOT NULL,
    kind TEXT NOT NULL,
    tat_ns INTEGER NOT NULL,
    PRIMARY KEY (scope, kind)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS permits (
    scope TEXT NOT NULL,
    holder TEXT NOT NULL,
    running INTEGER NOT NULL,
    PRIMARY KEY (scope, holder)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS accounts (
    scope TEXT NOT NULL,
    window TEXT NOT NULL,
    starts_ns INTEGER NOT NULL,
    ends_ns INTEGER,
    spent_nanousd INTEGER NOT NULL,
    held_nanousd INTEGER NOT NULL,
    PRIMARY KEY (scope, window, starts_ns)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS holds (
    call_id TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    holder TEXT NOT NULL,
    amount_nanousd INTEGER NOT NULL,
    lapses_ns INTEGER NOT NULL,
    state TEXT NOT NULL,
    accounts TEXT NOT NULL,
    PRIMARY KEY (call_id, attempt)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS holds_by_lease ON holds (state, lapses_ns);
"""


class StateFile:
    """One process's place at the shared state.

    Raises:
        OSError: the folder cannot be used.
        sqlite3.Error: the file cannot.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder = self._beside(".holders")
        self.holder = f"{os.getpid()}-{secrets.token_hex(6)}"
        """The name of this place, unlike any other."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._own: int | None = None
        with self._joining():
            self._start_anew_after_boot()
            self._own = _locked(self._folder / self.holder)
            try:
                self._make()
            except BaseException:
                self.leave()
                raise
        here = weakref.ref(self)
        os.register_at_fork(after_in_child=lambda: _disown(here()))

    def connect(self) -> sqlite3.Connection:
        """A connection that never waits for another process: who uses it does, for as long as it chooses.

        Raises:
            sqlite3.Error: the file cannot be used.
        """
        os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=_JOIN_TIMEOUT_S, check_same_thread=False)
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            # A power cut ends the boot, and the file with it: nothing in it has to reach the disk.
            connection.execute("PRAGMA synchronous = OFF")
            connection.executescript(_SCHEMA)
            connection.execute("PRAGMA busy_timeout = 0")
        except BaseException:
            connection.close()
            raise
        return connection

    def others(self) -> tuple[int, dict[str, int]] | None:
        """How many other processes are alive, and those that died: by name, with a lock to be given to `bury`.

        `None` while somebody joins: whose file cannot be told from that of one who died.
        """
        joining = try_lock(self._beside(".lock"))
        if joining is None:
            return None
        try:
            return self._others()
        finally:
            let_go(joining)

    def bury(self, dead: dict[str, int], *, forget: bool) -> None:
        """Let go of the dead; forget them once what was theirs has been given back."""
        for name, descriptor in dead.items():
            if forget:
                (self._folder / name).unlink(missing_ok=True)
            let_go(descriptor)

    def leave(self) -> None:
        """Give up this place; calling it twice is harmless."""
        own, self._own = self._own, None
        if own is not None:
            with contextlib.suppress(OSError):
                (self._folder / self.holder).unlink(missing_ok=True)
            let_go(own)

    def disown(self) -> None:
        """In a child made by `fork`: the place is the parent's, and must not outlive it in us."""
        own, self._own = self._own, None
        if own is not None:
            os.close(own)

    def _make(self) -> None:
        """See that the file is there and can be used.

        Where somebody else makes it or is the last to leave it, SQLite fails at once, whatever its busy timeout says.
        """
        pause = threading.Event()
        for left in reversed(range(_JOIN_TRIES)):
            try:
                self.connect().close()
            except sqlite3.OperationalError as error:
                if not left or not is_busy(error):
                    raise
                pause.wait(_JOIN_PAUSE_S)
            else:
                return

    def _others(self) -> tuple[int, dict[str, int]]:
        alive, dead = 0, {}
        for path in self._folder.iterdir():
            if path.name == self.holder:
                continue
            descriptor = try_lock(path)
            if descriptor is None:
                alive += 1
            else:
                dead[path.name] = descriptor
        return alive, dead

    def _start_anew_after_boot(self) -> None:
        marker, boot = self._beside(".boot"), _boot_id()
        if boot is not None and marker.exists() and marker.read_text() == boot:
            return
        alive, dead = self._others()
        self.bury(dead, forget=True)
        if alive:
            return
        for suffix in ("", "-wal", "-shm"):
            self._beside(suffix).unlink(missing_ok=True)
        marker.write_text(boot or "")

    def _beside(self, suffix: str) -> Path:
        return self._path.with_name(self._path.name + suffix)

    @contextlib.contextmanager
    def _joining(self) -> Iterator[None]:
        """Keep others from joining or cleaning up meanwhile."""
        descriptor = _locked(self._beside(".lock"))
        try:
            yield
        finally:
            let_go(descriptor)


def is_busy(error: Exception) -> bool:
    """Whether only somebody else stood in the way."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def _disown(file: StateFile | None) -> None:
    if file is not None:
        file.disown()


def _boot_id() -> str | None:
    """What tells this boot of the machine from others; `None` where the platform has no such thing."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return None


def _locked(path: Path) -> int:
    """An exclusive lock on a file, made if need be."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor
