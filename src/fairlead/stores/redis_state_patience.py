"""A deadline for what a server does, which a standstill of our own process does not use up."""

from __future__ import annotations

import asyncio
from typing import Final

from fairlead.ports import Clock

_STOOD_STILL_NS: Final = 10_000_000
_SECOND_CHANCE_S: Final = 0.02
_NS: Final = 1_000_000_000


class Patience:
    """Raises `TimeoutError` in its block when the time is up.

    A process that shares too few cores may stand still for longer than the answer may take; the answer then waits to be
    read.  So a timer that comes late gives the block one more moment.
    """

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._fired = False
        self._given = False

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline needs a task that it can interrupt")
        self._task = task
        self._cancelling = task.cancelling()
        self._set(self._seconds)

    def _set(self, seconds: float) -> None:
        self._due_ns = self._clock.monotonic_ns() + round(seconds * _NS)
        self._timer = self._clock.timer(seconds, self._fire)

    def _fire(self) -> None:
        if not self._given and self._clock.monotonic_ns() - self._due_ns > _STOOD_STILL_NS:
            self._given = True
            self._set(_SECOND_CHANCE_S)
            return
        self._fired = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._timer.cancel()
        if self._fired and self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError("no answer in time")
