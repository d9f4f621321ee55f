"""What a pattern costs where a machine is made of it: its characters, those that it repeats written out."""

from __future__ import annotations

import re
from typing import Final

_MOST: Final = 10**9
_BROAD: Final = 4
"""What a place counts for where any character may stand but a few."""
_NEGATED: Final = 16
"""And where that is said within a class: `[\\S]`."""
_UNICODE: Final = 200
"""And where all of Unicode is divided into what may stand there and what may not."""
_REPEAT: Final = re.compile(r"\{\s*(\d*)\s*(?:,\s*(\d*)\s*)?\}")
_ESCAPE: Final = re.compile(r"\\(?:[pPxukg]\{[^{}]*\}|[pP][A-Za-z]|.|$)", re.DOTALL)
_CLASS: Final = re.compile(r"\[\^?+(?:[^\[\]\\]|\\.)+\]", re.DOTALL)
_FREE_SPACED: Final = re.compile(r"\(\?[a-zA-Z-]*x")
_UNUSUAL: Final = re.compile(r"\(\?[^:]|\\[^wWdDsSbBnrtfvpPxu0^$.*+?()\[\]{}|/\\-]")
"""What makes of `\\w` and its like a property of all of Unicode: groups that look around or are named, references back."""


def written_out(pattern: str) -> int:
    """How many plain characters a pattern is as costly as, once each `{n,m}` is written out; rather too many than too few."""
    is_unusual = _UNUSUAL.search(pattern) is not None
    if _FREE_SPACED.search(pattern):
        return _at_worst(pattern)
    sums, last, at = [0], 0, 0
    while at < len(pattern):
        char = pattern[at]
        if char == "{" and (repeat := _REPEAT.match(pattern, at)):
            sums[-1] = min(sums[-1] + last * (_times(repeat) - 1), _MOST)
            last = min(last * _times(repeat), _MOST)
            at = repeat.end()
            continue
        if char == "(":
            sums.append(0)
            last = 0
        elif char == ")" and len(sums) > 1:
            last = sums.pop()
            sums[-1] += last
        elif char not in "*+?|":
            found = _CLASS.match(pattern, at) if char == "[" else _ESCAPE.match(pattern, at)
            if found is None and char == "[":
                return _at_worst(pattern)  # a class in a class, or one that no two engines read alike
            place = char if found is None else found[0]
            last = _cost(place, is_unusual=is_unusual)
            sums[-1] += last
            at += len(place) - 1
        at += 1
    return min(sum(sums), _MOST)


def _cost(place: str, *, is_unusual: bool) -> int:
    """What one place of a text costs."""
    if "\\p" in place or "\\P" in place or (is_unusual and "\\" in place and place[-1] not in "bB"):
        return _UNICODE
    if place[0] == "[" and any(negated in place for negated in ("\\W", "\\D", "\\S")):
        return _NEGATED
    return _BROAD if place == "." or place.startswith("[^") or place in {"\\W", "\\D", "\\S"} else 1


def _times(repeat: re.Match[str]) -> int:
    """The higher bound of a repeat."""
    bounds = [int(each[:9]) for each in repeat.groups() if each]
    return max(1, *bounds) if bounds else 1


def _at_worst(pattern: str) -> int:
    """As if each repeat held all of the pattern, and all others."""
    found = len(pattern) * (_UNICODE if "\\" in pattern else _BROAD)
    for repeat in _REPEAT.finditer(pattern):
        found = min(found * _times(repeat), _MOST)
    return found
