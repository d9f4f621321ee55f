"""How long to wait before a retry, and how many retries there may be at all.

The wait is *full jitter*: uniform between nothing and a bound that doubles.  Callers that failed together do not come
back together (AWS Architecture Blog, "Exponential Backoff and Jitter",
https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).

The budget keeps retries a small share of the calls, so a provider that fails everything is not asked five times as much
as a healthy one.  Its shape is Finagle's (https://finagle.github.io/blog/2016/02/08/retry-budgets/): each call pays in,
each retry takes out, and what was paid in long ago no longer counts.
"""

from __future__ import annotations

from typing import Final

REFILL_NS: Final = 10_000_000_000
"""An empty budget is back at its floor after this long without any call."""
SPAN_NS: Final = 5_000_000_000
"""Calls are counted by spans; those of this span and the one before make up the cap, so 5 to 10 s of them."""

_RETRY: Final = REFILL_NS
"""What a retry takes.  In this unit the refill of one nanosecond is just `floor`, and sums are exact."""


def full_jitter_s(retry: int, *, base_s: float, max_s: float, random: float) -> float:
    """The wait before a retry.

    Args:
        retry: 1 before the first retry.
        base_s: the bound of the first wait; it doubles with every retry.
        max_s: the bound that is never passed.
        random: uniform in [0, 1).
    """
    # Every power up to this one is a float; a product beyond is infinity, which `min` takes care of.
    return random * min(max_s, base_s * 2.0 ** min(retry - 1, 1023))


class RetryBudget:
    """How many retries are left for all calls together.

    It starts at `floor`, so a rarely used budget can still pay for a few, and is refilled up to there by time alone.
    No more is saved than `floor` and the share of the calls of about the last 10 s, so a long healthy time does not pay
    for a storm.  While no time passes, retries are at most `ratio * calls + floor`.

    Args:
        ratio: what a call pays in; a retry takes 1.
        floor: what there is without any calls.

    Raises:
        ValueError: a negative ratio or floor.
    """

    __slots__ = ("_at_ns", "_before", "_floor", "_paid", "_per_call", "_refill", "_saved", "_span")

    def __init__(self, ratio: float = 0.2, floor: int = 3) -> None:
        if not 0 <= ratio < float("inf") or floor < 0:
            raise ValueError(f"a retry budget has a ratio and a floor of 0 or more, not {ratio} and {floor}")
        self._per_call = round(ratio * _RETRY)
        self._refill = floor
        self._floor = floor * _RETRY
        self._saved = self._floor
        self._at_ns: int | None = None
        self._span = 0
        self._paid = 0
        self._before = 0

    def deposit(self, now_ns: int) -> None:
        """A call begins."""
        self._advance(now_ns)
        self._paid += self._per_call
        self._saved = min(self._saved + self._per_call, self._cap)

    def take(self, now_ns: int) -> bool:
        """Pay for a retry; it must not happen if this says no."""
        self._advance(now_ns)
        if self._saved < _RETRY:
            return False
        self._saved -= _RETRY
        return True

    @property
    def _cap(self) -> int:
        return self._floor + self._paid + self._before

    def _advance(self, now_ns: int) -> None:
        if self._at_ns is None:
            self._at_ns, self._span = now_ns, now_ns // SPAN_NS
        elapsed_ns = now_ns - self._at_ns
        if elapsed_ns <= 0:
            return
        self._at_ns = now_ns
        span = now_ns // SPAN_NS
        if span != self._span:
            self._before = self._paid if span == self._span + 1 else 0
            self._span, self._paid = span, 0
            self._saved = min(self._saved, self._cap)
        if self._saved < self._floor:
            self._saved = min(self._floor, self._saved + self._refill * elapsed_ns)
