"""What an answer is to become: a type, or what a JSON Schema describes.

pydantic is loaded once a type is asked for, not with this module.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Generic, TypeVar, overload

import msgspec

from fairlead.errors import InvalidRequest
from fairlead.verdict import FieldError

T = TypeVar("T")

MAX_NAME = 64
"""The longest name of a schema that providers take."""

MAX_HELD = 256
"""So many targets are held; the oldest goes first."""

_UNFIT = re.compile(r"[^A-Za-z0-9_-]+")


class Target(msgspec.Struct, Generic[T], frozen=True, kw_only=True, eq=False):
    """A type, the JSON Schema that a model is given for it, and the way from a value to the type."""

    name: str
    """What the schema is called: letters, digits, `_` and `-`, at most `MAX_NAME` of them."""
    schema: bytes
    """The JSON Schema."""
    kind: Any = None
    """The type; `None` for a JSON Schema, whose values stay plain data, and for the type of `None`."""
    adapter: Any = None
    """pydantic's `TypeAdapter` of the type; `None` for a JSON Schema."""
    readers: dict[Any, Any] = msgspec.field(default_factory=dict)
    """What reads unfinished values of the types in it, by type, made when a stream first asks for it."""

    @overload
    @staticmethod
    def of(kind: type[T]) -> Target[T]: ...
    @overload
    @staticmethod
    def of(kind: Any) -> Target[Any]: ...
    @staticmethod
    def of(kind: Any) -> Target[Any]:
        """The target of a type that pydantic knows how to read, or of a JSON Schema as a mapping.

        Raises:
            InvalidRequest: the type has no JSON Schema, or this is no type.
        """
        if isinstance(kind, Mapping):
            return Target(name=_name(kind.get("title")), schema=_written(kind))
        from fairlead.validation.targets import adapted  # noqa: PLC0415 - pydantic is not loaded for a JSON Schema

        adapter, schema = adapted.adapter_of(kind)
        return Target(name=_name(adapted.words(kind)), schema=_written(schema), kind=kind, adapter=adapter)

    def judge(self, value: Any, context: Any | None = None) -> tuple[T | None, tuple[FieldError, ...]]:
        """The value as the type has it, or what is wrong with it; `None` may be a value, so look at the errors first.

        Args:
            value: plain data that fits the schema.
            context: what validators find as `info.context`.
        """
        if self.adapter is None:
            return value, ()
        from fairlead.validation.targets import adapted  # noqa: PLC0415 - loaded already where there is an adapter

        return adapted.judge(self.adapter, value, context)


class Targets:
    """Targets that were made once, and are found again by their type or schema."""

    __slots__ = ("_held",)

    def __init__(self) -> None:
        self._held: dict[Any, Target[Any]] = {}

    @overload
    def of(self, kind: type[T]) -> Target[T]: ...
    @overload
    def of(self, kind: Any) -> Target[Any]: ...
    def of(self, kind: Any) -> Target[Any]:
        """The target of a type or JSON Schema.

        Raises:
            InvalidRequest: as `Target.of` does.
        """
        key = _written(kind) if isinstance(kind, Mapping) else kind
        try:
            held = self._held.get(key)
        except TypeError:
            # Annotations may hold what has no hash.
            return Target.of(kind)
        if held is None:
            while len(self._held) >= MAX_HELD:
                self._held.pop(next(iter(self._held)))
            held = self._held[key] = Target.of(kind)
        return held


def _name(words: Any) -> str:
    name = _UNFIT.sub("_", words).strip("_")[:MAX_NAME].rstrip("_") if isinstance(words, str) else ""
    return name or "answer"


def _written(schema: Mapping[str, Any]) -> bytes:
    try:
        # The standard library writes what is JSON and nothing else: no dates, no sets.
        return json.dumps(dict(schema), separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequest(
            "the JSON Schema holds something that JSON cannot; use plain dicts, lists, strings, numbers, "
            "booleans and None alone",
            detail=repr(error),
        ) from None
