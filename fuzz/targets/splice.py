"""The body splicer: it takes a body exactly where Python's own JSON parser finds an object in it without a duplicate at
its top, and what it joins again is that object.
"""

from __future__ import annotations

import json
from typing import Any

from fairlead.core.jsontop import MAX_DEPTH, MAX_KEYS, MalformedObject, join, top_level
from fairlead.dialects.openai_chat import request
from fairlead.errors import InvalidRequest


class _Refused(ValueError):
    """The oracle's no."""


def check(data: bytes) -> None:
    try:
        expected = _oracle(data)
    except (ValueError, RecursionError) as error:
        _check_refused(data, error)
        return
    fields = top_level(data)
    joined = join(fields)
    assert list(fields) == [key for key, _ in expected]
    assert _oracle(joined) == expected, (joined, expected)
    assert {key: _loaded(bytes(value).decode()) for key, value in fields.items()} == dict(expected)
    assert join(top_level(joined)) == joined, "joining is not stable"
    _check_request(data, dict(expected))


def _check_refused(data: bytes, error: Exception) -> None:
    try:
        fields = top_level(data)
    except MalformedObject:
        return
    raise AssertionError(f"taken as {fields!r}, though {error!r}")


def _check_request(data: bytes, expected: dict[str, Any]) -> None:
    """What a dialect reads for its stages is what a provider will read."""
    try:
        read = request.read(data)
    except InvalidRequest:
        return
    assert read.model == expected["model"]
    assert read.stream == (expected.get("stream") is True)
    limits = [expected.get(name) for name in ("max_tokens", "max_completion_tokens")]
    assert read.max_output_tokens == max((int(limit) for limit in limits if limit is not None), default=None)
    sent = _oracle(request.join(read, "other", ask_usage=True))
    changed = {"model", "stream_options"}
    assert [pair for pair in sent if pair[0] not in changed] == [
        pair for pair in _oracle(data) if pair[0] not in changed
    ]
    assert dict(sent)["model"] == "other"


def _oracle(data: bytes) -> list[tuple[str, Any]]:
    text = data.decode()
    if text.startswith("\ufeff"):
        raise _Refused("byte order mark")
    pairs = _loaded_pairs(text)
    if len(pairs) != len(dict(pairs)):
        raise _Refused("duplicate")
    if len(pairs) > MAX_KEYS:
        raise _Refused("keys")
    if _depth(text) > MAX_DEPTH:
        raise _Refused("depth")
    return pairs


def _loaded_pairs(text: str) -> list[tuple[str, Any]]:
    """The top level as pairs; inside, objects are told from arrays, and numbers keep their spelling."""
    value = _loaded(text)
    if not isinstance(value, _Pairs):
        raise _Refused("no object")
    return list(value)


class _Pairs(list[tuple[str, Any]]):
    """An object."""

    def __eq__(self, other: object) -> bool:
        return type(other) is _Pairs and list.__eq__(self, other)

    __hash__ = None


class _Number(str):
    """As it was written."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return type(other) is _Number and str.__eq__(self, other)

    __hash__ = str.__hash__


def _loaded(text: str) -> Any:
    value = json.loads(text, object_pairs_hook=_Pairs, parse_int=_Number, parse_float=_Number, parse_constant=_no)
    json.dumps(value, ensure_ascii=False).encode()  # raises where half a character is escaped
    return value


def _no(name: str) -> Any:
    raise _Refused(name)


def _depth(text: str) -> int:
    """The deepest nesting of valid JSON."""
    deepest = depth = 0
    quoted = escaped = False
    for char in text:
        if escaped:
            escaped = False
        elif quoted:
            escaped = char == "\\"
            quoted = char != '"'
        elif char == '"':
            quoted = True
        elif char in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "}]":
            depth -= 1
    return deepest


_CHAT = b'{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,"max_tokens":10,"n":1}'
SEEDS = (
    _CHAT,
    b"{}",
    b' {\n "a" : 1 , "b" : [ { } , "]" ] }\r\n',
    b'{"a":1,"a":2}',
    b'{"model":"a","mod\\u0065l":"b"}',
    b'{ "a":1, "\\u0061":1, "b":2}',
    b'{"a":"\\ud83d\\ude00","c":"\\/"}',
    b'{"a":"\\ud800"}',
    b'{"c":"\\q"}',
    b'{"a":1.0,"b":1e309,"c":-0,"d":01,"e":NaN,"f":-Infinity}',
    b'{"a":' + b"[" * 70 + b"]" * 70 + b"}",
    b'{"a":' + b"[" * 62 + b"]" * 62 + b',"b":"\\"[[[["}',
    '{"ключ":"значение","é":1,"e\u0301":2}'.encode(),
    b'\xef\xbb\xbf{"a":1}',
    b'{"a":"\xff"}',
    b"[1]",
    b'{"a":"\x00","b":"\x1f"}',
    _CHAT.replace(b'"n":1', b'"stream_options":{"include_usage":null,"x":[1]},"max_completion_tokens":5'),
)
WORDS = (
    b'{"', b'":', b',"', b'"}', b"[[[[[[[[", b"]]]]]]]]", b"\\u0061", b"\\ud800", b'\\"', b"\\\\", b"null", b"true", b"1e5", b"-0", b"NaN",
    b'"model"', b'"messages"', b'"stream"', b'"stream_options"', b'"max_tokens"', b"\xc3\xa9", b" ", b"\t", b"\r\n",
)  # fmt: skip
