"""Texts and schemas that are meant to take long."""

from __future__ import annotations

import json
import time

import pytest

from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.shape import compile_shape

INTEGERS = {"type": "array", "items": {"type": "integer"}}
ANY_DEPTH = {"anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": "integer"}]}
OPERATORS = {
    "anyOf": [
        *(
            {
                "type": "object",
                "properties": {"left": {"$ref": "#"}, "op": {"type": "string", "minLength": least}},
                "required": ["op", "left"],
            }
            for least in range(5)
        ),
        {"type": "integer"},
    ]
}
LABELS = {"type": "array", "items": {"enum": [f"abcdefgh{i:04}" for i in range(4_000)]}}
WIDE = {
    "type": "array",
    "items": {
        "anyOf": [
            {"type": "object", "properties": {f"k{i}": {"type": "integer"}}, "required": [f"k{i}"]} for i in range(200)
        ]
    },
}


def nested(value, depth):
    """A tree of operators that is all on one side."""
    for _ in range(depth):
        value = {"left": value, "op": "o"}
    return json.dumps(value)


HOSTILE = {
    "digits": ({"type": "integer"}, "9" * 1_000_000),
    "spaces": ({"type": "integer"}, "a" + " " * 1_000_000 + "b"),
    "labels": ({"enum": ["a", "b"]}, "a: " * 300_000),
    "markup": ({"enum": ["a", "b"]}, "*" * 1_000_000),
    "fences": ({"type": "object", "required": ["a"]}, ("`" * 2_000 + " x {} ") * 300),
    "brackets and quotes": ({"type": "object"}, "x{[\"'" * 200_000),
    "numbers as strings": (INTEGERS, json.dumps(["1"] * 200_000)),
    "a long list in a string": (INTEGERS, json.dumps("1," * 100_000 + "x")),
    "many answers": ({"type": "object", "required": ["a"]}, '{"a": 1}\nor {"a": 2}\n' * 2_000),
    "depth": (ANY_DEPTH, "[" * 100_000 + "]" * 100_000),
    "depth that is read": (ANY_DEPTH, "[" * 500 + '"1"' + "]" * 500),
    "unions in unions": (OPERATORS, nested("x", 90)),
    "near labels": (LABELS, json.dumps([f"abcdefghi{i % 10}" for i in range(2_000)])),
    "wide unions": (WIDE, json.dumps([{f"k{i}": "1"} for i in range(200)])),
    "names": (
        {"type": "object", "properties": {f"p{i}": {} for i in range(4_000)}, "additionalProperties": False},
        json.dumps({f"q{i}": i for i in range(4_000)}),
    ),
    "a hostile pattern": (
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=(a+)+$)b|(a|a)*(?=c)"}}},
        json.dumps({"a": "a" * 200_000}),
    ),
}


@pytest.mark.parametrize(("schema", "text"), HOSTILE.values(), ids=list(HOSTILE))
def test_a_hostile_text_is_refused_in_time(schema, text):
    """Bounded in work, whatever it is."""
    shape = compile_shape(schema)
    started = time.perf_counter()
    verdict = climb(text, shape)
    assert not verdict.fits
    assert time.perf_counter() - started < 5


def test_much_that_fits_is_no_matter():
    """A million elements are only looked at."""
    text = "[" + ",".join(["1"] * 1_000_000) + "]"
    assert climb(text, compile_shape(INTEGERS)).rung == "parse"


def test_a_recursive_value_is_moved_at_each_level_once():
    """Whatever the union at each level could mean."""
    verdict = climb(nested("1", 40), compile_shape(OPERATORS))
    assert len(verdict.edits) == 1


PIECES = [
    *(
        "```json\n",
        "```",
        "~~~\n",
        "<think>",
        "</think>",
        "<answer>",
        "<",
        "Answer: {",
        '{"a":1}',
        "{}",
        "[",
        '"',
        "{'",
    ),
    *("7", "1.5 ", "1,", "- ", "a: ", "...", "\\", "x{[\"'", "Example: {} "),
]
SHAPES = {
    "object": {"type": "object", "properties": {"a": {"type": "string", "minLength": 2}}, "required": ["a"]},
    "list": {"type": "array", "items": {"type": "integer"}, "minItems": 1},
    "string": {"type": "string"},
}


def least_cpu_s(text, shape):
    """Of three runs; a busy machine takes none of it."""
    least = 60.0
    for _ in range(3):
        started = time.process_time()
        climb(text, shape)
        least = min(least, time.process_time() - started)
    return least


@pytest.mark.slow
@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("schema", SHAPES)
def test_ten_megabytes_of_garbage_are_read_in_a_second(piece, schema):
    """Ten times the time of one, and no more."""
    assert least_cpu_s(piece * (10_000_000 // len(piece)), compile_shape(SHAPES[schema])) < 1


@pytest.mark.parametrize("piece", PIECES)
def test_a_megabyte_of_garbage_is_read_in_no_time(piece):
    """Whatever was asked for."""
    text = piece * (1_000_000 // len(piece))
    for schema in SHAPES.values():
        assert least_cpu_s(text, compile_shape(schema)) < 0.15
