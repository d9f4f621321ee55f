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
    r"\b(?:not|no|never|isn't|wrong|incorrect|previous|old|example|instead|draft|before|former|unlike|except|if|or|"
    r"question|input|todo|maybe|perhaps|possibly|probably|guess)\b",
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
