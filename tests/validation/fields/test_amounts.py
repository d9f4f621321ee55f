"""Percentages, money and the marks in numbers."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.validation.fields.amounts import read_number
from fairlead.validation.fields.types import TYPES
from fairlead.validation.fields.unclear import Unclear

MONEY = TYPES["Money"].read
PERCENT = TYPES["Percent"].read

PRICES = {
    "12.50 EUR": "12.50 EUR",
    "EUR 12.50": "12.50 EUR",
    "EUR12.50": "12.50 EUR",
    "12.50EUR": "12.50 EUR",
    "12.50 eur": "12.50 EUR",
    "€5": "5 EUR",
    "5 €": "5 EUR",
    "-€5": "-5 EUR",
    "€-5": "-5 EUR",
    "\u2212 5 €": "-5 EUR",
    "+5 EUR": "5 EUR",
    "US$5": "5 USD",
    "5 US$": "5 USD",
    "5 USD": "5 USD",
    "$5 USD": "5 USD",
    "$5.00 CAD": "5.00 CAD",
    "AUD $5": "5 AUD",
    "USD$5": "5 USD",
    "EUR € 5": "5 EUR",
    "5 € EUR": "5 EUR",
    "¥500 JPY": "500 JPY",
    "A$5": "5 AUD",
    "R$ 10,50": "10.50 BRL",
    "£5": "5 GBP",
    "₹12,34,567.50": "1234567.50 INR",
    "5 zł": "5 PLN",
    "1.234,56 €": "1234.56 EUR",
    "1,234.56 USD": "1234.56 USD",
    "1 234,56 €": "1234.56 EUR",
    "1\u202f234,56 €": "1234.56 EUR",
    "1'234.50 CHF": "1234.50 CHF",
    "USD 1,234,567": "1234567 USD",
    "1.234.567 EUR": "1234567 EUR",
    "1234 EUR": "1234 EUR",
    "0,5 €": "0.5 EUR",
    ".50 USD": "0.50 USD",
    "0.125 EUR": "0.125 EUR",
    "12.3456 EUR": "12.3456 EUR",
    "007 EUR": "7 EUR",
    "-0.00 EUR": "0.00 EUR",
    "CHF 5.-": "5 CHF",
    "5,- €": "5 EUR",
    "CHF 5.\u2013": "5 CHF",
    "5 euros": "5 EUR",
    "5 US dollars": "5 USD",
    "5 pounds sterling": "5 GBP",
    "5 Swiss francs": "5 CHF",
    "500 yen": "500 JPY",
    "5k EUR": "5000 EUR",
    "5 k€": "5000 EUR",
    "12 thousand EUR": "12000 EUR",
    "1.5 million USD": "1500000 USD",
    "$1.5 million USD": "1500000 USD",
    "1,5 mn EUR": "1500000 EUR",
    "2 billion JPY": "2000000000 JPY",
}

NO_PRICES = [
    "$5",
    "5 $",
    "C$5",
    "¥500",
    "5 kr",
    "5 dollars",
    "5 pounds",
    "5 francs",
    "Rs. 500",
    "1,234 EUR",
    "EUR 1.234",
    "1.2.3 EUR",
    "1.234,567.89 EUR",
    "1 23,4,5 EUR",
    "1,23 4 EUR",
    "12.34.56 EUR",
    "0,123,456 EUR",
    "5",
    "12.50",
    "EUR",
    "free",
    "5 cents",
    "5 EUR/month",
    "5 EUR 50",
    "€5 USD",
    "USD € 5",
    "EUR $5",
    "$5 EUR",
    "5-10 EUR",
    "5\u201310 EUR",
    "about 5 EUR",
    "~€5",
    "5+ EUR",
    "at least 5 EUR",
    "(5 EUR)",
    "- 5 - EUR",
    "five EUR",
    "5 BTC",
    "5 XXX",
    "5 all",
    "1e3 EUR",
    "1" * 41 + " EUR",
    "N/A",
    "",
    5,
    5.5,
    True,
    None,
    [5, "EUR"],
]

OBJECTS = [
    ({"amount": 5, "currency": "EUR"}, "5 EUR"),
    ({"amount": 12.5, "currency": "eur"}, "12.5 EUR"),
    ({"amount": "12.50", "currency": "€"}, "12.50 EUR"),
    ({"currency": "US dollars", "amount": "-1.5"}, "-1.5 USD"),
    ({"amount": "1.234", "currency": "EUR"}, "1.234 EUR"),
    ({"amount": "1.234,56", "currency": "EUR"}, "1234.56 EUR"),
    ({"amount": 1e21, "currency": "EUR"}, "1000000000000000000000 EUR"),
    ({"amount": 1e-7, "currency": "EUR"}, "0.0000001 EUR"),
    ({"amount": Decimal("5.00"), "currency": "EUR"}, "5.00 EUR"),
]

NO_OBJECTS = [
    {},
    {"amount": 5},
    {"currency": "EUR"},
    {"amount": 5, "currency": "EUR", "note": "x"},
    {"amount": True, "currency": "EUR"},
    {"amount": None, "currency": "EUR"},
    {"amount": "1,234", "currency": "EUR"},
    {"amount": "5 EUR", "currency": "EUR"},
    {"amount": "five", "currency": "EUR"},
    {"amount": float("nan"), "currency": "EUR"},
    {"amount": float("inf"), "currency": "EUR"},
    {"amount": 1e300, "currency": "EUR"},
    {"amount": Decimal("sNaN"), "currency": "EUR"},
    {"amount": 5, "currency": "$"},
    {"amount": 5, "currency": None},
]


def written(money: dict[str, str]) -> str:
    """In one line."""
    return f"{money['amount']} {money['currency']}"


@pytest.mark.parametrize(("text", "normal"), PRICES.items())
def test_a_price_of_one_reading_is_read(text, normal):
    """Codes, signs and names, before or behind the amount."""
    assert written(MONEY(text, None)) == normal


@pytest.mark.parametrize("value", NO_PRICES)
def test_a_price_that_could_be_another_is_refused(value):
    """A currency that several share or none is named, a mark of two meanings, a range."""
    with pytest.raises(Unclear):
        MONEY(value, None)


@pytest.mark.parametrize(("value", "normal"), OBJECTS)
def test_an_object_of_amount_and_currency_is_read(value, normal):
    """The amount as a number or a text, the currency as a text alone."""
    assert written(MONEY(value, None)) == normal


@pytest.mark.parametrize("value", NO_OBJECTS)
def test_another_object_is_no_price(value):
    """One that lacks a part or has more, or whose amount is no number."""
    with pytest.raises(Unclear):
        MONEY(value, None)


@pytest.mark.parametrize(
    ("text", "locale", "normal"),
    [
        ("$5", "en-US", "5 USD"),
        ("$5", "en-CA", "5 CAD"),
        ("$5", "fr-CA", "5 CAD"),
        ("$5", "es-MX", "5 MXN"),
        ("C$5", "es-NI", "5 NIO"),
        ("¥500", "ja-JP", "500 JPY"),
        ("5 kr", "sv-SE", "5 SEK"),
        ("5 pounds", "en-GB", "5 GBP"),
        ("£5", "ar-EG", "5 EGP"),
        ("5 Fr.", "de-CH", "5 CHF"),
        ("Rs. 500", "en-IN", "500 INR"),
        ("1,234 EUR", "en-US", "1234 EUR"),
        ("1,234 EUR", "de-DE", "1.234 EUR"),
        ("1.234 EUR", "de-DE", "1234 EUR"),
        ("1.234 EUR", "en", "1.234 EUR"),
        ("1,234.56 EUR", "de-DE", "1234.56 EUR"),
    ],
)
def test_a_locale_says_what_a_sign_and_a_mark_mean(text, locale, normal):
    """The region the currency; the language, in some regions, the mark."""
    assert written(MONEY(text, locale)) == normal


@pytest.mark.parametrize(
    ("text", "locale"), [("$5", "en"), ("$5", "en-GB"), ("1,234 EUR", "es"), ("1,234 EUR", "en-DE")]
)
def test_a_locale_that_does_not_say_leaves_it_unclear(text, locale):
    """A language without a region has no currency, and one that is written in two ways has no mark."""
    with pytest.raises(Unclear):
        MONEY(text, locale)


@given(
    st.decimals(-(10**12), 10**12, places=2).map(lambda amount: f"{amount:f}"),
    st.sampled_from(["EUR", "USD", "JPY", "CHF"]),
    st.sampled_from([None, "de-DE", "en-US"]),
)
def test_money_in_its_normal_form_stays(amount, currency, locale):
    """In any locale: digits and a point are what the schema asks for."""
    normal = MONEY({"amount": amount, "currency": currency}, locale)
    assert Decimal(normal["amount"]) == Decimal(amount)
    assert MONEY(normal, locale) == normal


@given(st.text("0123456789.,-' $€kEURUSD", max_size=20), st.sampled_from([None, "de-DE", "en-US"]))
def test_a_price_that_is_read_is_read_again_as_itself(text, locale):
    """Any text has a normal form that stays, or none."""
    try:
        normal = MONEY(text, locale)
    except Unclear:
        return
    assert MONEY(normal, locale) == normal


@given(st.integers(0, 10**15), st.sampled_from([",", ".", " ", "'", "_"]))
def test_groups_of_thousands_are_one_number(number, mark):
    """Two groups and more have one reading, whatever the mark."""
    written = f"{number:,}".replace(",", mark)
    if written.count(mark) > 1:
        assert read_number(written, None) == str(number)


PERCENTAGES = {
    "45%": 45,
    "45 %": 45,
    "45\u00a0%": 45,
    "%45": 45,
    "% 45": 45,
    "45 percent": 45,
    "45 Percent": 45,
    "45 per cent": 45,
    "45 pct": 45,
    "45 pct.": 45,
    "45percent": 45,
    "0%": 0,
    "-0%": 0,
    "0.45%": 0.45,
    ".5%": 0.5,
    "45.0%": 45,
    "45.5%": 45.5,
    "12,5 %": 12.5,
    "3.125%": 3.125,
    "33,3333 %": 33.3333,
    "-5%": -5,
    "\u22125 %": -5,
    "- 5 %": -5,
    "+5 %": 5,
    "100%": 100,
    "150 %": 150,
    "1,234.5%": 1234.5,
    "1.234,5 %": 1234.5,
    "1 234 %": 1234,
    "1,234,567%": 1234567,
}

NO_PERCENTAGES = [
    "0.45",
    "45",
    "1",
    "0",
    "forty percent",
    "45-50%",
    "45%-50%",
    "~45%",
    "about 45%",
    "up to 45%",
    ">45%",
    "45+%",
    "45 %%",
    "%",
    "percent",
    "45 percentage points",
    "45 pp",
    "45‰",
    "45 basis points",
    "1e2%",
    "1,234%",
    "1.2.3%",
    "45 % of 100",
    "1/2",
    "half",
    "N/A",
    "",
    "1" * 41 + "%",
    float("nan"),
    float("inf"),
    True,
    False,
    None,
    [45],
    {"percent": 45},
]


@pytest.mark.parametrize(("text", "number"), PERCENTAGES.items())
def test_a_percentage_is_its_number_of_hundredths(text, number):
    """`45%` is 45."""
    assert PERCENT(text, None) == number


@pytest.mark.parametrize("value", NO_PERCENTAGES)
def test_what_could_be_another_percentage_is_refused(value):
    """A text without its sign may be a fraction."""
    with pytest.raises(Unclear):
        PERCENT(value, None)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_in_json_is_a_percentage_already(number):
    """As it was written."""
    assert PERCENT(number, "de-DE") is number
    assert PERCENT(10**5000, None) == 10**5000


def test_the_marks_of_a_percentage_are_those_of_its_locale():
    """Without one, a point stands before a fraction, as in JSON."""
    assert PERCENT("1,234%", "en-US") == 1234
    assert PERCENT("1.234%", "de-DE") == 1234
    assert PERCENT("1.234%", None) == 1.234
