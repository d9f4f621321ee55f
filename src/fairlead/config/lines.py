"""Where the keys of a TOML document stand; `tomllib` reads values but keeps no positions."""

from __future__ import annotations

import tomllib
from collections.abc import Callable

KeyPath = tuple[str | int, ...]
"""From the root to a value: keys of tables, indexes of arrays."""

_BARE_END = " \t\r\n=.,[]{}#"
_SCALAR_END = ",]}#\r\n"


def key_lines(text: str) -> dict[KeyPath, int]:
    """The line, from 1, of every key and every array element of a *valid* TOML document.

    A table has the line of its header, or of the first key that mentions it.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """The line of the path, or of the nearest thing around it."""
    while path:
        if path in lines:
            return lines[path]
        path = path[:-1]
    return 1


class _Scanner:
    """One pass over the text; each method starts at its first character and stops behind its last."""

    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._table: KeyPath = ()
        self._array_sizes: dict[KeyPath, int] = {}
        self._line = 1
        self._counted = 0

    def document(self) -> None:
        """All headers and pairs."""
        self._blank()
        while self.at < len(self.text):
            if self._peek() == "[":
                self._header()
            else:
                self._pair(self._table)
            self._blank()

    def _header(self) -> None:
        is_array = self._peek(2) == "[["
        self.at += 2 if is_array else 1
        line = self._here()
        keys = self._keys()
        self.at += 2 if is_array else 1
        parent: KeyPath = ()
        for key in keys[:-1]:
            self._note((*parent, key), line)
            parent = self._newest((*parent, key))
        table: KeyPath = (*parent, keys[-1])
        if is_array:
            self._note(table, line)
            self._array_sizes[table] = self._array_sizes.get(table, 0) + 1
        self._table = self._newest(table)
        self.lines[self._table] = line

    def _newest(self, path: KeyPath) -> KeyPath:
        """The last element, where the path is an array of tables."""
        size = self._array_sizes.get(path)
        return path if size is None else (*path, size - 1)

    def _pair(self, table: KeyPath) -> None:
        line = self._here()
        path = table
        for key in self._keys():
            path = (*path, key)
            self._note(path, line)
        self.at += 1
        self._spaces()
        self._value(path)

    def _keys(self) -> list[str]:
        """A dotted key, up to `=` or `]`."""
        keys = []
        while True:
            self._spaces()
            keys.append(self._key())
            self._spaces()
            if self._peek() != ".":
                return keys
            self.at += 1

    def _key(self) -> str:
        start = self.at
        if self._peek() in "\"'":
            self._string()
            return next(iter(tomllib.loads(f"{self.text[start : self.at]}=0")))
        self._until(_BARE_END)
        return self.text[start : self.at]

    def _value(self, path: KeyPath) -> None:
        opening = self._peek()
        if opening in "\"'":
            self._string()
        elif opening == "[":
            self._items("]", lambda index: self._element((*path, index)))
        elif opening == "{":
            self._items("}", lambda _: self._pair(path))
        else:
            self._until(_SCALAR_END)

    def _items(self, closing: str, item: Callable[[int], None]) -> None:
        """The comma-separated content of an array or an inline table, brackets included."""
        self.at += 1
        self._blank()
        index = 0
        while self._peek() != closing:
            item(index)
            index += 1
            self._blank()
            if self._peek() == ",":
                self.at += 1
                self._blank()
        self.at += 1

    def _element(self, path: KeyPath) -> None:
        self._note(path, self._here())
        self._value(path)

    def _string(self) -> None:
        quote = self._peek()
        fence = quote * 3 if self._peek(3) == quote * 3 else quote
        self.at += len(fence)
        while self._peek(len(fence)) != fence:
            self.at += 2 if quote == '"' and self._peek() == "\\" else 1
        self.at += len(fence)
        if len(fence) == 3:
            while self._peek() == quote:  # a multi-line string may end with up to two quotes of its own
                self.at += 1

    def _blank(self) -> None:
        """Spaces, line ends and comments."""
        while self._peek() in (" ", "\t", "\n", "#"):
            if self._peek() == "#":
                self._until("\n")
            else:
                self.at += 1

    def _spaces(self) -> None:
        while self._peek() in (" ", "\t"):
            self.at += 1

    def _until(self, ends: str) -> None:
        while self.at < len(self.text) and self.text[self.at] not in ends:
            self.at += 1

    def _peek(self, size: int = 1) -> str:
        return self.text[self.at : self.at + size]

    def _here(self) -> int:
        """The line of the position; the position never goes back."""
        self._line += self.text.count("\n", self._counted, self.at)
        self._counted = self.at
        return self._line

    def _note(self, path: KeyPath, line: int) -> None:
        self.lines.setdefault(path, line)
