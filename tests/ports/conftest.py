"""One fixture a port; a further adapter joins the suite as a further parameter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fairlead.call import Secret
from fairlead.dialects.openai_chat import OPENAI_CHAT
from fairlead.ports import Clock, KeyStore, Ledger, Limits, LogStore, Owners, Provider, Rng
from fairlead.providers import facts
from fairlead.providers.http import HttpProvider
from fairlead.providers.sim import Fault, SimSettings, SimTransport, Simulator
from fairlead.providers.transport import Incoming, Transport
from fairlead.stores.keycache import CachedKeys
from fairlead.stores.memory import MemoryLedger, MemoryLimits
from fairlead.stores.redis_state import RedisState, dialer
from fairlead.stores.sqlite import SqliteStore
from fairlead.stores.sqlite_state import SqliteState
from fairlead.stores.system import SystemClock, SystemRng
from fairlead.telemetry.metrics import count
from fairlead.testing import FakeOwners, FakeTransport, SeededRng, VirtualClock, answers
from fairlead.testing.openai_chat import openai_error, openai_reply, openai_stream
from redis_clients import in_process, virtual_state


@pytest.fixture
def time() -> VirtualClock:
    return VirtualClock(autojump=False)


@pytest.fixture
def spent() -> dict[str, int]:
    """What the store says was spent before, by scope."""
    return {}


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    store = SqliteStore(tmp_path / "fairlead.db", count=count)
    await asyncio.to_thread(store.migrate)
    yield store
    await store.aclose()


@pytest.fixture
async def state(tmp_path: Path, time: VirtualClock, spent: dict[str, int]) -> AsyncIterator[SqliteState]:
    """One process's place at the shared state."""

    async def seed(scope: str, since_ns: int) -> int:
        return spent.get(scope, 0)

    async def booked(call_id: str, attempt: int, reserved_nanousd: int) -> int | None:
        return None

    opened = await asyncio.to_thread(SqliteState, tmp_path / "state.db", time, seed_spent=seed, booked=booked)
    yield opened
    await opened.aclose()


STATES = [
    "memory",
    "sqlite",
    "redis in process",
    pytest.param("redis", marks=pytest.mark.slow),
]
"""Where limits and reservations are counted."""


@pytest.fixture
async def redis(request: pytest.FixtureRequest, time: VirtualClock, spent: dict[str, int]) -> AsyncIterator[RedisState]:
    """One process's place at a server of its own."""
    opened = virtual_state(dialer(request.getfixturevalue("redis_server").url), time, spent)
    yield opened
    await opened.aclose()


@pytest.fixture
async def redis_in_process(time: VirtualClock, spent: dict[str, int]) -> AsyncIterator[RedisState]:
    """One process's place at a server in this process."""
    opened = virtual_state(in_process(), time, spent)
    yield opened
    await opened.aclose()


FIXTURES = {"sqlite": "state", "redis": "redis", "redis in process": "redis_in_process"}


@pytest.fixture(params=STATES)
def ledger(request: pytest.FixtureRequest, time: VirtualClock, spent: dict[str, int]) -> Ledger:
    async def seed(scope: str, since_ns: int) -> int:
        return spent.get(scope, 0)

    if request.param == "memory":
        return MemoryLedger(time, seed)
    return request.getfixturevalue(FIXTURES[request.param]).ledger  # type: ignore[no-any-return]


@pytest.fixture(params=STATES)
def limits(request: pytest.FixtureRequest, time: VirtualClock) -> Limits:
    if request.param == "memory":
        return MemoryLimits(time)
    return request.getfixturevalue(FIXTURES[request.param]).limits  # type: ignore[no-any-return]


@pytest.fixture(params=["sqlite", "cached sqlite"])
def keys(request: pytest.FixtureRequest, sqlite: SqliteStore, time: VirtualClock) -> KeyStore:
    return CachedKeys(sqlite.keys, time) if request.param == "cached sqlite" else sqlite.keys


@pytest.fixture(params=["sqlite"])
def logs(sqlite: SqliteStore) -> LogStore:
    return sqlite.logs


@pytest.fixture(params=["sqlite", "fake"])
def owners(request: pytest.FixtureRequest, sqlite: SqliteStore) -> Owners:
    return FakeOwners() if request.param == "fake" else sqlite.owners


@pytest.fixture(params=["system", "virtual"])
def clock(request: pytest.FixtureRequest) -> Clock:
    return SystemClock() if request.param == "system" else VirtualClock()


@pytest.fixture(params=["system", "seeded"])
def rng(request: pytest.FixtureRequest) -> Rng:
    return SystemRng() if request.param == "system" else SeededRng(7)


class Watched:
    """A transport that counts the connections in use."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.in_use = 0
        self.closed = False

    async def send(self, head: bytes, body: bytes, connect_timeout_s: float) -> Incoming:
        self.in_use += 1
        try:
            return _Answer(await self._transport.send(head, body, connect_timeout_s), self)
        except BaseException:
            self.in_use -= 1
            raise

    async def aclose(self) -> None:
        self.closed = True
        await self._transport.aclose()


class _Answer:
    def __init__(self, incoming: Incoming, transport: Watched) -> None:
        self.status = incoming.status
        self.headers = incoming.headers
        self._incoming = incoming
        self._transport = transport
        self._over = False

    @property
    def ended(self) -> bool:
        return self._incoming.ended

    async def read(self, limit: int) -> bytes:
        body = await self._incoming.read(limit)
        self._free()
        return body

    def __aiter__(self) -> _Answer:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._incoming.__anext__()
        except StopAsyncIteration:
            self._free()
            raise

    def abort(self, error: BaseException | None = None) -> None:
        self._incoming.abort(error)
        self._free()

    def _free(self) -> None:
        if not self._over:
            self._over = True
            self._transport.in_use -= 1


@dataclass
class Upstream:
    """A provider, and the connections below it."""

    provider: Provider
    transport: Watched


FAKE = {
    "whole": openai_reply("Hello."),
    "stream": openai_stream(["Hel", "lo."]),
    "refused": openai_error(400, "no"),
    "limited": openai_error(429, "slow down", headers={"retry-after": "7"}),
    "down": openai_error(500, "no"),
    "broken": answers.refuse(),
    "silent": answers.blackhole(),
    "html": answers.html(200),
    "stalling": openai_stream(["Hel", "lo.", "x"]).stall(openai_stream(["Hel", "lo.", "x"]).offset(2)),
    "torn": openai_stream(["Hel", "lo.", "x"], cut_at=openai_stream(["Hel", "lo.", "x"]).offset(3)),
    "error in a 200": answers.sse([{"error": {"message": "no", "code": "overloaded_error"}}]),
}
SIM = {
    "whole": SimSettings(),
    "stream": SimSettings(),
    "refused": SimSettings(faults=(Fault(kind="status", status=400),)),
    "limited": SimSettings(faults=(Fault(kind="rate_limit", retry_after="7"),)),
    "down": SimSettings(faults=(Fault(kind="status", status=500),)),
    "broken": SimSettings(faults=(Fault(kind="reset"),)),
    "silent": SimSettings(latency_s=3600.0),
    "html": SimSettings(faults=(Fault(kind="html"),)),
    "stalling": SimSettings(faults=(Fault(kind="stall", after_chunks=1),)),
    "torn": SimSettings(faults=(Fault(kind="cut", after_chunks=2),)),
    "error in a 200": SimSettings(faults=(Fault(kind="error_event"),)),
}


@pytest.fixture(params=["fake", "simulator"])
def upstream(request: pytest.FixtureRequest, time: VirtualClock) -> Callable[[str], Upstream]:
    """A provider whose upstream behaves in the named way."""

    def made(behaviour: str) -> Upstream:
        if request.param == "fake":
            below: Transport = FakeTransport(default=FAKE[behaviour], clock=time)
        else:
            below = SimTransport(Simulator(SIM[behaviour]), time)
        transport = Watched(below)
        provider = HttpProvider(
            name="p",
            speaks=(OPENAI_CHAT,),
            vendor=facts.load().stand_ins["openai_chat"],
            transport=transport,
            host="h",
            base_path="/v1",
            credentials={"default": Secret("sk-own")},
            clock=time,
        )
        return Upstream(provider, transport)

    return made
