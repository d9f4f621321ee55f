"""The virtual clock, its loop and the seeded generator."""

from __future__ import annotations

import asyncio
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.ports import Clock, Rng
from fairlead.testing.clock import LoopClock, SeededRng, VirtualClock, virtual_run

HOUR_S = 3600.0


async def test_time_stands_still_until_it_is_advanced() -> None:
    """Without autojump a sleeper wakes only once `advance` has passed its time."""
    clock = VirtualClock(autojump=False)
    sleeper = asyncio.create_task(clock.sleep(5))
    await clock.advance(4.9)
    assert not sleeper.done()
    await clock.advance(0.1)
    assert sleeper.done()


async def test_advance_fires_each_timer_at_its_own_time() -> None:
    """A timer that fires during `advance` sees its own instant, and may set a further one inside the same span."""
    clock = VirtualClock(autojump=False)
    start_ns = clock.monotonic_ns()
    seen: list[int] = []

    async def tick() -> None:
        for _ in range(3):
            await clock.sleep(10)
            seen.append((clock.monotonic_ns() - start_ns) // 10**9)

    task = asyncio.create_task(tick())
    await clock.advance(60)
    assert seen == [10, 20, 30]
    assert (clock.monotonic_ns() - start_ns) == 60 * 10**9
    await task


async def test_an_idle_plain_loop_jumps_to_the_next_timer() -> None:
    """With autojump an hour passes in well under a second on the loop of an ordinary test."""
    clock = VirtualClock()
    began, start_ns = time.perf_counter(), clock.monotonic_ns()
    await clock.sleep(HOUR_S)
    assert clock.monotonic_ns() - start_ns == HOUR_S * 10**9
    assert time.perf_counter() - began < 1


async def test_a_busy_plain_loop_does_not_jump() -> None:
    """Time does not move while a task still has steps to run."""
    clock = VirtualClock()
    start_ns = clock.monotonic_ns()
    sleeper = asyncio.create_task(clock.sleep(1))
    for _ in range(500):
        await asyncio.sleep(0)
    assert clock.monotonic_ns() == start_ns
    await sleeper


async def test_a_cancelled_timer_neither_fires_nor_moves_time() -> None:
    """A cancelled timer is as if it had never been set."""
    clock = VirtualClock()
    start_ns, fired = clock.monotonic_ns(), []
    clock.timer(5, lambda: fired.append(5)).cancel()
    await clock.sleep(1)
    assert (clock.monotonic_ns() - start_ns, fired, clock.pending) == (10**9, [], 0)


async def test_a_cancelled_sleep_leaves_no_timer_behind() -> None:
    """Cancelling a sleeper takes its timer away."""
    clock = VirtualClock(autojump=False)
    sleeper = asyncio.create_task(clock.sleep(5))
    await clock.settle()
    assert clock.pending == 1
    sleeper.cancel()
    await clock.settle()
    assert clock.pending == 0


async def test_advance_and_autojump_live_together() -> None:
    """`advance` on a clock that also jumps by itself moves by exactly what it was told."""
    clock = VirtualClock()
    sleeper = asyncio.create_task(clock.sleep(100))
    start_ns = clock.monotonic_ns()
    await clock.advance(30)
    assert clock.monotonic_ns() - start_ns == 30 * 10**9
    await sleeper
    assert clock.monotonic_ns() - start_ns == 100 * 10**9


async def test_two_tasks_cannot_advance_at_once() -> None:
    """A second `advance` while one is under way is refused."""
    clock = VirtualClock(autojump=False)
    first = asyncio.create_task(clock.advance(1))
    await asyncio.sleep(0)
    with pytest.raises(RuntimeError, match="another task"):
        await clock.advance(1)
    await first


async def test_a_spinning_task_is_reported() -> None:
    """`settle` gives up on a task that runs for ever without waiting for time."""
    clock = VirtualClock(autojump=False)

    async def spin() -> None:
        while True:  # noqa: ASYNC110 - the fault that is looked for
            await asyncio.sleep(0)

    task = asyncio.create_task(spin())
    with pytest.raises(RuntimeError, match="spins"):
        await clock.settle()
    task.cancel()


async def test_the_wall_clock_steps_without_the_monotonic_one() -> None:
    """A time server's step moves only the wall clock."""
    clock = VirtualClock(autojump=False)
    monotonic_ns, now_ns = clock.monotonic_ns(), clock.now_ns()
    clock.step_wall(-HOUR_S)
    assert clock.monotonic_ns() == monotonic_ns
    assert clock.now_ns() == now_ns - HOUR_S * 10**9


def test_asyncio_itself_is_virtual_on_a_virtual_loop() -> None:
    """`asyncio.sleep`, `asyncio.timeout` and the clock agree on one time, and an hour takes no time."""
    clock = VirtualClock()
    began = time.perf_counter()

    async def main() -> list[str]:
        order = []

        async def wait() -> None:
            await clock.sleep(1_800)
            order.append("clock")
            await asyncio.sleep(1_799)
            order.append("asyncio")
            await asyncio.get_running_loop().create_future()

        start_ns = clock.monotonic_ns()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait(), HOUR_S)
        assert (clock.monotonic_ns() - start_ns) / 10**9 == pytest.approx(HOUR_S, abs=1e-6)
        return order

    assert virtual_run(main(), clock) == ["clock", "asyncio"]
    assert time.perf_counter() - began < 1


def test_a_virtual_loop_waits_for_threads() -> None:
    """A deadline does not overtake a thread that is still at work."""

    async def main() -> str:
        async with asyncio.timeout(1):
            return await asyncio.to_thread(lambda: time.sleep(0.02) or "done")

    assert virtual_run(main()) == "done"


def test_a_virtual_loop_lets_sockets_through_before_it_jumps() -> None:
    """Bytes on their way over loopback arrive before a deadline passes."""

    async def main() -> bytes:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(await reader.readexactly(4))
            writer.close()

        server = await asyncio.start_server(echo, "127.0.0.1", 0)
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.write(b"ping")
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
        server.close()
        return answer

    assert virtual_run(main()) == b"ping"


def test_the_loop_clock_follows_its_loop() -> None:
    """`LoopClock` on a virtual loop shows virtual time and its timers fire in it."""

    async def main() -> tuple[float, bool]:
        clock, fired = LoopClock(), asyncio.Event()
        start_ns = clock.monotonic_ns()
        clock.timer(90, fired.set)
        await clock.sleep(120)
        return (clock.monotonic_ns() - start_ns) / 10**9, fired.is_set()

    elapsed_s, fired = virtual_run(main())
    assert (round(elapsed_s, 6), fired) == (120, True)


@given(st.lists(st.floats(min_value=0.001, max_value=1e6), min_size=1, max_size=20))
def test_sleepers_wake_in_the_order_of_their_times(delays_s: list[float]) -> None:
    """Whatever the delays, sleepers wake in order of time, and those of equal times in order of arrival."""
    clock = VirtualClock()

    async def main() -> list[int]:
        woken: list[int] = []

        async def sleeper(number: int) -> None:
            await clock.sleep(delays_s[number])
            woken.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(len(delays_s)):
                group.create_task(sleeper(number))
        return woken

    expected = sorted(range(len(delays_s)), key=lambda number: math.ceil(delays_s[number] * 10**9))
    assert virtual_run(main(), clock) == expected


def test_the_same_seed_gives_the_same_numbers() -> None:
    """Two generators of one seed agree, and another seed differs."""
    one, two, other = SeededRng(7), SeededRng(7), SeededRng(8)
    drawn = [one.random(), one.token(8)]
    assert drawn == [two.random(), two.token(8)]
    assert drawn != [other.random(), other.token(8)]
    assert 0 <= one.random() < 1


def test_the_clocks_and_the_generator_are_ports() -> None:
    """They fit the Protocols of `fairlead.ports` (mypy checks the signatures)."""
    clocks: list[Clock] = [VirtualClock(), LoopClock()]
    rng: Rng = SeededRng(1)
    assert len(rng.token(16)) == 16
    assert clocks[0].now_ns() > 0
