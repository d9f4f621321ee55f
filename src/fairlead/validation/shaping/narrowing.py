"""The walk through a schema that leaves a provider's part of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fairlead.validation.shaping.schema_walk import (
    DEFS,
    Schema,
    escaped,
    is_recursive,
    only,
    resolved,
    rewritten,
    under_value,
    without,
)
from fairlead.validation.shaping.subset import MANY_VALUES, MOST_DEPTH, Lost, Rules, Unfit
from fairlead.validation.shaping.subset_words import said

_BESIDE_REF = frozenset({"$ref", "$schema", "$id", "$comment", "$anchor", *DEFS})
_STRUCTURE = frozenset({"type", "enum", "anyOf", "oneOf", "allOf", "properties", "required", "items", "prefixItems"})
_NOTES = frozenset({"title", "description"})
_SILENT = frozenset(
    {"$schema", "$id", "$comment", "$anchor", "discriminator", "examples", "deprecated", "readOnly", "writeOnly"}
)
"""What constrains nothing: it goes without being named, as does what begins with `x-`."""
_OF: Mapping[str, frozenset[str]] = {
    "string": frozenset({"minLength", "maxLength", "pattern", "format", "contentEncoding", "contentMediaType"}),
    "number": frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "format"}),
    "array": frozenset(
        {"items", "prefixItems", "additionalItems", "minItems", "maxItems", "uniqueItems", "contains", "minContains",
         "maxContains", "unevaluatedItems"}
    ),
    "object": frozenset(
        {"properties", "required", "additionalProperties", "patternProperties", "propertyNames", "minProperties",
         "maxProperties", "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties",
         "propertyOrdering"}
    ),
}  # fmt: skip
_TYPED = frozenset[str]().union(*_OF.values())
_NULL: Schema = {"type": "null"}


class Narrowing:
    """One walk; `lost` is what it could not say, and `is_wider` whether more fits what it leaves."""

    def __init__(self, rules: Rules, asked: Schema) -> None:
        self.lost: list[Lost] = []
        self.is_wider = False
        self._rules = rules
        self._asked = asked
        self._properties = self._enum_values = self._optional = self._unions = self._characters = 0

    def root(self) -> Schema:
        """The whole schema.

        Raises:
            Unfit: the provider has no form for it.
        """
        rules, asked = self._rules, self._asked
        if not rules.definitions and "definitions" in asked:
            asked = self._asked = _renamed(asked)
        if not rules.recursive and is_recursive(asked):
            raise Unfit("recursion")
        body, at = _opened(asked)
        found = self._node(without(body, *DEFS), at, 1)
        defs = {name: self._definitions(name, asked[name]) for name in DEFS if name in asked}
        if rules.root_object and found.get("type") != "object":
            found = under_value({**found, **defs}) | {"additionalProperties": False}
            self.is_wider = True
        else:
            found |= defs
        self.lost = list(dict.fromkeys(self.lost))
        counted = (self._properties, self._enum_values, self._optional, self._unions, self._characters)
        limits = (rules.properties, rules.enum_values, rules.optional, rules.unions, rules.characters)
        if any(limit is not None and count > limit for count, limit in zip(counted, limits, strict=True)):
            raise Unfit("too large")
        return found

    def _definitions(self, name: str, named: Any) -> Schema:
        if not isinstance(named, dict):
            raise Unfit(name)
        self._characters += sum(map(len, named))
        return {each: self._node(found, f"/{name}/{escaped(each)}", 1) for each, found in named.items()}

    def _node(self, schema: Any, at: str, depth: int, level: int = 0) -> Schema:
        """One schema in the whole.

        Args:
            level: how many objects it stands in.
        """
        if depth > MOST_DEPTH or not isinstance(schema, dict):
            if schema is True and not self._rules.typed:
                return {}
            raise Unfit(at)
        if "allOf" in schema:
            schema = _merged(schema)
        if "$ref" in schema:
            return self._reference(schema, at)
        if any(defs in schema for defs in DEFS):
            raise Unfit(at)
        base = _STRUCTURE & schema.keys() - {"anyOf", "oneOf", "allOf"}
        unions = [name for name in ("anyOf", "oneOf") if name in schema]
        if unions and not base and len(unions) == 1:
            return self._union(schema, unions[0], at, depth, level)
        words = [self._drop(at, name, schema[name]) for name in unions]
        kinds = self._kinds(schema, at)
        if len(kinds) > 1 and not self._rules.type_lists and "enum" not in schema:
            split = [{**without(schema, *_NOTES, *unions), "type": kind} for kind in kinds]
            return self._union({**only(schema, *_NOTES), "anyOf": split}, "anyOf", at, depth, level, above=at)
        found: Schema = {}
        if len(kinds) == 1:
            found["type"] = kinds[0]
        elif kinds and self._rules.type_lists:
            found["type"] = list(kinds)
        if "object" in kinds:
            found |= self._object(schema, at, depth, level + 1)
        if "array" in kinds:
            found |= self._array(schema, at, depth, level)
        found |= self._values(schema, at)
        if "enum" in schema and "enum" not in found:
            words.append(self._drop(at, "enum", schema["enum"]))
        rest = [name for name in schema if name not in _STRUCTURE | _NOTES and name not in found]
        words += [word for name in rest for word in self._keyword(schema, name, at, kinds, found)]
        return self._described(found, schema, words)

    def _kinds(self, schema: Schema, at: str) -> tuple[str, ...]:
        """The types of a value, also where only other keywords tell them."""
        told = schema.get("type")
        if isinstance(told, str):
            return (told,)
        if isinstance(told, list) and told and all(isinstance(each, str) for each in told):
            return tuple(told)
        if "enum" in schema or "const" in schema:
            values = schema["enum"] if isinstance(schema.get("enum"), list) else [schema.get("const")]
            return tuple(dict.fromkeys(map(_kind, values))) if self._rules.typed or not self._rules.closed else ()
        kinds = tuple(kind for kind in ("object", "array") if _OF[kind] & schema.keys())
        if kinds or not self._rules.typed:
            return kinds
        raise Unfit(at)

    def _reference(self, schema: Schema, at: str) -> Schema:
        target = schema["$ref"]
        if not isinstance(target, str) or resolved(self._asked, target) is None:
            raise Unfit(at)
        words = [
            self._drop(at, name, value)
            for name, value in schema.items()
            if name not in _BESIDE_REF | _NOTES | _SILENT and not name.startswith("x-")
        ]
        beside = self._described({}, schema, words)
        # Nothing may stand beside a reference.
        return {"anyOf": [{"$ref": target}], **beside} if beside else {"$ref": target}

    def _union(self, schema: Schema, name: str, at: str, depth: int, level: int, above: str | None = None) -> Schema:
        members = schema[name]
        if not isinstance(members, list) or not members:
            raise Unfit(at)
        self._unions += 1
        kept = name if name == "anyOf" or self._rules.one_of else "anyOf"
        if kept != name:
            self.lost.append(Lost(at, name))
        each_at = [f"{at}/{name}/{index}" if above is None else above for index in range(len(members))]
        found = {
            kept: [self._node(each, where, depth + 1, level) for each, where in zip(members, each_at, strict=True)]
        }
        words = [
            self._drop(at, other, value)
            for other, value in schema.items()
            if other != name and other not in _NOTES | _SILENT and not other.startswith("x-")
        ]
        return self._described(found, schema, words)

    def _object(self, schema: Schema, at: str, depth: int, level: int) -> Schema:
        rules, named = self._rules, schema.get("properties", {})
        required = schema.get("required", [])
        if level > rules.levels or not isinstance(named, dict) or not isinstance(required, list):
            raise Unfit(at)
        if not all(isinstance(name, str) for name in required):
            raise Unfit(at)
        if rules.closed and (any(name not in named for name in required) or (not named and not _is_closed(schema))):
            raise Unfit(at)
        self._properties += len(named)
        self._characters += sum(map(len, named))
        found: Schema = {}
        properties = {
            name: self._node(each, f"{at}/properties/{escaped(name)}", depth + 1, level) for name, each in named.items()
        }
        if rules.all_required:
            nullable = {name: _nullable(each) for name, each in properties.items() if name not in required}
            self.is_wider |= any(each is not properties[name] for name, each in nullable.items())
            properties |= nullable
            required = list(properties)
        else:
            self._optional += len(properties.keys() - set(required))
        if "properties" in schema or rules.closed:
            found["properties"] = properties
        if "required" in schema or rules.all_required:
            found["required"] = required
        if rules.closed:
            if schema.get("additionalProperties", False) is not False:
                self.lost.append(Lost(at, "additionalProperties"))
            found["additionalProperties"] = False
        elif "additionalProperties" in schema:
            found["additionalProperties"] = self._further(schema["additionalProperties"], at, depth, level)
        return found

    def _further(self, schema: Any, at: str, depth: int, level: int) -> Any:
        if isinstance(schema, bool):
            return schema
        return self._node(schema, f"{at}/additionalProperties", depth + 1, level)

    def _array(self, schema: Schema, at: str, depth: int, level: int) -> Schema:
        found: Schema = {}
        first, items = schema.get("prefixItems"), schema.get("items")
        if isinstance(items, list) or (first is not None and (not self._rules.tuples or not isinstance(first, list))):
            raise Unfit(at)
        if first is not None:
            found["prefixItems"] = [
                self._node(each, f"{at}/prefixItems/{index}", depth + 1, level) for index, each in enumerate(first)
            ]
        if items is not None:
            found["items"] = self._node(items, f"{at}/items", depth + 1, level)
        elif self._rules.typed:
            raise Unfit(at)
        return found

    def _values(self, schema: Schema, at: str) -> Schema:
        """The members of an enum; a `const` is one of one where only that is known."""
        if "enum" in schema:
            values = schema["enum"]
        elif "const" in schema and "const" not in self._rules.keeps:
            values = [schema["const"]]
        else:
            return {}
        if not isinstance(values, list) or not values:
            raise Unfit(at)
        if not all(isinstance(each, str | int | float | None) for each in values):
            raise Unfit(at)
        if not all(type(each) in self._rules.enum_types for each in values):
            return {}
        characters = sum(len(each) for each in values if isinstance(each, str))
        most = self._rules.long_enum
        if most is not None and len(values) > MANY_VALUES and characters > most:
            raise Unfit(at)
        self._enum_values += len(values)
        self._characters += characters
        return {"enum": values}

    def _keyword(
        self, schema: Schema, name: str, at: str, kinds: tuple[str, ...], found: Schema
    ) -> Iterator[str | None]:
        """Keep one that says something of a single value, or give the words for it."""
        rules, value = self._rules, schema[name]
        broad = {"number" if kind == "integer" else kind for kind in kinds}
        if kinds and name in _TYPED and not any(name in _OF.get(kind, ()) for kind in broad):
            return  # it says nothing of such a value
        is_kept = name in rules.keeps
        if name == "format":
            is_kept = is_kept and isinstance(value, str) and value in rules.formats
        elif name == "minItems" and rules.least_items is not None:
            is_kept = is_kept and isinstance(value, int) and value <= rules.least_items
        if is_kept:
            found[name] = value
        elif name == "const" and "enum" in found:
            return
        elif (
            name not in _SILENT and not name.startswith("x-") and not (name == "additionalProperties" and rules.closed)
        ):
            yield self._drop(at, name, value)

    def _drop(self, at: str, name: str, value: Any) -> str | None:
        self.lost.append(Lost(at, name))
        return said(name, value)

    def _described(self, found: Schema, schema: Schema, words: list[str | None]) -> Schema:
        notes = [schema.get("description"), *words]
        text = "; ".join(dict.fromkeys(each for each in notes if isinstance(each, str) and each))
        more = {"title": schema["title"]} if isinstance(schema.get("title"), str) else {}
        return found | more | ({"description": text} if text else {})


def anchored(asked: Schema, lost: list[Lost]) -> Schema:
    """A schema without the patterns of which no grammar can be made: those that need not match a whole string."""

    def change(schema: Schema, at: str) -> Schema:
        pattern = schema.get("pattern")
        if not isinstance(pattern, str) or (pattern.startswith("^") and pattern.endswith("$")):
            return schema
        lost.append(Lost(at, "pattern"))
        notes = [note for note in (schema.get("description"), said("pattern", pattern)) if isinstance(note, str)]
        return {**without(schema, "pattern"), "description": "; ".join(notes)}

    found: Schema = rewritten(asked, change)
    return found


def _merged(schema: Schema) -> Schema:
    """The members of `allOf` in one, where they do not speak of the same thing.

    Raises:
        Unfit: they do.
    """
    found: Schema = {}
    properties: Schema = {}
    required: dict[str, None] = {}
    for member in _members(schema):
        for name, value in member.items():
            if name == "properties" and isinstance(value, dict) and properties.keys().isdisjoint(value):
                properties |= value
            elif name == "required" and isinstance(value, list) and all(isinstance(each, str) for each in value):
                required |= dict.fromkeys(value)
            elif name in {"properties", "required"} or (name not in _NOTES and found.get(name, value) != value):
                raise Unfit("allOf")
            else:
                found.setdefault(name, value)
    if properties:
        found["properties"] = properties
    if required:
        found["required"] = list(required)
    if "$ref" in found and found.keys() & (_STRUCTURE | {"additionalProperties"}):
        raise Unfit("allOf")
    return found


def _members(schema: Schema) -> Iterator[Schema]:
    """A schema without its `allOf`, and what stands in that, however deep."""
    yield without(schema, "allOf")
    inner = schema.get("allOf", [])
    if not isinstance(inner, list) or not all(isinstance(each, dict) for each in inner):
        raise Unfit("allOf")
    for each in inner:
        yield from _members(each)


def _nullable(schema: Schema) -> Schema:
    """A schema that also takes `null`."""
    kind = schema.get("type")
    if kind == "null" or (isinstance(kind, list) and "null" in kind):
        return schema
    if "anyOf" in schema:
        return schema if _NULL in schema["anyOf"] else {**schema, "anyOf": [*schema["anyOf"], _NULL]}
    if kind is None or "const" in schema:
        return {"anyOf": [without(schema, "description"), _NULL], **only(schema, "description")}
    kinds = [kind] if isinstance(kind, str) else kind
    enum = {"enum": [*schema["enum"], None]} if "enum" in schema and None not in schema["enum"] else {}
    return {**schema, "type": [*kinds, "null"], **enum}


def _opened(asked: Schema) -> tuple[Schema, str]:
    """A root that only names a definition, as that, and where it stands; other references to it stay."""
    target = asked.get("$ref")
    found = resolved(asked, target) if isinstance(target, str) else None
    if found is None or "$ref" in found or found.keys() & without(asked, "$ref", *DEFS, *_NOTES).keys():
        return asked, ""
    return {**found, **without(asked, "$ref")}, str(target)[1:]


def _renamed(schema: Schema) -> Schema:
    """With the newer name of what is defined."""
    if "$defs" in schema:
        raise Unfit("definitions")

    def change(each: Schema, _: str) -> Schema:
        target = each.get("$ref")
        if not isinstance(target, str):
            return each
        return {**each, "$ref": target.replace("#/definitions/", "#/$defs/", 1)}

    found: Schema = rewritten(schema, change)
    return {"$defs" if name == "definitions" else name: value for name, value in found.items()}


def _is_closed(schema: Schema) -> bool:
    return schema.get("additionalProperties") is False and "patternProperties" not in schema


def _kind(value: Any) -> str:
    names = {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null", list: "array"}
    return names.get(type(value), "object")
