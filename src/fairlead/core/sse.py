"""Server-sent events as the WHATWG HTML standard (section 9.2.6) frames them, whole or cut at any byte."""

from __future__ import annotations

import re

import msgspec

MAX_LINE_BYTES = 1024 * 1024
MAX_EVENT_BYTES = 4 * 1024 * 1024

_BOM = b"\xef\xbb\xbf"

# A line end followed by a line end.  A CR as the very last byte may still become a CRLF, so it ends nothing yet.
_EVENT_END = re.compile(rb"(?:\r\n|\n|\r(?!\n))(?:\r\n|\n|\r(?=[^\n]))")


class SseError(ValueError):
    """A line or an event is longer than its cap."""


class SseEvent(msgspec.Struct, frozen=True):
    """One dispatched event; `event` is empty where the stream named no type, and the lines of `data` are joined by LF."""

    event: bytes
    data: bytes


class SseParser:
    """Turns bytes, however they are cut, into events.

    `id` and `retry` are read and dropped: nobody reconnects to a model's answer.  An event that the stream never
    finished with a blank line is never given out, as the standard demands.
    """

    __slots__ = ("_at_start", "_data", "_event", "_rest", "_size", "_skip_lf")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._data: list[bytes] = []
        self._event = b""
        self._size = 0
        self._skip_lf = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[SseEvent]:
        """The events that these bytes complete.

        Raises:
            SseError: a line over 1 MiB or an event over 4 MiB.
        """
        if not chunk:
            return []
        if self._is_between_events() and chunk.startswith(b"data: ") and chunk.endswith(b"\n\n") and b"\r" not in chunk:
            return self._feed_whole(chunk)
        if self._skip_lf:
            self._skip_lf = False
            if chunk.startswith(b"\n"):
                chunk = chunk[1:]
        if self._at_start:
            chunk = self._without_bom(chunk)
        if b"\n" not in chunk and b"\r" not in chunk:
            self._rest += chunk
            _check_line(len(self._rest))
            return []
        return self._feed_lines(chunk)

    def _is_between_events(self) -> bool:
        return not (self._rest or self._size or self._skip_lf)

    def _feed_whole(self, chunk: bytes) -> list[SseEvent]:
        """The usual case: whole events of one `data: ` line each."""
        self._at_start = False
        events: list[SseEvent] = []
        for block in chunk[:-2].split(b"\n\n"):
            if block.startswith(b"data: ") and b"\n" not in block:
                _check_line(len(block))
                events.append(SseEvent(b"", block[6:]))
            else:
                events += self._feed_lines(block + b"\n\n")
        return events

    def _without_bom(self, chunk: bytes) -> bytes:
        """The chunk with what was held back before it, once it is known whether the stream begins with a BOM."""
        start = bytes(self._rest) + chunk
        self._rest.clear()
        if len(start) < len(_BOM) and _BOM.startswith(start):
            self._rest += start
            return b""
        self._at_start = False
        return start.removeprefix(_BOM)

    def _feed_lines(self, chunk: bytes) -> list[SseEvent]:
        lines = chunk.splitlines(keepends=True)
        if self._rest:
            lines[0] = bytes(self._rest) + lines[0]
            self._rest.clear()
        if not lines[-1].endswith((b"\n", b"\r")):
            self._rest += lines.pop()
            _check_line(len(self._rest))
        elif lines[-1].endswith(b"\r"):
            self._skip_lf = True
        events: list[SseEvent] = []
        for line in lines:
            text = line.rstrip(b"\r\n")
            if text:
                self._take(text)
            elif (event := self._dispatch()) is not None:
                events.append(event)
        return events

    def _take(self, line: bytes) -> None:
        _check_line(len(line))
        self._size += len(line)
        if self._size > MAX_EVENT_BYTES:
            raise SseError(f"an event is longer than {MAX_EVENT_BYTES} bytes")
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value

    def _dispatch(self) -> SseEvent | None:
        event = SseEvent(self._event, b"\n".join(self._data)) if self._data else None
        self._data.clear()
        self._event = b""
        self._size = 0
        return event


def encode(data: bytes, event: bytes | None = None) -> bytes:
    """One event; every line of `data` gets its own field, so its line ends all become LF for the reader.

    Raises:
        ValueError: a line break in the event's name.
    """
    head = b""
    if event is not None:
        if b"\n" in event or b"\r" in event:
            raise ValueError("an event's name cannot hold a line break")
        head = b"event: %b\n" % event
    if b"\n" not in data and b"\r" not in data:
        return b"%bdata: %b\n\n" % (head, data)
    lines = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    return head + b"".join(b"data: %b\n" % line for line in lines) + b"\n"


def split_events(buffer: bytes) -> tuple[list[bytes], bytes]:
    """Cut a buffer into raw whole events, each with its blank line, and the rest that is not whole yet.

    Joined again they are the buffer, byte for byte.  Put the rest before the next bytes, and forward or judge it at
    the stream's end: a blank line that is a bare CR counts only once something follows it.

    Raises:
        SseError: a line over 1 MiB or an event over 4 MiB.
    """
    events: list[bytes] = []
    start = 0
    if b"\r" in buffer:
        for match in _EVENT_END.finditer(buffer):
            events.append(buffer[start : match.end()])
            start = match.end()
    else:
        while (end := buffer.find(b"\n\n", start)) >= 0:
            events.append(buffer[start : end + 2])
            start = end + 2
    rest = buffer[start:]
    if len(buffer) > MAX_LINE_BYTES:
        for part in (*events, rest):
            _check_part(part)
    return events, rest


class EventSplitter:
    """Cuts a stream that comes in pieces into raw whole events, looking at every byte once.

    What it gives out, joined, and `held` behind it are the stream so far, byte for byte.  A blank line that is a bare
    CR ends an event only once something follows it.
    """

    __slots__ = ("_line_at", "_seen_cr", "held")

    def __init__(self) -> None:
        self.held = bytearray()
        """The beginning of an event that is not whole yet."""
        self._line_at = 0
        self._seen_cr = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """The events that these bytes complete.

        Raises:
            SseError: a line over 1 MiB or an event over 4 MiB.
        """
        held = self.held
        if not held:
            return self._split(chunk)
        at = len(held)
        held += chunk
        self._seen_cr = self._seen_cr or b"\r" in chunk
        # The longest part of an end that the bytes before can hold is CRLF and CR.
        end = _find_end(held, max(0, at - 3), with_cr=self._seen_cr)
        if end < 0:
            self._check_held(at, chunk)
            return []
        first, rest = bytes(held[:end]), bytes(held[end:])
        _check_part(first)
        return [first, *self._split(rest)]

    def _split(self, buffer: bytes) -> list[bytes]:
        events, rest = split_events(buffer)
        self.held = bytearray(rest)
        self._line_at = _last_line_at(rest)
        self._seen_cr = b"\r" in rest
        _check_line(len(rest) - self._line_at)
        return events

    def _check_held(self, at: int, chunk: bytes) -> None:
        held = self.held
        if len(held) > MAX_EVENT_BYTES:
            raise SseError(f"an event is longer than {MAX_EVENT_BYTES} bytes")
        if last_at := _last_line_at(chunk):
            if len(held) - self._line_at > MAX_LINE_BYTES:
                _check_line(max(map(len, held[self._line_at :].splitlines())))
            self._line_at = at + last_at
        _check_line(len(held) - self._line_at)


def _find_end(buffer: bytearray, start: int, *, with_cr: bool) -> int:
    """Where the first event ends that ends behind `start`, or -1."""
    if with_cr:
        match = _EVENT_END.search(buffer, start)
        return -1 if match is None else match.end()
    end = buffer.find(b"\n\n", start)
    return end + 2 if end >= 0 else -1


def _last_line_at(buffer: bytes) -> int:
    """Where the last line begins; 0 without a line end."""
    return 1 + max(buffer.rfind(b"\n"), buffer.rfind(b"\r"))


def _check_part(part: bytes) -> None:
    if len(part) <= MAX_LINE_BYTES:
        return
    if len(part) > MAX_EVENT_BYTES:
        raise SseError(f"an event is longer than {MAX_EVENT_BYTES} bytes")
    _check_line(max(map(len, part.splitlines())))


def _check_line(length: int) -> None:
    if length > MAX_LINE_BYTES:
        raise SseError(f"a line is longer than {MAX_LINE_BYTES} bytes")
