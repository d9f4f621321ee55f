"""What patterns cost before they are compiled."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.validation.ladder.repeats import written_out


@pytest.mark.parametrize(
    ("pattern", "cost"),
    [
        ("", 0),
        ("abc", 3),
        ("a{3}", 3),
        ("a{1,20}b", 21),
        ("a{5,}", 5),
        ("a{0}", 1),
        ("a{}", 1),
        ("a{b}", 4),
        ("^[a-z]{2}-[0-9]{4}$", 9),
        (r"[\]]{3}", 3),
        (r"\d{4}", 4),
        (r"\{3}", 3),
        (r"\u{41}{2}", 2),
        ("(ab|c){9}", 27),
        ("((a{3}b){4}c){5}", 85),
        ("a)b{3}", 5),
        ("(a{9}", 9),
        ("a\\", 2),
    ],
)
def test_what_is_repeated_counts_as_often(pattern, cost):
    """Groups with all that is in them, and classes as one."""
    assert written_out(pattern) == cost


@pytest.mark.parametrize("pattern", [".{9}", "[^a]{9}", r"\W{9}"])
def test_where_nearly_all_may_stand_counts_for_several(pattern):
    """There are many ways to write a character."""
    assert written_out(pattern) == 9 * 4


def test_what_is_no_word_within_a_class_counts_for_more():
    """It is worked out anew."""
    assert written_out(r"[\S]{9}") == 9 * 16


@pytest.mark.parametrize(
    "pattern", [r"\p{L}{9}", r"[\p{L} -]{9}", r"\PN{9}", r"\w{9}(?=)", r"(?i)\w{9}", r"(?!)\d{9}", r"()\1\d{8}"]
)
def test_what_divides_all_of_unicode_counts_for_a_lot(pattern):
    """As letters and digits do in patterns that look around."""
    assert 9 * 200 <= written_out(pattern) < 11 * 200


@pytest.mark.parametrize(
    "pattern", ["(?x) a # [\n (b{99}){99}", "[]((])(a{99}]){99}", "[[a]b{99}]{99}", "[^](](a{99}){99}"]
)
def test_a_pattern_that_can_be_read_in_two_ways_counts_as_the_worse(pattern):
    """No bracket hides a repeat."""
    assert written_out(pattern) > 99 * 99


@given(st.text(alphabet="(){}[]^\\19,ap.?x:|", max_size=60))
def test_any_pattern_has_a_cost(pattern):
    """And none costs nothing by being broken."""
    assert 0 <= written_out(pattern) <= 10**9


def test_a_cost_is_found_in_time():
    """Also that of a long one, and of one whose cost has no end."""
    assert written_out("(" * 50_000 + "a" + "{99}" * 50_000) == 10**9
    assert written_out("[" * 100_000) > 0
    assert written_out("{" * 100_000) > 0
