"""Times of day, in 24 or 12 hours, with or without an offset from UTC."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from fairlead.validation.fields.unclear import Unclear, tidy

WANTED = "a time of day such as `14:30:00` or `2:30 pm`"

_NAMED = {"noon": 12, "12 noon": 12, "midday": 12, "midnight": 0, "12 midnight": 0}
_CLOCK = re.compile(
    r"(?:t|at )?(?P<hour>[0-9]{1,2})"
    r"(?:(?P<sep>:|\.| ?h ?| uhr )(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,](?P<fraction>[0-9]{1,9}))?)?)?"
    r" ?(?P<rest>[^0-9.,:].*|)"
)
_MILITARY = re.compile(r"(?P<hour>[0-9]{2})(?P<minute>[0-9]{2}) ?(?:h|hours|hrs)(?P<rest>)")
"""Hours beside four digits are a time; beside fewer, a length of time."""
_REST = re.compile(
    r"(?P<mark>uhr|h|o'clock|o’clock)?\.? ?"  # noqa: RUF001 - a curly apostrophe is meant
    r"(?P<half>a\.? ?m\.?|p\.? ?m\.?|in the (?:morning|afternoon|evening))? ?"
    r"\(?(?P<offset>z|utc|gmt|(?:utc|gmt)? ?[+-] ?[0-9]{1,2}(?::?[0-9]{2})?)?\)?"
)
_OFFSET = re.compile(r"(?P<name>utc|gmt)? ?(?P<sign>[+-]) ?(?P<hours>[0-9]{1,2}):?(?P<minutes>[0-9]{2})?")
_MOST_OFFSET_HOURS = 14
_PARTS = {"in the morning": range(1, 12), "in the afternoon": range(12, 19), "in the evening": range(16, 24)}
"""The hours that are called so by everybody."""


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """A time of day as it was written."""

    hour: int
    minute: int = 0
    second: int | None = None
    """`None` where only hours and minutes were said."""
    fraction: str = ""
    """The digits behind the point."""
    offset: str | None = None
    """`Z` or `+02:00`; `None` for a local time."""

    def written(self, *, seconds: bool = True, digits: int | None = None) -> str:
        """`14:30:00`, with its fraction and offset; `digits` is how many stand behind the point."""
        text = f"{self.hour:02}:{self.minute:02}"
        if seconds:
            fraction = self.fraction if digits is None else self.fraction.ljust(digits, "0")
            text += f":{self.second or 0:02}" + (f".{fraction}" if fraction else "")
        return text + (self.offset or "")


def read_clock(value: Any, *, iso: bool = False) -> Clock:
    """A time of day.

    Args:
        iso: it stands behind a date and a `T`, so that `-05:00` behind it is an offset and no range.

    Raises:
        Unclear: it is none, or could be in the morning or in the afternoon.
    """
    text = tidy(value, WANTED).casefold()
    if text in _NAMED:
        return Clock(hour=_NAMED[text])
    found = _CLOCK.fullmatch(text) or _MILITARY.fullmatch(text)
    rest = found and _REST.fullmatch(found["rest"].strip())
    if found is None or rest is None:
        raise Unclear(f"{value!r:.60} is not {WANTED}")
    parts = found.groupdict()
    sep, second = (parts.get("sep") or "").strip(), parts.get("second")
    if sep == "." and not (rest["half"] or rest["mark"]):
        raise Unclear(f"{value!r:.60} may be a time or a number; write `14:30:00`")
    if not (parts.get("minute") or rest["half"]):
        return _on_the_hour(value, int(parts["hour"]), rest)
    if sep == ":" and rest["mark"] == "h":
        raise Unclear(f"{value!r:.60} may be a time of day or a length of time; write `14:30:00`")
    clock = Clock(
        hour=_hour(value, int(parts["hour"]), rest["half"]),
        minute=int(parts.get("minute") or 0),
        second=None if second is None else int(second),
        fraction=parts.get("fraction") or "",
        offset=read_offset(rest["offset"], bare_minus=iso or second is not None),
    )
    return _checked(value, clock)


def read_offset(text: str | None, *, bare_minus: bool = True) -> str | None:
    """`Z` or `+02:00` from `z`, `utc`, `gmt+2`, `+0200`; `None` from `None`.

    Raises:
        Unclear: more hours than there are, or a minus that could be that of a range.
    """
    if not text:
        return None
    if text in ("z", "utc", "gmt"):
        return "Z"
    found = _OFFSET.fullmatch(text)
    if found is None or (not found["name"] and len(found["hours"]) < 2):
        raise Unclear(f"{text!r} is no offset; write it as `+02:00`")
    if found["sign"] == "-" and not (found["name"] or bare_minus):
        raise Unclear(
            f"{text!r} may be an offset or the end of a range; write seconds before it, as in `14:30:00-05:00`"
        )
    hours, minutes = int(found["hours"]), int(found["minutes"] or 0)
    if hours * 60 + minutes > _MOST_OFFSET_HOURS * 60 or minutes > 59:
        raise Unclear(f"{text!r} is no offset that any place has")
    return f"{found['sign']}{hours:02}:{minutes:02}"


def _on_the_hour(value: Any, hour: int, rest: re.Match[str]) -> Clock:
    """An hour alone is clear where it says that it is one and is past noon, as in `14h` and `14 Uhr`."""
    if rest["mark"] and 13 <= hour <= 23:
        return Clock(hour=hour, offset=read_offset(rest["offset"], bare_minus=False))
    raise Unclear(f"{value!r:.60} may be in the morning or in the afternoon; write `07:00:00` or `7 pm`")


def _hour(value: Any, hour: int, half: str | None) -> int:
    """The hour of 24 from one with `am`, `pm` or a part of the day beside it."""
    if half is None:
        return hour
    morning = half.startswith("a") or half.endswith("morning")
    if (morning and hour > 12) or (not morning and hour == 0):
        raise Unclear(f"{value!r:.60} contradicts itself; write it as `14:30:00`")
    found = hour % 12 if morning else hour if hour >= 12 else hour + 12
    if half in _PARTS and found not in _PARTS[half]:
        raise Unclear(f"{value!r:.60} has two readings; write it as `14:30:00`")
    return found


def _checked(value: Any, clock: Clock) -> Clock:
    if clock.hour > 23 or clock.minute > 59 or (clock.second or 0) > 59:
        raise Unclear(f"{value!r:.60} is no time that a clock shows, from 00:00:00 to 23:59:59")
    return clock
