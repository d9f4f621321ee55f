"""One label out of several, for a text that is not quite any of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

MAX_CHARS: Final = 64
"""Longer labels are compared as they are, or not at all."""

_LEAST_CHARS: Final = 4
"""The longer of two words has as many; below, another letter is another word."""
_LONG_CHARS: Final = 8
"""From here on, two letters may differ."""
_SEPARATORS = re.compile(r"\s+|(?<=\w)[\s_-]+(?=\w)")
"""Within a label only: a sign at its end, as in `A-`, is part of it."""
_BULLET = re.compile(r"\s*-\s+")
_MARKS = re.compile(r"[0-9]+|[^\w\s]|\b\w\b")
"""Numbers, question marks, words of one letter: `Q1` is not `Q2`, nor `plan a` `plan b`."""
_NEGATIONS: Final = frozenset({"dis", "il", "im", "in", "ir", "no", "non", "not", "un"})
_OPPOSITES: Final = (
    ("er", "ee"),
    ("cant", "can"),
    ("hyper", "hypo"),
    ("inter", "intra"),
    ("is", "in"),
    ("macro", "micro"),
    ("max", "min"),
    ("or", "ee"),
    ("over", "under"),
    ("pre", "pro"),
    ("pre", "post"),
    ("un", "in"),
)
"""Beginnings and endings that differ by little and turn the meaning round."""


def plain(text: str) -> str:
    """The text without regard to case, accents, and what separates its words."""
    if not text.isascii():
        text = "".join(char for char in unicodedata.normalize("NFKD", text) if not unicodedata.combining(char))
    return _SEPARATORS.sub(
        " ", _BULLET.sub("", text.casefold(), count=1) if text[:1] in " -" else text.casefold()
    ).strip(" _")


def joined(text: str) -> str:
    """A name without regard to case, accents, and where its words part."""
    return plain(text).replace(" ", "")


def nearest(text: str, labels: Sequence[str]) -> str | None:
    """The one label that a slip of the pen may have made of this text, all in their plain form; `None` if in doubt.

    It is within a distance of 1 (2 from eight letters on), and no other is within that distance plus one.
    """
    if not text or len(text) > MAX_CHARS:
        return None
    scored = sorted((far, label) for label in set(labels) if (far := distance(text, label, 3)) <= 3)
    if not scored:
        return None
    far, label = scored[0]
    limit = 2 if min(len(text), len(label)) >= _LONG_CHARS else 1
    if far > limit or (len(scored) > 1 and scored[1][0] <= far + 1) or not _is_slip(text, label):
        return None
    return label


def is_near(text: str, labels: Iterable[str]) -> bool:
    """Whether the text may have been meant as any of these, in doubt."""
    return any(
        distance(text, label, 2) <= (2 if max(len(text), len(label)) >= _LONG_CHARS else 1)
        for label in labels
        if len(text) <= MAX_CHARS
    )


def _is_slip(text: str, label: str) -> bool:
    """Whether the difference is one that slips make, and not one that makes another word."""
    if max(len(text), len(label)) < _LEAST_CHARS or text[0] != label[0]:
        return False
    if _MARKS.findall(text) != _MARKS.findall(label) or _turned_within(text, label):
        return False
    return not any(_turned(text, label, one, other) or _turned(label, text, one, other) for one, other in _OPPOSITES)


def _turned_within(text: str, label: str) -> bool:
    """Whether one is the other with a negation put in."""
    longer, shorter = (text, label) if len(text) > len(label) else (label, text)
    more = len(longer) - len(shorter)
    return any(
        longer[at : at + more] in _NEGATIONS and longer[:at] + longer[at + more :] == shorter
        for at in range(len(shorter) + 1)
    )


def _turned(text: str, label: str, one: str, other: str) -> bool:
    starts = text.startswith(one) and label.startswith(other)
    ends = text.endswith(one) and label.endswith(other)
    return starts or ends


def distance(one: str, other: str, most: int) -> int:
    """How many letters must be put in, taken out or replaced; `most + 1` where it is more than `most`."""
    if abs(len(one) - len(other)) > most or max(len(one), len(other)) > MAX_CHARS:
        return most + 1
    row = list(range(len(other) + 1))
    for at, char in enumerate(one, start=1):
        before, row[0] = row[0], at
        for across, opposite in enumerate(other, start=1):
            before, row[across] = row[across], min(row[across] + 1, row[across - 1] + 1, before + (char != opposite))
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)
