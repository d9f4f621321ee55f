"""What a schema says about its values' forms."""

from __future__ import annotations

import time
from typing import get_args

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.validation.fields.normalise import FORMATS, Unclear, normaliser_for
from fairlead.validation.fields.patterns import Meaning, meaning
from fairlead.validation.fields.types import TYPES

# What Zod 4 writes.
ZOD_TIME = r"^(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?$"
ZOD_MINUTES = r"^(?:[01]\d|2[0-3]):[0-5]\d$"
ZOD_SECONDS = r"^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d$"
ZOD_MILLISECONDS = r"^(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}$"
DAY = (
    r"^(?:(?:\d\d[2468][048]|\d\d[13579][26]|\d\d0[48]|[02468][048]00|[13579][26]00)-02-29"
    r"|\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    r"|(?:02)-(?:0[1-9]|1\d|2[0-8])))"
)
ZOD_DATE = DAY + "$"
ZOD_UTC = DAY + r"T(?:(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z))$"
ZOD_OFFSET = DAY + r"T(?:(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z|([+-](?:[01]\d|2[0-3]):[0-5]\d)))$"
ZOD_LOCAL = (
    DAY + r"T(?:(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?(?:Z)|(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:\.\d+)?)?)$"
)
ZOD_EMAIL = r"^(?:[A-Za-z0-9_'+\-]+\.)*[A-Za-z0-9_'+\-]*[A-Za-z0-9_+-]@(?:[A-Za-z0-9][A-Za-z0-9\-]*\.)+[A-Za-z]{2,}$"


def normal(schema, value, locale=None):
    """The normal form of a value under a schema that has one."""
    normaliser = normaliser_for(schema)
    assert normaliser is not None
    return normaliser(value, locale)


def valid(schema, value):
    """Whether the check of the schema takes it, with our formats."""
    return jsonschema_rs.validator_for(schema, validate_formats=True, formats=dict(FORMATS)).is_valid(value)


@pytest.mark.parametrize(
    ("schema", "value", "expected"),
    [
        ({"type": "string", "format": "time"}, "2:30pm", "14:30:00"),
        ({"type": "string", "format": "time"}, "14:30", "14:30:00"),
        ({"type": "string", "format": "time"}, "14:30:00", "14:30:00"),
        ({"type": "string", "format": "time"}, "2:30pm UTC", "14:30:00Z"),
        ({"type": "string", "format": "time"}, "14:30:00-05:00", "14:30:00-05:00"),
        ({"type": "string", "format": "time"}, "23:59:60Z", "23:59:60Z"),
        ({"format": "date"}, "March 4, 2026", "2026-03-04"),
        ({"type": ["string", "null"], "format": "date"}, "2026-03-04", "2026-03-04"),
        ({"type": "string", "format": "date-time"}, "2026-03-04 14:30 UTC", "2026-03-04T14:30:00Z"),
        ({"type": "string", "format": "date-time"}, "2026-03-04T14:30:00+01:00", "2026-03-04T14:30:00+01:00"),
        ({"type": "string", "format": "email"}, "mailto:jane@Example.org", "jane@example.org"),
        ({"type": "string", "format": "email"}, "root@localhost", "root@localhost"),
        ({"type": "string", "format": "email"}, '"jane doe"@example.org', '"jane doe"@example.org'),
        ({"type": "string", "pattern": ZOD_TIME}, "2:30pm", "14:30:00"),
        ({"type": "string", "pattern": ZOD_TIME}, "14:30", "14:30:00"),
        ({"type": "string", "pattern": ZOD_MINUTES}, "2:30pm", "14:30"),
        ({"type": "string", "pattern": ZOD_MINUTES}, "14:30:00", "14:30"),
        ({"type": "string", "pattern": ZOD_SECONDS}, "14h30", "14:30:00"),
        ({"type": "string", "pattern": ZOD_MILLISECONDS}, "2:30pm", "14:30:00.000"),
        ({"type": "string", "pattern": ZOD_MILLISECONDS}, "14:30:10.5", "14:30:10.500"),
        ({"type": "string", "pattern": ZOD_DATE}, "4 March 2026", "2026-03-04"),
        ({"type": "string", "format": "date", "pattern": ZOD_DATE}, "29 Feb 2028", "2028-02-29"),
        ({"type": "string", "format": "date-time", "pattern": ZOD_UTC}, "2026-03-04T14:30:00Z", "2026-03-04T14:30:00Z"),
        (
            {"type": "string", "format": "date-time", "pattern": ZOD_UTC},
            "2026-03-04T00:30:00+01:00",
            "2026-03-03T23:30:00Z",
        ),
        (
            {"type": "string", "format": "date-time", "pattern": ZOD_OFFSET},
            "2026-03-04 14:30+01:00",
            "2026-03-04T14:30:00+01:00",
        ),
        ({"type": "string", "pattern": ZOD_LOCAL}, "2026-03-04 14:30", "2026-03-04T14:30:00"),
        ({"type": "string", "format": "email", "pattern": ZOD_EMAIL}, "<jane@example.org>", "jane@example.org"),
        ({"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"}, "4 March 2026", "2026-03-04"),
        ({"type": "string", "pattern": r"^\d{2}:\d{2}$"}, "2:30pm", "14:30"),
        ({"type": "string", "pattern": r"^\d{2}:\d{2}:\d{2}$"}, "2:30 pm", "14:30:00"),
        ({"type": "string", "pattern": r"^([01][0-9]|2[0-3]):[0-5][0-9]$"}, "9:05", "09:05"),
        ({"x-fairlead-type": "Time24", "type": "string", "format": "time"}, "2:30pm", "14:30:00"),
        ({"x-fairlead-type": "Boolish", "type": "boolean"}, "Yes", True),
        ({"x-fairlead-type": "Money"}, "€5", {"amount": "5", "currency": "EUR"}),
    ],
)
def test_a_value_gets_the_form_that_its_schema_asks_for(schema, value, expected):
    """And the check of the schema takes it."""
    assert normal(schema, value) == expected
    assert valid(schema, expected)


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"format": "time"}, "7"),
        ({"format": "date"}, "03/04/2026"),
        ({"format": "date"}, "2026-02-30"),
        ({"format": "date-time"}, "2026-02-30T14:30:00Z"),
        ({"x-fairlead-type": "DateTimeTZ"}, "2026-03-04T14:30:00"),
        ({"format": "date-time", "pattern": ZOD_UTC}, "2026-03-04 14:30"),
        ({"pattern": r"^\d{2}:\d{2}:\d{2}$"}, "14:30"),
        ({"x-fairlead-type": "Boolish"}, "maybe"),
        ({"x-fairlead-type": "Boolish"}, 2),
        ({"x-fairlead-type": "Boolish"}, None),
    ],
)
def test_a_value_of_two_readings_has_no_form(schema, value):
    """`14:30` under a pattern that takes `99:99:99` may be a length of time."""
    with pytest.raises(Unclear):
        normal(schema, value)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [(r"^\d{2}:\d{2}$", "75:80"), (r"^\d{2}:\d{2}:\d{2}$", "99:00:00"), (r"^\d{4}-\d{2}-\d{2}$", "1234-56-78")],
)
def test_what_fits_a_loose_pattern_stays(pattern, value):
    """It may be a score, a length of time or a number of something."""
    assert normal({"pattern": pattern}, value) == value


def test_a_number_that_python_does_not_write_has_no_form():
    """Its error does not write it either."""
    with pytest.raises(Unclear):
        normal({"x-fairlead-type": "Boolish"}, 10**5000)
    with pytest.raises(Unclear):
        normal({"x-fairlead-type": "Money"}, {"amount": 10**5000, "currency": "EUR"})


def test_a_time_that_the_pattern_cannot_hold_is_not_cut():
    """The seconds stay, and the check of the schema refuses them."""
    assert normal({"pattern": ZOD_MINUTES}, "14:30:10") == "14:30:10"


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": "string"},
        {"type": "integer", "format": "time"},
        {"type": ["integer", "null"], "format": "date"},
        {"type": "string", "format": "uuid"},
        {"type": "string", "format": "uri"},
        {"type": "string", "format": 5},
        {"type": "string", "format": "date", "enum": ["2026-03-04"]},
        {"type": "string", "format": "date", "const": "2026-03-04"},
        {"type": "string", "pattern": "^[a-z]+$"},
        {"type": "string", "pattern": 5},
        {"x-fairlead-type": "Other"},
        {"x-fairlead-type": ["Time24"]},
    ],
)
def test_a_schema_that_names_no_kind_has_no_normaliser(schema):
    """Its values stay what they are."""
    assert normaliser_for(schema) is None


@pytest.mark.parametrize("form", ["time", "date", "date-time", "email"])
@pytest.mark.parametrize("value", [None, 5, True, ["14:30"], {}])
def test_a_format_is_about_texts_alone(form, value):
    """Whether anything else may be there is for the schema to say."""
    assert normal({"format": form}, value) is value


def test_the_locale_of_a_schema_goes_before_that_of_the_call():
    """What the field says is nearer."""
    schema = {"x-fairlead-type": "ISODate", "x-fairlead-locale": "en-GB"}
    assert normal(schema, "03/04/2026", "en-US") == "2026-04-03"
    assert normal({"format": "date"}, "03/04/2026", "en-US") == "2026-03-04"
    assert normal({"format": "date", "x-fairlead-locale": "de"}, "03/04/2026") == "2026-04-03"


def test_a_locale_that_is_none_is_an_error_and_not_a_crash():
    """A schema is the caller's text."""
    with pytest.raises(Unclear, match="not a locale"):
        normal({"format": "date", "x-fairlead-locale": "!!"}, "03/04/2026")


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("2026-05-04T14:30:00", "2026-05-04T14:30:00"),
        ("2026-05-04 14:30", "2026-05-04T14:30:00"),
        ("4 May 2026, 2:30 pm", "2026-05-04T14:30:00"),
        ("2026-05-04 14:30Z", "2026-05-04T14:30:00Z"),
    ],
)
def test_a_moment_without_an_offset_stays_local(text, form):
    """None is invented, and the check of the format takes it."""
    assert normal({"format": "date-time"}, text) == form
    assert valid({"format": "date-time"}, form)


@pytest.mark.parametrize(
    "text", ["2026-05-04", "2026-05-04 14:30:00", "2026-02-30T14:30:00", "2026-05-04T14:30", "2026-05-04T24:00:00Z"]
)
def test_the_format_of_a_moment_is_none_of_these(text):
    """A day of the calendar and a time with seconds, with a `T` between them."""
    assert not valid({"format": "date-time"}, text)


@pytest.mark.parametrize("schema", [{"x-fairlead-type": "DateTimeTZ"}, {"format": "date-time", "pattern": ZOD_UTC}])
def test_an_error_does_not_ask_for_an_offset_to_be_invented(schema):
    """It shows no offset that could be copied."""
    with pytest.raises(Unclear, match="only where it is known"):
        normal(schema, "2026-03-04T14:30:00")


@pytest.mark.parametrize("text", ["14:30:00", "14:30:00.5", "14:30:00Z", "14:30:00+02:00", "23:59:60Z"])
def test_the_format_of_a_time_may_be_local(text):
    """RFC 3339 has an offset; people and pydantic do without."""
    assert valid({"format": "time"}, text)


@pytest.mark.parametrize(
    "text", ["14:30", "24:00:00", "14:30:61", "14:60:00", "2:30pm", "14:30:00+24:00", "14:30:00\n", ""]
)
def test_the_format_of_a_time_is_none_of_these(text):
    """Its hours have two digits, and its seconds are there."""
    assert not valid({"format": "time"}, text)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        (ZOD_TIME, "time"),
        (ZOD_MILLISECONDS, "time"),
        (r"^\d\d:\d\d$", "loose time"),
        (r"^\d+:\d+$", "loose time"),
        (ZOD_DATE, "date"),
        (ZOD_UTC, "date-time"),
        (ZOD_LOCAL, "date-time"),
        (r"^(?:\d{4}-\d\d-\d\d|\d\d:\d\d)$", None),
        (r"^\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\dZ)?$", None),
        (r"^(?:\d{4}-\d\d-\d\dT)?\d\d:\d\d:\d\dZ$", None),
        (r"^\d{4}-\d\d-\d\d$", "loose date"),
        (r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", "loose date-time"),
        (r"^[A-Z0-9]{4}-[A-Z0-9]{2}-[A-Z0-9]{2}$", None),
        (r"^[0-9:.-]+$", None),
        (r"^\d{2}/\d{2}/\d{4}$", None),
        (r"^\d+$", None),
        (r"^$", None),
        (r"\d\d:\d\d", None),
        (r"^(\d\d:)+$", None),
        (r"^(\d\d:){2}\d\d$", "loose time"),
        (r"^(?=\d)\d\d:\d\d$", None),
        (r"^(\d\d:\d\d$", None),
        (r"^\d\d:\d\d\$", None),
        ("^" + "(?:" * 450 + r"\d\d:\d\d" + ")" * 450 + "$", None),
        ("^" + r"\d?" * 200 + "-99$", None),
        ("^" + r"(\d|\d|\d)" * 60 + "-99$", None),
        (r"^(?:\d{1000}){1000}$", None),
        ("^.*$", None),
        ("^(a+)+$", None),
    ],
)
def test_what_a_pattern_means_is_found_by_trying_it(pattern, expected):
    """In an engine that never goes back, so that none takes long."""
    assert meaning(pattern) == expected


@given(st.text(r"^$\d0-9:T.Z()?|+[]{2}", max_size=40))
def test_any_pattern_means_something_or_nothing(pattern):
    """None is an error."""
    assert meaning("^" + pattern + "$") in (*get_args(Meaning), None)


@pytest.mark.parametrize("name", [*TYPES])
@pytest.mark.parametrize(
    "text", ["1," * 200, "(" * 400, "9" * 400, "a@" * 200, "<" * 400, "- " * 200, "€" * 400, "." * 400, "1 " * 200]
)
def test_a_hostile_text_takes_no_time(name, text):
    """Each is refused at once."""
    least_s = 9.0
    for _ in range(3):  # a garbage collection may fall into one of them
        started = time.process_time()
        with pytest.raises(Unclear):
            TYPES[name].read(text, "en-US")
        least_s = min(least_s, time.process_time() - started)
    assert least_s < 0.1


@given(
    st.sampled_from([*TYPES]),
    st.text(max_size=40) | st.integers() | st.floats() | st.none() | st.booleans(),
    st.sampled_from([None, "en-US", "de"]),
)
def test_each_normal_form_fits_the_schema_of_its_type(name, value, locale):
    """Whatever a value is, it becomes one that fits, or is refused."""
    try:
        found = TYPES[name].read(value, locale)
    except Unclear:
        return
    assert valid(dict(TYPES[name].schema), found)
    assert TYPES[name].read(found, locale) == found
