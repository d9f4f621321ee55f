"""The value of a JSON text that is still being written, as far as it can be known.

What is known stays: each value is extended by the next one and by the last.  Objects gain properties, lists gain
elements, strings grow at their end; numbers, booleans and `null` are there once they are complete, names of
properties once their value begins.  Where a text stops being JSON, what was known before stays the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf
from typing import Any, Final

MAX_DEPTH: Final = 200
"""Deeper values stay unknown; this is as deep as other readers go."""

REASONING: Final = ("think", "thinking", "reasoning", "thought", "reflection", "scratchpad")
"""Tags around what is not yet the answer."""

_MAX_TAG: Final = 100
"""The longest tag that is waited for, in characters."""

_NAMES: Final = "|".join(REASONING)
_START = re.compile(
    # A bracket counts if what follows it may, as far as it is there.
    r"\{(?=[ \t\r\n]*(?:[\"}]|\Z))|\[(?=[ \t\r\n]*(?:[]\"\[{0-9tfn-]|\Z))"
    rf"|<({_NAMES})(?:\s[^<>{{}}\[\]]{{0,80}})?>",
    re.IGNORECASE,
)
_CUT_TAG = re.compile(rf"<(?:[a-z]*|(?:{_NAMES})\s[^<>{{}}\[\]]*)\Z", re.IGNORECASE)
_TAG = re.compile(rf"<(/?)({_NAMES})(?:\s[^<>]{{0,80}})?>", re.IGNORECASE)
_CUT_ANY_TAG = re.compile(r"</?[a-z]*(?:\s[^<>]*)?\Z", re.IGNORECASE)
_SPACE = re.compile(r"[ \t\r\n]+")
_PLAIN = re.compile(r'[^"\\]+')
_ESCAPE = re.compile(r'\\(?:(["\\/bfnrt])|u([0-9a-fA-F]{4}))')
_CUT_ESCAPE = re.compile(r"\\(?:u[0-9a-fA-F]{0,3})?\Z")
_LOW = re.compile(r"\\u([dD][c-fC-F][0-9a-fA-F]{2})")
_CUT_LOW = re.compile(r"(?:\\(?:u(?:[dD](?:[c-fC-F][0-9a-fA-F]?)?)?)?)?\Z")
_SCALAR = re.compile(r"[-+.0-9A-Za-z_ \t\r\n]+")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?")
_ESCAPED: Final = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip
_WORDS: Final = {"true": True, "false": False, "null": None}

_Container = dict[str, Any] | list[Any]


class Partial:
    """Reads a text that comes in pieces, each character once.

    What stands before the first `{` or `[` outside of reasoning is skipped, and so is what follows the value.

    Args:
        opens: the brackets that may open the value: `"{"` where an object is expected.
    """

    __slots__ = (
        "_held",
        "_is_torn",
        "_key",
        "_nested",
        "_opens",
        "_parts",
        "_root",
        "_shown",
        "_stack",
        "_step",
        "_text",
        "_within",
    )

    def __init__(self, opens: str = "{[") -> None:
        self._opens = opens
        self._held = ""
        self._is_torn = False
        self._within = ""
        self._nested = 0
        self._root: _Container | None = None
        self._shown = False
        self._stack: list[_Container] = []
        self._key = ""
        self._parts: list[str] = []
        self._text = ""
        self._step: Callable[[str, int], int] = self._seek

    def feed(self, piece: str) -> None:
        """Read on."""
        if self._step == self._rest:
            return
        text = self._held + piece if self._held else piece
        self._held = ""
        at, end = 0, len(text)
        while at < end:
            at = self._step(text, at)

    @property
    def value(self) -> _Container | None:
        """What is known; `None` while nothing is.  It grows in place: copy what is to stay as it is."""
        if self._parts and self._step == self._in_string:
            self._settle()
        return self._root if self._shown else None

    @property
    def open_levels(self) -> int:
        """How many values are not complete: the whole, the last value within it, and so on; 0 where all are.

        A string counts where it may go on, so that what is more than its characters is not read too early.
        """
        return len(self._stack) + (self._is_torn or self._step == self._in_string)

    @property
    def is_over(self) -> bool:
        """Whether the value stays as it is, whatever follows: it is complete, or what came last is no JSON."""
        return self._step == self._rest

    def _wait(self, text: str, at: int) -> int:
        """What begins here is told apart once there is more of it."""
        self._held = text[at:]
        return len(text)

    def _seek(self, text: str, at: int) -> int:
        found = _START.search(text, at)
        if found is None:
            cut = _CUT_TAG.search(text, max(at, len(text) - _MAX_TAG))
            return self._wait(text, cut.start()) if cut else len(text)
        if (tag := found[1]) is not None:
            self._within, self._nested, self._step = tag.lower(), 1, self._in_reasoning
        elif found[0] in self._opens:
            self._open(found[0])
        return found.end()

    def _in_reasoning(self, text: str, at: int) -> int:
        found = _TAG.search(text, at)
        if found is None:
            cut = _CUT_ANY_TAG.search(text, max(at, len(text) - _MAX_TAG))
            return self._wait(text, cut.start()) if cut else len(text)
        if found[2].lower() == self._within:
            self._nested += -1 if found[1] else 1
        if not self._nested:
            self._step = self._seek
        return found.end()

    def _rest(self, text: str, _at: int) -> int:
        return len(text)

    def _break(self, at: int) -> int:
        """No JSON from here on: nothing more is known, or, if nothing was, another value may begin."""
        if self._shown:
            self._step = self._rest
        else:
            self._stack.clear()
            self._step = self._seek
        return at

    def _open(self, bracket: str) -> None:
        container: _Container = {} if bracket == "{" else []
        if self._stack:
            self._place(container)
        else:
            self._root = container
        self._stack.append(container)
        self._step = self._before_key if bracket == "{" else self._before_element

    def _close(self) -> None:
        self._stack.pop()
        self._step = self._after
        if not self._stack:
            self._shown = True
            self._step = self._rest

    def _place(self, value: Any) -> None:
        top = self._stack[-1]
        if isinstance(top, dict):
            top[self._key] = value
        else:
            top.append(value)
        self._shown = True

    def _before_key(self, text: str, at: int) -> int:
        if (space := _SPACE.match(text, at)) is not None:
            return space.end()
        if text[at] == '"':
            self._step = self._in_key
        elif text[at] == "}":
            self._close()
        else:
            return self._break(at)
        return at + 1

    def _in_key(self, text: str, at: int) -> int:
        if text[at] != '"':
            return self._read(text, at)
        self._key = "".join(self._parts)
        self._parts.clear()
        if self._key in self._stack[-1]:
            # Readers differ in which of two values counts.
            return self._break(at + 1)
        self._step = self._before_colon
        return at + 1

    def _before_colon(self, text: str, at: int) -> int:
        if (space := _SPACE.match(text, at)) is not None:
            return space.end()
        if text[at] != ":":
            return self._break(at)
        self._step = self._before_value
        return at + 1

    def _before_element(self, text: str, at: int) -> int:
        if text[at] == "]":
            self._close()
            return at + 1
        return self._before_value(text, at)

    def _before_value(self, text: str, at: int) -> int:
        if (space := _SPACE.match(text, at)) is not None:
            return space.end()
        first = text[at]
        if first == '"':
            self._place("")
            self._text = ""
            self._step = self._in_string
        elif first in "{[" and len(self._stack) < MAX_DEPTH:
            self._open(first)
        elif first in "-0123456789tfn":
            self._step = self._in_scalar
            return at
        else:
            return self._break(at)
        return at + 1

    def _in_scalar(self, text: str, at: int) -> int:
        if (more := _SCALAR.match(text, at)) is not None:
            self._parts.append(more[0])
            return more.end()
        written = "".join(self._parts).rstrip(" \t\r\n")
        self._parts.clear()
        if text[at] not in ",]}":
            return self._break(at)
        try:
            value = _scalar(written)
        except ValueError:
            return self._break(at)
        self._place(value)
        self._step = self._after
        return at

    def _in_string(self, text: str, at: int) -> int:
        if text[at] != '"':
            return self._read(text, at)
        self._settle()
        self._step = self._after
        return at + 1

    def _settle(self) -> None:
        """The string in its place, as far as it was read."""
        self._text += "".join(self._parts)
        self._parts.clear()
        top = self._stack[-1]
        if isinstance(top, dict):
            top[self._key] = self._text
        else:
            top[-1] = self._text

    def _read(self, text: str, at: int) -> int:
        """A run of a string or key; raw line breaks are as good as written ones."""
        if (plain := _PLAIN.match(text, at)) is not None:
            self._parts.append(plain[0])
            return plain.end()
        escape = _ESCAPE.match(text, at)
        if escape is None:
            return self._wait(text, at) if _CUT_ESCAPE.match(text, at) else self._give_up(at)
        if (letter := escape[1]) is not None:
            self._parts.append(_ESCAPED[letter])
            return escape.end()
        return self._read_code(text, at, escape)

    def _read_code(self, text: str, at: int, escape: re.Match[str]) -> int:
        code, end = int(escape[2], 16), escape.end()
        if 0xD800 <= code < 0xDC00:
            if (low := _LOW.match(text, end)) is not None:
                code, end = 0x10000 + ((code - 0xD800) << 10) + int(low[1], 16) - 0xDC00, low.end()
            elif _CUT_LOW.match(text, end):
                # Half a pair is held back until it is known whether the other half follows.
                return self._wait(text, at)
        self._parts.append(chr(code))
        return end

    def _give_up(self, at: int) -> int:
        if self._step == self._in_string:
            self._settle()
            self._is_torn = True
        self._parts.clear()
        return self._break(at + 1)

    def _after(self, text: str, at: int) -> int:
        if (space := _SPACE.match(text, at)) is not None:
            return space.end()
        top = self._stack[-1]
        if text[at] == ("}" if isinstance(top, dict) else "]"):
            self._close()
        elif text[at] == ",":
            self._step = self._before_key if isinstance(top, dict) else self._before_element
        else:
            return self._break(at)
        return at + 1


def partial(text: str, opens: str = "{[") -> _Container | None:
    """The value of a text that may be cut anywhere, as far as it can be known; `None` where nothing is."""
    reader = Partial(opens)
    reader.feed(text)
    return reader.value


def extends(final: Any, earlier: Any) -> bool:
    """Whether a later value says all that an earlier one did, and says it the same way."""
    if isinstance(earlier, dict):
        return isinstance(final, dict) and all(
            key in final and extends(final[key], value) for key, value in earlier.items()
        )
    if isinstance(earlier, list):
        return isinstance(final, list) and len(final) >= len(earlier) and all(map(extends, final, earlier))
    if isinstance(earlier, str):
        return isinstance(final, str) and final.startswith(earlier)
    return type(final) is type(earlier) and bool(final == earlier)


def _scalar(written: str) -> Any:
    """A number or word.

    Raises:
        ValueError: it is none that JSON has, or has more digits than are read.
    """
    if written in _WORDS:
        return _WORDS[written]
    number = _NUMBER.fullmatch(written)
    if number is None:
        raise ValueError("not a number of JSON")
    value = float(written) if number[1] or number[2] else int(written)
    if value in (inf, -inf):
        raise ValueError("larger than a number can be")
    return value
