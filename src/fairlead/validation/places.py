"""Where in an answer something is wrong, told without what the model wrote: an object with free names may have any."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

import msgspec

from fairlead.call import Request
from fairlead.types import Chat
from fairlead.validation.expected import MOST_BYTES

_ANY: Final = "*"
_NAMING: Final = ("properties", "dependentRequired", "dependentSchemas", "dependencies")
"""Keywords whose values are objects with the names of properties."""


def told_names(request: Request) -> frozenset[str]:
    """The names of properties in all schemas that the request holds its answer to."""
    schemas = [] if request.wanted is None else [request.wanted.schema]
    if isinstance(request.chat, Chat):
        schemas += [bytes(tool.parameters) for tool in request.chat.tools if tool.parameters is not None]
    left = MOST_BYTES
    names: set[str] = set()
    for schema in schemas:
        left -= len(schema)
        if left < 0:  # more than answers are held to
            break
        names.update(_names(schema))
    return frozenset(names)


def told_place(path: str, names: Collection[str]) -> str:
    """A JSON Pointer with `*` for each step that is none of the names: an element of a list, or what the model wrote."""
    steps = path.split("/")
    return "/".join(steps[:1] + [step if _unescaped(step) in names else _ANY for step in steps[1:]])


def _names(schema: bytes) -> Iterator[str]:
    """The names of properties anywhere in a schema; none where it is not JSON."""
    try:
        left: list[Any] = [msgspec.json.decode(schema)]
    except (msgspec.DecodeError, RecursionError):
        return
    while left:
        node = left.pop()
        if isinstance(node, list):
            left += node
        elif isinstance(node, dict):
            for keyword in _NAMING:
                named = node.get(keyword)
                yield from named if isinstance(named, dict) else ()
            required = node.get("required")
            yield from filter(_is_name, required if isinstance(required, list) else ())
            left += node.values()


def _is_name(value: object) -> bool:
    return isinstance(value, str)


def _unescaped(step: str) -> str:
    return step.replace("~1", "/").replace("~0", "~")
