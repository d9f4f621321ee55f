"""Dots that stand where a value belongs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

_ELISIONS: Final = frozenset({"...", "\u2026", "[...]", "{...}", "<...>"})
_MAX_CHARS: Final = 16
_LOOKED_AT: Final = 200
_MORE: Final = re.compile(
    r"(?:[-*\u2022]|[0-9]{1,6}[.)])?\s*[(\[<]?\s*(?://|#|/\*)?\s*"
    r"(?:\.\.\.|\u2026|etc\b|and so on\b|(?:and |plus )?(?:[0-9]+|many|several|some) (?:more|others)\b|and (?:more|others)\b)",
    re.IGNORECASE,
)


def goes_on(text: str) -> bool:
    """Whether behind the last object of a text there is word of more."""
    behind = text[text.rfind("}") + 1 :][:_LOOKED_AT].lstrip(" \t\r\n,;`~")
    return bool(_MORE.match(behind))


def is_elision(text: str) -> bool:
    """Whether the text is nothing but an elision."""
    return len(text) <= _MAX_CHARS and text.strip() in _ELISIONS


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
