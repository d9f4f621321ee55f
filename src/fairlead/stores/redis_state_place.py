"""One event loop's place at the shared state: its name, its link, and what it holds, which its heartbeats repeat.

A heartbeat carries the number of permits of every scope as this place knows it.  So what a lost answer has left unclear
is right again within a second, and a server that has lost its data learns what is under way.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from typing import Any, Final

from fairlead.ports import Clock
from fairlead.stores.redis_state_link import Order, RedisLink, Wire
from fairlead.stores.redis_state_scripts import BEAT, LEAVE, TAG

LEASE_S: Final = 30.0
"""How long a process that does not tell of itself keeps its permits."""
GRACE_S: Final = 3.0
"""How long budgets stay closed after the server has lost its data: until all have told what they know."""
_RUN: Final = TAG + "run:"
_SCOPES_AT_ONCE: Final = 100


class Place:
    """Who takes part.

    Args:
        store: which store's records it reads: what another store knows was spent comes on top.
        lost: told when the server has lost what it knew.
        orphaned: told of reservations of this store whose process is gone, as call, attempt and amount.
    """

    def __init__(
        self,
        dial: Callable[[], Wire],
        clock: Clock,
        store: str,
        *,
        lease_s: float,
        moment: Callable[[], str],
        lost: Callable[[Place], None],
        orphaned: Callable[[Place, tuple[tuple[str, int, int], ...]], None],
    ) -> None:
        self.name = f"{os.getpid()}-{secrets.token_hex(6)}"
        """Unlike any other."""
        self.store = store
        self.epoch = ""
        self.processes = 1
        self.lease_us = round(lease_s * 1_000_000)
        self._lost = lost
        self._orphaned = orphaned
        self._running: dict[str, int] = {}
        self._unclear: set[str] = set()
        """Scopes of which the server may know another number."""
        self.link = RedisLink(dial, clock, moment=moment, beats=self.beats)

    def run(self, scope: str, more: int) -> None:
        """The server has counted so many permits more, or fewer."""
        left = self._running.get(scope, 0) + more
        if left > 0:
            self._running[scope] = left
        else:
            self._running.pop(scope, None)

    def doubt(self, scope: str) -> None:
        """Nobody knows whether the server has counted; the next heartbeat sets it right."""
        self._unclear.add(scope)

    def beats(self) -> Sequence[Order]:
        """This place is alive, and this is what it holds."""
        scopes = sorted(self._running.keys() | self._unclear)
        self._unclear.clear()
        parts = [scopes[at : at + _SCOPES_AT_ONCE] for at in range(0, len(scopes), _SCOPES_AT_ONCE)] or [[]]
        return [self._beat(part) for part in parts]

    def leave(self) -> Sequence[Order]:
        """Give back all permits, and be gone."""
        scopes = sorted(self._running.keys() | self._unclear)
        return [Order(LEAVE, [run_key(scope) for scope in scopes], [self.name, self.lease_us])]

    def _beat(self, scopes: Sequence[str]) -> Order:
        grace_us = round(GRACE_S * 1_000_000) if self.processes > 1 else 0
        args: list[str | int] = [self.name, self.lease_us, self.epoch, secrets.token_hex(8), grace_us, self.store]
        args += [self._running.get(scope, 0) for scope in scopes]
        return Order(
            BEAT,
            [run_key(scope) for scope in scopes],
            args,
            done=self._beaten,
            dropped=lambda: self._unclear.update(scopes),
        )

    def _beaten(self, reply: Any) -> None:
        epoch, _, processes, orphans = reply
        before, self.epoch = self.epoch, epoch.decode()
        self.processes = max(1, processes)
        if before not in ("", self.epoch):
            self._lost(self)
        if orphans:
            self._orphaned(self, tuple(_orphan(member) for member in orphans))


def run_key(scope: str) -> str:
    """Where the permits of a scope are counted."""
    return _RUN + scope


def _orphan(member: bytes) -> tuple[str, int, int]:
    call_id, attempt, amount = member.decode().split("|", 1)[1].rsplit("|", 2)
    return call_id, int(attempt), int(amount)
