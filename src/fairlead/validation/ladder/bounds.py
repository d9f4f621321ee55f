"""What a schema may have in it: its limits, its references, and the schemas in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64
MAX_NODES: Final = 5_000
"""Subschemas; what else takes time or memory to compile counts as several, see `fairlead.validation.ladder.cost`."""
MAX_LOOKS: Final = 50_000
"""How many subschemas one path of a value may meet, where subschemas are shared."""

ONE: Final = ("not", "if", "then", "else")
MANY: Final = ("allOf", "anyOf", "oneOf")
BELOW_ONE: Final = (
    "additionalProperties",
    "additionalItems",
    "contains",
    "items",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
BELOW_MANY: Final = ("prefixItems", "items")
BELOW_NAMED: Final = ("properties", "patternProperties")
NAMED: Final = ("$defs", "definitions", "dependentSchemas", "dependencies")

Schema = Mapping[str, Any]
WholeSchema = Mapping[str, Any] | bool


class InvalidSchema(ValueError):
    """The schema is none, or one that is not worked with; the message says where and why."""


def target(root: Any, reference: Any) -> Any:
    """What a reference within the schema refers to.

    Raises:
        InvalidSchema: it leaves the schema, or there is nothing.
    """
    if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
        raise InvalidSchema(
            f"the reference {_clipped(reference)} leaves the schema; put what it refers to into `$defs`"
        )
    found = root
    for token in reference[2:].split("/") if len(reference) > 1 else []:
        found = _step(found, _unescaped(token), reference)
    if not isinstance(found, Mapping | bool):
        raise InvalidSchema(f"the reference {_clipped(reference)} refers to what is no schema")
    return found


def _step(found: Any, token: str, reference: str) -> Any:
    if isinstance(found, Mapping) and token in found:
        return found[token]
    if isinstance(found, list) and token.isdecimal() and int(token[:9]) < len(found):
        return found[int(token)]
    raise InvalidSchema(f"the reference {_clipped(reference)} refers to nothing in the schema")


def _unescaped(token: str) -> str:
    if "%" in token:
        from urllib.parse import unquote  # noqa: PLC0415 - rare, and not needed to import this

        token = unquote(token)
    return token.replace("~1", "/").replace("~0", "~")


def _clipped(value: Any) -> str:
    text = str(value)
    return repr(text if len(text) <= 80 else text[:77] + "...")


def same_place(root: Any, schema: Schema) -> Iterator[Any]:
    """The subschemas that are held against the same value as this one."""
    if "$ref" in schema:
        yield target(root, schema["$ref"])
    for name in MANY:
        members = schema.get(name)
        if isinstance(members, list):
            yield from members
    for name in ONE:
        if name in schema:
            yield schema[name]
    dependent = schema.get("dependentSchemas")
    if isinstance(dependent, Mapping):
        yield from dependent.values()


def below(schema: Schema) -> Iterator[Any]:
    """The subschemas that are held against parts of the value."""
    for name in BELOW_ONE:
        if isinstance(schema.get(name), Mapping):
            yield schema[name]
    for name in BELOW_MANY:
        if isinstance(schema.get(name), list):
            yield from schema[name]
    for name in BELOW_NAMED:
        if isinstance(schema.get(name), Mapping):
            yield from schema[name].values()
