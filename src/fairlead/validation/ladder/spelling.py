"""One label out of several, for a text that is not quite any of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final

from fairlead.validation.ladder.confusables import are_confused

MAX_CHARS: Final = 64
"""Longer labels are compared as they are, or not at all."""

_LEAST_CHARS: Final = 4
"""The longer of two words has as many; below, another letter is another word."""
_LEAST_WORD_CHARS: Final = 5
"""In a shorter word another letter makes another word."""
_LONG_CHARS: Final = 8
"""From here on, two letters may differ."""
_SEPARATORS = re.compile(r"\s+|(?<=\w)[\s_-]+(?=\w)")
"""Within a label only: a sign at its end, as in `A-`, is part of it."""
_BULLET = re.compile(r"\s*-\s+")
_MARKS = re.compile(r"[0-9]+|[^\w\s]|\b\w\b")
"""Numbers, question marks, words of one letter: `Q1` is not `Q2`, nor `plan a` `plan b`."""
_WORD = re.compile(r"[^ ]+")
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

Words = Sequence[tuple[int, int]]
"""Where words begin and end."""


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
    label = closest(text, labels)
    return label if label is not None and is_slip(text, label) else None


def closest(text: str, labels: Iterable[str]) -> str | None:
    """The one label that is as near as a slip brings it, whether it is one or not; `None` if there are others."""
    if not text or len(text) > MAX_CHARS:
        return None
    scored = sorted((far, label) for label in set(labels) if (far := distance(text, label, 3)) <= 3)
    if not scored:
        return None
    far, label = scored[0]
    limit = 2 if min(len(text), len(label)) >= _LONG_CHARS else 1
    return None if far > limit or (len(scored) > 1 and scored[1][0] <= far + 1) else label


def is_near(text: str, labels: Iterable[str]) -> bool:
    """Whether the text may have been meant as any of these, in doubt."""
    return any(
        distance(text, label, 2) <= (2 if max(len(text), len(label)) >= _LONG_CHARS else 1)
        for label in labels
        if len(text) <= MAX_CHARS
    )


def is_slip(text: str, label: str) -> bool:
    """Whether the difference is one that slips make, and not one that makes another word."""
    if max(len(text), len(label)) < _LEAST_CHARS or not _begins_alike(text, label):
        return False
    if are_confused(text.split(" "), label.split(" ")):
        return False
    if (
        _MARKS.findall(text) != _MARKS.findall(label)
        or _turned_within(text, label)
        or replaces(text, label, _words(text), _words(label))
    ):
        return False
    return not any(_turned(text, label, one, other) or _turned(label, text, one, other) for one, other in _OPPOSITES)


def _begins_alike(text: str, label: str) -> bool:
    """Whether the first letter is the same, or the first two have changed places."""
    return text[0] == label[0] or (text[:2] == label[1::-1] and text[2:3] == label[2:3])


def replaces(text: str, label: str, words: Words, others: Words) -> bool:
    """Whether a letter is another one at a word's end or in a short word, where that makes another word.

    Args:
        words: where the words of the text begin and end.
        others: where those of the label do.
    """
    return any(_is_exposed(at, words) or _is_exposed(across, others) for at, across in _replaced(text, label))


def _is_exposed(at: int, words: Words) -> bool:
    return any(start <= at < end and (at == end - 1 or end - start < _LEAST_WORD_CHARS) for start, end in words)


def _words(text: str) -> Words:
    return [(word.start(), word.end()) for word in _WORD.finditer(text)]


def _replaced(text: str, label: str) -> set[tuple[int, int]]:
    """Where one letter may stand in place of another, in any of the shortest ways from the label to the text."""
    table = _table(text, label)
    found: set[tuple[int, int]] = set()
    queue, seen = [(len(text), len(label))], set[tuple[int, int]]()
    while queue:
        at, across = queue.pop()
        if (at, across) in seen:
            continue
        seen.add((at, across))
        far = table[at][across]
        if at and across and table[at - 1][across - 1] + (text[at - 1] != label[across - 1]) == far:
            queue.append((at - 1, across - 1))
            if text[at - 1] != label[across - 1]:
                found.add((at - 1, across - 1))
        if at and table[at - 1][across] + 1 == far:
            queue.append((at - 1, across))
        if across and table[at][across - 1] + 1 == far:
            queue.append((at, across - 1))
        if _is_turn(text, label, at, across) and table[at - 2][across - 2] + 1 == far:
            queue.append((at - 2, across - 2))
    return found


def _is_turn(text: str, label: str, at: int, across: int) -> bool:
    """Whether the two letters before these places have changed places."""
    if at < 2 or across < 2 or text[at - 1] == text[at - 2]:
        return False
    return text[at - 1] == label[across - 2] and text[at - 2] == label[across - 1]


def _table(one: str, other: str) -> list[list[int]]:
    """The distances of all beginnings."""
    table = [list(range(len(other) + 1))]
    for at, char in enumerate(one, start=1):
        row = [at, *[0] * len(other)]
        for across, opposite in enumerate(other, start=1):
            far = min(table[-1][across] + 1, row[across - 1] + 1, table[-1][across - 1] + (char != opposite))
            row[across] = min(far, table[-2][across - 2] + 1) if _is_turn(one, other, at, across) else far
        table.append(row)
    return table


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
    """How many letters must be put in, taken out, replaced, or change places with the next; not more than `most + 1`."""
    if abs(len(one) - len(other)) > most or max(len(one), len(other)) > MAX_CHARS:
        return most + 1
    last = list(range(len(other) + 1))
    row = last
    for at, char in enumerate(one, start=1):
        older, last, row = last, row, [at]
        for across, opposite in enumerate(other, start=1):
            far = min(last[across] + 1, row[-1] + 1, last[across - 1] + (char != opposite))
            if char != opposite and at > 1 and across > 1 and char == other[across - 2] and one[at - 2] == opposite:
                far = min(far, older[across - 2] + 1)
            row.append(far)
        if min(row) > most and min(last) > most:
            return most + 1
    return min(row[-1], most + 1)
