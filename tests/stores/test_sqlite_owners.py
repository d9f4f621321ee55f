"""Whose the answers are that providers keep, in SQLite."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fairlead.ports import Kept
from fairlead.stores.sqlite import SqliteStore
from fairlead.stores.sqlite_owners import KEPT_DAYS
from fairlead.telemetry.metrics import count

DAY_NS = 24 * 3_600 * 10**9


def kept(at_ns: int) -> Kept:
    return Kept(provider="p", credential="default", model="m", at_ns=at_ns)


async def test_what_no_provider_has_any_more_is_forgotten(tmp_path: Path) -> None:
    """With each new one a few of the old ones go, so that there is an end to them."""
    store = SqliteStore(tmp_path / "fairlead.db", count=count)
    await asyncio.to_thread(store.migrate)
    for number in range(25):
        await store.owners.remember("t", f"old_{number}", kept(number))
    now_ns = (KEPT_DAYS + 1) * DAY_NS
    await store.owners.remember("t", "young", kept(now_ns - DAY_NS))
    for number in range(3):
        await store.owners.remember("t", f"new_{number}", kept(now_ns))
    left = [
        name
        for name in (*(f"old_{number}" for number in range(25)), "young", "new_0", "new_1", "new_2")
        if await store.owners.find("t", name)
    ]
    await store.aclose()
    assert left == ["young", "new_0", "new_1", "new_2"]
