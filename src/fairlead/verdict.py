"""What was found out about an answer that had to fit a schema: how far it was climbed, what was changed, what is wrong."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

Rung = Literal["parse", "extract", "repair", "coerce", "reask", "escalate", "fallback"]
RUNGS: tuple[Rung, ...] = get_args(Rung)
"""From the one that changes nothing to the one that gives up; each includes those before it."""


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
