"""Countries and currencies, from their codes and their English names."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from typing import Any

from fairlead.validation.fields.country_table import COUNTRIES
from fairlead.validation.fields.currency_table import CURRENCIES
from fairlead.validation.fields.locales import habits
from fairlead.validation.fields.unclear import Unclear, tidy

WANTED_COUNTRY = "a country's code of ISO 3166 such as `DE`, or its English name"
WANTED_CURRENCY = "a currency's code of ISO 4217 such as `EUR`, or its English name"

_WORDS_TOO = frozenset({"no", "na", "and", "are", "can", "nor", "per", "all", "try", "top"})
"""Codes that are common words, unless they stand in capital letters."""

_TURNED = re.compile(r"([^,()]+)(?:, | \()([^,()]+)\)?")
"""`Korea, Republic of` and `Korea (Republic of)`, as lists have it."""

_SIGN_AND_CODE = re.compile(
    r"(?P<code>[A-Za-z]{3}) ?(?P<sign>[^\w\s.,]+)|(?P<sign2>[^\w\s.,]+) ?(?P<code2>[A-Za-z]{3})"
)

_AMBIGUOUS_COUNTRIES = {
    "america": "`US`, or a continent",
    "congo": "`CD` or `CG`",
    "georgia": "`GE`, or the state of the United States",
    "korea": "`KR` or `KP`",
    "macedonia": "`MK`, or a region of Greece",
    "st martin": "`MF` or `SX`",
    "virgin islands": "`VG` or `VI`",
}

_SIGNS: Mapping[str, str] = {
    "€": "EUR", "£": "GBP", "₹": "INR", "₪": "ILS", "₫": "VND", "₱": "PHP", "₦": "NGN", "₡": "CRC", "₲": "PYG",
    "₴": "UAH", "₸": "KZT", "₺": "TRY", "₽": "RUB", "₾": "GEL", "₼": "AZN", "₭": "LAK", "₮": "MNT", "฿": "THB",
    "₩": "KRW", "֏": "AMD", "៛": "KHR", "৳": "BDT", "₵": "GHS", "؋": "AFN",
    "us$": "USD", "$us": "USD", "ca$": "CAD", "can$": "CAD", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "hk$": "HKD",
    "nt$": "TWD", "s$": "SGD", "sg$": "SGD", "r$": "BRL", "mx$": "MXN", "ec$": "XCD", "cn¥": "CNY", "jp¥": "JPY",
    "円": "JPY", "원": "KRW", "zł": "PLN", "zl": "PLN", "kč": "CZK", "ft": "HUF", "sfr": "CHF", "rm": "MYR", "rp": "IDR",
}  # fmt: skip
"""What is written beside an amount for one currency, in small letters."""

_DOLLARS = {
    **{region: f"{region}D" for region in ("AU", "BB", "BM", "BN", "BS", "BZ", "CA", "FJ", "GY", "HK", "JM", "KY")},
    **{region: f"{region}D" for region in ("LR", "NA", "NZ", "SB", "SG", "SR", "TT")},
    "EC": "USD",
    "PR": "USD",
    "TW": "TWD",
    "US": "USD",
}
_PESOS = {"AR": "ARS", "CL": "CLP", "CO": "COP", "CU": "CUP", "DO": "DOP", "MX": "MXN", "UY": "UYU"}
_POUNDS = {"EG": "EGP", "FK": "FKP", "GB": "GBP", "GI": "GIP", "LB": "LBP", "SY": "SYP"}
_RUPEES = {"IN": "INR", "LK": "LKR", "MU": "MUR", "NP": "NPR", "PK": "PKR", "SC": "SCR"}
_FRANCS = {"CD": "CDF", "CH": "CHF", "GN": "GNF", "LI": "CHF", "RW": "RWF"}
_BY_REGION: Mapping[str, Mapping[str, str]] = {
    "$": {**_DOLLARS, **_PESOS},
    "c$": {"CA": "CAD", "NI": "NIO"},
    "¥": {"CN": "CNY", "JP": "JPY"},
    "元": {"CN": "CNY", "HK": "HKD", "TW": "TWD"},
    "£": _POUNDS,
    "kr": {"DK": "DKK", "FO": "DKK", "GL": "DKK", "IS": "ISK", "NO": "NOK", "SE": "SEK"},
    "rs": _RUPEES,
    "fr": _FRANCS,
    "dollar": _DOLLARS,
    "peso": {**_PESOS, "PH": "PHP"},
    "pound": _POUNDS,
    "rupee": _RUPEES,
    "franc": _FRANCS,
}
"""What several currencies share, and which of them is meant in a region."""


def read_country(value: Any, _: str | None) -> str:
    """A country's code of two letters.

    Raises:
        Unclear: it is none, or a name that several share.
    """
    text = tidy(value, WANTED_COUNTRY)
    codes, names = _countries()
    if (code := _code(text, codes)) is not None:
        return code
    name = _key(text)
    turned = _TURNED.fullmatch(text)
    if (code := names.get(name) or (names.get(_key(f"{turned[2]} {turned[1]}")) if turned else None)) is not None:
        return code
    if (which := _AMBIGUOUS_COUNTRIES.get(name)) is not None:
        raise Unclear(f"{value!r:.60} may be {which}; write the code")
    raise Unclear(f"{value!r:.60} is not {WANTED_COUNTRY}")


def read_currency(value: Any, locale: str | None) -> str:
    """A currency's code of three letters; a sign that several share needs the region of a locale.

    Raises:
        Unclear: it is none, or could be several.
    """
    possible = sorted(possible_currencies(value, locale))
    if len(possible) > 1:
        raise Unclear(f"{value!r:.60} may be {', '.join(possible[:3])} or another; write the code, or name a locale")
    return possible[0]


def possible_currencies(value: Any, locale: str | None) -> frozenset[str]:
    """The currencies that a code, a sign or a name may mean; at least one.

    Raises:
        Unclear: there is none.
    """
    text = tidy(value, WANTED_CURRENCY)
    codes, names = _currencies()
    if (code := _code(text, codes)) is not None:
        return frozenset({code})
    if both := _SIGN_AND_CODE.fullmatch(text):
        parts = [part for part in both.groups() if part]
        if shared_by_both := possible_currencies(parts[0], None) & possible_currencies(parts[1], None):
            return shared_by_both
    sign, name = text.casefold().removesuffix("."), _singular(_key(text))
    shared = _BY_REGION.get(sign) or _BY_REGION.get(name) or {}
    code = shared.get(habits(locale).region or "") or _SIGNS.get(sign) or names.get(name)
    if code is None and not shared:
        raise Unclear(f"{value!r:.60} is not {WANTED_CURRENCY}")
    return frozenset(shared.values()) if code is None else frozenset({code})


def _code(text: str, codes: Mapping[str, str]) -> str | None:
    """The code that a text is, in any case unless it is a word, too."""
    return None if text.casefold() in _WORDS_TOO and not text.isupper() else codes.get(text.upper())


@cache
def _countries() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Codes of two and three letters, and names, each to the code of two."""
    codes, names = {"UK": "GB"}, dict[str, str]()
    for line in COUNTRIES.split("\n")[1:-1]:
        alpha2, alpha3, rest = line.split(" ", 2)
        codes |= {alpha2: alpha2, alpha3: alpha2}
        names |= {_key(name): alpha2 for name in rest.split("; ")}
    return codes, names


@cache
def _currencies() -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Codes, and names in the singular, each to the code."""
    codes, names = dict[str, str](), dict[str, str]()
    for line in CURRENCIES.split("\n")[1:-1]:
        code, _, rest = line.partition(" ")
        codes[code] = code
        names |= {_singular(_key(name)): code for name in rest.split("; ") if name}
    return codes, names


def _key(name: str) -> str:
    """A name without accents, articles, points and case: `St. Kitts & Nevis` and `Saint Kitts and Nevis` are one."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", name) if not unicodedata.combining(each)).casefold()
    plain = re.sub(r"[.'’`ʻ]", "", plain.replace("&", " and ").replace("ł", "l"))  # noqa: RUF001 - apostrophes of all kinds
    words = ("st" if word == "saint" else word for word in re.findall(r"\w+", plain) if word != "the")
    return " ".join(words)


def _singular(key: str) -> str:
    """`euros`, `pounds sterling` and `Indian rupees` as one of them."""
    return " ".join(word[:-1] if len(word) > 3 and word.endswith("s") else word for word in key.split())
