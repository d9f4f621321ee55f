"""Says what holds up the event loop of a worker, while it does (FAULTS P10)."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from typing import Final

STALL_S: Final = 1.0
"""A loop that did nothing else for so long is held up."""

_log = logging.getLogger("fairlead")


class Watchdog:
    """A thread that looks whether the loop still turns; one that does not is logged with its stack, once each time.

    The stack names files, lines and functions, and no values.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, *, stall_s: float = STALL_S) -> None:
        self._loop = loop
        self._stall_s = stall_s
        self._watched = threading.get_ident()
        self._turned = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Call it on the thread of the loop."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking; blocks for no longer than a look takes."""
        self._ended.set()
        self._turned.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(self._stall_s):
            self._turned.clear()
            if self._ended.is_set():  # `stop` may have come in between, and it blocks the loop until this thread ends
                return
            try:
                self._loop.call_soon_threadsafe(self._turned.set)
            except RuntimeError:  # the loop is closed
                return
            if not self._turned.wait(self._stall_s):
                self._tell()
                self._turned.wait()

    def _tell(self) -> None:
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001 - there is no public way
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        _log.error("the event loop has not turned for %.1f s; it is in\n%s", self._stall_s, stack)
