"""One value in JSON that is not well formed, read in one pass and without recursion.

Every departure from JSON is an edit.  Where the text leaves open what was meant, the reading ends there with a fault:
an elision, a value that is missing, a name that stands twice with different values, words that would be dropped.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

from fairlead.core import jsonscalar, jsonstring
from fairlead.verdict import Edit

MAX_DEPTH = 200
"""The deepest nesting that is read; the value itself is depth 1."""

MAX_EDITS = 64
"""More edits than this are made but not told, save one of each kind."""

_CLIPPED = 80
_SURE = frozenset({
    "trailing_comma", "extra_comma", "comment", "single_quotes", "curly_quotes", "backticks", "bare_name",
    "python_literal", "separator", "semicolon", "line_break", "number_form", "hexadecimal", "digit_groups",
})  # fmt: skip
"""Kinds that change how a value is written, not what it is."""
_BRACKETS = frozenset({"missing_brace", "wrong_bracket", "extra_bracket"})
_CLOSES = {"{": "}", "[": "]"}

_SPACE = re.compile(r"[\s\ufeff]*+(?:(?://|#)[^\r\n]*|/\*(?:(?!\*/).){0,4000}+\*/)?+", re.DOTALL)
_LEFT_OUT = re.compile(
    r"\.\.\.|…|\b(?:etc|and so on|omitted|truncated|(?:rest|remaining|remainder|more|other|additional|same)\b"
    r".*\b(?:items?|fields?|elements?|entries|values?|rows?|as above|of the|here)|continue[sd]?)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"[\w$][\w$.-]{0,63}(?: [\w$.-]{1,63}){0,4}(?=\s*(?::|=))")
_NAME_START = re.compile(r"[\w$.-]*\s*")
_SEPARATOR = re.compile(r"\s*(:|=>|=)")
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_CLOSERS = re.compile(r"(?:\s*[}\]]){1,1000}+")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What was read."""

    value: Any
    end: int
    """Behind the last character that was read."""
    edits: tuple[Edit, ...]
    left_open: tuple[str, ...] | None
    """The objects of which only the closing brace is missing; `None`: it is cut in another way, or has a fault."""
    fault: str | None
    """Why it was not read to its end: `cut` or what else is wrong."""
    depth: int
    """How many brackets were open at the fault."""


class NoJson(ValueError):
    """A bracket that begins no value."""


class TooDeep(ValueError):
    """Nested deeper than `MAX_DEPTH`."""


class _Fault(ValueError):
    def __init__(self, kind: str, at: int) -> None:
        super().__init__(kind)
        self.kind = kind
        self.at = at


class _Frame:
    """A container that is being read."""

    __slots__ = ("awaits", "doubled", "key", "value")

    def __init__(self, value: dict[str, Any] | list[Any], *, doubled: bool = False) -> None:
        self.value = value
        self.doubled = doubled
        self.key = ""
        self.awaits = "first"
        """`first`: an item or the end; `comma`: a value was read; `item`: a comma was."""


def read(text: str, at: int, limit: int, *, words: bool) -> Reading:
    """The object or array whose bracket stands at `at`; `words`: a list may hold words without quotes.

    Raises:
        NoJson: nothing behind the bracket is as in an object or array.
        TooDeep: it is nested too deeply.
    """
    reader = _Reader(text, at, limit, words=words)
    try:
        left_open = reader.run()
    except (jsonscalar.Unreadable, jsonstring.Unclear, _Fault) as error:
        kind = getattr(error, "kind", "unclear")
        end = getattr(error, "at", reader.at)
        reader.edit(kind, path=reader.path(), before=text[end : end + _CLIPPED], confidence=0.0, always=True)
        return reader.reading(end, fault=kind)
    return reader.reading(reader.at, left_open=left_open)


class _Reader:
    def __init__(self, text: str, at: int, limit: int, *, words: bool) -> None:
        self.text = text
        self.start = at
        self.at = at
        self.limit = limit
        self.words = words
        self.stack: list[_Frame] = []
        self.root: Any = None
        self.edits: list[Edit] = []
        self.told: set[str] = set()
        self.may_go_on = False

    def reading(self, end: int, *, fault: str | None = None, left_open: tuple[str, ...] | None = None) -> Reading:
        return Reading(
            value=self.root,
            end=end,
            edits=tuple(self.edits),
            left_open=left_open,
            fault=fault,
            depth=len(self.stack),
        )

    def run(self) -> tuple[str, ...]:
        self._open(self.text[self.at])
        while self.stack:
            before = self.at
            self._space()
            if self.at >= self.limit:
                return self._ended()
            frame = self.stack[-1]
            char = self.text[self.at]
            if char in "}]":
                self._close(frame, char)
            elif char in ",;":
                self._comma(frame, char)
            else:
                if frame.awaits == "comma":
                    if char not in jsonstring.OPENING and _BLANK_LINE.search(self.text, before, self.at):
                        raise _Fault("unclear", self.at)
                    self.edit("missing_comma", path=self._place_path())
                self._item(frame, char, was_missing=frame.awaits == "comma")
        return ()

    def edit(
        self, kind: str, *, path: str = "", before: str | None = None, after: Any = msgspec.UNSET,
        confidence: float | None = None, always: bool = False,
    ) -> None:  # fmt: skip
        """Note an edit; how a value is written is told once for each way, what changes a value each time."""
        if not always and kind in self.told and (kind in _SURE or len(self.edits) >= MAX_EDITS):
            return
        self.told.add(kind)
        if confidence is None:
            confidence = 1.0 if kind in _SURE else 0.8 if kind in _BRACKETS else 0.95
        shown = None if after is msgspec.UNSET else _clip(msgspec.json.encode(after).decode())
        self.edits.append(
            Edit(
                rung="repair",
                kind=kind,
                path=path,
                before=None if before is None else _clip(before),
                after=shown,
                confidence=confidence,
            )
        )

    def path(self) -> str:
        """Where the item is that is being read."""
        frame = self.stack[-1]
        part = frame.key if isinstance(frame.value, dict) else str(len(frame.value))
        return f"{self._place_path()}/{_escaped(part)}"

    def _place_path(self) -> str:
        """Where the innermost container is."""
        return _pointers(self.stack)[-1]

    def _space(self) -> None:
        while True:
            end = self._behind(_SPACE, self.at)
            if end == self.at:
                break
            skipped = self.text[self.at : end].strip()
            if skipped:
                if comment_leaves_out(skipped):
                    raise _Fault("elision", self.at)
                self.edit("comment", path=self._place_path(), before=skipped)
            self.at = end
        if self.text.startswith("```", self.at, self.limit):
            self.limit = self.at

    def _ended(self) -> tuple[str, ...]:
        """The text is over, and brackets are open."""
        all_objects = all(isinstance(frame.value, dict) for frame in self.stack)
        if all_objects and self.stack[-1].awaits == "comma" and not self.may_go_on:
            pointers = tuple(_pointers(self.stack))
            for pointer in pointers:
                self.edit("missing_brace", path=pointer)
            return pointers
        if not self.root:
            raise NoJson
        if self.may_go_on and self.stack[-1].awaits == "comma":
            self._take_back()
        raise _Fault("cut", self.limit)

    def _take_back(self) -> None:
        """Leave out the last item, which is a number or words that may have gone on."""
        held = self.stack[-1].value
        if isinstance(held, dict):
            del held[self.stack[-1].key]
        else:
            held.pop()

    def _open(self, char: str) -> None:
        if len(self.stack) >= MAX_DEPTH:
            raise TooDeep(f"nested deeper than {MAX_DEPTH} levels")
        frame = _Frame({} if char == "{" else [])
        if self.stack:
            self._put(frame.value)
        else:
            self.root = frame.value
        self.stack.append(frame)
        self.at += 1
        if char == "{" and self.text.startswith("{", self.at, self.limit):
            frame.doubled = True
            self.edit("doubled_braces")
            self.at += 1

    def _close(self, frame: _Frame, char: str) -> None:
        if char != ("}" if isinstance(frame.value, dict) else "]"):
            self._close_rest()
            return
        self.at += 1
        if frame.doubled:
            if not self.text.startswith("}", self.at, self.limit):
                raise _Fault("unclear", self.at)
            self.at += 1
        if frame.awaits == "item":
            self.edit("trailing_comma", path=self._place_path())
        self._pop()

    def _pop(self) -> None:
        self.stack.pop()
        self.may_go_on = False
        if self.stack:
            self.stack[-1].awaits = "comma"

    def _close_rest(self) -> None:
        """A bracket of the wrong kind: read where nothing but brackets follow, for then all readings are the same."""
        start, end = self.at, self._behind(_CLOSERS, self.at)
        behind = self._behind(_SPACE, end)
        if self.text[behind : min(behind + 1, self.limit)] in (",", ";", ":", '"', "'"):
            raise _Fault("unclear", start)
        self.edit("wrong_bracket", path=self._place_path(), before=self.text[start:end])
        for at in range(start, end):
            if self.text[at] in "}]" and self.stack:
                self.at = at + 1
                self._close_nearest(self.text[at])

    def _behind(self, pattern: re.Pattern[str], at: int) -> int:
        match = pattern.match(self.text, at, self.limit)
        return match.end() if match else at

    def _close_nearest(self, char: str) -> None:
        wanted = dict if char == "}" else list
        if any(isinstance(frame.value, wanted) for frame in self.stack):
            while not isinstance(self.stack[-1].value, wanted):
                self._pop()
        self._pop()

    def _comma(self, frame: _Frame, char: str) -> None:
        if char == ";":
            self.edit("semicolon")
        if frame.awaits == "comma":
            frame.awaits = "item"
        elif isinstance(frame.value, dict):
            self.edit("extra_comma", path=self._place_path())
        elif len(self.stack) == 1 and not frame.value:
            raise NoJson
        else:
            raise _Fault("missing_value", self.at)
        self.at += 1

    def _item(self, frame: _Frame, char: str, *, was_missing: bool) -> None:
        first = len(self.stack) == 1 and not frame.value
        if isinstance(frame.value, dict):
            self._name(frame, char, first=first)
            self._space()
            if self.at >= self.limit:
                raise _Fault("cut", self.limit)
            self._value(self.text[self.at], "property")
            return
        if char in jsonstring.OPENING or char in "{[":
            self._value(char, "element")
            return
        at = self.at
        try:
            self._value(char, "element")
        except jsonscalar.Unreadable as error:
            if first and error.kind != "elision":
                raise NoJson from None
            raise
        if isinstance(frame.value[-1], str):
            if len(self.stack) == 1 and not self.words:
                raise NoJson
            if was_missing:
                raise _Fault("unclear", at)

    def _name(self, frame: _Frame, char: str, *, first: bool) -> None:
        if char in jsonstring.OPENING:
            name = self._quoted_name(first=first)
        elif match := _NAME.match(self.text, self.at, self.limit):
            name = match[0]
            self.edit("bare_name", before=name)
            self.at = match.end()
        elif self.text.startswith(("...", "…"), self.at):
            raise _Fault("elision", self.at)
        elif first:
            raise NoJson
        else:
            raise self._cut_or_unclear()
        if name in ("...", "…"):
            raise _Fault("elision", self.at)
        separator = _SEPARATOR.match(self.text, self.at, self.limit)
        if separator is None:
            if self.at >= self.limit:
                raise _Fault("cut", self.at)
            raise NoJson if first else _Fault("unclear", self.at)
        if separator[1] != ":":
            self.edit("separator", before=separator[1])
        frame.key = name
        self.at = separator.end()

    def _cut_or_unclear(self) -> _Fault:
        rest = self.text[self.at : min(self.at + 128, self.limit)]
        is_name = self.at + len(rest) == self.limit and _NAME_START.fullmatch(rest) is not None
        return _Fault("cut" if is_name or rest.startswith("/*") else "unclear", self.at)

    def _quoted_name(self, *, first: bool) -> str:
        try:
            read = jsonstring.quoted(self.text, self.at, self.limit, "key")
        except jsonstring.Unclear:
            if first:
                raise NoJson from None
            raise
        if read is None:
            raise _Fault("cut", self.limit)
        for kind in read.kinds:
            self.edit(kind, before=read.value)
        self.at = read.end
        return read.value

    def _value(self, char: str, place: jsonstring.Place) -> None:
        if char in "{[":
            self._open(char)
            return
        if char in jsonstring.OPENING:
            value = self._string(place)
        else:
            read = jsonscalar.scalar(self.text, self.at, self.limit)
            value = read.value
            if read.kind is not None:
                self.edit(read.kind, path=self.path(), before=self.text[self.at : read.end].strip(), after=value)
            self.may_go_on = read.may_go_on and read.end == self.limit == len(self.text)
            self.at = read.end
        self._put(value)
        self.stack[-1].awaits = "comma"

    def _string(self, place: jsonstring.Place) -> str:
        read = jsonstring.quoted(self.text, self.at, self.limit, place)
        if read is None:
            raise _Fault("cut", self.limit)
        if read.value in ("...", "…"):
            raise _Fault("elision", self.at)
        for kind in read.kinds:
            self.edit(kind, path=self.path(), before=self.text[self.at : read.end], after=read.value)
        self.at = read.end
        self.may_go_on = False
        return read.value

    def _put(self, value: Any) -> None:
        frame = self.stack[-1]
        if isinstance(frame.value, list):
            frame.value.append(value)
        elif frame.key in frame.value and not _same(frame.value[frame.key], value):
            raise _Fault("duplicate", self.at)
        else:
            frame.value[frame.key] = value


def comment_leaves_out(comment: str) -> bool:
    """Whether a comment says that something was left out beside it."""
    return _LEFT_OUT.search(comment) is not None


def _same(one: Any, other: Any) -> bool:
    """Whether two scalars are one value; containers are not looked into."""
    return type(one) is type(other) and one == other and not isinstance(one, dict | list)


def _pointers(stack: list[_Frame]) -> list[str]:
    """Where each container that is open stands."""
    pointers = [""]
    for frame in stack[:-1]:
        part = frame.key if isinstance(frame.value, dict) else str(len(frame.value) - 1)
        pointers.append(f"{pointers[-1]}/{_escaped(part)}")
    return pointers


def _escaped(part: str) -> str:
    return part.replace("~", "~0").replace("/", "~1")


def _clip(text: str) -> str:
    return text if len(text) <= _CLIPPED else text[: _CLIPPED - 1] + "…"
