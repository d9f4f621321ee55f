"""Values without quotes as models write them where JSON belongs: numbers, literals, words."""

from __future__ import annotations

import math
import re
from typing import Any

import msgspec

MAX_DIGITS = 300
"""Longer numbers are not read."""

_LITERALS: dict[str, tuple[Any, str | None]] = {
    "true": (True, None),
    "false": (False, None),
    "null": (None, None),
    "True": (True, "python_literal"),
    "False": (False, "python_literal"),
    "None": (None, "python_literal"),
    "undefined": (None, "undefined"),
    "NaN": (None, "not_a_number"),
    "Infinity": (None, "not_a_number"),
    "+Infinity": (None, "not_a_number"),
    "-Infinity": (None, "not_a_number"),
}
_DIGITS = r"\d+(?:_\d+)*"
_TOKEN = re.compile(
    rf"(?:[+-]?(?:0[xX][0-9a-fA-F]+|(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?\d+)?|Infinity)"
    r"|true|false|null|True|False|None|undefined|NaN)"
    r"(?=\s*(?:[,;}\]\n\r{\[]|\Z|\s(?:\#|//)|/\*|```|(?<=\s)[\"'“”\u2018\u2019`]|(?<=\s)[A-Za-z_$][\w$.-]{0,63}\s*:))"
)
_JSON_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_WORDS = re.compile(r"""[^,;\n\r{}\[\]"`“”]+""")
_ELISION = re.compile(r"\.\.\.|…|^etc\b|^and so on\b", re.IGNORECASE)
_UNCLEAR = re.compile(
    r"\s(?://|#|/\*)|:\s|[\w$]\s*=|</|^['\u2018\u2019#/(\\]|^[\d.\s]+\s[\d.\s]+$|\w\(|^(?:and|or)\s|^[brufBRUF]{1,2}'.*'$"
)
"""A comment, a second value, markup, an expression, the last of an enumeration: not one value in plain words."""
_STAND_INS = frozenset({"string", "str", "number", "integer", "int", "float", "boolean", "bool", "array", "list",
                        "object", "dict", "any", "date", "datetime", "enum"})  # fmt: skip


class Unreadable(ValueError):
    """What stands there is no value; `kind` says why."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Scalar(msgspec.Struct, frozen=True, kw_only=True):
    """A value that was read."""

    value: Any
    end: int
    kind: str | None
    """What in it is not as JSON writes it."""
    may_go_on: bool
    """Whether more characters behind it would have been part of it."""


def scalar(text: str, at: int, limit: int) -> Scalar:
    """The number, literal or words at `at`.

    Raises:
        Unreadable: something that stands for a value, or more than one.
    """
    if match := _TOKEN.match(text, at, limit):
        token = match[0]
        if token in _LITERALS:
            value, kind = _LITERALS[token]
            return Scalar(value=value, end=match.end(), kind=kind, may_go_on=False)
        if (number := _number(token)) is not None:
            return Scalar(value=number[0], end=match.end(), kind=number[1], may_go_on=True)
    return _words(text, at, limit)


def _number(token: str) -> tuple[int | float, str | None] | None:
    """The number and how it is written; `None` for what may be a code, such as `007`."""
    if _JSON_NUMBER.fullmatch(token):
        kind = None
    elif "x" in token or "X" in token:
        return int(token, 16), "hexadecimal"
    elif "_" in token:
        kind = "digit_groups"
    else:
        kind = "number_form"
    plain = token.replace("_", "")
    if not _NUMBER.fullmatch(plain):
        return None
    if len(plain) > MAX_DIGITS:
        raise Unreadable("unclear")
    value = float(plain) if set(plain) & set(".eE") else int(plain)
    if not math.isfinite(value):
        raise Unreadable("unclear")
    return value, kind


def _words(text: str, at: int, limit: int) -> Scalar:
    match = _WORDS.match(text, at, limit)
    words = match[0].strip() if match else ""
    if match is None or not words:
        raise Unreadable("missing_value")
    if _ELISION.search(words):
        raise Unreadable("elision")
    if (words.startswith("<") and words.endswith(">")) or words.lower() in _STAND_INS:
        raise Unreadable("stand_in")
    end = match.end()
    if _UNCLEAR.search(words) or words.count("(") != words.count(")") or (end < limit and text[end] not in ",;\n\r}]"):
        raise Unreadable("unclear")
    return Scalar(value=words, end=end, kind="bare_text", may_go_on=True)
