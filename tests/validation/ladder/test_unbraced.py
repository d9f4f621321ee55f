"""Answers whose outermost brackets are not those that were asked for."""

from __future__ import annotations

import json

import pytest

from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.shape import compile_shape

PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name"],
}
PEOPLE = {
    "type": "object",
    "properties": {
        "people": {"anyOf": [{"type": "array", "items": PERSON}, {"type": "null"}]},
        "n": {"type": "integer"},
    },
    "required": ["people"],
}
TWO = {"people": [{"name": "A"}, {"name": "B"}]}


@pytest.mark.parametrize(
    "text",
    [
        '[{"name": "A"}, {"name": "B"}]',
        'Here:\n[{"name": "A"}, {"name": "B"}]',
        '{"name": "A"}\n{"name": "B"}',
        '1. {"name": "A"}\n2. {"name": "B"}',
    ],
)
def test_a_list_is_the_one_property_that_takes_one(text):
    """In brackets, or one element a line."""
    verdict = climb(text, compile_shape(PEOPLE))
    assert (verdict.value, verdict.confidence) == (TWO, 0.8)


@pytest.mark.parametrize(
    "text", ["[]", '[{"x": 1}]', '{"name": "A"}\n{"name": "B"}\n...', '{"people": [{"name": "A"}]}\n{"people": []}']
)
def test_a_list_of_other_things_is_not_that_property(text):
    """Nor one that goes on, nor an empty one, which may mean anything."""
    assert not climb(text, compile_shape(PEOPLE)).fits


def test_of_two_properties_that_take_lists_neither_is_meant():
    """Nothing says which."""
    items = {"type": "array", "items": PERSON}
    schema = {"type": "object", "properties": {"a": items, "b": items}}
    assert not climb('[{"name": "A"}]', compile_shape(schema)).fits


def test_below_coerce_a_list_is_no_object():
    """It is moved as values are."""
    shape = compile_shape(PEOPLE)
    assert not climb('{"name": "A"}\n{"name": "B"}', shape, up_to="repair").fits


@pytest.mark.parametrize("text", ['"name": "Ada", "age": 36', '```json\n"name": "Ada",\n"age": 36,\n```'])
def test_names_and_values_without_braces_are_an_object(text):
    """Where they are all that the text holds."""
    verdict = climb(text, compile_shape(PERSON))
    assert (verdict.value, verdict.confidence) == ({"name": "Ada", "age": 36}, 0.8)


@pytest.mark.parametrize("text", ['"name": "Ada"', '"name": "Ada", "age": 3x', '"name": "Ada", "age": 36 and more'])
def test_without_braces_all_must_be_there(text):
    """The text may have ended in the middle."""
    assert not climb(text, compile_shape(PERSON)).fits


@pytest.mark.parametrize("required", [[], ["name"]])
def test_values_in_a_schema_that_was_written_again_are_taken_out(required):
    """They stand where it has its properties."""
    schema = {**PERSON, "required": required}
    verdict = climb(json.dumps({"properties": {"name": "ACME"}, "type": "object"}), compile_shape(schema))
    assert (verdict.value, verdict.confidence) == ({"name": "ACME"}, 0.8)


@pytest.mark.parametrize(
    "value", [PERSON, {"properties": {"name": "A"}, "type": "object", "x": 1}, {"properties": 5, "type": "object"}]
)
def test_a_schema_without_values_is_no_answer(value):
    """Nor is what only looks like one."""
    assert not climb(json.dumps(value), compile_shape({**PERSON, "required": []})).fits


def test_a_property_that_is_called_properties_is_no_echo():
    """The schema has it."""
    schema = {"type": "object", "properties": {"properties": {"type": "object"}, "type": {"type": "string"}}}
    value = {"properties": {"a": 1}, "type": "object"}
    assert climb(json.dumps(value), compile_shape(schema)).value == value
