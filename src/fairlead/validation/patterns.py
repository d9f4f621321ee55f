"""What a regular expression of a schema asks for, where it is one for times or dates: found by trying it on a few."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

Meaning = Literal["time", "loose time", "date", "date-time"]

MOST_CHARS = 600
"""The longest pattern that is tried; that of Zod for a moment has about 340 characters."""

_SIMPLE = re.compile(r"(?:[][0-9dDtTzZ:.,|()?^$+-]|\\[dDtTzZ.:+/-]|\{[0-9](?:,[0-9])?\})*")
_REPEATS = re.compile(r"(?<!\\d)(?<!\\)\+(?![0-9-]?\]|-\])|\)\{")
"""A repetition of more than digits, which could be slow to try."""
_CLASS = re.compile(r"\[[^]]*\]")

_TIMES = ("14:30:00", "14:30", "14:30:00Z", "14:30:00.000", "14:30:00.000000")
_MOMENTS = ("2026-03-04T14:30:00Z", "2026-03-04T14:30:00", "2026-03-04T14:30:00+01:00", "2026-03-04T14:30:00.000Z")
_NO_TIMES = ("99:99:99", "99:99", "99:99:99Z", "99:99:99.000")
_NEITHER = ("", "1", "0.5", "12", "2026", "12-30", "14-30-00")


@lru_cache(maxsize=1_024)
def meaning(pattern: str) -> Meaning | None:
    """What the texts that fit a pattern are; `None` where they may be something else.

    A *loose time* also fits what no clock shows, such as `99:99`, and may be a length of time.
    """
    if any(fits(pattern, text) for text in _NEITHER):
        return None
    if fits(pattern, "2026-03-04"):
        return None if any(fits(pattern, text) for text in (*_TIMES, *_MOMENTS)) else "date"
    if any(fits(pattern, text) for text in _MOMENTS):
        return None if any(fits(pattern, text) for text in _TIMES) else "date-time"
    if any(fits(pattern, text) for text in _TIMES):
        return "loose time" if any(fits(pattern, text) for text in _NO_TIMES) else "time"
    return None


def fits(pattern: str, text: str) -> bool:
    """Whether a text of a known shape fits; `False` for patterns that are not plainly about digits and their marks."""
    tried = _tried(pattern)
    return tried is not None and tried.search(text) is not None


@lru_cache(maxsize=1_024)
def _tried(pattern: str) -> re.Pattern[str] | None:
    """The pattern, where it is anchored, and simple enough to try without counting steps."""
    if len(pattern) > MOST_CHARS or not (pattern.startswith("^") and pattern.endswith("$")):
        return None
    if not _SIMPLE.fullmatch(pattern) or _REPEATS.search(_CLASS.sub("[0]", pattern)):
        return None
    try:
        # In JSON Schema `$` is the end alone and `\d` an ASCII digit.
        return re.compile(pattern.removesuffix("$") + r"\Z", re.ASCII)
    except (re.error, RecursionError, OverflowError):
        return None
