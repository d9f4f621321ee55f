"""Schemas that are compiled, and those that are refused."""

from __future__ import annotations

import json

import pytest

from fairlead.validation.ladder.bounds import MAX_BYTES, MAX_NODES, InvalidSchema
from fairlead.validation.ladder.shape import Shapes, compile_shape

TREE = {
    "$ref": "#/$defs/Tree",
    "$defs": {
        "Tree": {
            "type": "object",
            "properties": {"value": {"type": "integer"}, "below": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}},
            "required": ["value"],
        }
    },
}
REFUSED = {
    "not JSON": (b"{", "not JSON"),
    "no object": (b"[1]", "must be a JSON object"),
    "no schema": ({"type": "wrong"}, "no JSON Schema"),
    "not even JSON values": ({"a": object()}, "not JSON"),
    "a remote reference": ({"properties": {"a": {"$ref": "http://169.254.169.254/x"}}}, "leaves the schema"),
    "a reference to a file": ({"items": {"$ref": "file:///etc/passwd"}}, "leaves the schema"),
    "a reference to nothing": ({"items": {"$ref": "#/$defs/none"}}, "refers to nothing"),
    "a reference past the end": ({"items": {"$ref": "#/anyOf/3"}, "anyOf": [{}]}, "refers to nothing"),
    "a reference to a word": ({"items": {"$ref": "#/title"}, "title": "x"}, "no schema"),
    "a reference to itself": ({"$ref": "#"}, "leads back to itself"),
    "references in a ring": (
        {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}},
        "leads back to itself",
    ),
    "a union of itself": ({"anyOf": [{"type": "string"}, {"$ref": "#"}]}, "leads back to itself"),
    "dynamic references": ({"$dynamicRef": "#x"}, "not worked with"),
    "an identity within": ({"properties": {"a": {"$id": "x"}}}, "of its own"),
    "a pattern that is none": ({"pattern": "("}, "no JSON Schema"),
    "too many properties": ({"properties": {f"p{i}": {} for i in range(MAX_NODES)}}, "subschemas"),
    "too many bytes": ({"description": "x" * MAX_BYTES}, "longer than"),
    "too deep": (b'{"items":' * 70 + b"{}" + b"}" * 70, "deeper than"),
    "much too deep": (b'{"items":' * 20_000 + b"{}" + b"}" * 20_000, "too deeply"),
    "an unknown dialect": ({"$schema": "http://example.com/mine"}, "no JSON Schema"),
}


@pytest.mark.parametrize(("schema", "reason"), REFUSED.values(), ids=list(REFUSED))
def test_a_schema_that_cannot_be_held_to_is_refused(schema, reason):
    """The message says why."""
    with pytest.raises(InvalidSchema, match=reason):
        compile_shape(schema)


@pytest.mark.parametrize("step", ["allOf", "anyOf", "oneOf"])
def test_a_schema_that_doubles_at_each_step_is_refused(step):
    """Forty steps would be a million million looks at one value."""
    chain = {f"a{i}": {step: [{"$ref": f"#/$defs/a{i + 1}"}] * 2} for i in range(40)}
    with pytest.raises(InvalidSchema, match="too many times"):
        compile_shape({"$ref": "#/$defs/a0", "$defs": {**chain, "a40": {"type": "integer"}}})


def test_a_schema_that_doubles_below_itself_is_refused():
    """Also where each step goes into a property."""
    chain = {f"a{i}": {"anyOf": [{"properties": {"x": {"$ref": f"#/$defs/a{i + 1}"}}}] * 2} for i in range(25)}
    with pytest.raises(InvalidSchema, match="too many times"):
        compile_shape({"$ref": "#/$defs/a0", "$defs": {**chain, "a25": {"type": "integer"}}})


def test_recursion_through_properties_is_a_shape():
    """As of trees and lists of replies."""
    shape = compile_shape(TREE)
    assert shape.is_valid({"value": 1, "below": [{"value": 2, "below": []}]})
    assert not shape.is_valid({"value": 1, "below": [{"below": []}]})


def test_names_in_references_are_unescaped():
    """`~1` is a slash, `~0` a tilde, `%25` a percent sign."""
    shape = compile_shape({"$ref": "#/$defs/a~1b~0c%25", "$defs": {"a/b~c%": {"type": "integer"}}})
    assert shape.kinds == {"integer"}


def test_a_pattern_that_looks_ahead_is_checked():
    """As schemas of other languages have them."""
    shape = compile_shape({"type": "string", "pattern": "^(?!-)[a-z-]+$"})
    assert shape.is_valid("a-b")
    assert not shape.is_valid("-ab")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(?=(a+)+$)b|(a|a)*(?=c)"])
def test_a_hostile_pattern_is_no_trap(pattern):
    """It is matched in bounded time; what takes longer does not match."""
    assert not compile_shape({"type": "string", "pattern": pattern}).is_valid("a" * 50_000 + "!")


@pytest.mark.parametrize(
    ("schema", "kinds"),
    [
        ({}, None),
        ({"type": "integer"}, {"integer"}),
        ({"type": ["number", "integer"]}, {"number"}),
        ({"allOf": [{"type": "number"}, {"type": "integer"}]}, {"integer"}),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, {"string", "null"}),
        ({"enum": ["a", 1, None]}, {"string", "integer", "null"}),
        ({"anyOf": [{"type": "string"}, {}]}, None),
    ],
)
def test_a_shape_knows_which_types_may_fit(schema, kinds):
    """Through references and unions; `None` for any."""
    assert compile_shape(schema).kinds == kinds


def test_true_and_false_are_schemas():
    """Everything fits, and nothing."""
    assert compile_shape(b"true").is_valid(1)
    assert not compile_shape(b"false").is_valid(1)


@pytest.mark.parametrize("value", ["\ud800", {1: 2}, object(), float("nan")])
def test_what_cannot_be_checked_does_not_fit(value):
    """Nothing is raised."""
    assert not compile_shape({"type": ["string", "number", "object"]}).is_valid(value)


def test_a_schema_is_compiled_once():
    """As long as it is among those used last."""
    shapes = Shapes(most=2)
    first, second, third = (json.dumps({"const": i}).encode() for i in range(3))
    shape = shapes.of(first)
    shapes.of(second)
    assert shapes.of(first) is shape
    other = shapes.of(second)
    shapes.of(first)
    shapes.of(third)
    assert shapes.of(first) is shape
    assert shapes.of(second) is not other


def test_a_schema_is_not_the_callers_any_more():
    """What is changed afterwards changes nothing."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    shape = compile_shape(schema)
    schema["properties"]["a"]["type"] = "string"
    assert shape.is_valid({"a": 1})
