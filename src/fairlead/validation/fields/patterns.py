"""What a regular expression of a schema asks for, where it is one for times or dates: found by trying it on a few."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Literal

Meaning = Literal["time", "date", "date-time", "loose time", "loose date", "loose date-time"]

MOST_CHARS = 1_000
"""The longest pattern that is tried; that of Zod for a moment has about 400 characters."""

_MOST_BYTES = 1 << 20
"""The most memory that a compiled pattern may take."""

_TIMES = ("14:30:00", "14:30", "14:30:00Z", "14:30:00.000", "14:30:00.000000")
_DATES = ("2026-03-04",)
_MOMENTS = ("2026-03-04T14:30:00Z", "2026-03-04T14:30:00", "2026-03-04T14:30:00+01:00", "2026-03-04T14:30:00.000Z")
_LOOSE = (
    *("99:99:99", "99:99", "99:99:99Z", "99:99:99.000", "9999-99-99", "9999-99-99T99:99:99", "9999-99-99T99:99:99Z"),
    *("9999-99-99T99:99:99+99:99", "9999-99-99T99:99:99.999Z"),
)
"""What has the marks of a time or a date, and is none."""
_NEITHER = (
    *("", "1", "0.5", "12", "2026", "12-30", "14-30-00", "20-60-304", "ab", "ab:cd", "ab:cd:ef", "AB:CD", "AB:CD:EF"),
    *("abcd-ef-gh", "ABCD-EF-GH", "12345-67-89", "x14:30:00y"),
)


@lru_cache(maxsize=1_024)
def meaning(pattern: str) -> Meaning | None:
    """What the texts that fit a pattern are; `None` where they may be something else.

    The *loose* ones also fit what no clock and no calendar shows, such as `99:99`: they may be lengths or numbers.
    """
    if not (pattern.startswith("^") and pattern.endswith("$")) or _any_fits(pattern, _NEITHER):
        return None
    time, date, moment = (_any_fits(pattern, texts) for texts in (_TIMES, _DATES, _MOMENTS))
    loose = _any_fits(pattern, _LOOSE)
    if time and not (date or moment):
        return "loose time" if loose else "time"
    if date and not (time or moment):
        return "loose date" if loose else "date"
    if moment and not (time or date):
        return "loose date-time" if loose else "date-time"
    return None


def fits(pattern: str, text: str) -> bool:
    """Whether a text fits; nothing fits a pattern that cannot be tried in linear time."""
    tried = _tried(pattern)
    return tried is not None and bool(tried.is_valid(text))


def _any_fits(pattern: str, texts: tuple[str, ...]) -> bool:
    return any(fits(pattern, text) for text in texts)


@lru_cache(maxsize=256)
def _tried(pattern: str) -> Any | None:
    """The pattern, compiled for an engine that never goes back."""
    import jsonschema_rs  # noqa: PLC0415 - large; who has a schema has it loaded

    if len(pattern) > MOST_CHARS:
        return None
    linear = jsonschema_rs.RegexOptions(size_limit=_MOST_BYTES, dfa_size_limit=_MOST_BYTES)
    try:
        return jsonschema_rs.validator_for({"pattern": pattern}, pattern_options=linear)
    except (ValueError, RecursionError):
        return None
