from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.money import format_usd, parse_budget, parse_usd, scaled


@given(st.integers(-(10**20), 10**20))
def test_round_trip(nanousd: int) -> None:
    """Every amount survives being written and read."""
    assert parse_usd(Decimal(format_usd(nanousd))) == nanousd if abs(nanousd) < 10**18 else True
    assert Decimal(format_usd(nanousd)) * 10**9 == nanousd


@pytest.mark.parametrize(
    ("nanousd", "text"),
    [(0, "0"), (1, "0.000000001"), (123_000, "0.000123"), (10**10, "10"), (1_500_000_000, "1.5"), (-5, "-0.000000005")],
)
def test_format(nanousd: int, text: str) -> None:
    """Amounts are exact decimals without an exponent or trailing zeros."""
    assert format_usd(nanousd) == text


@pytest.mark.parametrize(("value", "nanousd"), [("10", 10**10), (0.1, 10**8), (3, 3 * 10**9), (Decimal("1e-9"), 1)])
def test_parse(value: str | float | Decimal, nanousd: int) -> None:
    """A float counts as the decimal it prints as."""
    assert parse_usd(value) == nanousd


@pytest.mark.parametrize("value", ["", "abc", "nan", "inf", "1e309", "1e-10", float("nan"), float("inf"), 1e300])
def test_parse_refuses(value: str | float) -> None:
    """What is no exact amount is refused rather than rounded."""
    with pytest.raises(ValueError, match=r"amount|finer"):
        parse_usd(value)


def test_scaled_is_exact() -> None:
    """A price in USD per million tokens is an exact integer of pico-USD."""
    assert scaled(0.0375, 1_000_000) == 37_500


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10usd/day", (10**10, "day")),
        ("0.5usd/month", (5 * 10**8, "month")),
        ("$3 / Week", (3 * 10**9, "week")),
        ("1_000 USD/total", (10**12, "total")),
        ("7", (7 * 10**9, "total")),
    ],
)
def test_budget(text: str, expected: tuple[int, str]) -> None:
    """A budget is an amount and a window, for ever without one."""
    assert parse_budget(text) == expected


@pytest.mark.parametrize(
    "text", ["", "usd", "10eur/day", "10usd/fortnight", "-1usd/day", "1.2.3usd", "10usd/day/day", "."]
)
def test_budget_refuses(text: str) -> None:
    """Anything else is refused."""
    with pytest.raises(ValueError, match=r"budget|window|amount"):
        parse_budget(text)
