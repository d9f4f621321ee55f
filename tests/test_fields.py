"""The types for pydantic."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from typing import Annotated, Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from fairlead import fields
from fairlead.fields import (
    Boolish,
    CountryCode,
    CurrencyCode,
    DateTimeTZ,
    Email,
    ISODate,
    Locale,
    Money,
    Percent,
    Phone,
    Time24,
)
from fairlead.validation.fields.normalise import FORMATS, normaliser_for
from fairlead.validation.fields.types import TYPES


class Booking(BaseModel):
    """Each type once, some with a locale."""

    at: Time24
    on: Annotated[ISODate, Locale("en-US")]
    until: Annotated[ISODate | None, Locale("en-US")] = None
    nights: Annotated[list[ISODate], Locale("de")] = []
    made: DateTimeTZ
    price: Money
    tip: Annotated[Money, Locale("en-US")]
    discount: Percent = Field(description="Off the price")
    paid: Boolish
    country: CountryCode
    currency: CurrencyCode
    phone: Annotated[Phone, Locale("en-GB")]
    email: Email


WRITTEN = {
    "at": "2:30pm",
    "on": "03/04/2026",
    "until": "03/06/2026",
    "nights": ["03.04.2026", "4 March 2026"],
    "made": "2026-01-02 09:00 UTC",
    "price": "1.234,56 €",
    "tip": {"amount": "1,234", "currency": "$"},
    "discount": "12,5 %",
    "paid": "Yes",
    "country": "United Kingdom",
    "currency": "pounds sterling",
    "phone": "020 7946 0958",
    "email": "Jane <jane@Example.org>",
}

NORMAL = {
    "at": "14:30:00",
    "on": "2026-03-04",
    "until": "2026-03-06",
    "nights": ["2026-04-03", "2026-03-04"],
    "made": "2026-01-02T09:00:00Z",
    "price": {"amount": "1234.56", "currency": "EUR"},
    "tip": {"amount": "1234", "currency": "USD"},
    "discount": 12.5,
    "paid": True,
    "country": "GB",
    "currency": "GBP",
    "phone": "+442079460958",
    "email": "jane@example.org",
}


def test_a_model_is_in_its_normal_form():
    """Whatever form its values were written in."""
    assert Booking.model_validate(WRITTEN).model_dump(mode="json") == NORMAL


def test_a_normal_form_is_read_as_itself():
    """As JSON, as Python, and as the model's own dump."""
    booking = Booking.model_validate(NORMAL)
    assert booking.model_dump(mode="json") == NORMAL
    assert Booking.model_validate_json(booking.model_dump_json()) == booking
    assert Booking.model_validate(booking.model_dump()) == booking


def test_a_normal_form_fits_the_schema_of_its_model():
    """So does a whole model."""
    for mode in ("validation", "serialization"):
        schema = Booking.model_json_schema(mode=mode)
        assert jsonschema_rs.validator_for(schema, validate_formats=True, formats=dict(FORMATS)).is_valid(NORMAL)


def test_the_values_are_plain():
    """Texts are `str` itself, with nothing of their locale about them."""
    booking = Booking.model_validate(WRITTEN)
    kinds = {name: type(value) for name, value in booking if name not in ("nights", "price", "tip")}
    assert kinds == dict.fromkeys(kinds, str) | {"discount": float, "paid": bool}
    assert [type(night) for night in booking.nights] == [str, str]
    assert booking.price == Money(Decimal("1234.56"), "EUR")


def _named(schema: Any) -> list[dict[str, Any]]:
    """The schemas in one that name a type."""
    if isinstance(schema, list):
        return [found for each in schema for found in _named(each)]
    if not isinstance(schema, dict):
        return []
    below = [found for each in schema.values() for found in _named(each)]
    return [schema, *below] if "x-fairlead-type" in schema else below


def test_the_schema_of_a_model_reads_as_the_model_does():
    """Each property's own schema has all that it takes to read it elsewhere, references left out."""
    properties = Booking.model_json_schema()["properties"]
    for name, schema in properties.items():
        (named,) = _named(schema)
        normaliser = normaliser_for(named)
        assert normaliser is not None
        written, normal = WRITTEN[name], NORMAL[name]
        for value, expected in zip(written, normal, strict=True) if isinstance(written, list) else [(written, normal)]:
            assert normaliser(value, None) == expected


@pytest.mark.parametrize("name", [*TYPES])
def test_each_type_names_itself_in_its_schema(name):
    """Beside the type, format and pattern of its normal form."""
    schema = TypeAdapter(getattr(fields, name)).json_schema()
    assert schema == {**TYPES[name].schema, "x-fairlead-type": name}


def test_a_description_of_the_field_goes_before_that_of_the_type():
    """What a user says of a field is what a model reads."""
    properties = Booking.model_json_schema()["properties"]
    assert properties["discount"]["description"] == "Off the price"
    assert properties["at"]["description"] == "A local time of day in 24 hours, such as 14:30:00"


def test_what_is_unclear_is_an_error_that_says_so():
    """Its type is `unclear`, and its text names the remedy."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(ISODate).validate_python("03/04/2026")
    (error,) = caught.value.errors()
    assert error["type"] == "unclear"
    assert "name a locale" in error["msg"]


def test_braces_in_a_value_are_no_part_of_the_message():
    """A text is data, whatever it holds."""
    with pytest.raises(ValidationError, match=r"\{reason\}"):
        TypeAdapter(ISODate).validate_python("{reason}")


def test_a_locale_of_the_validation_is_that_of_all_fields():
    """But for those that have their own."""

    class Stay(BaseModel):
        start: ISODate
        end: Annotated[ISODate, Locale("en-GB")]
        price: Money

    stay = Stay.model_validate(
        {"start": "03/04/2026", "end": "03/04/2026", "price": {"amount": "1,234", "currency": "$"}},
        context={"locale": "en-US"},
    )
    assert (stay.start, stay.end, str(stay.price)) == ("2026-03-04", "2026-04-03", "1234 USD")


@pytest.mark.parametrize("context", [None, {}, {"locale": None}, {"locale": 5}, "en-US"])
def test_a_validation_without_a_locale_has_none(context):
    """Nothing is taken from the machine."""
    with pytest.raises(ValidationError):
        TypeAdapter(ISODate).validate_python("03/04/2026", context=context)


@pytest.mark.parametrize("tag", ["", "english", "en-USA-x", "de_DE.UTF-8", "C"])
def test_a_locale_is_a_language_and_perhaps_a_region(tag):
    """Anything else is refused where it is written."""
    with pytest.raises(ValueError, match="not a locale"):
        Locale(tag)


def test_an_inner_locale_goes_before_an_outer_one():
    """The one nearest to the value."""
    days = TypeAdapter(Annotated[list[Annotated[ISODate, Locale("en-GB")]], Locale("en-US")])
    assert days.validate_python(["03/04/2026"]) == ["2026-04-03"]
    assert days.json_schema()["items"]["x-fairlead-locale"] == "en-GB"


def test_an_optional_type_takes_null():
    """And reads all else."""
    optional = TypeAdapter(Time24 | None)
    assert optional.validate_python(None) is None
    assert optional.validate_python("2:30pm") == "14:30:00"


@pytest.mark.parametrize(
    "kind", [Time24, ISODate, DateTimeTZ, Money, Percent, Email, CountryCode, CurrencyCode, Boolish]
)
@pytest.mark.parametrize("value", [None, [], {}, object(), b"x"])
def test_another_kind_of_value_is_refused(kind, value):
    """By an error of validation, and no other."""
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)


@given(st.decimals(-(10**9), 10**9, places=2), st.sampled_from(["EUR", "usd", "Jpy"]))
def test_money_is_its_amount_and_currency(amount, currency):
    """Equal where both are, and written as it is read."""
    money = Money(amount, currency)
    adapter = TypeAdapter(Money)
    assert (money.amount, money.currency) == (amount, currency.upper())
    assert adapter.validate_json(adapter.dump_json(money)) == money
    assert adapter.validate_python(str(money)) == money
    assert adapter.validate_python(money) is money


def test_money_of_no_currency_cannot_be_made():
    """Neither can one of no number."""
    with pytest.raises(ValueError, match="not a currency"):
        Money(Decimal(5), "XYZ")
    with pytest.raises(ValueError, match="finite"):
        Money(Decimal("NaN"), "EUR")


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=20)
    return done.stdout


def test_telephone_numbers_without_the_extra_are_an_error_of_their_model():
    """Where the model is defined, with the remedy; all other types work."""
    out = _run(
        "import sys; sys.modules['phonenumbers'] = None\n"
        "from pydantic import TypeAdapter\n"
        "from fairlead.fields import Phone, Time24\n"
        "print(TypeAdapter(Time24).validate_python('2:30pm'))\n"
        "try: TypeAdapter(Phone)\n"
        "except ImportError as error: print(error)"
    )
    assert out.startswith("14:30:00\n")
    assert "run `pip install phonenumbers`" in out


def test_the_library_alone_does_not_load_what_the_types_need():
    """Neither pydantic nor the metadata of telephone numbers, nor the gateway with the types."""
    heavy = "{'pydantic', 'phonenumbers', 'jsonschema_rs', 'fastapi', 'zoneinfo'}"
    assert _run(f"import sys, fairlead; print({heavy} & {{*sys.modules}})") == "set()\n"
    light = "{'phonenumbers', 'jsonschema_rs', 'fastapi'}"
    assert _run(f"import sys, fairlead.fields; print({light} & {{*sys.modules}})") == "set()\n"
