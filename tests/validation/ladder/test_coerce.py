"""Values moved towards their schema."""

from __future__ import annotations

import json

import pytest

from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.shape import compile_shape

INTEGER = {"type": "integer"}
NUMBER = {"type": "number"}
STRING = {"type": "string"}
NULL = {"type": "null"}
COLOURS = {"enum": ["red", "green", "blue"]}
CAT = {
    "type": "object",
    "properties": {"kind": {"const": "cat"}, "lives": INTEGER},
    "required": ["kind", "lives"],
}
DOG = {"type": "object", "properties": {"kind": {"const": "dog"}, "age": INTEGER}, "required": ["kind", "age"]}


def listed(items, **rules):
    return {"type": "array", "items": items, **rules}


def any_of(*members):
    return {"anyOf": list(members)}


MOVED = [
    (STRING, 5, "5"),
    (STRING, 1.5, "1.5"),
    (STRING, True, "true"),
    (INTEGER, "1,234", 1234),
    (NUMBER, "12,5", 12.5),
    ({"type": "boolean"}, "Yes", True),
    ({"type": "boolean"}, 0, False),
    (any_of(INTEGER, NULL), "N/A", None),
    (any_of(INTEGER, NULL), "", None),
    (any_of(INTEGER, NULL), "5", 5),
    (any_of(STRING, NULL), "N/A", "N/A"),
    (any_of(INTEGER, STRING), "5", "5"),
    (any_of(INTEGER, STRING), True, "true"),
    (any_of(COLOURS, INTEGER), "RED", "red"),
    (any_of(COLOURS, INTEGER), "five", 5),
    (COLOURS, "Red", "red"),
    (COLOURS, "x: red", "red"),
    (COLOURS, "colour: red", None),
    (COLOURS, "**blue**.", "blue"),
    (COLOURS, "x red", "red"),
    (COLOURS, "red x", "red"),
    ({"enum": ["in_progress", "done"]}, "inProgress", "in_progress"),
    ({"enum": ["in_progress", "done"]}, "In Progress", "in_progress"),
    ({"enum": [1, 2]}, "two", 2),
    ({"enum": ["1", "2"]}, 1, "1"),
    ({"enum": ["true", "x"]}, True, "true"),
    ({"enum": [True]}, "yes", True),
    ({"type": ["string", "null"], "enum": ["a", None]}, "none", None),
    ({"enum": [None, 1]}, "n/a", None),
    (listed(STRING), "a", ["a"]),
    (listed(STRING), "a, b", ["a, b"]),
    (listed(STRING), '["a", "b"]', ["a", "b"]),
    (listed(STRING), ["a", 1], ["a", "1"]),
    (listed(INTEGER), "1, 2, 3", [1, 2, 3]),
    (listed(INTEGER), "1;2", [1, 2]),
    (listed(INTEGER), "- 1\n- two", [1, 2]),
    (listed(INTEGER), 5, [5]),
    (listed(COLOURS), "red; Green", ["red", "green"]),
    (listed(COLOURS), "1. red\n2. blue", ["red", "blue"]),
    ({"type": "object"}, '{"a": 1}', {"a": 1}),
    ({"type": "object", "additionalProperties": INTEGER}, [{"key": "a", "value": "1"}], {"a": 1}),
    ({"type": "object", "patternProperties": {"^n_": INTEGER}}, {"n_a": "1", "b": "1"}, {"n_a": 1, "b": "1"}),
    ({"type": "array", "prefixItems": [INTEGER, STRING]}, ["1", 2], [1, "2"]),
    (any_of(CAT, DOG), {"kind": "Dog", "age": "3"}, {"kind": "dog", "age": 3}),
    (any_of(CAT, DOG), {"Kind": "cat", "lives": "nine"}, {"kind": "cat", "lives": 9}),
    (any_of(STRING, listed(STRING)), "a", "a"),
]
MOVED = [row for row in MOVED if row[2] is not None or row[0] != COLOURS]
REFUSED = [
    (STRING, None),
    (STRING, ["a"]),
    (STRING, {"a": 1}),
    (INTEGER, True),
    (INTEGER, 3.7),
    (INTEGER, "N/A"),
    (INTEGER, "about 5"),
    (INTEGER, None),
    ({"type": "boolean"}, 2),
    ({"type": "boolean"}, "maybe"),
    ({"type": "boolean"}, "unknown"),
    (COLOURS, "colour: red"),
    (COLOURS, "not red"),
    (COLOURS, "red or green"),
    (COLOURS, "gren"),
    (COLOURS, "purple"),
    (COLOURS, ["red", "green"]),
    (COLOURS, None),
    (COLOURS, "x" * 1000),
    ({"enum": ["A", "a"]}, "\u00e1"),
    ({"enum": [1, True]}, "1"),
    ({"enum": [1, 2]}, "three"),
    ({"enum": [True]}, "maybe"),
    ({"enum": [1]}, "some"),
    ({"enum": [1.5]}, [1.5, 2]),
    ({"const": "dog"}, "dig"),
    (listed(STRING), "- a\n- b"),
    (listed(STRING), None),
    (listed(STRING), ""),
    (listed(STRING), {"a": 1}),
    (listed(STRING), ["a", "..."]),
    (listed(INTEGER), "1,234"),
    (listed(INTEGER), "1,,2"),
    (listed(INTEGER), "1,5"),
    (listed(INTEGER), "1,234, 5"),
    (any_of(INTEGER, listed(INTEGER)), "1,5"),
    (COLOURS, "green?"),
    ({"enum": ["plan a", "other"]}, "plan b"),
    (listed(INTEGER), ["1", "N/A"]),
    (listed(NUMBER), "1,5"),
    (listed(NUMBER), "12,345"),
    (listed(INTEGER, maxItems=2), ["1", 2, 3]),
    (listed(INTEGER, minItems=1), []),
    (listed(INTEGER, uniqueItems=True), ["1", 1]),
    ({"type": "array", "prefixItems": [INTEGER], "items": False}, ["1", 2]),
    ({"type": "array", "prefixItems": [INTEGER, INTEGER]}, "1,2"),
    (any_of(INTEGER, {"type": "boolean"}), "1"),
    (any_of(INTEGER, {"type": "boolean"}), "some"),
    (any_of(NUMBER, listed(NUMBER)), "5,6"),
    (any_of(INTEGER, NUMBER), "1,234"),
    (any_of(INTEGER, STRING), [1]),
    (any_of(CAT, DOG), {"kind": "cow", "age": 3}),
    (any_of(CAT, DOG), {"age": 3}),
    (any_of(CAT, DOG), {"kind": "cat", "age": 3}),
    (any_of(CAT, DOG), {"kind": None, "age": 3}),
    ({"type": "object"}, "{a: 1"),
    ({"type": "object"}, "[1]"),
    ({"type": "object"}, []),
    ({"type": "object"}, [{"key": "a", "value": 1}, {"key": "a", "value": 2}]),
    ({"type": "object"}, [{"key": 1, "value": 1}]),
    ({**INTEGER, "maximum": 10}, "11"),
    ({**INTEGER, "minimum": 0}, "minus one"),
    ({**INTEGER, "exclusiveMinimum": 5}, "5"),
    ({**INTEGER, "multipleOf": 5}, "6"),
    ({**STRING, "maxLength": 3}, 1234),
    ({**STRING, "minLength": 3}, 12),
    ({**STRING, "pattern": "^[0-9]{5}$"}, 1234),
    ({"type": "object", "minProperties": 2}, '{"a": 1}'),
    (False, 1),
]


@pytest.mark.parametrize(("schema", "value", "moved"), MOVED)
def test_a_value_is_moved_where_it_can_mean_one_thing(schema, value, moved):
    """And every move is an edit."""
    verdict = climb(json.dumps({"x": value}), shape_of(schema))
    assert verdict.errors == ()
    assert verdict.value == {"x": moved}
    assert bool(verdict.edits) == (moved != value or type(moved) is not type(value))


@pytest.mark.parametrize(("schema", "value"), REFUSED)
def test_a_value_is_refused_where_it_cannot(schema, value):
    """With an error that names the place."""
    verdict = climb(json.dumps({"x": value}), shape_of(schema))
    assert not verdict.fits
    assert all(error.path.startswith("/x") for error in verdict.errors)


def shape_of(schema):
    """An object with this property, which is required."""
    return compile_shape({"type": "object", "properties": {"x": schema}, "required": ["x"]})


def object_of(required=(), *, closed=True, **properties):
    """The shape of an object."""
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return compile_shape({**schema, "additionalProperties": False} if closed else schema)


def test_what_is_not_a_value_is_left_out_where_it_is_optional():
    """As is null; a plain string stays."""
    shape = object_of(a=INTEGER, b=STRING, c=listed(STRING), d=INTEGER)
    verdict = climb('{"a": "N/A", "b": "N/A", "c": "", "d": null}', shape)
    assert verdict.value == {"b": "N/A"}
    assert [edit.kind for edit in verdict.edits] == ["left_out"] * 3


def test_an_optional_value_that_cannot_be_moved_is_not_left_out():
    """The answer is refused."""
    assert not climb('{"a": "about 5"}', object_of(a=INTEGER)).fits


def test_a_missing_property_is_taken_from_the_default():
    """Only where it is required and the schema has one; null is not missing."""
    shape = object_of(["a"], a={**INTEGER, "default": 5}, b={**INTEGER, "default": 7})
    assert climb("{}", shape).value == {"a": 5}
    assert not climb('{"a": null}', shape).fits
    assert not climb("{}", object_of(["a"], a=INTEGER)).fits


def test_properties_that_are_not_in_the_schema_are_left_out_where_it_is_closed():
    """And stay where it is open."""
    assert climb('{"a": "1", "b": 2}', object_of(["a"], a=INTEGER)).value == {"a": 1}
    assert climb('{"a": "1", "b": 2}', object_of(["a"], closed=False, a=INTEGER)).value == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    "text",
    [
        '{"first_name": "A", "firstName": "B"}',
        '{"FirstName": "A", "firstName": "B"}',
        '{"nikname": "A", "nickame": "B", "first_name": "C"}',
        '{"b": 1, "c": 2}',
        '{"first_names": "A", "first_nam": "B"}',
    ],
)
def test_properties_that_may_have_been_meant_are_not_left_out(text):
    """Nor is all that there is."""
    assert not climb(text, object_of(first_name=STRING, nickname=STRING)).fits


def test_properties_of_allof_are_held_together():
    """And so are those of a schema that is referred to, with what stands beside the reference."""
    shape = compile_shape(
        {
            "$defs": {"A": {"type": "object", "properties": {"a": INTEGER}, "required": ["a"]}},
            "allOf": [{"$ref": "#/$defs/A"}, {"properties": {"a": {"maximum": 5}, "b": COLOURS}, "required": ["b"]}],
        }
    )
    assert climb('{"A": "5", "b": "Red"}', shape).value == {"a": 5, "b": "red"}
    assert not climb('{"A": "6", "b": "Red"}', shape).fits


def test_a_union_beside_other_rules_keeps_them():
    """Each member is read with them."""
    shape = compile_shape(
        {
            "type": "object",
            "properties": {"a": INTEGER},
            "required": ["a"],
            "anyOf": [
                {"properties": {"b": INTEGER}, "required": ["b"]},
                {"properties": {"c": INTEGER}, "required": ["c"]},
            ],
        }
    )
    assert climb('{"a": "1", "c": "2"}', shape).value == {"a": 1, "c": 2}
    assert not climb('{"b": "1"}', shape).fits


def test_recursion_is_followed_as_deep_as_the_value():
    """Each level is moved."""
    shape = compile_shape(
        {"type": "object", "properties": {"v": INTEGER, "next": any_of({"$ref": "#"}, NULL)}, "required": ["v"]}
    )
    assert climb('{"v": "1", "next": {"v": "two", "next": null}}', shape).value == {
        "v": 1,
        "next": {"v": 2, "next": None},
    }


def test_old_tuples_are_read():
    """As draft 7 writes them."""
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "items": [INTEGER, STRING],
        "additionalItems": INTEGER,
    }
    assert climb('["1", 2, "3"]', compile_shape({**schema, "type": "array"})).value == [1, "2", 3]


def test_a_member_of_a_union_does_not_lose_what_another_one_has():
    """The property was meant, and cannot be read."""
    small = {"type": "object", "properties": {"name": STRING}, "required": ["name"], "additionalProperties": False}
    large = {**small, "properties": {"name": STRING, "age": INTEGER}, "required": ["name", "age"]}
    shape = shape_of(any_of(small, large))
    assert climb('{"x": {"name": "A", "age": 5}}', shape).edits == ()
    assert climb('{"x": {"name": "A", "other": 1}}', shape).value == {"x": {"name": "A"}}
    for age in ('"5"', '"about 5"'):
        assert not climb(f'{{"x": {{"name": "A", "age": {age}}}}}', shape).fits


DECIMAL = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"}]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [("12,50", "12.50"), ("1.234,56", "1234.56"), ("1,234.50", "1234.50"), ("12.50", "12.50"), ("two", "2")],
)
def test_a_string_of_digits_is_read_as_a_number_is_and_stays_exact(text, expected):
    """It is not made a number, which would lose digits."""
    assert climb(json.dumps({"n": text}), compile_shape({"properties": {"n": DECIMAL}})).value == {"n": expected}


@pytest.mark.parametrize("text", ["1,234", "about 5", "N/A"])
def test_a_string_of_digits_is_refused_where_a_number_would_be(text):
    """For the same reasons."""
    schema = {"properties": {"n": DECIMAL}, "required": ["n"]}
    assert not climb(json.dumps({"n": text}), compile_shape(schema)).fits


def test_no_value_is_null_beside_a_string_of_digits():
    """A string that is no number does not fit there."""
    schema = {"properties": {"n": {"anyOf": [*DECIMAL["anyOf"], {"type": "null"}]}}}
    assert climb('{"n": "N/A"}', compile_shape(schema)).value == {"n": None}


@pytest.mark.parametrize("pattern", ["^[0-9]+$", r"^[0-9]+(\.[0-9]+)*$", "^[0-9.,]+$"])
def test_strings_that_may_be_codes_are_no_numbers(pattern):
    """A pattern that takes versions, or digits alone, is none of numbers."""
    schema = {"properties": {"n": {"type": "string", "pattern": pattern}}}
    assert not climb('{"n": "1 234"}', compile_shape(schema)).fits


def test_a_locale_says_how_plain_numbers_are_written():
    """That of the schema before that of the call; one that is none reads nothing."""
    plain = compile_shape({"properties": {"n": {"type": "number"}}})
    own = compile_shape({"properties": {"n": {"type": "number", "x-fairlead-locale": "de-DE"}}})
    assert climb('{"n": "1.000"}', plain, locale="de-DE").value == {"n": 1000}
    assert climb('{"n": "1.000"}', own, locale="en-US").value == {"n": 1000}
    assert not climb('{"n": "1,000"}', plain, locale="?").fits


@pytest.mark.parametrize(("text", "kind"), [("two", "number_words"), ("12,5", "as_number")])
def test_only_a_number_in_words_is_called_so(text, kind):
    """Digits in a string are another edit."""
    verdict = climb(json.dumps({"n": text}), compile_shape({"properties": {"n": {"type": "number"}}}))
    assert [edit.kind for edit in verdict.edits] == [kind]
