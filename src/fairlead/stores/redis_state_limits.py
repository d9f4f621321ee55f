"""Requests and tokens a minute and concurrency, counted over the processes of many machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from fairlead.core import gcra
from fairlead.errors import StateUnavailable
from fairlead.ports import Claim, Clock, Standing
from fairlead.stores.memory import MemoryLimits
from fairlead.stores.redis_state_link import Order
from fairlead.stores.redis_state_place import Place, run_key
from fairlead.stores.redis_state_scripts import ACQUIRE, RELEASE, TAG
from fairlead.stores.refusals import rate_limited
from fairlead.types import Rate

_NS: Final = 1_000_000_000
_US: Final = 1_000
_SHOWN_NS: Final = 10 * _NS
"""How long after the last decision of its own a process calls itself degraded, so that a scrape sees it."""
_RATE: Final = TAG + "rate:"

_Held = tuple[Sequence[Claim], int, Place]
"""Claims, the server's moment in microseconds at which they were taken, and from where."""


class RedisLimits:
    """The `Limits` of the processes that share one server; each decision is one script over all scopes of a call.

    While the server cannot be used in time, each process goes by its own share: the limit divided by the processes there
    were.

    Args:
        here: the place of the running loop.
    """

    def __init__(self, here: Callable[[], Place], clock: Clock) -> None:
        self._here = here
        self._clock = clock
        self._own_share = MemoryLimits(clock)
        self._open: dict[int, _Held] = {}
        """Claims that are held, by the identity of their sequence."""
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
        if not claims:
            return []
        place = self._here()
        order = Order(ACQUIRE, [_key(claim.rate) for claim in claims], [place.name, place.lease_us])
        order.args = [*order.args, *(part for claim in claims for part in _asked(claim))]
        scopes = _running(claims)
        if scopes:
            order.done = partial(_count, place, scopes)
            order.dropped = partial(_doubt, place, scopes)
        try:
            reply = await place.link.ask(order, late=partial(self._undo, claims, place))
        except StateUnavailable:
            return await self._acquire_share(claims, place.processes)
        fits, at_us, *before = reply
        answers = [(claim, _decision(claim, int(state))) for claim, state in zip(claims, before, strict=True)]
        if not fits:
            raise rate_limited([pair for pair in answers if not pair[1].allowed] or answers)
        self._open[id(claims)] = (claims, int(at_us), place)
        return [
            Standing(claim.rate.kind, claim.rate.limit, answer.remaining, answer.reset_ns / _NS)
            for claim, answer in answers
        ]

    def release(self, claims: Sequence[Claim], used_tokens: int | None) -> None:
        """Give back concurrency and the tokens claimed but not used; charge those used beyond the claim."""
        share = self._shares.pop(id(claims), None)
        if share is not None:
            self._own_share.release(share[1], used_tokens)
            return
        held = self._open.pop(id(claims), None)
        if held is not None:
            _give_back(held, used_tokens)

    def _undo(self, claims: Sequence[Claim], place: Place, reply: Any) -> None:
        fits, at_us, *_ = reply
        if fits:
            _give_back((claims, int(at_us), place), 0)

    async def _acquire_share(self, claims: Sequence[Claim], processes: int) -> Sequence[Standing]:
        self._shared_at_ns = self._clock.monotonic_ns()
        share = [Claim(rate=_divided(claim.rate, processes), amount=claim.amount) for claim in claims]
        standings = await self._own_share.acquire(share)
        self._shares[id(claims)] = (claims, share)
        return standings


def _key(rate: Rate) -> str:
    return run_key(rate.scope) if rate.kind == "concurrency" else f"{_RATE}{rate.kind}:{rate.scope}"


def _asked(claim: Claim) -> tuple[str, int, int]:
    """What a claim takes of its key, and what there is room for."""
    rate = claim.rate
    if rate.kind == "concurrency":
        return "c", claim.amount, rate.limit
    if rate.limit < 1:
        return "r", 0, -1
    quota = gcra.quota(rate.limit, burst=rate.burst)
    return "r", claim.amount * quota.interval_ns, quota.capacity_ns


def _decision(claim: Claim, before: int) -> gcra.Decision:
    """What the server decided about a claim that found its key in this state: as `core.gcra` does, from that moment."""
    rate = claim.rate
    if rate.kind == "concurrency":
        left = rate.limit - before
        allowed = claim.amount <= left
        return gcra.Decision(
            allowed=allowed,
            tat_ns=0,
            remaining=left - claim.amount if allowed else max(left, 0),
            retry_after_ns=0 if allowed else _NS,
            reset_ns=0,
        )
    if rate.limit < 1:
        return gcra.Decision(allowed=False, tat_ns=0, remaining=0, retry_after_ns=None, reset_ns=0)
    answer = gcra.check(gcra.quota(rate.limit, burst=rate.burst), before, 0, claim.amount)
    if answer.retry_after_ns:
        # The server's clock counts microseconds: one that has begun may be short of one that is over.
        whole_ns = -(-answer.retry_after_ns // _US) * _US + _US
        return gcra.Decision(
            allowed=False,
            tat_ns=answer.tat_ns,
            remaining=answer.remaining,
            retry_after_ns=whole_ns,
            reset_ns=answer.reset_ns,
        )
    return answer


def _give_back(held: _Held, used_tokens: int | None) -> None:
    claims, at_us, place = held
    keys: list[str] = []
    args: list[str | int] = [place.name, place.lease_us, at_us]
    for claim in claims:
        rate = claim.rate
        if rate.kind == "concurrency":
            args += ("c", claim.amount, 0)
        elif rate.kind == "tokens" and used_tokens is not None and rate.limit > 0:
            interval_ns = gcra.quota(rate.limit, burst=rate.burst).interval_ns
            args += ("r", claim.amount * interval_ns, used_tokens * interval_ns)
        else:
            continue
        keys.append(_key(rate))
    if keys:
        scopes = [(scope, -amount) for scope, amount in _running(claims)]
        done = partial(_count_given, place, scopes)
        place.link.post(Order(RELEASE, keys, args, done=done, dropped=partial(_lose, place, scopes)))


def _running(claims: Sequence[Claim]) -> list[tuple[str, int]]:
    return [(claim.rate.scope, claim.amount) for claim in claims if claim.rate.kind == "concurrency"]


def _count(place: Place, scopes: Sequence[tuple[str, int]], reply: Any) -> None:
    if reply[0]:
        _count_given(place, scopes, reply)


def _count_given(place: Place, scopes: Sequence[tuple[str, int]], _: Any) -> None:
    for scope, more in scopes:
        place.run(scope, more)


def _doubt(place: Place, scopes: Sequence[tuple[str, int]]) -> None:
    for scope, _ in scopes:
        place.doubt(scope)


def _lose(place: Place, scopes: Sequence[tuple[str, int]]) -> None:
    """The permits are given back here; the next heartbeat says so."""
    _count_given(place, scopes, None)
    _doubt(place, scopes)


def _divided(rate: Rate, processes: int) -> Rate:
    if rate.limit < 1:
        return rate
    burst = None if rate.burst is None else max(1, rate.burst // processes)
    return Rate(scope=rate.scope, kind=rate.kind, limit=max(1, rate.limit // processes), burst=burst)
