"""What a provider says about when to come again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

MAX_S: Final = 86_400.0
"""Longer waits are clamped to a day: nobody waits that long, and a clock may be wrong."""

DO_NOT_RETRY: Final = -1.0
"""A negative wait was sent: the provider asks not to be called again with this request."""


def retry_after_s(headers: Mapping[str, str], now_s: float | None) -> float | None:
    """The wait in seconds that an answer's headers ask for.

    `retry-after-ms` (Azure, OpenAI) goes before `retry-after`, which holds seconds, also with a fraction, or an HTTP date
    (RFC 9110, 10.2.3).

    Args:
        headers: names in lower case.
        now_s: wall clock in seconds since the epoch; dates are relative to it, and mean nothing without it.

    Returns:
        0 for a date in the past, at most `MAX_S`, `DO_NOT_RETRY` for a negative number, `None` where nothing
        sensible was sent.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return _clamped(milliseconds / 1000)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return _clamped(seconds)
    return None if value is None or now_s is None else _until(value, now_s)


def _number(value: str | None) -> float | None:
    # float() also reads "nan", "infinity" and "1_0", which nobody means.
    if value is None or not value.strip().isascii() or set(value.strip()) - set("0123456789.+-eE"):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def _clamped(seconds: float) -> float:
    if seconds < 0:
        return DO_NOT_RETRY
    return MAX_S if math.isinf(seconds) else min(seconds, MAX_S)


def _until(date: str, now_s: float) -> float | None:
    try:
        when_s = parsedate_to_datetime(date.strip()).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return min(max(when_s - now_s, 0.0), MAX_S)
