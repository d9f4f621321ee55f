"""Which of the values that a schema lists was meant."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from fairlead.validation import spelling, words

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
        "result",
        "status",
        "type",
        "value",
        "verdict",
        "output",
        "response",
    ]
)
_MARKUP: Final = " \t\r\n*_`\"'\u201c\u201d\u2018\u2019"


def option(value: Any, options: Sequence[Any], name: str | None) -> tuple[str, Any] | None:
    """What was done and the option that was meant; `None` where it is none of them, or not only one.

    Args:
        name: the property that the value stands in.
    """
    if isinstance(value, str):
        texts = [each for each in options if isinstance(each, str)]
        found = _of_texts(value, texts, name) or _of_others(value, options)
    elif isinstance(value, bool) or value is None:
        found = ("as_text", str(value).lower()) if isinstance(value, bool) and str(value).lower() in options else None
    elif isinstance(value, int | float):
        found = ("as_text", str(value)) if isinstance(value, int) and str(value) in options else None
    else:
        found = None
    return found


def bare(text: str) -> str:
    """The text without markup, quotes, and a full stop."""
    stripped = text.strip(_MARKUP)
    return stripped[:-1].rstrip(_MARKUP) if stripped.endswith(".") and not stripped.endswith("..") else stripped


def _of_texts(value: str, texts: Sequence[str], name: str | None) -> tuple[str, str] | None:
    if not texts or len(value) > 10 * spelling.MAX_CHARS:
        return None
    by_form: dict[str, list[str]] = {}
    for text in texts:
        by_form.setdefault(spelling.plain(text), []).append(text)
    forms = [("case", spelling.plain(value)), ("label", spelling.plain(bare(value)))]
    forms += [("label", form) for form in _unlabelled(value, name)]
    for kind, form in forms:
        if form in by_form:
            return (kind, by_form[form][0]) if len(by_form[form]) == 1 else None
    if words.is_nothing(value):
        return None
    near = spelling.nearest(spelling.plain(bare(value)), list(by_form))
    return ("spelling", by_form[near][0]) if near is not None and len(by_form[near]) == 1 else None


def _unlabelled(value: str, name: str | None) -> list[str]:
    """The value without the label in front of it or behind it, where that is the name of what it is."""
    named = {spelling.plain(name)} if name else set[str]()
    found: list[str] = []
    match = _LABELLED.fullmatch(value.strip(_MARKUP))
    if match and spelling.plain(match["label"]) in named | _GENERAL:
        found.append(spelling.plain(bare(match["rest"])))
    plain = spelling.plain(bare(value))
    for label in named:
        if plain.startswith(f"{label} "):
            found.append(plain.removeprefix(f"{label} "))
        if plain.endswith(f" {label}"):
            found.append(plain.removesuffix(f" {label}"))
    return found


def _of_others(value: str, options: Sequence[Any]) -> tuple[str, Any] | None:
    """A number or boolean that the text names."""
    if any(isinstance(each, bool) for each in options):
        try:
            meant = words.boolean(value)
        except words.Unclear:
            return None
        others = [each for each in options if isinstance(each, int | float) and not isinstance(each, bool)]
        return ("boolean_words", meant) if not others and any(each is meant for each in options) else None
    numbers = [each for each in options if isinstance(each, int | float)]
    if numbers:
        try:
            number = words.number(value, whole=all(isinstance(each, int) for each in numbers))
        except words.Unclear:
            return None
        return next((("number_words", each) for each in numbers if each == number), None)
    if None in options and words.is_nothing(value):
        return ("null", None)
    return None
