"""What an error answer says about waiting, in its headers and in the details that Google adds to its body."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

from fairlead.core.retry_after import MAX_S, retry_after_s

_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")
"""How `RetryInfo` writes a wait."""


def asked_wait_s(headers: Mapping[str, str]) -> float | None:
    """The wait that headers ask for, see `retry_after_s`; a date counts from the answer's own `Date`, so that our clock
    does not matter."""
    return retry_after_s(headers, _date_s(headers))


def google_details(value: Any) -> tuple[Mapping[str, Any], ...]:
    """The `details` of an error of Google's."""
    return tuple(_tables(value))


def google_wait_s(details: Sequence[Mapping[str, Any]]) -> float | None:
    """The wait in `RetryInfo`, which no header says."""
    for detail in details:
        delay = detail.get("retryDelay")
        match = _DELAY.fullmatch(delay) if isinstance(delay, str) else None
        if match:
            return min(float(match[1]), MAX_S)
    return None


def google_quota_is_daily(details: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the quota that was exceeded is one of a day; the words are the same for a limit by the minute."""
    violated = [each for detail in details for each in _tables(detail.get("violations"))]
    names = (each.get("quotaId") for each in violated)
    return any(isinstance(name, str) and "PerDay" in name for name in names)


def _tables(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _date_s(headers: Mapping[str, str]) -> float | None:
    try:
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
