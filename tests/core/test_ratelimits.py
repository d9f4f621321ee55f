from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.ratelimits import Kind, Told, told

NOW_S = 1_767_225_600.0  # 2026-01-01T00:00:00Z


def openai(kind: Kind, limit: object, remaining: object, reset: object) -> Told | None:
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    headers = {f"x-ratelimit-{name}-{kind}": str(value) for name, value in values.items() if value is not None}
    return told(headers, kind, NOW_S)


def anthropic(kind: Kind, limit: object, remaining: object, reset: object) -> Told | None:
    values = {"limit": limit, "remaining": remaining, "reset": reset}
    headers = {f"anthropic-ratelimit-{kind}-{name}": str(value) for name, value in values.items() if value is not None}
    return told(headers, kind, NOW_S)


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "a_minute"),
    [
        (5_000, 4_999, "12ms", 5_000),
        (5_000, 0, "1m0s", 5_000),
        (500, 400, "12s", 500),
        (150_000, 149_984, "6ms", 150_000),
        (60, 59, "1s", 60),
        (3, 2, "20s", 3),
    ],
)
def test_openais_limits_are_of_a_minute(limit: int, remaining: int, reset: str, a_minute: int) -> None:
    """What was used comes back as fast as a minute's limit does."""
    assert openai("requests", limit, remaining, reset) == Told(a_minute=a_minute, remaining=remaining)


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "a_minute"),
    [
        (14_400, 14_370, "2m59.56s", 10),
        (1_000, 999, "1m26.4s", 1),
        (200, 0, "24h", 1),
        (10_000, 5_000, "12h0m0s", 7),
        (3_600, 3_500, "100s", 60),
        (100, 50, "0.5d", 1),
    ],
)
def test_a_days_limit_is_told_by_how_slowly_it_comes_back(
    limit: int, remaining: int, reset: str, a_minute: int
) -> None:
    """Groq counts requests by the day and tokens by the minute under the same names; others by the hour."""
    assert openai("requests", limit, remaining, reset) == Told(a_minute=a_minute, remaining=remaining)


@pytest.mark.parametrize(
    ("limit", "remaining", "reset", "a_minute"),
    [
        (1_000, 999, "59s", 1_000),
        (1_000, 1, "3s", 1_000),
        (4_000, 3_999, "1m4s", 4_000),
        (10_000, 9_999, "8.64s", 10_000),
    ],
)
def test_what_comes_back_within_a_minute_is_a_minutes(limit: int, remaining: int, reset: str, a_minute: int) -> None:
    """Also where all of it comes back at once, by a clock that may be a little fast; a day's limit is told once more of
    it was used."""
    assert openai("requests", limit, remaining, reset) == Told(a_minute=a_minute, remaining=remaining)


def test_anthropics_reset_is_a_time() -> None:
    """RFC 3339, with `Z` or an offset; in the past, the limit is whole again."""
    assert anthropic("requests", 50, 49, "2026-01-01T00:00:01Z") == Told(a_minute=50, remaining=49)
    assert anthropic("requests", 50, 0, "2026-01-01T01:01:00+01:00") == Told(a_minute=50, remaining=0)
    assert anthropic("tokens", 40_000, 20_000, "2026-01-01T00:00:30Z") == Told(a_minute=40_000, remaining=20_000)
    assert anthropic("tokens", 40_000, 39_000, "2020-01-01T00:00:00Z") == Told(a_minute=40_000, remaining=39_000)


@pytest.mark.parametrize("reset", [None, "", "soon", "-1s", "0s", "1s2", "0001-01-01T00:00:00", "T", "1e9", "²", "."])
def test_without_a_reset_that_makes_sense_it_is_a_minute(reset: str | None) -> None:
    """The commonest period."""
    assert openai("requests", 100, 40, reset) == Told(a_minute=100, remaining=40)


def test_a_plain_number_is_seconds() -> None:
    """As some of those write it who copied the names."""
    assert openai("requests", 24_000, 23_000, "3600") == Told(a_minute=17, remaining=23_000)
    assert openai("requests", 24_000, 23_000, "2.5") == Told(a_minute=24_000, remaining=23_000)


@pytest.mark.parametrize("limit", [None, "", "0", "-5", "1.5", "many", "9" * 40, "٣", "1_000"])
def test_a_limit_that_is_no_count_says_nothing(limit: str | None) -> None:
    """Nothing is learnt from garbage, and nothing divided by zero."""
    assert openai("tokens", limit, "5", "1s") is None


@pytest.mark.parametrize("remaining", [None, "x", "-3", "101"])
def test_what_is_left_is_all_where_it_is_not_said(remaining: str | None) -> None:
    """A remainder that is absent, no count or above the limit is the whole limit."""
    assert openai("tokens", 100, remaining, "1s") == Told(a_minute=100, remaining=100)


def test_a_limit_of_a_few_a_day_is_one_a_minute() -> None:
    """A limit is never nothing."""
    assert openai("requests", 3, 2, "8h") == Told(a_minute=1, remaining=2)


def test_each_kind_is_read_by_itself() -> None:
    """Headers on tokens say nothing about requests."""
    assert told({"x-ratelimit-limit-tokens": "100"}, "requests", NOW_S) is None
    assert told({"x-ratelimit-limit-tokens": "100"}, "tokens", NOW_S) == Told(a_minute=100, remaining=100)
    assert told({}, "tokens", NOW_S) is None


VALUES = st.one_of(
    st.text(max_size=30),
    st.integers(-10, 10**18).map(str),
    st.floats().map(str),
    st.datetimes().map(lambda at: at.isoformat()),
    st.from_regex(r"\A(\d{1,400}(\.\d+)?(ms|s|m|h|d)){1,3}\Z"),
    st.from_regex(r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d)?\Z"),
)


@given(VALUES, VALUES, VALUES, st.sampled_from(["requests", "tokens"]), st.booleans())
def test_whatever_a_provider_says_nothing_is_raised(
    limit: str, remaining: str, reset: str, kind: Kind, is_openai: bool
) -> None:
    """And what is learnt is a limit of at least one, with no more left than it allows."""
    said = (openai if is_openai else anthropic)(kind, limit, remaining, reset)
    assert said is None or (said.a_minute >= 1 and said.remaining >= 0)
