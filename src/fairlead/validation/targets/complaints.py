"""What pydantic finds wrong with a value, in the words of Fairlead."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from fairlead.verdict import FieldError

MAX_MESSAGE: Final = 300
"""The longest message, in characters."""
MAX_INPUT: Final = 60
"""So much of a value is shown, in characters."""
MAX_COMPLAINTS: Final = 50
"""So many errors are given; a list of a thousand wrong elements is wrong in one way."""

_KINDS: Final[Mapping[str, str]] = {
    "missing": "required",
    "extra_forbidden": "additionalProperties",
    "enum": "enum",
    "literal_error": "enum",
    "greater_than": "exclusiveMinimum",
    "greater_than_equal": "minimum",
    "less_than": "exclusiveMaximum",
    "less_than_equal": "maximum",
    "multiple_of": "multipleOf",
    "string_too_short": "minLength",
    "string_too_long": "maxLength",
    "string_pattern_mismatch": "pattern",
    "too_short": "minItems",
    "too_long": "maxItems",
    "value_error": "validator",
    "assertion_error": "validator",
    "union_tag_invalid": "discriminator",
    "union_tag_not_found": "discriminator",
    "recursion_loop": "validator",
}
"""pydantic's kind to the keyword of JSON Schema that says the same."""

_WORDS: Final[Mapping[str, str]] = {
    "missing": "is required, and missing",
    "extra_forbidden": "is a property that the type does not have",
    "model_type": "should be an object",
    "model_attributes_type": "should be an object",
    "dataclass_type": "should be an object",
    "typed_dict_type": "should be an object",
    "dict_type": "should be an object",
    "mapping_type": "should be an object",
    "list_type": "should be a list",
    "tuple_type": "should be a list",
    "set_type": "should be a list",
    "frozen_set_type": "should be a list",
    "recursion_loop": "is nested too deeply to be checked",
    "json_invalid": "holds half of a surrogate pair, or is nested too deeply to be checked",
}
"""Where pydantic's words speak of Python."""

_PREFIXES: Final = ("Value error, ", "Assertion failed, ", "Input ")
_WITHOUT_INPUT: Final = frozenset(
    {"missing", "extra_forbidden", "recursion_loop", "json_invalid", "value_error", "assertion_error"}
)


def complaints(value: Any, errors: Iterable[Mapping[str, Any]]) -> tuple[FieldError, ...]:
    """Each of pydantic's errors as one of ours, at most `MAX_COMPLAINTS`.

    Args:
        value: what was validated: which parts of a location are in it, and which name a member of a union.
    """
    found: dict[tuple[str, str], FieldError] = {}
    for error in errors:
        ours = FieldError(
            path=_pointer(value, error["loc"], is_missing=error["type"] == "missing"),
            message=_message(error),
            kind=_kind(error["type"]),
        )
        found.setdefault((ours.path, ours.message), ours)
        if len(found) == MAX_COMPLAINTS:
            break
    return tuple(found.values())


def _kind(theirs: str) -> str:
    if (kind := _KINDS.get(theirs)) is not None:
        return kind
    return "type" if theirs.endswith(("_type", "_parsing", "_from_float")) else "schema"


def _message(error: Mapping[str, Any]) -> str:
    kind = error["type"]
    message: str = _WORDS.get(kind) or error["msg"]
    for prefix in _PREFIXES:
        message = message.removeprefix(prefix)
    if kind not in _WITHOUT_INPUT:
        message = f"{message}; it is {_shown(error['input'])}"
    return _clipped(message, MAX_MESSAGE)


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    try:
        # Only so much is written as is shown.
        return _clipped(
            json.dumps(value[: MAX_INPUT + 1] if isinstance(value, str) else value, ensure_ascii=False), MAX_INPUT
        )
    except (TypeError, ValueError, RecursionError):
        return "no plain data"


def _clipped(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _pointer(value: Any, location: Iterable[str | int], *, is_missing: bool) -> str:
    """The location as a JSON Pointer: parts that are not in the value name unions and validators, and are left out."""
    parts = tuple(location)
    # What is missing ends the location; where that is an element, the list that it belongs to is missing too.
    named = len(parts) if not is_missing else 0 if isinstance(parts[-1], int) else len(parts) - 1
    pointer = ""
    for number, part in enumerate(parts):
        if isinstance(value, dict) and (key := str(part)) in value:
            value = value[key]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif number < named:
            continue
        pointer += "/" + str(part).replace("~", "~0").replace("/", "~1")
    return pointer
