"""Unfinished answers of a stream as values of the type that is asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from fairlead.core.jsonpartial import Partial
from fairlead.validation.targets.target import Target

_ROOTS: Final[Mapping[Any, tuple[str, tuple[type, ...]]]] = {
    "object": ("{", (dict,)),
    "array": ("{[", (list,)),
    None: ("{[", (dict, list)),
}
"""The type that a schema names, to the brackets that open an answer, and what it has to be."""

_MAX_REFS: Final = 10


class Partials:
    """The typed partials of one stream.

    A pydantic model becomes an instance of a model with the same fields, all of them optional: `None` is what is not
    there yet.  A dataclass becomes an instance of itself, likewise.  Lists hold what is known of their elements,
    dictionaries plain data; all else is there once it is complete.  Parts that are complete are shared between one
    partial and the next: change none of them.
    """

    __slots__ = ("_kinds", "_last", "_memo", "_partial", "_reader")

    def __init__(self, target: Target[Any]) -> None:
        opens, self._kinds = _ROOTS.get(_type_of(target.schema), ("", ()))
        self._partial = Partial(opens)
        self._reader = _reader_of(target)
        self._memo: dict[int, Any] = {}
        self._last: Any = None

    def feed(self, piece: str) -> Any | None:
        """What is known now; `None` where that is nothing, or nothing new."""
        if self._partial.is_over:
            return None
        self._partial.feed(piece)
        value = self._partial.value
        if not isinstance(value, self._kinds):
            return None
        levels = self._partial.open_levels
        try:
            typed = snapshot(value, levels) if self._reader is None else self._reader.read(value, levels, self._memo)
        except RecursionError:
            # It is deeper than the stack of who asks has room for.
            return None
        if typed is None or _is_same(typed, self._last):
            return None
        self._last = typed
        return typed


def _is_same(typed: Any, before: Any) -> bool:
    try:
        return bool(typed == before)
    except Exception:  # noqa: BLE001 - a dataclass may compare as it likes, of fields that are not there yet too
        return False


def snapshot(value: Any, levels: int) -> Any:
    """A value that stays as it is while the one it was taken of grows; complete parts are shared."""
    if levels == 0 or not isinstance(value, dict | list):
        return value
    copied = value.copy()
    if isinstance(copied, list):
        if copied:
            copied[-1] = snapshot(copied[-1], levels - 1)
    elif copied:
        last = next(reversed(copied))
        copied[last] = snapshot(copied[last], levels - 1)
    return copied


def _reader_of(target: Target[Any]) -> Any:
    if target.adapter is None:
        return None
    from fairlead.validation.targets import unfinished  # noqa: PLC0415 - pydantic is loaded already where there is an adapter

    return unfinished.reader_of(target.kind, target.readers)


def _type_of(written: bytes) -> Any:
    """The type that a schema names at its top; `None` where it names none, or several."""
    schema = whole = json.loads(written)
    for _ in range(_MAX_REFS):
        reference = schema.get("$ref")
        if not isinstance(reference, str) or not reference.startswith("#/$defs/"):
            break
        schema = whole.get("$defs", {}).get(reference.removeprefix("#/$defs/"), {})
    kind = schema.get("type")
    return kind if isinstance(kind, str) else None
