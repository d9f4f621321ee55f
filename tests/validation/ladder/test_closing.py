"""What was cut, closed for who asks for that."""

from __future__ import annotations

import json

import pytest

from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.shape import compile_shape

ROW = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "name": {"type": "string"}},
    "required": ["id", "name"],
}
ROWS = compile_shape({"type": "object", "properties": {"rows": {"type": "array", "items": ROW}, "note": {}}})
LOOSE = compile_shape({"type": "object"})
LIST = compile_shape({"type": "array", "items": ROW})
ONE = {"id": 1, "name": "a"}


def closing(text, shape, **rest):
    """The verdict on a text that the length has cut."""
    return climb(text, shape, cut=True, closes_cut=True, **rest)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": "xy', {"a": 1}),
        ('{"a": 1, "b": 12', {"a": 1}),
        ('{"a": 1, "b": 12 ', {"a": 1, "b": 12}),
        ('{"a": 1, "b": tru', {"a": 1}),
        ('{"a": 1, "b": true', {"a": 1, "b": True}),
        ('{"a": 1, "b', {"a": 1}),
        ('{"a": 1, "b"', {"a": 1}),
        ('{"a": 1, "b":', {"a": 1}),
        ('{"a": 1, "b": "xy"', {"a": 1, "b": "xy"}),
        ('{"a": 1,', {"a": 1}),
        ('{"a": [1, 2, 3', {"a": [1, 2]}),
        ('{"a": ["x", "y"', {"a": ["x", "y"]}),
        ('{"a": [1, {"b": "x", "c": "', {"a": [1, {"b": "x"}]}),
        ('```json\n{"a": 1, "b": "x', {"a": 1}),
    ],
)
def test_a_cut_value_is_closed_as_far_as_it_goes(text, value):
    """Without what was being written, and with one edit of little confidence."""
    verdict = closing(text, LOOSE)
    assert verdict.value == value
    assert [edit.confidence for edit in verdict.edits if edit.kind == "closed_cut"] == [0.5]
    assert verdict.confidence == 0.5


@pytest.mark.parametrize(
    "text", ['{"rows": [{"id": 1, "name": "a"}, {"id": 2, "na', '{"rows": [{"id": 1, "name": "a"}, {"id']
)
def test_an_element_that_was_being_written_and_does_not_fit_is_left_out(text):
    """Those before it are complete."""
    assert closing(text, ROWS).value == {"rows": [ONE]}


def test_lists_in_lists_are_closed_at_the_first_reading_that_fits():
    """The element of the inner one is left out before that of the outer one."""
    shape = compile_shape({"type": "array", "items": {"type": "array", "items": ROW, "minItems": 1}})
    whole = [[ONE], [ONE, ONE]]
    text = json.dumps(whole)
    assert closing(text[: text.rindex("name")], shape).value == [[ONE], [ONE]]
    assert closing(text[: text.rindex("[") + 5], shape).value == [[ONE]]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"id": 1, "name": "a"}\n{"id": 2, "name": "b"}\n{"id": 3', [ONE, {"id": 2, "name": "b"}]),
        ('{"id": 1, "name": "a"}\n{"id": 2, "name": "b"}\n', [ONE, {"id": 2, "name": "b"}]),
        ('{"id": 1, "name": "a"}\n{"id": 2, "name": "b", "x": 1', [ONE, {"id": 2, "name": "b"}]),
    ],
)
def test_objects_one_after_another_are_closed_too(text, value):
    """There may have been more of them."""
    verdict = closing(text, LIST)
    assert (verdict.value, verdict.confidence) == (value, 0.5)


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('{"id": 1, "na', ROW),
        ('{"rows', {"type": "object", "required": ["rows"]}),
        ("12", {"type": "integer"}),
        ("positi", {"enum": ["positive", "negative"]}),
        ("a text that goes", {"type": "string"}),
        ('{"id": 1, "name": "a"}\nCorrected: {"id": 2, "na', ROW),
        ("I will", ROW),
    ],
)
def test_what_does_not_fit_when_closed_is_refused(text, schema):
    """Nothing is invented, and a scalar may go on."""
    assert not closing(text, compile_shape(schema)).fits


def test_what_is_complete_although_the_text_was_cut_is_no_edit():
    """The words behind it were cut."""
    assert closing(json.dumps(ONE), compile_shape(ROW)).edits == ()
    assert closing('"positive"', compile_shape({"enum": ["positive"]})).value == "positive"


def test_a_text_that_ends_in_the_middle_is_closed_too():
    """The provider need not say that it was cut; where only braces are missing, the reading is the same as ever."""
    assert climb('{"rows": [{"id": 1, "name": "a"}, {"id": 2', ROWS, closes_cut=True).value == {"rows": [ONE]}
    assert climb('{"id": 1, "name": "a"', compile_shape(ROW), closes_cut=True).confidence == 0.8
    assert closing('{"id": 1, "name": "a"', compile_shape(ROW)).confidence == 0.5


def test_nothing_is_closed_below_the_rung_of_repairs_or_unasked():
    """It is a repair."""
    assert not closing('{"a": 1, "b', LOOSE, up_to="extract").fits
    assert not climb('{"a": 1, "b', LOOSE, cut=True).fits
    assert not climb('{"a": 1, "b', LOOSE).fits
    assert not closing('{"a": 1, "b', LOOSE, min_confidence=0.6).fits
