"""Deadlines on the clock port: every wait on a port has one, and a port that answers at once pays nothing for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator
from types import coroutine
from typing import Any, TypeVar

from fairlead.errors import FairleadError
from fairlead.ports import Clock

T = TypeVar("T")


class Expiry:
    """Raises what `error` makes out of its block, in place of the cancellation that it causes when the time is up.

    As `asyncio.timeout`, but on the `Clock` port, so that it can be tested in virtual time.
    """

    __slots__ = ("_cancelling", "_clock", "_error", "_fired", "_seconds", "_task", "_timer")

    def __init__(self, clock: Clock, seconds: float, error: Callable[[], FairleadError]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._error = error
        self._fired = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None or self._seconds <= 0:
            raise self._error()
        self._task = task
        self._cancelling = task.cancelling()
        self._timer = self._clock.timer(self._seconds, self._fire)

    def _fire(self) -> None:
        self._fired = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        if self._fired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise self._error()


@coroutine
def within(
    clock: Clock, seconds: float, error: Callable[[], FairleadError], work: Coroutine[Any, Any, T]
) -> Generator[Any, Any, T]:
    """Await `work`, but no longer than `seconds`; the timer starts only if it has to wait at all.

    Raises:
        FairleadError: what `error` makes, when the time is up.
    """
    try:
        waits_for = work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    with Expiry(clock, seconds, error):
        result = yield from _resume(work, waits_for)
        return result


def _resume(work: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Go on with a coroutine that has already been started."""
    while True:
        try:
            try:
                sent = yield waits_for
            except BaseException as raised:  # noqa: BLE001 - all of it belongs to the coroutine
                waits_for = work.throw(raised)
            else:
                waits_for = work.send(sent)
        except StopIteration as done:
            result: T = done.value
            return result
