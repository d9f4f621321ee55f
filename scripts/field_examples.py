"""What each type of `fairlead.fields` is read from, for `docs/reference/fields.md`; every row is tried when the page is made."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from fairlead.validation.fields.normalise import Unclear, normaliser_for
from fairlead.validation.fields.types import TYPES

OPENING = """\
Types for pydantic that read what models write, from `fairlead.fields`.
A value is taken in any form that has one reading, and becomes its normal form; where two readings are possible it is an
error of the type `unclear`, and never a guess.
Every row of this page is tried when it is made.

```python run
from typing import Annotated

from pydantic import BaseModel

from fairlead.fields import Boolish, ISODate, Locale, Money, Time24


class Booking(BaseModel):
    at: Time24
    on: Annotated[ISODate, Locale("en-US")]
    price: Money
    paid: Boolish


booking = Booking.model_validate({"at": "2:30pm", "on": "03/04/2026", "price": "12,50 €", "paid": "yes"})
assert (booking.at, booking.on, str(booking.price), booking.paid) == ("14:30:00", "2026-03-04", "12.50 EUR", True)
```

The values are texts, numbers and booleans as JSON has them; only `Money` is a class of its own.
Values that pydantic's own types can hold go to these: `datetime.time.fromisoformat(booking.at)`.

## Locale

`Locale("en-US")` beside a type says which language and region a value is written in.
It holds for the elements of a list and the members of a union, too; `context={"locale": "en-US"}` is that of a whole
validation, for all fields without their own.
Nothing takes the locale of the machine.
A locale decides only what is unclear without it, and only where its region or language has one habit: `en` has two orders
of day and month, and `es` two marks before a fraction.

## In JSON Schema

A schema names a type in `x-fairlead-type` and a locale in `x-fairlead-locale`, and schemas that are written by hand, or
in other languages, may do so as well.
Without one, `format` and `pattern` say what a text is:

| schema | read as |
|---|---|
| `format: time` | `Time24`; an offset stays where one is written |
| `format: date` | `ISODate` |
| `format: date-time` | `DateTimeTZ`, or a local date and time, which gets no offset: `2026-03-04 14:30` is `2026-03-04T14:30:00` |
| `format: email` | `Email`; domains without a dot and rare forms stay |
| a `pattern` that only times, dates or moments fit, such as Zod's | the same, in the form that the pattern takes |

A pattern that also fits what no clock or calendar shows, such as `^\\d\\d:\\d\\d$`, may be about something else: what
fits it already stays, and `14:30` is refused where seconds are asked for.
The checks of `format: time` and `format: date-time` take local ones, without an offset; `DateTimeTZ` does not.
"""

TAKEN: dict[str, list[Any]] = {
    "Time24": [
        "14:30",
        "2:30pm",
        "2.30 p.m.",
        "2 PM",
        "14h30",
        "14.30 Uhr",
        "1430 hours",
        "7 in the evening",
        "noon",
        "2:30",
    ],
    "ISODate": [
        *("2026-03-04", "2026/3/4", "4 March 2026", "March 4th, 2026", "Wed, 4 Mar 2026", "4. März 2026"),
        *("4 de marzo de 2026", "2026年3月4日", "30.04.2026", "04/30/2026", "20260304", "2026-03-04T00:00:00Z"),
    ],
    "DateTimeTZ": [
        *("2026-03-04T14:30:00Z", "2026-03-04 14:30:00+01:00", "2026-03-04 2:30 pm UTC", "4 March 2026 14:30 UTC+1"),
        *("2026-07-04T14:30[Europe/Berlin]", "2026-03-04 14:30 Europe/Berlin", "Wed, 04 Mar 2026 14:30:00 GMT"),
    ],
    "Money": [
        *("12.50 EUR", "€5", "US$5", "$5 CAD", "1.234,56 €", "1,234.56 USD", "CHF 5.-", "5 pounds sterling"),
        *("1.5 million USD", {"amount": 12.5, "currency": "eur"}, {"amount": "1.234", "currency": "EUR"}),
    ],
    "Percent": ["45%", "45 percent", "12,5 %", "3.125%", "-5 %", "150%", 45, 0.45],
    "Phone": ["+44 20 7946 0958", "+44 (0)20 7946 0958", "tel:+1-202-555-0123"],
    "Email": [
        *("jane@Example.org", "mailto:jane@example.org?subject=Hello", "Jane Doe <jane@example.org>"),
        "[jane@example.org](mailto:jane@example.org)",
    ],
    "CountryCode": ["DE", "de", "DEU", "Germany", "UK", "U.S.A.", "Côte d'Ivoire", "the Netherlands", "South Korea"],
    "CurrencyCode": ["EUR", "eur", "€", "US$", "Swiss francs", "pounds sterling", "yen", "zł"],
    "Boolish": [True, "yes", "No", "ON", "0", 1],
}

REFUSED: dict[str, list[Any]] = {
    "Time24": [
        "7",
        "7 o'clock",
        "14.30",
        "half past two",
        "about 7pm",
        "14:30-15:00",
        "24:00",
        "14:30:00Z",
        "2:30pm EST",
    ],
    "ISODate": ["03/04/2026", "04.03.26", "March 2026", "tomorrow", "31 February 2026", "Thursday, March 4, 2026"],
    "DateTimeTZ": ["2026-03-04T14:30:00", "2026-03-04", "2026-03-04 2:30 PM EST", "2026-10-25T02:30[Europe/Berlin]"],
    "Money": ["$5", "5 kr", "1,234 EUR", "12.50", 5, "5-10 EUR", "about 5 EUR", "5 EUR/month", "€5 USD"],
    "Percent": ["0.45", "45", "1,234%", "about 45%", "45-50%", "45 percentage points"],
    "Phone": ["020 7946 0958", "+1 202 555 0123 ext. 5", "1-800-FLOWERS", "+1 123 555 0123"],
    "Email": ["jane@localhost", "jane (at) example.org", "jane@example.org, joe@example.org"],
    "CountryCode": ["Georgia", "Congo", "Korea", "England", "EU", "no", "Germny"],
    "CurrencyCode": ["$", "dollars", "kr", "francs", "¥", "BTC", "EUR/USD"],
    "Boolish": ["maybe", "", "yep", 2],
}

LOCATED: dict[str, list[tuple[str, Any]]] = {
    "ISODate": [("en-US", "03/04/2026"), ("en-GB", "03/04/2026"), ("de", "04.03.2026")],
    "DateTimeTZ": [("en-US", "03/04/2026 14:30 UTC")],
    "Money": [("en-US", "$5"), ("en-US", "1,234 EUR"), ("de-DE", "1,234 EUR"), ("sv-SE", "5 kr")],
    "Percent": [("en-US", "1,234%"), ("de-DE", "1,234%")],
    "Phone": [("en-GB", "020 7946 0958"), ("en-US", "(202) 555-0123")],
    "CurrencyCode": [("en-AU", "$"), ("en-IN", "rupees")],
}


def taken(name: str) -> Iterator[tuple[str, str]]:
    """What is read, and its normal form; as JSON both."""
    for value in TAKEN[name]:
        yield written(value), written(read(name, value, None))


def located(name: str) -> Iterator[tuple[str, str, str]]:
    """What a locale decides: the locale, the value, its normal form; without the locale it is refused."""
    for locale, value in LOCATED.get(name, ()):
        refusal(name, value)
        yield locale, written(value), written(read(name, value, locale))


def refused(name: str) -> Iterator[tuple[str, str]]:
    """What is refused, and why."""
    for value in REFUSED[name]:
        yield written(value), refusal(name, value)


def refusal(name: str, value: Any) -> str:
    """The reason.

    Raises:
        AssertionError: the value is read after all.
    """
    try:
        found = read(name, value, None)
    except Unclear as error:
        return str(error)
    raise AssertionError(f"{name} reads {value!r} as {found!r}")


def read(name: str, value: Any, locale: str | None) -> Any:
    """The normal form of a value."""
    normaliser = normaliser_for({**TYPES[name].schema, "x-fairlead-type": name})
    assert normaliser is not None  # noqa: S101 - each name is a type
    return normaliser(value, locale)


def written(value: Any) -> str:
    """As JSON, for a cell."""
    return f"`{json.dumps(value, ensure_ascii=False)}`"
