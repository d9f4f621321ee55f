"""What was cut, closed as far as it goes, for who asks for that."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec

from fairlead.core.jsonx import Candidate
from fairlead.verdict import Edit

CLOSED: Final = 0.5
"""The confidence of what was closed: the rest of it is not known."""
MAX_READINGS: Final = 4


def is_cut(candidate: Candidate) -> bool:
    """Whether the text ends within it."""
    if candidate.left_open is None:
        return bool(candidate.edits) and candidate.edits[-1].kind == "cut"
    return bool(candidate.left_open)


def closed(candidate: Candidate) -> Iterator[Candidate]:
    """The same, complete: as far as it goes, then without the elements of lists in which the text ends, inner ones first.

    A string, number, literal or name that was being written is in none of them.
    """
    place = candidate.edits[-1].path if candidate.left_open is None else candidate.left_open[-1]
    edits = tuple(edit for edit in candidate.edits if edit.kind not in ("cut", "missing_brace"))
    edit = Edit(rung="repair", kind="closed_cut", path=place, confidence=CLOSED)
    for value in _readings(candidate.value, place.split("/")[1:]):
        yield msgspec.structs.replace(candidate, value=value, edits=(*edits, edit), left_open=())


def _readings(value: Any, tokens: list[str]) -> Iterator[Any]:
    yield value
    holders: list[tuple[int, int]] = []
    held = value
    for depth, token in enumerate(tokens):
        if isinstance(held, list) and token.isdecimal() and int(token) < len(held):
            holders.append((depth, int(token)))
            held = held[int(token)]
        elif isinstance(held, dict):
            held = held.get(_unescaped(token))
        else:
            break
    for depth, index in reversed(holders[-MAX_READINGS + 1 :]):
        yield _without(value, tokens[:depth], index)


def _without(value: Any, tokens: list[str], index: int) -> Any:
    """The value without the elements from this one on of the list at this place; the value itself stays as it is."""
    if not tokens:
        return value[:index]
    if isinstance(value, list):
        at = int(tokens[0])
        return [*value[:at], _without(value[at], tokens[1:], index)]
    name = _unescaped(tokens[0])
    return {**value, name: _without(value[name], tokens[1:], index)}


def _unescaped(token: str) -> str:
    return token.replace("~1", "/").replace("~0", "~")
