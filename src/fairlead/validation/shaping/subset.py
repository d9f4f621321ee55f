"""A schema as a provider takes it: JSON Schema narrowed to the part of it that the provider knows.

A narrowed schema is never wider than a caller can make use of: what it can no longer say is said in a description, and
named.  Answers are held to the caller's own schema all the same.  Two things are other than the caller has them, and the
ladder turns both back: an optional property may be required and `null`, and a root that is no object stands under
`value`.  Where nothing true is left of a schema, such as of a map with names of any kind where all have to be listed, it
does not fit at all, and is asked for in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from fairlead.call import Subset

_MOST_ADDED = 512
"""Bytes that a narrowed schema may have beside thrice those of the schema; see `Wanted.most_bytes`."""
MOST_DEPTH = 60
"""The deepest nesting that is walked through; bodies are no deeper."""


MANY_VALUES = 250


class Lost(msgspec.Struct, frozen=True):
    """One thing that a narrowed schema does not say."""

    path: str
    """Where in the schema as sent, as a JSON Pointer."""
    keyword: str

    @property
    def pointer(self) -> str:
        """To the keyword itself."""
        return f"{self.path}/{self.keyword}"


class Narrowed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a schema."""

    schema: bytes
    """As sent, byte for byte, where nothing had to change."""
    lost: tuple[Lost, ...] = ()
    is_wider: bool = False
    """Whether it lets something through that the ladder has to turn back: a `null`, a root under `value`."""
    fits: bool = True
    """Whether the provider takes it; else `schema` is as sent."""


class Unfit(ValueError):
    """A provider has no form for a schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What one subset takes."""

    keeps: frozenset[str]
    """Keywords that say something of a single value."""
    formats: frozenset[str] = frozenset()
    closed: bool = True
    """Objects list all of their properties."""
    all_required: bool = False
    """And all of them are required."""
    typed: bool = True
    """Every value has a type, and every list says what is in it."""
    root_object: bool = False
    type_lists: bool = False
    """Whether `type` may be a list."""
    one_of: bool = False
    """Whether `oneOf` is known."""
    tuples: bool = False
    """Whether `prefixItems` is known."""
    recursive: bool = True
    definitions: bool = False
    """Whether the older name of `$defs` is known."""
    enum_types: tuple[type, ...] = (str, int, float, bool, type(None))
    least_items: int | None = None
    """The highest `minItems`."""
    levels: int = MOST_DEPTH
    """Of objects in objects."""
    properties: int = 5_000
    enum_values: int = 1_000
    characters: int | None = None
    """Of all names and values together."""
    long_enum: int | None = None
    """Characters of the values of an enum that has more than `MANY_VALUES`."""
    optional: int = 5_000
    unions: int = 5_000


_NUMBERS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
RULES: dict[Subset, Rules] = {
    # developers.openai.com/api/docs/guides/structured-outputs, "Supported schemas"
    "openai": Rules(
        keeps=_NUMBERS | {"pattern", "format", "minItems", "maxItems", "const", "$schema"},
        formats=_FORMATS,
        all_required=True,
        root_object=True,
        type_lists=True,
        definitions=True,
        levels=10,
        characters=120_000,
        long_enum=15_000,
    ),
    # platform.claude.com/docs/en/build-with-claude/structured-outputs, "JSON Schema limitations", and what its SDK leaves
    "anthropic": Rules(
        keeps=frozenset({"format", "minItems", "const", "default"}),
        formats=_FORMATS | {"uri"},
        typed=False,
        recursive=False,
        definitions=True,
        least_items=1,
        optional=24,
        unions=16,
    ),
    # ai.google.dev/api/generate-content, `GenerationConfig.responseJsonSchema`
    "gemini": Rules(
        keeps=frozenset({"format", "minItems", "maxItems", "minimum", "maximum", "propertyOrdering", "$id", "$anchor"}),
        formats=_FORMATS,
        closed=False,
        typed=False,
        type_lists=True,
        one_of=True,
        tuples=True,
        enum_types=(str, int, float),
    ),
    "plain": Rules(keeps=frozenset({"const"}), root_object=True, recursive=False),
}
"""`full` has none: all of JSON Schema.  `grammar` neither: servers that make a grammar of a schema skip what they do not
know, patterns apart.  `plain` is what vendors have in common that name few keywords."""


def narrowed(schema: bytes, subset: Subset) -> Narrowed:
    """A schema for a provider that takes a subset of JSON Schema."""
    from fairlead.validation.shaping.narrowing import Narrowing, anchored  # noqa: PLC0415 - most calls need no schema at all

    if subset == "full":
        return Narrowed(schema=schema)
    try:
        asked = _object(schema)
        lost: list[Lost] = []
        is_wider = False
        if subset == "grammar":
            found = anchored(asked, lost)
        else:
            narrowing = Narrowing(RULES[subset], asked)
            found, lost, is_wider = narrowing.root(), narrowing.lost, narrowing.is_wider
        encoded = schema if found == asked else msgspec.json.encode(found)
    except (ValueError, RecursionError, OverflowError):
        return Narrowed(schema=schema, fits=False)
    if len(encoded) > 3 * len(schema) + _MOST_ADDED:
        return Narrowed(schema=schema, fits=False)
    return Narrowed(schema=encoded, lost=tuple(lost), is_wider=is_wider)


def enclosed(schema: bytes) -> bytes:
    """A schema whose root is an object: one that is none stands under `value`.

    Raises:
        Unfit: it is no schema.
    """
    from fairlead.validation.shaping.schema_walk import under_value  # noqa: PLC0415 - most calls need no schema at all

    try:
        asked = _object(schema)
        return schema if asked.get("type") == "object" else msgspec.json.encode(under_value(asked))
    except (ValueError, RecursionError, OverflowError):
        raise Unfit("a schema is an object in JSON") from None


def _object(schema: bytes) -> dict[str, Any]:
    asked = msgspec.json.decode(schema)
    if not isinstance(asked, dict):
        raise Unfit("a schema is an object")
    return asked
