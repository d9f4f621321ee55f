"""Numbers with a percent sign or a currency beside them, and the marks in them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from fairlead.validation.fields.locales import habits
from fairlead.validation.fields.places import possible_currencies, read_currency
from fairlead.validation.fields.unclear import Unclear, tidy

WANTED_PERCENT = "a percentage such as `45%`, or the number 45"
WANTED_MONEY = "an amount with its currency, such as `12.50 EUR`"

_NUMBER = r"[0-9][0-9.,'’ _]*(?<![ _'’,.])|\.[0-9]+"  # noqa: RUF001 - a curly apostrophe is meant
_PERCENT = re.compile(
    rf"(?P<number>[-+]? ?(?:{_NUMBER})) ?(?:%|percent|per cent|pct\.?)|% ?(?P<after>[-+]?(?:{_NUMBER}))"
)
_MONEY = re.compile(
    rf"(?P<sign>[-+]?) ?(?P<before>[^0-9+-]*?) ?(?P<sign2>[-+]?) ?(?P<number>{_NUMBER})"
    r"(?:[.,][-–—]{1,2})? ?(?P<scale>thousand|million|mn|billion|bn|k(?![a-zč]))? ?(?P<after>[^0-9+-]*)",  # noqa: RUF001
    re.IGNORECASE,
)
_SCALES = {"k": 3, "thousand": 3, "million": 6, "mn": 6, "billion": 9, "bn": 9}
_PLAIN = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_SIGNED = re.compile(rf"[-+]? ?(?:{_NUMBER})")
_GROUPED = re.compile(r"[1-9][0-9]{0,2}(?:([,.'’ _])[0-9]{3})(?:\1[0-9]{3})*")  # noqa: RUF001
_INDIAN = re.compile(r"[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}")
_MOST_DIGITS = 40


def read_number(text: str, locale: str | None, *, point_first: bool = False) -> str:
    """Digits with a point before the fraction, from a number with marks in it; `-1,234.50` is `-1234.50`.

    Args:
        point_first: `1.234` is one and a fraction, as in JSON, and not a thousand.

    Raises:
        Unclear: its marks fit two readings, or none.
    """
    sign, digits = ("-" if text[:1] == "-" else ""), text.lstrip("+- ")
    if len(digits) > _MOST_DIGITS:
        raise Unclear(f"{text!r:.60} has more than {_MOST_DIGITS} digits")
    whole, fraction = _split(digits, habits(locale).decimal, point_first=point_first)
    if not (_GROUPED.fullmatch(whole) or _INDIAN.fullmatch(whole) or whole.isdecimal() or not whole):
        raise Unclear(f"{text!r:.60} is not a number")
    number = (re.sub("[^0-9]", "", whole).lstrip("0") or "0") + (f".{fraction}" if fraction else "")
    return number if not number.strip("0.") else sign + number


def _split(digits: str, decimal: str | None, *, point_first: bool) -> tuple[str, str]:
    """What stands before the fraction, and the fraction."""
    marks = [mark for mark in digits if mark in ",."]
    if not marks:
        return digits, ""
    last = marks[-1]
    whole, _, fraction = digits.rpartition(last)
    if not fraction.isdecimal():
        raise Unclear(f"{digits!r:.60} is not a number")
    if len(set(marks)) == 2 or re.search(r"[^0-9.,]", whole):
        if last in whole:
            raise Unclear(f"{digits!r:.60} is not a number")
        return whole, fraction
    if len(marks) > 1:
        return digits, ""
    if len(fraction) != 3 or len(whole) > 3 or whole in ("", "0"):
        return whole, fraction
    if decimal is None and last == "." and point_first:
        return whole, fraction
    if decimal is None:
        raise Unclear(f"{digits!r:.60} has two readings; write it without a mark for thousands, or name a locale")
    return (whole, fraction) if last == decimal else (digits, "")


def read_percent(value: Any, locale: str | None) -> int | float:
    """A number of hundredths: 45 from `45%`; a number in JSON is one already.

    Raises:
        Unclear: a text without a percent sign, as `"0.45"` may be 45 %.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        if isinstance(value, float) and not math.isfinite(value):
            raise Unclear("must be a finite number")
        return value
    if not isinstance(value, str):
        raise Unclear(f"must be {WANTED_PERCENT}")
    text = tidy(value, WANTED_PERCENT).casefold()
    found = _PERCENT.fullmatch(text)
    if found is None:
        raise Unclear(f"{value!r:.60} is not {WANTED_PERCENT}; a text needs its sign")
    number = read_number((found["number"] or found["after"]).replace("- ", "-"), locale, point_first=True)
    return float(number) if "." in number and float(number) % 1 else int(number.partition(".")[0])


def read_money(value: Any, locale: str | None) -> dict[str, str]:
    """An amount as digits, and the code of its currency.

    Raises:
        Unclear: one of them is missing, or has two readings.
    """
    if isinstance(value, Mapping):
        return _from_object(value, locale)
    if isinstance(value, int | float):
        raise Unclear(f"must be {WANTED_MONEY}; a number alone has no currency")
    text = tidy(value, WANTED_MONEY)
    found = _MONEY.fullmatch(text)
    if found is None or (found["sign"] and found["sign2"]):
        raise Unclear(f"{value!r:.60} is not {WANTED_MONEY}")
    around = [part for part in (found["before"].strip(), found["after"].strip()) if part]
    if not around:
        raise Unclear(f"{value!r:.60} has no currency; write it as `12.50 EUR`")
    number = read_number((found["sign"] or found["sign2"]) + found["number"], locale)
    return {"amount": _scaled(number, found["scale"]), "currency": _one_currency(value, around, locale)}


def _one_currency(value: Any, around: list[str], locale: str | None) -> str:
    """That of the sign before and the word after, where both stand there: `$5 USD`."""
    if len(around) == 1:
        return read_currency(around[0], locale)
    shared = possible_currencies(around[0], None) & possible_currencies(around[1], None)
    if len(shared) != 1:
        raise Unclear(f"{value!r:.60} names two currencies, or none of several; write it as `12.50 EUR`")
    return next(iter(shared))


def _scaled(number: str, scale: str | None) -> str:
    if scale is None:
        return number
    amount = Decimal(number).scaleb(_SCALES[scale.casefold()])
    return f"{amount:f}" if amount != amount.to_integral_value() else f"{amount.to_integral_value():f}"


def _from_object(value: Mapping[str, Any], locale: str | None) -> dict[str, str]:
    """An object with `amount` and `currency`, the amount as a number or a text without anything beside it."""
    if set(value) != {"amount", "currency"}:
        raise Unclear("must have `amount` and `currency`, and nothing else")
    amount = value["amount"]
    if isinstance(amount, bool) or not isinstance(amount, int | float | str | Decimal):
        raise Unclear("`amount` must be a number such as `12.50`")
    text = tidy(amount if isinstance(amount, str) else _plain(amount), "an amount such as `12.50`")
    if not _SIGNED.fullmatch(text):
        raise Unclear(f"{text!r:.60} is not an amount such as `12.50`")
    # Digits and a point are the form that the schema asks for: no locale reads them otherwise.
    number = read_number(text, None if _PLAIN.fullmatch(text) else locale, point_first=True)
    return {"amount": number, "currency": read_currency(value["currency"], locale)}


def _plain(amount: float | Decimal) -> str:
    """A number without an exponent."""
    if isinstance(amount, float | Decimal) or abs(amount) < 10**_MOST_DIGITS:
        exact = Decimal(str(amount))
        if exact.is_finite() and abs(exact.adjusted()) < _MOST_DIGITS:
            return f"{exact:f}"
    raise Unclear(f"`amount` must be a finite number of at most {_MOST_DIGITS} digits")
