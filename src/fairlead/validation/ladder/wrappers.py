"""What models put around an answer that was not asked for."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final

import msgspec

from fairlead.core.jsonx import whole

MAX_LAYERS: Final = 3

_ARGUMENTS: Final = ("arguments", "parameters", "input")
_CALL: Final = frozenset({"name", "type", "id", "function", "call_id", *_ARGUMENTS})
_NO_ANSWERS: Final = frozenset(
    [
        "$defs",
        "apology",
        "definitions",
        "draft",
        "error",
        "errors",
        "example",
        "examples",
        "message",
        "not",
        "question",
        "reasoning",
        "refusal",
        "schema",
        "template",
        "thinking",
        "thought",
        "thoughts",
    ]
)
"""Names under which something stands that is no answer."""


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in a wrapper."""

    kind: str
    value: Any


def opened(value: Any, names: Collection[str]) -> Layer | None:
    """What stands in the wrapper that this value is; `None` where it is none.

    Args:
        names: the properties that the schema has: one of them is no wrapper.
    """
    if isinstance(value, list):
        return Layer(kind="single_element", value=value[0]) if len(value) == 1 else None
    if isinstance(value, str):
        return _encoded(value)
    if not isinstance(value, dict):
        return None
    if len(value) == 1:
        name, inner = next(iter(value.items()))
        return None if name.casefold() in _NO_ANSWERS or name in names else Layer(kind="wrapper", value=inner)
    return _called(value)


def _called(value: dict[str, Any]) -> Layer | None:
    """The arguments of a call of a tool."""
    if not value.keys() <= _CALL:
        return None
    held = [name for name in _ARGUMENTS if name in value]
    if len(held) == 1 and isinstance(value.get("name"), str) and isinstance(value[held[0]], dict | str):
        return Layer(kind="tool_call", value=value[held[0]])
    if not held and isinstance(value.get("function"), dict):
        return Layer(kind="tool_call", value=value["function"])
    return None


def _encoded(value: str) -> Layer | None:
    """JSON in a string."""
    if not value.strip().startswith(("{", "[", '"')):
        return None
    try:
        return Layer(kind="encoded_twice", value=whole(value))
    except ValueError:
        return None
