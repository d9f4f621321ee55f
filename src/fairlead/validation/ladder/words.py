"""Numbers and booleans as people write them: separators, English number words, yes and no.

Each reader gives the one value that the text can mean, or says why there is none.
"""

from __future__ import annotations

import math
import re
from decimal import Decimal
from typing import Final

import msgspec

MAX_CHARS: Final = 200
"""No number that a person writes is longer."""

_JSON = re.compile(r"[+-]?(?:0|[1-9][0-9]*|(?=\.[0-9]))(?:\.[0-9]*)?(?:[eE][+-]?[0-9]{1,3})?")
_THOUSANDS_OR_FRACTION = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")
_GROUPED = re.compile(
    r"(?P<sign>[+-]?)(?P<whole>[1-9][0-9]{0,2}(?P<mark>[,.' _])[0-9]{3}(?:(?P=mark)[0-9]{3})*)"
    r"(?:(?P<point>[.,])(?P<fraction>[0-9]+))?"
)
_COMMA = re.compile(r"[+-]?(?:0|[1-9][0-9]*),[0-9]+")
_SCALED = re.compile(r"(?P<number>[+-]?(?:0|[1-9][0-9]*)(?:\.[0-9]{1,2})?)(?P<scale>[kM]| ?[A-Za-z]{2,})")
"""A large K may be kelvin, a small m metres."""
_SPACES = str.maketrans({"\u00a0": " ", "\u202f": " ", "\u2009": " ", "\u2212": "-", "\u2019": "'"})

_UNITS: Final = {
    name: value
    for value, name in enumerate(
        [
            "zero",
            "one",
            "two",
            "three",
            "four",
            "five",
            "six",
            "seven",
            "eight",
            "nine",
            "ten",
            "eleven",
            "twelve",
            "thirteen",
            "fourteen",
            "fifteen",
            "sixteen",
            "seventeen",
            "eighteen",
            "nineteen",
        ]
    )
}
_TENS: Final = {
    name: 10 * value
    for value, name in enumerate(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"], start=2
    )
}
_SCALES: Final = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_LONG_SCALE = re.compile(r"\b(?:b|tr)illion\b", re.IGNORECASE)
_TRUE: Final = frozenset({"true", "yes", "y", "on", "1"})
_FALSE: Final = frozenset({"false", "no", "n", "off", "0"})
_NOTHING: Final = frozenset(
    {
        "",
        "-",
        "--",
        "\u2013",
        "\u2014",
        "?",
        "n/a",
        "n.a.",
        "na",
        "nil",
        "none",
        "not applicable",
        "not available",
        "not known",
        "not provided",
        "not specified",
        "null",
        "tba",
        "tbd",
        "undefined",
        "unknown",
        "unspecified",
    }
)


class Unclear(ValueError):
    """The text means no value, or more than one."""


class Doubtful(Unclear):
    """The text means more than one value."""


def is_nothing(text: str) -> bool:
    """Whether the text stands where a value would, and is none: `N/A`, `unknown`, `-`, and the like."""
    return len(text) <= MAX_CHARS and text.strip().casefold() in _NOTHING


def boolean(text: str) -> bool:
    """True or false, in the few words for which there is no doubt.

    Raises:
        Unclear: any other word.
    """
    word = _without_stop(text.strip()).casefold() if len(text) <= MAX_CHARS else text
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise Unclear("is not true or false")


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """How numbers are written where the text comes from."""

    decimal: str | None = None
    """What stands before a fraction; `None` where nothing is known."""
    is_english: bool = True
    """Whether a billion has nine zeros."""


NO_HABITS: Final = Habits()


def number(text: str, *, whole: bool, habits: Habits = NO_HABITS) -> int | float:
    """The number that the text can mean, if it can mean only one.

    Args:
        whole: an integer is asked for, which decides what `1,234` is where no habits do.

    Raises:
        Unclear: no number, one with a unit, an approximate one, or a fraction where there can be none.
        Doubtful: more than one number.
    """
    found = _read(text, whole=whole, habits=habits)
    fraction = "." in text and habits.decimal != ","
    return _held(found, whole=whole, fraction=fraction, comma="," in text and habits.decimal is None)


def exact(text: str, habits: Habits = NO_HABITS) -> str:
    """The same number as digits with a point, none of them lost.

    Raises:
        Unclear: as `number`.
        Doubtful: more than one number.
    """
    return f"{_read(text, whole=False, habits=habits):f}"


def is_spelt(text: str) -> bool:
    """Whether a number is written with words, and not with digits alone."""
    return any(char.isalpha() for char in text) and not _JSON.fullmatch(text.strip())


def _without_stop(text: str) -> str:
    """The text without the mark that ends a sentence."""
    ends = text[-1:] in (".", "!") and text[-2:-1].isalnum()
    return text[:-1] if ends else text


def _read(text: str, *, whole: bool, habits: Habits) -> Decimal:
    if len(text) > MAX_CHARS:
        raise Unclear("is not a number")
    written = _without_stop(text.strip().translate(_SPACES))
    found = _from_digits(written, whole=whole, decimal=habits.decimal)
    if found is None:
        found = _from_scaled(written)
        if found is None:
            found = _from_words(written.casefold())
        if found is not None and not habits.is_english and _LONG_SCALE.search(written):
            raise Unclear("has nine zeros in English, and more in other languages")
    if found is None:
        raise Unclear("is not one exact number without a unit")
    if abs(found.adjusted()) > 300 and found:
        raise Unclear("is a number out of reach")
    return found


def _held(found: Decimal, *, whole: bool, fraction: bool, comma: bool) -> int | float:
    """The number as JSON has it; one that is whole stays an integer, unless it was written with a point."""
    if found == found.to_integral_value():
        return float(found) if fraction and not whole and math.isfinite(float(found)) else int(found)
    if whole:
        # With a comma, it may be two integers.
        raise (Doubtful if comma else Unclear)("has a fraction, where an integer is asked for")
    return float(found)


def _from_digits(written: str, *, whole: bool, decimal: str | None) -> Decimal | None:
    if _THOUSANDS_OR_FRACTION.fullmatch(written):
        return _from_doubtful(written, whole=whole, decimal=decimal)
    if any(char.isdigit() for char in written) and _JSON.fullmatch(written):
        return Decimal(written)
    if match := _GROUPED.fullmatch(written):
        if match["point"] == match["mark"]:
            return None
        digits = match["whole"].replace(match["mark"], "")
        return Decimal(f"{match['sign']}{digits}.{match['fraction'] or 0}")
    if _COMMA.fullmatch(written):
        return Decimal(written.replace(",", "."))
    return None


def _from_doubtful(written: str, *, whole: bool, decimal: str | None) -> Decimal:
    """One separator and three digits behind it: thousands, or a fraction."""
    if decimal is not None:
        return Decimal(written.replace(",", ".") if decimal in written else re.sub("[.,]", "", written))
    if "," in written and whole:
        return Decimal(written.replace(",", ""))
    if "." in written and not whole:
        return Decimal(written)
    raise Doubtful("can be read with thousands or with a fraction")


def _from_scaled(written: str) -> Decimal | None:
    """`1.5 million`, `3k`."""
    match = _SCALED.fullmatch(written)
    if match is None:
        return None
    scale = match["scale"].strip().casefold()
    times = (
        {"k": 1_000, "m": 1_000_000}[scale] if len(scale) == 1 else 100 if scale == "hundred" else _SCALES.get(scale)
    )
    if times is None:
        return None
    amount = Decimal(match["number"]) * times
    return amount.to_integral_value() if amount == amount.to_integral_value() else amount


def _from_words(written: str) -> Decimal | None:
    sign = 1
    for word in ("minus ", "negative "):
        if written.startswith(word):
            sign, written = -1, written.removeprefix(word).strip()
    fraction = Decimal(0)
    for ending in (" and a half", " and one half"):
        if written.endswith(ending):
            fraction, written = Decimal("0.5"), written.removesuffix(ending)
    if " point " in written:
        written, _, behind = written.partition(" point ")
        digits = [_UNITS.get(word, 10) for word in behind.split()]
        if fraction or not digits or max(digits) > 9:
            return None
        fraction = Decimal("0." + "".join(map(str, digits)))
    amount = _dozens(written) if fraction == 0 else None
    if amount is None:
        amount = _cardinal(re.split(r"[ -]+", written))
    if amount is None or (fraction and amount >= 1_000):
        # Half of one, or half of a million?
        return None
    return sign * (amount + fraction)


def _dozens(written: str) -> int | None:
    if written in {"dozen", "a dozen", "one dozen"}:
        return 12
    count, _, last = written.rpartition(" ")
    if last == "dozen" and 2 <= _UNITS.get(count, 0) <= 12:
        return 12 * _UNITS[count]
    return None


def _cardinal(words: list[str]) -> int | None:
    """A cardinal number in English, or `None` where the words are not in the order of one."""
    total, below = 0, 10**15
    group: list[str] = []
    for at, word in enumerate(words):
        if word not in _SCALES:
            group.append(word)
            continue
        amount = 1 if group == ["a"] and not total else _below_ten_thousand(group, first=at == len(group))
        if not amount or amount > 999 or _SCALES[word] >= below:
            return None
        total, below, group = total + amount * _SCALES[word], _SCALES[word], []
    if not group:
        return total or None
    rest = _below_ten_thousand(group, first=not total)
    return None if rest is None or (total and not 0 < rest < 1000) else total + rest


def _below_ten_thousand(words: list[str], *, first: bool) -> int | None:
    """`two hundred and five`, `twelve hundred`, `forty two`; with `and` in front where it is not the first."""
    if not first and words[:1] == ["and"]:
        words = words[1:]
    if words[:2] == ["a", "hundred"]:
        words = ["one", *words[1:]]
    if "hundred" not in words:
        return _below_hundred(words)
    at = words.index("hundred")
    hundreds = _below_hundred(words[:at]) if at else 1
    rest = words[at + 1 :]
    if rest[:1] == ["and"]:
        rest = rest[1:] or ["and"]
    tail = _below_hundred(rest) if rest else 0
    if not hundreds or tail is None or hundreds % 10 == 0 or (rest and tail == 0):
        return None
    return 100 * hundreds + tail


def _below_hundred(words: list[str]) -> int | None:
    match words:
        case [word] if word in _UNITS:
            return _UNITS[word]
        case [word] if word in _TENS:
            return _TENS[word]
        case [ten, unit] if ten in _TENS and 0 < _UNITS.get(unit, 0) < 10:
            return _TENS[ten] + _UNITS[unit]
    return None
