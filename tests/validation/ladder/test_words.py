"""Numbers and booleans as people write them."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.validation.ladder.words import (
    MAX_CHARS,
    Doubtful,
    Habits,
    Unclear,
    boolean,
    exact,
    is_nothing,
    is_spelt,
    number,
)

INTEGERS = [
    ("42", 42),
    ("-42", -42),
    ("+5", 5),
    ("\u22125", -5),
    ("5.0", 5),
    ("5.", 5),
    ("1e3", 1000),
    ("2.5e1", 25),
    ("1,234", 1234),
    ("1,234,567", 1_234_567),
    ("1.234.567", 1_234_567),
    ("1 234", 1234),
    ("1\u00a0234", 1234),
    ("1'234", 1234),
    ("1\u2019234", 1234),
    ("1_000", 1000),
    ("1,000.00", 1000),
    ("1.000,00", 1000),
    (" 7 ", 7),
    ("zero", 0),
    ("forty-two", 42),
    ("Forty Two", 42),
    ("two hundred and five", 205),
    ("two hundred five", 205),
    ("minus three", -3),
    ("negative three", -3),
    ("twelve thousand", 12_000),
    ("twelve hundred", 1_200),
    ("a hundred", 100),
    ("a thousand", 1_000),
    ("one million two hundred thousand and five", 1_200_005),
    ("three trillion", 3 * 10**12),
    ("a dozen", 12),
    ("two dozen", 24),
    ("1.5 million", 1_500_000),
    ("3k", 3_000),
    ("2 hundred", 200),
]
NUMBERS = [
    ("12,5", 12.5),
    ("1.234", 1.234),
    ("0,234", 0.234),
    ("1234,567", 1234.567),
    ("1,2345", 1.2345),
    ("1,234.5", 1234.5),
    ("1.234,56", 1234.56),
    ("1 234,5", 1234.5),
    ("1'234.5", 1234.5),
    (".5", 0.5),
    ("5e-3", 0.005),
    ("two and a half", 2.5),
    ("minus two and a half", -2.5),
    ("three point one four", 3.14),
    ("100", 100),
    ("1,234,567", 1_234_567),
]
UNCLEAR = [
    "",
    "-",
    "abc",
    "007",
    "00",
    "- 5",
    "1 2",
    "12 34",
    "1,23,456",
    "1.000.00",
    "1_00",
    "5 km",
    "3 apples",
    "12 EUR",
    "$5",
    "5%",
    "~5",
    "300 K",
    "300K",
    "5+",
    ">5",
    "20-30",
    "about 20",
    "at least 3",
    "several",
    "a couple",
    "a",
    "thousand",
    "first",
    "1st",
    "five (5)",
    "one two",
    "twenty twenty",
    "nineteen eighty four",
    "ten hundred",
    "five hundred and",
    "and five",
    "one thousand and",
    "thousand million",
    "one thousand two million",
    "a million and a half",
    "1.234 million",
    "2,5 million",
    "five million dollars",
    "three point",
    "three point eleven",
    "two and a half point five",
    "thirteen dozen",
    "0x10",
    "true",
    "1e999",
    "1e-999",
    "NaN",
    "Infinity",
    "\u0664\u0662",
    "9" * (MAX_CHARS + 1),
]


@pytest.mark.parametrize(("text", "value"), INTEGERS)
def test_an_integer_is_read_where_it_can_be_only_one(text, value):
    """Digits with a sign, separators of thousands, English words."""
    read = number(text, whole=True)
    assert (read, type(read)) == (value, int)


@pytest.mark.parametrize(("text", "value"), NUMBERS)
def test_a_number_is_read_where_it_can_be_only_one(text, value):
    """A comma is a point where it cannot part thousands."""
    assert number(text, whole=False) == value


@pytest.mark.parametrize("text", UNCLEAR)
@pytest.mark.parametrize("whole", [True, False])
def test_what_is_no_exact_number_is_refused(text, whole):
    """Units, ranges, approximations, ordinals, years in words, and what no person writes."""
    with pytest.raises(Unclear):
        number(text, whole=whole)


@pytest.mark.parametrize("text", ["3.7", "12,5", "1e-1", "two and a half", "1.5 thousand and"])
def test_a_fraction_is_no_integer(text):
    """Nothing is rounded."""
    with pytest.raises(Unclear):
        number(text, whole=True)


@pytest.mark.parametrize(("text", "whole"), [("1.234", True), ("5.000", True), ("1,234", False), ("12,345", False)])
def test_one_separator_before_three_digits_has_two_readings(text, whole):
    """Thousands, or a fraction: the error says that both are possible."""
    with pytest.raises(Doubtful):
        number(text, whole=whole)


@given(st.integers(-(10**18), 10**18))
def test_an_integer_as_json_writes_it_is_itself(value):
    """Whatever its sign and length."""
    assert number(str(value), whole=True) == value


@given(st.floats(allow_nan=False, min_value=-1e15, max_value=1e15).filter(lambda value: not 0 < abs(value) < 1e-290))
def test_a_number_as_json_writes_it_is_itself(value):
    """To the last digit."""
    assert number(repr(value), whole=False) == value


@given(st.integers(1000, 10**12))
def test_thousands_are_read_in_each_separator(value):
    """Where there are two of them, or another reading is not possible."""
    grouped = f"{value:,}"
    assert number(grouped, whole=True) == value
    assert number(grouped.replace(",", " "), whole=False) == value
    assert number(grouped.replace(",", "'"), whole=False) == value


@given(st.text(max_size=30))
def test_any_text_is_a_number_or_unclear(text):
    """Nothing else is raised."""
    with contextlib.suppress(Unclear):
        assert isinstance(number(text, whole=False), int | float)


@pytest.mark.parametrize("text", ["true", "TRUE", " yes ", "Y", "on", "1"])
def test_a_few_words_are_true(text):
    """In any case, with white space around."""
    assert boolean(text) is True


@pytest.mark.parametrize("text", ["false", "No", "n", "OFF", "0"])
def test_a_few_words_are_false(text):
    """In any case, with white space around."""
    assert boolean(text) is False


@pytest.mark.parametrize("text", ["", "maybe", "2", "yes, but", "t", "enabled", "not true", "y" * 1000])
def test_other_words_are_neither(text):
    """There is no list of synonyms."""
    with pytest.raises(Unclear):
        boolean(text)


@pytest.mark.parametrize(
    "text", ["", " ", "-", "\u2014", "?", "N/A", "unknown", "TBD", "none", "null", "Not specified"]
)
def test_some_words_say_that_there_is_no_value(text):
    """In any case."""
    assert is_nothing(text)


@pytest.mark.parametrize("text", ["0", "no", "nothing to add", "x" * 1000])
def test_other_words_are_values(text):
    """Also those that sound alike."""
    assert not is_nothing(text)


GERMAN = Habits(decimal=",", is_english=False)
AMERICAN = Habits(decimal=".")


@pytest.mark.parametrize(
    ("text", "whole", "habits", "expected"),
    [
        ("1.000", True, GERMAN, 1000),
        ("1.000", False, GERMAN, 1000),
        ("1,234", False, GERMAN, 1.234),
        ("12,5", False, GERMAN, 12.5),
        ("1.5", False, GERMAN, 1.5),
        ("2 million", False, GERMAN, 2_000_000),
        ("1,000", True, AMERICAN, 1000),
        ("1,000", False, AMERICAN, 1000),
        ("1.234", False, AMERICAN, 1.234),
        ("2 billion", True, AMERICAN, 2_000_000_000),
    ],
)
def test_habits_decide_what_a_mark_is(text, whole, habits, expected):
    """Where it could be one for thousands or for a fraction."""
    found = number(text, whole=whole, habits=habits)
    assert (found, isinstance(found, int)) == (expected, isinstance(expected, int))


@pytest.mark.parametrize(
    ("text", "habits"),
    [("1,234", GERMAN), ("1.234", AMERICAN), ("2 billion", GERMAN), ("two trillion", GERMAN)],
)
def test_what_a_habit_makes_of_a_number_may_be_none(text, habits):
    """A fraction is no integer, and a billion has nine zeros in English alone."""
    with pytest.raises(Unclear):
        number(text, whole=True, habits=habits)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12,50", "12.50"),
        ("1.234,56", "1234.56"),
        ("1,234.50", "1234.50"),
        ("0.10000000000000000000001", "0.10000000000000000000001"),
        ("1e3", "1000"),
        ("1.5 million", "1500000"),
    ],
)
def test_an_exact_number_keeps_all_of_its_digits(text, expected):
    """As a string that no binary fraction has touched."""
    assert exact(text) == expected


@pytest.mark.parametrize("text", ["1,234", "1e999", "about 5", "x" * 300])
def test_what_is_no_number_is_no_exact_one(text):
    """For the same reasons."""
    with pytest.raises(Unclear):
        exact(text)


@pytest.mark.parametrize(("text", "expected"), [("two", True), ("3k", True), ("12,5", False), ("1e5", False)])
def test_a_number_is_spelt_where_it_has_words(text, expected):
    """The exponent is none."""
    assert is_spelt(text) is expected
