from __future__ import annotations

import asyncio

from fairlead.ports import Clock

YEAR_NS = 365 * 86_400 * 10**9


async def test_sleep_lasts_at_least_as_long_as_asked(clock: Clock) -> None:
    """The monotonic clock has moved by the whole sleep."""
    before = clock.monotonic_ns()
    await clock.sleep(0.01)
    assert clock.monotonic_ns() - before >= 10_000_000


async def test_timer_calls_back_once(clock: Clock) -> None:
    """A timer fires once, after its time."""
    fired: list[int] = []
    before = clock.monotonic_ns()
    clock.timer(0.01, lambda: fired.append(clock.monotonic_ns()))
    await clock.sleep(0.05)
    assert len(fired) == 1
    assert fired[0] - before >= 9_000_000


async def test_cancelled_timer_stays_silent(clock: Clock) -> None:
    """A timer that was called off never fires, and calling it off again is harmless."""
    fired: list[None] = []
    timer = clock.timer(0.01, lambda: fired.append(None))
    timer.cancel()
    timer.cancel()
    await clock.sleep(0.03)
    assert fired == []


async def test_wall_clock_is_unix_time_in_nanoseconds(clock: Clock) -> None:
    """It lies between 2025 and 2100."""
    assert 55 * YEAR_NS < clock.now_ns() < 131 * YEAR_NS


async def test_sleepers_wake_in_order(clock: Clock) -> None:
    """A shorter sleep ends first, whoever began first."""
    woken: list[str] = []

    async def sleeper(name: str, seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append(name)

    async with asyncio.TaskGroup() as group:
        group.create_task(sleeper("long", 0.06))
        group.create_task(sleeper("short", 0.01))
    assert woken == ["short", "long"]
