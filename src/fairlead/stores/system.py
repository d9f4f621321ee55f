"""The machine's own clock and randomness behind the `Clock` and `Rng` ports."""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable

from fairlead.ports import Timer


class SystemClock:
    """Real time; sleeps and timers belong to the running asyncio loop."""

    # The functions themselves: a dozen calls of them stand on the hot path.
    now_ns = staticmethod(time.time_ns)
    monotonic_ns = staticmethod(time.monotonic_ns)

    async def sleep(self, seconds: float) -> None:
        """Wait for at least `seconds`."""
        await asyncio.sleep(seconds)

    def timer(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Call back on the running loop after `seconds`."""
        return asyncio.get_running_loop().call_later(seconds, callback)


class SystemRng:
    """Randomness of the operating system for ids and secrets, a fast generator for the rest."""

    def __init__(self) -> None:
        self._random = random.Random()  # noqa: S311 - jitter and choices, never secrets

    def random(self) -> float:
        """Uniform in [0, 1)."""
        return self._random.random()

    token = staticmethod(os.urandom)
