"""The named types: what each reads, and its JSON Schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from fairlead.validation.fields.amounts import read_money, read_percent
from fairlead.validation.fields.contacts import read_email, read_phone
from fairlead.validation.fields.dates import NO_OFFSET, read_date, read_moment
from fairlead.validation.fields.places import read_country, read_currency
from fairlead.validation.fields.times import read_clock
from fairlead.validation.fields.unclear import Normaliser, Unclear

_TRUE = frozenset({"true", "yes", "y", "on", "1"})
_FALSE = frozenset({"false", "no", "n", "off", "0"})

_MONEY: Mapping[str, Any] = {
    "type": "object",
    "description": "An amount in digits, and its currency of ISO 4217",
    "properties": {
        "amount": {"type": "string", "pattern": "^-?[0-9]+(\\.[0-9]+)?$"},
        "currency": {"type": "string", "pattern": "^[A-Z]{3}$"},
    },
    "required": ["amount", "currency"],
    "additionalProperties": False,
}


class FieldType(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of value that `x-fairlead-type` can name."""

    name: str
    schema: Mapping[str, Any]
    """Of the normal form; what a model is asked for."""
    read: Normaliser


def _time24(value: Any, _: str | None) -> str:
    clock = read_clock(value)
    if clock.offset is not None:
        raise Unclear(f"{value!r:.60} has an offset from UTC, which a time of day alone cannot hold; write `14:30:00`")
    return clock.written()


def _iso_date(value: Any, locale: str | None) -> str:
    return read_date(value, locale).isoformat()


def _date_time_tz(value: Any, locale: str | None) -> str:
    moment = read_moment(value, locale)
    if moment.clock.offset is None:
        raise Unclear(f"{value!r:.60} {NO_OFFSET}")
    return moment.written()


def _boolish(value: Any, _: str | None) -> bool:
    if isinstance(value, str):
        word = value.strip().casefold()
        if word in _TRUE or word in _FALSE:
            return word in _TRUE
    elif isinstance(value, bool | int | float) and value in (0, 1):
        return bool(value)
    shown = f"{value!r:.40}" if isinstance(value, str) else "this"
    raise Unclear(f"{shown} is neither true nor false; write one of these")


def _text(description: str, **more: str) -> dict[str, str]:
    return {"type": "string", **more, "description": description}


TYPES: Mapping[str, FieldType] = {
    each.name: each
    for each in (
        FieldType(
            name="Time24",
            schema=_text("A local time of day in 24 hours, such as 14:30:00", format="time"),
            read=_time24,
        ),
        FieldType(name="ISODate", schema=_text("A day, such as 2026-03-04", format="date"), read=_iso_date),
        FieldType(
            name="DateTimeTZ",
            schema=_text("A moment with its offset from UTC, such as 2026-03-04T14:30:00+01:00", format="date-time"),
            read=_date_time_tz,
        ),
        FieldType(name="Money", schema=_MONEY, read=read_money),
        FieldType(
            name="Percent",
            schema={"type": "number", "description": "A number of hundredths, such as 45 for 45 %"},
            read=read_percent,
        ),
        FieldType(
            name="Phone",
            schema=_text("A telephone number of E.164, such as +442079460958", pattern="^\\+[1-9][0-9]{4,14}$"),
            read=read_phone,
        ),
        FieldType(name="Email", schema=_text("An address of e-mail", format="email"), read=read_email),
        FieldType(
            name="CountryCode",
            schema=_text("A country's two letters of ISO 3166, such as DE", pattern="^[A-Z]{2}$"),
            read=read_country,
        ),
        FieldType(
            name="CurrencyCode",
            schema=_text("A currency's three letters of ISO 4217, such as EUR", pattern="^[A-Z]{3}$"),
            read=read_currency,
        ),
        FieldType(name="Boolish", schema={"type": "boolean"}, read=_boolish),
    )
}
"""By the name that `x-fairlead-type` gives."""
