"""A value that fits a JSON Schema, made without a model.

Covers what structured outputs allow: types, enum, const, required, nested objects and arrays, local `$ref`, `anyOf`,
`allOf`, formats, types of `fairlead.fields`, and bounds on numbers, strings and arrays.  `pattern` is not read.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from fairlead.providers.sim.draws import Draws

_DEEP = 6
_MANY = 300
"""From this depth, and after so many values, recursive schemas are brought to an end: the shortest branch, no optional
fields, no optional items."""
_BOTTOMLESS = 64
_MOST = 1_000
_LONGEST = 10_000
"""A schema that demands itself fits no value at all; here, and after so many values, it gets null.  Strings have a bound too."""

_WORDS = ("harbour", "lantern", "meadow", "granite", "willow", "copper", "orchard", "compass")
_FORMATS = {
    "date-time": "2024-05-17T09:30:00Z",
    "date": "2024-05-17",
    "time": "09:30:00Z",
    "duration": "PT1H",
    "email": "someone@example.com",
    "idn-email": "someone@example.com",
    "hostname": "example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
}
_LOCAL_TIME = "09:30:00"
"""RFC 3339 wants an offset, and the patterns that stand beside the format want none."""
_FIELDS = {
    "Time24": _LOCAL_TIME,
    "Money": {"amount": "12.50", "currency": "EUR"},
    "Phone": "+442079460958",
    "CountryCode": "GB",
    "CurrencyCode": "EUR",
}
"""By `x-fairlead-type`; the other types are as their formats are."""


def fitting_value(schema: Any, draws: Draws) -> Any:
    """A value that `schema` accepts; the same for the same draws."""
    return _Maker(schema, draws).value(schema, 0)


class _Maker:
    __slots__ = ("_draws", "_made", "_root")

    def __init__(self, root: Any, draws: Draws) -> None:
        self._root = root
        self._draws = draws
        self._made = 0

    def value(self, schema: Any, depth: int) -> Any:  # noqa: PLR0911 - a table of types
        self._made += 1
        if depth > _BOTTOMLESS or self._made > _MOST:
            return None
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        field = schema.get("x-fairlead-type")
        if isinstance(field, str) and field in _FIELDS:
            return _FIELDS[field]
        if schema.get("enum"):
            return self._draws.pick(schema["enum"])
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches:
            return self.value(self._branch(branches, depth), depth + 1)
        match self._type(schema, depth):
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer":
                return int(self._number(schema, is_integer=True))
            case "number":
                return self._number(schema, is_integer=False)
            case "boolean":
                return bool(self._draws.below(2))
        return None

    def _is_deep(self, depth: int) -> bool:
        return depth >= _DEEP or self._made > _MANY

    def _resolved(self, schema: Any) -> Mapping[str, Any]:
        """Follow `$ref` and merge `allOf`; `true` and whatever is no schema accept anything."""
        whole: dict[str, Any] = {}
        pending = [schema]
        for _ in range(_BOTTOMLESS):
            if not pending:
                break
            part = pending.pop()
            if isinstance(part, dict):
                whole = _merged({key: value for key, value in part.items() if key not in {"$ref", "allOf"}}, whole)
                pending += part.get("allOf", [])
                if "$ref" in part:
                    pending.append(self._lookup(part["$ref"]))
        return whole

    def _lookup(self, reference: Any) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            return {}
        found = self._root
        for step in reference[1:].split("/")[1:]:
            name = step.replace("~1", "/").replace("~0", "~")
            found = found.get(name, {}) if isinstance(found, dict) else {}
        return found

    def _branch(self, branches: list[Any], depth: int) -> Any:
        if not self._is_deep(depth):
            return self._draws.pick(branches)
        return min(branches, key=lambda branch: _weight(self._resolved(branch)))

    def _type(self, schema: Mapping[str, Any], depth: int) -> Any:
        kinds = schema.get("type")
        if isinstance(kinds, list) and kinds:
            return "null" if self._is_deep(depth) and "null" in kinds else self._draws.pick(kinds)
        if kinds is None:
            if "properties" in schema:
                return "object"
            return "array" if "items" in schema else "string"
        return kinds

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = schema.get("required", [])
        properties = schema.get("properties", {})
        made = {}
        for name, inner in properties.items():
            if name in required or (not self._is_deep(depth) and self._draws.below(2)):
                made[name] = self.value(inner, depth + 1)
        for name in required:
            if name not in made:
                made[name] = self.value(schema.get("additionalProperties", {}), depth + 1)
        return made

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        is_deep = self._is_deep(depth)
        least = schema.get("minItems", 0 if is_deep else 1)
        most = schema.get("maxItems", max(least, 0 if is_deep else 3))
        prefix = schema.get("prefixItems", [])
        count = least + self._draws.below(max(most - least, 0) + 1)
        items = [self.value(inner, depth + 1) for inner in prefix[:most]]
        while len(items) < min(count, _MOST):
            items.append(self._unlike(schema, items, depth))
        return items

    def _unlike(self, schema: Mapping[str, Any], items: list[Any], depth: int) -> Any:
        made = self.value(schema.get("items", {}), depth + 1)
        tries = 0
        while schema.get("uniqueItems") and made in items and tries < 20:
            tries += 1
            made = self.value(schema.get("items", {}), depth + 1)
        return made

    def _string(self, schema: Mapping[str, Any]) -> str:
        form = schema.get("format")
        if form == "time" and "pattern" in schema:
            return _LOCAL_TIME
        if form in _FORMATS:
            return _FORMATS[form]
        text = f"{self._draws.pick(_WORDS)} {self._draws.below(1000)}"
        missing = min(schema.get("minLength", 0), _LONGEST) - len(text)
        if missing > 0:
            word = f" {self._draws.pick(_WORDS)}"
            text += word * (missing // len(word) + 1)
        return text[: schema.get("maxLength")]

    def _number(self, schema: Mapping[str, Any], *, is_integer: bool) -> float:
        step = schema.get("multipleOf") or (1 if is_integer else 0.5)
        low, high = _bounds(schema, step)
        first = math.ceil(low / step)
        last = max(math.floor(high / step), first)
        made: float = (first + self._draws.below(last - first + 1)) * step
        # Bounds closer together than a step, as in 0.1 to 0.2, leave only what lies between them.
        return made if low <= made <= high or is_integer else (low + high) / 2


def _bounds(schema: Mapping[str, Any], step: float) -> tuple[float, float]:
    """Both ends allowed; an exclusive bound gives way by half a step for numbers and by one for integers."""
    give = step if isinstance(step, int) else step / 2
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    if above is not None and (low is None or above >= low):
        low = above + _narrow(give, above, below if below is not None else high)
    if below is not None and (high is None or below <= high):
        high = below - _narrow(give, above if above is not None else low, below)
    if low is None:
        low = 0 if high is None or high >= 0 else high - 100 * step
    return low, low + 100 * step if high is None else high


def _narrow(give: float, low: float | None, high: float | None) -> float:
    if low is None or high is None or isinstance(give, int):
        return give
    return min(give, (high - low) / 4)


def _merged(first: Any, second: Any) -> dict[str, Any]:
    """Both schemas' keywords; properties and required names of both."""
    first, second = (schema if isinstance(schema, dict) else {} for schema in (first, second))
    both = {**first, **second}
    if "properties" in first and "properties" in second:
        both["properties"] = {**first["properties"], **second["properties"]}
    if "required" in first and "required" in second:
        both["required"] = [*first["required"], *second["required"]]
    return both


def _weight(schema: Mapping[str, Any]) -> int:
    """How much a branch would still open: null and plain values before arrays before objects."""
    kinds = schema.get("type")
    if kinds == "null":
        return 0
    if kinds in {"string", "integer", "number", "boolean"} or "const" in schema or "enum" in schema:
        return 1
    return 2 if kinds == "array" else 3
