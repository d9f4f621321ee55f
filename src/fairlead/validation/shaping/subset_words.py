"""What a keyword of a schema says, in words for a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

_MOST = 500
"""Characters of one such sentence."""
_SAYS: Mapping[str, str] = {
    "minLength": "at least {} characters",
    "maxLength": "at most {} characters",
    "pattern": "matches the regular expression {}",
    "format": "in the format {}",
    "minimum": "at least {}",
    "maximum": "at most {}",
    "exclusiveMinimum": "more than {}",
    "exclusiveMaximum": "less than {}",
    "multipleOf": "a multiple of {}",
    "minItems": "at least {} items",
    "maxItems": "at most {} items",
    "minProperties": "at least {} properties",
    "maxProperties": "at most {} properties",
    "default": "{} by default",
    "const": "always {}",
    "enum": "one of {}",
}


def said(keyword: str, value: Any) -> str | None:
    """The words for it; `None` where there are none, or too many."""
    if keyword == "uniqueItems":
        return "no item twice" if value is True else None
    says = _SAYS.get(keyword)
    if says is None:
        return None
    told = value if keyword in {"pattern", "format"} and isinstance(value, str) else msgspec.json.encode(value).decode()
    text = says.format(told)
    return text if len(text) <= _MOST else None
