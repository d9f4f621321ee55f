"""Money as people write it, to and from integer nano-USD; nothing is ever rounded silently."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final, get_args

from fairlead.types import Window

NANO: Final = 1_000_000_000
"""Nano-USD in a dollar."""
_WINDOWS: Final[dict[str, Window]] = {name: name for name in get_args(Window)}
_BUDGET: Final = re.compile(r"\s*\$?\s*(?P<amount>[0-9_.]+)\s*(?:usd)?\s*(?:/\s*(?P<window>[a-z]+))?\s*", re.IGNORECASE)


def format_usd(nanousd: int) -> str:
    """The exact decimal string of an amount, without trailing zeros: `"0.000123"`, `"10"`, `"0"`."""
    sign = "-" if nanousd < 0 else ""
    dollars, rest = divmod(abs(nanousd), NANO)
    if rest == 0:
        return f"{sign}{dollars}"
    fraction = f"{rest:09d}".rstrip("0")
    return f"{sign}{dollars}.{fraction}"


def parse_usd(value: str | float | Decimal) -> int:
    """Nano-USD of an amount in dollars; a float counts as the decimal it prints as.

    Raises:
        ValueError: not a finite number, or finer than a nano-dollar.
    """
    return scaled(value, NANO)


def scaled(value: str | float | Decimal, factor: int) -> int:
    """`value * factor` as an exact integer.

    Raises:
        ValueError: not a finite number, or the product is no integer.
    """
    try:
        number = value if isinstance(value, Decimal) else Decimal(str(value))
    except InvalidOperation:
        msg = f"{value!r} is not an amount of money; write it like `0.15`"
        raise ValueError(msg) from None
    if not number.is_finite() or abs(number.adjusted()) > 18:
        msg = f"{value!r} is not an amount of money; write it like `0.15`"
        raise ValueError(msg)
    numerator, denominator = number.as_integer_ratio()
    whole, rest = divmod(numerator * factor, denominator)
    if rest != 0:
        msg = f"{value!r} is finer than can be counted; the smallest step is 1/{factor}"
        raise ValueError(msg)
    return whole


def parse_budget(text: str) -> tuple[int, Window]:
    """Nano-USD and window of `"10usd/day"`; without a window it counts for ever.

    Raises:
        ValueError: not of that form.
    """
    match = _BUDGET.fullmatch(text)
    if match is None:
        msg = f"{text!r} is not a budget; write it like `10usd/day`"
        raise ValueError(msg)
    name = (match["window"] or "total").lower()
    if name not in _WINDOWS:
        msg = f"{name!r} is not a window; one of {', '.join(_WINDOWS)}"
        raise ValueError(msg)
    return parse_usd(match["amount"].replace("_", "")), _WINDOWS[name]
