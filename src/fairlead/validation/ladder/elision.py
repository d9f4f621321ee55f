"""What stands in place of values that were left out: dots, and word of more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from fairlead.core.jsonplace import without_noise

_ELISIONS: Final = frozenset({"...", "\u2026", "[...]", "{...}", "<...>"})
_MAX_CHARS: Final = 16
_MAX_MORE_CHARS: Final = 60
_COUNT = r"(?:[0-9]+|a few|many|several|some|two|three|four|five|six|seven|eight|nine|ten)"
_LEFT_OUT = (
    r"(?:truncated|omitted|shortened|abridged|abbreviated|cont(?:inued|\.|'d)|continues|to be continued|cut (?:off|short)"
    r"|(?:the )?(?:rest|remaining|remainder|others?|additional)\b[^.\n]{0,40}?\b(?:omitted|truncated|cut|left out|skipped)"
    rf"|(?:and |plus |\+ ?)?{_COUNT} (?:more|others|additional|further|remaining)|and (?:more|others)|etc|and so on)\b"
)
_MORE: Final = re.compile(
    r"(?:[-*\u2022]|[0-9]{1,6}[.)])?\s*[(\[<*_]{0,2}\s*(?://|#|/\*|--)?\s*(?:(?:list|output|response|text|answer|json) (?:is |was )?)?"
    rf"(?:(?:\.\.\.|\u2026)[.\s]*?(?:\n|\Z|[()\[\]<>*]|more\b|and\b|{_LEFT_OUT})|{_LEFT_OUT})",
    re.IGNORECASE,
)
"""Dots before other words are a pause, unless they follow without a space."""
_ELEMENT: Final = re.compile(
    rf"[(\[<]?\s*(?:\.\.\.|\u2026)\s*[(\[<]?\s*(?:and )?(?:{_LEFT_OUT}[^.]{{0,30}})?\s*[)\]>]?\s*(?:\.\.\.|\u2026)?"
    rf"|[(\[<]\s*{_LEFT_OUT}[^.]{{0,30}}[)\]>]"
    rf"|(?:and |plus |\+ ?)?{_COUNT} (?:more|others)(?: (?:elements?|entries|entry|items?|lines?|results?|rows?|values?))?\.{{0,3}}"
    r"|(?:and (?:more|others|so on)|etc\.?)\s*(?:\.\.\.|\u2026)?|more\s*(?:\.\.\.|\u2026)",
    re.IGNORECASE,
)
_WORDS_IN_BRACKETS: Final = ("runcated", "mitted", "ontinue", "hortened", "cut ", "rest")
"""One of them stands in each element in brackets that is word of more and has no dots."""


def goes_on(behind: str) -> bool:
    """Whether the words right behind a value say that there is more of it."""
    if behind.startswith(("...", "\u2026")):
        return True
    return bool(_MORE.match(without_noise(behind).lstrip(" \t\r\n,;")))


def is_elision(text: str) -> bool:
    """Whether the text is nothing but an elision."""
    return len(text) <= _MAX_CHARS and text.strip() in _ELISIONS


def is_word_of_more(text: str) -> bool:
    """Whether the text, as an element of a list, says that there are more: `... (3 more)`, `and 5 more`."""
    return len(text) <= _MAX_MORE_CHARS and _ELEMENT.fullmatch(text.strip()) is not None


def holds_elision(text: str, value: Any) -> bool:
    """Whether a string of a value may be an elision, looked at closely only where its text has dots or such words."""
    # One character is looked for much faster than three.
    has_dots = ("." in text and "..." in text) or ("\\" in text and "\\u2026" in text)
    has_dots = has_dots or (not text.isascii() and "\u2026" in text)
    if has_dots and any(map(is_elision, strings(value))):
        return True
    # Each look costs some microseconds of those that a text that fits may cost.
    has_words = has_dots or "more" in text or "others" in text or "etc" in text
    if not has_words and "(" in text:
        has_words = any(word in text for word in _WORDS_IN_BRACKETS)
    return has_words and any(map(_has_word_of_more, lists(value)))


def leaves_out(value: Any) -> bool:
    """Whether a string of a value is an elision, or an element of a list word of more."""
    return any(map(is_elision, strings(value))) or any(map(_has_word_of_more, lists(value)))


def _has_word_of_more(elements: list[Any]) -> bool:
    return any(isinstance(each, str) and is_word_of_more(each) for each in elements)


def strings(value: Any) -> Iterator[str]:
    """All strings in a JSON value, names left out."""
    queue = [value]
    while queue:
        each = queue.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            queue.extend(each.values())
        elif isinstance(each, list):
            queue.extend(each)


def lists(value: Any) -> Iterator[list[Any]]:
    """All lists in a JSON value."""
    queue = [value]
    while queue:
        each = queue.pop()
        if isinstance(each, dict):
            queue.extend(each.values())
        elif isinstance(each, list):
            yield each
            queue.extend(each)
