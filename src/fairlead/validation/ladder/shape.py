"""A JSON Schema compiled once: a validator for whole values, and nodes along which values are moved."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fairlead.validation.ladder.bounds import MAX_BYTES, InvalidSchema, WholeSchema, check, target
from fairlead.validation.ladder.node import Node
from fairlead.validation.ladder.strays import Strays

if TYPE_CHECKING:
    from jsonschema_rs import Validator

_SCALARS: Final = frozenset({"string", "number", "integer", "boolean", "null"})
_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


class Shape:
    """What an answer has to be."""

    def __init__(self, schema: WholeSchema, validator: Validator) -> None:
        self.schema = schema
        self._validator = validator
        self.root = Node.of(schema)
        self.normalises = self.root.normalises_below()
        """Whether a value that fits may still be written in another form."""
        self.kinds: frozenset[str] | None = _kinds(self.root, 0)
        """The JSON types that may fit; `None` for any."""
        self.names: frozenset[str] = _names(self.root, 0)
        """The properties that an object may have, in any member of a union."""
        self.titles: tuple[str, ...] = _titles(schema)
        """What the schema is called: its title, and the name of what it refers to."""
        self.has_free_names = _has_free_names(self.root, 0)
        """Whether an object fits of which the schema names no property."""
        self._strays = Strays(self.root)

    @property
    def is_scalar(self) -> bool:
        """Whether neither objects nor lists fit."""
        return self.kinds is not None and self.kinds <= _SCALARS

    @property
    def is_text(self) -> bool:
        """Whether any text fits, and neither objects nor lists do."""
        return self.is_scalar and _takes_text(self.root, 0)

    def has_strays(self, value: Any) -> bool:
        """Whether a value that fits holds names that the schema does not know, and that may be meant for known ones."""
        return self._strays.within(value)

    def is_valid(self, value: Any) -> bool:
        """Whether the value fits as it is. Never raises: what cannot be checked does not fit."""
        try:
            return self._validator.is_valid(value)
        except (ValueError, TypeError, RecursionError):
            return False


def compile_shape(schema: bytes | Mapping[str, Any]) -> Shape:
    """A shape of this schema.

    Raises:
        InvalidSchema: it is no JSON Schema, too large, refers to what is not in it, or has a pattern that cannot be
            checked in bounded time.
    """
    read = _read(schema)
    check(read)
    return Shape(read, _validator(read))


class Shapes:
    """Compiled shapes by the bytes of their schemas, those used last.

    Args:
        most: how many are kept.
    """

    def __init__(self, most: int = 256) -> None:
        self._most = most
        self._kept: OrderedDict[bytes, Shape] = OrderedDict()

    def of(self, raw: bytes) -> Shape:
        """The shape of this schema, compiled if it is not kept.

        Raises:
            InvalidSchema: as `compile_shape`.
        """
        shape = self._kept.get(raw)
        if shape is None:
            shape = self._kept[raw] = compile_shape(raw)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(raw)
        return shape


def _read(schema: bytes | Mapping[str, Any]) -> Mapping[str, Any] | bool:
    try:
        raw = schema if isinstance(schema, bytes) else msgspec.json.encode(schema)
        if len(raw) > MAX_BYTES:
            raise InvalidSchema(f"the schema is longer than {MAX_BYTES} bytes")
        read = msgspec.json.decode(raw)
    except (msgspec.MsgspecError, TypeError, UnicodeError) as error:
        raise InvalidSchema(f"the schema is not JSON: {error}") from None
    except RecursionError:
        raise InvalidSchema("the schema is nested too deeply") from None
    if not isinstance(read, dict | bool):
        raise InvalidSchema("the schema must be a JSON object")
    return read


def _validator(schema: WholeSchema) -> Validator:
    import jsonschema_rs  # noqa: PLC0415 - a megabyte of code, for answers that have a schema

    from fairlead.validation.fields.normalise import FORMATS  # noqa: PLC0415 - as above

    try:
        return jsonschema_rs.validator_for(
            schema,  # type: ignore[arg-type]  # its stub asks for a dict where a mapping does
            formats=dict(FORMATS),
            validate_formats=True,
            offline=True,
            pattern_options=jsonschema_rs.FancyRegexOptions(backtrack_limit=10_000),
        )
    except ValueError as error:
        reason = str(error).partition("\n")[0]
        raise InvalidSchema(f"the schema is no JSON Schema: {reason[:200]}") from None


def _takes_text(node: Node, depth: int) -> bool:
    if depth > 8:
        return False
    return node.is_free_text or any(_takes_text(branch, depth + 1) for branch in node.branches)


def _names(node: Node, depth: int) -> frozenset[str]:
    if depth > 8:
        return frozenset()
    return frozenset(node.names).union(*(_names(branch, depth + 1) for branch in node.branches))


def _titles(schema: WholeSchema) -> tuple[str, ...]:
    if isinstance(schema, bool):
        return ()
    title, reference = schema.get("title"), schema.get("$ref")
    name = reference.rpartition("/")[2] if isinstance(reference, str) else None
    referred = target(schema, reference) if isinstance(reference, str) else None
    of_referred = referred.get("title") if isinstance(referred, Mapping) else None
    return tuple(each for each in (title, name, of_referred) if isinstance(each, str) and each.strip("# "))


def _has_free_names(node: Node, depth: int) -> bool:
    if depth > 8:
        return False
    if node.branches:
        return any(_has_free_names(branch, depth + 1) for branch in node.branches)
    return not node.names and (node.kinds is None or "object" in node.kinds)


def _kinds(node: Node, depth: int) -> frozenset[str] | None:
    if depth > 8:
        return None
    if not node.branches:
        return node.kinds
    found: frozenset[str] = frozenset()
    for branch in node.branches:
        kinds = _kinds(branch, depth + 1)
        if kinds is None:
            return None
        found |= kinds
    return found
