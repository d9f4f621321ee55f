"""What holds up a worker is said while it does."""

from __future__ import annotations

import asyncio
import logging
import threading
import time

import pytest

from fairlead.gateway.watchdog import Watchdog


@pytest.fixture
def blocking() -> None:
    """Here the loop is to be blocked; in place of the fixture that forbids it."""


def hold_up(until: threading.Event) -> None:
    until.wait(10)


async def test_p10_a_blocked_loop_is_logged_with_its_stack_once(caplog: pytest.LogCaptureFixture) -> None:
    """The function that blocks is named, and how long it has been so."""
    told = threading.Event()

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.set()

    handler = Heard()
    logging.getLogger("fairlead").addHandler(handler)
    watchdog = Watchdog(asyncio.get_running_loop(), stall_s=0.05)
    watchdog.start()
    try:
        hold_up(told)
        time.sleep(0.3)  # noqa: ASYNC251 - it goes on being held up
        await asyncio.sleep(0.3)
    finally:
        logging.getLogger("fairlead").removeHandler(handler)
        await asyncio.to_thread(watchdog.stop)

    (said,) = [each.getMessage() for each in caplog.records if "in hold_up" in each.getMessage()]
    assert "has not turned for 0.1 s" in said


async def test_an_end_that_comes_as_it_begins_to_look_is_no_deadlock(caplog: pytest.LogCaptureFixture) -> None:
    """Who stops it blocks the loop, so waiting for the loop to turn would be waiting for oneself."""
    looking = threading.Event()

    class SetFirst(threading.Event):
        def clear(self) -> None:
            looking.set()
            self.wait()
            super().clear()

    watchdog = Watchdog(asyncio.get_running_loop(), stall_s=0.05)
    watchdog._turned = SetFirst()
    watchdog.start()
    looking.wait()
    rescue = threading.Timer(5, watchdog._turned.set)
    rescue.start()
    watchdog.stop()
    assert rescue.is_alive(), "it waited until it was let out"
    rescue.cancel()
    assert caplog.records == []
