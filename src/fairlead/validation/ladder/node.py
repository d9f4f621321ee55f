"""One place of a schema: what may stand there, with references, `allOf` and unions resolved as far as they are met."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fairlead.validation.ladder.bounds import WholeSchema, same_place, target
from fairlead.validation.ladder.labels import Listed

if TYPE_CHECKING:
    from jsonschema_rs import Validator

    from fairlead.validation.fields.normalise import Normaliser

_KINDS: Final = {str: "string", bool: "boolean", int: "integer", dict: "object", list: "array", type(None): "null"}
_LOCAL: Final = frozenset(
    {
        "const",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "pattern",
        "uniqueItems",
    }
)
"""Keywords that look at a value alone, and not at its parts."""
_SHAPED: Final = frozenset({"const", "enum", "format", "pattern", "x-fairlead-type"})
_REST: Final = ("additionalProperties", "unevaluatedProperties")
_DECIMALS: Final = ("1", "1.5")
_NO_DECIMALS: Final = ("", "a", "1a", "1,5", "1.2.3", "1-5", "1:5", "1 5", "1/5")
_MAX_NODES: Final = 20_000


def kind_of(value: Any) -> str:
    """The JSON type of a value; a number without a fraction is an integer."""
    if isinstance(value, float):
        return "integer" if math.isfinite(value) and value.is_integer() else "number"
    return _KINDS.get(type(value), "unknown")


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal; `true` is not 1, and 1.0 is."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


class Discriminator(msgspec.Struct, frozen=True, kw_only=True):
    """The property that says which member of a union an object is."""

    name: str
    listed: Listed
    branches: tuple[Node, ...]


class Node:
    """A place of a schema.

    Args:
        parts: the subschemas that hold there, with those that they refer to and those of `allOf`.
        kind: the one JSON type that is looked at, of several.
        taken: the unions of which a member stands among the parts.
    """

    def __init__(
        self, root: Any, known: dict[Any, Node], parts: tuple[Any, ...], kind: str | None, taken: frozenset[int]
    ) -> None:
        self._root = root
        self._known = known
        self._all = parts
        self.parts: tuple[Mapping[str, Any], ...] = tuple(part for part in parts if isinstance(part, Mapping))
        self._kind = kind
        self._children: dict[str, Node] = {}
        self._taken = taken

    @staticmethod
    def of(schema: WholeSchema) -> Node:
        """The node of a whole schema."""
        return _node(schema, {}, (schema,), None, frozenset())

    def _at(self, *schemas: Any) -> Node:
        return _node(self._root, self._known, schemas, None, frozenset())

    @property
    def never(self) -> bool:
        """Whether nothing fits."""
        return False in self._all or self.kinds == frozenset()

    @property
    def is_anything(self) -> bool:
        """Whether the schema says nothing of what stands here."""
        return not self._all and self._kind is None

    @cached_property
    def kinds(self) -> frozenset[str] | None:
        """The JSON types that may stand here, `None` for any; numbers include integers."""
        if self._kind is not None:
            return frozenset({self._kind})
        found: frozenset[str] | None = None
        for part in self.parts:
            named = part.get("type")
            if named is None:
                continue
            kinds = frozenset([named] if isinstance(named, str) else named)
            kinds = kinds | {"integer"} if "number" in kinds else kinds
            found = kinds if found is None else found & kinds
        if found is None and self.options is not None:
            found = frozenset(map(kind_of, self.options))
        if found is not None and "number" in found:
            found -= {"integer"}
        return found

    @cached_property
    def branches(self) -> tuple[Node, ...]:
        """The members of the union that stands here; empty where there is none."""
        for part in self.parts:
            for word in ("anyOf", "oneOf"):
                members = part.get(word)
                if isinstance(members, list) and id(members) not in self._taken:
                    return tuple(self._branch(part, members, member) for member in members)
        if self.kinds is not None and len(self.kinds) > 1:
            return tuple(_node(self._root, self._known, self._all, kind, self._taken) for kind in sorted(self.kinds))
        return ()

    def _branch(self, part: Mapping[str, Any], members: list[Any], member: Any) -> Node:
        if len(self._all) == 1 and self._kind is None and not _says_more(part):
            return self._at(member)
        return _node(self._root, self._known, (*self._all, member), self._kind, self._taken | {id(members)})

    @cached_property
    def options(self) -> tuple[Any, ...] | None:
        """The values that are listed, by `enum` or `const`; `None` where none are."""
        found: list[Any] | None = None
        for part in self.parts:
            listed = part.get("enum") if "enum" in part else [part["const"]] if "const" in part else None
            if isinstance(listed, list):
                found = listed if found is None else [one for one in found if any(same(one, each) for each in listed)]
        if found is None or self._kind is None:
            return None if found is None else tuple(found)
        return tuple(one for one in found if _is_kind(one, self._kind))

    @cached_property
    def listed(self) -> Listed:
        """The same values, for those that are not quite one of them."""
        return Listed(self.options or ())

    def lists(self, value: Any) -> bool:
        """Whether the value is one of those that are listed."""
        return any(same(value, option) for option in self.options or ())

    @cached_property
    def names(self) -> dict[str, None]:
        """The properties that the schema names, in its order."""
        return {name: None for part in self.parts for name in _mapping(part, "properties")}

    @cached_property
    def required(self) -> frozenset[str]:
        """The properties that must be there."""
        return frozenset(name for part in self.parts for name in part.get("required") or () if isinstance(name, str))

    @cached_property
    def is_closed(self) -> bool:
        """Whether other properties are forbidden."""
        return any(
            part.get("additionalProperties") is False or part.get("unevaluatedProperties") is False
            for part in self.parts
        )

    @cached_property
    def is_open(self) -> bool:
        """Whether other properties may be there, and the schema says nothing of them."""
        return not self.is_closed and not self.has_rest

    @cached_property
    def has_rest(self) -> bool:
        """Whether the schema says what other properties hold."""
        return any(isinstance(part.get(word), Mapping) and part[word] for part in self.parts for word in _REST)

    def knows(self, name: str) -> bool:
        """Whether the schema says something of a property of just this name."""
        return name in self.names or any(
            self._matches(pattern, name) for part in self.parts for pattern in _mapping(part, "patternProperties")
        )

    def child(self, name: str) -> Node:
        """What may stand in this property."""
        child = self._children.get(name)
        if child is None:
            child = self._at(*self._of_property(name))
            if name in self.names:
                self._children[name] = child
        return child

    def _of_property(self, name: str) -> list[Any]:
        found: list[Any] = []
        for part in self.parts:
            at = len(found)
            properties = _mapping(part, "properties")
            if name in properties:
                found.append(properties[name])
            found.extend(
                schema
                for pattern, schema in _mapping(part, "patternProperties").items()
                if self._matches(pattern, name)
            )
            if at == len(found) and isinstance(part.get("additionalProperties"), Mapping):
                found.append(part["additionalProperties"])
        return found

    def element(self, index: int) -> Node:
        """What may stand in this place of a list."""
        found: list[Any] = []
        for part in self.parts:
            items = part.get("items")
            first = part.get("prefixItems", items if isinstance(items, list) else [])
            rest = part.get("additionalItems") if isinstance(items, list) else items
            if index < len(first):
                found.append(first[index])
            elif isinstance(rest, Mapping | bool):
                found.append(rest)
        return self._at(*found)

    @property
    def is_object(self) -> bool:
        """Whether only objects fit."""
        return self.kinds == frozenset({"object"})

    @cached_property
    def is_tuple(self) -> bool:
        """Whether places in the list differ."""
        return any("prefixItems" in part or isinstance(part.get("items"), list) for part in self.parts)

    @cached_property
    def is_free_text(self) -> bool:
        """Whether any string fits."""
        return set(self.kinds or ()) == {"string"} and not any(_SHAPED & part.keys() for part in self.parts)

    @cached_property
    def is_decimal(self) -> bool:
        """Whether strings fit that are numbers, and no others."""
        if self.kinds != frozenset({"string"}) or self.check is None or not any("pattern" in p for p in self.parts):
            return False
        return all(map(self.check.is_valid, _DECIMALS)) and not any(map(self.check.is_valid, _NO_DECIMALS))

    @cached_property
    def locale(self) -> str | None:
        """The locale that the schema names for what stands here."""
        named = [part["x-fairlead-locale"] for part in self.parts if "x-fairlead-locale" in part]
        return named[0] if named and isinstance(named[0], str) else None

    @cached_property
    def default(self) -> Any:
        """The value where there is none; `msgspec.UNSET` where the schema says nothing."""
        for part in self.parts:
            if "default" in part:
                return part["default"]
        return msgspec.UNSET

    @cached_property
    def form(self) -> str:
        """The name of the form in which values are written."""
        for part in self.parts:
            if name := part.get("x-fairlead-type") or part.get("format"):
                return str(name)
        return "pattern"

    @cached_property
    def normaliser(self) -> Normaliser | None:
        """What writes a value in its one form."""
        from fairlead.validation.fields.normalise import normaliser_for  # noqa: PLC0415 - for schemas that have a format

        for part in self.parts:
            if _SHAPED & part.keys() and (found := normaliser_for(part)) is not None:
                return found
        return None

    @cached_property
    def check(self) -> Validator | None:
        """What holds a value to the keywords that look at it alone; `None` where there are none."""
        local = [{word: part[word] for word in _LOCAL & part.keys()} for part in self.parts]
        local = [part for part in local if part]
        if not local:
            return None
        return _compiled({"allOf": local} if len(local) > 1 else local[0])

    @cached_property
    def discriminator(self) -> Discriminator | None:
        """The property whose value tells the objects of this union apart, if there is one."""
        objects = [branch for branch in self.branches if branch.is_object and not branch.branches]
        if len(objects) < 2:
            return None
        for name in objects[0].names:
            labels = [_label(branch, name) for branch in objects]
            if None not in labels and len(set(labels)) == len(labels):
                known = tuple(label for label in labels if label is not None)
                return Discriminator(name=name, listed=Listed(known), branches=tuple(objects))
        return None

    def normalises_below(self) -> bool:
        """Whether any value at or below this place has a form in which it is written."""
        queue: list[Any] = [self._root]
        seen: set[int] = set()
        while queue:
            schema = queue.pop()
            if not isinstance(schema, Mapping) or id(schema) in seen:
                continue
            seen.add(id(schema))
            if _SHAPED & schema.keys() and self._at(schema).normaliser is not None:
                return True
            queue.extend(same_place(self._root, schema))
            queue.extend(_inside(schema))
        return False

    def _matches(self, pattern: str, name: str) -> bool:
        key = ("pattern", pattern)
        found: Any = self._known.get(key)
        if found is None:
            found = self._known[key] = _compiled({"type": "string", "pattern": pattern})  # type: ignore[assignment]  # kept beside nodes
        return bool(found.is_valid(name))


def _node(root: Any, known: dict[Any, Node], schemas: tuple[Any, ...], kind: str | None, taken: frozenset[int]) -> Node:
    parts = tuple(_flat(root, schemas))
    key = (tuple(map(id, parts)), kind, taken)
    found = known.get(key)
    if found is None:
        if len(known) > _MAX_NODES:
            known.clear()
        found = known[key] = Node(root, known, parts, kind, taken)
    return found


def _flat(root: Any, schemas: tuple[Any, ...]) -> Iterator[Any]:
    """These schemas with what they refer to and all of `allOf`, each once."""
    queue, seen = list(reversed(schemas)), set[int]()
    while queue:
        schema = queue.pop()
        if schema is True or (id(schema) in seen and schema is not False):
            continue
        seen.add(id(schema))
        yield schema
        if isinstance(schema, Mapping):
            members = schema.get("allOf")
            queue.extend(reversed(members) if isinstance(members, list) else ())
            if "$ref" in schema:
                queue.append(target(root, schema["$ref"]))


def _inside(schema: Mapping[str, Any]) -> Iterator[Any]:
    for word in ("properties", "patternProperties"):
        yield from _mapping(schema, word).values()
    for word in ("additionalProperties", "items"):
        yield schema.get(word)
    for word in ("prefixItems", "items"):
        if isinstance(schema.get(word), list):
            yield from schema[word]


def _mapping(schema: Mapping[str, Any], word: str) -> Mapping[str, Any]:
    found = schema.get(word)
    return found if isinstance(found, Mapping) else {}


def _says_more(part: Mapping[str, Any]) -> bool:
    """Whether a schema with a union says anything beside it that a value can break."""
    unions = sum(word in part for word in ("anyOf", "oneOf"))
    others = {"$ref", "allOf", "type", "properties", "patternProperties", "additionalProperties", "required", "items"}
    return unions > 1 or bool((others | {"prefixItems", "x-fairlead-type"} | _LOCAL) & part.keys())


def _label(branch: Node, name: str) -> str | None:
    if name not in branch.names:
        return None
    options = branch.child(name).options
    return options[0] if options is not None and len(options) == 1 and isinstance(options[0], str) else None


def _is_kind(value: Any, kind: str) -> bool:
    found = kind_of(value)
    return found == kind or (found == "integer" and kind == "number")


def _compiled(schema: Mapping[str, Any]) -> Validator:
    import jsonschema_rs  # noqa: PLC0415 - a megabyte of code, for answers that have a schema

    from fairlead.validation.fields.normalise import FORMATS  # noqa: PLC0415 - as above

    return jsonschema_rs.Draft202012Validator(
        schema,  # type: ignore[arg-type]  # its stub asks for a dict where a mapping does
        formats=dict(FORMATS),
        validate_formats=True,
        offline=True,
        pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=10_000),
    )
