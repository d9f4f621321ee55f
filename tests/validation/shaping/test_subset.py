"""What a provider's part of JSON Schema makes of a schema, and what it loses by that."""

from __future__ import annotations

import json
from typing import Any

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.call import Wanted
from fairlead.validation.shaping.subset import RULES, Narrowed, Unfit, enclosed, narrowed

SUBSETS = ("full", "grammar", *RULES)


def narrow(schema: Any, subset: Any) -> Narrowed:
    return narrowed(json.dumps(schema).encode(), subset)


def became(schema: Any, subset: Any) -> Any:
    found = narrow(schema, subset)
    assert found.fits
    return json.loads(found.schema)


def lost(schema: Any, subset: Any) -> list[str]:
    return [each.pointer for each in narrow(schema, subset).lost]


def of(**properties: Any) -> dict[str, Any]:
    """A closed object that demands all of them."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


PERSON = of(name={"type": "string"}, born={"type": "string", "format": "date"})


@pytest.mark.parametrize("subset", ["full", "grammar", "openai", "anthropic", "gemini"])
def test_a_schema_that_fits_stays_as_it_is_written(subset):
    """Down to its white space."""
    raw = json.dumps(PERSON, indent=3).encode()
    assert narrowed(raw, subset) == Narrowed(schema=raw)


def test_optional_properties_may_be_null_where_all_are_required():
    """OpenAI's strict way has no other form for them; what takes null already stays."""
    found = became(
        {
            "type": "object",
            "properties": {
                "plain": {"type": "string"},
                "named": {"$ref": "#/$defs/N", "description": "Whose"},
                "chosen": {"type": "string", "enum": ["a", "b"]},
                "fixed": {"const": 1},
                "either": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "none": {"type": "null"},
                "some": {"type": ["string", "null"]},
            },
            "required": [],
            "$defs": {"N": of(x={"type": "number"})},
        },
        "openai",
    )
    assert found["required"] == list(found["properties"])
    assert found["additionalProperties"] is False
    assert found["properties"] == {
        "plain": {"type": ["string", "null"]},
        "named": {"anyOf": [{"$ref": "#/$defs/N"}, {"type": "null"}], "description": "Whose"},
        "chosen": {"type": ["string", "null"], "enum": ["a", "b", None]},
        "fixed": {"anyOf": [{"type": "integer", "const": 1}, {"type": "null"}]},
        "either": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
        "maybe": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "none": {"type": "null"},
        "some": {"type": ["string", "null"]},
    }


@pytest.mark.parametrize(
    ("subset", "keyword", "value", "words"),
    [
        ("openai", "minLength", 3, "at least 3 characters"),
        ("openai", "maxLength", 3, "at most 3 characters"),
        ("openai", "format", "uri", "in the format uri"),
        ("openai", "default", "x", '"x" by default'),
        ("anthropic", "pattern", "^a", "matches the regular expression ^a"),
        ("gemini", "pattern", "^a", "matches the regular expression ^a"),
        ("plain", "format", "date", "in the format date"),
        ("grammar", "pattern", "a", "matches the regular expression a"),
    ],
)
def test_what_a_string_can_no_longer_be_held_to_is_said(subset, keyword, value, words):
    """In the description, behind the caller's own; and it is named."""
    schema = of(a={"type": "string", "description": "A name", keyword: value})
    assert became(schema, subset)["properties"]["a"] == {"type": "string", "description": f"A name; {words}"}
    assert lost(schema, subset) == [f"/properties/a/{keyword}"]


@pytest.mark.parametrize(
    ("keyword", "value", "words"),
    [
        ("minimum", 1, "at least 1"),
        ("maximum", 2.5, "at most 2.5"),
        ("exclusiveMinimum", 1, "more than 1"),
        ("exclusiveMaximum", 1, "less than 1"),
        ("multipleOf", 5, "a multiple of 5"),
    ],
)
def test_what_a_number_can_no_longer_be_held_to_is_said(keyword, value, words):
    """OpenAI keeps it, Anthropic does not."""
    schema = of(a={"type": "number", keyword: value})
    assert narrow(schema, "openai").lost == ()
    assert became(schema, "anthropic")["properties"]["a"] == {"type": "number", "description": words}


def test_what_a_list_can_no_longer_be_held_to_is_said():
    """Each in its own words."""
    schema = of(a={"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 5, "uniqueItems": True})
    found = became(schema, "anthropic")["properties"]["a"]
    assert found == {
        "type": "array",
        "items": {"type": "string"},
        "description": "at least 2 items; at most 5 items; no item twice",
    }
    assert became(of(a={"type": "array", "items": {"type": "string"}, "minItems": 1}), "anthropic")["properties"][
        "a"
    ] == {
        "type": "array",
        "items": {"type": "string"},
        "minItems": 1,
    }


def test_words_that_say_nothing_are_not_said():
    """`uniqueItems` may be false, and a long pattern is no sentence."""
    schema = of(
        a={"type": "array", "items": {"type": "string"}, "uniqueItems": False},
        b={"type": "string", "pattern": "x" * 600},
    )
    found = became(schema, "anthropic")["properties"]
    assert "description" not in found["a"]
    assert "description" not in found["b"]


def test_what_constrains_nothing_goes_unnamed():
    """Examples and notes of other tools; and keywords that mean nothing to such a value."""
    schema = of(a={"type": "string", "examples": ["x"], "x-fairlead-type": "email", "deprecated": True, "minimum": 3})
    assert became(schema, "openai") == of(a={"type": "string"})
    assert lost(schema, "openai") == []


def test_a_rule_over_several_properties_is_lost():
    """No provider takes it, and no words are made of it."""
    schema = {**PERSON, "if": {"required": ["name"]}, "not": {"required": ["x"]}, "minProperties": 1}
    assert lost(schema, "openai") == ["/if", "/not", "/minProperties"]
    assert became(schema, "openai")["description"] == "at least 1 properties"


def test_open_objects_are_closed():
    """What may stand there beside is lost only where the schema says so."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    assert became(schema, "anthropic") == of(a={"type": "string"})
    assert lost(schema, "anthropic") == []
    assert lost({**schema, "additionalProperties": {"type": "string"}}, "anthropic") == ["/additionalProperties"]
    assert became({**schema, "additionalProperties": {"type": "string"}}, "gemini")["additionalProperties"] == {
        "type": "string"
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "object"},
        of(a={}),
        of(a={"type": "array"}),
        of(a={"type": "array", "prefixItems": [{"type": "string"}]}),
        of(a={"type": "array", "items": [{"type": "string"}]}),
        of(a={"enum": [{"a": 1}]}),
        of(a={"enum": []}),
        of(a={"anyOf": []}),
        of(a={"$ref": "https://example.com/s.json"}),
        of(a={"$ref": "#/$defs/none"}),
        of(a={"type": "string", "$defs": {}}),
        of(a={"allOf": [{"type": "string"}, {"type": "integer"}]}),
        of(a={"allOf": [{"$ref": "#/$defs/X"}, {"type": "string"}]}) | {"$defs": {"X": {"type": "string"}}},
        of(a={"allOf": "x"}),
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["b"]},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": [{}]},
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": {"type": "string"}}, "$defs": []},
        [],
        "x",
    ],
)
def test_what_has_no_form_does_not_fit(schema):
    """It is asked for in words then; the schema is given back as it was."""
    raw = json.dumps(schema).encode()
    assert narrowed(raw, "openai") == Narrowed(schema=raw, fits=False)


def test_what_is_no_json_does_not_fit():
    """Whoever sent it."""
    assert not narrowed(b"{", "gemini").fits
    assert not narrowed(b"[" * 100_000, "gemini").fits


@pytest.mark.parametrize("subset", ["openai", "plain"])
@pytest.mark.parametrize(
    "root", [{"type": "array", "items": {"type": "string"}}, {"anyOf": [{"type": "string"}, {"type": "integer"}]}]
)
def test_a_root_that_is_no_object_stands_under_value(subset, root):
    """The providers want an object; the ladder takes the wrapper off."""
    assert became(root, subset) == of(value=root)


def test_references_to_a_root_that_moves_move_with_it():
    """And those to definitions do not."""
    tree = {
        "type": "array",
        "items": {"anyOf": [{"$ref": "#"}, {"$ref": "#/$defs/Leaf"}]},
        "$defs": {"Leaf": of(default={"anyOf": [{"$ref": "#"}, {"type": "null"}]})},
    }
    found = became(tree, "openai")
    assert found["properties"]["value"]["items"] == {
        "anyOf": [{"$ref": "#/properties/value"}, {"$ref": "#/$defs/Leaf"}]
    }
    assert found["$defs"]["Leaf"]["properties"]["default"]["anyOf"][0] == {"$ref": "#/properties/value"}


def test_a_root_that_names_a_definition_is_that():
    """As a root needs a type."""
    found = became({"$ref": "#/$defs/P", "description": "Who", "$defs": {"P": PERSON}}, "openai")
    assert found == {**PERSON, "description": "Who", "$defs": {"P": PERSON}}


def test_nothing_stands_beside_a_reference():
    """OpenAI refuses it; so the reference stands in a union of one."""
    schema = of(a={"$ref": "#/$defs/P", "description": "Who", "default": None}) | {"$defs": {"P": PERSON}}
    assert became(schema, "openai")["properties"]["a"] == {
        "anyOf": [{"$ref": "#/$defs/P"}],
        "description": "Who; null by default",
    }
    assert lost(schema, "openai") == ["/properties/a/default"]


def test_one_of_becomes_any_of():
    """That only one of them fits is lost; Google reads both alike."""
    schema = of(a={"oneOf": [{"type": "string"}, {"type": "integer"}], "discriminator": {"propertyName": "x"}})
    assert became(schema, "openai") == of(a={"anyOf": [{"type": "string"}, {"type": "integer"}]})
    assert lost(schema, "openai") == ["/properties/a/oneOf"]
    assert lost(schema, "gemini") == []


def test_a_union_beside_other_keywords_is_lost():
    """What stands beside it says more."""
    schema = {**PERSON, "anyOf": [{"required": ["name"]}, {"required": ["born"]}]}
    assert became(schema, "openai") == PERSON
    assert lost(schema, "openai") == ["/anyOf"]
    union = of(a={"anyOf": [{"type": "string"}], "minLength": 3})
    assert became(union, "openai")["properties"]["a"]["description"] == "at least 3 characters"


def test_members_of_all_of_are_one_where_they_agree():
    """Pydantic writes references with defaults so, and models that inherit are often written so."""
    parts = {
        "allOf": [
            of(a={"type": "string"}),
            {"type": "object", "properties": {"b": {"type": "integer"}}, "required": ["b"]},
        ]
    }
    assert became(parts, "openai") == of(a={"type": "string"}, b={"type": "integer"})
    one = of(a={"allOf": [{"allOf": [{"$ref": "#/$defs/P"}]}], "title": "A"}) | {"$defs": {"P": PERSON}}
    assert became(one, "openai")["properties"]["a"] == {"anyOf": [{"$ref": "#/$defs/P"}], "title": "A"}


def test_several_types_are_a_union_where_a_list_of_them_is_not_known():
    """Each with what concerns it."""
    schema = of(a={"type": ["string", "null"], "maxLength": 3, "description": "A"})
    assert became(schema, "anthropic")["properties"]["a"] == {
        "anyOf": [{"type": "string", "description": "at most 3 characters"}, {"type": "null"}],
        "description": "A",
    }
    assert lost(schema, "anthropic") == ["/properties/a/maxLength"]
    assert became(of(a={"type": ["string", "null"], "enum": ["x", None]}), "anthropic") == of(a={"enum": ["x", None]})


def test_a_type_that_is_not_said_is_found():
    """From the values, or from keywords that only one has."""
    schema = of(a={"enum": ["x", 1]}, b={"const": True}, c={"properties": {"d": {"type": "string"}}, "required": ["d"]})
    found = became(schema, "openai")["properties"]
    assert (found["a"]["type"], found["b"]["type"], found["c"]["type"]) == (["string", "integer"], "boolean", "object")


def test_google_knows_no_constants():
    """Of strings and numbers they are an enum of one, of others they are words."""
    schema = of(a={"const": "x"}, b={"const": True}, c={"type": "string", "enum": ["x", None]})
    found = became(schema, "gemini")["properties"]
    assert found["a"] == {"type": "string", "enum": ["x"]}
    assert found["b"] == {"type": "boolean", "description": "always true"}
    assert found["c"] == {"type": "string", "description": 'one of ["x",null]'}
    assert lost(schema, "gemini") == ["/properties/b/const", "/properties/c/enum"]


def test_google_knows_tuples_and_anything():
    """The others have no form for them."""
    schema = {"type": "array", "prefixItems": [{"type": "string"}, True], "items": {"type": "integer"}}
    assert became(schema, "gemini") == {**schema, "prefixItems": [{"type": "string"}, {}]}


def test_the_older_name_of_definitions_is_renamed_where_it_is_not_known():
    """With the references to them; a property of that name stays."""
    schema = of(definitions={"$ref": "#/definitions/P"}) | {"definitions": {"P": PERSON}}
    assert became(schema, "openai") == schema
    assert became(schema, "gemini") == of(definitions={"$ref": "#/$defs/P"}) | {"$defs": {"P": PERSON}}
    assert not narrow({**schema, "$defs": {}}, "gemini").fits


NODE = of(next={"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]})


@pytest.mark.parametrize(
    "schema",
    [
        {"$ref": "#/$defs/Node", "$defs": {"Node": NODE}},
        of(a={"anyOf": [{"$ref": "#"}, {"type": "null"}]}),
        of(a={"type": "string"}, b={"$ref": "#/properties/a"}),
    ],
)
def test_recursion_fits_only_where_it_is_taken(schema):
    """OpenAI takes it, Anthropic does not; where a reference is to no definition nobody follows it."""
    assert narrow(schema, "openai").fits
    assert not narrow(schema, "anthropic").fits


def test_a_definition_that_is_named_twice_is_no_recursion():
    """Nor are two that name a third."""
    schema = of(a={"$ref": "#/$defs/A"}, b={"$ref": "#/$defs/B"}, c={"$ref": "#/$defs/A"}) | {
        "$defs": {"A": of(x={"$ref": "#/$defs/C"}), "B": of(x={"$ref": "#/$defs/C"}), "C": PERSON}
    }
    assert narrow(schema, "anthropic") == Narrowed(schema=json.dumps(schema).encode())


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = of(a=schema)
    return schema


@pytest.mark.parametrize(
    ("subset", "fitting", "large"),
    [
        ("openai", nested(10), nested(11)),
        (
            "openai",
            of(a={"type": "integer", "enum": [*range(1_000)]}),
            of(a={"type": "integer", "enum": [*range(1_001)]}),
        ),
        ("openai", of(**{f"p{n}": PERSON for n in range(1_600)}), of(**{f"p{n}": PERSON for n in range(1_700)})),
        (
            "anthropic",
            {**of(**{f"p{n}": {"type": "string"} for n in range(24)}), "required": []},
            {**of(**{f"p{n}": {"type": "string"} for n in range(25)}), "required": []},
        ),
        (
            "anthropic",
            of(**{f"p{n}": {"type": ["string", "null"]} for n in range(16)}),
            of(**{f"p{n}": {"type": ["string", "null"]} for n in range(17)}),
        ),
        ("openai", of(a={"enum": ["x" * 60] * 250}), of(a={"enum": ["x" * 60] * 251})),
        ("openai", of(**{"x" * 119_000: {"type": "string"}}), of(**{"x" * 121_000: {"type": "string"}})),
        ("plain", nested(50), nested(70)),
    ],
)
def test_a_schema_over_a_limit_does_not_fit(subset, fitting, large):
    """It would be refused."""
    assert narrow(fitting, subset).fits
    assert not narrow(large, subset).fits


def test_a_schema_that_would_grow_out_of_its_reservation_does_not_fit():
    """Constants that may be null take four times the room."""
    schema = {"type": "object", "properties": {f"p{n}": {"const": 1} for n in range(500)}}
    raw = json.dumps(schema, separators=(",", ":")).encode()
    assert narrowed(raw, "openai") == Narrowed(schema=raw, fits=False)


def test_a_grammar_keeps_patterns_that_match_a_whole_string():
    """And properties that are only called so."""
    schema = of(pattern={"type": "string", "pattern": "^a$"}, b={"type": "string", "default": {"pattern": "x"}})
    assert narrow(schema, "grammar") == Narrowed(schema=json.dumps(schema).encode())


def test_the_arguments_of_a_tool_are_an_object():
    """Else they stand under `value`, and what is defined at the root."""
    raw = json.dumps(PERSON).encode()
    assert enclosed(raw) is raw
    found = json.loads(enclosed(b'{"$ref":"#/$defs/P","$defs":{"P":{"type":"string"}}}'))
    assert found == {
        "type": "object",
        "properties": {"value": {"$ref": "#/$defs/P"}},
        "required": ["value"],
        "$defs": {"P": {"type": "string"}},
    }
    with pytest.raises(Unfit):
        enclosed(b"[]")
    with pytest.raises(Unfit):
        enclosed(b"{")
    with pytest.raises(Unfit):
        enclosed(b'{"items":' * 100_000 + b"{}" + b"}" * 100_000)


KEYWORDS = st.sampled_from(
    ["type", "properties", "required", "items", "enum", "const", "anyOf", "oneOf", "allOf", "$ref", "$defs", "definitions",
     "minLength", "pattern", "format", "minimum", "maxItems", "default", "description", "additionalProperties", "not",
     "prefixItems", "title", "uniqueItems", "patternProperties"]
)  # fmt: skip
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["string", "object", "array", "#", "#/$defs/a", "x~/"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS | st.just("a"), inner, max_size=5),
    max_leaves=25,
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "string": st.text(max_size=4),
    "integer": st.integers(-9, 9),
    "boolean": st.booleans(),
    "null": st.none(),
}
LEAVES = st.sampled_from(
    [
        {"type": "string", "maxLength": 3},
        {"type": "string", "minLength": 1, "description": "D"},
        {"type": "integer", "minimum": 0},
        {"type": "boolean"},
        {"type": ["integer", "null"]},
        {"enum": ["a", "b"]},
        {"const": 1},
    ]
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(st.sampled_from("abc"), inner, min_size=1).flatmap(
        lambda found: st.sets(st.sampled_from([*found])).map(
            lambda needed: {"type": "object", "properties": found, "required": sorted(needed)}
        )
    )


SCHEMAS = objects(
    st.recursive(
        LEAVES,
        lambda inner: (
            objects(inner)
            | inner.map(lambda each: {"type": "array", "items": each, "maxItems": 2})
            | st.lists(inner, min_size=1, max_size=2).map(lambda each: {"anyOf": each})
        ),
        max_leaves=6,
    )
)


@given(JUNK, st.sampled_from(SUBSETS))
def test_whatever_is_sent_as_a_schema_is_narrowed_or_does_not_fit(schema, subset):
    """Nothing else is raised, and the result keeps to what a reservation counts on."""
    raw = json.dumps(schema).encode()
    found = narrowed(raw, subset)
    assert len(found.schema) <= Wanted(name="n", schema=raw).most_bytes
    assert found.fits or found.schema is raw


@given(SCHEMAS, st.sampled_from(SUBSETS))
def test_what_is_narrowed_once_is_not_narrowed_further(schema, subset):
    """It is in the subset."""
    first = narrow(schema, subset)
    again = narrowed(first.schema, subset)
    assert json.loads(again.schema) == json.loads(first.schema)
    assert again.lost == ()


@given(SCHEMAS, st.sampled_from(["anthropic", "gemini", "plain"]), st.data())
def test_a_narrowed_schema_takes_no_value_that_the_schema_refuses_but_for_what_is_lost(schema, subset, data):
    """Where nothing is lost, what fits the narrowed one fits the schema."""
    found = narrow(schema, subset)
    value = data.draw(a_value(schema))
    if found.fits and not found.lost and jsonschema_rs.is_valid(json.loads(found.schema), value):
        assert jsonschema_rs.is_valid(schema, value)


def a_value(schema: Any) -> st.SearchStrategy[Any]:
    """Something near what fits."""
    if "anyOf" in schema:
        return st.one_of([a_value(each) for each in schema["anyOf"]])
    if schema.get("type") == "object":
        return st.fixed_dictionaries({}, optional={name: a_value(each) for name, each in schema["properties"].items()})
    if schema.get("type") == "array":
        return st.lists(a_value(schema["items"]), max_size=3)
    return st.sampled_from(["a", 1, None]) | st.one_of([*VALUES.values()])
