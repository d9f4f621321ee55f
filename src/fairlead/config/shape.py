"""Keys and types of a configuration against the schema: every problem at once, each with its path."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec

from fairlead.config.lines import KeyPath
from fairlead.config.problem import Problem, suggestion, written
from fairlead.config.schema import Table


def misfits(value: object, kind: Any, path: KeyPath = ()) -> Iterator[Problem]:
    """Where `value`, as read from TOML, does not have the form `kind`."""
    forms = _forms(kind)
    table = next((form for form in forms if isinstance(form, type) and issubclass(form, Table)), None)
    if isinstance(value, dict) and table is not None:
        yield from _table_misfits(value, table, path)
    elif isinstance(value, dict) and get_origin(kind) is dict:
        for name, entry in value.items():
            yield from misfits(entry, get_args(kind)[1], (*path, name))
    elif isinstance(value, list) and get_origin(kind) is tuple:
        for index, item in enumerate(value):
            yield from misfits(item, get_args(kind)[0], (*path, index))
    else:
        yield from _leaf_misfits(value, kind, forms, path)


def _table_misfits(value: Mapping[str, object], table: type[Table], path: KeyPath) -> Iterator[Problem]:
    fields = {field.name: field for field in msgspec.structs.fields(table)}
    for name, entry in value.items():
        if name in fields:
            yield from misfits(entry, fields[name].type, (*path, name))
        else:
            here = (*path, name)
            yield Problem(here, f"`{written(here)}` is not a setting; {suggestion(name, fields)}")
    for name, field in fields.items():
        if field.required and name not in value:
            yield Problem(path, f"`{written(path)}` needs `{name}`")


def _leaf_misfits(value: object, kind: Any, forms: list[Any], path: KeyPath) -> Iterator[Problem]:
    choices = [str(name) for form in forms if get_origin(form) is Literal for name in get_args(form)]
    if choices and isinstance(value, str) and str not in forms:
        if value not in choices:
            yield Problem(path, f"`{written(path)}` has an unknown value; {suggestion(value, choices)}")
        return
    if isinstance(value, float) and not math.isfinite(value):
        yield Problem(path, f"`{written(path)}` must be a finite number")
        return
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        reason, _, inside = str(error).partition(" - at `$")
        yield Problem(path, f"`{written(path)}{inside.rstrip('`')}`: {_in_words_of_toml(reason)}")


_KINDS = {
    "array": "a list",
    "bool": "true or false",
    "date": "a date",
    "datetime": "a date and time",
    "float": "a number",
    "int": "an integer",
    "object": "a table",
    "str": "a string",
    "time": "a time",
}


def _in_words_of_toml(reason: str) -> str:
    """A message of msgspec's, in the words of a configuration's author; TOML has no null."""

    def kinds(found: re.Match[str]) -> str:
        names = [name for name in found[1].split(" | ") if name != "null"]
        return " or ".join(_KINDS.get(name, f"`{name}`") for name in names)

    return re.sub(r"`([a-z |]+)`", kinds, reason.replace("Expected", "expected", 1))


def _forms(kind: Any) -> list[Any]:
    """The members of a union, `Annotated` taken off; a type that is no union is its only member."""
    if get_origin(kind) is Annotated:
        return _forms(get_args(kind)[0])
    if get_origin(kind) in (Literal, tuple, dict) or not get_args(kind):
        return [kind]
    return [form for member in get_args(kind) for form in _forms(member)]
