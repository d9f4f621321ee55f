"""Names that a schema lets pass, and that may be meant for names that it knows."""

from __future__ import annotations

import json

import pytest

from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.shape import compile_shape
from fairlead.validation.ladder.strays import MAX_PLACES

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string"},
        "paid": {"type": "boolean", "default": False},
        "first_seen": {"type": "string"},
    },
    "required": ["name"],
}
OPTIONAL = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}


def _climb(schema, value, **told):
    return climb(json.dumps(value), compile_shape(schema), **told)


@pytest.mark.parametrize(
    ("given", "name"), [("Paid", "paid"), ("PAID", "paid"), ("firstSeen", "first_seen"), ("First Seen", "first_seen")]
)
def test_an_optional_property_in_another_spelling_is_renamed(given, name):
    """The value fits without it, and would lose it."""
    held = True if name == "paid" else "x"
    verdict = _climb(PERSON, {"name": "Ada", given: held})
    assert verdict.value == {"name": "Ada", name: held}
    assert [(edit.kind, edit.path, edit.confidence) for edit in verdict.edits] == [("renamed", f"/{name}", 0.9)]


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        (
            {"type": "object", "properties": {"p": {"anyOf": [PERSON, {"type": "null"}]}}},
            {"p": {"name": "Ada", "Paid": True}},
            {"p": {"name": "Ada", "paid": True}},
        ),
        (
            {"type": "object", "additionalProperties": {"type": "array", "items": PERSON}},
            {"p": [{"name": "Ada", "Paid": True}]},
            {"p": [{"name": "Ada", "paid": True}]},
        ),
        (
            {
                "$ref": "#/$defs/N",
                "$defs": {
                    "N": {
                        "type": "object",
                        "properties": {
                            "v": {"type": "integer"},
                            "kids": {"type": "array", "items": {"$ref": "#/$defs/N"}},
                        },
                    }
                },
            },
            {"v": 1, "kids": [{"v": 2, "Kids": []}]},
            {"v": 1, "kids": [{"v": 2, "kids": []}]},
        ),
    ],
)
def test_names_are_put_right_at_any_depth(schema, value, expected):
    """Below unions, maps, lists and references."""
    assert _climb(schema, value).value == expected


def test_another_spelling_with_another_value_is_unclear():
    """Nobody knows which of them counts."""
    verdict = _climb(PERSON, {"name": "Ada", "paid": False, "Paid": True})
    assert [(error.path, error.kind) for error in verdict.errors] == [("/Paid", "unclear")]


def test_another_spelling_with_the_same_value_is_left_as_it_is():
    """Nothing is lost."""
    value = {"name": "Ada", "paid": True, "Paid": True}
    verdict = _climb(PERSON, value)
    assert (verdict.value, verdict.edits, verdict.errors) == (value, (), ())


def test_two_spellings_of_one_property_are_unclear():
    """Also where it is not there itself."""
    verdict = _climb(PERSON, {"name": "Ada", "firstSeen": "x", "First-Seen": "x"})
    assert {error.kind for error in verdict.errors} == {"unclear"}


@pytest.mark.parametrize("extra", ["piad", "other", "x" * 200])
def test_other_names_stay(extra):
    """Names that are only near to an optional one are the model's own."""
    value = {"name": "Ada", extra: True}
    verdict = _climb(PERSON, value)
    assert (verdict.value, verdict.edits, verdict.errors) == (value, (), ())


def test_a_near_name_of_an_optional_property_stays_beside_one_that_is_renamed():
    """What is done to a name does not hang on its neighbours."""
    verdict = _climb(PERSON, {"name": "Ada", "Paid": True, "first_sen": "x"})
    assert verdict.value == {"name": "Ada", "paid": True, "first_sen": "x"}


@pytest.mark.parametrize("up_to", ["parse", "extract", "repair"])
def test_below_coerce_names_stay(up_to):
    """They are moved as values are."""
    value = {"name": "Ada", "Paid": True}
    assert _climb(PERSON, value, up_to=up_to).value == value


@pytest.mark.parametrize("value", [{"error": "no name"}, {"result": {"foo": 1}}, OPTIONAL])
def test_an_answer_with_no_known_name_is_refused(value):
    """Where all properties are optional, it would be an empty value."""
    assert not _climb(OPTIONAL, value).fits


def test_a_wrapper_around_known_names_is_taken_off():
    """Also where the wrapper itself would fit, since all is optional."""
    verdict = _climb(OPTIONAL, {"result": {"name": "Ada"}})
    assert (verdict.value, verdict.edits[0].kind) == ({"name": "Ada"}, "wrapper")


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}, "additionalProperties": {"type": "integer"}},
        {"type": "object", "properties": {"a": {}}, "patternProperties": {"^[A-Z]": {"type": "integer"}}},
        {"anyOf": [OPTIONAL, {"type": "object"}]},
    ],
)
def test_names_that_the_schema_leaves_free_raise_no_question(schema):
    """It says what stands under them, or that anything does."""
    value = {"A": 1}
    verdict = _climb(schema, value)
    assert (verdict.value, verdict.edits, verdict.errors) == (value, (), ())


def test_an_empty_object_fits():
    """It says that there is nothing, and not something else."""
    assert _climb(OPTIONAL, {}).value == {}


def test_of_a_very_wide_schema_the_first_places_are_looked_at():
    """The rest is left to the schema."""
    schema = {
        "type": "object",
        "properties": {f"a{i}": {"type": "object", "maxProperties": i} for i in range(1, 2_400)},
    }
    assert len(schema["properties"]) > MAX_PLACES
    assert _climb(schema, {"A1": {}, "a2": {}}).value == {"a1": {}, "a2": {}}


def test_a_union_of_very_many_members_is_looked_at_as_a_whole():
    """Its members are not taken apart without end."""
    schema = {"anyOf": [{"type": "object", "properties": {f"a{i}": {}}, "required": [f"a{i}"]} for i in range(100)]}
    assert _climb(schema, {"a7": 1}).value == {"a7": 1}
