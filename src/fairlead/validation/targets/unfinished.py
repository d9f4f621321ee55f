"""What reads unfinished values, type by type.

This module loads pydantic; it is imported by who needs a type, when it is needed.  A reader is made once for a type;
what it remembers of one stream is in the `memo` that it is handed, by the identity of plain containers, so that what
is complete is read once.

`levels` says how many values are not complete: this one, the last within it, and so on; 0 is a complete one.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Protocol, Union, get_args, get_origin, get_type_hints, is_typeddict

import typing_extensions
from pydantic import AliasChoices, BaseModel, ConfigDict, PydanticUserError, RootModel, TypeAdapter, create_model
from pydantic.fields import FieldInfo

from fairlead.validation.targets.partials import snapshot
from fairlead.validation.targets.typed_dicts import modern

Memo = dict[int, Any]

_PLAIN: Final = (Any, object, dict, list, Mapping)
"""Types that are given as plain data, whatever is in them."""


class Reader(Protocol):
    """Reads what is known of a value."""

    def read(self, value: Any, levels: int, memo: Memo) -> Any | None:
        """The value as its type has it; `None` while that cannot be said."""


class Plain:
    """Dictionaries, and what may be anything: plain data."""

    def read(self, value: Any, levels: int, _memo: Memo) -> Any | None:
        """As it is."""
        return snapshot(value, levels)


class Whole:
    """What is read once it is complete, such as numbers, dates and members of an enum; strings as far as they go."""

    def __init__(self, kind: Any, *, grows: bool) -> None:
        self._grows = grows
        try:
            self._adapter: TypeAdapter[Any] | None = TypeAdapter(modern(kind))
        except (PydanticUserError, NameError):
            # It is read as a part of a whole only, with what that configures.
            self._adapter = None

    def read(self, value: Any, levels: int, _memo: Memo) -> Any | None:
        """By pydantic; nothing where it finds something wrong."""
        if self._adapter is None or (levels and not self._grows):
            return None
        try:
            return self._adapter.validate_python(value)
        except Exception:  # noqa: BLE001 - a validator may raise anything, of a value that is not all there
            return None


class Elements:
    """A list of what is known of its elements; one of which nothing is known yet is left out at the end."""

    def __init__(self, element: Reader) -> None:
        self._element = element

    def read(self, value: Any, levels: int, memo: Memo) -> Any | None:
        """A new list; its complete elements are those of the list before."""
        if not isinstance(value, list):
            return None
        done: list[Any] = memo.setdefault(id(value), [])
        complete = len(value) - (levels > 1)
        done.extend(self._element.read(each, 0, memo) for each in islice(value, len(done), complete))
        if complete == len(value):
            return done.copy()
        last = self._element.read(value[-1], levels - 1, memo)
        return done.copy() if last is None else [*done, last]


class Fields(ABC):
    """An object with named fields."""

    def __init__(self) -> None:
        self.by_key: dict[str, tuple[str, Reader]] = {}
        """The names of properties, to the field's and what reads it."""
        self.tags: dict[str, tuple[Any, ...]] = {}
        """Properties that may have a few values only, by which members of a union are told apart."""

    @abstractmethod
    def make(self, known: dict[str, Any]) -> Any:
        """An instance with these fields; the others are `None`."""

    def read(self, value: Any, levels: int, memo: Memo) -> Any | None:
        """A new instance; what its complete fields hold is what they held before."""
        if not isinstance(value, dict):
            return None
        count, known = memo.get(id(value), (0, {}))
        complete = len(value) - (levels > 1)
        known |= self._read(islice(value.items(), count, complete), 0, memo)
        memo[id(value)] = (complete, known)
        return self.make(known | self._read(islice(value.items(), complete, None), levels - 1, memo))

    def _read(self, properties: Iterator[tuple[str, Any]], levels: int, memo: Memo) -> dict[str, Any]:
        found = {}
        for key, value in properties:
            name, reader = self.by_key.get(key, (None, None))
            if name is not None and reader is not None and (typed := reader.read(value, levels, memo)) is not None:
                found[name] = typed
        return found


class Model(Fields):
    """A pydantic model, as an instance of one whose fields are all optional."""

    def __init__(self, kind: type[BaseModel]) -> None:
        super().__init__()
        optional: dict[str, Any] = dict.fromkeys(kind.model_fields, (Any, None))
        self._kind = create_model(
            f"Partial{kind.__name__}", __config__=ConfigDict(protected_namespaces=()), __doc__=kind.__doc__, **optional
        )

    def make(self, known: dict[str, Any]) -> Any:
        """Without validation: each field was read as its type has it."""
        return self._kind.model_construct(set(known), **known)


class Record(Fields):
    """A dataclass, as an instance of itself that was never initialised."""

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self._kind = kind
        self._names = [field.name for field in dataclasses.fields(kind)]

    def make(self, known: dict[str, Any]) -> Any:
        """Past `__init__` and `frozen`, as both speak of a whole one."""
        instance = object.__new__(self._kind)
        for name in self._names:
            object.__setattr__(instance, name, known.get(name))
        return instance


class Choice:
    """A union: read by the one member that may be meant, or once it is complete."""

    def __init__(self, kind: Any, members: list[Reader]) -> None:
        self._objects = [member for member in members if isinstance(member, Fields)]
        self._lists = [member for member in members if isinstance(member, Elements)]
        self._plain = any(isinstance(member, Plain) for member in members)
        self._whole = Whole(kind, grows=False)

    def read(self, value: Any, levels: int, memo: Memo) -> Any | None:
        """Tags that are there tell objects apart."""
        meant: list[Any] = []
        if isinstance(value, dict) and not self._plain:
            meant = [each for each in self._objects if _may_be(each, value)]
        elif isinstance(value, list):
            meant = self._lists
        if len(meant) == 1:
            read: Any = meant[0].read(value, levels, memo)
            return read
        return self._whole.read(value, levels, memo)


def reader_of(kind: Any, readers: dict[Any, Any], annotated: Any = None) -> Reader:
    """What reads unfinished values of a type.

    Args:
        readers: those that were made before, by type; a type that holds itself is found here.
        annotated: the type with what is annotated to it, where that is more.
    """
    annotated = kind if annotated is None else annotated
    origin, parts = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return reader_of(parts[0], readers, annotated)
    if origin in (Union, UnionType):
        return _of_union([part for part in parts if part is not NoneType], readers, annotated)
    if origin in (list, Sequence):
        return Elements(reader_of(parts[0], readers))
    if _is_plain(kind, origin):
        return Plain()
    return (
        _of_class(kind, readers, annotated)
        if isinstance(kind, type) and origin is None
        else Whole(annotated, grows=False)
    )


def _of_union(members: list[Any], readers: dict[Any, Any], annotated: Any) -> Reader:
    found = [reader_of(member, readers) for member in members]
    return found[0] if len(found) == 1 else Choice(annotated, found)


def _is_plain(kind: Any, origin: Any) -> bool:
    return kind in _PLAIN or origin in _PLAIN or is_typeddict(kind) or typing_extensions.is_typeddict(kind)


def _of_class(kind: Any, readers: dict[Any, Any], annotated: Any) -> Reader:
    if issubclass(kind, RootModel):
        return _of_field(kind.model_fields["root"], readers)
    if not issubclass(kind, BaseModel) and not dataclasses.is_dataclass(kind):
        return Whole(annotated, grows=kind is str)
    if kind not in readers:
        # Held before its fields are looked at: it may hold itself.
        made = readers[kind] = Model(kind) if issubclass(kind, BaseModel) else Record(kind)
        _fill(made, kind, readers)
    held: Reader = readers[kind]
    return held


def _fill(made: Fields, kind: Any, readers: dict[Any, Any]) -> None:
    fields: Mapping[str, FieldInfo] | None = getattr(kind, "__pydantic_fields__", None)
    if fields is not None:
        config = getattr(kind, "model_config", None) or getattr(kind, "__pydantic_config__", {})
        for name, field in fields.items():
            reader = _of_field(field, readers)
            for key in _keys(name, field, config):
                _add(made, key, name, reader, field.annotation)
        return
    for name, hint in _hints(kind).items():
        _add(made, name, name, reader_of(hint, readers), hint)


def _hints(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's fields; none where they are not known outside of where it was made."""
    try:
        hints = get_type_hints(kind, include_extras=True)
    except NameError:
        return {}
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _of_field(field: FieldInfo, readers: dict[Any, Any]) -> Reader:
    annotated = Annotated[(field.annotation, *field.metadata)] if field.metadata else field.annotation
    return reader_of(field.annotation, readers, annotated)


def _add(fields: Fields, key: str, name: str, reader: Reader, kind: Any) -> None:
    fields.by_key[key] = (name, reader)
    if get_origin(kind) is Literal:
        fields.tags[key] = get_args(kind)


def _keys(name: str, field: FieldInfo, config: Mapping[str, Any]) -> set[str]:
    alias = field.validation_alias
    found = alias.choices if isinstance(alias, AliasChoices) else [alias or name]
    by_name = {name} if config.get("populate_by_name") or config.get("validate_by_name") else set()
    return {each for each in found if isinstance(each, str)} | by_name


def _may_be(fields: Fields, value: dict[str, Any]) -> bool:
    return all(value[key] in tags for key, tags in fields.tags.items() if key in value)
