"""Small writes of one turn of the loop, made together at its end.

A write to a socket wakes whoever reads from it, and that costs the writer more than the copy does.  Made back to back,
only the first finds its reader asleep.  What has to be true before anything leaves, such as a record being on disk, is
made true once for all of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

_LARGE_BYTES: Final = 64 * 1024
"""So much goes out at once: holding it back saves nothing, and its sender has to learn soon that it is too much."""


class Outbox:
    """Takes what is to be written, in order; for one event loop.

    Args:
        before: called before each round of writes; must not raise.
    """

    __slots__ = ("_before", "_loop", "_pending", "rounds")

    def __init__(self, before: Callable[[], None] | None = None) -> None:
        self._before = before
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pending: list[tuple[asyncio.WriteTransport, bytes]] = []
        self.rounds = 0
        """How often it has written: what was put in before the last round has left."""

    def put(self, transport: asyncio.WriteTransport, data: bytes) -> None:
        """Write `data` at the end of this turn, or at once if there is much of it."""
        pending = self._pending
        if not pending:
            loop = self._loop
            if loop is None:
                loop = self._loop = asyncio.get_running_loop()
            loop.call_soon(self.flush)
        pending.append((transport, data))
        if len(data) > _LARGE_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write everything now; closed transports are passed over."""
        pending = self._pending
        if not pending:
            return
        self._pending = []
        self.rounds += 1
        if self._before is not None:
            self._before()
        for transport, data in pending:
            if not transport.is_closing():
                transport.write(data)
