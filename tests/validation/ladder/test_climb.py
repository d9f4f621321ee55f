"""One output climbed up to a value that fits, or refused."""

from __future__ import annotations

import json

import pytest

from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.shape import compile_shape

PERSON = compile_shape(
    {
        "type": "object",
        "properties": {
            "first_name": {"type": "string"},
            "age": {"type": "integer", "minimum": 0},
            "mood": {"enum": ["positive", "negative"]},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["first_name", "age"],
        "additionalProperties": False,
    }
)
ADA = {"first_name": "Ada", "age": 36}


def of(schema):
    """The shape of an object with this one property, which is required."""
    return compile_shape({"type": "object", "properties": {"x": schema}, "required": ["x"]})


def read(schema, value):
    """What comes of a value in a property of this schema; the verdict where it is refused."""
    verdict = climb(json.dumps({"x": value}), of(schema))
    return verdict.value["x"] if verdict.fits else verdict


def test_json_that_fits_is_the_value():
    """Without an edit, on the first rung."""
    verdict = climb(json.dumps(ADA), PERSON)
    assert (verdict.value, verdict.rung, verdict.edits, verdict.confidence) == (ADA, "parse", (), 1.0)


def test_each_change_is_an_edit_with_its_place():
    """Its rung, kind, what stood there before and after, and how sure it is."""
    verdict = climb('{"firstName": "Ada", "age": "forty-two", "mood": "Positve", "x": 1}', PERSON)
    assert verdict.value == {"first_name": "Ada", "age": 42, "mood": "positive"}
    assert verdict.rung == "coerce"
    assert {(edit.path, edit.kind, edit.before, edit.after, edit.confidence) for edit in verdict.edits} == {
        ("/first_name", "renamed", '"firstName"', '"first_name"', 0.9),
        ("/age", "number_words", '"forty-two"', "42", 0.95),
        ("/mood", "spelling", '"Positve"', '"positive"', 0.9),
        ("/x", "dropped", "1", None, 0.95),
    }
    assert verdict.confidence == 0.9


def test_what_is_wrong_is_told_with_its_place():
    """For who asks again."""
    verdict = climb('{"age": "5 km", "mood": "happy"}', PERSON)
    assert {(error.path, error.kind) for error in verdict.errors} == {
        ("/age", "unclear"),
        ("/mood", "enum"),
        ("/first_name", "required"),
    }


def test_no_more_errors_are_told_than_are_read():
    """Twenty."""
    verdict = climb(json.dumps(["x"] * 100), compile_shape({"type": "array", "items": {"type": "integer"}}))
    assert len(verdict.errors) == 20


def test_an_error_shows_a_clipped_value():
    """Nobody reads all of it."""
    error = climb(json.dumps({"x": "y" * 10_000}), of({"type": "integer"})).errors[0]
    assert len(error.message) < 200


@pytest.mark.parametrize(
    ("text", "up_to", "rung"),
    [
        (json.dumps(ADA), "parse", "parse"),
        (f"Here:\n```json\n{json.dumps(ADA)}\n```", "extract", "extract"),
        (json.dumps({"output": ADA}), "extract", "extract"),
        (json.dumps([ADA]), "extract", "extract"),
        ("{'first_name': 'Ada', 'age': 36,}", "repair", "repair"),
        ('{"first_name": "Ada", "age": "36"}', "coerce", "coerce"),
        ('{"first_name": "Ada", "age": "36"}', "fallback", "coerce"),
    ],
)
def test_a_text_is_read_on_its_rung(text, up_to, rung):
    """And on none before it."""
    verdict = climb(text, PERSON, up_to=up_to)
    assert (verdict.value, verdict.rung) == (ADA, rung)
    lower = {"extract": "parse", "repair": "extract", "coerce": "repair"}.get(rung)
    assert lower is None or not climb(text, PERSON, up_to=lower).fits


def test_what_is_not_sure_enough_is_refused():
    """The least certain edit decides."""
    text = '{"first_name": "Ada", "age": "36"}'
    assert climb(text, PERSON, min_confidence=0.95).fits
    verdict = climb(text, PERSON, min_confidence=0.96)
    assert [(error.path, error.kind) for error in verdict.errors] == [("/age", "unclear")]


@pytest.mark.parametrize("text", ["", "  ", "I cannot help with that.", "<think>{}"])
def test_a_text_without_json_has_no_value(text):
    """Whatever it says."""
    assert [error.kind for error in climb(text, PERSON).errors] == ["no_json"]


def test_what_the_length_ended_is_cut():
    """Also where it looks complete."""
    assert [error.kind for error in climb(json.dumps(ADA), PERSON, cut=True).errors] == ["cut"]


@pytest.mark.parametrize("text", ['{"first_name": "Ada", "age": 3', '{"first_name": "Ad'])
def test_a_text_that_ends_in_the_middle_is_cut(text):
    """A number may go on, and so may a string."""
    assert [error.kind for error in climb(text, PERSON).errors] == ["cut"]


def test_a_missing_brace_is_put_where_everything_else_is_there():
    """All properties that the schema names, the optional ones, too."""
    whole = '{"first_name": "Ada", "age": 3, "mood": "positive", "tags": []'
    assert climb(whole, PERSON).confidence == 0.8
    assert [error.kind for error in climb('{"age": 3, "first_name": "Ada"', PERSON).errors] == ["cut"]


@pytest.mark.parametrize("text", ['{"a": {"b": 1}', '{"a": "x"'])
def test_a_missing_brace_of_an_object_with_any_names_is_a_cut(text):
    """There may have been more of them."""
    assert [error.kind for error in climb(text, compile_shape({"type": "object"})).errors] == ["cut"]


def test_an_answer_that_differs_from_another_is_none():
    """Nothing says which one counts."""
    text = '{"first_name": "Ada", "age": 1} or {"first_name": "Ada", "age": 2}'
    assert [error.kind for error in climb(text, PERSON).errors] == ["ambiguous"]


def test_a_correction_that_does_not_fit_leaves_no_answer():
    """What it corrects is not the answer either."""
    text = '{"first_name": "Ada", "age": 1}\nCorrected: {"first_name": "Ada", "age": "some"}'
    assert [error.path for error in climb(text, PERSON).errors] == ["/age"]


@pytest.mark.parametrize("text", ["[1, 2][3]", "see [1][2] for more"])
def test_lists_side_by_side_are_references(text):
    """None of them is the answer."""
    assert not climb(text, compile_shape({"type": "array", "items": {"type": "integer"}})).fits


def test_an_example_alone_is_no_answer():
    """Nor is one beside an answer that does not fit."""
    assert not climb('For example: {"first_name": "Ada", "age": 1}', PERSON).fits
    assert not climb('Draft: {"first_name": "Ada", "age": 1}\nAnswer: {"first_name": "Ada"}', PERSON).fits


def test_what_cannot_be_read_may_have_been_the_answer():
    """One that can be read beside it is not taken."""
    text = '{"first_name": "Ada", "age": 1}\n{"first_name": "Ada", "age": ...}'
    assert not climb(text, PERSON).fits


def test_objects_one_after_another_are_the_elements_of_a_list():
    """One a line, with commas, numbers or bullets."""
    people = compile_shape({"type": "array", "items": PERSON.schema})
    other = {"first_name": "Alan", "age": 41}
    for form in ("{}\n{}", "{}, {}", "1. {}\n2. {}", "- {}\n- {}"):
        assert climb(form.format(json.dumps(ADA), json.dumps(other)), people).value == [ADA, other]
    assert not climb(f"{json.dumps(ADA)} and not {json.dumps(other)}", people).fits
    assert not climb(f"{json.dumps(ADA)}\n{json.dumps(ADA)}", people).fits
    assert not climb(f"{json.dumps(ADA)}\n{json.dumps(other)}\n...", people).fits


def test_an_elision_is_no_value():
    """Not even where any string fits."""
    assert not climb('{"x": "..."}', of({"type": "string"})).fits
    assert climb('{"x": "..."}', of({"enum": ["..."]})).fits
    assert climb('{"x": "wait..."}', of({"type": "string"})).fits


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        ({"type": "integer"}, "Answer: 42.", 42),
        ({"type": "integer"}, "**forty-two**", 42),
        ({"type": "boolean"}, "Yes.", True),
        ({"enum": ["positive", "negative"]}, "Sentiment: Positive", "positive"),
        ({"type": ["integer", "null"]}, "N/A", None),
        ({"type": "string"}, "Yes, **really**.", "Yes, **really**."),
        ({"type": "string"}, '"Paris"', "Paris"),
        ({"type": "string"}, '{"answer": "Paris"}', "Paris"),
        ({"type": "string"}, "Run this:\n```\nls\n```", "Run this:\n```\nls\n```"),
        ({"type": "string"}, "5", "5"),
        ({"type": ["string", "null"]}, "Answer: x", "Answer: x"),
        ({"type": "string", "format": "date"}, "Date: 2026-01-02.", "2026-01-02"),
    ],
)
def test_a_text_may_be_the_value_itself(schema, text, value):
    """Where no object or list is asked for, and there is nothing but the value."""
    assert climb(text, compile_shape(schema)).value == value


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        ({"type": "integer"}, "42 apples"),
        ({"type": "integer"}, "At least: 42"),
        ({"type": "boolean"}, "Yes, but no"),
        ({"enum": ["positive", "negative"]}, "not positive"),
        ({"enum": ["positive", "negative"]}, "positive, then negative"),
        ({"type": "string"}, ""),
        ({"type": "string"}, '["a"]'),
        ({"type": "string"}, 'Here: {"answer": "Paris"}'),
        ({"type": "string"}, "null"),
        ({"anyOf": [{"type": "string"}, {"type": "array"}]}, "text"),
    ],
)
def test_a_text_that_is_more_than_the_value_has_none(schema, text):
    """Words beside it may turn it round."""
    assert not climb(text, compile_shape(schema)).fits


def test_a_wrapper_is_taken_off_where_only_what_is_in_it_fits():
    """And not where the schema has a property of that name."""
    assert climb('{"data": {"result": {"first_name": "Ada", "age": 36}}}', PERSON).value == ADA
    assert climb(json.dumps(json.dumps(json.dumps(ADA))), PERSON).value == ADA
    assert not climb('{"names": [{"name": "x"}]}', of({"type": "string"})).fits
    assert not climb('{"x": ["a"]}', of({"type": "string"})).fits


def test_of_two_ways_to_read_a_wrapper_none_is_taken():
    """The object may be an element, and so may what stands in it."""
    assert not climb('{"value": 1}', compile_shape({"type": "array"})).fits


def test_fields_with_a_format_are_normalised_on_the_first_rung():
    """A value that is in its form already is no edit."""
    shape = of({"type": "string", "format": "time"})
    verdict = climb('{"x": "2:30pm"}', shape, up_to="parse")
    assert (verdict.value, verdict.rung, len(verdict.edits)) == ({"x": "14:30:00"}, "parse", 1)
    assert climb('{"x": "14:30:00"}', shape, up_to="parse").edits == ()
    assert not climb('{"x": "N/A"}', shape).fits
    assert not climb('{"x": 1430}', shape).fits


def test_a_rule_that_looks_at_the_whole_is_kept():
    """Values that were moved are held to it, too."""
    schema = {
        "type": "object",
        "properties": {"a": {"type": "integer"}},
        "if": {"properties": {"a": {"const": 1}}},
        "then": {"required": ["b"]},
    }
    assert climb('{"a": "2"}', compile_shape(schema)).fits
    assert not climb('{"a": "1"}', compile_shape(schema)).fits


@pytest.mark.parametrize(
    "behind", ["Wait, that is wrong: she is 37.", "Actually, the age is 37.", "I made a mistake there."]
)
def test_what_is_taken_back_is_no_answer(behind):
    """Words behind it say so, and there is no other."""
    assert not climb(f"{json.dumps(ADA)}\n\n{behind}", PERSON).fits
    assert climb(f"{json.dumps(ADA)}\n\nI hope that this is what you need.", PERSON).fits


def test_where_any_type_fits_nothing_is_unwrapped():
    """What stands within would fit by chance."""
    shape = compile_shape({"properties": {"a": {"type": "integer"}}, "additionalProperties": {"type": "string"}})
    assert not climb('{"b": [1]}', shape).fits


NUMBERS = {"type": "array", "items": {"type": "integer"}}
WORDS = {"type": "array", "items": {"type": "string"}}
NAMED = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (NUMBERS, "[1, 2, 3]..."),
        (NUMBERS, "[1, 2, 3] (truncated)"),
        (NUMBERS, "[1, 2, 3] [truncated]"),
        (NUMBERS, "```json\n[1, 2]\n```\n..."),
        (NUMBERS, "<answer>[1, 2]</answer> (rest omitted)"),
        (NAMED, '{"name": "a"} (continued)'),
        (NAMED, '{"name": "a"} and 3 more'),
        (WORDS, '["a", "... (3 more)"]'),
        (WORDS, '["a", "and 5 more"]'),
        (WORDS, '["a", "etc."]'),
        (WORDS, 'Here: ["a", "+3 more items"]'),
        ({"type": "object"}, '{"x": ["a", "(truncated)"]}'),
        ({"type": "object"}, 'Here: {"x": {"y": "..."}}'),
        ({"type": "object", "properties": {"x": WORDS}}, '{"x": ["a", "\u2026 and 2 more"]}'),
    ],
)
def test_word_of_more_behind_a_value_or_in_a_list_is_an_elision(schema, text):
    """What was left out is not known."""
    verdict = climb(text, compile_shape(schema))
    assert [error.kind for error in verdict.errors] == ["unclear"]


@pytest.mark.parametrize(
    ("schema", "text", "value"),
    [
        (NUMBERS, "[1, 2]\nContinue if you like.", [1, 2]),
        (NUMBERS, "[1, 2] ... that is all", [1, 2]),
        (WORDS, '["buy 3 more apples", "more"]', ["buy 3 more apples", "more"]),
        (NAMED, '{"name": "and 5 more"}', {"name": "and 5 more"}),
        (NAMED, '{"name": "a"}\nThere may be more to say.', {"name": "a"}),
    ],
)
def test_other_words_are_no_elision(schema, text, value):
    """They leave nothing out."""
    assert climb(text, compile_shape(schema)).value == value


@pytest.mark.parametrize(
    "behind",
    [
        "This is only an example.",
        "This is an example response.",
        "The values are made up.",
        "I made the name up.",
        "The text names nobody.",
        "No one is mentioned.",
    ],
)
def test_a_value_that_is_disowned_behind_it_is_no_answer(behind):
    """As one that is introduced as an example."""
    verdict = climb('{"name": "Ada"}\n\n' + behind, compile_shape(NAMED))
    assert [error.kind for error in verdict.errors] == ["ambiguous"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"name": "Ada"}\nThis is an example of irony.', {"name": "Ada"}),
        ('{"name": ""}\nThe text names nobody.', {"name": ""}),
        ('For example {"name": "Bob"}\nThe answer: {"name": "Ada"}', {"name": "Ada"}),
    ],
)
def test_words_that_agree_with_a_value_leave_it(text, value):
    """They explain it."""
    assert climb(text, compile_shape(NAMED)).value == value


@pytest.mark.parametrize("number", ["1.10", "+15550100", "0x1F", "1_000", "007", "02134", "1e3", "12"])
def test_a_string_from_a_number_is_as_it_is_written(number):
    """A version, a telephone number, a post code."""
    assert climb(f'{{"name": {number}}}', compile_shape(NAMED)).value == {"name": number}
