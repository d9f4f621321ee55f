"""Quoted strings as models write them where JSON belongs: which quote ends one, and what its escapes mean."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

Place = Literal["key", "property", "element"]

MAX_INNER_QUOTES = 1_000
"""More unescaped quotes within one string are not looked at."""

_CLOSING = (
    {'"': '"', "'": "'", "`": "`"}
    | dict.fromkeys("“”„‟", '“”"')
    | dict.fromkeys("\u2018\u2019\u201a\u201b", "\u2018\u2019'")
)
OPENING = frozenset(_CLOSING)
_KINDS = {'"': None, "'": "single_quotes", "`": "backticks"}
_MARKS = {quote: re.compile(rf"\\.|[{closing}]", re.DOTALL) for quote, closing in _CLOSING.items()}

_QUOTED = r"""(?:"[^"\n]{0,200}"|'[^'\n]{0,200}'|`[^`\n]{0,200}`|[“”][^“”\n]{0,200}[“”]|[\u2018\u2019][^\u2018\u2019\n]{0,200}[\u2018\u2019])"""
_KEY = rf"(?:{_QUOTED}|[\w$][\w$.-]{{0,63}})\s*(?::|=)"
_CUT_NAME = r"""["'`“”\u2018\u2019][^"'`“”\u2018\u2019\n]{0,200}\Z"""
"""A name that the end of the text has cut."""
_OVER = r"[}\]]|\Z|//|/\*|#|```"
_AFTER = {
    "key": re.compile(""),
    "property": re.compile(
        rf"\s*(?:[,;]\s*(?:{_KEY}|{_CUT_NAME}|{_OVER}|,|\.\.\.|…)|{_OVER}|{_QUOTED}\s*(?::|=)|(?<=\s){_KEY})"
    ),
    "element": re.compile(rf"\s*(?:[,;]|{_OVER}|(?<=\s)(?:{_QUOTED}|[{{\[]))"),
}
_KEY_WITHIN = re.compile(r'[,{\n]\s*"[^"\n]{0,200}"\s*:')
_ELEMENT_WITHIN = re.compile(r'[,;]\s*"[^"\n]{0,200}"\s*[,;]')
_ESCAPE = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_CONTROL_ESCAPES = re.compile(r"(?<!\\)(?:\\\\)*\\[bfnrt]")
_PLAIN_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_CONTROL = re.compile(r"[\x00-\x1f]")
_BEFORE_QUOTATION = frozenset(" \t\n([{=>:-\u2013—/,*_")


class Unclear(ValueError):
    """No quote, or more than one, can be the end of the string, or its escapes mean nothing."""


class Quoted(msgspec.Struct, frozen=True, kw_only=True):
    """A string that was read."""

    value: str
    end: int
    """Behind its closing quote."""
    kinds: tuple[str, ...]
    """What in it is not as JSON writes it."""


def quoted(text: str, at: int, limit: int, place: Place) -> Quoted | None:
    """The string whose opening quote stands at `at`; `None`: it goes on to the limit.

    Raises:
        Unclear: it cannot be told where it ends, or what it says.
    """
    end, has_inner = _end(text, at, limit, place)
    if end < 0:
        return None
    raw = text[at + 1 : end]
    kinds = [kind] if (kind := _KINDS.get(text[at], "curly_quotes")) else []
    if has_inner:
        if _KEY_WITHIN.search(raw) or (place == "element" and _ELEMENT_WITHIN.search(raw)):
            raise Unclear("a property or element may have begun within a string")
        kinds.append("inner_quotes")
    if _CONTROL.search(raw):
        if place == "key":
            raise Unclear("a name goes over a line's end")
        kinds.append("line_break")
    value = raw
    if "\\" in raw:
        value, wrong = _unescaped(raw)
        if wrong:
            kinds.append("wrong_escape")
    return Quoted(value=value, end=end + 1, kinds=tuple(kinds))


def _end(text: str, at: int, limit: int, place: Place) -> tuple[int, bool]:
    """Where its closing quote stands, or -1, and whether there are quotes within."""
    inside = False
    inner = 0
    after = _AFTER[place]
    for mark in _MARKS[text[at]].finditer(text, at + 1, limit):
        quote = mark.start()
        if text[quote] == "\\":
            continue
        if not inside and after.match(text, quote + 1, limit):
            return quote, inner > 0
        before, behind = text[quote - 1], text[quote + 1 : min(quote + 2, limit)]
        if text[quote] in "'\u2019" and before.isalnum() and (behind.isalnum() or (before == "s" and behind == " ")):
            continue
        inner += 1
        inside = _turned(before, behind, inside=inside, first=quote == at + 1)
        if inner > MAX_INNER_QUOTES:
            raise Unclear("too many quotes within a string")
    return -1, inner > 0


def _turned(before: str, behind: str, *, inside: bool, first: bool) -> bool:
    """Whether a quotation is open behind an unescaped quote that does not end the string."""
    if inside:
        if before.isspace() or behind.isalnum():
            raise Unclear("a quotation within a string does not end")
        return False
    if (first or before in _BEFORE_QUOTATION) and behind and not behind.isspace():
        return True
    if before.isdigit():  # inches
        return False
    raise Unclear("a quote within a string neither opens nor closes a quotation")


def _unescaped(raw: str) -> tuple[str, bool]:
    """What the escapes mean, and whether one of them is not of JSON; such a one keeps its backslash."""
    wrong = False

    def meaning(match: re.Match[str]) -> str:
        nonlocal wrong
        escape = match[1]
        if (plain := _PLAIN_ESCAPES.get(escape)) is not None:
            return plain
        if len(escape) > 1:
            return chr(int(escape[1:], 16))
        if escape in "\r\n":
            raise Unclear("a backslash stands before a line's end")
        wrong = True
        if escape in _CLOSING:
            return escape
        if _CONTROL_ESCAPES.search(raw):
            raise Unclear("some backslashes of a string escape nothing, and others may")
        return match[0]

    value = _ESCAPE.sub(meaning, raw)
    if not value.isascii():
        try:
            value = value.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise Unclear("half a surrogate pair in a string") from None
    return value, wrong
