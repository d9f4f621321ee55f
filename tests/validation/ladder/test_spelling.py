"""One label out of several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.validation.ladder.spelling import MAX_CHARS, distance, is_near, joined, nearest, plain

WORDS = st.text("abcde", max_size=9)


@pytest.mark.parametrize("text", ["In Progress", "in_progress", " IN-PROGRESS ", "\u00cdn  progress"])
def test_case_accents_and_separators_make_no_difference(text):
    """What differs only in them is the same label."""
    assert plain(text) == "in progress"


def test_a_name_is_the_same_wherever_its_words_part():
    """`firstName` is `first_name`."""
    assert joined("firstName") == joined("First Name") == joined("first_name")


@pytest.mark.parametrize(
    ("text", "labels", "meant"),
    [
        ("positve", ["positive", "negative"], "positive"),
        ("hgh", ["high", "low"], "high"),
        ("loww", ["high", "low"], "low"),
        ("avialable", ["available"], "available"),
        ("very hihg", ["very high", "low"], "very high"),
        ("hihg", ["high", "low"], "high"),
        ("emial", ["email", "phone"], "email"),
        ("frist", ["first", "last"], "first"),
        ("rfist", ["first", "last"], None),
        ("aemil", ["email"], None),
        ("meail", ["email"], "email"),
        ("shiping", ["shipping"], "shipping"),
        ("categary", ["category"], "category"),
    ],
)
def test_a_slip_of_the_pen_is_mended(text, labels, meant):
    """One letter, or two in a long word; or two that have changed places."""
    assert nearest(text, labels) == meant


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("happy", ["positive", "negative"]),
        ("closet", ["closed"]),
        ("employee id", ["employer id"]),
        ("oven", ["open"]),
        ("nine", ["none"]),
        ("same", ["some"]),
        ("mid price", ["max price"]),
        ("trial", ["trail"]),
        ("causal", ["casual"]),
        ("from", ["form"]),
        ("trials", ["trails"]),
        ("unclear", ["nuclear"]),
        ("in the county", ["in the country"]),
        ("bat", ["cat", "dog"]),
        ("bat", ["bag", "ban"]),
        ("gren", ["green", "red"]),
        ("jan", ["jun"]),
        ("unavailable", ["available"]),
        ("active", ["inactive"]),
        ("decrease", ["increase"]),
        ("external", ["internal"]),
        ("hypotension", ["hypertension"]),
        ("employer", ["employee"]),
        ("macro", ["micro"]),
        ("q3", ["q1"]),
        ("version 3", ["version 2"]),
        ("", ["a"]),
        ("aaaa", []),
        ("a" * (MAX_CHARS + 1), ["a" * MAX_CHARS]),
    ],
)
def test_another_word_is_not_mended(text, labels):
    """Too far, as near to another, an opposite, another number, or too short to tell."""
    assert nearest(text, labels) is None


@given(WORDS, WORDS, st.integers(0, 9))
def test_the_distance_is_that_of_the_definition(one, other, most):
    """As far as one looks."""
    table = {(-1, -1): 0}
    for row in range(-1, len(one)):
        for column in range(-1, len(other)):
            ways = [table[row - 1, column] + 1] if row >= 0 else []
            ways += [table[row, column - 1] + 1] if column >= 0 else []
            if row >= 0 and column >= 0:
                ways.append(table[row - 1, column - 1] + (one[row] != other[column]))
            if row > 0 and column > 0 and (one[row], one[row - 1]) == (other[column - 1], other[column]):
                ways.append(table[row - 2, column - 2] + 1)
            table[row, column] = min(ways, default=0)
    assert distance(one, other, most) == min(table[len(one) - 1, len(other) - 1], most + 1)


@given(WORDS, st.lists(WORDS, min_size=1))
def test_what_is_taken_for_a_label_is_near_to_it(text, labels):
    """Whatever the labels are."""
    meant = nearest(text, labels)
    assert meant is None or is_near(text, [meant])


@pytest.mark.parametrize("text", ["A", "A-", "A+", "AB", "B-"])
def test_a_sign_at_the_end_of_a_label_is_part_of_it(text):
    """A blood group, or a grade, without its sign is another one."""
    assert plain(text) == text.lower()


def test_a_bullet_before_a_label_is_none_of_it():
    """It is how lists are written."""
    assert plain("- In  Progress") == plain("in_progress") == plain(" IN-PROGRESS ")
