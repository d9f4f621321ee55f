"""From what a schema calls a time, a date, a price and the like to how JSON writes it; one reading, or none."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any

from fairlead.validation.fields.contacts import tidy_email
from fairlead.validation.fields.dates import NO_OFFSET, Moment, read_date, read_moment
from fairlead.validation.fields.patterns import fits, meaning
from fairlead.validation.fields.times import Clock, read_clock
from fairlead.validation.fields.types import TYPES
from fairlead.validation.fields.unclear import Normaliser as Normaliser  # noqa: PLC0414 - who reads values takes both from here
from fairlead.validation.fields.unclear import Unclear as Unclear  # noqa: PLC0414 - as above

TYPE_KEYWORD = "x-fairlead-type"
"""Names one of `TYPES` in a JSON Schema."""
LOCALE_KEYWORD = "x-fairlead-locale"
"""Names the locale that a value is written in, before any that the call names."""

_TIME = re.compile(
    r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]{1,20})?(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?"
)
_SHORT = re.compile(r"\s*[0-9]{1,2}:[0-9]{2}\s*")
_DATE = re.compile(r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}")
_LOCAL = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,20})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])?"
)
_MOMENT = re.compile(
    r"[1-9][0-9]{3}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9])"
)
_DIGITS = (None, 0, 3, 6, 1, 2, 4, 5, 7, 8, 9)


def _is_time(text: str) -> bool:
    return _TIME.fullmatch(text) is not None


def _is_moment(text: str) -> bool:
    return _LOCAL.fullmatch(text) is not None and _is_day(text[:10])


FORMATS: Mapping[str, Callable[[str], bool]] = {"time": _is_time, "date-time": _is_moment}
"""Checks of formats beside those of JSON Schema: both may be local, without an offset."""


def normaliser_for(schema: Mapping[str, Any]) -> Normaliser | None:
    """What brings the values of a schema into their normal form; `None` where it names no kind of value.

    By `x-fairlead-type`, else by `format`, else by a `pattern` that means a time or a date.
    """
    name, form, pattern = schema.get(TYPE_KEYWORD), schema.get("format"), schema.get("pattern")
    if isinstance(name, str) and name in TYPES:
        return _located(schema, TYPES[name].read)
    if not _takes_text(schema):
        return None
    pattern = pattern if isinstance(pattern, str) else None
    loose = False
    if not isinstance(form, str):
        form = (meaning(pattern) if pattern else None) or ""
        loose, form = form.startswith("loose "), form.removeprefix("loose ")
    read = _BY_FORMAT.get(form)
    if read is None:
        return None
    return _located(
        schema, _only_text(partial(_loosely, read, pattern) if loose and pattern else partial(read, pattern))
    )


def _takes_text(schema: Mapping[str, Any]) -> bool:
    kinds = schema.get("type", "string")
    return (kinds == "string" or (isinstance(kinds, list) and "string" in kinds)) and not (
        "enum" in schema or "const" in schema
    )


def _located(schema: Mapping[str, Any], read: Normaliser) -> Normaliser:
    """With the locale that stands in the schema, where one does."""
    own = schema.get(LOCALE_KEYWORD)
    if not isinstance(own, str):
        return read
    return lambda value, _: read(value, own)


def _only_text(read: Normaliser) -> Normaliser:
    """What is no string has no form; the schema says whether it may be there."""
    return lambda value, locale: read(value, locale) if isinstance(value, str) else value


def _loosely(read: Callable[[str | None, str, str | None], str], pattern: str, value: str, locale: str | None) -> str:
    """What fits already may be a length of time or a number, and stays; `2:30` may be one as well."""
    if fits(pattern, value):
        return value
    if _SHORT.fullmatch(value) and not fits(pattern, "14:30"):
        raise Unclear(f"{value!r:.60} may be a time of day or a length of time; write `14:30:00`")
    return read(pattern, value, locale)


def _time(pattern: str | None, value: str, _: str | None) -> str:
    if pattern is None and _TIME.fullmatch(value):
        return value.upper()
    clock = read_clock(value)
    return _first(pattern, _time_forms(clock))


def _time_forms(clock: Clock) -> list[str]:
    forms = [clock.written(digits=digits) for digits in _DIGITS if digits is None or digits >= len(clock.fraction)]
    if not clock.second and not clock.fraction.strip("0"):
        forms.append(clock.written(seconds=False))
    return forms


def _date(_pattern: str | None, value: str, locale: str | None) -> str:
    if _DATE.fullmatch(value) and _is_day(value):
        return value
    return read_date(value, locale).isoformat()


def _moment(pattern: str | None, value: str, locale: str | None) -> str:
    if _MOMENT.fullmatch(value) and _is_day(value[:10]) and (pattern is None or fits(pattern, value)):
        return value
    moment = read_moment(value, locale)
    if moment.clock.offset is None and pattern and not fits(pattern, "2026-03-04T14:30:00"):
        raise Unclear(f"{value!r:.60} {NO_OFFSET}")
    forms = _moment_forms(moment)
    if pattern and (there := moment.in_utc()) is not None:
        forms += _moment_forms(there)
    return _first(pattern, forms)


def _moment_forms(moment: Moment) -> list[str]:
    least = len(moment.clock.fraction)
    return [moment.written(digits=digits) for digits in _DIGITS if digits is None or digits >= least]


def _first(pattern: str | None, forms: list[str]) -> str:
    """The first form that the pattern takes; the plain one where it takes none, for the check of the schema to refuse."""
    return next((form for form in forms if pattern and fits(pattern, form)), forms[0])


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _email(_pattern: str | None, value: str, _: str | None) -> str:
    """What is no plain address is left to the check of the format, which knows the rare forms."""
    try:
        return tidy_email(value)
    except Unclear:
        return value


_BY_FORMAT: Mapping[str, Callable[[str | None, str, str | None], str]] = {
    "time": _time,
    "date": _date,
    "date-time": _moment,
    "email": _email,
}
