"""What models put around an answer that was not asked for."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

import msgspec

from fairlead.core.jsonx import whole

MAX_LAYERS: Final = 3
_MAX_NAME_CHARS: Final = 80
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_SEPARATORS = re.compile(r"[\s_\-./]+")

_ARGUMENTS: Final = ("arguments", "parameters", "input")
_CALL: Final = frozenset({"name", "type", "id", "function", "call_id", *_ARGUMENTS})
_MEANINGLESS: Final = frozenset(
    [
        "answer",
        "answers",
        "arguments",
        "array",
        "args",
        "body",
        "content",
        "data",
        "element",
        "elements",
        "extract",
        "extracted",
        "extraction",
        "final",
        "input",
        "integers",
        "item",
        "items",
        "json",
        "label",
        "list",
        "numbers",
        "object",
        "objects",
        "output",
        "outputs",
        "parameters",
        "params",
        "parsed",
        "payload",
        "properties",
        "record",
        "records",
        "response",
        "responses",
        "result",
        "results",
        "return",
        "returned",
        "returns",
        "root",
        "strings",
        "structured",
        "the",
        "value",
        "values",
    ]
)
"""Names that say nothing of what stands under them, and the words of which such names are joined."""


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in a wrapper."""

    kind: str
    value: Any


def opened(value: Any, names: Collection[str], titles: Collection[str] = ()) -> Layer | None:
    """What stands in the wrapper that this value is; `None` where it is none.

    Args:
        names: the properties that the schema has: one of them is no wrapper.
        titles: what the schema is called: it means nothing as the name of a property.
    """
    if isinstance(value, list):
        return Layer(kind="single_element", value=value[0]) if len(value) == 1 else None
    if isinstance(value, str):
        return _encoded(value)
    if not isinstance(value, dict):
        return None
    if len(value) == 1:
        name, inner = next(iter(value.items()))
        return Layer(kind="wrapper", value=inner) if name not in names and is_meaningless(name, titles) else None
    return _called(value)


def is_meaningless(name: str, titles: Collection[str] = ()) -> bool:
    """Whether a name says nothing of what stands under it: `result`, `extracted_data`, what the schema is called."""
    words = _worded(name)
    for title in titles:
        # As a whole: a part of a title may say more than all of it.
        words = f" {words} ".replace(f" {_worded(title)} ", " ").strip() if title else words
    return bool(name.strip()) and len(name) <= _MAX_NAME_CHARS and _MEANINGLESS.issuperset(words.split())


def _worded(name: str) -> str:
    """The words of a name, in small letters with a space between them."""
    return " ".join(_SEPARATORS.sub(" ", _HUMP.sub(" ", name[: _MAX_NAME_CHARS + 1])).casefold().split())


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
