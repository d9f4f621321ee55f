"""What is put around an answer."""

from __future__ import annotations

import pytest

from fairlead.validation.ladder.wrappers import opened


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
