"""What holds for every schema, value and text."""

from __future__ import annotations

import json
from functools import partial

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.coerce import Walk
from fairlead.validation.ladder.shape import compile_shape

ORACLE = partial(Draft202012Validator, format_checker=Draft202012Validator.FORMAT_CHECKER)
NAMES = st.sampled_from(["a", "b", "first_name", "kind"])
WORDS = st.sampled_from(
    ["1", "1,234", "1.5", "two", "yes", "N/A", "", "Red", "red", "gren", "a, b", "1,2", "...", "[1]", '{"a": 1}', "x"]
)
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from([0.5, 1.0, 1e30]) | WORDS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(NAMES | st.sampled_from(["firstName", "A", "kin"]), inner, max_size=3)
    ),
    max_leaves=8,
)
SCALAR_SCHEMAS = st.sampled_from(
    [
        {"type": "integer"},
        {"type": "number", "minimum": 0},
        {"type": "string"},
        {"type": "string", "minLength": 2},
        {"type": "boolean"},
        {"type": "null"},
        {"type": ["integer", "null"]},
        {"type": ["string", "boolean"]},
        {"enum": ["red", "green", 1, None]},
        {"const": "red"},
        {"type": "string", "format": "date"},
        {},
    ]
)


def objects(inner):
    """Schemas of objects with properties of these."""
    return st.builds(
        lambda properties, required, closed: {
            "type": "object",
            "properties": properties,
            "required": sorted(required & properties.keys()),
            **({"additionalProperties": False} if closed else {}),
        },
        st.dictionaries(NAMES, inner, max_size=3),
        st.sets(NAMES),
        st.booleans(),
    )


SCHEMAS = st.recursive(
    SCALAR_SCHEMAS,
    lambda inner: (
        objects(inner)
        | st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda one, other: {"anyOf": [one, other]}, inner, inner)
        | st.builds(lambda one, other: {"oneOf": [one, other]}, inner, inner)
        | st.builds(lambda one, other: {"allOf": [one, other]}, objects(inner), objects(inner))
    ),
    max_leaves=6,
)
FORMS = st.sampled_from(
    ["{}", "Here:\n```json\n{}\n```", "{} or", "{}\n{}", "[{}]", '{{"result": {}}}', "<think>{}", "{}}}"]
)


def has_dots(value):
    return "..." in json.dumps(value)


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, VALUES, FORMS)
def test_what_is_accepted_fits_the_schema(schema, value, form):
    """As another implementation of JSON Schema sees it."""
    verdict = climb(form.replace("{}", json.dumps(value)), compile_shape(schema))
    if verdict.fits:
        assert not list(ORACLE(schema).iter_errors(verdict.value))


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, VALUES.filter(lambda value: not has_dots(value)))
def test_a_value_that_fits_stays_what_it_is(schema, value):
    """Without an edit, but for fields with a format and names that may be meant for others."""
    shape = compile_shape(schema)
    verdict = climb(json.dumps(value), shape)
    if shape.is_valid(value) and not shape.normalises and not shape.has_strays(value):
        assert (verdict.value, verdict.edits, verdict.errors) == (value, (), ())


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, VALUES)
def test_what_was_moved_is_not_moved_again(schema, value):
    """The value of a verdict fits as it is."""
    shape = compile_shape(schema)
    verdict = climb(json.dumps(value), shape)
    if verdict.fits:
        again = climb(json.dumps(verdict.value), shape)
        assert (again.value, again.edits, again.errors) == (verdict.value, (), ())


@settings(max_examples=200, deadline=None)
@given(SCHEMAS, VALUES)
def test_a_value_is_not_changed_in_place(schema, value):
    """What was read stays what the model wrote."""
    before = json.dumps(value)
    Walk(moves=True).fit(compile_shape(schema).root, value)
    assert json.dumps(value) == before


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, st.text('{}[]",:0123tfn \n`ax.', max_size=40))
def test_any_text_has_a_verdict(schema, text):
    """A value or errors, and nothing raised."""
    verdict = climb(text, compile_shape(schema))
    assert verdict.fits == (not verdict.errors)


@settings(max_examples=200, deadline=None)
@given(SCHEMAS, VALUES)
def test_a_higher_rung_never_takes_a_value_away(schema, value):
    """What fits on a lower one is the same on a higher one, but for names in another spelling, which are the schema's."""
    shape = compile_shape(schema)
    assume(not shape.has_strays(value))
    low = climb(json.dumps(value), shape, up_to="parse")
    if low.fits:
        assert climb(json.dumps(value), shape).value == low.value
