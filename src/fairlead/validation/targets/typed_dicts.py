"""The standard library's `TypedDict`, which pydantic reads from Python 3.12 on, for the versions before it."""

from __future__ import annotations

import sys
from functools import reduce
from operator import or_
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, get_args, get_origin, get_type_hints, is_typeddict

import typing_extensions


def modern(kind: Any) -> Any:
    """The type with a `TypedDict` that pydantic reads in place of each that it does not.

    Raises:
        NameError: an annotation names what is not defined in its module.
    """
    return kind if sys.version_info >= (3, 12) else _modern(kind, ())


def _modern(kind: Any, within: tuple[Any, ...]) -> Any:
    if is_typeddict(kind):
        # One that holds itself stays as it is: pydantic says what to do about it.
        return kind if kind in within else _again(kind, (*within, kind))
    origin, parts = get_origin(kind), get_args(kind)
    if origin in (None, Literal) or not parts:
        return kind
    if origin is Annotated:
        return Annotated[(_modern(parts[0], within), *parts[1:])]
    newer = tuple(_modern(part, within) for part in parts)
    if newer == parts:
        return kind
    if origin is UnionType:
        return reduce(or_, newer)
    return kind.copy_with(newer) if hasattr(kind, "copy_with") else origin[newer]


def _again(kind: Any, within: tuple[Any, ...]) -> Any:
    fields = {
        name: (Required if name in kind.__required_keys__ else NotRequired)[_modern(_bare(hint), within)]
        for name, hint in get_type_hints(kind, include_extras=True).items()
    }
    make: Any = typing_extensions.TypedDict  # to a type checker it is a form of speech, not a function
    newer = make(kind.__name__, fields)
    newer.__doc__ = kind.__doc__
    return newer


def _bare(hint: Any) -> Any:
    return get_args(hint)[0] if get_origin(hint) in (Required, NotRequired) else hint
