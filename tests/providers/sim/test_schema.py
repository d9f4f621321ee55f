"""Values made to fit a schema."""

from __future__ import annotations

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from fairlead import fields
from fairlead.providers.sim.draws import Draws
from fairlead.providers.sim.schema import fitting_value

TREE = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "integer"},
                "left": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                "kids": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["value", "left", "kids"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/node",
}
SCHEMAS = [
    {"type": "string"},
    {"type": "string", "minLength": 30, "maxLength": 40},
    {"type": "string", "maxLength": 2},
    {"type": "integer", "minimum": 3, "maximum": 3},
    {"type": "integer", "exclusiveMinimum": 3, "exclusiveMaximum": 5},
    {"type": "integer", "maximum": -7},
    {"type": "integer", "multipleOf": 7, "minimum": 8, "maximum": 20},
    {"type": "number", "minimum": 0.1, "maximum": 0.2},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "exclusiveMinimum": 0, "maximum": 0.1},
    {"type": "boolean"},
    {"type": "null"},
    {"type": ["string", "null"]},
    {"enum": ["a", 2, None]},
    {"const": {"x": 1}},
    {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4},
    {"type": "array", "items": {"type": "integer"}, "minItems": 5},
    {"type": "array", "items": {"enum": [1, 2, 3]}, "minItems": 3, "uniqueItems": True},
    {"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}], "items": False, "maxItems": 2},
    {"anyOf": [{"type": "string"}, {"type": "integer"}]},
    {"oneOf": [{"type": "string"}, {"type": "integer"}]},
    {"allOf": [{"properties": {"a": {"type": "string"}}, "required": ["a"]}, {"required": ["b"]}], "type": "object"},
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"]},
    {"properties": {"a": {"type": "string", "format": "email"}}, "required": ["a"]},
    {"type": "object", "required": ["x"], "additionalProperties": {"type": "integer"}},
    TREE,
    {},
    True,
    *({"type": "string", "format": name} for name in ("date", "date-time", "time", "email", "uri", "uuid", "ipv4")),
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_every_value_fits_its_schema(schema):
    """An independent validator accepts it, whatever was drawn."""
    validator = jsonschema_rs.validator_for(schema, validate_formats=True)
    for seed in range(20):
        value = fitting_value(schema, Draws(seed))
        assert validator.is_valid(value), value


class Everything(BaseModel):
    """A field of each type that there is."""

    time: fields.Time24
    date: fields.ISODate
    moment: fields.DateTimeTZ
    price: fields.Money
    share: fields.Percent
    phone: fields.Phone
    email: fields.Email
    country: fields.CountryCode
    currency: fields.CurrencyCode
    agreed: fields.Boolish


def test_values_fit_the_types_of_fields():
    """A model of pydantic takes what is made of its schema."""
    Everything.model_validate(fitting_value(Everything.model_json_schema(), Draws(1)))


def test_a_time_whose_pattern_is_local_has_no_offset():
    """As Zod writes it for `z.iso.time()`."""
    schema = {"type": "string", "format": "time", "pattern": r"^[0-2]\d:[0-5]\d:[0-5]\d$"}
    assert fitting_value(schema, Draws(1)) == "09:30:00"


def test_the_same_draws_make_the_same_value():
    """Nothing but the key decides."""
    values = [fitting_value(TREE, Draws("key")) for _ in range(2)]
    assert values[0] == values[1]


LOOSE = st.recursive(
    st.sampled_from(
        [True, {}, {"type": "string"}, {"$ref": "#"}, {"$ref": "#/x/y"}, {"$ref": "http://x"}, {"enum": []}]
    ),
    lambda inner: st.fixed_dictionaries(
        {}, optional={"items": inner, "properties": st.dictionaries(st.just("a"), inner), "anyOf": st.lists(inner)}
    ),
    max_leaves=5,
)


@pytest.mark.parametrize(
    "inner",
    [
        {"type": "object", "required": ["a"], "properties": {"a": {"$ref": "#"}}},
        {"type": "array", "minItems": 2, "items": {"$ref": "#"}},
        {"allOf": [{"$ref": "#"}, {"$ref": "#"}]},
        {"type": "array", "minItems": 10**12, "items": {"type": "string", "minLength": 10**12}},
    ],
)
def test_a_schema_that_demands_itself_comes_to_an_end(inner):
    """No value fits it, and none of the machine is lost over it."""
    fitting_value(inner, Draws(1))


@given(LOOSE)
def test_a_schema_that_refers_to_itself_or_nowhere_comes_to_an_end(schema):
    """Odd schemas give some value."""
    fitting_value(schema, Draws(1))
