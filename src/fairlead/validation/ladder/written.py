"""Numbers as they stand in the text, of which a parser keeps only the value."""

from __future__ import annotations

import re
from functools import cached_property

import msgspec

from fairlead.validation.ladder.words import Unclear

_MAX_CHARS = 100
_DIGITS = r"[0-9]++(?:_[0-9]++)*+"
_NUMBER = re.compile(
    rf"""(?<![\w.+"'\-])[+-]?(?:0[xX][0-9a-fA-F]++|(?:{_DIGITS}(?:\.(?:{_DIGITS})?+)?+|\.{_DIGITS})(?:[eE][+-]?[0-9]++)?+)"""
    r"""(?![\w"'-])(?<!\.(?=\s*[^\s,\]}]))(?<!\.(?=\s*\Z))"""
)
"""A point at the end of one is part of it where JSON goes on behind it."""


class Written:
    """The numbers without quotes that a text holds.

    Args:
        text: `None` where it is not at hand.
    """

    def __init__(self, text: str | None) -> None:
        self._text = text

    @cached_property
    def _tokens(self) -> dict[float, set[str]]:
        found: dict[float, set[str]] = {}
        for match in _NUMBER.finditer(self._text or ""):
            token = match[0]
            if len(token) <= _MAX_CHARS:
                found.setdefault(_value(token), set()).add(token)
        return found

    def as_string(self, value: float) -> str:
        """A number as the text writes it, a boolean as JSON does.

        Raises:
            Unclear: the text writes it in several ways, or it is not known how.
        """
        written = msgspec.json.encode(value).decode()
        if isinstance(value, bool):
            return written
        tokens = self._tokens.get(value, set())
        if len(tokens) > 1:
            raise Unclear("is a number that the text writes in several ways")
        if not tokens and (isinstance(value, float) or self._text is not None):
            raise Unclear("is a number of which it is not known how the text writes it")
        return next(iter(tokens), written)


def _value(token: str) -> float:
    plain = token.replace("_", "")
    if "x" in plain or "X" in plain:
        return int(plain, 16)
    return float(plain) if set(plain) & set(".eE") else int(plain)
