"""A text that does not say which value it is."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

MOST_CHARS = 400
"""The longest text that is read as a value; the longest address of e-mail has 254."""

Normaliser = Callable[[Any, str | None], Any]
"""Takes a value and a locale or `None`; returns the normal form as a JSON value, or raises `Unclear`."""

_SPACE = re.compile(r"\s+")
_MINUS = {ord(dash): "-" for dash in "−‐‑﹣-"}  # noqa: RUF001 - the hyphens and minus signs that are written for `-`


class Unclear(ValueError):
    """A value has no reading, or more than one; the message says what would be clear."""


def tidy(value: Any, wanted: str) -> str:
    """A text with plain spaces and minus signs, none at its ends.

    Args:
        wanted: what is asked for, such as `a time of day`; stands in the error.

    Raises:
        Unclear: no text, an empty one, or a very long one.
    """
    if not isinstance(value, str):
        raise Unclear(f"must be {wanted}, written as a string")
    if len(value) > MOST_CHARS:
        raise Unclear(f"must be {wanted}; it is longer than {MOST_CHARS} characters")
    text = _SPACE.sub(" ", value.translate(_MINUS)).strip()
    if not text:
        raise Unclear(f"must be {wanted}; it is empty")
    return text
