"""JSON in what a model wrote."""

from __future__ import annotations

import json
import random
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fairlead.core import jsonfind, jsonplace
from fairlead.core.jsonx import bare, find, whole

KEYS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | KEYS
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8
)
CONTAINERS = st.lists(VALUES, max_size=3) | st.dictionaries(KEYS, VALUES, max_size=4)


def read(text, *, repair=True):
    """The values that may be used."""
    return [one.value for one in find(text, repair=repair) if one.left_open == ()]


def kinds(text, rung="repair"):
    """The kinds of the edits of the only candidate."""
    (one,) = find(text, repair=True)
    return {edit.kind for edit in one.edits if edit.rung == rung}


def faults(text):
    """Why the candidates that may not be used may not."""
    return [one.edits[-1].kind for one in find(text, repair=True) if one.left_open is None]


# What is JSON


@given(VALUES, st.sampled_from(["", " ", "\n\t", "\ufeff", "\ufeff\n"]), st.booleans())
def test_a_text_that_is_json_is_read_as_any_parser_reads_it(value, space, ascii_only):
    """White space and a byte order mark around it do not matter, nor does how characters are escaped."""
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert whole(space + text + space) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    ["", " ", "NaN", "[Infinity]", "{'a': 1}", "[1,]", "{} {}", '["a\nb"]', "[1e999]", '["\\ud800"]', '{"a": 1, "a": 2}',
     '{"a": 1, "a": 1.0}', '{"a": {"b": 1}, "a": {"b": 2}}', "[" * 100_000, "[" * 5_000 + "]" * 5_000, '"\ud800"', "tru"],
)  # fmt: skip
def test_what_is_no_json_or_says_two_things_is_refused(text):
    """Duplicates that differ, numbers out of range, halves of surrogate pairs and deep nesting among it."""
    with pytest.raises(ValueError):
        whole(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [('{"a": 1, "a": 1}', {"a": 1}), ('["\\u0022", {"a": "\\""}]', ['"', {"a": '"'}]), ("-0", 0), ("1E5", 1e5),
     ('{"a": 18446744073709551616}', {"a": 2**64}), ('{"a": -18446744073709551617, "\\u0022": 1}', {"a": -(2**64) - 1, '"': 1})],
)  # fmt: skip
def test_what_looks_unusual_and_is_json_is_read(text, value):
    """A name twice with one value, quotes as escapes, integers of any size."""
    assert whole(text) == value


# Where it stands


@given(CONTAINERS, st.sampled_from([None, 1]), st.data())
def test_any_json_survives_prose_fences_and_tags(value, indent, data):
    """Whatever stands around it, the value is found, once, and as it was."""
    text = json.dumps(value, indent=indent)
    before, after = data.draw(
        st.sampled_from(
            [("Here it is:\n", "\nThat is all."), ("```json\n", "\n```"), ("```\n", "\n```\nDone."), ("<answer>", "</answer>"),
             ("```json\n", ""), ('<think>{"x": [1}</think>\n', ""), ("hm {1} or [2</think>", ""), ("~~~\n", "\n~~~"),
             ("So: ```JSON ", "```"), ("<json>\n```\n", "\n```\n</json>")]
        )
    )  # fmt: skip
    if '"..."' not in text and '"\\u2026"' not in text:
        assert read(before + text + after, repair=False) == [value]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('Sure! {"a": 1} Bye.', [{"a": 1}]),
        ('\ufeff  {"a": 1}', [{"a": 1}]),
        ('<thinking>{"a": 0}</thinking>{"a": 1}', [{"a": 1}]),
        ('<THINK time="3">{"a": 0}</THINK>{"a": 1}', [{"a": 1}]),
        ('<think>a <think> {"a": 0} </think> {"a": 5} </think> {"a": 1}', [{"a": 1}]),
        ('{"a": 0} no</think>{"a": 1}', [{"a": 1}]),
        ('Maybe {a: 0, </think>{"a": 1}', [{"a": 1}]),
        ('{"a": 1} <think>{"a": 0}', []),
        ('<think>{"a": 1}', []),
        ('<think>{"a": 1}</thinking>', []),
        ('{"a": "<think>x</think>"}', [{"a": "<think>x</think>"}]),
        ("{'a': '<think>x</think>',}", [{"a": "<think>x</think>"}]),
        ('{"a": "```"}', [{"a": "```"}]),
        ('```json\n{"a": 1}', [{"a": 1}]),
        ('```json\n{"a": "x\n```py\ny\n```\nz"}\n```', [{"a": "x\n```py\ny\n```\nz"}]),
        ('"{\\"a\\": 1}"', [{"a": 1}]),
        ('"\\"{\\\\\\"a\\\\\\": 1}\\""', [{"a": 1}]),
        ('```\n"[1, 2]"\n```', [[1, 2]]),
        ('The answer: "{\\"a\\": 1}"', [{"a": 1}]),
        ('{\\"a\\": [1]}', [{"a": [1]}]),
        ('{"a": 1}\n{"a": 2}\n', [{"a": 1}, {"a": 2}]),
        ('{"a": 1}, {"a": 2}', [{"a": 1}, {"a": 2}]),
        ("[1] says [2](http://x) and a[3] - [ ] do\n- [x] done", [[1]]),
        ('1. {"a": 1}\n2. {"a": 2}', [{"a": 1}, {"a": 2}]),
        ("5", [5]),
        ('```\n"a"\n```', ["a"]),
        ("I cannot [see policy].", []),
        ("Note: [see policy]", []),
        ("f() { return x; } and {name} and [", []),
        ("[1 2 3]", []),
        ("[a (b, c), d]", []),
        ("Sorry, no.", []),
        ("[,1]", []),
        ('{"a" what}', []),
        ('"a { or ["', ["a { or ["]),
        ("", []),
    ],
)
def test_json_is_found_where_it_counts(text, values):
    """In prose, fences and tags, not in reasoning, links, subscripts, boxes to tick, remarks in brackets."""
    assert read(text) == values


@pytest.mark.parametrize(
    ("opens", "closes"),
    [
        ("[THINK]", "[/THINK]"),
        ("<analysis>", "</analysis>"),
        ("<seed:think>", "</seed:think>"),
        ("◁think▷", "◁/think▷"),
        ("<|begin_of_thought|>", "<|end_of_thought|>"),
        ("<|channel|>analysis<|message|>", "<|end|><|start|>assistant<|channel|>final <|constrain|>JSON<|message|>"),
    ],
)
def test_reasoning_has_many_marks(opens, closes):
    """JSON in it is no answer, whichever they are."""
    reasoned = f'{opens}maybe {{"a": 1}}'
    assert read(reasoned + closes + '{"a": 2}') == [{"a": 2}]
    assert read(f'maybe {{"a": 1}}{closes}{{"a": 2}}') == [{"a": 2}]
    assert read(reasoned) == read(reasoned + closes) == []
    assert bare(f"{opens}1{closes}2") == "2"
    assert read(f'Here: {{"a": "{opens}"}}') == [{"a": opens}]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('<|channel|>analysis<|message|>x<|end|>{"a": 1}', []),
        ('<|channel|>commentary to=functions.x <|constrain|>json<|message|>{"a": 1}<|call|>', []),
        (
            '<|channel|>final<|message|>{"a": 1}<|end|><|start|>assistant<|channel|>analysis<|message|>{"a": 2}',
            [{"a": 1}],
        ),
        ('{"a": 1}<|channel|>final<|message|>{"a": 2}<|return|>', [{"a": 2}]),
    ],
)
def test_of_channels_the_final_one_answers(text, values):
    """What any other one says is no answer."""
    assert read(text) == values


def test_the_words_before_each_candidate_are_told():
    """Without marks of fences, tags and reasoning; punctuation alone is no words."""
    text = "Draft:\n```json\n[1]\n```\n<think>x</think>Final <answer>[2]</answer>, [3]\n* [4]. End"
    assert [one.between for one in find(text, repair=True)] == ["Draft:", "Final", "", ""]


@pytest.mark.parametrize(
    ("text", "expected"),
    [('\ufeff{"a": 1}', {"byte_order_mark"}), ("```\n[1]\n```", {"fence"}), ("<output>[1]</output>", {"tag"}),
     ("<think>x</think>[1]", {"reasoning"}), ("[1] is it", {"prose"}), ("x [1]", {"prose"}), ('"[1]"', {"encoded_twice"}),
     ("[1]", set()), ("```5```", {"fence"}), ("<think>x</think>5", {"reasoning"}), ("<answer>5</answer>", {"tag"})],
)  # fmt: skip
def test_what_was_left_out_around_it_is_an_edit(text, expected):
    """Each kind of surroundings has its edit, which costs no confidence."""
    (one,) = find(text, repair=True)
    assert {edit.kind for edit in one.edits} == expected
    assert all(edit.rung == "extract" and edit.confidence == 1.0 for edit in one.edits)


@pytest.mark.parametrize(
    ("text", "words"),
    [("```\npositive\n```", "positive"), ("<think>no</think> yes ", "yes"), ("<answer>5</answer>", "5"), ("no</think>yes", "yes"),
     ("<think>yes", ""), ("\ufeff a ", "a"), ("**a**", "**a**"), ("```text\na b\n```", "a b")],
)  # fmt: skip
def test_bare_text_is_what_a_scalar_answer_is_read_from(text, words):
    """Reasoning, fences and tags are gone, and nothing else."""
    assert bare(text) == words


# What is not well formed


@pytest.mark.parametrize(
    ("text", "value", "kind"),
    [
        ('{"a": 1,}', {"a": 1}, "trailing_comma"),
        ("[1, 2,]", [1, 2], "trailing_comma"),
        ('{"a": 1,, "b": 2}', {"a": 1, "b": 2}, "extra_comma"),
        ('{"a": 1 "b": 2}', {"a": 1, "b": 2}, "missing_comma"),
        ('{"a": "x"\n"b": 2}', {"a": "x", "b": 2}, "missing_comma"),
        ('["a" "b"]', ["a", "b"], "missing_comma"),
        ("[1\n2]", [1, 2], "missing_comma"),
        ('[{"a": 1} {"a": 2}]', [{"a": 1}, {"a": 2}], "missing_comma"),
        ('{"a": 1, // one\n"b": 2}', {"a": 1, "b": 2}, "comment"),
        ('{"a": /* one */ 1}', {"a": 1}, "comment"),
        ('{"a": 1 # one\n}', {"a": 1}, "comment"),
        ("{'a': 'it''s'}".replace("''", "'"), {"a": "it's"}, "single_quotes"),
        ("{“a”: “x”, ‘b’: ‘it’s’}", {"a": "x", "b": "it’s"}, "curly_quotes"),  # noqa: RUF001
        ("{`a`: `x`}", {"a": "x"}, "backticks"),
        ("{a: 1, b-c: 2, d e: 3}", {"a": 1, "b-c": 2, "d e": 3}, "bare_name"),
        ('{"a": True, "b": None, "c": False}', {"a": True, "b": None, "c": False}, "python_literal"),
        ('{"a": undefined}', {"a": None}, "undefined"),
        ("[+5, .5, 5.]", [5, 0.5, 5.0], "number_form"),
        ("[0x1F, -0x10]", [31, -16], "hexadecimal"),
        ("[1_000]", [1000], "digit_groups"),
        ('{"a": "b\n\tc"}', {"a": "b\n\tc"}, "line_break"),
        ('["\\d\\\'\\x41\\u00e9\\ud83d\\ude00\\u12"]', ["\\d'\\x41é😀\\u12"], "wrong_escape"),
        ('{"a": "say "hi", you", "b": 1}', {"a": 'say "hi", you', "b": 1}, "inner_quotes"),
        ('{"a": "<a href="x">y</a>"}', {"a": '<a href="x">y</a>'}, "inner_quotes"),
        ('{"a": "use {"name"} here"}', {"a": 'use {"name"} here'}, "inner_quotes"),
        ('{"a": "a 27" screen", "b": 1}', {"a": 'a 27" screen', "b": 1}, "inner_quotes"),
        ('["he said "hi"", "b"]', ['he said "hi"', "b"], "inner_quotes"),
        ("{a = 1, b => 2}", {"a": 1, "b": 2}, "separator"),
        ('{"a": 1; "b": 2}', {"a": 1, "b": 2}, "semicolon"),
        ("{a: New York,\nb: 5 km}", {"a": "New York", "b": "5 km"}, "bare_text"),
        ("{u: http://a.b/c, t: 14:30}", {"u": "http://a.b/c", "t": "14:30"}, "bare_text"),
        ("[red, light green]", ["red", "light green"], "bare_text"),
        ("Tags: [red, green]", ["red", "green"], "bare_text"),
        ("{zip: 01234}", {"zip": "01234"}, "bare_text"),
        ('{"a": [1, 2}', {"a": [1, 2]}, "wrong_bracket"),
        ('{"a": 1]', {"a": 1}, "wrong_bracket"),
        ('{"a": [1 }\n]', {"a": [1]}, "wrong_bracket"),
        ('{"a": [{"b": 1]}', {"a": [{"b": 1}]}, "wrong_bracket"),
        ('{{"a": {{"b": 1}}}}', {"a": {"b": 1}}, "doubled_braces"),
        ('{"a": 1}}', {"a": 1}, "extra_bracket"),
        ("[1]\n]", [1], "extra_bracket"),
        ('{"a": NaN, "b": -Infinity}', {"a": None, "b": None}, "not_a_number"),
    ],
)
def test_each_construct_that_is_not_json_is_read(text, value, kind):
    """With an edit of its kind, and only where a repair is asked for."""
    assert read(text) == [value]
    assert kind in kinds(text)
    assert read(text, repair=False) == []
    assert [one.edits[-1].kind for one in find(text, repair=False)] == ["not_json"]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('{"a": ...}', "elision"),
        ("[1, 2, ...]", "elision"),
        ("[1, 2, …]", "elision"),
        ('["a", "..."]', "elision"),
        ('{"a": 1, ...}', "elision"),
        ('{"a": 1, "...": "..."}', "elision"),
        ("[1, 2, // ... and so on\n]", "elision"),
        ("[1, /* the remaining items */ 9]", "elision"),
        ("[a, b, etc.]", "elision"),
        ('{"a": <your name>}', "stand_in"),
        ('{"a": string, "b": number}', "stand_in"),
        ('{"a": , "b": 1}', "missing_value"),
        ("[1,,2]", "missing_value"),
        ('{"a": 1, "a": 2}', "duplicate"),
        ("{a: {b: 1}, a: {b: 1}}", "duplicate"),
        ('{"a": "x" + "y"}', "unclear"),
        ('{"a": "foo, "b": bar"}', "unclear"),
        ('{"a": "the " mark"}', "unclear"),
        ('{"a": "\\ud800"}', "unclear"),
        ('{"a": "b\\\nc"}', "unclear"),
        ('{"a": 1e999}', "unclear"),
        ("{a: " + "1" * 500 + "}", "unclear"),
        ('{"a": 5 // or 6\n}'.replace("5", "five"), "unclear"),
        ('{"a": 1, "b" 2}', "unclear"),
        ("{a: 1, what is this}", "unclear"),
        ("[1, 2\nthree]", "unclear"),
        ("[red, green, and blue]", "unclear"),
        ("{a: Decimal('1.5')}", "unclear"),
        ("{a: b'x'}", "unclear"),
        ('["a, "b", c"]', "unclear"),
        ('{"a": "C:\\Users\\new"}', "unclear"),
        ('{"a": "b"\n\nNote: that is all\n', "unclear"),
        ("{price: 1,234}", "unclear"),
        ('{"a": {"b": [1, 2}, "c": 3}', "unclear"),
        ('{"a": {"b": 1}}, "c": 2}', "unclear"),
        ('{"a": 1}, "c": 2}', "unclear"),
        ('{{"a": 1}', "unclear"),
        ('"a": {"b": 1}}', "unclear"),
        ('{"a": "b', "cut"),
        ('{"a": "foo,\n "b": "bar"}', "cut"),
        ('{"a": 1', "cut"),
        ('{"a": 1,', "cut"),
        ('{"a":', "cut"),
        ('{"a', "cut"),
        ('{"a": 1, b', "cut"),
        ('{"a"', "cut"),
        ('{"a": 1, "b"', "cut"),
        ('{"a": 1, "b\nc": 2}', "unclear"),
        ('{"a": 1, "\\ud800": 2}', "unclear"),
        ('{"a": "' + 'b "c" ' * 1_000 + '"}', "unclear"),
        ('{"a": "x "y z "w" v"}', "unclear"),
        ("[1, 2", "cut"),
        ('[{"a": 1}', "cut"),
        ('{"a": [1', "cut"),
        ('{"a": tru', "cut"),
        ('{"a": 1, /* x', "cut"),
    ],
)
def test_what_leaves_open_what_was_meant_is_of_no_use(text, fault):
    """And no part of it is taken for the whole; the last edit says why, with no confidence at all."""
    (one,) = find(text, repair=True)
    assert (one.left_open, one.edits[-1].kind, one.edits[-1].confidence) == (None, fault, 0.0)


def test_no_part_of_what_cannot_be_read_is_a_candidate():
    """An object within one that has an elision does not count, what stands behind it does."""
    text = '{"a": ..., "b": {"c": 1}}\n{"c": 2}'
    assert read(text) == [{"c": 2}]
    assert faults(text) == ["elision"]


def test_brackets_in_strings_end_no_region():
    """What was skipped ends where its own bracket closes."""
    assert read("[[{'a': ...}, '}]', `]`, \"]\"], {'b': 2}]") == []


@pytest.mark.parametrize(
    ("text", "left_open"),
    [('{"a": "b"', ("",)), ('{"a": {"b/c": {"d~": true', ("", "/a", "/a/b~1c")), ('{"a": [1, 2]', ("",)), ('{"a": 12\n', ("",)), ('{"a": "b" ```', ("",)),
     ('```json\n{"a": 12\n```\nDone', ("",)), ('<answer>{"a": 12</answer>', ("",)), ("{'a': null ", ("",))],
)  # fmt: skip
def test_objects_of_which_only_the_brace_is_missing_are_told(text, left_open):
    """From the outside in; a number or words at the very end of the text may have gone on."""
    (one,) = find(text, repair=True)
    assert one.left_open == left_open
    assert sum(edit.kind == "missing_brace" for edit in one.edits) == len(left_open)
    assert min(edit.confidence for edit in one.edits) == 0.8


def test_an_edit_says_where_it_is_and_what_stood_there():
    """With the value before and after, as a JSON Pointer has it."""
    (one,) = find('{"a/b": [1, {"~": red}]}', repair=True)
    (edit,) = one.edits
    assert (edit.rung, edit.kind, edit.path, edit.before, edit.after) == (
        "repair",
        "bare_text",
        "/a~1b/1/~0",
        "red",
        '"red"',
    )


# Any input


def _loose(value, rng):
    """The value in JSON as models write it when nobody checks."""
    if isinstance(value, str):
        return _loose_string(value, rng)
    if value is None or isinstance(value, bool):
        return rng.choice([json.dumps(value), str(value)])
    if isinstance(value, int | float):
        sign = "+" if value > 0 and rng.random() < 0.3 else ""
        return sign + json.dumps(value)
    is_object = isinstance(value, dict)
    items = [
        f"{_loose_name(key, rng)}{rng.choice([':', ': ', ' = ', ' => '])}{_loose(one, rng)}" for key, one in value.items()
    ] if is_object else [_loose(one, rng) for one in value]  # fmt: skip
    space = rng.choice(["", " ", "\n  ", " // x\n", " /* a, b */ ", " # it\n"])
    joined = rng.choice([",", ", ", ",\n", " ;"]).join(space + item for item in items)
    tail = rng.choice(["", ",", " ,\n"]) if items else ""
    return ("{" if is_object else "[") + joined + tail + rng.choice(["", "\n"]) + ("}" if is_object else "]")


def _loose_string(value, rng):
    quote = rng.choice(["'", '"', "`"])
    written = json.dumps(value, ensure_ascii=False)[1:-1].replace('\\"', '"').replace(quote, "\\" + quote)
    return quote + (written.replace("\\n", "\n") if "\\\\" not in written else written) + quote


def _loose_name(key, rng):
    is_plain = key.isascii() and key.isalpha()
    return key if is_plain and rng.random() < 0.5 else _loose_string(key, rng).replace("\n", "\\n")


NAMES = st.text("abcXYZ_é$ .", min_size=1, max_size=6).filter(lambda name: name != "...")
TEXTS = st.text("abc {}[]:,;=#/\\\n\t'\"`é😀-1.<>", max_size=12).filter(lambda text: text != "...")
LOOSE = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=10,
)


@given(
    st.lists(LOOSE, min_size=1, max_size=4) | st.dictionaries(NAMES, LOOSE, min_size=1, max_size=4),
    st.integers(0, 2**32),
)
def test_json_as_it_is_written_where_nobody_checks_comes_back_equal(value, chance):
    """Other quotes, comments, bare names, Python's literals, trailing commas, in any mixture: equal, or refused."""
    text = _loose(value, random.Random(chance))  # noqa: S311 - spelling
    for one in find(text, repair=True):
        assert one.left_open is None or (one.value, one.left_open) == (value, ())


@given(CONTAINERS, st.sampled_from([None, 2]), st.data())
def test_a_text_that_was_cut_is_never_taken_for_a_whole_one(value, indent, data):
    """Each beginning of a document is told to be cut, or lacks nothing but braces."""
    text = json.dumps(value, indent=indent)
    cut = text[: data.draw(st.integers(1, max(1, len(text) - 1)))]
    for one in find(cut, repair=True):
        if one.left_open is not None and cut != text:
            assert one.left_open or one.value == value, cut
            assert whole(cut.rstrip() + "}" * len(one.left_open)) == one.value


@pytest.mark.parametrize("end", ['"', '"b', "'", "\u201cb"])
def test_a_name_that_was_cut_is_no_part_of_the_string_before_it(end):
    """An answer that breaks off at its next name is told to be cut."""
    (one,) = find('{"a": "x",\n  ' + end, repair=True)
    assert one.left_open is None


@given(
    st.text(st.sampled_from(list("{}[]\"':,;=#/\\\n `<>.…-+0x1eatN“”‘’\ufeff")) | st.characters(), max_size=60),  # noqa: RUF001
    st.booleans(),
)
def test_no_text_makes_it_fail(text, repair):
    """Whatever comes out can be written as JSON, in order and without a fault of its own."""
    for one in find(text, repair=repair):
        json.dumps(one.value, allow_nan=False).encode()
        assert one.left_open is not None or one.edits[-1].confidence == 0.0
    bare(text)


# Bounds


@pytest.mark.parametrize(
    "piece",
    ["{", "[", '"', '{"a":', '["', "{a:", '{"a":"x" "', "[a,", '{"a":1,', "{}", "[] ", "`", "```\n", "~~~\n", "<answer>", "<think>",
     "<answer>{a:...}", '```json\n{"a":', '{\\"', "{/*", "{a "],
)  # fmt: skip
def test_garbage_costs_a_time_in_proportion(piece):
    """Ten megabytes would take less than a second: one takes less than a fifth of what that allows."""
    text = piece * (1_000_000 // len(piece))
    least_s = 9.0
    for _ in range(3):  # a garbage collection may fall into one of them
        started = time.process_time()
        find(text, repair=True)
        bare(text)
        least_s = min(least_s, time.process_time() - started)
    assert least_s < 0.5


@pytest.mark.parametrize(
    "text", ["[" * 100_000 + "]" * 100_000, '{"a":' * 100_000 + "1" + "}" * 100_000, "{a:" * 100_000]
)
def test_deep_nesting_is_no_candidate(text):
    """Nor is any part of it."""
    assert find(text, repair=True) == []


@pytest.mark.parametrize(
    "text",
    ["{}" * (jsonfind.MAX_CANDIDATES + 1), "{a " * (jsonfind.MAX_MISSES + 1) + '{"a": 1}', '"\ud800" {"a": 1}',
     "['a'," + "'b', " * jsonfind.MAX_LOOSE_CHARS + "]", "[..." + "{}[" * jsonfind.MAX_SKIPPED_BRACKETS],
)  # fmt: skip
def test_of_more_than_is_looked_at_nothing_is_known(text):
    """What was found up to there may not be what counts."""
    assert find(text, repair=True) == []


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 1, "b": 12', {"a": 1}),
        ('{"a": 1, "b": 12 ', {"a": 1, "b": 12}),
        ('{"a": [1, 12', {"a": [1]}),
        ('{"a": 1, "b": tru', {"a": 1}),
        ('{"a": 1, "b": "x', {"a": 1}),
    ],
)
def test_the_value_of_what_is_cut_is_without_what_may_go_on(text, value):
    """As far as it is certain."""
    assert [one.value for one in find(text, repair=True)] == [value]


def test_a_candidate_knows_what_stands_right_behind_it():
    """As far as one looks."""
    found = find('[1] and more {"a": 1}' + "x" * 1_000, repair=True)
    assert [one.behind for one in found] == [' and more {"a": 1}' + "x" * 282, "x" * jsonfind.MAX_BEHIND]


def test_of_a_text_with_more_fences_than_are_looked_at_nothing_is_known():
    """Whatever stands behind them."""
    text = "```\n" * (jsonplace.MAX_FENCES + 1) + '{"a": 1}'
    assert (find(text, repair=True), bare(text)) == ([], "")
