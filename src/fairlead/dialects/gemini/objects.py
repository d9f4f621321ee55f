"""JSON objects as Google reads them: every field has two spellings, and a list of one may be the one alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from fairlead.dialects.fields import BadField, value_of

Fields = dict[str, msgspec.Raw]

_FIELDS = msgspec.json.Decoder(Fields)
_RAWS = msgspec.json.Decoder(list[msgspec.Raw])
_STEP = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")
_BRACE = 0x7B


def opened(raw: msgspec.Raw | None, at: str) -> Fields:
    """The fields of an object by their names in camelCase, each value still raw.

    Raises:
        BadField: it is no object, or one field stands in it in both spellings.
    """
    try:
        fields = _FIELDS.decode(b"" if raw is None else raw)
    except (ValueError, RecursionError):
        raise BadField(at, "must be an object") from None
    return spelled(fields, at)


def spelled(fields: Mapping[str, msgspec.Raw], at: str = "") -> Fields:
    """These fields by their names in camelCase, those that are null left out.

    Raises:
        BadField: both spellings of one are there; providers differ in which one they believe.
    """
    found: Fields = {}
    for written, raw in fields.items():
        name = camel(written)
        if name in found or (name != written and name in fields):
            raise BadField(f"{at}.{name}".lstrip("."), "stands twice, in both of its spellings")
        if not is_null(raw):
            found[name] = raw
    return found


def camel(name: str) -> str:
    """The name in camelCase."""
    return _STEP.sub(lambda step: step[1].upper(), name) if "_" in name else name


def rows(raw: msgspec.Raw | None, at: str) -> list[msgspec.Raw]:
    """The elements of an array; an object alone is one of one element, and none at all has none.

    Raises:
        BadField: it is anything else.
    """
    if raw is None:
        return []
    if memoryview(raw)[0] == _BRACE:
        return [raw]
    try:
        return _RAWS.decode(raw)
    except (ValueError, RecursionError):
        raise BadField(at, "must be an array of objects") from None


def rest(fields: Fields, *known: str) -> Fields:
    """The fields that have no neutral form, without the body that they came in."""
    return {name: raw.copy() for name, raw in fields.items() if name not in known}


def packed(fields: Mapping[str, msgspec.Raw]) -> msgspec.Raw:
    """An object again."""
    return msgspec.Raw(msgspec.json.encode(fields))


def kept(extra: Fields, name: str) -> Fields:
    """An object kept in `extra`, to be added to."""
    raw = extra.get(name)
    return {} if raw is None else _FIELDS.decode(raw)


def text_of(fields: Fields, name: str, at: str) -> str:
    """A string that must be there."""
    value = value_of(fields, name)
    if not isinstance(value, str):
        raise BadField(f"{at}.{name}", "must be a string")
    return value


def is_null(raw: msgspec.Raw) -> bool:
    """Whether it is null, which Google takes for absent."""
    return len(raw) == 4 and bytes(raw) == b"null"
