"""Calendar windows in UTC, from wall-clock nanoseconds alone.

Leap seconds do not exist in Unix time, so minutes, hours, days and weeks are plain arithmetic.
"""

from __future__ import annotations

from datetime import date, timedelta

from fairlead.types import Window

SECOND_NS = 1_000_000_000
MINUTE_NS = 60 * SECOND_NS
HOUR_NS = 60 * MINUTE_NS
DAY_NS = 24 * HOUR_NS
WEEK_NS = 7 * DAY_NS

_EPOCH = date(1970, 1, 1)
_MONDAY_OFFSET_NS = 3 * DAY_NS
"""1970-01-01 was a Thursday: three days into its week."""


def start_ns(window: Window, at_ns: int) -> int:
    """When the window that holds `at_ns` began; `total` began with the epoch."""
    if window == "minute":
        return at_ns - at_ns % MINUTE_NS
    if window == "hour":
        return at_ns - at_ns % HOUR_NS
    if window == "day":
        return at_ns - at_ns % DAY_NS
    if window == "week":
        return at_ns - (at_ns + _MONDAY_OFFSET_NS) % WEEK_NS
    if window == "month":
        return _ns_of(_date_of(at_ns).replace(day=1))
    return 0


def end_ns(window: Window, at_ns: int) -> int | None:
    """When the window that holds `at_ns` ends and the next begins; `None` for `total`."""
    if window == "minute":
        return start_ns(window, at_ns) + MINUTE_NS
    if window == "hour":
        return start_ns(window, at_ns) + HOUR_NS
    if window == "day":
        return start_ns(window, at_ns) + DAY_NS
    if window == "week":
        return start_ns(window, at_ns) + WEEK_NS
    if window == "month":
        first = _date_of(at_ns).replace(day=1)
        return _ns_of((first + timedelta(days=31)).replace(day=1))
    return None


def _date_of(at_ns: int) -> date:
    return _EPOCH + timedelta(days=at_ns // DAY_NS)


def _ns_of(day: date) -> int:
    return (day - _EPOCH).days * DAY_NS
