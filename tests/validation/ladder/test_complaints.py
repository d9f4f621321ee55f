"""What is wrong with an answer, in words."""

from __future__ import annotations

import pytest

from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.complaints import unreadable
from fairlead.validation.ladder.shape import compile_shape

TOTAL = {"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"total": }', "has no value behind it"),
        ("{'total': 5, 'total': 6}", "stands twice"),
        ('{"total": 5 "x" "y"}', "where a value begins or ends"),
        ('{"total": 5, ...}', "stand where values belong"),
    ],
)
def test_what_cannot_be_read_is_told_in_plain_words(text, words):
    """With what would be right."""
    (error,) = climb(text, compile_shape(TOTAL)).errors
    assert (error.kind, words in error.message) == ("unclear", True)


def test_a_reason_without_words_of_its_own_is_still_a_sentence():
    """Its name stands in it, as words."""
    assert "new kind" in unreadable("new_kind")


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_what_is_no_number_is_named_as_it_is_written(word):
    """Although it is read as null."""
    (error,) = climb(f'{{"total": {word}}}', compile_shape(TOTAL)).errors
    assert error.message == f"must be a number; it is {word}"


def test_other_errors_beside_what_is_no_number_stay():
    """Only its own place is told in another way."""
    schema = {"type": "object", "properties": {"a": {"type": "number"}, "b": {"type": "number"}}}
    verdict = climb('{"a": NaN, "b": "x"}', compile_shape({**schema, "required": ["a", "b"]}))
    assert [error.message.rpartition(" ")[2] for error in verdict.errors if error.path == "/a"] == ["NaN"]
    assert any("x" in error.message for error in verdict.errors if error.path == "/b")


@pytest.mark.parametrize("closed", [False, True])
def test_two_names_that_differ_in_case_are_unclear_where_one_is_known(closed):
    """Either value may be the right one."""
    schema = {**TOTAL, "additionalProperties": not closed}
    verdict = climb('{"total": 12.5, "Total": 15}', compile_shape(schema))
    assert [(error.path, error.kind) for error in verdict.errors] == [("/Total", "unclear")]
