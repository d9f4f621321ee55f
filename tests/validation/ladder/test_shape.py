"""Schemas that are compiled, and those that are refused."""

from __future__ import annotations

import gc
import json
import weakref
from collections.abc import Iterator
from typing import Any

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
    "too many objects": ({"default": [{}] * 40_000}, "subschemas"),
    "too many patterns": ({"patternProperties": {f"^{i}": {} for i in range(400)}}, "such as a pattern"),
    "a pattern that is too large": ({"pattern": "^(a{1,999}){1,999}$"}, "such as a pattern"),
    "long references": (
        {"properties": {f"p{i}": {"$ref": "#" + "/not" * 60} for i in range(400)}}
        | json.loads('{"not":' * 60 + "{}" + "}" * 60),
        "subschemas",
    ),
    "many ways through unions": (
        {
            "$ref": "#/$defs/a0",
            "$defs": {**{f"a{i}": {"anyOf": [{"$ref": f"#/$defs/a{i + 1}"}] * 10} for i in range(4)}, "a4": {}},
        },
        "a union of unions",
    ),
    "lists that are held against each other": ({"allOf": [{"enum": list(range(1_000))}] * 2}, "subschemas"),
    "lists in a union that are": (
        {"enum": list(range(1_000)), "anyOf": [{"enum": list(range(9))}, {"enum": list(range(1_000))}]},
        "subschemas",
    ),
    "lists of lists that are": ({"allOf": [{"enum": [[{"a": list(range(40))}] * 20]}] * 2}, "subschemas"),
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


@pytest.mark.parametrize("bound", [{"most_nodes": 8}, {"most_bytes": 8 * len(b'{"const":1}')}])
def test_a_schema_is_compiled_once(bound):
    """As long as it is among those used last, and they are not too large together."""
    shapes = Shapes(**bound)
    schemas = [b'{"const":%d}' % i for i in range(9)]
    first, second, *_ = kept = [shapes.of(each) for each in schemas[:8]]
    assert [shapes.of(each) for each in schemas[:8]] == kept
    shapes.of(schemas[0])
    shapes.of(schemas[8])
    assert shapes.of(schemas[0]) is first
    assert shapes.of(schemas[1]) is not second


@pytest.mark.parametrize("schema", [{"description": "x" * 1_000}, {"items": {"items": {}}}, {"pattern": "x"}])
def test_a_schema_that_would_take_most_of_the_room_is_compiled_each_time(schema):
    """The others are kept for it."""
    shapes, small = Shapes(most_bytes=2_000, most_nodes=16), b'{"const":1}'
    raw = json.dumps(schema).encode()
    kept = shapes.of(small)
    assert shapes.of(raw) is not shapes.of(raw)
    assert shapes.of(small) is kept


def test_a_kept_schema_is_refused_to_whoever_has_less_left_for_it():
    """As if it were compiled again: what is refused does not depend on who was there before."""
    shapes, raw = Shapes(), b'{"items":{}}'
    cost = shapes.of(raw).cost
    assert shapes.of(raw, cost) is shapes.of(raw)
    with pytest.raises(InvalidSchema, match=f"more than {cost - 1} subschemas"):
        shapes.of(raw, cost - 1)


def callers(count: int, **said: Any) -> Iterator[bytes]:
    for i in range(count):
        properties = {f"p{i}_{j}": {"type": "string", **said} for j in range(800)}
        yield json.dumps({"type": "object", "properties": properties}).encode()


def test_a_pattern_that_comes_again_costs_nothing_more():
    """As those of identifiers do."""
    many = {f"p{i}": {"pattern": "^[a-z]{1,99}$"} for i in range(1_000)}
    one = compile_shape({"pattern": "^[a-z]{1,99}$"}).cost
    assert compile_shape({"properties": many}).cost < 1_200 + one


@pytest.mark.parametrize("said", [{}, {"description": "x" * 250}])
def test_what_is_kept_of_many_schemas_is_bounded(said):
    """However many callers come with schemas of their own."""
    shapes = Shapes(most_bytes=1_000_000, most_nodes=8_000)
    compiled = [weakref.ref(shapes.of(raw)) for raw in callers(20, **said)]
    gc.collect()
    assert sum(each() is not None for each in compiled) < 10


def test_a_schema_is_not_the_callers_any_more():
    """What is changed afterwards changes nothing."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    shape = compile_shape(schema)
    schema["properties"]["a"]["type"] = "string"
    assert shape.is_valid({"a": 1})
