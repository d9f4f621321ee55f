"""The value of a JSON text that is still being written."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core.jsonpartial import MAX_DEPTH, REASONING, Partial, extends, partial

TEXT = st.text(max_size=8) | st.sampled_from(["😀", '"\\', "\n\t", "</think>", "[{", "\ud800", "\udc00\ud800"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.lists(VALUES, max_size=4) | st.dictionaries(TEXT, VALUES, max_size=5)
STYLES = st.sampled_from([{}, {"separators": (",", ":")}, {"indent": 1}, {"ensure_ascii": False}])
AROUND = st.sampled_from(
    [("", ""), ("Sure!\n```json\n", "\n```\nAnything else?"), ('<think>{"a": [1]}</think>', ""), ("{{ [the] <b>", "}} [1]")]
)  # fmt: skip
SHREDS = st.text(alphabet='{}[]",:\\ud8dDc0/<>think 1-e.tru\n', max_size=60)


def cut(text: str, sizes: list[int]) -> list[str]:
    """The text in pieces of these sizes, again and again."""
    pieces, at, number = [], 0, 0
    while at < len(text):
        size = sizes[number % len(sizes)]
        pieces.append(text[at : at + size])
        at, number = at + size, number + 1
    return pieces


def frozen(value: Any) -> Any:
    """A copy that does not grow."""
    if isinstance(value, dict):
        return {key: frozen(each) for key, each in value.items()}
    return [frozen(each) for each in value] if isinstance(value, list) else value


@given(DOCUMENTS, STYLES, AROUND)
def test_every_prefix_is_extended_by_every_later_one(document, style, around):
    """What is known stays, whatever the spacing and escapes, and whatever stands around the answer."""
    text = around[0] + json.dumps(document, **style) + around[1]
    known = [value for end in range(len(text) + 1) if (value := partial(text[:end])) is not None]
    assert known[-1] == document
    assert all(extends(later, earlier) for earlier, later in pairwise(known))
    assert all(extends(document, value) for value in known)


@given(DOCUMENTS, STYLES, AROUND, st.lists(st.integers(1, 9), min_size=1, max_size=6))
def test_pieces_say_what_the_prefix_does(document, style, around, sizes):
    """It does not matter where a stream is cut."""
    reader, read = Partial(), ""
    for piece in cut(around[0] + json.dumps(document, **style) + around[1], sizes):
        reader.feed(piece)
        read += piece
        assert reader.value == partial(read)
    assert reader.value == document
    assert reader.is_over


@given(SHREDS, st.lists(st.integers(1, 5), min_size=1, max_size=4))
def test_no_text_makes_it_fail(text, sizes):
    """Whatever is no JSON, each value is extended by the next, and pieces say what the whole does."""
    reader, earlier = Partial(), None
    for piece in cut(text, sizes):
        reader.feed(piece)
        value = frozen(reader.value)
        assert earlier is None or extends(value, earlier)
        earlier = value
    assert earlier == partial(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("An answer in words.", None),
        ("5", None),
        ("{", None),
        ("[", None),
        ("{}", {}),
        ("[ ]", []),
        ('{"na', None),
        ('{"name"', None),
        ('{"name":', None),
        ('{"name": "', {"name": ""}),
        ('{"name": "Ad', {"name": "Ad"}),
        ('{"age": 4', None),
        ('{"age": 42 ', None),
        ('{"age": 42,', {"age": 42}),
        ('{"age": 42}', {"age": 42}),
        ('{"a": tru', None),
        ('{"a": null, "b": 1.5e3, "c": -0.5, "d": fals', {"a": None, "b": 1500.0, "c": -0.5}),
        ('{"a": [1, {"b": "x', {"a": [1, {"b": "x"}]}),
        ('{"a": {', {"a": {}}),
        ('["a\\', ["a"]),
        ('["a\\u00e', ["a"]),
        ('["a\\u00e9', ["aé"]),
        ('["\\ud83d', [""]),
        ('["\\ud83d\\ude0', [""]),
        ('["\\ud83d\\ude00', ["😀"]),
        ('["\\ud83dx', ["\ud83dx"]),
        ('["\\b\\f\\n\\r\\t\\/\\"\\\\', ['\b\f\n\r\t/"\\']),
        ('["two\nlines', ["two\nlines"]),
        ("[1, 2, ]", [1, 2]),
        ('{"a": "b", }', {"a": "b"}),
    ],
)
def test_what_is_known_of_a_text(text, expected):
    """Names once their value begins, strings as far as they go, all else once it is complete."""
    assert partial(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": 1, "a": 2}', {"a": 1}),
        ('{"a": 1, b: 2}', {"a": 1}),
        ('{"a": 1, "b" 2}', {"a": 1}),
        ('{"a": "x" "b": 2}', {"a": "x"}),
        ('{"a": "x\\q", "b": 2}', {"a": "x"}),
        ('{"a": 1, "\\q": 2}', {"a": 1}),
        ('{"a": 1, "b": 5 km}', {"a": 1}),
        ('{"a": 1, "b": 1 234}', {"a": 1}),
        ('{"a": 1, "b": 1: 2}', {"a": 1}),
        ('{"a": 1, "b": 012}', {"a": 1}),
        ('{"a": 1, "b": nil}', {"a": 1}),
        ('{"a": 1, "b": 1e999}', {"a": 1}),
        ('{"a": 1, "b": ' + "1" * 5_000 + "}", {"a": 1}),
        ('{"a": 1, "b": ...}', {"a": 1}),
        ("[1, 2}", [1, 2]),
    ],
)
def test_what_is_no_json_ends_what_is_known(text, expected):
    """The value stays as it was before."""
    reader = Partial()
    reader.feed(text)
    assert (reader.value, reader.is_over) == (expected, True)
    reader.feed(', "c": 3}')
    assert reader.value == expected


@pytest.mark.parametrize(
    "before",
    [
        "Here it is:\n```json\n",
        "\ufeff  ",
        "As [the list] in {this place} says: ",
        "{{",
        '{"this"} is a set, {[(',
        "[n",
        "a < b <i>so</i> <thi <think ",
        "<answer>",
        *(f'<{name}>[1, {{"a": 2}}] is wrong</{name}>' for name in REASONING),
        "<THINK lang='en'>[1] <think>[2]</think> [3]</Think >",
        "<think>[1] < </b> <reasoning></think>",
    ],
)  # fmt: skip
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_what_stands_before_the_value_is_skipped(before, size):
    """Prose, fences, tags, reasoning, and brackets that open nothing."""
    reader = Partial()
    for piece in cut(before + '{"a": "x"}', [size]):
        reader.feed(piece)
    assert reader.value == {"a": "x"}


def test_reasoning_that_is_not_closed_leaves_nothing():
    """JSON inside it is no answer."""
    assert partial('<think>{"a": 1}') is None


def test_what_follows_the_value_is_skipped():
    """The first value counts."""
    assert partial('{"a": 1}\n```\n{"a": 2, "b": 3}') == {"a": 1}


def test_other_brackets_can_be_passed_over():
    """Where an object is expected, a footnote in prose is no list."""
    assert partial('As in [1]: {"a": [2]}', "{") == {"a": [2]}
    assert partial('As in {"a": 1}: [2]', "[") == [2]


def test_what_is_not_complete_is_told_from_what_is():
    """The whole, the last value within it, and so on; a string whose end is not JSON stays open."""
    reader = Partial()
    states = []
    for piece in ['{"a": ["2026-01', '-0"', "]", ', "b": "x', "\\q", '"}']:
        reader.feed(piece)
        states.append((reader.open_levels, reader.is_over))
    assert states == [(3, False), (2, False), (1, False), (2, False), (2, True), (2, True)]
    reader = Partial()
    reader.feed('{"a": ["x"]}')
    assert reader.open_levels == 0


@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_depth_is_bounded(bracket):
    """What is deeper stays unknown, and the stack is not exhausted."""
    value, depth = partial(bracket * 100_000), 0
    while value:
        value = value[0] if isinstance(value, list) else value["a"]
        depth += 1
    assert depth == MAX_DEPTH - 1


@pytest.mark.parametrize(
    ("final", "earlier", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({"a": 1}, {"a": 1, "b": 2}, False),
        ({"a": "xy"}, {"a": "x"}, True),
        ({"a": "yx"}, {"a": "x"}, False),
        ([1, 2], [1], True),
        ([1], [1, 2], False),
        ([2, 1], [1], False),
        ([], {}, False),
        ({}, [], False),
        (1, "1", False),
        (1, 1.0, False),
        (1, True, False),
        (None, None, True),
        ([{"a": []}], [{}], True),
    ],
)
def test_extends(final, earlier, expected):
    """Objects by properties, lists by elements, strings by their end, all else not at all."""
    assert extends(final, earlier) is expected


@pytest.mark.parametrize(
    "document",
    [
        {"text": "word " * 20_000},
        list(range(17_000)),
        [{"name": "x", "tags": ["a", "b"], "at": number} for number in range(2_500)],
    ],
    ids=["a string", "numbers", "objects"],
)
def test_a_long_answer_in_small_pieces_costs_little(document):
    """100 KB in pieces of 4 characters, looked at after each, take less than half a second of CPU."""
    pieces = cut(json.dumps(document), [4])
    least_s = 9.0
    for _ in range(3):  # a garbage collection may fall into one of them
        reader = Partial()
        started = time.process_time()
        for piece in pieces:
            reader.feed(piece)
            assert reader.value is None or reader.value
        least_s = min(least_s, time.process_time() - started)
        assert reader.value == document
    assert least_s < 0.5


@pytest.mark.parametrize("text", ["{", "[", '"', "<", "<think>", "1", "[1", "\\u", "[t", '{"', "<think ", '["\\ud800'])
def test_garbage_costs_no_more_than_its_length(text):
    """Whether it comes at once or in pieces; a text read again for each bracket or tag would take minutes."""
    garbage = text * (200_000 // len(text))
    started = time.process_time()
    partial(garbage)
    reader = Partial()
    for piece in cut(garbage, [40]):
        reader.feed(piece)
    assert time.process_time() - started < 5
