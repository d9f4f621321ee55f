"""Words around the only value of a text that say that it is no answer, or that it was guessed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from fairlead.validation.ladder import spelling
from fairlead.validation.ladder.choosing import introduction

_MAX_CHARS: Final = 2_000
_NAMES_LOOKED_AT: Final = 500

_REFUSED = re.compile(
    r"\b(?:I|we)\s*(?:'m|am|are)?\s*(?:cannot|can't|can not|could not|couldn't|won't|will not|unable to|not able to)\b",
    re.IGNORECASE,
)
_WOULD_BE = re.compile(
    r"\b(?:would|could|might|should)\b|\b(?:format|schema|structure|template|shape)\b", re.IGNORECASE
)
_NOT_THE_ANSWER = re.compile(
    r"\b(?:input|prompt|question|request|query)\s+(?:was|is|were|said|says|reads?|gave|given(?:\s+was)?)\s*:?\s*$"
    r"|\byou\s+(?:gave|sent|wrote|passed|showed|provided)\b[^.,;:]{0,30}:?\s*$"
    r"|\b(?:do not|don't|never|must not|should not|shouldn't)\s+(?:just\s+|simply\s+|ever\s+)?"
    r"(?:answer|return|output|write|use|say|give|respond|reply|send|print|produce|accept|take|copy|put)\b[^.,;]{0,30}$"
    r"|\b(?:maybe|perhaps|possibly|instead of|rather than)\s*:?\s*$",
    re.IGNORECASE,
)
_UNABLE = re.compile(
    r"\bI\s+(?:really\s+|just\s+|still\s+)?"
    r"(?:do not|don't|did not|didn't|cannot|can't|can not|could not|couldn't|am unable to|am not able to|was unable to)"
    r"(?:\s+(?:really|actually|reliably|clearly))?"
    r"\s+(?:know|extract|determine|find|answer|tell|identify|read|see|parse|verify|confirm|say|do)\b"
    r"(?!\s+(?:if|whether|how|any(?:thing)? (?:else|other|more))\b)(?P<what>[^.!?;\n]{0,80})",
    re.IGNORECASE,
)
_IT = re.compile(
    r"\s*(?:(?:this|that|it|them|these|those|the (?:answer|data|values?|information))\b)?\W*$", re.IGNORECASE
)
_GUESSED = re.compile(
    r"\b(?:is|are|was|were)\s+(?:only\s+|just\s+|merely\s+|purely\s+|all\s+)?(?:an?\s+|my\s+)?"
    r"(?:best\s+|rough\s+|wild\s+|pure\s+|mere\s+|educated\s+)?"
    r"(?:guess(?:es|ed|work)?|assumptions?|assumed|made[- ]up|invented|fabricated)\b"
    r"|\bI(?:'ve|\s+have|\s+had\s+to)?\s+(?:just\s+|only\s+|simply\s+)?(?:guessed|assumed|invented|made\s+up)\b",
    re.IGNORECASE,
)
_DISCARDED = re.compile(
    r"\b(?:please\s+)?(?:ignore|disregard|discard|do not use|don't use)\s+(?:this|that|it|the above|my (?:answer|last))\b",
    re.IGNORECASE,
)
_DENIED = re.compile(r"\b(?:no|not|none|nothing|never)\b|n't\b", re.IGNORECASE)
_WORD = re.compile(r"[^\W_]+")
_SENTENCE = re.compile(r"(?<=[.!?;])\s+|\n")


def is_disclaimed(before: str, behind: str, value: Any) -> bool:
    """Whether the words around a value that stands alone say that it is none, or that the model does not know it.

    Args:
        before: the words in front of it.
        behind: the words behind it.
    """
    before, behind = (_plain(words) for words in (before[-_MAX_CHARS:], behind[:_MAX_CHARS]))
    last = introduction(before)
    if _NOT_THE_ANSWER.search(last) or (_REFUSED.search(before) and _WOULD_BE.search(last)):
        return True
    if _DISCARDED.search(behind) or _is_guessed(before) or _is_guessed(behind):
        return True
    return any(_is_of(match["what"], value) for match in _UNABLE.finditer(behind))


def _plain(words: str) -> str:
    return words.replace("\u2019", "'")


def _is_guessed(words: str) -> bool:
    return any(_GUESSED.search(each) and not _DENIED.search(each) for each in _SENTENCE.split(words))


def _is_of(what: str, value: Any) -> bool:
    """Whether what the model could not do is about all of the value, or about a property that has a value there."""
    if _IT.match(what):
        return True
    words = f" {' '.join(_WORD.findall(spelling.plain(what)))} "
    return any(f" {spelling.plain(name)} " in words for name in _told(value))


def _told(value: Any) -> Iterator[str]:
    """The names under which something stands, the first of them."""
    queue = [value]
    for seen, each in enumerate(queue):
        if isinstance(each, list):
            queue += each[:_NAMES_LOOKED_AT]
        elif isinstance(each, dict):
            for name, held in each.items():
                if held not in (None, "", [], {}):
                    yield name
                queue.append(held)
        if seen > _NAMES_LOOKED_AT:
            return
