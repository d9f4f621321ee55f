"""How long a provider asks to wait."""

from __future__ import annotations

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.retry_after import DO_NOT_RETRY, MAX_S, retry_after_s

NOW_S = 1_767_225_600.0


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({}, None),
        ({"retry-after": "5"}, 5),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-1"}, DO_NOT_RETRY),
        ({"retry-after-ms": "-20"}, DO_NOT_RETRY),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9),
        ({"retry-after": "99999999"}, MAX_S),
        ({"retry-after": "1e400"}, MAX_S),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1_0"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": formatdate(NOW_S + 30, usegmt=True)}, 30),
        ({"retry-after": formatdate(NOW_S - 30, usegmt=True)}, 0),
        ({"retry-after": formatdate(NOW_S + 365 * 86_400, usegmt=True)}, MAX_S),
        ({"retry-after": "Thu, 99 Foo 2026 00:00:00 GMT"}, None),
    ],
)
def test_each_spelling_means_what_the_standard_says(headers, expected_s):
    """Seconds, milliseconds, dates, the past, the far future and nonsense."""
    assert retry_after_s(headers, NOW_S) == expected_s


def test_a_date_means_nothing_without_a_clock():
    """Without a time to compare it with, a date is no wait."""
    assert retry_after_s({"retry-after": formatdate(NOW_S, usegmt=True)}, None) is None


@given(st.text(max_size=30), st.text(max_size=30))
def test_any_text_gives_a_wait_or_none(seconds, milliseconds):
    """Nothing that a provider sends breaks it or leaves its bounds."""
    wait_s = retry_after_s({"retry-after": seconds, "retry-after-ms": milliseconds}, NOW_S)
    assert wait_s is None or wait_s == DO_NOT_RETRY or 0 <= wait_s <= MAX_S
