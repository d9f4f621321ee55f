"""A read-through cache in front of a `KeyStore`, so that no call waits for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from fairlead.errors import StateUnavailable
from fairlead.ports import Clock, KeyStore, ScopeLimits, StoredKey
from fairlead.types import Principal

STALE_S: Final = 60.0
_FOUND_KEPT: Final = 10_000
_NS: Final = 1_000_000_000
_LOOK_NS: Final = _NS // 10

_NOBODY: Final = ""
"""No key has this id; it is remembered as what is found for those that are not there."""

_Found = tuple[StoredKey, Principal]


class CachedKeys:
    """A `KeyStore` that remembers what it found, and which ids there are, until the generation moves.

    Somebody has to call `refresh` twice a second: a change then counts within a second.  While the store is down, what
    is remembered stays good until `stale_s` after the last successful `refresh`; then, and for keys that are not
    remembered, it is `StateUnavailable`: never open, and never "no such key".

    Args:
        stale_s: how long remembered keys outlive the store.
        found_kept: keys remembered, the least recently used forgotten first.
    """

    def __init__(
        self,
        store: KeyStore,
        clock: Clock,
        *,
        stale_s: float = STALE_S,
        found_kept: int = _FOUND_KEPT,
    ) -> None:
        self._store = store
        self._clock = clock
        self._stale_ns = round(stale_s * _NS)
        self._found_kept = found_kept
        self._found: OrderedDict[str, _Found | None] = OrderedDict({_NOBODY: None})
        self._ids: frozenset[str] | None = None
        """All that there are, once somebody came with one that is not remembered: made-up keys reach no store."""
        self._looked_ns = clock.monotonic_ns()
        self._generation: int | None = None
        self._epoch = 0
        """Moves with every forgetting, so that an answer asked for before is not remembered after."""
        self._confirmed_ns = clock.monotonic_ns()

    async def refresh(self) -> bool:
        """Ask the store whether anything changed, and forget everything if so; false if the store is down."""
        try:
            generation = await self._store.generation()
        except StateUnavailable:
            self._ids = None  # a key that is not remembered may be a new one
            if self._is_stale():
                self._forget()
            return False
        if generation != self._generation:
            self._generation = generation
            self._forget()
        self._confirmed_ns = self._clock.monotonic_ns()
        return True

    async def find(self, key_id: str) -> _Found | None:
        """The key and its principal, from memory where it is known there.

        Raises:
            StateUnavailable: not remembered, and the store cannot answer.
        """
        if self._is_stale():
            await self._renew()
        # The same steps whether there is such a key or not, so that the time of a refusal does not tell (FAULTS A2).
        name = key_id if key_id in self._found else _NOBODY
        found = self._found[name]
        if len(self._found) > self._found_kept // 2:  # nothing is about to be forgotten before
            self._found.move_to_end(name)
        made_up = self._is_made_up(key_id)
        if made_up or found is not None:
            return found
        if not await self._exists(key_id):
            return None
        epoch = self._epoch
        answer = await self._store.find(key_id)
        if answer is not None and epoch == self._epoch:
            self._remember(key_id, answer)
        return answer

    async def save(self, key: StoredKey) -> None:
        """Create or replace.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        await self._store.save(key)
        self._forget()

    async def keys(self) -> Sequence[StoredKey]:
        """All of them, newest first.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        return await self._store.keys()

    async def limit(self, scope: str, limits: ScopeLimits | None) -> None:
        """Set or clear the limits of a scope.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        await self._store.limit(scope, limits)
        self._forget()

    async def generation(self) -> int:
        """The store's.

        Raises:
            StateUnavailable: the store cannot answer.
        """
        return await self._store.generation()

    def _is_made_up(self, key_id: str) -> bool:
        """Whether it was looked for a moment ago, among all that there are, and is none of them."""
        fresh = self._clock.monotonic_ns() - self._looked_ns < _LOOK_NS
        return self._ids is not None and fresh and key_id not in self._ids

    async def _exists(self, key_id: str) -> bool:
        """Whether there is such a key; however many made-up ones come, the store is asked ten times a second at most."""
        now_ns = self._clock.monotonic_ns()
        if self._ids is not None and key_id not in self._ids and now_ns - self._looked_ns >= _LOOK_NS:
            self._looked_ns = now_ns
            await self.refresh()  # it may have been made a moment ago
        ids = self._ids
        if ids is None:
            epoch = self._epoch
            ids = frozenset([key.id for key in await self._store.keys()])
            if epoch == self._epoch:
                self._ids = ids
        return key_id in ids

    def _is_stale(self) -> bool:
        return self._clock.monotonic_ns() - self._confirmed_ns > self._stale_ns

    async def _renew(self) -> None:
        """Nobody confirmed the memory for too long: confirm it now or do without it."""
        if not await self.refresh():
            raise StateUnavailable("keys cannot be checked right now, as the key store does not answer")

    def _forget(self) -> None:
        self._found.clear()
        self._found[_NOBODY] = None
        self._ids = None
        self._epoch += 1

    def _remember(self, key_id: str, answer: _Found) -> None:
        self._found[key_id] = answer
        if len(self._found) > self._found_kept + 1:
            self._found.move_to_end(_NOBODY)
            self._found.popitem(last=False)
