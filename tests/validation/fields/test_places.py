"""Countries and currencies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.validation.fields.country_table import COUNTRIES
from fairlead.validation.fields.currency_table import CURRENCIES
from fairlead.validation.fields.types import TYPES
from fairlead.validation.fields.unclear import Unclear

COUNTRY = TYPES["CountryCode"].read
CURRENCY = TYPES["CurrencyCode"].read

COUNTRY_FORMS = {
    "DE": "DE",
    "de": "DE",
    "De": "DE",
    "DEU": "DE",
    "deu": "DE",
    "Germany": "DE",
    "GERMANY": "DE",
    "Federal Republic of Germany": "DE",
    "UK": "GB",
    "U.K.": "GB",
    "uk": "GB",
    "Great Britain": "GB",
    "United Kingdom": "GB",
    "the United Kingdom": "GB",
    "US": "US",
    "us": "US",
    "U.S.": "US",
    "USA": "US",
    "U.S.A.": "US",
    "United States": "US",
    "The United States of America": "US",
    "the Netherlands": "NL",
    "Holland": "NL",
    "Côte d'Ivoire": "CI",
    "Cote d\u2019Ivoire": "CI",
    "Ivory Coast": "CI",
    "Türkiye": "TR",
    "Turkey": "TR",
    "Czech Republic": "CZ",
    "Czechia": "CZ",
    "South Korea": "KR",
    "Republic of Korea": "KR",
    "North Korea": "KP",
    "DR Congo": "CD",
    "Republic of the Congo": "CG",
    "Republic of Georgia": "GE",
    "GE": "GE",
    "St. Kitts & Nevis": "KN",
    "Saint Kitts and Nevis": "KN",
    "São Tomé and Príncipe": "ST",
    "Timor Leste": "TL",
    "Viet Nam": "VN",
    "The Bahamas": "BS",
    "U.S. Virgin Islands": "VI",
    "Russia": "RU",
    "Korea, Republic of": "KR",
    "Korea (the Republic of)": "KR",
    "Iran, Islamic Republic of": "IR",
    "Congo, The Democratic Republic of the": "CD",
    "Virgin Islands (U.S.)": "VI",
    "NO": "NO",
    "NA": "NA",
    "Namibia": "NA",
}

NO_COUNTRIES = [
    "Georgia",
    "Congo",
    "the Congo",
    "Korea",
    "Virgin Islands",
    "Saint Martin",
    "St Martin",
    "Macedonia",
    "America",
    "England",
    "Scotland",
    "EU",
    "Europe",
    "XK",
    "XX",
    "ZZ",
    "QQQ",
    "no",
    "No",
    "na",
    "n/a",
    "N/A",
    "none",
    "unknown",
    "worldwide",
    "Deutschland",
    "Berlin",
    "Berlin, Germany",
    "Germany or France",
    "DE, FR",
    "DE/FR",
    "not Germany",
    "Germny",
    "and",
    "can",
    "",
    "D",
    "+49",
    49,
    True,
    None,
    ["DE"],
]

CURRENCY_FORMS = {
    "EUR": "EUR",
    "eur": "EUR",
    "€": "EUR",
    "euro": "EUR",
    "Euros": "EUR",
    "the euro": "EUR",
    "USD": "USD",
    "US$": "USD",
    "us dollar": "USD",
    "US Dollars": "USD",
    "U.S. dollars": "USD",
    "United States Dollar": "USD",
    "CA$": "CAD",
    "Canadian dollars": "CAD",
    "A$": "AUD",
    "NT$": "TWD",
    "R$": "BRL",
    "Brazilian real": "BRL",
    "Brazilian reais": "BRL",
    "£": "GBP",
    "pound sterling": "GBP",
    "pounds sterling": "GBP",
    "British pounds": "GBP",
    "sterling": "GBP",
    "yen": "JPY",
    "Japanese Yen": "JPY",
    "円": "JPY",
    "CN¥": "CNY",
    "RMB": "CNY",
    "renminbi": "CNY",
    "yuan": "CNY",
    "₹": "INR",
    "Indian rupees": "INR",
    "Swiss francs": "CHF",
    "SFr.": "CHF",
    "zł": "PLN",
    "Złoty": "PLN",
    "Polish zloty": "PLN",
    "Kč": "CZK",
    "Ft": "HUF",
    "forints": "HUF",
    "₺": "TRY",
    "Swedish krona": "SEK",
    "Bosnia-Herzegovina convertible marks": "BAM",
    "BGN": "BGN",
    "ALL": "ALL",
}

NO_CURRENCIES = [
    "$",
    "dollar",
    "dollars",
    "C$",
    "¥",
    "元",
    "kr",
    "kr.",
    "krone",
    "pound",
    "pounds",
    "peso",
    "pesos",
    "rupee",
    "Rs",
    "Rs.",
    "franc",
    "Fr.",
    "CFA franc",
    "won",
    "dinar",
    "riyal",
    "lira",
    "crown",
    "all",
    "any",
    "XXX",
    "XTS",
    "XYZ",
    "BTC",
    "bitcoin",
    "USDT",
    "EUR/USD",
    "EUR or USD",
    "euro cents",
    "Eurozone",
    "N/A",
    "",
    5,
    None,
    True,
]


@pytest.mark.parametrize(("text", "code"), COUNTRY_FORMS.items())
def test_a_country_is_known_by_its_codes_and_names(text, code):
    """With or without accents, articles and points."""
    assert COUNTRY(text, None) == code


@pytest.mark.parametrize("value", NO_COUNTRIES)
def test_what_is_no_one_country_is_refused(value):
    """A name that two places have, a part of a country, several of them."""
    with pytest.raises(Unclear):
        COUNTRY(value, "en-US")


@pytest.mark.parametrize(("text", "code"), CURRENCY_FORMS.items())
def test_a_currency_is_known_by_its_code_sign_and_names(text, code):
    """One or many of it."""
    assert CURRENCY(text, None) == code


@pytest.mark.parametrize("value", NO_CURRENCIES)
def test_what_is_no_one_currency_is_refused(value):
    """What several share, and what no country gives out."""
    with pytest.raises(Unclear):
        CURRENCY(value, None)


@pytest.mark.parametrize(
    ("text", "locale", "code"),
    [("$", "en-US", "USD"), ("dollars", "en-AU", "AUD"), ("kr", "nb-NO", "NOK"), ("pesos", "es-PH", "PHP")],
)
def test_a_region_has_one_currency_of_a_name(text, locale, code):
    """The region is that of the locale that is given."""
    assert CURRENCY(text, locale) == code


def test_each_name_means_one_country():
    """No two rows of the table share a code or a name."""
    rows = [line.split(" ", 2) for line in COUNTRIES.strip().split("\n")]
    assert len(rows) == 249
    for alpha2, alpha3, names in rows:
        assert {COUNTRY(each, None) for each in (alpha2, alpha3, *names.split("; "))} == {alpha2}


def test_each_name_means_one_currency():
    """No two rows of the table share a name."""
    for line in CURRENCIES.strip().split("\n"):
        code, _, names = line.partition(" ")
        assert {CURRENCY(each, None) for each in (code, *filter(None, names.split("; ")))} == {code}


@given(st.text(max_size=30) | st.sampled_from([*COUNTRY_FORMS, *CURRENCY_FORMS]), st.sampled_from([None, "en-US"]))
def test_a_code_that_is_read_is_read_again_as_itself(text, locale):
    """Any text has a normal form that stays, or none."""
    for read in (COUNTRY, CURRENCY):
        try:
            code = read(text, locale)
        except Unclear:
            continue
        assert read(code, locale) == code
