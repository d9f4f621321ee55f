"""Google's own form of a schema as the JSON Schema that it stands for.

It writes types in capitals, counts as strings, and says `nullable` where JSON Schema has a second type.
"""

from __future__ import annotations

from typing import Any

import msgspec

from fairlead.dialects.fields import BadField
from fairlead.dialects.gemini.objects import camel

_COUNTS = frozenset({"minItems", "maxItems", "minLength", "maxLength", "minProperties", "maxProperties"})
_LISTS = frozenset({"anyOf", "prefixItems"})
_OWN = frozenset({"propertyOrdering", "nullable"})
"""What is said in another way, or only moves the order in which fields are written."""


def json_schema(raw: msgspec.Raw, at: str) -> msgspec.Raw:
    """The JSON Schema for a schema in Google's form.

    Raises:
        BadField: it is no object.
    """
    try:
        value = msgspec.json.decode(raw)
    except (ValueError, RecursionError) as error:
        raise BadField(at, f"cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise BadField(at, "must be an object")
    return msgspec.Raw(msgspec.json.encode(_converted(value)))


def _converted(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    told = {camel(name): value for name, value in schema.items() if value is not None}
    found = {name: _value(name, value) for name, value in told.items() if name not in _OWN and name != "example"}
    if found.get("type") == "type_unspecified":
        del found["type"]
    if "example" in told:
        found["examples"] = [told["example"]]
    return _nullable(found) if told.get("nullable") is True else found


def _value(name: str, value: Any) -> Any:
    if name == "type" and isinstance(value, str):
        return value.lower()
    if name == "properties" and isinstance(value, dict):
        return {each: _converted(inner) for each, inner in value.items()}
    if name in _LISTS and isinstance(value, list):
        return [_converted(each) for each in value]
    if name in {"items", "additionalProperties"}:
        return _converted(value)
    if name in _COUNTS and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value[:18])
    return value


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    if isinstance(schema.get("type"), str):
        schema["type"] = [schema["type"], "null"]
    elif isinstance(schema.get("anyOf"), list):
        schema["anyOf"] = [*schema["anyOf"], {"type": "null"}]
    if isinstance(schema.get("enum"), list) and None not in schema["enum"]:
        schema["enum"] = [*schema["enum"], None]
    return schema
