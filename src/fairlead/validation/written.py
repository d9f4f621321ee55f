"""Numbers as they stand in the text, of which a parser keeps only the value."""

from __future__ import annotations

import re
from functools import cached_property

import msgspec

from fairlead.validation.words import Unclear

_NUMBER = re.compile(r"(?<![\w.])-?[0-9]+\.[0-9]+(?![\w.])|-?[0-9]+(?:\.[0-9]+)?[eE][+-]?[0-9]+")


class Written:
    """The numbers with a fraction that a text holds."""

    def __init__(self, text: str) -> None:
        self._text = text

    @cached_property
    def _tokens(self) -> dict[float, set[str]]:
        found: dict[float, set[str]] = {}
        for token in _NUMBER.findall(self._text):
            found.setdefault(float(token), set()).add(token)
        return found

    def as_string(self, value: float) -> str:
        """A number or boolean as JSON writes it.

        Raises:
            Unclear: it was written in more than one way, such as 1.1 and 1.10.
        """
        if not isinstance(value, float):
            return msgspec.json.encode(value).decode()
        tokens = self._tokens.get(value, set()) or {repr(value)}
        if len(tokens) > 1 or any("e" in token.casefold() for token in tokens):
            raise Unclear("is a number that can be written in more than one way")
        return next(iter(tokens))
