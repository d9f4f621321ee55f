"""How many requests a minute a provider takes, where nothing but its refusals says so.

Additive increase, multiplicative decrease (Chiu and Jain, 1989, "Analysis of the increase and decrease algorithms for
congestion avoidance"): the pace falls by a tenth at a refusal, as in Netflix's concurrency-limits, and grows by a third
of a percent a second while it is what holds calls back.  Before the first refusal there is no pace at all.
"""

from __future__ import annotations

from collections import deque
from typing import Final

_NS: Final = 1_000_000_000
_DECREASE: Final = 0.9
_GROWTH_A_SECOND: Final = 1 / 300
_EASE_NS: Final = _NS
"""Refusals within this time of the last decrease are of calls that were on their way, and say nothing new."""
_SEEN_NS: Final = 10 * _NS
"""The stretch over which the accepted are counted."""
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
        self._due_ns = 0
        self._accepted: deque[int] = deque(maxlen=100_000)

    def wait_ns(self, now_ns: int) -> int:
        """How long the next request has to wait; nothing is taken."""
        return max(0, self._due_ns - _BURST_NS - now_ns) if self.a_second is not None else 0

    def send(self, now_ns: int, *, held_back: bool) -> None:
        """A request goes out.

        Args:
            held_back: whether others wait behind it; only then the pace is tried, and may grow.
        """
        if self.a_second is None:
            return
        if held_back:
            passed_s = min((now_ns - self._grown_ns) / _NS, 1.0)
            self.a_second += passed_s * _GROWTH_A_SECOND * self._reference
        self._grown_ns = now_ns
        self._due_ns = max(self._due_ns, now_ns) + round(_NS / self.a_second)

    def accepted(self, now_ns: int) -> None:
        """The provider took a request."""
        seen = self._accepted
        seen.append(now_ns)
        while seen[0] < now_ns - _SEEN_NS:
            seen.popleft()

    def refused(self, now_ns: int) -> None:
        """The provider said that there are too many: ease off, at most once in the time of a round trip."""
        if now_ns - self._eased_ns < _EASE_NS and self._eased_ns:
            return
        self._eased_ns = self._grown_ns = now_ns
        taken = self._taken_a_second(now_ns)
        before = taken if self.a_second is None else min(self.a_second, max(taken, self.a_second * _DECREASE))
        self.a_second = max(before * _DECREASE, _LEAST_A_SECOND)
        self._reference = max(self.a_second, taken)

    def _taken_a_second(self, now_ns: int) -> float:
        recent = [at_ns for at_ns in self._accepted if at_ns >= now_ns - _SEEN_NS]
        if len(recent) < 2:
            return max(len(recent) * _NS / _SEEN_NS, _LEAST_A_SECOND)
        return (len(recent) - 1) * _NS / max(recent[-1] - recent[0], _NS)
