"""Streams of the Anthropic dialect; see `fuzz.streams` for what must hold."""

from __future__ import annotations

from fairlead.dialects.anthropic import stream
from fuzz import streams
from fuzz.plan import seed


def check(data: bytes) -> None:
    streams.check(stream, data)


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
