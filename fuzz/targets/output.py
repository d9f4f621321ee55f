"""What a model wrote: nothing raises, JSON is read as it stands, and what is found is JSON that drops no word."""

from __future__ import annotations

import json
import re
from typing import Any

from fairlead.core.jsonx import Candidate, bare, find, whole

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
)
WORDS = (
    b"{", b"}", b"[", b"]", b'"', b"'", b":", b",", b";", b"=>", b"...", b"//", b"/*", b"*/", b"#", b"\n", b"```", b"```json\n",
    b"<think>", b"</think>", b"<answer>", b"</answer>", b"True", b"None", b"NaN", b"null", b"0x1F", b"1_0", b"1e9", b'"a":', b"a:",
    b'\\"', b"\\", b"\\u00e9", b"\\ud800", b"\xe2\x80\x9c", b"\xe2\x80\x9d", b"\xe2\x80\xa6", b"{{", b"}}", b'"x" "y"', b"\xef\xbb\xbf",
)  # fmt: skip
