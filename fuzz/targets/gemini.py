"""Streams of the Gemini dialect; see `fuzz.streams` for what must hold."""

from __future__ import annotations

from fairlead.dialects.gemini import stream
from fuzz import streams
from fuzz.plan import seed


def check(data: bytes) -> None:
    streams.check(stream, data)


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
