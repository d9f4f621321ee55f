"""Lists that a text holds without brackets: one element a line, behind bullets or numbers."""

from __future__ import annotations

import re
from typing import Final

from fairlead.validation.ladder.elision import is_elision

MAX_LINES: Final = 5_000

_ITEM = re.compile(r"(?P<mark>[ \t]*(?:[-*\u2022]|[0-9]{1,4}[.)]))[ \t]+(?P<text>\S.*)")
_MORE = re.compile(r"(?:etc\b|and so on\b|(?:and )?(?:[0-9]+ |many |some )?(?:more|others)\b)", re.IGNORECASE)


def items(text: str) -> list[str] | None:
    """The elements, where each line is one behind a mark of the same kind, and numbers count up; else `None`."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    found = [_ITEM.fullmatch(line) for line in lines[:MAX_LINES]]
    if not 2 <= len(lines) <= MAX_LINES or None in found:
        return None
    marks = [match["mark"] for match in found if match]
    told = [match["text"] for match in found if match]
    if marks[0][-1] in ".)":
        if [int(mark[:-1]) for mark in marks] != list(range(int(marks[0][:-1]), int(marks[0][:-1]) + len(marks))):
            return None
    elif len(set(marks)) > 1:
        return None
    if any(is_elision(each) or _MORE.match(each) or "..." in each[-3:] or each.endswith("\u2026") for each in told):
        return None
    return told
