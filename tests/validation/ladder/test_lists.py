"""Lists without brackets, and lists of one where one value belongs."""

from __future__ import annotations

import json

import pytest

from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.lists import MAX_LINES, items
from fairlead.validation.ladder.shape import compile_shape

INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
STRING = {"type": "string"}
BOOLEAN = {"type": "boolean"}
MOOD = {"enum": ["positive", "negative"]}
NULL = {"type": "null"}


def listed(text, element):
    return climb(text, compile_shape({"type": "array", "items": element}))


def held(value, schema):
    return climb(json.dumps({"v": value}), compile_shape({"type": "object", "properties": {"v": schema}}))


@pytest.mark.parametrize(
    ("text", "element", "expected"),
    [
        ("1, 2, 3", INTEGER, [1, 2, 3]),
        ("- 1\n- 2", INTEGER, [1, 2]),
        ("* 1\n* 2", INTEGER, [1, 2]),
        ("1\n2\n3", INTEGER, [1, 2, 3]),
        ("```\n1.5\n2\n```", NUMBER, [1.5, 2]),
        ("Answer: 1, 2", INTEGER, [1, 2]),
        ("Positive\nnegative", MOOD, ["positive", "negative"]),
        ("- a b\n- c", STRING, ["a b", "c"]),
        ("1. a\n2. b", STRING, ["a", "b"]),
    ],
)
def test_a_text_may_be_a_list_without_brackets(text, element, expected):
    """Numbers and labels in any form, free text only behind bullets or numbers."""
    assert listed(text, element).value == expected


@pytest.mark.parametrize(
    ("text", "element"),
    [
        ("1,234", INTEGER),
        ("1, 2, ...", INTEGER),
        ("1, 2 and more", INTEGER),
        ("1. a\n3. b", STRING),
        ("a\nb", STRING),
        ("a, b", STRING),
        ("- a", STRING),
        ("Here:\n- a\n- b", STRING),
        ("- a\n- ...", STRING),
        ("- a\n- b...", STRING),
        ("- a\n- etc.", STRING),
        ("- a\n  - b", STRING),
        ("- a\n- and more", STRING),
    ],
)
def test_a_text_that_may_be_no_list_is_none(text, element):
    """Or one of which something is missing."""
    assert not listed(text, element).fits


def test_below_coerce_a_text_is_no_list():
    """It is moved as values are."""
    assert not climb("1, 2", compile_shape({"type": "array", "items": INTEGER}), up_to="repair").fits


def test_very_many_lines_are_no_list():
    """They are not looked at."""
    assert items("- a\n" * (MAX_LINES + 1)) is None


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        ("POSITIVE!", MOOD, "positive"),
        ("No.", BOOLEAN, False),
        ("true.", BOOLEAN, True),
        ("0.9.", NUMBER, 0.9),
        ("two.", INTEGER, 2),
        ("1.5M", NUMBER, 1_500_000),
        (["positive"], MOOD, "positive"),
        ([36], INTEGER, 36),
        (["36"], INTEGER, 36),
        ([36], {"anyOf": [INTEGER, NULL]}, 36),
    ],
)
def test_a_value_is_read_with_the_mark_behind_it_and_out_of_a_list_of_one(value, schema, expected):
    """Nothing else can be meant."""
    assert held(value, schema).value == {"v": expected}


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (["36"], STRING),
        ([36, 37], INTEGER),
        ([[36]], INTEGER),
        (["x"], INTEGER),
        (["other"], MOOD),
        ([5], {"anyOf": [INTEGER, STRING]}),
        ([[1], [2]], {"type": "array", "items": INTEGER}),
        ({"a": [1]}, {"type": "object", "additionalProperties": INTEGER}),
        ("1.5...", NUMBER),
        ("3m", NUMBER),
    ],
)
def test_a_list_of_one_is_no_value_where_more_may_be_meant(value, schema):
    """A string may be one of several, and an element of a list or a map one list."""
    assert not held(value, schema).fits
