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
    def get(self, name: str, /, default: str) -> str: ...
    @overload
    def get(self, name: str, /, default: T) -> str | T: ...

    def get(self, name: str, /, default: object = None) -> object:
        """The value of a field, or the default."""
        mark = f"\r\n{name}:"
        lower = self._lower
        if mark not in lower:
            return default
        start = lower.index(mark) + len(mark)
        if mark in lower[start:]:
            return ", ".join(text for key, text in self._lines() if key == name)
        return self._text[start:].partition("\r\n")[0].strip(" \t")

    def coded(self) -> bool:
        """Whether there may be a transfer coding or a content coding."""
        return "-encoding:" in self._lower

    def without(self, *names: str) -> Fields:
        """The same fields, those of the given names left out."""
        first, *lines = self._text.split("\r\n")
        kept = [line for line in lines if line.partition(":")[0].lower() not in names]
        return Fields("\r\n".join((first, *kept)).encode("latin-1"))

    def __getitem__(self, name: str) -> str:
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def __contains__(self, name: object) -> bool:
        return f"\r\n{name}:" in self._lower

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
