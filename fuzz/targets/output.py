"""What a model wrote: nothing raises, JSON is read as it stands, and what is found is JSON that drops no word.

Climbed up to schemas, what is accepted is valid, and stays the same when it is climbed again.
"""

from __future__ import annotations

import functools
import json
import re
from typing import Any

import jsonschema_rs

from fairlead.core.jsonx import Candidate, bare, find, whole
from fairlead.validation.fields.normalise import FORMATS
from fairlead.validation.ladder.climb import climb
from fairlead.validation.ladder.node import same
from fairlead.validation.ladder.shape import Shape, compile_shape

_WORD = re.compile(r"[A-Za-z]{3,}")
_COMMENT = re.compile(r"(?://|#)[^\r\n]*|/\*.*?\*/", re.DOTALL)
_LITERALS = frozenset({"true", "false", "null", "True", "False", "None", "undefined", "NaN", "Infinity"})


def check(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    bare(text)
    found = find(text, repair=True)
    for one in found:
        _check_candidate(one)
    _check_same(found, find(text, repair=False))
    try:
        value = whole(text)
    except ValueError:
        _check_words(text, found)
    else:
        _check_whole(text, value)
    for shape, validator in _shapes():
        _check_climbed(text, shape, validator)


_HOME = {"type": "object", "properties": {"town": {"type": "string"}, "zip": {"type": ["string", "null"]}}}
_SCHEMAS: tuple[dict[str, Any], ...] = (
    {
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "age": {"type": "integer", "minimum": 0},
            "tags": {"type": "array", "items": {"enum": ["red", "blue", "dark blue", "green"]}},
            "home": _HOME,
            "score": {"type": "number", "default": 1},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    },
    {
        "type": "object",
        "properties": {
            "a": {"type": "string", "format": "date"},
            "b": {"type": "string", "format": "time"},
            "c": {"type": "string", "format": "email"},
            "e": {"type": "string", "format": "date-time"},
            "n": {"type": "string", "pattern": "^[0-9]{2}:[0-9]{2}$"},
        },
    },
    {"type": "array", "items": {"type": "integer"}},
    {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    {"type": "array", "items": _HOME},
    {"enum": ["positive", "negative", "neutral", 1, None]},
    {"type": "string"},
    {"type": "integer"},
    {"type": "boolean"},
    {
        "anyOf": [
            {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "number"}}}, "required": ["a"]},
            {"type": "array", "items": {"type": ["integer", "boolean", "null"]}},
        ]
    },
    {
        "oneOf": [
            {
                "type": "object",
                "properties": {"kind": {"const": "circle"}, "n": {"type": "number"}},
                "required": ["kind"],
            },
            {
                "type": "object",
                "properties": {"kind": {"const": "square"}, "n": {"type": "string"}},
                "required": ["kind"],
            },
        ]
    },
    {
        "$ref": "#/$defs/Tree",
        "$defs": {
            "Tree": {
                "type": "object",
                "properties": {
                    "name": {"type": "string"},
                    "a": {"anyOf": [{"$ref": "#/$defs/Tree"}, {"type": "null"}]},
                    "b": {"type": "array", "items": {"$ref": "#/$defs/Tree"}},
                },
                "additionalProperties": False,
            }
        },
    },
    {"type": "object", "additionalProperties": {"type": ["integer", "string"]}},
)


@functools.cache
def _shapes() -> list[tuple[Shape, jsonschema_rs.Validator]]:
    return [
        (
            compile_shape(schema),
            jsonschema_rs.Draft202012Validator(schema, formats=dict(FORMATS), validate_formats=True, offline=True),
        )
        for schema in _SCHEMAS
    ]


def _check_climbed(text: str, shape: Shape, validator: jsonschema_rs.Validator) -> None:
    for cut in (False, True):
        verdict = climb(text, shape, cut=cut, closes_cut=cut)
        if not verdict.fits:
            continue
        assert validator.is_valid(verdict.value), verdict
        again = climb(json.dumps(verdict.value, allow_nan=False), shape)
        assert again.fits, (verdict, again)
        assert same(again.value, verdict.value), (verdict, again)


def _check_candidate(one: Candidate) -> None:
    """Its value is JSON; what may not be used says why; what may be read again as it is written."""
    written = json.dumps(one.value, allow_nan=False)
    written.encode()
    if one.left_open is None:
        assert one.edits[-1].confidence == 0.0
        return
    assert all(edit.confidence > 0 for edit in one.edits)
    assert whole(written) == one.value


def _check_same(repaired: list[Candidate], strict: list[Candidate]) -> None:
    """Without a repair the same places are seen, and fewer of them may be used."""
    assert [one.between for one in repaired] == [one.between for one in strict]
    for one, other in zip(repaired, strict, strict=True):
        if other.left_open is not None:
            assert (one.value, one.left_open) == (other.value, other.left_open)


def _check_whole(text: str, value: Any) -> None:
    assert value == json.loads(text.strip("\ufeff \t\r\n"))
    if isinstance(value, dict | list) and "..." not in text and "\u2026" not in text and "\\" not in text:
        for around in ("Here:\n%s\nDone.", "```json\n%s\n```"):
            usable = [one.value for one in find(around % text.strip("\ufeff"), repair=False) if one.left_open == ()]
            assert usable == [value], (usable, value)


def _check_words(text: str, found: list[Candidate]) -> None:
    """A text that is one object or array, nearly so, keeps its words: but for comments, literals and hexadecimals."""
    if len(found) != 1 or found[0].left_open != () or "\\" in text or "<" in text or "```" in text:
        return
    if any(edit.rung == "extract" for edit in found[0].edits):
        return
    kept = json.dumps(found[0].value, ensure_ascii=False)
    plain = _COMMENT.sub(" ", text) if any(edit.kind == "comment" for edit in found[0].edits) else text
    lost = [word for word in _WORD.findall(plain) if word not in kept and word not in _LITERALS]
    hexadecimal = any(edit.kind == "hexadecimal" for edit in found[0].edits)
    assert hexadecimal or not lost, lost


_OBJECT = b'{"name": "Ann", "age": 41, "tags": ["red", "dark blue"], "home": {"town": "Oslo", "zip": null}}'
SEEDS = (
    _OBJECT,
    b"Here it is:\n```json\n" + _OBJECT + b"\n```\nAnything else?",
    b'<think>{"name": 1}</think><answer>' + _OBJECT + b"</answer>",
    b"{'name': 'Ann', age: 41, tags: [red, dark blue,], home: {town => \"Oslo\"; zip = None}} // done",
    b'{"quote": "she said "well", and left", "n": 1_000, "h": 0x1F, "x": .5 "y": +5}',
    b'{"a": [1, 2, ...], "b": {"c": 1}}\nCorrected: {"a": [1, 2], "b": {"c": 1}}',
    b'{{"a": {{"b": [1, 2}}}}}}',
    b'"{\\"a\\": [1, 2]}"',
    b'{"a": "b\nc \\d", /* one */ "e": NaN',
    b'{"a": 1}\n{"a": 2}\n[3]',
    b"positive",
    b'{"name": "Bo", "Age": "forty-two", "tags": "red, bleu", "home": {"town": 7, "zip": "none"}, "score": "1,5"}',
    b'{"a": "3 May 2026", "b": "2:30pm", "c": "Ann <ann@example.com>", "e": "2026-05-03 14:30", "n": "9:30"}',
    b'{"kind": "Circel", "n": "1.10"}',
    b'{"name": "root", "a": {"name": 1.10, "a": null}, "b": [{"name": "leaf"}, {"name": "le',
    b'{"result": {"name": "Ann", "age": 4}}',
    b'[1, "two", 3]... (2 more)',
    b"Answer: **Positive.**",
)
WORDS = (
    b"positive", b'"kind"', b'"circle"', b'"name"', b"2:30pm", b"2026-05-03", b"forty-two", b"N/A", b"yes", b"(truncated)", b"Answer: ", b"Corrected:",
    b"{", b"}", b"[", b"]", b'"', b"'", b":", b",", b";", b"=>", b"...", b"//", b"/*", b"*/", b"#", b"\n", b"```", b"```json\n",
    b"<think>", b"</think>", b"<answer>", b"</answer>", b"True", b"None", b"NaN", b"null", b"0x1F", b"1_0", b"1e9", b'"a":', b"a:",
    b'\\"', b"\\", b"\\u00e9", b"\\ud800", b"\xe2\x80\x9c", b"\xe2\x80\x9d", b"\xe2\x80\xa6", b"{{", b"}}", b'"x" "y"', b"\xef\xbb\xbf",
)  # fmt: skip
