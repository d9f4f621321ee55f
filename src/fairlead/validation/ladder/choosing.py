"""Which of several values in a text is the answer, by the words in front of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_letters, digits, whitespace
from typing import Any, Final

import msgspec

from fairlead.validation.ladder.node import same

_FINAL = re.compile(
    r"\b(?:corrected|correction|revised|updated|actual answer|instead)\b"
    r"|\bfinal(?:\s+(?:answer|version|result|output|response|json|object|data|form|value|one|verdict)\b|\s*[*_`:.\-]|\s*$)",
    re.IGNORECASE,
)
_NO_ANSWER = re.compile(r"\b(?:examples?|template|for instance|schema|draft|format)\b|\be\.g\.", re.IGNORECASE)
_NOT_THIS = re.compile(r"\bnot\b[^,.;]{0,30}$", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|no|without|counts?|never)\b|n't\b", re.IGNORECASE)
_ASKED_FORMAT = re.compile(
    r"\b(?:in|as|into|using|follow(?:s|ing)?|match(?:es|ing)?|to|with)\s+(?:\w+\s+){0,3}(?:format|schema)\b"
    r"|\bjson format\b",
    re.IGNORECASE,
)
_OTHERWISE = re.compile(
    r"\b(?:above|before|previous|earlier|prior|first|old|unclear|unsure|unknown|pending|maybe|perhaps|may|might|could|if"
    r"|until|input|question|prompt|request|query|source|original|other|alternative|comparison|not|no|never)\b|n't\b",
    re.IGNORECASE,
)
"""Beside a mark of the answer: it is not what follows, or not for certain."""
_OF_THE_ONE_BEFORE = re.compile(
    r"\s*(?:is|was|are|were|seems?|looks?|would|will|should|has|had|stands?|counts?|remains?)\b", re.IGNORECASE
)
_LONE = re.compile(r"\b(?:examples?|template|for instance|placeholders?|samples?)\b|\be\.g\.", re.IGNORECASE)
_RETRACTED = re.compile(
    r"(?:^|[.!?\n])[\s*_(]*(?:wait|actually|correction|scratch that|on second thoughts?|oops|hold on)\b"
    r"|\bi made (?:a|an) (?:mistake|error)\b|\bthat (?:is|was) (?:wrong|incorrect)\b",
    re.IGNORECASE,
)
_INVENTED = r"(?:examples?|templates?|placeholders?|samples?|illustrations?|illustrative|dummy|dummies|mock-?ups?|hypothetical|fictional|fictitious|made[- ]up|invented)"
_EXAMPLE_BEHIND = re.compile(
    rf"\b(?:only|just|merely|purely|simply)\s+(?:an?\s+|for\s+|as\s+an?\s+)?(?:\w+\s+)?{_INVENTED}\b(?!\s+of\b)"
    r"|\b(?:this|that|it|above)\s+(?:is|was)\s+an?\s+(?:\w+\s+)?(?:example|template|placeholder|sample|mock-?up)\b(?!\s+of\b)"
    rf"|\b(?:values?|data|names?|numbers?|fields?|details?|they|these|those|all)\s+(?:above\s+)?(?:is|are|were)\s+(?:all\s+)?{_INVENTED}\b(?!\s+of\b)"
    r"|\bI(?:'ve|\s+have)?\s+(?:just\s+)?(?:made\s+(?:\w+\s+){1,3}up|made\s+up|invented)\b"
    r"|\bnot\s+(?:an?\s+|the\s+)?(?:real|actual)\s+(?:answer|data|value|result|person)",
    re.IGNORECASE,
)
_SAYS_NOTHING = re.compile(
    r"\b(?:text|input|message|passage|document|article|sentence|prompt|source|email|note)\s+"
    r"(?:names?|mentions?|contains?|has|gives?|says?|provides?|states?|refers?\s+to|tells?\s+(?:us\s+)?(?:of\s+)?)\s+"
    r"(?:nobody|no\s+one|no-one|nothing|none)\b"
    r"|\b(?:nobody|no\s+one|no-one|nothing)\s+(?:is|was)\s+(?:named|mentioned|given|stated|provided)\b",
    re.IGNORECASE,
)
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


def is_retracted(text: str) -> bool:
    """Whether the words behind the last value of a text take it back."""
    behind = text[max(text.rfind("}"), text.rfind("]")) + 1 :][:_MAX_CHARS].lstrip("`~ \t\r\n")
    return bool(_RETRACTED.search(behind))


def introduction(between: str) -> str:
    """The last sentence or line of some words, which introduces what follows."""
    pieces = [piece for piece in _SENTENCE.split(_without_fence(between[-_MAX_CHARS:])) if piece.strip()]
    return pieces[-1] if pieces else ""


def _without_fence(between: str) -> str:
    """Words without the fence, its language and the markup at their end."""
    words = between.rstrip()
    opening = words.rstrip(ascii_letters + digits)
    return (opening if opening.endswith("`") else words).rstrip(_MARKUP + whitespace)


def is_disowned(behind: str, value: Any) -> bool:
    """Whether the words behind a value call it an example, or say that what it was read from holds no such thing."""
    words = " ".join(behind.split())
    if _EXAMPLE_BEHIND.search(words):
        return True
    return bool(_SAYS_NOTHING.search(words)) and not _says_so(value)


def _says_so(value: Any) -> bool:
    """Whether a value says itself that something is not there."""
    if isinstance(value, dict | list):
        return not value or any(map(_says_so, value.values() if isinstance(value, dict) else value))
    return value in (None, "", 0, False)


def is_example(between: str) -> bool:
    """Whether the words introduce what is surely no answer, even where there is no other."""
    return bool(_LONE.search(introduction(between)))


def is_no_answer(between: str) -> bool:
    """Whether the words introduce what is no answer: an example, a template, a draft."""
    words = _ASKED_FORMAT.sub(" ", introduction(between))
    if _NO_ANSWER.search(words):
        return not _DENIED.search(words)
    return bool(_NOT_THIS.search(words))


def is_marked(between: str) -> bool:
    """Whether the words mark what follows as the answer, or as a correction of what stands before."""
    words = introduction(between)
    if is_no_answer(between) or is_example(between) or _OTHERWISE.search(words):
        return False
    return bool(_FINAL.search(words)) and not _OF_THE_ONE_BEFORE.match(words)
