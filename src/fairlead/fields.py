"""Types that read what models write: times, dates, money and the like; for pydantic models and JSON Schema.

Each is `Annotated` for pydantic: it takes a value in any form that has one reading and gives its normal form; where
two readings are possible it is an error of type `unclear`.  Its JSON Schema names it in `x-fairlead-type`, so that a
schema that goes to a model, or through a gateway, is read in the same way there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from importlib.util import find_spec
from typing import Annotated, Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from fairlead.validation.fields.amounts import read_money
from fairlead.validation.fields.contacts import NEEDS_EXTRA
from fairlead.validation.fields.locales import habits
from fairlead.validation.fields.normalise import LOCALE_KEYWORD, TYPE_KEYWORD, Unclear
from fairlead.validation.fields.types import TYPES


class _Located(str):
    """A text with the locale that it is written in."""

    __slots__ = ("locale",)
    locale: str

    @classmethod
    def mark(cls, value: Any, locale: str) -> Any:
        """The value with each text in it marked; the last mark is that of the nearest field."""
        if isinstance(value, str):
            marked = cls(value)
            marked.locale = locale
            return marked
        if isinstance(value, list):
            return [cls.mark(each, locale) for each in value]
        if isinstance(value, dict):
            return {name: cls.mark(each, locale) for name, each in value.items()}
        return value


@dataclass(frozen=True, slots=True)
class Locale:
    """The locale that a field is written in, as in `Annotated[ISODate, Locale("en-US")]`; nothing takes the machine's.

    Validation takes one for all fields as well, by `context={"locale": "en-US"}`; that of a field goes first.

    Raises:
        ValueError: the tag is not a language, or a language and a region.
    """

    tag: str

    def __post_init__(self) -> None:
        habits(self.tag)

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(
            lambda value: _Located.mark(value, self.tag), handler(source)
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        found = handler(schema)
        _set_locale(found, self.tag)
        return found


@dataclass(frozen=True, slots=True)
class _Named:
    """Reads values as the type of this name, before pydantic sees them."""

    name: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        if self.name == "Phone" and find_spec("phonenumbers") is None:
            raise ImportError(NEEDS_EXTRA)
        return core_schema.with_info_before_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), **_json_schema(self.name)}

    def _read(self, value: Any, info: ValidationInfo) -> Any:
        return _read(self.name, value, info)


@dataclass(frozen=True, slots=True)
class Money:
    """An amount and its currency: `{"amount": "12.50", "currency": "EUR"}` in JSON.

    Read from that, and from a text such as `"12.50 EUR"`, `"€5"` or `"1.234,56 €"`.  What several currencies
    share, as `"$5"`, and a mark with two meanings, as in `"1,234 EUR"`, need a locale.
    """

    amount: Decimal
    currency: str
    """ISO 4217."""

    def __post_init__(self) -> None:
        normal = read_money({"amount": self.amount, "currency": self.currency}, None)
        object.__setattr__(self, "amount", Decimal(normal["amount"]))
        object.__setattr__(self, "currency", normal["currency"])

    def __str__(self) -> str:
        return f"{self.amount:f} {self.currency}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            cls._read,
            serialization=core_schema.plain_serializer_function_ser_schema(_written, when_used="json"),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return _json_schema("Money")

    @classmethod
    def _read(cls, value: Any, info: ValidationInfo) -> Money:
        if isinstance(value, cls):
            return value
        normal = _read("Money", value, info)
        return cls(Decimal(normal["amount"]), normal["currency"])


Time24 = Annotated[str, _Named("Time24")]
"""A time of day, local, in 24 hours: `14:30:00`.  From 24 or 12 hours; an hour alone is one of two."""

ISODate = Annotated[str, _Named("ISODate")]
"""A day: `2026-03-04`.  From numbers and from names of months; which number is the month is not guessed, nor is the
century, nor what day it is today."""

DateTimeTZ = Annotated[str, _Named("DateTimeTZ")]
"""A moment, as RFC 3339 writes it: `2026-03-04T14:30:00+01:00`.  Needs an offset from UTC or the name of a time zone;
letters such as `EST` or `CST` mean several."""

Percent = Annotated[float, _Named("Percent")]
"""A number of hundredths: 45 for `45%`.  A number in JSON stays what it is; a text needs its sign, as `"0.45"` may be
45 %.  It may be negative, and over 100."""

Phone = Annotated[str, _Named("Phone")]
"""A telephone number as E.164 writes it: `+442079460958`.  Needs the extra `fields`.  A national number needs a locale
with its region; one that no country gives out is refused, and so is an extension."""

Email = Annotated[str, _Named("Email")]
"""An address of e-mail: `jane@example.org`.  `mailto:`, brackets and a name around it are taken off, and the domain
gets small letters."""

CountryCode = Annotated[str, _Named("CountryCode")]
"""A country's two letters of ISO 3166-1: `GB`.  From two or three letters and from English names; `UK` is `GB`."""

CurrencyCode = Annotated[str, _Named("CurrencyCode")]
"""A currency's three letters of ISO 4217: `EUR`.  From the code, from a sign that one currency has, and from English
names; what several share, as `$` and `rupees`, needs a locale with a region."""

Boolish = Annotated[bool, _Named("Boolish")]
"""True or false.  From `true`, `yes`, `y`, `on`, `1` and their opposites, in any case; from no other word."""


def _read(name: str, value: Any, info: ValidationInfo) -> Any:
    """The normal form of a value, in its own locale or that of the validation."""
    try:
        return TYPES[name].read(value, _locale_of(value, info))
    except Unclear as error:
        raise PydanticCustomError("unclear", "{reason}", {"reason": str(error)}) from None


def _locale_of(value: Any, info: ValidationInfo) -> str | None:
    for each in value.values() if isinstance(value, Mapping) else (value,):
        if isinstance(each, _Located):
            return each.locale
    found = info.context.get("locale") if isinstance(info.context, Mapping) else None
    return found if isinstance(found, str) else None


def _json_schema(name: str) -> dict[str, Any]:
    return {**TYPES[name].schema, TYPE_KEYWORD: name}


def _set_locale(schema: dict[str, Any], tag: str) -> None:
    """Name the locale beside each kind of value, in members of unions and elements of lists as well."""
    below = [*schema.get("anyOf", ()), *schema.get("oneOf", ())]
    if isinstance(schema.get("items"), dict):
        below.append(schema["items"])
    for each in below:
        _set_locale(each, tag)
    if not below and schema.get("type") != "null":
        schema.setdefault(LOCALE_KEYWORD, tag)


def _written(money: Money) -> dict[str, str]:
    return {"amount": f"{money.amount:f}", "currency": money.currency}
