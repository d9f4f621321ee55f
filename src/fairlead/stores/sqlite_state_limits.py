"""Requests and tokens a minute and concurrency, counted over the processes of one machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from fairlead.core import gcra
from fairlead.errors import StateUnavailable
from fairlead.ports import Claim, Clock, Standing
from fairlead.stores.memory import MemoryLimits
from fairlead.stores.refusals import rate_limited
from fairlead.stores.sqlite_state_thread import StateThread, Work
from fairlead.types import Rate

_NS: Final = 1_000_000_000
_SHOWN_NS: Final = 10 * _NS
"""How long after the last decision of its own a process calls itself degraded, so that a scrape sees it."""


class SqliteLimits:
    """The `Limits` of the processes that share one file; each decision is one transaction with others of its moment.

    While the file cannot be used in time, each process goes by its own share: the limit divided by the processes there
    were.

    Args:
        holder: under which concurrency is taken, so that it comes back when its process dies.
        processes: how many share the limits.
    """

    def __init__(self, thread: StateThread, holder: str, clock: Clock, processes: Callable[[], int]) -> None:
        self._thread = thread
        self._holder = holder
        self._clock = clock
        self._processes = processes
        self._own_share = MemoryLimits(clock)
        self._open: dict[int, tuple[Sequence[Claim], int]] = {}
        """Claims that are held, by the identity of their sequence, and since when."""
        self._shares: dict[int, tuple[Sequence[Claim], Sequence[Claim]]] = {}
        """Claims that were decided here alone, and what was taken of the share for them."""
        self._shared_at_ns: int | None = None

    @property
    def degraded(self) -> bool:
        """Whether decisions were made without the others a moment ago."""
        at_ns = self._shared_at_ns
        return at_ns is not None and self._clock.monotonic_ns() - at_ns < _SHOWN_NS

    async def acquire(self, claims: Sequence[Claim]) -> Sequence[Standing]:
        """Take all claims or none; one standing for each claim.

        Raises:
            RateLimited: one does not fit; carries the longest wait that any of them asks for.
        """
        try:
            taken: _Taken = await self._thread.ask(
                partial(_acquire, claims, self._holder), undo=partial(self._undo, claims)
            )
        except StateUnavailable:
            return await self._acquire_share(claims)
        self._open[id(claims)] = (claims, taken.at_ns)
        return taken.standings

    def release(self, claims: Sequence[Claim], used_tokens: int | None) -> None:
        """Give back concurrency and the tokens claimed but not used; charge those used beyond the claim."""
        share = self._shares.pop(id(claims), None)
        if share is not None:
            self._own_share.release(share[1], used_tokens)
            return
        held = self._open.pop(id(claims), None)
        if held is not None:
            self._thread.post(partial(_release, claims, self._holder, used_tokens, held[1]))

    def _undo(self, claims: Sequence[Claim], taken: _Taken) -> Work[None]:
        return partial(_release, claims, self._holder, 0, taken.at_ns)

    async def _acquire_share(self, claims: Sequence[Claim]) -> Sequence[Standing]:
        self._shared_at_ns = self._clock.monotonic_ns()
        processes = max(1, self._processes())
        share = [Claim(rate=_divided(claim.rate, processes), amount=claim.amount) for claim in claims]
        standings = await self._own_share.acquire(share)
        self._shares[id(claims)] = (claims, share)
        return standings


class _Taken(msgspec.Struct, frozen=True):
    standings: list[Standing]
    at_ns: int


def _divided(rate: Rate, processes: int) -> Rate:
    if rate.limit < 1:
        return rate
    burst = None if rate.burst is None else max(1, rate.burst // processes)
    return Rate(scope=rate.scope, kind=rate.kind, limit=max(1, rate.limit // processes), burst=burst)


def _acquire(claims: Sequence[Claim], holder: str, connection: sqlite3.Connection, now_ns: int) -> _Taken:
    answers = [(claim, _decide(connection, claim, now_ns)) for claim in claims]
    refused = [pair for pair in answers if not pair[1].allowed]
    if refused:
        raise rate_limited(refused)
    standings = []
    for claim, answer in answers:
        rate = claim.rate
        if rate.kind == "concurrency":
            _run(connection, claim, holder, claim.amount)
        else:
            _set_tat(connection, rate, answer.tat_ns)
        standings.append(
            Standing(kind=rate.kind, limit=rate.limit, remaining=answer.remaining, reset_s=answer.reset_ns / _NS)
        )
    return _Taken(standings, now_ns)


def _release(
    claims: Sequence[Claim],
    holder: str,
    used_tokens: int | None,
    claimed_at_ns: int,
    connection: sqlite3.Connection,
    now_ns: int,
) -> None:
    for claim in claims:
        rate = claim.rate
        if rate.kind == "concurrency":
            _run(connection, claim, holder, -claim.amount)
        elif rate.kind == "tokens" and used_tokens is not None and rate.limit > 0:
            tat_ns = gcra.settle(
                gcra.quota(rate.limit, burst=rate.burst),
                _tat(connection, rate),
                now_ns,
                claimed=claim.amount,
                used=used_tokens,
                claimed_at_ns=claimed_at_ns,
            )
            _set_tat(connection, rate, tat_ns)


def _decide(connection: sqlite3.Connection, claim: Claim, now_ns: int) -> gcra.Decision:
    """What the limit says to a claim; nothing is taken yet."""
    rate = claim.rate
    if rate.kind == "concurrency":
        left = rate.limit - _running(connection, rate.scope)
        allowed = claim.amount <= left
        return gcra.Decision(
            allowed=allowed,
            tat_ns=0,
            remaining=left - claim.amount if allowed else max(left, 0),
            retry_after_ns=0 if allowed else _NS,
            reset_ns=0,
        )
    if rate.limit < 1:
        return gcra.Decision(allowed=False, tat_ns=now_ns, remaining=0, retry_after_ns=None, reset_ns=0)
    return gcra.check(gcra.quota(rate.limit, burst=rate.burst), _tat(connection, rate), now_ns, claim.amount)


def _tat(connection: sqlite3.Connection, rate: Rate) -> int | None:
    row = connection.execute("SELECT tat_ns FROM rates WHERE scope = ? AND kind = ?", (rate.scope, rate.kind))
    found: tuple[int] | None = row.fetchone()
    return None if found is None else found[0]


def _set_tat(connection: sqlite3.Connection, rate: Rate, tat_ns: int) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO rates (scope, kind, tat_ns) VALUES (?, ?, ?)", (rate.scope, rate.kind, tat_ns)
    )


def _running(connection: sqlite3.Connection, scope: str) -> int:
    row = connection.execute("SELECT coalesce(sum(running), 0) FROM permits WHERE scope = ?", (scope,)).fetchone()
    return int(row[0])


def _run(connection: sqlite3.Connection, claim: Claim, holder: str, more: int) -> None:
    connection.execute(
        "INSERT INTO permits (scope, holder, running) VALUES (?, ?, ?)"
        " ON CONFLICT (scope, holder) DO UPDATE SET running = max(0, running + ?)",
        (claim.rate.scope, holder, max(0, more), more),
    )
