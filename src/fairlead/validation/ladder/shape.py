"""A JSON Schema compiled once: a validator for whole values, and nodes along which values are moved."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fairlead.validation.ladder.bounds import MAX_BYTES, MAX_NODES, InvalidSchema, WholeSchema, target
from fairlead.validation.ladder.cost import check
from fairlead.validation.ladder.node import Node
from fairlead.validation.ladder.strays import Strays

if TYPE_CHECKING:
    from jsonschema_rs import Validator

_SCALARS: Final = frozenset({"string", "number", "integer", "boolean", "null"})
_MOST_UNIONS: Final = 8
_KEPT_BYTES: Final = 4 * 1024 * 1024
_KEPT_NODES: Final = 8_000
_KEPT_SHARE: Final = 8
"""A schema that takes more than one part in so many of what is kept is not."""


class Shape:
    """What an answer has to be."""

    def __init__(self, schema: WholeSchema, validator: Validator, cost: int = 0) -> None:
        self.schema = schema
        self.cost = cost
        """What it cost to compile, in subschemas, see `fairlead.validation.ladder.cost`."""
        self._validator = validator
        self.root = Node.of(schema)
        self.normalises = self.root.normalises_below()
        """Whether a value that fits may still be written in another form."""
        self.kinds: frozenset[str] | None = _kinds(self.root)
        """The JSON types that may fit; `None` for any."""
        self.names: frozenset[str] = _names(self.root)
        """The properties that an object may have, in any member of a union."""
        self.titles: tuple[str, ...] = _titles(schema)
        """What the schema is called: its title, and the name of what it refers to."""
        self.has_free_names = _has_free_names(self.root)
        """Whether an object fits of which the schema names no property."""
        self._strays = Strays(self.root)

    @property
    def is_scalar(self) -> bool:
        """Whether neither objects nor lists fit."""
        return self.kinds is not None and self.kinds <= _SCALARS

    @property
    def is_text(self) -> bool:
        """Whether any text fits, and neither objects nor lists do."""
        return self.is_scalar and _takes_text(self.root)

    def has_strays(self, value: Any) -> bool:
        """Whether a value that fits holds names that the schema does not know, and that may be meant for known ones."""
        return self._strays.within(value)

    def is_valid(self, value: Any) -> bool:
        """Whether the value fits as it is. Never raises: what cannot be checked does not fit."""
        try:
            return self._validator.is_valid(value)
        except (ValueError, TypeError, RecursionError):
            return False


def compile_shape(schema: bytes | Mapping[str, Any], most: int = MAX_NODES) -> Shape:
    """A shape of this schema.

    Args:
        most: what compiling it may cost.

    Raises:
        InvalidSchema: it is no JSON Schema, too large, refers to what is not in it, or has a pattern that cannot be
            checked in bounded time.
    """
    read = _read(schema)
    cost = check(read, most)
    return Shape(read, _validator(read), cost)


class Shapes:
    """Compiled shapes by the bytes of their schemas, those used last; callers choose how large they are.

    Args:
        most_bytes: how long the schemas of those that are kept may be together.
        most_nodes: what compiling them may have cost together.
    """

    def __init__(self, most_bytes: int = _KEPT_BYTES, most_nodes: int = _KEPT_NODES) -> None:
        self._most_bytes = most_bytes
        self._most_nodes = most_nodes
        self._kept: OrderedDict[bytes, Shape] = OrderedDict()
        self._bytes = self._nodes = 0

    def of(self, raw: bytes, most: int = MAX_NODES) -> Shape:
        """The shape of this schema, compiled if it is not kept.

        Args:
            most: what compiling it may cost; a kept one counts as if it were compiled now.

        Raises:
            InvalidSchema: as `compile_shape`.
        """
        shape = self._kept.get(raw)
        if shape is None or shape.cost > most:
            shape = compile_shape(raw, most)
            self._keep(raw, shape)
        else:
            self._kept.move_to_end(raw)
        return shape

    def _keep(self, raw: bytes, shape: Shape) -> None:
        if len(raw) > self._most_bytes // _KEPT_SHARE or shape.cost > self._most_nodes // _KEPT_SHARE:
            return
        self._kept[raw] = shape
        self._bytes += len(raw)
        self._nodes += shape.cost
        while self._bytes > self._most_bytes or self._nodes > self._most_nodes:
            oldest, gone = self._kept.popitem(last=False)
            self._bytes -= len(oldest)
            self._nodes -= gone.cost


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


def _places(root: Node) -> list[Node]:
    """The root and the members of its unions, each once, as far as unions in each other are looked at."""
    found, level = {id(root): root}, [root]
    for _ in range(_MOST_UNIONS):
        level = list({id(each): each for node in level for each in node.branches if id(each) not in found}.values())
        found |= {id(each): each for each in level}
    return list(found.values())


def _takes_text(root: Node) -> bool:
    return any(node.is_free_text for node in _places(root))


def _titles(schema: WholeSchema) -> tuple[str, ...]:
    if isinstance(schema, bool):
        return ()
    title, reference = schema.get("title"), schema.get("$ref")
    name = reference.rpartition("/")[2] if isinstance(reference, str) else None
    referred = target(schema, reference) if isinstance(reference, str) else None
    of_referred = referred.get("title") if isinstance(referred, Mapping) else None
    return tuple(each for each in (title, name, of_referred) if isinstance(each, str) and each.strip("# "))


def _has_free_names(root: Node) -> bool:
    leaves = [node for node in _places(root) if not node.branches]
    return any(not node.names and (node.kinds is None or "object" in node.kinds) for node in leaves)


def _names(root: Node) -> frozenset[str]:
    return frozenset().union(*(node.names for node in _places(root)))


def _kinds(root: Node) -> frozenset[str] | None:
    places = _places(root)
    known = {id(node) for node in places}
    found: frozenset[str] = frozenset()
    for node in places:
        if any(id(branch) not in known for branch in node.branches):
            return None
        if node.branches:
            continue
        if node.kinds is None:
            return None
        found |= node.kinds
    return found
