"""What an answer's headers say about the provider's limits.

OpenAI and those who copy it send `x-ratelimit-{limit,remaining,reset}-{requests,tokens}` with the reset as a duration
(https://platform.openai.com/docs/guides/rate-limits), Anthropic `anthropic-ratelimit-{requests,tokens}-{...}` with an
RFC 3339 time (https://docs.anthropic.com/en/api/rate-limits).  Neither says over which period a limit counts, and
some count a day; but the reset is when the whole limit is there again, so what was used and how long that takes to come
back say it.  Where it comes back all at once, as with those who count by the clock's minute, only how long that takes
says something: what is there again within a minute is taken for a minute's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final, Literal

import msgspec

Kind = Literal["requests", "tokens"]
_PERIODS_S: Final = (60.0, 3_600.0, 86_400.0)
_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNIT_S: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_NAMES: Final = {
    kind: (
        (f"x-ratelimit-limit-{kind}", f"x-ratelimit-remaining-{kind}", f"x-ratelimit-reset-{kind}"),
        (f"anthropic-ratelimit-{kind}-limit", f"anthropic-ratelimit-{kind}-remaining", f"anthropic-ratelimit-{kind}-reset"),
    )
    for kind in ("requests", "tokens")
}  # fmt: skip
_MOST: Final = 10**12
_MINUTE_S: Final = 75.0
"""A minute, by two clocks that need not agree."""


class Told(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One limit of a provider, as it stood when it answered."""

    a_minute: int
    """The limit, converted to a minute; at least 1."""
    remaining: int
    """What of it is left at that moment, in the limit's own period."""


def told(headers: Mapping[str, str], kind: Kind, now_s: float) -> Told | None:
    """What the headers say about requests or tokens; `None` where they say nothing that makes sense.

    Args:
        headers: names in lower case.
        now_s: wall clock in seconds since the epoch, for resets that are given as a time.
    """
    for limit_name, remaining_name, reset_name in _NAMES[kind]:
        limit = _count(headers.get(limit_name))
        if not limit:
            continue
        remaining = _count(headers.get(remaining_name))
        left = limit if remaining is None else min(remaining, limit)
        period_s = _period_s(limit - left, limit, _reset_s(headers.get(reset_name), now_s))
        return Told(a_minute=max(1, round(limit * 60 / period_s)), remaining=left)
    return None


def _period_s(used: int, limit: int, reset_s: float | None) -> float:
    """The period whose limit gives `used` back in `reset_s`; a minute where that cannot be told."""
    if used <= 0 or not reset_s or reset_s <= _MINUTE_S:
        return 60.0
    guess_s = limit * reset_s / used
    return min(_PERIODS_S, key=lambda period_s: max(period_s / guess_s, guess_s / period_s))


def _reset_s(value: str | None, now_s: float) -> float | None:
    if not value:
        return None
    if "T" in value:
        try:
            return max(0.0, datetime.fromisoformat(value).timestamp() - now_s)
        except (ValueError, OverflowError):
            return None
    parts = _DURATION.findall(value)
    if parts and "".join(number + unit for number, unit in parts) == value:
        return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    return float(value) if value.replace(".", "", 1).isascii() and value.replace(".", "", 1).isdigit() else None


def _count(value: str | None) -> int | None:
    text = (value or "").strip()
    return min(int(text), _MOST) if text.isascii() and text.isdigit() and len(text) < 16 else None
