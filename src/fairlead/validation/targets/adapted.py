"""Types by way of pydantic: their JSON Schema, and values made into them.

This module loads pydantic; it is imported by who needs a type, when it is needed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from fairlead.errors import InvalidRequest
from fairlead.validation.targets.complaints import complaints
from fairlead.validation.targets.typed_dicts import modern
from fairlead.verdict import FieldError

MAX_SHOWN: Final = 100
"""So much of the name of a type is shown, in characters."""


_UNDEFINED: Final = "a name in its annotations is not defined where it was made (`model_rebuild()` helps a model)"
_REASONS: Final[Mapping[str, str]] = {
    "class-not-fully-defined": _UNDEFINED,
    "undefined-annotation": _UNDEFINED,
    "invalid-for-json-schema": "a part of it has no JSON Schema",
    "typed-dict-version": "it holds a `typing.TypedDict`, which this Python needs from `typing_extensions`",
}
"""pydantic's code of an error to what it means here."""


_DECIMAL: Final = r"^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)$"


class _Schema(GenerateJsonSchema):
    """Leaves out what a schema cannot say without a warning: such as a default that is not JSON."""

    ignored_warning_kinds = {"skipped-choice", "non-serializable-default"}  # noqa: RUF012 - as the class above has it

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        """A number, or a string that is one: any other string would be refused only when the value is made."""
        made = super().decimal_schema(schema)
        for member in made.get("anyOf", [made]):
            if member.get("type") == "string":
                member.setdefault("pattern", _DECIMAL)
        return made


def adapter_of(kind: Any) -> tuple[TypeAdapter[Any], dict[str, Any]]:
    """What reads values of the type, and the JSON Schema of what it reads.

    Raises:
        InvalidRequest: it is no type, pydantic cannot read it, or it has no JSON Schema.
    """
    try:
        adapter: TypeAdapter[Any] = TypeAdapter(modern(kind))
        return adapter, adapter.json_schema(mode="validation", schema_generator=_Schema)
    except (PydanticUserError, NameError) as error:
        raise InvalidRequest(
            f"cannot ask a model for {_shown(kind)}: {_why(error)}; pass a pydantic model, a TypedDict, "
            "a dataclass, an Enum, a type built of these, or a JSON Schema as a dict",
            detail=repr(error),
        ) from None
    except Exception as error:  # the hooks of a type may raise anything
        raise InvalidRequest(
            f"cannot ask a model for {_shown(kind)}: reading the type failed with {type(error).__name__}; "
            f"`pydantic.TypeAdapter` of it has to work, and its `json_schema()`",
            detail=repr(error),
        ) from error


def judge(adapter: TypeAdapter[Any], value: Any, context: Any | None) -> tuple[Any, tuple[FieldError, ...]]:
    """The value as the type has it, or what is wrong with it."""
    try:
        try:
            return _validated(adapter, value, context), ()
        except ValidationError as error:
            return None, complaints(value, error.errors(include_url=False))
    except RecursionError:
        return None, (_of_validator("is nested too deeply to be checked"),)
    except Exception as error:  # noqa: BLE001 - an application's validator may raise anything, and never breaks it
        return None, (_of_validator(f"could not be checked: a validator of it failed with {type(error).__name__}"),)


def words(kind: Any) -> str:
    """What to call a type: its own name, and those of the types that it is built of."""
    origin, parts = get_origin(kind), get_args(kind)
    if kind is None or kind is NoneType:
        return "None"
    if origin is Annotated:
        return words(parts[0])
    if isinstance(kind, list):
        return "_".join(map(words, kind))
    if origin is None or not parts:
        return getattr(kind, "__name__", None) or (
            kind if isinstance(kind, str) else f"a value of {type(kind).__name__}"
        )
    if origin is Literal:
        return "_".join(["Literal", *map(str, parts)])
    own = [] if origin in (Union, UnionType) else [getattr(origin, "__name__", "type")]
    return "_".join([*own, *(words(part) for part in parts if part not in (..., NoneType))])


def _shown(kind: Any) -> str:
    return f"`{words(kind)[:MAX_SHOWN]}`"


def _why(error: Exception) -> str:
    code = "undefined-annotation" if isinstance(error, NameError) else getattr(error, "code", None)
    return _REASONS.get(str(code), "it is no type that pydantic reads")


def _of_validator(message: str) -> FieldError:
    return FieldError(path="", message=message, kind="validator")


def _validated(adapter: TypeAdapter[Any], value: Any, context: Any | None) -> Any:
    """As JSON: so that strict types take dates as strings, and bytes as the type encodes them.

    Aliases count whatever the configuration says, as it is they that the schema names.
    """
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        # No plain data: an instance of the type itself, as an application may give one in place of an answer.
        return adapter.validate_python(value, context=context, by_alias=True)
    return adapter.validate_json(text, context=context, by_alias=True)
