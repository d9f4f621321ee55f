"""Schemas within a schema: found by where they stand, so that a property named `default` is no keyword."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

Schema = dict[str, Any]

DEFS = ("$defs", "definitions")
_MAPS = frozenset({"properties", "patternProperties", "dependentSchemas", *DEFS})
_LISTS = frozenset({"anyOf", "oneOf", "allOf", "prefixItems", "items"})
_SINGLE = frozenset(
    {"items", "additionalItems", "additionalProperties", "not", "if", "then", "else", "contains", "propertyNames",
     "unevaluatedItems", "unevaluatedProperties"}
)  # fmt: skip


def inner(schema: Schema) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The schemas right in a schema, each with its way there."""
    for name, value in schema.items():
        if name in _MAPS and isinstance(value, dict):
            yield from (((name, each), found) for each, found in value.items())
        elif name in _LISTS and isinstance(value, list):
            yield from (((name, str(index)), found) for index, found in enumerate(value))
        elif name in _SINGLE:
            yield (name,), value


def rewritten(schema: Any, change: Callable[[Schema, str], Schema], at: str = "") -> Any:
    """A schema with `change` made to it and to each in it; `change` is told where that is."""
    if not isinstance(schema, dict):
        return schema
    changed = change(schema, at)
    found = {name: _copied(value) if name in _MAPS | _LISTS else value for name, value in changed.items()}
    for way, each in inner(changed):
        new = rewritten(each, change, "/".join((at, *map(escaped, way))))
        if len(way) == 1:
            found[way[0]] = new
        else:
            holder = found[way[0]]
            holder[int(way[1]) if isinstance(holder, list) else way[1]] = new
    return found


def references(schema: Any) -> Iterator[str]:
    """All references in a schema."""
    if isinstance(schema, dict):
        if isinstance(schema.get("$ref"), str):
            yield schema["$ref"]
        for _, each in inner(schema):
            yield from references(each)


def resolved(asked: Schema, target: str) -> Schema | None:
    """What a reference within a schema names; `None`: nothing."""
    if target != "#" and not target.startswith("#/"):
        return None
    found: Any = asked
    for name in target[2:].split("/") if target != "#" else ():
        found = found.get(name.replace("~1", "/").replace("~0", "~")) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def is_recursive(asked: Schema) -> bool:
    """Whether a reference leads back to where it stands, or where that cannot be told."""
    named = {f"#/{defs}/{escaped(name)}": each for defs in DEFS for name, each in _items(asked.get(defs))}
    refs = {name: set(references(each)) for name, each in named.items()}
    refs["#"] = set(references(without(asked, *DEFS)))
    path, done = {"#"}, set[str]()
    stack = [("#", iter(refs["#"]))]
    while stack:
        here, following = stack[-1]
        target = next(following, None)
        if target is None:
            stack.pop()
            path.discard(here)
            done.add(here)
        elif target in path or target not in refs:
            return True
        elif target not in done:
            path.add(target)
            stack.append((target, iter(refs[target])))
    return False


def under_value(schema: Schema) -> Schema:
    """An object with the schema as its only property; what is defined stays at the root."""

    def moved(each: Schema, _: str) -> Schema:
        target = each.get("$ref")
        if (
            not isinstance(target, str)
            or not target.startswith("#")
            or target.startswith(("#/$defs/", "#/definitions/"))
        ):
            return each
        return {**each, "$ref": f"#/properties/value{target[1:]}"}

    kept = {name: {each: rewritten(found, moved) for each, found in _items(schema.get(name))} for name in DEFS}
    return {
        **only(schema, "$schema"),
        "type": "object",
        "properties": {"value": rewritten(without(schema, *DEFS, "$schema"), moved)},
        "required": ["value"],
        **{name: found for name, found in kept.items() if found},
    }


def escaped(name: str) -> str:
    """A name as a part of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def without(schema: Schema, *names: str) -> Schema:
    """A schema but for some keywords."""
    return {name: value for name, value in schema.items() if name not in names}


def only(schema: Schema, *names: str) -> Schema:
    """Of a schema some keywords, and no others."""
    return {name: value for name, value in schema.items() if name in names}


def _items(named: Any) -> Iterator[tuple[str, Any]]:
    yield from named.items() if isinstance(named, dict) else ()


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, dict | list) else value
