"""Numbers as they stand in the text, of which a parser keeps only the value."""

from __future__ import annotations

import re
from functools import cached_property

import msgspec

from fairlead.validation.ladder.words import Unclear

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
            Unclear: the text writes it in another way, such as 1.10, which may be a version.
        """
        if not isinstance(value, float):
            return msgspec.json.encode(value).decode()
        if self._tokens.get(value, set()) - {repr(value)}:
            raise Unclear("is a number that the text writes in another way than JSON")
        return repr(value)
