"""One fixture a port; a further adapter joins the suite as a further parameter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fairlead.ports import Clock, KeyStore, Ledger, Limits, LogStore
from fairlead.stores.keycache import CachedKeys
from fairlead.stores.memory import MemoryLedger, MemoryLimits
from fairlead.stores.sqlite import SqliteStore
from fairlead.stores.system import SystemClock
from fairlead.telemetry.metrics import count
from fairlead.testing import VirtualClock


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
    store.migrate()
    yield store
    await store.aclose()


@pytest.fixture(params=["memory"])
def ledger(time: VirtualClock, spent: dict[str, int]) -> Ledger:
    async def seed(scope: str, since_ns: int) -> int:
        return spent.get(scope, 0)

    return MemoryLedger(time, seed)


@pytest.fixture(params=["memory"])
def limits(time: VirtualClock) -> Limits:
    return MemoryLimits(time)


@pytest.fixture(params=["sqlite", "cached sqlite"])
def keys(request: pytest.FixtureRequest, sqlite: SqliteStore, time: VirtualClock) -> KeyStore:
    return CachedKeys(sqlite.keys, time) if request.param == "cached sqlite" else sqlite.keys


@pytest.fixture(params=["sqlite"])
def logs(sqlite: SqliteStore) -> LogStore:
    return sqlite.logs


@pytest.fixture(params=["system", "virtual"])
def clock(request: pytest.FixtureRequest) -> Clock:
    return SystemClock() if request.param == "system" else VirtualClock()
