"""Transactions on the shared state: asked for on event loops, done in batches on one thread.

What is asked within one turn of a loop, or while a transaction runs, is done in the next transaction together.  Where
another process is at work the thread tries again after pauses of its own, as SQLite's busy handler sleeps up to a
hundred times longer than the work takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from fairlead.errors import FairleadError, StateUnavailable
from fairlead.expiry import Expiry
from fairlead.ports import Clock
from fairlead.stores.sqlite_state_file import StateFile, is_busy

T = TypeVar("T")

Work = Callable[[sqlite3.Connection, int], T]
"""Something to do inside a transaction, at a monotonic time.  An error of ours that it raises is its answer; what it
wrote before stands."""
Chores = Callable[[sqlite3.Connection, int], None]

DEADLINE_S: Final = 0.25
"""How long an answer may take before its caller does without.  It takes under a millisecond, and some more where many
ask at once; but of processes that share too few cores any one may stand still for 50 ms, and limits that it then decides
alone would be no longer exact.  A file that is out of use costs so much once: all further callers are told at once."""
CHORES_EVERY_S: Final = 0.5
_FAILING_AFTER_NS: Final = 200_000_000
_PAUSE_S: Final = 0.0001
_PAUSE_MAX_S: Final = 0.002
_FAILING_PAUSE_S: Final = 0.1
_CLOSING_TRIES: Final = 40
_CLOSING_PAUSE_S: Final = 0.05
_NS: Final = 1_000_000_000
_POISON: Final = (
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    sqlite3.NotSupportedError,
)
"""What the work is at fault for; any other error of SQLite is the file's trouble, and is tried again."""

_log = logging.getLogger(__name__)


class _Asked:
    """One piece of work, and who waits for it; nobody, if `future` is `None`."""

    __slots__ = ("abandoned", "future", "loop", "result", "undo", "work")

    def __init__(
        self, work: Work[Any], future: asyncio.Future[Any] | None, undo: Callable[[Any], Work[Any]] | None
    ) -> None:
        self.work = work
        self.future = future
        self.loop = None if future is None else future.get_loop()
        self.undo = undo
        self.abandoned = False
        self.result: Any = None


class StateThread:
    """Does work on the shared state, in the order of asking.

    Args:
        chores: done now and then, outside of any transaction and before other work.
    """

    def __init__(self, file: StateFile, clock: Clock, chores: Chores) -> None:
        self._file = file
        self._clock = clock
        self._chores = chores
        self._chores_due_ns = 0
        self._queue: deque[_Asked] = deque()
        self._kicked_on: asyncio.AbstractEventLoop | None = None
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._connection: sqlite3.Connection | None = None
        self._random = random.Random()  # noqa: S311 - spreads tries
        self.failing = False
        """The file could not be used when last tried: what is asked is refused at once, until a try succeeds."""
        self._thread = threading.Thread(target=self._run, name="fairlead-state", daemon=True)
        self._thread.start()

    async def ask(self, work: Work[T], *, undo: Callable[[T], Work[Any]] | None = None) -> T:
        """The answer of `work`.

        Args:
            undo: makes, of an answer that came when nobody waited any more, the work that takes it back.

        Raises:
            FairleadError: what `work` raised.
            StateUnavailable: there was no answer in time; the work was not done, or is undone.
        """
        if self.failing or self._closing.is_set():
            raise _unavailable()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        asked = _Asked(work, future, undo)
        self._put(asked)
        try:
            with Expiry(self._clock, DEADLINE_S, _late):
                return await future
        except BaseException:
            asked.abandoned = True
            if future.done() and not future.cancelled() and future.exception() is None:
                self._undo(asked)
            raise

    def post(self, work: Work[Any]) -> None:
        """Do `work` soon, trying until it is done; returns at once and raises nothing."""
        self._put(_Asked(work, None, None))

    async def aclose(self, last: Work[Any]) -> None:
        """Do what is queued and `last`, within a bound, then end and leave the file."""
        if not self._closing.is_set():
            self.post(last)
            self._closing.set()
            self._wake.set()
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    # --- on the loops ---

    def _put(self, asked: _Asked) -> None:
        self._queue.append(asked)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            self._wake.set()
            return
        if self._kicked_on is not loop:
            self._kicked_on = loop
            loop.call_soon(self._kick)

    def _kick(self) -> None:
        self._kicked_on = None
        self._wake.set()

    def _deliver(self, done: Sequence[_Asked]) -> None:
        for asked in done:
            future, result = asked.future, asked.result
            if future is None or future.done() or asked.abandoned:
                self._undo(asked)
            elif isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _undo(self, asked: _Asked) -> None:
        if asked.undo is not None and not isinstance(asked.result, Exception):
            self.post(asked.undo(asked.result))
            asked.undo = None

    # --- on the thread ---

    def _run(self) -> None:
        pause_s, since_ns, tries_at_end = _PAUSE_S, 0, 0
        while True:
            if not self._queue and not self.failing:
                if self._closing.is_set():
                    break
                self._wake.wait()
            self._wake.clear()
            batch = self._collect()
            began_ns = self._clock.monotonic_ns()
            if self._perform(batch):
                pause_s, since_ns, self.failing = _PAUSE_S, 0, False
                continue
            self._queue.extendleft(reversed(batch))
            since_ns = since_ns or began_ns
            if began_ns - since_ns >= _FAILING_AFTER_NS:
                self.failing = True
            if self._closing.is_set():
                tries_at_end += 1
                if tries_at_end > _CLOSING_TRIES:
                    break
                self._wake.wait(_CLOSING_PAUSE_S)
                continue
            pause_s = min(2 * pause_s, _FAILING_PAUSE_S if self.failing else _PAUSE_MAX_S)
            self._closing.wait(pause_s * self._random.uniform(0.5, 1.0))
        self._give_up(self._collect())
        self._disconnect()
        self._file.leave()

    def _give_up(self, batch: list[_Asked]) -> None:
        for asked in batch:
            asked.result = _unavailable()
        self._tell(batch)

    def _collect(self) -> list[_Asked]:
        """What is queued, without what nobody waits for any more."""
        batch: list[_Asked] = []
        while self._queue:
            asked = self._queue.popleft()
            if not asked.abandoned:
                batch.append(asked)
        return batch

    def _perform(self, batch: list[_Asked]) -> bool:
        """Do all of a batch and tell who waits; false if it has to be tried again."""
        try:
            self._transact(batch)
        except Exception as error:  # noqa: BLE001 - nothing may end this thread
            if isinstance(error, (sqlite3.Error, OSError)) and not isinstance(error, _POISON):
                if not is_busy(error):
                    self._disconnect()
                    self.failing = True
                return False
            return self._perform_apart(batch, error)
        self._tell(batch)
        return True

    def _perform_apart(self, batch: list[_Asked], error: Exception) -> bool:
        """One piece of work is at fault: do the others without it."""
        if len(batch) == 1:
            batch[0].result = error
            if batch[0].future is None:
                _log.error("a change of the shared state was dropped", exc_info=error)
            self._tell(batch)
            return True
        while batch:
            if not self._perform(batch[:1]):
                return False
            del batch[0]
        return True

    def _transact(self, batch: list[_Asked]) -> None:
        connection = self._connection
        if connection is None:
            connection = self._connection = self._file.connect()
        now_ns = self._clock.monotonic_ns()
        if now_ns >= self._chores_due_ns:
            self._chores_due_ns = now_ns + round(CHORES_EVERY_S * _NS)
            with contextlib.suppress(sqlite3.OperationalError):  # busy: they can wait until the next time
                self._chores(connection, now_ns)
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Read again now that nobody else can write: so it never runs behind what is written there.
            now_ns = self._clock.monotonic_ns()
            for asked in batch:
                try:
                    asked.result = asked.work(connection, now_ns)
                except FairleadError as error:
                    asked.result = error
            connection.execute("COMMIT")
        except BaseException:
            connection.rollback()
            raise

    def _tell(self, batch: Sequence[_Asked]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Asked]] = {}
        for asked in batch:
            if asked.loop is not None:
                by_loop.setdefault(asked.loop, []).append(asked)
        for loop, done in by_loop.items():
            try:
                loop.call_soon_threadsafe(self._deliver, done)
            except RuntimeError:  # the loop is closed
                for asked in done:
                    self._undo(asked)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


def _unavailable() -> StateUnavailable:
    return StateUnavailable("the shared limits and budgets cannot be checked right now; try again")


def _late() -> StateUnavailable:
    return StateUnavailable("the shared limits and budgets could not be checked in time; try again")
