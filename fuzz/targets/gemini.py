"""Streams of the Gemini dialect: what comes out does not depend on the cuts, and what became neutral events is the same
after one more way out and back.
"""

from __future__ import annotations

from typing import Any

from fairlead.dialects.gemini import stream
from fairlead.errors import FairleadError, UpstreamProtocol
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
    """What this dialect wrote itself reads and writes the same; the first writing puts every end last."""
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
    try:
        return b"".join([encoder.encode(event) for event in events]) + encoder.end()
    except UpstreamProtocol:
        return b""


def _event(body: bytes, end: bytes = b"\n") -> bytes:
    return b"data: {" + body + b"}" + end + end


def _chunk(part: bytes, rest: bytes = b"", end: bytes = b"\n") -> bytes:
    return _event(b'"candidates":[{"content":{"parts":[' + part + b'],"role":"model"},"index":0' + rest + b"}]", end)


_TEXT = b'{"text":"Gr\xc3\xbc\xc3\x9fe"}'
_THOUGHT = b'{"text":"hm","thought":true,"thoughtSignature":"AA=="}'
_SIGNED = b'{"text":"","thoughtSignature":"AA=="}'
_CALL = b'{"functionCall":{"name":"f","args":{"a":1}}}'
_CODE = b'{"executableCode":{"language":"PYTHON","code":"1"}}'
_IMAGE = b'{"inlineData":{"mimeType":"image/png","data":"AAAA"}}'
_COUNTS = b'"usageMetadata":{"promptTokenCount":9,"candidatesTokenCount":3,"thoughtsTokenCount":2}'
_ENDED = b',"finishReason":"STOP","safetyRatings":[]'
_END = _chunk(_SIGNED, _ENDED)
_BLOCKED = _event(b'"promptFeedback":{"blockReason":"SAFETY"},' + _COUNTS)
_ERROR = _event(b'"error":{"code":503,"message":"x","status":"UNAVAILABLE"}')
_WHOLE = b"".join(
    [_chunk(_THOUGHT), _chunk(_TEXT, b',"groundingMetadata":{}'), b": ping\n\n", _chunk(_CALL + b"," + _CODE), _END,
     _event(_COUNTS)]
)  # fmt: skip
SEEDS = (
    seed(_WHOLE),
    seed(_WHOLE, 1, (1, 1, 1)),
    seed(_WHOLE.replace(b"\n", b"\r\n"), 0, (7, 3, 1)),
    seed(_chunk(_TEXT) + _ERROR, 0, (5, 0, 0)),
    seed(_BLOCKED, 0, (2, 0, 0)),
    seed(b"event: error\ndata: x\n\n" + _chunk(_TEXT), 0, (9, 1, 0)),
    seed(_chunk(_IMAGE) + _chunk(_TEXT, b',"finishReason":"OTHER"') + _chunk(_TEXT)[:30], 0, (40, 0, 0)),
    seed(_chunk(b'{"text":"\\ud800\\u0000"}') + b"data: \xff\xfe\n\n", 0, (1, 0, 0)),
)
WORDS = (
    b"data: ", b"event: error\n", b": ", b"\r\n\r\n", b"\n\n", b"\r\r", b'"candidates":[', b'"index":1', b'"parts":[', b'"text":',
    b'"finishReason":"STOP"', b'"thought":true', b'"functionCall":{', b'"name":"f"', b'"args":{}', b'"promptFeedback":{', _COUNTS,
    b'"id":"1"', b"}\n\n", b"\xef\xbb\xbf", b"\\ud800", b"null", _TEXT, _THOUGHT, _CALL, _END, _BLOCKED, _chunk(_TEXT),
)  # fmt: skip
