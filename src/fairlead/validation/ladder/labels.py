"""Which of the values that a schema lists was meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from fairlead.validation.ladder import spelling, words

_LABELLED = re.compile(r"\s*(?P<label>[^\W\d][\w /_-]{0,30}?)\s*[:=]\s*(?P<rest>\S.*)", re.DOTALL)
_GENERAL: Final = frozenset(
    [
        "answer",
        "category",
        "choice",
        "class",
        "label",
        "level",
        "option",
        "output",
        "response",
        "result",
        "status",
        "type",
        "value",
        "verdict",
    ]
)
_MARKUP: Final = " \t\r\n*_`\"'\u201c\u201d\u2018\u2019"

Meant = tuple[str, Any]
"""What was done to a value, and what it means."""


def bare(text: str) -> str:
    """The text without markup, quotes, and a full stop or exclamation mark."""
    stripped = text.strip(_MARKUP)
    ends = stripped.endswith((".", "!")) and not stripped.endswith(("..", "!!"))
    return stripped[:-1].rstrip(_MARKUP) if ends else stripped


class Listed:
    """The values of an `enum`, or of several `const`."""

    def __init__(self, options: Sequence[Any]) -> None:
        self.options = tuple(options)
        self._texts = [each for each in options if isinstance(each, str)]
        self._most_chars = max(2 * max(map(len, self._texts), default=0), 4 * spelling.MAX_CHARS)
        self._by_form: dict[str, list[str]] = {}
        for text in self._texts:
            self._by_form.setdefault(spelling.plain(text), []).append(text)

    def read(self, value: Any, name: str | None) -> Meant | None:
        """What the value means, spelt as it is; `None` where it is none of them, or not only one.

        Args:
            name: the property that the value stands in.
        """
        if isinstance(value, str):
            return self._label(value, name) or self._other(value)
        if isinstance(value, bool | int):
            text = str(value).lower()
            return ("as_text", text) if text in self._texts else None
        return None

    def nearest(self, value: Any) -> Meant | None:
        """What the value means if it is spelt a little wrong."""
        if not isinstance(value, str) or len(value) > self._most_chars or words.is_nothing(value):
            return None
        if value.strip().startswith("_") != value.strip().endswith("_"):
            # A sign too many beside a letter that is wrong: two slips.
            return None
        near = spelling.nearest(spelling.plain(bare(value)), list(self._by_form))
        return ("spelling", self._by_form[near][0]) if near is not None and len(self._by_form[near]) == 1 else None

    def _label(self, value: str, name: str | None) -> Meant | None:
        if not self._texts or len(value) > self._most_chars:
            return None
        forms = [("case", spelling.plain(value)), ("label", spelling.plain(bare(value)))]
        forms += [("label", form) for form in _unlabelled(value, name)]
        for kind, form in forms:
            if form in self._by_form:
                return (kind, self._by_form[form][0]) if len(self._by_form[form]) == 1 else None
        joined = spelling.joined(value)
        alike = [text for form, texts in self._by_form.items() if form.replace(" ", "") == joined for text in texts]
        return ("case", alike[0]) if len(alike) == 1 else None

    def _other(self, value: str) -> Meant | None:
        """A boolean, number or null that the text names."""
        if None in self.options and words.is_nothing(value):
            return ("null", None)
        has_booleans = any(isinstance(each, bool) for each in self.options)
        numbers = [each for each in self.options if isinstance(each, int | float) and not isinstance(each, bool)]
        if has_booleans == bool(numbers):
            return None
        whole = all(isinstance(each, int) for each in numbers)
        try:
            meant = words.boolean(value) if has_booleans else words.number(value, whole=whole)
        except words.Unclear:
            return None
        kind = "boolean_words" if has_booleans else "number_words" if words.is_spelt(value) else "as_number"
        return next(((kind, each) for each in self.options if not isinstance(each, str) and each == meant), None)


def _unlabelled(value: str, name: str | None) -> list[str]:
    """The value without the label in front of it or behind it, where that is the name of what it is."""
    named = spelling.plain(name) if name else ""
    found: list[str] = []
    match = _LABELLED.fullmatch(value.strip(_MARKUP))
    if match and spelling.plain(match["label"]) in {named, *_GENERAL}:
        found.append(spelling.plain(bare(match["rest"])))
    plain = spelling.plain(bare(value))
    if named and plain.startswith(f"{named} "):
        found.append(plain.removeprefix(f"{named} "))
    if named and plain.endswith(f" {named}"):
        found.append(plain.removesuffix(f" {named}"))
    return found
