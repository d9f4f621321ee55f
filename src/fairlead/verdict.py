"""What was found out about an answer that had to fit a schema: how far it was climbed, what was changed, what is wrong."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

import msgspec

Rung = Literal["parse", "extract", "repair", "coerce", "reask", "escalate", "fallback"]
RUNGS: tuple[Rung, ...] = get_args(Rung)
"""From the one that changes nothing to the one that gives up; each includes those before it."""
KINDS: Final = frozenset(
    {
        "additionalItems",
        "additionalProperties",
        "allOf",
        "ambiguous",
        "anyOf",
        "const",
        "contains",
        "cut",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "discriminator",
        "else",
        "enum",
        "exclusiveMaximum",
        "exclusiveMinimum",
        "format",
        "if",
        "items",
        "maxContains",
        "maxItems",
        "maxLength",
        "maxProperties",
        "maximum",
        "minContains",
        "minItems",
        "minLength",
        "minProperties",
        "minimum",
        "multipleOf",
        "no_json",
        "not",
        "oneOf",
        "pattern",
        "patternProperties",
        "prefixItems",
        "properties",
        "propertyNames",
        "required",
        "schema",
        "then",
        "type",
        "unclear",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
        "validator",
    }
)
"""The kinds of a `FieldError` that metrics name; any other one is `other` there."""
MOST_EDITS: Final = 50
MOST_ERRORS: Final = 20
"""So many edits and errors are recorded of a call."""
MOST_VALUE: Final = 200
MOST_WORDS: Final = 500
"""So many characters are recorded of a value, and of a message or a path."""
_CUT: Final = "..."


class Edit(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One change on the way from what the model wrote to the value."""

    rung: Rung
    """The rung that made it."""
    kind: str
    """What was done, such as `fence`, `trailing_comma`, `number_words`, `renamed`."""
    path: str = ""
    """Where in the value, as a JSON Pointer (RFC 6901); empty for the whole."""
    before: str | None = None
    """What stood there, clipped; `None` where nothing did."""
    after: str | None = None
    """What stands there now, as JSON, clipped; `None` where nothing does."""
    confidence: float = 1.0
    """How sure it is that this is what was meant, from 0 to 1."""


class FieldError(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why a value does not fit."""

    path: str
    """Where in the value, as a JSON Pointer; empty for the whole."""
    message: str
    """What is wrong there, and what would be right; says nothing that a caller may not read."""
    kind: str = "schema"
    """Which rule it breaks: a keyword of JSON Schema such as `required`, or `unclear`, `cut`, `no_json`, `ambiguous`."""
    field: str | None = None
    """In a record: `path` with `*` for elements of lists and for names that the schema does not have; `None`: `path` is
    that already."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the ladder makes of one output."""

    value: Any = None
    """The value that fits; meaningless where there are errors."""
    rung: Rung = "parse"
    """The highest rung that was needed, or the last that was tried."""
    edits: tuple[Edit, ...] = ()
    errors: tuple[FieldError, ...] = ()
    """Empty: it fits."""

    @property
    def fits(self) -> bool:
        """Whether the value may be used."""
        return not self.errors

    @property
    def confidence(self) -> float:
        """That of its least certain edit."""
        return min((edit.confidence for edit in self.edits), default=1.0)


class Validated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the answer of a call was held to its schema."""

    schema: str
    """The schema's name, as the caller calls it."""
    label: str = "other"
    """The schema as metrics name it: `other` where the configuration does not list it."""
    rung: Rung = "parse"
    """The highest rung that was needed, or the last that was tried."""
    fits: bool = True
    """Whether the caller got an answer that fits."""
    edits: tuple[Edit, ...] = ()
    """What was changed on the way, of the answer that was given."""
    errors: tuple[FieldError, ...] = ()
    """Why the last output was refused, whether another one was taken later or not."""
    reasks: int = 0
    """How often a model was asked again, a stronger one included."""
    reask_tokens: int = 0
    """What those attempts used, as far as it is known."""
    reask_nanousd: int = 0
    """What they cost, as far as it is known."""
    output: bytes | None = None
    """The last output that was refused, as `[store] content` says."""
    lost: tuple[str, ...] = ()
    """What of the schema the provider has no form for."""
    further_edits: int = 0
    """How many more edits there were than stand in `edits`."""
    further_errors: int = 0
    """How many more errors there were than stand in `errors`."""

    @property
    def confidence(self) -> float:
        """That of its least certain edit, from 0 to 1; of a record, of those edits that stand in it."""
        return min((edit.confidence for edit in self.edits), default=1.0)


def recorded(validated: Validated) -> Validated:
    """The same, as short as a record of a call may be: the first edits and errors, and the beginnings of long texts.

    `output` stays as it is: it is a content, and clipped as contents are.
    """
    edits, errors = validated.edits, validated.errors
    return msgspec.structs.replace(
        validated,
        schema=_clipped(validated.schema, MOST_WORDS),
        edits=tuple(map(_short_edit, edits[:MOST_EDITS])),
        errors=tuple(map(_short_error, errors[:MOST_ERRORS])),
        lost=tuple(_clipped(each, MOST_WORDS) for each in validated.lost[:MOST_ERRORS]),
        further_edits=validated.further_edits + max(0, len(edits) - MOST_EDITS),
        further_errors=validated.further_errors + max(0, len(errors) - MOST_ERRORS),
    )


def _short_edit(edit: Edit) -> Edit:
    return msgspec.structs.replace(
        edit,
        kind=_clipped(edit.kind, MOST_VALUE),
        path=_clipped(edit.path, MOST_WORDS),
        before=None if edit.before is None else _clipped(edit.before, MOST_VALUE),
        after=None if edit.after is None else _clipped(edit.after, MOST_VALUE),
    )


def _short_error(error: FieldError) -> FieldError:
    return msgspec.structs.replace(
        error,
        kind=_clipped(error.kind, MOST_VALUE),
        path=_clipped(error.path, MOST_WORDS),
        message=_clipped(error.message, MOST_WORDS),
        field=None if error.field is None else _clipped(error.field, MOST_WORDS),
    )


def _clipped(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - len(_CUT)] + _CUT
