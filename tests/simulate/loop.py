"""Virtual time for simulations: an asyncio loop without sockets, threads or system calls, in which nothing ever waits.

`VirtualClock` is made for tests that step through time and may use sockets; an hour with a million events needs this one.
"""

from __future__ import annotations

import asyncio
import math
import selectors
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from fairlead.ports import Timer

T = TypeVar("T")

_NS = 1_000_000_000
_EPOCH_NS = 1_767_225_600 * _NS


class SimClock:
    """A `Clock` that its loop moves on to the next timer whenever nothing is left to do.

    Attributes:
        step: called each time before time moves.
        wall_ns: how far the wall clock is ahead; a time server may set it forward or back.
    """

    def __init__(self) -> None:
        self.ns = 1_000 * _NS
        self.wall_ns = _EPOCH_NS
        self.step: Callable[[], None] | None = None

    def now_ns(self) -> int:
        """Counted from 2026-01-01T00:00:00Z."""
        return self.wall_ns + self.ns

    def monotonic_ns(self) -> int:
        """Virtual nanoseconds."""
        return self.ns

    async def sleep(self, seconds: float) -> None:
        """As `asyncio.sleep`."""
        await asyncio.sleep(seconds)

    def timer(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """As `call_later`."""
        return asyncio.get_running_loop().call_later(max(seconds, 0.0), callback)


class _Jump(selectors.BaseSelector):
    """Moves the clock where another selector would wait; nothing ever becomes ready."""

    def __init__(self, clock: SimClock) -> None:
        self._clock = clock
        self._keys: dict[Any, selectors.SelectorKey] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        key = self._keys[fileobj] = selectors.SelectorKey(fileobj, fileobj, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            msg = "everybody waits for somebody else: no timer is set, and nothing can run"
            raise RuntimeError(msg)
        if timeout > 0:
            if self._clock.step is not None:
                self._clock.step()
            self._clock.ns += math.ceil(timeout * _NS)
        return []

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        return self._keys


class SimLoop(asyncio.SelectorEventLoop):
    """The loop of a `SimClock`."""

    def __init__(self, clock: SimClock) -> None:
        self._sim_clock = clock
        super().__init__(_Jump(clock))

    def time(self) -> float:
        """Virtual seconds."""
        return self._sim_clock.ns / _NS

    @property
    def timers(self) -> int:
        """How many are set."""
        return sum(not handle.cancelled() for handle in self._scheduled)  # type: ignore[attr-defined]


def run(main: Coroutine[Any, Any, T], clock: SimClock) -> T:
    """Run `main` to its end in virtual time."""
    with asyncio.Runner(loop_factory=lambda: SimLoop(clock)) as runner:
        return runner.run(main)
