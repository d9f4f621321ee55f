"""A word or number that is all of a text but for a label, markup, quotes and a full stop."""

from __future__ import annotations

import re
from typing import Final

from fairlead.validation.labels import bare

MAX_CHARS: Final = 1_000
"""In front of longer texts no label is looked for."""

_LABEL = re.compile(r"(?P<label>[^\W\d](?:[\w'/-]|[ _](?=\S)){0,40}?)\s*[*_`]*\s*[:=]\s*(?P<rest>\S.*)", re.DOTALL)
_SENTENCE = re.compile(
    r"(?:the\s+)?(?:final\s+|correct\s+)?(?:answer|result)\s+is:?\s+(?P<rest>\S.*)", re.DOTALL | re.IGNORECASE
)
_OTHERWISE = re.compile(
    r"\b(?:not|no|never|isn't|wrong|incorrect|previous|earlier|old|last|next|first|second|step|line|example|e\.g\.|instead|"
    r"draft|before|former|unlike|except|but|if|or|than|rather|other|alternative|opposite|contrary|question|input|todo|"
    r"maybe|perhaps|possibly|probably|guess|estimated?|approx|approximately|about|around|roughly|circa|nearly|almost|"
    r"least|most|min|minimum|max|maximum|up to|over|under|above|below|between|more|less|from|until|since|note|warning|"
    r"error|hint|option|default)\b",
    re.IGNORECASE,
)


def unlabelled(text: str) -> str:
    """The text without a label in front of it, and without what is only put around it."""
    told = bare(text)
    if len(told) > MAX_CHARS:
        return told
    match = _SENTENCE.fullmatch(told) or _LABEL.fullmatch(told)
    if match is None:
        return told
    label = match.groupdict().get("label") or ""
    if len(label.split()) > 3 or _OTHERWISE.search(label):
        return told
    return bare(match["rest"])
