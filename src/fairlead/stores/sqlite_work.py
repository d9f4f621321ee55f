"""How the parts of the SQLite store get work done."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol, TypeVar

T = TypeVar("T")

_WAL_TRIES: Final = 100


class Run(Protocol):
    """Does work on the store's thread; raises `StateUnavailable` where SQLite says no."""

    def __call__(self, work: Callable[[sqlite3.Connection], T]) -> Awaitable[T]: ...


def write_ahead(connection: sqlite3.Connection) -> None:
    """Keep the journal as a write-ahead log, also where several processes open a new file at one time.

    SQLite does not wait for the lock that this takes, whatever the busy timeout says; it does wait for a transaction.

    Raises:
        sqlite3.OperationalError: another process has kept the file locked for the busy timeout, or came first again
            and again.
    """
    for left in reversed(range(_WAL_TRIES)):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or not left:
                raise
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        else:
            return


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All or nothing; takes the write lock at once, so that no reader has to be upgraded into a writer."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
