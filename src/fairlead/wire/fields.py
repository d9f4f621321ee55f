"""The header fields of an answer, found when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar, overload

T = TypeVar("T")


class Fields(Mapping[str, str]):
    """Header fields over the bytes of a head that a parser has accepted; names are lower case.

    Most answers carry dozens of fields and a call asks for a few of them, so none is decoded before.  Repeated fields
    are joined by `, `.

    Args:
        head: from the status line to the last field, without the empty line.
    """

    __slots__ = ("_lower", "_text")

    def __init__(self, head: bytes) -> None:
        self._text = head.decode("latin-1")
        self._lower = head.lower().decode("latin-1")

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str | T) -> str | T: ...

    def get(self, name: str, default: object = None, /) -> object:
        """The value of a field, or the default."""
        mark = f"\r\n{name}:"
        at = self._lower.find(mark)
        if at < 0:
            return default
        start = at + len(mark)
        end = self._text.find("\r\n", start)
        if end < 0:
            return self._text[start:].strip(" \t")
        value = self._text[start:end].strip(" \t")
        if self._lower.find(mark, end) < 0:
            return value
        return ", ".join(text for key, text in self._lines() if key == name)

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and f"\r\n{name}:" in self._lower

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._lines()))

    def __len__(self) -> int:
        return len(dict(self._lines()))

    def __repr__(self) -> str:
        return f"Fields({', '.join(self)})"  # values may be secrets

    def _lines(self) -> Iterator[tuple[str, str]]:
        for line in self._text.split("\r\n")[1:]:
            name, _, value = line.partition(":")
            yield name.lower(), value.strip(" \t")


class Without(Mapping[str, str]):
    """Fields with some names left out."""

    __slots__ = ("_fields", "_hidden")

    def __init__(self, fields: Mapping[str, str], hidden: frozenset[str]) -> None:
        self._fields = fields
        self._hidden = hidden

    def __getitem__(self, name: str) -> str:
        if name in self._hidden:
            raise KeyError(name)
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._fields if name not in self._hidden)

    def __len__(self) -> int:
        return sum(1 for _ in self)
