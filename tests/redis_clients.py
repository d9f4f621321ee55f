"""Places at a shared state on a Redis server, or on one in this process that runs the same scripts in a real Lua."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fakeredis import FakeServer
from fakeredis.aioredis import FakeAsyncRedisConnection
from redis.asyncio import ConnectionPool

from fairlead.ports import Timer
from fairlead.stores.redis_state import RedisState
from fairlead.stores.redis_state_link import Wire
from fairlead.stores.system import SystemClock
from fairlead.testing import VirtualClock

EPOCH_US = 1_767_225_600_000_000


class SlowClock:
    """Virtual time to be told, real time to wait for: bytes that are under way take no virtual time.

    Deadlines are twenty times as long as they are: how busy this machine is, is not what is looked at.
    """

    def __init__(self, time: VirtualClock) -> None:
        self._time = time
        self._real = SystemClock()

    def now_ns(self) -> int:
        return self._time.now_ns()

    def monotonic_ns(self) -> int:
        return self._time.monotonic_ns()

    async def sleep(self, seconds: float) -> None:
        await self._real.sleep(seconds)

    def timer(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return self._real.timer(20 * seconds, callback)


def in_process() -> Callable[[], Wire]:
    """Connections to a server in this process."""
    pool: Any = ConnectionPool(connection_class=FakeAsyncRedisConnection, server=FakeServer(), driver_info=None)
    dial: Callable[[], Wire] = pool.make_connection
    return dial


def virtual_state(
    dial: Callable[[], Wire], time: VirtualClock, spent: dict[str, int], booked: int | None = None
) -> RedisState:
    """A state on virtual time, the server's included."""

    async def seed(scope: str, since_ns: int) -> int:
        return spent.get(scope, 0)

    async def ask(call_id: str, attempt: int, reserved_nanousd: int) -> int | None:
        return booked

    return RedisState(
        dial,
        SlowClock(time),
        seed_spent=seed,
        booked=ask,
        store="here",
        moment=lambda: str(EPOCH_US + time.monotonic_ns() // 1_000),
    )
