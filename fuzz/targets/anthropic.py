"""Streams of the Anthropic dialect: what comes out does not depend on the cuts, and what became neutral events is the
same after one more way out and back.
"""

from __future__ import annotations

from typing import Any

from fairlead.dialects.anthropic import stream
from fairlead.errors import FairleadError
from fuzz.plan import Plan, read, seed


def check(data: bytes) -> None:
    plan = read(data)
    _check_scanner(plan)
    assert _decoded(plan.pieces) == _decoded([plan.payload])
    _check_way_back(plan)
    stream.text(plan.payload)


def _check_scanner(plan: Plan) -> None:
    whole, whole_out, whole_error = _scanned([plan.payload])
    pieces, out, error = _scanned(plan.pieces)
    assert error == whole_error, (error, whole_error)
    if error is None:
        assert out == whole_out, (out, whole_out)
        assert _state(pieces) == _state(whole), (_state(pieces), _state(whole))
    else:  # what came before the fault goes out only where it came in a piece of its own
        assert out.startswith(whole_out)


def _scanned(pieces: list[bytes]) -> tuple[Any, bytes, str | None]:
    scanner = stream.scanner(forward_usage=True)
    out = b""
    for piece in pieces:
        try:
            out += scanner.feed(piece)
        except FairleadError as error:
            return scanner, out, type(error).__name__
    return scanner, out, None


def _state(scanner: Any) -> tuple[Any, ...]:
    return scanner.usage, scanner.prompt, scanner.content, scanner.complete, type(scanner.error).__name__


def _decoded(pieces: list[bytes]) -> tuple[list[Any], str | None]:
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


def _check_way_back(plan: Plan) -> None:
    """What this dialect wrote itself reads and writes the same; the first writing may put things into order, and end a
    call of which no arguments came.
    """
    first = _read_again(_written(_decoded([plan.payload])[0]))
    once = _written(first)
    again = _read_again(once)
    assert again == first, (again, first)
    assert _written(again) == once


def _read_again(raw: bytes) -> list[Any]:
    events, fault = _decoded([raw])
    assert fault is None, fault
    return events


def _written(events: list[Any]) -> bytes:
    encoder = stream.encoder(include_usage=True)
    return b"".join([encoder.encode(event) for event in events]) + encoder.end()


def _event(kind: bytes, rest: bytes = b"", end: bytes = b"\n") -> bytes:
    return b"event: " + kind + end + b'data: {"type":"' + kind + b'"' + rest + b"}" + end + end


def _delta(index: int, delta: bytes, end: bytes = b"\n") -> bytes:
    return _event(b"content_block_delta", b',"index":%d,"delta":%b' % (index, delta), end)


def _block(index: int, block: bytes, *deltas: bytes, end: bytes = b"\n") -> bytes:
    start = _event(b"content_block_start", b',"index":%d,"content_block":%b' % (index, block), end)
    stop = _event(b"content_block_stop", b',"index":%d' % index, end)
    return start + b"".join([_delta(index, delta, end) for delta in deltas]) + stop


_TEXT = b'{"type":"text_delta","text":"Gr\xc3\xbc\xc3\x9fe"}'
_JSON = b'{"type":"input_json_delta","partial_json":"{\\"a\\":1}"}'
_THOUGHT = (b'{"type":"thinking_delta","thinking":"hm"}', b'{"type":"signature_delta","signature":"s"}')
_CITED = b'{"type":"citations_delta","citation":{"type":"char_location"}}'
_START = _event(
    b"message_start", b',"message":{"id":"m","model":"c","usage":{"input_tokens":9,"output_tokens":1,"speed":"fast"}}'
)
_ENDED = _event(
    b"message_delta", b',"delta":{"stop_reason":"stop_sequence","stop_sequence":"x"},"usage":{"output_tokens":7}'
)
_END = _event(b"message_stop")
_PING = _event(b"ping")
_ERROR = _event(b"error", b',"error":{"type":"overloaded_error","message":"Overloaded"}')
_CALL = b'{"type":"tool_use","id":"t","name":"f","input":{}}'
_WHOLE = b"".join(
    [
        _START,
        _block(0, b'{"type":"thinking","thinking":"","signature":""}', *_THOUGHT),
        _block(1, b'{"type":"redacted_thinking","data":"x"}'),
        _PING,
        _block(2, b'{"type":"text","text":""}', _CITED, _TEXT, _TEXT),
        _block(3, b'{"type":"server_tool_use","id":"s","name":"w","input":{}}', _JSON),
        _block(4, _CALL, _JSON),
        _block(5, _CALL),
        _ENDED,
        _END,
    ]
)
SEEDS = (
    seed(_WHOLE),
    seed(_WHOLE, 1, (1, 1, 1)),
    seed(_WHOLE.replace(b"\n", b"\r\n"), 0, (7, 3, 1)),
    seed(_START + _block(0, b'{"type":"text","text":"a"}', _TEXT) + _ERROR, 0, (5, 0, 0)),
    seed(_START + _ERROR, 0, (2, 0, 0)),
    seed(b"event: error\ndata: x\n\n" + _delta(0, _TEXT), 0, (9, 1, 0)),
    seed(_delta(0, _TEXT) + _event(b"new", b',"x":[1]') + _delta(0, _TEXT)[:30], 0, (40, 0, 0)),
    seed(_delta(0, b'{"type":"text_delta","text":"\\ud800\\u0000"}') + b"data: \xff\xfe\n\n", 0, (1, 0, 0)),
)
WORDS = (
    b"data: ", b"event: ", b"event: error\n", b"event: ping\n", b": ", b"\r\n\r\n", b"\n\n", b"\r\r", b'"type":', b'"index":1',
    b'"delta":{', b'"usage":{', b'"output_tokens":3', b'"stop_reason":', b'"text"', b'"thinking"', b'"tool_use"', b'"partial_json":',
    b"}\n\n", b"\xef\xbb\xbf", b"\\ud800", b"null", _PING, _END, _delta(0, _TEXT), _block(1, _CALL, _JSON),
)  # fmt: skip
