"""What a schema may cost: its size, its references, and how often one value is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 64
MAX_NODES: Final = 5_000
MAX_LOOKS: Final = 50_000
"""How many subschemas one path of a value may meet, where subschemas are shared."""

ONE: Final = ("not", "if", "then", "else")
MANY: Final = ("allOf", "anyOf", "oneOf")
_BELOW_ONE: Final = (
    "additionalProperties",
    "additionalItems",
    "contains",
    "items",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
)
_BELOW_MANY: Final = ("prefixItems", "items")
_BELOW_NAMED: Final = ("properties", "patternProperties")
_NAMED: Final = ("$defs", "definitions", "dependentSchemas")
_UNREAD: Final = ("$dynamicRef", "$recursiveRef")

Schema = Mapping[str, Any]
WholeSchema = Mapping[str, Any] | bool


class InvalidSchema(ValueError):
    """The schema is none, or one that is not worked with; the message says where and why."""


def check(root: Any) -> None:
    """Refuse a schema that is too large, refers to what is not in it, or has loops that lead nowhere.

    Raises:
        InvalidSchema: which it is, and where.
    """
    _check_depth(root)
    _Walk(root).run()


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


def _check_depth(root: Any) -> None:
    level = [root]
    for _ in range(MAX_DEPTH + 1):
        level = [
            child
            for value in level
            if isinstance(value, Mapping | list)
            for child in (value.values() if isinstance(value, Mapping) else value)
        ]
        if not level:
            return
    raise InvalidSchema(f"the schema is nested deeper than {MAX_DEPTH} levels; put parts of it into `$defs`")


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


def _below(schema: Schema) -> Iterator[Any]:
    """The subschemas that are held against parts of the value."""
    for name in _BELOW_ONE:
        if isinstance(schema.get(name), Mapping):
            yield schema[name]
    for name in _BELOW_MANY:
        if isinstance(schema.get(name), list):
            yield from schema[name]
    for name in _BELOW_NAMED:
        if isinstance(schema.get(name), Mapping):
            yield from schema[name].values()


class _Walk:
    """Over each subschema once, children before parents, without recursion."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._looks: dict[int, int] = {}
        self._place: dict[int, int] = {}
        """On the way to where the walk is: how many steps down the value it lies."""

    def run(self) -> None:
        queue = [self._root]
        seen: set[int] = set()
        while queue:
            schema = queue.pop()
            if not isinstance(schema, Mapping) or id(schema) in seen:
                continue
            seen.add(id(schema))
            if len(seen) > MAX_NODES:
                raise InvalidSchema(f"the schema has more than {MAX_NODES} subschemas")
            self._check_words(schema)
            queue.extend(same_place(self._root, schema))
            queue.extend(_below(schema))
            for name in _NAMED:
                if isinstance(schema.get(name), Mapping):
                    queue.extend(schema[name].values())
        self._count(self._root)

    def _check_words(self, schema: Schema) -> None:
        for word in _UNREAD:
            if word in schema:
                raise InvalidSchema(f"`{word}` is not worked with; refer to `$defs` with `$ref`")
        if "$id" in schema and schema is not self._root:
            raise InvalidSchema("a subschema with an `$id` of its own is not worked with; leave the `$id` out")

    def _count(self, root: Any) -> None:
        """How many subschemas are met on one path of a value; a schema that comes back below itself counts once."""
        stack: list[tuple[Any, int, bool]] = [(root, 0, False)]
        while stack:
            schema, place, done = stack.pop()
            if not isinstance(schema, Mapping):
                continue
            if done:
                del self._place[id(schema)]
                self._looks[id(schema)] = self._sum(schema)
            elif id(schema) in self._place:
                if self._place[id(schema)] == place:
                    raise InvalidSchema("a `$ref` leads back to itself without a step into the value")
            elif id(schema) not in self._looks:
                self._place[id(schema)] = place
                stack.append((schema, place, True))
                stack.extend((child, place, False) for child in same_place(self._root, schema))
                stack.extend((child, place + 1, False) for child in _below(schema))

    def _sum(self, schema: Schema) -> int:
        here = sum(self._looks.get(id(child), 1) for child in same_place(self._root, schema))
        deeper = max((self._looks.get(id(child), 1) for child in _below(schema)), default=0)
        if 1 + here + deeper > MAX_LOOKS:
            raise InvalidSchema("the schema refers to the same parts too many times over; flatten its unions")
        return 1 + here + deeper
