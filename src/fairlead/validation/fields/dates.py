"""Dates, and moments: a date, a time and an offset from UTC."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec

from fairlead.validation.fields.locales import habits
from fairlead.validation.fields.months import FILLERS, MONTHS, WEEKDAYS
from fairlead.validation.fields.times import Clock, read_clock
from fairlead.validation.fields.unclear import Unclear, tidy

WANTED = "a date such as `2026-03-04`"
WANTED_MOMENT = "a date and time such as `2026-03-04T14:30:00`, with its offset from UTC where that is known"
NO_OFFSET = "has no offset from UTC, and one is needed; add it as `+HH:MM` only where it is known"
_FIRST_YEAR = 1_000

_YEAR_FIRST = re.compile(r"(?P<y>[0-9]{4})(?P<sep>[-/.]) ?(?P<m>[0-9]{1,2})(?P=sep) ?(?P<d>[0-9]{1,2})\.?")
_YEAR_LAST = re.compile(r"(?P<a>[0-9]{1,2}) ?(?P<sep>[-/.]) ?(?P<b>[0-9]{1,2}) ?(?P=sep) ?(?P<y>[0-9]{4})")
_SIGNS = re.compile(r"(?P<y>[0-9]{4}) ?年 ?(?P<m>[0-9]{1,2}) ?月 ?(?P<d>[0-9]{1,2}) ?日")
_COMPACT = re.compile(r"(?P<y>[0-9]{4})(?P<m>[0-9]{2})(?P<d>[0-9]{2})")
_MIDNIGHT = re.compile(r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]00:00(?::00(?:\.0+)?)?[Zz]?")
_WORDS = re.compile(r"[^\s,/.-]+")
_DAY = re.compile(r"([0-9]{1,2})(?:st|nd|rd|th|er|e|º|ª)?")
_YEAR = re.compile(r"[0-9]{4}")
_ISO = re.compile(r"(?P<date>[0-9]{4}-[0-9]{2}-[0-9]{2})(?P<sep>[Tt ])(?P<time>[0-9].*)")
_BESIDE = re.compile(
    r"(?P<date>.+?),? (?:at |um |à |@ ?)?(?P<time>(?:[0-9]{1,2}(?::[0-9]|h[0-9]| ?[ap]\.? ?m)|noon|midnight).*)",
    re.IGNORECASE,
)
_ZONE = re.compile(
    r"(?P<before>.*?[^ ]) ?(?:\[(?P<in>[A-Za-z_]+(?:/[A-Za-z0-9_+-]+)+)\]|\(?\b(?P<at>[A-Za-z_]+(?:/[A-Za-z_-]+)+)\)?)"
)


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A date and a time of day, local where the time has no offset."""

    date: date
    clock: Clock

    def written(self, *, digits: int | None = None, seconds: bool = True) -> str:
        """`2026-03-04T14:30:00+01:00`."""
        return f"{self.date.isoformat()}T{self.clock.written(digits=digits, seconds=seconds)}"

    def in_utc(self) -> Moment | None:
        """The same moment with `Z`; `None` for a local one, or where it is before the first or after the last year."""
        offset = self.clock.offset
        if offset is None or offset == "Z":
            return None if offset is None else self
        sign = -1 if offset[0] == "-" else 1
        ahead = sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:6]))
        local = datetime(self.date.year, self.date.month, self.date.day, self.clock.hour, self.clock.minute, tzinfo=UTC)
        try:
            there = local - ahead
        except OverflowError:
            return None
        clock = msgspec.structs.replace(self.clock, hour=there.hour, minute=there.minute, offset="Z")
        return Moment(date=there.date(), clock=clock)


def read_date(value: Any, locale: str | None) -> date:
    """A day of the calendar.

    Raises:
        Unclear: it is none, or the day and the month could be the other way round.
    """
    text = tidy(value, WANTED)
    if midnight := _MIDNIGHT.fullmatch(text):
        text = midnight["date"]
    if found := _YEAR_FIRST.fullmatch(text) or _SIGNS.fullmatch(text):
        return _day(value, found["y"], found["m"], found["d"])
    if found := _YEAR_LAST.fullmatch(text):
        return _either(value, found, locale)
    if found := _COMPACT.fullmatch(text):
        return _compact(value, found)
    return _in_words(value, text)


def read_moment(value: Any, locale: str | None) -> Moment:
    """A date and a time of day; with the offset that stands there or that its time zone has then.

    Raises:
        Unclear: one of them is missing or has two readings.
    """
    text = tidy(value, WANTED_MOMENT)
    zone = _ZONE.fullmatch(text)
    if zone is not None:
        text = zone["before"]
    found = _ISO.fullmatch(text) or _BESIDE.fullmatch(text)
    if found is None:
        raise Unclear(f"{value!r:.60} is not {WANTED_MOMENT}")
    clock = read_clock(found["time"], iso=found.groupdict().get("sep") in ("T", "t"))
    moment = Moment(date=read_date(found["date"], locale), clock=clock)
    return moment if zone is None else _in_zone(value, moment, zone["in"] or zone["at"])


def _day(value: Any, year: str | int, month: str | int, day: str | int) -> date:
    if int(year) < _FIRST_YEAR:
        raise Unclear(f"{value!r:.60} is before the year {_FIRST_YEAR}, which is no year that a text is likely to mean")
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise Unclear(f"{value!r:.60} is no day of the calendar") from None


def _either(value: Any, found: re.Match[str], locale: str | None) -> date:
    """`03/04/2026`: clear where one number is over 12, where both are equal, or where the locale says."""
    first, second = int(found["a"]), int(found["b"])
    order = habits(locale).order
    if first > 12 or first == second:
        order = "day"
    elif second > 12:
        order = "month"
    if order is None:
        raise Unclear(f"{value!r:.60} may begin with the day or the month; write `2026-03-04`, or name a locale")
    month, day = (second, first) if order == "day" else (first, second)
    return _day(value, found["y"], month, day)


def _compact(value: Any, found: re.Match[str]) -> date:
    """`20260304`, where it is no date that ends with its year."""
    text = found[0]
    if int(text[:2]) in range(1, 32) and int(text[2:4]) in range(1, 32) and min(int(text[:2]), int(text[2:4])) <= 12:
        raise Unclear(f"{value!r:.60} may begin or end with the year; write `2026-03-04`")
    return _day(value, found["y"], found["m"], found["d"])


def _in_words(value: Any, text: str) -> date:
    """`4 March 2026` and the like: a month's name, a year of four digits, a day, and perhaps the day of the week."""
    words = [word for word in _WORDS.findall(text.casefold()) if word not in FILLERS]
    weekdays = {WEEKDAYS[word] for word in words if word in WEEKDAYS}
    rest = [word for word in words if word not in WEEKDAYS]
    kinds = "".join(
        "m" if word in MONTHS else "y" if _YEAR.fullmatch(word) else "d" if _DAY.fullmatch(word) else "?"
        for word in rest
    )
    if kinds not in ("dmy", "mdy", "ymd"):
        lacks_year = "y" not in kinds and kinds.count("d") > 1
        raise Unclear(f"{value!r:.60} is not {WANTED}" + ("; a year has four digits" if lacks_year else ""))
    parts = dict(zip(kinds, rest, strict=True))
    number = _DAY.fullmatch(parts["d"])
    day = _day(value, parts["y"], MONTHS[parts["m"]], number[1] if number else "")
    if weekdays and weekdays != {day.weekday()}:
        raise Unclear(f"{value!r:.60} contradicts itself: {day.isoformat()} is another day of the week")
    return day


def _in_zone(value: Any, moment: Moment, name: str) -> Moment:
    """The moment with the offset that a time zone has then, which must be one alone, and the one that is written."""
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - reads files of the system, for the few texts that name a zone

    try:
        zone = ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise Unclear(f"{name!r:.40} is not a known time zone; write an offset such as `+02:00`") from None
    day, clock = moment.date, moment.clock
    local = datetime(day.year, day.month, day.day, clock.hour, clock.minute, clock.second or 0, tzinfo=zone)
    offsets = {local.replace(fold=fold).utcoffset() or timedelta() for fold in (0, 1)}
    written = {_offset(offset) for offset in offsets}
    if clock.offset is not None and (clock.offset if clock.offset != "Z" else "+00:00") in written:
        return moment
    if clock.offset is not None or len(written) != 1:
        raise Unclear(f"{value!r:.80} is not one moment in {name}; write the offset that is meant")
    return Moment(date=day, clock=msgspec.structs.replace(clock, offset=written.pop()))


def _offset(ahead: timedelta) -> str:
    minutes = int(ahead.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
