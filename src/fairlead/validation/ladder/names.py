"""Which property of a schema an object's name was meant to be."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise
from typing import Final

import msgspec

from fairlead.validation.ladder import spelling
from fairlead.validation.ladder.confusables import are_confused

_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_LETTERS = re.compile(r"(?<![^\W_])[^\W_](?![^\W_])")

MAX_COMPARED: Final = 2_000
"""So many pairs are compared by spelling; an object with more of them keeps its names."""


class Names(msgspec.Struct, frozen=True, kw_only=True):
    """What the names of an object were found to mean."""

    renamed: dict[str, str]
    """By the name in the object, that of the schema."""
    doubtful: frozenset[str]
    """Names that may have meant a property, and not only one, or one that stands there too."""


def matched(unknown: Sequence[str], missing: Sequence[str], present: Iterable[str]) -> Names:
    """The names that can mean only one property that is not there."""
    renamed, doubtful = _by_form(unknown, missing, present)
    unknown = [name for name in unknown if name not in renamed and name not in doubtful]
    missing = [name for name in missing if name not in renamed.values()]
    if not unknown or not missing:
        return Names(renamed=renamed, doubtful=frozenset(doubtful))
    if len(unknown) * len(missing) > MAX_COMPARED:
        return Names(renamed=renamed, doubtful=frozenset({*doubtful, *unknown}))
    near, unsure = _by_spelling(unknown, missing, [*present, *renamed.values()])
    return Names(renamed=renamed | near, doubtful=frozenset(doubtful | unsure))


def _by_form(unknown: Sequence[str], missing: Sequence[str], present: Iterable[str]) -> tuple[dict[str, str], set[str]]:
    forms = {name: spelling.joined(name) for name in (*unknown, *missing)}
    wanted = Counter(forms[name] for name in missing)
    given = Counter(forms[name] for name in unknown)
    by_form = {forms[name]: name for name in missing}
    there = {spelling.joined(name) for name in present}
    renamed, doubtful = dict[str, str](), set[str]()
    for name in unknown:
        form = forms[name]
        if form in there:
            doubtful.add(name)
        elif wanted[form] == 1 and given[form] == 1:
            renamed[name] = by_form[form]
        elif wanted[form]:
            doubtful.add(name)
    return renamed, doubtful


def _by_spelling(
    unknown: Sequence[str], missing: Sequence[str], others: Sequence[str]
) -> tuple[dict[str, str], set[str]]:
    forms = {spelling.joined(name): name for name in missing}
    labels = [*forms, *map(spelling.joined, others)]
    meant = {name: spelling.closest(spelling.joined(name), labels) for name in unknown}
    often = Counter(meant.values())
    renamed, doubtful = dict[str, str](), set[str]()
    for name, form in meant.items():
        if form in forms and often[form] == 1 and not _rivalled(name, form, unknown) and _is_slip(name, forms[form]):
            renamed[name] = forms[form]
        elif form in forms or (form is None and spelling.is_near(spelling.joined(name), forms)):
            doubtful.add(name)
    return renamed, doubtful


def _is_slip(name: str, other: str) -> bool:
    """Whether a slip may have made the one of the other, each taken as its words and as one word.

    Both have the same words of one letter: `option_a` is not `option_b`.
    """
    if _LETTERS.findall(_HUMP.sub("_", name)) != _LETTERS.findall(_HUMP.sub("_", other)):
        return False
    if are_confused(_plain_words(name), _plain_words(other)):
        return False
    joined, label = spelling.joined(name), spelling.joined(other)
    return spelling.is_slip(joined, label) and not spelling.replaces(joined, label, _words(name), _words(other))


def _words(name: str) -> list[tuple[int, int]]:
    """Where words begin and end in the name without what parts them."""
    return list(pairwise(accumulate(map(len, _plain_words(name)), initial=0)))


def _plain_words(name: str) -> list[str]:
    return spelling.plain(_HUMP.sub("_", name)).split(" ")


def _rivalled(name: str, form: str, unknown: Sequence[str]) -> bool:
    """Whether another unknown name is as near to the property."""
    return any(spelling.is_near(spelling.joined(other), [form]) for other in unknown if other != name)
