"""One timer that is moved without cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Rings once, when it is due.  Setting it later or silencing it touches no timer of the loop.

    Args:
        ring: called when it is due; must not raise.
    """

    __slots__ = ("_at", "_loop", "_ring", "_timer", "due")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None
        self._at = 0.0
        self.due: float | None = None
        """When it rings, by the loop's clock; set it to `None` to silence it."""

    def set(self, delay_s: float) -> None:
        """Ring in `delay_s` from now and not before; an earlier setting is forgotten."""
        self.due = due = self._loop.time() + delay_s
        if self._timer is not None:
            if self._at <= due:
                return
            self._timer.cancel()
        self._at = due
        self._timer = self._loop.call_at(due, self._tick)

    def cancel(self) -> None:
        """Silence it for good, and let go of the timer."""
        self.due = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        self._timer = None
        due = self.due
        if due is None:
            return
        if self._loop.time() < due:
            self._at = due
            self._timer = self._loop.call_at(due, self._tick)
        else:
            self.due = None
            self._ring()
