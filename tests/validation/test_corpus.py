"""The ladder read against the corpus, and the rules by which it is scored."""

from __future__ import annotations

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from tests.validation.corpus import contestants, typed
from tests.validation.corpus.cases import BLIND, SEEN, Case, case, read, same
from tests.validation.corpus.score import Outcome, by_category, outcome, outcomes, score

ROOT = Path(__file__).resolve().parents[2]
HALVES = {"seen": SEEN, "blind": BLIND}
CATEGORIES = {
    "valid", "fence", "prose", "reasoning", "candidates", "wrapped", "double-encoded", "list-root", "scalar-root",
    "repair-commas", "repair-quotes", "repair-names", "repair-comments", "repair-literals", "repair-strings",
    "repair-brackets", "numbers", "number-words", "booleans", "nulls", "enums", "enum-near", "lists", "objects", "names",
    "extra-properties", "missing", "unions", "formats-time", "formats-date", "formats-other", "cut", "elision",
    "not-a-value", "approximate", "units", "loss", "refusal", "injected", "hostile", "mixed",
}  # fmt: skip


@functools.cache
def told(half: str) -> list[Outcome]:
    """What the ladder reads in one half."""
    return outcomes(contestants.fairlead(), read(HALVES[half]))


def listed(part: list[Outcome], result: str) -> str:
    """The cases of one result, for who looks at a failure."""
    return "\n".join(
        f"{one.case.id}: {one.case.text[:120]!r} gave {one.value!r}" for one in part if one.result == result
    )


@pytest.mark.parametrize("half", HALVES)
def test_nearly_every_case_is_read_right(half):
    """At least 97 in 100 cases become what they should, or are refused where nobody knows."""
    assert score(told(half)).right_part >= 0.97, listed(told(half), "refused")


@pytest.mark.parametrize("half", HALVES)
def test_hardly_ever_is_a_wrong_value_taken(half):
    """At most 2 in 1,000 uncertain cases get a value that is not theirs."""
    assert score(told(half)).wrong_part <= 0.002, listed(told(half), "wrong")


def test_the_corpus_is_large():
    """Both halves have 3,000 cases, 1,500 of them uncertain, and the first half each category."""
    both = score(told("seen") + told("blind"))
    assert both.cases >= 3000
    assert both.uncertain >= 1500
    assert set(by_category(told("seen"))) >= CATEGORIES


@pytest.mark.parametrize("half", HALVES)
def test_cases_are_told_apart(half):
    """No two cases of a half share a name."""
    names = [one.id for one in read(HALVES[half])]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("half", HALVES)
def test_expected_values_fit_their_schemas(half):
    """What a case expects is valid by its own schema."""
    faults = [
        one.id
        for one in read(HALVES[half])
        if one.knowable and not jsonschema.Draft202012Validator(one.schema).is_valid(one.expected)
    ]
    assert faults == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_of_scores_is_fresh():
    """`make scores` would change nothing."""
    command = [sys.executable, ROOT / "scripts" / "validation_scores.py", "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)
    assert done.stdout == ""
    assert done.returncode == 0, done.stderr


def a_case(**fields: Any) -> Case:
    row = {"id": "a-1", "category": "a", "schema": "s", "text": "x", **fields}
    return case("seen", row, {"s": {"type": "integer"}})


def test_the_expected_value_is_right():
    """And any other is wrong, none is refused."""
    knowable = a_case(expected=1)
    assert [outcome(knowable, value).result for value in (1, 1.0, 2, True, contestants.Refused)] == [
        "right",
        "right",
        "wrong",
        "wrong",
        "refused",
    ]


def test_no_value_is_right_where_nobody_knows():
    """Whatever else is given, `None` too, is wrong."""
    unknowable = a_case(unknowable=True)
    assert [outcome(unknowable, value).result for value in (contestants.Refused, 1, None)] == [
        "right",
        "wrong",
        "wrong",
    ]


def test_parts_are_of_what_they_are_about():
    """Right of all, refused of what has a value, wrong of what is uncertain."""
    cases = [a_case(expected=1), a_case(expected=2, uncertain=True), a_case(unknowable=True), a_case(expected=4)]
    values = [contestants.Refused, 3, contestants.Refused, 4]
    part = score([outcome(one, value) for one, value in zip(cases, values, strict=True)])
    assert (part.right_part, part.refused_part, part.wrong_part) == (1 / 2, 1 / 3, 1 / 2)


def test_a_case_has_one_answer():
    """Neither both an expected value and the mark that there is none, nor neither."""
    for fields in ({}, {"expected": 1, "unknowable": True}):
        with pytest.raises(ValueError, match="`a-1` has to have either"):
            a_case(**fields)


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ({"a": [1, None]}, {"a": [1.0, None]}, True),
        ({"a": 1}, {"a": 1, "b": None}, False),
        ([1, 2], [2, 1], False),
        (True, 1, False),
        ("1", 1, False),
        (None, False, False),
    ],
)
def test_values_are_compared_as_json(one, other, equal):
    """Numbers by value, all else by type too."""
    assert same(one, other) is equal


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("json_loads", '{"age": 3}', {"age": 3}),
        ("json_loads", '{"age": "3"}', contestants.Refused),
        ("json_loads", "{'age': 3}", contestants.Refused),
        ("json_repair", "{'age': 3,}", {"age": 3}),
        ("pydantic", '{"age": "3", "at": "09:30"}', {"age": 3, "at": "09:30:00"}),
        ("pydantic", '{"age": 3, "other": 1}', {"age": 3, "other": 1}),
        ("pydantic", '{"age": 3.5}', contestants.Refused),
        ("pydantic", "age: 3", contestants.Refused),
    ],
)
def test_others_read_as_their_users_would_have_them(name, text, value):
    """Strictly, repaired, or with a model in the lax mode."""
    schema = {
        "type": "object",
        "properties": {"age": {"type": "integer"}, "at": {"type": "string", "format": "time"}},
        "required": ["age"],
    }
    one = case("seen", {"id": "a-1", "category": "a", "schema": "s", "text": text, "expected": 0}, {"s": schema})
    assert getattr(contestants, name)()(one) == value


def test_a_schema_becomes_the_type_that_one_would_write():
    """References that recur, members of a union, tuples, limits, and defaults of what is required."""
    node = {
        "type": "object",
        "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
        "required": ["next"],
    }
    schema = {
        "type": "object",
        "properties": {
            "list": {"$ref": "#/$defs/Node"},
            "kind": {"type": "string", "default": "a"},
            "pair": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}]},
            "note": {"type": "string", "maxLength": 3},
        },
        "required": ["list", "kind", "pair"],
        "additionalProperties": False,
        "$defs": {"Node": node},
    }
    adapter = typed.Typist(schema).adapter()
    value = {"list": {"next": {"next": None}}, "pair": [1, "x"]}
    assert typed.written(adapter.validate_python({**value, "more": 1})) == {**value, "kind": "a"}
    with pytest.raises(ValueError, match="at most 3"):
        adapter.validate_python({**value, "note": "long"})
