"""A deadline that a standstill of our own process does not use up."""

from __future__ import annotations

import asyncio
import time as real_time
from collections.abc import Callable

import pytest

from fairlead.ports import Timer
from fairlead.stores.redis_state_patience import Patience
from fairlead.stores.system import SystemClock


async def test_what_takes_too_long_is_given_up() -> None:
    """With a `TimeoutError`."""
    with pytest.raises(TimeoutError), Patience(SystemClock(), 0.01):
        await asyncio.sleep(5)


async def test_what_is_there_in_time_is_kept() -> None:
    """And nothing happens afterwards."""
    with Patience(SystemClock(), 0.02):
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)


class LateOnce(SystemClock):
    """A clock whose first timer comes 30 ms late, as in a process that stood still."""

    late = True

    def timer(self, seconds: float, callback: Callable[[], None]) -> Timer:
        more, self.late = 0.03 if self.late else 0.0, False
        return super().timer(seconds + more, callback)


async def test_an_answer_that_came_while_the_process_stood_still_is_read() -> None:
    """A timer that comes late gives one more moment, and no more than one."""
    with Patience(LateOnce(), 0.01):
        await asyncio.sleep(0.045)
    began = real_time.monotonic()
    with pytest.raises(TimeoutError), Patience(LateOnce(), 0.01):
        await asyncio.sleep(5)
    assert real_time.monotonic() - began < 1.0


async def test_another_cancellation_goes_through() -> None:
    """Whoever cancels the task itself is not told of a timeout."""

    async def wait() -> None:
        with Patience(SystemClock(), 5.0):
            await asyncio.sleep(5)

    task = asyncio.create_task(wait())
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
