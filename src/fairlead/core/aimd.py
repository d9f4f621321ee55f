"""How many requests a minute a provider takes, where nothing but its refusals says so.

Additive increase, multiplicative decrease (Chiu and Jain, 1989, "Analysis of the increase and decrease algorithms for
congestion avoidance"): the pace falls by a tenth at a refusal, as in Netflix's concurrency-limits, and grows by a third
of a percent a second while it is what holds calls back.  Before the first refusal there is no pace at all.

What a provider takes is what went out and was not refused: an answer may be a minute away, a refusal comes at once.  And
an outage that refuses everything must not be remembered for hours: where nothing was refused for a minute the growth
speeds up, with the square of the time as in CUBIC (RFC 9438).
"""

from __future__ import annotations

from collections import deque
from typing import Final

_NS: Final = 1_000_000_000
_DECREASE: Final = 0.9
_GROWTH_A_SECOND: Final = 1 / 300
_STEADY_S: Final = 60.0
"""After so long without a refusal the growth speeds up."""
_EASE_NS: Final = _NS
"""Refusals within this time of the last decrease are of calls that were on their way, and say nothing new."""
_SEEN_NS: Final = 10 * _NS
"""The stretch over which is counted what went out."""
_LEAST_A_SECOND: Final = 0.05
_BURST_NS: Final = _NS
"""How far the pace may be behind: a second's worth may come at once."""


class Aimd:
    """One provider's pace as it turns out; times are nanoseconds of a clock that never goes back."""

    def __init__(self) -> None:
        self.a_second: float | None = None
        """Requests a second; `None` until a refusal was seen."""
        self._reference = 0.0
        self._eased_ns = 0
        self._grown_ns = 0
        self._grown_s = 0.0
        """How long the pace was tried since the last decrease."""
        self._due_ns = 0
        self._sent: deque[int] = deque(maxlen=100_000)
        self._refused: deque[int] = deque(maxlen=100_000)

    def wait_ns(self, now_ns: int) -> int:
        """How long the next request has to wait; nothing is taken."""
        return max(0, self._due_ns - _BURST_NS - now_ns) if self.a_second is not None else 0

    def send(self, now_ns: int, *, held_back: bool) -> None:
        """A request goes out.

        Args:
            held_back: whether others wait behind it; only then the pace is tried, and may grow.
        """
        _add(self._sent, now_ns)
        if self.a_second is None:
            return
        if held_back and self._due_ns > now_ns:  # else something else holds them back
            passed_s = min((now_ns - self._grown_ns) / _NS, max(1.0, 1 / self.a_second))
            self._grown_s += passed_s
            growth = passed_s * _GROWTH_A_SECOND
            if self._grown_s <= _STEADY_S:
                self.a_second += growth * self._reference
            else:
                self.a_second += growth * self.a_second * (self._grown_s / _STEADY_S) ** 2
        self._grown_ns = now_ns
        self._due_ns = max(self._due_ns, now_ns) + round(_NS / self.a_second)

    def refused(self, now_ns: int) -> None:
        """The provider said that there are too many: ease off, at most once in the time of a round trip."""
        _add(self._refused, now_ns)
        if now_ns - self._eased_ns < _EASE_NS and self._eased_ns:
            return
        self._eased_ns = self._grown_ns = now_ns
        self._grown_s = 0.0
        taken = self._taken_a_second(now_ns)
        before = taken if self.a_second is None else min(self.a_second, max(taken, self.a_second * _DECREASE))
        self.a_second = max(before * _DECREASE, _LEAST_A_SECOND)
        self._reference = max(self.a_second, taken)

    def _taken_a_second(self, now_ns: int) -> float:
        sent = [at_ns for at_ns in self._sent if at_ns >= now_ns - _SEEN_NS]
        taken = len(sent) - sum(at_ns >= now_ns - _SEEN_NS for at_ns in self._refused)
        if taken < 2:
            return max(taken * _NS / _SEEN_NS, _LEAST_A_SECOND)
        return (taken - 1) * _NS / max(sent[-1] - sent[0], _NS)


def _add(seen: deque[int], now_ns: int) -> None:
    seen.append(now_ns)
    while seen[0] < now_ns - _SEEN_NS:
        seen.popleft()
