"""The type that somebody who works with pydantic would write for a schema.

Objects become models, which leave out what `additionalProperties: false` forbids and keep the rest; members of an enum
become a `Literal`, formats the types of `datetime` and `uuid`, keywords such as `maximum` constraints.
Only pydantic and the standard library are imported, so that it runs in the environments of other libraries too.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal, Optional, Union

import pydantic
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    create_model,
    model_serializer,
)

FORMATS: Mapping[str, Any] = {
    "date": dt.date,
    "time": dt.time,
    "date-time": pydantic.AwareDatetime,
    "uuid": uuid.UUID,
    "uri": pydantic.AnyUrl,
    "email": Annotated[str, Field(pattern=r"^[^@\s<>,]+@[^@\s<>,]+\.[^@\s<>,]+$")],
}
PLAIN: Mapping[str, Any] = {"string": str, "integer": int, "number": float, "boolean": bool, "null": None}
CONSTRAINTS: Mapping[str, str] = {
    "pattern": "pattern",
    "minimum": "ge",
    "maximum": "le",
    "exclusiveMinimum": "gt",
    "exclusiveMaximum": "lt",
    "multipleOf": "multiple_of",
    "minLength": "min_length",
    "maxLength": "max_length",
    "minItems": "min_length",
    "maxItems": "max_length",
}


class Open(BaseModel):
    """An object that may have more than its properties; what is optional is `None` where it is not there."""

    model_config = ConfigDict(extra="allow")

    @model_serializer(mode="wrap")
    def told(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without what is not there."""
        absent = {
            field.alias
            for name, field in type(self).model_fields.items()
            if name.startswith("optional_") and getattr(self, name) is None
        }
        return {key: value for key, value in handler(self).items() if key not in absent}


class Closed(Open):
    """An object of which other properties are left out."""

    model_config = ConfigDict(extra="ignore")


class Typist:
    """Writes the types of one schema."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._root = schema
        self._models: dict[str, Any] = {}
        self._count = 0

    def adapter(self) -> TypeAdapter[Any]:
        """What checks values of the schema."""
        kind = self._of(self._root)
        for model in [model for model in self._models.values() if isinstance(model, type)]:
            model.model_rebuild(_types_namespace=self._models)
        return TypeAdapter(kind)

    def _of(self, schema: Mapping[str, Any]) -> Any:
        kind = self._bare(schema)
        limits = {theirs: schema[ours] for ours, theirs in CONSTRAINTS.items() if ours in schema}
        return Annotated[kind, Field(**limits)] if limits else kind

    def _bare(self, schema: Mapping[str, Any]) -> Any:  # noqa: PLR0911  (one for each kind of schema)
        if "$ref" in schema:
            return self._referred(schema["$ref"])
        if "const" in schema:
            return Literal[schema["const"]]
        if "enum" in schema:
            return Literal[tuple(schema["enum"])]
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return Union[tuple(self._of(member) for member in schema[union])]  # noqa: UP007  (its members are computed)
        kind = schema.get("type")
        if isinstance(kind, list):
            return Union[tuple(self._of({**schema, "type": one}) for one in kind)]  # noqa: UP007  (its members are computed)
        if kind == "object":
            return self._object(schema)
        if kind == "array":
            return self._array(schema)
        if kind == "string" and schema.get("format") in FORMATS:
            return FORMATS[schema["format"]]
        return PLAIN.get(kind, Any)

    def _referred(self, ref: str) -> Any:
        name = ref.rpartition("/")[2]
        if name not in self._models:
            self._models[name] = name
            place: Any = self._root
            for step in ref.removeprefix("#/").split("/"):
                place = place[step]
            self._models[name] = self._object(place, name)
        return self._models[name]

    def _array(self, schema: Mapping[str, Any]) -> Any:
        if "prefixItems" in schema:
            return tuple[tuple(self._of(item) for item in schema["prefixItems"])]  # type: ignore[misc]
        return list[self._of(schema.get("items", {}))]  # type: ignore[misc]

    def _object(self, schema: Mapping[str, Any], name: str | None = None) -> Any:
        others = schema.get("additionalProperties", True)
        if "properties" not in schema:
            return dict[str, self._of(others) if isinstance(others, dict) else Any]  # type: ignore[misc]
        self._count += 1
        base = Closed if others is False else Open
        fields = dict(self._fields(schema["properties"], schema.get("required", ())))
        return create_model(name or f"Model{self._count}", __base__=base, **fields)

    def _fields(self, properties: Mapping[str, Any], required: Collection[str]) -> Iterator[tuple[str, Any]]:
        for number, (key, wanted) in enumerate(properties.items()):
            kind = self._of(wanted)
            if key in required:
                yield f"field_{number}", (kind, Field(wanted.get("default", ...), alias=key))
            else:
                yield f"optional_{number}", (Optional[kind], Field(None, alias=key))  # noqa: UP045  (it is computed)


def written(value: Any) -> Any:
    """A checked value as JSON."""
    return TypeAdapter(Any).dump_python(value, mode="json", by_alias=True)
