"""What is wrong with a value, in words that a model and a person understand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from fairlead.validation.ladder.node import Node
from fairlead.validation.ladder.outcome import Outcome, Problem, outcome, shown
from fairlead.verdict import Edit, FieldError

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

_NAMES: Final = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "an integer",
    "null": "null",
    "number": "a number",
    "object": "an object",
    "string": "a string",
}
_MAX_LISTED: Final = 12
_LIMITS: Final = {
    "exclusiveMaximum": "must be less than {}",
    "exclusiveMinimum": "must be more than {}",
    "maxItems": "must have at most {} elements",
    "maxLength": "must be at most {} characters long",
    "maxProperties": "must have at most {} properties",
    "maximum": "must be at most {}",
    "minItems": "must have at least {} elements",
    "minLength": "must be at least {} characters long",
    "minProperties": "must have at least {} properties",
    "minimum": "must be at least {}",
    "multipleOf": "must be a multiple of {}",
    "pattern": "must match the pattern {}",
    "format": "must be written as the format {} says",
}
_UNREADABLE: Final = {
    "adjacent": "lists stand side by side, as references in a text do; write one list alone",
    "duplicate": "a name stands twice in an object, with different values; write it once",
    "elision": "dots or words such as `and so on` stand where values belong; write all of them out",
    "missing_value": "a name has no value behind it; write the value",
    "unclear": "it is not clear where a value begins or ends; write it as JSON, with quotes and commas",
}


def unreadable(kind: str) -> str:
    """Why a text has more than one reading."""
    return _UNREADABLE.get(kind, f"cannot be read in one way only ({kind.replace('_', ' ')}); write it as JSON")


def as_written(errors: tuple[FieldError, ...], edits: tuple[Edit, ...]) -> tuple[FieldError, ...]:
    """The errors of values that were read as `null`, with what stands in the text in their place."""
    written = {edit.path: edit.before for edit in edits if edit.kind == "not_a_number" and edit.before}
    if not written:
        return errors
    return tuple(
        msgspec.structs.replace(error, message=f"{error.message.removesuffix('null')}{written[error.path]}")
        if error.path in written and error.message.endswith("it is null")
        else error
        for error in errors
    )


def must(node: Node) -> str:
    """What a place asks for."""
    if node.kinds is None or not node.kinds:
        return "must fit the schema"
    return "must be " + " or ".join(sorted(_NAMES.get(kind, kind) for kind in node.kinds))


def type_of(node: Node, value: Any) -> Outcome:
    """The value is of another type."""
    message = f"{must(node)}; it is {_told(value)}"
    return outcome(value, problems=(Problem(kind="type", message=message),))


def nothing(node: Node, value: Any) -> Outcome:
    """What stands there says that there is no value."""
    message = f"{must(node)}; {shown(value)} is no value"
    return outcome(value, problems=(Problem(kind="unclear", message=message),), is_absent=True)


def option(node: Node, value: Any) -> Outcome:
    """The value is none of those that the schema lists."""
    from fairlead.validation.ladder.words import is_nothing  # noqa: PLC0415 - words knows nothing of nodes; kept apart

    found = listed(value, node.options or ())
    if value is None or (isinstance(value, str) and is_nothing(value)):
        return outcome(found.value, problems=found.problems, is_absent=True)
    return found


def listed(value: Any, options: Sequence[Any]) -> Outcome:
    """The value is none of these."""
    names = ", ".join(shown(each) for each in options[:_MAX_LISTED])
    more = ", ..." if len(options) > _MAX_LISTED else ""
    message = f"must be one of {names}{more}; it is {_told(value)}"
    return outcome(value, problems=(Problem(kind="enum", message=message),))


def none_of(node: Node, value: Any) -> str:
    """No member of the union fits."""
    kinds = sorted({_NAMES.get(kind, kind) for branch in node.branches for kind in branch.kinds or ()})
    return f"must be {' or '.join(kinds) or 'as the schema says'}; it is {_told(value)}"


def reason(error: ValueError) -> str:
    """Why a value has no one form, clipped."""
    text = str(error) or "cannot be read in one way only"
    return text if len(text) <= 200 else text[:197] + "..."


def keeps(check: Validator, value: Any) -> bool:
    """Whether the value keeps to the rules; one that cannot be checked does not."""
    try:
        return check.is_valid(value)
    except (ValueError, TypeError, RecursionError):
        return False


def broken(check: Validator, value: Any) -> tuple[Problem, ...]:
    """The rules that the value breaks."""
    try:
        found = tuple(_in_words(error) for error in check.iter_errors(value))
    except (ValueError, TypeError, RecursionError):
        found = ()
    return found or (Problem(kind="schema", message="cannot be checked"),)


def _in_words(error: ValidationError) -> Problem:
    kind = error.kind.name
    limit = next(iter(error.kind.as_dict().values()), None)
    if kind in _LIMITS:
        return Problem(kind=kind, message=_LIMITS[kind].format(shown(limit)))
    if kind == "uniqueItems":
        return Problem(kind=kind, message="must not have an element twice")
    return Problem(kind=kind, message=f"breaks the rule `{kind}`")


def _told(value: Any) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return shown(value)
