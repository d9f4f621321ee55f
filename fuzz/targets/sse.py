"""Event streams: what comes out does not depend on how the bytes were cut, and is what the WHATWG grammar says."""

from __future__ import annotations

import re
from typing import Any

from fairlead.core.sse import SseEvent, SseParser, encode, split_events
from fairlead.dialects.openai_chat import stream
from fairlead.errors import FairleadError
from fuzz.plan import Plan, read, seed

_LINE_END = re.compile(rb"\r\n|\n|\r")


def check(data: bytes) -> None:
    plan = read(data)
    _check_parser(plan)
    _check_split(plan)
    _check_scanner(plan, forward_usage=bool(plan.flags & 1))
    _check_decoder(plan)
    if plan.flags & 2:
        _check_encode(plan.payload)


def _check_parser(plan: Plan) -> None:
    whole = SseParser().feed(plan.payload)
    parser = SseParser()
    pieces = [event for piece in plan.pieces for event in parser.feed(piece)]
    expected = _reference(plan.payload)
    assert whole == expected, (whole, expected)
    assert pieces == expected, (pieces, expected)


def _reference(data: bytes) -> list[SseEvent]:
    """The standard's algorithm in its own words: lines, fields, dispatch at an empty line."""
    events: list[SseEvent] = []
    lines = _LINE_END.split(data.removeprefix(b"\xef\xbb\xbf"))
    name, values = b"", list[bytes]()
    for line in lines[:-1]:  # what follows the last line end is no line yet
        if line == b"":
            if values:
                events.append(SseEvent(name, b"\n".join(values)))
            name, values = b"", []
            continue
        field, colon, value = line.partition(b":")
        if not field and colon:
            continue
        value = value.removeprefix(b" ")
        if field == b"data":
            values.append(value)
        elif field == b"event":
            name = value
    return events


def _check_split(plan: Plan) -> None:
    """Cut into raw events and joined again, the stream is the same, and reads the same."""
    rest, raw = b"", []
    for piece in plan.pieces:
        events, rest = split_events(rest + piece)
        raw += events
    assert b"".join(raw) + rest == plan.payload
    parser = SseParser()
    assert [event for one in (*raw, rest) for event in parser.feed(one)] == _reference(plan.payload)


def _check_scanner(plan: Plan, *, forward_usage: bool) -> None:
    whole, whole_out, whole_error = _scanned([plan.payload], forward_usage=forward_usage)
    pieces, out, error = _scanned(plan.pieces, forward_usage=forward_usage)
    assert error == whole_error, (error, whole_error)
    if error is None:
        assert out == whole_out, (out, whole_out)
        assert _state(pieces) == _state(whole), (_state(pieces), _state(whole))
    else:  # what came before the fault goes out only where it came in a piece of its own
        assert out.startswith(whole_out)


def _scanned(pieces: list[bytes], *, forward_usage: bool) -> tuple[Any, bytes, str | None]:
    scanner = stream.scanner(forward_usage=forward_usage)
    out = b""
    for piece in pieces:
        try:
            out += scanner.feed(piece)
        except FairleadError as error:
            return scanner, out, type(error).__name__
    return scanner, out, None


def _state(scanner: Any) -> tuple[Any, ...]:
    return scanner.usage, scanner.content, scanner.complete, type(scanner.error).__name__


def _check_decoder(plan: Plan) -> None:
    assert _decoded(plan.pieces) == _decoded([plan.payload])


def _decoded(pieces: list[bytes]) -> tuple[Any, ...]:
    decoder = stream.decoder()
    events: list[Any] = []
    for piece in pieces:
        try:
            events += decoder.feed(piece)
        except FairleadError as error:
            return [event for event in events if not _is_silent(event)], type(error).__name__
    fault = None if decoder.error is None else type(decoder.error).__name__
    return [event for event in events if fault is None or not _is_silent(event)], fault


def _is_silent(event: Any) -> bool:
    return type(event).__name__ in {"Started", "UsageReport"}


def _check_encode(payload: bytes) -> None:
    """What `encode` writes is one event with this data, its line ends folded to LF."""
    folded = _LINE_END.sub(b"\n", payload)
    assert SseParser().feed(encode(payload)) == [SseEvent(b"", folded)]


_CHUNK = b'{"id":"x","choices":[{"index":0,"delta":{"content":"Gr\xc3\xbc\xc3\x9fe"},"finish_reason":null}]}'
_ROLE = b'{"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}'
_STOP = b'{"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null}'
_USAGE = b'{"id":"x","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}'
_RUNNING = (
    b'{"id":"x","choices":[{"index":0,"delta":{"content":"a"}}],"usage":{"prompt_tokens":3,"completion_tokens":1}}'
)
_ERROR = b'{"error":{"message":"overloaded","type":"server_error","code":503}}'


def _stream(*data: bytes, end: bytes = b"\n") -> bytes:
    return b"".join(b"data: " + one + end + end for one in data)


_WHOLE = (_ROLE, _CHUNK, _RUNNING, _STOP, _USAGE, b"[DONE]")
SEEDS = (
    seed(_stream(*_WHOLE)),
    seed(_stream(*_WHOLE), 1, (1, 1, 1)),
    seed(_stream(*_WHOLE, end=b"\r\n"), 0, (7, 3, 1)),
    seed(_stream(_CHUNK, _STOP, end=b"\r"), 2, (5, 0, 0)),
    seed(b"\xef\xbb\xbf: ping\n\nevent: ping\ndata: {}\n\n" + _stream(_CHUNK, _ERROR), 0, (2, 0, 0)),
    seed(b"event: error\ndata: x\n\n" + _stream(_CHUNK), 0, (9, 1, 0)),
    seed(b"data:a\ndata\ndata: b\nid: 1\nretry: 3\n\n\n\ndata: {\ndata: }\n\n", 3, (3, 0, 0)),
    seed(_stream(_ROLE, _CHUNK) + b"data: " + _CHUNK[:20]),
    seed(b'data: {"choices":[{"delta":{"content":"\\ud800\\u0000"}}]}\n\ndata: \xff\xfe\n\n', 0, (1, 0, 0)),
)
WORDS = (
    b"data: ", b"data:", b"event: ", b"event: error", b"event: ping", b"id: ", b"retry: ", b": ", b"\r\n\r\n", b"\n\n", b"\r\r",
    b"[DONE]", b'"usage"', b'"usage":null', b'"error"', b'"choices":', b'"delta":', b'"content":', b'"finish_reason":',
    b'"prompt_tokens":1', b"}\n\n", b"\xef\xbb\xbf", b"\\ud800", _CHUNK, _USAGE,
)  # fmt: skip
