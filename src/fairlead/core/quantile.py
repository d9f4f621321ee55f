"""A quantile over the last few samples: exact, small, and forgetting."""

from __future__ import annotations

from collections import deque
from typing import Final

_KEPT: Final = 128
_LEAST: Final = 20
"""Below so many samples nothing is said."""


class RecentQuantile:
    """The `share` quantile (nearest rank) of the last 128 samples."""

    __slots__ = ("_samples", "_share", "_stale", "_value")

    def __init__(self, share: float = 0.95) -> None:
        self._share = share
        self._samples: deque[float] = deque(maxlen=_KEPT)
        self._value: float | None = None
        self._stale = False

    def add(self, sample: float) -> None:
        """Take a sample in; the oldest goes out."""
        self._samples.append(sample)
        self._stale = True

    @property
    def value(self) -> float | None:
        """`None` until there are 20 samples; sorted only when asked for after a change."""
        if self._stale and len(self._samples) >= _LEAST:
            ordered = sorted(self._samples)
            self._value = ordered[min(len(ordered) - 1, int(self._share * len(ordered)))]
            self._stale = False
        return self._value

    @property
    def mean(self) -> float | None:
        """The mean of the samples there are; `None` where there are none."""
        return sum(self._samples) / len(self._samples) if self._samples else None
