"""The state of many machines: limits and budgets that any number of processes share, exactly, on a Redis or Valkey server."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Final
from weakref import WeakKeyDictionary

import redis
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from fairlead.errors import ConfigError
from fairlead.ports import Clock
from fairlead.stores.redis_state_ledger import Booked, RedisLedger, SeedSpent
from fairlead.stores.redis_state_limits import RedisLimits
from fairlead.stores.redis_state_link import Wire
from fairlead.stores.redis_state_place import LEASE_S, Place

_SCHEMES: Final = {"redis": "redis", "rediss": "rediss", "valkey": "redis", "valkeys": "rediss"}
_ANONYMOUS: Final[dict[str, Any]] = (
    {"driver_info": None} if hasattr(redis, "DriverInfo") else {"lib_name": None, "lib_version": None}
)
"""So that no connection looks up on disk which version of redis-py it is; before 7.1 it had other names."""
_CONNECT_S: Final = 1.0
_CLOSING_S: Final = 5.0


class RedisState:
    """`ledger` and `limits` of this process on the shared server; what it leaves behind at its death comes back.

    Nothing is connected before the first call.  Each event loop has a connection of its own.

    Args:
        dial: makes connections, as `dialer` does.
        store: a name of the store that `seed_spent` and `booked` ask, the same for all processes that share it.
        lease_s: after so long a process that does not tell of itself any more counts as dead.
        moment: microseconds as text, in place of the server's clock, for tests.
    """

    def __init__(
        self,
        dial: Callable[[], Wire],
        clock: Clock,
        *,
        seed_spent: SeedSpent,
        booked: Booked,
        store: str,
        lease_s: float = LEASE_S,
        moment: Callable[[], str] = str,
    ) -> None:
        self._lock = threading.Lock()
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, Place] = WeakKeyDictionary()
        self.ledger = RedisLedger(self._here, clock, seed_spent=seed_spent, booked=booked)
        self.limits = RedisLimits(self._here, clock)
        self._join = partial(
            Place,
            dial,
            clock,
            store,
            lease_s=lease_s,
            moment=moment,
            lost=self.ledger.lost,
            orphaned=self.ledger.orphaned,
        )

    @property
    def degraded(self) -> dict[str, str]:
        """The features that do not run as configured, and how they run."""
        with self._lock:
            failing = any(place.link.failing for place in self._places.values())
        found = {}
        if failing or self.limits.degraded:
            found["limits"] = "local"
        if failing:
            found["budgets"] = "closed"
        return found

    async def aclose(self) -> None:
        """Tell the server what is settled and released, and give up the places of this process; harmless twice."""
        with self._lock:
            places = dict(self._places)
        await self.ledger.aclose()
        here = asyncio.get_running_loop()
        for loop, place in places.items():
            if loop is here:
                await place.link.aclose(place.leave)
            elif loop.is_running():
                closing = asyncio.run_coroutine_threadsafe(place.link.aclose(place.leave), loop)
                await asyncio.wait({asyncio.wrap_future(closing)}, timeout=_CLOSING_S)

    def _here(self) -> Place:
        loop = asyncio.get_running_loop()
        place = self._places.get(loop)
        if place is None:
            place = self._join()
            with self._lock:
                self._places[loop] = place
        return place


def dialer(url: str) -> Callable[[], Wire]:
    """Makes connections to the server of `redis://`, `rediss://`, `valkey://` or `valkeys://[USER:PASSWORD@]HOST[:PORT][/DB]`.

    Raises:
        ConfigError: not such an URL.
    """
    scheme, colon, rest = url.partition(":")
    try:
        pool: ConnectionPool = ConnectionPool.from_url(
            _SCHEMES.get(scheme, scheme) + colon + rest,
            protocol=2,
            socket_timeout=None,
            socket_connect_timeout=_CONNECT_S,
            health_check_interval=0,
            retry=Retry(NoBackoff(), 0),
            client_name="fairlead",
            **_ANONYMOUS,
        )
        dial: Callable[[], Wire] = pool.make_connection
        dial()
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"`[state] url` is no address of a Redis server: {error}; write it as `redis://HOST:6379/0`"
        ) from error
    return dial
