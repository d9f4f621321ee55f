"""Time and randomness that a test holds in its hand: minutes of timeouts pass in milliseconds, the same way each run.

Two ways to use a `VirtualClock`:

* on any asyncio loop, as the `Clock` of the code under test; it moves by `advance`, or by itself when the loop is idle;
* with `virtual_run`, on a `VirtualLoop` whose own time is that clock's, so that `asyncio.sleep` and `asyncio.timeout`
  are virtual too.  Choose this where sockets or threads take part.
"""

from __future__ import annotations

import asyncio
import heapq
import math
import random
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from fairlead.ports import Timer

T = TypeVar("T")

_NS = 1_000_000_000
_EPOCH_NS = 1_767_225_600 * _NS
"""2026-01-01T00:00:00Z, where virtual wall clocks start."""
_QUIET_ROUNDS = 20
"""Rounds of the loop in which nothing else was ready, after which it counts as idle."""
_MOST_ROUNDS = 20_000
_IO_GRACE_S = 0.002
"""Real time granted to bytes under way in the kernel before virtual time moves."""
_THREAD_GRACE_S = 1.0


class _Due:
    """A timer of a `VirtualClock`."""

    __slots__ = ("callback", "due_ns", "loop", "number")

    def __init__(self, due_ns: int, number: int, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self.due_ns = due_ns
        self.number = number
        self.loop = loop
        self.callback: Callable[[], None] | None = callback

    def __lt__(self, other: _Due) -> bool:
        return (self.due_ns, self.number) < (other.due_ns, other.number)

    def cancel(self) -> None:
        self.callback = None


class VirtualClock:
    """A `Clock` whose time stands still until it is moved.

    Args:
        autojump: go to the next timer whenever the running loop has nothing else to do.  On a plain loop that is
            judged by its queue of ready callbacks, so work in threads and other processes is not waited for.
    """

    def __init__(self, *, autojump: bool = True) -> None:
        self._autojump = autojump
        self._monotonic_ns = 1_000 * _NS
        self._wall_offset_ns = _EPOCH_NS - self._monotonic_ns
        self._timers: list[_Due] = []
        self._made = 0
        self._quiet = 0
        self._watched: asyncio.AbstractEventLoop | None = None
        self._holding = False

    def now_ns(self) -> int:
        """Wall clock, nanoseconds since the epoch; starts at 2026-01-01T00:00:00Z."""
        return self._monotonic_ns + self._wall_offset_ns

    def monotonic_ns(self) -> int:
        """Virtual nanoseconds; never goes back."""
        return self._monotonic_ns

    def step_wall(self, seconds: float) -> None:
        """Set the wall clock forward or back without a moment passing, as a time server does."""
        self._wall_offset_ns += round(seconds * _NS)

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of virtual time."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        timer = self.timer(seconds, lambda: None if woken.done() else woken.set_result(None))
        try:
            await woken
        finally:
            timer.cancel()

    def timer(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back on the running loop after `seconds` of virtual time."""
        loop = asyncio.get_running_loop()
        self._made += 1
        due = _Due(self._monotonic_ns + max(0, math.ceil(seconds * _NS)), self._made, loop, callback)
        heapq.heappush(self._timers, due)
        if self._autojump:
            self._watch(loop)
        return due

    @property
    def pending(self) -> int:
        """How many timers are set; 0 once everything has ended well."""
        return sum(timer.callback is not None for timer in self._timers)

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass: every timer due by then fires at its own time, in order, and what it wakes runs first.

        Raises:
            RuntimeError: two tasks move the clock at once, or something never stops running.
        """
        with self._held():
            target_ns = self._monotonic_ns + round(seconds * _NS)
            await _settle()
            while (due_ns := self.next_due_ns()) is not None and due_ns <= target_ns:
                self.jump(due_ns)
                await _settle()
            self.jump(target_ns)
            await _settle()

    async def settle(self) -> None:
        """Let everything run that can run without time moving.

        Raises:
            RuntimeError: two tasks move the clock at once, or something never stops running.
        """
        with self._held():
            await _settle()

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keep the clock from jumping by itself."""
        if self._holding:
            msg = "the clock is being moved by another task"
            raise RuntimeError(msg)
        self._holding = True
        try:
            yield
        finally:
            self._holding = False
            if self._autojump and self._timers:
                self._watch(asyncio.get_running_loop())

    def next_due_ns(self) -> int | None:
        """When the next timer is due, on the monotonic clock; `None` without timers."""
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        return self._timers[0].due_ns if self._timers else None

    def jump(self, to_ns: int) -> None:
        """Move to `to_ns`, unless it is past, and hand all timers due by then to their loops."""
        self._monotonic_ns = max(self._monotonic_ns, to_ns)
        while (due_ns := self.next_due_ns()) is not None and due_ns <= self._monotonic_ns:
            timer = heapq.heappop(self._timers)
            if timer.callback is not None and not timer.loop.is_closed():
                timer.loop.call_soon(_fire, timer)

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        driven = isinstance(loop, VirtualLoop) and loop.clock is self
        if driven or self._holding or self._watched is loop:
            return
        self._watched = loop
        self._quiet = 0
        loop.call_later(_IO_GRACE_S, self._look, loop)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        """Jump once the loop has been idle long enough; runs as a plain callback, so it leaves no task behind."""
        due_ns = self.next_due_ns()
        if self._watched is not loop or self._holding or due_ns is None:
            self._watched = None if self._watched is loop else self._watched
            return
        self._quiet = 0 if _others_ready(loop) else self._quiet + 1
        if self._quiet < _QUIET_ROUNDS:
            loop.call_soon(self._look, loop)
            return
        self.jump(due_ns)
        self._quiet = 0
        loop.call_later(_IO_GRACE_S, self._look, loop)


async def _settle() -> None:
    loop = asyncio.get_running_loop()
    quiet = 0
    for _ in range(_MOST_ROUNDS):
        await asyncio.sleep(0)
        quiet = 0 if _others_ready(loop) else quiet + 1
        if quiet == _QUIET_ROUNDS:
            return
    msg = f"the loop was still busy after {_MOST_ROUNDS} rounds: a task spins without waiting for time"
    raise RuntimeError(msg)


def _fire(timer: _Due) -> None:
    callback, timer.callback = timer.callback, None
    if callback is not None:
        callback()


def _others_ready(loop: asyncio.AbstractEventLoop) -> bool:
    # No public API tells whether a loop is idle.  Loops without this queue are judged by the number of rounds alone.
    return bool(getattr(loop, "_ready", ()))


class _JumpingSelector(selectors.DefaultSelector):
    """Moves the clock where another selector would block."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        wait_s = self._until_next(timeout)
        if wait_s is None:
            return super().select(None)
        events = super().select(self._grace_s() if wait_s > 0 else 0)
        if not events and wait_s > 0:
            self.clock.jump(self.clock.monotonic_ns() + math.ceil(wait_s * _NS))
        return events

    def _until_next(self, timeout: float | None) -> float | None:
        due_ns = self.clock.next_due_ns()
        if due_ns is None:
            return timeout
        until_s = (due_ns - self.clock.monotonic_ns()) / _NS
        return until_s if timeout is None else min(timeout, until_s)

    def _grace_s(self) -> float:
        if self.threads:
            return _THREAD_GRACE_S
        only_self_pipe = len(self.get_map()) <= 1
        return 0.0 if only_self_pipe else _IO_GRACE_S


class VirtualLoop(asyncio.SelectorEventLoop):
    """An asyncio loop that lives in the time of a `VirtualClock`: it never waits while a timer is set.

    Sockets and threads work: before time moves, bytes under way get 2 ms and a running thread gets up to 1 s to come.
    """

    def __init__(self, clock: VirtualClock) -> None:
        self.clock = clock
        self._jumping = _JumpingSelector(clock)
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds."""
        return self.clock.monotonic_ns() / _NS

    def run_in_executor(self, executor: Any, func: Callable[..., T], *args: Any) -> asyncio.Future[T]:  # type: ignore[override] # typeshed spells it with unpacked type variables
        """As asyncio does; time waits for the thread."""
        future = super().run_in_executor(executor, func, *args)
        self._jumping.threads += 1
        future.add_done_callback(self._thread_ended)
        return future

    def _thread_ended(self, _future: asyncio.Future[Any]) -> None:
        self._jumping.threads -= 1


def virtual_run(main: Coroutine[Any, Any, T], clock: VirtualClock | None = None) -> T:
    """Run `main` to its end on a `VirtualLoop`; like `asyncio.run`, for a test that is a plain function.

    Args:
        clock: the loop's time; pass the clock that the code under test was given.
    """
    time = VirtualClock() if clock is None else clock
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(time)) as runner:
        return runner.run(main)


class LoopClock:
    """A `Clock` in the running loop's own time: real on a real loop, virtual on a `VirtualLoop`."""

    def now_ns(self) -> int:
        """The loop's time, counted from 2026-01-01T00:00:00Z."""
        return _EPOCH_NS + self.monotonic_ns()

    def monotonic_ns(self) -> int:
        """The loop's time."""
        return round(asyncio.get_running_loop().time() * _NS)

    async def sleep(self, seconds: float) -> None:
        """As `asyncio.sleep`."""
        await asyncio.sleep(seconds)

    def timer(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """As `call_later`."""
        return asyncio.get_running_loop().call_later(seconds, callback)


class SeededRng:
    """An `Rng` that repeats itself: the same seed gives the same numbers."""

    def __init__(self, seed: int | str) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def random(self) -> float:
        """Uniform in [0, 1)."""
        return self._random.random()

    def token(self, size: int) -> bytes:
        """`size` bytes."""
        return self._random.randbytes(size)
