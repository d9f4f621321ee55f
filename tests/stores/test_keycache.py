from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from fairlead.errors import StateUnavailable
from fairlead.ports import ScopeLimits, StoredKey
from fairlead.stores.keycache import CachedKeys
from fairlead.testing import VirtualClock
from fairlead.types import Principal


class Keys:
    """A key store that counts how often it is asked, and can be down."""

    def __init__(self) -> None:
        self.known: dict[str, StoredKey] = {}
        self.moved = 0
        self.asked = 0
        self.listed = 0
        self.down = False

    def add(self, key_id: str) -> None:
        self.known[key_id] = StoredKey(id=key_id, digest=b"d", name=key_id)
        self.moved += 1

    def _check(self) -> None:
        if self.down:
            raise StateUnavailable("down")

    async def find(self, key_id: str) -> tuple[StoredKey, Principal] | None:
        self.asked += 1
        self._check()
        key = self.known.get(key_id)
        await asyncio.sleep(0)
        return None if key is None else (key, Principal(key_id=key_id))

    async def save(self, key: StoredKey) -> None:
        self._check()
        self.add(key.id)

    async def keys(self) -> Sequence[StoredKey]:
        self.listed += 1
        self._check()
        return list(self.known.values())

    async def limit(self, scope: str, limits: ScopeLimits | None) -> None:
        self._check()
        self.moved += 1

    async def generation(self) -> int:
        self._check()
        return self.moved


@pytest.fixture
def store() -> Keys:
    store = Keys()
    store.add("a")
    return store


async def test_a_known_key_is_asked_for_once(store: Keys, clock: VirtualClock) -> None:
    """The second call does not reach the store."""
    cached = CachedKeys(store, clock)
    assert await cached.find("a") == await cached.find("a")
    assert store.asked == 1


async def test_an_unknown_key_is_not_asked_for(store: Keys, clock: VirtualClock) -> None:
    """Made-up keys are told from the list of those that there are, which is read once."""
    cached = CachedKeys(store, clock)
    assert [await cached.find("x") for _ in range(5)] == [None] * 5
    assert (store.asked, store.listed) == (0, 1)


async def test_a_key_is_good_a_moment_after_it_was_made(store: Keys, clock: VirtualClock) -> None:
    """Also where nobody has called `refresh` meanwhile."""
    cached = CachedKeys(store, clock)
    assert await cached.find("new") is None
    store.add("new")
    await clock.advance(0.1)
    assert await cached.find("new") is not None


async def test_what_is_remembered_is_bounded(store: Keys, clock: VirtualClock) -> None:
    """The least recently used key goes first, and a flood of unknown ones pushes none out and asks for nothing."""
    cached = CachedKeys(store, clock, found_kept=2)
    for key_id in ("b", "c"):
        store.add(key_id)
    await cached.find("a")
    await cached.find("b")
    asked = store.asked
    for number in range(100):
        assert await cached.find(f"x{number}") is None
    await cached.find("a")
    assert store.asked == asked
    await cached.find("c")
    await cached.find("b")
    assert store.asked == asked + 2


async def test_a_moved_generation_forgets(store: Keys, clock: VirtualClock) -> None:
    """A revocation elsewhere counts at the next refresh; without a change nothing is asked again."""
    cached = CachedKeys(store, clock)
    await cached.refresh()
    await cached.find("a")
    await cached.refresh()
    await cached.find("a")
    assert store.asked == 1
    del store.known["a"]
    store.moved += 1
    await cached.refresh()
    assert await cached.find("a") is None


async def test_an_answer_from_before_a_change_is_not_remembered(store: Keys, clock: VirtualClock) -> None:
    """A lookup under way while the generation moves does not bring the old state back."""
    cached = CachedKeys(store, clock)
    await cached.refresh()
    under_way = asyncio.create_task(cached.find("a"))
    await asyncio.sleep(0)
    del store.known["a"]
    store.moved += 1
    await cached.refresh()
    await under_way
    assert await cached.find("a") is None


async def test_own_changes_count_at_once(store: Keys, clock: VirtualClock) -> None:
    """A key saved through the cache is found, limits set through it show."""
    cached = CachedKeys(store, clock)
    assert await cached.find("b") is None
    await cached.save(StoredKey(id="b", digest=b"d", name="b"))
    assert await cached.find("b") is not None
    asked = store.asked
    await cached.limit("user:u", None)
    await cached.find("b")
    assert store.asked == asked + 1


async def test_known_keys_outlive_the_store_for_a_minute(store: Keys, clock: VirtualClock) -> None:
    """While it is down, remembered keys are good for 60 s, then for nothing."""
    cached = CachedKeys(store, clock)
    await cached.refresh()
    await cached.find("a")
    store.down = True
    await clock.advance(59)
    assert not await cached.refresh()
    assert await cached.find("a") is not None
    await clock.advance(2)
    assert not await cached.refresh()
    with pytest.raises(StateUnavailable):
        await cached.find("a")


async def test_unknown_keys_are_not_refused_while_the_store_is_down(store: Keys, clock: VirtualClock) -> None:
    """A key that is not remembered is *unavailable*, not *invalid*."""
    cached = CachedKeys(store, clock)
    store.down = True
    with pytest.raises(StateUnavailable):
        await cached.find("a")


async def test_it_recovers_by_itself(store: Keys, clock: VirtualClock) -> None:
    """Once the store answers again, so does the cache, without a refresh from outside."""
    cached = CachedKeys(store, clock)
    await cached.find("a")
    store.down = True
    await clock.advance(120)
    with pytest.raises(StateUnavailable):
        await cached.find("a")
    store.down = False
    assert await cached.find("a") is not None


async def test_similar_ids_are_different_keys(store: Keys, clock: VirtualClock) -> None:
    """Prefixes, case, lookalike letters and trailing characters never share an entry."""
    cached = CachedKeys(store, clock)
    assert await cached.find("a") is not None
    for other in ("A", "a ", "aa", "", "\u0430", "a\u0000", "a\u200b"):
        assert await cached.find(other) is None
