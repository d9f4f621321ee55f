"""What is put around an answer."""

from __future__ import annotations

import pytest

from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.shape import compile_shape
from fairlead.validation.ladder.wrappers import is_meaningless, opened


@pytest.mark.parametrize(
    ("value", "kind", "inner"),
    [
        ({"result": {"a": 1}}, "wrapper", {"a": 1}),
        ({"answer": 5}, "wrapper", 5),
        ([{"a": 1}], "single_element", {"a": 1}),
        ({"name": "save", "arguments": {"a": 1}}, "tool_call", {"a": 1}),
        ({"type": "tool_use", "id": "1", "name": "save", "input": {"a": 1}}, "tool_call", {"a": 1}),
        ({"name": "save", "parameters": '{"a": 1}'}, "tool_call", '{"a": 1}'),
        ({"type": "function", "function": {"name": "f"}}, "tool_call", {"name": "f"}),
        ('{"a": 1}', "encoded_twice", {"a": 1}),
    ],
)
def test_a_wrapper_holds_one_thing(value, kind, inner):
    """An object, a list of one, a call of a tool, a string of JSON."""
    layer = opened(value, ())
    assert layer is not None
    assert (layer.kind, layer.value) == (kind, inner)


@pytest.mark.parametrize(
    "value",
    [
        [],
        [1, 2],
        {},
        {"a": 1, "b": 2},
        {"error": {"a": 1}},
        {"example": {"a": 1}},
        {"name": "save", "arguments": {}, "input": {}},
        {"name": "save", "arguments": [1]},
        {"name": "save", "arguments": {}, "comment": "x"},
        {"name": "save", "type": "x"},
        "text",
        "{not JSON",
        5,
        None,
    ],
)
def test_other_values_are_no_wrappers(value):
    """Nothing of several is chosen, and no error is an answer."""
    assert opened(value, ()) is None


def test_a_property_of_the_schema_is_no_wrapper():
    """What stands in it belongs there."""
    assert opened({"items": [1]}, {"items"}) is None


@pytest.mark.parametrize(
    "name",
    ["result", "Results", "final_answer", "extractedData", "output-json", "booking", "Booking Result", "bookings"],
)
def test_a_name_that_means_nothing_is_a_wrapper_s(name):
    """In any case, joined of such words, or with what the schema is called."""
    assert is_meaningless(name, ("Booking", "bookings"))


@pytest.mark.parametrize(
    "name",
    [
        "is_not_spam",
        "opposite",
        "previous",
        "status",
        "confidence",
        "not_result",
        "old_data",
        "booking_error",
        "",
        "a" * 99,
    ],
)
def test_a_name_that_means_something_is_no_wrapper_s(name):
    """What stands under it is something else than the answer."""
    assert not is_meaningless(name, ("Booking",))


def test_a_part_of_a_title_is_no_title():
    """All of it calls the schema by its name."""
    assert is_meaningless("user_profile", ("User Profile",))
    assert not is_meaningless("user", ("User Profile",))


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"title": "Age", "type": "integer"}, '{"age": 5}', 5),
        ({"$ref": "#/$defs/Count", "$defs": {"Count": {"type": "integer"}}}, '{"count_result": 5}', 5),
        ({"$ref": "#/$defs/C", "$defs": {"C": {"title": "Level", "type": "integer"}}}, '{"level": 5}', 5),
    ],
)
def test_what_the_schema_is_called_is_no_name_of_a_property(schema, text, value):
    """By its title, or the name under which it stands."""
    assert climb(text, compile_shape(schema)).value == value


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "boolean"}, '{"is_not_spam": true}'),
        ({"enum": ["positive", "negative"]}, '{"opposite": "positive"}'),
        ({"type": "integer"}, '{"previous": 5}'),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, '{"result": {"a": 1}}'),
        ({"anyOf": [{"type": "integer"}, {"type": "object", "maxProperties": 0}]}, '{"result": {}}'),
    ],
)
def test_a_name_that_says_something_stays(schema, text):
    """And nothing is unwrapped into an object whose names are free."""
    assert not climb(text, compile_shape(schema)).fits
