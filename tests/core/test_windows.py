from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.windows import end_ns, start_ns
from fairlead.types import Window

moments = st.integers(0, 7_000_000_000 * 10**9)
calendar = st.sampled_from([window for window in get_args(Window) if window != "total"])


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        ("minute", "2028-02-29T13:59:00", "2028-02-29T14:00:00"),
        ("hour", "2028-02-29T13:00:00", "2028-02-29T14:00:00"),
        ("day", "2028-02-29T00:00:00", "2028-03-01T00:00:00"),
        ("week", "2028-02-28T00:00:00", "2028-03-06T00:00:00"),
        ("month", "2028-02-01T00:00:00", "2028-03-01T00:00:00"),
    ],
)
def test_calendar(window: Window, start: str, end: str) -> None:
    """Windows follow the calendar in UTC; a week starts on Monday."""
    moment = at("2028-02-29T13:59:58") + 999
    assert start_ns(window, moment) == at(start)
    assert end_ns(window, moment) == at(end)


def test_total_never_ends() -> None:
    """`total` holds everything."""
    assert start_ns("total", 123) == 0
    assert end_ns("total", 123) is None


@given(calendar, moments)
def test_holds_its_moment(window: Window, moment: int) -> None:
    """A moment lies in its window, and all moments of a window agree about it."""
    start, end = start_ns(window, moment), end_ns(window, moment)
    assert end is not None
    assert start <= moment < end
    for other in (start, end - 1):
        assert (start_ns(window, other), end_ns(window, other)) == (start, end)


@given(calendar, moments)
def test_windows_adjoin(window: Window, moment: int) -> None:
    """One window begins where the one before ends."""
    edges = [moment]
    for _ in range(14):
        following = end_ns(window, edges[-1])
        assert following is not None
        edges.append(following)
    for before, after in pairwise(edges[1:]):
        assert start_ns(window, after) == after
        assert start_ns(window, after - 1) == before
