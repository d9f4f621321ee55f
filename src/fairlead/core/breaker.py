"""A circuit breaker: a provider that fails is left alone for a while, then asked carefully, then used again.

    closed ── failures ──> open ── time ──> half_open ── all probes succeed ──> closed
                             ^                  │
                             └─ a probe fails ──┘

It is resilience4j's state machine (https://resilience4j.readme.io/docs/circuitbreaker) with Envoy's open times, which grow
with each opening in a row.  Only what speaks of the provider counts: whoever asks leaves out a caller's own mistakes
and whatever was cancelled, with `leave`.

A place is a number, and each belongs to one period of the breaker.  An outcome that comes when its period is over, as
the answers to calls from before an opening do, is forgotten: it says how the provider was, not how it is.

Times are of a clock that never goes back.  Nothing here waits, and nothing locks: where the loops of several threads
share a breaker, a count may be off by the calls that ended in one moment.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import msgspec

State = Literal["closed", "open", "half_open"]

PROBING_NS: Final = 1_000_000_000
"""When to ask again while all probes are under way; nobody knows when they end."""

_BUCKETS: Final = 10
_JITTER: Final = 0.2
_NS: Final = 1_000_000_000


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a breaker opens, and for how long.

    Raises:
        ValueError: a value out of its range.
    """

    failure_rate: float = 0.5
    """Opens when this share of the calls in the window failed..."""
    min_calls: int = 10
    """...and there were at least this many."""
    consecutive: int = 5
    """Opens after this many failures in a row, too."""
    open_s: float = 15.0
    """Stays open this long, give or take a fifth; twice as long after the second opening in a row, and so on."""
    window_s: float = 30.0
    """How far back failures count."""
    probes: int = 3
    """Calls that are let through to find out; all have to succeed."""
    max_open_s: float = 300.0
    """However often it opened, and whatever the provider asks for, it stays open no longer; give or take a fifth again."""
    slow_s: float | None = None
    """A success that took this long or longer counts as a failure."""

    def __post_init__(self) -> None:
        told = [
            *([] if 0 < self.failure_rate <= 1 else ["`failure_rate` is more than 0 and at most 1"]),
            *(f"`{name}` is 1 or more" for name in ("min_calls", "consecutive", "probes") if getattr(self, name) < 1),
            *([] if 0 < self.window_s < math.inf else ["`window_s` is more than 0"]),
            *(
                []
                if 0 < self.open_s <= self.max_open_s < math.inf
                else ["`open_s` is more than 0, at most `max_open_s`"]
            ),
            *([] if self.slow_s is None or self.slow_s > 0 else ["`slow_s` is more than 0, or nothing"]),
        ]
        if told:
            raise ValueError("; ".join(told))


class Breaker:
    """The state of one provider, or of whatever else fails as one.

    Each `enter` that gave a place is followed by exactly one `record` or `leave`.
    """

    __slots__ = (
        "_failed",
        "_failures",
        "_in_a_row",
        "_openings",
        "_place",
        "_policy",
        "_probes",
        "_probing_since_ns",
        "_seen",
        "_serial",
        "_slot",
        "_slot_ns",
        "_succeeded",
        "_total",
        "_until_ns",
        "opened_at_ns",
    )

    def __init__(self, policy: Policy | None = None) -> None:
        self._policy = Policy() if policy is None else policy
        self.opened_at_ns: int | None = None
        """When it opened the last time; `None` while closed."""
        self._serial = 0
        self._openings = 0
        self._until_ns = 0
        self._probes: set[int] = set()
        self._succeeded = 0
        self._probing_since_ns: int | None = None
        self._slot_ns = max(1, int(self._policy.window_s * _NS) // _BUCKETS)
        self._close()

    @property
    def state(self) -> State:
        """`open` also when the time is over and no probe has come yet."""
        if self._place:
            return "closed"
        return "open" if self._probing_since_ns is None else "half_open"

    def blocked_ns(self, now_ns: int) -> int:
        """0 if a call may go now, else after how long it is worth asking again."""
        if self._place:
            return 0
        if self._probing_since_ns is None:
            return max(0, self._until_ns - now_ns)
        return 0 if self._has_room(now_ns) else PROBING_NS

    def enter(self, now_ns: int) -> int:
        """Take a place for a call; 0 if it is refused."""
        if self._place:
            return self._place
        if self.blocked_ns(now_ns):
            return 0
        if self._probing_since_ns is None or self._is_stuck(now_ns):
            self._probing_since_ns = now_ns
            self._succeeded = 0
            self._probes.clear()
        self._serial += 1
        self._probes.add(self._serial)
        return self._serial

    def record(
        self,
        place: int,
        now_ns: int,
        *,
        ok: bool,
        took_s: float = 0.0,
        hint_s: float | None = None,
        random: float = 0.5,
    ) -> None:
        """What became of a call.

        Args:
            place: what `enter` gave for it.
            now_ns: when it ended.
            ok: whether the provider did its part.
            took_s: how long it took, for `slow_s`.
            hint_s: how long the provider asks to be left alone.
            random: uniform in [0, 1), for the time that it stays open.
        """
        slow_s = self._policy.slow_s
        well = ok and (slow_s is None or took_s < slow_s)
        if place and place == self._place:
            self._count(now_ns, well=well)
            if not well and self._is_enough():
                self._open(now_ns, hint_s, random)
        elif place in self._probes:
            self._probes.discard(place)
            if not well:
                self._open(now_ns, hint_s, random)
                return
            self._succeeded += 1
            if self._succeeded == self._policy.probes:
                self._close()

    def leave(self, place: int) -> None:
        """A call ended that says nothing about the provider; a probe's place is free again."""
        self._probes.discard(place)

    def _has_room(self, now_ns: int) -> bool:
        return len(self._probes) + self._succeeded < self._policy.probes or self._is_stuck(now_ns)

    def _is_stuck(self, now_ns: int) -> bool:
        """Probes that tell nothing for as long as it may stay open are given up, so that lost ones block nobody."""
        return self._probing_since_ns is not None and now_ns - self._probing_since_ns >= self._policy.max_open_s * _NS

    def _close(self) -> None:
        self._serial += 1
        self._place = self._serial
        self._openings = 0
        self.opened_at_ns = None
        self._probing_since_ns = None
        self._probes.clear()
        self._in_a_row = 0
        self._slot = 0
        self._seen = [0] * _BUCKETS
        self._failures = [0] * _BUCKETS
        self._total = 0
        self._failed = 0

    def _open(self, now_ns: int, hint_s: float | None, random: float) -> None:
        policy = self._policy
        self._openings += 1
        planned_s = min(policy.open_s * self._openings, policy.max_open_s) * (1 + _JITTER * (2 * random - 1))
        wanted_s = 0.0 if hint_s is None else min(hint_s, policy.max_open_s)
        self.opened_at_ns = now_ns
        self._until_ns = now_ns + int(max(planned_s, wanted_s) * _NS)
        self._place = 0
        self._probing_since_ns = None
        self._probes.clear()

    def _count(self, now_ns: int, *, well: bool) -> None:
        slot = max(now_ns // self._slot_ns, self._slot)
        if slot != self._slot:
            for passed in range(max(self._slot + 1, slot - _BUCKETS + 1), slot + 1):
                index = passed % _BUCKETS
                self._total -= self._seen[index]
                self._failed -= self._failures[index]
                self._seen[index] = self._failures[index] = 0
            self._slot = slot
        self._total += 1
        self._seen[slot % _BUCKETS] += 1
        if well:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        self._failed += 1
        self._failures[slot % _BUCKETS] += 1

    def _is_enough(self) -> bool:
        policy = self._policy
        if self._in_a_row >= policy.consecutive:
            return True
        return self._total >= policy.min_calls and self._failed >= policy.failure_rate * self._total
