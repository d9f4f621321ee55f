"""Which of several values in a text is the answer, by the words in front of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_letters, digits, whitespace
from typing import Any, Final

import msgspec

from fairlead.validation.node import same

_FINAL = re.compile(r"\b(?:final|corrected|correction|revised|updated|actual answer|instead)\b", re.IGNORECASE)
_NO_ANSWER = re.compile(r"\b(?:examples?|template|for instance|schema|draft|not|format)\b|\be\.g\.", re.IGNORECASE)
_ASKED_FORMAT = re.compile(
    r"\b(?:in|as|into|using|follow(?:s|ing)?|match(?:es|ing)?|to|with)\s+(?:\w+\s+){0,3}(?:format|schema)\b|\bjson format\b",
    re.IGNORECASE,
)
_BACKWARD = re.compile(r"\b(?:above|before|previous|earlier|prior|first|old)\b", re.IGNORECASE)
_LONE = re.compile(r"\b(?:examples?|template|for instance|placeholders?|samples?)\b|\be\.g\.", re.IGNORECASE)
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n\s*\n|\n(?=\s*\S)")
_MARKUP: Final = "`*#>_~"
_MAX_CHARS = 2_000


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """One value that fits, and the words between it and the one before."""

    value: Any
    between: str


def chosen(readings: Sequence[Reading]) -> int | None:
    """The place of the one that counts; `None` where nobody knows."""
    last = len(readings) - 1
    if last == 0:
        return 0
    if all(same(readings[0].value, each.value) for each in readings[1:]):
        return last
    if is_marked(readings[last].between):
        return last
    earlier = [each for each in readings[:last] if not same(each.value, readings[last].value)]
    if all(is_no_answer(each.between) for each in earlier) and not is_no_answer(readings[last].between):
        return last
    return None


def introduction(between: str) -> str:
    """The last sentence or line of some words, which introduces what follows."""
    pieces = [piece for piece in _SENTENCE.split(_without_fence(between[-_MAX_CHARS:])) if piece.strip()]
    return pieces[-1] if pieces else ""


def _without_fence(between: str) -> str:
    """Words without the fence, its language and the markup at their end."""
    words = between.rstrip()
    opening = words.rstrip(ascii_letters + digits)
    return (opening if opening.endswith("`") else words).rstrip(_MARKUP + whitespace)


def is_example(between: str) -> bool:
    """Whether the words introduce what is surely no answer, even where there is no other."""
    return bool(_LONE.search(introduction(between)))


def is_no_answer(between: str) -> bool:
    """Whether the words introduce what is no answer: an example, a template, a draft."""
    return bool(_NO_ANSWER.search(_ASKED_FORMAT.sub(" ", introduction(between))))


def is_marked(between: str) -> bool:
    """Whether the words mark what follows as the answer, or as a correction of what stands before."""
    if is_no_answer(between) or is_example(between):
        return False
    marks = [piece for piece in _SENTENCE.split(between[-_MAX_CHARS:]) if _FINAL.search(piece)]
    return any(not _BACKWARD.search(piece) and not _NO_ANSWER.search(piece) for piece in marks)
