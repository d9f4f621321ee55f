"""JSON as RFC 8259 has it, and nothing else."""

from __future__ import annotations

import json
from typing import Any, NoReturn

import msgspec

_DECODE = msgspec.json.Decoder().decode
_ENCODE = msgspec.json.Encoder().encode
_SPACE = " \t\r\n"


class TooDeep(ValueError):
    """Nested more deeply than is read."""


def whole(text: str) -> Any:
    """The value of a text that is JSON, white space and a byte order mark around it left out.

    Where RFC 8259 leaves it open, the reading that loses nothing: a name that stands twice has the same value both
    times, a number fits into what holds numbers, a string has no half of a surrogate pair.

    Raises:
        ValueError: it is no JSON, nested too deeply, or one of those.
    """
    body = text.strip("\ufeff" + _SPACE)
    try:
        value = _DECODE(body)
        is_unique = not isinstance(value, dict | list) or _has_no_duplicates(body, value)
    except RecursionError:
        raise TooDeep("nested too deeply") from None
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from None
    if not is_unique:
        _READER.decode(body)
    return value


def at(text: str, position: int) -> tuple[Any, int]:
    """The value that begins at a position, and where it ends.

    Raises:
        ValueError: none does that `whole` would read.
    """
    try:
        value, end = _READER.raw_decode(text, position)
    except RecursionError:
        raise TooDeep("nested too deeply") from None
    if text.find("\\u", position, end) >= 0 or text.find("e", position, end) >= 0 or text.find("E", position, end) >= 0:
        whole(text[position:end])
    return value, end


def _has_no_duplicates(body: str, value: Any) -> bool:
    """Whether as many quotes are in the value, written again, as in the text; `False`: one has to look closely."""
    if ":" not in body:
        return True
    written = _ENCODE(value)
    return written.count(b'"') == body.count('"') and "\\u0022" not in body


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        for key, value in pairs:
            if not _same(fields[key], value):
                raise ValueError(f"the name {key[:64]!r} stands twice, with different values")
    return fields


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and one == other and not isinstance(one, dict | list)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


_READER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_refuse)
